"""Checks of images, labels and generators, whose errors begin with the function that was called."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.engine.tensor import Tensor


def value_or_type(value: Any) -> str:
    """Return the text of a number or of a short text, for a message, and of anything else the name of its type."""
    plain = value is None or isinstance(value, (bool, int, float, np.number, str))
    return repr(value) if plain and len(repr(value)) < 40 else type(value).__name__


def check_array(caller: str, name: str, array: Any) -> None:
    """Raise an error unless `array` is an array with a first axis."""
    if not isinstance(array, np.ndarray):
        noun = name.rpartition(" ")[2]
        cure = f": {noun}.data" if isinstance(array, Tensor) else "" if array is None else f": np.asarray({noun})"
        raise TypeError(f"{caller}: {name} is {value_or_type(array)}, want an array{cure}")
    if not array.ndim:
        raise ValueError(f"{caller}: {name} is an array without axes, want (N, ...)")


def check_pair(caller: str, images: Any, labels: Any, whose: str = "") -> None:
    """Raise an error unless images and labels are arrays with one label for each image."""
    check_array(caller, f"{whose}images", images)
    check_array(caller, f"{whose}labels", labels)
    if len(images) != len(labels):
        raise ValueError(f"{caller}: {len(images):,} {whose}images, but {len(labels):,} labels")


def check_generator(caller: str, rng: Any) -> None:
    """Raise an error unless `rng` is a generator of NumPy."""
    if not isinstance(rng, Generator):
        seed = rng if isinstance(rng, int) and rng >= 0 else 0
        raise TypeError(f"{caller}: rng is {value_or_type(rng)}, want a generator: np.random.default_rng({seed})")
