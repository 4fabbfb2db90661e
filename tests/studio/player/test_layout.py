"""One number is selected, bars have one scale, nothing moves, and a phone is one screen."""

import re
import runpy
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import studio
from studio.networks import NETWORKS
from studio.pages import card, numbers

pytestmark = pytest.mark.slow

DEMOS = Path(studio.__file__).parent / "player" / "demos"


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    """The page of a demo, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("demos")  # a user's file is outside of the package

    @cache
    def made(name):
        pages, script = [], folder / f"{name}.py"
        script.write_bytes((DEMOS / script.name).read_bytes())
        with patch("autograd_cnn.studio.graph.show_page", pages.append):
            runpy.run_path(str(script), run_name="__main__")
        return pages[-1]

    return made


def test_formula_highlight_and_plot_speak_of_the_selected_number(opened, demos):
    page = opened(demos("spiral"))
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'tanh'))")

    def spoken():
        formula = page.locator("#formulas .line").first.inner_text()
        lit = page.evaluate("scene.filter((e) => e.rows).map((e) => e.rows.findIndex((r) => r.matches('.lit')))")
        return formula.partition("]")[0].partition("[0, ")[2], page.inner_text(".plot b"), set(lit)

    place, plotted, lit = spoken()
    assert lit == {int(place)} and plotted.startswith(f"linear[0, {place}] = ")
    other = 3 if place != "3" else 5
    page.locator(".bars").last.locator("div").nth(other).hover()
    assert spoken()[0] == str(other) and spoken()[2] == {other}
    assert spoken()[1].startswith(f"linear[0, {other}] = ")
    page.keyboard.press("ArrowRight")  # the same number at the next step, the rule of linear
    assert page.evaluate("selected(op(facts.steps[at]).output).place") == [0, other]


def test_a_loss_lights_the_item_of_its_formula(opened, demos):
    page = opened(demos("spiral"), "#step=4")
    lit = "scene.map((e) => e.rows.flatMap((row, k) => (row.matches('.lit') ? [k] : [])))"
    assert "softmax(z[0])" in page.inner_text("#formulas") and page.evaluate(lit) == [[0, 1], [0]]
    page.locator(".bars div").nth(6).hover()  # the label of item 4
    assert "softmax(z[4])" in page.inner_text("#formulas") and page.evaluate(lit) == [[0, 1], [4]]
    assert page.locator(".key").first.inner_text().startswith("item 4 (0 to 119)")
    shown = page.locator(".bars code").all_inner_texts()[:2]
    assert [float(text.replace("−", "-")) for text in shown] == page.evaluate("scene[0].look.numbers.slice(8, 10)")
    page.evaluate("scene[0].pane.focus()")
    page.keyboard.press("ArrowRight")  # to this card
    page.keyboard.press("ArrowRight")  # the next item
    assert "softmax(z[5])" in page.inner_text("#formulas") and page.evaluate(lit) == [[0, 1], [5]]
    q, y = np.array([[0.2, 0.5, 0.9]]), np.array([[0.0, 1.0, 0.0]])
    page = opened(ag.trace(lambda q: ag.bce(q, y), q).page(), "#step=1")
    for k, text in (2, "bce(0.9, 0) = 2.303"), (1, "bce(0.5, 1) = 0.6931"):
        assert text in page.inner_text("#formulas") and page.evaluate(lit) == [[k], [k]]
        page.locator(".bars div").nth(1).hover()


@pytest.mark.parametrize("column", [False, True])
def test_a_matrix_times_a_vector_speaks_of_one_element(opened, rng, column):
    w, v = ag.Tensor(rng.normal(size=(4, 3)), True, "w"), ag.Tensor(rng.normal(size=(3, 1)[: 1 + column]), True, "v")
    page = opened(ag.trace(lambda y: ag.mse(w @ v, y), rng.normal(size=(4, 1)[: 1 + column])).page(), "#step=1")
    lit = "name => lights(scene.find((entry) => entry.name === name))[0].slice(1)"
    for k, products in enumerate(w.data * v.data.reshape(3)):
        card(page, "matmul").locator(".bars div").nth(k).hover()
        said = page.inner_text("#found").replace("\n", " ")
        assert f"matmul[{k}{', 0' * column}] = Σ over 3 products" in said
        own = page.locator("#found > p b").nth(1).inner_text()
        assert numbers(own)[0] == pytest.approx(products.sum(), rel=1e-3)
        shown = [numbers(text)[0] for text in page.locator("#found table").last.locator("td").all_inner_texts()]
        assert shown == pytest.approx(list(products), abs=0.006 * np.abs(products).max())
        assert page.evaluate(lit, "matmul") == [0, k, 1, 1] and page.evaluate(lit, "w") == [k, 0, 1, 3]
    page.evaluate("show(facts.steps.length - 2)")
    for name, place in ("g_matmul", (0, 0, 2)), ("g_w", (0, 3, 1)), ("g_v", (0, 0, 2)):
        page.evaluate("([name, place]) => point(scene.find((e) => e.name === name), ...place)", [name, place])
        assert page.evaluate("""() => [...$("formulas").querySelectorAll("pre")].every((line) => {
            const [name] = line.textContent.split("[");
            const entry = scene.find((e) => e.name === name);
            return lights(entry).some(([c, y, x, high, wide]) =>
                line.textContent.startsWith(entry.label(c, y, x)) || high * wide > 1); })""")


def test_a_walk_selects_the_examples_for_which_there_are_plots(opened, cnn_page, small):
    for text in cnn_page[2], small[0]:
        page = opened(text)
        for _ in range(page.evaluate("facts.steps.length - 1")):
            page.keyboard.press("ArrowRight")
            learns = "way() ? op(facts.steps[at]).learns.filter((id) => value(id).example !== undefined) : []"
            pairs = page.evaluate(f"({learns}).map((id) => [selected(id).i, value(id).example])")
            assert all(shown == example for shown, example in pairs), page.inner_text("#where")


def test_a_stack_of_matrices_times_a_matrix_speaks_of_one_element(opened, rng):
    w, x = ag.Tensor(rng.normal(size=(4, 3)), True, "w"), rng.normal(size=(2, 5, 4))
    page = opened(ag.trace(lambda x: ag.mean(ag.tanh(x @ w)), x).page(), "#step=1")
    lit = "name => lights(scene.find((entry) => entry.name === name))[0]"
    for y, j in (3, 2), (0, 1):
        page.evaluate("([y, j]) => point(scene.find((e) => e.name === 'matmul'), 0, y, j)", [y, j])
        assert f"matmul[0, {y}, {j}] = Σ over 4 products of x × w" in page.inner_text("#found").replace("\n", " ")
        shown = [numbers(text)[0] for text in page.locator("#found table").last.locator("td").all_inner_texts()]
        products = x[0, y] * w.data[:, j]
        assert shown == pytest.approx(list(products), abs=0.006 * np.abs(products).max())
        assert page.evaluate(lit, "x")[:5] == [0, y, 0, 1, 4] and page.evaluate(lit, "w")[:5] == [0, 0, j, 4, 1]


def test_a_click_selects_a_weight_and_its_plot_is_a_run_with_it(opened):
    w, x = ag.Tensor([[0.5, -0.2], [0.1, 0.3]], True, "w"), np.array([[1.0, 2.0]])

    def loss(w):
        return ag.sum(ag.tanh(x @ w))

    page = opened(ag.trace(loss, w).page())
    page.evaluate("show(facts.steps.length - 2)")
    page.evaluate("point(scene.find((entry) => entry.name === 'g_w'), 0, 1, 0)")
    page.locator(".plot input").first.evaluate("(r) => { r.value = 6; r.dispatchEvent(new Event('input')); }")
    moved = w.data.copy()
    moved[1, 0] = 0.3
    assert page.inner_text(".plot b") == "w[1, 0] = 0.3 instead of 0.1"
    assert f"the loss is {float(loss(moved)):.4g}," in page.inner_text(".plot")


def test_bars_of_a_step_have_one_scale_and_those_of_probabilities_end_at_1(opened):
    q, y = np.array([[0.1548, 0.5]]), np.array([[1.0, 0.0]])
    page = opened(ag.trace(lambda q: ag.bce(q, y), q).page(), "#step=1")
    widths = page.locator(".bars i").evaluate_all("(bars) => bars.map((bar) => parseFloat(bar.style.width))")
    assert widths == pytest.approx([15.48, 50, 100, 0])
    assert page.locator(".key").all_inner_texts() == ["item 0, bars from 0 to 1"] * 2
    page = opened(ag.trace(lambda x: ag.sum(x * np.array([10.0, 1.0])), np.array([1.0, -2.0])).page(), "#step=1")
    widths = page.locator(".bars i").evaluate_all("(bars) => bars.map((bar) => parseFloat(bar.style.width))")
    assert widths == pytest.approx([5, 10, 50, 5, 50, 10])  # of half a bar, to 10
    page = opened(ag.trace(lambda x: ag.sum(x * 0.0), np.ones((2, 3))).page(), "#step=4")
    assert page.locator("figure.gradient .key").all_inner_texts()[-1] == "item 0 (0 to 1), bars from 0 to 1"


@pytest.mark.parametrize(("count", "which"), [(16, "all"), (32, "these")])
def test_sixteen_rows_of_0_are_one(opened, count, which):
    b = ag.Tensor(np.zeros(count), True, "b")
    page = opened(ag.trace(lambda x: ag.sum(ag.exp(x + b)), np.ones((2, count))).page(), "#step=1")
    rows = page.locator("figure.parameter .bars div")
    assert rows.count() == 1 and rows.inner_text().split() == [which, "16", "0"]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_between_steps_question_and_answer_and_when_a_step_is_taken(opened, demos, width):
    page = opened(demos("chain_rule"), width=width)
    places = set()

    def note():
        places.add(tuple(page.locator("#picture").bounding_box().values()))

    for step in range(page.evaluate("facts.steps.length")):
        page.evaluate("step => show(step)", step)
        note()
    assert page.is_visible("#frame")  # its place is not empty
    page.click("#take")
    note()
    page.keyboard.press("Home")
    page.click("#quiz")
    note()
    assert len(places) == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_numbers_of_many_digits_widen_nothing(opened, demos, width):
    page = opened(demos("chain_rule"), width=width)
    places = page.evaluate("""() => DATA.frames.flatMap((_, k) => facts.steps.map((_, step) => {
        moment(k, step);
        tab("numbers");
        const cards = [...document.querySelectorAll("#tensors figure")].map((card) => card.offsetWidth);
        const widths = innerWidth > 760 ? new Set(cards.filter(Boolean)) : [];
        return JSON.stringify([$("slider").offsetLeft, $("step").offsetLeft, ...widths]);
    }))""")
    assert len({place for place in places if place.count(",") > 1 or width == 390}) == 1


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_ladder_of_a_network_is_whole_and_no_control_moves(opened, name, width):
    page = opened(ag.trace(NETWORKS[name]()).page(), width=width)
    page.set_viewport_size({"width": width, "height": 844})
    places = page.evaluate("""() => {
        const controls = ["back", "next", "quiz", "more", "slider", "position"].map($);
        const found = facts.steps.map((_, step) => {
            show(step);
            const { x, width } = $("picture").getBoundingClientRect();
            return JSON.stringify([x, width, $("step").offsetLeft, ...controls.map((e) => e.getBoundingClientRect())]);
        });
        return [...new Set(found)]; }""")
    assert len(places) == 1
    for k in range(page.evaluate("pictures.length")):
        page.evaluate("k => fold(k - shown)", k)
        pane = page.evaluate("(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth])($('picture'))")
        assert pane[0] <= pane[1]
        text = page.locator("#picture svg:not([hidden]) .name").first.bounding_box()
        assert text["height"] > 9  # of a line of 8.5 pixels


@pytest.mark.parametrize("name", ["chain_rule", "spiral", "cnn", "broken"])
def test_a_phone_is_one_screen(opened, demos, name):
    page = opened(demos(name), width=390)
    page.set_viewport_size({"width": 390, "height": 844})
    for step in range(page.evaluate("facts.steps.length")):
        page.evaluate("step => show(step)", step)
        assert page.evaluate("document.documentElement.scrollHeight") == 844
        view, title = page.locator("#picture").bounding_box(), page.locator("#where").bounding_box()
        assert view["y"] < title["y"] < 500 and view["height"] > 100
        end, said = page.locator("#transport").bounding_box()["y"], page.locator("#sentence").bounding_box()
        assert title["y"] < said["y"] and said["y"] + said["height"] < end
        asks = page.is_visible("#accuse")  # of one's own rule, before the formula
        shown = page.locator("#accuse" if asks else "#sum, #formulas section, #update section").filter(visible=True)
        if shown.count():  # the sentence is followed by a formula, or by the numbers of a window
            assert said["y"] < shown.first.bounding_box()["y"] < end - (45 if asks else 60)
    page.click("#tabs button >> text=numbers")
    assert page.is_visible("#arrays") and page.is_hidden("#sentence") and page.is_hidden("#code")


@pytest.mark.parametrize("name", ["chain_rule", "cnn", "broken"])
def test_on_a_phone_the_tabs_keep_their_place_and_none_is_empty(opened, demos, name):
    page = opened(demos(name), width=390)
    places = page.evaluate("""() => facts.steps.flatMap((_, step) => ["numbers", "code", "step"].map((part) => {
        show(step);
        tab(part);
        const shown = [...document.querySelectorAll("#step [data-in]")].some((e) => e.offsetHeight && e.innerText);
        return [$("tabs").getBoundingClientRect().y, shown];
    }))""")
    assert len({y for y, _ in places}) == 1 and all(shown for _, shown in places)


def test_on_a_phone_the_label_of_the_quiz_is_one_line(opened, demos):
    page = opened(demos("chain_rule"), width=390)
    page.click("#quiz")
    height = page.locator("#quiz").bounding_box()["height"]
    while not page.evaluate("quiz.seen.size"):
        page.click("#ask button" if page.evaluate("quiz.open") else "#next")
    assert page.inner_text("#quiz") in ("quiz 0/1", "quiz 1/1")
    assert page.locator("#quiz").bounding_box()["height"] == height


def test_plots_are_side_by_side_where_there_is_room(opened, demos):
    page = opened(demos("spiral"), "#step=9")
    one, two = (plot.bounding_box() for plot in page.locator(".try").all())
    assert one["y"] == two["y"] and one["x"] + one["width"] < two["x"]
    page.set_viewport_size({"width": 390, "height": 844})
    one, two = (plot.bounding_box() for plot in page.locator(".try").all())
    assert one["x"] == two["x"] and one["y"] + one["height"] < two["y"]


def test_the_headings_of_the_ladder_are_whole_or_out_of_sight(opened, demos):
    page = opened(demos("chain_rule"), width=1100)
    page.set_viewport_size({"width": 1100, "height": 600})
    heading = page.locator("#picture svg:not([hidden]) [class*=heading-forward]")
    top = page.locator("#picture").bounding_box()["y"]
    for place in range(0, 60, 4):
        page.evaluate("place => { $('picture').scrollTop = place; }", place)
        page.evaluate("new Promise((told) => requestAnimationFrame(() => requestAnimationFrame(told)))")
        assert heading.is_hidden() or heading.bounding_box()["y"] >= top
    assert heading.is_hidden()


def test_the_update_of_many_arrays_shows_the_first_ones_and_the_others_are_folded(opened):
    page = opened(ag.trace(NETWORKS["resnet"]()).page(), "#step=999")
    tall = page.evaluate("document.documentElement.scrollHeight")
    rows = page.locator("#tensors > section")
    assert rows.count() == 6 and tall < 4000
    page.click("#tensors > details > summary >> nth=0")
    assert page.locator("#tensors > details section").filter(visible=True).count() == 18
    assert page.evaluate("document.documentElement.scrollHeight") > 2 * tall


@pytest.mark.parametrize("name", ["spiral", "cnn"])
def test_on_a_phone_each_step_forward_shows_its_number(opened, demos, name):
    page = opened(demos(name), width=390)
    for step in range(1, page.evaluate("lossStep")):
        page.evaluate("step => show(step)", step)
        number = page.evaluate("""() => {
            const { output } = op(facts.steps[at]);
            return numberIn(value(output).array, selected(output).i, selected(output).d); }""")
        shown = page.locator("#formulas, #sum").filter(visible=True).all_inner_texts()
        assert f"{number:.4g}".replace("-", "−") in " ".join(shown), step


def test_on_a_phone_the_update_has_its_plot_and_no_term_is_broken(opened, demos):
    page = opened(demos("cnn"), width=390)
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("End")
    plot, end = page.locator("#update .drawing").bounding_box(), page.locator("#transport").bounding_box()
    assert plot["y"] + plot["height"] < end["y"] and page.locator("#picture").bounding_box()["height"] > 150
    terms = page.locator("#update .line span")
    assert re.fullmatch(r"conv1\.w\[\d, \d, \d, \d\]", terms.first.inner_text())
    assert terms.evaluate_all("(all) => all.every((term) => term.offsetHeight < 30)")
    low, high = page.locator("#update .drawing small").all_inner_texts()[::-1]
    assert 0 < float(low) < float(high)


@pytest.mark.parametrize("name", ["spiral", "cnn"])
def test_at_another_moment_the_same_numbers_are_selected_and_the_learning_rate_stays(opened, demos, name):
    page = opened(demos(name), "#step=999")
    selected = """k => {
        moment(k);
        const ids = Object.keys(facts.values).filter((id) => value(id).gradient && value(id).tried);
        return [$("update").querySelector(".plot b").innerText, ids.map((id) => selected(id).label)];
    }"""
    before, after = (page.evaluate(selected, k) for k in (0, 1))
    assert before == after and len(before[1]) > 5
    for step in page.evaluate("facts.steps.flatMap((s, k) => s.kind === 'backward' && op(s).reach ? [k] : [])"):
        plots = []
        for k in 0, 1:
            page.evaluate("([k, step]) => moment(k, step)", [k, step])
            plots.append(page.locator("#formulas .drawing").count())
        assert plots[0] == plots[1]


def test_a_step_says_why_its_number_is_selected_and_how_to_select_another(opened, demos):
    page, reason = opened(demos("spiral")), "Selected at first: the number with the largest part in the change of"
    for kind, there in ("backward", "#formulas"), ("end", "#update"):
        page.evaluate("kind => show(facts.steps.findLastIndex((s) => s.kind === kind))", kind)
        assert page.locator(f"{there} small").filter(has_text=reason).is_visible()
    page.evaluate("show(at - 1)")
    before = page.locator("#formulas pre").all_inner_texts()
    page.focus("figure.gradient .bars >> nth=0")
    page.keyboard.press("ArrowDown")
    after = page.locator("#formulas pre").all_inner_texts()
    assert [text.split(" = ")[0] for text in after] == ["g_w1[0, 11]", "g_b1[11]"] and after != before
    page = opened(demos("chain_rule"), "#step=999")
    assert reason not in page.inner_text("#step")  # each number is the only one


def test_a_step_is_taken_again_and_again(opened, demos):
    page = opened(demos("chain_rule"))
    page.keyboard.press("End")
    x, y, losses = 0.5, 1.2, []
    for k in range(1, 7):
        lr = float(page.inner_text("#take").rpartition("lr = ")[2])
        assert page.inner_text("#update .plot b") == f"lr = {lr:g}"  # the step that is shown
        page.click("#take")
        loss = ag.Tensor(x, True), ag.Tensor(y, True)
        h = loss[0] * loss[1]
        ag.exp(-(ag.sin(h) + loss[0] * loss[0])).backward()
        x, y = x - lr * float(loss[0].grad), y - lr * float(loss[1].grad)
        losses.append(float(np.exp(-(np.sin(x * y) + x * x))))
        assert page.inner_text("#summary") == f"loss {losses[-1]:.4g}"
        assert page.locator("#picture text", has_text=f"x = {x:.4g}").count() == 1
        assert f"{k} of 6 are taken; they were computed when the page was written." in page.inner_text("#update")
    assert losses == sorted(losses, reverse=True) and page.get_attribute("#take", "aria-disabled") == "true"
    page = opened(demos("spiral"))
    page.keyboard.press("End")
    before = page.inner_text("#summary")
    page.click("#take")
    assert page.inner_text("#moment") == "after 100 steps" and page.inner_text("#summary") != before


def test_a_rule_is_accused_before_the_verdict(opened, demos):
    for width in 390, 1280:
        page = opened(demos("broken"), width=width)
        assert "you judge each one, right or wrong, before the page" in page.inner_text("#goal")
        page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'mix'))")
        assert page.locator("#accuse").bounding_box()["y"] < 800 and page.locator("#formulas .plot").count() == 0
    assert "× local slope" not in page.text_content("#formulas section:first-child")  # what the rule gives is no slope
    assert page.is_visible("#accuse") and page.is_hidden("#tried") and "the rule of" not in page.inner_text("#step")
    page.click("#accuse button >> text=it is right")
    assert page.inner_text("#judgement") == "You trusted it, wrongly: 0 of the 1 judged rightly; 5 to come."
    assert "They do not agree" in page.inner_text("#verdict") and page.is_hidden("#accuse")
    assert page.inner_text("#verdict pre").endswith("w=lambda g, x: x.T @ g)  # an operand is not transposed: g @ w.T")
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'shrink'))")
    assert "stride" not in page.inner_text("#step")  # not before
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'reshape'))")
    assert page.is_hidden("#accuse")  # a rule of the package
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'squared'))")
    page.click("#accuse button >> text=I accuse it")
    assert page.inner_text("#judgement").startswith("You accused it, wrongly: 0 of the 2 judged rightly; ")
    assert "They agree" in page.inner_text("#verdict")
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'shift'))")
    page.click("#accuse button >> text=I accuse it")
    assert page.inner_text("#judgement") == "You accused it, rightly: 1 of the 3 judged rightly; 3 to come."
