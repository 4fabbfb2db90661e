"""Functions of sequences: attention, and the steps of recurrent layers.

A step turns the sums of all gates, from the input and from the hidden state, into the next states. `scan` repeats it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_cnn.engine.arrays import as_floats
from autograd_cnn.engine.mode import current, in_mode
from autograd_cnn.engine.numpy_calls import plain_array
from autograd_cnn.ops.activations import sigmoid, softmax
from autograd_cnn.ops.arithmetic import astype, multiply, tanh, where
from autograd_cnn.ops.indexing import split, stack
from autograd_cnn.ops.normalization import dropout
from autograd_cnn.ops.products import matmul
from autograd_cnn.ops.shapes import matrix_transpose

__all__ = ["scaled_dot_product_attention"]


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


def lstm_step(x: Any, h: Any, hidden: Any, cell: Any) -> tuple[Any, ...]:
    """Return the next hidden state and cell of an LSTM (S. Hochreiter, J. Schmidhuber, 1997; F. Gers added gate f)."""
    zi, zf, zg, zo = split(x + h, 4, -1)
    i, f, g, o = sigmoid(zi), sigmoid(zf), tanh(zg), sigmoid(zo)
    c = f * cell + i * g
    return o * tanh(c), c


def gru_step(x: Any, h: Any, hidden: Any) -> tuple[Any, ...]:
    """Return the next hidden state of a GRU (K. Cho et al., 2014), with gate r behind the product, as in cuDNN."""
    (xr, xz, xn), (hr, hz, hn) = split(x, 3, -1), split(h, 3, -1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    return ((1 - z) * n + z * hidden,)


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
    inputs, w_hh, outs, around = sums(x, w_ih.T, b_ih), w_hh.T, [], current.get().scope
    for t in range(x.shape[0])[:: -1 if backward else 1]:
        with in_mode(scope=(f"{around[0] + '.' if around else ''}time {t}", around, "")):
            new = step(inputs[t], sums(states[0], w_hh, b_hh), *states)
            outs.append(new[0] if alive is None else where(alive[t], new[0], 0))
            states = new if alive is None else [where(alive[t], *pair) for pair in zip(new, states, strict=True)]
    return stack(outs[:: -1 if backward else 1]), states
