import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(1)
x, w, b = rng.normal(size=(3, 2, 4)) + 1, rng.normal(size=4), rng.normal(size=4)
table = rng.normal(size=(5, 3))
picks = np.array([[0, 2, 2], [4, 0, 2]])


def kept(shape, p):
    return np.random.default_rng(0).random(shape, np.float32) >= p


def standard(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def grouped(x, w, b):
    halves = [standard(half, (1, 2), 1e-3) for half in (x[..., :2], x[..., 2:])]
    return np.concatenate(halves, -1) * w + b


USES = [
    use("dropout", lambda x: ag.dropout(x, 0.25, np.random.default_rng(0)), x,
        want=lambda x: np.where(kept(x.shape, 0.25), x / 0.75, 0)),
    use("dropout2d", lambda x: ag.dropout2d(x, 0.5, np.random.default_rng(0)), x,
        want=lambda x: x * kept((3, 1, 4), 0.5) * 2),
    use("layer_norm", lambda x: ag.layer_norm(x, 4), x, want=lambda x: standard(x, -1)),
    use("layer_norm", lambda x, w, b: ag.layer_norm(x, (4,), w, b, 1e-3), x, w, b,
        want=lambda x, w, b: standard(x, -1, 1e-3) * w + b),
    use("layer_norm", lambda x: ag.layer_norm(x, (2, 4)), x, want=lambda x: standard(x, (1, 2))),
    use("rms_norm", lambda x: ag.rms_norm(x, 4, eps=1e-3), x,
        want=lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-3)),
    use("rms_norm", lambda x, w: ag.rms_norm(x, 4, w), x, w,
        want=lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True)) * w),
    use("group_norm", lambda x, w, b: ag.group_norm(x, 2, w, b, 1e-3), x, w, b, want=grouped),
    use("instance_norm", lambda x: ag.instance_norm(x), x, want=lambda x: standard(x, 1)),
    use("embedding", lambda t: ag.embedding(picks, t), table, want=lambda t: t[picks]),
    use("one_hot", lambda t: (ag.one_hot(picks) * t[:, 0]).sum(-1), table, want=lambda t: t[picks, 0]),
]  # fmt: skip
