"""Workers that wait in compiled code, and the hand-over of a job to them, in about a microsecond.

A job is a row of words: the address of a kernel, and for each of its tiles the words of its arguments, as Numba passes
them: an array is two pointers that are 0 here, its size, the size of a number, the address, shape and strides.

The gate of a mailbox has the number of the job, a bit that is set while workers may join, and how many have joined. The
caller opens it, computes tiles itself, closes it when none is left, and waits for those workers that have joined. So a
worker that comes late costs nothing. Every field is atomic, and on a cache line of its own.
"""

from __future__ import annotations

import platform

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import helper, kernel

LINE = 64
TAKEN, GATE, JOB, QUIT, SLEEPERS = (n * LINE for n in range(5))  # SLEEPERS: one line for each worker
OPEN, NUMBER = 1 << 16, 17  # in the gate: the bit, and the place of the job's number; workers are counted below OPEN
# The words of a job; the first two change while it is computed.
FAILED, KERNEL, TILES, WORDS, TEMPLATE, BASES, AREA_SIZE, AREA, SHARES = (8 * n for n in range(9))
COUNTER = 1024  # in the memory of a worker, behind the words of a tile: how many tiles of its share are taken
MOST = 128  # words that a kernel is called with; it ignores those behind its own
PATIENCE = 3000  # looks at the gate, 0.1 ms, before a caller who waits for a worker takes naps
NAP = 20  # microseconds
WAITS = {"x86_64": "llvm.x86.sse2.pause", "amd64": "llvm.x86.sse2.pause"}  # leaves the core to its other thread


def _atomic(operation):
    """Return an intrinsic of an address and other words: ``operation(builder, pointer, *words)`` gives its result."""

    @intrinsic
    def run(context, *arguments):
        def code(context, builder, signature, values):
            words = cgutils.unpack_tuple(builder, values[0])
            pointer = builder.inttoptr(words[0], words[0].type.as_pointer())
            result = operation(builder, pointer, *words[1:])
            return context.get_constant(types.intp, 0) if result is None else result

        return types.intp(types.StarArgTuple.from_types(arguments)), code

    return run


def _exchanged(builder, pointer, old, new):
    pair = builder.cmpxchg(pointer, old, new, "seq_cst", "seq_cst")
    return builder.zext(builder.extract_value(pair, 1), old.type)


_load = _atomic(lambda builder, pointer: builder.load_atomic(pointer, "seq_cst", 8))
_store = _atomic(lambda builder, pointer, word: builder.store_atomic(word, pointer, "seq_cst", 8) and None)
_add = _atomic(lambda builder, pointer, word: builder.atomic_rmw("add", pointer, word, "seq_cst"))
_exchange = _atomic(_exchanged)  # whether the word was `old`, and is `new` now
_peek = _atomic(lambda builder, pointer: builder.load(pointer))
_put = _atomic(lambda builder, pointer, word: builder.store(word, pointer) and None)


@intrinsic
def _call(context, function, words):
    """Call a kernel with `MOST` words; return 0, or another number if it could not allocate memory."""

    def code(context, builder, signature, values):
        word = values[1].type
        source = builder.inttoptr(values[1], word.as_pointer())
        given = [builder.load(builder.gep(source, [word(n)])) for n in range(MOST)]
        unused = cgutils.alloca_once(builder, word)
        kind = ir.FunctionType(ir.IntType(32), [unused.type] * 2 + [word] * MOST)
        status = builder.call(builder.inttoptr(values[0], kind.as_pointer()), [unused, unused, *given])
        return builder.zext(status, word)

    return types.intp(function, words), code


@intrinsic
def _external(context, function, lock, wait):
    """Call one of Python's functions of locks, which take no more than three words."""

    def code(context, builder, signature, values):
        word = values[1].type
        kind = ir.FunctionType(ir.IntType(32), [word] * 3)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [*values[1:], word(0)])
        return context.get_dummy_value()

    return types.void(function, lock, wait), code


@intrinsic
def _pause(context):
    def code(context, builder, signature, values):
        if name := WAITS.get(platform.machine().lower()):
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), []), name), [])
        return context.get_dummy_value()

    return types.void(), code


@helper
def _take(job, worker):
    """Compute tiles until none is left: first those of the own share, which the core may have in its cache."""
    tiles, words, template, bases = _peek(job + TILES), _peek(job + WORDS), _peek(job + TEMPLATE), _peek(job + BASES)
    area_size, shares = _peek(job + AREA_SIZE), _peek(job + SHARES)
    area = _peek(job + AREA) + worker * area_size
    for n in range(worker, worker + shares):
        share = n if n < shares else n - shares
        end = tiles * (share + 1) // shares
        while True:
            tile = tiles * share // shares + _add(_peek(job + AREA) + share * area_size + COUNTER, 1)
            if tile >= end:
                break
            source = tile * words * 8
            for place in range(source, source + words * 8, 8):
                base = _peek(bases + place)  # 0 for a number, 1 for the worker's own memory, else the place of an array
                word = _peek(template + place)
                if base == 1:
                    word += area
                elif base:
                    word += _peek(job + base)
                _put(area + place - source, word)
            if _call(_peek(job + KERNEL), area):
                _store(job + FAILED, 1)


@kernel
def serve(mailbox, worker, lock, acquire, most):
    """Compute tiles of one job after the other until the mailbox quits; look `most` times for the next, then sleep."""
    seen, spins, asleep = 0, 0, mailbox + SLEEPERS + (worker - 1) * LINE
    while not _load(mailbox + QUIT):
        gate = _load(mailbox + GATE)
        if gate & OPEN and gate >> NUMBER != seen:
            if _exchange(mailbox + GATE, gate, gate + 1):
                seen, spins = gate >> NUMBER, 0
                _take(_load(mailbox + JOB), worker)
                _add(mailbox + GATE, -1)
        elif spins < most:
            spins += 1
            _pause()
        else:
            spins = 0
            _store(asleep, 1)
            gate = _load(mailbox + GATE)
            missed = (gate & OPEN and gate >> NUMBER != seen) or _load(mailbox + QUIT)
            if not missed or not _exchange(asleep, 1, 0):  # else the caller was faster, and has released the lock
                _external(acquire, lock, 1)


@helper
def _wake(mailbox, locks, release, most):
    for worker in range(len(locks)):
        if most > 0 and _exchange(mailbox + SLEEPERS + worker * LINE, 1, 0):
            _external(release, locks[worker], 0)
            most -= 1


@kernel
def run(mailbox, record, locks, release, nap, never):
    """Compute all tiles of a job, with the workers if nobody else has them."""
    job = record.ctypes.data
    for share in range(_peek(job + SHARES)):
        _put(_peek(job + AREA) + share * _peek(job + AREA_SIZE) + COUNTER, 0)
    if len(locks) == 0 or not _exchange(mailbox + TAKEN, 0, 1):
        _take(job, 0)
        return
    _store(mailbox + JOB, job)
    _add(mailbox + GATE, (1 << NUMBER) + OPEN)
    _wake(mailbox, locks, release, _peek(job + TILES) - 1)
    _take(job, 0)
    _add(mailbox + GATE, -OPEN)
    spins = 0
    while _load(mailbox + GATE) % OPEN:
        spins += 1
        if spins < PATIENCE:
            _pause()
        else:  # the worker may need this core
            _external(nap, never, NAP)
    _store(mailbox + TAKEN, 0)


@kernel
def end(mailbox, locks, release):
    """Let all workers leave."""
    _store(mailbox + QUIT, 1)
    _wake(mailbox, locks, release, len(locks))


def address(function, arguments):
    """Compile a kernel for arguments of these types, if it is not yet; return the address of its code."""
    code = function.get_compile_result(types.void(*map(_kind, arguments)))
    return code.library.get_pointer_to_function(code.fndesc.llvm_func_name)


def _kind(argument):
    if isinstance(argument, tuple):
        return types.BaseTuple.from_types([*map(_kind, argument)])
    kind = numba.typeof(argument)  # the kernels write only into arrays that may be written
    return types.Array(kind.dtype, kind.ndim, kind.layout) if isinstance(kind, types.Array) else kind
