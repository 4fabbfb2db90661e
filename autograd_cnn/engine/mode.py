"""What happens to operations in a context: they are recorded, only computed, or observed as well.

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
    """What happens to operations in this context; a Mode never changes, another one takes its place.

    Attributes
    ----------
    call : callable
        ``(primitive, args, options, mode) -> result``: runs every call. It is `Primitive.run`, unless an observer
        (`autograd_cnn.trace`, `autograd_cnn.profile`) has put its own around it.
    steps : callable, optional
        ``node -> steps``: the steps of a node's plan as an observer wants a walk to take them.
    recording : bool
        False under `no_grad`.
    scope : (str, scope) or None
        The place in the model: a name, and the scope around it. Each entry makes a new tuple.
    variables : tuple of nodes
        The variables of the transforms (`grad`, ...) that are being evaluated.
    """

    __slots__ = ("call", "recording", "scope", "steps", "variables")
    call: Callable[..., Any]
    steps: Callable[[Any], Any] | None
    recording: bool
    scope: Any
    variables: tuple[Any, ...]

    def but(self, **changes: Any) -> Mode:
        """This mode with some attributes changed."""
        mode = Mode()
        for name in Mode.__slots__:
            setattr(mode, name, changes.get(name, getattr(self, name)))
        return mode


ordinary = Mode()  # `primitive` adds its `call`
ordinary.steps, ordinary.recording, ordinary.scope, ordinary.variables = None, True, None, ()
current: ContextVar[Mode] = ContextVar("mode", default=ordinary)


@contextmanager
def in_mode(**changes: Any) -> Iterator[None]:
    """Context manager under which the mode has `changes`."""
    before = current.get()
    current.set(before.but(**changes))
    try:
        yield
    finally:
        current.set(before)


def is_recording() -> bool:
    """Whether operations are recorded here."""
    return current.get().recording


def no_grad() -> Context[None]:
    """Context manager (and decorator) under which nothing is recorded in this thread.

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
    """Context manager (and decorator) that records again inside `no_grad`.

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
    """Context manager whose operations a picture draws in one frame, called `name`; a Module opens its own.

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
