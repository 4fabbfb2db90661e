"""Checks the arguments of `fit`, `evaluate` and `predict`, so that a mistake is named before any work begins."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.distributed import Ranks, versions
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs
from autograd_cnn.fast.twins import kernel_set
from autograd_cnn.optim import Optimiser

WHOLE = int | np.integer
NUMBER = int | float | np.number
TYPES: dict[str, tuple[Any, str]] = {
    "model": (Callable, "a Module, or a function of images"),
    "loss": (Callable, "a function such as ag.cross_entropy"),
    "optimiser": (Optimiser, "one such as ag.optim.Adam(model.parameters())"),
    "rng": (Generator | None, "np.random.default_rng(0)"),
    "epochs": (WHOLE | None, "an int"),
    "steps": (WHOLE | None, "an int"),
    "batch_size": (WHOLE, "an int"),
    "schedule": (Callable | None, "a function of the number of a step"),
    "augment": (Callable | None, "a function of images and a generator"),
    "accumulate": (WHOLE, "an int"),
    "clip": (NUMBER | None, "the largest norm of the gradients"),
    "time_limit": (NUMBER | None, "a number of seconds"),
    "validation": (tuple | list | None, "(images, labels)"),
    "checkpoint": (str | os.PathLike | None, "the path of a file"),
    "every": (WHOLE | None, "an int"),
    "callbacks": (list | tuple, "a list of functions of the History"),
    "name": (str, "a text"),
}
LEAST = {"epochs": 0, "steps": 0, "batch_size": 1, "accumulate": 1, "every": 1}
ABOVE_ZERO = "clip", "time_limit"
BRIGHT = 127  # floats from 0 to more than this, and at most 255, are the numbers of bytes


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise an error unless the arguments of `fit`, by name, have the right types and match each other."""
    ranks = arguments["ranks"]
    if not isinstance(ranks, Ranks):
        raise TypeError(f"fit: ranks is {described(ranks)}, want ag.distributed.ranks()")
    with ranks.all_or_none():
        _check_numbers(arguments)
        check_set("fit", arguments["images"], arguments["labels"])
        warn_of_bytes("fit", "images", arguments["images"])
        if arguments["validation"] is not None:
            _check_validation(arguments["validation"])
        for i, callback in enumerate(arguments["callbacks"]):
            if not callable(callback):
                cure = "folder.callback(model)" if hasattr(callback, "callback") else "a function of the History"
                raise TypeError(f"fit: callbacks[{i}] is {described(callback)}, want {cure}")
        _check_checkpoint(arguments["checkpoint"], arguments["every"], ranks)


def _check_numbers(given: Mapping[str, Any]) -> None:
    if (given["epochs"] is None) == (given["steps"] is None):
        raise TypeError("fit: pass one of epochs= and steps=")
    for name, (expected, want) in TYPES.items():
        if not isinstance(given[name], expected) or isinstance(given[name], bool):
            raise TypeError(f"fit: {name} is {described(given[name])}, want {want}")
    for name, least in LEAST.items():
        if given[name] is not None and given[name] < least:
            raise ValueError(f"fit: {name} is {given[name]}, want {least} or more")
    for name in ABOVE_ZERO:
        if given[name] is not None and not given[name] > 0:
            raise ValueError(f"fit: {name} is {given[name]}, want more than 0, or None for no limit")
    if given["augment"] is not None and given["rng"] is None:
        raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")


def _check_validation(validation: Any) -> None:
    if len(validation) != 2:
        raise ValueError(f"fit: validation has {len(validation)} parts, want (images, labels)")
    images, labels = validation
    check_set("fit", images, labels, "validation ")
    warn_of_bytes("fit", "validation images", images)


def compared(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be the same on all ranks, besides the state of model, optimiser and generators."""
    images, labels = arguments["validation"] or (None, None)
    numbers = {name: arguments[name] for name in (*LEAST, "clip")}
    optional = ("schedule", "augment", "validation", "checkpoint")
    given = {name: "missing" if arguments[name] is None else "given" for name in optional}
    data = {"images": arguments["images"], "labels": arguments["labels"]}
    return {
        "versions": f"{versions()}, {kernel_set()} kernels",
        **{name: None if number is None else float(number) for name, number in numbers.items()},
        **given,
        **data,
        "validation images": images,
        "validation labels": labels,
    }


def _check_checkpoint(path: str | os.PathLike[str] | None, every: int | None, ranks: Ranks) -> None:
    """Raise an error unless the file can be written, as far as its folder shows, before hours of work are in it."""
    if path is None and every is not None:
        raise ValueError(f"fit: every is {every}, but there is no checkpoint to write: checkpoint='last.safetensors'")
    if path is None or ranks.rank != 0:
        return
    with needs("safetensors", "fit(checkpoint=...)"):
        import safetensors  # noqa: F401
    path, folder = os.fspath(path), os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "fit: checkpoint is a folder, want a file in it", path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "fit: checkpoint is in no folder; create it with os.makedirs", folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "fit: checkpoint is in a folder that cannot be written", folder)


def check_set(caller: str, images: Any, labels: Any, whose: str = "") -> None:
    """Raise an error unless images and labels are arrays, with one label for each image, and at least one."""
    check_array(caller, f"{whose}images", images)
    check_array(caller, f"{whose}labels", labels)
    if not len(images) == len(labels) > 0:
        raise ValueError(
            f"{caller}: {len(images):,} {whose}images and {len(labels):,} {whose}labels, want equally many and at "
            "least one"
        )


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


def check_batch_size(caller: str, batch_size: Any) -> None:
    """Raise an error unless `batch_size` is a whole number from 1 on."""
    if not isinstance(batch_size, WHOLE) or isinstance(batch_size, bool):
        raise TypeError(f"{caller}: batch_size is {described(batch_size)}, want an int")
    if batch_size < 1:
        raise ValueError(f"{caller}: batch_size is {batch_size}, want 1 or more")


def warn_of_bytes(caller: str, name: str, images: NDArray[Any]) -> None:
    """Warn if the images are floats that go from 0 to 255, while uint8 images become numbers in [0, 1]."""
    if are_bytes(images):
        warn(
            f"{caller}: {name} are {images.dtype} from 0 to {images[:100].max():g}, and are taken as they are. "
            "Networks learn faster from numbers near 1, and one that was fitted on uint8 images, which are converted "
            "by themselves, needs them: images / 255"
        )


def are_bytes(images: NDArray[Any]) -> bool:
    """Return whether images are floats that go from 0 to 255, as the first of them show."""
    some = images[:100]
    if images.ndim != 4 or images.dtype.kind != "f" or not some.size:
        return False
    return bool(some.min() >= 0 and BRIGHT < some.max() <= 255)


def described(value: Any) -> str:
    """Describe an argument in a message: a number or a short text by itself, anything else by its type."""
    plain = value is None or isinstance(value, (bool, int, float, np.number, str))
    return repr(value) if plain and len(repr(value)) < 40 else type(value).__name__
