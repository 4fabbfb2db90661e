"""Exports on one example, run on others: the file follows its inputs, or the export is refused.

An example may hide what an input decides: ones, zeros, equal numbers, positive ones.
"""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.engine.numpy_calls import plain
from interop.onnx_files import parsed

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime, which runs the files, is not installed")

W = np.random.default_rng(1).normal(size=(6, 3)).astype("f")
LSTM = nn.LSTM(1, 2, batch_first=True)
KINDS = {"x": np.float32, "y": np.float32, "i": np.int64, "k": np.int32, "m": bool}  # by the first letter of an input


def sample(kind, low, high, n, rng):
    """Numbers of a kind; floats are continuous, others from 0 to 5."""
    dtype = KINDS[kind]
    if dtype is np.float32:
        return rng.uniform(low, high, (n, 3)).astype(dtype)
    return rng.integers(min(max(low, 0), high), high, (n, 3), endpoint=True).astype(dtype)


EXAMPLES = {  # the least and the largest number
    "ones": (1, 1), "zeros": (0, 0), "equal": (2, 2), "positive": (1, 3), "mixed": (-3, 3),
}  # fmt: skip
FUNCTIONS = {  # of inputs by their letters
    "mask": lambda x, m: x * m,
    "where": lambda x, m: np.where(m, x, -2 * x),
    "comparison": lambda x: x * (x > 0),
    "mean of a comparison": lambda x: x * (x > 0).astype(np.float32).mean(axis=1, keepdims=True),
    "cast": lambda x, i: x + i.astype(np.float32),
    "cast to integers": lambda x: x + x.astype(np.int64).astype(np.float32) * 0.5,
    "time step": lambda x, i: x * np.exp(-i.astype(np.float32) / 10),
    "attention mask": lambda x, i: ag.softmax(x + (1 - i.astype(np.float32)) * -10.0, -1),
    "rows": lambda i: ag.take(W, i, 0),
    "embedding": lambda i: ag.embedding(i, ag.Tensor(W)).sum(1),
    "padding": lambda i: ag.take(W, i, 0) * (i != 1).astype(np.float32)[..., None],
    "positions": lambda i: ag.take(W, ag.minimum(ag.cumsum((i != 1).astype(np.int64), 1), 5), 0),
    "logical": lambda x, m: np.where(np.logical_and(m, x > 1), x, 0.5),
    "clip": lambda x, i: ag.clip(x, 0, 2) * i,
    "first state": lambda x: np.zeros((x.shape[0], 3), np.float32) + x @ W.T @ W,
    "attention": lambda x, m: ag.scaled_dot_product_attention(*[x[..., None]] * 3, m[:, None]),
    "lengths": lambda x, i: LSTM(x[..., None], lengths=ag.clip(i[:, 0], 0, 2))[0],
    "rounded": lambda x: x * np.rint(x) + np.sign(x),
    "the array of an input": lambda x, i: x * i.data,
    "operators of masks": lambda x, y: np.where((x > 0) & ~(x >= y) | (x < -1) ^ (y <= 0), x, 0.5 * x),
    "numbers": lambda x, y: ag.relu(x) * (x > np.float64(0.1)) * (y != 2),
    "logical functions": lambda x, y: np.where(
        np.logical_or(np.logical_not(x > 0), np.logical_and(x == y, y < 1)), x, -x
    ),
    "steps": lambda x, y: np.sign(x) * np.floor(y) + np.ceil(x) * y,
    "numbers of other dtypes": lambda x, y: np.where((x > np.arange(3.0)) | (np.arange(3) > y), x, y),
    "numbers that float32 rounds": lambda x, y: x * (np.float32(0.1) * np.ceil(abs(y)) > np.array([0.1, 0.2, 0.3])),
    "sums of masks": lambda x, y: x * (x > 0).sum(axis=1, keepdims=True) + y * np.cumsum(y > 0, axis=1) * 2,
    "products of masks": lambda x, y: x * ((x > 0) * (y < 1)) + y * ((x > 0) + (x < y)) - x * (1 - (x > 0)),
    "extremes of masks": lambda x, y: x * np.maximum(x > 0, y > 0) + y * np.minimum(x < 0, y < 1),
}
REFUSED = {  # with the line
    "an index of large numbers": lambda x, i: x[(i[:, 0] > 99).astype(np.int64)],
    "a plain mask of large numbers": lambda x: ag.where(x.data > 9, x, 0.5),
    "argmax": lambda x: ag.take(W, np.argmax(x, -1), 0), "places of the largest": lambda x: ag.take(x, x.argmax(1), 1),
    "sorted": lambda x: np.sort(x, -1), "a branch": lambda x: x if (x > -9).all() else -x,
    "a number": lambda x: x * float(x.max()), "a plain mask": lambda x: ag.where(x.data > 0, x, 0.5),
    "a plain array": lambda x, m: x * m.numpy(), "signs": lambda x: ag.where(np.signbit(x), 2 * x, x),
    "picked": lambda x, m: x[m].sum(),
}  # fmt: skip


GRAPHS = {  # of files: a program for each, with the result y
    "mask": "f = Cast<to=1>(m) y = Mul(x, f)",
    "attention mask": "f = Cast<to=1>(i) g = Sub(one, f) h = Mul(g, ten) a = Add(x, h) y = Softmax<axis=-1>(a)",
    "cast then where": "c = Cast<to=9>(i) y = Where(c, x, ten)",
    "cast like": "f = CastLike(i, x) y = Add(f, x)",
    "integers": "j = Cast<to=6>(x) k = Add(j, j) f = Cast<to=1>(k) y = Sub(x, f)",
    "positions": "e = Equal(i, two) n = Not(e) c = Cast<to=7>(n) s = CumSum(c, last) p = Mul(s, c) y = Gather(w, p)",
    "largest": "a = ArgMax<axis=1, keepdims=0>(x) y = Gather(w, a)",
    "division": "q = Div(i, two) f = Cast<to=1>(q) y = Add(x, f)",
    "power": "q = Pow(x, k) y = Add(x, q)",
    "sums": "s = ReduceSum(k, axis) f = Cast<to=1>(s) y = Mul(x, f)",
    "expanded": "u = Unsqueeze(m, axis) s = Shape(u) e = Expand(u, s) f = Cast<to=1>(e) y = Mul(x, f)",
    "picked": "u = Unsqueeze(i, last_) y = GatherND(w, u)",
    "shape": "z = ReduceMax<keepdims=1>(i) f = Reshape(z, unit_) y = ConstantOfShape(f)",
}  # fmt: skip
UNWRITTEN = {  # those that are refused, by this node
    "largest": "ArgMax a", "division": "Div q", "picked": "GatherND y", "shape": "ConstantOfShape y",
}  # fmt: skip
CONSTANTS = {
    "one": np.float32(1), "ten": np.float32(10), "axis": np.array([1]), "two": np.int64(2), "w": W,
    "last": np.int64(1), "last_": np.array([2]), "unit_": np.array([1]),
}  # fmt: skip


def of_graph(name):
    """The network of a file, the file, and the letters of its inputs."""
    text = GRAPHS[name]
    words = set(re.findall(r"\w+", text))
    letters = [k for k in "xikm" if k in words and f"{k} =" not in text]
    types = {"x": "float", "i": "int64", "k": "int32", "m": "bool"}
    inputs = ", ".join(f"{types[k]}[N, 3] {k}" for k in letters)
    model = parsed(text, inputs, **{name: a for name, a in CONSTANTS.items() if name in words})
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return ag.interop.OnnxModule(model, "net.onnx"), model.SerializeToString(), letters


def session(content):
    runtime.set_default_logger_severity(4)
    return runtime.InferenceSession(content, providers=["CPUExecutionProvider"])


def run(s, arrays):
    return s.run(None, dict(zip([i.name for i in s.get_inputs()], arrays, strict=True)))[0]


def exported(path, f, letters, example, dynamic, want):
    """Export from an example, and compare on others; or return the refusal."""
    rng = np.random.default_rng(0)
    inputs = [sample(k, *EXAMPLES[example], 4, rng) for k in letters]
    try:
        ag.interop.export_onnx(path, f, *inputs, dynamic=dynamic)
    except ValueError as error:
        return str(error)
    file = session(path.read_bytes())
    for n, (low, high) in zip((4, 1, 7) if dynamic else (4, 4, 4), [(-3, 3), (0, 0), (1, 5)], strict=True):
        arrays = [sample(k, low, high, n, rng) for k in letters]
        got, wanted = run(file, arrays), want(arrays)
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, 1e-4, 1e-5, err_msg=f"{example}, dynamic={dynamic}")
    return ""


def check(path, f, letters, refused, want):
    for example in EXAMPLES:
        for dynamic in False, True:
            why = exported(path, f, letters, example, dynamic, want)
            assert bool(why) == bool(refused) and refused in why and "dynamic=False works" not in why, (
                example,
                dynamic,
            )


@pytest.mark.parametrize("name", [*FUNCTIONS, *REFUSED])
def test_a_function_follows_its_inputs(tmp_path, name):
    f = {**FUNCTIONS, **REFUSED}[name]
    letters = f.__code__.co_varnames[: f.__code__.co_argcount]
    refused = f"{__name__.rpartition('.')[2]}.py:{f.__code__.co_firstlineno}" if name in REFUSED else ""
    check(tmp_path / "f", f, letters, refused, lambda arrays: plain(f(*map(ag.Tensor, arrays))))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_loaded_network_follows_its_inputs(tmp_path, name):
    module, content, letters = of_graph(name)
    theirs = session(content)
    check(tmp_path / "f", module, letters, UNWRITTEN.get(name, ""), lambda arrays: run(theirs, arrays))
