"""Measures the compiled kernels of convolution on one thread, in GFLOP/s: just compiled, and loaded from the disk.

    python tests/benchmarks/kernels.py

It takes a minute. A figure counts two operations for each multiplication of the direct algorithm, so Winograd's may be
above the peak, which is that of the product on matrices that the second-level cache keeps. The two columns differ only
if the code on the disk is not the code that was compiled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

IMAGES, ROUNDS = 50, 15
LAYERS = (16, 16, 32, 1), (32, 32, 16, 1), (64, 64, 8, 1), (3, 16, 32, 1), (16, 32, 32, 2), (32, 64, 16, 2)


def seconds(function: Callable[[], Any], rounds: int) -> float:
    """Return the least time of some calls, after one."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def speed(multiplications: int, function: Callable[[], Any]) -> float:
    """Return GFLOP/s in the fastest of some rounds."""
    return 2e-9 * multiplications / seconds(function, ROUNDS)


def measured() -> dict[str, float]:
    """Return the speed of each kernel in this process."""
    from autograd_cnn.fast import convolution, winograd
    from autograd_cnn.fast.threads import set_num_threads
    from autograd_cnn.fast.twins import compiled_pass

    set_num_threads(1)
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape, np.float32)

    sums = np.zeros((256, 32), np.float32)
    windows, weights = np.zeros((256, 1, 64), np.float32), np.zeros((1, 64, 32), np.float32)
    product = partial(compiled_pass("products.multiply"), windows, weights, sums, sums)
    found = {"peak: a product of 256 x 64 x 32": speed(50 * 256 * 64 * 32, lambda: [product() for _ in range(50)])}
    for inputs, outputs, size, stride in LAYERS:
        x, w = normal(IMAGES, size, size, inputs), normal(3, 3, inputs, outputs)
        y, corner = normal(IMAGES, size // stride, size // stride, outputs), (1, 1)
        steps, step = y.size * 9 * inputs, (stride, stride)
        name = f"{inputs} to {outputs} channels, {size}x{size} pixels, stride {stride}"
        convolve = partial(convolution.convolve, may_tile=False)
        gradient = partial(convolution.weight_gradient, may_tile=False)
        ways = {
            "directly": lambda: convolve(x, w, None, y, step, corner),
            "weight gradient directly": lambda: gradient(x, y, w.shape, step, corner),
            "input gradient": lambda: convolution._input_gradient(y, w, np.empty_like(x), step, corner),
        }
        if stride == 1 and inputs >= 16:
            ways["by Winograd"] = lambda: winograd.conv2d(x, w, None, y, corner, convolve)
            ways["weight gradient by Winograd"] = lambda: winograd.weight_gradient(x, y, w.shape, corner, gradient)
        found |= {f"{name}, {way}": speed(steps, function) for way, function in ways.items()}
    return found


def main() -> None:
    """Measure in a process that compiles and in one that does not, and print both."""
    if sys.argv[1:]:
        print(json.dumps(measured()))
        return
    with tempfile.TemporaryDirectory() as kept:
        environment = {**os.environ, "NUMBA_CACHE_DIR": kept, "AUTOGRAD_CNN_KERNELS": "numba"}
        command = [sys.executable, __file__, "here"]
        compiled, loaded = (
            json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
            for _ in range(2)
        )
    peak = max(next(iter(speeds.values())) for speeds in (compiled, loaded))
    print(f"{'GFLOP/s on one thread':65} compiled  from disk  of the peak")
    for name, value in compiled.items():
        print(f"{name:65} {value:8.0f} {loaded[name]:10.0f} {loaded[name] / peak:12.2f}")


if __name__ == "__main__":
    main()
