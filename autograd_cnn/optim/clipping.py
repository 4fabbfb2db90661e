"""Limits the norm of the gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autograd_cnn.engine.tensor import Tensor

__all__ = ["clip_grad_norm"]


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2) -> float:
    """Scale all gradients by one factor, in place, so that their common norm is at most `max_norm`.

    Call it between `backward` and `step`.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
    norm_type : float
        The order of the norm; ``math.inf`` takes the largest absolute value.

    Returns
    -------
    float
        The norm before. If it is not finite, the gradients stay as they are.

    Raises
    ------
    ValueError
        If `max_norm` is negative or NaN.

    References
    ----------
    R. Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, algorithm 1.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm([w], max_norm=1)
    10.0
    >>> w.grad
    array([0.6, 0.8])
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm: max_norm is {max_norm}, want 0 or more")
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    with_gradient = [p for p in parameters if p.grad is not None]
    arrays = [p.grad.data if isinstance(p.grad, Tensor) else p.grad for p in with_gradient]
    norms = [float(np.linalg.norm(np.abs(a.reshape(-1)).astype(np.float64), norm_type)) for a in arrays if a.size]
    norm = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if max_norm < norm < math.inf:
        for p, array in zip(with_gradient, arrays, strict=True):
            if array.flags.writeable:
                np.multiply(array, array.dtype.type(max_norm / norm), out=array)
            else:
                p.grad = array * array.dtype.type(max_norm / norm)
    return norm
