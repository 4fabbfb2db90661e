"""Arguments out of range, for every operation: a clear error, NumPy's own result, or an ordinary one.

The calls are those of `uses` and the examples of primitives. In each, one argument after the other is replaced by each
of `BAD`. `REFUSED` has others, with what their errors say.
"""

import inspect
from functools import cache, wraps
from operator import attrgetter
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from arguments import BAD, THING, outcome
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import counterparts, registry
from autograd_cnn.engine.tensor import Tensor
from uses import every_use

NO_NUMBERS = ["a", None, THING]  # in place of an array
LEGAL = [
    ("axis", None), ("axis", ()), ("axis", []), ("num_classes", None), ("index", None), ("index", ()), ("index", []),
]  # fmt: skip
LAX = {  # arguments that are accepted although they say nothing, as NumPy accepts them elsewhere
    **{"sum": ["x"], "max": ["x"], "min": ["x"], "nanmean": ["axis"], "nanvar": ["axis"]},  # of None, and of a number
    **{"einsum": ["optimize"], "interp": ["left", "right"]},
    **{"concat": ["axis", "dtype"], "pad_constant": ["constant_values"], "permute_dims": ["x"], "set_at": ["x"]},
    **{"clip": ["x"], "relu_gradient": ["x"], "getitem": ["x"]},  # "a"[0] is "a"
    **{"scaled_dot_product_attention": ["rng"], "array": ["dtype"], "asarray": ["dtype"]},
}
FAMILIES = "autograd_cnn.ops.", "autograd_cnn.vocabulary."  # the packages of operations
OURS = sorted({id(f): n for n, f in registry.items() if f.__module__.startswith(FAMILIES)}.values())


def is_array(value):
    return isinstance(value, (Tensor, np.ndarray)) or (isinstance(value, (list, tuple)) and any(map(is_array, value)))


@cache
def calls():
    """{name: its calls in `uses` and examples, as pairs of arguments and options}."""
    found = {name: [] for name in OURS}

    def recorded(name, function):
        @wraps(function)
        def call(*args, **options):
            found[name].append((args, options))
            return function(*args, **options)

        call.run = lambda args, options, mode: call(*args, **options)  # as Tensor's operators call an operation
        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in OURS:
            owner = attrgetter(name.rpartition(".")[0])(ag) if "." in name else ag
            stand_in = recorded(name, registry[name])
            patch.setitem(registry, name, stand_in)
            patch.setattr(owner, name.rpartition(".")[2], stand_in)
        for use in every_use():
            use.f(*(Tensor(x) for x in use.inputs))
    for name in OURS:
        if isinstance(registry[name], Primitive):
            found[name] += examples_of(registry[name], np.random.default_rng(0))
    return found


def parameters_of(function):
    return getattr(function, "__signature__", None) or inspect.signature(function)


def replaced(name):
    """Yield (parameter, bad value, arguments) for the first calls of an operation."""
    signature, tried = parameters_of(registry[name]), set()
    for args, options in calls()[name]:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        for parameter, value in bound.arguments.items():
            kind = parameter, is_array(value)
            if kind in tried:
                continue
            tried.add(kind)
            for bad in NO_NUMBERS if is_array(value) else BAD:
                again = signature.bind(*args, **options)
                if signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
                    again.arguments[parameter] = (bad, *value[1:])
                else:
                    again.arguments[parameter] = bad
                yield parameter, bad, again


def numpys(theirs, bound):
    """The outcome of NumPy's function: for the arguments by position, else with the options by name."""
    plain = [[v.data if isinstance(v, Tensor) else v for v in a] if type(a) is list else a for a in bound.args]
    plain = [a.data if isinstance(a, Tensor) else a for a in plain]
    first = outcome(theirs, SimpleNamespace(args=plain, kwargs=bound.kwargs))
    if not isinstance(first, Exception):
        return first
    names = [*bound.arguments]
    arrays = [a for a, v in zip(plain, bound.args, strict=True) if is_array(v)]
    options = {n: a for n, a, v in zip(names, plain, bound.args, strict=False) if not is_array(v)}
    return outcome(theirs, SimpleNamespace(args=arrays, kwargs=options | bound.kwargs))


def complaint(name, parameter, bad, bound):
    """Return the fault in the outcome of a call, or ""."""
    function = registry[name]
    got = outcome(function, bound)
    if isinstance(got, Exception):
        kinds = (ValueError, TypeError, IndexError)
        if not isinstance(got, kinds) and name != "average":
            return f"{type(got).__name__}: {got}"
        return (
            ""
            if str(got).startswith((name, getattr(function, "name", function.__name__)))
            else f"unnamed {type(got).__name__}: {got}"
        )
    default = parameters_of(function).parameters[parameter].default
    nonsense = bad is None or isinstance(bad, (str, list, tuple)) or bad is THING
    if not nonsense or type(default) is type(bad) or isinstance(default, bool) or (parameter, bad) in LEGAL:
        return ""
    if parameter in LAX.get(name, ()):
        return ""
    theirs = next((f for f, n in counterparts.items() if n == name and callable(f)), None)
    if theirs is not None and not isinstance(numpys(theirs, bound), Exception):
        return ""  # NumPy takes it as well
    return f"accepted, gives {got!r:.60}"


@pytest.mark.parametrize("name", OURS)
def test_a_bad_argument_is_refused_or_means_something(name):
    complaints = [
        f"{name}({parameter}={bad!r:.25}): {found}"
        for parameter, bad, bound in replaced(name)
        if (found := complaint(name, parameter, bad, bound))
    ]
    assert not complaints, "\n".join(complaints)


# Gradients: an argument has its gradient, or is refused where it requires one.

# Those that read one triangle have the gradient of the mean of both; other zeros are trimmed after a step.
NOT_COMPARED = "linalg.cholesky linalg.eigh linalg.eigvalsh trim_zeros".split()


def is_float(value):
    return isinstance(value, (Tensor, np.ndarray)) and value.dtype.kind == "f"


def in_place_of(value, shapes):
    """Yield floats for an argument that has an array, a list with one, a number, or None."""
    rng = np.random.default_rng(0)
    if is_float(value):
        yield Tensor(value).data, lambda t: t
    elif isinstance(value, (list, tuple)) and any(map(is_float, value)):
        k = next(i for i, v in enumerate(value) if is_float(v))
        yield Tensor(value[k]).data, lambda t: [*value[:k], t, *value[k + 1 :]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield np.array(float(value)), lambda t: t
    elif value is None:
        for shape in {(), *shapes, *(s[-1:] for s in shapes), *(s[:-1] for s in shapes)}:
            yield rng.uniform(0.2, 0.9, shape), lambda t: t


def weighted_sum(results):
    """Add up all numbers of an operation's results, each times a weight."""
    results = results if isinstance(results, (tuple, list)) else [results]
    arrays = [r for r in results if isinstance(r, Tensor)] or [r for r in results if is_float(r)]
    return sum((ag.sum(np.real(a) * np.random.default_rng(0).normal(size=a.shape)) for a in arrays), Tensor(0.0))


def slopes_of(f, x):
    """Return the slope of ``f`` by the rules and by differences, or NaN where it is not smooth."""
    d, leaf = np.random.default_rng(1).normal(size=x.shape), Tensor(x, requires_grad=True)
    out = f(leaf)
    if out.requires_grad:
        out.backward()
    near, far = ((f(Tensor(x + h * d)).data - f(Tensor(x - h * d)).data) / (2 * h) for h in (1e-5, 2e-5))
    smooth = np.isfinite(out.data) and np.allclose(near, far, rtol=1e-4, atol=1e-6)
    return 0.0 if leaf.grad is None else np.sum(leaf.grad * d), near if smooth else np.nan


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of examples that are not finite
@pytest.mark.parametrize("name", [n for n in OURS if n not in NOT_COMPARED])
def test_an_argument_has_its_gradient_or_is_refused(name):
    function, tried, complaints = registry[name], set(), []
    signature = parameters_of(function)
    for args, options in calls()[name]:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        given = [p for p, v in bound.arguments.items() if v is not None]
        shapes = {np.shape(v) for v in bound.arguments.values() if isinstance(v, (Tensor, np.ndarray))}
        for parameter, value in bound.arguments.items():
            for start, put in in_place_of(value, shapes):
                if (key := (parameter, type(value), start.shape if value is None else len(given))) in tried:
                    continue
                tried.add(key)

                def call(t, parameter=parameter, put=put, args=args, options=options):
                    again = signature.bind(*args, **options)
                    for other, v in again.arguments.items():
                        if is_float(v) and t.requires_grad:
                            again.arguments[other] = Tensor(np.array(Tensor(v).data), requires_grad=True)
                    again.arguments[parameter] = put(t)
                    return weighted_sum(function(*again.args, **again.kwargs))

                try:
                    with np.errstate(all="ignore"):
                        rule, difference = slopes_of(call, start)
                except (ValueError, TypeError, IndexError, ZeroDivisionError, RuntimeError) as error:
                    if parameter not in str(error) and "no rule for" not in str(error):
                        complaints.append(f"{parameter}={value!r:.25}: {error}")
                    continue
                if np.isfinite(difference) and not np.allclose(rule, difference, rtol=1e-3, atol=1e-5):
                    complaints.append(f"{parameter}={value!r:.25}: gradient {rule}, differences {difference}")
    assert not complaints, "\n".join(complaints)


LABELS = np.zeros((2, 4, 5), int)


def test_options_may_be_lists():
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(2, 3, 3, 4))
    lists, tuples = ([2, 1], [[0, 1], [1, 0]], [1, 2]), ((2, 1), ((0, 1), (1, 0)), (1, 2))
    assert np.array_equal(ag.conv2d(x, w, None, *lists), ag.conv2d(x, w, None, *tuples))
    assert np.array_equal(ag.max_pool2d(x, [2, 3], [1, 2]), ag.max_pool2d(x, (2, 3), (1, 2)))


REFUSED = [
    (lambda x: ag.conv2d(x[0], np.ones((2, 2, 3, 4))), r"x is 3-dimensional, want \(N, H, W, C\)"),
    (lambda x: ag.conv2d(x, np.ones((2, 3, 4))), r"w is 3-dimensional, want \(KH, KW, C // groups, O\)"),
    (lambda x: ag.conv2d(x, np.ones((2, 2, 3, 4)), padding=-1), r"padding is -1, want 0 or more"),
    (lambda x: ag.conv2d(x, np.ones((2, 2, 3, 4)), padding="full"), r"padding is 'full', want an int, a pair"),
    (lambda x: ag.conv2d(x, np.ones((2, 2, 3, 4)), stride=0), r"stride is 0, want 1 or more"),
    (lambda x: ag.conv2d(x, np.ones((2, 2, 3, 4)), groups=0), r"groups is 0, want 1 or more"),
    (lambda x: ag.conv2d(x[..., 0], np.ones((2, 2, 1, 4))), r"without channels \(N, H, W\): x\[..., None\]"),
    (lambda x: ag.conv2d(np.full((1, 1, 1, 1), 200, np.uint8), np.full((1, 1, 1, 1), 9, np.uint8)), r"x is uint8"),
    (lambda x: ag.conv_transpose2d(np.ones((1, 1, 1, 1), int), np.ones((1, 1, 1, 1))), r"x is int64"),
    (lambda x: ag.conv_transpose2d(x, np.ones((2, 2, 2, 3)), stride=2, padding="same"), r"several sizes fit"),
    (lambda x: ag.conv_transpose2d(x, np.ones((2, 2, 2, 3)), output_padding=-1), r"output_padding is -1, want 0"),
    (lambda x: ag.conv_transpose2d(x, np.ones((2, 2, 2, 3)), np.ones(3)), r"b is \(3,\), want \(2,\)"),
    (lambda x: ag.conv2d(x, np.ones((2, 2, 3, 4)), stride=1.5), r"stride is 1.5, want an int, or a pair of ints"),
    (lambda x: [ag.conv2d(x, np.ones((2, 2, 3, 4)), stride=s) for s in ((1, 1), (1.0, 1.0))],
     r"stride is \(1.0, 1.0\)"),
    (lambda x: [ag.max_pool2d(x, kernel) for kernel in (2, 2.0)], r"kernel_size is 2.0"),
    (lambda x: ag.conv_transpose2d(x, np.ones((2, 2, 3, 4))), r"The last axis of both counts the input channels"),
    (lambda x: ag.conv_transpose2d(x, np.ones((1, 1, 2, 3)), padding=9), r"the result would be"),
    (lambda x: ag.max_pool2d(x, 2, padding=2), r"Some windows would see no pixel at all"),
    (lambda x: ag.max_pool2d(x, 9), r"height 4 \+ 0 \+ 0 padding < kernel 9"),
    (lambda x: ag.max_pool2d(x, 2, padding=1, dilation=5), r"Some windows would see no pixel at all"),
    (lambda x: ag.adaptive_avg_pool2d(x, 0), r"output_size is 0, want 1 or more"),
    (lambda x: ag.avg_pool2d(x, (2, 9)), r"width 5 \+ 0 \+ 0 padding < kernel 9"),
    (lambda x: ag.batch_norm(x, np.ones(3), np.ones(3), mean=np.ones(3)), r"takes both mean and variance"),
    (lambda x: ag.batch_norm(x, *np.ones((2, 3)), 0, np.ones(2), np.ones(3)),
     r"mean is \(2,\)(.|\n)*mean needs \(3,\)"),
    (lambda x: ag.layer_norm(x, 4), r"normalized_shape 4"),
    (lambda x: ag.layer_norm(x, (5, 3), np.ones(3)), r"w needs \(5, 3\)"),
    (lambda x: ag.rms_norm(x, 3, np.ones(1)), r"w needs \(3,\)"),
    (lambda x: ag.instance_norm(x, np.ones(3), np.ones((1, 3))), r"b needs \(3,\)"),
    (lambda x: ag.group_norm(x, 2), r"num_groups=2 does not divide 3 channels"),
    (lambda x: ag.group_norm(x, 0), r"num_groups is 0, want 1 or more"),
    (lambda x: ag.embedding(np.array([0, -1]), x), r"weight is \(2, 4, 5, 3\), want \(n, d\)"),
    (lambda x: ag.hardtanh(x, 1, -1), r"min_val is 1, greater than max_val, -1"),
    (lambda x: np.std(x, dtype=np.complex64), r"dtype is complex64, but a spread is a real number"),
    (lambda x: ag.embedding(np.array([0, -1]), x[0, 0, :2]), r"index -1 at \[1\], want 0..1"),
    (lambda x: ag.one_hot(np.array([3]), 3), r"index 3 at \[0\], want 0..2"),
    (lambda x: ag.conv1d(x[0, 0], np.ones((2, 3, 4))), r"x is 2-dimensional, want \(N, L, C\)"),
    (lambda x: ag.max_pool1d(x, 2), r"x is 4-dimensional, want \(N, L, C\)"),
    (lambda x: ag.interpolate(x), r"takes size or scale_factor"),
    (lambda x: ag.interpolate(x, 2, mode="cubic"), r"mode is 'cubic'"),
    (lambda x: ag.interpolate(x, scale_factor=0.1), r"the new size would be \(0, 0\)"),
    (lambda x: ag.pixel_shuffle(x, 2), r"3 channels are not a multiple of 2 \* 2"),
    (lambda x: ag.pixel_unshuffle(x, 2), r"4 x 5 pixels are not multiples of 2"),
    (lambda x: ag.linear(x, np.ones((3, 2)), np.ones(3)), r"b needs shape \(2,\)"),
    (lambda x: ag.mse(x, x, "average"), r"reduction is \'average\'"),
    (lambda x: ag.kl_div(x, x, "average"), r"reduction is \'average\'"),
    (lambda x: ag.l1_loss(x, np.ones((5, 3))), r"predictions \(2, 4, 5, 3\) and targets \(5, 3\) would broadcast"),
    (lambda x: ag.cross_entropy(x, LABELS, label_smoothing=2), r"label_smoothing is 2"),
    (lambda x: ag.cross_entropy(x, LABELS, label_smoothing=-0.1), r"label_smoothing is -0.1"),
    (lambda x: ag.cross_entropy(x, x, label_smoothing=np.nan), r"label_smoothing is nan"),
    (lambda x: ag.cross_entropy(x, LABELS, weight=np.ones(4)), r"One number per class: \(3,\)"),
    (lambda x: ag.cross_entropy(x, LABELS - 100), r"To leave rows out: ignore_index=-100"),
    (lambda x: ag.cross_entropy(x, LABELS + 3, ignore_index=0), r"label 3 at \[0, 0, 0\], but logits"),
    (lambda x: ag.cross_entropy(x, x, ignore_index=0), r"ignore_index is for class ids"),
    (lambda x: ag.bce_with_logits(x, x, weight=np.ones((9, 2, 4, 5, 3))), r"more dimensions"),
    (lambda x: ag.bce_with_logits(x, x, pos_weight=np.ones(2)), r"could not be broadcast .*requested shape"),
    (lambda x: ag.gelu(x, "erf"), r'It takes "none" or "tanh"'),
    (lambda x: x @ 2.0, r"matmul: \(2, 4, 5, 3\) @ \(\): a number is no matrix(.|\n)*by a number: x \* y"),
    (lambda x: np.matmul(2, x), r"matmul: \(\) @ \(2, 4, 5, 3\): a number is no matrix"),
    (lambda x: x.flatten("F"), r"flatten: x \(2, 4, 5, 3\) has no axis 'F'(.|\n)*Order: x.ravel\('F'\)"),
    (lambda x: ag.dropout(x, 1.5), r"p is 1.5, want a probability"),
    (lambda x: ag.dropout(x, 0.5, 3), r"dropout: rng is 3"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "message"), REFUSED)
def test_a_wrong_argument_is_named(program, message):
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        program(Tensor(np.ones((2, 4, 5, 3)), requires_grad=True))
