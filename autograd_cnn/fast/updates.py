"""Updates of optimisers piece by piece: NumPy's by the textbook's functions, which no other passes beat."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from numpy.typing import NDArray

from autograd_cnn.engine.rules import Accelerator

from .threads import map_tiles
from .tiles import parts
from .twins import kernel_set, run_twin

Array = NDArray[Any]
Work = tuple[float, float, int, tuple[Array, ...]]

PIECE = 1 << 17  # elements of a parameter in one update
SHARE = 1 << 20  # least elements per thread: starting one costs as much as updating 100 000


def in_pieces(update: Callable[..., None], work: list[Work]) -> None:
    """Update parameters in pieces that fit the cache together with their gradients and slots, on all threads.

    So main memory is read and written once, and the temporary arrays of a thread are as small as pieces. With Numba,
    the threads share each piece.
    """
    pieces = [
        (*numbers, tuple(array[start : start + PIECE] for array in arrays))
        for *numbers, arrays in work
        for start in range(0, arrays[0].size, PIECE)
    ]
    count = max(1, sum(array.size for *_, arrays in work for array in arrays) // SHARE)

    def some(index: int) -> None:
        for piece in pieces[index::count]:
            update(*piece)

    if kernel_set() == "numba":
        count = 1
        some(0)
    else:
        map_tiles(some, count, products=False)


def in_tiles(name: str) -> Accelerator:
    """Return an accelerator of an update whose last argument is its coefficients, by its compiled twin."""

    def accelerator(textbook: Callable[..., None]) -> Callable[..., None]:
        @wraps(textbook)
        def run(p: Array, *args: Any) -> None:
            if not run_twin(name, (p, *args), parts(p.size, p.size), {len(args)}):
                textbook(p, *args)

        return run

    return accelerator
