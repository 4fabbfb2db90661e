"""np.fft beside PyTorch's and HIPS autograd's: values, gradients and second derivatives; its dtypes and its edges."""

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
    {"s": (2, 8), "axes": (1, 2), "norm": "forward"}, {"s": (4, 6), "axes": (-2, -1)},
]  # fmt: skip
NOT_PYTORCHS = [{"axes": (1, 1)}, {"s": (3, 7), "axes": (2, 2)}, {"s": (3, -1), "axes": (0, 1)}, {"axes": [2]}]
SEVERAL = [(name, options) for name in "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn".split() for options in OPTIONS]
SHIFTS = [(name, {"axes": axes}) for name in ("fftshift", "ifftshift") for axes in (None, 0, (0, -1), (2, 1))]
CASES = ONE_AXIS + SEVERAL + SHIFTS


def some(shape, kind, precision, seed):
    """Random numbers, complex ones if `kind` is "c"."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind == "c" else 0)
    return x.astype(np.result_type(precision, 1j) if kind == "c" else precision)


def inputs(name, precision=np.float64):
    return some((3, 4, 5), "f" if name in REAL else "c", precision, 0)


def numbers(t):
    return t.data if isinstance(t, Tensor) else t.detach().resolve_conj().numpy()


def slopes(f, x, constant, gradient):
    """The value of ``f(x)``, the gradient of a sum of its squares, and the gradient of such a sum of that."""

    def weighed(y):
        array = numbers(y)
        return (y * y * constant(some(array.shape, array.dtype.kind, array.real.dtype, 1))).real.sum()

    out = f(x)
    first = gradient(weighed(out), x)
    return out, first, gradient(weighed(first), x)


def ours(f, x):
    leaf = Tensor(x, requires_grad=True)
    return [numbers(t) for t in slopes(f, leaf, np.asarray, lambda y, x: y.gradient(x, create_graph=True))]


def theirs(torch, f, x):
    def gradient(y, x):
        return torch.autograd.grad(y, x, create_graph=True)[0]

    leaf = torch.tensor(x, requires_grad=True)
    return [numbers(t) for t in slopes(f, leaf, torch.tensor, gradient)]


def compare(torch, name, options, precision=np.float64, rtol=1e-9):
    x, renamed = inputs(name, precision), {"axis": "dim", "axes": "dim"}
    function = getattr(torch.fft, name)
    got = ours(lambda t: getattr(np.fft, name)(t, **options), x)
    want = theirs(torch, lambda t: function(t, **{renamed.get(k, k): v for k, v in options.items()}), x)
    for g, w in zip(got, want, strict=True):
        assert g.dtype == w.dtype
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * np.abs(w).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", dict(CASES))
def test_equals_pytorch_in_both_orders(torch, name):
    for options in [options for other, options in CASES if other == name]:
        compare(torch, name, options)


@pytest.mark.parametrize(("name", "options"), CASES[::13])
def test_single_precision_stays(torch, name, options):
    compare(torch, name, options, np.float32, 1e-4)


@pytest.mark.parametrize("options", NOT_PYTORCHS)
@pytest.mark.parametrize("name", dict(SEVERAL))
def test_axes_that_pytorch_refuses(name, options):
    """A transform is linear: its values at the unit vectors are all its derivatives."""

    def f(x):
        return getattr(np.fft, name)(x, **options)

    x = inputs(name)
    leaf = Tensor(x, requires_grad=True)
    out = f(leaf)
    np.testing.assert_array_equal(out.data, f(x))
    g = some(out.shape, out.dtype.kind, np.float64, 1)
    (out * g).real.sum().backward()
    units = np.eye(x.size).reshape(-1, *x.shape)
    want = np.array([(f(unit) * g).real.sum() for unit in units])
    if x.dtype.kind == "c":
        want = want + 1j * np.array([(f(1j * unit) * g).real.sum() for unit in units])
    np.testing.assert_allclose(leaf.grad, want.reshape(x.shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfftn irfftn fftshift ifftshift".split())
def test_equals_hips_autograd(name):
    """Its gradients of complex numbers are the conjugates of ours."""
    hips = pytest.importorskip("autograd", reason="HIPS autograd is not installed")
    anp = pytest.importorskip("autograd.numpy")
    x = some((2, 4, 6), "f" if name in REAL else "c", np.float64, 0)
    g = some(getattr(np.fft, name)(x).shape, "c", np.float64, 1)
    want = hips.grad(lambda x: anp.sum(anp.real(getattr(anp.fft, name)(x) ** 2 * g)))(x)
    leaf = Tensor(x, requires_grad=True)
    (getattr(np.fft, name)(leaf) ** 2 * g).real.sum().backward()
    np.testing.assert_allclose(leaf.grad, np.conj(want), rtol=1e-9, atol=1e-9)


def test_real_numbers_receive_real_gradients():
    for function in (np.fft.fft, np.fft.ifft2, np.fft.irfft, np.fft.hfft):
        x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        abs(function(x)).sum().backward()
        assert x.grad.dtype == np.float64


def test_errors():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(ValueError, match=r"fft\.fftn: s has 2 lengths for 1 axes"):
        np.fft.fftn(x, (2, 3), (0,))
    with pytest.raises(ValueError, match=r"fft\.fft: .*\(0\)"):
        np.fft.fft(x, 0)
    for name, z in product(REAL, (x * 1j, 1j * x.data)):
        with pytest.raises(TypeError, match=rf"(?s)fft\.{name}: .*a is complex, want real numbers.*a\.real"):
            getattr(ag.fft, name)(z)
    for f in (ag.fft.fft, ag.fft.irfft, lambda x, axis: ag.fft.fftn(x, axes=(axis,))):
        with pytest.raises(ValueError, match="axis 5 is out of bounds for array of dimension 2"):
            f(x, axis=5)
    with pytest.raises((TypeError, ValueError), match=r"fft\.hfft"):
        np.fft.hfft(x, norm="unit")
    with pytest.raises(TypeError, match="out"):
        np.fft.fft(x, out=np.zeros((2, 3), complex))
