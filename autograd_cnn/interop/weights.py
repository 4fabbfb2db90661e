"""Saves and loads the weights of a model in a safetensors file, in this package's layout or in PyTorch's.

In this package's layout, weights have their names in the model, convolutions are (KH, KW, in, out), and linear layers
are (in, out).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.arrayfile import CheckpointError, write_arrays
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop.formats import read_weights
from autograd_cnn.interop.torch import Layout, as_it_is, torch_layouts, torch_names
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import load_tensors
from autograd_cnn.state import Loaded, fit_state

Model = Module | Mapping[str, Tensor]
Source = str | os.PathLike[str] | Mapping[str, Any]
OTHERS = {".pt", ".pth", ".bin", ".h5", ".npz", ".pkl"}  # endings of other formats, whose readers fail on this one


def save_weights(path: str | os.PathLike[str], model: Model, layout: str | None = None, example: Any = None) -> None:
    """Write every parameter and buffer of a model to one checksummed file.

    Parameters
    ----------
    path : path
        Replaced as a whole or, on failure, left as it was. Ends in ``.safetensors``, or in no ending of another format.
    model : Module, or dict of str to Tensor
    layout : "torch", optional
        Writes what the same model in PyTorch loads, ``net.load_state_dict(safetensors.torch.load_file(path))``. `w` and
        `b` become ``weight`` and ``bias``, weights of convolutions become (out, in, KH, KW), and those of dense layers
        (out, in). Behind a flatten of images, the inputs of a dense layer are in the order (C, H, W). The file notes
        its layout.
    example : array or tuple of arrays
        Inputs of `model`, such as one image (1, H, W, C), required with `layout`: a run on them, in evaluation mode,
        shows which operation uses which weight.

    Raises
    ------
    TypeError
        If the arguments are swapped, or `model` is of another type, or `layout` comes without an `example`, or a weight
        for PyTorch is complex128, which safetensors does not have.
    ValueError
        If a weight is called ``__metadata__``, which safetensors reserves, or if `layout` is unknown, or if it is
        unknown how PyTorch has a weight: the message names the weight and the line that makes it unknown. If `path` has
        the ending of another format, such as ``.pt``.
    OSError
        If the file cannot be written.
    """
    arrays = _arrays("save_weights", path, model)
    stem, ending = os.path.splitext(os.fspath(path))
    if ending.lower() in OTHERS:
        name = f"{stem}.safetensors"
        raise ValueError(
            f"save_weights: {os.fspath(path)} would be a safetensors file, which what reads {ending} cannot read. "
            f"Call it {name}; in PyTorch: safetensors.torch.load_file({name!r})"
        )
    plan = _plan("save_weights", model, arrays, layout, example)
    if layout is not None and (wide := [name for name, array in arrays.items() if array.dtype == np.complex128]):
        raise TypeError(f"save_weights: {wide[0]} is complex128, which safetensors lacks. .astype(np.complex64)?")
    converted = {name: form.to_torch(arrays[key]) for key, (name, form) in plan.items()}
    write_arrays(path, converted, {} if layout is None else {"layout": layout})


def load_weights(
    path: Source, model: Model, layout: str | None = None, example: Any = None, strict: bool = True
) -> Loaded:
    """Load all weights of a model from a file or, if one does not fit, none.

    Parameters
    ----------
    path : path, or dict of str to array or Tensor of PyTorch
        From `save_weights`, or a file of safetensors, PyTorch (``.pt``, which needs PyTorch) or NumPy (``.npz``). Or
        the weights themselves, ``net.state_dict()``.
    model : Module, or dict of str to Tensor
        Must have the same names and shapes; names of the file may all have the same prefix, such as ``module.``. It
        receives copies. A dtype with fewer bits, such as float16 and bfloat16, is converted.
    layout : "torch", optional
        The weights are PyTorch's, or from `save_weights` with this layout. ``num_batches_tracked`` are not needed.
    example : array or tuple of arrays
        Inputs of `model`, such as one image (1, H, W, C), required with `layout`: a run on them shows which operation
        uses which weight.
    strict : bool
        False loads what fits and leaves the rest, such as another head.

    Returns
    -------
    Loaded
        The names that were left on either side, and the prefix.

    Raises
    ------
    TypeError
        If the arguments are swapped, or `model` is of another type, or `layout` comes without an `example`.
    ValueError
        If `layout` is unknown, or if it is unknown how PyTorch has a weight.
    CheckpointError
        If the file is damaged, or is from `save_weights` with another layout, or has other names, shapes or dtypes; the
        message lists every difference. For a model of Keras, it has the call.
    ImportError
        If the file is PyTorch's, and PyTorch is absent.
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
    Loaded(missing_keys=[], unexpected_keys=[], prefix='')
    >>> bool((twin.w == model.w).all())
    True
    """
    own = _arrays("load_weights", path, model, Mapping)
    plan = _plan("load_weights", model, own, layout, example)
    arrays, notes = (path, None) if isinstance(path, Mapping) else read_weights(path)
    if notes is not None and notes.get("layout") != layout:
        whose, options = (
            ("PyTorch's layout", ', layout="torch", example=x') if layout is None else ("its own layout", "")
        )
        raise CheckpointError(
            f"{path}: save_weights wrote it in {whose}; nothing was loaded. Call load_weights(path, model{options})"
        )
    if layout is not None:
        arrays = {name: a for name, a in arrays.items() if name.rpartition(".")[2] != "num_batches_tracked"}
    try:
        there = {name: form.to_torch(own[key]) for key, (name, form) in plan.items()}
        fitted, left = fit_state("load_weights", there, arrays, strict)
    except ValueError as error:
        raise error if isinstance(path, Mapping) else CheckpointError(f"{path}: {error}") from error
    arrays = {key: form.from_torch(fitted[name]) for key, (name, form) in plan.items() if name in fitted}
    tensors = model if isinstance(model, Mapping) else {**dict(model.named_parameters()), **dict(model.named_buffers())}
    load_tensors("load_weights", tensors, arrays, strict)
    return left


def _plan(
    caller: str, model: Model, arrays: Mapping[str, np.ndarray], layout: str | None, example: Any
) -> dict[str, tuple[str, Layout]]:
    """Return the name in the file and the layout of every weight."""
    if layout is None:
        return {name: (name, as_it_is(array.ndim)) for name, array in arrays.items()}
    if layout != "torch":
        raise ValueError(f'{caller}: layout is {layout!r}, want "torch", or None for the layout of this package')
    if not isinstance(model, Module):
        raise TypeError(f'{caller}: layout="torch" needs a Module, whose run shows the use of each weight, not a dict')
    if example is None:
        raise TypeError(
            f'{caller}: layout="torch" needs example=x, an input of the model. What the weights behind a flatten are '
            "in PyTorch depends on the size of the images"
        )
    layouts = torch_layouts(caller, model, example)
    return {path: (name, layouts[path]) for path, name in torch_names(caller, layouts).items()}


def _arrays(caller: str, path: Any, model: Model, *others: type) -> dict[str, np.ndarray]:
    """Check both arguments, and return the arrays of the model by name."""
    if not isinstance(path, (str, os.PathLike, *others)) or isinstance(model, (str, os.PathLike)):
        raise TypeError(f"{caller}: the path is a {type(path).__name__}; call {caller}(path, model)")
    if not isinstance(model, (Module, Mapping)):
        raise TypeError(
            f"{caller}: the model is a {type(model).__name__}, want a Module, or a dict of names to Tensors"
        )
    return model.state_dict() if isinstance(model, Module) else {name: t.data for name, t in model.items()}
