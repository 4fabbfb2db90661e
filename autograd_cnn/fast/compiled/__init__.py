"""Compiled passes over tiles, as plain loops: one file for each file of `fast` with such passes.

A public function is the twin of the NumPy function of the same file and name, and has the same parameters (see
`fast.twins`). The twins of those in `elementwise` and `updates` are functions of the textbook. Those of `direct`,
`winograd` and `products`, which serves both and `fast.matrices`, have no pass in NumPy. `mailbox` calls all of them, at
their addresses, so an argument is an array, a whole number or a tuple of these. Innermost loops run over channels,
which are adjacent in memory, so that the compiler turns them into vector instructions. The twins keep no sum across
channels. The functions release the interpreter's lock: tiles run on all cores.

No file calls a function of another one: Numba keeps compiled code on disk until the file of the function changes, and
does not look at the files of the functions that it calls. For the same reason, delete `__pycache__` here after a change
of this file, or of constants of the code: the matrices in `fast.winograd`, the sizes in `fast.matrices`, and `MILLS` in
`fast.elementwise`.

Compiling takes seconds, so the functions are written for it too. `multiply` of `products` is called at its address, and
not by its name, which would compile it again in each caller. Loops take the place of slices that are assigned or added
to, which bring code for errors and for copies. Arrays are made by the caller where that is possible, so that few
functions count references. And one function has one type for each argument, whatever the layout in memory.

Only `twins` and `mailbox` import this package.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
from llvmlite import binding
from numba import types
from numba.core import cgutils, event, imputils
from numba.extending import intrinsic
from numba.np import arrayobj


def kernel(function: Callable[..., None], allocates: bool = False) -> Any:
    """Compile a function when it is first called, and keep the result on disk if there is a writable folder."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": allocates}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable folder
        return numba.njit(**options)(function)


def helper(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function for those of its file that call it: it cannot be called from Python, and makes no arrays."""
    options = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False, **options}
    return numba.njit(**options)(function)


# Bits of a vector; there are 32 registers of 64 bytes, or else at least 16 of 32.
VECTOR = 512 if binding.get_host_cpu_features().get("avx512f", False) else 256
allocating = partial(kernel, allocates=True)  # a kernel that makes arrays, and so counts references
# For functions of numbers: a product and its sum may be one step, and 0 has no sign.
inlined = partial(helper, fastmath={"contract", "nsz"})
summing = partial(helper, fastmath={"contract", "reassoc"})  # several partial sums, in one vector


def _view(context: Any, builder: Any, result: Any, array: Any, sizes: Any, steps: Any) -> Any:
    """Return an array of the type `result` that begins where `array` does, with `steps` in numbers, not bytes."""
    view, step = context.make_array(result)(context, builder), array.itemsize
    arrayobj.populate_array(view, array.data, sizes, [builder.mul(n, step) for n in steps], step, array.meminfo)
    return imputils.impl_ret_borrowed(context, builder, result, view._getvalue())


@intrinsic
def strided(context: Any, array: Any, shape: Any, strides: Any) -> Any:
    """Return a view of an array from its first number on, with another shape and with `strides` in numbers."""
    result = types.Array(array.dtype, len(shape), "A", readonly=True)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(array)(context, builder, arguments[0])
        return _view(context, builder, result, source, *(cgutils.unpack_tuple(builder, a) for a in arguments[1:]))

    return result(array, shape, strides), code


@intrinsic
def images_of(context: Any, images: Any) -> Any:
    """Return the images that `fast.tiles.laid_out` took apart; the channels of a pixel are adjacent."""
    array = images[0]
    result = types.Array(array.dtype, 4, "A", readonly=not array.mutable)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, shape, strides = cgutils.unpack_tuple(builder, arguments[0])
        source = context.make_array(array)(context, builder, first)
        steps = [*cgutils.unpack_tuple(builder, strides)[:3], context.get_constant(types.intp, 1)]
        return _view(context, builder, result, source, cgutils.unpack_tuple(builder, shape), steps)

    return result(images), code


@intrinsic
def run_of(context: Any, array: Any, size: Any = None) -> Any:
    """Return the numbers of an array in C order as one run, or the first `size` numbers of one whose numbers adjoin.

    `reshape` does it with more code.
    """
    assert size or array.layout == "C"
    result = array.copy(ndim=1, layout="C")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(array)(context, builder, arguments[0])
        sizes = arguments[1:] if size else [source.nitems]
        return _view(context, builder, result, source, sizes, [context.get_constant(types.intp, 1)])

    return result(array, size or types.Omitted(None)), code


@intrinsic
def call(context, function, *given):
    """Call a kernel at its address: a call by name would compile it again in each caller."""

    def code(context, builder, signature, arguments):
        kind = context.call_conv.get_function_type(types.none, given)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        values = cgutils.unpack_tuple(builder, arguments[1])
        context.call_conv.call_function(builder, function, types.none, given, values)
        return context.get_dummy_value()

    return types.void(function, types.StarArgTuple.from_types(given)), code


def named(function, name, **options):
    """Compile a function under the name `name`.

    Numba finds machine code by the name and the types of the arguments, even code that another process left on disk. So
    two functions with one definition, and thus one name, would be taken for each other.
    """
    function.__name__ = function.__qualname__ = name
    return helper(function, **options)


@helper
def copy_run(run, out):
    """Copy as many numbers as `out` has: a loop needs less code than an assignment to a slice."""
    for k in range(out.size):
        out[k] = run[k]


@helper
def copy_into(padded, image, top, left):
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


@intrinsic
def wide(context: Any) -> Any:
    """Let the loops of the calling function have vectors of 512 bits: on Intel, the compiler prefers 256."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # `add` of llvmlite knows no such name
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def fused(context: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z``, rounded once."""
    return z(x, y, z), lambda context, builder, signature, arguments: builder.fma(*arguments)


class Watch(event.Listener):
    """Says once that kernels are compiled, if it takes long."""

    current: Any = None
    seconds = 0.0

    def on_start(self, event: Any) -> None:
        if self.current is None and event.data["dispatcher"].py_func.__module__.startswith(__name__):
            self.current, self.start = event.data, time.perf_counter()

    def on_end(self, event: Any) -> None:
        if event.data is self.current:
            before, self.current = self.seconds, None
            self.seconds += time.perf_counter() - self.start
            if before < 1 <= self.seconds:
                kept = event.data["dispatcher"].stats.cache_path
                often = "once: they are kept on disk" if kept else "in each process: no folder for them is writable"
                print(f"autograd_cnn: Numba compiles kernels. It takes some seconds, {often}", file=sys.stderr)


event.register("numba:compile", Watch())
