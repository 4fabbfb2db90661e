import numpy as np

import autograd_cnn as ag
from uses import use


def dropped(x):
    kept = np.random.default_rng(0).random(x.shape, np.float32) >= 0.25
    return np.where(kept, x / 0.75, 0)


USES = [
    use(
        "dropout",
        lambda x: ag.dropout(x, 0.25, np.random.default_rng(0)),
        np.random.default_rng(1).normal(size=(3, 4)),
        want=dropped,
    ),
]
