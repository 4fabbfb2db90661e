import numpy as np

from uses import use

X = np.random.default_rng(0).normal(size=(2, 3, 4))
ROW, ONE = X[0, 0], X[0, 0, 0].reshape(())

USES = [
    use("atleast_1d", lambda x, y: np.atleast_1d(x, y), ONE, X),
    use("atleast_2d", lambda x: np.atleast_2d(x), ROW),
    use("atleast_2d", lambda x, y, z: np.atleast_2d(x, y, z), ONE, ROW, X),
    use("atleast_3d", lambda x, y, z: np.atleast_3d(x, y, z), ONE, ROW, X[0]),
    use("fliplr", lambda x: np.fliplr(x), X),
    use("flipud", lambda x: np.flipud(x), X),
    use("broadcast_arrays", lambda x, y: np.broadcast_arrays(x, y, 1.0), ROW, X[:, 0, :1]),
]
