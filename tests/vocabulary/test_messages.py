"""Errors about calls of functions of the vocabulary, and NumPy's names of these functions, around a Tensor."""

import inspect

import numpy as np
import pytest
from numpy.linalg import LinAlgError

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import halves as leaf
from wording import says

A, TALL, STACK, V = np.eye(3) + 1, np.eye(4, 3), np.ones((2, 3, 3)), np.arange(3.0)


def some(data):
    return Tensor(np.array(data, float), requires_grad=True)


IMAGES, MATRIX = Tensor(np.ones((2, 4, 5, 3)), requires_grad=True), leaf(2, 3)
ZEROS, SQUARE, HIGH, VECTOR, STACKED = map(some, (np.zeros((2, 2)), A, TALL, V, STACK))
REFUSED = {  # by what is passed: programs, their messages, and perhaps the kind of the error
    IMAGES: [
        (lambda x: np.cov(x), r"want a matrix of variables and observations"),
        (lambda x: np.cov(x[0, 0], fweights=[1, 1, 1]), "np.cov with fweights= is not recorded", TypeError),
        (lambda x: ag.huber_loss(x, x, delta=0), r"delta is 0"),
    ],
    MATRIX: [
        (lambda x: np.pad(x, 1, mode="foo"), r"pad: mode is 'foo', want .constant", ValueError),
        (lambda x: np.pad(x, 1, mode=lambda *_: None), "pad: mode is <function", ValueError),
        (lambda x: np.pad(x, -1, mode="edge"), "can't contain negative values", ValueError),
        (lambda x: np.pad(x, 1.5, mode="wrap"), "must be of integral type", TypeError),
        (lambda x: np.pad(x, 1, "mean", stat_length=2), "np.pad with stat_length= is not recorded", TypeError),
        (lambda x: np.pad(x, 1, "linear_ramp", end_values=2), "np.pad with end_values= is not recorded", TypeError),
        (lambda x: np.pad(x, 1, "reflect", reflect_type="odd"), "np.pad with reflect_type= is not recorded", TypeError),
        (lambda x: ag.pad(x, {2: 1}), "index 2 is out of bounds", IndexError),
        (lambda x: np.repeat(x, 2.5, axis=1), "'float' object", TypeError),
        (lambda x: np.repeat(x, 2, axis=2), "index out of range", IndexError),
        (lambda x: np.tile(x, (2, -1)), "negative dimensions", ValueError),
        (lambda x: np.split(x, 2, axis=1), "2 equal parts do not divide", ValueError),
        (lambda x: np.split(x, 2, axis=2), "axis 2 is out of bounds", ValueError),
        (lambda _: ag.hstack([]), "at least one array", ValueError),
        (lambda x: np.diag(np.expand_dims(x, 0)), "Input must be 1- or 2-d", ValueError),
        (lambda x: np.insert(np.arange(3), 1, x[0, 0]), "Cannot cast", TypeError),
        (lambda x: np.concatenate([x, x], dtype=int), "Cannot cast", TypeError),
        (lambda x: np.choose([0, 2], [x[0, :2], x[1, :2]]), "invalid entry in choice array", ValueError),
        (lambda x: x.at[2].set(1.0), "out of bounds", IndexError),
        (lambda x: x.at[0].set(np.ones(4)), "broadcast", ValueError),
        (lambda x: x.at[0, 0].set(x[:1, :1]), "broadcast", ValueError),
        (lambda x: x.at[0, 0].add(x[:1, :1]), "sequence", ValueError),
        (lambda x: np.put(x, 0, 1.0), r"x\[index\] = values", TypeError),
        (lambda x: np.fill_diagonal(x, 1.0), r"x\[index\] = values", TypeError),
        (lambda x: np.put_along_axis(x, np.zeros((2, 1), int), 1.0, 1), r"Here: x\[index\] = values", TypeError),
        (lambda x: np.add.at(x, 0, 1.0), r"x = x\.at\[index\]\.add\(values\)", TypeError),
        (lambda x: x.put(0, 1.0), r"Here: x\[index\] = values", AttributeError),
        (lambda x: np.sum(x, axis=5), "axis 5 is out of bounds"),
        (lambda x: np.diff(x, axis=5), "axis 5 is out of bounds"),
        (lambda x: np.median(x, axis=5), "axis 5 is out of bounds"),
        (lambda x: np.sum(x, axis=[0, 1]), "'list' object"),
        (lambda x: np.sum(x, dtype=int), "dtype is int64, which has no derivative"),
        (lambda x: np.cumprod(x, dtype=bool), "dtype is bool, which has no derivative"),
        (lambda x: np.sum(x, out=np.zeros(())), "np.sum: an array cannot take a result with a history"),
        (lambda x: np.sum(x, initial=x[0, 0]), "no rule for initial"),
        (lambda x: np.max(x, where=x > 0), "initial"),
        (lambda x: np.var(x, ddof=1, correction=2), "simultaneously"),
        (lambda x: np.quantile(x, x[0, 0]), "would leave the graph"),
        (lambda x: np.quantile(x, 0.5, weights=x, method="inverted_cdf"), "with weights= is not recorded"),
        (lambda x: np.average(x, weights=[1.0, 2.0]), r"weights are \(2,\)"),
        (lambda x: np.cumulative_sum(x), "x is 2-dimensional: axis is missing"),
        (lambda x: np.var(x, mean=0.0), "np.var with mean= is not recorded"),
        (lambda x: np.diff(x, -1), "n is -1"),
        (lambda x: np.gradient(x, edge_order=2), "axis 0 has 2 points"),
        (lambda x: np.gradient(x, 1, 2, 3), "3 distances for 2 axes"),
        (lambda x: np.nanmax(x[:0]), "zero-size array"),
        (lambda x: ag.average(x[:, 0], weights=[1, -1]), "average: weights add up to 0", ValueError),
        (lambda x: np.ravel(x, order="K"), "want 'C' or 'F'", ValueError),
        (lambda x: np.reshape(x, (3, 2), order="A"), "want 'C' or 'F'", ValueError),
        (lambda x: ag.ravel(x, "A"), "want 'C' or 'F'", ValueError),
        (lambda x: ag.quantile(x, 0.5, 1, "linear", 2), "keepdims is 2, want True or False", TypeError),
        (lambda x: ag.linalg.norm(x, None, 1, 2), "keepdims is 2, want True or False", TypeError),
        (lambda x: ag.linalg.matrix_norm(x, keepdims=2), "keepdims is 2, want True or False", TypeError),
        (lambda x: ag.average(x, 1, keepdims=2), "keepdims is 2, want True or False", TypeError),
        (lambda x: ag.linalg.pinv(x, None, True), "rtol is True, want numbers", TypeError),
        (lambda x: np.fft.fftn(x, (2, 3), (0,)), r"fft\.fftn: s has 2 lengths for 1 axes", ValueError),
        (lambda x: np.fft.fft(x, 0), r"fft\.fft: .*\(0\)", ValueError),
        (lambda x: ag.fft.fft(x, axis=5), "axis 5 is out of bounds for array of dimension 2", ValueError),
        (lambda x: ag.fft.irfft(x, axis=5), "axis 5 is out of bounds for array of dimension 2", ValueError),
        (lambda x: ag.fft.fftn(x, axes=(5,)), "axis 5 is out of bounds for array of dimension 2", ValueError),
        (lambda x: np.fft.hfft(x, norm="unit"), r"fft\.hfft"),
        (lambda x: np.fft.fft(x, out=np.zeros((2, 3), complex)), "out", TypeError),
        (lambda x: np.bincount([0, 1], x[0, :1]), "bincount: The weights and list don't", ValueError),
        (lambda x: np.select([x > 0], [x, x]), "select: .* is longer", ValueError),
        (lambda x: np.interp(x, [0, 1], [1, 2, 3]), "interp: .* Both are vectors", ValueError),
        (lambda x: np.interp(0.5, [0, 1], x), "interp: .* Both are vectors", ValueError),
        (lambda x: ag.array([x, 1.0]), "array: all input arrays must have the same shape", ValueError),
        (lambda x: ag.array([[x, 1.0], [2.0]]), "array: all input arrays must have the same shape", ValueError),
        (lambda _: ag.array([[1], [2, 3]]), "array: object is a list of parts of different lengths", ValueError),
        (lambda x: ag.array({"x": x}), "array: object is not an array of numbers", TypeError),
        (lambda x: ag.array([x, {1}]), "array: object is not an array of numbers", TypeError),
        (lambda x: ag.array([x, None]), "array: object is None", TypeError),
        (lambda x: ag.array([x, "text"]), "array: object is not an array of numbers", TypeError),
        (lambda x: ag.array(y for y in x), "array: object is not an array of numbers", TypeError),
    ],
    None: [
        (lambda _: np.linalg.inv(ZEROS), r"linalg\.inv: Singular matrix\n  a \(2, 2\)", LinAlgError),
        (lambda _: np.linalg.solve(ZEROS, V[:2]), r"linalg\.solve: Singular matrix", LinAlgError),
        (lambda _: np.linalg.solve(some(np.ones((2, 3, 3))), np.ones((5, 3, 3))), r"a \(2, 3, 3\) and b \(5, 3, 3\)"),
        (lambda _: np.linalg.slogdet(ZEROS)[1].backward(1.0), r"linalg\.inv: Singular matrix", LinAlgError),
        (lambda _: ag.hessian(np.linalg.det)(np.diag([1.0, 2, 0])), r"Singular(.|\n)*linalg.cof", LinAlgError),
        (lambda _: np.linalg.inv(HIGH), r"linalg\.inv: Last 2 dimensions .* square", LinAlgError),
        (lambda _: np.linalg.cholesky(some(-np.eye(2))), "cholesky: Matrix is not positive", LinAlgError),
        (lambda _: np.linalg.eigh(HIGH), r"linalg: want square matrices, got \(4, 3\)", LinAlgError),
        (lambda _: np.linalg.svd(HIGH), r"linalg\.svd: .* Pass full_matrices=False"),
        (lambda _: np.linalg.qr(HIGH, "complete"), r"linalg\.qr: mode 'complete' of matrices 4x3 .* Pass mode"),
        (lambda _: np.linalg.qr(SQUARE, "raw"), r"linalg\.qr: mode 'raw'"),
        (lambda _: np.linalg.pinv(SQUARE, hermitian=True), r"np\.linalg\.pinv with hermitian= is not recorded"),
        (lambda _: np.linalg.lstsq(some(np.ones((3, 2))), V), r"linalg\.lstsq: a has rank 1\. .*pinv\(a\) @ b"),
        (lambda _: np.linalg.pinv(some(np.diag([1, 5])), 0.5).sum().backward(), r"linalg\.pinv: rcond must drop"),
        (lambda _: np.linalg.norm(VECTOR, "fro"), r"linalg\.norm: vectors have no norm of order 'fro'"),
        (lambda _: np.linalg.norm(SQUARE, 3), r"linalg\.norm: matrices have no norm of order 3"),
        (lambda _: np.linalg.norm(STACKED, 2), r"linalg\.norm: order 2 is for vectors and matrices, .* 3 axes"),
        (lambda _: np.linalg.multi_dot([SQUARE, A]), r"np\.linalg\.multi_dot has no derivative here"),
        (lambda _: np.linalg.matrix_power(SQUARE, 1.5), r"cannot be interpreted as an integer"),
        (lambda _: np.tensordot(HIGH, TALL, 1), r"tensordot: .* of a have the extents \(3,\), .* of b \(4,\)"),
        (lambda _: np.tensordot(SQUARE, A, ([0, 1], [0])), r"tensordot: .* have the extents \(3, 3\), .* of b \(3,\)"),
        (lambda _: np.cross(some(np.ones(4)), V), r"cross: want vectors of 3 components, got \(4,\) and \(3,\)"),
        (lambda _: np.polymul(VECTOR, V), r"np\.polymul is not recorded\. Here: ag\.convolve\(p, q\)"),
    ],
}


@pytest.mark.parametrize(("x", "row"), [(x, row) for x, rows in REFUSED.items() for row in rows])
def test_a_wrong_call_is_refused(x, row):
    program, message, *kind = row
    with pytest.raises(tuple(kind) or (ValueError, TypeError, IndexError), match=message):
        program(x)


@says(ValueError, cure=lambda: ag.pad(leaf(2, 6, 6, 3), ((0, 0), (3, 4), (1, 2), (0, 0))))
def test_margins_of_images_in_one_row():
    """
    pad: (1, 2, 3, 4) is not one (before, after) pair for each of 4 axes
      x (2, 6, 6, 3) float32
      at {here}
      PyTorch's order is the opposite; here ((0, 0), (3, 4), (1, 2), (0, 0))
    """
    ag.pad(leaf(2, 6, 6, 3), (1, 2, 3, 4))  # here


@pytest.mark.parametrize("name", ["normalize", "cosine_similarity"])
def test_three_axes_need_an_axis(name):
    f = ag.normalize if name == "normalize" else lambda x, **axis: ag.cosine_similarity(x, x, **axis)
    with pytest.raises(ValueError, match=f"(?s){name}: x .2, 3, 4. has three axes.*PyTorch takes the second: axis=1"):
        f(leaf(2, 3, 4))
    assert f(leaf(2, 3, 4), axis=1).shape != f(leaf(2, 3, 4)[0]).shape
    assert f(leaf(2, 5, 5, 3)).shape[0] == 2  # channels are the last axis of images


@pytest.mark.parametrize("f", [np.acos, np.linalg.trace, lambda x: np.mod(x, 2.0), lambda x: x.real])
def test_another_name_is_recorded(f):
    x = some([[0.1, 0.2], [0.3, 0.4]])
    out = f(x)
    assert type(out) is Tensor
    assert out is not x
    assert out.requires_grad


@says(ValueError)
def test_a_function_that_is_made_of_primitives():
    """
    quantile: Quantiles must be in the range [0, 1]
      x (3,) float64    q=1.5
      at {here}
    """
    np.quantile(some([1.0, 2.0, 3.0]), 1.5)  # here


def test_the_signature_of_pad_is_frozen():
    parameters = inspect.signature(ag.pad).parameters.values()
    assert [(p.name, p.default) for p in parameters][1:] == [
        ("pad_width", inspect.Parameter.empty), ("constant_values", 0), ("mode", "constant"),
    ]  # fmt: skip
