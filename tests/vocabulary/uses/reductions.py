import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x = rng.normal(size=(2, 3, 4))
holes = np.where(rng.random((2, 3, 4)) < 0.3, np.nan, x)
holes[:, 0] = x[:, 0]
some = rng.random((2, 3, 4)) < 0.7
some[0] = True


def of_holes(f):
    """Puts the holes in place of some numbers, so that what is differentiated is finite."""
    return lambda x: f(ag.where(np.isnan(holes), np.nan, x))


USES = [
    use("nanmean", lambda x: np.nanmean(x, axis=0), np.array(2.5)),
    use("nanvar", lambda x: np.nanvar(x * x, axis=0, keepdims=True) + x, np.array(2.5)),
    use("ptp", lambda x: np.ptp(x), x),
    use("ptp", lambda x: np.ptp(x, axis=(0, 1), keepdims=True), x),
    use("nanvar", of_holes(lambda x: np.nanvar(x, axis=1, ddof=0.5)), x),
    use("nansum", of_holes(lambda x: np.nansum(x, axis=1, initial=3, where=some)), x),
    use("nanmax", of_holes(lambda x: np.nanmax(x, axis=1, initial=0.1)), x),
    use("nanmax", of_holes(lambda x: np.fmax.reduce(x, axis=1)), x),
    use("nanmin", of_holes(lambda x: np.fmin.reduce(x, axis=1)), x),
    *(
        use(f.__name__, call, x, want=lambda x, call=call: call(np.where(np.isnan(holes), np.nan, x)))
        for f in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd)
        for call in (lambda x, f=f: of_holes(f)(x), lambda x, f=f: of_holes(lambda x: f(x, axis=1, keepdims=True))(x))
    ),
]
