import itertools

import numpy as np

from uses import use

rng = np.random.default_rng(0)
x, y, v, w = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(5, 2, 3))
p, number = rng.normal(size=4), np.array(0.7)

USES = [
    use("tile", lambda x: np.tile(x, 2), w),
    use("tile", lambda x: np.tile(x, (3, 1)), w),
    use("tile", lambda x: np.tile(x, reps=(2, 1, 2)), v),
    *(
        use(name, lambda a, b, name=name, mode=mode: getattr(np, name)(a, b, mode), a, b)
        for name, mode in itertools.product(("convolve", "correlate"), ("full", "same", "valid"))
        for a, b in ((p, v), (v, p), (rng.normal(size=5), p[:2]), (p[:2], rng.normal(size=5)), (p, p + 1))
    ),
    use("correlate", np.correlate, p, v),
    use("polyval", np.polyval, p, x),
    use("polyval", lambda p: np.polyval(p, 0.5), p),
    use("polyval", lambda x: np.polyval([1.0, 2.0, 3.0], x), number),
    use("vander", np.vander, v),
    use("vander", lambda x: np.vander(x, 4, increasing=True), v),
]
