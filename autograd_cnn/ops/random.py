"""The generator that draws initial weights and dropout's masks where the caller passes none."""

from __future__ import annotations

from functools import cache

import numpy as np

from autograd_cnn.engine.mode import current


@cache
def _default() -> np.random.Generator:
    return np.random.default_rng(0)  # made when it is first needed, because NumPy imports `random` late as well


def seed(n: int) -> None:
    """Restart the default generator, from which layers draw their weights and dropout its masks without ``rng=``.

    A program starts with ``seed(0)``, so it draws the same numbers in every run. For draws that no other part of a
    program can shift, pass a generator of your own: ``rng=np.random.default_rng(n)``.

    Parameters
    ----------
    n : int
        What ``np.random.default_rng`` takes.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.nn.seed(7)
    >>> w = ag.nn.Linear(2, 3).w.data
    >>> ag.nn.seed(7)
    >>> bool((ag.nn.Linear(2, 3).w == w).all())
    True
    """
    _default().bit_generator.state = np.random.default_rng(n).bit_generator.state


def generator(rng: np.random.Generator | None, caller: str) -> np.random.Generator:
    """Return `rng`, or the default generator for None, which is about to draw.

    Raises
    ------
    TypeError
        For a seed: layers that are each given the same seed would start with the same weights.
    """
    rng = _default() if rng is None else rng
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{caller}: rng is {rng!r}. One generator serves the whole model: rng = np.random.default_rng(0), then "
            f"{caller}(..., rng=rng); or leave it out and call ag.nn.seed(0) once"
        )
    for draws in current.get().draws:  # a second run of a checkpoint draws the same numbers, and `vmap` refuses them
        draws.setdefault(id(rng.bit_generator), (rng.bit_generator, rng.bit_generator.state))
    return rng
