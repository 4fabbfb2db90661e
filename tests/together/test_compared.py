"""Other libraries lack what the table "Compared" of the README says, in the versions that it names.

Their own documentation shows what they have, and the other tests show what this package has.
"""

import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
INPUT = np.array([0.5, 0.2, 0.3])


def library(title, package, module=None):
    """Import a library, if it is there in the version that the README names."""
    found = pytest.importorskip(module or package, reason=f"{package} is not installed")
    (named,) = re.findall(rf"{title} ([\d.]+\d)", README.partition("## Measured")[0])
    if not version(package).startswith(named):
        pytest.skip(f"the README describes {package} {named}")
    return found


@pytest.fixture
def torch():
    return library("PyTorch", "torch")


@pytest.fixture
def hips():
    library("HIPS autograd", "autograd")
    return pytest.importorskip("autograd")


@pytest.fixture
def mygrad():
    return library("MyGrad", "mygrad")


class TestAnInputThatIsOverwrittenBeforeBackward:
    """`w * a`, of which `a` is overwritten: the right gradient of w is the old `a`."""

    def test_pytorch_does_not_find_numpys(self, torch):
        w, a = torch.ones(3, requires_grad=True), torch.tensor(INPUT, dtype=torch.float32)
        loss = (w * a).sum()
        a.numpy()[:] = 100
        loss.backward()
        assert w.grad.tolist() == [100.0] * 3

    def test_mygrad_refuses(self, mygrad):
        w, a = mygrad.tensor(np.ones(3)), INPUT.copy()
        _loss = (w * a).sum()
        with pytest.raises(ValueError, match="read-only"):
            a[:] = 100

    def test_hips_autograd_does_not_notice(self, hips):
        from autograd.core import make_vjp

        a = INPUT.copy()
        vjp, _ = make_vjp(lambda w: w * a, np.ones(3))
        a[:] = 100
        assert vjp(np.ones(3)).tolist() == [100.0] * 3


class TestPlainNumPy:
    def test_hips_autograd_records_eleven_of_thirteen(self, hips):
        x = np.array([[1.0, 2.0], [3.0, 5.0]])
        everyday = {
            "sum": np.sum, "mean": np.mean, "max": np.max, "norm": np.linalg.norm,
            "exp": lambda x: np.sum(np.exp(x)), "dot": lambda x: np.sum(np.dot(x, x)),
            "where": lambda x: np.sum(np.where(np.eye(2) > 0, x, 0)), "einsum": lambda x: np.einsum("ij->", x),
            "concatenate": lambda x: np.sum(np.concatenate([x, x])), "stack": lambda x: np.sum(np.stack([x, x])),
            "reshape": lambda x: np.sum(np.reshape(x, 4)),
            "fft": lambda x: np.sum(np.abs(np.fft.fft(x))), "inv": lambda x: np.sum(np.linalg.inv(x)),
        }  # fmt: skip
        refused = []
        for name, f in everyday.items():
            want = ag.grad(f)(x)
            try:
                assert np.allclose(hips.grad(f)(x), want), name
            except TypeError:
                refused.append(name)
        assert refused == ["fft", "inv"]

    def test_mygrad_records_a_part(self, mygrad):
        x = mygrad.tensor(INPUT)
        assert isinstance(np.tanh(x), mygrad.Tensor) and isinstance(np.cumsum(x), mygrad.Tensor)
        for f in (np.sort, np.median, np.fft.fft, lambda x: np.quantile(x, 0.5), lambda x: np.pad(x, 1)):
            with pytest.raises(TypeError, match="no implementation found"):
                f(x)

    def test_pytorch_does_not(self, torch):
        with pytest.raises(RuntimeError, match="Can't call numpy"):
            np.tanh(torch.ones(3, requires_grad=True))


class TestOrdersAndDtypes:
    def test_hips_autograd_has_second_derivatives_and_float32_becomes_float64_in_some_operations(self, hips):
        import autograd.numpy as anp

        assert hips.grad(hips.grad(lambda x: x**3))(2.0) == 12.0
        single, zero = INPUT.astype(np.float32), np.zeros(3, np.float32)
        changed = {
            "mean": lambda x: anp.mean(x),
            "maximum": lambda x: anp.sum(anp.maximum(x, zero)),
            "where": lambda x: anp.sum(anp.where(x > 0, x, zero)),
        }
        assert {name: hips.grad(f)(single).dtype for name, f in changed.items()} == dict.fromkeys(changed, np.float64)
        assert hips.grad(lambda x: anp.sum(2.0 * anp.tanh(x)))(single).dtype == np.float32

    def test_mygrad_has_first_derivatives_and_float32_becomes_float64_beside_numbers(self, mygrad):
        x = mygrad.tensor(INPUT.astype(np.float32))
        assert (2.0 * x).dtype == np.float64 and mygrad.tanh(x).dtype == np.float32
        (x * x).sum().backward()
        assert type(x.grad) is np.ndarray  # no Tensor, so nothing to differentiate again


class TestAGradientForEachExample:
    def test_the_others_have_no_vmap(self, hips, mygrad):
        assert not hasattr(hips, "vmap") and not hasattr(mygrad, "vmap")


class TestConvolutions:
    def test_those_of_mygrad_are_a_product_of_blas_and_those_of_hips_autograd_are_not(self, mygrad, hips, monkeypatch):
        from autograd.scipy.signal import convolve
        from mygrad.nnet.layers import conv_nd

        calls = []
        for name in ("tensordot", "einsum"):
            f = getattr(np, name)
            monkeypatch.setattr(
                np, name, lambda *args, f=f, name=name, **options: calls.append(name) or f(*args, **options)
            )
        conv_nd(mygrad.tensor(np.ones((1, 1, 4, 4))), np.ones((1, 1, 3, 3)), stride=1)
        convolve(np.ones((1, 4, 4)), np.ones((1, 3, 3)), axes=([1, 2], [1, 2]), dot_axes=([0], [0]), mode="valid")
        assert calls == ["tensordot", "einsum"]


class TestAnArrayThatIsFilled:
    def fill(self, library, zeros, x):
        out = zeros(x)
        for i in range(3):
            out[i] = library.sin(x[i])
        return out.sum()

    def test_it_is_recorded_here_and_by_mygrad(self, mygrad):
        x = mygrad.tensor(INPUT)
        self.fill(mygrad, mygrad.zeros_like, x).backward()
        np.testing.assert_allclose(ag.grad(lambda x: self.fill(np, np.zeros_like, x))(INPUT), x.grad)

    def test_hips_autograd_refuses_it(self, hips):
        with pytest.raises(ValueError, match="setting an array element"):
            hips.grad(lambda x: self.fill(hips.numpy, hips.numpy.zeros_like, x))(INPUT)
