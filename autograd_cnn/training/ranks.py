"""What `fit` and `evaluate` ask of the processes that train one model together, and the answers of one alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module

Array = NDArray[Any]
Figures = Sequence[float]
Buffers = Sequence[tuple[Tensor, Array]]
Result = TypeVar("Result")
Model = TypeVar("Model", bound=Module)


class Ranks:
    """The processes that train one model together. This class is one process alone: nothing is sent anywhere.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and the number of all.

    Examples
    --------
    >>> ranks = Ranks()
    >>> ranks.rank, ranks.size, ranks.share(100), ranks.first(max, 3, 7)
    (0, 1, slice(0, 100, None), 7)
    """

    rank, size = 0, 1

    def share(self, count: int) -> slice:
        """Return this rank's part of `count` images. Parts differ by at most one image, and may be empty."""
        return slice(-(-count * self.rank // self.size), -(-count * (self.rank + 1) // self.size))

    def broadcast(self, model: Model) -> Model:
        """Give the model of every rank the parameters and buffers of rank 0, and return it.

        Call it before the optimiser is made, which may copy them.
        """
        return model

    def first(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function on rank 0 only. Return its result on every rank, or raise its exception on every rank.

        For what only one process should do, such as to download data or to make a folder. The result has to be
        picklable.
        """
        return function(*arguments)

    def sum(
        self, figures: Figures, parameters: Sequence[Tensor] = (), buffers: Buffers = (), weight: float = 1
    ) -> Figures:
        """Add up figures and gradients of all ranks, and average buffers, in one message.

        Parameters
        ----------
        figures : sequence of float
        parameters : sequence of Tensor
            The `grad` of each becomes the sum; it stays None if no rank has one.
        buffers : sequence of (Tensor, array)
            Buffers, and the arrays that they had when they were equal on all ranks. Floats are averaged. Integers and
            bools, which have no average, must have moved alike on all ranks that had images.
        weight : float
            The part that the buffers of this rank have in the average. The weights of all ranks add up to 1.

        Returns
        -------
        sequence of float
            The sums of the figures.

        Raises
        ------
        RuntimeError
            If a buffer of integers or bools has moved otherwise than on the other ranks.
        """
        return figures

    def join(self, array: Array) -> Array:
        """Return the arrays of all ranks, joined along the first axis in the order of the ranks."""
        return array

    def compare(self, state: Callable[[], Mapping[str, Any]], when: str) -> None:
        """Raise a RuntimeError unless a state, of arrays and other values, has the same bits on all ranks.

        The message begins with `when`, and names the rank and the first value that differs.
        """

    def own_draws(self, generators: Sequence[Generator], seed: Sequence[int]) -> AbstractContextManager[None]:
        """Let the generators draw numbers of this rank's own from a seed; they have their earlier state afterwards.

        One process alone draws on from the state that they have.
        """
        return nullcontext()

    def all_or_none(self) -> AbstractContextManager[None]:
        """End the processes of all ranks, with a traceback, if an exception leaves the ``with`` block on one.

        The others would wait for this one forever. One process alone just raises the exception.
        """
        return nullcontext()
