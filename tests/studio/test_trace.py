"""The records of a tape, and that reading it changes nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.mode import current, in_mode
from autograd_cnn.studio.trace import observed
from studio.programs import own


def names(graph, *roles):
    return [v.name for v in graph.values.values() if not roles or v.role in roles]


def edges(graph):
    return [(op.name, [(op.ports[port], graph.values[v].name) for port, v in op.inputs]) for op in graph.ops]


# Structure


def test_a_square_has_two_edges_from_one_value():
    graph = ag.trace(lambda x: x * x, 3.0)
    assert edges(graph) == [("multiply", [("x", "x"), ("y", "x")])]
    assert graph.loss == 9
    assert sorted(graph.ops[0].rules) == [0, 1]


def test_forty_doublings_are_forty_one_values(weights):
    y = weights(2)
    for _ in range(40):
        y = y + y
    graph = y.graph()
    assert len(graph.values) == 41
    assert [len(op.inputs) for op in graph.ops] == [2] * 40


@pytest.mark.parametrize("depth", [5_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_a_long_chain_needs_no_recursion(weights, depth):
    y = weights(2)
    for _ in range(depth):
        y = y * 0.5
    loss = y.sum()
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1000)
        graph = loss.graph()
        assert len(graph.ops) == depth + 1
        assert f"×{depth:,} loop test_trace.py:46" in graph.svg()
        with pytest.raises(ValueError, match=r"too many for \.svg"):
            graph.svg(depth=2)
        if depth < 100_000:
            # forward and backward, and w, its gradient, the start
            assert graph.dot(depth=2).count(" -> ") == 2 * (depth + 1) + 3
    finally:
        sys.setrecursionlimit(limit)


def test_the_standard_cnn(cnn):
    graph = cnn.graph()
    assert repr(graph) == f"Graph: 15 operations, 620,362 parameters, loss {cnn.item():.4g}"
    assert [op.name for op in graph.ops] == [
        *["conv2d", "relu", "max_pool2d"] * 3, "flatten", "linear", "relu", "linear", "sigmoid", "bce",
    ]  # fmt: skip
    assert names(graph, "input") == ["x"]
    assert names(graph, "target") == ["y"]
    assert names(graph, "parameter") == ["w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4", "w5", "b5"]
    assert names(graph, "activation")[-5:] == ["f", "u", "v", "z", "q"]
    assert names(graph, "loss") == ["loss"]
    assert graph.values["t1"].shape == (4, 32, 32, 3)
    assert graph.values["t1"].dtype == "float32"


def test_options_that_differ_from_their_defaults_are_recorded_by_name(weights):
    x = weights(1, 4, 4, 2)
    graph = ag.max_pool2d(x, 2, None, 0).sum((1, 2), keepdims=True).sum().graph()
    assert [op.options for op in graph.ops] == [{"kernel_size": "2"}, {"axis": "(1, 2)", "keepdims": "True"}, {}]


def test_plain_operands_are_options_too(weights):
    graph = (2 - weights(3)[1:] ** np.float64(2)).sum().graph()
    assert [op.options for op in graph.ops] == [{"index": "1:"}, {"y": "2.0"}, {"x": "2"}, {}]


def test_a_constant_of_another_library_is_an_array():
    class Frame:  # a DataFrame has no dtype
        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 3))

    graph = ag.trace(lambda x: (Frame() * x).sum(), np.ones((2, 3)))
    assert graph.loss == 6 and [v.shape for v in graph.values.values() if v.role == "constant"] == [(2, 3)]


def test_a_dtype_is_an_option(weights):
    x = weights(2)
    graph = np.concatenate([x, x.astype(x.dtype)], dtype=x.dtype).sum().graph()
    assert [op.options for op in graph.ops][:2] == [{"dtype": "float64"}, {"dtype": "float64"}]


def test_an_option_never_shows_an_address(weights):
    shaped = own("shaped", lambda x, by: by(x), x=lambda g: g)
    graph = shaped(weights(2), by=np.copy).sum().graph()
    other = shaped(weights(2), by=type("Shape", (), {"__call__": lambda self, x: x.copy()})()).sum().graph()
    assert graph.ops[0].options == {"by": "copy"}
    assert other.ops[0].options == {"by": "Shape"}


def test_the_place_is_the_users_line(cnn):
    op = cnn.graph().ops[0]
    assert (op.place.file, op.place.function) == ("conftest.py", "standard_cnn")
    lines = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8").splitlines()
    assert 'h = ag.conv2d(x, p["w1"]' in lines[op.place.line - 1]


def test_only_the_rules_that_run_are_recorded(cnn):
    graph = cnn.graph()
    first, second = graph.ops[0], graph.ops[3]
    assert [first.ports[p] for p in first.rules] == ["w", "b"]
    assert [second.ports[p] for p in second.rules] == ["x", "w", "b"]
    assert "x" in first.rules[1].needs


# Saved arrays


def kept(op):
    return [(k.label, k.nbytes, k.first) for k in op.kept]


def test_saved_arrays_have_bytes_and_shared_ones_name_the_first_operation(cnn):
    graph = cnn.graph()
    ops = graph.ops
    assert kept(ops[0]) == [("x", 49152, None)]
    assert kept(ops[1]) == [("r", 524288, None)]
    assert [label for label, _, _ in kept(ops[2])] == ["argmax_m"]
    assert kept(ops[3]) == [("m", 131072, None), ("w2", 73728, None)]
    assert kept(ops[9]) == []
    assert kept(ops[11]) == [("v", 4096, None)]
    assert kept(ops[12]) == [("v", 4096, "n12"), ("w5", 10240, None)]
    counted = [k for op in ops for k in op.kept if not k.first and not k.label.startswith("w")]
    assert graph.kept_bytes == sum(k.nbytes for k in counted)


def test_an_array_that_one_operation_needs_twice_is_saved_once(weights):
    h = weights(3) * 1.0
    graph = (h * h).sum().graph()
    assert kept(graph.ops[1]) == [("h", 24, None)]
    assert graph.kept_bytes == 24


def test_a_view_shares_the_memory_of_its_owner(weights):
    h = ag.exp(weights(4, 2))
    graph = (h.reshape(8) ** 2).sum().graph()
    assert kept(graph.ops[0]) == [("h", 64, None)]
    assert kept(graph.ops[2]) == [("reshape", 64, "n1")]


@pytest.mark.parametrize("door", ["graph", "trace"])
@pytest.mark.parametrize("view, new", [
    (lambda w: w.T, 0),
    (lambda w: w[:, ::-1].T[None, 1:].squeeze(0), 0),
    (lambda w: w.T.reshape(16)[:4].reshape(1, 4) + np.zeros((4, 1)), 128),
    (lambda w: w.T.reshape(2, 8).reshape(4, 4), 128),  # a copy: NumPy cannot see it otherwise
    (lambda w: w[[3, 2, 1, 0]], 128),
    (lambda w: w[:, np.array([0, 1])].T, 64),
])  # fmt: skip
def test_a_view_of_a_parameter_is_shared_and_a_copy_is_counted(weights, rng, door, view, new):
    w, x = weights(4, 4), np.ones((2, 4))

    def tied(x):
        v = view(w)
        return ((x @ w)[:, : len(v)] @ v).sum()

    graph = tied(x).graph() if door == "graph" else ag.trace(tied, x)
    assert graph.kept_bytes == x.nbytes + (x @ w.data).nbytes + new
    assert bool(graph.ops[-2].kept[-1].first) == (not new)


def test_after_backward_the_structure_is_the_same_and_the_saved_bytes_are_unknown(cnn):
    before = cnn.graph()
    cnn.backward()
    after = cnn.graph()
    assert before.kept_bytes > 0
    assert after.kept_bytes is None
    assert [op.kept for op in after.ops] == [None] * 15
    for op in before.ops:
        op.kept = None
    assert before == after


def test_arrays_in_one_index_stay_different_values_after_the_walk(weights):
    i, j = np.array([0, 1]), np.array([1, 2])
    loss = weights(3, 3)[i, j].sum()
    before = loss.graph().values
    loss.backward()
    assert loss.graph().values == before
    assert [v.name for v in before.values()] == ["x", "index", "index_2", "getitem", "loss"]


# Names


def test_a_value_is_named_after_its_tensor_then_the_variable_then_the_operation(weights):
    kernel, named = weights(3, 3), weights(3, name="layer.bias")
    hidden = ag.linear(np.ones((2, 3)), kernel, named)
    hidden.name = "code"
    squashed = ag.tanh(hidden)
    graph = ag.sum(ag.exp(squashed)).graph()
    assert names(graph) == ["linear_x", "kernel", "layer.bias", "code", "squashed", "exp", "loss"]


def test_trace_draws_the_names_that_the_function_gives(weights):
    def f(x):
        hidden = x * weights(3, name="w")
        hidden.name = "code"
        return ag.sum(ag.tanh(hidden))

    assert names(ag.trace(f, np.ones(3)), "activation") == ["code", "tanh"]


def test_names_are_unique(weights):
    h = weights(3)
    h = ag.exp(h)
    h = ag.tanh(h)
    h_2 = ag.sin(h)
    assert names(h_2.sum().graph()) == ["h", "h_2", "h_3", "h_2_2", "loss"]


def test_the_expression_itself_is_found_among_others_on_its_line(weights):
    w = {"first": weights(3), "second": weights(3)}
    # fmt: off
    a = w["first"] + 1.0; b = ag.exp(a) * w["second"]; b *= a  # noqa: E702
    c = (b
         .reshape(3, 1)
         .sum(axis=0))
    # fmt: on
    assert edges((c * 2).sum().graph()) == [
        ("add", [("x", "first")]),
        ("exp", [("x", "a")]),
        ("multiply", [("x", "exp"), ("y", "second")]),
        ("multiply", [("x", "b"), ("y", "a")]),
        ("reshape", [("x", "b_2")]),
        ("sum", [("x", "reshape")]),
        ("multiply", [("x", "c")]),
        ("sum", [("x", "multiply")]),
    ]


def test_names_need_neither_keyword_order_nor_positional_operands(weights):
    kernel, offset, parts = weights(3, 3), weights(3), [weights(2, 3), weights(2, 3)]
    first, second = parts
    out = ag.linear(b=offset, w=kernel, x=np.ones((2, 3)))
    joined = ag.concatenate([first, out, second])
    assert edges(joined.graph()) == [
        ("linear", [("x", "linear_x"), ("w", "kernel"), ("b", "offset")]),
        ("concatenate", [("tensors", "first"), ("tensors", "out"), ("tensors", "second")]),
    ]


def test_attributes_are_names_without_self(weights):
    class Net:
        def __init__(self):
            self.w = weights(2, 2)

        def run(self, x):
            self.out = ag.matmul(x, self.w)
            return self.out

    assert names(Net().run(np.ones((1, 2))).graph()) == ["x", "w", "out"]


def test_the_last_of_several_operations_in_one_call_gets_the_variables_name(weights, rng):
    layers = ag.nn.Sequential(ag.nn.Linear(3, 4, rng=rng, dtype=np.float64), ag.nn.ReLU())
    hidden = layers(weights(2, 3))
    thinned = ag.dropout(hidden, 0.5, rng)
    assert names(thinned.sum().graph(), "activation") == ["linear", "hidden", "thinned"]


def test_an_array_without_a_name_is_called_after_the_operation(weights):
    graph = ag.mse(weights(3) * np.ones(3), np.zeros(3)).graph()
    assert names(graph, "constant") == ["multiply_y"]
    assert names(graph, "target") == ["y"]


def test_a_modules_arguments_are_named_after_forwards(rng):
    graph = ag.trace(ag.nn.Linear(3, 4, rng=rng), np.ones((2, 3), np.float32))
    assert names(graph, "input", "parameter") == ["x", "w", "b"]


def test_without_source_the_operations_give_the_names(weights):
    scope = {"ag": ag, "w": weights(2)}
    exec("v = ag.exp(w)", scope)
    graph = scope["v"].sum().graph()
    assert names(graph) == ["x", "exp", "loss"]
    assert graph.ops[0].place.file == "<string>"


# trace and graph


def test_trace_names_arrays_after_the_parameters_and_lets_floats_require_gradients():
    calls = []

    def f(x, n, ws, **options):
        calls.append(type(n))
        return ag.sum(ws["a"] * x + ws["b"][0]) * n

    graph = ag.trace(f, np.ones(3), 2, {"a": np.ones(3), "b": [np.ones(3)]})
    assert calls == [int, int]  # nothing required a gradient: once more, with gradients
    assert names(graph, "input", "parameter") == ["ws.a", "x", "ws.b.0"]
    assert names(graph, "parameter") == ["ws.a", "ws.b.0"]
    assert [sorted(op.rules) for op in graph.ops] == [[0, 1], [0, 1], [0], [0]]


def test_trace_adds_no_gradient_to_inputs_if_something_else_learns(weights):
    w, calls = weights(3), []

    def f(x, y):
        calls.append(1)
        return ag.mse(x * w, y)

    graph = ag.trace(f, np.ones(3), np.zeros(3))
    assert len(calls) == 1
    assert names(graph, "input") == ["x"]
    assert names(graph, "target") == ["y"]
    assert sorted(graph.ops[0].rules) == [1]


def test_one_argument_used_twice_is_one_value(weights):
    w = weights(3)
    graph = ag.trace(lambda x: ag.sum(x * w + x), np.ones(3))
    assert edges(graph)[:2] == [("multiply", [("x", "x"), ("y", "w")]), ("add", [("x", "multiply"), ("y", "x")])]


def test_trace_draws_the_first_of_several_results_as_forward_only():
    graph = ag.trace(lambda x: (x * 2, x), np.ones(3))
    assert graph.loss is None
    assert repr(graph) == "Graph: 1 operation, multiply (3,)"


@pytest.mark.parametrize("fails", [False, True])
def test_trace_changes_nothing(weights, fails):
    w, x = weights(3), ag.Tensor(np.ones(3))
    w.sum().backward()
    before = w.grad
    values = w.data.copy()

    def f(x):
        y = ag.sum(w * x)
        if fails:
            raise KeyError("mine")
        return y

    for recording in (True, False):
        with in_mode(recording=recording):
            if fails:
                with pytest.raises(KeyError, match="mine"):
                    ag.trace(f, x)
            else:
                assert len(ag.trace(f, x).ops) == 2
            assert current.get().recording is recording
    assert w.grad is before
    np.testing.assert_array_equal(w.data, values)
    assert w.name is None and x.name is None and not x.requires_grad
    w.data[:] = 0  # no lock is left


@pytest.mark.filterwarnings("ignore:loss is nan")
@pytest.mark.parametrize("change", ["step", "in place", "anew", "never"])
def test_the_arrays_of_a_graph_are_those_that_the_function_had_before_it_changed_them(change):
    w, v = ag.Tensor([1.0, np.nan], True, "w"), ag.Tensor([1.0, 2.0], True, "v")
    optimiser = ag.optim.Adam([w], lr=0.1)

    def f():
        loss = (w * v).sum()
        loss.backward()
        if change == "in place":
            w.data -= [0.1, 0]
        elif change == "anew":
            w.data = w.data - [0.1, 0]
        elif change == "step":
            w.grad[1] = 0
            optimiser.step()
        return loss

    later = observed(f)[1]
    now = w.data.copy()
    w.data[...] = v.data[...] = 7  # after the trace
    graph = later()
    (given,) = (value.id for value in graph.values.values() if value.name == "w")
    assert graph.arrays[given][0] == 1 and now[0] == pytest.approx(1 if change == "never" else 0.9)


def test_a_leaf_is_a_graph_of_one_value(weights):
    graph = weights(3, name="w").graph()
    assert repr(graph) == "Graph: 0 operations, 3 parameters, w (3,)"


def test_a_checkpoint_is_one_operation(weights):
    w = weights(3)
    graph = ag.checkpoint(lambda t: ag.exp(ag.sin(t)), w).sum().graph()
    assert [op.name for op in graph.ops] == ["checkpoint of <lambda>", "sum"]


def test_a_trace_shows_the_operations_in_a_checkpoint(weights):
    w = weights(3)

    def f(x, checkpoint=lambda f, *args: f(*args)):
        gate = ag.tanh(x * w).detach()
        return ag.sum(checkpoint(lambda t: checkpoint(ag.sin, t * gate) * t, x * w))

    graph, plain = ag.trace(f, np.ones(3), ag.checkpoint), ag.trace(f, np.ones(3))
    assert graph.program().source == plain.program().source and graph.kept_bytes == plain.kept_bytes
    outer = "checkpoint of <lambda>"
    assert [".".join(scope.path for scope in op.scopes) for op in graph.ops[3:]] == [
        outer, f"{outer}.checkpoint of sin", outer, ""
    ]  # fmt: skip


def test_the_variable_of_a_transform_is_named_after_the_argument_and_its_seed_seed():
    graph = ag.trace(ag.grad(ag.grad(lambda x: ag.sin(x) * x)), 1.3)
    assert [op.name for op in graph.ops[:2]] == ["alias", "alias"]
    assert [graph.values[op.output].name for op in graph.ops[:2]] == ["x_2", "x_2_2"]
    assert names(graph, "input") == ["x", "seed", "seed_2"]


def test_a_recorded_walk_can_be_drawn(weights):
    w = weights(3)
    g = (w**3).sum().gradient(w, create_graph=True)
    graph = (g * g).sum().graph()
    assert {op.place.file for op in graph.ops} == {"test_trace.py"}
    graph.svg()


def test_importing_the_package_imports_nothing_of_graph(python):
    program = """
import sys, autograd_cnn as ag
assert not [m for m in sys.modules if m.startswith(("autograd_cnn.studio", "graphviz", "matplotlib"))]
x = ag.Tensor(2.0, requires_grad=True)
text = (x * x).graph().svg()
assert not [m for m in sys.modules if m.startswith(("graphviz", "matplotlib"))]
print(len(text) > 1000)
"""
    assert python(program) == "True\n"
