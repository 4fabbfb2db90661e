"""Checks the arguments of `fit`, `evaluate` and `predict`, so that a mistake is named before any work begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.checks import count
from autograd_cnn.data.checks import check_array, check_pair, value_or_type
from autograd_cnn.engine.messages import warn
from autograd_cnn.files import AnyPath
from autograd_cnn.optim.optimiser import Steps
from autograd_cnn.training.ranks import Array, Ranks

NUMBER = int | float | np.number
TYPES: dict[str, tuple[Any, str]] = {
    "model": (Callable, "a Module, or a function of images"),
    "loss": (Callable, "a function such as ag.cross_entropy"),
    "optimiser": (Steps, "one such as ag.optim.Adam(model.parameters())"),
    "rng": (Generator | None, "np.random.default_rng(0)"),
    "schedule": (Callable | None, "a function of the number of a step"),
    "augment": (Callable | None, "a function of images and a generator"),
    "clip": (NUMBER | None, "the largest norm of the gradients"),
    "time_limit": (NUMBER | None, "a number of seconds"),
    "validation": (tuple | list | None, "(images, labels)"),
    "checkpoint": (str | os.PathLike | None, "the path of a file"),
    "callbacks": (list | tuple, "a list of functions of the History"),
    "name": (str, "a text"),
    "ranks": (Ranks, "ag.distributed.ranks()"),
}
ABOVE_ZERO = "clip", "time_limit"
BRIGHT = 127  # floats from 0 to more than this, and at most 255, are the numbers of bytes


def check(**arguments: Any) -> None:
    """Raise an error unless arguments of `fit`, by name, have the right types, and limits are above 0."""
    for name, value in arguments.items():
        expected, want = TYPES[name]
        if not isinstance(value, expected) or isinstance(value, bool):
            raise TypeError(f"fit: {name} is {value_or_type(value)}, want {want}")
        if value is not None and name in ABOVE_ZERO and not value > 0:
            raise ValueError(f"fit: {name} is {value}, want more than 0, or None for no limit")


def check_run(given: Mapping[str, Any]) -> None:
    """Raise an error unless the arguments of `fit`, by name, suit it and each other."""
    check(**{name: given[name] for name in TYPES})
    if (given["epochs"] is None) == (given["steps"] is None):
        raise TypeError("fit: pass one of epochs= and steps=")
    length = "steps" if given["epochs"] is None else "epochs"
    count(given[length], f"fit: {length}", 0)
    count(given["batch_size"], "fit: batch_size")
    if given["augment"] is not None and given["rng"] is None:
        raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")
    check_set("fit", given["images"], given["labels"])
    if given["validation"] is not None:
        if len(given["validation"]) != 2:
            raise ValueError(f"fit: validation has {len(given['validation'])} parts, want (images, labels)")
        images, labels = given["validation"]
        check_set("fit", images, labels, "validation ")
    for i, callback in enumerate(given["callbacks"]):
        if not callable(callback):
            cure = "folder.callback(model)" if hasattr(callback, "callback") else "a function of the History"
            raise TypeError(f"fit: callbacks[{i}] is {value_or_type(callback)}, want {cure}")
    if given["checkpoint"] is not None and given["ranks"].rank == 0:
        _check_place(given["checkpoint"])


def _check_place(path: AnyPath) -> None:
    """Raise an error unless the file can be written, as far as its folder shows, before hours of work are in it."""
    if os.path.isdir(path) or not os.access(os.path.dirname(os.path.realpath(path)), os.W_OK):
        raise OSError(f"fit: checkpoint is {path}, want a file in a folder that exists and can be written")


def check_set(caller: str, images: Any, labels: Any, whose: str = "") -> None:
    """Raise an error unless images and labels are arrays of numbers, with a label for each image, and at least one."""
    check_pair(caller, images, labels, whose)
    check_numbers(caller, f"{whose}images", images)
    check_numbers(caller, f"{whose}labels", labels)
    if not len(images):
        raise ValueError(f"{caller}: there are no {whose}images")
    warn_of_bytes(caller, f"{whose}images", images)


def check_numbers(caller: str, name: str, array: Any) -> None:
    """Raise an error unless `array` is an array of numbers with a first axis."""
    check_array(caller, name, array)
    if array.dtype.kind not in "buif":
        words = name.endswith("labels") and array.dtype.kind in "USO"
        cure = ". From names: classes, labels = np.unique(labels, return_inverse=True)" if words else ""
        raise ValueError(f"{caller}: {name} {array.shape} {array.dtype}, want numbers{cure}")


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
