"""Each of NumPy's functions is recorded, plain or refused on Tensors, as docs/vocabulary.md says."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.registry import numpys
from together.numpy_names import PAGE, UNORDERED, fate, numpy_functions, page, refusal
from uses import every_use

FUNCTIONS = numpy_functions()
PARTLY = "linalg.cholesky", "pad"  # complex numbers: Hermitian matrices, and not by a maximum, a minimum or a median


def of_kind(kind):
    return [name for name, f in FUNCTIONS.items() if fate(f) == kind]


@pytest.mark.parametrize("name", of_kind("refused"))
def test_a_refusal_names_the_function_and_the_cure(name):
    """Also for NumPy's newer functions: whatever the arguments, nothing leaves the graph unnoticed."""
    assert refusal(name, FUNCTIONS[name]).startswith(f"np.{name}")


@pytest.mark.parametrize("name", UNORDERED)
def test_complex_numbers_have_no_order(name):
    z = np.array([1 + 2j, 3j])
    others = {"clip": (0, 1)}.get(name, (z,) if name in ("fmax", "fmin", "maximum", "minimum") else ())
    assert FUNCTIONS[name](z, *others).dtype == complex
    with pytest.raises(TypeError, match="is for real numbers|complex numbers have no order"):
        FUNCTIONS[name](ag.Tensor(z, requires_grad=True), *others)


@pytest.mark.slow
def test_other_functions_take_complex_numbers_as_numpys_do():
    for use in every_use():
        if numpys(use.name) is None or use.name in PARTLY:
            continue
        inputs = [np.asarray(x) * np.exp(1j * np.arange(np.size(x))).reshape(np.shape(x)) for x in use.inputs]
        try:
            use.f(*(ag.Tensor(x, requires_grad=True) for x in inputs))
        except TypeError as error:
            if use.want or use.name in UNORDERED or re.match("less|greater", str(error)):  # the use itself compares
                continue
            with pytest.raises((TypeError, np.exceptions.ComplexWarning)):
                use.f(*inputs)


def test_the_page_is_up_to_date(torch):
    """`python tests/together/numpy_names.py` writes it, for the versions of NumPy and PyTorch that it names."""
    if f"NumPy {np.__version__.rpartition('.')[0]} has" not in PAGE.read_text(encoding="utf-8"):
        pytest.skip("the page describes another version of NumPy")
    assert PAGE.read_text(encoding="utf-8") == page(), "names have changed: python tests/together/numpy_names.py"


def test_names_on_the_face_are_numpys():
    """A recorded function has NumPy's name in ag, too, with few exceptions."""
    other = {"trace": "matrix_trace", "amax": "max", "amin": "min"}  # ag.trace records a computation
    for name in of_kind("recorded"):
        own = other.get(name, name)
        holder, _, bare = own.rpartition(".")
        assert hasattr(getattr(ag, holder) if holder else ag, bare), name


def test_the_readme_has_the_counts():
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    recorded, total = re.search(r"\[(\d+) of NumPy's (\d+)\]\(docs/vocabulary.md\)", readme).groups()
    assert f"has {total} functions" in PAGE.read_text(encoding="utf-8")
    assert f"- {recorded} are recorded" in PAGE.read_text(encoding="utf-8")
