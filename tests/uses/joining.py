import numpy as np

import autograd_cnn as ag
from uses import use

RNG = np.random.default_rng(0)
X, Y, V, W = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=4)
CUBE = RNG.normal(size=(2, 3, 4))
SPREAD = np.array([0.3, -1.2, 2.0, 0.1, -0.4])

PADS = [
    {"mode": "constant"},
    {"constant_values": (1, 2)},
    {"mode": "constant", "constant_values": ((1, 2), (3, 4))},
    *[{"mode": mode} for mode in "edge reflect symmetric wrap linear_ramp mean median maximum minimum".split()],
]

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
    *[use("pad", lambda x, o=options: np.pad(x, ((2, 1), (0, 3)), **o), X) for options in PADS],
    *[use("pad", lambda x, o=options: np.pad(x, (11, 9), **o), SPREAD) for options in PADS[3:]],
    use("pad", lambda x: np.pad(x, 2, "reflect"), CUBE),
    *[use("pad", lambda x, mode=mode: np.pad(x, 1, mode), np.array(0.7)) for mode in ("constant", "edge", "mean")],
    use("pad", lambda x: ag.pad(x, {-1: (1, 2)}, 7), X, want=lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=7)),
    use("pad", lambda x: ag.pad(x, 1, "edge"), X, want=lambda x: np.pad(x, 1, "edge")),
    use("pad", lambda x: ag.pad(x, {0: 1}, mode="edge"), X, want=lambda x: np.pad(x, ((1, 1), (0, 0)), "edge")),
]
