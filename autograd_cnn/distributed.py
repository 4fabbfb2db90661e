"""Trains one model on several processes, the ranks of an MPI job, on one machine or many. Imports NumPy and mpi4py.

Every rank has a replica of the model and computes its share of each batch. The gradients are added up in one message,
so all ranks make the same step. A program is the same for one process and for many: it calls `ranks`, and passes the
result to `fit`. `broadcast`, `first`, `sum`, `join` and `compare` are collective: every rank has to call them.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.engine.naming import publish
from autograd_cnn.environment import command

if TYPE_CHECKING:
    from autograd_cnn.engine.tensor import Tensor
    from autograd_cnn.nn import Module

__all__ = ["Ranks", "ranks"]

Array = NDArray[Any]
Result = TypeVar("Result")
Model = TypeVar("Model", bound="Module")

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # set by the starters of Open MPI, MPICH and Slurm


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
        self,
        figures: Sequence[float],
        parameters: Sequence[Tensor] = (),
        buffers: Sequence[tuple[Tensor, Array]] = (),
        weight: float = 1,
    ) -> Sequence[float]:
        """Add up figures and gradients of all ranks, and average buffers, in one message.

        Parameters
        ----------
        figures : sequence of float
        parameters : sequence of Tensor
            The `grad` of each becomes the sum; it stays None if no rank has one.
        buffers : sequence of (Tensor, array)
            Buffers, and the arrays that they had when they were equal on all ranks.
        weight : float
            The part that the buffers of this rank have in the average. The weights of all ranks add up to 1.

        Returns
        -------
        sequence of float
            The sums of the figures.
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


class MPIRanks(Ranks):
    """The ranks of a communicator of mpi4py, of which it uses rank, size, Allreduce, allgather, bcast and Abort."""

    def __init__(self, communicator: Any) -> None:
        self.communicator = communicator
        self.rank, self.size = communicator.rank, communicator.size

    def broadcast(self, model: Model) -> Model:
        model.load_state_dict(self.first(model.state_dict))
        return model

    def first(self, function: Callable[..., Result], *arguments: Any) -> Result:
        result: Any = None
        error: Any = None
        if self.rank == 0:
            try:
                result = function(*arguments)
            except Exception as caught:
                error = caught
        result, error = self.communicator.bcast((result, error))
        if error is not None:
            raise error
        return result

    def sum(
        self,
        figures: Sequence[float],
        parameters: Sequence[Tensor] = (),
        buffers: Sequence[tuple[Tensor, Array]] = (),
        weight: float = 1,
    ) -> Sequence[float]:
        grads = [np.zeros(p.shape, p.dtype) if p.grad is None else np.asarray(p.grad) for p in parameters]
        moves = [weight * (buffer.data - before) for buffer, before in buffers]
        arrays = [np.array(figures, float), np.array([p.grad is not None for p in parameters]), *grads, *moves]
        dtype = np.result_type(np.float32, *grads, *(buffer.dtype for buffer, _ in buffers))
        own = np.concatenate([array.reshape(-1) for array in arrays], dtype=dtype)
        total = np.empty_like(own)
        self.communicator.Allreduce(own, total)
        sums, found, *parts = np.split(total, np.cumsum([array.size for array in arrays])[:-1])
        for p, count, grad in zip(parameters, found, parts, strict=False):
            if count:
                p.grad = grad.reshape(p.shape).astype(p.dtype, copy=False)
        for (buffer, before), move in zip(buffers, parts[len(parameters) :], strict=True):
            buffer.data = (before + move.reshape(before.shape)).astype(before.dtype, copy=False)
        return [float(x) for x in sums]

    def join(self, array: Array) -> Array:
        return np.concatenate(self.communicator.allgather(array))

    def compare(self, state: Callable[[], Mapping[str, Any]], when: str) -> None:
        sums = {name: _hash(value) for name, value in state().items()}
        first, *others = self.communicator.allgather(sums)
        for rank, other in enumerate(others, 1):
            for name in {**first, **other}:
                if first.get(name) != other.get(name):
                    raise RuntimeError(f"{when}, {name} of rank {rank} is not that of rank 0")

    @contextmanager
    def own_draws(self, generators: Sequence[Generator], seed: Sequence[int]) -> Iterator[None]:
        before = [generator.bit_generator.state for generator in generators]
        for i, generator in enumerate(generators):
            generator.bit_generator.state = type(generator.bit_generator)([*seed, self.rank, i]).state
        try:
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.bit_generator.state = state

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.abort(traceback.format_exc())
            raise

    def abort(self, message: str) -> None:
        """End the processes of all ranks, with a message."""
        print(f"rank {self.rank} of {self.size} ends the job:\n{message}", file=sys.stderr, flush=True)
        self.communicator.Abort(1)


def _hash(value: Any) -> bytes:
    data = np.ascontiguousarray(value).data if isinstance(value, np.ndarray) else repr(value).encode()
    return hashlib.sha256(data).digest()


@cache
def ranks() -> Ranks:
    """Return the ranks of this MPI job, or one rank if the program was not started by ``mpirun`` or the like.

    From then on, an exception that nobody catches on one rank ends them all.

    Raises
    ------
    ImportError
        If there are several processes, but mpi4py is missing.
    RuntimeError
        If mpi4py belongs to another MPI than the program that started the processes.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.distributed.ranks().size
    1
    """
    started = max(int(os.environ.get(name, "1")) for name in SIZES)
    if started == 1:
        return Ranks()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter if there is no MPI library
        raise ImportError(
            f"ranks: this is one of {started} processes, which need mpi4py and an MPI library ({error}): "
            f"{command('-m', 'pip', 'install', 'autograd_cnn[mpi]')}"
        ) from None
    if MPI.COMM_WORLD.size == 1:
        raise RuntimeError(
            f"ranks: this is one of {started} processes, but mpi4py finds only itself: it uses "
            f"{MPI.Get_library_version().strip()}. Start the program with the mpirun of the same MPI"
        )
    found = MPIRanks(MPI.COMM_WORLD)

    def end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        found.abort("".join(traceback.format_exception(kind, error, trace)))

    sys.excepthook = end
    return found


publish(globals())
