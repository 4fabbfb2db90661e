"""Layers for sequences, with PyTorch's parameters: recurrent layers and their cells, and attention.

Recurrent weights are (gates * hidden_size, in), with the gates in the order i f g o, or r z n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.checks import count
from autograd_cnn.engine.numpy_calls import known, peek
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn.init import glorot_uniform
from autograd_cnn.nn.layers import Dropout, Linear
from autograd_cnn.nn.module import Module
from autograd_cnn.nn.normalization import LayerNorm
from autograd_cnn.ops import activations, concatenate, relu, split, stack, tanh, where
from autograd_cnn.ops.layers import as_operand, attention_weights, generator, gru_step, lstm_step, scan, sums

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "MultiheadAttention", "RNNCell", "TransformerEncoderLayer"]

_NAMES = "weight_ih", "weight_hh", "bias_ih", "bias_hh"


class _Cell(Module):
    """A step, its number of gates and of states, and its parameters; layers have several sets of them."""

    _step: Any
    _gates = _states = 1
    bidirectional = False
    _suffixes: tuple[str, ...] = ("",)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, rng: Any = None, dtype: Any = np.float32
    ) -> None:
        self.input_size, self.hidden_size = count(input_size, "input_size"), count(hidden_size, "hidden_size")
        draw, limit = generator(rng, type(self).__name__).random, 1 / math.sqrt(hidden_size)  # as PyTorch does
        rows = self._gates * hidden_size
        for suffix in self._suffixes:
            inputs = input_size if suffix in ("", "_l0", "_l0_reverse") else hidden_size * (1 + self.bidirectional)
            for name, columns in zip(_NAMES, ((inputs,), (hidden_size,), (), ()), strict=True):
                drawn = Tensor(draw((rows, *columns), dtype) * (2 * limit) - limit, requires_grad=True)
                setattr(self, name + suffix, drawn if columns or bias else None)

    def _weights(self, suffix: str) -> list[Any]:
        return [getattr(self, name + suffix) for name in _NAMES]

    def _check(self, x: Any) -> None:
        if np.shape(x)[-1:] != (self.input_size,):
            raise ValueError(f"{self._title()}: x is {np.shape(x)}, want {self.input_size} features on its last axis")

    def _initial(self, hx: Any, sets: tuple[int, ...], batch: tuple[int, ...]) -> Any:
        """Return the initial states: by default vectors of zeros, which are the same for any layer and batch."""
        if hx is None:
            zeros = np.zeros(self.hidden_size, self._weights(self._suffixes[0])[0].dtype)
            return [Tensor(zeros, name=name) for name in ("h0", "c0")[: self._states]]
        given = hx if isinstance(hx, (tuple, list)) else [hx]
        shapes, want = [np.shape(state) for state in given], [(*sets, *batch, self.hidden_size)] * self._states
        if shapes != want:
            raise ValueError(f"{self._title()}: hx has {str(shapes)[1:-1]}, want {str(want)[1:-1]}")
        return given

    def forward(self, x: Any, hx: Any = None) -> Any:
        self._check(x)
        w_ih, w_hh, b_ih, b_hh = self._weights("")
        states = self._initial(hx, (), np.shape(x)[:-1])
        new = self._step(sums(x, w_ih.T, b_ih), sums(states[0], w_hh.T, b_hh), *states)
        return new if len(new) > 1 else new[0]


class _Layer(_Cell):
    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = True,
        dropout: float = 0.0, bidirectional: bool = False, rng: Generator | None = None, dtype: Any = np.float32,
    ) -> None:  # fmt: skip
        self.num_layers, self.bidirectional = count(num_layers, "num_layers"), bidirectional
        self.batch_first, self.dropout = batch_first, Dropout(dropout, rng)
        ways = "", "_reverse"
        self._suffixes = tuple(f"_l{k}{way}" for k in range(num_layers) for way in ways[: 1 + bidirectional])
        super().__init__(input_size, hidden_size, bias, rng, dtype)

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> Any:
        if np.ndim(x) not in (2, 3) or not x.shape[-2 if self.batch_first else 0]:
            raise ValueError(f"{self._title()}: x is {np.shape(x)}, want a batch of sequences, or one (T, features)")
        self._check(x)
        x = x.swapaxes(0, -2) if self.batch_first else x
        alive = None if lengths is None else _alive(as_operand(lengths), *x.shape[:-1])
        x = x if alive is None else where(alive, x, 0)  # a NaN in the padding would reach the gradients of the weights
        states = self._initial(hx, (len(self._suffixes),), x.shape[1:-1])
        found: list[Any] = []
        for k, suffix in enumerate(self._suffixes):
            start, backward = [state if hx is None else state[k] for state in states], suffix.endswith("_reverse")
            found.append(scan(self._step, x, start, self._weights(suffix), backward, alive))
            if backward or not self.bidirectional:
                x = concatenate([out for out, _ in found[-2:]], -1) if self.bidirectional else found[-1][0]
                x = self.dropout(x) if k + 1 < len(self._suffixes) else x
        last = tuple(stack(parts) for parts in zip(*(end for _, end in found), strict=True))
        return x.swapaxes(0, -2) if self.batch_first else x, last if len(last) > 1 else last[0]


def _alive(n: Any, steps: int, *batch: int) -> Any:
    """Return whether each place is before the end of its sequence of length `n`, (T, ..., 1)."""
    if n.shape != batch or n.dtype.kind not in "iu" or (known(n) and np.any((peek(n) < 0) | (peek(n) > steps))):
        raise ValueError(f"lengths are {n!r:.60}, want ints from 0 to {steps}, of shape {batch}")
    return (np.arange(steps) < n[..., None]).T[..., None]


class LSTM(_Layer):
    """Reads sequences with a long short-term memory: (N, T, input_size) -> (N, T, hidden_size), and the last states.

    Call it as ``out, (h, c) = lstm(x)``, ``lstm(x, (h0, c0))`` or ``lstm(x, lengths=lengths)``. A sequence without a
    batch is (T, input_size).

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias : bool
    batch_first : bool
        Whether `x` and `out` have the batch first, as everything here; PyTorch's default is False: (T, N, features).
    dropout : float
        The share of each layer's results, except the last layer's, that training sets to 0.
    bidirectional : bool
        Adds layers that read from the end. `out` has both results side by side, (N, T, 2 * hidden_size).
    rng : numpy.random.Generator, optional
        Draws the initial weights and the masks of dropout. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    weight_ih_l0, ... : Tensor, (4 * hidden_size, inputs of the layer)
        The rows of the gates i, f, g and o, in this order, as in PyTorch. ``_l1`` is the second layer, and
        ``_l0_reverse`` the first that reads from the end.
    weight_hh_l0, ... : Tensor, (4 * hidden_size, hidden_size)
    bias_ih_l0, bias_hh_l0, ... : Tensor, (4 * hidden_size,), or None

    Notes
    -----
    The initial states `hx` and the last ones are (num_layers, N, hidden_size), twice as many with `bidirectional`,
    whatever `batch_first` is. `lengths`, (N,), are the true lengths of padded sequences. Behind the end of a sequence
    results are 0, and its last states are those at its end, as PyTorch's ``pack_padded_sequence`` and
    ``pad_packed_sequence`` give them. Reading from the end begins at the true end.

    Raises
    ------
    ValueError
        If the shapes of `x`, `hx` or `lengths` do not fit.

    Examples
    --------
    >>> from autograd_cnn import nn
    >>> lstm = nn.LSTM(3, 5, num_layers=2, bidirectional=True)
    >>> out, (h, c) = lstm(np.zeros((4, 7, 3), np.float32), lengths=[7, 2, 1, 5])
    >>> out.shape, h.shape
    ((4, 7, 10), (4, 4, 5))
    """

    _step, _gates, _states = staticmethod(lstm_step), 4, 2


class GRU(_Layer):
    """Reads sequences with gated recurrent units: (N, T, input_size) -> (N, T, hidden_size), and the last states.

    Call it as ``out, h = gru(x)``, ``gru(x, h0)`` or ``gru(x, lengths=lengths)``. A sequence without a batch is
    (T, input_size).

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias : bool
    batch_first : bool
        Whether `x` and `out` have the batch first, as everything here; PyTorch's default is False: (T, N, features).
    dropout : float
        The share of each layer's results, except the last layer's, that training sets to 0.
    bidirectional : bool
        Adds layers that read from the end. `out` has both results side by side, (N, T, 2 * hidden_size).
    rng : numpy.random.Generator, optional
        Draws the initial weights and the masks of dropout. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    weight_ih_l0, ... : Tensor, (3 * hidden_size, inputs of the layer)
        The rows of the gates r, z and n, in this order, as in PyTorch. ``_l1`` is the second layer, and
        ``_l0_reverse`` the first that reads from the end.
    weight_hh_l0, ... : Tensor, (3 * hidden_size, hidden_size)
    bias_ih_l0, bias_hh_l0, ... : Tensor, (3 * hidden_size,), or None

    Notes
    -----
    The initial states `hx` and the last ones are (num_layers, N, hidden_size), twice as many with `bidirectional`,
    whatever `batch_first` is. `lengths`, (N,), are the true lengths of padded sequences. Behind the end of a sequence
    results are 0, and its last states are those at its end, as PyTorch's ``pack_padded_sequence`` and
    ``pad_packed_sequence`` give them. Reading from the end begins at the true end.

    Raises
    ------
    ValueError
        If the shapes of `x`, `hx` or `lengths` do not fit.
    """

    _step, _gates = staticmethod(gru_step), 3


class _Nonlinear(_Cell):
    def __init__(self, *sizes: Any, nonlinearity: str = "tanh", **options: Any) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'{type(self).__name__}: nonlinearity is {nonlinearity!r}, want "tanh" or "relu"')
        self.nonlinearity = nonlinearity
        super().__init__(*sizes, **options)

    def _step(self, x: Any, h: Any, hidden: Any) -> Any:
        return (relu(x + h) if self.nonlinearity == "relu" else tanh(x + h),)


class RNN(_Nonlinear, _Layer):
    """Reads sequences by ``h = tanh(x w + h u + b)``: (N, T, input_size) -> (N, T, hidden_size), and the last states.

    Call it as ``out, h = rnn(x)``, ``rnn(x, h0)`` or ``rnn(x, lengths=lengths)``. A sequence without a batch is
    (T, input_size).

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias : bool
    batch_first : bool
        Whether `x` and `out` have the batch first, as everything here; PyTorch's default is False: (T, N, features).
    dropout : float
        The share of each layer's results, except the last layer's, that training sets to 0.
    bidirectional : bool
        Adds layers that read from the end. `out` has both results side by side, (N, T, 2 * hidden_size).
    nonlinearity : {"tanh", "relu"}
    rng : numpy.random.Generator, optional
        Draws the initial weights and the masks of dropout. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    weight_ih_l0, ... : Tensor, (hidden_size, inputs of the layer)
        ``_l1`` is the second layer, and
        ``_l0_reverse`` the first that reads from the end.
    weight_hh_l0, ... : Tensor, (hidden_size, hidden_size)
    bias_ih_l0, bias_hh_l0, ... : Tensor, (hidden_size,), or None

    Notes
    -----
    The initial states `hx` and the last ones are (num_layers, N, hidden_size), twice as many with `bidirectional`,
    whatever `batch_first` is. `lengths`, (N,), are the true lengths of padded sequences. Behind the end of a sequence
    results are 0, and its last states are those at its end, as PyTorch's ``pack_padded_sequence`` and
    ``pad_packed_sequence`` give them. Reading from the end begins at the true end.

    Raises
    ------
    ValueError
        If the shapes of `x`, `hx` or `lengths` do not fit.
    """


class LSTMCell(_Cell):
    """Makes one step of an `LSTM`: ``h, c = cell(x, (h, c))``, for (N, input_size) and twice (N, hidden_size).

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    weight_ih : Tensor, (4 * hidden_size, input_size)
    weight_hh : Tensor, (4 * hidden_size, hidden_size)
    bias_ih, bias_hh : Tensor, (4 * hidden_size,), or None
    """

    _step, _gates, _states = staticmethod(lstm_step), 4, 2


class GRUCell(_Cell):
    """Makes one step of a `GRU`: ``h = cell(x, h)``, for (N, input_size) and (N, hidden_size).

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    weight_ih : Tensor, (3 * hidden_size, input_size)
    weight_hh : Tensor, (3 * hidden_size, hidden_size)
    bias_ih, bias_hh : Tensor, (3 * hidden_size,), or None
    """

    _step, _gates = staticmethod(gru_step), 3


class RNNCell(_Nonlinear):
    """Makes one step of an `RNN`: ``h = cell(x, h)``, for (N, input_size) and (N, hidden_size).

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    nonlinearity : {"tanh", "relu"}
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    weight_ih : Tensor, (hidden_size, input_size)
    weight_hh : Tensor, (hidden_size, hidden_size)
    bias_ih, bias_hh : Tensor, (hidden_size,), or None
    """


def _check_mask(name: str, mask: Any, *shapes: tuple[int, ...]) -> None:
    if mask is not None and np.shape(mask) not in shapes:
        raise ValueError(f"MultiheadAttention: {name} is {np.shape(mask)}, want {' or '.join(map(str, shapes))}")


class MultiheadAttention(Module):
    """Lets each place of a query see the places of a key, in several heads: (N, L, embed_dim) -> the same.

    Call it as ``out, weights = attention(query, key, value)``; `key` is `query` by default, and `value` is `key`.

    Parameters
    ----------
    embed_dim, num_heads : int
        The heads share the features: each has ``embed_dim / num_heads``.
    dropout : float
        The share of weights that training sets to 0.
    bias : bool
    batch_first : bool
        Whether arrays have the batch first, as everything here; PyTorch's default is False: (L, N, features).
    rng : numpy.random.Generator, optional
        Draws the initial weights and the masks of dropout. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    in_proj_weight : Tensor, (3 * embed_dim, embed_dim)
        The rows that make queries, keys and values, as in PyTorch.
    in_proj_bias : Tensor, (3 * embed_dim,), or None
    out_proj : Linear

    Notes
    -----
    The arguments of a call are PyTorch's. `key_padding_mask`, (N, S), and `attn_mask`, (L, S) or (N * num_heads, L, S),
    are True where a key is *hidden*, the opposite of ``ag.scaled_dot_product_attention``, or floats to add to the
    scores. ``is_causal=True`` needs no mask besides. A query that sees no key gets the weights 0; PyTorch returns NaN.
    With ``need_weights=False``, `weights` is None; ``average_attn_weights=False`` returns those of each head,
    (N, num_heads, L, S).

    Raises
    ------
    ValueError
        If `num_heads` does not divide `embed_dim`, or a mask has another shape.

    References
    ----------
    A. Vaswani et al., "Attention Is All You Need", 2017, section 3.2.2.

    Examples
    --------
    >>> from autograd_cnn import nn
    >>> out, weights = nn.MultiheadAttention(8, 2)(np.ones((4, 5, 8), np.float32), is_causal=True)
    >>> out.shape, weights[0, 1].data
    ((4, 5, 8), array([0.5, 0.5, 0. , 0. , 0. ], dtype=float32))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, batch_first: bool = True,
        rng: Generator | None = None, dtype: Any = np.float32,
    ) -> None:  # fmt: skip
        if count(embed_dim, "embed_dim") % count(num_heads, "num_heads"):
            raise ValueError(f"MultiheadAttention: num_heads={num_heads} does not divide embed_dim={embed_dim}")
        self.num_heads, self.batch_first, self.dropout = num_heads, batch_first, Dropout(dropout, rng)
        shape = 3 * embed_dim, embed_dim
        self.in_proj_weight = Tensor(glorot_uniform(shape, self.dropout.rng, dtype), requires_grad=True)
        self.in_proj_bias = Tensor(np.zeros(3 * embed_dim, dtype), requires_grad=True) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, glorot_uniform, rng, dtype)

    def _heads(self, x: Any, w: Any, b: Any) -> Any:
        """Return projected features, (..., num_heads, places, features of a head)."""
        return sums(x, w.T, b).reshape(*x.shape[:-1], self.num_heads, -1).swapaxes(-3, -2)

    def forward(
        self, query: Any, key: Any = None, value: Any = None, key_padding_mask: Any = None, need_weights: bool = True,
        attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> Any:  # fmt: skip
        swapped, key = np.ndim(query) == 3 and not self.batch_first, query if key is None else key
        operands = [x.swapaxes(0, 1) if swapped else x for x in (query, key, key if value is None else value)]
        biases = [None] * 3 if self.in_proj_bias is None else split(self.in_proj_bias, 3)
        q, k, v = map(self._heads, operands, split(self.in_proj_weight, 3), biases)
        batch, length, seen = q.shape[:-2], q.shape[-2], k.shape[-2]
        _check_mask("attn_mask", attn_mask, (length, seen), (math.prod(batch), length, seen))
        _check_mask("key_padding_mask", key_padding_mask, (*batch[:-1], seen))
        masks = [attn_mask if np.ndim(attn_mask) < 3 else attn_mask.reshape(*batch, length, seen)]
        masks += [None if key_padding_mask is None else key_padding_mask[..., None, None, :]]
        masks = [np.where(m, -np.inf, 0) if m.dtype == bool else m for m in masks if m is not None]
        weights = attention_weights(q, k, sum(masks[1:], masks[0]) if masks else None, is_causal)
        out = self.out_proj((self.dropout(weights) @ v).swapaxes(-3, -2).reshape(operands[0].shape))
        shown = (weights.mean(-3) if average_attn_weights else weights) if need_weights else None
        return out.swapaxes(0, 1) if swapped else out, shown


class TransformerEncoderLayer(Module):
    """Mixes the places of a sequence by attention, then the features of each place: (N, L, d_model) -> the same.

    Parameters
    ----------
    d_model : int
        The features of each place.
    nhead : int
        The heads of the attention; each has ``d_model / nhead`` features.
    dim_feedforward : int
        The features between the two dense layers.
    dropout : float
        The share of numbers that training sets to 0.
    activation : str or callable
        The name of an activation here, or a function.
    layer_norm_eps : float
    batch_first : bool
        Whether arrays have the batch first, as everything here; PyTorch's default is False: (L, N, features).
    norm_first : bool
        Normalise before attention and before the dense layers, rather than behind the sums.
    bias : bool
    rng : numpy.random.Generator, optional
        Draws the initial weights and the masks of dropout. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Notes
    -----
    A call takes `src_mask`, `src_key_padding_mask` and `is_causal`, as `MultiheadAttention` does. The modules have
    PyTorch's names: self_attn, linear1, linear2, norm1, norm2.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation: Any = "relu",
        layer_norm_eps: float = 1e-5, batch_first: bool = True, norm_first: bool = False, bias: bool = True,
        rng: Generator | None = None, dtype: Any = np.float32,
    ) -> None:  # fmt: skip
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first, rng, dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, glorot_uniform, rng, dtype)
        self.linear2 = Linear(dim_feedforward, d_model, bias, glorot_uniform, rng, dtype)
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, True, bias, dtype) for _ in range(2))
        self.dropout, self.norm_first = Dropout(dropout, rng), norm_first
        self.activation: Any = getattr(activations, activation, None) if isinstance(activation, str) else activation
        if self.activation is None:
            raise ValueError(f'{type(self).__name__}: activation is {activation!r}, want "relu", "gelu" or a function')

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        def attend(x: Any) -> Any:
            return self.dropout(self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, False, is_causal)[0])

        def feed(x: Any) -> Any:
            return self.dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        x = src + attend(self.norm1(src)) if self.norm_first else self.norm1(src + attend(src))
        return x + feed(self.norm2(x)) if self.norm_first else self.norm2(x + feed(x))
