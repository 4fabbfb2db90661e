"""ONNX's own cases of its operators: values, dtypes, and that every float input gets a gradient of its dtype."""

import warnings
from functools import cache

import numpy as np
import pytest

from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop.onnx.load import OnnxModule
from autograd_cnn.interop.onnx.table import OPERATORS

CONSTANT = {"Pad": (2,), "Resize": (1, 2, 3)}  # inputs without a gradient
SKIPPED = [  # operators, and for which inputs, beside what loading refuses
    ("Conv ConvTranspose", lambda x: x.ndim > 4),
    ("Identity", lambda x: not hasattr(x, "dtype")),  # lists of arrays
    ("ReduceMax ReduceMin", lambda x: x.size == 0),
]
OURS = {*OPERATORS} - {"Cast", "CastLike", "Constant", "ConstantOfShape", "Dropout", "SplitToSequence", "SequenceAt"}
OURS -= {"GRU"}  # all cases have ONNX's default of linear_before_reset, which is refused
FEW = {"Resize", "ScatterND"}  # of most forms, which are refused


@cache
def cases():
    """ONNX's cases that consist of one operator, by operator."""
    pytest.importorskip("onnx", reason="ONNX, whose cases are run, is not installed")
    found = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        for case in collect_testcases(None):
            if len(case.model.graph.node) == 1:
                found.setdefault(case.model.graph.node[0].op_type, []).append(case)
    return found


@pytest.mark.parametrize("name", sorted(OURS))
def test_an_operator_has_the_numbers_of_onnx(name):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of infinities and NaN, which some cases have
        run = [is_right(case) for case in cases()[name]]
    assert sum(run) >= (1 if name in FEW else len(run) / 2)


def is_right(case):
    """Compare the values of one case, and run backward. Return whether it has a counterpart here."""
    node, (given, wanted) = case.model.graph.node[0], case.data_sets[0]
    given = iter(given)
    arrays = [next(given) if name else None for name in node.input]
    if any(node.op_type in names.split() and test(arrays[0]) for names, test in SKIPPED):
        return False
    if any(getattr(a, "dtype", None) is not None and a.dtype.name == "bfloat16" for a in arrays):
        return False
    if node.op_type != "Split":  # the others have further results for rules of their own
        del case.model.graph.output[1:]
    module = OnnxModule(case.model)
    if any(each.lacks for each in module._nodes):
        return False
    constant = CONSTANT.get(node.op_type, ())
    arrays = [
        Tensor(a, requires_grad=True) if i not in constant and np.asarray(a).dtype.kind == "f" else a
        for i, a in enumerate(arrays)
    ]
    try:
        out = module(*(a for a in arrays if a is not None))
    except ValueError as error:
        if "has no counterpart" not in str(error):
            raise AssertionError(f"{case.name}: {error!r}") from error
        return False
    results = out if isinstance(out, (list, tuple)) else [out]
    for got, want in zip(map(plain, results), wanted, strict=False):  # ONNX may return more, for its own rules
        assert (got.shape, got.dtype) == (np.shape(want), np.asarray(want).dtype), case.name
        np.testing.assert_allclose(got, want, case.rtol, case.atol, err_msg=case.name)
    recorded = [r for r in results if isinstance(r, Tensor) and r.requires_grad]
    for r in recorded:
        r.backward(np.ones(r.shape, r.dtype))
    for leaf in arrays:
        if recorded and isinstance(leaf, Tensor) and leaf.grad is not None:
            assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype), case.name
    return True
