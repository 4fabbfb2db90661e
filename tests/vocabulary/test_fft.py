"""np.fft: NumPy's values, derivatives of linear functions, dtypes, and edges."""

from itertools import product

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor

REAL = "rfft rfft2 rfftn ihfft".split()  # take real numbers only
LENGTHS = None, 2, 5, 8
NORMS = None, "backward", "ortho", "forward"
ONE_AXIS = [
    (name, {"n": n, "axis": axis, "norm": norm})
    for name in "fft ifft rfft irfft hfft ihfft".split()
    for n, axis, norm in product(LENGTHS, (0, -1, 1), NORMS)
]
OPTIONS = [
    {}, {"norm": "ortho"}, {"axes": (0, 1)}, {"axes": (-1, 0)}, {"s": (5, 3), "axes": (0, 2)},
    {"s": (2, 8), "axes": (1, 2), "norm": "forward"}, {"s": (4, 6), "axes": (-2, -1)}, {"axes": (1, 1)},
    {"s": (3, 7), "axes": (2, 2)}, {"s": (3, -1), "axes": (0, 1)}, {"axes": [2]},
]  # fmt: skip
SEVERAL = [(name, options) for name in "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn".split() for options in OPTIONS]
SHIFTS = [(name, {"axes": axes}) for name in ("fftshift", "ifftshift") for axes in (None, 0, (0, -1), (2, 1))]
CASES = ONE_AXIS + SEVERAL + SHIFTS


def some(shape, kind, precision=np.float64, seed=0):
    """Random numbers, complex ones if `kind` is "c"."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind == "c" else 0)
    return x.astype(np.result_type(precision, 1j) if kind == "c" else precision)


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("name", dict(CASES))
def test_a_transform_has_its_values_at_unit_vectors_for_derivatives(name, precision):
    """It is linear, and so is its rule: derivatives of higher order are its own."""
    x = some((2, 3, 3), "f" if name in REAL else "c", precision)
    units = np.eye(x.size).reshape(-1, *x.shape)
    for options in [options for other, options in CASES if other == name]:

        def f(x, options=options):
            return getattr(np.fft, name)(x, **options)

        leaf = Tensor(x, requires_grad=True)
        out = f(leaf)
        np.testing.assert_array_equal(out.data, f(x))
        g = some(out.shape, out.dtype.kind, precision, 1)
        (out * g).real.sum().backward()
        want = np.array([(f(unit) * g).real.sum() for unit in units])
        if x.dtype.kind == "c":
            want = want + 1j * np.array([(f(1j * unit) * g).real.sum() for unit in units])
        assert (out.dtype, leaf.grad.dtype) == (f(x).dtype, x.dtype)
        near = 1e-9 if precision == np.float64 else 1e-4
        np.testing.assert_allclose(leaf.grad, want.reshape(x.shape), rtol=near, atol=near)


def test_real_numbers_receive_real_gradients():
    for function in (np.fft.fft, np.fft.ifft2, np.fft.irfft, np.fft.hfft):
        x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        abs(function(x)).sum().backward()
        assert x.grad.dtype == np.float64


@pytest.mark.parametrize("name", REAL)
def test_functions_of_real_numbers_refuse_complex_ones(name):
    z = Tensor(np.ones((2, 3)), requires_grad=True) * 1j
    for x in z, z.data:
        with pytest.raises(TypeError, match=rf"(?s)fft\.{name}: .*a is complex, want real numbers.*a\.real"):
            getattr(ag.fft, name)(x)
