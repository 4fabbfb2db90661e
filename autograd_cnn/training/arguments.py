"""Checks the arguments of `fit`, so that a mistake is named before training begins.

Imports `optim` and `distributed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.distributed import Ranks
from autograd_cnn.optim import Optimiser

TYPES: dict[str, tuple[Any, str]] = {
    "model": (Callable, "a Module, or a function of images"),
    "loss": (Callable, "a function such as ag.cross_entropy"),
    "optimiser": (Optimiser, "one such as ag.optim.Adam(model.parameters())"),
    "images": (np.ndarray, "an array"),
    "labels": (np.ndarray, "an array"),
    "rng": (Generator | None, "np.random.default_rng(0)"),
    "epochs": (int | np.integer | None, "an int"),
    "steps": (int | np.integer | None, "an int"),
    "batch_size": (int | np.integer, "an int"),
    "schedule": (Callable | None, "a function of the number of a step"),
    "augment": (Callable | None, "a function of images and a generator"),
    "accumulate": (int | np.integer, "an int"),
    "clip": (float | int | np.number | None, "the largest norm of the gradients"),
    "time_limit": (float | int | np.number | None, "a number of seconds"),
    "validation": (tuple | list | None, "(images, labels)"),
    "callbacks": (list | tuple, "a list of functions of the History"),
    "ranks": (Ranks, "ag.distributed.ranks()"),
}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise an error unless the arguments of `fit`, by name, have the right types and match each other."""
    if (arguments["epochs"] is None) == (arguments["steps"] is None):
        raise TypeError("fit: pass one of epochs= and steps=")
    for name, (expected, want) in TYPES.items():
        if not isinstance(arguments[name], expected):
            raise TypeError(f"fit: {name} is {type(arguments[name]).__name__}, want {want}")
    for name in ("batch_size", "accumulate"):
        if arguments[name] < 1:
            raise ValueError(f"fit: {name} is {arguments[name]}, want 1 or more")
    for name in ("clip", "time_limit"):
        if arguments[name] is not None and not arguments[name] > 0:
            raise ValueError(f"fit: {name} is {arguments[name]}, want more than 0, or None for no limit")
    if arguments["augment"] is not None and arguments["rng"] is None:
        raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")
    images, labels = len(arguments["images"]), len(arguments["labels"])
    if not images == labels > 0:
        raise ValueError(f"fit: {images:,} images and {labels:,} labels, want equally many and at least one")
