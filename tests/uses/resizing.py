import numpy as np

import autograd_cnn as ag
from uses import use

x = np.random.default_rng(0).normal(size=(2, 3, 4, 8))


def nearest(height, width):
    def formula(x):
        rows = [i * x.shape[1] // height for i in range(height)]
        columns = [i * x.shape[2] // width for i in range(width)]
        return x[:, rows][:, :, columns]

    return formula


def bilinear(height, width, align_corners=False):
    def places(n, m):
        i = np.arange(m)
        return i * (n - 1) / (m - 1) if align_corners else (i + 0.5) * n / m - 0.5

    def formula(x):
        for axis, m in ((1, height), (2, width)):
            n = x.shape[axis]
            lines = np.moveaxis(x, axis, 0).reshape(n, -1)
            resized = np.stack([np.interp(places(n, m), np.arange(n), line) for line in lines.T], 1)
            x = np.moveaxis(resized.reshape(m, *np.delete(x.shape, axis)), 0, axis)
        return x

    return formula


def shuffled(x):
    y = np.zeros((2, 6, 8, 2), x.dtype)
    for c, i, j in np.ndindex(2, 2, 2):
        y[:, i::2, j::2, c] = x[..., (c * 2 + i) * 2 + j]
    return y


def unshuffled(x):
    return np.stack([x[:, i::2, j::2, c] for c in range(8) for i in range(2) for j in range(2)], -1)


def unfolded(x):
    """The windows are 2x3 with dilation (1, 2), padding (1, 2) and stride (2, 1)."""
    x = np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)))
    rows = [x[:, r : r + 2, c : c + 5 : 2].reshape(2, -1) for r in (0, 2) for c in range(4)]
    return np.stack(rows, 1)


USES = [
    use("interpolate", lambda x: ag.interpolate(x, (6, 12)), x, want=nearest(6, 12)),
    use("interpolate", lambda x: ag.interpolate(x, (2, 5)), x, want=nearest(2, 5)),
    *[use("interpolate", lambda x, s=s: ag.interpolate(x, scale_factor=s), x, want=nearest(6, 8)) for s in (2, 2.1)],
    use("interpolate", lambda x: ag.interpolate(x, scale_factor=(2, 0.5), mode="bilinear"), x, want=bilinear(6, 2)),
    use("interpolate", lambda x: ag.interpolate(x, (2, 7), mode="bilinear"), x, want=bilinear(2, 7)),
    use(
        "interpolate", lambda x: ag.interpolate(x, 5, mode="bilinear", align_corners=True), x, want=bilinear(5, 5, True)
    ),
    use("pixel_shuffle", lambda x: ag.pixel_shuffle(x, 2), x, want=shuffled),
    use("pixel_unshuffle", lambda x: ag.pixel_unshuffle(x, 2), x[:, :2], want=unshuffled),
    use("unfold", lambda x: ag.unfold(x, (2, 3), (1, 2), (1, 2), (2, 1)), x, want=unfolded),
]
