"""`Work`, a workload to time, and the conversion of arrays to PyTorch's layouts and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OURS = "autograd_cnn"
COMPILED, MEMORY_KEPT = "tuned PyTorch, compiled", "tuned PyTorch, memory kept"  # see `compare`
LAYOUTS = {"PyTorch channels_last": "channels_last", "PyTorch default": "contiguous_format"}
# Axes that convert our order to PyTorch's: images NHWC -> NCHW, weights HWIO -> OIHW and (in, out) -> (out, in)
AXES = {("x", 4): (0, 3, 1, 2), ("w", 4): (3, 2, 0, 1), ("w", 2): (1, 0)}


@dataclass(frozen=True)
class Work:
    """A workload to time.

    Parameters
    ----------
    run : function
        Runs it once.
    results : function, optional
        Runs it once; returns arrays in our layout, which must be equal for all libraries.
    per : float
        Units in one run, such as operations or images; times are divided by it.
    roughness : float
        How many times farther than usual equal results may be apart.
    """

    run: Callable[[], object]
    results: Callable[[], list[Array]] | None = None
    per: float = 1
    roughness: float = 1


Builder = Callable[[], Work]


def to_torch(name: str, array: Array, layout: str = "contiguous_format") -> Any:
    """Images "x" or weights "w" as a tensor in PyTorch's order; those with four axes in this memory layout."""
    import torch

    axes = AXES.get((name, array.ndim))
    tensor = torch.from_numpy(array.transpose(axes) if axes else array)
    return tensor.clone(memory_format=getattr(torch, layout) if array.ndim == 4 else torch.contiguous_format)


def from_torch(name: str, tensor: Any) -> Array:
    """The inverse of `to_torch`."""
    array: Array = tensor.detach().numpy()
    axes = AXES.get((name, array.ndim))
    return array.transpose(np.argsort(axes)) if axes else array
