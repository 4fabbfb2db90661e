"""ONNX's own cases of its operators: values, dtypes, and that every float input gets a gradient of its dtype.

``python tests/interop/test_onnx_cases.py [operator ...]`` prints the counts.
"""

import sys
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # pytest does so by itself

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop.onnx.load import OnnxModule
from autograd_cnn.interop.onnx.table import OPERATORS

CONSTANT = {"Pad": (2,), "Resize": (1, 2, 3)}  # inputs without a gradient
SKIPPED = [  # (reason, operators, whether it holds for the inputs of a case), beside what loading refuses
    ("three dimensions", "Conv ConvTranspose", lambda arrays: arrays[0].ndim > 4),
    ("lists of arrays", "Identity", lambda arrays: not hasattr(arrays[0], "dtype")),
    ("the maximum of nothing", "ReduceMax ReduceMin", lambda arrays: arrays[0].size == 0),
]
OURS = {*OPERATORS} - {"Cast", "CastLike", "Constant", "ConstantOfShape", "Dropout", "SplitToSequence", "SequenceAt"}
OURS -= {"GRU"}  # all cases have ONNX's default of linear_before_reset, which is refused


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


def numbers(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def referee(name):
    """Run the cases of one operator."""
    counts = Counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of infinities and NaN, which some cases have
        for case in cases()[name]:
            try:
                run(case, counts)
            except Exception as error:
                raise AssertionError(f"{name}, {case.name}: {error!r}") from error
    return counts


def run(case, counts):
    """Compare the value of one case, and run backward."""
    node, (given, wanted) = case.model.graph.node[0], case.data_sets[0]
    given = iter(given)
    arrays = [next(given) if name else None for name in node.input]
    reason = next((r for r, names, test in SKIPPED if node.op_type in names.split() and test(arrays)), None)
    reason = "bfloat16" if any(np.asarray(a).dtype.name == "bfloat16" for a in arrays) else reason
    if not reason:
        if node.op_type != "Split":  # the others have further results for rules of their own
            del case.model.graph.output[1:]
        module = OnnxModule(case.model)
        reason = next((f"{node.op_type}: {n.lacks.partition('=')[0]}" for n in module._nodes if n.lacks), None)
    if reason:
        counts["skipped: " + reason] += 1
        return
    constant = CONSTANT.get(node.op_type, ())
    arrays = [
        Tensor(a, requires_grad=True) if i not in constant and np.asarray(a).dtype.kind == "f" else a
        for i, a in enumerate(arrays)
    ]
    try:
        out = module(*(a for a in arrays if a is not None))
    except ValueError as error:
        if "has no counterpart" not in str(error):
            raise
        counts[f"skipped: {node.op_type}: no counterpart"] += 1
        return
    counts["cases"] += 1
    results = out if isinstance(out, (list, tuple)) else [out]
    for got, want in zip(results, wanted, strict=False):  # ONNX may return more, for its own rules
        assert (numbers(got).shape, numbers(got).dtype) == (np.shape(want), np.asarray(want).dtype)
        np.testing.assert_allclose(numbers(got), want, case.rtol, case.atol)
        counts["values"] += np.size(want)
    recorded = [r for r in results if isinstance(r, Tensor) and r.requires_grad]
    for r in recorded:
        r.backward(np.ones(r.shape, r.dtype))
    for leaf in arrays:
        if recorded and isinstance(leaf, Tensor) and leaf.grad is not None:
            assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype)


def test_operators_have_the_numbers_of_onnx():
    """One test for all, since it takes longer to make the cases than to run them."""
    total, wrong = Counter(), {}
    for name in sorted(OURS):
        try:
            counts = referee(name)
            assert counts["cases"], f"{name} has no case"
            total += counts
        except AssertionError as error:
            wrong[name] = str(error)
    assert not wrong and total["cases"] > 600


if __name__ == "__main__":
    total = sum(map(referee, sys.argv[1:] or OURS), Counter())
    print(f"{len(OURS)} operators of {len(cases())}")
    for what, n in sorted(total.items()):
        print(f"{n:8} {what}")
