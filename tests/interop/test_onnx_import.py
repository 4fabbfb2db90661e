"""Files of ONNX: what is read, what is refused, and with which words."""

import copy
import pickle
import re
import weakref

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.engine.observe import observing
from autograd_cnn.interop.onnx.table import OPERATORS
from interop.onnx_files import parsed, run
from interop.torch_networks import X, cnn, randomised

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")


def network(tmp_path, *args, **options):
    onnx.save(parsed(*args, **options), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def loaded(*args, **options):
    return ag.interop.load_onnx(network(*args, **options))


def test_initialisers_of_the_oldest_files_need_not_be_inputs(tmp_path):
    path = network(tmp_path, "y = Mul(x, w)", opset=7, w=np.float32([2, 3]))
    model = onnx.load(path)
    model.ir_version = 3
    onnx.save(model, path)
    np.testing.assert_array_equal(ag.interop.load_onnx(path)(np.float32([[1, 2]])).data, [[2, 6]])


def test_an_operator_of_another_domain_is_listed_where_no_other_is(tmp_path):
    text = """<ir_version: 8, opset_import: ["ai.onnx.ml": 1]> g (float[1, 2] x) => (float[1, 2] y)
              { y = ai.onnx.ml.Scaler<scale=[2.0], offset=[0.0]>(x) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "f")
    with pytest.raises(ValueError, match=r"lacks: ai.onnx.ml.Scaler \(1\)"):
        ag.interop.load_onnx(tmp_path / "f")


def test_inputs_are_checked(tmp_path):
    model = loaded(tmp_path, "y = Div(x, x)")
    assert (model.inputs, model(np.ones((3, 2), "f")).shape) == ({"x": ("N", 2)}, (3, 2))
    for shape in (3, 4), (3,), (3, 2, 1):
        with pytest.raises(ValueError, match=re.escape(f"OnnxModule: x is {shape}, want x (N, 2)")):
            model(np.ones(shape, "f"))
    with pytest.raises(TypeError, match=r"OnnxModule: 2 inputs, want x \(N, 2\)"):
        model(1.0, 2.0)
    with pytest.raises(TypeError, match=r"x is int64, want float32: x.astype\(np.float32\)"):
        model(np.ones((3, 2), int))
    assert model(np.ones((3, 2))).dtype == np.float64


def test_an_extent_of_minus_one_is_free():
    model = parsed("y = Relu(x)")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    model = ag.interop.OnnxModule(model)
    assert model.inputs == {"x": ("?", 2)} and model(np.ones((3, 2), "f")).shape == (3, 2)


NAMES = [
    *"forward forward_ train eval path training parameters _nodes _constants _file inputs outputs".split(),
    *"requires_grad __class__ __dict__ a.b a/b é 1 class forward__".split(), "a b",
]  # fmt: skip


def test_constants_may_have_any_name(tmp_path):
    path = network(tmp_path, "y = Relu(x)", **{name: np.float32([k, k + 1]) for k, name in enumerate(NAMES)})
    model = onnx.load(path)
    model.graph.node[0].CopyFrom(onnx.helper.make_node("Max", ["x", *NAMES], ["y"]))
    onnx.save(model, path)
    model = ag.interop.load_onnx(path)
    assert model(np.ones((1, 2), "f")).data.tolist() == [[len(NAMES) - 1, len(NAMES)]]
    found = dict(model.named_parameters())
    assert [found[p].data[0] for p in found] == [*range(len(NAMES))]
    assert {*found} == {*NAMES}
    assert model.training and not model.eval().training and isinstance(repr(model), str)
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


@pytest.mark.parametrize(("node", "shape", "message"), [
    ("y = Conv<auto_pad=\"SAME_UPPER\", strides=[1, 4]>(x, w)", (1, 1, 6, 6), "auto_pad=SAME_UPPER with steps longer"),
    ("i = Cast<to=7>(x) y = ReduceMean(i)", (1, 1, 1, 1), "its numbers are float64 here, and int64 in ONNX"),
    ("y = Conv(x, w)", (1, 3, 5, 5), "conv2d: .*3 channels.*"),
])  # fmt: skip
def test_an_error_names_the_node_and_the_file(tmp_path, node, shape, message):
    model = loaded(tmp_path, node, "float[a, b, c, d] x", "float[a, b, c, d] y", w=np.ones((1, 1, 3, 3), "f"))
    with pytest.raises(ValueError, match=rf"^net.onnx: \w+ y: {message}"):
        model(np.ones(shape, "f"))


def test_a_constant_node_has_the_dtype_of_its_attribute():
    kinds = {"value_float": (0.5, "f4"), "value_floats": ([0.5, 1], "f4"), "value_int": (2, "i8"),
             "value_ints": ([2, 3], "i8"), "value": (np.array(2.0), "f8")}  # fmt: skip
    for name, (value, dtype) in kinds.items():
        assert OPERATORS["Constant"].function(**{name: value}).dtype == dtype


def test_integers_are_divided_exactly():
    x, y = np.array([2**53 + 1, -7, 7, -(2**63)]), np.array([1, 2, -2, 2])
    assert OPERATORS["Div"].function(x, y).tolist() == [2**53 + 1, -3, -3, -(2**62)]


def test_functions_are_refused_with_the_call_that_writes_them_out(tmp_path):
    own = '<domain: "own", opset_import: ["": 20]> f (a) => (b) { b = Relu(a) }'
    path = network(tmp_path, "y = own.f(x)", own=own)
    with pytest.raises(ValueError, match="net.onnx has functions of its own. Write them out: import onnx") as error:
        ag.interop.load_onnx(path)
    exec(str(error.value).partition("out: ")[2], {"path": path})
    assert ag.interop.load_onnx(path)(np.array([[-1, 2]], "f")).data.tolist() == [[0, 2]]


def test_a_result_that_nobody_uses_is_no_operand(tmp_path):
    body = "a, b, c = Split<num_outputs=3>(x) d = Clip(a, , one) y = Add(d, c)"
    model = loaded(tmp_path, body, "float[6] x", "float[2] y", one=np.float32(1))
    assert model(np.array([-3, 2, 9, 9, 4, 5], np.float32)).data.tolist() == [1, 6]


def test_a_value_lives_until_its_last_node(tmp_path):
    model, seen, alive = loaded(tmp_path, "a = Neg(x) b = Neg(a) c = Neg(b) d = Neg(c) y = Neg(d)"), [], []

    def look(call):
        seen.append(weakref.ref(call.out.data))
        alive.append(sum(each() is not None for each in seen))

    with observing(look, recording=False):
        model(ag.Tensor(np.ones((3, 2), "f")))
    assert alive == [1, 2, 2, 2, 2]


def test_further_results_are_refused_only_where_they_are_used(tmp_path):
    assert loaded(tmp_path, "a, mask = Dropout(x) y = Relu(a)")(np.ones((2, 2), "f")).max() == 1
    with pytest.raises(ValueError, match=r"net.onnx: Dropout a: the result mask has no counterpart. Export it from"):
        loaded(tmp_path, "a, mask = Dropout(x) b = Cast<to=1>(mask) y = Add(a, b)")


@pytest.mark.parametrize(("text", "odd"), [
    ("MaxPool<kernel_shape=[2, 2, 2]>(x)", "windows of three dimensions"), ("Round(x) z = Hardmax(x)", "Hardmax"),
    ("Round(x) b = Hardmax(x) z = Hardmax(b)", r"has operators that this package lacks: Hardmax \(2\)"),
    ("Resize<mode=\"linear\", antialias=1>(x, , x)", "antialias=1"), ("NonMaxSuppression(x, x)", "NonMaxSuppression"),
    ("AveragePool<kernel_shape=[2], dilations=[2]>(x)", r"dilations=\[2\]"), ("GridSample(x, x)", "GridSample"),
    ("ScatterND<reduction=\"max\">(x, i, x)", "reduction='max'"), ("RoiAlign(x, x, i)", "RoiAlign"),
    ("ConvTranspose<output_shape=[5]>(x, x)", r"output_shape=\[5\]"), ("DepthToSpace<blocksize=2>(x)", "mode='DCR'"),
    ("MaxPool<kernel_shape=[2], storage_order=1>(x)", "storage_order=1"),
    ("Resize<mode=\"cubic\">(x, , x)", "'cubic'"), ("Conv<auto_pad=\"SAME_LOWER\">(x, x)", "auto_pad=.SAME_LOWER"),
    ("CumSum<reverse=1>(x, i)", "reverse=1"), ("LSTM<hidden_size=2, clip=0.5>(x, x, x)", "clip=0.5"),
    ("LSTM<hidden_size=2, input_forget=1>(x, x, x)", "input_forget=1"),
    ("LSTM<hidden_size=2>(x, x, x, , , , , x)", "the input 8"), ("RNN<layout=1>(x, x, x)", "layout=1"),
    ("RNN<activations=[\"Sigmoid\"]>(x, x, x)", r"activations=\[b'Sigmoid'\]"),
    ("GRU<linear_before_reset=1, activations=[\"Tanh\", \"Relu\"]>(x, x, x)", r"activations=\[b'Tanh', b'Relu'\]"),
    ("GRU<hidden_size=2>(x, x, x)", "linear_before_reset=0"),
    ("Resize<coordinate_transformation_mode=\"tf_crop_and_resize\">(x, x, x)", "coordinate.*=.tf_crop_and_resize"),
])  # fmt: skip
def test_what_has_no_counterpart_is_refused_when_the_file_is_read(tmp_path, text, odd):
    path = network(tmp_path, f"y = {text}", "float[N, 2, 5] x, int64[N, 2, 5] i", "float[a, b, c] y")
    with pytest.raises(ValueError, match=rf"^load_onnx: .*net.onnx.*{odd}.*\. Export it from .* onnxruntime$"):
        ag.interop.load_onnx(path)


NEAREST = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
LINEAR = 'mode="linear", coordinate_transformation_mode='
SCALED, SIZED = "y = Resize<{}>(x, , s)", "y = Resize<{}>(x, , , s)"
FOUR, OPTIONS = (
    (2, 3, 4, 5),
    """a = Clip<min=0.0, max=0.5>(x) b = Pad<pads=[0, 0, 1, 1, 0, 0, 0, 2]>(a)
    c = Slice<axes=[2], starts=[1], ends=[-1]>(b) d = Unsqueeze<axes=[1]>(c) e = Squeeze<axes=[1]>(d)
    y = ReduceSum<axes=[0], keepdims=1>(e)""",
)  # as attributes, which later versions have as inputs
PARTS = "p = SplitToSequence<axis=1>(x, sizes) y = SequenceAt(p, k)"  # as PyTorch writes `split`
GATES = {n: np.random.default_rng(0).normal(size=(1, 30 * n)).astype("f") for n in (1, 3, 4)}


def recurrent(node, gates):
    """Nodes and constants of a layer with three features and two hidden states."""
    w, r, b = np.split(GATES[gates], np.cumsum([6 * gates, 4 * gates]), 1)
    states = {"h": np.full((1, 3, 2), 0.5, "f"), "c": np.full((1, 3, 2), -1, "f"), "axis": np.array([1])}
    shaped = {"w": w.reshape(1, -1, 3), "r": r.reshape(1, -1, 2), "b": b[:, : 4 * gates], **states}
    return f"a = {node} y = Squeeze(a, axis)", 20, (2, 3, 3), shaped


AGREED = [  # nodes, opset, the shape of x, and constants
    ("y = GroupNormalization<num_groups=2>(x, s, s)", 21, (2, 4, 3), {"s": np.arange(4, dtype="f") + 1}),
    *((SCALED.format(how), 20, (2, 3, 4, 5)[: len(scales)], {"s": np.array(scales, "f")}) for how, scales in [
        (NEAREST, [1, 1, 2, 3]), (NEAREST, [1, 1, 2]), (LINEAR + '"half_pixel"', [1, 1, 1.5, 1.4]),
        (LINEAR + '"align_corners"', [1, 1, 2])]),
    *((SIZED.format(how), 20, FOUR, {"s": np.array([2, 3, *sizes])}) for how, sizes in [
        (NEAREST, [7, 3]), (LINEAR + '"half_pixel"', [1, 9]), (LINEAR + '"pytorch_half_pixel"', [3, 9]),
        (LINEAR + '"align_corners"', [7, 3])]),
    (PARTS, 20, (2, 5), {"sizes": np.array([1, 4]), "k": np.array(1)}),
    (PARTS, 20, (2, 5), {"sizes": np.array(2), "k": np.array(1)}),
    ("y = Softmax<axis=1>(x)", 12, FOUR, {}),  # over all axes that follow
    ("y = LogSoftmax<axis=-1>(x)", 7, FOUR, {}), (OPTIONS, 9, FOUR, {}),
    recurrent("GRU<hidden_size=2, linear_before_reset=1>(x, w, r)", 3),
    recurrent("GRU<hidden_size=2, linear_before_reset=1>(x, w, r, b, , h)", 3),
    recurrent("LSTM<hidden_size=2, layout=0>(x, w, r, b, , h, c)", 4),
    recurrent('RNN<hidden_size=2, activations=["Relu"], direction="reverse">(x, w, r, b, , h)', 1),
]  # fmt: skip


@pytest.mark.parametrize(("body", "opset", "shape", "constants"), AGREED)
def test_nodes_have_the_numbers_of_onnx_runtime(tmp_path, body, opset, shape, constants):
    axes = ", ".join("abcd"[: len(shape)])
    model = loaded(tmp_path, body, f"float[{axes}] x", f"float[{axes.upper()}] y", opset, **constants)
    x = np.random.default_rng(0).normal(size=shape).astype("f")
    np.testing.assert_allclose(model(x).data, run(tmp_path / "net.onnx", x)[0], 1e-4, 1e-5)


SEVERAL = [  # of the forms of Resize: what programs do in several ways
    (NEAREST, [1, 1, 1.5, 1.3]), (NEAREST, [1, 2, 2, 2]), ('mode="nearest"', [1, 1, 2, 2]),
    (LINEAR + '"half_pixel"', [1, 1, 1.5, 1.3]), (LINEAR + '"align_corners"', [1, 1, 1.5, 1.3]),
    (LINEAR + '"asymmetric"', [1, 1, 2, 2]), (LINEAR + '"pytorch_half_pixel"', [1, 1, 0.25, 1.8]),
]  # fmt: skip


@pytest.mark.parametrize(("how", "scales"), SEVERAL)
def test_images_are_not_resized_where_programs_differ(tmp_path, how, scales):
    four = "float[a, b, c, d] x", "float[e, f, g, h] y"
    model = loaded(tmp_path, SCALED.format(how), *four, s=np.array(scales, "f"))
    with pytest.raises(ValueError, match=r"^net.onnx: Resize y: Resize of \(2, 3, .* has no counterpart$"):
        model(np.ones(FOUR, "f"))


def test_constants_in_nodes_are_parameters_where_there_are_no_others(tmp_path):
    body = """v = Constant<value_float=1.0>() w = Constant<value=float[2] {3, 4}>() t = Constant<value=float[1] {2}>()
              a = Mul(x, w) b = Div(a, t)"""
    model = loaded(tmp_path, body + "y = Add(b, v)")
    assert [name for name, _ in model.named_parameters()] == ["w"]
    assert model(np.ones((1, 2), "f")).data.tolist() == [[2.5, 3]]
    model = loaded(tmp_path, body + "y = Add(b, u)", u=np.ones(1, "f"))
    assert [name for name, _ in model.named_parameters()] == ["u"]


@pytest.mark.parametrize(
    ("opset", "body", "want"),
    [(6, "y = Relu(x)", "7"), (9, "y = Upsample(x, x)", "11 or later for Resize"), (10, "y = Resize(x, x)", "11 or")],
)
def test_files_that_are_too_old_are_refused(tmp_path, opset, body, want):
    with pytest.raises(ValueError, match=f"net.onnx has opset {opset}, want {want}.*. Export it again$"):
        loaded(tmp_path, body, opset=opset)


def test_an_older_file_that_onnx_does_not_convert_is_refused(tmp_path, monkeypatch):
    def fail(model, opset):
        raise RuntimeError("no adapter for\n Scan")

    monkeypatch.setattr(onnx.version_converter, "convert_version", fail)
    with pytest.raises(
        ValueError, match=r"has opset 9, which onnx.version_converter does not convert \(no adapter for Sc"
    ):
        loaded(tmp_path, "y = Relu(x)", opset=9)
