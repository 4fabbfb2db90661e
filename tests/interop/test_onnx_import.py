"""Networks that PyTorch exported: outputs and gradients are PyTorch's."""

import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from torch_networks import MODELS, X, cnn, randomised, resnet, torch_resnet

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")

IMAGES = np.ascontiguousarray(np.moveaxis(X, -1, 1))


def exported(path, net, x, **options):
    """Export with PyTorch, parameters unmixed and batch free."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.tensor(x),), path, input_names=["x"], dynamo=False, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes={"x": {0: "N"}}, verbose=False, **options,
        )  # fmt: skip
    return ag.interop.load_onnx(path)


def torch_nets():
    torch = pytest.importorskip("torch")
    n = torch.nn
    for make, x in MODELS[:-1]:
        yield make(n), np.ascontiguousarray(np.moveaxis(x, -1, 1))
    yield torch_resnet(), IMAGES
    yield n.Sequential(n.Embedding(20, 6), n.LayerNorm(6), n.Linear(6, 4), n.Flatten()), np.arange(10).reshape(2, 5)


@pytest.mark.parametrize("k", range(8))
def test_a_network_of_pytorch_gives_the_same_outputs_and_gradients(tmp_path, k):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net, x = [*torch_nets()][k]
    for p in net.parameters():
        p.data += 0.3 * torch.rand(p.shape)  # the exporter merges weights that are equal
    net(torch.tensor(x))  # moves the running statistics
    model = exported(tmp_path / "f.onnx", net, x)
    for batch in x, np.concatenate([x, x, x])[:5]:
        want = net(torch.tensor(batch))
        out = model(batch)
        np.testing.assert_allclose(out.data, want.detach().numpy(), rtol=1e-4, atol=1e-5)
    net.zero_grad()
    (want**2).sum().backward()
    (out**2).sum().backward()
    theirs = {name: p.grad.numpy() for name, p in net.named_parameters()}
    ours = {name: p.grad for name, p in model.named_parameters()}
    assert ours.keys() == theirs.keys()
    largest = max(np.abs(g).max() for g in theirs.values())  # a bias before a norm has gradient 0 and noise
    for name, g in theirs.items():
        np.testing.assert_allclose(ours[name], g, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.slow
def test_the_newer_exporter_of_pytorch_works_too(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript", reason="onnxscript, which the exporter needs, is not installed")
    net = cnn(torch.nn).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.tensor(IMAGES),), tmp_path / "f.onnx", dynamo=True, verbose=False)
    model = ag.interop.load_onnx(tmp_path / "f.onnx")
    out = model(IMAGES)
    np.testing.assert_allclose(out.data, net(torch.tensor(IMAGES)).detach().numpy(), rtol=1e-4, atol=1e-5)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(("make", "x"), [*MODELS, (lambda n: resnet(), X)])
def test_our_own_files_come_back(tmp_path, make, x):
    model = randomised(make(nn)).eval()
    ag.interop.export_onnx(tmp_path / "f", model, x)
    twin = ag.interop.load_onnx(tmp_path / "f")
    np.testing.assert_allclose(twin(x).data, model(x).data, rtol=1e-5, atol=1e-5)
    assert {name for name, _ in model.named_parameters()} <= {name for name, _ in twin.named_parameters()}


def test_a_loaded_network_trains(tmp_path):
    ag.interop.export_onnx(tmp_path / "f", randomised(cnn(nn)), X)
    model = ag.interop.load_onnx(tmp_path / "f")
    optimiser = ag.optim.SGD(model.parameters(), lr=0.001)
    losses = []
    for _ in range(3):
        loss = ag.cross_entropy(model(X), np.array([0, 3]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]
    twin = ag.interop.load_onnx(tmp_path / "f")
    twin.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(twin(X).data, model(X).data)


def small(tmp_path, *nodes, opset=20, shape=("N", 2), constants=()):
    values = [onnx.helper.make_tensor_value_info(n, 1, s) for n, s in (("x", shape), ("y", shape))]
    graph = onnx.helper.make_graph([onnx.helper.make_node(*n) for n in nodes], "g", values[:1], values[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, tmp_path / "f")
    return tmp_path / "f"


def test_unknown_operators_are_listed(tmp_path):
    path = small(tmp_path, ("Round", ["x"], ["a"]), ("Hardmax", ["a"], ["b"]), ("Hardmax", ["b"], ["y"]))
    with pytest.raises(ValueError, match=r"f has operators that this package lacks: Hardmax \(2\)"):
        ag.interop.load_onnx(path)


def test_files_that_are_old_or_damaged_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has opset 11, want 13 or later"):
        ag.interop.load_onnx(small(tmp_path, ("Relu", ["x"], ["y"]), opset=11))
    (tmp_path / "g").write_bytes(b"no ONNX")
    with pytest.raises(ValueError, match="g is damaged, or not an ONNX file"):
        ag.interop.load_onnx(tmp_path / "g")
    with pytest.raises(FileNotFoundError):
        ag.interop.load_onnx(tmp_path / "missing")


def test_inputs_are_checked(tmp_path):
    model = ag.interop.load_onnx(small(tmp_path, ("Relu", ["x"], ["y"])))
    assert (model.inputs, model(np.ones((3, 2), "f")).shape) == ({"x": ("N", 2)}, (3, 2))
    with pytest.raises(ValueError, match=r"OnnxModule: x is \(3, 4\), want x \(N, 2\)"):
        model(np.ones((3, 4), "f"))
    with pytest.raises(TypeError, match=r"OnnxModule: 2 inputs, want x \(N, 2\)"):
        model(1.0, 2.0)


def test_a_constant_with_the_name_of_a_method_is_renamed(tmp_path):
    constant = onnx.numpy_helper.from_array(np.array([2, 3], "f"), "forward")
    model = ag.interop.load_onnx(small(tmp_path, ("Mul", ["x", "forward"], ["y"]), constants=[constant]))
    assert model(np.ones((1, 2), "f")).data.tolist() == [[2, 3]]
    assert [name for name, _ in model.named_parameters()] == ["forward_"]
