"""Weights in PyTorch's layout, both ways: the same model there gives the same outputs."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.arrayfile import CheckpointError
from interop.torch_networks import X, cnn, randomised


def test_complex_weights_go_both_ways(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    rng, x = np.random.default_rng(0), np.ones((2, 3), np.complex64)
    model, net = nn.Linear(3, 4), torch.nn.Linear(3, 4, dtype=torch.complex64)
    for name, shape in (("w", (3, 4)), ("b", (4,))):
        parts = rng.normal(size=(2, *shape))
        setattr(model, name, ag.Tensor((parts[0] + 1j * parts[1]).astype(np.complex64), requires_grad=True))
    ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
    net.load_state_dict(load_file(tmp_path / "w"))
    np.testing.assert_allclose(net(torch.tensor(x)).detach().numpy(), model(x).data, rtol=1e-5)
    save_file({name: (2j * value).contiguous() for name, value in net.state_dict().items()}, tmp_path / "v")
    want = 2j * model(x).data
    ag.interop.load_weights(tmp_path / "v", model, layout="torch", example=x)
    np.testing.assert_allclose(model(x).data, want, rtol=1e-5)
    for name in ("w", "b"):
        setattr(model, name, ag.Tensor(getattr(model, name).data.astype(complex), requires_grad=True))
    with pytest.raises(TypeError, match=r"save_weights: w is complex128, which safetensors lacks"):
        ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x.astype(complex))


def saved(tmp_path, model, x=X):
    from safetensors.numpy import load_file

    ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
    return load_file(tmp_path / "w")


def test_names_and_axes_are_those_of_pytorch(tmp_path):
    model = randomised(cnn(nn))
    file = saved(tmp_path, model)
    np.testing.assert_array_equal(file["0.weight"], model[0].w.data.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(file["11.weight"], model[11].w.data.T)
    rows = model[9].w.data.reshape(8, 7, 8, 16)
    np.testing.assert_array_equal(file["9.weight"].reshape(16, 8, 8, 7), rows.transpose(3, 2, 0, 1))
    assert set(file) >= {"0.bias", "1.running_mean", "7.running_var"}


def test_missing_facts_are_asked_for(tmp_path):
    for call in (ag.interop.save_weights, ag.interop.load_weights):
        with pytest.raises(TypeError, match='layout="torch" needs example=x'):
            call(tmp_path / "w", cnn(nn), layout="torch")
        with pytest.raises(TypeError, match="needs a Module"):
            call(tmp_path / "w", {"w": ag.Tensor([1.0])}, layout="torch", example=X)
        with pytest.raises(ValueError, match="layout is 'tf', want \"torch\""):
            call(tmp_path / "w", cnn(nn), layout="tf", example=X)
    model = nn.Linear(3, 2)
    model.weight = ag.Tensor([1.0])
    with pytest.raises(ValueError, match="PyTorch's name for w is weight, which the model has already"):
        ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=X)


def test_no_message_advises_the_layout_that_was_given(tmp_path):
    model = nn.Linear(3, 2)
    ours, theirs = model.state_dict(), {"weight": model.w.data.T, "bias": model.b.data}
    with pytest.raises(
        ValueError, match=r'PyTorch.s: ag.*load_weights\(path_or_state, model, layout="torch", example=x'
    ):
        ag.interop.load_weights(theirs, model)
    for wrong in (theirs | {"more.weight": model.w.data}, {"other.weight": model.w.data}, {"weight": model.w.data}):
        with pytest.raises(ValueError, match="nothing was loaded") as caught:
            ag.interop.load_weights(wrong, model, layout="torch", example=X[:, 0, 0])
        assert "ag.interop" not in str(caught.value)
    with pytest.raises(ValueError, match=r"names are this package's: ag.interop.load_weights\(path_or_state, model\)$"):
        ag.interop.load_weights(ours, model, layout="torch", example=X[:, 0, 0])


def test_differences_are_listed_by_the_names_in_the_file(tmp_path):
    saved(tmp_path, cnn(nn))
    model = cnn(nn)
    model.extra = nn.Linear(4, 4)
    before = model.state_dict()
    forward = model.forward
    model.forward = lambda x: model.extra(forward(x))
    with pytest.raises(CheckpointError, match=r"missing: extra.weight, extra.bias"):
        ag.interop.load_weights(tmp_path / "w", model, layout="torch", example=X)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_run_on_the_example_leaves_no_trace(tmp_path):
    model = randomised(cnn(nn))
    model[8].training = False
    before = model.state_dict()
    saved(tmp_path, model)
    assert [m.training for m in model][7:10] == [True, False, True]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
