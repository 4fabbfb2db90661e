"""Compiled products whose sums stay in registers: those of `fast.direct`, `fast.winograd` and `fast.matrices`.

`add_products` is the inner loop of all of them: one block of a matrix product, up to eight rows by two vectors of
columns. Numba's own loops would write such sums back to memory at every step, so the block is written in LLVM's
language. `multiply` covers a whole matrix with blocks. Its left operand may have any strides, so the windows of an
image are the rows of a matrix, though they overlap in memory.

Nothing checks bounds: the callers choose the sizes of all buffers.
"""

from __future__ import annotations

from functools import cache

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..matrices import DEEP, TALL, WIDE
from . import VECTOR, call, helper, kernel, named, strided

ROWS = 8 if VECTOR == 512 else 4
HALF = ROWS // 2


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
    return named(panel, f"panel_{vectors}_{bits}", forceinline=True)


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


@kernel
def matmul(product, x, shape, strides, w, w_strides, bias, y, pitch, columns, packed):
    """Write ``x @ w + bias`` into `y`, whose rows are `pitch` apart.

    `w` and `y` have all numbers in memory from the first to the last one of these matrices. Sums are of partial sums of
    `DEEP` products, whose rounding errors are smaller than those of one long sum.
    """
    (rows, depth), (down, across) = shape, w_strides
    a = strided(x, (rows, 1, depth), (strides[0], 0, strides[1]))
    for k in range(0, depth, DEEP):
        deep = min(DEEP, depth - k)
        for column in range(0, columns, WIDE):
            count = min(WIDE, columns - column)
            numbers = w[k * down + column * across :]
            if across == 1 and rows < TALL // 8:  # a copy would take as long as the product
                panel = strided(numbers, (1, deep, count), (0, down, 1))
            else:
                _pack(numbers, down, across, deep, count, packed)
                panel = strided(packed, (1, deep, count), (0, count, 1))
            for row in range(0, rows, TALL):
                some = a[row : row + TALL, :, k : k + deep]
                size = len(some), count
                out = strided(y[row * pitch + column :], size, (pitch, 1))
                start = strided(bias[column:], size, (0, 1)) if k == 0 else out
                call(product, some, panel, start, out)


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
