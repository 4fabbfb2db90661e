"""Scopes, folding and depth: a row that is drawn once stands for equal repetitions, and nothing is lost."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.mode import current
from autograd_cnn.studio.picture.fold import READABLE, Folding
from autograd_cnn.studio.picture.ladder import ladder
from autograd_cnn.studio.picture.svg import written
from studio.overlaps import overlaps
from studio.pages import facts_of

FOLDABLE = ["cnn", "blocks", "recurrent", "nested", "two ways out", "residual", "hub"]


def folded(graph, depth=None):
    return Folding(graph).view(depth)


def paths(graph):
    return [".".join(f"{s.path}#{s.instance}" for s in op.scopes) for op in graph.ops]


def labels(graph, depth=None):
    return [frame.label for frame in folded(graph, depth).frames]


def rows(graph, depth=None):
    return [op.name for op in folded(graph, depth).graph.ops]


# Scopes


class Twice(ag.nn.Module):
    def __init__(self, rng):
        self.layer = ag.nn.Linear(3, 3, rng=rng)

    def forward(self, x):
        return self.layer(self.layer(x) * 2)


@pytest.mark.parametrize("door", ["graph", "trace"])
def test_a_module_is_a_scope_and_a_module_called_twice_is_two(rng, door):
    model, x = Twice(rng), np.ones((2, 3), np.float32)
    graph = model(x).sum().graph() if door == "graph" else ag.trace(lambda x: model(x).sum(), x)
    assert paths(graph) == ["layer#1", "", "layer#2", ""]


def test_scopes_nest_and_end_when_they_fail(weights):
    w = weights(3)
    with ag.scope("outer"):
        with pytest.raises(KeyError), ag.scope("inner"):
            raise KeyError("mine")
        h = w * 2
        with ag.scope("inner"):
            h = ag.tanh(h)
    assert current.get().scope is None
    assert paths((h * 1).sum().graph()) == ["outer#1", "outer#1.inner#1", "", ""]


def test_a_module_that_fails_under_trace_fails_with_its_own_error_and_leaves_no_scope(rng):
    class Faulty(ag.nn.Module):
        def __init__(self):
            self.inner = Twice(rng)

        def forward(self, x):
            return self.inner(x)

    model = Faulty()
    with pytest.raises(ValueError, match=r"w inner.layer.w \(3, 3\)"):
        ag.trace(model, np.ones((2, 4), np.float32))
    assert current.get().changes == ()


def test_operations_without_a_gradient_have_scopes_too(weights):
    def f(x, w):
        with ag.scope("ready"):
            x = ag.exp(x)
        return ag.sum(x * w)

    assert paths(ag.trace(f, np.ones(3), weights(3))) == ["ready#1", "", ""]


# Repetition


def test_blocks_of_one_class_are_drawn_once_and_counted(models):
    graph = models["blocks"]
    assert rows(graph) == [op.name for op in graph.ops]  # short enough
    assert labels(graph) == ["Block blocks.0", "Block blocks.1", "Block blocks.2"]
    assert labels(graph, 1) == ["×3 Block blocks.0-2"]
    assert rows(graph, 1) == ["conv2d", "conv2d", "relu", "conv2d", "add", "relu", "mean", "linear", "mse"]
    assert rows(graph, 0) == ["conv2d", "×3 Block blocks.0-2", "mean", "linear", "mse"]
    assert folded(graph).all_at == 2


def test_a_loop_is_drawn_once_and_counted(models):
    graph = models["recurrent"]
    loop, *others = rows(graph, 0)
    assert re.fullmatch(r"×12 loop conftest.py:\d+-\d+", loop) and others == ["stack", "mean"]
    assert labels(graph, 1) == [loop]
    assert labels(graph, 2) == [loop, "cell"]
    assert labels(graph, 3) == ["cell", *(f"cell ({i})" for i in range(2, 13))]


def test_inner_loops_are_folded_inside_outer_ones(models):
    loops = [re.sub(r"\S+:\d\S+ ", "", label) for label in labels(models["nested"], 2)]
    assert loops == ["×3 loop w_7 … w_19", "×5 loop w_2 … w_6"]


def test_the_first_round_is_drawn_separately_if_it_has_no_gradient(weights):
    w = weights(3, 3)

    def f(x):
        for _ in range(6):
            x = ag.tanh(x @ w)
        return ag.sum(x)

    found = rows(ag.trace(f, np.ones((2, 3))), 0)
    assert [re.sub(r" \S+:\S+", "", name) for name in found] == ["matmul", "tanh", "×5 of 6", "sum"]
    rounds = Folding(ag.trace(f, np.ones((2, 3)))).rounds()
    assert list(rounds.values()) == [f"round {k} of 6" for k in range(1, 7) for _ in "ab"]


@pytest.mark.parametrize("other", ["line", "shape", "wiring"])
def test_operations_that_differ_are_not_folded(weights, other):
    w = weights(4, 4)
    h = [w]
    if other == "line":
        h.append(ag.exp(h[-1]))
        h.append(ag.exp(h[-1]))
        h.append(ag.exp(h[-1]))
    elif other == "shape":
        for size in (4, 3, 2):
            h.append(h[-1][:size])
    else:
        for i in range(2):
            h.append(ag.exp(h[-1]))
            h.append(ag.sin(h[-1] if i else h[-2]))
    graph = h[-1].sum().graph()
    assert rows(graph, 0) == [op.name for op in graph.ops]


def test_a_loop_ends_where_its_wiring_changes(weights):
    h = [weights(3)]
    for i in range(6):
        h.append(ag.sin(h[-1] if i < 5 else h[0]))
    found = rows((h[-1] + h[-2]).sum().graph(), 0)
    assert re.sub(r" \S+:\S+", "", found[0]) == "×5 loop" and found[1:] == ["sin", "add", "sum"]


def test_two_operations_on_one_line_are_no_loop(weights):
    a, b, c = weights(2), weights(2), weights(2)
    assert rows((a + b + c).sum().graph(), 0) == ["add", "add", "sum"]


# Nothing is lost


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("name", FOLDABLE)
def test_closed_rows_add_up_to_the_whole(models, name, depth):
    graph, view = models[name], folded(models[name], depth)
    made = {op.output for op in view.graph.ops}
    for op in view.graph.ops:
        for port, v in op.inputs:
            assert v in view.graph.values and port < len(op.ports)
            assert v in made or v[0] in "pi" or v not in {o.output for o in graph.ops}, "made nowhere"
        kept = [k.nbytes for o in op.parts for k in o.kept if k.first is None and graph.counted(k)]
        assert not op.parts or sum(k.nbytes for k in op.kept) == sum(kept)
        several = [graph.values[v] for o in op.parts for _, v in o.inputs if graph.values[v].role == "parameter"]
        sizes = {v.id: v.size for v in several}
        assert not op.parts or sum(sizes.values()) == sum(
            view.graph.values[v].size for _, v in op.inputs if view.graph.values[v].role == "parameter"
        )
    if depth == 0 and name != "hub":  # every operation is in one row
        assert sum(len(op.parts) or 1 for op in view.graph.ops) == len(graph.ops)
    assert view.graph.result in made


def test_all_operations_are_drawn_at_the_depth_that_the_caption_names(models):
    for name in FOLDABLE:
        graph = models[name]
        short = ladder(graph, 0).caption
        if found := re.search(r"in (\d+) rows, depth=(\d+) draws all", short):
            assert len(folded(graph, 0).graph.ops) == int(found[1])
            assert [op.id for op in folded(graph, int(found[2])).graph.ops] == [op.id for op in graph.ops]
            assert len(folded(graph, int(found[2]) - 1).graph.ops) < len(graph.ops)
        else:
            assert len(folded(graph, 0).graph.ops) == len(graph.ops)


def test_parameters_have_a_short_name_in_their_frame_and_the_whole_name_in_the_tooltip(models):
    boxes = ladder(models["blocks"]).boxes
    chips = [(box.text, box.title) for box in boxes if box.kind == "parameter" and not box.back]
    assert [text for text, _ in chips if text.endswith("w")] == ["stem.w", *["conv1.w", "conv2.w"] * 3, "fc.w"]
    assert "parameter blocks.2.conv2.w (3, 3, 4, 4) float32, 144 elements" in [title for _, title in chips]


def test_a_parameter_of_several_frames_keeps_its_whole_name(weights):
    names = [f"encoder.{letter}" for letter in "abcdefgh"]
    tied, y = [weights(2, name=name) for name in names], weights(2, name="y")
    for scope in ("encoder", "decoder"):
        with ag.scope(scope):
            for w in tied:
                y = y * w
    chips = [box.text for box in ladder(y.sum().graph()).boxes if box.kind == "parameter" and not box.back]
    assert chips == ["y", *names, *names]


def test_uses_that_are_not_drawn_are_counted(models):
    chips = {box.text: box.beside for box in ladder(models["nested"], 2).boxes if box.kind == "parameter"}
    assert chips["v"] == "(3,3) used 15×"


def test_saved_arrays_have_the_names_that_are_drawn(weights):
    w, h = weights(3, 3, name="w"), weights(2, 3, name="h")
    for _ in range(6):
        h = ag.tanh(h @ w)
    graph = (h * h).sum().graph()
    drawn = folded(graph, 1).graph
    product = drawn.ops[-2]
    assert {drawn.values[v].name for _, v in product.inputs} == {"h_7"}
    assert [wire.texts for wire in ladder(graph, 1).wires if wire.kind == "kept"][-1][0][0] == "h_7 (shared)"


@pytest.mark.parametrize("depth", [0, 1])
def test_a_value_that_leaves_a_loop_has_its_name_from_the_last_round(weights, depth):
    w, x = weights(3, 3, name="w"), weights(6, 2, 3, name="x")
    h, states = weights(2, 3, name="h"), []
    for t in range(6):
        h = ag.tanh(x[t] + h @ w)
        states.append(h)

    def inputs(result):
        view = folded(result.sum().graph(), depth)
        whole = [view.graph.values[v].name for _, v in view.graph.ops[-2].inputs]
        return whole, [frame.label.partition(": ")[2] for frame in view.frames]

    last, frames = inputs(h * 2)
    assert last == ["h_7"] and frames == ["h_2 … h_7"] * depth
    assert inputs(ag.stack(states)) == (["h_2 … h_7"], [""] * depth)
    assert inputs(h + states[2])[0] == ["h_4 … h_7"]


def test_every_operation_of_a_loop_knows_its_round(models, weights):
    w, h = weights(3, 3), weights(2, 3)
    for _ in range(12):
        h = ag.tanh(h @ w)
    graph = ag.mean(h).graph()
    rounds = Folding(graph).rounds()
    assert [rounds.get(op.id) for op in graph.ops[:3]] == ["round 1 of 12", "round 1 of 12", "round 2 of 12"]
    assert [rounds.get(op.id) for op in graph.ops[-2:]] == ["round 12 of 12", None]
    assert "round 3 of 3, round 5 of 5" in Folding(models["nested"]).rounds().values()
    assert set(Folding(models["blocks"]).rounds().values()) == {f"Block blocks.{k}" for k in range(3)}
    told = [step["round"] for step in facts_of(graph.page())["frames"][0]["steps"] if "round" in step]
    assert told.count("round 2 of 12") == 4  # matmul and tanh, forward and back
    assert len(told) == 48


@pytest.mark.parametrize("kind", ["own", "layer"])
def test_the_rounds_of_a_cell_are_those_of_the_loop_and_its_states_may_begin_as_constants(rng, kind):
    class Own(ag.nn.Module):
        def __init__(self):
            self.x, self.h = ag.nn.Linear(3, 3, rng=rng), ag.nn.Linear(3, 3, rng=rng)

        def forward(self, x, state):
            c = state[1] * 0.5 + self.x(x)
            return ag.tanh(c + self.h(state[0])), c

    cell = Own() if kind == "own" else ag.nn.LSTMCell(3, 3, rng=rng)

    def f(x):
        h = c = np.zeros((2, 3), np.float32)
        t = 0
        while t < 5:
            h, c = cell(x[:, t], (h, c))
            t += 1
        return h.sum()

    graph = ag.trace(f, np.ones((2, 5, 3), np.float32))
    *told, last = [Folding(graph).rounds().get(op.id) for op in graph.ops]
    lengths = [6, 7, 7, 7, 7] if kind == "own" else [21] * 5  # a constant is multiplied in the first round
    assert last is None and told == [f"round {k + 1} of 5" for k, length in enumerate(lengths) for _ in range(length)]


def test_a_function_that_is_called_several_times_has_no_rounds(weights):
    def half(x, w):
        return ag.tanh(x @ w) * 0.5

    def f(x, v, w):
        return (half(x, v) * half(x, w)).sum()

    assert Folding(ag.trace(f, *(weights(2, 2) for _ in range(3)))).rounds() == {}


def test_no_wire_runs_through_the_label_of_a_frame(weights):
    w, x, h = weights(3, 3), weights(6, 2, 3), weights(2, 3)
    for t in range(6):
        h = ag.tanh(x[t] + h @ w)
    picture = ladder(h.sum().graph(), 1)
    (frame,) = picture.frames
    assert frame.text and not overlaps(written(picture))


def test_a_closed_scope_has_one_way_out_for_all_its_results(models):
    view = folded(models["two ways out"], 0)
    encoder, decoder, *_ = view.graph.ops
    assert view.graph.values[encoder.output].name == "h … k" and [v for _, v in decoder.inputs] == [encoder.output]


def test_operations_without_repetition_are_all_drawn_while_they_fit(weights):
    scope = {"y": weights(2), "ag": ag}
    exec(compile("y = ag.tanh(y)\n" * 100, "generated.py", "exec"), scope)
    assert rows(scope["y"].sum().graph()) == ["tanh"] * 100 + ["sum"]


def test_the_edges_of_unrolled_steps_become_one(models):
    stack = next(op for op in folded(models["recurrent"], 0).graph.ops if op.name == "stack")
    assert len(stack.inputs) == 1


def test_a_long_program_on_generated_lines_is_shown_from_both_ends(weights):
    scope = {"y": weights(2), "ag": ag}
    exec(compile("y = ag.tanh(y)\n" * 1200, "generated.py", "exec"), scope)
    graph = scope["y"].sum().graph()
    found = rows(graph)
    assert len(found) == READABLE and found[19] == "… 1,162 operations"
    assert [box.below for box in ladder(graph).boxes if box.text == found[19]] == ["generated.py:20", "for tanh_19"]
    with pytest.raises(ValueError, match=r"1,201 rows are too many for \.svg"):
        graph.svg(depth=0)


def test_an_unrolled_network_of_400_steps_fits_a_page_and_unfolded_has_a_chip_for_each_use(weights):
    w, h = weights(3, 3, name="w"), weights(2, 3)
    for _ in range(400):
        h = ag.tanh(h @ w)
    graph = h.sum().graph()
    assert len(ladder(graph).boxes) < 15
    chips = [box for box in ladder(graph, 2).boxes if box.text == "w"]
    assert len(chips) == 400 and {box.beside for box in chips} == {"(3,3) used 400×"}


@pytest.mark.parametrize("training", [True, False])
def test_blocks_in_a_sequence_have_their_class_and_batch_norm_is_one_row(training):
    class Block(ag.nn.Module):
        def __init__(self):
            self.conv, self.norm = ag.nn.Conv2d(2, 2, 3, padding=1), ag.nn.BatchNorm2d(2)

        def forward(self, x):
            return ag.relu(self.norm(self.conv(x)))

    model = ag.nn.Sequential(Block(), ag.nn.Flatten(), ag.nn.Linear(32, 2)).train(training)
    graph = ag.trace(lambda x: ag.sum(model(x)), np.ones((3, 4, 4, 2), np.float32))
    assert labels(graph) == ["Block 0"]
    assert rows(graph, 0) == ["Block 0", "flatten", "linear", "sum"]
    assert rows(graph, 1) == ["conv2d", "batch_norm", "relu", "flatten", "linear", "sum"]


def test_a_closed_scope_of_any_name_says_how_many_operations_it_has(weights):
    with ag.scope("operations"):
        h = ag.sin(ag.tanh(weights(2, name="w")))
    boxes = {box.id: box for box in ladder(h.sum().graph(), 0).boxes}
    assert (boxes["n1"].text, boxes["n1"].below) == ("operations", "2 operations")
    assert [box.text for box in boxes.values() if box.kind == "parameter" and not box.back] == ["w"]
