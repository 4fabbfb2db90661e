import numpy as np

import autograd_cnn as ag
from uses import use

RNG = np.random.default_rng(0)
X, Y, V, W = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=4)
CUBE = RNG.normal(size=(2, 3, 4))


USES = [
    use("concatenate", lambda x, y: np.concatenate((x, y), axis=1, dtype=x.dtype), X, Y),
    use("concatenate", lambda x, v: np.concatenate([x, v, np.ones(2, x.dtype)], axis=None), X, V),
    use("concat", lambda x, y: np.concat([x, y]), X, Y),
    use("stack", lambda x, y: np.stack([x, y], axis=-1, dtype=x.dtype), X, Y),
    use("split", lambda x: np.split(x, 3), X),
    use("split", lambda x: np.split(x, [1, 3], axis=1), X),
    use("split", lambda x: np.split(x, [3, -2, 9], axis=-1), X),
    use("array_split", lambda x: np.array_split(x, 3, axis=1), X),
    use("array_split", lambda x: np.array_split(x, 5), X),
    use("unstack", lambda x: ag.unstack(x), X, want=tuple),
    use("unstack", lambda x: ag.unstack(x, axis=-1), CUBE, want=lambda x: tuple(x.transpose(2, 0, 1))),
]
