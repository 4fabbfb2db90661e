"""Parity with PyTorch's operator database: values, gradients and second derivatives of its own samples."""

import warnings
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from operator import attrgetter

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from vocabulary.torch_calls import CALLS, OTHER_NAME, SAME_NAME
from vocabulary.torch_others import HERMITIAN, NOT_HERE, OF_REAL, SIGNS, SKIPPED, VERSION

SAMPLES, SECOND = 25, 8  # of each operator, and how many of them are differentiated twice

OURS = {
    **{name: attrgetter(name.removeprefix("nn.functional."))(ag) for name in SAME_NAME},
    **{theirs: attrgetter(ours)(ag) for theirs, ours in (pair.split("=") for pair in OTHER_NAME)},
    **CALLS,
}


@cache
def database():
    """PyTorch's operators by name; the import takes ten seconds."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("expecttest", reason="expecttest, which PyTorch's operator database needs, is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {"|".join(filter(None, [op.name, op.variant_test_name])): op for op in op_db}


def matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns.split())


def takes_complex(name):
    import torch

    return torch.complex128 in database()[name].dtypes and name not in HERMITIAN


def samples(name, of_complex):
    """Samples of an operator, each with the reason to leave it out, or ''."""
    import torch

    torch.manual_seed(0)
    op = database()[name]
    dtypes = [torch.complex128] if of_complex else [torch.float64, torch.int64, torch.bool, torch.complex128]
    dtype = next(t for t in dtypes if t in op.dtypes)
    varied = op.supports_autograd and dtype in (torch.float64, torch.complex128)
    for sample in islice(op.sample_inputs("cpu", dtype, requires_grad=varied), SAMPLES):
        if name == "nn.functional.margin_ranking_loss":
            sample.args = sample.args[0], sample.args[1].sign()
        tests = [(reason, test) for reason, names, test in SKIPPED if matches(name, names)]
        yield sample, next((r for r, test in tests if test(sample.input, *sample.args, **sample.kwargs)), "")


def converted(value, leaves):
    """Arguments for us; adds (their leaf, our leaf) to `leaves`."""
    import torch

    if isinstance(value, torch.Tensor) and value.requires_grad:
        leaves.append((value, Tensor(value.numpy(force=True), requires_grad=True)))
        return leaves[-1][1]
    if isinstance(value, torch.Tensor):
        return value.numpy(force=True)
    if isinstance(value, torch.dtype):
        return torch.zeros(0, dtype=value).numpy().dtype
    if type(value) in (list, tuple):
        return type(value)(converted(v, leaves) for v in value)
    if isinstance(value, dict):
        return {{"dim": "axis", "keepdim": "keepdims"}.get(k, k): converted(v, leaves) for k, v in value.items()}
    return value


def parts(result, name):
    """The results that are compared, in one list."""
    if type(result) is list or isinstance(result, tuple):
        result = [p for r in result for p in parts(r, "")]
        return [abs(p) for p in result] if name in SIGNS else result[:1] if name.endswith("grad_oriented") else result
    return [result]


def numbers(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def check(got, want, what):
    want = want.numpy(force=True)
    assert got.shape == want.shape
    scale = np.abs(want[np.isfinite(want)]).max(initial=0)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9 * (1 + scale), err_msg=what)


def weighed(result, weights):
    """A real number that depends on all numbers of a result, of ours or of PyTorch's."""
    product = result * weights
    product = product.real if "complex" in str(product.dtype) else product
    return product.sum()


def drawn(shape, dtype, rng):
    g = rng.normal(size=shape)
    return g + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else g


def slopes(total, leaves, create_graph):
    """The gradients of a number, which may not depend on every leaf."""
    if not isinstance(total, Tensor) or not total.requires_grad:
        return [np.zeros(leaf.shape) for leaf in leaves]
    total = total + sum(weighed(leaf, 0) for leaf in leaves)
    found = total.gradient(*leaves, create_graph=create_graph)
    return found if isinstance(found, tuple) else (found,)


def compare(name, sample, second):
    """Compare the floats that PyTorch returns, and their derivatives for random cotangents."""
    import torch

    leaves, op = [], database()[name]
    x, args, options = (converted(v, leaves) for v in (sample.input, sample.args, sample.kwargs))
    theirs = parts(op(sample.input, *sample.args, **sample.kwargs), name)
    ours = parts(OURS[name](x, *args, **options), name)
    theirs = [t for t in theirs if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex())]
    ours = [o for o in ours if numbers(o).dtype.kind in "fc"]
    rng = np.random.default_rng(5)
    total, expected = 0, torch.zeros((), dtype=torch.float64)
    for o, t in zip(ours, theirs, strict=True):
        check(numbers(o), torch.as_tensor(t), "values")
        g = drawn(np.shape(numbers(o)), numbers(o).dtype, rng)
        if isinstance(t, torch.Tensor) and t.requires_grad:
            expected = expected + weighed(t, torch.tensor(g))
        total = total + weighed(o, g) if isinstance(o, Tensor) else total
    for order in ("gradients", "second derivatives")[: 1 + second]:
        if not expected.requires_grad:
            found = slopes(total, [m for _, m in leaves], False)
            assert all(np.abs(slope).max(initial=0) < 1e-15 for slope in found)
            return
        again = order == "gradients" and second
        wanted = torch.autograd.grad(expected, [t for t, _ in leaves], create_graph=again, allow_unused=True)
        found = slopes(total, [m for _, m in leaves], again)
        total, expected = 0, torch.zeros((), dtype=torch.float64)
        for (leaf, _), want, got in zip(leaves, wanted, found, strict=True):
            slope = torch.zeros_like(leaf) if want is None else want
            check(numbers(got), slope, order)
            g = drawn(slope.shape, got.dtype, rng)
            total, expected = total + weighed(got, g), expected + weighed(slope, torch.tensor(g))


def referee(name, of_complex=False):
    """Compare the samples of one operator, and return how many were not left out."""
    compared = 0
    twice = database()[name].supports_gradgrad
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # PyTorch warns of its own plans
        for i, (sample, reason) in enumerate(samples(name, of_complex)):
            if reason:
                continue
            compared += 1
            try:
                compare(name, sample, i < SECOND and twice)
            except Exception as error:
                raise AssertionError(f"{name}, sample {i}, {sample.summary()}: {error!r}") from error
    return compared


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS))
def test_an_operator(name):
    assert referee(name) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS))
def test_an_operator_of_complex_numbers(name):
    if not takes_complex(name):
        pytest.skip("PyTorch's is for real numbers")
    if name in OF_REAL:
        with pytest.raises(AssertionError, match="for real numbers"):
            referee(name, of_complex=True)
        return
    assert referee(name, of_complex=True) > 0


@pytest.mark.slow
def test_every_operator_is_in_one_table():
    names = list(database())
    import torch

    if not torch.__version__.startswith(VERSION):
        pytest.skip(f"the tables are those of PyTorch {VERSION}, this is {torch.__version__}")
    patterns = [pattern for reason in NOT_HERE.values() for pattern in reason.split()]
    left_out = {name for name in names if matches(name, " ".join(patterns))}
    assert set(names) - left_out - set(OURS) == set()
    assert left_out & set(OURS) == set()
    assert set(OURS) - set(names) == set()
    assert [p for p in patterns if not any(fnmatchcase(name, p) for name in names)] == []
