"""Values and gradients beside PyTorch's that its operator database lacks: ties, kinks, some options, a network."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor

TOLERANCE = {np.float32: {"rtol": 1.3e-6, "atol": 1e-5}, np.float64: {"rtol": 1e-7, "atol": 1e-7}}


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def compare(torch, request):
    """compare(ours, theirs, *arrays): value and the gradient of every array of floats, for a random g."""
    dtype = request.param

    def run(ours, theirs, *arrays):
        arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        mine = [Tensor(a, requires_grad=True) if i in floats else a for i, a in enumerate(arrays)]
        other = [torch.tensor(a, requires_grad=i in floats) for i, a in enumerate(arrays)]
        value, expected = ours(*mine), theirs(*other)
        np.testing.assert_allclose(value.data, expected.detach().numpy(), **TOLERANCE[dtype])
        assert value.dtype == dtype
        g = np.random.default_rng(9).normal(size=value.shape).astype(dtype)
        value.backward(g)
        expected.backward(torch.tensor(g))
        for i in floats:
            np.testing.assert_allclose(mine[i].grad, other[i].grad.numpy(), **TOLERANCE[dtype])

    return run


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def oihw(w):
    return w.permute(3, 2, 0, 1)


nan, inf = np.nan, np.inf
EDGES = [-inf, -2, -1, -0.5, -0.0, 0.0, 0.5, 1, 3, inf, nan]
ALIKE = {
    1: "abs exp expm1 log log1p sqrt reciprocal exp2 log2 log10 tan sinh cosh arcsin arccos arctan arcsinh arccosh "
    "arctanh sinc deg2rad rad2deg nan_to_num positive sigmoid",
    2: "arctan2 hypot logaddexp logaddexp2 fmax fmin copysign remainder fmod power float_power",
    3: "clip",
}
DIFFERENT = {  # where our conventions are not PyTorch's
    "hypot": lambda x, y: ((x == 0) & (y == 0)) | np.isinf(x) | np.isinf(y),  # we have the limit
    "arctan2": lambda x, y: np.isinf(x) | np.isinf(y),
    "logaddexp": lambda x, y: (x == inf) & (y == inf),  # we share
    "logaddexp2": lambda x, y: (x == inf) & (y == inf),
    "fmax": lambda x, y: (x == y) | (np.isnan(x) & np.isnan(y)),  # we share
    "fmin": lambda x, y: (x == y) | (np.isnan(x) & np.isnan(y)),
    "clip": lambda x, low, high: ((x < low) & (low == high)) | np.isnan(x) | np.isnan(low),
    "copysign": lambda x, y: ~np.isfinite(x),
    "fmod": lambda x, y: np.isnan(np.fmod(x, y)),
    "arccosh": lambda x: x < 1,
}


@pytest.mark.parametrize(("inputs", "name"), [(n, name) for n, names in ALIKE.items() for name in names.split()])
def test_ties_zeros_infinities_and_nan(torch, inputs, name):
    arrays = [a.ravel() for a in np.meshgrid(*[EDGES] * inputs)]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    mine = [Tensor(a, requires_grad=True) for a in arrays]
    expected = getattr(torch, {"power": "pow"}.get(name, name))(*theirs)
    expected.sum().backward()
    with np.errstate(all="ignore"):
        value = getattr(ag, name)(*mine)
        value.backward(np.ones(value.shape))
        alike = ~DIFFERENT[name](*arrays) if name in DIFFERENT else np.full(value.shape, True)
    np.testing.assert_allclose(value.data, expected.detach().numpy(), rtol=1e-12, atol=1e-15)
    for t, m in zip(theirs, mine, strict=True):
        np.testing.assert_allclose(m.grad[alike], t.grad.numpy()[alike], rtol=1e-12)


ACTIVATIONS = [
    *[(name, {}) for name in "elu selu celu mish hardswish hardsigmoid hardtanh relu6 logsigmoid softsign".split()],
    *[(name, {}) for name in "silu gelu softplus tanhshrink softshrink hardshrink".split()],
    *[("elu", {"alpha": 0.7}), ("celu", {"alpha": 0.5}), ("hardtanh", {"min_val": -2.0, "max_val": 0.5})],
    *[("softplus", {"beta": 2.0}), ("gelu", {"approximate": "tanh"}), ("leaky_relu", {"negative_slope": 0.2})],
    *[("softshrink", {"lambd": 1.0}), ("hardshrink", {"lambd": 1.0}), ("threshold", {"threshold": 0.5, "value": -7.0})],
]


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS, ids=str)
def test_more_activations(compare, torch, name, options, rng):
    kinks = [0.0, -0.0, 0.5, -0.5, 1, -1, 3, -3, 6, 20]
    x, w = np.concatenate([rng.normal(size=30) * 3, kinks]), rng.normal(size=40)
    ours, theirs = getattr(ag, name), getattr(torch.nn.functional, name)
    compare(lambda x: ours(x, **options), lambda x: theirs(x, **options), x)
    if name == "hardsigmoid":
        return  # without a second derivative there
    smooth = slice(30) if name in ("elu", "selu", "celu") else slice(None)  # there it is that from the right at 0
    t = torch.tensor(x, requires_grad=True)
    (slope,) = torch.autograd.grad(theirs(t, **options) @ torch.tensor(w), t, create_graph=True)
    (second,) = ag.hvp(lambda x: ag.sum(ours(x, **options) * w), (x,), (w,))
    (expected,) = torch.autograd.grad(slope @ torch.tensor(w), t) if slope.requires_grad else (torch.zeros(40),)
    np.testing.assert_allclose(second[smooth], expected.numpy(force=True)[smooth], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, np.array([0.1, 2.0, 0.5, 1.0])])
@pytest.mark.parametrize("labels", [np.array([0, 3, 1, 1, 2]), np.array([0, 255, 1, 255, 2]), np.full((5, 4), 0.25)])
def test_smoothed_labels(compare, torch, reduction, weight, labels, rng):
    """The samples of the database have sharp ones."""
    options = {"reduction": reduction, "label_smoothing": 0.2} | ({"ignore_index": 255} if labels.ndim == 1 else {})

    def theirs(z, y):
        narrow = weight if weight is None else torch.tensor(weight).to(z)
        return torch.nn.functional.cross_entropy(z, torch.as_tensor(y), narrow, **options)

    compare(lambda z, y: ag.cross_entropy(z, y, weight=weight, **options), theirs, rng.normal(size=(5, 4)) * 3, labels)


def test_a_small_network(compare, torch, rng):
    x, labels = rng.normal(size=(4, 12, 12, 3)), np.array([0, 2, 1, 2])
    w1, b1 = rng.normal(size=(3, 3, 3, 8)) * 0.2, rng.normal(size=8)
    w2, b2 = rng.normal(size=(6 * 6 * 8, 3)) * 0.1, rng.normal(size=3)

    def ours(x, w1, b1, w2, b2):
        h = ag.max_pool2d(ag.relu(ag.conv2d(x, w1, b1, padding=1)), 2)
        return ag.cross_entropy(ag.linear(ag.flatten(h, 1), w2, b2), labels)

    def theirs(x, w1, b1, w2, b2):
        f = torch.nn.functional
        h = nhwc(f.max_pool2d(f.relu(f.conv2d(nchw(x), oihw(w1), b1, padding=1)), 2))
        return f.cross_entropy(torch.flatten(h, 1) @ w2 + b2, torch.tensor(labels))

    compare(ours, theirs, x, w1, b1, w2, b2)
