import numpy as np

import autograd_cnn as ag
from uses import use

X = np.random.default_rng(0).normal(size=(2, 3, 4))
ROW, ONE = X[0, 0], X[0, 0, 0].reshape(())

USES = [
    use("reshape", lambda x: np.reshape(x, (4, -1), order="F"), X),
    use("reshape", lambda x: np.reshape(x, (4, 6), "F"), np.asfortranarray(X)),
    use("reshape", lambda x: x.reshape(6, 4, order="F"), X), use("reshape", lambda x: x.reshape((6, -1)), X),
    use("ravel", lambda x: np.ravel(x), X), use("ravel", lambda x: np.ravel(x, order="F"), X),
    use("ravel", lambda x: x.ravel(), ONE), use("flatten", lambda x: x.flatten(), X, want=np.ravel),
    use("transpose", lambda x: np.transpose(x, (2, 0, 1)), X),
    *[use("transpose", lambda x, axes=axes: x.transpose(*axes), X) for axes in ((), (1, 0, 2), ((1, 0, 2),))],
    use("squeeze", lambda x: x[:, :1].squeeze(), X), use("swapaxes", lambda x: np.swapaxes(x, 0, 2), X),
    use("swapaxes", lambda x: x.swapaxes(-1, 1), X), use("moveaxis", lambda x: np.moveaxis(x, 0, -1), X),
    use("moveaxis", lambda x: np.moveaxis(x, (0, 2), (1, 0)), X), use("rollaxis", lambda x: np.rollaxis(x, 2), X),
    use("rollaxis", lambda x: np.rollaxis(x, 0, start=2), X),
    use("permute_dims", lambda x: np.permute_dims(x, axes=(2, 0, 1)), X),
    use("matrix_transpose", lambda x: np.matrix_transpose(x), X), use("matrix_transpose", lambda x: x.mT, X),
    use("squeeze", lambda x: np.squeeze(x, axis=(0, -1)), X[:1, :, :1]),
    use("expand_dims", lambda x: np.expand_dims(x, axis=(0, 2)), X),
    use("broadcast_to", lambda x: np.broadcast_to(x, shape=(2, 3, 4)), ROW),
    use("flip", lambda x: np.flip(x, axis=(0, 2)), X), use("copy", lambda x: np.copy(x), X.T),
    use("copy", lambda x: np.copy(x, order="F"), X), use("copy", lambda x: x.copy(), X),
    use("copy", lambda x: ag.copy(x), X), use("roll", lambda x: np.roll(x, 5), X),
    use("roll", lambda x: np.roll(x, -1, axis=1), X), use("roll", lambda x: np.roll(x, (1, 7), (0, 2)), X),
    use("roll", lambda x: np.roll(x, 1, axis=(0, 0)), X),
]  # fmt: skip
