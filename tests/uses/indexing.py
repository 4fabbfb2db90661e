import numpy as np

import autograd_cnn as ag
from uses import use

RNG = np.random.default_rng(0)
X, V = RNG.normal(size=(3, 4)), RNG.normal(size=4)
CUBE = RNG.normal(size=(2, 3, 3))
MASK = np.arange(12).reshape(3, 4) % 3 != 1
TWICE = np.array([2, 0, -1])
PICKED = np.array([[0, 3, 3], [1, -1, 0], [2, 2, 2]])


def written(index, formula="="):
    """NumPy's own assignment, in a copy."""

    def want(x, values):
        out = x.copy()
        if formula == "=":
            out[index] = values
        else:
            formula.at(out, index, values)
        return out

    return want


def assigned(x, i, values, method="set", formula="="):
    def f(x, values):
        return getattr(x.at[i], method)(values)

    return use("add_at" if method == "add" else "set_at", f, x, values, want=written(i, formula))


INDICES = [0, -1, (slice(None), 1), (..., slice(None, None, -2)), (None, 2), MASK, TWICE, [1, 1], (TWICE, TWICE), ...]
INDICES += [(slice(1), TWICE), (np.array([True, False, True]), 1), (np.array([[0], [2]]), np.array([1, 3])), ()]

USES = [
    use("getitem", lambda x: x[TWICE], X, want=lambda x: x[TWICE]),
    *[assigned(X, i, RNG.normal(size=X[i].shape)) for i in INDICES],
    *[assigned(X, i, RNG.normal(size=X[i].shape), "add", np.add) for i in INDICES], assigned(X, slice(1, None), V),
    assigned(X, [1, 2, 1], V), assigned(X, [1, 2, 1], np.array(0.5)), assigned(X, MASK, np.array(0.5), "add", np.add),
    assigned(X, [1, 2, 1], V, "add", np.add),
    use("getitem", lambda x: x.at[1:, TWICE].get(), X, want=lambda x: x[1:, TWICE]),
    use("set_at", lambda x: x.at[1].set(0), X, want=lambda x: written(1)(x, 0)),
    use("set_at", lambda v: ag.set_at(np.zeros((3, 4), int), 1, v), V, want=lambda v: np.array([0 * v, v, 0 * v])),
    use("set_at", lambda v: ag.set_at(1, (), v), np.array(0.5), want=lambda v: v),
    *[use("take", lambda x, m=m: np.take(x, [5, -6, 0, 0], axis=1, mode=m), X) for m in ("wrap", "clip")],
    *[use("take", lambda x, m=m: x.take([[50, -60], [1, 1]], mode=m), X) for m in ("wrap", "clip")],
    use("take", lambda x: np.take(x, 2, axis=-1), X), use("take", lambda x: np.take(x, [0, -1], axis=0), np.array(0.7)),
    use("repeat", lambda x: np.repeat(x, 2, axis=0), np.array(0.7)),
    use("take", lambda x: x.take([[0, -1], [1, 1]], 0), X),
    use("take_along_axis", lambda x: np.take_along_axis(x, PICKED, axis=1), X),
    use("take_along_axis", lambda x: np.take_along_axis(x, np.argsort(x, 0), axis=0), X),
    use("take_along_axis", lambda x: np.take_along_axis(x, np.array([5, 0, 5]), axis=None), X),
    use("compress", lambda x: np.compress([True, False, True], x, axis=1), X),
    use("compress", lambda x: np.compress(x.ravel() > 0, x), X),
    use("compress", lambda x: x.compress([False, True], axis=0), X),
    *[use("diagonal", lambda x, k=k: np.diagonal(x, k), X) for k in (-2, -1, 0, 3)],
    use("diagonal", lambda x: np.diagonal(x, offset=1, axis1=2, axis2=1), CUBE),
    use("diagonal", lambda x: x.diagonal(0, -1, 0), CUBE), use("matrix_trace", lambda x: np.trace(x), X, want=np.trace),
    use("matrix_trace", lambda x: np.trace(x, offset=-1, axis1=1, axis2=2), CUBE, want=lambda x: np.trace(x, -1, 1, 2)),
    use("matrix_trace", lambda x: x.trace(1), X, want=lambda x: np.trace(x, 1)),
]  # fmt: skip
