"""Compiled passes of `fast.winograd`: transforms, products and sums of a few tiles at a time."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..winograd import BT, A
from . import VECTOR, call, copy_into, helper, images_of, kernel, named, run_of, strided, summing

FIRST = np.intp(0)  # Numba would compile a call with the literal 0 and one with a variable apart
BANDS = 8  # into which an image is cut, each a few rows of pixels
FAR = 16  # times the largest number of a typical band; the largest of activations and gradients is up to 5 times that
LOSS = 8  # times the root mean square: an error of up to 1e-5 of a typical window, if one channel has all the weight


def _linear_map(name, matrix, add_start=False):
    """Return a function that multiplies vectors by a constant matrix: target = matrix @ source.

    The matrix is part of the code: each entry that is not 0 is one instruction. Source and target lie in flat arrays:

        vector j of the source is  source[place + j * step :][:count]
        vector i of the target is  target[to + i * to_step :][:count]

    `count` numbers must fill a register; the last two registers of a vector may overlap. The whole happens `times`
    times, each time `hop` and `to_hop` numbers further on. With `add_start`, ``start[:count]`` is added to every
    vector of the target; otherwise `start` is any array.
    """
    rows = [[(j, factor) for j, factor in enumerate(row) if factor] for row in matrix.tolist()]

    @intrinsic
    def block(context, source, place, step, start, target, to, to_step, index):
        signature = types.void(source, *[types.intp] * 2, start, target, *[types.intp] * 3)
        lanes = VECTOR // source.dtype.bitwidth

        def code(context, builder, signature, arguments):
            arrays = [context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 3, 4)]
            number, word, align = arrays[0].data.type.pointee, arguments[1].type, source.dtype.bitwidth // 8
            vector = ir.VectorType(number, lanes)
            fused = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{lanes}{number.intrinsic_name}"
            )

            def at(array, place, step, i):
                place = builder.add(builder.add(place, arguments[7]), builder.mul(step, word(i)))
                return builder.bitcast(builder.gep(array.data, [place]), vector.as_pointer())

            columns = {j for row in rows for j, _ in row}
            values = {j: builder.load(at(arrays[0], arguments[1], arguments[2], j), align=align) for j in columns}
            first = builder.load(at(arrays[1], word(0), word(0), 0), align=align) if add_start else None
            for i, row in enumerate(rows):
                total = first
                for j, factor in row:
                    same = ir.Constant(vector, [factor] * lanes)
                    if total is None:
                        total = values[j] if factor == 1 else builder.fmul(values[j], same)
                    elif factor == 1:
                        total = builder.fadd(total, values[j])
                    else:
                        total = builder.call(fused, [values[j], same, total])
                builder.store(total, at(arrays[2], arguments[5], arguments[6], i), align=align)
            return context.get_dummy_value()

        return signature, code

    def apply(source, place, step, hop, start, target, to, to_step, to_hop, count, times):
        last = count - VECTOR // (8 * target.itemsize)
        for _ in range(times):
            for index in range(0, count, count - last):
                block(source, place, step, start, target, to, to_step, min(index, last))
            place += hop
            to += to_hop

    return named(apply, f"linear_map_{name}")


_image_map, _gradient_map = _linear_map("image", BT), _linear_map("gradient", A)
_sum_map, _sum_and_bias_map = _linear_map("sum", A.T), _linear_map("sum_and_bias", A.T, add_start=True)


@summing
def _extent(run, bits):
    """Return twice the bits of the largest magnitude, and the sum of the squares, in an order that suits vectors."""
    largest, squares = bits.dtype.type(0), run.dtype.type(0)
    for k in range(run.size):
        largest = max(largest, bits.dtype.type(bits[k] + bits[k]))  # without the sign
        squares += run[k] * run[k]
    return largest, squares


@helper
def look(x, limit, spare, fine):
    """Write whether each image is even: from its largest magnitude, that of a typical band, and the sum of squares.

    The typical band has the geometric mean of all bands that are not 0. The bits of a float, read as an integer, grow
    as its logarithm, so their mean stands for it. `limit` has the bits of a concentration of weights (see
    `fast.winograd`) and of the largest number of an image that is even.
    """
    _, height, width, channels = x.shape
    step, size = max(1, -(-height // BANDS)), max(1, height * width * channels)  # a block may see no pixel
    times, numbers = (1, width * channels) if x.strides[2] == channels * x.itemsize else (width, channels)
    bounds, bits, one = limit.view(x.dtype), spare.view(limit.dtype), limit.dtype.type(1)
    for image in range(len(x)):
        top, levels, filled, total = limit.dtype.type(0), 0.0, 0, x.dtype.type(0)
        for first in range(0, height, step):
            level = limit.dtype.type(0)
            for row in range(first, min(first + step, height)):
                for column in range(times):
                    run = run_of(x[image, row, column], numbers)
                    magnitude, squares = _extent(run, run.view(limit.dtype))
                    level = max(level, magnitude)
                    total += squares
            top = max(top, level)
            levels += level >> one
            filled += level > 0
        bits[0], bits[1] = top >> one, levels / max(1, filled)
        largest, typical = spare[0], spare[1]
        near = largest <= FAR * typical and largest <= bounds[1]
        fine[image] = near and largest * largest * bounds[0] <= LOSS**2 / size * total


@helper
def _tiles(padded, parts):
    """Number of tiles of an image: (down, across)."""
    return (padded.shape[0] - 3 * parts[0] + 1) // 4, (padded.shape[1] - 3 * parts[1] + 1) // 4


@helper
def _transform_images(x, fine, padded, half, v, top, left, parts, first):
    """Fill `v` with rows of tiles, counted over all images, from `first` on; return the row after the last one.

    `padded` holds the image of the row before `first`. An image that is not fine counts as 0.
    """
    down, across = _tiles(padded, parts)
    last = min(first + v.shape[1] // across, len(x) * down)
    for row in range(first, last):
        if row % down == 0:
            if fine[row // down]:
                copy_into(padded, x[row // down], top, left)
            else:
                padded[:] = 0
        _transform_image_row(padded, row % down, half, v, (row - first) * across, across, parts)
    return last


@kernel
def conv2d(product, limit, fine, x, u, b, y, padded, half, v, m, top, left, parts):
    images, out = images_of(x), images_of(y)
    look(images, limit, half, fine)
    near = 0
    for image in range(len(fine)):
        near += fine[image]
    if 2 * near < len(fine):  # so are identity kernels in the first steps of a training
        fine[:] = 0
        return
    padded[:] = 0
    half[len(half) - u.shape[3] :] = 0
    down, across = _tiles(padded, parts)
    panels, _, inputs, size = u.shape
    corner = half[len(half) - 5 * size :]
    none = strided(corner[4 * size :], (m.shape[1], size), (0, 1))  # the last numbers of `half` are zeros
    last = FIRST
    while last < len(out) * down:
        first, last = last, _transform_images(images, fine, padded, half, v, top, left, parts, last)
        tiles = (last - first) * across
        for panel in range(panels):
            for entry in range(36):
                a = strided(v[entry], (tiles, 1, inputs), (inputs, inputs, 1))
                call(product, a, strided(u[panel, entry], (1, inputs, size), (0, size, 1)), none, m[entry])
            for done in range(first, last):
                rows = out[done // down, 4 * (done % down) : 4 * (done % down) + 4]
                _collect_row(m, (done - first) * across, across, half, b, rows, panel * size, corner)


@helper
def _transform_image_row(padded, row, half, v, place, across, parts):
    """Write Bᵀ d B of a row of tiles into `v`, from the tile `place` on; `half` holds Bᵀ d."""
    _, wide, channels = padded.shape
    pitch, inputs = wide * channels, v.shape[2]
    image, entries, entry_size = run_of(padded), run_of(v), v.shape[1] * inputs
    for i in range(parts[0]):
        _image_map(image, (4 * row + 3 * i) * pitch, pitch, 0, image, half, 0, pitch, 0, pitch, 1)
        for j in range(parts[1]):
            to = place * inputs + (i * parts[1] + j) * channels
            for k in range(6):
                _image_map(
                    half, k * pitch + 3 * j * channels, channels, 4 * channels,
                    image, entries, to + 6 * k * entry_size, entry_size, inputs, channels, across,
                )  # fmt: skip


@helper
def _collect_row(m, place, across, half, b, y, channel, corner):
    """Write Aᵀ m A of a row of tiles, plus the bias, into the outputs from `channel` on of up to four rows `y`."""
    (height, width, outputs), size = y.shape, m.shape[2]
    pitch, step = y.strides[0] // y.itemsize, y.strides[1] // y.itemsize
    entries, out, entry_size, run = run_of(m), run_of(y, 1), m.shape[1] * size, across * size
    count = min(size, outputs - channel)
    whole = width // 4 if count >= VECTOR // (8 * y.itemsize) else 0  # tiles that can be written in place
    for k in range(6):
        _sum_map(entries, k * entry_size + place * size, 6 * entry_size, 0, b, half, k * run, 6 * run, 0, run, 1)
    for i in range(height):
        start, at, to = b[channel:], 6 * i * run, i * pitch + channel
        _sum_and_bias_map(half, at, run, size, start, out, to, step, 4 * step, count, whole)
        for tile in range(whole, across):
            _sum_and_bias_map(half, at + tile * size, run, 0, start, corner, 0, size, 0, size, 1)
            for column in range(4 * tile, min(4 * tile + 4, width)):
                for k in range(count):
                    y[i, column, channel + k] = corner[(column - 4 * tile) * size + k]


@kernel
def weight_gradient(product, limit, fine, x, g, u, padded, rows, half, v, m, top, left, parts, channel):
    images, gradients = images_of(x), images_of(g)
    look(images, limit, half, fine[: len(images)])
    look(gradients, limit, half, fine[len(images) :])
    for image in range(len(images)):
        fine[image] &= fine[len(images) + image]
    padded[:] = 0
    rows[:] = 0
    u[:] = 0
    down, across = _tiles(padded, parts)
    panels, _, inputs, size = u.shape
    last = FIRST
    while last < len(images) * down:
        first, last = last, _transform_images(images, fine, padded, half, v, top, left, parts, last)
        tiles = (last - first) * across
        for panel in range(panels):
            for done in range(first, last):
                band = gradients[done // down, 4 * (done % down) : 4 * (done % down) + 4]
                near = fine[done // down]
                _transform_gradient_row(band, near, channel + panel * size, rows, half, m, (done - first) * across)
            for entry in range(36):
                a = strided(v[entry], (inputs, 1, tiles), (1, inputs, inputs))
                total = u[panel, entry]
                start = strided(total, (inputs, size), (size, 1))
                call(product, a, strided(m[entry], (1, tiles, size), (0, size, 1)), start, total)


@helper
def _transform_gradient_row(g, near, channel, rows, half, m, place):
    """Write A g Aᵀ of a row of tiles, for the outputs from `channel` on, into `m`, from the tile `place` on.

    Places in `rows` to the right of `g` must be 0. If fewer outputs are left than `m` is wide, `rows` keeps numbers of
    an earlier call behind them; `fast.winograd` leaves out the gradients that follow from these.
    """
    (height, width, outputs), size = g.shape, m.shape[2]
    count, pitch, entry_size = min(size, outputs - channel), rows.shape[1] * size, m.shape[1] * size
    height = height if near else 0
    rows[height:] = 0
    for i in range(height):
        for column in range(width):
            source, out = run_of(g[i, column, channel:], count), rows[i, column]
            for k in range(count):
                out[k] = source[k]
    _gradient_map(run_of(rows), 0, pitch, 0, half, half, 0, pitch, 0, pitch, 1)
    for k in range(6):
        _gradient_map(
            half, k * pitch, size, 4 * size,
            half, run_of(m), 6 * k * entry_size + place * size, entry_size, size, size, rows.shape[1] // 4,
        )  # fmt: skip
