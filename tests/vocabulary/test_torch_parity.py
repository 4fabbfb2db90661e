"""Values and gradients beside PyTorch's at ties, zeros, infinities and NaN."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor

nan, inf = np.nan, np.inf
EDGES = [-inf, -2, -1, -0.5, -0.0, 0.0, 0.5, 1, 3, inf, nan]
ALIKE = {
    1: "abs exp expm1 log log1p sqrt reciprocal exp2 log2 log10 tan sinh cosh arcsin arccos arctan arcsinh arccosh "
    "arctanh sinc deg2rad rad2deg nan_to_num positive sigmoid",
    2: "arctan2 hypot logaddexp logaddexp2 fmax fmin copysign remainder fmod power float_power",
    3: "clip",
}
DIFFERENT = {  # where our conventions are not PyTorch's
    "hypot": lambda x, y: ((x == 0) & (y == 0)) | np.isinf(x) | np.isinf(y),  # we have the limit
    "arctan2": lambda x, y: np.isinf(x) | np.isinf(y),
    "logaddexp": lambda x, y: (x == inf) & (y == inf),  # we share
    "logaddexp2": lambda x, y: (x == inf) & (y == inf),
    "fmax": lambda x, y: (x == y) | (np.isnan(x) & np.isnan(y)),  # we share
    "fmin": lambda x, y: (x == y) | (np.isnan(x) & np.isnan(y)),
    "clip": lambda x, low, high: ((x < low) & (low == high)) | np.isnan(x) | np.isnan(low),
    "copysign": lambda x, y: ~np.isfinite(x),
    "fmod": lambda x, y: np.isnan(np.fmod(x, y)),
    "arccosh": lambda x: x < 1,
}


@pytest.mark.parametrize(("inputs", "name"), [(n, name) for n, names in ALIKE.items() for name in names.split()])
def test_ties_zeros_infinities_and_nan(torch, inputs, name):
    arrays = [a.ravel() for a in np.meshgrid(*[EDGES] * inputs)]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    mine = [Tensor(a, requires_grad=True) for a in arrays]
    expected = getattr(torch, {"power": "pow"}.get(name, name))(*theirs)
    expected.sum().backward()
    with np.errstate(all="ignore"):
        value = getattr(ag, name)(*mine)
        value.backward(np.ones(value.shape))
        alike = ~DIFFERENT[name](*arrays) if name in DIFFERENT else np.full(value.shape, True)
    np.testing.assert_allclose(value.data, expected.detach().numpy(), rtol=1e-12, atol=1e-15)
    for t, m in zip(theirs, mine, strict=True):
        np.testing.assert_allclose(m.grad[alike], t.grad.numpy()[alike], rtol=1e-12)
