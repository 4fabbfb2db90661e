"""Reads recipes: files of Python that say how a network is built and trained. What one leaves out is taken from here.

A recipe has `build(settings, rng, images)`, which returns a Module, and may have any of the names in `DEFAULTS`. A run
folder keeps a copy of its recipe.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from autograd_cnn.data import augment
from autograd_cnn.engine.messages import inside
from autograd_cnn.files import AnyPath
from autograd_cnn.ops.activations import softmax
from autograd_cnn.ops.losses import cross_entropy
from autograd_cnn.optim import AdamW, one_cycle


@dataclass(frozen=True)
class Settings:
    """Holds what can be varied: numbers of classes, pixels of a side, passes, images in a step, and so on."""

    classes: int = 10
    size: int = 32
    epochs: int = 24
    batch_size: int = 100
    lr: float = 2e-3  # the peak of one cycle
    validation: float = 0.05  # share of the training images that is held apart


DEFAULTS: dict[str, Any] = {
    "Settings": Settings,
    "SETTINGS": {},
    "loss": lambda settings, outputs, labels: cross_entropy(outputs, labels),
    "probabilities": softmax,
    "optimiser": lambda settings, model, steps: AdamW(model.parameters(), settings.lr, weight_decay=0.01),
    "schedule": lambda settings, steps: one_cycle(settings.lr, steps),
    "augment": lambda settings, images, rng: augment(images, rng),
    "views": lambda model, images: model(images),
}


def run_recipe(path: AnyPath, code: bytes) -> ModuleType:
    """Run the code of a recipe, once in a process, and return it as a module, with what it leaves out.

    The copy that a run has of a recipe of this package runs by itself: its lines are the user's.
    """
    name = f"autograd_cnn_run_{hashlib.sha256(code).hexdigest()}{inside[os.fspath(path)] or ''}"
    if name not in sys.modules:
        module = sys.modules[name] = ModuleType(name)  # a dataclass looks for the module that it is in
        module.__file__ = str(path)
        vars(module).update(DEFAULTS)
        try:
            exec(compile(code, path, "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def read_recipe(path: AnyPath) -> ModuleType:
    """Run a file of a recipe, and return it as a module, with defaults for what it leaves out.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it raises an exception, or has no `build`.
    """
    code = Path(path).read_bytes()
    try:
        recipe = run_recipe(path, code)
    except Exception as error:  # the code is the user's
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    if not hasattr(recipe, "build"):
        raise ValueError(f"{path}: has no build(settings, rng, images), which returns the Module to train")
    return recipe
