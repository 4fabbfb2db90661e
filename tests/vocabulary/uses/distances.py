import numpy as np

import autograd_cnn as ag
from uses import use


def cosine(a, b, axis=-1):
    return np.sum(a * b, axis) / (np.linalg.norm(a, axis=axis) * np.linalg.norm(b, axis=axis))


def distance(a, b, p=2.0):
    return np.sum(np.abs(a - b + 1e-6) ** p, -1) ** (1 / p)


rng = np.random.default_rng(1)
a, b, c = rng.normal(size=(3, 3, 4)) * 1.5

USES = [
    use("cosine_similarity", lambda x, y: ag.cosine_similarity(x, y, -1), a, b, want=cosine),
    use("cosine_similarity", lambda x, y: ag.cosine_similarity(x, y, axis=0), a, b, want=lambda x, y: cosine(x, y, 0)),
    use(
        "cosine_similarity",
        lambda x: ag.cosine_similarity(x, x[:, :1], -1),
        a,
        want=lambda x: cosine(x, x[:, :1] + 0 * x),
    ),
    use("pairwise_distance", ag.pairwise_distance, a, b, want=distance),
    use(
        "pairwise_distance",
        lambda x, y: ag.pairwise_distance(x, y, np.inf),
        a,
        b,
        want=lambda x, y: np.abs(x - y + 1e-6).max(-1),
    ),
    use(
        "pairwise_distance",
        lambda x, y: ag.pairwise_distance(x, y, p=3, keepdims=True),
        a,
        b,
        want=lambda x, y: distance(x, y, 3)[:, None],
    ),
    use(
        "triplet_margin_loss",
        lambda x, y, z: ag.triplet_margin_loss(x, y, z, margin=3.0),
        a,
        b,
        c,
        want=lambda x, y, z: np.mean(np.maximum(distance(x, y) - distance(x, z) + 3, 0)),
    ),
    use(
        "triplet_margin_loss",
        lambda x, y, z: ag.triplet_margin_loss(x, y, z, "none", margin=3.0, p=1, swap=True),
        a,
        b,
        c,
        want=lambda x, y, z: np.maximum(distance(x, y, 1) - np.minimum(distance(x, z, 1), distance(y, z, 1)) + 3, 0),
    ),
]
