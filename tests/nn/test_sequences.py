"""Recurrent layers and attention: values and gradients against PyTorch, padding, masks, and errors."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn

RECURRENT = ["RNN", "LSTM", "GRU"]


def flat(value):
    """The arrays of nested tuples, ours or PyTorch's, without None."""
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in flat(part)]
    return [] if value is None else [value.data if isinstance(value, ag.Tensor) else value.detach().numpy()]


def copy_weights(net, layer):
    """Give our layer PyTorch's weights."""
    ours = dict(layer.named_parameters())
    for name, p in net.named_parameters():
        head, _, last = name.rpartition(".")
        tensor, array = ours[f"{head}.{last[0]}" if last in ("weight", "bias") else name], p.detach().numpy()
        tensor.data = (array.T if last == "weight" and array.ndim == 2 else array).copy()


def compare(torch, net, layer, ours, theirs, inputs, their_inputs):
    """Compare results, and the gradients of inputs and parameters for the same random seeds."""
    rng, tolerance = np.random.default_rng(1), 1e-10 if inputs[0].dtype == np.float64 else 2e-4
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)
        assert a.dtype == b.dtype
    seeds = [rng.normal(size=a.shape).astype(a.dtype) for a in flat(ours)]
    sum((a * seed).sum() for a, seed in zip(tensors(ours), seeds, strict=True)).backward()
    sum((b * torch.tensor(seed)).sum() for b, seed in zip(tensors(theirs), seeds, strict=True)).backward()
    for a, b in zip(inputs, their_inputs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, 10 * tolerance, 10 * tolerance)
    grads = {name.replace(".w", ".weight").replace(".b", ".bias"): p.grad for name, p in layer.named_parameters()}
    for name, p in net.named_parameters():
        got = grads[name] if p.ndim != 2 or "." not in name or "in_proj" in name else grads[name].T
        np.testing.assert_allclose(got, p.grad, 10 * tolerance, 10 * tolerance, err_msg=name)


def tensors(value):
    if isinstance(value, (tuple, list)):
        return [t for part in value for t in tensors(part)]
    return [] if value is None else [value]


def both(torch, rng, dtype, *shapes):
    """Random inputs, ours and PyTorch's, that need gradients."""
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    return [ag.Tensor(a, requires_grad=True) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]


CELLS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("RNN", {"bias": False}), ("LSTM", {}), ("GRU", {})]


@pytest.mark.parametrize(("name", "options"), CELLS)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_layer_repeats_its_cell(name, options, batch, rng):
    x, state = rng.normal(size=(*batch, 4, 3)), None
    layer, cell = (getattr(nn, name + kind)(3, 5, **options, dtype=float) for kind in ("", "Cell"))
    cell.load_state_dict({part.removesuffix("_l0"): array for part, array in layer.state_dict().items()})
    out, last = layer(x)
    for t in range(4):
        state = cell(x[..., t, :], state)
        h = state[0] if name == "LSTM" else state
        np.testing.assert_allclose(h.data, out.data[..., t, :], 1e-12)
    for a, b in zip(flat(state), flat(last), strict=True):
        np.testing.assert_allclose(a, b[0], 1e-12)


def test_lengths_give_what_each_sequence_gives_alone(rng):
    x, lengths = rng.normal(size=(3, 5, 2)), np.array([5, 2, 0])
    x[np.arange(5) >= lengths[:, None]] = np.nan  # the padding may be anything
    layer = nn.LSTM(2, 3, num_layers=2, bidirectional=True, dtype=float)
    out, (h, c) = layer(x, lengths=lengths)
    for k in (0, 1):
        alone, (h_alone, c_alone) = layer(x[k, : lengths[k]])
        np.testing.assert_allclose(out.data[k, : lengths[k]], alone.data, 1e-12)
        np.testing.assert_allclose([h.data[:, k], c.data[:, k]], [h_alone.data, c_alone.data], 1e-12)
    assert not out.data[1, 2:].any() and not out.data[2].any() and not h.data[:, 2].any()
    (out.sum() + h.sum()).backward()
    assert all(np.isfinite(p.grad).all() for p in layer.parameters())


def test_the_time_may_be_the_first_axis(rng):
    x = rng.normal(size=(3, 5, 2)).astype(np.float32)
    for make in (lambda **o: nn.GRU(2, 4, **o), lambda **o: nn.TransformerEncoderLayer(2, 1, 4, dropout=0.0, **o)):
        first, second = make(), make(batch_first=False)
        second.load_state_dict(first.state_dict())
        out, other = (m(x.swapaxes(0, 1) if m is second else x) for m in (first, second))
        out, other = (o[0] if isinstance(o, tuple) else o for o in (out, other))
        np.testing.assert_allclose(out.data, other.data.swapaxes(0, 1), 1e-6, 1e-6)


def test_dropout_acts_between_layers_in_training(rng):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    single, double = (nn.GRU(4, 4, k, dropout=0.9, rng=np.random.default_rng(0)) for k in (1, 2))
    assert (single(x)[0] == single(x)[0]).all() and not (double(x)[0] == double(x)[0]).all()
    double.eval()
    assert (double(x)[0] == double(x)[0]).all()


def test_weights_of_attention(rng):
    x = rng.normal(size=(2, 4, 6)).astype(np.float32)
    layer = nn.MultiheadAttention(6, 2)
    out, weights = layer(x)
    np.testing.assert_allclose(weights.data.sum(-1), 1, 1e-5)
    each, heads = layer(x, average_attn_weights=False)
    np.testing.assert_allclose(heads.data.mean(1), weights.data, 1e-6)
    assert (each == out).all() and layer(x, need_weights=False)[1] is None
    causal, hidden = layer(x, is_causal=True), layer(x, attn_mask=~np.tri(4, dtype=bool))
    np.testing.assert_allclose(causal[0].data, hidden[0].data, 1e-6)
    assert not np.triu(causal[1].data, 1).any()
    everything = np.zeros((2, 4), bool)
    everything[1] = True
    out, weights = layer(x, key_padding_mask=everything)  # of which PyTorch makes NaN
    assert not weights.data[1].any() and np.isfinite(out.data).all()


def test_masks_and_lengths_differ_from_example_to_example(rng):
    x, padding, hidden = rng.normal(size=(3, 5, 4)), np.zeros((3, 5), bool), rng.random((3, 5, 5)) < 0.4
    padding[1, 2:] = True
    bias = np.where(hidden, -np.inf, rng.normal(size=(3, 5, 5)))
    attention, lstm = nn.MultiheadAttention(4, 2, dtype=float), nn.LSTM(4, 2, bidirectional=True, dtype=float)
    for f, masks in (
        (lambda x, a, p: ag.sum(attention(x, attn_mask=a, key_padding_mask=p)[0] ** 2), (hidden, padding)),
        (lambda x, a: ag.sum(attention(x, attn_mask=a)[0] ** 2), (bias,)),
        (lambda x, n: ag.sum(lstm(x, lengths=n)[0] ** 2), (np.array([5, 1, 3]),)),
    ):
        each = [ag.grad(f)(*example) for example in zip(x, *masks, strict=True)]
        np.testing.assert_allclose(ag.vmap(ag.grad(f))(x, *masks), each, 1e-10, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_recurrent_layers_equal_pytorchs(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    name, dtype = RECURRENT[seed % 3], [np.float64, np.float32][seed // 3 % 2]
    n, t, features, hidden, layers = (int(k) for k in rng.integers((1, 1, 1, 1, 1), (4, 6, 5, 5, 4)))
    options = {
        "num_layers": layers, "bias": bool(rng.integers(2)), "bidirectional": bool(rng.integers(2)),
        "batch_first": bool(rng.integers(2)),
    }  # fmt: skip
    if name == "RNN":
        options["nonlinearity"] = ["tanh", "relu"][rng.integers(2)]
    layer = getattr(nn, name)(features, hidden, **options, dtype=dtype)
    net = getattr(torch.nn, name)(features, hidden, **options, dtype=getattr(torch, np.dtype(dtype).name))
    batch = () if rng.integers(4) == 0 else (n,)
    shape = (*batch, t, features) if options["batch_first"] else (t, *batch, features)
    copy_weights(net, layer)
    states = (layers * (1 + options["bidirectional"]), *batch, hidden)
    inputs, theirs = both(torch, rng, dtype, shape, *[states] * (0 if rng.integers(2) else 1 + (name == "LSTM")))

    def hx(given):
        return () if len(given) < 2 else (tuple(given[1:]) if name == "LSTM" else given[1],)

    if batch and rng.integers(2):
        lengths = rng.integers(1, t + 1, n)
        pack = torch.nn.utils.rnn
        first = {"batch_first": options["batch_first"]}
        packed = pack.pack_padded_sequence(theirs[0], torch.tensor(lengths), enforce_sorted=False, **first)
        out, last = net(packed, *hx(theirs))
        result = pack.pad_packed_sequence(out, **first, total_length=t)[0], last
        compare(torch, net, layer, layer(inputs[0], *hx(inputs), lengths=lengths), result, inputs, theirs)
    else:
        compare(torch, net, layer, layer(inputs[0], *hx(inputs)), net(theirs[0], *hx(theirs)), inputs, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_attention_equals_pytorchs(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    dtype = [np.float64, np.float32][seed % 2]
    batch, (length, seen, e, v) = tuple(rng.integers(1, 4, rng.integers(3))), rng.integers(1, 6, 4)
    inputs, theirs = both(torch, rng, dtype, (*batch, length, e), (*batch, seen, e), (*batch, seen, v))
    options = {"scale": float(rng.uniform(0.1, 2)) if rng.integers(2) else None, "is_causal": seed % 3 == 0}
    mask = None
    if seed % 3 == 1:
        mask = rng.random((length, seen)) < 0.6
    elif seed % 3 == 2:
        mask = rng.normal(size=(length, seen)).astype(dtype)
        mask = np.where(rng.random((*batch, length, seen)) < 0.8, mask, dtype(-np.inf))
    ours = ag.scaled_dot_product_attention(*inputs, attn_mask=mask, **options)
    their_mask = None if mask is None else torch.tensor(mask)
    result = torch.nn.functional.scaled_dot_product_attention(*theirs, attn_mask=their_mask, **options)
    compare(torch, torch.nn.Identity(), nn.Identity(), ours, result, inputs, theirs)


def masks(rng, n, length, seen, heads, dtype):
    """Masks of places and of keys; no row hides all keys, for which PyTorch has NaN."""
    kind = rng.integers(5)
    shape = (length, seen) if kind < 3 else (n * heads, length, seen)
    hidden = rng.random(shape) < 0.4
    hidden[..., 0] = False
    bias = np.where(hidden, -np.inf, rng.normal(size=shape)).astype(dtype)
    attn = [None, hidden, bias, hidden, bias][kind]
    padding = np.arange(seen) >= rng.integers(1, seen + 1, n)[:, None] if rng.integers(2) else None
    if padding is not None and attn is not None and attn.dtype != bool:
        padding = np.where(padding, -np.inf, 0).astype(dtype)
    return attn, padding


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_multihead_attention_equals_pytorchs(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    dtype, heads, own = [np.float64, np.float32][seed % 2], int(rng.integers(1, 4)), bool(rng.integers(2))
    (n, length, seen), width = rng.integers(1, 5, 3), heads * int(rng.integers(1, 4))
    seen = length if own else seen
    options = {"bias": bool(rng.integers(2)), "batch_first": bool(rng.integers(2))}
    layer = nn.MultiheadAttention(width, heads, **options, dtype=dtype)
    net = torch.nn.MultiheadAttention(width, heads, **options, dtype=getattr(torch, np.dtype(dtype).name))
    with torch.no_grad():  # PyTorch's start at 0
        for p in net.parameters():
            p.copy_(torch.tensor(rng.normal(size=tuple(p.shape))))

    def shape(places):
        return (n, places, width) if options["batch_first"] else (places, n, width)

    copy_weights(net, layer)
    inputs, theirs = both(torch, rng, dtype, shape(length), *[] if own else [shape(seen)] * 2)
    attn, padding = masks(rng, n, length, seen, heads, dtype)
    calls = {"need_weights": bool(rng.integers(2)), "average_attn_weights": bool(rng.integers(2))}
    ours = layer(*inputs * (3 if own else 1), key_padding_mask=padding, attn_mask=attn, **calls)
    torched = {"key_padding_mask": padding, "attn_mask": attn}
    torched = {k: None if m is None else torch.tensor(m) for k, m in torched.items()}
    compare(torch, net, layer, ours, net(*theirs * (3 if own else 1), **torched, **calls), inputs, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_the_layer_of_a_transformer_equals_pytorchs(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    dtype, heads = [np.float64, np.float32][seed % 2], int(rng.integers(1, 4))
    (n, length), width = rng.integers(2, 5, 2), heads * int(rng.integers(2, 4))
    options = {
        "dim_feedforward": int(rng.integers(1, 9)), "dropout": 0.0, "activation": ["relu", "gelu"][seed % 2],
        "norm_first": bool(rng.integers(2)), "bias": bool(rng.integers(2)), "batch_first": bool(rng.integers(2)),
        "layer_norm_eps": 10.0 ** -rng.integers(3, 7),
    }  # fmt: skip
    layer = nn.TransformerEncoderLayer(width, heads, **options, dtype=dtype)
    net = torch.nn.TransformerEncoderLayer(width, heads, **options, dtype=getattr(torch, np.dtype(dtype).name))
    shape = (n, length, width) if options["batch_first"] else (length, n, width)
    copy_weights(net, layer)
    inputs, theirs = both(torch, rng, dtype, shape)
    attn, padding = masks(rng, n, length, length, heads, dtype)
    result = net(
        theirs[0], None if attn is None else torch.tensor(attn), None if padding is None else torch.tensor(padding)
    )
    compare(torch, net, layer, layer(inputs[0], attn, padding), result, inputs, theirs)
