"""Operators of ONNX with random attributes, dtypes and shapes: ONNX Runtime's numbers, or a refusal by name.

``python tests/interop/test_onnx_variants.py [count] [operator ...]`` prints the counts.
"""

import sys
import warnings
import zlib
from collections import Counter

import numpy as np
import pytest

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop.onnx.load import OnnxModule
from autograd_cnn.interop.onnx.table import OPERATORS
from interop.onnx_variants import MAKERS, Draw

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which is compared with, is not installed")

OTHERS = {"Constant", "Dropout", "If", "SequenceAt", "SplitToSequence"}  # tested elsewhere
REFERENCE = {  # operators for whose other dtypes ONNX's own evaluation is right as well
    "Abs", "CumSum", "CumProd", "Gather", "Mod", "Neg", "Pow", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
    "Resize", "Sign", "SwiGLU", "Swish", "RMSNormalization",
}  # fmt: skip


def made(operator, seed):
    """Return a model of one node and its inputs, for a random case."""
    opset = (20, 23)[seed % 2]
    since = {s.since_version for s in onnx.defs.get_all_schemas_with_history() if (s.name, s.domain) == (operator, "")}
    opset = opset if min(since) <= opset else max(since)
    schema = onnx.defs.get_schema(operator, opset, "")
    if schema.deprecated:
        schema, opset = onnx.defs.get_schema(operator, 23, ""), 23
    arrays, attributes = MAKERS[operator](Draw(zlib.crc32(f"{operator}{seed}".encode()), schema))
    inputs = {f"x{i}": a for i, a in enumerate(arrays) if a is not None}
    count = 2 if operator == "TopK" else 1
    if operator == "Split":
        count = len(arrays[1]) if len(arrays) > 1 else attributes["num_outputs"]
    names = [f"x{i}" if a is not None else "" for i, a in enumerate(arrays)]
    node = onnx.helper.make_node(operator, names, [f"y{i}" for i in range(count)], "case", **attributes)
    kinds = {n: onnx.helper.make_tensor_type_proto(onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
             for n, a in inputs.items()}  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", opset)]
    values = {n: onnx.numpy_helper.from_array(a) for n, a in inputs.items()}
    kind = onnx.shape_inference.infer_node_outputs(schema, node, kinds, values, opset_imports=opsets)["y0"]
    result = onnx.helper.make_tensor_value_info("y0", kind.tensor_type.elem_type, None)
    values = [onnx.helper.make_value_info(n, k) for n, k in kinds.items()]
    graph = onnx.helper.make_graph([node], "g", values, [result])
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), inputs


def theirs(operator, model, inputs):
    """Return the result of ONNX Runtime, or of ONNX itself where that is right, or None."""
    if operator == "LRN":
        return windows(model, inputs["x0"])
    runtime.set_default_logger_severity(4)
    try:
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(["y0"], inputs)[0]
    except Exception:  # it lacks the dtype
        if operator not in REFERENCE:
            return None
    from onnx.reference import ReferenceEvaluator

    try:
        return ReferenceEvaluator(model).run(["y0"], inputs)[0]
    except Exception:
        return None


def windows(model, x):
    """LRN by its definition: neither evaluates even windows."""
    given = {a.name: onnx.helper.get_attribute_value(a) for a in model.graph.node[0].attribute}
    size, bias = given["size"], given.get("bias", 1.0)
    sums = np.zeros(x.shape)
    for c in range(x.shape[1]):
        low, high = max(0, c - (size - 1) // 2), min(x.shape[1] - 1, c + size // 2)
        sums[:, c] = (x[:, low : high + 1].astype(float) ** 2).sum(1)
    return (x / (bias + given.get("alpha", 1e-4) / size * sums) ** given.get("beta", 0.75)).astype(x.dtype)


def compare(operator, seed, counts):
    try:
        model, inputs = made(operator, seed)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError):
        counts["not allowed"] += 1
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        want = theirs(operator, model, inputs)
        try:
            got = OnnxModule(model, "f.onnx")(*inputs.values())
        except (ValueError, TypeError) as error:
            assert str(error).startswith(f"f.onnx: {operator} case: ") and len(str(error)) > 25, error
            counts["refused"] += 1
            return
    if want is None:
        counts["nobody else has it"] += 1
        return
    got = np.asarray(got.data if isinstance(got, Tensor) else got)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    tolerance = 1e-2 if want.dtype == np.float16 else 1e-4
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance if want.dtype == np.float16 else 1e-5)
    counts["right"] += 1


def referee(operator, count):
    counts = Counter()
    for seed in range(count):
        try:
            compare(operator, seed, counts)
        except Exception as error:
            raise AssertionError(f"{operator}, case {seed}: {error!r}\n{made(operator, seed)}") from error
    return counts


def test_every_operator_has_variants():
    assert {*MAKERS} == {*OPERATORS} - OTHERS


@pytest.mark.parametrize("operator", sorted(MAKERS))
def test_a_variant_is_right_or_refused(operator):
    assert referee(operator, 4).total() == 4


@pytest.mark.slow
@pytest.mark.parametrize("operator", sorted(MAKERS))
def test_many_variants_are_right_or_refused(operator):
    counts = referee(operator, 40)
    assert counts["right"] > 0


if __name__ == "__main__":
    count, *names = sys.argv[1:] or ["20"]
    for name in names or sorted(MAKERS):
        try:
            print(name, dict(referee(name, int(count))))
        except AssertionError as error:
            print(str(error)[:1500])
