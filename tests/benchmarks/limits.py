"""The least time that a training step could take: its products at the speed of sgemm, its bytes at memory's speed.

A step's multiplications are those that the algorithms of our convolutions make: by Winograd, a fixed number for each
tile of outputs, tiles at the edges included. Bytes are counted for every operation as if it read each array once and
wrote each result once:

- forward: reads its inputs, writes its output and by-products;
- backward: reads the gradient of its output and the arrays that it keeps, writes the gradients of its inputs. An
  addition passes its gradient on, and the gradients of a value with several uses are added;
- the update: reads the parameter, its gradient and its momentum, writes the parameter and its momentum.

Views count nothing, nor do the copies and transforms of our algorithms. A result that stays in a cache is read faster
than from memory, so this is a scale rather than a strict limit.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from work import Builder, Work

EDGE, FLOATS = 2048, 16_000_000  # of the matrices, and of the arrays that are copied: more than the caches hold


class Count(NamedTuple):
    """Lists what a training step must do.

    Parameters
    ----------
    multiplications : int
        By the algorithms that our convolutions use.
    direct : int
        By the formulas of the operations.
    bytes : int
        Read and written.
    """

    multiplications: int
    direct: int
    bytes: int


def count(network: str, batch: int) -> Count:
    """Count a training step, from the shapes on its tape."""
    from networks import NETWORKS, Prepared

    graph = Prepared(network, batch).loss().graph()
    products = [pair for op in graph.ops for pair in _products(graph, op)]
    ours, direct = (sum(pair[i] for pair in products) for i in (0, 1))
    return Count(ours, direct, moved(graph, NETWORKS[network].momentum > 0))


def moved(graph: Any, momentum: bool) -> int:
    """Bytes of a step with this graph."""
    found = sum(_bytes(graph, op) for op in graph.ops if not op.call.primitive.moves)
    uses = Counter(value for op in graph.ops for port, value in op.inputs if port in op.rules)
    found += sum(3 * (count - 1) * _size(graph.values[value]) for value, count in uses.items())
    return found + (5 if momentum else 3) * sum(_size(value) for value in graph.parameters)


def _size(value: Any) -> int:
    """Bytes of an array."""
    return value.size * np.dtype(value.dtype).itemsize


def _bytes(graph: Any, op: Any) -> int:
    """Bytes of an operation, forward and backward."""
    out = _size(graph.values[op.output])
    inputs = {port: _size(graph.values[value]) for port, value in op.inputs}
    forward = sum(inputs.values()) + out + sum(kept.nbytes for kept in op.kept if kept.value is None)
    if not op.rules or op.name == "add":
        return forward
    return forward + out + sum(kept.nbytes for kept in op.kept) + sum(inputs[port] for port in op.rules)


def _products(graph: Any, op: Any) -> list[tuple[int, int]]:
    """Multiplications by the algorithm and by the formula, of the output and of each gradient of `x` and `w`."""
    shapes = {op.ports[port]: graph.values[value].shape for port, value in op.inputs}
    rules = {op.ports[port] for port in op.rules}
    out = graph.values[op.output].shape
    if op.name == "linear":
        return [(math.prod(out) * shapes["w"][0],) * 2] * (1 + len(rules & {"x", "w"}))
    if op.name != "conv2d":
        return []
    direct = math.prod(out) * math.prod(shapes["w"][:-1])
    stride, w = int(op.options.get("stride", "1")), shapes["w"]
    found = [(_convolution(out, w, stride), direct)] * (1 + ("w" in rules))
    if "x" in rules:  # at stride 1 a convolution, with as many outputs as `x` has pixels
        back = (*w[:2], w[3], w[2])
        found.append((_convolution(shapes["x"], back, stride) if stride == 1 else direct, direct))
    return found


def _convolution(out: tuple[int, ...], w: tuple[int, ...], stride: int) -> int:
    """Multiplications of our convolution with these shapes of output and weights."""
    from autograd_cnn.fast import convolution, winograd

    if not convolution.suits_winograd(np.empty(out, np.float32), w, (stride, stride)):
        return math.prod(out) * math.prod(w[:-1])
    entries = winograd.BT.size
    edge = math.isqrt(entries) - 2  # pixels along an edge of a tile: for 3 taps, one product for each pixel and 2 more
    tiles = out[0] * -(-out[1] // edge) * -(-out[2] // edge)
    return tiles * entries * math.prod(winograd.parts(w)) * w[2] * w[3]


def sgemm() -> Work:
    """One multiplication, of a large product."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, EDGE, EDGE), np.float32)
    out = np.empty_like(a)
    return Work(lambda: np.matmul(a, b, out=out), per=EDGE**3)


def memory() -> Work:
    """One byte that is read or written: a copy of an array into another one, on all threads."""
    source, target = np.ones(FLOATS, np.float32), np.ones(FLOATS, np.float32)
    threads = int(os.environ["AUTOGRAD_CNN_NUM_THREADS"])
    pool = ThreadPoolExecutor(threads)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))

    def run() -> None:
        list(pool.map(lambda part: np.copyto(*part), parts))

    return Work(run, per=2 * source.nbytes)


CONTESTS: dict[str, dict[str, Builder]] = {"speeds": {"sgemm": sgemm, "memory": memory}}
