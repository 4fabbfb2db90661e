import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x, y, v, w = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(5, 2, 3))
p, number = rng.normal(size=4), np.array(0.7)

USES = [
    *(use("dot", np.dot, a, b) for a, b in ((v, v), (x, y), (x, v), (v, y), (w, v), (x, w.mT), (w, y), (v, number))),
    use("dot", lambda x, y: x.dot(y), x, y), use("matmul", np.matmul, x, y), use("vdot", np.vdot, x, x + 1),
    *(use("inner", np.inner, a, b) for a, b in ((v, v), (x, w), (w, v), (number, v), (number, y))),
    use("outer", np.outer, x, v), use("tensordot", lambda a, b: np.tensordot(a, b, 1), x, y),
    use("tensordot", lambda a, b: np.tensordot(a, b, 0), v, x),
    use("tensordot", np.tensordot, w, rng.normal(size=(2, 3, 2))),
    use("tensordot", lambda a, b: np.tensordot(a, b, ([1, -1], [2, 0])), w, rng.normal(size=(3, 2, 2))),
    use("tensordot", lambda a, b: np.tensordot(a, b, axes=(0, 1)), x, w),
    *(use("kron", np.kron, a, b) for a, b in ((x, y), (v, v), (x, v), (v, rng.normal(size=(2, 1, 2))))),
    use("repeat", lambda x: np.repeat(x, 2), y), use("repeat", lambda x: np.repeat(x, 3, axis=-1), y),
    use("repeat", lambda x: x.repeat(2, 0), y), use("repeat", lambda x: np.repeat(x, [2, 0, 3], axis=0), y),
    use("repeat", lambda x: np.repeat(x, [2]), y), use("repeat", lambda x: np.repeat(x, 3), number),
    use("einsum", lambda a, b: np.einsum("ij,jk", a, b), x, y),
    use("einsum", lambda a, b: np.einsum("ij,jk->ki", a, b, optimize=True), x, y),
    use("einsum", lambda a, b: np.einsum("ij,jk->ki", a, b, dtype=None), x, y),
    use("einsum", lambda a, b: np.einsum("...ij,j...", a, b), w, y[:, :1]),
    use("einsum", lambda a: np.einsum("ii->i", a), y[:, :3]),
    use("einsum", lambda a, b: np.einsum("iji,kj->j", a, b), w[:2, :, :2], x.T[:, :1]),
    use("einsum", lambda a: np.einsum("...ij->...", a), w),
    use("einsum", lambda a, b: np.einsum("ij,ij->", a, b), x, x[:1] + 1),
    use("einsum", lambda a: np.einsum(a, [0, 1], [1, 0]), x), use("einsum", lambda a: np.einsum(a, [1, 0]), x),
    use("einsum", lambda a: np.einsum(a, [..., 0, 0], [0, ...]), y[:, :3]),
    use("einsum", lambda a, b: np.einsum(a, (0, 30), b, (30, 2), (2, 0)), x, y),
    use("einsum", lambda a, b, c: np.einsum(a, [..., 0], b, [0, 1], c, [1]), w, y, p),
    use("einsum", lambda a, b: np.einsum("ij,jk->ik", a, b), x[:, :1], y),
    use("einsum", lambda a, b, c: np.einsum("ij,jk,ik->", a, b, c), x[:, :1], y, rng.normal(size=(1, 4))),
    use("einsum", lambda a, b: np.einsum("...i,i...", a, b), w[:1, :1], y[:, :2]),
    use("cross", np.cross, v, v + rng.normal(size=3)), use("cross", np.cross, x, v),
    use("cross", lambda a, b: np.cross(a, b, axis=0), y, rng.normal(size=(3, 4))),
    use("cross", lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), y, rng.normal(size=(4, 3))),
    use("vecdot", np.vecdot, x, v), use("vecdot", lambda a, b: np.vecdot(a, b, axis=0), x, x + 1),
    use("matvec", ag.matvec, w, x[0], want=lambda a, b: np.einsum("...ij,...j", a, b)),
    use("matvec", ag.matvec, w[:2], x[:, None], want=lambda a, b: np.einsum("...ij,...j", a, b)),
    use("vecmat", ag.vecmat, x[:, 1], w, want=lambda a, b: np.einsum("...i,...ij", np.conj(a), b)),
]  # fmt: skip
