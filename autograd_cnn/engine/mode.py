"""The mode of a context: whether operations in it are recorded, and who observes them.

The mode is a context variable, so every thread and every asynchronous task has its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_WAITING = inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.iscoroutinefunction


class Mode:
    """Determines what happens to operations in a context. Only `ended` is ever changed; `but` makes a changed copy.

    Attributes
    ----------
    call : callable, optional
        ``(primitive, args, options, mode) -> result``. An observer (`autograd_cnn.trace`, `autograd_cnn.profile`) sets
        it to run every call in the place of `Primitive.run`, also of NumPy's functions without a derivative.
    steps : callable, optional
        ``(node, steps) -> steps``. An observer sets it to replace the steps of a node during a walk.
    left : callable, optional
        ``(tensor) -> None``. An observer sets it to be told of a Tensor whose numbers become a plain array.
    recording : bool
        False under `no_grad`.
    scope : (str, scope, str) or None
        The place in the model: a name, the enclosing scope, and the class of the module or "". Entering a scope makes
        a new tuple.
    ended : Mode or None
        The mode to go on with, if what entered this mode has left it before what it entered later.
    walk : object or None
        The walk that is recorded, whose `node` is the one whose rules run.
    transforms : tuple
        The evaluations of functions by transforms (`grad`, ...) that are running, innermost last.
    draws : tuple of dict
        For each `checkpoint` that is running, the generators that drew, by their id, and their states before.
    around : tuple of callable
        The context managers that gave modules other parameters, and that the second run of a function enters again.
    again : int
        The birth of the second run of a function, by backward, or 0. It must not move statistics a second time, nor
        change older Tensors.
    """

    call: Callable[..., Any] | None
    ended: Mode | None
    steps: Callable[[Any, Any], Any] | None
    left: Callable[[Any], None] | None
    recording: bool
    scope: Any
    walk: Any
    transforms: tuple[Any, ...]
    draws: tuple[dict[int, tuple[Any, Any]], ...]
    around: tuple[Any, ...]
    again: int

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def but(self, **changes: Any) -> Mode:
        """Return a copy of this mode with some attributes changed."""
        mode = object.__new__(Mode)
        mode.__dict__ = {**self.__dict__, "ended": None, **changes}
        return mode


_empty: dict[str, Any] = dict.fromkeys(["call", "ended", "steps", "left", "scope", "walk"])
ordinary = Mode(**_empty, recording=True, transforms=(), draws=(), around=(), again=0)
current: ContextVar[Mode] = ContextVar("mode", default=ordinary)


class in_mode(ContextDecorator):
    """Context manager that changes attributes of the mode, and decorator that runs a function in the changed mode.

    `with` around a ``yield`` changes the mode of the consumer too, since Python gives both one context. So a generator
    or a coroutine is not decorated.
    """

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._entered: list[tuple[Mode, Mode]] = []  # the mode before, and the changed one

    def _recreate_cm(self) -> in_mode:  # for every call of a decorated function
        return in_mode(**self._changes)

    def __enter__(self) -> None:
        before = current.get()
        changed = before.but(**self._changes)
        self._entered.append((before, changed))
        current.set(changed)

    def __exit__(self, *error: object) -> None:
        mode, changed = self._entered.pop()
        if current.get() is not changed:  # a generator that waited inside of `with`, or ends in another context
            changed.ended = mode
            return
        while mode.ended is not None:
            mode = mode.ended
        current.set(mode)

    def __call__(self, function: F) -> F:
        if any(kind(function) for kind in _WAITING):
            use = "enable_grad" if self._changes.get("recording") else "no_grad"
            raise TypeError(f"{function.__name__} waits for its caller. Inside, around no yield: with ag.{use}():")
        return super().__call__(function)


def is_recording() -> bool:
    """Return whether operations are recorded in this context."""
    return current.get().recording


def no_grad() -> in_mode:
    """Context manager (and decorator) that turns recording off in this thread or asynchronous task.

    A ``yield`` inside of ``with ag.no_grad()`` leaves recording off for the code that consumes the generator.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     (w * 2).requires_grad
    False
    """
    return in_mode(recording=False)


def enable_grad() -> in_mode:
    """Context manager (and decorator) that turns recording on again inside `no_grad`.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad(), ag.enable_grad():
    ...     (w * 2).requires_grad
    True
    """
    return in_mode(recording=True)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Context manager that groups operations into a frame of a picture, called `name`. A Module opens its own.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> with ag.scope("encoder"):
    ...     h = ag.tanh(w * w)
    >>> h.node.scope[0], ag.sum(h).node.scope
    ('encoder', None)
    """
    with in_mode(scope=(name, current.get().scope, "")):
        yield
