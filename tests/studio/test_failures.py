"""A function that fails under `trace`: the same error, with the graph up to there, in which the failure is marked."""

from __future__ import annotations

import gc
import re
import weakref
from contextlib import suppress
from xml.etree import ElementTree

import numpy as np
import pytest

import autograd_cnn as ag

SVG = "{http://www.w3.org/2000/svg}"


def failing(f, *args):
    """The error of `f` under `trace`."""
    with pytest.raises(Exception) as caught:
        ag.trace(f, *args)
    return caught.value


def boxes(graph, **options):
    """Class and texts of each box of the picture that is marked as failed."""
    found = {}
    for group in ElementTree.fromstring(graph.svg(**options)).iter(f"{SVG}g"):
        for shape in group.findall(f"{SVG}rect"):
            texts = ["".join(text.itertext()).strip() for text in group.findall(f"{SVG}text")]
            found.setdefault(shape.get("class").removeprefix("shape "), []).append(texts)
    return found


def network(x, w):
    h = ag.relu(x @ w)
    z = h * 2.0
    return ag.sum(z @ w)


X, W = np.ones((4, 3)), np.ones((3, 2))


def test_the_error_is_the_same_and_has_the_graph_up_to_the_operation():
    with pytest.raises(ValueError, match="matmul") as plain:
        network(ag.Tensor(X, name="x"), ag.Tensor(W, name="w"))
    error = failing(network, X, W)
    assert (type(error), str(error)) == (type(plain.value), str(plain.value))
    assert [op.name for op in error.graph.ops] == ["matmul", "relu", "multiply"]
    failure = error.graph.failure
    names = [error.graph.values[v].name for _, v in failure.op.inputs]
    assert (failure.op.name, names, failure.error) == ("matmul", ["z", "w"], "ValueError")
    assert failure.message == str(error)
    assert re.fullmatch(r"Graph: 3 operations, fails in matmul \(test_failures.py:\d+\)", repr(error.graph))
    assert "error.graph.show()" in error.__notes__[0]


def test_pictures_mark_the_operation_and_end_with_the_message(tmp_path):
    graph = failing(network, X, W).graph
    found = boxes(graph)
    line = network.__code__.co_firstlineno + 3
    assert found["failed"] == [["matmul", f"test_failures.py:{line}"]]
    assert found["error"] == [["ValueError", "matmul: (4, 2) @ (3, 2): 2 is not 3"]]
    for suffix in ("html", "dot", "svg"):
        graph.save(tmp_path / f"failed.{suffix}")
        assert "2 is not 3" in (tmp_path / f"failed.{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize(("step", "kind"), [
    (lambda h: np.linalg.inv(h.data), "LinAlgError"),
    (lambda h: "abc".index("d"), "ValueError"),
    (lambda h: h.data.reshape(5, 5), "ValueError"),
    (lambda h: ag.group_norm(h, 7), "ValueError"),
], ids=["NumPy", "Python", "method", "function of operations"])  # fmt: skip
def test_other_errors_mark_their_line(step, kind):
    def f(x):
        h = ag.tanh(x)
        return step(h)

    graph = failing(f, X).graph
    place = f"test_failures.py:{step.__code__.co_firstlineno}"
    assert graph.summary() == ["1 operation", f"fails at {place}"]
    ((text, below),) = boxes(graph)["failed"]
    assert below == place and "lambda h:" in text and boxes(graph)["error"][0][0] == kind


def test_an_operation_with_a_wrong_argument_is_marked():
    graph = failing(lambda x: ag.exp(x).sum(dim=1), X).graph
    assert graph.failure.op.name == "sum" and "Here: axis=" in graph.failure.message


def test_an_error_that_was_caught_is_not_marked():
    def f(x):
        try:
            x @ x
        except ValueError:
            h = x * x
        raise KeyError(h.shape)

    error = failing(f, X)
    assert error.graph.failure.op.name == "raise KeyError(h.shape)" and error.graph.failure.error == "KeyError"


def test_an_error_before_the_first_operation_has_the_arguments():
    def f(x):
        raise RuntimeError("too early")

    graph = failing(f, X).graph
    assert not graph.ops and boxes(graph)["error"] == [["RuntimeError", "too early"]]
    assert [v.name for v in graph.values.values()] == ["x"]


def test_a_folded_model_ends_with_its_failure():
    class Block(ag.nn.Module):
        def __init__(self):
            self.fc = ag.nn.Linear(3, 3)

        def forward(self, x):
            return ag.relu(self.fc(x)) + x

    model = ag.nn.Sequential(*(Block() for _ in range(3)), ag.nn.Linear(4, 2))
    graph = failing(model, X.astype(np.float32)).graph
    for depth in (0, 1, 2):
        assert boxes(graph, depth=depth)["failed"][0][0] == "linear"
    assert graph.program().run(g_add_3=np.ones((4, 3), np.float32))[0].shape == (4, 3)  # what was computed


def test_a_closed_module_has_an_output_for_the_operation_that_failed():
    def f(x):
        with ag.scope("encoder"):
            a = ag.tanh(x)
            b = ag.exp(a)
        return ag.matmul(a, b * 2.0)

    found = boxes(failing(f, X).graph, depth=0)
    assert found["op"][0][0] == "encoder" and found["failed"][0][0] == "matmul"
    assert [text for text, *_ in found["input"]] == ["x (4,3) float64"]


def test_the_message_is_escaped():
    def f(x):
        ag.exp(x)
        raise ValueError("<script>alert(1)</script>")

    assert "<script>alert" not in failing(f, X).graph.svg()


def test_an_error_does_not_keep_its_arrays_alive():
    def fail():
        def f(x):
            h = ag.exp(x)
            seen.append(weakref.ref(h.data))
            return h @ h

        seen = []
        with suppress(ValueError):
            ag.trace(f, X)
        return seen[0]

    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()
