"""The face of the package: the names that ``import autograd_cnn as ag`` offers."""

import inspect
import re
import sys
from functools import partial
from importlib.util import find_spec, module_from_spec
from operator import attrgetter

import pytest

import autograd_cnn as ag
from autograd_cnn.engine.errors import bound
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.rules import untyped
from processes import finished

PUBLIC = """
    Tensor add subtract multiply divide negative power exp log log1p expm1 sqrt square abs sin cos tanh maximum minimum
    where clip sum mean max min var std logsumexp reshape transpose flatten squeeze expand_dims broadcast_to
    concatenate stack flip take matmul linear einsum relu leaky_relu gelu silu sigmoid softplus softmax log_softmax
    conv2d conv_transpose2d max_pool2d avg_pool2d batch_norm dropout conv1d conv_transpose1d
    max_pool1d avg_pool1d adaptive_avg_pool2d interpolate pixel_shuffle pixel_unshuffle
    unfold layer_norm rms_norm group_norm instance_norm embedding one_hot
    bce bce_with_logits cross_entropy mse
    grad value_and_grad vjp jvp hvp jacobian hessian checkpoint check_gradients no_grad enable_grad scope primitive
    nn optim plots
"""


def test_public_names_exist():
    assert [name for name in PUBLIC.split() if not getattr(ag, name).__doc__] == []


FROZEN = """
    conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1)
    max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False)
    linear(x, w, b=None)
    bce(p, y, reduction='mean', weight=None)
    concatenate(tensors, axis=0, dtype=None)
"""


@pytest.mark.parametrize("line", FROZEN.split("\n")[1:-1])
def test_a_frozen_signature(line):
    name, _, parameters = line.strip().partition("(")
    signature = inspect.signature(getattr(ag, name))
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == "(" + parameters


FAMILIES = "autograd_cnn.ops.", "autograd_cnn.vocabulary."  # the packages of operations
OPERATIONS = [name for name, f in registry.items() if getattr(f, "__module__", "").startswith(FAMILIES)]


def test_every_operation_is_on_the_face():
    """Also those that only derivatives use: the programs that a graph prints call them as ``ag.name``."""
    for name in OPERATIONS:
        home = registry[name].__module__
        assert attrgetter(name)(ag) is registry[name], f"add {name} to __all__ in {home}, and {home} to __init__.py"
        assert name.partition(".")[0] in ag.__all__


def test_the_only_operation_that_is_not_on_the_face_belongs_to_the_transforms():
    """`alias` gives a transform's variable a node of its own; nobody calls it."""
    own = {name for name, f in registry.items() if getattr(f, "__module__", "").startswith("autograd_cnn.")}
    assert own - set(OPERATIONS) == {"alias"}


NAMES = {"studio": "Graph profile report studio trace", "vocabulary": "linalg fft", "fast": "set_num_threads"}


@pytest.mark.parametrize("folder", [
    *("studio", "vocabulary"),
    *(pytest.param(f, marks=pytest.mark.slow) for f in ("interop", "training", "data", "distributed", "fast")),
])  # fmt: skip
def test_names_of_a_folder_that_was_removed_and_unknown_ones_are_absent(python, folder):
    program = f"""
import sys
sys.modules["autograd_cnn.{folder}"] = None  # as if nobody had the folder
import autograd_cnn as ag
for name in "no_such_name {NAMES.get(folder, folder)}".split():
    assert name not in [*ag.__all__, *dir(ag)]
    try:
        getattr(ag, name)
    except AttributeError as error:
        print(error)
assert all(getattr(ag, name) is not None for name in dir(ag))
try:
    ag.Tensor([1.0], requires_grad=True).graph()
except ImportError as error:
    print(error.name)
"""
    first, *others = python(program).splitlines()
    assert first == "autograd_cnn has no 'no_such_name'"
    assert len(others) == len(NAMES.get(folder, folder).split()) + (folder == "studio")
    assert others[-1] == "autograd_cnn.studio.trace" or folder != "studio"


def test_an_unknown_name_is_unknown_while_a_room_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "autograd_cnn.nn", module_from_spec(find_spec("autograd_cnn.nn")))  # not run yet
    with pytest.raises(AttributeError, match="^autograd_cnn has no 'no_such_name'"):
        _ = ag.no_such_name


# Keywords

ROOMS = ag, *filter(inspect.ismodule, map(partial(getattr, ag), ag.__all__))


@pytest.mark.parametrize("room", ROOMS)
def test_completion_offers_the_public_names_which_have_docstrings(room):
    assert dir(room) == sorted(room.__all__)
    assert [name for name in room.__all__ if not getattr(room, name).__doc__] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_docstring_does_not_send_to_another_for_its_parameters(room):
    sends = re.compile(r"([Pp]arameters|[Oo]ptions|Attributes|rrors|else) (is |are )?(as|those) (for|of) |\n +As for ")
    assert [name for name in room.__all__ if sends.search(getattr(room, name).__doc__ or "")] == []


def keywords(function):
    """The parameters of a function that can be passed by keyword, or none if it passes keywords on."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return []
    return [p.name for p in parameters if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def callables():
    """Every public function and class that takes arguments by keyword: {its title: it}."""
    found = {}
    for room in ROOMS:
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isclass(value) and not issubclass(value, BaseException):
                found[value.__name__] = value
            elif callable(value) and not inspect.isclass(value):
                family = value.__module__.rpartition(".")[2]
                own = f"{family}." * (family in ("fft", "linalg", "special")) + value.__name__
                found[getattr(value, "name", own)] = value
    return {title: it for title, it in found.items() if keywords(it)}


CALLABLES = callables()


@pytest.mark.parametrize("title", CALLABLES)
def test_a_keyword_that_a_public_callable_does_not_have(title):
    f = CALLABLES[title]
    known = keywords(f)
    with pytest.raises(TypeError) as caught:
        f(zzz=1)
    assert str(caught.value) == f"{title}: has no parameter 'zzz'. It has {', '.join(known)}"
    for name in known:
        with pytest.raises(TypeError) as caught:
            f(**{name + name[-1]: 1})
        hint = f"Did you mean {name!r}?" if len(name) > 1 else f"It has {', '.join(known)}"
        assert str(caught.value) == f"{title}: has no parameter {name + name[-1]!r}. {hint}"
    try:
        bound(title, untyped(f), (1,) * 40, {})
    except TypeError as error:  # else it takes so many
        assert " at 0x" not in str(error) and (
            "as one argument" not in str(error) or {"shape", "axes", "axis"} & {*known}
        )


@pytest.mark.parametrize("name", ["nn.Conv2D", "optim.RMSProp", "reluu", "Tensor(1.0).reshap"])
def test_a_misspelt_name_has_one_guess(name):
    """Python would add a guess of its own to the last line of a traceback."""
    program = f"import autograd_cnn as ag; ag.{name}"
    assert finished("-c", program).stderr.rstrip().split("\n")[-1].count("Did you mean") == 1
