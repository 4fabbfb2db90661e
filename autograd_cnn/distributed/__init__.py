"""Trains one model on several processes, the ranks of an MPI job, on one machine or many.

Every rank has a replica of the model and computes its share of each batch. The gradients are added up in one message,
so all ranks make the same step. A program is the same for one process and for many: it calls `ranks`, and passes the
result to `fit`. `broadcast`, `first`, `sum`, `join` and `compare` are collective: every rank has to call them.

Before each of them the ranks exchange a note of a few bytes, which says what they call. So a rank that calls something
else, has ended or does not come is named in an error, instead of a job that waits forever.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import os
import pickle
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.registry import kernels
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import command
from autograd_cnn.training.ranks import Array, Buffers, Figures, Model, Ranks, Result

__all__ = ["Ranks", "ranks"]

CALLS = {  # the collective ones, and what they are part of
    "first": "`first` or `broadcast`",
    "sum": "`sum`, a step of fit",
    "join": "`join`, an evaluation",
    "compare": "`compare`, a part of fit",
    "end": "the end of the program",
}
LONGEST = 80  # characters of a value that an error shows
TAG = 1917  # of the notes
PATIENCE = 1800.0  # seconds; rank 0 may download data meanwhile, or write a report
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # set by the starters of Open MPI, MPICH and Slurm


class MPIRanks(Ranks):
    """The ranks of a communicator of mpi4py.

    It uses rank, size, Isend, Irecv, Allreduce, allgather, bcast and Abort. A rank waits for the others for `patience`
    seconds.
    """

    def __init__(self, communicator: Any, patience: float = PATIENCE) -> None:
        self.communicator, self.patience = communicator, patience
        self.rank, self.size = communicator.rank, communicator.size

    def meet(self, call: str, size: int = 0, patience: float | None = None) -> None:
        """Wait until all ranks make the same call, with a message of the same size.

        Raises
        ------
        RuntimeError
            If one makes another call, or does not come. The message names it.
        """
        own, patience = np.array([list(CALLS).index(call), size]), self.patience if patience is None else patience
        notes = {rank: np.empty_like(own) for rank in range(self.size) if rank != self.rank}
        awaited = {rank: self.communicator.Irecv(note, source=rank, tag=TAG) for rank, note in notes.items()}
        sent = [self.communicator.Isend(own, dest=rank, tag=TAG) for rank in notes]
        began, waited = time.monotonic(), 0.0
        while awaited := {rank: request for rank, request in awaited.items() if not request.Test()}:
            waited = time.monotonic() - began
            if waited > patience:
                raise RuntimeError(
                    f"rank {self.rank} has waited {waited:,.0f} s in {CALLS[call]}, for "
                    f"rank{'s' * (len(awaited) > 1)} {', '.join(map(str, awaited))}: it hangs, or is at work that "
                    "takes longer. To wait longer: AUTOGRAD_CNN_RANKS_TIMEOUT=7200 (seconds)"
                )
            time.sleep(1e-4 if waited > 1e-3 else 0)
        for request in sent:
            request.Wait()
        for rank, note in notes.items():
            if (note != own).any():
                (low, here), (high, there) = sorted([(self.rank, own), (rank, note)])  # whoever sees it first, one text
                raise RuntimeError(
                    f"rank {low} is at {_place(here)}, and rank {high} at {_place(there)}. All ranks have to make "
                    "the same calls, with the same arguments. For work of rank 0 alone: ranks.first(function)"
                )

    def broadcast(self, model: Model) -> Model:
        model.load_state_dict(self.first(model.state_dict))
        return model

    def first(self, function: Callable[..., Result], *arguments: Any) -> Result:
        message = b""
        if self.rank == 0:
            try:
                message = _pickled((function(*arguments), None))
            except Exception as caught:
                message = _pickled((None, caught))
        self.meet("first")
        result, error = pickle.loads(self.communicator.bcast(message))
        if error is not None:
            raise error
        return result

    def sum(
        self, figures: Figures, parameters: Sequence[Tensor] = (), buffers: Buffers = (), weight: float = 1
    ) -> Figures:
        grads = [np.zeros(p.shape, p.dtype) if p.grad is None else np.asarray(p.grad) for p in parameters]
        moves = [_move(buffer, before) for buffer, before in buffers]
        arrays = [np.array(figures, float), np.array([p.grad is not None for p in parameters])]
        arrays += [*grads, *(weight * move for move in moves)]
        dtype = np.result_type(np.float32, *grads, *(buffer.dtype for buffer, _ in buffers))
        own = np.concatenate([array.reshape(-1) for array in arrays], dtype=dtype)
        total = np.empty_like(own)
        self.meet("sum", own.nbytes)
        self.communicator.Allreduce(own, total)
        sums, found, *parts = np.split(total, np.cumsum([array.size for array in arrays])[:-1])
        for p, count, grad in zip(parameters, found, parts, strict=False):
            if count:
                p.grad = grad.reshape(p.shape).astype(p.dtype, copy=False)
        for i, ((buffer, before), move) in enumerate(zip(buffers, parts[len(parameters) :], strict=True)):
            mean = move.reshape(before.shape)
            if before.dtype.kind != "f":
                mean = np.rint(mean).astype(np.int64)
                if weight and (mean != moves[i]).any():
                    raise RuntimeError(
                        f"{buffer.name or f'buffer {i}'} {before.shape} {before.dtype} of rank {self.rank} is not that "
                        "of the other ranks, and has no average. Compute it from what all ranks have, or keep it as "
                        "floats, which are averaged"
                    )
            buffer.data = (before + mean).astype(before.dtype, copy=False)
        return [float(x) for x in sums]

    def join(self, array: Array) -> Array:
        self.meet("join")
        return np.concatenate(self.communicator.allgather(array))

    def compare(self, state: Callable[[], Mapping[str, Any]], when: str) -> None:
        self.meet("compare")
        own = {"versions": versions(), **state()}
        first, *others = self.communicator.allgather({name: _short(value) for name, value in own.items()})
        for rank, other in enumerate(others, 1):
            for name in {**first, **other}:
                one, two = first.get(name), other.get(name)
                if one != two and isinstance(one, str) and isinstance(two, str):
                    raise RuntimeError(f"{when}, {name} is {two} on rank {rank}, and {one} on rank 0")
                if one != two:
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

    def end(self) -> None:
        """Wait for the others, however long they take, when the program ends; end the job if they are elsewhere."""
        try:
            self.meet("end", patience=math.inf)
        except RuntimeError as error:
            self.abort(f"RuntimeError: {error}")


def versions() -> str:
    """Return the versions, and the kernels, that have to be the same on all ranks."""
    own = sys.modules["autograd_cnn"].__version__
    return f"autograd_cnn {own}, NumPy {np.__version__}, Python {platform.python_version()}, {kernels()} kernels"


def _place(note: Array) -> str:
    return [*CALLS.values()][note[0]] + (f" of {note[1]:,} bytes" if note[1] else "")


def _pickled(answer: tuple[Any, Any]) -> bytes:
    """Return an answer as bytes; one that is not picklable becomes an error that says so."""
    try:
        return pickle.dumps(answer)
    except Exception as error:
        what = answer[0] if answer[1] is None else answer[1]
        text = f"first: {type(what).__name__} {what!s:.200} is not picklable ({error}), so the others cannot have it"
        return pickle.dumps((None, TypeError(text)))


def _move(buffer: Tensor, before: Array) -> Array:
    """Return how far a buffer has moved: in integers if it has integers or bools, whose types have no minus 1."""
    return np.asarray(np.subtract(buffer.data, before, dtype=None if before.dtype.kind == "f" else np.int64))


def _short(value: Any) -> str | bytes:
    """Return the text of a value, if it is short, or a hash of its bits."""
    if isinstance(value, np.ndarray):
        form = f"{value.shape} {value.dtype}".encode()
        return hashlib.sha256(form + hashlib.sha256(np.ascontiguousarray(value).data).digest()).digest()
    text = repr(value)
    return text if len(text) <= LONGEST else hashlib.sha256(text.encode()).digest()


def _patience() -> float:
    text = os.environ.get("AUTOGRAD_CNN_RANKS_TIMEOUT", str(PATIENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ValueError(f"ranks: AUTOGRAD_CNN_RANKS_TIMEOUT is {text!r}, want a number of seconds")
    return seconds


@cache
def ranks() -> Ranks:
    """Return the ranks of this MPI job, or one rank if the program was not started by ``mpirun`` or the like.

    From then on, an exception that nobody catches on one rank ends them all.

    If one rank is at another call than the others, or at its end, or does not come within half an hour
    (AUTOGRAD_CNN_RANKS_TIMEOUT: other seconds), the job ends with an error that names it.

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
    found = MPIRanks(MPI.COMM_WORLD, _patience())
    atexit.register(found.end)

    def end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        found.abort("".join(traceback.format_exception(kind, error, trace)))

    sys.excepthook = end
    return found


publish(globals())
