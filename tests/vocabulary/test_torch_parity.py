"""Values and gradients beside PyTorch's, in both precisions and several geometries."""

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


SAME_NAME = """
    add subtract multiply divide maximum minimum negative exp log log1p expm1 sqrt square abs sin cos tanh sigmoid relu
""".split()


@pytest.mark.parametrize("name", SAME_NAME)
@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (2, 1, 4)), ((), (3,))])
def test_elementwise(compare, torch, name, shapes, rng):
    two = name in ("add", "subtract", "multiply", "divide", "maximum", "minimum")
    arrays = [rng.uniform(0.2, 2, shape) for shape in shapes[: 2 if two else 1]]
    if not two and name not in ("log", "log1p", "sqrt"):
        arrays = [rng.normal(size=shapes[0]) * 3]
    compare(getattr(ag, name), getattr(torch, name), *arrays)


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


def test_power(compare, rng):
    x, y = rng.uniform(0.2, 2, (3, 4)), rng.normal(size=4)
    compare(lambda x, y: x**y, lambda x, y: x**y, x, y)
    compare(lambda y: 2**y, lambda y: 2**y, y)
    for n in (0, 1, 2, 3, 0.5, -1, -2.5):
        compare(lambda x, n=n: x**n, lambda x, n=n: x**n, x)
    for n in (0, 1, 2, 3):
        compare(lambda x, n=n: x**n, lambda x, n=n: x**n, np.array([-1.5, 0.0, 2.0]))


def test_where_and_clip(compare, torch, rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=4)
    compare(lambda x, y: ag.where(x > 0, x, y), lambda x, y: torch.where(x > 0, x, y), x, y)
    for low, high in ((-0.5, 0.5), (None, 0.5), (-0.5, None)):
        compare(
            lambda x, low=low, high=high: ag.clip(x, low, high),
            lambda x, low=low, high=high: torch.clip(x, low, high),
            np.array([-2.0, -0.5, 0.0, 0.5, 2.0]),
        )


@pytest.mark.parametrize("axis", [0, -1, (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(compare, torch, axis, keepdims, rng):
    x = rng.normal(size=(3, 4, 2))
    for name, theirs in {
        "sum": torch.sum, "mean": torch.mean, "logsumexp": torch.logsumexp, "max": torch.amax, "min": torch.amin,
    }.items():  # fmt: skip
        ours = getattr(ag, name)
        compare(lambda x, f=ours: f(x, axis, keepdims), lambda x, f=theirs: f(x, axis, keepdim=keepdims), x)
    for name in ("var", "std"):
        for ddof in (0, 1):
            compare(
                lambda x, name=name, ddof=ddof: getattr(ag, name)(x, axis, keepdims, ddof),
                lambda x, name=name, ddof=ddof: getattr(torch, name)(x, axis, correction=ddof, keepdim=keepdims),
                x,
            )


def test_ties_of_max_and_min(compare, torch, rng):
    x = rng.integers(0, 3, (4, 5)).astype(float)
    compare(lambda x: ag.max(x, 1), lambda x: torch.amax(x, 1), x)
    compare(lambda x: ag.min(x, 0), lambda x: torch.amin(x, 0), x)
    compare(ag.maximum, torch.maximum, x, np.ones((4, 5)))


def test_shapes(compare, torch, rng):
    x, y = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 1, 2))
    for ours, theirs in [
        (lambda x: ag.reshape(x, (2, -1)), lambda x: x.reshape(2, -1)),
        (lambda x: ag.transpose(x, (2, 0, 1)), lambda x: x.permute(2, 0, 1)),
        (lambda x: ag.transpose(x, (-1, 0, 1)), lambda x: x.permute(-1, 0, 1)),
        (lambda x: ag.flatten(x, 1), lambda x: torch.flatten(x, 1)),
        (lambda x: ag.expand_dims(x, 1), lambda x: torch.unsqueeze(x, 1)),
        (lambda x: ag.broadcast_to(x, (5, 3, 4, 2)), lambda x: torch.broadcast_to(x, (5, 3, 4, 2))),
        (lambda x: ag.flip(x, (0, 2)), lambda x: torch.flip(x, (0, 2))),
        (
            lambda x: ag.pad(x, ((0, 0), (1, 2), (3, 0)), 0.5),
            lambda x: torch.nn.functional.pad(x, (3, 0, 1, 2), value=0.5),
        ),
        (lambda x: x[1:, ::2], lambda x: x[1:, ::2]),
        (lambda x: x[[0, 2, 0], [1, 1, 1]], lambda x: x[[0, 2, 0], [1, 1, 1]]),
        (lambda x: x[..., None, -1], lambda x: x[..., None, -1]),
        (lambda x: x[x > 0], lambda x: x[x > 0]),
        (lambda x: ag.take(x, [1, 0, 1], 1), lambda x: torch.index_select(x, 1, torch.tensor([1, 0, 1]))),
        (lambda x: ag.take(x, [[5, 0], [5, 7]]), lambda x: torch.take(x, torch.tensor([[5, 0], [5, 7]]))),
    ]:
        compare(ours, theirs, x)
    compare(lambda y: ag.squeeze(y, 1), lambda y: torch.squeeze(y, 1), y)
    compare(lambda x, y: ag.concatenate([x, y], 1), lambda x, y: torch.cat([x, y], 1), x, y)
    compare(lambda x, y: ag.stack([x, y], -1), lambda x, y: torch.stack([x, y], -1), y, y + 1)


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (4, 5)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)), ((4,), (2, 4, 5)),
     ((2, 3, 4), (4,)), ((6, 1, 3, 4), (2, 4, 5))],
)  # fmt: skip
def test_matmul(compare, torch, shapes, rng):
    compare(ag.matmul, torch.matmul, *(rng.normal(size=shape) for shape in shapes))


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [("ij,jk->ik", ((3, 4), (4, 5))), ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))), ("ij->ji", ((3, 4),)),
     ("ij->", ((3, 4),)), ("ii->i", ((3, 3),)), ("ii->", ((3, 3),)), ("i,j->ij", ((3,), (4,))),
     ("...i,...i->...", ((2, 3), (3,))), ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2)))],
)  # fmt: skip
def test_einsum(compare, torch, subscripts, shapes, rng):
    arrays = [rng.normal(size=shape) for shape in shapes]
    compare(lambda *a: ag.einsum(subscripts, *a), lambda *a: torch.einsum(subscripts, *a), *arrays)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_linear(compare, torch, shape, rng):
    x, w, b = rng.normal(size=shape), rng.normal(size=(6, 4)), rng.normal(size=4)
    compare(ag.linear, lambda x, w, b: torch.nn.functional.linear(x, w.T, b), x, w, b)
    compare(ag.linear, lambda x, w: torch.nn.functional.linear(x, w.T), x, w)


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


def test_activations_with_parameters(compare, torch, rng):
    functional, x, w = torch.nn.functional, rng.normal(size=(5, 6)), rng.normal(size=6)
    compare(ag.prelu, functional.prelu, x, w)
    compare(ag.prelu, functional.prelu, x, w[:1])
    for axis in (0, 1, -1):
        compare(lambda x, a=axis: ag.glu(x, a), lambda x, a=axis: functional.glu(x, a), rng.normal(size=(4, 6)))
        compare(lambda x, a=axis: ag.softmin(x, a), lambda x, a=axis: functional.softmin(x, a), x)


def test_activations(compare, torch, rng):
    functional, x = torch.nn.functional, rng.normal(size=(4, 7)) * 4
    for name in ("relu", "silu", "gelu", "softplus"):
        compare(getattr(ag, name), getattr(functional, name), x)
    compare(lambda x: ag.leaky_relu(x, 0.2), lambda x: functional.leaky_relu(x, 0.2), x)
    for axis in (0, 1):
        compare(lambda x, axis=axis: ag.softmax(x, axis), lambda x, axis=axis: functional.softmax(x, axis), x)
        compare(lambda x, axis=axis: ag.log_softmax(x, axis), lambda x, axis=axis: functional.log_softmax(x, axis), x)


CONVOLUTIONS = [
    {},
    {"padding": 1},
    {"stride": 2},
    {"stride": (2, 1), "padding": (0, 2)},
    {"dilation": 2, "padding": 2},
    {"dilation": (1, 2), "stride": (3, 2), "padding": (1, 2)},
    {"groups": 2},
    {"groups": 4, "stride": 2, "padding": 1},
    {"padding": "same"},
    {"padding": "valid", "stride": 2},
    {"padding": "same", "dilation": 2, "groups": 2},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch copies x for it; we do not
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 3)])
def test_conv2d(compare, torch, options, kernel, rng):
    x = rng.normal(size=(2, 8, 9, 4))
    w, b = rng.normal(size=(*kernel, 4 // options.get("groups", 1), 8)), rng.normal(size=8)

    def theirs(x, w, b=None):
        return nhwc(torch.nn.functional.conv2d(nchw(x), oihw(w), b, **options))

    compare(lambda x, w, b: ag.conv2d(x, w, b, **options), theirs, x, w, b)
    compare(lambda x, w: ag.conv2d(x, w, **options), theirs, x, w)


TRANSPOSED = [
    {},
    {"stride": (1, 2), "dilation": 2, "output_padding": (1, 0)},
    {"dilation": (3, 2), "padding": 1, "output_padding": (2, 1)},
    {"stride": 2, "padding": 1},
    {"stride": (2, 3), "output_padding": (1, 2)},
    {"dilation": 2, "padding": 1},
    {"groups": 2, "stride": 2},
]


@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
def test_conv_transpose2d(compare, torch, options, rng):
    groups = options.get("groups", 1)
    w, b = rng.normal(size=(3, 2, 4 // groups, 8)), rng.normal(size=4)

    def theirs(x, w, b):
        return nhwc(torch.nn.functional.conv_transpose2d(nchw(x), oihw(w), b, **options))

    for size in ((4, 5), (1, 2)):
        x = rng.normal(size=(2, *size, 8))
        compare(lambda x, w, b: ag.conv_transpose2d(x, w, b, **options), theirs, x, w, b)


@pytest.mark.parametrize("window", [(2,), (3,), (3, 2), (3, 1, 1), (2, 3), ((3, 2), (2, 1), (1, 1))], ids=str)
def test_pooling(compare, torch, window, rng):
    x = rng.permutation(2 * 7 * 6 * 3).reshape(2, 7, 6, 3) * 0.01
    for name in ("max_pool2d", "avg_pool2d"):
        theirs = getattr(torch.nn.functional, name)
        compare(lambda x, n=name: getattr(ag, n)(x, *window), lambda x, f=theirs: nhwc(f(nchw(x), *window)), x)
    ties = np.maximum(rng.integers(-3, 3, (2, 7, 6, 3)), 0).astype(float)
    compare(lambda x: ag.max_pool2d(x, *window), lambda x: nhwc(torch.nn.functional.max_pool2d(nchw(x), *window)), ties)


WINDOWS = [
    ((3, 2, 1), {"ceil_mode": True}),
    ((2, 3), {"ceil_mode": True}),
    (((3, 2), (2, 3), (1, 0)), {"ceil_mode": True}),
    ((3, 1, 1), {"dilation": 2}),
    ((2, (2, 3), 1), {"dilation": (3, 1), "ceil_mode": True}),
    ((3, 2, 1), {"count_include_pad": False}),
    ((3, 2, 1), {"count_include_pad": False, "ceil_mode": True}),
]


@pytest.mark.parametrize(("window", "options"), WINDOWS, ids=str)
def test_options_of_pooling(compare, torch, window, options, rng):
    f, x = torch.nn.functional, np.maximum(rng.integers(-9, 9, (2, 8, 6, 3)), 0) * 0.1  # with ties
    if "dilation" not in options:
        compare(
            lambda x: ag.avg_pool2d(x, *window, **options), lambda x: nhwc(f.avg_pool2d(nchw(x), *window, **options)), x
        )
        if "count_include_pad" in options:
            return
    compare(
        lambda x: ag.max_pool2d(x, *window, **options), lambda x: nhwc(f.max_pool2d(nchw(x), *window, **options)), x
    )
    _, indices = ag.max_pool2d_with_indices(x, *window, **options)
    _, theirs = f.max_pool2d(nchw(torch.tensor(x)), *window, **options, return_indices=True)
    np.testing.assert_array_equal(indices, nhwc(theirs).numpy())


@pytest.mark.parametrize("size", [1, 3, (2, 8), (7, 6), (9, 4)], ids=str)
def test_adaptive_pooling(compare, torch, size, rng):
    f, x = torch.nn.functional, np.maximum(rng.integers(-9, 9, (2, 7, 6, 3)), 0) * 0.1
    compare(lambda x: ag.adaptive_avg_pool2d(x, size), lambda x: nhwc(f.adaptive_avg_pool2d(nchw(x), size)), x)
    compare(lambda x: ag.adaptive_max_pool2d(x, size), lambda x: nhwc(f.adaptive_max_pool2d(nchw(x), size)), x)


def test_lp_pool2d(compare, torch, rng):
    f, x = torch.nn.functional, rng.uniform(0.1, 1, (2, 5, 6, 3))
    for window in ((2, 3), (3, 2, 2)):
        compare(lambda x, w=window: ag.lp_pool2d(x, *w), lambda x, w=window: nhwc(f.lp_pool2d(nchw(x), *w)), x)
    compare(lambda x: ag.lp_pool2d(x, 2, 2, None, True), lambda x: nhwc(f.lp_pool2d(nchw(x), 2, 2, None, True)), x)


def ncl(x):
    return x.permute(0, 2, 1)


def test_sequences(compare, torch, rng):
    f, x, w, b = torch.nn.functional, rng.normal(size=(2, 9, 4)), rng.normal(size=(3, 2, 6)), rng.normal(size=6)
    for options in ({}, {"stride": 2, "padding": 1, "dilation": 2}, {"padding": "same"}):
        compare(
            lambda x, w, b, o=options: ag.conv1d(x, w, b, groups=2, **o),
            lambda x, w, b, o=options: ncl(f.conv1d(ncl(x), w.permute(2, 1, 0), b, groups=2, **o)),
            x, w, b,
        )  # fmt: skip
    options = {"stride": 3, "padding": 1, "output_padding": 2, "dilation": 2, "groups": 2}
    compare(
        lambda x, w, b: ag.conv_transpose1d(x, w, b, **options),
        lambda x, w, b: ncl(f.conv_transpose1d(ncl(x), w.permute(2, 1, 0), b, **options)),
        rng.normal(size=(2, 4, 6)), w, b[:4],
    )  # fmt: skip
    compare(lambda x: ag.max_pool1d(x, 3, 2, 1, 2, True), lambda x: ncl(f.max_pool1d(ncl(x), 3, 2, 1, 2, True)), x)
    compare(
        lambda x: ag.avg_pool1d(x, 3, 2, 1, True, False), lambda x: ncl(f.avg_pool1d(ncl(x), 3, 2, 1, True, False)), x
    )


RESIZINGS = [
    {"size": (7, 3)},
    {"size": (10, 12)},
    {"scale_factor": 2},
    {"scale_factor": (1.5, 0.4)},
    {"scale_factor": (1.1, 2.1)},
    {"scale_factor": (1.1, 2.1), "mode": "bilinear"},
    {"size": (7, 3), "mode": "bilinear"},
    {"size": (2, 9), "mode": "bilinear", "align_corners": True},
    {"size": 1, "mode": "bilinear", "align_corners": True},
    {"scale_factor": 2.3, "mode": "bilinear"},
    {"scale_factor": (0.5, 3.0), "mode": "bilinear", "align_corners": True},
]


@pytest.mark.parametrize("options", RESIZINGS, ids=str)
def test_interpolate(compare, torch, options, rng):
    x = rng.normal(size=(2, 5, 6, 3))
    compare(
        lambda x: ag.interpolate(x, **options), lambda x: nhwc(torch.nn.functional.interpolate(nchw(x), **options)), x
    )


def test_pixels_and_channels(compare, torch, rng):
    f, x = torch.nn.functional, rng.normal(size=(2, 4, 6, 8))
    compare(lambda x: ag.pixel_shuffle(x, 2), lambda x: nhwc(f.pixel_shuffle(nchw(x), 2)), x)
    compare(lambda x: ag.pixel_unshuffle(x, 2), lambda x: nhwc(f.pixel_unshuffle(nchw(x), 2)), x)
    options = ((2, 3), (1, 2), (1, 0), (2, 1))

    def theirs(x):  # (N, C * KH * KW, L)
        return f.unfold(nchw(x), *options).reshape(2, 8, 6, -1).permute(0, 3, 2, 1).flatten(2)

    compare(lambda x: ag.unfold(x, *options), theirs, x)
    w = rng.normal(size=(2, 3, 8, 5))
    rows = ag.unfold(x, *options) @ w.reshape(-1, 5)
    want = ag.conv2d(x, w, dilation=(1, 2), padding=(1, 0), stride=(2, 1))
    np.testing.assert_allclose(rows.reshape(want.shape), want, rtol=1e-12)


def test_normalisation(compare, torch, rng):
    f, x, w, b = torch.nn.functional, rng.normal(size=(3, 4, 5, 6)) + 2, rng.normal(size=6), rng.normal(size=6)
    compare(lambda x, w, b: ag.layer_norm(x, 6, w, b), lambda x, w, b: f.layer_norm(x, (6,), w, b), x, w, b)
    compare(lambda x: ag.layer_norm(x, (5, 6), eps=1e-3), lambda x: f.layer_norm(x, (5, 6), eps=1e-3), x)
    compare(lambda x, w: ag.rms_norm(x, 6, w), lambda x, w: f.rms_norm(x, (6,), w), x, w)
    compare(lambda x, w, b: ag.group_norm(x, 3, w, b), lambda x, w, b: nhwc(f.group_norm(nchw(x), 3, w, b)), x, w, b)
    compare(ag.instance_norm, lambda x, w, b: nhwc(f.instance_norm(nchw(x), weight=w, bias=b)), x, w, b)
    for size in (1, 2, 5):
        compare(
            lambda x, n=size: ag.local_response_norm(x, n, 0.3, 0.5, 2.0),
            lambda x, n=size: nhwc(f.local_response_norm(nchw(x), n, 0.3, 0.5, 2.0)),
            x,
        )
    x[0, 0, 0] = 0
    for p, axis in ((2.0, -1), (1.0, 0), (3.0, 1)):
        compare(
            lambda x, p=p, axis=axis: ag.normalize(x, p, axis, 1e-2),
            lambda x, p=p, axis=axis: f.normalize(x, p, axis, 1e-2),
            x,
        )


def test_batch_norm_with_given_statistics(compare, torch, rng):
    x, w, b, mean, variance = rng.normal(size=(4, 3, 5, 6)), *rng.normal(size=(3, 6)), rng.uniform(0.5, 2, 6)

    def theirs(x, w, b):
        statistics = torch.tensor(mean).to(x), torch.tensor(variance).to(x)
        return nhwc(torch.nn.functional.batch_norm(nchw(x), *statistics, w, b, eps=1e-3))

    compare(
        lambda x, w, b: ag.batch_norm(x, w, b, 1e-3, mean.astype(x.dtype), variance.astype(x.dtype)), theirs, x, w, b
    )


def test_embedding(compare, torch, rng):
    indices = np.array([[0, 3], [3, 3]])
    compare(
        lambda w: ag.embedding(indices, w),
        lambda w: torch.nn.functional.embedding(torch.tensor(indices), w),
        rng.normal(size=(4, 5)),
    )
    np.testing.assert_array_equal(ag.one_hot(indices), torch.nn.functional.one_hot(torch.tensor(indices)).numpy())


def test_batch_norm(compare, torch, rng):
    x, w, b = rng.normal(size=(4, 3, 5, 6)) * 3 + 2, rng.normal(size=6), rng.normal(size=6)

    def theirs(x, w, b):
        return nhwc(torch.nn.functional.batch_norm(nchw(x), None, None, w, b, training=True, eps=1e-3))

    compare(lambda x, w, b: ag.batch_norm(x, w, b, 1e-3), theirs, x, w, b)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(compare, torch, reduction, rng):
    functional = torch.nn.functional
    z, y, p = rng.normal(size=(5, 4)) * 3, rng.random((5, 4)), rng.uniform(0.05, 0.95, (5, 4))
    labels, soft = np.array([0, 3, 1, 1, 2]), rng.dirichlet(np.ones(4), 5)
    options = {"reduction": reduction}
    compare(lambda p, y: ag.mse(p, y, **options), lambda p, y: functional.mse_loss(p, y, **options), z, y)
    compare(
        lambda z: ag.bce_with_logits(z, y.astype(z.dtype), **options),
        lambda z: functional.binary_cross_entropy_with_logits(z, torch.tensor(y).to(z), **options),
        z,
    )
    compare(
        lambda p: ag.bce(p, y.astype(p.dtype), **options),
        lambda p: functional.binary_cross_entropy(p, torch.tensor(y).to(p), **options),
        p,
    )
    for smoothing in (0.0, 0.1):
        compare(
            lambda z, s=smoothing: ag.cross_entropy(z, labels, **options, label_smoothing=s),
            lambda z, s=smoothing: functional.cross_entropy(z, torch.tensor(labels), **options, label_smoothing=s),
            z,
        )
    compare(
        lambda z: ag.cross_entropy(z, soft.astype(z.dtype), **options),
        lambda z: functional.cross_entropy(z, torch.tensor(soft).to(z), **options),
        z,
    )


def second_order(torch, ours, theirs, *arrays):
    """Compares the gradients of the sum of the squares of all first derivatives (and 0 * x, if they are constant)."""
    inputs = [torch.tensor(a, requires_grad=True) for a in arrays]
    slopes = torch.autograd.grad(theirs(*inputs).sum(), inputs, create_graph=True)
    expected = torch.autograd.grad(sum((s * s + 0 * x).sum() for s, x in zip(slopes, inputs, strict=True)), inputs)
    which = tuple(range(len(arrays)))

    def energy(*tensors):
        slopes = ag.grad(lambda *t: ag.sum(ours(*t)), which)(*tensors)
        return sum(ag.sum(s * s + 0 * x) for s, x in zip(slopes, tensors, strict=True))

    for got, want in zip(ag.grad(energy, which)(*arrays), expected, strict=True):
        np.testing.assert_allclose(got, want.numpy(force=True), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignored", [-100, 1, 255])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_with_options(compare, torch, reduction, smoothing, ignored, weighted, rng):
    z, weight = rng.normal(size=(6, 4)) * 3, rng.uniform(0.1, 2, 4) if weighted else None
    labels = np.array([0, 3, ignored, 1, ignored, 2])
    options = {"reduction": reduction, "ignore_index": ignored}

    def theirs(f, z, **more):
        return f(z, torch.tensor(labels), None if weight is None else torch.tensor(weight).to(z), **options, **more)

    def cross_entropy(z):
        return ag.cross_entropy(z, labels, weight=weight, **options, label_smoothing=smoothing)

    functional = torch.nn.functional
    compare(cross_entropy, lambda z: theirs(functional.cross_entropy, z, label_smoothing=smoothing), z)
    second_order(torch, cross_entropy, lambda z: theirs(functional.cross_entropy, z, label_smoothing=smoothing), z)
    compare(lambda z: ag.nll_loss(z, labels, weight=weight, **options), lambda z: theirs(functional.nll_loss, z), z)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_probability_labels_have_a_gradient(compare, torch, reduction, smoothing, rng):
    z, y, weight = rng.normal(size=(5, 4)) * 3, rng.dirichlet(np.ones(4), 5), rng.uniform(0.1, 2, 4)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    theirs = torch.nn.functional.cross_entropy
    compare(lambda z, y: ag.cross_entropy(z, y, **options), lambda z, y: theirs(z, y, **options), z, y)

    def weighted(z, y):
        return theirs(z, y, torch.tensor(weight).to(z), **options)

    compare(lambda z, y: ag.cross_entropy(z, y, weight=weight, **options), weighted, z, y)
    second_order(torch, lambda z, y: ag.cross_entropy(z, y, weight=weight, **options), weighted, z, y)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (4,), (5, 1), (5, 4)])
def test_weights_of_binary_losses(compare, torch, reduction, shape, rng):
    z, y, p, weight = (
        rng.normal(size=(5, 4)) * 3,
        rng.random((5, 4)),
        rng.uniform(0.05, 0.95, (5, 4)),
        rng.random(shape),
    )
    functional = torch.nn.functional

    def theirs(f, *names):
        return lambda p, y: f(p, y, reduction=reduction, **{n: torch.tensor(weight).to(p) for n in names})

    compare(
        lambda p, y: ag.bce(p, y, reduction, weight=weight), theirs(functional.binary_cross_entropy, "weight"), p, y
    )
    for names in (("weight",), ("pos_weight",), ("weight", "pos_weight")):
        logits = theirs(functional.binary_cross_entropy_with_logits, *names)

        def ours(z, y, names=names):
            return ag.bce_with_logits(z, y, reduction, **dict.fromkeys(names, weight))

        compare(ours, logits, z, y)
        second_order(torch, ours, logits, z, y)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_more_losses(compare, torch, reduction, rng):
    (a, b, c), v = rng.normal(size=(3, 5, 3)), rng.uniform(0.1, 2, (5, 3))
    counts, signs, sign = rng.integers(0, 6, (5, 3)), rng.choice([-1, 1], (5, 3)), rng.choice([-1, 1], 5)
    for name, arrays, constants, options in [
        ("l1_loss", (a, b), (), {}),
        ("smooth_l1_loss", (a, b), (), {"beta": 0.5}),
        ("smooth_l1_loss", (a, b), (), {"beta": 0.0}),
        ("huber_loss", (a, b), (), {"delta": 0.5}),
        ("kl_div", (a, v), (), {}),
        ("kl_div", (a, b), (), {"log_target": True}),
        ("poisson_nll_loss", (a,), (counts,), {"full": True}),
        ("poisson_nll_loss", (v,), (counts,), {"log_input": False, "eps": 1e-3}),
        ("gaussian_nll_loss", (a, b, v), (), {"full": True}),
        ("gaussian_nll_loss", (a, b, v), (), {"eps": 0.5}),
        ("hinge_embedding_loss", (a,), (signs,), {"margin": 0.5}),
        ("margin_ranking_loss", (a, b), (signs,), {"margin": 0.5}),
        ("cosine_embedding_loss", (a, b), (sign,), {"margin": 0.1}),
        ("triplet_margin_loss", (a, b, c), (), {"margin": 2.0}),
        ("triplet_margin_loss", (a, b, c), (), {"margin": 2.0, "p": 3.0, "swap": True}),
    ]:
        f, g = getattr(ag, name), getattr(torch.nn.functional, name)

        def ours(*x, f=f, constants=constants, options=options):
            return f(*x, *constants, reduction=reduction, **options)

        def theirs(*x, g=g, constants=constants, options=options):
            return g(*x, *map(torch.tensor, constants), reduction=reduction, **options)

        compare(ours, theirs, *arrays)
        second_order(torch, ours, theirs, *arrays)


def test_distances(compare, torch, rng):
    functional, a, b = torch.nn.functional, *rng.normal(size=(2, 5, 3))
    compare(ag.cosine_similarity, lambda x, y: functional.cosine_similarity(x, y, -1), a, b)
    compare(lambda x, y: ag.cosine_similarity(x, y, 0), lambda x, y: functional.cosine_similarity(x, y, 0), a, b)
    for p in (1, 2, 3.5):
        compare(
            lambda x, y, p=p: ag.pairwise_distance(x, y, p, keepdims=True),
            lambda x, y, p=p: functional.pairwise_distance(x, y, p, keepdim=True),
            a,
            b,
        )
    compare(
        lambda p, y: ag.kl_div(p, y, "batchmean"),
        lambda p, y: functional.kl_div(p, y, reduction="batchmean"),
        a,
        np.abs(b),
    )


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
