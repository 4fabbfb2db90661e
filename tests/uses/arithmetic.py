import operator

import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(2, 3)), rng.uniform(0.5, 2, (2, 3))
LOW, HIGH = np.array([-0.4, -0.2, 0.3]), np.array([[0.6], [0.1]])

OF_TWO = "add subtract multiply divide true_divide power maximum minimum".split()

USES = [
    *[use(name, getattr(np, name), Y) for name in "negative exp log log1p expm1 sqrt square abs sin cos tanh".split()],
    *[use(name, getattr(np, name), Y, Y[:1] + 1) for name in OF_TWO],
    *[use(name, lambda x, name=name: getattr(np, name)(x, 3), Y) for name in OF_TWO],
    *[use(name, lambda y, name=name: getattr(np, name)(np.full(3, 4, y.dtype), y), Y) for name in OF_TWO],
    use("multiply", lambda x: np.multiply.outer(x, x[0]), X),
    use("where", lambda x: np.where(np.greater(x, 0.1), x, 0.0), X), use("clip", lambda x: np.clip(x, -0.5, 0.5), X),
    use("clip", lambda x, a, b: np.clip(x, a_min=a, a_max=b), X, LOW, HIGH),
    use("clip", lambda x, a: np.clip(x, min=a), X, LOW), use("clip", lambda x, b: np.clip(x, None, b), X, HIGH),
    use("clip", lambda a: np.clip(0.25, a, 1.0), LOW), use("clip", lambda x, b: x.clip(-0.1, b), X, HIGH),
    use("remainder", operator.mod, X, Y), use("remainder", lambda x: x % 0.75, X), use("remainder", lambda y: 5 % y, Y),
    use("absolute", np.absolute, X), use("pow", lambda x: ag.pow(x, 3), X, want=lambda x: x**3),
    use("pow", lambda x: np.pow(x, 2.0), Y),
    *[use(name, getattr(np, name), X) for name in ("real", "conj", "conjugate")],
    use("sgn", lambda x, y: ag.real(np.sign(x + 1j * y)), X, Y, want=lambda x, y: np.real(np.sign(x + 1j * y))),
]  # fmt: skip
