"""Schedules of the learning rate: functions of the step, counted from 0, as in ``optimiser.lr = schedule(step)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["constant", "cosine", "one_cycle", "step_decay"]

Schedule = Callable[[int], float]


def _check_steps(schedule: str, name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{schedule}: {name} is {value}, want 1 or more")


_WEIGHTS: dict[str, Any] = {"cos": lambda x: (1 + math.cos(math.pi * x)) / 2, "linear": lambda x: 1 - x}
"""The weight of the start, at a share of the way to the end."""


def _between(start: float, end: float, share: float, course: str = "cos") -> float:
    """Go from `start` at share 0 to `end` at share 1, exact at both."""
    weight = _WEIGHTS[course](min(share, 1))
    return float(weight * start + (1 - weight) * end)


def constant(lr: float) -> Schedule:
    """Keep `lr` at every step.

    Examples
    --------
    >>> schedule = constant(0.1)
    >>> schedule(0), schedule(1000)
    (0.1, 0.1)
    """
    return lambda step: float(lr)


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Start at `lr` and multiply by `factor` after each `every` steps.

    Raises
    ------
    ValueError
        If `every` is less than 1.

    Examples
    --------
    >>> schedule = step_decay(0.8, every=100, factor=0.5)
    >>> [schedule(step) for step in (0, 99, 100, 200)]
    [0.8, 0.8, 0.4, 0.2]
    """
    _check_steps("step_decay", "every", every)
    return lambda step: float(lr * factor ** (step // every))


def cosine(lr: float, steps: int, final: float = 0) -> Schedule:
    """Fall from `lr` to `final` at step `steps`, along half a cosine, and stay there.

    Raises
    ------
    ValueError
        If `steps` is less than 1.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.

    Examples
    --------
    >>> schedule = cosine(0.1, steps=100)
    >>> [round(schedule(step), 3) for step in (0, 25, 50, 75, 100, 101)]
    [0.1, 0.085, 0.05, 0.015, 0.0, 0.0]
    """
    _check_steps("cosine", "steps", steps)
    return lambda step: _between(lr, final, step / steps)


def one_cycle(
    peak: float,
    steps: int,
    warm_up: float = 0.3,
    start: float | None = None,
    final: float | None = None,
    anneal_strategy: str = "cos",
) -> Schedule:
    """Rise from `start` to `peak`, then fall to `final` at the last of `steps` steps.

    Parameters
    ----------
    peak : float
    steps : int
        Steps of the whole training: images / batch * epochs.
    warm_up : float
        Share of the steps in which the rate rises, in [0, 1].
    start, final : float, optional
        Default: ``peak / 25`` and ``peak / 10_000``.
    anneal_strategy : "cos" or "linear"
        Whether the rate rises and falls along half a cosine or a line, PyTorch's name.

    Raises
    ------
    ValueError
        If `steps` is less than 1, `warm_up` is not in [0, 1], or `anneal_strategy` is another word.

    References
    ----------
    L. Smith, "A disciplined approach to neural network hyper-parameters: part 1", 2018, section 4.

    Examples
    --------
    >>> schedule = one_cycle(0.5, steps=101, warm_up=0.3)
    >>> [round(schedule(step), 5) for step in (0, 15, 29, 60, 100, 101)]
    [0.02, 0.269, 0.49988, 0.30131, 5e-05, 5e-05]
    """
    _check_steps("one_cycle", "steps", steps)
    if not 0 <= warm_up <= 1:
        raise ValueError(f"one_cycle: warm_up is {warm_up}, want a share of the steps in [0, 1]")
    if anneal_strategy not in _WEIGHTS:
        raise ValueError(f"one_cycle: anneal_strategy is {anneal_strategy!r}, want {' or '.join(map(repr, _WEIGHTS))}")
    start = peak / 25 if start is None else start
    final = peak / 10_000 if final is None else final
    top = max(warm_up * steps - 1, 0)  # as in PyTorch: the last step of the warm-up has the peak

    def schedule(step: int) -> float:
        if step < top:
            return _between(start, peak, step / top, anneal_strategy)
        return _between(peak, final, (step - top) / max(steps - 1 - top, 1), anneal_strategy)

    return schedule
