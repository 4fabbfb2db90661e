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
    with pytest.raises(ValueError, match="has opset 6, want 7 or later"):
        ag.interop.load_onnx(small(tmp_path, ("Relu", ["x"], ["y"]), opset=6))
    (tmp_path / "g").write_bytes(b"no ONNX")
    with pytest.raises(ValueError, match="g is damaged, or not an ONNX file"):
        ag.interop.load_onnx(tmp_path / "g")
    with pytest.raises(FileNotFoundError):
        ag.interop.load_onnx(tmp_path / "missing")


def test_initialisers_of_the_oldest_files_need_not_be_inputs(tmp_path):
    path = small(
        tmp_path, ("Mul", ["x", "w"], ["y"]), constants=[onnx.numpy_helper.from_array(np.float32([2, 3]), "w")], opset=7
    )
    model = onnx.load(path)
    model.ir_version = 3
    onnx.save(model, path)
    np.testing.assert_array_equal(ag.interop.load_onnx(path)(np.float32([[1, 2]])).data, [[2, 6]])


def test_an_operator_of_another_domain_is_listed_where_no_other_is(tmp_path):
    node = onnx.helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", scale=[2.0], offset=[0.0])
    x, y = (onnx.helper.make_tensor_value_info(name, 1, (1, 2)) for name in "xy")
    opset = onnx.helper.make_opsetid("ai.onnx.ml", 1)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "f", [x], [y]), opset_imports=[opset], ir_version=8)
    onnx.save(model, tmp_path / "f")
    with pytest.raises(ValueError, match=r"lacks: ai.onnx.ml.Scaler \(1\)"):
        ag.interop.load_onnx(tmp_path / "f")


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
    path = small(tmp_path, ("Max", ["x", *NAMES], ["y"]), constants=constants)
    model = ag.interop.load_onnx(path)
    assert model(np.ones((1, 2), "f")).data.tolist() == [[len(NAMES) - 1, len(NAMES)]]
    found = dict(model.named_parameters())
    assert [found[p].data[0] for p in found] == [*range(len(NAMES))]
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
    same = {"auto_pad": "SAME_UPPER", "strides": [4, 4]}
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], "/encoder/conv1", **same)
    graph = onnx.helper.make_graph(
        [node], "g", [onnx.helper.make_tensor_value_info("x", 1, [None] * 4)],
        [onnx.helper.make_tensor_value_info("y", 1, [None] * 4)],
        [onnx.numpy_helper.from_array(np.ones((1, 1, 3, 3), "f"), "w")],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    model = ag.interop.load_onnx(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"^net.onnx: Conv /encoder/conv1: auto_pad=SAME_UPPER with steps longer"):
        model(np.ones((1, 1, 6, 6), "f"))
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


def test_functions_are_refused_with_the_call_that_writes_them_out(tmp_path):
    opset = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("own", 1)]
    function = onnx.helper.make_function("own", "f", ["a"], ["b"], [onnx.helper.make_node("Relu", ["a"], ["b"])], opset)
    model = onnx.load(small(tmp_path, ("f", ["x"], ["y"], None, None, "own")))
    model.opset_import.append(opset[1])
    model.functions.append(function)
    path = tmp_path / "f"
    onnx.save(model, path)
    with pytest.raises(ValueError, match="f has functions of its own. Write them out: import onnx") as error:
        ag.interop.load_onnx(path)
    exec(str(error.value).partition("out: ")[2], {"path": path})
    assert ag.interop.load_onnx(path)(np.array([[-1, 2]], "f")).data.tolist() == [[0, 2]]


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
    drop, cast = node("Dropout", ["x"], ["a", "mask"]), node("Cast", ["mask"], ["b"], to=1)
    x = np.ones((2, 3), "f")
    assert written(tmp_path / "f", drop, node("Relu", ["a"], ["y"]), x=[2, 3], y=[2, 3])(x).max() == 1
    with pytest.raises(ValueError, match=r"g: Dropout a: the result mask has no counterpart. Export it from"):
        written(tmp_path / "g", drop, cast, node("Add", ["a", "b"], ["y"]), x=[2, 3], y=[2, 3])


@pytest.mark.parametrize(
    ("text", "odd"),
    [("MaxPool<kernel_shape=[2, 2, 2]>(x)", "windows of three dimensions"), ("Round(x) z = Hardmax(x)", "Hardmax"),
     ("Resize<mode=\"linear\", antialias=1>(x, , x)", "antialias=1"), ("NonMaxSuppression(x, x)", "NonMaxSuppression"),
     ("AveragePool<kernel_shape=[2], dilations=[2]>(x)", r"dilations=\[2\]"), ("GridSample(x, x)", "GridSample"),
     ("ScatterElements<reduction=\"max\">(x, i, x)", "reduction='max'"), ("RoiAlign(x, x, i)", "RoiAlign"),
     ("ConvTranspose<output_shape=[5]>(x, x)", r"output_shape=\[5\]"),
     ("MaxPool<kernel_shape=[2], storage_order=1>(x)", "storage_order=1"),
     ("Resize<coordinate_transformation_mode=\"tf_crop_and_resize\">(x, x, x)", "coordinate.*=.tf_crop_and_resize")],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_when_the_file_is_read(tmp_path, text, odd):
    head = '<ir_version: 8, opset_import: ["": 20]> g (float[N, 2, 5] x, int64[N, 2, 5] i) => (float[a, b, c] y)'
    onnx.save(onnx.parser.parse_model(f"{head} {{ y = {text} }}"), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=rf"^load_onnx: .*net.onnx.*{odd}.*\. Export it from .* onnxruntime$"):
        ag.interop.load_onnx(tmp_path / "net.onnx")


def test_a_group_norm_has_the_numbers_of_onnx_runtime(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which is compared with, is not installed")
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 21]> g (float[N, 4, 3] x) => (float[N, 4, 3] y) '
        "{ y = GroupNormalization<num_groups=2>(x, s, s) }"
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(4, dtype="f") + 1, "s"))
    onnx.save(model, tmp_path / "f")
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("f")
    (want,) = runtime.InferenceSession(tmp_path / "f", providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_allclose(ag.interop.load_onnx(tmp_path / "f")(x).data, want, 1e-5, 1e-5)


@pytest.mark.parametrize("largest", [0, 1])
def test_the_largest_elements_come_with_their_places(tmp_path, largest):
    k = onnx.numpy_helper.from_array(np.array([3]), "k")
    top = onnx.helper.make_node("TopK", ["x", "k"], ["y", "at"], axis=1, largest=largest)
    model = of_several(tmp_path / "f", top, outputs={"y": 1, "at": 7}, x=[2, 4], constants=[k])
    x = ag.Tensor(np.array([[3, 1, 3, 2], [0, 0, 0, 5]], "f"), requires_grad=True)
    y, at = model(x)
    assert at.tolist() == ([[0, 2, 3], [3, 0, 1]] if largest else [[1, 3, 0], [0, 1, 2]])  # of equal ones, the first
    y.sum().backward()
    assert x.grad.sum() == 6 and np.take_along_axis(x.grad, at, 1).tolist() == [[1] * 3] * 2


def of_several(path, *nodes, outputs, x, constants=()):
    """A file of nodes from `x`, a shape, to outputs of any shape, given with their dtypes."""
    value = onnx.helper.make_tensor_value_info
    results = [value(name, kind, [None] * len(x)) for name, kind in outputs.items()]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", 1, x)], results, constants)
    opset = onnx.helper.make_opsetid("", 20)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return ag.interop.load_onnx(path)


def test_a_list_of_parts_is_read_by_places(tmp_path):
    """As PyTorch's present exporter writes `split` without its optimiser."""
    node, constants = onnx.helper.make_node, [onnx.numpy_helper.from_array(np.array(a), n) for n, a in LISTS.items()]
    for name in "sizes", "size":
        parts, picked = node("SplitToSequence", ["x", name], ["p"], axis=1), node("SequenceAt", ["p", "k"], ["y"])
        model = of_several(tmp_path / "f", parts, picked, outputs={"y": 1}, x=[2, 5], constants=constants)
        x = np.arange(10, dtype="f").reshape(2, 5)
        if name == "sizes":
            assert model(x).data.tolist() == x[:, 1:].tolist()
    with pytest.raises(ValueError, match="SplitToSequence p: parts of one size have no counterpart"):
        model(x)


LISTS = {"sizes": [1, 4], "size": 2, "k": 1}


def test_constants_in_nodes_are_parameters_where_there_are_no_others(tmp_path):
    node, from_array = onnx.helper.make_node, onnx.numpy_helper.from_array
    w, two = (
        node("Constant", [], [name], value=from_array(np.array(a, "f"))) for name, a in [("w", [3, 4]), ("t", [2])]
    )
    nodes = w, two, node("Mul", ["x", "w"], ["a"]), node("Div", ["a", "t"], ["b"]), node("Add", ["b", "v"], ["y"])
    v = node("Constant", [], ["v"], value_float=1.0)
    model = of_several(tmp_path / "f", v, *nodes, outputs={"y": 1}, x=["N", 2])
    assert [name for name, _ in model.named_parameters()] == ["w"]
    assert model(np.ones((1, 2), "f")).data.tolist() == [[2.5, 3]]
    v = from_array(np.ones(1, "f"), "v")
    model = of_several(tmp_path / "f", *nodes, outputs={"y": 1}, x=["N", 2], constants=[v])
    assert [name for name, _ in model.named_parameters()] == ["v"]


def test_an_extent_of_minus_one_is_free(tmp_path):
    model = ag.interop.load_onnx(small(tmp_path, ("Relu", ["x"], ["y"]), shape=(-1, 2)))
    assert model.inputs == {"x": ("?", 2)} and model(np.ones((3, 2), "f")).shape == (3, 2)


OLD = {  # name: (opset, nodes, constants)
    "softmax over the rest": (12, [("Softmax", {"axis": 1})], []),
    "softmax at the end": (7, [("LogSoftmax", {"axis": -1})], []),
    "options as attributes": (9, [("Clip", {"min": 0.0, "max": 0.5}), ("Pad", {"pads": [0, 0, 1, 1, 0, 0, 0, 2]}),
                                  ("Slice", {"axes": [2], "starts": [1], "ends": [-1]}),
                                  ("Unsqueeze", {"axes": [1]}), ("Squeeze", {"axes": [1]}),
                                  ("ReduceSum", {"axes": [0], "keepdims": 1})], []),
    "larger": (9, [("Upsample", {"mode": "nearest"})], [1, 1, 2, 3]),
    "larger in opset 10": (10, [("Resize", {"mode": "nearest"})], [1, 1, 3, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_older_files_are_converted(tmp_path, name):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which is compared with, is not installed")
    opset, steps, scales = OLD[name]
    names = ["x", *(f"a{k}" for k in range(len(steps) - 1)), "y"]
    nodes = [onnx.helper.make_node(operator, [a, *(["s"] * bool(scales))], [b], **options)
             for (operator, options), a, b in zip(steps, names, names[1:], strict=False)]  # fmt: skip
    values = [onnx.helper.make_tensor_value_info(n, 1, [None] * 4) for n in "xy"]
    constants = [onnx.numpy_helper.from_array(np.array(scales, "f"), "s")] if scales else []
    graph = onnx.helper.make_graph(nodes, "g", values[:1], values[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=5)
    onnx.save(model, tmp_path / "f")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("f")
    runtime.set_default_logger_severity(4)
    want = runtime.InferenceSession(tmp_path / "f", providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(ag.interop.load_onnx(tmp_path / "f")(x).data, want, 1e-5, 1e-5)


def test_an_older_file_that_onnx_does_not_convert_is_refused(tmp_path, monkeypatch):
    def fail(model, opset):
        raise RuntimeError("no adapter for\n Scan")

    monkeypatch.setattr(onnx.version_converter, "convert_version", fail)
    path = small(tmp_path, ("Relu", ["x"], ["y"]), opset=9)
    with pytest.raises(
        ValueError, match=r"has opset 9, which onnx.version_converter does not convert \(no adapter for Sc"
    ):
        ag.interop.load_onnx(path)
