"""The plots of the loss: their places are runs of the function, their slope is `.grad`, and the picture follows."""

import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import studio
from autograd_cnn.studio.player import trials
from studio.pages import numbers

BROKEN = Path(studio.__file__).parent / "player" / "demos" / "broken.py"
ONE = ["ag.sin({a})", "ag.tanh({a})", "ag.exp({a})", "ag.log({a})", "ag.relu({a})", "1 / {a}", "{a} * {a}", "abs({a})"]
TWO = ["{a} + {b}", "{a} * {b}", "{a} - {b}", "np.maximum({a}, {b})", "{a} / {b}"]


def plots(frame):
    """The plots of a moment, by the name of the number that moves."""
    formulas = [formula for step in frame["steps"] for formula in step["formulas"]]
    return {f["plot"]["places"][5].partition(" = ")[0]: f["plot"] for f in formulas if f.get("plot")}


def places_of(plot, x):
    """The places of a plot about `x`."""
    span = plot["axis"][1] - x
    return [float(f"{x + span * part:.6g}") for part in np.linspace(-1, 1, 11)]


def matches(plot, f, x, g):
    """Compare all numbers of a plot of `f` about `x` with runs of `f`; return how many places are left out."""
    places = places_of(plot, x)
    span = places[10] - x
    here, left_out, tall = f(x), 0, []
    assert plot["axis"] == pytest.approx([x - span, x + span], rel=1e-3)
    for k in [*range(5), *range(6, 11)]:
        place, height, says = places[k], plot["curve"][k], plot["says"][k]
        true = f(place)
        assert numbers(plot["places"][k]) == pytest.approx([place, x], rel=6e-4)
        *found, by, slope, predicted = numbers(says)
        assert (by, slope, predicted) == pytest.approx((place - x, g, (place - x) * g), rel=6e-4, abs=1e-12)
        assert bool(found) == (height is not None) == ("not finite" not in says) == bool(np.isfinite(true))
        left_out += not found
        if found:
            assert found == pytest.approx([true, true - here], rel=6e-4, abs=1e-12)
            if 0 <= height <= 1000 and abs(height - plot["curve"][5]) > 100:
                tall.append((true - here) / (height - plot["curve"][5]))  # of the loss, for a thousandth of the frame
    assert numbers(plot["says"][5])[0] == pytest.approx(here, rel=6e-4)
    assert numbers(plot["caption"])[0] == pytest.approx(g, rel=6e-4)
    if tall:
        assert np.ptp(tall) <= 0.02 * np.mean(tall)
        drawn = plot["rise"] * np.mean(tall) / span * 5
        assert abs(plot["rise"]) == 100_000 or drawn == pytest.approx(g, rel=0.02, abs=np.mean(tall) / span * 5)
    assert ("not finite" in plot["caption"]) == bool(left_out)
    return left_out


def random_function(seed):
    """A function of two numbers that ends with a number, as text."""
    rng = np.random.default_rng(seed)
    names, lines = ["x", "y"], []
    for k in range(int(rng.integers(2, 7))):
        a, b = (str(name) for name in rng.choice(names, 2))
        lines.append(f"v{k} = " + str(rng.choice(ONE + TWO)).format(a=a, b=b))
        names.append(f"v{k}")
    end = "(" + " + ".join(["x * y", *names[2:]]) + ") * 1.0"
    return "def f(x, y):\n    " + "\n    ".join([*lines, f"return {end}"]), rng.normal(size=2).round(2) + 0.005


def test_the_places_of_random_functions_are_runs_and_the_slope_is_grad(taught):
    compared = left_out = 0
    for seed in range(40):
        text, (x, y) = random_function(seed)
        scope = {"ag": ag, "np": np}
        exec(text, scope)
        f = scope["f"]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a loss that is not finite
            tensors = ag.Tensor(float(x), True), ag.Tensor(float(y), True)
            loss = f(*tensors)
            loss.backward()
            if not np.isfinite([loss.data, *(t.grad for t in tensors)]).all():
                continue
            frame = taught(ag.trace(f, float(x), float(y)).page())
            drawn = plots(frame)
            left_out += matches(drawn["x"], lambda x: float(f(x, y)), x, float(tensors[0].grad))
            left_out += matches(drawn["y"], lambda y: float(f(x, y)), y, float(tensors[1].grad))
        compared += 2
        for name, value in (("x", 0), ("y", 1)):  # every value that depends on it has its number there
            ids = {v["name"]: id_ for id_, v in frame["values"].items()}
            plot = drawn[name]
            arguments = [x, y]
            arguments[value] = places_of(plot, arguments[value])[8]
            inner = dict(scope)
            body = text.replace("return ", "result = ").split("\n", 1)[1].replace("    ", "")
            with np.errstate(all="ignore"):
                exec(body, inner, local := dict(zip("xy", arguments, strict=True)))
            for known, id_ in ids.items():
                if known in local and id_ in plot["numbers"]:
                    assert plot["numbers"][id_][8] == pytest.approx(float(local[known]), rel=1e-4)
    assert compared > 40 and left_out == 0  # nearer places are tried


def test_the_places_of_an_element_are_runs_with_that_element(taught, rng):
    w, x, y = rng.normal(size=(3, 4)), rng.normal(size=(5, 3)), np.arange(5) % 4

    def f(w, x):
        h = ag.tanh(x @ w)
        return ag.cross_entropy(h * h, y)

    t = ag.Tensor(w, True)
    f(t, x).backward()
    drawn = plots(taught(ag.trace(f, t, x).page()))
    (name,) = (name for name in drawn if name.startswith("w["))
    i = tuple(map(int, re.findall(r"\d+", name)))

    def of(number):
        moved = w.copy()
        moved[i] = number
        return float(f(moved, x))

    assert matches(drawn[name], of, w[i], t.grad[i]) == 0
    assert all(plot["numbers"] is None for plot in drawn.values()) and len(drawn) == 4


def test_a_wrong_rule_shows_as_a_tangent_that_crosses_the_loss(taught):
    module = runpy.run_path(str(BROKEN))
    rng = np.random.default_rng(0)
    arguments = (rng.normal(size=shape).round(1) for shape in ((3, 4, 4), (4, 4), (4,)))
    frame = taught(ag.trace(module["f"], *arguments).page())
    drawn = plots(frame)
    bends = {name: plot["rise"] / (plot["curve"][6] - plot["curve"][4]) * 2 for name, plot in drawn.items()}
    (name,) = (name for name in bends if name.startswith("s["))
    assert "    found = np.zeros_like(x)\n" in frame["ops"][0]["rules"][0]  # a rule that is called has its source
    assert bends[name] == pytest.approx(12, rel=0.05)  # of 12 numbers, whose mean has no 1 / 12
    right = plots(taught(ag.trace(lambda x: ag.mean(x * x), rng.normal(size=(3, 4))).page()))
    assert all(
        plot["rise"] == pytest.approx((plot["curve"][6] - plot["curve"][4]) / 2, abs=2) for plot in right.values()
    )


def test_a_tangent_of_any_steepness_and_a_flat_loss_have_a_frame(taught):
    steep = ag.primitive(lambda x: x)
    factors = [1e300, -1e300, 0.0]
    steep.vjp(x=lambda g: g * factors[0])
    while factors:
        plot = plots(taught(ag.trace(lambda x: steep(x) * 1.0, 0.5).page()))["x"]
        assert plot["curve"] == list(range(0, 1001, 100))
        assert plot["rise"] == 100_000 * np.sign(factors[0])
        factors.pop(0)
    flat = plots(taught(ag.trace(lambda x: ag.relu(x) + 3.0, -0.5).page()))["x"]
    assert set(flat["curve"][:8]) == {0} and flat["rise"] == 0
    edge = plots(taught(ag.trace(lambda x: ag.log(x) * 1.0, 0.001).page()))["x"]
    with np.errstate(invalid="ignore"):
        assert matches(edge, np.log, 0.001, 1000.0) == 5
    assert edge["curve"][:5] == [None] * 5
    assert edge["says"][2].startswith("the loss is not finite. Pred")
    assert edge["caption"].endswith("At 5 of 11 places the loss is not finite.")
    growing = plots(taught(ag.trace(lambda x: ag.exp(6 * x), 0.0).page()))["x"]
    assert growing["curve"] == pytest.approx(1000 * np.exp(6 * np.linspace(-1, 1, 11)) / np.exp(6), abs=4)
    level = plots(taught(ag.trace(lambda x: 0.0 * x + 3.0, -5.0).page()))["x"]
    assert len(set(level["curve"])) == 1 and 0 < level["curve"][0] < 1000


def test_the_places_of_a_probability_lie_between_0_and_1_and_the_axis_tells_losses_apart(taught):
    q = np.array([0.735, 0.5])
    (plot,) = plots(taught(ag.trace(lambda q: ag.bce(q, np.array([1.0, 0.0])), q).page())).values()
    ends = plot["axis"]
    assert None not in plot["curve"] and 0 < ends[0] < ends[1] < 1
    near = taught(ag.trace(lambda x: 5.0 + 1e-6 * ag.sin(x), 0.5).page())
    low, high = plots(near)["x"]["ends"]
    assert low < high


@pytest.mark.parametrize("start", [0.5, 3.0])
def test_of_one_learnt_number_the_update_is_plotted_over_that_number(taught, start):
    w = ag.Tensor(start, True, "w")
    update = taught(ag.trace(lambda: (w - 2.0) ** 2).page())["update"]
    left, right = update["plot"]["axis"]
    assert left < right and start in (left, right)
    base, first, g = update["plot"]["base"], update["start"], 2 * (start - 2)
    assert update["rates"][base] == 0 and base == (0 if g < 0 else 10) and first == (1 if g < 0 else 9)
    for rate, says in zip(update["rates"], update["plot"]["says"], strict=True):
        assert numbers(says)[1 if rate else 0] == pytest.approx((start - rate * g - 2) ** 2, rel=1e-3, abs=1e-4)
    assert np.sign(update["plot"]["rise"]) == np.sign(g)


def test_the_first_rates_fall_and_the_last_show_the_bottom_whatever_the_curvature(taught, rng):
    for curvature in (1e-3, 1.0, 1e4):
        w = ag.Tensor(rng.normal(size=6), True, "w")
        scale = np.geomspace(1, 100, 6) * curvature
        update = taught(ag.trace(lambda w=w, scale=scale: 5 + ag.sum(scale * w * w)).page())["update"]
        after = [numbers(says)[min(k, 1)] for k, says in enumerate(update["plot"]["says"])]
        assert after[4] < after[0] and min(after) < after[10] and len(after) == 11


def test_a_long_program_plots_what_is_learnt_and_checks_the_rest(taught, monkeypatch):
    def f(x, w):
        for _ in range(30):
            x = ag.tanh(x * w)
        return x

    w = ag.Tensor(1.1, True, "w")

    def found():
        frame = taught(ag.trace(f, 0.5, w).page())
        return len(plots(frame)), str(frame["steps"]).count("Raise ")

    few, checks = found()
    assert "w" in plots(taught(ag.trace(f, 0.5, w).page()))
    monkeypatch.setattr(trials, "RUNS", 20 * trials.RUNS)
    assert found() == (60, checks) and 2 < few < 60 < checks


def value_of(page, name):
    """The number of a value on its wire in the picture."""
    return page.evaluate(
        "name => pictures[shown].wires.find((w) => w.id && !w.back && value(w.id).name === name).label.textContent",
        name,
    )


@pytest.mark.slow
def test_dragging_moves_the_numbers_of_the_picture(opened, scalars):
    page = opened(scalars, "#step=13")  # x and y
    box = page.locator(".drawing").first.bounding_box()

    def at(k):
        return box["x"] + box["width"] * (12 + 27.6 * k) / 300, box["y"] + box["height"] / 2

    page.mouse.move(*at(5))
    page.mouse.down()
    page.mouse.move(*at(9), steps=6)
    x = 1.3
    assert page.locator(".plot b").first.inner_text() == "x = 1.3 instead of 0.5"
    numbers = {"h": 1.2 * x, "s": np.sin(1.2 * x), "t": np.sin(1.2 * x) + x * x}
    for name, number in numbers.items():
        assert value_of(page, name) == f"{number:.4g}"
    loss = f"{np.exp(-numbers['t']):.4g}"
    assert page.locator("#picture g:has(.loss) text").first.text_content() == f"loss {loss}"
    still = "In the picture the gradients are still those of the start."
    assert page.locator(".plot p").first.inner_text().endswith(still)
    assert page.locator(".moved #picture").count() == 1
    assert page.locator("#picture text", has_text="x = 1.3").count() == 1
    page.mouse.up()
    assert value_of(page, "h") == "1.56"  # it stays
    page.mouse.click(*at(0))
    assert value_of(page, "h") == "−0.6"
    page.keyboard.press("ArrowLeft")  # after the mouse, arrows step
    assert page.input_value("#slider") == "12" and value_of(page, "h") == "0.6"
    assert still not in page.inner_text("#formulas") and page.locator(".moved #picture").count() == 0
    assert page.locator("#picture g:has(.loss) text").first.text_content() == "loss 0.4428"


@pytest.mark.slow
def test_a_gradient_that_is_a_rounding_error_does_not_differ_from_no_change(opened):
    def f(x, b):
        h = x + b
        return ag.mean(ag.square(h - ag.mean(h)) / 3)  # which no shift changes

    x = np.random.default_rng(0).normal(size=64).astype(np.float32)
    page = opened(ag.trace(f, x, np.float32(0.3) * np.ones(1, np.float32)).page(), "#step=100")
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && facts.ops[s.op].name === 'add'))")
    text = page.inner_text("#formulas")
    assert "g_b" in text and "does not move" in text and "They differ" not in text


@pytest.mark.slow
def test_keys_move_the_handle_and_escape_puts_it_back(opened, scalars):
    page = opened(scalars, "#step=13")
    handles = page.locator(".plot input")
    handles.first.focus()
    page.keyboard.press("ArrowRight")
    assert (
        page.input_value("#slider") == "13" and page.locator(".plot b").first.inner_text() == "x = 0.7 instead of 0.5"
    )
    assert handles.first.get_attribute("aria-valuetext").startswith("x = 0.7 instead of 0.5: the loss is ")
    assert value_of(page, "h") == "0.84"
    handles.nth(1).focus()
    page.keyboard.press("End")  # y moves, x is as it was
    assert page.locator(".plot b").all_inner_texts() == ["x = 0.5", "y = 2.2 instead of 1.2"]
    assert value_of(page, "h") == "1.1"
    page.keyboard.press("Escape")
    assert page.locator(".plot b").all_inner_texts() == ["x = 0.5", "y = 1.2"] and value_of(page, "h") == "0.6"
    page.keyboard.press("Home")
    page.evaluate("show(2)")  # without a plot
    assert value_of(page, "h") == "0.6" and page.locator(".moved #picture").count() == 0


@pytest.mark.slow
def test_a_finger_drags_the_handle_but_scrolls_the_page_too(opened, scalars):
    page = opened(scalars, "#step=12", 390, has_touch=True, is_mobile=True)
    page.locator(".drawing").evaluate("(drawing) => drawing.scrollIntoView({ block: 'center' })")
    box, session = page.locator(".drawing").bounding_box(), page.context.new_cdp_session(page)

    def touch(kind, *points):
        for k, down in points:
            x = box["x"] + box["width"] * (12 + 27.6 * k) / 300
            fingers = [] if kind == "touchEnd" else [{"x": x, "y": box["y"] + box["height"] / 2 + down}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    touch("touchStart", (5, 0))
    touch("touchMove", (6, 0), (7, 0), (8, 0))
    touch("touchEnd", (8, 0))
    assert page.inner_text(".plot b") == "h = 1.2 instead of 0.6"
    page.keyboard.press("Escape")
    before = page.evaluate("$('step').scrollTop")
    touch("touchStart", (3, 0))
    touch("touchMove", (3, 30), (3, 60), (3, 120))
    touch("touchEnd", (3, 120))
    page.wait_for_function("before => $('step').scrollTop < before", arg=before)
    assert page.inner_text(".plot b") == "h = 0.6"


@pytest.mark.slow
def test_in_arrays_the_handle_moves_the_plot_alone(opened, small):
    page = opened(small[0], "#step=14")  # of w
    words = page.inner_text("#picture")
    page.focus(".plot input")
    page.keyboard.press("End")
    assert " instead of " in page.inner_text(".plot b") and page.inner_text("#picture") == words
    assert "still those of the start" not in page.inner_text("#formulas")
