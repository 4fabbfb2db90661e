"""Tells whether Winograd's algorithm is the faster one, from what its steps cost on each kind of processor.

The choice depends on shapes and on a table, and not on load or threads: a machine computes the same bits in every run.
``python tests/benchmarks/costs.py`` measures a row of the table.
"""

from __future__ import annotations

import math
import os
import platform
from functools import cache
from pathlib import Path
from typing import NamedTuple

from autograd_cnn.ops.windows import Shape

from . import winograd
from .twins import kernel_set


class Row(NamedTuple):
    """How many multiplications take as long as the transform of one number."""

    tiles: int  # of images and of outputs
    weights: int


NUMPY = Row(30, 80)
COMPILED = {"AMD": Row(10, 20), "Intel": Row(40, 20)}
CALLS = 2_000_000  # multiplications that take as long as the calls that prepare the tiles
MAKERS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}  # by the names that processors give


@cache
def processor() -> str:
    """The row for this processor, which AUTOGRAD_CNN_PROCESSOR overrides; one of another maker counts as AMD's."""
    value = os.environ.get("AUTOGRAD_CNN_PROCESSOR", "")
    if value not in ("", *COMPILED):
        raise ValueError(f"AUTOGRAD_CNN_PROCESSOR is {value!r}: set it to {' or '.join(COMPILED)}, or unset it")
    cpus = Path("/proc/cpuinfo")
    described = cpus.read_text("utf-8") if cpus.exists() else platform.processor()
    return value or next((row for maker, row in MAKERS.items() if maker in described), "AMD")


def kernels() -> str:
    """Return the name of the kernels that run, with the variable that makes them the same on another machine."""
    return "numpy" if kernel_set() == "numpy" else f"numba (AUTOGRAD_CNN_PROCESSOR={processor()})"


def cheaper_in_tiles(pixels: int, tiles: int, w_shape: Shape) -> bool:
    """Whether so many outputs of one group of channels take less time in tiles than directly."""
    kh, kw, inputs, outputs = w_shape
    parts, row = math.prod(winograd.parts(w_shape)), NUMPY if kernel_set() == "numpy" else COMPILED[processor()]
    products, transformed = parts * inputs * outputs, parts * inputs + outputs
    in_tiles = 36 * (tiles * (products + row.tiles * transformed) + row.weights * products) + CALLS
    return in_tiles <= pixels * kh * kw * inputs * outputs
