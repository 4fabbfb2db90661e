"""Averages of parameters over the steps, beside an optimiser (`EMA`) or around it (`Lookahead`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.engine.checks import count
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.optim.optimiser import Optimiser, Steps, check_number, described, grouped
from autograd_cnn.optim.schedules import Schedule
from autograd_cnn.state import check_state, not_finite

__all__ = ["EMA", "Lookahead"]


class Lookahead:
    """Lets another optimiser run ahead for some steps, then draws the parameters back towards where they were.

    After each `every` steps, the slow weights move by a share of the way to the parameters, and become the parameters.

    Parameters
    ----------
    optimiser : Optimiser
        Takes the steps. Its `lr` is that of this optimiser, so schedules work as usual.
    every : int
    share : float or callable
        A number in (0, 1], or a function of the number of the step, from 1, to such a number.
    buffers : iterable of Tensor
        Others to be drawn back with the parameters, such as the running statistics of batch norms.

    References
    ----------
    M. Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", 2019.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor(1.0, requires_grad=True, name="w")
    >>> optimiser = Lookahead(ag.optim.SGD([w], lr=1), every=2, share=0.5)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (-w).backward()
    ...     optimiser.step()
    >>> w.item()  # from 1, two steps ahead to 3, and half the way back
    2.0
    """

    def __init__(
        self, optimiser: Steps, every: int = 5, share: float | Schedule = 0.5, buffers: Iterable[Tensor] = ()
    ) -> None:
        if not isinstance(optimiser, Steps):
            raise TypeError(f"Lookahead: optimiser is {described(optimiser)}, want one such as SGD(parameters, lr)")
        if not callable(share) and not 0 < share <= 1:
            raise ValueError(f"Lookahead: share is {share}, want it in (0, 1]")
        self.optimiser, self.every, self.share = optimiser, count(every, "every"), share
        self.parameters, self.taken = optimiser.parameters, 0
        self._fast = [*self.parameters, *buffers]
        self._slow = [t.numpy() for t in self._fast]

    if not TYPE_CHECKING:
        __getattr__ = Optimiser.__getattr__

    @property
    def lr(self) -> float:
        return self.optimiser.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self.optimiser.lr = lr

    def step(self) -> None:
        """Take a step with the other optimiser; after each `every` steps, draw the parameters back."""
        taken = self.taken + 1
        share = float(self.share(taken) if callable(self.share) else self.share) if taken % self.every == 0 else 0.0
        if not 0 <= share <= 1:
            raise ValueError(f"Lookahead.step: share({taken}) is {share}, want it in (0, 1]")
        self.optimiser.step()
        self.taken = taken
        if taken % self.every:
            return
        for fast, slow in zip(self._fast, self._slow, strict=True):
            slow[...] += share * (fast.data - slow)
            fast.data = slow.copy()

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None. Call it once per step, before `backward`."""
        self.optimiser.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the other optimiser's state, the number of steps, `taken`, and the slow weights."""
        slow = {f"slow.{i}": array.copy() for i, array in enumerate(self._slow)}
        return {**self.optimiser.state_dict(), "taken": self.taken, **slow}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a copy of a state from `state_dict`, or raise a ValueError and change nothing if it does not match."""
        check_state("Lookahead.load_state_dict", self.state_dict(), state)
        self.optimiser.load_state_dict({name: state[name] for name in self.optimiser.state_dict()})
        self._slow = [np.array(state[f"slow.{i}"], order="C") for i in range(len(self._fast))]
        self.taken = int(state["taken"])

    def __repr__(self) -> str:
        return f"Lookahead({self.optimiser!r}, every={self.every})"


class EMA:
    """Keeps a running average of parameters: ``average = decay * average + (1 - decay) * parameter``.

    Averaged weights often predict better than the last ones.

    Parameters
    ----------
    parameters : iterable of Tensor
        ``model.parameters()``, for example.
    decay : float
        Weight of the old average, in [0, 1).

    References
    ----------
    B. Polyak, A. Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor(1.0, requires_grad=True)
    >>> average = EMA([w], decay=0.75)
    >>> w.data = w.data + 4
    >>> average.update()
    >>> with average.applied():
    ...     w.item()
    2.0
    >>> w.item()
    5.0
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float = 0.999) -> None:
        check_number("EMA", "decay", decay, below=1)
        self.parameters, self.decay = [p for p, _ in grouped("EMA", parameters, ())], float(decay)
        for i, p in enumerate(self.parameters):
            if not isinstance(p, Tensor):
                raise TypeError(f"EMA: parameter {i} is {described(p)}, want a Tensor, as in model.parameters()")
        self.averages = [p.numpy() for p in self.parameters]

    def update(self) -> None:
        """Move the averages towards the parameters. Call it after every step of the optimiser.

        Raises
        ------
        FloatingPointError
            If a parameter is not finite, since the averages would never be finite again. They stay as they were.
        """
        for i, p in enumerate(self.parameters):
            if bad := not_finite(p.data):
                raise FloatingPointError(
                    f"EMA.update: {p.name or f'parameter {i}'} is {bad}. The averages are as before: with "
                    "average.applied(): ..."
                )
        for i, p in enumerate(self.parameters):
            self.averages[i] *= self.decay
            self.averages[i] += (1 - self.decay) * p.data

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the parameters the averages as values, inside a ``with`` block."""
        before = [p.data for p in self.parameters]
        for p, average in zip(self.parameters, self.averages, strict=True):
            p.data = average.copy()
        try:
            yield
        finally:
            for p, array in zip(self.parameters, before, strict=True):
                p.data = array

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the averages, numbered as `parameters` are."""
        return {f"average.{i}": average.copy() for i, average in enumerate(self.averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a copy of a state from `state_dict`, or raise a ValueError and change nothing if it does not match."""
        check_state("EMA.load_state_dict", self.state_dict(), state)
        self.averages = [np.array(state[f"average.{i}"], order="C") for i in range(len(self.averages))]
