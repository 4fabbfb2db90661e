"""Ranks that are threads, and small trainings for them."""

import itertools
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.distributed import MPIRanks
from autograd_cnn.training import fit


class Request:
    def __init__(self, test):
        self.Test = self.Wait = test


class Threads:
    """A communicator among threads: what `MPIRanks` uses of mpi4py's."""

    class Aborted(BaseException):
        pass

    def __init__(self, rank, size, board, barrier, mail=None):
        self.rank, self.size, self.board, self.barrier, self.mail = rank, size, board, barrier, mail

    def Isend(self, note, dest, tag):
        self.mail[self.rank, dest].put(note.copy())
        return Request(lambda: True)

    def Irecv(self, note, source, tag):
        def arrived():
            if self.barrier.broken:
                raise Threads.Aborted
            try:
                note[...] = self.mail[source, self.rank].get_nowait()
            except queue.Empty:
                return False
            return True

        return Request(arrived)

    def allgather(self, value):
        try:
            self.board[self.rank] = value
            self.barrier.wait(60)
            values = list(self.board)
            self.barrier.wait(60)
        except threading.BrokenBarrierError:
            raise Threads.Aborted from None
        return values

    def bcast(self, value):
        return self.allgather(value)[0]

    def Allreduce(self, own, total):
        arrays = self.allgather(own.copy())
        assert len({(array.shape, array.dtype) for array in arrays}) == 1
        total[...] = sum(arrays[1:], arrays[0])

    def Abort(self, code):
        self.barrier.abort()


def together(size, program):
    """Call ``program(ranks)`` on `size` ranks; return their results, or raise the first error that is not an abort."""
    board, barrier = [None] * size, threading.Barrier(size)
    mail = {pair: queue.SimpleQueue() for pair in itertools.product(range(size), repeat=2)}

    def run(rank):
        try:
            return program(MPIRanks(Threads(rank, size, board, barrier, mail), patience=60))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        calls = [pool.submit(run, rank) for rank in range(size)]
    for call in sorted(calls, key=lambda call: isinstance(call.exception(), Threads.Aborted)):
        call.result()
    return [call.result() for call in calls]


def images(count=22, size=8):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8), rng.integers(0, 10, count)


def cnn(*more, rng=0):
    rng = np.random.default_rng(rng)
    layers = [nn.Conv2d(3, 4, 3, padding=1, rng=rng), *more, ag.relu, nn.MaxPool2d(4), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, 10, rng=rng))


def sgd(net):
    return ag.optim.SGD(net.parameters(), 0.05, momentum=0.9)


IMAGES = images()


def training(model=cnn, optimiser=sgd, data=IMAGES, other=(), **options):
    """A program for `together`: train, and return the History and all weights. Rank 1 has `other` options."""

    def program(ranks):
        own = {"data": data, "epochs": 3, "batch_size": 7, "progress": False, "rng": np.random.default_rng(0)}
        own |= options | (dict(other) if ranks.rank == 1 else {})
        net = ranks.broadcast(model())
        history = fit(net, ag.cross_entropy, optimiser(net), *own.pop("data"), ranks=ranks, **own)
        return history, net.state_dict()

    return program


def assert_equal_runs(one, other, rtol=1e-5):
    (history, weights), (twin, others) = one, other
    np.testing.assert_allclose(history.losses, twin.losses, rtol=rtol)
    assert [e.accuracy for e in history.epochs] == pytest.approx([e.accuracy for e in twin.epochs])
    for name, array in weights.items():
        np.testing.assert_allclose(array, others[name], rtol=1e-3, atol=1e-6)


def assert_same_bits(results):
    (history, weights), *others = results
    for other, arrays in others:
        assert other.losses == history.losses and other.ended == history.ended
        assert [e.validation_loss for e in other.epochs] == pytest.approx(
            [e.validation_loss for e in history.epochs], rel=0, nan_ok=True
        )
        for name, array in weights.items():
            assert array.tobytes() == arrays[name].tobytes()
