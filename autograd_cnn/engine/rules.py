"""How a primitive is called, and its derivative rules: how they are registered, and how faster ones replace them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from inspect import Signature, signature
from typing import Any, cast

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import OPTIONS
from autograd_cnn.engine.messages import describe, did_you_mean
from autograd_cnn.engine.registry import numpys
from autograd_cnn.engine.tensor import Tensor

Accelerator = Callable[[Callable[..., Any]], Callable[..., Any]]


def untyped(function: Callable[..., Any]) -> Signature:
    """Return the signature of a function without types."""
    parameters = signature(function).parameters.values()
    return Signature([p.replace(annotation=p.empty) for p in parameters])


class Parameters:
    """The parameters of a function, and the binding of arguments to them.

    Flat arguments are in the order of the parameters, with defaults filled in. The arrays of a sequence input
    (``concatenate([x, y])``, ``contract("ij,jk", x, y)``) are separate flat arguments, one after the other.

    Attributes
    ----------
    parameters : tuple of str
        The names of the parameters. `defaults` maps names to default values.
    sequence : str
        The name of the parameter that takes several arrays, or ``""``. `variadic` is True for ``*operands``, and False
        for a list.
    arity : int
        The number of parameters, or -1 with a sequence input: then the arguments of a call are never flat as they are.
    """

    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        self.name = name or function.__name__
        self.signature = self.__signature__ = untyped(function)  # for messages and `help`
        parameters = self.signature.parameters.values()
        self.parameters = tuple(p.name for p in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.sequence: str = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self.variadic = bool(self.sequence)
        self.arity = -1 if self.sequence else len(self.parameters)

    def flat_names(self, count: int) -> list[str]:
        """Return the parameter of each of `count` flat arguments."""
        elements = count - len(self.parameters) + 1
        return [n for p in self.parameters for n in [p] * (elements if p == self.sequence else 1)]

    def bind(self, args: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
        """Return the flat arguments. Remove the used `options`."""
        k = self.parameters.index(self.sequence) if self.sequence else 0
        fixed = [*args[:k], args[k:]] if self.variadic else [*args]
        for name in self.parameters[len(fixed) :]:
            if name not in options and name not in self.defaults:
                break
            fixed.append(options.pop(name) if name in options else self.defaults[name])
        if options or len(fixed) != len(self.parameters):
            errors.bound(self.name, self.signature, args, options)  # which raises
        if not self.sequence:
            return fixed
        if isinstance(fixed[k], (Tensor, str)) or not hasattr(fixed[k], "__len__"):
            raise TypeError(f"{self.name}: {self.sequence} is a list of tensors, not {describe(fixed[k])}")
        return [*fixed[:k], *fixed[k], *fixed[k + 1 :]]

    def grouped(self, values: list[Any]) -> list[Any]:
        """Return flat arguments as the function takes them, with the arrays of a list input in one list."""
        if self.variadic or not self.sequence:
            return values
        k = self.parameters.index(self.sequence)
        end = k + 1 + len(values) - len(self.parameters)
        return [*values[:k], values[k:end], *values[end:]]


class Rule:
    """A derivative rule: its function, the inputs that it serves (several for a joint rule), and its parameters.

    Attributes
    ----------
    needs : list of str
        The names of all parameters but `g`: the values that the tape saves for the rule.
    textbook : Rule
        The formula. It is the rule itself, unless `Primitive.accelerate` has put a faster one in its place.
    may_write : bool
        Whether the function writes its result into `g`, if `g` is writable. Rules of further inputs return no view of
        `g`, and run before.
    exact : bool
        Whether the results have the bits and the memory order of the formula's.
    into : callable, optional
        Adds the gradient to an array, which is passed before `g`.
    fresh : bool
        Whether the result, if it is writable, is an array that nobody else has. All rules of the package promise it.
        Any other rule may return an array that it keeps.
    """

    def __init__(self, function: Callable[..., Any], inputs: tuple[str, ...], textbook: Rule | None = None) -> None:
        self.function = function
        self.inputs = inputs
        self.name = ", ".join(inputs)
        self.joint = len(inputs) > 1
        self.needs = [p for p in signature(function).parameters if p != "g"]
        self._textbook = textbook  # not `self`, since nothing here may refer to itself
        self.may_write = False
        self.exact = True
        self.into: Callable[..., None] | None = None
        self.fresh = is_packaged(function)

    def __call__(self, g: Any, *values: Any) -> Any:
        """Return the gradient, and leave `g` as it is. A program that cannot show the formula calls the rule."""
        if self.may_write:
            g = g.view()
            g.setflags(False)
        return self.function(g, *values)

    @property
    def textbook(self) -> Rule:
        return self._textbook or self

    def is_formula(self, g: Any, *values: Any) -> bool:
        """Return whether the gradient has the bits of the formula's, which a faster function calls if not `applies`."""
        applies = getattr(self.function, "applies", None)
        return self.exact or (applies is not None and not applies(g, *values))


def is_packaged(function: Callable[..., Any]) -> bool:
    """Return whether the package defines a function."""
    return str(getattr(function, "__module__", "")).startswith("autograd_cnn.")


def check_names(function: str, parameters: Iterable[str], *allowed: str) -> None:
    if unknown := [name for name in parameters if name not in allowed]:
        hint = did_you_mean(unknown[0], allowed)
        raise TypeError(f"{function} has an unknown parameter {unknown[0]!r}. It can have {', '.join(allowed)}.{hint}")


class Facts:
    """The facts that a primitive can declare, with their defaults; `primitive` explains each."""

    byproducts: tuple[str, ...] = ()
    strict: bool = False
    examples: Callable[[np.random.Generator], list[Any]] | None = None
    symbol: str = ""
    elementwise: bool = False
    moves: bool = False
    views: bool = True
    integers: bool = False
    rectifies: bool = False
    complex: bool | str = False
    flops: Callable[..., int] | None = None
    check: Callable[..., Any] | None = None
    batch: Any = ""
    private: bool = False


class Rules(Parameters, Facts):
    """A plain function with its facts and its derivative rules, one for each input.

    Faster functions may take the places of the function and of its rules.
    """

    __name__: str
    __qualname__: str
    numpy: Any = None
    exact = True  # whether `forward` has the bits of `formula`

    def __init__(self, function: Callable[..., Any], name: str | None = None, **facts: Any) -> None:
        super().__init__(function, name)
        # A call reads these. Python finds an attribute faster if all primitives have it, in one order, before others
        self.rules: dict[str, Rule] = {}
        self.plans: dict[Any, Any] = {}  # which follow from the rules
        self.textbook, self.check = function, facts.get("check")
        self.forward = self.formula = self._checked(function)  # `textbook`, behind the check of its arguments
        update_wrapper(cast(Any, self), function)
        self.packaged = is_packaged(function)
        # Classes of arguments that are no arrays; our own tuples hold no Tensors
        self.option_types = OPTIONS if self.packaged else OPTIONS - {tuple}
        self.byproducts, self.strict, self.complex = (), False, facts.get("moves", False)
        self.views = facts.get("moves", not self.packaged)
        vars(self).update(facts)
        self.widens = self.packaged and not (self.moves or self.integers or numpys(self.name))
        self.batch = self.batch or "elementwise" * self.elementwise
        shapes = ["out_shape", *(f"{p}_shape" for p in self.parameters)]
        needs = signature(self.flops).parameters if self.flops else ()
        check_names(f"{self.name}: flops", needs, *shapes, *self.parameters)

    def __repr__(self) -> str:
        return f"<primitive {self.name}{self.signature}>"

    def __reduce__(self) -> str:  # for pickle and copy: by reference, as for a function
        return self.__qualname__

    def raw(self, *args: Any, **options: Any) -> Any:
        """Compute with arrays, and return the by-products, too, if there are any."""
        is_flat = not options and len(args) == self.arity
        return self.forward(*(args if is_flat else self.grouped(self.bind(args, options))))

    def vjp(self, *unnamed: Any, **rules: Callable[..., Any]) -> None:
        """Register one rule per input, ``name=lambda g, ...: gradient``.

        A function that is passed for several inputs is a joint rule: it is called once, and returns a gradient for each
        of them, in the same order. A rule with a parameter `position` makes its input a sequence of Tensors, as in
        `concatenate`.

        Raises
        ------
        TypeError
            If a rule is for an unknown input, or has an unknown parameter.
        """
        if unnamed:
            raise TypeError(f"{self.name}.vjp: want the name of the input: {self.name}.vjp({self.parameters[0]}=rule)")
        made = {id(f): Rule(f, tuple(n for n, same in rules.items() if same is f)) for f in rules.values()}
        for name, function in rules.items():
            if name not in self.parameters:
                raise TypeError(f"{self.name}.vjp: {name} is not an input. It has {', '.join(self.parameters)}")
            self.rules[name] = made[id(function)]
            if "position" in self.rules[name].needs:
                self.sequence, self.arity = name, -1
        allowed = ["g", "out", *self.parameters, *(f"{p}_shape" for p in self.rules), "out_shape", *self.byproducts]
        for name in rules:
            position = ["position"] if self.sequence else []
            check_names(f"{self.name}.vjp({name}): the rule", self.rules[name].needs, *allowed, *position)
        self.plans.clear()

    def into(self, **functions: Callable[..., None]) -> None:
        """Register in-place twins of rules, ``name=lambda buffer, g, ...``, which add the gradient to `buffer`.

        The walk calls a twin if it owns a sum for that input already. The other parameters are those of the rule.
        """
        for name, function in functions.items():
            self.rules[name].into = function

    def accelerate(
        self,
        forward: Accelerator | None = None,
        *,
        may_write: bool = False,
        exact: bool = False,
        **rules: Accelerator,
    ) -> None:
        """Put faster functions in the place of the function and of rules, ``name=accelerator``.

        An accelerator takes the textbook's function and returns the faster one, which calls the textbook's where its
        ``applies(*args)``, an attribute, does not hold. A faster rule may need more values. The name of one of its
        inputs stands for a joint rule.

        `may_write` says that the rules write their results into `g` if it is writable, which it is if nobody else needs
        it. The rule of the first input does, and the others return no view of `g`. `exact` says that all results have
        the bits and the memory order of the textbook's.
        """
        check_names(f"{self.name}.accelerate", rules, "forward", *self.rules)
        if forward is not None:
            self.forward, self.exact = self._checked(forward(self.textbook)), exact
        for name, accelerator in rules.items():
            faster = formula = self.rules[name].textbook
            if (function := accelerator(formula.function)) is not formula.function:
                faster = Rule(function, formula.inputs, formula)
                faster.may_write, faster.exact, faster.into = may_write, exact, self.rules[name].into
            self.rules.update(dict.fromkeys(formula.inputs, faster))
        self.plans.clear()

    def _checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` behind the check of its arguments: it takes all of them, in order."""
        check = self.check
        return function if check is None else lambda *args: function(*check(*args))
