"""Compiled convolutions whose sums stay in the processor's registers.

`add_products` is the inner loop of all of them: a block of a matrix product, of up to eight rows and two vectors of
columns. Numba's own loops would write such sums back to memory at every step, so the block is written in LLVM's
language. `multiply` covers a whole matrix with blocks. Its operands may have any strides but for their columns, so the
windows of an image are rows of a matrix without being copied.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, imputils
from numba.extending import intrinsic
from numba.np import arrayobj

from . import kernel

_WIDE = binding.get_host_cpu_features().get("avx512f", False)  # 32 registers of 64 bytes; else at least 16 of 32 bytes
ROWS = 8 if _WIDE else 4
VECTOR = 512 if _WIDE else 256  # bits
HALF = ROWS // 2
BAND = 128  # pixels whose gradients stay in the first-level cache


@intrinsic
def strided(context, array, shape, strides):
    """View an array in C order as one of another shape, read-only; `strides` count numbers, not bytes."""
    result = types.Array(array.dtype, len(shape), "A", readonly=True)

    def code(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        sizes, steps = (cgutils.unpack_tuple(builder, a) for a in arguments[1:])
        steps = [builder.mul(step, source.itemsize) for step in steps]
        view = context.make_array(result)(context, builder)
        arrayobj.populate_array(view, source.data, sizes, steps, source.itemsize, source.meminfo)
        return imputils.impl_ret_borrowed(context, builder, result, view._getvalue())

    return result(array, shape, strides), code


@intrinsic(prefer_literal=True)
def add_products(context, a, b, start, c, row, column, rows, vectors, bits):
    """Compute `multiply` for the block of `rows` rows from `row`, and `vectors` vectors of columns from `column`.

    The last three are literal: a vector has `bits` bits, but at least one number.
    """
    signature = types.void(a, b, start, c, types.intp, types.intp, rows, vectors, bits)
    height, width = rows.literal_value, vectors.literal_value
    lanes = max(1, bits.literal_value // a.dtype.bitwidth)

    def code(context, builder, signature, arguments):
        arrays = [context.make_array(t)(context, builder, v) for t, v in zip(signature.args[:4], arguments, strict=False)]
        strides = [cgutils.unpack_tuple(builder, array.strides) for array in arrays]
        number, word, byte = arrays[0].data.type.pointee, arguments[4].type, ir.IntType(8).as_pointer()
        vector = ir.VectorType(number, lanes)
        places = [(m, v) for m in range(height) for v in range(width)]

        def pointer(which, kind, *indices):
            place = builder.bitcast(arrays[which].data, byte)
            for index, stride in zip(indices, strides[which], strict=True):
                place = builder.gep(place, [builder.mul(index, stride)])
            return builder.bitcast(place, kind.as_pointer())

        def at(which, m, v):
            column = builder.add(arguments[5], word(v * lanes))
            return pointer(which, vector, builder.add(arguments[4], word(m)), column)

        def load(place):
            return builder.load(place, align=signature.args[0].dtype.bitwidth // 8)

        def loop(count, sums, body):
            """Call ``body(index, sums)``, which returns new sums, `count` times; return the last sums."""
            before, inside, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.branch(inside)
            builder.position_at_end(inside)
            index = builder.phi(word)
            now = [builder.phi(vector) for _ in sums]
            then = body(index, now)
            following = builder.add(index, word(1))
            for phi, first, later in zip([index, *now], [word(0), *sums], [following, *then], strict=True):
                phi.add_incoming(first, before)
                phi.add_incoming(later, builder.block)
            builder.cbranch(builder.icmp_signed("<", following, count), inside, after)
            builder.position_at_end(after)
            return then

        def step(i, k, sums):
            columns = [
                load(pointer(1, vector, i, k, builder.add(arguments[5], word(v * lanes)))) for v in range(width)
            ]
            factors = []
            for m in range(height):
                single = builder.load(pointer(0, number, builder.add(arguments[4], word(m)), i, k))
                first = builder.insert_element(ir.Constant(vector, ir.Undefined), single, ir.IntType(32)(0))
                same = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
                factors.append(builder.shuffle_vector(first, first, same))
            name = f"llvm.fmuladd.v{lanes}{number.intrinsic_name}"
            fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            return [builder.call(fused, [factors[m], columns[v], s]) for (m, v), s in zip(places, sums, strict=True)]

        outer, inner = cgutils.unpack_tuple(builder, arrays[1].shape)[:2]
        sums = [load(at(2, m, v)) for m, v in places]
        sums = loop(outer, sums, lambda i, sums: loop(inner, sums, lambda k, sums: step(i, k, sums)))
        for (m, v), total in zip(places, sums, strict=True):
            builder.store(total, at(3, m, v), align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return signature, code


def _panel(vectors, bits):
    """The function that computes `multiply` for a few columns, from `column`; `vectors`, of `bits` bits each, hold them."""

    @numba.njit(nogil=True)
    def panel(a, b, start, c, column):
        row, count = 0, len(c)
        while row + ROWS <= count:
            add_products(a, b, start, c, row, column, ROWS, vectors, bits)
            row += ROWS
        if row + HALF <= count:
            add_products(a, b, start, c, row, column, HALF, vectors, bits)
            row += HALF
        while row < count:
            add_products(a, b, start, c, row, column, 1, vectors, bits)
            row += 1

    return panel


_two_vectors, _vector, _half_vector, _number = _panel(2, VECTOR), _panel(1, VECTOR), _panel(1, VECTOR // 2), _panel(1, 0)


@kernel
def multiply(a, b, start, c):
    """Write ``start + np.einsum("mik,ikn->mn", a, b)`` into `c`, which may be `start`.

    Parameters
    ----------
    a : array (M, I, K), of any strides
    b : array (I, K, N); I and K at least 1
    start, c : array (M, N)
        The last axes of `b`, `start` and `c` are contiguous.
    """
    column, columns, wide = 0, c.shape[1], VECTOR // (8 * c.itemsize)
    while column + 2 * wide <= columns:
        _two_vectors(a, b, start, c, column)
        column += 2 * wide
    if column + wide <= columns:
        _vector(a, b, start, c, column)
        column += wide
    if column + wide // 2 <= columns:
        _half_vector(a, b, start, c, column)
        column += wide // 2
    while column < columns:
        _number(a, b, start, c, column)
        column += 1


@kernel
def conv2d(x, w, b, y, padded, top, left, stride):
    n, height, width, channels = x.shape
    high, wide, _ = padded.shape
    kh, kw, _, outputs = w.shape
    down, across = stride
    windows = strided(
        padded,
        (y.shape[1], y.shape[2], kh, kw * channels),
        (down * wide * channels, across * channels, wide * channels, 1),
    )
    weights = strided(w, (kh, kw * channels, outputs), (kw * channels * outputs, outputs, 1))
    bias = strided(b, (y.shape[2], outputs), (0, 1))
    for image in range(n):
        _copy_into(padded, x[image], top, left)
        for row in range(y.shape[1]):
            multiply(windows[row], weights, bias, y[image, row])


@numba.njit(nogil=True)
def _copy_into(padded, image, top, left):
    """Copy the part of `image` that `padded` covers into it, `top` rows and `left` columns from its corner."""
    channels = image.shape[2]
    first, last = max(0, -left), min(image.shape[1], padded.shape[1] - left)
    for row in range(max(0, -top), min(image.shape[0], padded.shape[0] - top)):
        source, out = image[row], padded[row + top]
        for column in range(first, last):
            for k in range(channels):
                out[column + left, k] = source[column, k]


@kernel
def weight_gradient(x, g, gw, padded, top, left, stride):
    high, wide, channels = padded.shape
    kh, numbers, outputs = gw.shape
    down, across = stride
    rows = max(1, BAND // g.shape[2])
    for image in range(len(g)):
        _copy_into(padded, x[image], top, left)
        for row in range(0, g.shape[1], rows):
            band = g[image, row : row + rows]
            gradients = strided(band, band.shape, (g.shape[2] * outputs, outputs, 1))
            for i in range(kh):
                windows = strided(
                    padded[row * down + i :],
                    (numbers, len(band), g.shape[2]),
                    (1, down * wide * channels, across * channels),
                )
                multiply(windows, gradients, strided(gw[i], (numbers, outputs), (outputs, 1)), gw[i])
