"""What happens at ties, kinks and infinities: one table, row by row.

Warnings are errors here; a row that promises NumPy's own warning says so.
"""

import math
import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import check_row, value_and_slope

inf, nan = np.inf, np.nan
both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# (function, x, value, gradient)
ROWS = {
    "relu": (ag.relu, [0.0, -0.0, -inf, nan, 2], [0, 0, 0, nan, 2], [0, 0, 0, 1, 1]),
    "leaky_relu": (lambda x: ag.leaky_relu(x, 0.25), [0.0, -0.0, 2, -2], [0, 0, 2, -0.5], [0.25, 0.25, 1, 0.25]),
    "abs": (ag.abs, [0.0, -0.0, -2, nan], [0, 0, 2, nan], [0, 0, -1, 0]),
    "fabs": (ag.fabs, [0.0, -0.0, -2, nan], [0, 0, 2, nan], [0, 0, -1, 0]),
    "copysign": (lambda x: ag.copysign(x, -1.0), [0.0, 2, -3, nan], [-0.0, -2, -3, nan], [0, -1, 1, 0]),
    "copysign, y": (lambda y: ag.copysign(2.0, y), [0.0, -0.0, nan], [2, -2, 2], [0, 0, 0]),
    "cbrt": (ag.cbrt, [0, -8, 1e-30], [0, -2, 1e-10], [inf, 1 / 12, 1e20 / 3]),
    "sinc": (ag.sinc, [0, 1e-9], [1, 1], [0, -1e-9 * math.pi**2 / 3]),
    "arcsin": (ag.arcsin, [-1, 0, 1], [-math.pi / 2, 0, math.pi / 2], [inf, 1, inf]),
    "arccosh": (ag.arccosh, [1], [0], [inf]),
    "arctan": (ag.arctan, [inf, -inf, 1], [math.pi / 2, -math.pi / 2, math.pi / 4], [0, 0, 0.5]),
    "arcsinh": (ag.arcsinh, [inf, -inf, 0], [inf, -inf, 0], [0, 0, 1]),
    "hypot": (lambda x: ag.hypot(x, [0, 0, 4]), [0, -2, 3], [0, 2, 5], [0, -1, 0.6]),
    "hypot, large": (lambda x: ag.hypot(x, 4e30), [3e30], [5e30], [0.6]),
    "arctan2": (lambda x: ag.arctan2(x, [0, -1, 4]), [0, 0, 3], [0, math.pi, math.atan2(3, 4)], [0, -1, 0.16]),
    "arctan2, y": (lambda y: ag.arctan2(3, y), [4, 0], [math.atan2(3, 4), math.pi / 2], [-0.12, -1 / 3]),
    "arctan2, tiny": (lambda x: ag.arctan2(x, 1e-30), [0], [0], [1e30]),
    "logaddexp": (lambda x: ag.logaddexp(x, [-1000, 3, 1]), [1000, -inf, 1], [1000, 3, 1 + math.log(2)], [1, 0, 0.5]),
    "logaddexp, both -inf": (lambda x: ag.logaddexp(x, -inf), [-inf], [-inf], [nan]),
    "logaddexp2": (lambda x: ag.logaddexp2(x, [-5000, 3, 1]), [5000, -inf, 1], [5000, 3, 2], [1, 0, 0.5]),
    "fmax": (lambda x: ag.fmax(x, [2, 2, 2, nan, nan]), [2, 3, nan, 1, nan], [2, 3, 2, 1, nan], [0.5, 1, 0, 1, 1]),
    "fmin": (lambda x: ag.fmin(x, [2, 2, 2, nan, nan]), [2, 3, nan, 1, nan], [2, 2, 2, 1, nan], [0.5, 0, 0, 1, 1]),
    "x % y": (lambda x: x % 2.0, [5, -5, 4, -0.5], [1, 1, 0, 1.5], [1, 1, 1, 1]),
    "y of x % y": (lambda y: [5, -5, 4, 1] % y, [2, 2, 2, 0.1], [1, 1, 0, math.fmod(1, 0.1)], [-2, 3, -2, -9]),
    "y of fmod": (lambda y: ag.fmod([5, -5, 4, 1], y), [2, 2, 2, 0.1], [1, -1, 0, math.fmod(1, 0.1)], [-2, 2, -2, -9]),
    "modf": (lambda x: ag.modf(x)[0], [2.5, -2.0, inf], [0.5, 0, 0], [1, 1, 0]),
    "frexp": (lambda x: ag.frexp(x)[0], [0, -3, inf], [0, -0.75, inf], [1, 0.25, 1]),
    "nan_to_num": (lambda x: ag.nan_to_num(x, posinf=9), [0, nan, inf], [0, 0, 9], [1, 0, 0]),
    "select": (lambda x: ag.select([x > 0, x > -9], [x * x, 2 * x], 1.0), [3, 0, -9], [9, 0, 1], [6, 2, 0]),
    "interp": (
        lambda x: ag.interp(x, [1, 2, 4], [0, 10, 0]), [0, 1, 2, 4, 5, nan], [0, 0, 10, 0, 0, nan],
        [0, 10, -5, -5, 0, -5],
    ),
    "maximum, equal": (lambda x: ag.maximum(x, 2.0), [2, 1, 3], [2, 2, 3], [0.5, 0, 1]),
    "minimum, equal": (lambda x: ag.minimum(x, 2.0), [2, 1, 3], [2, 1, 2], [0.5, 1, 0]),
    "maximum, NaN": (lambda x: ag.maximum(x, 2.0), [nan], [nan], [1]),
    "minimum, NaN": (lambda x: ag.minimum(x, 2.0), [nan], [nan], [1]),
    "maximum beside NaN": (lambda x: ag.maximum(nan, x), [2.0], [nan], [1]),
    "minimum beside NaN": (lambda x: ag.minimum(nan, x), [2.0], [nan], [1]),
    "max, ties": (lambda x: ag.max(x, 1), [[1, 3, 3], [2, 2, 2]], [3, 2], [[0, 0.5, 0.5], [1 / 3] * 3]),
    "min, ties": (lambda x: ag.min(x, 1), [[1, 1, 3], [2, 2, 2]], [1, 2], [[0.5, 0.5, 0], [1 / 3] * 3]),
    "max, all -inf": (ag.max, [-inf, -inf], -inf, [0.5, 0.5]),
    "min, all inf": (ag.min, [inf, inf], inf, [0.5, 0.5]),
    "max with NaN": (ag.max, [1, nan, 2], nan, [nan] * 3),
    "min with NaN": (lambda x: ag.min(x, 1), [[1, nan], [1, 2]], [nan, 1], [[nan, nan], [1, 0]]),
    "clip": (lambda x: ag.clip(x, -1, 1), [-1, 1, -2, 2, 0, nan], [-1, 1, -1, 1, 0, nan], [1, 1, 0, 0, 1, 0]),
    "clip, one bound": (lambda x: ag.clip(x, max=1), [1, -5, 2, nan], [1, -5, 1, nan], [1, 1, 0, 0]),
    "clip, lower bound": (lambda a: ag.clip([1, 2, 3, nan], a, 2.5), [2, 2, 3, 0], [2, 2, 2.5, nan], [1, 0, 0, 0]),
    "clip, upper bound": (lambda b: ag.clip([1, 2, 3, nan], 0, b), [2, 2, 2, 0], [1, 2, 2, nan], [0, 0, 1, 0]),
    "clip, crossed bounds": (lambda b: ag.clip([1, 2, 3], 4, b), [3, 3, 3], [3, 3, 3], [1, 1, 1]),
    "clip, equal bounds": (lambda a: ag.clip([1, 2, 3], a, 2), [2, 2, 2], [2, 2, 2], [1, 0, 0]),
    "clip, bound NaN": (lambda b: ag.clip([1, 2], 0, b), [nan, nan], [nan, nan], [0, 0]),
    "sqrt": (ag.sqrt, [0, 4], [0, 2], [inf, 0.25]),
    "x ** 0": (lambda x: x**0, [0, -2], [1, 1], [0, 0]),
    "x ** 1": (lambda x: x**1, [0, -2], [0, -2], [1, 1]),
    "x ** 2": (lambda x: x**2, [0, -2], [0, 4], [0, -4]),
    "x ** 0.5": (lambda x: x**0.5, [0, 4], [0, 2], [inf, 0.25]),
    "x ** 3, negative": (lambda x: x**3, [-2.0], [-8], [12]),
    "0 ** y": (lambda y: 0.0**y, [0, 0.5, 2], [1, 0, 0], [0, 0, 0]),
    "(-2) ** y": (lambda y: (-2.0) ** y, [0, 2], [1, 4], [nan, nan]),
    "where": (lambda x: ag.where(x > 0, x, nan), [1, -1], [1, nan], [1, 0]),
    "where, not taken": (lambda x: ag.where(x > 0, 3.0 * x, ag.sqrt(ag.abs(x))), [0, 1], [0, 3], [nan, 3]),
    "where, infinite slope not taken": (lambda x: ag.where(x > 0, ag.sqrt(x), 0), [0, 4], [0, 2], [0, 0.25]),
    "where under an infinite g": (lambda x: ag.sqrt(ag.where(x > 0, x, 0)), [0, 4], [0, 2], [0, 0.25]),
    "where under an infinite g, mirrored": (lambda x: ag.sqrt(ag.where(x <= 0, 0, x)), [0, 4], [0, 2], [0, 0.25]),
    "maximum under an infinite g": (lambda x: ag.sqrt(ag.maximum(x, 0.0)), [-1, 4], [0, 2], [0, 0.25]),
    "minimum under an infinite g": (lambda x: ag.sqrt(-ag.minimum(x, 0.0)), [1, -4], [0, 2], [0, -0.25]),
    "clip under an infinite g": (lambda x: ag.sqrt(ag.clip(x, 0, 9)), [-1, 4, 16], [0, 2, 3], [0, 0.25, 0]),
    "max under an infinite g": (lambda x: ag.sqrt(ag.max(x)), [-1, 0], 0, [0, inf]),
    "min under an infinite g": (lambda x: ag.sqrt(ag.min(x, 0)), [1, 0], 0, [0, inf]),
    "huber_loss, inf": (lambda x: ag.huber_loss(x, [0, 0, 0], "none"), [inf, 1e30, -inf], [inf, 1e30, inf], [1, 1, -1]),
    "hypot, inf": (lambda x: ag.hypot(x, [0, inf, 1, -inf]), [inf, 1, -inf, inf], [inf] * 4, [1, 0, -1, 0.5**0.5]),
    "arctan2, inf": (lambda x: ag.arctan2(x, [1, inf, -inf]), [inf, 1, 1], [math.pi / 2, 0, math.pi], [0, 0, 0]),
    "norm at 0": (lambda x: ag.sqrt(ag.sum(x * x)), [0, 0], 0, [nan, nan]),
    "norm at 0, cured": (lambda x: ag.sqrt(ag.sum(x * x) + 1e-12), [0, 0], 1e-6, [0, 0]),
    "var": (lambda x: ag.var(x, 0), [[3, 0.1], [3, 0.1], [3, 0.1]], [0, 0], np.zeros((3, 2))),
    "std": (lambda x: ag.std(x, 0), [[3, 0.1], [3, 0.1], [3, 0.1]], [0, 0], np.zeros((3, 2))),
    "std over everything": (ag.std, np.full((7, 3), 0.1), 0, np.zeros((7, 3))),
    "sigmoid": (ag.sigmoid, [1000, -1000, 0, inf, -inf], [1, 0, 0.5, 1, 0], [0, 0, 0.25, 0, 0]),
    "normal_cdf": (ag.normal_cdf, [1000, -1000, 0, inf, -inf], [1, 0, 0.5, 1, 0], [0, 0, (2 * math.pi) ** -0.5, 0, 0]),
    "tanh": (ag.tanh, [1000, -1000, 0], [1, -1, 0], [0, 0, 1]),
    "softplus": (ag.softplus, [1000, -1000, 0], [1000, 0, math.log(2)], [1, 0, 0.5]),
    "silu": (ag.silu, [1000, -1000, 0], [1000, -0.0, 0], [1, 0, 0.5]),
    "gelu": (ag.gelu, [1000, -1000], [1000, -0.0], [1, 0]),
    "logsumexp, 1000s": (ag.logsumexp, [1000, 1000], 1000 + math.log(2), [0.5, 0.5]),
    "logsumexp, -1000s": (ag.logsumexp, [-1000, -1000], -1000 + math.log(2), [0.5, 0.5]),
    "logsumexp, -inf": (ag.logsumexp, [-inf, 3], 3, [0, 1]),
    "logsumexp, inf": (ag.logsumexp, [inf, 3, -inf, inf], inf, [0.5, 0, 0, 0.5]),
    "logaddexp, both inf": (lambda x: ag.logaddexp(x, inf), [inf, 1], [inf, inf], [0.5, 0]),
    "logaddexp2, both inf": (lambda x: ag.logaddexp2(inf, x), [inf, 1], [inf, inf], [0.5, 0]),
    "silu, inf": (ag.silu, [inf, 1e30], [inf, 1e30], [1, 1]),
    "gelu, inf": (ag.gelu, [inf, 1e30], [inf, 1e30], [1, 1]),
    "gelu, tanh, inf": (lambda x: ag.gelu(x, "tanh"), [inf, 1e30, -1e30], [inf, 1e30, 0], [1, 1, 0]),
    "mish, inf": (ag.mish, [inf, 1e30], [inf, 1e30], [1, 1]),
    "kl_div of an impossible event": (lambda p: ag.kl_div(p, np.zeros(2, p.dtype), "sum"), [-inf, 0], 0, [0, 0]),
    "logsumexp, all -inf": (ag.logsumexp, [-inf, -inf], -inf, [nan, nan]),
    "elu": (lambda x: ag.elu(x, 0.5), [0, -0.0, 1000, -1000], [0, -0.0, 1000, -0.5], [0.5, 0.5, 1, 0]),
    "selu": (ag.selu, [0, 1000], [0, 1050.7009873554805], [1.7580993408473766, 1.0507009873554805]),
    "mish": (ag.mish, [1000, -1000, 0], [1000, -0.0, 0], [1, 0, 0.6]),
    "gelu, tanh": (lambda x: ag.gelu(x, "tanh"), [1000, -1000, 0], [1000, -0.0, 0], [1, 0, 0.5]),
    "logsigmoid": (ag.logsigmoid, [1000, -1000, 0], [0, -1000, -math.log(2)], [0, 1, 0.5]),
    "softplus, sharp": (lambda x: ag.softplus(x, 2.0), [1000, -1000, 0], [1000, 0, math.log(2) / 2], [1, 0, 0.5]),
    "softsign": (ag.softsign, [0, 1000, -1000], [0, 1000 / 1001, -1000 / 1001], [1, 1 / 1001**2, 1 / 1001**2]),
    "hardtanh": (ag.hardtanh, [-1, 1, 1000, -1000, 0.5, nan], [-1, 1, 1, -1, 0.5, nan], [0, 0, 0, 0, 1, 1]),
    "relu6": (ag.relu6, [0, 6, 1000, -1000, 3], [0, 6, 6, 0, 3], [0, 0, 0, 0, 1]),
    "hardsigmoid": (ag.hardsigmoid, [-3, 3, 1000, -1000, 0], [0, 1, 1, 0, 0.5], [0, 0, 0, 0, 1 / 6]),
    "hardswish": (ag.hardswish, [-3, 3, 1000, -1000, 0], [0, 3, 1000, 0, 0], [0, 1, 1, 0, 0.5]),
    "softmax": (ag.softmax, [-1000, 0, 1000], [0, 0, 1], [0, 0, 0]),
    "softmax, all -inf": (ag.softmax, [-inf, -inf], [nan, nan], [nan, nan]),
    "log_softmax": (ag.log_softmax, [-1000, 0, 1000], [-2000, -1000, 0], [1, 1, -2]),
    "log_softmax, all -inf": (ag.log_softmax, [-inf, -inf], [nan, nan], [nan, nan]),
    "cross_entropy": (lambda z: ag.cross_entropy(z, np.array([0])), [[-1000, 1000]], 2000, [[-1, 1]]),
    "cross_entropy, certain": (lambda z: ag.cross_entropy(z, np.array([1])), [[-1000, 1000]], 0, [[0, 0]]),
    "cross_entropy, impossible class": (lambda z: ag.cross_entropy(z, np.array([1])), [[-inf, 1]], 0, [[0, 0]]),
    "bce_with_logits against": (
        lambda z: ag.bce_with_logits(z, np.array([0.0, 1.0], z.dtype), "none"),
        [1000, -1000], [1000, 1000], [1, -1],
    ),
    "bce_with_logits at 0": (
        lambda z: ag.bce_with_logits(z, np.array([0.0, 1.0], z.dtype), "none"),
        [0, 0], [math.log(2)] * 2, [0.5, -0.5],
    ),
    "bce_with_logits, infinite": (
        lambda z: ag.bce_with_logits(z, np.array([0, 1, 0, 1, 0.5], z.dtype), "none"),
        [inf, inf, -inf, -inf, inf], [inf, 0, 0, inf, inf], [1, 0, 0, -1, 0.5],
    ),
    "huber_loss": (
        lambda p: ag.huber_loss(p, np.zeros(5, p.dtype), "none", 2.0),
        [2, -2, 1000, -1000, 0], [2, 2, 1998, 1998, 0], [2, -2, 2, -2, 0],
    ),
    "l1_loss, equal": (lambda p: ag.l1_loss(p, np.ones(2, p.dtype), "sum"), [1, 3], 2, [0, 1]),
    "kl_div of a target of 0": (lambda y: ag.kl_div(np.array([-2, -1], y.dtype), y, "sum"), [0, 1], 1, [2, 2]),
    "cosine_similarity of zeros": (
        lambda x: ag.cosine_similarity(x, np.ones(2, x.dtype)), [0, 0], 0, [1e8 / math.sqrt(2)] * 2,
    ),
    "sum of nothing": (ag.sum, [], 0, []),
    "batch_norm of a constant channel": (
        lambda x: ag.batch_norm(x, np.ones(1, x.dtype), np.full(1, 3, x.dtype)), np.full((4, 1), 2), np.full((4, 1), 3),
        np.zeros((4, 1)),
    ),
    "layer_norm of equal numbers": (lambda x: ag.layer_norm(x, 2), [[0.1, 0.1]], [[0, 0]], [[0, 0]]),
    "normalize, 0": (ag.normalize, [0, 0], [0, 0], [1e12, 1e12]),
    "normalize, 0 beside others": (lambda x: ag.normalize(x, 1.5, eps=0.5), [[0, 0], [1, 0]], [[0, 0], [1, 0]],
        [[2, 2], [0, 1]]),
    "max_pool2d, padding and -inf": (
        lambda x: ag.max_pool2d(x, 2, 2, 1, 2), np.full((1, 3, 3, 1), -inf), np.full((1, 2, 2, 1), -inf),
        np.array([0, 0, 0, 0, 4, 0, 0, 0, 0]).reshape(1, 3, 3, 1),
    ),
    "dropout, p = 0": (lambda x: ag.dropout(x, 0), [1, 2], [1, 2], [1, 1]),
    "dropout, p = 1": (lambda x: ag.dropout(x, 1, np.random.default_rng(0)), [1, 2], [0, 0], [0, 0]),
}  # fmt: skip


@both_precisions
@pytest.mark.parametrize("row", ROWS)
def test_row(row, dtype):
    check_row(*ROWS[row], dtype)


# As above, with one warning in the forward, as NumPy gives it, and none in the walk.
LOUD = {
    "log": (ag.log, [0, 1], [-inf, 0], [inf, 1]), "log1p": (ag.log1p, [-1, 0], [-inf, 0], [inf, 1]),
    "x / 0": (lambda x: x / 0, [1, -1], [inf, -inf], [inf, inf]),
    "1 / y": (lambda y: 1 / y, [0, 2], [inf, 0.5], [-inf, -0.25]), "exp": (ag.exp, [1000, 0], [inf, 1], [inf, 1]),
    "exp2": (ag.exp2, [5000, 0], [inf, 1], [inf, math.log(2)]), "sinh": (ag.sinh, [1000, 0], [inf, 0], [inf, 1]),
    "log2": (ag.log2, [0, 1], [-inf, 0], [inf, 1 / math.log(2)]),
    "reciprocal": (ag.reciprocal, [0, 2], [inf, 0.5], [-inf, -0.25]),
    "arctanh": (ag.arctanh, [1, 0], [inf, 0], [inf, 1]),
    "arcsin of more than 1": (ag.arcsin, [2, 0], [nan, 0], [nan, 1]),
    "y of x % 0": (lambda y: 5 % y, [0.0], [nan], [-inf]),
    "where(x < 1, arcsin(x), x)": (lambda x: ag.where(x < 1, ag.arcsin(x), x), [2, 0], [2, 0], [1, 1]),
    "expm1": (ag.expm1, [1000, 0], [inf, 0], [inf, 1]), "x ** -1": (lambda x: x**-1, [0, 2], [inf, 0.5], [-inf, -0.25]),
    "sqrt of less than 0": (ag.sqrt, [-1, 4], [nan, 2], [nan, 0.25]), "silu, -inf": (ag.silu, [-inf], [nan], [nan]),
    "gelu, -inf": (ag.gelu, [-inf], [nan], [nan]),
    "where(x < 0, exp(x), x)": (lambda x: ag.where(x < 0, ag.exp(x), x), [1000, 0], [1000, 0], [1, 1]),
    "where(x > 0, log(x), x)": (lambda x: ag.where(x > 0, ag.log(x), x), [0, 2], [0, math.log(2)], [1, 0.5]),
    "where(x > 0, sqrt(x), x)": (lambda x: ag.where(x > 0, ag.sqrt(x), x), [-1, 4], [-1, 2], [1, 0.25]),
    "where(x != 0, 1 / x, x)": (lambda x: ag.where(x != 0, 1 / x, x), [0, 2], [0, 0.5], [1, -0.25]),
    "where(x != 0, x ** -2, x)": (lambda x: ag.where(x != 0, x**-2, x), [0, 2], [0, 0.25], [1, -0.25]),
    "bce, p = 0, t = 1": (lambda p: ag.bce(p, np.ones(1, p.dtype)), [0.0], 100, [-1e12]),
    "bce, p = 1, t = 0": (lambda p: ag.bce(p, np.zeros(1, p.dtype)), [1.0], 100, [1e12]),
    "bce, p = t = 0": (lambda p: ag.bce(p, np.zeros(1, p.dtype)), [0.0], 0, [0]),
    "bce, p = t = 1": (lambda p: ag.bce(p, np.ones(1, p.dtype)), [1.0], 0, [0]),
}  # fmt: skip


@both_precisions
@pytest.mark.parametrize("row", LOUD)
def test_row_that_warns(row, dtype):
    f, x, value, slope = LOUD[row]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got, grad = value_and_slope(f, x, dtype)
    assert [w.category for w in caught] == [UserWarning if row.startswith("bce") else RuntimeWarning]
    np.testing.assert_allclose(got, np.array(value, dtype), rtol=1e-6)
    np.testing.assert_allclose(grad, np.array(slope, dtype), rtol=1e-6)


THROUGH = (
    "sqrt of less than 0",
    "arcsin of more than 1",
    "(-2) ** y",
)  # NaN slopes of rules that answer zero with zero


@both_precisions
@pytest.mark.parametrize(
    "row", [row for row, (*_, slope) in {**ROWS, **LOUD}.items() if row in THROUGH or not np.isnan(slope).any()]
)
def test_zero_comes_back_as_zero(row, dtype):
    """A rule is linear in g, also where its slope is infinite."""
    f, x, *_ = {**ROWS, **LOUD}[row]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, grad = value_and_slope(f, x, dtype, np.zeros)
    assert not grad.any()


def test_mean_and_max_of_nothing():
    with pytest.warns(RuntimeWarning):
        value, grad = value_and_slope(ag.mean, [], float)
    assert np.isnan(value)
    assert grad.shape == (0,)
    for f in (ag.max, ag.min):
        with pytest.raises(ValueError, match="zero-size array"):
            f(Tensor([], requires_grad=True))


def test_the_mean_over_no_labels_is_nan_and_its_gradient_0():
    z = Tensor(np.ones((2, 3)), requires_grad=True)
    each, some = np.stack([z.data, z.data]), np.array([[-1, -1], [-1, 1]])
    for weight in (None, np.ones(3), Tensor(np.ones(3), requires_grad=True)):

        def loss(z, y, weight=weight):
            return ag.cross_entropy(z, y, weight=weight, ignore_index=-1)

        value = loss(z, some[0])
        with pytest.warns(RuntimeWarning, match="value is nan"):
            assert not value.gradient(z).any()
        assert ag.vmap(ag.grad(loss))(each, some).any(axis=(1, 2)).tolist() == [False, True]
    value = ag.cross_entropy(z, np.array([-1, 1]), weight=[1, 0.25, 1], ignore_index=-1)
    np.testing.assert_allclose(value.data, math.log(3), rtol=1e-12)
    assert not value.gradient(z)[0].any()


def test_options_of_float64_leave_float32():
    x, labels = Tensor(np.float32([[-1, 2, 3], [0.5, -2, 1]]), requires_grad=True), np.array([0, 2])
    half, probabilities = np.float64(0.5), np.full((2, 3), 1 / 3)
    for f in (
        lambda x: ag.leaky_relu(x, half), lambda x: ag.elu(x, half),
        lambda x: ag.hardtanh(x, -half, half), lambda x: ag.softplus(x, half),
        lambda x: ag.cross_entropy(x, labels, label_smoothing=half),
        lambda x: ag.cross_entropy(x, labels, weight=np.ones(3)), lambda x: ag.cross_entropy(x, probabilities),
        lambda x: ag.huber_loss(x, x * 2, delta=half),
        lambda x: ag.bce_with_logits(x, x * 0, weight=np.ones(3), pos_weight=np.ones(3)),
    ):  # fmt: skip
        out = ag.sum(f(x))
        assert (out.dtype, out.gradient(x).dtype) == (np.float32, np.float32)


def test_integers_are_computed_as_floats():
    x = np.array([[1, 2, 2], [5, 5, 5]])
    for name in "standardize normalize normal_cdf gelu silu elu sigmoid softmax".split():
        f = getattr(ag, name)
        np.testing.assert_array_equal(f(x), f(x.astype(float)))


def test_a_window_that_only_ceil_mode_admits():
    x = np.array([1.0, 2, 3, 6]).reshape(1, 2, 2, 1)
    for pool, value, slope in ((ag.max_pool2d, 6, [0, 0, 0, 1]), (ag.avg_pool2d, 3, [0.25] * 4)):
        y, back = ag.vjp(lambda x, pool=pool: pool(x, 3, 2, ceil_mode=True), x)
        np.testing.assert_array_equal(y.ravel(), [value])
        np.testing.assert_array_equal(back(np.ones((1, 1, 1, 1)))[0].ravel(), slope)


def test_an_infinity_stays_in_its_bins():
    x = np.ones((1, 3, 3, 1))
    x[0, 0, 0] = np.inf
    np.testing.assert_array_equal(ag.adaptive_avg_pool2d(x, 2)[0, :, :, 0], [[np.inf, 1], [1, 1]])


def test_weights_keep_their_fractions_beside_integers():
    y = np.array([1, 0])
    np.testing.assert_allclose(ag.bce_with_logits(np.array([0, 0]), y, "sum", pos_weight=0.5), 1.5 * math.log(2))
    np.testing.assert_allclose(ag.bce(np.array([0.5, 0.5]), y, "sum", weight=0.5), math.log(2))


def test_bce_outside_of_0_and_1():
    for p in ([1.5], [-0.1]):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            ag.bce(Tensor(p, requires_grad=True), np.ones(1))


def test_sigmoid_is_flat_from_17_on_in_float32_and_37_in_float64():
    for dtype, limit in ((np.float32, 17), (np.float64, 37)):
        value, grad = value_and_slope(ag.sigmoid, [limit - 2, limit], dtype)
        assert value[0] < 1 == value[1]
        assert grad[0] > 0 == grad[1]


def test_a_shared_gradient_sums_to_g(rng):
    x = rng.integers(0, 3, (5, 7)).astype(float)
    for f in (ag.max, ag.min):
        for axis in (0, 1, None):
            g = rng.normal(size=f(x, axis).shape)
            _, grad = value_and_slope(lambda x, f=f, axis=axis: f(x, axis), x, float, lambda _, g=g: g)
            np.testing.assert_allclose(grad.sum(axis), g, rtol=1e-12)


# Pooling


ABOVE_1 = np.nextafter(1, 2)
POOLED = {  # an image, the window, the maxima, and their gradient
    "a tie": ([[0, 7], [7, 7]], (2,), [[7]], [[0, 1], [0, 0]]),
    **{f"all {c}": (np.full((4, 4), c), (2,), [[c, c]] * 2, [[1, 0, 1, 0], [0] * 4] * 2) for c in (0.0, 5.0, -inf)},
    "no tolerance": ([[1, ABOVE_1], [1, 1]], (2,), [[ABOVE_1]], [[0, 1], [0, 0]]),
    "NaN wins": ([[1, 9], [nan, 3]], (2,), [[nan]], [[0, 0], [1, 0]]),
    **{f"padding around {c}": (np.full((2, 2), c), (3, 2, 1), [[c]], [[1, 0], [0, 0]]) for c in (-5.0, -inf)},
    "windows overlap": ([[0, 0, 0], [0, 8, 0], [0, 0, 0]], (2, 1), [[8, 8], [8, 8]], [[0, 0, 0], [0, 4, 0], [0, 0, 0]]),
}


@pytest.mark.parametrize(("image", "window", "maxima", "slope"), POOLED.values(), ids=POOLED)
def test_maxima_of_windows(image, window, maxima, slope):
    """The first in row-major order wins a tie, and NaN wins over all numbers, and padding over none."""
    image = np.array(image, float)[None, ..., None]
    value, grad = value_and_slope(lambda x: ag.max_pool2d(x, *window), image)
    np.testing.assert_array_equal(value[0, ..., 0], maxima)
    np.testing.assert_array_equal(grad[0, ..., 0], slope)


@pytest.mark.parametrize("window", [(2, 1), (3, 2), (3, 1, 1), (2, 3), ((3, 2), (1, 2), (1, 0))])
def test_pooling_keeps_the_sum_of_the_gradient(window, rng):
    x = np.maximum(rng.normal(size=(2, 7, 8, 3)), 0)  # zeros, as after ReLU: ties
    g = rng.normal(size=ag.max_pool2d(x, *window).shape)
    _, grad = value_and_slope(lambda x: ag.max_pool2d(x, *window), x, float, lambda _: g)
    np.testing.assert_allclose(grad.sum(), g.sum(), rtol=1e-12)


def test_avg_pool_counts_the_zeros_of_the_padding():
    value, grad = value_and_slope(lambda x: ag.avg_pool2d(x, 3, 2, 1), np.full((1, 2, 2, 1), 9.0), float)
    assert value.item() == 4
    np.testing.assert_allclose(grad, np.full((1, 2, 2, 1), 1 / 9), rtol=1e-15)


def test_rows_that_no_window_sees_get_exactly_zero(rng):
    for f in (
        lambda x: ag.conv2d(x, np.ones((2, 2, 1, 1)), stride=3),
        lambda x: ag.max_pool2d(x, 2, 3),
        lambda x: ag.avg_pool2d(x, 2, 3),
    ):
        value, grad = value_and_slope(f, rng.normal(size=(1, 7, 7, 1)), float)
        assert value.shape == (1, 2, 2, 1)
        assert not grad[:, [2, 5, 6]].any()
        assert not grad[:, :, [2, 5, 6]].any()
        assert grad[:, :2].any()


# Differentiated in g: a jvp is a vjp of a vjp and starts from g = 0, so a rule that looks at g == 0 alone gives 0.

SMOOTH = {
    "sqrt": (ag.sqrt, lambda x: 0.5 / np.sqrt(x)), "log": (ag.log, lambda x: 1 / x),
    "log1p": (ag.log1p, lambda x: 1 / (1 + x)), "exp": (ag.exp, np.exp), "expm1": (ag.expm1, np.exp),
    "x / y": (lambda x: x / 3, lambda x: np.full_like(x, 1 / 3)), "1 / x": (lambda x: 1 / x, lambda x: -1 / x**2),
    "x ** 3": (lambda x: x**3, lambda x: 3 * x**2), "x ** 0.5": (lambda x: x**0.5, lambda x: 0.5 * x**-0.5),
    "2 ** x": (lambda x: 2**x, lambda x: np.log(2) * 2**x),
}  # fmt: skip


@both_precisions
@pytest.mark.parametrize("name", SMOOTH)
def test_jvp_although_it_starts_from_zero(name, dtype):
    f, slope = SMOOTH[name]
    x, t = np.array([4.0, 0.5], dtype), np.array([1.0, -2.0], dtype)
    value, tangent = ag.jvp(f, (x,), (t,))
    np.testing.assert_allclose(value, f(x), rtol=1e-6)
    np.testing.assert_allclose(tangent, slope(x) * t, rtol=1e-6)
    assert tangent.dtype == dtype


INFINITE = "sqrt", "log", "1 / x", "x ** 0.5"  # slopes at 0


@pytest.mark.parametrize(("name", "other"), [*((n, -0.5) for n in SMOOTH), *((n, 0.0) for n in INFINITE)])
def test_jvp_inside_where(name, other):
    f, slope = SMOOTH[name]
    x = np.array([4.0, other])
    with np.errstate(all="ignore"):
        _, tangent = ag.jvp(lambda x: ag.where(x > 0, f(x), 7 * x), (x,), (np.array([1.0, 2.0]),))
        np.testing.assert_allclose(tangent, [slope(x)[0], 14], rtol=1e-12)


@pytest.mark.parametrize("size", [4, 1 << 15])
def test_the_recorded_gradient_of_relu_is_zero_at_zero(size):
    y = np.tile([0.0, 2.0], size // 2)
    np.testing.assert_array_equal(ag.relu_gradient(np.full(size, 3.0), y), 1.5 * y)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, ">i8"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_takes_integers_of_every_kind_and_its_rule_in_place_equals_the_formula(dtype, reduction):
    rng = np.random.default_rng(0)
    z = ag.Tensor(rng.normal(size=(4, 5, 3)).astype(np.float32), requires_grad=True)
    labels = rng.integers(0, 3, (4, 5)).astype(dtype)
    loss = ag.cross_entropy(z, labels, reduction)
    expected = -np.log(np.take_along_axis(ag.softmax(z.data), labels[..., None].astype(int), -1))[..., 0]
    reduced = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](expected)
    np.testing.assert_allclose(loss.data, reduced, rtol=1e-5)
    loss.sum().backward()
    formula = ag.softmax(z.data) - (labels[..., None] == np.arange(3))
    np.testing.assert_allclose(z.grad, formula / (20 if reduction == "mean" else 1), rtol=1e-5, atol=1e-7)


DEGENERATE = {  # functions whose second derivatives are undefined, or lost by a rule that divides by 0
    "norm**2": (lambda x: ag.linalg.norm(x) ** 2, np.zeros(3)),
    "norm": (ag.linalg.norm, np.zeros(3)),
    "norm of order 3": (lambda x: ag.linalg.norm(x, 3) ** 2, np.zeros(3)),
    "hypot**2": (lambda x: ag.hypot(x[0], x[1]) ** 2, np.zeros(2)),
    "arctan2": (lambda x: ag.arctan2(x[0], x[1]) * ag.sum(x * x), np.zeros(2)),
    "abs**2": (lambda x: ag.abs(x[0] + 1j * x[1]) ** 2, np.zeros(2)),
    "sqrt**2": (lambda x: ag.sqrt(ag.sum(x * x)) ** 2, np.zeros(3)),
    "cbrt**3": (lambda x: ag.sum(ag.cbrt(x) ** 3), np.zeros(2)),
    "std**2": (lambda x: ag.std(x) ** 2, np.ones(3)),
    "svdvals**2": (lambda x: ag.sum(ag.linalg.svdvals(x) ** 2), np.zeros((2, 2))),
    "eigvalsh**3": (lambda x: ag.sum(ag.linalg.eigvalsh(x) ** 3), np.eye(2)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", DEGENERATE)
def test_a_second_derivative_that_a_rule_cannot_see_is_nan(name):
    f, x = DEGENERATE[name]
    assert np.isfinite(ag.grad(f)(x)).all()
    assert np.isfinite(ag.jvp(f, (x,), (np.ones_like(x),))[1])
    for hessian in (ag.hessian(f)(x), ag.vmap(ag.hessian(f))(np.stack([x, x]))):
        assert np.isnan(hessian).all()


def test_a_branch_that_is_not_taken_has_second_derivatives_of_0():
    x = np.array([[0.0, 0], [3, 4]])
    for f in (lambda x: ag.linalg.norm(x, axis=-1), lambda x: ag.hypot(x[:, 0], x[:, 1]), lambda x: ag.std(x, 1)):
        h = ag.hessian(lambda x, f=f: ag.sum(np.where(ag.sum(x, 1) > 0, f(x), 0)))(x)
        assert not h[0].any() and np.isfinite(h).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_nan_in_the_triangle_that_is_read_has_a_gradient_of_nan():
    for a in ([[np.nan, 0], [0, 1]], [[1, 0], [np.nan, 1]]):
        slope = ag.grad(lambda a: ag.sum(ag.linalg.cholesky(a)))(np.array(a, float))
        assert np.isnan(slope[np.isnan(a)]).all()
