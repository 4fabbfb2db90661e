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
    """Determines what happens to operations in a context: the sum of the `changes` of all who have entered it.

    Attributes
    ----------
    call : callable, optional
        ``(primitive, args, options, mode) -> result``. An observer (`autograd_cnn.trace`, `autograd_cnn.profile`) sets
        it to run every call in the place of `Primitive.run`, also of NumPy's functions without a derivative.
    on_rules : callable, optional
        ``(node, steps) -> steps``. An observer sets it to replace the steps of a node during a walk.
    left : callable, optional
        ``(tensor) -> None``. An observer sets it to be told of a Tensor whose numbers become a plain array.
    recording : bool
        False under `no_grad`.
    scope : (str, scope, str) or None
        The place in the model: a name, the enclosing scope, and the class of the module or "". Entering a scope makes
        a new tuple.
    walk : object or None
        The walk that is recorded, whose `node` is the one whose rules run.
    transforms : tuple
        The evaluations of functions by transforms (`grad`, ...) that are running, innermost last.
    draws : tuple of dict
        For each running `checkpoint` and `vmap`, the generators that drew, by their id, and their states before.
    again : int
        The birth of the second run of a function, by backward, or 0. It must not move statistics a second time, nor
        change older Tensors.
    """

    call: Callable[..., Any] | None = None
    on_rules: Callable[[Any, Any], Any] | None = None
    left: Callable[[Any], None] | None = None
    recording = True
    scope: Any = None
    walk: Any = None
    transforms: tuple[Any, ...] = ()
    draws: tuple[dict[int, tuple[Any, Any]], ...] = ()
    again = 0

    def __init__(self, *changes: dict[str, Any]) -> None:
        self.changes = changes
        for change in changes:
            self.__dict__.update(change)

    def but(self, **change: Any) -> Mode:
        """Return a copy of this mode with one more change: as ``Mode(*changes, change)``, but quicker."""
        mode = Mode()
        mode.__dict__ = {**self.__dict__, **change, "changes": (*self.changes, change)}
        return mode


ordinary = Mode()
current: ContextVar[Mode] = ContextVar("mode", default=ordinary)


def record_walk(walk: Any) -> None:
    """Record what the rules of a walk compute, in this context."""
    mode = current.get().but(recording=True, walk=walk)
    current.set(mode)
    for transform in mode.transforms:
        transform.differentiated = True


class in_mode(ContextDecorator):
    """Context manager that changes attributes of the mode, and decorator that runs a function in the changed mode.

    Whoever leaves takes the own change out, and leaves the changes of others: generators that wait inside of `with` may
    end in any order. `with` around a ``yield`` changes the mode of the consumer too, since Python gives both one
    context. So a generator or a coroutine is not decorated.
    """

    def __init__(self, **change: Any) -> None:
        self._change = change
        self._entered: list[tuple[Mode, Mode]] = []  # one for each time: the mode before, and the own one

    def _recreate_cm(self) -> in_mode:  # for every call of a decorated function
        return in_mode(**self._change)

    def __enter__(self) -> None:
        before = current.get()
        own = before.but(**self._change)
        self._entered.append((before, own))
        current.set(own)

    def __exit__(self, *error: object) -> None:
        before, own = self._entered.pop()
        now = current.get()
        if now is not own:  # a generator that entered since waits, or one that had entered has ended
            before = Mode(*[change for change in now.changes if change is not own.changes[-1]])
        current.set(before)

    def __call__(self, function: F) -> F:
        if any(kind(function) for kind in _WAITING):
            use = "enable_grad" if self._change.get("recording") else "no_grad"
            raise TypeError(f"{function.__name__} waits for its caller. Inside, around no yield: with ag.{use}():")
        return super().__call__(function)


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
