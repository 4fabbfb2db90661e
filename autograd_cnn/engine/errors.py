"""The texts of the engine's errors, each made only when it is raised.

A function returns the error and its caller raises it; a short text that one place raises stands there. A text describes
the problem with the user's numbers, names the operation and the user's line, and ends with a cure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import BoundArguments, Signature
from typing import Any

import numpy as np

from autograd_cnn.engine.messages import code_of, did_you_mean, label_of, spell, variable_of
from autograd_cnn.engine.registry import advice, registry
from autograd_cnn.engine.tape import Node

# Errors of the walk


def walked_before(node: Node) -> RuntimeError:
    state = "that walk did not end" if node.saved is not None else f"the arrays of {node} were freed"
    problem = f"this graph was walked before ({spell(node.walked)}), and {state}"
    return RuntimeError(f"backward: {problem}. Run the forward code again, or keep them: backward(retain_graph=True)")


def of_rule(node: Node, rule: Any, problem: str, kind: type[Exception] = TypeError) -> Exception:
    return kind(f"{node.plan.primitive.name}: the rule for {rule.name} {problem}")


def rule_failed(node: Node, rule: Any, error: BaseException) -> None:
    """Raise a better error than a rule raised, if there is one, else add a note to it."""
    if isinstance(error, ValueError) and "read-only" in str(error):
        raise of_rule(node, rule, "writes into g or into a saved array. Return a new array", ValueError) from error
    error.add_note(f"while differentiating {node} for {rule.name}")


def not_for_complex(primitive: Any, label: str, dtype: np.dtype) -> TypeError:
    """Return the error about complex numbers where an operation does not declare that it takes them."""
    own = "If its rules hold for complex numbers: @ag.primitive(complex=True)"
    cure = "Of real numbers: x.real, x.imag, abs(x)" if primitive.packaged else own
    return TypeError(f"{primitive.name}: {label} is {dtype}, and {primitive.name} is for real numbers\n{cure}")


def complex_loss(caller: str, label: str, code: str, dtype: np.dtype) -> TypeError:
    others = {"backward": f"or pass d loss / d {code}: {code}.backward(np.{dtype}(1))", "grad": "or ag.jacobian"}
    cure = f"Make it one: {code}.real, abs({code}) ** 2; {others.get(caller, '')}".rstrip("; ")
    return TypeError(f"{caller}: {label} is {dtype}, and only real numbers have a gradient. {cure}")


def no_order(place: str = "") -> TypeError:
    return TypeError(f"{place}complex numbers have no order\nTheir lengths or parts have one: abs(x), x.real, x.imag")


# Errors of arrays


def not_numbers(label: str, array: np.ndarray) -> TypeError:
    if array.dtype.kind in "US" or (array.size and isinstance(array.flat[0], (str, bytes))):
        cure = "From names: classes, labels = np.unique(labels, return_inverse=True)"
        return TypeError(f"{label} is not an array of numbers\n{cure}")
    return TypeError(f"{label} is not an array of numbers. For a list of tensors: ag.stack([...])")


# Errors of a primitive


def no_rule(primitive: Any, name: str, tensor: Any) -> TypeError:
    label = tensor.name or name
    cure = f"{primitive.name}.vjp({name}=lambda g, ...: ...), or pass {label}.detach()"
    return TypeError(f"{primitive.name}: no rule for {label}, which requires a gradient. {cure}")


def unknown_keyword(name: str, unknown: str, known: Iterable[str]) -> TypeError:
    """Return the error about a keyword: the code of this package for it, a similar one, or all that there are."""
    known, cure = [*known], advice.get(f"{name}({unknown}=)", advice.get(f"{unknown}=", ""))
    parameter, sign, _ = cure.partition("=")
    if sign and parameter.isidentifier() and parameter not in known:  # it has another name there
        cure = ""
    hint = f" Here: {cure}" if cure else did_you_mean(unknown, known)
    only = "" if hint else f" It has {', '.join(known)}" if known else " It has none"
    return TypeError(f"{name}: has no parameter {unknown!r}.{hint}{only}")


def bound(name: str, signature: Signature, args: tuple[Any, ...], options: dict[str, Any]) -> BoundArguments:
    """Bind arguments to the parameters of a function, or raise an error that says why they do not fit."""
    try:
        return signature.bind(*args, **options)
    except TypeError as error:
        raise _misfit(f"{name}: {error}", name, signature, args, options) from None


def _misfit(problem: str, name: str, signature: Signature, args: tuple[Any, ...], options: dict[str, Any]) -> TypeError:
    known = [n for n, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if unknown := next((n for n in options if n not in known), ""):
        runs = args and callable(args[0]) and "*args" in map(str, signature.parameters.values())
        if not runs or did_you_mean(unknown, known):
            return unknown_keyword(name, unknown, known)
        by_name = f"Pass what f takes by position, or ag.{name}(lambda x: f(x, {unknown}=...), x)"
        return TypeError(f"{name}: has no parameter {unknown!r}. {advice.get(f'{name}({unknown}=)', by_name)}")
    if cure := advice.get(f"{name}(*)", advice.get(f"{name.partition('.')[2]}(*)")):
        return TypeError(f"{problem}. {cure.format(args[1:])}")
    if {"shape", "axes", "axis"} & {*known} and all(isinstance(a, (int, np.integer)) for a in args[1:]):
        return TypeError(f"{problem}. Pass a shape, or axes, as one argument: {args[1:]}")
    # Functions and classes are given by their names
    short = re.sub(r"<(?:function |class '|primitive )?(?:\w+\.)*(\w+)[^>]*>", r"\1", str(signature))
    return TypeError(f"{problem}; its parameters are {short}")


# Errors of a Tensor


def no_history(caller: str, tensor: Any) -> ValueError:
    why = "It was made under no_grad(), or detached, or by a step such as np.round, or no input requires a gradient"
    return ValueError(f"{caller}: {label_of(tensor)} has no history. {why}")


def not_one_number(caller: str, tensor: Any) -> ValueError:
    one = f".mean() or .sum(); or take one: [{', '.join('0' * tensor.ndim)}]"
    weights = f".mean() or .sum(); or pass weights: backward(grad=array of shape {tensor.shape})"
    cure = {"backward": weights, "gradient": weights, "bool": ".data.any() or .data.all()"}.get(caller, one)
    label = f"{label_of(tensor)} {tensor.shape}"
    return ValueError(f"{caller}: {label} has {tensor.size} numbers, want one. Reduce it: {cure}")


def not_of_this_kind(tensor: Any, attribute: str, got: str, cure: str) -> ValueError:
    return ValueError(f"{label_of(tensor)}.{attribute} = ...: got {got}, want {tensor.shape} {tensor.dtype}{cure}")


def not_assigned(tensor: Any, why: str, copy: str = "copy()", in_place: bool = False) -> RuntimeError:
    label = code_of(tensor)
    cure = f"In place: {label}.data[...] = v" if in_place else f"Assign to a copy: {label} = {label}.{copy}"
    return RuntimeError(f"{label}[...] = v: {label} {why}. {cure}")


def shares_memory(tensor: Any, other: Any) -> RuntimeError:
    name = other.name or variable_of(other) or "another tensor"
    return not_assigned(tensor, f"shares memory with {name}, which would change as well: assign to {name}")


def parts_are_set(tensor: Any, value: Any) -> None:
    raise AttributeError(f"real and imag are read only. Both at once: {code_of(tensor)}[...] = x + 1j * y")


def leaves_graph(tensor: Any, caller: str = "") -> TypeError:
    """Return the error about a plain array, or about a number by `float`: ``out[i] = w`` and libraries call it."""
    code, join = code_of(tensor), "array" if "array" in registry else "stack"
    problem = f"{code} would leave the graph: NumPy or a library asks for a plain array of it"
    others = f"To join tensors: ag.{join}([...]). SciPy's functions: ag.linalg, ag.special, ag.stats"
    constant = f"{code}.data"
    if caller:
        problem = f"{caller}({code}) would leave the graph"
        others, constant = f"To compute: with {code} itself, and with ag.sin for math.sin", f"{code}.item()"
    cure = f"To fill an array: out = ag.Tensor(out), then out[i] = {code} is recorded"
    return TypeError(f"{problem}. {cure}. {others}. As a constant: {constant}")


def no_leaf(tensor: Any, node: Node) -> str:
    """Return the text of the warning about the ``.grad`` of a result, which is always None."""
    code, problem = code_of(tensor), f"{label_of(tensor)} is the result of {node}, not a leaf"
    cure = "A step changes the array of a parameter: w.data = w.data - lr * w.grad. The gradient of a result"
    return f"{code}.grad is None: {problem}. {cure}: loss.gradient({code})"
