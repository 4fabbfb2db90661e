"""Recurrent operators in ONNX files, and attention with a mask."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.calculus.trees import tree_leaves

pytest.importorskip("onnx", reason="ONNX is not installed")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which is compared with, is not installed")
X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)


def run(path, x):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def equal(ours, theirs):
    for a, b in zip(tree_leaves(ours), theirs, strict=True):
        np.testing.assert_allclose(a.data, b, 1e-5, 1e-6)


def test_attention_is_written(tmp_path):
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    layer.eval()
    ag.interop.export_onnx(tmp_path / "layer.onnx", lambda x: layer(x, is_causal=True), X)
    for x in (X, X[:1]):
        equal(layer(x, is_causal=True), run(tmp_path / "layer.onnx", x))


def one_node(path, operator, count, **options):
    """Write a file of one recurrent node; return its inputs."""
    from onnx import helper, save

    gates, rng = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator], np.random.default_rng(0)
    shapes = [(3, 1, 2), (1, 2 * gates, 2), (1, 2 * gates, 2), (1, 4 * gates), None, (1, 1, 2), (1, 1, 2), (1, 6)]
    arrays = [None if shape is None else rng.normal(size=shape).astype("f") for shape in shapes[:count]]
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arrays)]
    values = [helper.make_tensor_value_info(n, 1, a.shape) for n, a in zip(names, arrays, strict=True) if n]
    node = helper.make_node(operator, names, ["y"], "case", hidden_size=2, **options)
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", 1, [None] * 4)])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=8), path)
    return {n: a for n, a in zip(names, arrays, strict=True) if n}


@pytest.mark.parametrize(
    ("operator", "count", "options"),
    [("GRU", 3, {"linear_before_reset": 1}), ("GRU", 6, {"linear_before_reset": 1}), ("LSTM", 7, {"layout": 0}),
     ("RNN", 6, {"activations": ["Relu"], "direction": "reverse"})],
)  # fmt: skip
def test_a_recurrent_node_has_the_numbers_of_onnx_runtime(tmp_path, operator, count, options):
    inputs = one_node(tmp_path / "f.onnx", operator, count, **options)
    session = runtime.InferenceSession(tmp_path / "f.onnx", providers=["CPUExecutionProvider"])
    equal(ag.interop.load_onnx(tmp_path / "f.onnx")(*map(ag.Tensor, inputs.values())), session.run(None, inputs))


@pytest.mark.parametrize(
    ("operator", "count", "options", "message"),
    [("LSTM", 3, {"clip": 0.5}, "clip=0.5"), ("LSTM", 3, {"input_forget": 1}, "input_forget=1"),
     ("LSTM", 8, {}, "the input 8"), ("RNN", 3, {"layout": 1}, "layout=1"),
     ("RNN", 3, {"activations": ["Sigmoid"]}, r"activations=\[b'Sigmoid'\]"),
     ("GRU", 3, {"linear_before_reset": 1, "activations": ["Tanh", "Relu"]}, r"activations=\[b'Tanh', b'Relu'\]"),
     ("GRU", 3, {}, "linear_before_reset=0")],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_when_the_file_is_read(tmp_path, operator, count, options, message):
    one_node(tmp_path / "f.onnx", operator, count, **options)
    with pytest.raises(ValueError, match=f"f.onnx: {operator} case: {message} has no counterpart. Export it from the"):
        ag.interop.load_onnx(tmp_path / "f.onnx")
