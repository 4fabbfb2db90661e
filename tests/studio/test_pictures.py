"""The pictures: well-formed, true to the graph, legible, the same in every run, and safe with any name."""

import re
from itertools import pairwise

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.picture.ladder import ladder
from autograd_cnn.studio.picture.layout import wide
from autograd_cnn.studio.picture.svg import written
from autograd_cnn.studio.text import bytes_text, listed
from studio.overlaps import overlaps

MODELS = [
    "cnn", "residual", "hub", "branches", "dense", "square", "matrix", "data first", "leaf", "many inputs", "detached",
    "second derivative",
]  # fmt: skip
FOLDED = [
    *((name, None, None) for name in MODELS), ("blocks", None, None), ("blocks", 0, None), ("blocks", 1, None),
    ("blocks", 1, "gradient"), ("recurrent", None, None), ("recurrent", 0, None), ("recurrent", 9, None),
    ("nested", None, None), ("nested", 1, None), ("two ways out", 0, None), ("two ways out", None, "flops"),
    ("cnn", None, "bytes"),
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def wires(root, kind):
    return [p for p in root.iter(f"{SVG}path") if p.get("class") == f"wire {kind}"]


def texts(root):
    return ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]


def edges_with_rule(graph):
    return sum(port in op.rules for op in graph.ops for port, _ in op.inputs)


@pytest.fixture(params=MODELS)
def graph(request, models):
    return models[request.param]


@pytest.fixture(params=FOLDED, ids="{0[0]}-{0[1]}-{0[2]}".format)
def picture(request, models):
    name, *how = request.param
    return ladder(models[name], *how)


# True to the graph


def test_every_edge_is_a_wire_down_and_where_a_rule_runs_a_wire_up(graph, drawn):
    root = drawn(graph.svg())
    assert len(wires(root, "forward")) == sum(len(op.inputs) for op in graph.ops) + bool(graph.ops)
    assert len(wires(root, "backward")) == (0 if graph.loss is None else edges_with_rule(graph) + 2)


def test_dot_has_the_same_edges(graph, edges_of):
    made = {op.output: op.id for op in graph.ops}
    expected = [(made.get(v, v), op.id) for op in graph.ops for _, v in op.inputs]
    expected += [(graph.ops[-1].id, graph.result)] if graph.ops else []
    # a chip is called after its value, its operation and its port
    edges = edges_of(graph.dot())
    assert sorted((tail.split("_")[0], head) for tail, head, style in edges if style == "solid") == sorted(expected)
    back = sum(style == "dashed" for *_, style in edges)
    assert back == (0 if graph.loss is None else edges_with_rule(graph) + 2)


def test_a_shared_parameter_is_a_chip_at_every_use(models, drawn):
    shown = texts(drawn(models["hub"].svg()))
    assert shown.count("w (8,8) used 5×") == 5
    assert shown.count("g_w") == 5
    assert texts(drawn(models["residual"].svg())).count("w (3,3,4,4) used 2×") == 2


def test_the_cnn_has_its_names_shapes_and_sizes(models, drawn):
    graph = models["cnn"]
    shown = texts(drawn(graph.svg()))
    assert shown[0] == f"15 operations · 620,362 parameters · keeps 1.3 MB · loss {graph.loss:.4g}"
    for text in (
        "conv2d padding=1", "max_pool2d kernel_size=2", "x (4,32,32,3) float32", "w4 (2048,256)", "y (4,10)",
        f"loss {graph.loss:.4g}", "rule of conv2d", "for w1, b1", "for m, w2, b2", "x 49 kB", "m 131 kB", "w2",
        "argmax_m 33 kB", "v (shared)", "w5", "q (shared)", "y 160 B", "g_loss = 1", "h", "(4,32,32,32)", "g_h",
    ):  # fmt: skip
        assert text in shown, text
    assert "g_x" not in shown


def test_tooltips_have_the_full_text(models):
    titles = {box.id: re.sub(r":\d+", "", box.title) for box in ladder(models["cnn"]).boxes}
    assert titles["t1"] == "input x (4, 32, 32, 3) float32, 12,288 elements"
    assert titles["n4"] == "h_2 = conv2d(x=m, w=w2, b=b2, padding=1), conftest.py in standard_cnn"
    assert titles["r4"] == "gradients for m, w2, b2; asks for w, x_shape, stride, padding, dilation, groups, x, w_shape"
    assert titles["g_t3_n1_2"] == "gradient of parameter b1 (32,) float32, 32 elements"
    titles = {box.id: re.sub(r":\d+", "", box.title) for box in ladder(models["blocks"], 0).boxes}
    assert titles["n1"] == "x_2 = conv2d(x=x, w=stem.w, b=stem.b, padding=1), conftest.py in forward, stem"
    assert titles["n2"] == "relu_6 = 15 operations from conftest.py in forward"
    assert titles["r2"] == "gradients for x_2, 12 parameters"
    assert titles["g_p2_n2_1"] == "gradient of 12 parameters, 888 elements"
    assert "gradients for multiply_2; asks for nothing but g" in [b.title for b in ladder(models["data first"]).boxes]


def test_the_columns_have_headings(models, drawn):
    assert texts(drawn(models["cnn"].svg()))[1:6] == ["parameters", "forward", "kept", "backward", "gradients"]
    assert texts(drawn(models["second derivative"].svg()))[1:5] == ["inputs", "forward", "kept", "backward"]
    assert "backward" not in texts(drawn(models["matrix"].svg()))


def test_after_backward_the_rungs_have_names_but_no_bytes(cnn, drawn):
    cnn.backward()
    shown = texts(drawn(cnn.graph().svg()))
    assert "keeps" not in shown[0]
    assert {"m", "w2", "argmax_m", "v", "w5", "q", "y"} <= set(shown)
    assert not [t for t in shown if t.endswith(" kB")]


def test_an_operation_that_saves_nothing_has_no_label_for_it(models):
    assert ladder(models["branches"]).caption.startswith("8 operations · loss ")


def test_a_result_of_many_numbers_is_forward_only(models, drawn):
    root = drawn(models["matrix"].svg())
    assert texts(root)[0] == "1 operation · 12 parameters · forward only: matmul (2,4) is not one number"
    assert not wires(root, "backward") and not wires(root, "kept")


def test_an_edge_that_forks_is_marked_and_its_gradients_are_summed(models):
    assert [wire.kind for wire in ladder(models["residual"]).wires if wire.mark] == ["forward", "backward"]
    assert sum(wire.forks for wire in ladder(models["hub"]).wires) == 5  # x needs no gradient: four taps and the fork


def test_no_gradient_comes_back_where_no_rule_runs(models):
    graph, picture = models["detached"], ladder(models["detached"])
    boxes = {box.id: box for box in picture.boxes}
    back = [wire for wire in picture.wires if wire.kind == "backward"]
    assert all(wire.tail in boxes and wire.head in boxes for wire in back)
    rules = {(f"r{op.id[1:]}", v) for op in graph.ops for port, v in op.inputs if port in op.rules}
    made = {op.output: f"r{op.id[1:]}" for op in graph.ops}
    assert {(w.tail, w.head) for w in back if w.head in made.values()} == {
        *((rule, made[v]) for rule, v in rules if v in made), (f"g_{graph.result}", made[graph.result])
    }  # fmt: skip
    labels = sorted(text for wire in back for text, *_ in wire.texts)
    assert labels == sorted(f"g_{graph.values[op.output].name}" for op in graph.ops[:-1] if op.rules)


def on(point, wire):
    """Whether `wire` runs over `point`, but does not begin or end there."""
    x, y = point
    over = any(min(a, c) <= x <= max(a, c) and min(b, d) <= y <= max(b, d) for (a, b), (c, d) in pairwise(wire.points))
    return over and point not in (wire.points[0], wire.points[-1])


def test_a_mark_shows_where_edges_of_one_value_fork_or_join(picture):
    for one in (wire for wire in picture.wires if wire.mark):
        wires = [wire for wire in picture.wires if wire.kind == one.kind]
        assert one.mark == one.points[-1 if one.kind == "backward" else 0]
        assert [wire.title for wire in wires if on(one.mark, wire)] == [one.title]
        assert one.arrow == (one.kind == "forward")


def test_a_lane_is_free_after_the_last_use_of_its_value(weights):
    y = weights(2)
    for _ in range(4):
        y = y + ag.tanh(ag.sin(y))
    picture = ladder(y.sum().graph(), 2)
    upright = {a[0] for wire in picture.wires if len(wire.points) > 2 for a, b in pairwise(wire.points) if a[0] == b[0]}
    assert len({x for x in upright if x < picture.boxes[0].x - picture.boxes[0].width / 2}) == 1


# Legible


def test_wires_of_different_values_do_not_run_on_each_other(picture):
    segments = []
    for wire in picture.wires:
        value = wire.title.removeprefix("gradient of ")
        for (x, y), (x2, y2) in pairwise(wire.points):
            segments.append(("|", x, *sorted((y, y2)), value) if x == x2 else ("-", y, *sorted((x, x2)), value))
    for i, (way, place, start, end, value) in enumerate(segments):
        for way2, place2, start2, end2, other in segments[:i]:
            apart = way != way2 or place != place2 or end <= start2 or end2 <= start
            assert apart or value == other, (value, other)


def test_no_text_leaves_its_box_or_is_crossed(picture):
    assert not overlaps(written(picture))


def test_frames_hold_what_is_inside_them_whole_and_nothing_else(picture):
    assert any(frame.text for frame in picture.frames) == bool(picture.frames)
    around = {-1: set()}
    for i, frame in enumerate(picture.frames):
        around[i] = {i, *around[frame.frame]}
        assert frame.left >= 0 and frame.left + frame.width <= picture.width
    for thing in [*picture.boxes, *picture.frames]:
        for i, frame in enumerate(picture.frames):
            air = 5 * (thing.kind == "frame")
            right = thing.left + thing.width + air <= frame.left + frame.width
            inside = frame.left + air <= thing.left and frame.top + 3 * air <= thing.top and right
            inside = inside and thing.bottom + air <= frame.bottom
            apart = thing.bottom + air < frame.top or frame.bottom + air <= thing.top
            if i in around[thing.frame]:
                assert inside
            elif thing is not frame and not (air and picture.frames.index(thing) in around[i]):
                assert apart


def test_the_cnn_fits_one_page(models):
    picture = ladder(models["cnn"])
    assert picture.width <= 700 and picture.height <= 1000
    assert len(models["cnn"].svg()) < 40_000


def test_long_names_are_clipped_and_whole_in_the_tooltip(weights, drawn):
    name = "encoder." * 20 + "w"
    root = drawn((weights(2, name=name) * 2).sum().graph().svg())
    assert any(t.startswith("encoder.") and "…" in t and len(t) < 60 for t in texts(root))
    assert any(name in (t.text or "") for t in root.iter(f"{SVG}title"))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_999, "10 kB"), (393_216, "393 kB"), (999_600, "1.0 MB")],
)
def test_bytes(count, text):
    assert bytes_text(count) == text


def test_of_many_names_the_first_six_are_listed():
    assert listed("abcdefgh") == "a, b, c, d, e, f, g and h"
    assert listed("abcdefghi") == "a, b, c, d, e, f and 3 more"


# The same in every run; nothing from outside


def test_a_wide_picture_is_scaled_to_the_page(graph):
    assert "max-width:100%;height:auto" in graph.svg()


def test_two_pictures_on_one_page_do_not_mix(models):
    names = set()
    for graph in models.values():
        text = graph.svg()
        (name,) = re.findall(r' id="(\w+)"', text)
        style = text[text.index("<style>") + 7 : text.index("</style>")]
        rules = [line for line in style.strip().splitlines() if not line.startswith(("@media", "}"))]
        assert rules and all(line.startswith(f"#{name}") for line in rules)
        names.add(name)
    assert len(names) == len(models)


def test_the_picture_fetches_nothing(graph):
    text = graph.svg().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"http|href|url\(|@import|<script|<image|<use", text)


# Files and notebooks


def test_save_writes_by_suffix(models, tmp_path):
    graph = models["square"]
    graph.save(tmp_path / "g.svg")
    graph.save(str(tmp_path / "g.DOT"))
    assert (tmp_path / "g.svg").read_text(encoding="utf-8") == graph.svg()
    assert (tmp_path / "g.DOT").read_text(encoding="utf-8") == graph.dot()


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
@pytest.mark.usefixtures("graphviz")
def test_graphviz_draws_png_and_pdf(models, weights, tmp_path, suffix, magic):
    (weights(2, name="$\\frac{a$ <b>") * 2).sum().graph().save(tmp_path / f"odd{suffix}")  # is no formula
    models["residual"].save(tmp_path / f"g{suffix}", overlay="flops")
    data = (tmp_path / f"g{suffix}").read_bytes()
    assert data.startswith(magic) and len(data) > 5_000


def test_graphviz_keeps_our_positions(models, graphviz):
    picture = ladder(models["residual"])
    placed = {}
    for line in graphviz(models["residual"].dot(), "plain").decode().splitlines():
        kind, name, *numbers = [*line.split(" ")[:4], ""]
        if kind == "node":
            placed[name.strip('"')] = [72 * float(n) for n in numbers[:2]]
    first = picture.boxes[0]
    shift = placed[first.id][0] - first.x, placed[first.id][1] + first.y
    for box in picture.boxes:
        np.testing.assert_allclose(placed[box.id], (box.x + shift[0], shift[1] - box.y), atol=0.2)


@pytest.mark.parametrize(("name", "depth"), [("residual", None), ("blocks", 9), ("recurrent", 9)])
def test_graphviz_draws_each_label_where_the_ladder_has_room_for_it(models, graphviz, drawn, name, depth):
    picture = ladder(models[name], depth)
    root = drawn(graphviz(models[name].dot(depth), "svg").decode())
    found = [(*(float(t.get(n)) for n in "xy"), "".join(t.itertext())) for t in root.iter(f"{SVG}text")]
    labels = [picture.headings[0], *(text for wire in picture.wires for text in wire.texts)]
    assert {anchor for *_, anchor in labels} == {"start", "middle", "end"}
    places = [(x + {"start": 0.5, "middle": 0, "end": -0.5}[anchor] * wide(text), y) for text, x, y, anchor in labels]
    (start,) = ((x, y) for x, y, text in found if text == labels[0][0])
    for (label, *_), place in zip(labels, np.subtract(places, places[0]) + start, strict=True):
        assert any(text == label and np.allclose((x, y), place, atol=1) for x, y, text in found), label


def test_graphviz_draws_headings_forks_and_sums_too(models, graphviz, drawn):
    graph, picture = models["residual"], ladder(models["residual"])
    root = drawn(graphviz(graph.dot(), "svg").decode())
    shown = ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]
    assert {"parameters", "forward", "kept", "backward", "gradients", "+"} <= set(shown)
    assert len(list(root.iter(f"{SVG}ellipse"))) == sum(wire.forks for wire in picture.wires) == 2


def test_dot_has_edges_without_arrows_and_an_outer_border(models):
    text, picture = models["residual"].dot(), ladder(models["residual"])
    bare = re.findall(r'^"(\w+)" -> "(\w+)" .*dir=none', text, re.M)
    assert bare == [(wire.tail, wire.head) for wire in picture.wires if not wire.arrow]
    (size,) = re.findall(r"width=(\S+), height=(\S+), .*peripheries=2", text)
    (loss,) = [box for box in picture.boxes if box.kind == "loss"]
    assert [float(n) for n in size] == pytest.approx([(loss.width - 8) / 72, (loss.height - 8) / 72], abs=0.01)


def test_without_graphviz_the_message_names_the_cure(models, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        models["square"].save(tmp_path / "g.png")
    assert str(caught.value) == (
        ".png is drawn by Graphviz, whose program dot is not on PATH: apt install graphviz (macOS: brew, Windows: "
        'winget). Nothing is needed for loss.graph().save("g.svg")'
    )
    models["square"].save(tmp_path / "g.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["g.svg"]


def test_a_picture_of_too_many_rows_is_refused_with_a_cure(weights, tmp_path):
    y = weights(1)
    for _ in range(1001):
        y = y + 1.0
    graph = y.graph()
    for suffix in (".svg", ".png"):
        with pytest.raises(ValueError) as caught:
            graph.save(tmp_path / f"g{suffix}", depth=2)
        assert str(caught.value) == (
            f"graph: 1,001 rows are too many for {suffix} (at most 1,000). Without depth=2, repeated "
            "rounds are drawn once; .dot has no limit"
        )
    graph.save(tmp_path / "g.dot", depth=2)
    graph.save(tmp_path / "g.svg")
    assert "1,001 operations in 1 row ·" in (tmp_path / "g.svg").read_text(encoding="utf-8")


def test_a_notebook_shows_the_picture(models):
    graph = models["square"]
    assert graph._repr_mimebundle_() == {"image/svg+xml": graph.svg(), "text/plain": "Graph: 2 operations, loss 12"}


def test_a_long_label_is_cut_and_the_tooltip_has_all(weights):
    names = ["first_" + "a" * 10, "second_" + "b" * 10, "third_" + "c" * 10]
    w = [weights(2, 2, name=name) for name in names]
    out = ag.einsum("ij,jk,kl->il", *w)
    picture = ladder(out.sum().graph())
    (kept,) = [wire for wire in picture.wires if wire.kind == "kept"]
    assert [text for text, *_ in kept.texts] == [names[0], "and 2 more"] and kept.title == f"kept: {', '.join(names)}"
    assert f"for {names[0]}, second_b…" in [box.below for box in picture.boxes]
