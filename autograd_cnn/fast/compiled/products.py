"""Compiled products whose sums stay in registers: those of `fast.direct`, `fast.fused` and `fast.matrices`.

`add_products` is the inner loop of all of them: one block of a matrix product, up to eight rows by two vectors of
columns. Numba's own loops would write such sums back to memory at every step, so the block is written in LLVM's
language. `multiply` covers a whole matrix with blocks. Its left operand may have any strides, so the windows of an
image are the rows of a matrix, though they overlap in memory.

Nothing checks bounds: the callers choose the sizes of all buffers.
"""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..matrices import DEEP, TALL, WIDE
from ..winograd import BT, A, G
from . import allocating, copy_run, helper, images_of, kernel, run_of, strided

_WIDE = binding.get_host_cpu_features().get("avx512f", False)  # 32 registers of 64 bytes; else at least 16 of 32 bytes
ROWS = 8 if _WIDE else 4
VECTOR = 512 if _WIDE else 256  # bits
HALF = ROWS // 2
FIRST = np.intp(0)  # Numba would compile a call with the literal 0 and one with a variable apart
BAND = 128  # pixels whose gradients `weight_gradient` reads together: they stay in the first-level cache


@intrinsic(prefer_literal=True)
def add_products(context, a, b, start, c, row, column, rows, vectors, bits):
    """Compute one block of `multiply`: `rows` rows from `row` on, and `vectors` vectors of columns from `column` on.

    A vector has `bits` bits, but at least one number. The last three arguments are constants of the compiled code.
    """
    signature, own = types.void(a, b, start, c, types.intp, types.intp, rows, vectors, bits), a.ndim - 3
    height, width = rows.literal_value, vectors.literal_value
    lanes = max(1, bits.literal_value // a.dtype.bitwidth)

    def code(context, builder, signature, arguments):
        arrays = [
            context.make_array(t)(context, builder, v) for t, v in zip(signature.args[:4], arguments, strict=False)
        ]
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
            """Call ``body(index, sums)``, which returns new sums, `count` (at least 1) times; return the last sums."""
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

        def kept(value):
            """Hide a word from LLVM behind an empty piece of assembly.

            It would derive the place of each row from that of the row before: a chain of 16 additions, which takes as
            long as 16 products. So it adds a multiple of the stride to the place of every fourth row.
            """
            return builder.asm(ir.FunctionType(word, [word]), "", "=r,0", [value], False)

        stride = kept(strides[0][0])
        multiples = word(0), stride, builder.shl(stride, word(1)), kept(builder.mul(stride, word(3)))

        def step(i, k, sums):
            columns = [load(pointer(1, vector, i, k, builder.add(arguments[5], word(v * lanes)))) for v in range(width)]
            factors = []
            for m in range(height):
                if m % 4 == 0:
                    base = pointer(0, byte.pointee, builder.add(arguments[4], word(m)), i, k, *arguments[5:][:own])
                    base = builder.inttoptr(kept(builder.ptrtoint(base, word)), byte)
                place = builder.gep(base, [multiples[m % 4]])
                if own:
                    place = builder.bitcast(place, vector.as_pointer())
                    factors.append([load(builder.gep(place, [word(v)])) for v in range(width)])
                    continue
                # A vector of equal numbers: the shuffle takes all of them from place 0.
                single = builder.load(builder.bitcast(place, number.as_pointer()))
                first = builder.insert_element(ir.Constant(vector, ir.Undefined), single, ir.IntType(32)(0))
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
                factors.append([builder.shuffle_vector(first, first, zeros)] * width)
            name = f"llvm.fmuladd.v{lanes}{number.intrinsic_name}"
            fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            return [builder.call(fused, [factors[m][v], columns[v], s]) for (m, v), s in zip(places, sums, strict=True)]

        outer, inner = cgutils.unpack_tuple(builder, arrays[1].shape)[:2]
        sums = [ir.Constant(vector, None)] * len(places)
        sums = loop(outer, sums, lambda i, sums: loop(inner, sums, lambda k, sums: step(i, k, sums)))
        for (m, v), total in zip(places, sums, strict=True):  # added last: rounding errors are those of partial sums
            result = builder.fadd(load(at(2, m, v)), total)
            builder.store(result, at(3, m, v), align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return signature, code


def _compiled_as(function, name, **options):
    """Compile a function under the name `name`.

    Numba finds machine code by the name and the types of the arguments, even code that another process left on disk. So
    two functions with one definition, and thus one name, would be taken for each other.
    """
    function.__name__ = function.__qualname__ = name
    return helper(function, **options)


def _panel(vectors, bits):
    """Return a function that computes a panel of `multiply`: `vectors` vectors of `bits` bits, from `column` on."""
    tall = 2 * ROWS // vectors  # as many sums at once as hide how long a product takes

    def panel(a, b, start, c, column):
        row, count = 0, len(a)
        while row + tall <= count:
            add_products(a, b, start, c, row, column, tall, vectors, bits)
            row += tall
        if tall > ROWS and row + ROWS <= count:
            add_products(a, b, start, c, row, column, ROWS, vectors, bits)
            row += ROWS
        if row + HALF <= count:
            add_products(a, b, start, c, row, column, HALF, vectors, bits)
            row += HALF
        while row < count:
            add_products(a, b, start, c, row, column, 1, vectors, bits)
            row += 1

    # As a function of its own it would be optimised again where it is linked: code from the disk would be another one.
    return _compiled_as(panel, f"panel_{vectors}_{bits}", forceinline=True)


_two_vectors = _panel(2, VECTOR)
_vector = _panel(1, VECTOR)
_half_vector = _panel(1, VECTOR // 2)
_number = _panel(1, 0)


@kernel
def multiply(a, b, start, c):
    """Write ``start + np.einsum("mik,ikn->mn", a, b)`` into `c`, which may be `start`.

    Parameters
    ----------
    a : array (M, I, K), of any strides; or (M, I, K, N), if each column has factors of its own
    b : array (I, K, N); I and K at least 1
    start : array (M, N)
    c : array (M, N)
        Written. It may have more rows, which are left as they are.

    Axes of N numbers are contiguous.
    """
    columns, wide = c.shape[1], VECTOR // (8 * c.itemsize)
    for pair in range(columns // (2 * wide)):
        _two_vectors(a, b, start, c, 2 * wide * pair)
    column = columns - columns % (2 * wide)
    if column + wide <= columns:
        _vector(a, b, start, c, column)
        column += wide
    if column + wide // 2 <= columns:
        _half_vector(a, b, start, c, column)
        column += wide // 2
    while column < columns:
        _number(a, b, start, c, column)
        column += 1


@cache
def address(dtype, depthwise=False):
    """Compile `multiply` for a dtype, if it is not yet; return the address of its code."""
    a, b, c = (types.Array(numba.from_dtype(dtype), n, "A", readonly=True) for n in (3 + depthwise, 3, 2))
    code = multiply.get_compile_result(types.void(a, b, c, c))
    return code.library.get_pointer_to_function(code.fndesc.llvm_func_name)


@intrinsic
def _call(context, function, *given):
    """Call a kernel at its address: a call by name would compile the 7,000 instructions of `multiply` again."""

    def code(context, builder, signature, arguments):
        kind = context.call_conv.get_function_type(types.none, given)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        values = cgutils.unpack_tuple(builder, arguments[1])
        context.call_conv.call_function(builder, function, types.none, given, values)
        return context.get_dummy_value()

    return types.void(function, types.StarArgTuple.from_types(given)), code


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

    return _compiled_as(apply, f"linear_map_{name}")


_image_map, _gradient_map = _linear_map("image", BT), _linear_map("gradient", A)
_weight_map, _weight_gradient_map = _linear_map("weight", G), _linear_map("weight_gradient", G.T)
_sum_map, _sum_and_bias_map = _linear_map("sum", A.T), _linear_map("sum_and_bias", A.T, add_start=True)


@kernel
def matmul(product, x, shape, strides, w, first, w_strides, bias, y, place, pitch, columns, packed):
    """Write ``x @ w + bias`` into the numbers of `y` from `place` on; its rows are `pitch` apart.

    The right matrix is the numbers of `w` from `first` on. Sums are of partial sums of `DEEP` products, whose rounding
    errors are smaller than those of one long sum.
    """
    (rows, depth), (down, across) = shape, w_strides
    a = strided(x, (rows, 1, depth), (strides[0], 0, strides[1]))
    for k in range(0, depth, DEEP):
        deep = min(DEEP, depth - k)
        for column in range(0, columns, WIDE):
            count = min(WIDE, columns - column)
            numbers = w[first + k * down + column * across :]
            if across == 1 and rows < TALL // 8:  # a copy would take as long as the product
                panel = strided(numbers, (1, deep, count), (0, down, 1))
            else:
                _pack(numbers, down, across, deep, count, packed)
                panel = strided(packed, (1, deep, count), (0, count, 1))
            for row in range(0, rows, TALL):
                some = a[row : row + TALL, :, k : k + deep]
                size = len(some), count
                out = strided(y[place + row * pitch + column :], size, (pitch, 1))
                start = strided(bias[column:], size, (0, 1)) if k == 0 else out
                _call(product, some, panel, start, out)


@helper
def _pack(numbers, down, across, deep, count, packed):
    """Copy a part of a matrix, in C order."""
    if across == 1:
        for i in range(deep):
            source, out = numbers[i * down :], packed[i * count :]
            for j in range(count):
                out[j] = source[j]
    else:
        for top in range(0, deep, 16):  # a line of the cache: all numbers of one are written before the next
            for j in range(count):
                source, out = numbers[top * down + j * across :], packed[top * count + j :]
                for i in range(min(16, deep - top)):
                    out[i * count] = source[i * down]


@kernel
def conv2d(product, x, w, b, y, padded, top, left, stride):
    (wide, channels), (kh, kw, _, outputs) = padded.shape[1:], w.shape
    steps = stride[0] * wide * channels, stride[1] * channels, wide * channels, 1
    weights = strided(w, (kh, kw * channels, outputs), (kw * channels * outputs, outputs, 1))
    _multiply_windows(product, images_of(x), weights, b, images_of(y), padded, top, left, weights.shape[:2], steps)


@kernel
def depthwise(product, x, w, b, y, padded, top, left, stride):
    (wide, channels), (kh, kw) = padded.shape[1:], w.shape[:2]
    steps = stride[0] * wide * channels, stride[1] * channels, wide * channels, channels, 1
    weights = strided(w, (kh, kw, channels), (kw * channels, channels, 1))
    _multiply_windows(product, images_of(x), weights, b, images_of(y), padded, top, left, weights.shape, steps)


@helper
def _multiply_windows(product, x, w, b, y, padded, top, left, window, steps):
    """Write the products of all windows and the weights into `y`."""
    _, rows, columns, outputs = y.shape
    bias = strided(b, (columns, outputs), (0, 1))
    padded[:] = 0
    for image in range(len(y)):
        windows = strided(_padded(padded, x[image], top, left), (rows, columns, *window), steps)
        for row in range(rows):
            _call(product, windows[row], w, bias, y[image, row])


@helper
def _padded(padded, image, top, left):
    """Return the image itself, if it lies in memory as `padded` and has no margins, else `padded` with a copy in it."""
    if top == 0 and left == 0 and image.shape == padded.shape and image.strides == padded.strides:
        return image
    _copy_into(padded, image, top, left)
    return padded


@helper
def _copy_into(padded, image, top, left):
    """Copy an image to row `top` and column `left` of `padded`; leave out what lies beyond its edges."""
    (_, wide, channels), out = padded.shape, run_of(padded)
    first, last = max(0, -left), min(image.shape[1], wide - left)
    times, size = last - first, channels
    if image.strides[1] == padded.strides[1]:  # a row of pixels is one run of numbers
        times, size = min(1, times), channels * times
    for row in range(max(0, -top), min(image.shape[0], padded.shape[0] - top)):
        for column in range(first, first + times):
            place = ((row + top) * wide + column + left) * channels
            copy_run(run_of(image[row, column], size), out[place : place + size])


@kernel
def weight_gradient(product, x, g, gw, padded, top, left, stride):
    (_, wide, channels), own = padded.shape, ()
    steps = 1, stride[0] * wide * channels, stride[1] * channels
    _sum_over_windows(product, images_of(x), images_of(g), gw, padded, top, left, stride[0], own, steps)


@kernel
def depthwise_weight_gradient(product, x, g, gw, padded, top, left, stride):
    (_, wide, channels), own = padded.shape, gw.shape[2:]
    steps = channels, stride[0] * wide * channels, stride[1] * channels, 1
    _sum_over_windows(product, images_of(x), images_of(g), gw, padded, top, left, stride[0], own, steps)


@helper
def _sum_over_windows(product, x, g, gw, padded, top, left, step, own, steps):
    """Add the products of windows and gradients to `gw`; the windows of a row are as many as its numbers, and `own`."""
    (_, numbers, outputs), rows = gw.shape, max(1, BAND // g.shape[2])
    padded[:] = 0
    for image in range(len(g)):
        source = _padded(padded, x[image], top, left)
        for row in range(0, g.shape[1], rows):
            band = g[image, row : row + rows]
            sizes = (numbers, len(band), g.shape[2], *own)
            for i in range(len(gw)):
                windows, total = strided(source[row * step + i :], sizes, steps), gw[i]
                _call(product, windows, band, strided(total, (numbers, outputs), (outputs, 1)), total)


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
                _copy_into(padded, x[row // down], top, left)
            else:
                padded[:] = 0
        _transform_image_row(padded, row % down, half, v, (row - first) * across, across, parts)
    return last


@kernel
def winograd_conv2d(product, even, limit, fine, x, u, b, y, padded, half, v, m, top, left, parts):
    images, out = images_of(x), images_of(y)
    if even:
        _call(even, images, limit, fine)
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
                _call(product, a, strided(u[panel, entry], (1, inputs, size), (0, size, 1)), none, m[entry])
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
def winograd_weight_gradient(
    product, even, limit, fine, x, g, u, padded, rows, half, v, m, top, left, parts, channel
):  # fmt: skip
    images, gradients = images_of(x), images_of(g)
    if even:
        _call(even, images, limit, fine[: len(images)])
        _call(even, gradients, limit, fine[len(images) :])
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
                _call(product, a, strided(m[entry], (1, tiles, size), (0, size, 1)), start, total)


@helper
def _transform_gradient_row(g, near, channel, rows, half, m, place):
    """Write A g Aᵀ of a row of tiles, for the outputs from `channel` on, into `m`, from the tile `place` on.

    Places in `rows` to the right of `g` must be 0. If fewer outputs are left than `m` is wide, `rows` keeps numbers of
    an earlier call behind them; `collect_weights` leaves out the gradients that follow from these.
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


@allocating
def transform_weights(w, shape, strides, u, parts, panel):
    weights, (kh, kw, channels, outputs) = strided(w, shape, strides), shape
    _, _, inputs, size = u.shape
    values, half, entries = np.empty(9 * size, u.dtype), np.empty(18 * size, u.dtype), run_of(u)
    first = panel * size
    count = min(size, outputs - first)
    for part in range(parts[0] * parts[1]):
        top, left = 3 * (part // parts[1]), 3 * (part % parts[1])
        values[:] = 0
        for c in range(channels):
            for i in range(min(3, kh - top)):
                for j in range(min(3, kw - left)):
                    source, out = weights[top + i, left + j, c, first:], values[(3 * i + j) * size :]
                    for k in range(count):
                        out[k] = source[k]
            _weight_map(values, 0, 3 * size, 0, half, half, 0, 3 * size, 0, 3 * size, 1)
            to = (36 * panel * inputs + part * channels + c) * size
            hop, to_hop = 3 * size, 6 * inputs * size
            _weight_map(half, 0, size, hop, half, entries, to, inputs * size, to_hop, size, 6)


@allocating
def collect_weights(totals, gw, parts, panel):
    kh, kw, channels, outputs = gw.shape
    count, _, _, _, size = totals.shape
    entries, half = np.empty(36 * size, gw.dtype), np.empty(18 * size, gw.dtype)
    values = np.empty(9 * size, gw.dtype)
    for part in range(parts[0] * parts[1]):
        top, left = 3 * (part // parts[1]), 3 * (part % parts[1])
        for c in range(channels):
            entries[:] = 0
            for index in range(count):
                for entry in range(36):
                    source, total = totals[index, panel, entry, part * channels + c], entries[entry * size :]
                    for k in range(size):
                        total[k] += source[k]
            _weight_gradient_map(entries, 0, 6 * size, 0, half, half, 0, 6 * size, 0, 6 * size, 1)
            _weight_gradient_map(half, 0, size, 6 * size, half, values, 0, size, 3 * size, size, 3)
            for i in range(min(3, kh - top)):
                for j in range(min(3, kw - left)):
                    target = gw[top + i, left + j, c, panel * size :]
                    for k in range(min(size, outputs - panel * size)):
                        target[k] = values[(3 * i + j) * size + k]
