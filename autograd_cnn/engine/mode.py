"""The mode of a context: whether operations in it are recorded, and who observes them.

The mode is a context variable, so every thread and every asynchronous task has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager as Context


class Mode:
    """Determines what happens to operations in a context. A Mode is immutable; `but` makes a changed copy.

    Attributes
    ----------
    call : callable
        ``(primitive, args, options, mode) -> result``, which runs every call. It is `Primitive.run`, or the function of
        an observer (`autograd_cnn.trace`, `autograd_cnn.profile`), which calls the one that it replaced.
    steps : callable, optional
        ``node -> steps``. An observer sets it to replace the steps of a node's plan during a walk.
    recording : bool
        False under `no_grad`.
    scope : (str, scope) or None
        The place in the model: a name, and the enclosing scope. Entering a scope makes a new tuple.
    variables : tuple of nodes
        The nodes of the variables of all transforms (`grad`, ...) that are running.
    """

    __slots__ = ("call", "recording", "scope", "steps", "variables")
    call: Callable[..., Any]
    steps: Callable[[Any], Any] | None
    recording: bool
    scope: Any
    variables: tuple[Any, ...]

    def but(self, **changes: Any) -> Mode:
        """Return a copy of this mode with some attributes changed."""
        mode = Mode()
        for name in Mode.__slots__:
            setattr(mode, name, changes.get(name, getattr(self, name)))
        return mode


ordinary = Mode()  # `primitive` adds its `call`
ordinary.steps, ordinary.recording, ordinary.scope, ordinary.variables = None, True, None, ()
current: ContextVar[Mode] = ContextVar("mode", default=ordinary)


@contextmanager
def in_mode(**changes: Any) -> Iterator[None]:
    """Context manager that changes attributes of the mode."""
    before = current.get()
    current.set(before.but(**changes))
    try:
        yield
    finally:
        current.set(before)


def is_recording() -> bool:
    """Return whether operations are recorded in this context."""
    return current.get().recording


def no_grad() -> Context[None]:
    """Context manager (and decorator) that turns recording off in this thread.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     (w * 2).requires_grad
    False
    """
    return in_mode(recording=False)


def enable_grad() -> Context[None]:
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
    >>> [[s.path for s in op.scopes] for op in ag.sum(h).graph().ops]
    [['encoder'], ['encoder'], []]
    """
    with in_mode(scope=(name, current.get().scope)):
        yield
