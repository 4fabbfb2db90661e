import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(1)
x, w, b = rng.normal(size=(3, 2, 4)) + 1, rng.normal(size=4), rng.normal(size=4)


USES = [
    use("normalize", lambda x: ag.normalize(x, 2, -1), x, want=lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)),
    use(
        "normalize",
        lambda x: ag.normalize(x, 3, 0),
        x,
        want=lambda x: x / (np.abs(x) ** 3).sum(0, keepdims=True) ** (1 / 3),
    ),
    use("normalize", lambda x: ag.normalize(x, np.inf, 1), x, want=lambda x: x / np.abs(x).max(1, keepdims=True)),
    use("normalize", lambda x: ag.normalize(x, -np.inf, -1), x, want=lambda x: x / np.abs(x).min(-1, keepdims=True)),
    use("normalize", lambda x: ag.normalize(x, 0, -1), x, want=lambda x: x / x.shape[-1]),
    use("normalize", lambda x: ag.normalize(x, axis=-1, eps=100), x, want=lambda x: x / 100),
]
