"""Prepares the batches of a pass on a thread, while the step computes with the batch before.

Everything random in a batch follows from the seed of the pass and the number of the batch, so neither the thread nor a
new start in mid-pass changes a bit. The thread indexes, augments and converts in few long calls of NumPy, which release
the interpreter's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator

from autograd_cnn.data import as_float32, batches
from autograd_cnn.training.arguments import are_bytes
from autograd_cnn.training.evaluation import read_only
from autograd_cnn.training.ranks import Array

Augment = Callable[[Array, Generator], Array]
Share = Callable[[int], slice]
Item = TypeVar("Item")
OVER: Any = object()  # what follows the last item


def prepared(
    images: Array, labels: Array, batch_size: int, seed: int | None, augment: Augment | None, start: int, share: Share
) -> Iterator[tuple[Array, Array]]:
    """Yield the batches of a pass from number `start` on, augmented, and converted if they are uint8.

    The order of the images is drawn from a generator of `seed`; None keeps it. Batch `i` is augmented with a generator
    of `[seed, i]`. Of the whole batch, augmented, `share` chooses the part of this rank.
    """
    order = None if seed is None else np.random.default_rng(seed)
    labels = read_only(labels)  # without `order` a batch is a view of the user's labels
    for i, (x, y) in islice(enumerate(batches(images, labels, batch_size, order)), start, None):
        chosen = x if augment is None or seed is None else _augmented(augment, x, np.random.default_rng([seed, i]))
        part = share(len(y))
        yield as_float32(chosen[part]) if chosen.dtype == np.uint8 else chosen[part], y[part]


def _augmented(augment: Augment, images: Array, rng: Generator) -> Array:
    """Return what `augment` makes of the images, or raise an error unless it is an image for each of their labels."""
    count, axes, raw = len(images), images.ndim, images.dtype == np.uint8
    made: Any = augment(images, rng)
    if not isinstance(made, np.ndarray) or made.ndim != axes or len(made) != count:
        what = f"{made.shape} {made.dtype}" if isinstance(made, np.ndarray) else type(made).__name__
        raise ValueError(
            f"fit: augment returned {what} for {count} labels, want an array of {axes} axes and {count} images. For "
            "more images or other labels, change the arrays before fit"
        )
    if raw and are_bytes(made):
        raise ValueError(
            f"fit: augment turned uint8 images into {made.dtype} from 0 to {made[:100].max():g}, but predictions are "
            "made from numbers in [0, 1]. Return uint8, or images / 255"
        )
    return made


@contextmanager
def fed(items: Iterable[Item], ahead: int = 2) -> Iterator[Iterator[Item]]:
    """Compute `items` on a thread, at most `ahead` of them before they are asked for, until the ``with`` block ends.

    An exception is raised to the caller, with its own traceback. Where no thread can be started, the caller's computes.

    Examples
    --------
    >>> with fed(number**2 for number in range(3)) as squares:
    ...     list(squares)
    [0, 1, 4]
    """
    source: Any = iter(items)
    context: Any = copy_context()  # the caller's, which holds NumPy's errstate
    pool = ThreadPoolExecutor(1, "autograd_cnn batches")
    waiting: deque[Callable[[], Any]] = deque()

    def request() -> Callable[[], Any]:
        return pool.submit(context.run, next, source, OVER).result

    def arriving() -> Iterator[Item]:
        while (item := waiting.popleft()()) is not OVER:
            waiting.append(request())
            yield item

    try:
        waiting.extend(request() for _ in range(ahead))
    except RuntimeError:  # there are too many threads, or this Python has none
        request = lambda: partial(next, source, OVER)  # noqa: E731
        waiting.append(request())
    try:
        yield arriving()
    finally:
        pool.shutdown(cancel_futures=True)
