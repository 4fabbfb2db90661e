"""Saves and loads the weights of a model in a safetensors file, under their names in the model.

Imports the engine, `nn`, `state` and `arrayfile`. Arrays keep this package's layout: convolutions (KH, KW, in, out),
linear layers (in, out).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from autograd_cnn.arrayfile import CheckpointError, read_arrays, write_arrays
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module
from autograd_cnn.state import check_state

Model = Module | Mapping[str, Tensor]


def save_weights(path: str | os.PathLike[str], model: Model) -> None:
    """Write every parameter and buffer of a model to one checksummed file.

    Parameters
    ----------
    path : path
        Replaced as a whole or, on failure, left as it was.
    model : Module, or dict of str to Tensor

    Raises
    ------
    TypeError
        If the arguments are swapped, or `model` is of another type.
    ValueError
        If a weight is called ``__metadata__``, which safetensors reserves.
    OSError
        If the file cannot be written.
    """
    write_arrays(path, _arrays("save_weights", path, model), {})


def load_weights(path: str | os.PathLike[str], model: Model) -> None:
    """Load all weights of a model from a file or, if one does not fit, none.

    Parameters
    ----------
    path : path
        From `save_weights`, or a safetensors file from elsewhere.
    model : Module, or dict of str to Tensor
        Must have the same names, shapes and dtypes. It receives copies.

    Raises
    ------
    TypeError
        If the arguments are swapped, or `model` is of another type.
    CheckpointError
        If the file is damaged, or has other names, shapes or dtypes; the message lists every difference.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from autograd_cnn import nn
    >>> model, twin = (nn.Linear(2, 3, rng=np.random.default_rng(seed)) for seed in (0, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(f"{folder}/weights.safetensors", model)
    ...     load_weights(f"{folder}/weights.safetensors", twin)
    >>> bool((twin.w == model.w).all())
    True
    """
    own = _arrays("load_weights", path, model)
    arrays, _ = read_arrays(path)
    try:
        check_state("load_weights", own, arrays)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if isinstance(model, Module):
        model.load_state_dict(arrays)
    else:
        for name, tensor in model.items():
            tensor.data = arrays[name]


def _arrays(caller: str, path: str | os.PathLike[str], model: Model) -> dict[str, np.ndarray]:
    """Check both arguments, and return the arrays of the model by name."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{caller}: the path is a {type(path).__name__}; call {caller}(path, model)")
    if not isinstance(model, (Module, Mapping)):
        raise TypeError(
            f"{caller}: the model is a {type(model).__name__}, want a Module, or a dict of names to Tensors"
        )
    return model.state_dict() if isinstance(model, Module) else {name: t.data for name, t in model.items()}
