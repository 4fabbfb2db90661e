from functools import partial

import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x = rng.normal(size=(3, 4))
zeros = np.array([[2.0, 0.0, -3.0, 0.5, 2.0], [0.0, 4.0, 0.0, 1.0, 0.3]])
nan = rng.random((3, 4)) < 0.3
points = np.array([0.0, 0.5, 2.0, 3.0])


def of_holes(f):
    return lambda x: f(ag.where(nan, np.nan, x))


SCANS = lambda f, x: f(x), lambda f, x: f(x, axis=0), lambda f, x: f(x, -1, dtype=np.result_type(x))
TOTALS = lambda f, x: f(x[0]), lambda f, x: f(x, axis=0), lambda f, x: f(x, axis=-1, include_initial=True)
USES = [
    *(use(f.__name__, partial(call, f), x) for f in (np.cumsum, np.cumprod) for call in SCANS),
    *(use(f.__name__, lambda x, f=f: f(x[0, 0]), x) for f in (np.cumsum, np.cumprod)),
    use("cumprod", lambda x: np.cumprod(x, axis=1), zeros),
    use("cumprod", lambda x: np.cumprod(x, axis=0), zeros),
    use("cumprod", lambda x: np.cumprod(x), zeros),
    *(use("cumprod", np.cumprod, np.linspace(0.8, 1.2, n) * (np.arange(n) != n // 2)) for n in (1, 2, 3, 7, 8, 9, 33)),
    use("cumsum", lambda x: np.add.accumulate(x), x),
    use("cumprod", lambda x: np.multiply.accumulate(x, 1), x),
    *(use(f.__name__, partial(call, f), x) for f in (np.cumulative_sum, np.cumulative_prod) for call in TOTALS),
    *(use(f.__name__, of_holes(call), x) for f in (np.nancumsum, np.nancumprod) for call in (f, partial(f, axis=1))),
    use("diff", lambda x: np.diff(x), x),
    use("diff", lambda x: np.diff(x, 2, axis=0), x),
    use("diff", lambda x: np.diff(x, n=0), x),
    use("diff", lambda x: np.diff(x, 2, axis=0), x[:, :1]),
    use("diff", lambda x: np.diff(x, n=0, prepend=0), x),
    use("diff", lambda x: np.diff(x, prepend=0, append=[[1.5], [2.0], [3.0]]), x),
    use("diff", lambda x, y: np.diff(x, 2, 0, y, 1.0), x, x[:2] * 2),
    use("ediff1d", lambda x: np.ediff1d(x), x),
    use("ediff1d", lambda x, y: np.ediff1d(x, 99, to_begin=y), x, x[0]),
    use("gradient", lambda x: np.gradient(x), x),
    use("gradient", lambda x: np.gradient(x, axis=1), x),
    use("gradient", lambda x: np.gradient(x, 0.5, edge_order=2), x),
    use("gradient", lambda x: np.gradient(x, 0.5, axis=(1, 0)), x),
    use("gradient", lambda x, p: np.gradient(x, 0.5, p, edge_order=2), x, points),
    use("gradient", lambda x, p: np.gradient(x, p, axis=-1), x, points),
    use("gradient", lambda x, h: np.gradient(x, h), x[0], np.array(0.3)),
    use("trapezoid", lambda x: np.trapezoid(x), x),
    use("trapezoid", lambda x: np.trapezoid(x, dx=0.5, axis=0), x),
    use("trapezoid", lambda x, p: np.trapezoid(x, p), x, points),
    use("trapezoid", lambda x, p: np.trapezoid(x, p[:3], axis=0), x, points),
    use("trapezoid", lambda x, p: np.trapezoid(x, x=p, axis=0), x, x * 2),
]
