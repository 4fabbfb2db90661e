"""Overlays: every number equals that of NumPy, or of a separate backward pass."""

import itertools
import math
import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.picture import overlays
from autograd_cnn.studio.picture.ladder import ladder
from autograd_cnn.studio.picture.styles import LIGHT, fill
from autograd_cnn.studio.program.measure import Measures, flops, measure
from studio.programs import own

TRACED = [
    "residual", "hub", "branches", "dense", "square", "data first", "many inputs", "blocks", "recurrent", "nested",
    "detached", "second derivative",
]  # fmt: skip


def rms(array):
    return math.sqrt(np.mean(np.square(np.asarray(array, np.float64))))


def below(graph, overlay, depth=None):
    """Second lines of the boxes, forward and backward."""
    boxes = ladder(graph, depth, overlay).boxes
    return tuple([b.below for b in boxes if b.kind == kind and b.id[0] in "nr"] for kind in ("op", "rule"))


@pytest.mark.parametrize("name", TRACED)
def test_gradients_are_those_of_the_program(models, name):
    graph = models[name]
    found, (_, gradients) = measure(graph), graph.program().run()
    leaves = {v.name: v.id for v in graph.values.values()}
    assert gradients
    for leaf, g in gradients.items():
        assert found.gradients[leaves[leaf]].rms == pytest.approx(rms(g), rel=1e-6)


def test_values_and_gradients_of_a_small_network_by_hand():
    x, w = np.array([[1.0, -2.0], [3.0, -4.0]]), np.array([1.0, 1.0])
    graph = ag.trace(lambda x, w: ag.sum(ag.relu(x * w)), x, w)
    assert below(graph, "zeros")[0] == ["0 % zero", "50 % zero: 1 of 2 dead", "0 % zero"]
    assert below(graph, "zeros")[1] == ["50 % zero: arriving g", "0 % zero: arriving g", "0 % zero: arriving g"]
    assert below(graph, "gradient")[1] == ["rms of g 7.1e-01", "rms of g 1.0e+00", "rms of g 1.0e+00"]
    pictured = ladder(graph, overlay="gradient")
    assert [b.beside for b in pictured.boxes if b.text == "g_w"] == ["2.8e+00"]  # of (4, 0)
    assert ladder(graph, overlay="zeros").caption.endswith("1 dead channels (0 in the whole batch)")
    still = ag.trace(lambda x: ag.sum(ag.tanh(x) * 0.0), x)
    assert ladder(still, overlay="gradient").caption.endswith("rms of gradients, 1.0e+00 to 1.0e+00")


def test_a_maximum_pool_is_measured_with_the_by_product_that_it_was_recorded_with(rng, weights):
    w = weights(3, 3, 1, 2, name="w")
    graph = ag.trace(lambda x: ag.sum(ag.max_pool2d(ag.conv2d(x, w), 2)), rng.normal(size=(2, 6, 6, 1)))
    with ag.no_grad():
        found = measure(graph, 1)
    _, gradients = graph.program().run()
    assert found.gradients[graph.ops[0].inputs[1][1]].rms == pytest.approx(rms(gradients["w"]))
    assert sum(ms > 0 for ms in found.forward.values()) == 3


def test_operations_of_a_convolution_are_counted(models):
    graph = models["cnn"]
    product = 2 * (4 * 16 * 16 * 64) * (3 * 3 * 32)
    assert flops(graph, graph.ops[3]) == (product, 2 * product + 4 * 16 * 16 * 64)  # the bias is an addend
    assert [side[3] for side in below(graph, "flops")] == ["37.7 MFLOP", "75.6 MFLOP"]


@pytest.mark.parametrize(("f", "shapes", "count"), [
    (lambda x, y: x @ y, [(2, 3), (3, 4)], 2 * 2 * 3 * 4),
    (lambda x, y: ag.linear(x, y), [(5, 2, 3), (3, 4)], 2 * 5 * 2 * 3 * 4),
    (lambda x, y: ag.einsum("bij,bjk->bik", x, y), [(5, 2, 3), (5, 3, 4)], 2 * 5 * 2 * 3 * 4),
    (lambda x, w: ag.conv2d(x, w, groups=2), [(1, 5, 5, 4), (3, 3, 2, 6)], 2 * 9 * 6 * 18),
    (lambda x, w: ag.conv_transpose2d(x, w), [(1, 3, 3, 6), (3, 3, 4, 6)], 2 * 9 * 6 * 9 * 4),
    (lambda x, y: x + y, [(2, 3), (3,)], 6),
    (lambda x, y: ag.stack([x, y]), [(2,), (2,)], 0),
    (lambda x, y: ag.sum(x), [(2, 3), (1,)], 6),
])  # fmt: skip
def test_operations_by_hand(rng, f, shapes, count):
    graph = ag.trace(f, *(rng.normal(size=shape) for shape in shapes))
    assert flops(graph, graph.ops[0]) == (count, count * len(graph.ops[0].rules))


def test_a_primitive_of_the_user_is_counted_as_it_declares(weights):
    @ag.primitive(
        flops=lambda out_shape, parts_shape, x_shape, times: times * sum(map(len, parts_shape)) + len(x_shape)
    )
    def mixed(x, parts, times=5):
        return x * times + sum(parts)

    mixed.vjp(x=lambda g, parts: g, parts=lambda g, position: g)
    x, parts = weights(4, 3), [weights(4, 3), np.ones(3)]
    graph = ag.sum(mixed(x, parts, times=7)).graph()
    count = 7 * (2 + 1) + 2
    assert flops(graph, graph.ops[0]) == (count, count + 12)  # `parts` only adds: its rule passes g on
    assert below(graph, "flops")[0][0] == "23 FLOP"


def test_rules_have_the_declared_count_if_none_takes_another_input(weights):
    wave = own("wave", lambda x: np.fft.ifft(np.fft.fft(x)).real, {"flops": lambda x_shape: 100}, x=lambda g: g)
    graph = ag.sum(wave(weights(8))).graph()
    assert flops(graph, graph.ops[0]) == (100, 100)


def test_a_primitive_of_the_user_that_moves_elements_has_no_operations_and_shares_memory(weights):
    turned = own("turned", lambda x: x[::-1], {"moves": True}, x=lambda g: g[::-1])
    w = weights(3, name="w")
    graph = (turned(w) * ag.Tensor(np.ones(3), requires_grad=True)).sum().graph()
    assert flops(graph, graph.ops[0]) == (0, 0)
    assert below(graph, "flops")[0][0] == "0 FLOP"
    (lent,) = [k for k in graph.ops[1].kept if k.label == "turned"]
    assert lent.first == graph.ops[0].inputs[0][1]


def test_joined_parameters_have_memory_of_their_own(weights):
    w = weights(3, name="w")
    graph = (ag.concatenate([w]).reshape(3, 1) ** 2).sum().graph()
    assert [(k.label, k.first) for k in graph.ops[2].kept] == [("reshape", None)]


def test_a_primitive_of_the_user_that_rectifies_has_dead_channels():
    cut = own("cut", lambda x: x * (x > 0), {"rectifies": True}, x=lambda g, out: g * (out > 0))
    graph = ag.trace(lambda x: ag.sum(cut(x * 1.0)), np.array([[1.0, -2.0], [3.0, -4.0]]))
    assert below(graph, "zeros")[0][1] == "50 % zero: 1 of 2 dead"
    assert ladder(graph, overlay="zeros").caption.endswith("1 dead channels (0 in the whole batch)")


def test_a_module_that_is_called_relu_has_no_dead_channels_while_it_is_closed():
    def f(x):
        with ag.scope("relu"):
            h = ag.relu(x) * 1.0
        return ag.sum(ag.relu(h))

    graph = ag.trace(f, np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert below(graph, "zeros", 0)[0][:2] == ["50 % zero", "50 % zero: 1 of 2 dead"]


def test_a_closed_row_has_the_sum_of_its_operations(models):
    graph = models["blocks"]
    whole = sum(flops(graph, op)[0] for op in graph.ops)
    overlaid = ladder(graph, 0, "flops")
    assert f"forward {whole / 1000:.3g} kFLOP" in overlaid.caption
    blocks = next(box for box in overlaid.boxes if box.text == "×3 Block blocks.0-2")
    parts = sum(flops(graph, op)[0] for op in graph.ops if op.scopes and "blocks" in op.scopes[0].path)
    assert blocks.below == f"{parts / 1000:.3g} kFLOP"


def test_bytes_are_those_of_the_rungs(models):
    forward, _ = below(models["cnn"], "bytes")
    assert forward[:4] == ["keeps 49 kB", "keeps 524 kB", "keeps 33 kB", "keeps 131 kB"]
    assert forward[9] == "keeps nothing new"


def test_time_is_measured_once_and_drawn_the_same_each_time(rng):
    graph = ag.trace(lambda x, w: ag.sum(ag.tanh(x @ w)), np.ones((2, 3)), rng.normal(size=(3, 4)), repeat=2)
    assert graph.svg(overlay="time") == graph.svg(overlay="time")
    forward, backward = below(graph, "time")
    assert all(re.match(r"[\d.]+ [um]s", text) for text in (*forward, *backward))
    assert all(0 <= box.bar <= 1 for box in ladder(graph, overlay="time").boxes if box.bar is not None)


def test_forward_only_operations_have_times_too(weights):
    graph = ag.trace(lambda x, w: x @ w, np.ones((2, 3)), weights(3, 4), repeat=1)
    assert re.fullmatch(r"[\d.]+ [um]s", below(graph, "time")[0][0])
    assert ladder(graph, overlay="time").caption.endswith(", backward 0 us")


def test_bars_of_both_ways_have_one_scale():
    graph = ag.trace(lambda x: ag.sum(ag.tanh(x)), np.ones(3))
    for there, back in (2.0, 8.0), (8.0, 2.0):
        graph.measured = Measures({"n1": there, "n2": 1.0}, {"n1": back, "n2": 4.0})
        picture = ladder(graph, overlay="time")
        found = {box.id: (box.below, box.bar) for box in picture.boxes if box.bar is not None}
        assert found["n1"] == (f"{there} ms", there / 8) and found["r1"] == (f"{back} ms", back / 8)
        assert found["n2"] == ("1.0 ms", 0.125) and found["r2"] == ("4.0 ms", 0.5)
    assert picture.caption.endswith("forward 9.0 ms, backward 6.0 ms")


def test_the_shortest_time_counts(monkeypatch):
    ticks = itertools.cycle([0, 5, 5, 8, 8, 12])  # three calls: 5, 3 and 4 s
    monkeypatch.setattr("autograd_cnn.studio.program.measure.perf_counter", lambda: next(ticks))
    found = measure(ag.trace(lambda x: ag.sum(ag.tanh(x)), np.ones(3)), 3)
    assert found.forward == {"n1": 3000, "n2": 3000} and found.rules == {"n1": 3000, "n2": 3000}


@pytest.mark.parametrize(("write", "number", "text"), [
    ("_ms", 0.0041, "4.1 us"), ("_ms", 0.012, "0.012 ms"), ("_ms", 5, "5.0 ms"),
    ("_ms", 9.96, "10 ms"), ("_ms", 28.4, "28 ms"),
    ("_flop", 0, "0 FLOP"), ("_flop", 999, "999 FLOP"), ("_flop", 999_600, "1 MFLOP"),
    ("_flop", 2.5e9, "2.5 GFLOP"),
])  # fmt: skip
def test_numbers_are_short(write, number, text):
    assert getattr(overlays, write)(number) == text


def test_the_time_of_a_rule_includes_the_sum_over_broadcast_axes(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr("autograd_cnn.studio.program.measure.perf_counter", ticks.__next__)  # a second each
    graph = ag.trace(lambda x, b: ag.sum(x + b), np.ones((4, 3)), np.ones(3))
    assert measure(graph, 1).rules["n1"] == 1000 + 2000


def test_a_joint_rule_is_counted_once(rng, weights):
    w, b = weights(3, name="w"), weights(3, name="b")
    graph = ag.trace(lambda x: ag.sum(ag.batch_norm(x, w, b)), rng.normal(size=(8, 3)))
    norm = next(op for op in graph.ops if op.name == "batch_norm")
    assert flops(graph, norm) == (24, 24)


def test_only_rectifiers_have_dead_channels():
    graph = ag.trace(lambda x: ag.sum(ag.tanh(x)), np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert below(graph, "zeros")[0][0] == "50 % zero"
    assert ladder(graph, overlay="zeros").caption.endswith("0 dead channels (0 in the whole batch)")


def test_the_first_infinite_gradient_is_the_first_on_the_way_back():
    graph = ag.trace(lambda x: ag.sum(ag.sqrt(x * 2.0) * 3.0), np.array([0.0, 1.0]))
    picture = ladder(graph, overlay="gradient")
    assert picture.caption.endswith("first nan or inf in the gradient of multiply")
    assert [(box.below, box.bar) for box in picture.boxes if box.id == "r1"] == [("1 nan or inf", 1.0)]


def test_the_first_nan_is_named():
    with np.errstate(invalid="ignore"):
        graph = ag.trace(lambda x: ag.sum(ag.log(x - 1.0) * 2.0), np.array([0.0, 2.0, 3.0]))
    assert "first nan or inf in log, test_overlays.py" in ladder(graph, overlay="gradient").caption
    assert below(graph, "zeros")[0][1:] == ["1 nan or inf", "1 nan or inf", "1 nan or inf"]


@pytest.fixture
def overlaid(models):
    """The boxes of an overlay with all steps of the ramp, and its graph."""
    graph = models["cnn"]
    picture = ladder(graph, overlay="flops")
    assert {"heat0", "heat4"} < {fill(box) for box in picture.boxes if box.bar is not None}
    return graph, [box for box in picture.boxes if box.bar is not None]


def test_svg_draws_the_ramp_and_bars_that_can_be_seen(overlaid, drawn):
    graph, boxes = overlaid
    found = [e.get("class") for e in drawn(graph.svg(overlay="flops")).iter() if e.get("class")]
    assert [kind.split()[-1] for kind in found if "heat" in kind] == [fill(box) for box in boxes]
    assert found.count("bar") == sum(box.bar * (box.width - 12) >= 1 for box in boxes) < len(boxes)


def test_dot_draws_the_ramp(overlaid):
    graph, boxes = overlaid
    fills = dict(re.findall(r'^"(\w+)" \[.*fillcolor="(#\w+)"', graph.dot(overlay="flops"), re.M))
    assert [fills[box.id] for box in boxes] == [LIGHT[fill(box)] for box in boxes]
