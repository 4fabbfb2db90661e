"""Networks on all ways to other programs: weights from PyTorch and back, ONNX files from here, and those of PyTorch."""

import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from interop.onnx_files import agree
from interop.torch_networks import NETWORKS, randomised


def there(x, moved):
    torch = pytest.importorskip("torch")
    return torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)) if moved else x)


def here(y, moved):
    y = y.detach().numpy()
    return np.moveaxis(y, 1, -1) if moved and y.ndim > 2 else y


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_from_pytorch_and_go_back_bit_for_bit(tmp_path, name):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    make, x, moved = NETWORKS[name]
    model, net, path = make(nn), randomised(make(torch.nn)).eval(), tmp_path / "weights.safetensors"
    state = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(state, path)
    ag.interop.load_weights(path, model, layout="torch", example=x)
    assert model.training
    np.testing.assert_allclose(model.eval()(x).data, here(net(there(x, moved)), moved), rtol=1e-4, atol=1e-5)
    ag.interop.save_weights(path, model, layout="torch", example=x)
    back = load_file(path)
    assert back.keys() == {name for name in state if "num_batches" not in name}
    assert all((back[name].numpy() == state[name].numpy()).all() for name in back)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_in_a_file_runs_on_any_batch(tmp_path, name):
    pytest.importorskip("onnx", reason="ONNX is not installed")
    make, x, _ = NETWORKS[name]
    model = randomised(make(nn))
    ag.interop.export_onnx(tmp_path / "f", model, x)
    assert model.training
    model.eval()
    for batch in x, np.concatenate([x, x, x])[:5], x[:1]:
        agree(tmp_path / "f", model, batch)
    twin = ag.interop.load_onnx(tmp_path / "f")
    assert {name for name, _ in model.named_parameters()} <= {name for name, _ in twin.named_parameters()}


def exported(path, net, x, dynamo=False):
    """Export with PyTorch, parameters unmixed and batch free."""
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("onnx", reason="ONNX is not installed")
    mixed = {} if dynamo else {
        "do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE, "dynamic_axes": {"x": {0: "N"}},
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (x,), path, input_names=["x"], dynamo=dynamo, verbose=False, **mixed)
    return ag.interop.load_onnx(path)


OTHERS = "Cell", "attention", " of ", "square"  # which the exporter lacks, or writes in steps
FILES = [name for name in NETWORKS if not any(word in name for word in OTHERS)]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_pytorch_gives_its_outputs_and_gradients(tmp_path, name):
    torch = pytest.importorskip("torch")
    make, x, moved = NETWORKS[name]
    net = randomised(make(torch.nn))
    model = exported(tmp_path / "f.onnx", net, there(x, moved))
    for given in (x,) if "," in name else (x, np.concatenate([x, x, x])[:5]):  # a recurrent layer keeps its batch
        batch = there(given, moved)
        want, out = net(batch), model(batch.numpy())
        np.testing.assert_allclose(out.data, want.detach().numpy(), rtol=1e-4, atol=1e-5)
    (want**2).sum().backward()
    (out**2).sum().backward()
    theirs = {path: p.grad.numpy() for path, p in net.named_parameters()}
    ours = {path: p.grad for path, p in model.named_parameters() if p.grad is not None}
    if "," in name:  # its weights are joined in the file
        ours, theirs = ({"all": np.array(sum(g.sum() for g in grads.values()))} for grads in (ours, theirs))
    assert ours.keys() == theirs.keys()
    largest = max(np.abs(g).max() for g in theirs.values())  # a bias before a norm has gradient 0 and noise
    for path, g in theirs.items():
        np.testing.assert_allclose(ours[path], g, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "LSTM, 2, True, True", "GRU, 1, True, False", "RNN, 3, True, False"])
def test_the_newer_exporter_of_pytorch_works_too(tmp_path, name):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript", reason="onnxscript, which the exporter needs, is not installed")
    make, x, moved = NETWORKS[name]
    net = randomised(make(torch.nn))
    model = exported(tmp_path / "f.onnx", net, there(x, moved), dynamo=True)
    out = model(there(x, moved).numpy())
    np.testing.assert_allclose(out.data, net(there(x, moved)).detach().numpy(), rtol=1e-4, atol=1e-5)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
