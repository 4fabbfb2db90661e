"""One element is selected in each array, and the steps, their formulas, panels and tables speak of these alone."""

import re
import runpy
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn, studio
from studio.pages import load
from studio.player.test_quiz import demo

BROKEN = Path(studio.__file__).parent / "player" / "demos" / "broken.py"

# Opens each step in the order of the walk and returns its texts. `first` are values that no earlier step spoke of
SHOWN = """() => facts.steps.map((step, k) => {
    if (op(step)?.test) judged.set(step.op, true);
    show(k, true);
    const o = op(step) || { learns: [], inputs: [] };
    const back = step.kind === "backward";
    const learns = o.learns.filter((id) => value(id).gradient?.size);
    const w = back && reach?.kernel && o.learns.includes(reach.w) && value(reach.w).parts.length === 1;
    return {
        kind: step.kind, name: o.name, own: o.own, goal: step.goal?.[0], test: o.test,
        out: o.output && selected(o.output).label, w: w && "g_" + selected(reach.w).label,
        formulas: !back ? [] : formulasOf(step).map((formula, i) => ({
            text: [...formula.lines, formula.note].join(" | "), check: formula.check || "",
            value: value(learns[i]).name, element: selected(learns[i]).label,
            first: value(learns[i]).parts[0][0] === step.op,
        })),
        panel: document.getElementById("found")?.innerText.replaceAll("\\n", " ") || "",
    };
})"""


class Block(nn.Module):
    def __init__(self, few, many, rng):
        self.conv1 = nn.Conv2d(few, many, 3, padding=1, stride=many // few, bias=False, rng=rng)
        self.conv2 = nn.Conv2d(many, many, 3, padding=1, bias=False, rng=rng)
        self.bn1, self.bn2 = nn.BatchNorm2d(many), nn.BatchNorm2d(many)
        self.down = nn.Identity() if few == many else nn.Conv2d(few, many, 1, stride=2, bias=False, rng=rng)

    def forward(self, x):
        h = ag.relu(self.bn1(self.conv1(x)))
        return ag.relu(self.bn2(self.conv2(h)) + self.down(x))


def resnet():
    """Three blocks, each of which uses its input twice."""
    rng = np.random.default_rng(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1, rng=rng), Block(8, 8, rng), Block(8, 16, rng), Block(16, 16, rng)]
    head, x = nn.Linear(16, 4, rng=rng), rng.uniform(size=(4, 8, 8, 3)).astype(np.float32)
    model = nn.Sequential(*layers)
    return ag.trace(lambda x: ag.cross_entropy(head(model(x).mean(axis=(1, 2))), np.arange(4)), x)


def lstm():
    rng = np.random.default_rng(0)
    layer, head, x = nn.LSTM(3, 5, rng=rng), nn.Linear(5, 2, rng=rng), rng.normal(size=(2, 4, 3)).astype(np.float32)
    return ag.trace(lambda x: ag.cross_entropy(head(layer(x)[0][:, -1]), np.arange(2)), x)


def transformer():
    nn.seed(0)
    rng = np.random.default_rng(0)
    layer, head = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), nn.Linear(8, 3, rng=rng)
    x = rng.normal(size=(2, 5, 8)).astype(np.float32)
    return ag.trace(lambda x: ag.cross_entropy(head(layer(x).mean(axis=1)), np.arange(2)), x)


def broken():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autograd_cnn.studio.graph.show_page", lambda _: None)
        given = runpy.run_path(str(BROKEN))
    rng = np.random.default_rng(0)
    return ag.trace(given["f"], *(rng.normal(size=s).round(1) + 0.0 for s in ((3, 4, 4), (4, 4), (4,))))


def of_demo(name):
    f, arguments = demo(name)
    return ag.trace(f, *arguments)


BUILT = {
    "resnet": resnet, "lstm": lstm, "transformer": transformer, "broken": broken,
    "cnn": lambda: of_demo("cnn"), "spiral": lambda: of_demo("spiral"),
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(browser, tmp_path_factory):
    """Open the page of a network, and return it."""
    context, texts = browser.new_context(viewport={"width": 1280, "height": 800}), {}

    def opened(name):
        if name not in texts:
            texts[name] = BUILT[name]().page()
        return load(context, tmp_path_factory.mktemp(name) / "page.html", texts[name])

    yield opened
    context.close()


@pytest.fixture(scope="module")
def walked(pages):
    """Opens the steps of a page in order, and returns their texts."""
    found = {}

    def steps(name):
        if name not in found:
            found[name] = pages(name).evaluate(SHOWN)
        return found[name]

    return steps


def back(steps):
    return [step for step in steps if step["kind"] == "backward"]


def place(label):
    return [int(k) for k in re.search(r"\[([\d, ]+)\]$", label)[1].split(", ")]


@pytest.mark.parametrize("name", BUILT)
def test_the_element_first_spoken_of_is_followed_until_its_shares_are_complete(walked, name):
    spoken = defaultdict(set)
    for step in back(walked(name)):
        for formula in step["formulas"]:
            spoken[formula["value"]].add(formula["element"])
            assert f"g_{formula['element']} = " in formula["text"]
    assert {value: labels for value, labels in spoken.items() if len(labels) > 1} == {}


@pytest.mark.parametrize("name", ["resnet", "transformer", "cnn", "spiral"])
def test_every_formula_begins_with_the_number_that_the_step_before_ended_with(walked, name):
    for step in back(walked(name))[1:]:  # the first begins with the loss, which has no place
        for formula in step["formulas"]:
            sums = "sum over" in formula["text"] and "through" in formula["text"]  # names none of its terms
            assert not formula["first"] or sums or f"g_{step['out']}" in formula["text"], (step["name"], formula)


@pytest.mark.parametrize("name", ["resnet", "cnn", "spiral"])
def test_a_column_of_weights_goes_with_its_bias_and_its_output(walked, name):
    layers = [step for step in back(walked(name)) if step["name"] in ("conv2d", "linear", "batch_norm")]
    for step in layers:
        *_, unit = place(step["out"])
        assert {place(f["element"])[-1] for f in step["formulas"] if f["value"].endswith(("w", "b"))} <= {unit}
    assert len(layers) >= 2


@pytest.mark.parametrize("name", ["resnet", "transformer", "cnn", "spiral"])
def test_weights_and_inputs_that_are_selected_are_factors_of_one_product(walked, name):
    """The last index of an input selects the row of the matrix, or the channel of the filter, that multiplies it."""
    for step in back(walked(name)):
        inputs = [f for f in step["formulas"] if f["first"]]
        if step["name"] in ("conv2d", "linear", "matmul") and len(inputs) > 1 and "," in inputs[1]["element"]:
            assert place(inputs[0]["element"])[-1] == place(inputs[1]["element"])[-2], step


@pytest.mark.parametrize("name", ["resnet", "cnn"])
def test_the_panel_of_a_filter_speaks_of_the_place_and_the_number_of_the_formula(walked, name):
    panels = [step for step in back(walked(name)) if step["w"]]
    for step in panels:
        (formula,) = (f for f in step["formulas"] if f"g_{f['element']}" == step["w"])
        _, row, column, _ = place(step["out"])
        assert f"{step['w']} = Σ over" in step["panel"]
        assert f" Row {row}, column {column} is one of " in step["panel"]
        assert f"local slope, of g_{step['out']}" in formula["text"]
    assert len(panels) >= 3


@pytest.mark.parametrize("name", ["resnet", "transformer", "cnn", "spiral"])
def test_every_number_of_a_walk_has_a_formula(walked, name):
    texts = [f["text"] for step in back(walked(name)) for f in step["formulas"]]
    assert len(texts) > 5 and not [text for text in texts if "as the rule gives it" in text]


@pytest.mark.parametrize("name", BUILT)
def test_the_number_of_the_first_screen_is_that_of_the_last_step_that_speaks_of_its_array(walked, name):
    begin, *_ = walked(name)
    promised = re.search(r"Raise (.*\]) by 0\.01 and the", begin["goal"])[1]
    told = [f for step in back(walked(name)) for f in step["formulas"] if f["value"] == promised.partition("[")[0]]
    assert told[-1]["element"] == promised and f"g_{promised} = " in told[-1]["text"]


@pytest.mark.parametrize("name", ["cnn", "broken", "spiral"])
def test_the_number_of_a_formula_is_a_row_of_the_differences(walked, name):
    count = 0
    for step in (step for step in back(walked(name)) if step["test"]):
        rows = [element.partition(", this")[0] for element, *_ in step["test"]["rows"]]
        for formula in step["formulas"]:
            assert f"g_{formula['element'].replace('.', '_')}" in rows, step
            count += 1
    assert count >= 7


def test_a_wrong_rule_is_blamed_where_it_can_matter_only(walked):
    """`shift` gives a wrong gradient to its b only, so what is before it is not wrong by it."""
    blamed = {f["value"]: f["check"] for step in back(walked("broken")) for f in step["formulas"]}
    assert "the rule of shift (here), of larger and of middle." in blamed["b"]
    assert "the rule of larger and of middle." in blamed["u"]
    assert "the rule of mix (here), of larger and of middle." in blamed["reshape"]
    assert "the rule of shrink (here), of mix, of larger and of middle." in blamed["x"]
    assert "the rule of larger and of middle." in blamed["w"]


def test_a_slope_that_a_rule_of_ones_own_gives_is_its_word_and_no_fact(walked):
    texts = {f["value"]: f["text"] for step in back(walked("broken")) for f in step["formulas"]}
    assert texts["s"].endswith("incoming gradient × local slope; your rule of middle() says that it is ones_like(s)")
    assert "is that of" not in " ".join(texts[v] for v in "stub")


def test_what_a_slice_does_not_contain_is_said_to_give_nothing(walked):
    texts = [f["text"] for step in back(walked("lstm")) for f in step["formulas"]]
    text = next(text for text in texts if "through zi_4: " in text)
    assert "through zi_4: 0, as no number of zi_4 depends on it |" in text and "× 0 =" not in text
    assert re.search(r"through zo_4: g_zo_4\[0, \d\] × local slope = −?[\d.]+ × 1 = ", text)


def test_a_number_of_numpy_is_written_as_a_number(taught):
    frame = taught(ag.trace(lambda x: ag.sum(ag.exp(x / np.sqrt(4.0))), np.ones(3)).page())
    texts = str([step.get("formulas") for step in frame["steps"]])
    assert "0.5" in texts and "float64" not in texts


def test_what_the_reader_selects_is_followed_from_there_on(pages):
    page = pages("cnn")
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'max_pool2d'))")
    page.evaluate("(point(scene.find(({ id }) => id === op(facts.steps[at]).output), 2, 1, 2))")
    seen = []
    for _ in range(3):
        seen.append(
            page.evaluate("[op(facts.steps[at]).output, ...op(facts.steps[at]).learns].map((id) => selected(id).label)")
        )
        page.evaluate("show(at + 1)")
    pool, relu, conv = seen
    assert pool[0] == "m3[0, 1, 2, 2]" and pool[1] == relu[0] and relu[1] == conv[0]
    assert place(relu[0]) == place(relu[1]) and place(relu[0])[3] == 2 and place(relu[0])[1] in (2, 3)
    assert place(conv[2])[3] == place(conv[3])[0] == 2
