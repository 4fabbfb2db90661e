"""Weights in a file, in this package's layout or PyTorch's: loaded by name, all or none, as copies."""

import re

import numpy as np
import pytest
import safetensors.numpy

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.arrayfile import CheckpointError
from interop.torch_networks import X, cnn, randomised


def net(seed, features=4):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(3, features, rng=rng), nn.BatchNorm2d(features), nn.ReLU())


PARTS = {"w": 1, "v.x": 1, "z": 1 + 1j}


def dictionary(seed):
    rng = np.random.default_rng(seed)
    return {
        name: ag.Tensor(rng.normal(size=(2, 3)) * turn, requires_grad=True, name=name) for name, turn in PARTS.items()
    }


def values(model):
    tensors = model.state_dict() if isinstance(model, nn.Module) else {k: t.data for k, t in model.items()}
    return {name: array.tobytes() for name, array in tensors.items()}


@pytest.mark.parametrize("make", [net, dictionary])
def test_another_model_loads_every_parameter_and_buffer(tmp_path, make):
    model, twin, path = make(0), make(1), tmp_path / "w.safetensors"
    assert values(model) != values(twin)
    ag.interop.save_weights(path, model)
    raw = path.read_bytes()
    ag.interop.load_weights(path, twin)
    assert values(model) == values(twin)
    for t in twin.values() if isinstance(twin, dict) else twin.parameters():
        t.data += 1  # of a copy
    assert path.read_bytes() == raw


@pytest.mark.parametrize("make", [net, dictionary])
def test_every_difference_is_listed_and_nothing_is_loaded(tmp_path, make):
    arrays = {"extra": np.zeros(1), **{name: np.zeros(len(raw)) for name, raw in values(make(0)).items()}}
    arrays.popitem()
    safetensors.numpy.save_file(arrays, tmp_path / "w")
    model = make(1)
    before = values(model)
    with pytest.raises(CheckpointError) as error:
        ag.interop.load_weights(tmp_path / "w", model)
    assert values(model) == before
    first, *_, last = before
    for part in (str(tmp_path / "w"), f"missing: {last}", "unexpected: extra", f"{first}: ", "nothing was loaded"):
        assert part in str(error.value)


def test_another_dtype_is_refused():
    model = net(0)
    with pytest.raises(ValueError, match=r"0\.w: \(3, 4\) float64, want \(3, 4\) float32"):
        ag.interop.load_weights({k: v.astype(np.float64) for k, v in model.state_dict().items()}, model)


LAYER, ROW = nn.Linear(2, 3), np.ones((1, 2), np.float32)
LAYER.weight = ag.Tensor([1.0])
TORCH, W = {"layout": "torch", "example": ROW}, {"w": ag.Tensor([1.0])}
REFUSED = [  # (message, arguments, options)
    ("{0}: the model is a generator, want a Module, or a dict of names to Tensors", ("w", LAYER.parameters()), {}),
    ("{0}: the path is a Linear; call {0}(path, model)", (LAYER, "w"), {}),
    ("{0}: the path is a dict; call {0}(path, model)", (W, "w"), {}),
    ('{0}: layout="torch" needs example=x', ("w", LAYER), {"layout": "torch"}),
    ('{0}: layout="torch" needs a Module', ("w", W), TORCH),
    ("{0}: layout is 'tf', want \"torch\"", ("w", LAYER), {"layout": "tf"}),
    ("{0}: PyTorch's name for w is weight, which the model has already", ("w", LAYER), TORCH),
]
UNSAVED = [
    ("'__metadata__', which safetensors reserves; rename it", ("w", {"__metadata__": W["w"]}), {}),
    *(("Call it t.safetensors; in PyTorch: safetensors.torch.load_file('t.safetensors')", (f"t{ending}", m), options)
      for ending in (".pt", ".pth", ".bin", ".h5", ".npz", ".PKL")
      for m, options in ((W, {}), (nn.Linear(2, 3), TORCH))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "message", "arguments", "options"),
    [(f, *row) for f in (ag.interop.save_weights, ag.interop.load_weights) for row in REFUSED]
    + [(ag.interop.save_weights, *row) for row in UNSAVED],
)
def test_a_wrong_call_is_refused_with_the_cure(tmp_path, monkeypatch, function, message, arguments, options):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=re.escape(message.format(function.__name__))):
        function(*arguments, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_no_state():
    with pytest.raises(
        TypeError, match=r"the state is a str, want a dict. From a file: ag.interop.load_weights\(path, m"
    ):
        net(0).load_state_dict("w")


@pytest.mark.parametrize("name", ["", "\0", '"', "é", "n" * 1000, "__metadata", "sha256", "0" * 64, "autograd_cnn"])
def test_any_other_name_is_read_back(tmp_path, name):
    ag.interop.save_weights(tmp_path / "w", {name: ag.Tensor([1.0])})
    model = {name: ag.Tensor([0.0])}
    ag.interop.load_weights(tmp_path / "w", model)
    assert model[name].data.tolist() == [1]


class Square(nn.Module):
    """In either layout, its weight has the same shape, and PyTorch's name for it is its own."""

    def __init__(self, seed):
        self.kernel = ag.Tensor(np.random.default_rng(seed).normal(size=(6, 6)), requires_grad=True)

    def forward(self, x):
        return ag.linear(x, self.kernel)


def test_a_file_is_loaded_in_the_layout_in_which_it_was_saved(tmp_path):
    model, twin, x = Square(0), Square(1), np.ones((1, 6))
    torch = {"layout": "torch", "example": x}
    cures = {"a": 'layout; nothing was loaded. Call load_weights(path, model, layout="torch", example=x)',
             "b": "layout; nothing was loaded. Call load_weights(path, model)"}  # fmt: skip
    for name, saved, wrong in ("a", torch, {}), ("b", {}, torch):
        ag.interop.save_weights(tmp_path / name, model, **saved)
        before = values(twin)
        with pytest.raises(CheckpointError) as caught:
            ag.interop.load_weights(tmp_path / name, twin, **wrong)
        assert str(caught.value).endswith(cures[name])
        assert values(twin) == before
        ag.interop.load_weights(tmp_path / name, twin, **saved)
        assert values(twin) == values(model)
        twin = Square(2)
    safetensors.numpy.save_file({"kernel": np.ascontiguousarray(model.kernel.data.T)}, tmp_path / "c")
    ag.interop.load_weights(tmp_path / "c", twin, **torch)  # from elsewhere: the caller knows
    assert values(twin) == values(model)


def test_names_and_axes_are_those_of_pytorch_and_the_run_leaves_no_trace(tmp_path):
    model = randomised(cnn(nn))
    model[8].training = False
    before = values(model)
    ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=X)
    assert values(model) == before
    assert [m.training for m in model][7:10] == [True, False, True]
    file = safetensors.numpy.load_file(tmp_path / "w")
    np.testing.assert_array_equal(file["0.weight"], model[0].w.data.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(file["11.weight"], model[11].w.data.T)
    rows = model[9].w.data.reshape(8, 7, 8, 16)
    np.testing.assert_array_equal(file["9.weight"].reshape(16, 8, 8, 7), rows.transpose(3, 2, 0, 1))
    assert set(file) >= {"0.bias", "1.running_mean", "7.running_var"}


def test_no_message_advises_the_layout_that_was_given():
    model = nn.Linear(3, 2)
    ours, theirs = model.state_dict(), {"weight": model.w.data.T, "bias": model.b.data}
    torch, cure = {"layout": "torch", "example": X[:, 0, 0]}, r"ag.interop.load_weights\(path_or_state, model"
    with pytest.raises(ValueError, match=rf'PyTorch.s: {cure}, layout="torch", example=x'):
        ag.interop.load_weights(theirs, model)
    for wrong in (theirs | {"more.weight": model.w.data}, {"other.weight": model.w.data}, {"weight": model.w.data}):
        with pytest.raises(ValueError, match="nothing was loaded") as caught:
            ag.interop.load_weights(wrong, model, **torch)
        assert "ag.interop" not in str(caught.value)
    with pytest.raises(ValueError, match=rf"names are this package's: {cure}\)$"):
        ag.interop.load_weights(ours, model, **torch)


def test_complex_weights_go_both_ways(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    x, path = np.ones((2, 3), np.complex64), tmp_path / "w"
    model, net = nn.Linear(3, 4), torch.nn.Linear(3, 4, dtype=torch.complex64)
    for name, t in model.named_parameters():
        setattr(model, name, ag.Tensor(t.data.astype(np.complex64), requires_grad=True))
    save_file(dict(net.state_dict()), path)
    ag.interop.load_weights(path, model, layout="torch", example=x)
    np.testing.assert_allclose(model(x).data, net(torch.tensor(x)).detach().numpy(), rtol=1e-5)
    ag.interop.save_weights(path, model, layout="torch", example=x)
    assert all((value == net.state_dict()[name]).all() for name, value in load_file(path).items())
    for name, t in model.named_parameters():
        setattr(model, name, ag.Tensor(t.data.astype(complex), requires_grad=True))
    with pytest.raises(TypeError, match=r"save_weights: w is complex128, which safetensors lacks"):
        ag.interop.save_weights(path, model, layout="torch", example=x.astype(complex))
