"""Tells whether Winograd's algorithm is the faster one, from what its steps cost.

The choice depends on shapes and on a table, and not on load or threads, nor on the machine.
``python tests/benchmarks/costs.py`` measures a row of the table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from autograd_cnn.ops.windows import Shape

from . import winograd
from .twins import kernel_set


class Row(NamedTuple):
    """How many multiplications take as long as the transform of one number."""

    tiles: int  # of images and of outputs
    weights: int


ROWS = {"numpy": Row(30, 80), "numba": Row(10, 20)}
CALLS = 2_000_000  # multiplications that take as long as the calls that prepare the tiles


def cheaper_in_tiles(pixels: int, tiles: int, w_shape: Shape) -> bool:
    """Whether so many outputs of one group of channels take less time in tiles than directly."""
    kh, kw, inputs, outputs = w_shape
    parts, row = math.prod(winograd.parts(w_shape)), ROWS[kernel_set()]
    products, transformed = parts * inputs * outputs, parts * inputs + outputs
    in_tiles = 36 * (tiles * (products + row.tiles * transformed) + row.weights * products) + CALLS
    return in_tiles <= pixels * kh * kw * inputs * outputs
