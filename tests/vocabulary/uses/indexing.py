import numpy as np

import autograd_cnn as ag
from uses import use

RNG = np.random.default_rng(0)
X, V = RNG.normal(size=(3, 4)), RNG.normal(size=4)
CUBE = RNG.normal(size=(2, 3, 3))
MASK = np.arange(12).reshape(3, 4) % 3 != 1


USES = [
    use("resize", lambda x: np.resize(x, (5, 3)), X), use("resize", lambda x: np.resize(x, 5), X),
    use("delete", lambda x: np.delete(x, 1, axis=0), X), use("delete", lambda x: np.delete(x, [0, -1], 1), X),
    use("delete", lambda x: np.delete(x, slice(1, 9, 2)), X),
    use("delete", lambda x: np.delete(x, [True, False, True], axis=0), X),
    use("extract", lambda x: np.extract(x > 0, x), X), use("extract", lambda x: np.extract(MASK, x), X),
    *[use("diag", lambda x, k=k: np.diag(x, k), X) for k in (-2, 0, 1)],
    *[use("diag", lambda v, k=k: np.diag(v, k=k), V) for k in (-2, 0, 1)], use("diagflat", lambda x: np.diagflat(x), X),
    use("diagflat", lambda x: np.diagflat(x, -1), V),
    *[use("tril", lambda x, k=k: np.tril(x, k), CUBE) for k in (-1, 0, 1)],
    *[use("triu", lambda x, k=k: np.triu(x, k=k), X) for k in (-1, 0, 2)], use("tril", lambda v: np.tril(v), V),
    use("trim_zeros", lambda v: np.trim_zeros(np.multiply(v, [0, 1, 0, 1])), V),
    use("trim_zeros", lambda v: np.trim_zeros(np.multiply(v, [0, 1, 1, 0]), "b"), V),
    use("trim_zeros", lambda v: np.trim_zeros(np.multiply(v, [0, 1, 1, 0]), trim="f"), V),
    *[use("rot90", lambda x, k=k: np.rot90(x, k), CUBE) for k in range(-1, 5)],
    use("rot90", lambda x: np.rot90(x, axes=(2, 1)), CUBE),
    use("trim_zeros", lambda x: ag.trim_zeros(np.triu(x, 2)), X, want=lambda x: np.triu(x, 2)[:2, 2:]),
    use("trim_zeros", lambda x: ag.trim_zeros(np.triu(x, 2), axis=-1), X, want=lambda x: np.triu(x, 2)[:, 2:]),
]  # fmt: skip
