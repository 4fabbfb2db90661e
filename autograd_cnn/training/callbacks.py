"""Callbacks of `fit`: an early end, and the best weights."""

from __future__ import annotations

import os
from collections.abc import Callable

from autograd_cnn.arrayfile import write_arrays
from autograd_cnn.nn import Module
from autograd_cnn.training.arguments import check
from autograd_cnn.training.history import History


def early_stop(patience: int) -> Callable[[History], bool]:
    """End a run when `patience` passes have gone by without a better one.

    Passes are compared by validation loss, or by training loss if nothing was validated. All of them are in the
    History, so a run that was interrupted and resumed ends after the same pass.

    Examples
    --------
    >>> from autograd_cnn.training import Epoch, History
    >>> losses = [0.9, 0.5, 0.6, 0.7]
    >>> history = History("", losses, [Epoch(i + 1, x, 1.0, x, 1.0, 1.0) for i, x in enumerate(losses)])
    >>> early_stop(2)(history), early_stop(3)(history)
    (True, False)
    """
    check("early_stop", patience=patience)
    return lambda history: len(history.epochs) - 1 - history.best >= patience


def keep_best(path: str | os.PathLike[str], model: Module) -> Callable[[History], None]:
    """Save the weights of `model` after each pass that is better than all before.

    Passes are compared as by `early_stop`. ``ag.interop.load_weights(path, model)`` reads the file.
    """
    if not isinstance(model, Module):
        raise TypeError(f"keep_best: model is {type(model).__name__}, want a Module: keep_best(path, model)")

    def save(history: History) -> None:
        if history.best == len(history.epochs) - 1:
            write_arrays(path, model.state_dict(), {})

    return save
