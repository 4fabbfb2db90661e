import itertools

import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x, y, v, w = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(5, 2, 3))
p, number = rng.normal(size=4), np.array(0.7)

USES = [
    use("tile", lambda x: np.tile(x, 2), w),
    use("tile", lambda x: np.tile(x, (3, 1)), w),
    use("tile", lambda x: np.tile(x, reps=(2, 1, 2)), v),
    use("cross", np.cross, v, v + rng.normal(size=3)),
    use("cross", np.cross, x, v),
    use("cross", lambda a, b: np.cross(a, b, axis=0), y, rng.normal(size=(3, 4))),
    use("cross", lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), y, rng.normal(size=(4, 3))),
    use("vecdot", np.vecdot, x, v),
    use("vecdot", lambda a, b: np.vecdot(a, b, axis=0), x, x + 1),
    use("matvec", ag.matvec, w, x[0], want=lambda a, b: np.einsum("...ij,...j", a, b)),
    use("matvec", ag.matvec, w[:2], x[:, None], want=lambda a, b: np.einsum("...ij,...j", a, b)),
    use("vecmat", ag.vecmat, x[:, 1], w, want=lambda a, b: np.einsum("...i,...ij", np.conj(a), b)),
    *(
        use(name, lambda a, b, name=name, mode=mode: getattr(np, name)(a, b, mode), a, b)
        for name, mode in itertools.product(("convolve", "correlate"), ("full", "same", "valid"))
        for a, b in ((p, v), (v, p), (rng.normal(size=5), p[:2]), (p[:2], rng.normal(size=5)), (p, p + 1))
    ),
    use("correlate", np.correlate, p, v),
    use("polyval", np.polyval, p, x),
    use("polyval", lambda p: np.polyval(p, 0.5), p),
    use("roots", lambda p: abs(np.roots(p)), p),
    use("polyval", lambda x: np.polyval([1.0, 2.0, 3.0], x), number),
    use("polyadd", np.polyadd, p, v),
    use("polyadd", np.polyadd, v, p),
    use("polyder", np.polyder, p),
    use("polyder", lambda p: np.polyder(p, m=2), p),
    use("polyint", np.polyint, p),
    use("polyint", lambda p: np.polyint(p, 2, 0.5), p),
    use("vander", np.vander, v),
    use("vander", lambda x: np.vander(x, 4, increasing=True), v),
]
