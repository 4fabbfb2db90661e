"""Arguments to try each operation of the package on, unless arrays of shape (2, 3) suit it.

Importing this file registers them. A function of a random generator returns a list of calls: a tuple of arguments, or a
pair of such a tuple and a dict of options.
"""

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.observe import primitives

REDUCTIONS = "mean", "sum", "none"


def normal(*cases):
    """For each case, standard normal arrays of these shapes, then perhaps options."""

    def made(rng):
        split = [(case[:-1], case[-1]) if isinstance(case[-1], dict) else (case, {}) for case in cases]
        return [(tuple(rng.normal(size=shape) for shape in shapes), options) for shapes, options in split]

    return made


def with_options(*options, shape=(2, 3, 4)):
    """A standard normal array for each tuple of options, which follow it."""
    return lambda rng: [(rng.normal(size=shape), *rest) for rest in options]


def between(low, high, inputs=1):
    """Arrays of numbers in a range."""
    return lambda rng: [tuple(rng.uniform(low, high, (inputs, 2, 3)))]


def slopes(rng):
    return [(rng.normal(size=(2, 3)), *rest) for rest in ((rng.uniform(0.1, 2, 3),), (), (0.2,))]


def hardtanh(rng):
    return [(rng.normal(size=(2, 3)), *bounds) for bounds in ((), (-rng.random(3), rng.random((2, 1))))]


def powers(rng):
    return [(rng.uniform(0.5, 2, (2, 3)), rng.normal(size=(2, 3))), (rng.normal(size=(2, 3)), 3)]


def clip(rng):
    x = rng.normal(size=(2, 3))
    return [(x, -0.5, 0.5), (x, rng.uniform(-1, 0, 3), rng.uniform(-0.2, 0.8, 3))]


def indices():
    """Indices of every kind into an array of shape (4, 5)."""
    mask = np.arange(20).reshape(4, 5) % 3 == 0
    basic = [(slice(1, 3), slice(None, None, 2)), 2, (..., None, 1)]
    rows, columns = np.array([0, 2, 0]), np.array([1, 1, -4])  # the first and the last are one element
    return [*basic, mask, (rows, columns), (np.arange(4), np.array([1, 0, 1, 1])), (mask[:, 0], 1)]


def writing(rng):
    x = rng.normal(size=(4, 5))
    return [(x, i, rng.normal(size=x[i].shape)) for i in indices()] + [(x, [2, 1, 2], rng.normal(size=5)), (x, 1, 2.5)]


def joined(*axes):
    return lambda rng: [([*rng.normal(size=(3, 2, 4))], axis) for axis in axes]


def bce(rng):
    p, y, weight = rng.uniform(0.1, 0.9, (3, 2, 3))
    return [((p, y, how), options) for how in REDUCTIONS for options in ({}, {"weight": weight[0]})]


def batch_norm(rng):
    return [
        (rng.normal(size=(4, 2, 3, 2)), rng.normal(size=2), rng.normal(size=2)),
        (rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3), 1e-3),
        (rng.normal(size=(2, 2, 3)), *rng.normal(size=(2, 3)), 1e-3, rng.normal(size=3), rng.uniform(0.5, 2, 3)),
    ]


def pools(rng):
    def distinct(*shape):
        return rng.permutation(np.prod(shape)).reshape(shape) * 0.1

    return [
        (distinct(2, 6, 4, 2), 2),
        (distinct(2, 5, 4, 2), 3, 1, 1),
        (distinct(1, 7, 5, 2), (3, 2), (2, 1), (1, 0)),
        ((distinct(1, 4, 6, 2), 3, 2, (1, 0)), {"ceil_mode": True}),
    ]


def dilated_pools(rng):
    return [*pools(rng), ((pools(rng)[2][0], 2, 1, 1), {"dilation": (3, 2), "ceil_mode": True})]


def averages(rng):
    more = {"count_include_pad": False}, {"ceil_mode": True}, {"count_include_pad": False, "ceil_mode": True}
    return [*pools(rng), *(((rng.normal(size=(1, 6, 5, 2)), 3, 2, (1, 0)), options) for options in more)]


def places(rng, gradient):
    x, cases = rng.normal(size=(2, 5, 4, 2)), []
    for options in (2, None, 0), (3, 1, 1), (2, 2, 1, 2):
        y, argmax = ag.max_pool2d.raw(x, *options)
        cases.append((rng.normal(size=y.shape), argmax, x.shape, *options) if gradient else (x, argmax, *options))
    return cases


def contract(rng):
    x, y, z = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 3))
    return [("ij,jk->ik", x, y), ("...ij,...jk", z, y), ("...ii->i...", z), ("ij,jk->", x[:, :1], y)]


def reductions(**initial):
    def made(rng):
        x, some = rng.normal(size=(2, 3, 4)), rng.random((2, 3, 1)) < 0.7
        return [(x,), ((x, 1), {}), ((x, (0, -1)), {"keepdims": True}), ((x, 1), {"where": some, **initial})]

    return made


def scans(rng):
    x = rng.normal(size=(2, 5))
    return [(x,), (x, 1), (x, 0), (x * [1, 1, 0, 1, 0], -1)]


EXAMPLES = {
    # activations
    "relu_gradient": normal(((2, 3), (2, 3))),
    "leaky_relu": slopes,
    "elu": slopes,
    "hardtanh": hardtanh,
    "softplus": slopes,
    "softmax": with_options((), (0,), shape=(2, 3)),
    "log_softmax": with_options((), (0,), shape=(2, 3)),
    "gelu": with_options((), ("tanh",), shape=(2, 3)),
    "hardswish": between(-4, 4),
    # arithmetic
    "quotient": between(0.5, 2, inputs=2),
    "root": lambda rng: [(rng.uniform(0.5, 2, (2, 3)), n) for n in (2, -3.0)],
    "remainder": between(0.5, 2, inputs=2),
    "power": powers,
    "log": between(0.5, 2),
    "log1p": between(0.5, 2),
    "sqrt": between(0.5, 2),
    "where": lambda rng: [(rng.random(3) < 0.5, *rng.normal(size=(2, 2, 3)))],
    "clip": clip,
    "astype": with_options((np.float64,), shape=(2, 3)),
    # convolution
    "conv2d": normal(
        ((2, 5, 4, 3), (3, 2, 3, 4), 4, {}),
        ((2, 6, 5, 2), (2, 3, 2, 3), {"stride": (2, 1), "padding": (1, 2)}),
        ((1, 6, 6, 4), (3, 3, 2, 2), {"padding": "same", "dilation": 2, "groups": 2}),
        ((1, 5, 4, 2), (3, 2, 2, 1), {"padding": "same", "stride": (2, 3)}),
    ),
    "conv_transpose2d": normal(
        ((2, 3, 2, 4), (3, 2, 3, 4), 3, {}),
        ((2, 3, 2, 4), (3, 2, 2, 4), {"stride": 2, "padding": (1, 0), "output_padding": (1, 0), "groups": 2}),
        ((1, 1, 2, 2), (2, 2, 3, 2), {"stride": (1, 2), "output_padding": (2, 3), "dilation": 3}),
    ),
    "conv2d_weight_gradient": normal(((2, 5, 4, 3), (2, 3, 3, 4), {"w_shape": (3, 2, 3, 4)})),
    # indexing
    "getitem": lambda rng: [(rng.normal(size=(4, 5)), i) for i in indices()],
    "scatter": with_options((np.array([0, 2, 0]), (4,)), (1, (2, 3)), shape=3),
    "set_at": writing,
    "add_at": writing,
    "take": with_options((np.array([[5, 0], [5, -1]]),), (np.array([2, 0, -1]), 1)),
    "concatenate": joined(0, -1, None),
    "stack": joined(0, -1),
    "pad_constant": with_options((((1, 0), (2, 1), (0, 0)),), (1, 0.5)),
    # losses
    "bce": bce,
    "bce_with_logits": lambda rng: [(rng.normal(size=(2, 3)), rng.random((2, 3)))],
    "cross_entropy": with_options(*((np.array([2, 0]), how) for how in REDUCTIONS), shape=(2, 3)),
    "mse": lambda rng: [(*rng.normal(size=(2, 2, 3)), how) for how in REDUCTIONS],
    # normalization
    "batch_norm": batch_norm,
    "standardize": lambda rng: [(rng.normal(size=(3, 4)),), (rng.normal(size=(2, 3, 4)), (0, 2), 1e-3)],
    # pooling
    "max_pool2d": dilated_pools,
    "avg_pool2d": averages,
    "max_unpool2d": lambda rng: places(rng, gradient=True),
    "max_gather2d": lambda rng: places(rng, gradient=False),
    "avg_unpool2d": normal(
        ((2, 2, 2, 2), {"shape": (2, 5, 4, 2), "kernel_size": 2}),
        ((2, 5, 4, 2), {"shape": (2, 5, 4, 2), "kernel_size": 3, "stride": 1, "padding": 1}),
    ),
    # products
    "matmul": normal(
        ((2, 3), (3, 4)),
        (3, 3),
        ((2, 3), 3),
        (3, (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 1, 2, 3), (5, 3, 2)),
        (3, (5, 3, 2)),
    ),
    "linear": normal(((2, 3), (3, 4), (4,)), ((2, 5, 3), (3, 4))),
    "contract": contract,
    # reductions
    "sum": reductions(initial=0.3),
    "prod": reductions(initial=0.3),
    "mean": reductions(),
    "max": reductions(initial=0.3),
    "min": reductions(initial=0.3),
    "var": reductions(),
    "std": reductions(),
    "logsumexp": lambda rng: reductions()(rng)[:3],
    "cumsum": scans,
    "cumprod": scans,
    # shapes
    "reshape": with_options(((3, 8),), (-1,), ((4, 6), "F")),
    "transpose": with_options((), ((1, 2, 0),)),
    "flatten": with_options((), (1,)),
    "squeeze": with_options((), (1,), shape=(2, 1, 3, 1)),
    "expand_dims": with_options((1,), ((0, -1),)),
    "broadcast_to": lambda rng: [(rng.normal(size=(3, 1)), (2, 3, 4)), (rng.normal(size=()), (2, 3))],
    "flip": with_options((), (1,), ((0, -1),)),
    "roll": with_options((5,), (-1, 2), ((1, -2, 3), (0, 1, 1)), (2, (1, 2))),
}


def convolve(rng):
    return [(rng.normal(size=n), rng.normal(size=3), mode) for mode in ("full", "same", "valid") for n in (2, 5)]


def spectra(rng):
    x = rng.normal(size=(2, 4))
    return [(x,), (x[0], 5), (x, 3, -1, "ortho"), (x, 3, 0, "forward")]


def positive_definite(rng):
    return [(x @ np.swapaxes(x, -1, -2) + np.eye(3),) for x in (rng.normal(size=(3, 3)), rng.normal(size=(2, 3, 3)))]


def special(parameters):
    """Arrays for the parameters of a function of SciPy: small integers for an order, else numbers between 0 and 1."""

    def made(rng):
        return [tuple(rng.integers(3, size=(2, 3)) if p in "nv" else rng.uniform(0.1, 0.9, (2, 3)) for p in parameters)]

    return made


matrices = normal([(3, 3)], [(2, 3, 3)])
VOCABULARY = {
    # arrays
    "convolve": convolve,
    # elementary
    **dict.fromkeys(["positive", "fabs", "exp2", "deg2rad", "rad2deg", "arctan", "sinc"], between(-2, 2)),
    **dict.fromkeys(["sinh", "cosh", "arcsinh"], between(-2, 2)),
    **dict.fromkeys(["hypot", "arctan2", "logaddexp", "logaddexp2"], between(-2, 2, inputs=2)),
    **dict.fromkeys(["fmax", "fmin", "copysign"], between(-2, 2, inputs=2)),
    **dict.fromkeys(["reciprocal", "cbrt", "log2", "log10"], between(0.5, 2)),
    **dict.fromkeys(["arcsin", "arccos", "arctanh"], between(-0.9, 0.9)),
    "tan": between(-1.5, 1.5),
    "arccosh": between(1.5, 2),
    "fmod": between(0.5, 2, inputs=2),
    "ldexp": lambda rng: [(rng.normal(size=(2, 3)), rng.integers(-3, 3, 3))],
    # fft
    **dict.fromkeys(["fft.fft", "fft.ifft", "fft.rfft", "fft.irfft"], spectra),
    # linalg
    **dict.fromkeys(["linalg.inv", "linalg.det", "linalg.cofactors"], matrices),
    **dict.fromkeys(["linalg.logabsdet", "linalg.detsign", "linalg.eigh_rows"], matrices),
    "linalg.solve": normal(((3, 3), 3), ((2, 3, 3), 3), ((2, 3, 3), (3, 4))),
    "linalg.pinv": normal([(3, 3)], [(2, 4, 3)], [(2, 3)]),
    "linalg.cholesky_factor": positive_definite,
    "linalg.eig_rows": lambda rng: [(np.diag([1.0, 2.0, 4.0]) + rng.normal(size=(3, 3)) / 9,)],
    "linalg.svd_rows": normal([(3, 3)], [(2, 4, 3)], [(2, 3)]),
    "linalg.qr_rows": normal([(3, 3)], [(2, 4, 3)]),
}

by_name = {p.name: p for p in primitives()}
VOCABULARY |= {name: special(p.parameters) for name, p in by_name.items() if name.startswith("special.")}
if "linalg.inv" in by_name:  # the package has its vocabulary
    EXAMPLES |= VOCABULARY
for name, function in EXAMPLES.items():
    by_name[name].examples = function
