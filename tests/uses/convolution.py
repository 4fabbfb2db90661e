import numpy as np

import autograd_cnn as ag
import oracles
from uses import use

rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(2, 6, 4)), rng.normal(size=(3, 2, 4)), rng.normal(size=4)


def conv1d(stride, edges, dilation=1, groups=2):
    def formula(x, w, b=None):
        return oracles.conv2d(x[:, None], w[None], b, (1, stride), ((0, 0), edges), (1, dilation), groups)[:, 0]

    return formula


def conv_transpose1d(x, w, b):
    """The stride is 3, with padding 1, output_padding 1, two groups."""
    y = np.zeros((2, 3 * 5 - 2 + 3 + 1, 4)) + b
    for i in range(6):
        for k in range(3):
            if 0 <= (at := 3 * i + k - 1) < y.shape[1]:
                for group in (slice(0, 2), slice(2, 4)):
                    y[:, at, group] += x[:, i, group] @ w[k, :, group].T
    return y


USES = [
    use("conv1d", lambda x, w, b: ag.conv1d(x, w, b, groups=2), x, w, b, want=conv1d(1, (0, 0))),
    use("conv1d", lambda x, w: ag.conv1d(x, w, stride=2, padding=1, dilation=2, groups=2), x, w,
        want=conv1d(2, (1, 1), 2)),
    use("conv1d", lambda x, w: ag.conv1d(x, w, padding=(2, 0), groups=2), x, w, want=conv1d(1, (2, 0))),
    use("conv1d", lambda x, w: ag.conv1d(x, w, stride=2, padding="same", groups=2), x, w, want=conv1d(2, (0, 1))),
    use("conv_transpose1d", lambda x, w: ag.conv_transpose1d(x, w, padding=(2, 0)), x, w,
        want=lambda x, w: ag.conv_transpose1d(x, w)[:, 2:]),
    use("conv_transpose1d", lambda x, w, b: ag.conv_transpose1d(x, w, b, 3, 1, 1, groups=2), x, w, b,
        want=conv_transpose1d),
]  # fmt: skip
