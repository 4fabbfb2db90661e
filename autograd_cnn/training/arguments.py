"""Checks the arguments of `fit`, `evaluate` and `predict`, so that a mistake is named before any work begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.optim.optimiser import Steps
from autograd_cnn.training.ranks import Array, Ranks

WHOLE = int | np.integer
NUMBER = int | float | np.number
TYPES: dict[str, tuple[Any, str]] = {
    "model": (Callable, "a Module, or a function of images"),
    "loss": (Callable, "a function such as ag.cross_entropy"),
    "optimiser": (Steps, "one such as ag.optim.Adam(model.parameters())"),
    "rng": (Generator | None, "np.random.default_rng(0)"),
    "epochs": (WHOLE | None, "an int"),
    "steps": (WHOLE | None, "an int"),
    "batch_size": (WHOLE, "an int"),
    "schedule": (Callable | None, "a function of the number of a step"),
    "augment": (Callable | None, "a function of images and a generator"),
    "clip": (NUMBER | None, "the largest norm of the gradients"),
    "time_limit": (NUMBER | None, "a number of seconds"),
    "validation": (tuple | list | None, "(images, labels)"),
    "checkpoint": (str | os.PathLike | None, "the path of a file"),
    "every": (WHOLE | None, "an int"),
    "patience": (WHOLE, "an int"),
    "callbacks": (list | tuple, "a list of functions of the History"),
    "name": (str, "a text"),
    "ranks": (Ranks, "ag.distributed.ranks()"),
}
LEAST = {"epochs": 0, "steps": 0, "batch_size": 1, "every": 1, "patience": 1}
ABOVE_ZERO = "clip", "time_limit"
BRIGHT = 127  # floats from 0 to more than this, and at most 255, are the numbers of bytes


def check(caller: str, /, **arguments: Any) -> None:
    """Raise an error unless arguments, by name, have the right types, and numbers are large enough."""
    for name, value in arguments.items():
        expected, want = TYPES[name]
        if not isinstance(value, expected) or isinstance(value, bool):
            raise TypeError(f"{caller}: {name} is {described(value)}, want {want}")
        if value is not None and name in LEAST and value < LEAST[name]:
            raise ValueError(f"{caller}: {name} is {value}, want {LEAST[name]} or more")
        if value is not None and name in ABOVE_ZERO and not value > 0:
            raise ValueError(f"{caller}: {name} is {value}, want more than 0, or None for no limit")


def check_validation(validation: Any) -> None:
    """Raise an error unless this is None, or images with their labels."""
    if validation is not None:
        if len(validation) != 2:
            raise ValueError(f"fit: validation has {len(validation)} parts, want (images, labels)")
        images, labels = validation
        check_set("fit", images, labels, "validation ")


def compared(numbers: Mapping[str, Any], optional: Mapping[str, Any], images: Array, labels: Array) -> dict[str, Any]:
    """Return what has to be the same on all ranks, besides the state of model, optimiser and generators."""
    validation = optional["validation"] or (None, None)
    return {
        **{name: None if number is None else float(number) for name, number in numbers.items()},
        **{name: "missing" if value is None else "given" for name, value in optional.items()},
        **{"images": images, "labels": labels, "validation images": validation[0], "validation labels": validation[1]},
    }


def check_set(caller: str, images: Any, labels: Any, whose: str = "") -> None:
    """Raise an error unless images and labels are arrays, with one label for each image, and at least one."""
    check_array(caller, f"{whose}images", images)
    check_array(caller, f"{whose}labels", labels)
    if not len(images) == len(labels) > 0:
        raise ValueError(
            f"{caller}: {len(images):,} {whose}images and {len(labels):,} {whose}labels, want equally many and at "
            "least one"
        )
    warn_of_bytes(caller, f"{whose}images", images)


def check_array(caller: str, name: str, array: Any) -> None:
    """Raise an error unless `array` is an array of numbers with a first axis."""
    noun = name.rpartition(" ")[2]
    if not isinstance(array, np.ndarray):
        cure = f": {noun}.data" if isinstance(array, Tensor) else "" if array is None else f": np.asarray({noun})"
        raise TypeError(f"{caller}: {name} is {described(array)}, want an array{cure}")
    if array.ndim == 0 or array.dtype.kind not in "buif":
        words = noun == "labels" and array.dtype.kind in "USO"
        cure = ". From names: classes, labels = np.unique(labels, return_inverse=True)" if words else ""
        raise ValueError(
            f"{caller}: {name} {array.shape} {array.dtype}, want numbers with a first axis, (N, ...){cure}"
        )


def warn_of_bytes(caller: str, name: str, images: Array) -> None:
    """Warn if the images are floats that go from 0 to 255, while uint8 images become numbers in [0, 1]."""
    if are_bytes(images):
        warn(
            f"{caller}: {name} are {images.dtype} from 0 to {images[:100].max():g}, and are taken as they are. "
            "Networks learn faster from numbers near 1, and one that was fitted on uint8 images, which are converted "
            "by themselves, needs them: images / 255"
        )


def are_bytes(images: Array) -> bool:
    """Return whether images are floats that go from 0 to 255, as the first of them show."""
    some = images[:100]
    if images.ndim != 4 or images.dtype.kind != "f" or not some.size:
        return False
    return bool(some.min() >= 0 and BRIGHT < some.max() <= 255)


def described(value: Any) -> str:
    """Describe an argument in a message: a number or a short text by itself, anything else by its type."""
    plain = value is None or isinstance(value, (bool, int, float, np.number, str))
    return repr(value) if plain and len(repr(value)) < 40 else type(value).__name__
