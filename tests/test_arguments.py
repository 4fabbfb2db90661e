"""Arguments out of range, for every public callable: a clear error, NumPy's own result, or an ordinary one.

The calls of operations are those of `uses` and the examples of primitives; those of the other rooms are listed. In
each, one argument after the other is replaced by each of `BAD`.
"""

import inspect
import math
import re
import warnings
from functools import cache, wraps
from operator import attrgetter
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import counterparts, registry
from autograd_cnn.engine.tensor import Tensor
from uses import every_use

HUGE = 2**62
THING = object()
BAD = [0, -1, 1.5, math.nan, math.inf, HUGE, -HUGE, 10**30, "a", None, [], (), (1, 2, 3, 4, 5), True, THING]
NO_NUMBERS = ["a", None, THING]  # in place of an array
LEGAL = [
    ("axis", None),
    ("axis", ()),
    ("axis", []),
    ("num_classes", None),
    ("index", None),
    ("index", ()),
    ("index", []),
]
LAX = {  # arguments that are accepted although they say nothing, as NumPy accepts them elsewhere
    **{"sum": ["x"], "max": ["x"], "min": ["x"], "nanmean": ["axis"], "nanvar": ["axis"]},  # of None, and of a number
    **{"einsum": ["optimize"], "poisson_nll_loss": ["eps"], "nll_loss": ["ignore_index"], "interp": ["left", "right"]},
    **{"concat": ["axis", "dtype"], "pad_constant": ["constant_values"], "permute_dims": ["x"], "set_at": ["x"]},
    **{"clip": ["x"], "relu_gradient": ["x"]},
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


def outcome(function, bound):
    """The result, or the error, of a call on copies of its arrays."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*bound.args, **bound.kwargs)
    except Exception as error:
        return error


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
        return "" if str(got).startswith((name, function.__name__)) else f"unnamed {type(got).__name__}: {got}"
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


# The other rooms


def made(layer, *shape):
    """A layer, and its result for an input of this shape."""

    def call(*args, **options):
        return layer(*args, **options)(np.ones(shape, np.float32))

    call.__signature__ = inspect.signature(layer)
    call.title = layer.__name__
    return call


IMAGE, ROW = (2, 6, 6, 4), (2, 4)
W = Tensor(np.ones(3), requires_grad=True)
X, Y = np.ones((6, 4), np.float32), np.arange(6) % 3
nn, optim, data, training = ag.nn, ag.optim, ag.data, ag.training
OTHERS = [
    (made(nn.Linear, *ROW), 4, 3),
    (made(nn.Conv2d, *IMAGE), 4, 2, 3),
    (made(nn.Conv1d, 2, 6, 4), 4, 2, 3),
    (made(nn.ConvTranspose2d, *IMAGE), 4, 2, 3),
    (made(nn.ConvTranspose1d, 2, 6, 4), 4, 2, 3),
    (made(nn.BatchNorm2d, *IMAGE), 4),
    (made(nn.BatchNorm1d, *ROW), 4),
    (made(nn.InstanceNorm2d, *IMAGE), 4),
    (made(nn.LayerNorm, *ROW), 4),
    (made(nn.RMSNorm, *ROW), 4),
    (made(nn.GroupNorm, *IMAGE), 2, 4),
    (made(nn.PReLU, *ROW), 4),
    (made(nn.Dropout, *ROW), 0.5),
    (made(nn.Dropout2d, *IMAGE), 0.5),
    (made(nn.MaxPool2d, *IMAGE), 2),
    (made(nn.AvgPool2d, *IMAGE), 2),
    (made(nn.MaxPool1d, 2, 6, 4), 2),
    (made(nn.LPPool2d, *IMAGE), 2, 2),
    (made(nn.AdaptiveAvgPool2d, *IMAGE), 2),
    (made(nn.Flatten, *IMAGE), 1),
    (made(nn.PixelShuffle, *IMAGE), 2),
    (made(nn.PixelUnshuffle, *IMAGE), 2),
    (made(nn.Upsample, *IMAGE), 3),
    (made(nn.Unfold, *IMAGE), 2),
    (made(nn.LocalResponseNorm, *IMAGE), 3),
    (made(nn.Softmax, *ROW), 1),
    (made(nn.GLU, *ROW), 1),
    (made(nn.LeakyReLU, *ROW), 0.1),
    (made(nn.ELU, *ROW), 1.0),
    (made(nn.Hardtanh, *ROW), -1.0, 1.0),
    (made(nn.Threshold, *ROW), 0.1, 0.0),
    (made(nn.GELU, *ROW), "tanh"),
    (nn.Embedding, 5, 3),
    (nn.seed, 0),
    (optim.SGD, [W], 0.1),
    (optim.Adam, [W], 0.1),
    (optim.AdamW, [W], 0.1),
    (optim.RMSprop, [W], 0.1),
    (optim.constant, 0.1),
    (optim.step_decay, 0.1, 10),
    (optim.cosine, 0.1, 10),
    (optim.one_cycle, 0.1, 10),
    (optim.clip_grad_norm, [W], 1.0),
    (data.batches, X, Y, 2),
    (data.split, X, Y, 0.5, np.random.default_rng(0)),
    (data.one_hot, Y),
    (data.as_float32, np.ones((2, 4, 4, 3), np.uint8)),
    (data.channel_statistics, np.ones((2, 4, 4, 3), np.uint8)),
    (data.load_shapes, 2, 2),
    (training.early_stop, 3),
    (training.predict, nn.Linear(4, 3), X),
    (training.evaluate, nn.Linear(4, 3), ag.cross_entropy, X, Y),
    (Tensor, [1.0]),
    (ag.grad, np.sum),
    (ag.value_and_grad, np.sum),
    (ag.jacobian, np.sum),
    (ag.jvp, np.sum, (X,), (X,)),
    (ag.hvp, np.sum, (X,), (X,)),
    (ag.vjp, np.sum, X),
    (ag.check_gradients, np.sum, X.astype(float)),
    (ag.scope, "name"),
    (ag.set_num_threads, 1),
]


def title_of(function):
    return getattr(function, "title", function.__name__)


@pytest.mark.parametrize("other", OTHERS, ids=[title_of(f) for f, *_ in OTHERS])
def test_a_bad_argument_of_another_room_is_refused_by_a_clear_error(other):
    function, *args = other
    signature, complaints = inspect.signature(function), []
    usual = signature.bind(*args)
    usual.apply_defaults()
    for parameter, value in usual.arguments.items():
        for bad in BAD:
            bound = signature.bind(*args)
            varied = signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL
            bound.arguments[parameter] = (bad, *value[1:]) if varied else bad
            got = outcome(function, bound)
            if isinstance(got, AssertionError) and function is ag.check_gradients:
                continue  # a difference
            if isinstance(got, Exception) and not isinstance(got, (ValueError, TypeError, IndexError)):
                complaints.append(f"{title_of(function)}({parameter}={bad!r:.25}): {type(got).__name__}: {got}")
            elif isinstance(got, Exception) and not clear(str(got), title_of(function), parameter):
                complaints.append(f"{title_of(function)}({parameter}={bad!r:.25}): unnamed: {got}")
    assert not complaints, "\n".join(complaints)


def clear(text, title, parameter):
    """Whether a message begins with the function, or its primitive, or names the argument."""
    return text.lower().startswith(title.lower()) or parameter in text or re.match(r"\S+: ", text) is not None
