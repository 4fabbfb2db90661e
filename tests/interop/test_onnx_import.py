"""Networks that PyTorch exported: outputs and gradients are PyTorch's."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from interop.torch_networks import MODELS, X, cnn, randomised, resnet, torch_resnet

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


NAMES = [
    *"forward forward_ train eval path training parameters _nodes _constants _file inputs outputs".split(),
    *"requires_grad __class__ __dict__ a.b a/b é 1 class forward__".split(), "a b", "\x1b[31m",
]  # fmt: skip


def test_constants_may_have_any_name(tmp_path):
    """Each keeps its numbers, and its name unless every Module has it."""
    constants = [onnx.numpy_helper.from_array(np.array([k, k + 1], "f"), name) for k, name in enumerate(NAMES)]
    path = small(tmp_path, ("Sum", ["x", *NAMES], ["y"]), constants=constants)
    model = ag.interop.load_onnx(path)
    n = len(NAMES)
    assert model(np.ones((1, 2), "f")).data.tolist() == [[1 + n * (n - 1) / 2, 1 + n * (n + 1) / 2]]
    found = dict(model.named_parameters())
    assert [found[p].data[0] for p in found] == [*range(n)]
    assert {"a.b", "a/b", "é", "forward_", "forward__"} <= {*found}
    assert found["forward_"].data[0] == 1 and found["forward___"].data[0] == 0
    assert model.training and not model.eval().training and isinstance(repr(model), str)
    assert "\x1b" not in repr(model)
    twin = ag.interop.load_onnx(path)
    twin.load_state_dict(model.state_dict())


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_loaded_network_is_copied(tmp_path, again):
    ag.interop.export_onnx(tmp_path / "f", randomised(cnn(nn)), X)
    model = ag.interop.load_onnx(tmp_path / "f")
    twin = again(model)
    np.testing.assert_array_equal(twin(X).data, model(X).data)
    next(twin.parameters()).data = 0 * next(twin.parameters()).data
    assert not np.array_equal(twin(X).data, model(X).data)


def test_an_error_names_the_node_and_the_file(tmp_path):
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], "/encoder/conv1", auto_pad="SAME_LOWER")
    graph = onnx.helper.make_graph(
        [node], "g", [onnx.helper.make_tensor_value_info("x", 1, [None] * 4)],
        [onnx.helper.make_tensor_value_info("y", 1, [None] * 4)],
        [onnx.numpy_helper.from_array(np.ones((1, 1, 3, 3), "f"), "w")],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    model = ag.interop.load_onnx(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"^net.onnx: Conv /encoder/conv1: auto_pad=SAME_LOWER puts more padding"):
        model(np.ones((1, 1, 5, 5), "f"))
    node.ClearField("attribute")
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    graph.node[0].ClearField("attribute")
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    model = ag.interop.load_onnx(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"^net.onnx: Conv /encoder/conv1: conv2d: .*3 channels.*"):
        model(np.ones((1, 3, 5, 5), "f"))


def test_numbers_of_another_kind_are_refused(tmp_path):
    model = ag.interop.load_onnx(small(tmp_path, ("Div", ["x", "x"], ["y"])))
    with pytest.raises(TypeError, match=r"x is int64, want float32: x.astype\(np.float32\)"):
        model(np.ones((3, 2), int))
    assert model(np.ones((3, 2))).dtype == np.float64


@pytest.mark.parametrize(
    ("options", "dtype"),
    [({"value_float": 0.5}, "f4"), ({"value_floats": [0.5, 1]}, "f4"), ({"value_int": 2}, "i8"),
     ({"value_ints": [2, 3]}, "i8"), ({"value": np.array(2.0)}, "f8")],
)  # fmt: skip
def test_a_constant_node_has_the_dtype_of_its_attribute(tmp_path, options, dtype):
    from autograd_cnn.interop.onnx.table import OPERATORS

    assert OPERATORS["Constant"].compute(**options).dtype == dtype


def test_integers_are_divided_exactly(tmp_path):
    from autograd_cnn.interop.onnx.table import OPERATORS

    x, y = np.array([2**53 + 1, -7, 7, -(2**63)]), np.array([1, 2, -2, 2])
    assert OPERATORS["Div"].compute(x, y).tolist() == [2**53 + 1, -3, -3, -(2**62)]


def chain(tmp_path, count, last):
    """A model of functions, each of which calls the one before it twice."""
    opset = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("own", 1)]
    functions = [
        onnx.helper.make_function("own", "f0", ["a"], ["b"], [onnx.helper.make_node("Relu", ["a"], ["b"])], opset)
    ]
    for k in range(1, count):
        nodes = [onnx.helper.make_node(f"f{k - 1}", [i], [o], domain="own") for i, o in (("a", "c"), ("c", "b"))]
        functions.append(onnx.helper.make_function("own", f"f{k}", ["a"], ["b"], nodes, opset))
    node = onnx.helper.make_node(last, ["x"], ["y"], domain="own")
    values = [onnx.helper.make_tensor_value_info(n, 1, [2]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(onnx.helper.make_model(graph, functions=functions, opset_imports=opset, ir_version=8), tmp_path / "f")
    return tmp_path / "f"


def test_functions_that_grow_too_large_are_refused(tmp_path):
    model = ag.interop.load_onnx(chain(tmp_path, 5, "f4"))
    assert model(np.array([-1, 2], "f")).data.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"f has 1.07e\+09 nodes with its functions written out, want 200,000 at most"):
        ag.interop.load_onnx(chain(tmp_path, 31, "f30"))


def written(path, *nodes, x, y):
    """A file of nodes from `x` to `y`, which are shapes."""
    values = [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", x), ("y", y))]
    constant = onnx.numpy_helper.from_array(np.float32(1), "one")
    graph = onnx.helper.make_graph(nodes, "g", values[:1], values[1:], [constant])
    opset = onnx.helper.make_opsetid("", 20)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return ag.interop.load_onnx(path)


def test_a_result_that_nobody_uses_is_no_operand(tmp_path):
    node = onnx.helper.make_node
    parts, clipped = node("Split", ["x"], ["a", "b", "c"], num_outputs=3), node("Clip", ["a", "", "one"], ["d"])
    model = written(tmp_path / "f", parts, clipped, node("Add", ["d", "c"], ["y"]), x=[6], y=[2])
    assert model(np.array([-3, 2, 9, 9, 4, 5], np.float32)).data.tolist() == [1, 6]


def test_further_results_are_refused_only_where_they_are_used(tmp_path):
    node = onnx.helper.make_node
    pool, cast = node("MaxPool", ["x"], ["a", "at"], kernel_shape=[2, 2]), node("Cast", ["at"], ["b"], to=1)
    x, sizes = np.arange(16, dtype="f").reshape(1, 1, 4, 4), {"x": [1, 1, 4, 4], "y": [1, 1, 3, 3]}
    assert written(tmp_path / "f", pool, node("Relu", ["a"], ["y"]), **sizes)(x).max() == 15
    model = written(tmp_path / "g", pool, cast, node("Add", ["a", "b"], ["y"]), **sizes)
    with pytest.raises(ValueError, match=r"^g: MaxPool: only the first .* a counterpart, and \['at'\] are used"):
        model(x)
