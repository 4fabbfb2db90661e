"""Exported files run in ONNX Runtime, and read back, and agree."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.interop.onnx import export, numbers
from autograd_cnn.interop.onnx.table import CONVERTERS, TABLE
from interop.onnx_files import agree, parsed
from interop.torch_networks import X, cnn, grouped, resnet
from split_inputs import split

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which runs the files, is not installed")


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


WRITTEN = [p for p in CONVERTERS if p.rules]


def test_an_operator_and_a_primitive_have_one_entry():
    for found in ([e.operator for e in TABLE if e.operator], [e.primitive for e in TABLE if e.primitive]):
        assert len(found) == len(set(found))


NOT_IN_ONNX = {  # words of the reason for which single examples are refused
    **dict.fromkeys(["concatenate", "cumsum", "roll", "take"], "axis is None, and one number in ONNX"),
    "batch_norm": "statistics of the batch", "conv_transpose2d": "output_padding", "elu": "alpha is an array",
    **dict.fromkeys(["mean", "var", "std", "sum", "prod", "max", "min"],
                    "(where|initial|ddof|correction) has no counterpart"),
    "reshape": "order has no counterpart", "hardtanh": "f fails on other numbers .* min_val is .* greater than max_val",
}  # fmt: skip


@pytest.mark.parametrize("primitive", WRITTEN, ids=lambda p: p.name)
def test_the_examples_of_a_primitive(tmp_path, primitive):
    name, written = primitive.name, 0
    for args, options in examples_of(primitive, np.random.default_rng(0)):
        f, inputs = split(primitive, args, options)
        inputs = [a.astype(np.float32) for a in inputs]
        try:
            ag.interop.export_onnx(tmp_path / "f", f, *inputs, dynamic=False)
        except ValueError as error:
            assert re.search(f"(?s){NOT_IN_ONNX[name]}", str(error)), error
            continue
        agree(tmp_path / "f", f, *inputs)
        written += 1
        try:
            ag.interop.export_onnx(tmp_path / "g", f, *inputs)
        except ValueError:
            continue  # no batch, or one in a shape
        agree(tmp_path / "g", f, *(np.concatenate([a, a[::-1]]) for a in inputs))
    assert written


ELEMENTWISE = [
    p for e in numbers.ENTRIES for p in [e.primitive]
    if p in WRITTEN and p.batch == "elementwise" and p not in (ag.where, ag.ldexp)  # which take conditions or integers
]  # fmt: skip
NUMBERS = np.array([0, -0.0, 1, -1, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-30, -1e30, 1e-8, 20, -90, 100], np.float32)


@pytest.mark.parametrize("operation", ELEMENTWISE, ids=lambda p: p.name)
def test_zeros_infinities_and_nan_of_an_elementwise_function(tmp_path, operation):
    count = sum(p not in operation.defaults for p in operation.parameters)
    numbers = [a.ravel() for a in np.meshgrid(*[NUMBERS] * count)]
    f = (lambda x: operation(x)) if count == 1 else (lambda x, y: operation(x, y))
    with np.errstate(all="ignore"):
        ag.interop.export_onnx(tmp_path / "f", f, *numbers, dynamic=False)
        agree(tmp_path / "f", f, *numbers)


def theirs(n):
    """A network that was read, of images in the order of its file."""
    body, types = "h = Conv(x, w) y = MaxPool<kernel_shape=[2, 2]>(h)", ("float[N, 12, 10, 3] x", "float[a, b, c, d] y")
    return ag.interop.OnnxModule(parsed(body, *types, w=np.ones((4, 12, 3, 1), "f")))


@pytest.mark.parametrize(("make", "left"), [(cnn, 2), (resnet, 2), (grouped, 4), (theirs, 0)])
def test_the_runtime_leaves_transpositions_at_the_borders_only(tmp_path, make, left):
    """A group norm has two borders more: it reshapes. A loaded network has images as in its file, and none."""
    ag.interop.export_onnx(tmp_path / "f", make(nn), X)
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "g")
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    runtime.set_default_logger_severity(4)
    runtime.InferenceSession(tmp_path / "f", options, providers=["CPUExecutionProvider"])
    assert operators(tmp_path / "g").count("Transpose") == left


NAMED = [  # a function, the names of its inputs, and of its outputs
    (lambda images, scale: (images * scale, ag.exp(images), images), ["images", "scale"],
     ["output.0", "output.1", "output.2"]),
    (lambda images, y: {"logits": images * y, "images": ag.relu(images)}, ["images", "y"], ["logits", "images_2"]),
    (lambda x, y: {"a": [], "b": (x * 2, y * 3)}, ["x", "y"], ["output.0", "output.1"]),
    (lambda x, y: x * y, ["x", "y"], ["output"]),
    (lambda x, y: (x * y,) * 2, ["x", "y"], ["output.0", "output.1"]),
    (lambda *xs: (ag.add(*xs),), ["x", "x.1"], ["output.0"]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "inputs", "outputs"), NAMED)
def test_inputs_and_outputs_have_names(tmp_path, f, inputs, outputs):
    ag.interop.export_onnx(tmp_path / "f", f, np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))
    graph = onnx.load(tmp_path / "f").graph
    assert [[v.name for v in values] for values in (graph.input, graph.output)] == [inputs, outputs]
    assert [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == ["N", 3]


def test_dtypes_are_kept(tmp_path):
    def f(x, i):
        return ag.exp(x * 2 + 1) * i, x.astype(np.float32), ag.take(x, i, 0)

    x, i = np.arange(3.0), np.array([1, 0, 2])
    ag.interop.export_onnx(tmp_path / "f", f, x, i)
    agree(tmp_path / "f", f, x, i)


CONV, LAYER = nn.Conv2d(3, 4, 3, padding=1), nn.TransformerEncoderLayer(8, 2, 16).eval()
AT = np.array([[0, 3], [5, 0]]) % 3, np.array([1, 2])  # rows and columns


def shapes_of_the_batch(x):
    n = x.shape[0]
    y = ag.reshape(x, (n, -1, 3)).transpose(2, 0, 1)
    tall = ag.broadcast_to(ag.sum(y, axis=1, keepdims=True), (3, n, 120)) + y
    return ag.concatenate([tall[:, ::-1, 3:7], ag.flip(tall[:, :, -1:], 0)], 2)[1], ag.reshape(x, (n * 12, 30))


def indices_of_pixels(x):
    parts = x[:, AT[0], AT[1]], x[:, 2, -1], x[..., AT[0]], x[:, AT[0]], x[:, None, ::2, AT[1]], ag.unfold(x, 2)
    return (*parts, x[:, -3:, ::-1, 1:], x[..., 0])


def like_the_input(x):
    return ag.reshape(x * 2, x.shape) + ag.broadcast_to(ag.mean(x, axis=(1, 2, 3), keepdims=True), x.shape)


IMAGES, TOKENS = [(n, 12, 10, 3) for n in (2, 1, 6)], [(n, 6, 8) for n in (2, 1, 3)]
FUNCTIONS = {  # name: (the shapes of the example and of further inputs, a function)
    "rows of images": (IMAGES, lambda x: (CONV(x).max(1), CONV(x).mean((0, 2)), CONV(x).sum(-1))),
    "masks of images": (IMAGES, lambda x: np.where(CONV(x) > 0.1, CONV(x), 0.0)),
    "shapes of the batch": (IMAGES, shapes_of_the_batch),
    "indices of pixels": (IMAGES, indices_of_pixels),
    "the shape of the input": (IMAGES, like_the_input),
    "a layer of attention": (TOKENS, lambda x: LAYER(x)),
    "attention to what was before": (TOKENS, lambda x: LAYER(x, is_causal=True)),
    "converted and back": (IMAGES, lambda x: x.astype("f8").astype("f4")),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_same_numbers_for_any_size(tmp_path, name):
    (shapes, f), rng = FUNCTIONS[name], np.random.default_rng(0)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    ag.interop.export_onnx(tmp_path / "f", f, inputs[0])
    for x in inputs:
        agree(tmp_path / "f", f, x)


def test_a_function_of_a_dictionary_has_its_names(tmp_path):
    rng = np.random.default_rng(0)
    p = {"conv.w": rng.normal(size=(3, 3, 3, 4)).astype("f"), "fc.w": rng.normal(size=(480, 2)).astype("f")}
    p = {name: ag.Tensor(a, requires_grad=True, name=name) for name, a in p.items()}

    def f(images):
        y = ag.conv2d(images, p["conv.w"], padding=1)
        mean = p["conv.w"].mean(2)[..., None, :]
        return ag.flatten(ag.relu(y) + ag.conv2d(y, mean, padding=1, groups=4), 1) @ p["fc.w"]

    ag.interop.export_onnx(tmp_path / "f", f, X)
    agree(tmp_path / "f", f, X, tolerance=1e-4)
    assert {"conv.w", "fc.w"} <= {t.name for t in onnx.load(tmp_path / "f").graph.initializer}


def test_fixed_shapes_need_no_batch(tmp_path):
    x, y = np.ones((3, 4), "f"), np.ones((4, 5), "f")
    with pytest.raises(ValueError, match=r"inputs \(3, 4\), \(4, 5\) need the same first axis, a batch.*dyn"):
        ag.interop.export_onnx(tmp_path / "f", ag.matmul, x, y)
    ag.interop.export_onnx(tmp_path / "f", ag.matmul, x, y, dynamic=False)
    agree(tmp_path / "f", ag.matmul, x, y)


def overwritten(x):
    buffer = np.zeros(30)
    y = x + buffer
    buffer[:] = 1
    return y + buffer


@ag.primitive
def halved(x):
    return x / 2


WORKS = "dynamic=False works: it keeps the shapes of the example$"
REFUSED = [
    (lambda x: ag.where(x.data > 0, x, 0) * 1, "where.*condition depends on sizes or numbers .* and is not recorded$"),
    (lambda x: ag.exp(x) if x.sum() == 0 else ag.log(x),
     r"cannot export what test_onnx_export.py:\d+ computes: numbers of the inputs become a plain array there"),
    (lambda x: x if np.isfinite(x).all() else -x, "a plain array there"),
    (lambda x: ag.squeeze(x[: len(x) - 3]) * 2, f"squeeze.*numbers, or other sizes, take another way here. {WORKS}"),
    (overwritten, "cannot export an array that is written into after an operation has read it. Make a new one"),
    (lambda x: x * np.sqrt(np.arange(len(x)))[:, None], f"multiply.*y depends on sizes or numbers of the .*{WORKS}"),
    (lambda x: x * min(len(x), 2), f"y depends on sizes .*{WORKS}"),
    (lambda x: x * (len(x) // 3), f"y depends on sizes .*{WORKS}"),
    (lambda x: ag.broadcast_to(x.sum(0), (2 * len(x), 30)),
     rf"broadcast_to.*its shape depends on that of the inputs, but not as \(N, ...\). {WORKS}"),
    (lambda x: ag.reshape(x, (4, 30)), rf"(?s)fails on other numbers of the shapes \(1, 30\).*{WORKS}"),
    (lambda x: ag.roll(x, 1, 0), f"roll.*it rolls the batch. {WORKS}"),
    (lambda x: halved(x), r"\(test_onnx_export.py:\d+\): no.*onnx_converter\(halved, lambda onnx, ...: ...\)$"),
    (lambda x: x * abs(x > 0), r"not in ONNX: .*op_type:Abs, node name: abs.*unsupported type: tensor\(bool\)"),
    (lambda x: ag.softmax(x, (0, 1)), r"softmax.* axis is \(0, 1\), and one number in ONNX"),
    (lambda x: np.ones(3), "f returned ndarray, want a Tensor"),
    (lambda x: ag.Tensor([1.0]), "the result is a constant"),
]  # fmt: skip


@pytest.mark.parametrize(("f", "words"), REFUSED)
def test_what_a_file_cannot_have_is_refused_with_the_line(tmp_path, f, words):
    with pytest.raises((ValueError, TypeError), match=words):
        ag.interop.export_onnx(tmp_path / "f", f, np.zeros((4, 30)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dynamic", ["all", None, 1])
def test_the_batch_is_free_or_not(tmp_path, dynamic):
    with pytest.raises(TypeError, match=f"dynamic is {dynamic!r}, want True, for a batch of any size, or False"):
        ag.interop.export_onnx(tmp_path / "f", ag.relu, np.zeros((4, 30)), dynamic=dynamic)
    assert list(tmp_path.iterdir()) == []


def test_a_primitive_of_the_user_gets_a_converter(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "CONVERTERS", dict(CONVERTERS))

    @ag.primitive
    def scaled(x, factor=2):
        return x * factor

    with pytest.raises(TypeError, match=r"onnx_converter\(scaled\): the converter has an unknown parameter 'by'"):
        ag.interop.onnx_converter(scaled, lambda onnx, x, by: x)
    with pytest.raises(TypeError, match="'nothing' is no primitive"):
        ag.interop.onnx_converter("nothing", lambda onnx, x: x)
    ag.interop.onnx_converter(scaled, lambda onnx, x, factor: onnx.Mul(x, factor))
    ag.interop.export_onnx(tmp_path / "f", lambda x: scaled(x, factor=3), X)
    assert operators(tmp_path / "f") == ["Mul"]
    agree(tmp_path / "f", lambda x: scaled(x, factor=3), X)


def test_training_is_not_exported(tmp_path):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    ag.interop.export_onnx(tmp_path / "f", model, X)
    assert operators(tmp_path / "f") == ["Transpose", "BatchNormalization", "Transpose"]
    with pytest.raises(ValueError, match=r"it takes the statistics of the batch; call model.eval\(\) first"):
        ag.interop.export_onnx(tmp_path / "f", lambda x: model(x), X)


def test_the_same_network_gives_the_same_bytes(tmp_path):
    model = cnn(nn)
    for name in "ab":
        ag.interop.export_onnx(tmp_path / name, model, X)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
