"""Computes what layers do beside convolutions: normalisation, dropout, embeddings, attention, recurrent steps.

Channels are the last axis. `batch_norm` and `standardize` are primitives; the rest are functions of primitives. The
generator that draws initial weights, and dropout's masks where the caller passes none, comes first.

A recurrent step turns the sums of all gates, from the input and from the hidden state, into the next states. `scan`
repeats it.
"""

from __future__ import annotations

import builtins
import math
from functools import cache
from typing import Any

import numpy as np

from autograd_cnn.checks import count, number
from autograd_cnn.engine.arrays import as_floats
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.mode import current, scope
from autograd_cnn.engine.numpy_calls import checked, constant, plain_array
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.activations import sigmoid, softmax
from autograd_cnn.ops.arithmetic import astype, divide, multiply, sqrt, square, tanh, where
from autograd_cnn.ops.axes import Axis, X, as_float, fixed, rescaling
from autograd_cnn.ops.indexing import split, stack, take
from autograd_cnn.ops.products import matmul
from autograd_cnn.ops.reductions import in_range, mean, sum, var
from autograd_cnn.ops.shapes import matrix_transpose, moveaxis, reshape
from autograd_cnn.ops.windows import in_nchw

__all__ = [
    "batch_norm", "dropout", "dropout2d", "embedding", "group_norm", "instance_norm", "layer_norm", "one_hot",
    "rms_norm", "scaled_dot_product_attention", "standardize",
]  # fmt: skip


@cache
def _default() -> np.random.Generator:
    return np.random.default_rng(0)  # made when it is first needed, because NumPy imports `random` late as well


def seed(n: int) -> None:
    """Restart the default generator, from which layers draw their weights and dropout its masks without ``rng=``.

    A program starts with ``seed(0)``, so it draws the same numbers in every run. For draws that no other part of a
    program can shift, pass a generator of your own: ``rng=np.random.default_rng(n)``.

    Parameters
    ----------
    n : int
        What ``np.random.default_rng`` takes.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.nn.seed(7)
    >>> w = ag.nn.Linear(2, 3).w.data
    >>> ag.nn.seed(7)
    >>> bool((ag.nn.Linear(2, 3).w == w).all())
    True
    """
    _default().bit_generator.state = np.random.default_rng(n).bit_generator.state


def generator(rng: np.random.Generator | None, caller: str) -> np.random.Generator:
    """Return `rng`, or the default generator for None, which is about to draw.

    Raises
    ------
    TypeError
        For a seed: layers that are each given the same seed would start with the same weights.
    """
    rng = _default() if rng is None else rng
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{caller}: rng is {rng!r}. One generator serves the whole model: rng = np.random.default_rng(0), then "
            f"{caller}(..., rng=rng); or leave it out and call ag.nn.seed(0) once"
        )
    for draws in current.get().draws:  # a second run of a checkpoint draws the same numbers, and `vmap` refuses them
        draws.setdefault(id(rng.bit_generator), (rng.bit_generator, rng.bit_generator.state))
    return rng


def _per_channel(x: Any) -> Any:
    """Sum over all axes but the last."""
    return sum(x, tuple(range(len(x.shape) - 1)))


def _average(x: Any) -> Any:
    """Take the mean of each channel; that of no numbers is 0."""
    return _per_channel(x) / builtins.max(x.size // builtins.max(x.shape[-1], 1), 1)


def _check_shapes(x: Any, shape: tuple[int, ...], **arrays: Any) -> None:
    for name, array in arrays.items():
        if array is not None and np.shape(array) != shape:
            found = f"x {x.shape} has {shape[-1]} channels, {name} is {np.shape(array)}"
            nchw = np.ndim(array) == 1 and in_nchw(x.shape, len(array))
            raise ValueError(f"{found}\n{nchw or f'{name} needs {shape}'}")


def _same_dtype(x: Any, w: Any, b: Any, eps: float, mean: Any, variance: Any) -> tuple[Any, ...]:
    number(fixed(eps, "eps"), "eps")
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm takes both mean and variance, or neither")
    _check_shapes(x, x.shape[-1:], w=w, b=b, mean=mean, variance=variance)
    dtype = np.result_type(*(a for a in (x, w, b, mean, variance) if a is not None))
    x, w, b = (a.astype(dtype, copy=False) for a in (x, w, b))
    if mean is not None:
        mean, variance = mean.astype(dtype), variance.astype(dtype)  # not the arrays of the caller: they get locked
    return x, w, b, float(eps), mean, variance


@primitive(byproducts=("mean_x", "variance_x"), batch="channels", check=_same_dtype)
def batch_norm(x: Any, w: Any, b: Any, eps: float = 1e-5, mean: Any = None, variance: Any = None) -> Any:
    """Brings each channel to mean 0 and variance 1, then scales and shifts it.

    Channels are the last axis. Mean and variance are taken over all others, or are given.

    Parameters
    ----------
    x : (..., C)
    w, b : (C,)
        Scale and shift.
    eps : float
        Added to the variance under the root, so that a constant channel gives the shift, and finite gradients.
    mean, variance : (C,), optional
        Statistics to use in place of those of `x`, as in evaluation. Give both or neither.

    Returns
    -------
    (..., C)

    Raises
    ------
    ValueError
        If one of the others does not have shape (C,), or only one of `mean` and `variance` is given.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", 2015.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if mean is not None:
            return (x - mean) / np.sqrt(variance + eps) * w + b, mean, variance
        mean = _average(x)
        return _normal(x, eps)[0] * w + b, mean, _average(np.square(x - mean))


def _normal(x: Any, eps: float) -> tuple[Any, Any]:
    """Return ``(x - mean) / deviation`` for each channel, and 1 / deviation."""
    axes = tuple(range(len(x.shape) - 1))
    x, size, s = in_range(lambda x, s: _average(square(x - _average(x))) + eps * s * s, x, axes)
    scale = divide(1, sqrt(size))
    return (x - _average(x)) * scale, scale if s is None else scale * s


def _batch_norm_rule(g: Any, x: Any, w: Any, eps: float, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
    """gx = (gn - mean(gn) - n * mean(gn * n)) / deviation, where n = (x - mean(x)) / deviation and gn = g * w
    gx = gn / deviation if the statistics are given.
    """
    gn = g * w
    if mean is None:
        normal, scale = _normal(x, eps)
        gx = (gn - _average(gn) - normal * _average(gn * normal)) * scale
    else:
        scale = divide(1, sqrt(variance + eps))
        normal, gx = (x - mean) * scale, gn * scale
    return gx, _per_channel(g * normal), _per_channel(g)


batch_norm.vjp(x=_batch_norm_rule, w=_batch_norm_rule, b=_batch_norm_rule)
batch_norm.vjp(
    mean=lambda g, w, eps, variance: -_per_channel(g) * w / sqrt(variance + eps),
    variance=lambda g, x, w, eps, mean, variance: (
        _per_channel(g * ((x - mean) / sqrt(variance + eps))) * w * -0.5 / (variance + eps)
    ),
)


@primitive(batch="axes", check=lambda x, axis, eps: (x, axis, number(fixed(eps, "eps"), "eps")))
def standardize(x: Any, axis: Axis = -1, eps: float = 1e-5) -> Any:
    """Brings the numbers along `axis` to mean 0 and variance 1: ``(x - mean) / sqrt(variance + eps)``.

    The variance divides by the count.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        centred = x - np.mean(x, axis, keepdims=True)
        size = np.mean(centred * centred, axis, keepdims=True) + centred.dtype.type(eps)
    if (s := rescaling(x, axis, size)) is not None:
        centred = x * s
        centred = centred - np.mean(centred, axis, keepdims=True)
        size = np.mean(centred * centred, axis, keepdims=True) + eps * s * s
    return centred / np.sqrt(size)


def _standardize_rule(g: Any, x: Any, out: Any, axis: Axis, eps: float) -> Any:
    _, size, s = in_range(lambda x, s: var(x, axis, keepdims=True) + eps * s * s, x, axis)
    scale = divide(1 if s is None else s, sqrt(size))
    return scale * (g - mean(g, axis, True) - out * mean(g * out, axis, True))


standardize.vjp(x=_standardize_rule)


def _scaled(x: Any, w: Any, b: Any, ndim: int = 1) -> Any:
    shape = x.shape[len(x.shape) - ndim :]
    _check_shapes(x, shape, w=w, b=b)
    x = x if w is None else x * w
    return x if b is None else x + b


def _last_axes(x: Any, normalized_shape: int | tuple[int, ...]) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not shape or np.shape(x)[-len(shape) :] != shape:
        raise ValueError(f"x {np.shape(x)}, normalized_shape {normalized_shape}\nIt has the extents of x's last axes")
    return tuple(range(-len(shape), 0))


def layer_norm(x: Any, normalized_shape: int | tuple[int, ...], w: Any = None, b: Any = None, eps: float = 1e-5) -> Any:
    """Brings each example to mean 0 and variance 1 over its last axes, then scales and shifts it.

    `normalized_shape` has the extents of these axes, and is the shape of `w` and `b`. See J. Ba et al., "Layer
    Normalization", 2016.
    """
    axes = _last_axes(x, normalized_shape)
    return _scaled(standardize(x, axes, eps), w, b, len(axes))


def rms_norm(x: Any, normalized_shape: int | tuple[int, ...], w: Any = None, eps: float | None = None) -> Any:
    """Divides each example by the root of its mean square over the last axes, then scales it.

    `eps`, by default that of the dtype, is added to the mean square.
    """
    x = as_float(x)
    eps = float(np.finfo(x.dtype).eps) if eps is None else number(fixed(eps, "eps"), "eps")
    axes = _last_axes(x, normalized_shape)
    x, size, _ = in_range(lambda x, s: mean(square(x), axes, keepdims=True) + eps * s * s, x, axes)
    return _scaled(x / sqrt(size), w, None, len(axes))


def group_norm(x: Any, num_groups: int, w: Any = None, b: Any = None, eps: float = 1e-5) -> Any:
    """Brings each group of channels of each example to mean 0 and variance 1, then scales and shifts the channels.

    `x` is (N, ..., C), `w` and `b` are (C,). Groups are adjacent channels. See Y. Wu, K. He, "Group Normalization",
    2018.
    """
    shape, channels = x.shape, x.shape[-1]
    if channels % count(num_groups, "num_groups"):
        raise ValueError(f"group_norm: num_groups={num_groups} does not divide {channels} channels")
    groups = moveaxis(reshape(x, (*shape[:-1], num_groups, channels // num_groups)), -2, 1)  # rows add up quickly
    normal = standardize(groups, tuple(range(1 - len(shape), 0)), eps)
    return _scaled(reshape(moveaxis(normal, 1, -2), shape), w, b)


def instance_norm(x: Any, w: Any = None, b: Any = None, eps: float = 1e-5) -> Any:
    """Brings each channel of each image to mean 0 and variance 1, then scales and shifts it.

    `x` is (N, ..., C), `w` and `b` are (C,).
    """
    return _scaled(standardize(x, tuple(range(1, len(x.shape) - 1)), eps), w, b)


def _indices(indices: Any, count: int) -> Any:
    """Return integers as an array; others, and those that are no index of `count` rows, raise an error."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise IndexError(f"indices are {indices.dtype}, want integers\nindices.astype(np.int64)")
    for place in np.argwhere((indices < 0) | (indices >= count))[:1].tolist():
        raise IndexError(f"index {indices[tuple(place)]} at {place}, want 0..{count - 1}")
    return indices


def embedding(indices: Any, weight: Any) -> Any:
    """Picks rows of a table: integers (...) and `weight` (n, d) give (..., d).

    A row that is picked twice receives both gradients. Negative indices are refused.
    """
    if np.ndim(weight) != 2:
        raise ValueError(f"weight is {np.shape(weight)}, want (n, d): a row per index\nOf others: ag.take(w, i, 0)")
    return take(weight, checked(_indices, indices, len(weight)), 0)


def one_hot(indices: Any, num_classes: int = -1) -> Any:
    """Returns an array of integers, with 1 at each index of a new last axis and 0 elsewhere.

    `num_classes` is by default the largest index plus 1.
    """
    count = int(plain_array(indices).max(initial=-1)) + 1 if num_classes == -1 else num_classes
    indices = constant(_indices, (indices, count), {})
    return np.where(indices[..., None] == np.arange(count), 1, 0)


def dropout(x: X, p: float = 0.5, rng: np.random.Generator | None = None) -> X:
    """Sets a share `p` of the elements of `x` to 0, and scales the others by 1 / (1 - p).

    The mask is a constant of the graph, drawn once. To draw it again, restore the state of `rng`.

    Parameters
    ----------
    x : (...)
    p : float
        Probability of dropping, in [0, 1].
    rng : numpy.random.Generator, optional
        Draws the mask. Default: the generator that ``ag.nn.seed`` restarts.

    Returns
    -------
    (...)

    Raises
    ------
    ValueError
        If `p` is not a probability.

    References
    ----------
    N. Srivastava et al., "Dropout", 2014.
    """
    if not 0 <= fixed(p, "p") <= 1:
        raise ValueError(f"dropout: p is {p}, want a probability in [0, 1]")
    if p == 0:
        return multiply(x, 1)
    stays = generator(rng, "dropout").random(x.shape, np.float32) >= p
    mask = stays * np.result_type(x.dtype, np.float32).type(1 / (1 - p) if p < 1 else 0)
    constant = isinstance(x, Tensor) and isinstance(mask, np.ndarray)
    return multiply(x, Tensor(mask, name="mask") if constant else mask)


def dropout2d(x: Any, p: float = 0.5, rng: np.random.Generator | None = None) -> Any:
    """Sets a share `p` of the channels of each image (N, ..., C) to 0, and scales the others, as `dropout` does."""
    return x * dropout(np.ones((x.shape[0], *(1 for _ in x.shape[2:]), x.shape[-1]), x.dtype), p, rng)


def as_operand(value: Any) -> Any:
    """Return a Tensor or an array as it is, and other values as an array."""
    return value if hasattr(value, "__array_function__") else plain_array(value)


def attention_weights(
    query: Any, key: Any, attn_mask: Any = None, is_causal: bool = False, scale: float | None = None
) -> Any:
    """Return the weights of `scaled_dot_product_attention`, (..., L, S): each row has the sum 1, or is 0 if masked."""
    scale = 1 / math.sqrt(np.shape(query)[-1]) if scale is None else scale
    scores = matmul(multiply(query, scale), matrix_transpose(key))
    allowed: Any = np.tri(*scores.shape[-2:], dtype=bool) if is_causal else True
    if attn_mask is not None:
        mask = as_operand(attn_mask)
        if mask.dtype.kind not in "bf":
            raise TypeError(f"a mask is {mask.dtype}\nWant bool, with the meaning in the docstring, or floats to add")
        if np.broadcast_shapes(mask.shape, scores.shape) != scores.shape:
            raise ValueError(f"a mask is {mask.shape}, want a shape that broadcasts to {scores.shape}")
        if mask.dtype != bool:
            with np.errstate(over="ignore"):  # -1e300 is -inf in float32
                bias = astype(attn_mask, scores.dtype)
            scores, mask = scores + bias, bias > -np.inf
        allowed = allowed & mask
    weights = softmax(scores if allowed is True else where(allowed, scores, np.finfo(scores.dtype).min))
    return weights if attn_mask is None else where(allowed, weights, 0)  # a row may see nothing


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, rng: np.random.Generator | None = None,
) -> Any:  # fmt: skip
    """Takes for each query a mean of the values: ``softmax(query @ key.mT * scale) @ value``.

    The names are PyTorch's. A query that sees no key gets 0.

    Parameters
    ----------
    query : (..., L, E)
    key : (..., S, E)
    value : (..., S, V)
    attn_mask : array of bool or float, broadcastable to (..., L, S), optional
        Bools are True where a query sees a key. Floats are added to the scores; -inf hides a key.
    dropout_p : float
        The share of weights that are set to 0. Pass 0 in evaluation.
    is_causal : bool
        Hide from query i all keys behind i. It may be combined with `attn_mask`.
    scale : float, optional
        Default: ``1 / sqrt(E)``.
    rng : numpy.random.Generator, optional
        Draws the dropped weights. Default: the generator that ``ag.nn.seed`` restarts.

    Returns
    -------
    (..., L, V)

    References
    ----------
    A. Vaswani et al., "Attention Is All You Need", 2017, equation 1.
    """
    query, key, value = as_floats(query, key, value)
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return matmul(weights if dropout_p == 0 else dropout(weights, dropout_p, rng), value)


def lstm_step(from_x: Any, from_h: Any, hidden: Any, cell: Any) -> tuple[Any, ...]:
    """Return the next hidden state h and cell c of an LSTM, with gates i, f (forget) and o, and g for the cell.

    S. Hochreiter, J. Schmidhuber, 1997; F. Gers added f.
    """
    zi, zf, zg, zo = split(from_x + from_h, 4, -1)
    i, f, g, o = sigmoid(zi), sigmoid(zf), tanh(zg), sigmoid(zo)
    c = f * cell + i * g
    h = o * tanh(c)
    return h, c


def gru_step(from_x: Any, from_h: Any, hidden: Any) -> tuple[Any, ...]:
    """Return the next hidden state h of a GRU (K. Cho et al., 2014), with gate r behind the product, as in cuDNN."""
    (xr, xz, xn), (hr, hz, hn) = split(from_x, 3, -1), split(from_h, 3, -1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    h = (1 - z) * n + z * hidden
    return (h,)


def sums(x: Any, w: Any, b: Any) -> Any:
    """Return ``x @ w + b``; `b` may be None."""
    return x @ w if b is None else x @ w + b


def scan(step: Any, x: Any, states: Any, weights: Any, backward: bool = False, alive: Any = None) -> tuple[Any, Any]:
    """Repeat a step over the first axis of `x`, (T, ..., in); return all hidden states, (T, ..., H), and the last ones.

    Each step is a scope, called by its time.

    Parameters
    ----------
    step : callable
        ``(sums of the gates from x, those from the hidden state, *states) -> states``; the hidden state is the first.
    weights : w_ih, w_hh, b_ih, b_hh
        The biases may be None.
    backward : bool
        Begin at the end.
    alive : array of bool, (T, ..., 1), optional
        Where it is False, states stay as they are, and the result is 0.
    """
    w_ih, w_hh, b_ih, b_hh = weights
    inputs, w_hh, outs = sums(x, w_ih.T, b_ih), w_hh.T, []
    for t in range(x.shape[0])[:: -1 if backward else 1]:
        with scope(f"time {t}"):
            new = step(inputs[t], sums(states[0], w_hh, b_hh), *states)
            outs.append(new[0] if alive is None else where(alive[t], new[0], 0))
            states = new if alive is None else [where(alive[t], *pair) for pair in zip(new, states, strict=True)]
    return stack(outs[:: -1 if backward else 1]), states
