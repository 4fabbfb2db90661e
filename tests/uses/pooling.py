import numpy as np

import autograd_cnn as ag
import oracles
from uses import use

x = np.random.default_rng(0).permutation(2 * 7 * 5 * 2).reshape(2, 7, 5, 2) * 0.1 + 0.1
line = x[:, :, 0]


def in_bins(size):
    high, wide = size if isinstance(size, tuple) else (size, size)

    def formula(x):
        down, across = (
            [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
            for n, m in ((x.shape[1], high), (x.shape[2], wide))
        )
        return np.stack([np.stack([x[:, r, c].mean((1, 2)) for c in across], 1) for r in down], 1)

    return formula


USES = [
    use("max_pool1d", lambda x: ag.max_pool1d(x, 3, 2, 1, ceil_mode=True), line,
        want=lambda x: oracles.max_pool2d(x[:, None], (1, 3), (1, 2), ((0, 0), (1, 1)), (1, 1), True)[0][:, 0]),
    use("avg_pool1d", lambda x: ag.avg_pool1d(x, 3), line, want=lambda x: x[:, :6].reshape(2, 2, 3, 2).mean(2)),
    use("avg_pool1d", lambda x: ag.avg_pool1d(x, 2, 3, 1, True, False), line,
        want=lambda x: np.stack([x[:, 0], x[:, 2:4].mean(1), x[:, 5:7].mean(1)], 1)),
    *[
        use("adaptive_avg_pool2d", lambda x, size=size: ag.adaptive_avg_pool2d(x, size), x, want=in_bins(size))
        for size in (1, (7, 1), (3, 2), (2, 8))
    ],
]  # fmt: skip
