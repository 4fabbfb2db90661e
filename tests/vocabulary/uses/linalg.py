import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
A = rng.normal(size=(3, 3)) + 2 * np.eye(3)
STACK = rng.normal(size=(2, 3, 3)) + 2 * np.eye(3)
TALL, WIDE = rng.normal(size=(4, 3)), rng.normal(size=(2, 2, 3))
V, B = rng.normal(size=3), rng.normal(size=(3, 2))


def symmetric(x):
    return (x + np.swapaxes(x, -1, -2)) / 2 if isinstance(x, np.ndarray) else (x + ag.linalg.matrix_transpose(x)) / 2


def positive(x):
    return x @ np.conj(ag.linalg.matrix_transpose(x)) + np.eye(3, dtype=x.dtype)


def uses(name, f, *inputs):
    """One use for each input: stacks and shapes."""
    return [use(f"linalg.{name}", f, x) for x in inputs]


def two_triangles(x, b):
    lower = [ag.linalg.solve_triangular(x, b, way, lower=True, unit_diagonal=True) for way in ("T", "C")]
    return [ag.linalg.solve_triangular(x, b), *lower]


def solved_twice(x, b):
    lower = (np.tril(x, -1) + np.eye(3)).mT
    return [np.linalg.solve(a, b) for a in (np.triu(x), lower, np.conj(lower))]


SPREAD = np.diag([1.0, 2.0, 4.0]) + A / 9  # has real eigenvalues
ORDERS = (None, 1, 2, -1, -2, np.inf, -np.inf)

USES = [
    *uses("inv", np.linalg.inv, A, STACK),
    use("linalg.solve", np.linalg.solve, A, V),
    use("linalg.solve", np.linalg.solve, STACK, B),
    use("linalg.solve", np.linalg.solve, STACK, V),
    use("linalg.solve_triangular", two_triangles, A, V, want=solved_twice),
    use("linalg.solve_triangular", two_triangles, STACK, B, want=solved_twice),
    *uses("pinv", np.linalg.pinv, A, TALL, WIDE),
    *uses("pinv", lambda x: np.linalg.pinv(x @ x.T, rcond=1e-5), TALL),
    *uses("pinv", lambda x: np.linalg.pinv(x.T @ x, rtol=1e-5), WIDE[0]),
    use("linalg.lstsq", lambda a, b: np.linalg.lstsq(a, b, rcond=None), TALL, rng.normal(size=4)),
    use("linalg.lstsq", lambda a, b: np.linalg.lstsq(a, b), TALL.T, B),
    *uses("det", np.linalg.det, A, STACK, np.eye(3)),
    *uses("slogdet", np.linalg.slogdet, A, STACK),
    *uses("cholesky", lambda x: np.linalg.cholesky(positive(x)), A, STACK),
    *uses("cholesky", lambda x: np.linalg.cholesky(positive(x), upper=True), A),
    *uses("eigh", lambda x: np.linalg.eigh(symmetric(x)), A, STACK),
    *uses("eigh", lambda x: np.linalg.eigh(symmetric(x), UPLO="U"), A),
    *uses("eigvalsh", lambda x: np.linalg.eigvalsh(symmetric(x)), A, STACK),
    use("linalg.eig", np.linalg.eig, SPREAD, want=lambda x: [part.real for part in np.linalg.eig(x)]),
    use("linalg.eigvals", np.linalg.eigvals, np.stack([SPREAD] * 2), want=lambda x: np.linalg.eigvals(x).real),
    *uses("svd", lambda x: np.linalg.svd(x, full_matrices=False), TALL, WIDE, STACK),
    *uses("svd", np.linalg.svd, A),
    *uses("svd", lambda x: np.linalg.svd(x, compute_uv=False), TALL),
    *uses("svdvals", np.linalg.svdvals, TALL, WIDE),
    *uses("qr", np.linalg.qr, A, TALL, WIDE, STACK),
    *uses("qr", lambda x: np.linalg.qr(x, mode="r"), TALL, WIDE),
    *uses("qr", lambda x: np.linalg.qr(x, "complete"), A, WIDE),
    *[use("linalg.norm", lambda x, o=o: np.linalg.norm(x, o), x) for o in ORDERS for x in (V, A)],
    *[use("linalg.norm", lambda x, o=o: np.linalg.norm(x, ord=o), V) for o in (3, 0.5, 2.5, -3)],
    *[use("linalg.norm", lambda x, o=o: np.linalg.norm(x, o, axis=1), STACK) for o in (*ORDERS, 3)],
    *[use("linalg.norm", lambda x, o=o: np.linalg.norm(x, o, axis=(2, 0), keepdims=True), WIDE)
      for o in (*ORDERS, "fro", "nuc")],
    *[use("linalg.norm", lambda x, o=o: np.linalg.norm(x, o, (0, -1)), WIDE) for o in (1, "fro", "nuc")],
    *uses("norm", lambda x: np.linalg.norm(x, keepdims=True), STACK),
    *uses("vector_norm", np.linalg.vector_norm, V, STACK),
    *uses("vector_norm", lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3, keepdims=True), STACK),
    *uses("vector_norm", lambda x: np.linalg.vector_norm(x, axis=-1, ord=np.inf), STACK),
    *uses("matrix_norm", np.linalg.matrix_norm, A, STACK),
    *uses("matrix_norm", lambda x: np.linalg.matrix_norm(x, ord="nuc", keepdims=True), WIDE),
    *[use("linalg.cond", lambda x, p=p: np.linalg.cond(x, p), STACK) for p in (*ORDERS, "fro", "nuc")],
    *[use("linalg.matrix_power", lambda x, n=n: np.linalg.matrix_power(x, n), STACK) for n in (1, 2, 3, 7, -1, -2)],
    *[use("linalg.diagonal", lambda x, k=k: np.linalg.diagonal(x, offset=k), WIDE) for k in (0, 1, -1)],
    *uses("trace", np.linalg.trace, A, WIDE),
    *uses("trace", lambda x: np.linalg.trace(x, offset=1), TALL),
    use("linalg.matmul", np.linalg.matmul, A, STACK),
    *uses("matrix_transpose", np.linalg.matrix_transpose, WIDE),
    use("linalg.outer", np.linalg.outer, V, V + 1),
    use("linalg.cross", np.linalg.cross, A, V),
    use("linalg.cross", lambda a, b: np.linalg.cross(a, b, axis=0), A, B[:, :1]),
    use("linalg.tensordot", lambda a, b: np.linalg.tensordot(a, b, axes=([0], [1])), A, STACK),
    use("linalg.vecdot", np.linalg.vecdot, STACK, V),
]  # fmt: skip
