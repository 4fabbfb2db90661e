"""Files of ONNX: written as text, run in ONNX Runtime, and read back."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import plain


def parsed(body, inputs="float[N, 2] x", outputs="float[a, b] y", /, opset=20, own="", **constants):
    """Return a model from ONNX's own text, with constants by name; `own` are functions of the domain "own"."""
    import onnx

    domains = f'"": {opset}' + ', "own": 1' * bool(own)
    model = onnx.parser.parse_model(
        f"<ir_version: 8, opset_import: [{domains}]> g ({inputs}) => ({outputs}) {{ {body} }} {own}"
    )
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items())
    return model


def run(path, *inputs):
    """Return the results of a file in ONNX Runtime."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which runs the files, is not installed")
    runtime.set_default_logger_severity(4)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: np.asarray(a) for i, a in zip(session.get_inputs(), inputs, strict=True)})


def agree(path, f, *inputs, tolerance=1e-5):
    """Compare the results of `f` with those of its file, in ONNX Runtime and read back."""
    want, back = f(*map(ag.Tensor, inputs)), ag.interop.load_onnx(path)(*inputs)
    want, back = (results if isinstance(results, tuple) else (results,) for results in (want, back))
    for results in run(path, *inputs), map(plain, back):
        for got, w in zip(results, want, strict=True):
            assert got.dtype == w.dtype
            np.testing.assert_allclose(got, w.data, rtol=tolerance, atol=tolerance)
