import numpy as np

import autograd_cnn as ag
from uses import use

RNG = np.random.default_rng(0)
X, Y, V, W = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=4)
CUBE = RNG.normal(size=(2, 3, 4))
ONE = np.array(0.5)
SELECTED = np.array([[0, 1, 2, 1], [2, 2, 0, 0], [1, 0, 0, 2]])
GRIDS = {}, {"indexing": "ij"}, {"sparse": True}, {"sparse": True, "indexing": "ij", "copy": False}


def nested(v, w):
    return [[v, w], [[1, 2, 3, 4], v * w]]


USES = [
    use("hstack", lambda x, y: np.hstack([x, y]), X, Y),
    use("hstack", lambda v, a: np.hstack((v, a), dtype=v.dtype), V, ONE),
    use("hstack", lambda x: np.hstack(x), CUBE),
    use("vstack", lambda x, v: np.vstack([x, v]), X, V),
    use("vstack", lambda v, w: np.vstack((v, w), dtype=v.dtype), V, W),
    use("row_stack", lambda v, w: ag.row_stack([v, w]), V, W, want=lambda v, w: np.array([v, w])),
    use("dstack", lambda x, y: np.dstack([x, y]), X, Y),
    use("dstack", lambda v, w: np.dstack([v, w]), V, W),
    use("column_stack", lambda v, w: np.column_stack([v, w]), V, W),
    use("column_stack", lambda x, v: np.column_stack([x, v[:3]]), X, V),
    use("append", lambda x, v: np.append(x, v), X, V),
    use("append", lambda x, y: np.append(x, y, axis=1), X, Y),
    use("append", lambda v: np.append(v, 2.0), V),
    use("insert", lambda x, v: np.insert(x, 1, v, axis=0), X, V),
    use("insert", lambda x, a: np.insert(x, [0, 2, -1], a, axis=1), X, ONE),
    use("insert", lambda x, v: np.insert(x, slice(None, 4), v), X, V),
    use("insert", lambda v: np.insert(v, 1, 3), V),
    use("insert", lambda a: np.insert(np.ones(2, a.dtype), 1, a), ONE),
    use("choose", lambda x, y, v: np.choose(SELECTED, [x, y, v]), X, Y, V),
    use("choose", lambda x: np.choose(SELECTED, x), RNG.normal(size=(3, 3, 4))),
    use("choose", lambda x, y: np.choose(SELECTED, [x, y], mode="wrap"), X, Y),
    use("choose", lambda x, y: np.choose(SELECTED - 1, [x, y], mode="clip"), X, Y),
    use("block", lambda x, y: np.block([x, y]), X, Y),
    use("block", lambda x, v, a: np.block([[x, x], [v, 1.0, 2.0, a, 3.0]]), X, V, ONE),
    use("block", lambda x, y: np.block([[[x], [y]], [[y], [x]]]), X, Y),
    *[use("meshgrid", lambda v, x, o=o: np.meshgrid(v, x, [1.0, 2.0], **o), V, X[:, 0]) for o in GRIDS],
    use("meshgrid", lambda v, w: np.meshgrid(v, w, copy=False), V, W),
    use("array", lambda v, w: ag.array(nested(v, w)), V, W, want=lambda v, w: np.array(nested(v, w))),
    use("array", lambda x: ag.array(x), X, want=np.array),
    use("asarray", lambda v, a: ag.asarray((v[0], a, v[1])), V, ONE, want=lambda v, a: np.array([v[0], a, v[1]])),
    use("meshgrid", lambda v: np.meshgrid(v), V),
    use("hsplit", lambda x: np.hsplit(x, 2), X),
    use("hsplit", lambda v: np.hsplit(v, [1]), V),
    use("vsplit", lambda x: np.vsplit(x, [2]), X),
    use("dsplit", lambda x: np.dsplit(x, 2), CUBE),
]
