"""Arguments by position: they mean what they mean to NumPy, or they are refused."""

import inspect

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.registry import counterparts, registry
from autograd_cnn.engine.tensor import Tensor

X = np.arange(1.0, 25).reshape(2, 3, 4)
REDUCTIONS = (
    "sum mean prod max min var std ptp logsumexp median nansum nanmean nanprod nanmax nanmin nanvar nanstd nanmedian"
).split()


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("second", [0, 1, 2])
def test_a_second_axis_is_no_keepdims(name, second):
    for call in (
        lambda: getattr(Tensor(X, requires_grad=True), name)(1, second),
        lambda: getattr(ag, name)(Tensor(X), 1, second),
        lambda: getattr(ag, name)(X, 1, second),
    ):
        with pytest.raises(TypeError, match=f"keepdims is {second}, want True or False"):
            call()


@pytest.mark.parametrize("name", ["sum", "mean", "max", "logsumexp"])
def test_the_cure_of_a_second_axis_is_a_tuple(name):
    with pytest.raises(TypeError) as caught:
        getattr(Tensor(X), name)(1, 2)
    assert str(caught.value).startswith(f"{name}: keepdims is 2, want True or False\n")
    assert str(caught.value).endswith("\n  Several axes: axis=(1, 2)")
    assert getattr(Tensor(X), name)(axis=(1, 2)).shape == (2,)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_ddof_is_passed_by_name(name):
    with pytest.raises(TypeError, match=r"Several axes: axis=\(0, 1\); or ddof=1"):
        getattr(ag, name)(X, 0, 1)
    assert getattr(ag, name)(Tensor(X), 0, True, ddof=1).shape == (1, 3, 4)
    np.testing.assert_allclose(getattr(ag, name)(Tensor(X), 0, ddof=1).data, getattr(np, name)(X, 0, ddof=1))


# By position, ours and NumPy's, where the names differ: what is passed there for NumPy
RENAMED = {"x", "y", "a", "b", "tensors", "arrays", "min", "max", "a_min", "a_max", "x1", "x2", "arr"}
THEIRS = {"dtype": np.float32, "out": np.zeros(3), "mode": "edge", "order": "f", "hermitian": True}


def positional(function):
    signature = getattr(function, "__signature__", None) or inspect.signature(function)
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [p.name for p in signature.parameters.values() if p.kind in kinds]


def differences():
    """(name, position, our parameter there, NumPy's): the first that differs."""
    for theirs, name in counterparts.items():
        if not callable(theirs) or isinstance(theirs, np.ufunc):
            continue
        try:
            pairs = [*zip(positional(registry[name]), positional(theirs), strict=False)]
        except ValueError:  # no signature, in some versions of NumPy
            continue
        for i, (our, their) in enumerate(pairs):
            if i and our != their and not {our, their} <= RENAMED:
                yield name, i, our, their
                break


OF_NUMPY = {  # arguments before the one that differs
    **dict.fromkeys(REDUCTIONS, (X, 0)),
    **{name: (X, 50 if "percent" in name else 0.5, 0) for name in ("percentile", "nanpercentile")},
    **dict.fromkeys(("quantile", "nanquantile"), (X, 0.5, 0)), "choose": (np.array([0]), [X[0, 0]]),
    "concatenate": ([X, X], 0), "stack": ([X, X], 0), "take": (X, [0], 0), "pad": (X, 1), "sort": (X, 0, None),
    "linalg.pinv": (X[0], None),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "position", "our", "their"), [pytest.param(*d, id=d[0]) for d in {d[0]: d for d in differences()}.values()]
)
def test_what_numpy_has_at_a_position_is_understood_or_refused(name, position, our, their):
    args = OF_NUMPY[name]
    assert len(args) == position, (our, their)
    if name == "pad":
        np.testing.assert_array_equal(ag.pad(*args, "edge"), np.pad(*args, "edge"))
    elif name == "sort":
        assert their == "order"  # of structured arrays, which are refused anyway
    else:
        with pytest.raises((TypeError, ValueError)):
            registry[name](*args, THEIRS[their])
