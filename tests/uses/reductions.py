import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x = rng.normal(size=(2, 3, 4))
holes = np.where(rng.random((2, 3, 4)) < 0.3, np.nan, x)
holes[:, 0] = x[:, 0]
some = rng.random((2, 3, 4)) < 0.7
some[0] = True
zeros = np.array([[2.0, 0.0, -3.0, 0.5], [0.0, 4.0, 0.0, 1.0], [1.5, 2.0, -1.0, 3.0]])


def of_holes(f):
    """Puts the holes in place of some numbers, so that what is differentiated is finite."""
    return lambda x: f(ag.where(np.isnan(holes), np.nan, x))


USES = [
    use("nanmean", lambda x: np.nanmean(x, axis=0), np.array(2.5)),
    use("nanvar", lambda x: np.nanvar(x * x, axis=0, keepdims=True) + x, np.array(2.5)),
    *(
        use(f.__name__, call, x)
        for f in (np.sum, np.prod, np.mean, np.max, np.min, np.var, np.std)
        for call in (
            lambda x, f=f: f(x),
            lambda x, f=f: f(x, axis=(0, -1), keepdims=True),
            lambda x, f=f: f(x, 1, **({} if f in (np.max, np.min) else {"dtype": np.result_type(x)})),
        )
    ),
    *(use(f.__name__, lambda x, f=f: f(x, axis=2, where=some), x) for f in (np.sum, np.prod, np.mean, np.var, np.std)),
    *(use(f.__name__, lambda x, f=f: f(x, axis=(0, 2), initial=0.4), x) for f in (np.sum, np.prod, np.max, np.min)),
    use("max", lambda x: np.max(x, axis=2, initial=-5, where=some), x),
    use("min", lambda x: np.min(x, axis=2, initial=5, where=some, keepdims=True), x),
    use("sum", lambda x: np.add.reduce(x, axis=1, where=some), x),
    use("prod", lambda x: np.multiply.reduce(x), x),
    use("prod", lambda x: np.prod(x, axis=1), zeros),
    use("prod", lambda x: np.prod(x, axis=0, keepdims=True), zeros),
    use("prod", lambda x: np.prod(x[:2]), zeros),
    *(
        use(f.__name__, lambda x, f=f, o=o: f(x, axis=(0, 1), **o), x)
        for f in (np.var, np.std)
        for o in ({"ddof": 1}, {"correction": 1}, {"ddof": 1.5, "where": some})
    ),
    use("ptp", lambda x: np.ptp(x), x),
    use("ptp", lambda x: np.ptp(x, axis=(0, 1), keepdims=True), x),
    *(
        use(f.__name__, call, x, want=lambda x, call=call: call(np.where(np.isnan(holes), np.nan, x)))
        for f in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd)
        for call in (
            lambda x, f=f: of_holes(f)(x),
            lambda x, f=f: of_holes(lambda x: f(x, axis=1, keepdims=True))(x),
        )
    ),
    use("nanvar", of_holes(lambda x: np.nanvar(x, axis=1, ddof=0.5)), x),
    use("nansum", of_holes(lambda x: np.nansum(x, axis=1, initial=3, where=some)), x),
    use("nanmax", of_holes(lambda x: np.nanmax(x, axis=1, initial=0.1)), x),
    use("nanmax", of_holes(lambda x: np.fmax.reduce(x, axis=1)), x),
    use("nanmin", of_holes(lambda x: np.fmin.reduce(x, axis=1)), x),
    use("logsumexp", lambda x: np.logaddexp.reduce(x, axis=2), x, want=lambda x: np.log(np.exp(x).sum(2))),
]
