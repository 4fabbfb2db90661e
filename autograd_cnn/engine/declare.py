"""The decorator that turns a function of NumPy into a primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, overload

from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.rules import Facts, check_names

P = ParamSpec("P")


@overload
def primitive(function: Callable[P, Any], /) -> Primitive[P]: ...


@overload
def primitive(*, name: str | None = None, **facts: Any) -> Callable[[Callable[P, Any]], Primitive[P]]: ...


def primitive(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **facts: Any) -> Any:
    """Turn a plain NumPy function into a recorded operation.

    Parameters
    ----------
    function : callable
        Takes arrays, and returns one array. It must neither write into its inputs nor return one of them.
    byproducts : tuple of str
        Names of further results, as in ``return out, argmax``. Rules may have them as parameters.
    strict : bool
        Refuse integer operands, and warn if float64 meets float32.
    examples : callable, optional
        ``rng -> [args, ...]``: inputs for the conformance suite. Each `args` is a tuple of arguments, or a pair of such
        a tuple and a dict of options. Default: standard normal arrays of shape (2, 3).
    symbol : str
        Python's operator for it, such as ``"+"``, or ``"[]"`` for an index. The derived program uses it.
    elementwise : bool
        Whether an element of the result depends on the elements of the arguments at its own place only.
    moves : bool
        Whether it only moves elements. Then it has no floating-point operations, and its result may be a view.
    views : bool
        Whether its result may be a view of an argument, so that an assignment to one changes the other. Default: True,
        since a view that is not declared would keep its old numbers.
    integers : bool
        Whether an operation of the package that NumPy lacks takes integers as they are; else it computes with floats.
    rectifies : bool
        Whether it cuts numbers off at 0. Then a channel that is 0 everywhere is dead.
    complex : bool or str
        Whether its rules hold for complex numbers. Otherwise these are refused, unless it `moves` elements. A text says
        that they hold in part; the conformance suite does not try them then.
    flops : callable, optional
        ``(out_shape, w_shape, ...) -> int``: the number of floating-point operations, from parameters named as in a
        rule. Each rule counts as many again. Default: one per element.
    check : callable, optional
        Takes the arguments of a call, raises an error if they do not fit, and returns all arguments as the function
        takes them, so that the function is the formula and nothing else.
    batch : str or callable, optional
        How it treats axes, by which it runs on all examples of a `vmap` at once: "elementwise" (also by that fact),
        "leading" (operands are stacks of matrices), "axes" (it works along its `axis`, of which None means all), "axis"
        (None means the flattened array), "first" (further axes in front of the first operand change nothing), "images"
        (the first axis of the first operand counts images), or a function ``(primitive, args, batched, size) ->
        result``; `calculus.batching` has more words. Default: it runs on one example after the other.
    name : str, optional
        The name of the operation, such as ``"linalg.inv"``. Default: the function's name.
    private : bool
        Whether it is no method of Tensor, ``x.name()``. Then its name may be that of one of the package's operations.

    Returns
    -------
    Primitive
        Callable like `function`. Register its derivative with ``.vjp(...)``. Type checkers know its parameters, and
        that the result is a Tensor if one of the first three positional arguments is a Tensor.

    Raises
    ------
    ValueError
        If the name belongs to one of the package's own operations, and it is not private.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> @ag.primitive
    ... def cube(x):
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: g * 3 * x**2)
    >>> x = ag.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    array(12.)
    """
    check_names("primitive", facts, *Facts.__annotations__, "name")

    def register(f: Callable[P, Any]) -> Primitive[P]:
        made: Primitive[P] = Primitive(f, name, **facts)
        key = f"{f.__module__}.{made.name}" if made.private else made.name
        known = registry.get(key)
        if known is not None and str(known.__module__).startswith("autograd_cnn.") and f.__module__ != known.__module__:
            raise ValueError(f"primitive: {made.name} is the package's own. Rename it, or @ag.primitive(private=True)")
        registry[key] = made
        return made

    return register if function is None else register(function)
