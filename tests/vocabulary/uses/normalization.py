import numpy as np

import autograd_cnn as ag
from uses import use


def cosine(a, b, axis=-1):
    return np.sum(a * b, axis) / (np.linalg.norm(a, axis=axis) * np.linalg.norm(b, axis=axis))


x = np.random.default_rng(1).normal(size=(3, 2, 4)) + 1
a, b = np.random.default_rng(2).normal(size=(2, 3, 4)) * 1.5

USES = [
    use("cosine_similarity", lambda x, y: ag.cosine_similarity(x, y, -1), a, b, want=cosine),
    use("cosine_similarity", lambda x, y: ag.cosine_similarity(x, y, axis=0), a, b, want=lambda x, y: cosine(x, y, 0)),
    use("cosine_similarity", lambda x: ag.cosine_similarity(x, x[:, :1], -1), a,
        want=lambda x: cosine(x, x[:, :1] + 0 * x)),
    use("normalize", lambda x: ag.normalize(x, 2, -1), x, want=lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)),
    use("normalize", lambda x: ag.normalize(x, 3, 0), x,
        want=lambda x: x / (np.abs(x) ** 3).sum(0, keepdims=True) ** (1 / 3)),
    use("normalize", lambda x: ag.normalize(x, np.inf, 1), x, want=lambda x: x / np.abs(x).max(1, keepdims=True)),
    use("normalize", lambda x: ag.normalize(x, -np.inf, -1), x, want=lambda x: x / np.abs(x).min(-1, keepdims=True)),
    use("normalize", lambda x: ag.normalize(x, 0, -1), x, want=lambda x: x / x.shape[-1]),
    use("normalize", lambda x: ag.normalize(x, axis=-1, eps=100), x, want=lambda x: x / 100),
]  # fmt: skip
