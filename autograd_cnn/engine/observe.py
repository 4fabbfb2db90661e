"""The door for observers of a run: every call of a primitive in their context.

Tracing, profiles, exporters and reports come in here. An observer sees the outermost calls only: what an observed call
calls in its turn, and what the observer calls, is not observed. Observers may stand inside of each other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from autograd_cnn.engine.messages import Place, inside
from autograd_cnn.engine.mode import Mode, current, in_mode
from autograd_cnn.engine.numpy_calls import OF_SHAPES, constant
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import composites, registry
from autograd_cnn.engine.tensor import Tensor

_ELEMENTWISE = {np.round, np.around, np.isclose, np.isneginf, np.isposinf, np.isreal, np.iscomplex}
if hasattr(np, "fix"):  # which NumPy 2.5 has deprecated
    _ELEMENTWISE.add(np.fix)

operations: Mapping[str, Any] = MappingProxyType(registry)
"""Every operation by name."""


def primitives() -> list[Primitive[...]]:
    """Return every primitive once, also those that have the name of a function which calls them."""
    found = (getattr(f, "primitive", f) for f in registry.values())
    return [*dict.fromkeys(p for p in found if isinstance(p, Primitive))]


def as_primitive(function: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a primitive and the options of a call of it: also for a function of NumPy without a derivative."""
    if isinstance(function, Primitive):
        return function, {**options}
    return (observed.__wrapped__(function, **options) if options else observed(function)), {}


@cache
def observed(function: Any, **options: Any) -> Primitive[...]:
    """Return a function of NumPy as a primitive without rules, for those who observe calls."""

    def of_numpy(*operands: Any) -> Any:
        return function(*operands, **options)

    elementwise = function in _ELEMENTWISE or (isinstance(function, np.ufunc) and function.signature is None)
    made: Primitive[...] = Primitive(of_numpy, name=function.__name__, elementwise=elementwise, complex=True)
    made.numpy = function
    return made


@contextmanager
def own_operations() -> Iterator[None]:
    """Forget the operations that are registered inside the block when it ends."""
    with ExitStack() as end:
        end.callback(registry.update, dict(registry))  # after the other
        end.callback(registry.clear)
        yield


@dataclass(slots=True, eq=False)
class Call:
    """A call of a primitive.

    Attributes
    ----------
    names, values, passed : list
        The flat arguments with the arrays that they had, the parameter of each, and the arguments themselves; empty if
        they do not fit the parameters.
    out : Tensor or ndarray
        The result.
    place : (code, offset)
        The user's line.
    function : callable or None
        The function of the package, made of primitives, that the user's line called.
    mode : Mode
        The mode of the call, with its `scope`.
    seconds : float
        How long it took.
    """

    primitive: Any
    mode: Mode
    place: Place
    function: Any
    names: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    passed: list[Any] = field(default_factory=list)
    out: Any = None
    seconds: float = 0.0

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name; of a sequence, the last."""
        return dict(zip(self.names, self.values, strict=True))

    @property
    def module(self) -> str:
        """The path of the module around the call, or ""."""
        return self.mode.scope[0] if self.mode.scope else ""


@contextmanager
def observing(
    called: Callable[[Call], None], failed: Callable[[Call, Exception], None] | None = None, **changes: Any
) -> Iterator[None]:
    """Pass every call of a primitive to `called`, and one that raised an error to `failed`.

    `changes` are further ones of the mode, as in ``recording=False``.
    """
    outside = current.get()

    def call(primitive: Any, args: tuple[Any, ...], options: dict[str, Any], mode: Mode) -> Any:
        left = None if primitive in OF_SHAPES else mode.left
        with in_mode(call=outside.call, on_rules=outside.on_rules, left=left):
            if not isinstance(primitive, (Primitive, np.ufunc)):
                return constant(primitive, args, options)
            if isinstance(primitive, np.ufunc):  # one without a derivative
                primitive, options = as_primitive(primitive, options)
                mode = mode.but(recording=False)
            event = Call(primitive, mode, *_origin(sys._getframe(1)))
            with suppress(TypeError):  # where the arguments do not fit, the call raises an error
                event.passed = primitive.bind(args, dict(options))
                event.names, event.values = primitive.flat_names(len(event.passed)), [*map(_as_it_is, event.passed)]
            try:
                start = perf_counter()
                out = (outside.call or Primitive.run)(primitive, args, options, mode)
                event.seconds = perf_counter() - start
            except Exception as error:
                if failed is not None:
                    failed(event, error)
                raise
            event.out = _as_it_is(out)
            called(event)
        return out

    with in_mode(call=call, **changes):
        yield


def _as_it_is(value: Any) -> Any:
    """Return a Tensor of the array and the node that `value` has now, which an assignment may change."""
    return Tensor._of(value._array, value._node, value._name) if isinstance(value, Tensor) else value


def _origin(frame: Any) -> tuple[Place, Any]:
    """Return the user's line, and the function of the package that it called, if that is made of primitives."""
    function = None
    while inside[frame.f_code.co_filename] and frame.f_back is not None:
        function = composites.get(frame.f_code, function)
        frame = frame.f_back
    return (frame.f_code, frame.f_lasti), function
