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
    *[{"mode": mode} for mode in "edge reflect symmetric wrap".split()],
]

USES = [
    *[use("pad", lambda x, o=options: np.pad(x, ((2, 1), (0, 3)), **o), X) for options in PADS],
    *[use("pad", lambda x, o=options: np.pad(x, (11, 9), **o), SPREAD) for options in PADS[3:]],
    use("pad", lambda x: np.pad(x, 2, "reflect"), CUBE),
    *[use("pad", lambda x, mode=mode: np.pad(x, 1, mode), np.array(0.7)) for mode in ("constant", "edge")],
    use("pad", lambda x: ag.pad(x, {-1: (1, 2)}, 7), X, want=lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=7)),
    use("pad", lambda x: ag.pad(x, 1, "edge"), X, want=lambda x: np.pad(x, 1, "edge")),
    use("pad", lambda x: ag.pad(x, {0: 1}, mode="edge"), X, want=lambda x: np.pad(x, ((1, 1), (0, 0)), "edge")),
]
