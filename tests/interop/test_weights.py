"""Weights in a file: loaded by name, all or none, as copies."""

import numpy as np
import pytest
import safetensors.numpy

import autograd_cnn as ag
from autograd_cnn.arrayfile import CheckpointError


def net(seed, features=4):
    rng = np.random.default_rng(seed)
    return ag.nn.Sequential(ag.nn.Linear(3, features, rng=rng), ag.nn.BatchNorm2d(features), ag.nn.ReLU())


PARTS = {"w": 1, "v.x": 1, "z": 1 + 1j}


def dictionary(seed):
    rng = np.random.default_rng(seed)
    return {
        name: ag.Tensor(rng.normal(size=(2, 3)) * turn, requires_grad=True, name=name) for name, turn in PARTS.items()
    }


def values(model):
    tensors = model.state_dict() if isinstance(model, ag.nn.Module) else {k: t.data for k, t in model.items()}
    return {name: array.tobytes() for name, array in tensors.items()}


@pytest.mark.parametrize("make", [net, dictionary])
def test_another_model_loads_every_parameter_and_buffer(tmp_path, make):
    model, twin = make(0), make(1)
    assert values(model) != values(twin)
    ag.interop.save_weights(tmp_path / "w.safetensors", model)
    ag.interop.load_weights(tmp_path / "w.safetensors", twin)
    assert values(model) == values(twin)


def test_loaded_weights_train_and_leave_the_file_alone(tmp_path):
    model = net(0)
    ag.interop.save_weights(tmp_path / "w", model)
    raw = (tmp_path / "w").read_bytes()
    ag.interop.load_weights(tmp_path / "w", model)
    optimiser = ag.optim.SGD(model.parameters(), lr=0.1)
    before = values(model)
    model(np.ones((5, 3), np.float32) * np.arange(5, dtype=np.float32)[:, None]).sum().backward()
    optimiser.step()
    assert values(model) != before
    assert (tmp_path / "w").read_bytes() == raw


@pytest.mark.parametrize("make", [net, dictionary])
def test_every_difference_is_listed_and_nothing_is_loaded(tmp_path, make):
    arrays = {
        "extra": np.zeros(1),
        **{k: np.zeros(np.frombuffer(v, np.uint8).shape) for k, v in values(make(0)).items()},
    }
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


def test_another_dtype_is_refused(tmp_path):
    model = net(0)
    safetensors.numpy.save_file({k: v.astype(np.float64) for k, v in model.state_dict().items()}, tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"0\.w: \(3, 4\) float64, want \(3, 4\) float32"):
        ag.interop.load_weights(tmp_path / "w", model)


def test_a_file_from_elsewhere_loads(tmp_path):
    model = net(0)
    safetensors.numpy.save_file(model.state_dict(), tmp_path / "w")
    twin = net(1)
    ag.interop.load_weights(tmp_path / "w", twin)
    assert values(model) == values(twin)


def test_damage_is_refused(tmp_path):
    model = net(0)
    ag.interop.save_weights(tmp_path / "w", model)
    raw = bytearray((tmp_path / "w").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "w").write_bytes(raw)
    before = values(model)
    with pytest.raises(CheckpointError, match="SHA-256 is"):
        ag.interop.load_weights(tmp_path / "w", model)
    assert values(model) == before


def test_anything_but_a_model_is_refused(tmp_path):
    parameters = net(0).parameters()
    for wrong in (ag.interop.save_weights, ag.interop.load_weights):
        ag.interop.save_weights(tmp_path / "w", net(0))
        with pytest.raises(TypeError) as caught:
            wrong(tmp_path / "w", parameters)
        assert str(caught.value) == (
            f"{wrong.__name__}: the model is a generator, want a Module, or a dict of names to Tensors"
        )
    with pytest.raises(TypeError) as caught:
        net(0).load_state_dict(str(tmp_path / "w"))
    assert str(caught.value) == (
        "Sequential.load_state_dict: the state is a str, want a dict. From a file: ag.interop.load_weights(path, model)"
    )


@pytest.mark.parametrize("function", [ag.interop.save_weights, ag.interop.load_weights])
@pytest.mark.parametrize("make", [net, dictionary])
def test_swapped_arguments_are_put_right(tmp_path, function, make):
    model = make(0)
    with pytest.raises(TypeError) as caught:
        function(model, tmp_path / "w")
    name = function.__name__
    assert str(caught.value) == f"{name}: the path is a {type(model).__name__}; call {name}(path, model)"
    assert list(tmp_path.iterdir()) == []


def test_a_reserved_name_is_refused_when_saving(tmp_path):
    with pytest.raises(ValueError, match="'__metadata__', which safetensors reserves; rename it"):
        ag.interop.save_weights(tmp_path / "w", {"__metadata__": ag.Tensor([1.0])})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "\0", '"', "é", "n" * 1000, "__metadata", "sha256", "0" * 64, "autograd_cnn"])
def test_any_other_name_is_read_back(tmp_path, name):
    ag.interop.save_weights(tmp_path / "w", {name: ag.Tensor([1.0])})
    model = {name: ag.Tensor([0.0])}
    ag.interop.load_weights(tmp_path / "w", model)
    assert model[name].data.tolist() == [1]


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in "ab":
        ag.interop.save_weights(tmp_path / name, net(0))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


class Square(ag.nn.Module):
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


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".h5", ".npz", ".PKL"])
@pytest.mark.parametrize("options", [{}, {"layout": "torch", "example": np.ones((1, 2), np.float32)}])
def test_weights_are_not_saved_under_the_ending_of_another_format(tmp_path, ending, options):
    path, model = tmp_path / f"t{ending}", ag.nn.Linear(2, 3, rng=np.random.default_rng(0))
    with pytest.raises(
        ValueError, match=r"Call it (\S*t\.safetensors); in PyTorch: safetensors\.torch\.load_file\('\1'\)$"
    ):
        ag.interop.save_weights(path, model, **options)
    assert not path.exists()
