"""Weights of recurrent layers and attention, from PyTorch and back, bit for bit."""

import numpy as np
import pytest

from autograd_cnn import nn
from autograd_cnn.interop import load_weights, save_weights

pytestmark = pytest.mark.slow


def exchange(net, layer, path, example, theirs=None):
    """Load PyTorch's weights, and compare what comes back; the results are compared in tests/nn."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    with torch.no_grad():
        for p in net.parameters():  # some start at 0
            p.copy_(torch.tensor(np.random.default_rng(p.numel()).normal(size=tuple(p.shape))))
    state = net.state_dict()
    save_file(state, path)
    load_weights(path, layer, layout="torch", example=example)
    save_weights(path, layer, layout="torch", example=example)
    back = load_file(path)
    assert back.keys() == state.keys()
    assert all((back[name].numpy() == state[name].numpy()).all() for name in state)
    given = torch.tensor(example if theirs is None else theirs)
    outs = [f(x) for f, x in ((layer, example), (net.eval(), given))] if layer.eval() else []
    ours, theirs = (out[0] if isinstance(out, tuple) else out for out in outs)
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), 1e-4, 1e-5)


def pair(name, *args, **options):
    torch = pytest.importorskip("torch")
    return getattr(torch.nn, name)(*args, **options), getattr(nn, name)(*args, **options)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers(name, layers, bidirectional, bias, tmp_path):
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": True}
    example = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    exchange(*pair(name, 3, 3, **options), tmp_path / "weights.safetensors", example)  # square: no shape can help


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(name, bias, tmp_path):
    example = np.ones((2, 4), np.float32)
    exchange(*pair(name, 4, 4, bias), tmp_path / "weights.safetensors", example)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_attention(norm_first, bias, tmp_path):
    example = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    options = {"dim_feedforward": 4, "norm_first": norm_first, "bias": bias, "batch_first": True}
    exchange(*pair("TransformerEncoderLayer", 4, 2, **options), tmp_path / "weights.safetensors", example)


TOKENS = {  # of images (N, H, W, C) here, and (N, C, H, W) in PyTorch
    "as in PyTorch": (lambda x: x.transpose(0, 3, 1, 2).reshape(2, 4, 6).transpose(0, 2, 1), lambda x: x.flatten(2).mT),
    "pixels": (lambda x: x.reshape((2, 6, 4)), lambda x: x.flatten(2).mT),
    "columns": (lambda x: x.mean(1), lambda x: x.mean(2).mT),
    "one row": (lambda x: x[:, 0], lambda x: x[:, :, 0].mT),
}


@pytest.mark.parametrize("way", TOKENS)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "TransformerEncoderLayer"])
def test_tokens_of_images(name, way, tmp_path):
    torch = pytest.importorskip("torch")
    sizes, (here, there) = (4, 2, 4) if name[0] == "T" else (4, 4), TOKENS[way]
    features = here(np.ones((2, 2, 3, 4))).size // 2

    class Ours(nn.Module):
        def __init__(self):
            self.conv, self.layer = nn.Conv2d(3, 4, 1), getattr(nn, name)(*sizes)
            self.head = nn.Linear(features, 3)

        def forward(self, x):
            h = self.layer(here(self.conv(x)))
            return self.head((h[0] if isinstance(h, tuple) else h).reshape(len(x), -1))

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = torch.nn.Conv2d(3, 4, 1), torch.nn.Linear(features, 3)
            self.layer = getattr(torch.nn, name)(*sizes, batch_first=True)

        def forward(self, x):
            h = self.layer(there(self.conv(x)))
            return self.head((h[0] if isinstance(h, tuple) else h).flatten(1))

    example = np.random.default_rng(0).normal(size=(2, 2, 3, 3)).astype(np.float32)
    exchange(Theirs(), Ours(), tmp_path / "weights.safetensors", example, example.transpose(0, 3, 1, 2))
