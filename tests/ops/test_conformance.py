"""Every registered primitive passes `conformance` and equals the textbook's formula."""

import itertools
import math
import re
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

import autograd_cnn as ag
import oracles
from autograd_cnn.calculus.check import check_gradients, conformance, examples_of
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.registry import numpys
from autograd_cnn.engine.tensor import Tensor
from split_inputs import split

scipy_special = import_module("scipy.special") if find_spec("scipy") else None
PRIMITIVES = {p.name: p for p in primitives() if p.__module__.startswith("autograd_cnn.")}
if scipy_special is None:
    PRIMITIVES = {name: p for name, p in PRIMITIVES.items() if not name.startswith("special.")}
every_primitive = pytest.mark.parametrize("name", PRIMITIVES)


@every_primitive
def test_conforms(name):
    assert conformance(PRIMITIVES[name]) > 0


def test_each_says_first_what_it_computes():
    for name, primitive in PRIMITIVES.items():
        first = primitive.__doc__.partition("\n")[0]
        assert re.fullmatch(r"[A-Z][a-z]+s\b.*\.", first), f"{name}: a sentence, which the page shows to students"
        assert not re.search(r"NaN|inf\b|1000|[gG]radient (at )?0|`g`", first), f"{name}: exceptions come later"


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # of kernels, before the error
@pytest.mark.parametrize("name", [name for name, p in PRIMITIVES.items() if not p.complex])
def test_a_primitive_for_real_numbers_refuses_others_by_name(name):
    primitive = PRIMITIVES[name]
    for args, options in examples_of(primitive, np.random.default_rng(0))[:3]:
        flat = primitive.bind(args, dict(options))
        operand = primitive.flat_names(len(flat)).index(next(iter(primitive.rules)))
        for recorded in (True, False):
            flat[operand] = Tensor(np.asarray(flat[operand]) * (1 + 1j), requires_grad=recorded)
            with pytest.raises(TypeError, match="is for real numbers"), np.errstate(all="ignore"):
                primitive(*primitive.grouped([*flat]))
            flat[operand] = flat[operand].data


def everything_recorded():
    for name, p in PRIMITIVES.items():
        args, options = examples_of(p, np.random.default_rng(0))[0]
        f, inputs = split(p, args, options)
        yield name, f, inputs


@pytest.mark.parametrize(("name", "f", "inputs"), [pytest.param(*e, id=e[0]) for e in everything_recorded()])
def test_records_what_needs_a_gradient_and_nothing_else(name, f, inputs):
    assert not isinstance(f(*inputs), Tensor)
    assert PRIMITIVES[name].views or not any(np.may_share_memory(f(*inputs), x) for x in inputs)
    assert not f(*map(Tensor, inputs)).requires_grad
    for i in range(len(inputs)):  # one at a time, as the others may be constants
        out = f(*(Tensor(x, requires_grad=i == k) for k, x in enumerate(inputs)))
        assert out.requires_grad
        assert not out.is_leaf
    with ag.no_grad():
        assert not f(*(Tensor(x, requires_grad=True) for x in inputs)).requires_grad


# Values: against NumPy where it has the function, else against the textbook's formula or loops.


def elementwise(formula):
    return np.vectorize(formula, otypes=[float])


def along(formula):
    return lambda x, axis=-1: np.apply_along_axis(formula, axis, x)


def normal_cdf(v):
    return math.erfc(-v / math.sqrt(2)) / 2


def gelu(v, approximate="none"):
    tanh = math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))
    return v * (normal_cdf(v) if approximate == "none" else (1 + tanh) / 2)


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def logsumexp(x, axis=None, keepdims=False):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def reduced(loss):
    def total(p, y, reduction="mean", weight=1, **options):
        values = loss(p, y, **options) * weight
        return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](values)

    return total


def cross_entropy(z, labels, reduction):
    losses = -np.log(np.exp(z) / np.exp(z).sum(-1, keepdims=True))[np.arange(len(z)), labels]
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def both(value):
    return value if isinstance(value, tuple) else (value, value)


def edges(padding):
    """((above, below), (left, right))."""
    return [(p, p) for p in both(padding)]


def same(size, kernel, stride, dilation):
    """(before, after), for ceil(size / stride) outputs."""
    total = max(0, (math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return total // 2, total - total // 2


def convolution(size, kernel, stride=1, padding=0, dilation=1, groups=1):
    """The options of a convolution as the oracles want them."""
    if padding == "same":
        sides = [same(*axis) for axis in zip(size, kernel, both(stride), both(dilation), strict=False)]
    else:
        sides = edges(padding)
    return both(stride), sides, both(dilation), groups


def conv2d(x, w, b=None, *options, **named):
    return oracles.conv2d(x, w, b, *convolution(x.shape[1:3], w.shape, *options, **named))


def conv_transpose2d(x, w, b=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, k, s, p, d, e in zip(
            x.shape[1:3], w.shape, both(stride), both(padding), both(dilation), both(output_padding), strict=False
        )
    ]
    shape = (len(x), *sizes, w.shape[2] * groups)
    y = oracles.conv2d_input_gradient(x, w, shape, *convolution(sizes, w.shape, stride, padding, dilation, groups))
    return y if b is None else y + b


def window(kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The options of maximum pooling as the oracles want them."""
    stride = kernel_size if stride is None else stride
    return both(kernel_size), both(stride), edges(padding), both(dilation), ceil_mode


def average(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return (*window(kernel_size, stride, padding)[:3], ceil_mode, count_include_pad)


def batch_norm(x, w, b, eps=1e-5, mean=None, variance=None):
    axes = tuple(range(x.ndim - 1))
    mean, variance = (x.mean(axes), x.var(axes)) if mean is None else (mean, variance)
    return (x - mean) / np.sqrt(variance + eps) * w + b


def scatter(x, index, shape):
    out = np.zeros(shape)
    np.add.at(out, index, x)
    return out


def below(values, vectors):
    return np.concatenate([values[..., None, :], vectors], -2)


def svd_rows(a):
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, below(s, vt.mT)], -2)


def assigned(x, index, values):
    out = x.copy()
    out[index] = values
    return out


TEXTBOOK = {
    "finite_product": np.multiply,
    "quotient": np.divide,
    "root": lambda x, n: x ** (1 / n),
    "alias": lambda x: x,
    "astype": lambda x, dtype: x.astype(dtype),
    "getitem": lambda x, index: x[index],
    "scatter": scatter,
    "flatten": lambda x, start_axis=0: x.reshape(*x.shape[:start_axis], -1),
    "set_at": assigned,
    "add_at": lambda x, index, values: x + scatter(values, index, x.shape),
    "pad_constant": lambda x, width, constant_values=0: np.pad(x, width, constant_values=constant_values),
    "logsumexp": logsumexp,
    "linear": lambda x, w, b=0.0: np.einsum("...i,io->...o", x, w) + b,
    "relu": elementwise(lambda v: max(v, 0)),
    "leaky_relu": elementwise(lambda v, slope=0.01: v if v > 0 else slope * v),
    "sigmoid": elementwise(sigmoid),
    "elu": elementwise(lambda v, alpha=1.0: v if v > 0 else alpha * (math.exp(v) - 1)),
    "hardtanh": elementwise(lambda v, low=-1.0, high=1.0: min(max(v, low), high)),
    "softsign": elementwise(lambda v: v / (1 + abs(v))),
    "softplus": elementwise(lambda v, beta=1.0: math.log(1 + math.exp(beta * v)) / beta),
    "normal_cdf": elementwise(normal_cdf),
    "silu": elementwise(lambda v: v * sigmoid(v)),
    "gelu": elementwise(gelu),
    "mish": elementwise(lambda v: v * math.tanh(math.log(1 + math.exp(v)))),
    "hardswish": elementwise(lambda v: v * min(max(v + 3, 0), 6) / 6),
    "softmax": along(lambda v: np.exp(v) / np.exp(v).sum()),
    "log_softmax": along(lambda v: np.log(np.exp(v) / np.exp(v).sum())),
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "conv2d_weight_gradient": lambda x, gy, w_shape, *options: oracles.conv2d_weight_gradient(
        x, gy, w_shape, *convolution(x.shape[1:3], w_shape, *options)
    ),
    "max_pool2d": lambda x, *options, **named: oracles.max_pool2d(x, *window(*options, **named))[0],
    "max_gather2d": lambda x, argmax, *options: oracles.max_gather2d(x, argmax, *window(*options)),
    "max_unpool2d": lambda x, argmax, shape, *options: oracles.max_unpool2d(x, argmax, shape, *window(*options)),
    "relu_gradient": lambda x, y: np.where(y > 0, x, 0),
    "avg_pool2d": lambda x, *options, **named: oracles.avg_pool2d(x, *average(*options, **named)),
    "avg_unpool2d": lambda x, shape, **options: oracles.avg_unpool2d(x, shape, *average(**options)),
    "batch_norm": batch_norm,
    "standardize": lambda x, axis=-1, eps=1e-5: (
        (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)
    ),
    "bce": reduced(lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p))),
    "bce_with_logits": lambda z, y: y * np.log(1 + np.exp(-z)) + (1 - y) * np.log(1 + np.exp(z)),
    "cross_entropy": cross_entropy,
    "mse": reduced(lambda p, y: (p - y) ** 2),
    "contract": np.einsum,
    "linalg.cofactors": lambda a: np.linalg.det(a)[..., None, None] * np.linalg.inv(a).mT,
    "linalg.detsign": lambda a: np.linalg.det(a) / np.abs(np.linalg.det(a)),
    "linalg.logabsdet": lambda a: np.log(np.abs(np.linalg.det(a))),
    "linalg.cholesky_factor": lambda a: np.linalg.cholesky(a),
    "linalg.eigh_rows": lambda a: below(*np.linalg.eigh((a + a.mT) / 2)),
    "linalg.eig_rows": lambda a: below(*np.linalg.eig(a)).real,
    "linalg.svd_rows": svd_rows,
    "linalg.qr_rows": lambda a: np.concatenate([np.linalg.qr(a).Q, np.linalg.qr(a).R.mT], -2),
}  # fmt: skip


@every_primitive
def test_value(name):
    of_scipy = getattr(scipy_special, name.removeprefix("special."), None) if name.startswith("special.") else None
    reference = TEXTBOOK.get(name) or of_scipy or numpys(name)
    assert reference, f"add the formula of {name} to TEXTBOOK"
    for args, options in examples_of(PRIMITIVES[name], np.random.default_rng(1)):
        out = PRIMITIVES[name].raw(*args, **options)
        out = out[0] if PRIMITIVES[name].byproducts else out
        want = reference(*args, **options)
        assert np.shape(out) == np.shape(want)
        np.testing.assert_allclose(out, want, rtol=1e-12, atol=1e-12)


# Derivatives, more precisely than central differences.

BILINEAR = """
    add subtract multiply negative alias sum mean reshape transpose flatten squeeze expand_dims broadcast_to
    concatenate stack pad_constant flip roll copy take getitem scatter set_at add_at matmul linear
    contract
    convolve conv2d
    conv_transpose2d conv2d_weight_gradient avg_pool2d avg_unpool2d max_gather2d max_unpool2d
""".split()  # linear in each input


@pytest.mark.parametrize("name", [n for n in BILINEAR if n in PRIMITIVES])
def test_a_linear_rule_is_exact(name):
    for args, options in examples_of(PRIMITIVES[name], np.random.default_rng(2)):
        f, inputs = split(PRIMITIVES[name], args, options)
        assert check_gradients(f, *inputs, eps=1.0, rtol=1e-12, atol=1e-12) < 1e-12


ANALYTIC = {
    **{name: getattr(np, name) for name in "exp expm1 log log1p sqrt square sin cos tanh".split()},
    **{n: getattr(np, n) for n in "exp2 log2 log10 reciprocal tan sinh cosh sinc".split() if hasattr(ag, n)},
    "divide": lambda x: 1 / x, "power": lambda x: x**2.5, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)), "silu": lambda x: x / (1 + np.exp(-x)),
}  # fmt: skip


@pytest.mark.parametrize("name", ANALYTIC)
def test_an_analytic_rule_agrees_with_the_complex_step(name):
    """Im f(x + ih) / h has no cancellation (W. Squire, G. Trapp, 1998)."""
    positive = name in "log log1p log2 log10 sqrt power divide reciprocal".split()
    x = np.linspace(0.1, 20, 50) if positive else np.linspace(-20, 20, 51)
    f = {"divide": lambda x: ag.divide(1, x), "power": lambda x: x**2.5}.get(name, getattr(ag, name))
    want = np.imag(ANALYTIC[name](x + 1e-20j)) / 1e-20
    np.testing.assert_allclose(ag.grad(lambda x: ag.sum(f(x)))(x), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n, p in PRIMITIVES.items() if any(rule.into for rule in p.rules.values())])
def test_an_in_place_twin_adds_what_its_rule_returns(name):
    primitive = PRIMITIVES[name]
    twins = [n for n, rule in primitive.rules.items() if rule.into is not None]
    for input_name, (args, options) in itertools.product(twins, examples_of(primitive, np.random.default_rng(3))):
        rule = primitive.rules[input_name]
        bound = primitive.signature.bind(*args, **options).arguments
        x = bound[input_name]
        asked = [np.shape(x) if ask == f"{input_name}_shape" else bound[ask] for ask in rule.needs]
        g = np.random.default_rng(4).normal(size=np.shape(primitive(*args, **options)))
        buffer = np.ones_like(x)
        rule.into(buffer, g, *asked)
        np.testing.assert_allclose(buffer, 1 + rule.function(g, *asked), rtol=1e-12)


def inputs_of_numbers():
    """(name, position) of inputs that may be 0-d beside plain numbers: where NumPy likes to return float64."""
    for name, primitive in PRIMITIVES.items():
        args, options = examples_of(primitive, np.random.default_rng(0))[0]
        numbers = all(isinstance(a, float) or getattr(a, "shape", None) == (2, 3) for a in args) and not options
        if numbers and name not in ("arccosh", "astype", "bce"):
            yield from ((name, i) for i, p in enumerate(primitive.parameters[: len(args)]) if p in primitive.rules)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "position"), list(inputs_of_numbers()))
def test_a_number_keeps_its_dtype(name, position, dtype):
    primitive = PRIMITIVES[name]
    args, _ = examples_of(primitive, np.random.default_rng(0))[0]
    numbers = [0.75 if np.asarray(a).dtype.kind == "f" else True for a in args]
    x = Tensor(dtype(0.5), requires_grad=True)
    out = primitive(*numbers[:position], x, *numbers[position + 1 :])
    slope = out.gradient(x, create_graph=True)
    assert (out.dtype, out.shape, slope.dtype, slope.shape) == (dtype, (), dtype, ())
    if slope.requires_grad:
        slope.backward()
        assert x.grad.dtype == dtype


def as_float32(value):
    if isinstance(value, list):
        return [as_float32(v) for v in value]
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value


@pytest.mark.parametrize("name", [name for name in PRIMITIVES if name != "astype"])
def test_everything_that_a_float32_graph_holds_is_float32(name):
    for args, options in examples_of(PRIMITIVES[name], np.random.default_rng(0)):
        narrow = {option: as_float32(value) for option, value in options.items()}
        f, inputs = split(PRIMITIVES[name], [as_float32(a) for a in args], narrow)
        out = f(*(Tensor(x, requires_grad=True) for x in inputs))
        kept = [v for v in out._node.saved_by_number().values() if isinstance(v, np.ndarray)]
        assert {a.real.dtype for a in [out.data, *kept] if a.dtype.kind in "fc"} == {np.dtype(np.float32)}


def test_probabilities_that_do_not_sum_to_one(rng):
    """As targets of a cross-entropy they weigh their rows."""
    z, weights = rng.normal(size=(3, 4)), rng.uniform(0, 2, (3, 4))
    want = -np.sum(weights * np.log(np.exp(z) / np.exp(z).sum(-1, keepdims=True)))
    np.testing.assert_allclose(ag.cross_entropy(z, weights, "sum"), want, rtol=1e-12)
    assert check_gradients(lambda z: ag.cross_entropy(z, weights), z, order=2) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout(dtype):
    x = Tensor(np.full((100, 100), 3, dtype), requires_grad=True)
    out = ag.dropout(x, 0.25, np.random.default_rng(0))
    kept = out.data != 0
    assert abs(kept.mean() - 0.75) < 0.02
    np.testing.assert_allclose(out.data, np.where(kept, 4, 0), rtol=1e-6)
    out.backward(np.full(out.shape, 6, dtype))
    np.testing.assert_allclose(x.grad, np.where(kept, 8, 0), rtol=1e-6)
    assert out.dtype == x.grad.dtype == dtype
    again = ag.dropout(x.data, 0.25, np.random.default_rng(0))  # raw in, raw out; one seed, one mask
    np.testing.assert_array_equal(again, out.data)


WITHOUT_IMAGES = """
    conv2d conv_transpose2d max_pool2d avg_pool2d linear relu softmax log_softmax sum getitem concatenate
""".split()


@pytest.mark.parametrize("name", WITHOUT_IMAGES)
def test_a_batch_without_images(name):
    x = Tensor(np.zeros((0, 4, 4, 3)), requires_grad=True)
    w = {"conv2d": (2, 2, 3, 5), "conv_transpose2d": (2, 2, 5, 3), "linear": (3, 5)}.get(name)
    w = None if w is None else Tensor(np.ones(w), requires_grad=True)
    rest = {"max_pool2d": (2,), "avg_pool2d": (2,), "getitem": (slice(2),)}
    f = getattr(ag, name)
    out = f([x, x]) if name == "concatenate" else f(x, *([w] if w is not None else rest.get(name, ())))
    out.backward(np.ones(out.shape))
    assert x.grad.shape == x.shape
    assert w is None or (w.grad.shape == w.shape and not w.grad.any())


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"groups": 3}, {"padding": "same", "dilation": 2}], ids=str)
def test_a_convolution_without_outputs(options):
    x, w, b = np.ones((2, 5, 4, 3)), np.ones((2, 2, 3 // options.get("groups", 1), 0)), np.ones(0)
    y, back = ag.vjp(lambda x, w, b: ag.conv2d(x, w, b, **options), x, w, b)
    assert y.shape[-1] == 0
    gx, gw, gb = back(y)
    assert (gx.shape, gw.shape, gb.shape) == (x.shape, w.shape, b.shape)
    assert not gx.any()


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (2, 0, 5, 3)])
def test_batch_norm_without_numbers(shape):
    x, w = np.ones(shape), np.ones(shape[-1])
    y, back = ag.vjp(ag.batch_norm, x, w, w)
    gx, gw, gb = back(y)
    assert y.shape == gx.shape == shape
    assert not gw.any()
    assert not gb.any()


def test_batch_norm_leaves_the_given_statistics_writable():
    mean, variance = np.zeros(3), np.ones(3)
    out = ag.batch_norm(Tensor(np.ones((2, 3)), requires_grad=True), *np.ones((2, 3)), 1e-5, mean, variance)
    out.sum().backward()
    assert mean.flags.writeable
    assert variance.flags.writeable
