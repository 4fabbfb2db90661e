"""Reads weights from files of other programs: safetensors, PyTorch's and NumPy's.

A file is recognised by its first bytes, because an ending such as ``.bin`` has several meanings. Nothing is executed.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.arrayfile import CheckpointError, read_arrays
from autograd_cnn.environment import needs
from autograd_cnn.files import read


def read_weights(path: str | os.PathLike[str]) -> tuple[Mapping[str, Any], dict[str, Any] | None]:
    """Read arrays, or Tensors of PyTorch, by name, and the notes of `save_weights`, which other files lack.

    Raises
    ------
    CheckpointError
        If the file is damaged, or of another format. For one of Keras, the message has the call.
    ImportError
        If the file is PyTorch's, and PyTorch is absent.
    OSError
        If the file cannot be read.
    """
    path = os.fspath(path)
    start = read(path, 9)
    try:
        if start[4:] == b"\0\0\0\0{" or not start.startswith((b"PK", b"\x80", b"{", b"\x89HDF")):
            return read_arrays(path)  # the length of its header, and the header
        if start.startswith(b"{"):
            call = "{name: a for part in parts for name, a in safetensors.numpy.load_file(part).items()}"
            raise ValueError(f"JSON, perhaps the index of a file in parts. Pass the arrays of all parts: {call}")
        inside = zipfile.ZipFile(path).namelist() if start.startswith(b"PK") else []
        if "model.weights.h5" in inside or start.startswith(b"\x89HDF"):
            whole = "net.load_weights" if path.endswith(".weights.h5") else "net = keras.saving.load_model"
            raise ValueError(f"written by Keras: {whole}({path!r}); model.load_state_dict(net.get_weights())")
        if inside and all(name.endswith(".npy") for name in inside):
            return dict(np.load(path)), None
        return _from_torch(path), None
    except (FileNotFoundError, ImportError, CheckpointError):
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # damage gives zipfile, NumPy and PyTorch errors of many types
        raise CheckpointError(f"{path}: damaged ({error}). Restore it from a copy") from error


def _from_torch(path: str) -> Mapping[str, Any]:
    """Read a file of ``torch.save``: a state, or a dict that has one."""
    with needs("torch", f"reading {path}, a file of PyTorch,", "torch"):
        import torch
    try:
        loaded = torch.load(path, "cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        call = f"load_weights(torch.load({path!r}, weights_only=False).state_dict(), model, layout='torch', example=x)"
        raise ValueError(f"damaged, or more than weights. If you trust it: {call}") from error
    states = {name: value for name, value in {"": loaded, **loaded}.items() if _is_state(value)}
    if len(states) != 1:
        call = f"load_weights(torch.load({path!r})[name], model, layout='torch', example=x)"
        raise ValueError(f"has {', '.join(map(str, states or loaded))}: {call}")
    return next(iter(states.values()))


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(hasattr(array, "shape") for array in value.values())
