"""Measures the costs in ``autograd_cnn/fast/winograd.py``: what the algorithm's transforms cost on this processor.

    python tests/benchmarks/costs.py

It computes convolutions and gradients of weights in tiles and directly, on one thread, in about two minutes, and prints
the costs that choose best, and by how much their choice and that of the present ones are slower than the faster way.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import partial

import numpy as np
from kernels import seconds

CHANNELS = (16, 16), (16, 32), (32, 16), (24, 64), (32, 64), (64, 64), (64, 128), (128, 128), (16, 256), (256, 16)
SIZES = (4, 16), (6, 50), (7, 5), (7, 50), (8, 1), (8, 8), (15, 30), (16, 1), (16, 8), (16, 30), (32, 1), (32, 10)
TILES, WEIGHTS = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60), (10, 20, 30, 40, 60, 80)


def measured() -> Iterator[tuple[np.ndarray, tuple[int, ...], float, float]]:
    """Yield outputs, shape of the weights, and the times in tiles and directly."""
    from autograd_cnn.fast import convolution, winograd

    rng = np.random.default_rng(0)
    for kernel, (inputs, outputs), (size, images) in itertools.product((3, 5), CHANNELS, SIZES):
        if kernel > 3 and size * images > 500:
            continue
        shape, corner = (kernel, kernel, inputs, outputs), (kernel // 2, kernel // 2)
        x, y = (rng.standard_normal((images, size, size, n), np.float32) for n in (inputs, outputs))
        w = rng.standard_normal(shape, np.float32)
        ways = (winograd.conv2d, convolution.convolve), (winograd.weight_gradient, convolution.weight_gradient)
        for (in_tiles, plain), arrays in zip(ways, ((x, w, None, y), (x, y, shape)), strict=True):
            directly = partial(plain, may_tile=False)
            calls = partial(in_tiles, *arrays, corner, directly), partial(directly, *arrays, (1, 1), corner)
            yield y, shape, *(seconds(call, rounds=5) for call in calls)


def main() -> None:
    """Measure, and print the best costs."""
    os.environ["AUTOGRAD_CNN_KERNELS"] = "numba"
    os.environ.update(dict.fromkeys(("AUTOGRAD_CNN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    from autograd_cnn.fast import winograd

    cases = [*measured()]

    def lost() -> float:
        """Return the share of time by which the choices are slower than the faster ways, on average."""
        return float(np.mean([(t, d)[not winograd.is_faster(*case)] / min(t, d) - 1 for *case, t, d in cases]))

    print(f"{len(cases)} cases, the present costs lose {lost():.1%}")
    found = []
    for costs in itertools.product(TILES, WEIGHTS):
        winograd.TRANSFORM, winograd.TRANSFORM_OF_WEIGHTS = costs
        found.append((lost(), costs))
    for loss, costs in sorted(found)[:5]:
        print(f"{costs} lose {loss:.1%}")


if __name__ == "__main__":
    main()
