"""The player's page without a browser: it shows the computed numbers, and any name is only text."""

import base64
import hashlib
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio import assets
from autograd_cnn.studio.player import page as page_module
from studio.pages import Page, facts_of
from studio.pages import numbers as said

STUDIO = Path(assets.__file__).parent


def tanh_net(w, v, x, y):
    h = ag.tanh(x @ w)
    r = h + ag.relu(h @ v)
    s = r * h
    return ag.mse(s, y)


@pytest.fixture
def net(rng):
    """A traced network in which h is used three times, and its parameters after a backward of their own."""
    w, v = (ag.Tensor(rng.normal(size=shape).astype(np.float32), True, name) for name, shape in NAMES.items())
    x, y = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (4, 5)))
    tanh_net(w, v, x, y).backward()
    return ag.trace(tanh_net, w, v, x, y), w, v


NAMES = {"w": (3, 5), "v": (5, 5)}


def by_name(facts):
    return {value["name"]: value for value in facts["values"].values()}


def numbers(texts, dtype):
    return np.array([dtype(t) for t in texts])


def test_every_element_of_a_small_gradient_equals_grad(net):
    graph, w, v = net
    values = by_name(facts_of(graph.page())["frames"][0])
    for p in (w, v):
        assert np.array_equal(numbers(values[p.name]["gradient"]["elements"], np.float32), p.grad.ravel())


def test_a_large_gradient_begins_as_grad_does(standard_cnn, rng):
    p, x, y = standard_cnn.arguments(rng)
    text = ag.trace(standard_cnn, p, x, y).page()
    values = by_name(facts_of(text)["frames"][0])
    standard_cnn(p, x, y).backward()
    for name, parameter in p.items():
        assert values[f"p.{name}"]["gradient"]["elements"][:4] == [str(g) for g in parameter.grad.ravel()[:4]]


@pytest.mark.slow
def test_pages_are_small(standard_cnn, rng):
    graph = ag.trace(standard_cnn, *standard_cnn.arguments(rng))
    assert len(graph.page()) < 260_000
    assert len(graph.page([(f"epoch {i}", graph) for i in range(7)])) < 1_200_000
    assert len(ag.trace(lambda x, y: ag.sin(x * y) + x, 2.0, 3.0).page()) < 120_000  # with six steps that are taken
    player = ("player/arrays.js", "player/lesson.js", "player/player.js", "player/player.css", "player/page.html")
    files = ("page.html", "page.css", *player)
    assert sum(len((STUDIO / name).read_text(encoding="utf-8")) for name in files) < 108_000


def test_contributions_add_up_to_the_gradient_in_the_order_of_the_walk(net):
    value = by_name(facts_of(net[0].page())["frames"][0])["h"]
    c = [numbers(look["elements"], np.float32) for _, look, *_ in value["parts"]]
    assert len(c) == 3
    assert np.array_equal(c[0] + c[1] + c[2], numbers(value["gradient"]["elements"], np.float32))


def test_a_twin_that_adds_in_place_and_a_joint_rule_contribute_too(rng):
    def f(x, scale, shift):
        n = ag.batch_norm(x, scale, shift)
        return ag.sum(n[1:3] * n[0:2]) + ag.sum(n[2] * scale)

    scale, shift = (ag.Tensor(rng.normal(size=2), True, name) for name in ("scale", "shift"))
    x = rng.normal(size=(4, 2))
    values = by_name(facts_of(ag.trace(f, x, scale, shift).page())["frames"][0])
    f(x, scale, shift).backward()
    for p in (scale, shift):
        assert np.array_equal(numbers(values[p.name]["gradient"]["elements"], float), p.grad)
    (normed,) = (v for v in values.values() if len(v.get("parts", [])) == 3)
    total = sum(numbers(look["elements"], float) for _, look, *_ in normed["parts"])
    np.testing.assert_allclose(total, numbers(normed["gradient"]["elements"], float), rtol=1e-12)


def lines_of(facts, ask):
    (step,) = (s for s in facts["steps"] if s["ask"] == ask)
    return [formula["lines"] for formula in step["formulas"]]


def test_a_scalar_has_the_chain_rule_with_its_numbers(taught):
    def f(x, y):
        h = x * y
        s = ag.sin(h)
        return s + x

    facts = taught(ag.trace(f, 2.0, 3.0).page())
    assert lines_of(facts, "What is h?") == [["h = x × y", "= 2 × 3 = 6"]]
    assert lines_of(facts, "How does the loss change with h?") == [["g_h = g_s × cos(h)", "= 1 × 0.9602 = 0.9602"]]
    assert lines_of(facts, "How does the loss change with x and y?") == [
        ["through loss: g_loss × 1 = 1 × 1 = 1", "through h: g_h × y = 0.9602 × 3 = 2.881", "g_x = 1 + 2.881 = 3.881"],
        ["g_y = g_h × x", "= 0.9602 × 2 = 1.92"],
    ]
    assert lines_of(facts, "How does the loss change with s and x?")[1] == [
        "through loss: g_loss × 1 = 1 × 1 = 1",
        "g_x = 1 + 1 more to come",
    ]


def test_an_expression_without_a_name_is_called_as_the_graph_calls_it(taught):
    facts = taught(ag.trace(lambda t: ag.exp(-t), 0.5).page())
    step = next(s for s in facts["steps"] if s["ask"] == "How does the loss change with -t?")
    assert step["say"].startswith("exp() uses negative (-t) to make loss, and nothing else uses it.")
    assert step["formulas"][0]["check"].startswith("Raise negative by 0.01: ")


def test_the_example_of_an_array_is_a_sum_of_products(taught, rng):
    w, x = ag.Tensor(rng.normal(size=(3, 2)), True, "w"), rng.normal(size=(4, 3))
    facts = taught(ag.trace(lambda x: ag.sum(ag.tanh(x @ w)), x).page())
    ag.sum(ag.tanh(x @ w)).backward()
    ((head, terms),) = lines_of(facts, "How does the loss change with w?")
    label, what = head.split(" = ")
    i, j = map(int, re.fullmatch(r"g_w\[(\d), (\d)\]", label).groups())
    assert what == "sum over 4 numbers of matmul"
    assert terms.endswith(f" = {w.grad[i, j]:.4g}".replace("-", "−"))
    every = np.abs(x[:, i] * (1 - np.tanh(x @ w.data)[:, j] ** 2))
    first, second = every[0], np.sort(every[1:])[-1]  # item 0 is drawn, so the example is there
    shown = [float(n) for n in re.findall(r"[\d.]+", terms)]
    np.testing.assert_allclose([shown[0] * shown[1], shown[2] * shown[3]], [first, second], rtol=2e-3)


@pytest.mark.parametrize(("f", "way"), [(np.exp, "rises"), (lambda x: np.exp(-x), "falls")])
def test_the_goal_says_which_way_the_result_goes(f, way):
    begin = facts_of(ag.trace(f, 0.0).page())["frames"][0]["steps"][0]
    assert begin["goal"][0].partition("Raise x by 0.01 and the loss ")[2].startswith(way)


def test_a_trial_is_a_run_of_the_function_and_its_prediction_the_gradient(taught):
    def f(x, y):
        return ag.exp(-(ag.sin(x * y) + x * x))

    facts = taught(ag.trace(f, 0.5, 1.2).page())
    checks = [formula.get("check", "") for step in facts["steps"] for formula in step.get("formulas", ())]
    (told,) = (check for check in checks if "Raise x" in check)

    def loss(x, y):
        return np.exp(-(np.sin(x * y) + x * x))

    g = (loss(0.5 + 1e-6, 1.2) - loss(0.5 - 1e-6, 1.2)) / 2e-6
    change = loss(0.51, 1.2) - loss(0.5, 1.2)
    before, after = f"{loss(0.5, 1.2):.6f}", f"{loss(0.51, 1.2):.6f}"
    want = f"Raise x by 0.01: the loss goes from {before} to {after}, down by {float(before) - float(after):.6f}. "
    assert told == want + f"Predicted: 0.01 × (−{-g:.4f}) = −{-0.01 * g:.6f}: close."
    assert abs(float(before) - float(after) + change) < 1e-6
    begin = facts["steps"][0]
    assert begin["say"] == "With x = 0.5 and y = 1.2 the result is 0.4428."
    assert begin["goal"][0].endswith(f"Raise x by 0.01 and the loss falls by {float(before) - float(after):.6f}.")


def test_the_update_is_a_step_of_numpy_at_each_rate(taught, net):
    graph, w, v = net
    update = taught(graph.page())["update"]
    arrays = {v.name: graph.arrays[v.id] for v in graph.values.values() if v.id in graph.arrays}
    assert update["rates"] == pytest.approx(np.arange(11) * update["rates"][1]) and update["rates"][1] > 0
    for rate, lines, says in zip(update["rates"], update["lines"], update["plot"]["says"], strict=True):
        new = {p.name: p.data - np.float32(rate) * p.grad for p in (w, v)}
        h = np.tanh(arrays["x"] @ new["w"])
        r = h + np.maximum(h @ new["v"], 0)
        loss = np.mean((r * h - arrays["y"]) ** 2)
        assert said(says)[1 if rate else 0] == pytest.approx(loss, rel=1e-3)
        for (name, text), p in zip(lines, (w, v), strict=True):
            element = name.split(" ← ")[0]
            i = np.ravel_multi_index(tuple(map(int, re.findall(r"\d+", element.removeprefix(p.name)))), p.shape)
            assert element.startswith(f"{p.name}[")
            assert name == f"{element} ← {element} − lr × g_{element}"
            want = [p.data.flat[i], rate, p.grad.flat[i], new[p.name].flat[i]]
            assert said(text) == pytest.approx(want, rel=6e-4, abs=1e-4)


def warned_at(facts):
    return [step for step in facts["steps"] if "warn" in step]


def test_what_looks_wrong_is_said_at_its_step(rng):
    w, dead, gone = (ag.Tensor(rng.normal(size=(3, 3)), True, n) for n in ("w", "dead", "gone"))
    dead.data[...] = np.abs(dead.data)
    dead.data[:, 1] = -100

    def f(x):
        h = ag.relu(x @ dead)
        s = ag.tanh(1e4 * (h @ w) + 10)
        return ag.mean(s) + ag.sum(gone * 0.0)

    facts = facts_of(ag.trace(f, np.abs(rng.normal(size=(32, 3)))).page())["frames"][0]
    warned = facts["steps"][2]
    assert warned["warn"].startswith("Dead relu: 1 of 3 channels of h are 0 in the whole batch of 32 (1). ")
    relu, tanh, end = warned_at(facts)
    assert [facts["ops"][step["op"]]["name"] for step in (relu, tanh)] == ["relu", "tanh"] and end["kind"] == "end"
    assert (
        tanh["warn"].startswith("Saturated tanh: 100 % of s is ")
        and "The gradient of gone is 0: it does not" in end["warn"]
    )
    with np.errstate(all="ignore"):
        facts = facts_of(ag.trace(lambda x: ag.sum(ag.log(x - 2.0) * w), np.ones(3)).page())["frames"][0]
    (step,) = warned_at(facts)
    assert step["warn"].startswith("The first nan or infinity is in log: 3 of 3 numbers")
    assert facts["ops"][step["op"]]["name"] == "log"


@pytest.mark.parametrize(("scale", "times"), [(1e-3, "1,000"), (1e-9, "")], ids=["shrinks", "is a rounding error"])
def test_gradients_that_shrink_a_hundred_times_within_a_layer_are_listed(rng, scale, times):
    a, b = ag.Tensor(np.eye(3), True, "a"), ag.Tensor(scale * np.eye(3), True, "b")
    facts = facts_of(ag.trace(lambda x: ag.sum((x @ a) @ b), np.ones((2, 3))).page())["frames"][0]
    warned = [(step["kind"], step["warn"]) for step in warned_at(facts)]
    text = f"The gradient shrinks {times} times on the way back to matmul."
    assert warned == ([("backward", text)] if times else [])


def test_nothing_is_said_when_nothing_looks_wrong_and_no_relu_is_dead_after_few_items(net, rng):
    assert warned_at(facts_of(net[0].page())["frames"][0]) == []
    w = ag.Tensor(-np.ones((3, 3)), True, "w")
    for items in 4, 31, 32:
        facts = facts_of(ag.trace(lambda x: ag.sum(ag.relu(x @ w) + x @ w), np.ones((items, 3))).page())["frames"][0]
        assert ["Dead" in step["warn"] for step in warned_at(facts)] == [True] * (items == 32)


def test_the_expression_is_marked_in_the_users_line(net):
    facts = facts_of(net[0].page())["frames"][0]
    marked = [next(parts for _, *parts in op["source"]["lines"] if parts[1]) for op in facts["ops"]]
    assert [m[1] for m in marked] == ["x @ w", "ag.tanh(x @ w)", "h @ v", "ag.relu(h @ v)", "h + ag.relu(h @ v)",
                                     "r * h", "ag.mse(s, y)"]  # fmt: skip
    lines = facts["steps"][0]["source"][0]["lines"]
    assert lines[0][1] == "def tanh_net(w, v, x, y):"
    assert "".join(marked[0]) == lines[1][1] == "    h = ag.tanh(x @ w)"


def test_a_script_without_functions_is_shown_around_its_operations(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        '"""A script."""\nimport autograd_cnn as ag\n\nx = ag.Tensor(2.0, requires_grad=True)\nh = ag.sin(x)\n'
    )
    facts = facts_of(runpy.run_path(str(script))["h"].graph().page())["frames"][0]
    assert [parts for k, *parts in facts["ops"][0]["source"]["lines"] if k == 5] == [["h = ", "ag.sin(x)", ""]]


# The file


def test_the_page_fetches_nothing_and_its_policy_blocks_other_scripts(net):
    text = net[0].page()
    page = Page(text)
    assert set(re.findall(r"https?://[\w./]+", text)) == {"http://www.w3.org/2000/svg"}
    used = {name for _, attributes, _ in page.found for name in attributes if name in ("src", "href", "style")}
    assert not used and not any(name.startswith("on") for _, attributes, _ in page.found for name in attributes)
    policy = next(a["content"] for a, _ in page.all("meta") if "http-equiv" in a)
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"

    def digest(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    scripts = [text for attributes, text in page.all("script") if "type" not in attributes]
    assert [digest(text) for text in scripts] == rules["script-src"].split()
    assert [digest(text) for _, text in page.all("style")] == rules["style-src"].split()


def test_the_script_cannot_turn_text_into_markup():
    script = page_module.script()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "getBBox"):
        assert word not in script


def test_all_frames_must_show_the_same_network(net, models):
    graph = net[0]
    data = facts_of(graph.page([("epoch <1>", graph)]))
    assert [frame.pop("label") for frame in data["frames"]] == ["at the start", "epoch <1>"]
    assert data["frames"][0] == data["frames"][1]
    with pytest.raises(ValueError, match="frame epoch 2 is another network"):
        graph.page([("epoch 2", models["square"])])
    x, w, v = (ag.Tensor(np.ones(2), requires_grad=k > 0, name=n) for k, n in enumerate("xwv"))
    with pytest.raises(ValueError, match="or other tensors of it require a gradient"):
        ag.trace(lambda x, w: (x * w).sum(), x, w).page([("later", ag.trace(lambda x, w: (x * w).sum(), v, w))])
    with pytest.raises(ValueError, match=r"shapes|broadcast") as caught:
        ag.trace(lambda x, w: (x * w + np.ones(7)).sum(), x, w)
    failed, whole = caught.value.graph, ag.trace(lambda x, w: x * w, x, w)
    with pytest.raises(ValueError, match="another network"):
        whole.page([("later", failed)])
    for frames in ([graph], "later", [("a", graph, 1)]):
        with pytest.raises(TypeError, match=r'frames are pairs: page\(\[\("after 100 steps", ag.trace'):
            graph.page(frames)


def test_a_result_of_many_numbers_is_summed(models):
    facts = facts_of(models["matrix"].page())["frames"][0]
    assert "its sum is differentiated" in next(s["say"] for s in facts["steps"] if s["kind"] == "loss")


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.array([np.nan, 1.0]), np.array([[0.0]]), np.float32(2)], ids=str)
def test_any_array_has_a_page(x):
    facts = facts_of(ag.trace(lambda x: ag.sum(x * x + x), x).page())["frames"][0]
    assert [s["kind"] for s in facts["steps"]].count("backward") == 3


def test_a_leaf_alone_has_a_page(models):
    assert [s["kind"] for s in facts_of(models["leaf"].page())["frames"][0]["steps"]] == ["begin", "loss", "end"]


def test_a_tape_has_a_page_until_backward(weights):
    w = weights(3, name="w")
    loss = ag.sum(ag.exp(w))
    facts = facts_of(loss.graph().page())["frames"][0]
    loss.backward()
    assert np.array_equal(numbers(by_name(facts)["w"]["gradient"]["elements"], float), w.grad)
    with pytest.raises(RuntimeError, match=r"Do it before backward\(\), or keep them: backward\(retain"):
        loss.graph().page()


def test_pages_of_large_graphs_are_smaller_and_larger_ones_refused(monkeypatch):
    def chain(x):
        for _ in range(1200):
            x = ag.tanh(x)
        return ag.sum(x)

    graph = ag.trace(chain, np.ones(3))
    text = graph.page()
    assert len(text) < 400_000
    data = facts_of(text)
    assert len(data["frames"][0]["ops"]) == 1201 and [len(p["boxes"]) for p in data["pictures"]] == [8, 8]
    monkeypatch.setattr(page_module, "LIMIT", 1000)
    with pytest.raises(ValueError, match=r"1,201 operations are too many to step through \(at most 1,000\)"):
        graph.page()


def test_save_writes_the_page(models, tmp_path):
    models["square"].save(tmp_path / "net.html")
    assert (tmp_path / "net.html").read_text(encoding="utf-8") == models["square"].page()


def test_without_source_none_of_the_users_code_is_in_the_page(net, tmp_path):
    graph, _, _ = net
    for source, there in (True, True), (False, False):
        graph.save(tmp_path / "net.html", source=source)
        text = (tmp_path / "net.html").read_text(encoding="utf-8")
        (facts,) = facts_of(text)["frames"]
        sources = [op["source"] for op in facts["ops"]]
        assert all(bool(source["lines"]) == there for source in [*sources, *facts["steps"][0]["source"]])
        assert all(source["at"].startswith("test_page.py:") for source in sources)
        assert ("return ag.mse(s, y)" in text + json.dumps(facts)) == there
