"""What the page calls things in words: axes, places, colours, classes, counts, the terms of a loss."""

import re
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from studio import networks
from studio.networks import NETWORKS
from studio.pages import facts_of


@pytest.fixture
def network(rng):
    """A small CNN on colour images with three classes, as a function of images and labels."""
    w, b = ag.Tensor(rng.normal(size=(3, 3, 3, 4)), True, "w"), ag.Tensor(np.zeros(4), True, "b")
    v = ag.Tensor(0.1 * rng.normal(size=(64, 3)), True, "v")

    def f(x, y):
        h = ag.relu(ag.conv2d(x, w, b, padding=1))
        z = ag.matmul(ag.flatten(ag.max_pool2d(h, 2), 1), v)
        return ag.cross_entropy(z, y)

    return f, rng.uniform(0.1, 1, (2, 8, 8, 3)), np.array([2, 0])


@pytest.fixture
def first(taught):
    """The facts of a page, with its formulas."""
    return taught


def said(frame):
    """All that the steps say, a string for each."""
    return [
        " | ".join(text for f in step.get("formulas", []) for text in (*f["lines"], f.get("note", "")))
        for step in frame["steps"]
    ]


def values(frame):
    return {value["name"]: value for value in frame["values"].values()}


def test_axes_are_named_by_the_operations_that_use_them(first, network):
    f, *given = network
    found = {name: value.get("axes") for name, value in values(first(ag.trace(f, *given).page())).items()}
    assert found["x"] == ["image", "row", "column", "colour"] and found["w"] == ["row", "column", "colour", "filter"]
    assert found["h"] == ["image", "row", "column", "channel"] == found["max_pool2d"] and found["b"] == ["filter"]
    assert found["z"] == ["image", "class"] and found["v"] == ["input", "class"] and found["y"] == ["image"]
    assert found["flatten"] == ["image", "unit"] and "loss" in found and found["loss"] is None


def test_a_place_has_words_and_a_class_its_name(first, network, tmp_path):
    f, *given = network
    graph = ag.trace(f, *given)
    graph.save(tmp_path / "page.html", classes=["cat", "dog", "cow"])
    assert "class 2 (cow) is right" in str(said(first((tmp_path / "page.html").read_text(encoding="utf-8"))))
    frame = first(graph.page(classes=["cat", "dog", "</script>"]))
    texts = " ".join(said(frame))
    assert re.search(r"row \d, column \d, (red|green|blue), filter \d", texts)
    assert "class 2 (</script>) is right: −log " in texts and re.search(
        r"image \d, class \d \((cat|dog|</script>)\)", texts
    )
    assert frame["steps"][0]["say"].startswith("With x (2 images, 8 × 8, 3 colours), y (2 images) and")
    plain = " ".join(said(first(graph.page())))
    assert "class 2 is right" in plain and "(cat)" not in plain


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_labels_of_any_integers_are_classes(first, network, dtype):
    f, x, y = network
    frame = first(ag.trace(f, x, y.astype(dtype)).page())
    assert values(frame)["z"]["axes"] == ["image", "class"] and "class 2 is right" in " ".join(said(frame))


def test_names_of_another_number_of_classes_name_none(first, network):
    f, *given = network
    frame = first(ag.trace(f, *given).page(classes=["cat", "dog"]))
    assert values(frame)["z"]["axes"] == ["image", "score"] and "cat" not in " ".join(said(frame))


def test_a_loss_is_followed_from_one_image_to_the_mean(first, network):
    f, x, y = network
    frame = first(ag.trace(f, x, y).page())
    text = said(frame)[len(frame["ops"])]
    scores = np.array(values(frame)["z"]["array"]["elements"], float).reshape(2, 3)
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    losses = -np.log(p[[0, 1], y])
    assert f"softmax(z[0]) = {p[0, 0]:.4g}, {p[0, 1]:.4g}, {p[0, 2]:.4g} | class 2 is right: −log " in text
    assert f" = {losses[0]:.4g} | " in text.partition("class 2 is right: −log ")[2][:30]
    assert f"= ({losses[0]:.4g} + {losses[1]:.4g}) / 2 = {losses.mean():.4g}" in text
    terms = [step.get("term", "") for step in frame["steps"]]
    assert [i for i, term in enumerate(terms) if "Softmax: " in term] == [len(frame["ops"])]


@pytest.mark.parametrize("loss", ["mse", "bce", "l1_loss", "bce_with_logits"])
def test_the_mean_of_other_losses_has_its_terms(first, rng, loss):
    q, y = rng.uniform(0.2, 0.8, (2, 3)), np.eye(3)[:2]
    frame = first(ag.trace(lambda q: getattr(ag, loss)(q, y), q).page())
    each = np.asarray(getattr(ag, loss)(q, y, reduction="none")).ravel()
    shown = " + ".join(f"{t:.4g}" for t in each[:4])
    text = " ".join(said(frame))
    assert f"= ({shown} + …) / 6 = {each.mean():.4g}" in text
    i = values(frame)["q"]["example"]
    assert loss not in ("mse", "bce") or f"{loss}({q.flat[i]:.4g}, {y.flat[i]:g}) = {each[i]:.4g}" in text


def test_a_loss_of_ones_own_is_shown_alike(first, rng):
    @ag.primitive
    def surprise(z, y):
        """Takes the mean of ``-log softmax(z)[y]``."""
        e = np.exp(z)
        return -np.mean(np.log((e / e.sum(-1, keepdims=True))[np.arange(len(y)), y]))

    surprise.vjp(z=lambda g, z, y: g * (ag.softmax(z) - np.eye(z.shape[-1])[np.asarray(y)]) / len(y))
    z = rng.normal(size=(2, 3)).round(2)
    frame = first(ag.trace(lambda z, y: surprise(z * 1.0, y), z, np.array([1, 2])).page())
    assert "class 1 is right: −log " in " ".join(said(frame)) and frame["ops"][-1]["own"]


def test_a_value_with_the_name_of_its_operation_is_said_once(first, network):
    f, *given = network
    frame = first(ag.trace(f, *given).page())
    text = " ".join(step["say"] for step in frame["steps"])
    assert "flatten() uses max_pool2d (max_pool2d(h, 2)) to make flatten (" in text
    frame = first(ag.trace(lambda x: ag.exp(ag.sin(x)), 0.5).page())
    assert "sin(x) | = sin(0.5)" in said(frame)[1] and "sin = " not in said(frame)[1]
    assert next(s["term"] for s in frame["steps"] if s["kind"] == "loss").startswith("g_sin is short for ")
    frame = first(ag.trace(ag.sin, 0.5).page())
    assert next(s["term"] for s in frame["steps"] if s["kind"] == "loss").startswith("g_x is short for ")


def test_the_rule_of_relu_needs_its_result_only(first):
    frame = first(ag.trace(lambda x: ag.sum(ag.relu(x)), np.ones(3)).page())
    back = " ".join(step["say"] for step in frame["steps"])
    assert "1 where relu is above 0, and 0 elsewhere. The rule needs relu, so the forward pass kept it." in back


def test_a_result_is_called_what_a_line_calls_it(first):
    def net(x):
        return ag.tanh(ag.sin(x))

    def f(x):
        z = net(x)
        return ag.sum(z * z)

    frame = first(ag.trace(f, np.ones(3)).page())
    assert [frame["values"][op["output"]]["name"] for op in frame["ops"]] == ["sin", "z", "multiply", "loss"]


def test_a_name_that_occurs_again_is_explained_and_the_user_s_own_is_not(first):
    def f(x):
        h = ag.sin(x)
        h = ag.exp(h)
        h = ag.tanh(h)
        y_2 = h * 2
        return ag.sum(y_2)

    frame = first(ag.trace(f, np.ones(3)).page())
    names = [frame["values"][op["output"]]["name"] for op in frame["ops"]]
    assert names == ["h", "h_2", "h_3", "y_2", "loss"]
    line = f.__code__.co_firstlineno
    told = [step["say"].partition(". ")[0] for step in frame["steps"][1:6]]
    assert [told[1], told[2]] == [f"h_{k} is the variable h as line {line + k} sets it" for k in (2, 3)]
    assert not any(text.startswith(("h ", "y_2 ", "loss ")) for text in told)
    assert "uses h_3 (h of line" in " ".join(step["say"] for step in frame["steps"])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_name_that_no_line_has_is_explained_at_its_step_and_on_the_way_back(name):
    lines = Path(networks.__file__).read_text(encoding="utf-8")
    frame = facts_of(ag.trace(NETWORKS[name]()).page())["frames"][0]
    strange = [v["name"] for v in frame["values"].values() if not re.search(rf"\b{v['name']}\b", lines)]
    made = {frame["values"][op["output"]]["name"] for op in frame["ops"]} & {*strange} - {"loss"}
    assert len(made) > 10
    for step in frame["steps"]:
        op = frame["ops"][step["op"]]
        if step["kind"] == "forward" and (v := frame["values"][op["output"]]["name"]) in made:
            assert re.match(
                rf"{v} is ((a part|the result) of .+ on line \d+|the variable \w+ as line \d+ sets it)", step["say"]
            )
        elif step["kind"] == "backward":
            for v in {frame["values"][i]["name"] for i in (op["output"], *op["learns"])} & made:
                assert re.search(rf"\b{v} \(|\b{v}\b.* is a part of|share", step["say"]), (v, step["say"])


def test_a_result_has_the_name_that_the_call_of_a_function_of_the_package_reads(first, network):
    z = ag.Tensor(np.eye(3), True)

    def scores(x):
        return ag.matmul(x, z)

    def f(x, y):
        answer = scores(x)
        return ag.cross_entropy(answer, y)

    frame = first(ag.trace(f, np.ones((2, 3)), np.array([0, 1])).page())
    assert "answer" in values(frame) and "matmul" not in values(frame)


def test_a_result_has_the_name_of_its_callers_variable_not_of_one_in_the_module_that_it_is_passed_to():
    class Block(ag.nn.Module):
        def forward(self, x):
            skip = x
            return ag.tanh(ag.sin(x) + skip)

    class Net(ag.nn.Module):
        def __init__(self):
            self.blocks = [Block(), Block()]

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            scores = x
            return ag.sum(scores * 2.0)

    graph = ag.trace(Net(), np.ones(3))
    names = [graph.values[op.output].name for op in graph.ops]
    assert names == ["sin", "add", "tanh", "sin_2", "add_2", "scores", "multiply", "loss"]


def test_a_step_that_picks_says_by_which_index_and_where_its_elements_come_from(first):
    def f(x):
        k = x[:, 4:]
        first = x[1:, 0]
        last = k[..., -1, 2]
        return ag.sum(k[1] * last) + first.sum()

    graph = ag.trace(f, np.arange(24.0).reshape(3, 8))
    frame = first(graph.page())
    picks = [step for step in frame["steps"] if step["kind"] == "forward" and "Picks" in step["say"]]
    lines = [step["formulas"][0]["lines"] for step in picks]
    assert [line for line, _ in lines] == ["k = x[:, 4:]", "first = x[1:, 0]", "last = k[..., -1, 2]", "getitem = k[1]"]
    for _, line in lines:
        name, y, x, number = re.fullmatch(r"\w+(?:\[.*\])? = (\w)\[(\d), (\d)\] = (\d+)", line).groups()
        assert int(number) == 8 * int(y) + int(x) + 4 * (name == "k"), line
    assert "[index]" not in str(frame["steps"])


def test_the_first_step_shows_the_functions_that_ran_the_model_s_own_before_its_loss(first, rng):
    class Net(ag.nn.Module):
        def __init__(self):
            self.fc = ag.nn.Linear(3, 2, rng=rng)

        def forward(self, x):
            return ag.tanh(self.fc(x))

    def loss(outputs, labels):
        return ag.cross_entropy(outputs, labels)

    model, labels = Net(), np.array([0, 1])
    begin = first(ag.trace(lambda x: loss(model(x), labels), np.ones((2, 3), np.float32)).page())["steps"][0]
    heads = [source["lines"][0][1].strip() for source in begin["source"]]
    assert heads == ["def forward(self, x):", "def loss(outputs, labels):"]
    assert begin["ask"] == "What do forward and loss compute?"


def test_an_expression_stands_for_the_last_operation_that_it_made(first, rng):
    model = ag.nn.Sequential(ag.nn.Linear(3, 4, rng=rng), ag.relu, ag.nn.Linear(4, 2, rng=rng))

    def f(x):
        return ag.sum(model(x) * 2.0)

    frame = first(ag.trace(f, np.ones((5, 3), np.float32)).page())
    asked = [step["ask"] for step in frame["steps"] if step["kind"] == "forward"]
    assert asked == [f"What is {name}?" for name in ("linear", "relu", "model(x)", "model(x) × 2.0", "loss")]
    line = f"on line {f.__code__.co_firstlineno + 1}"
    told = [step["say"].partition(f" {line}")[0] for step in frame["steps"][1:5]]
    assert told == [
        "linear is a part of model(x)", "relu is a part of model(x)",
        "linear_2 is the result of model(x)", "multiply is the result of model(x) × 2.0",
    ]  # fmt: skip


def test_the_start_explains_only_what_the_page_has(first, network):
    f, *given = network
    w = ag.Tensor(np.ones((3, 2)), True, "w")
    pages = [(f, given), (lambda x: ag.sum(x @ w), [np.ones((4, 3))]), (lambda x: ag.sum(ag.exp(x)), [np.ones(3)])]
    terms = [first(ag.trace(f, *given).page())["steps"][0]["term"] for f, given in pages]
    found = [re.findall(r"(Parameters|Batch|Channel|In brackets): ", term) for term in terms]
    assert found == [["Parameters", "Batch", "Channel", "In brackets"], ["Parameters", "Batch"], []]


def test_only_what_is_summed_is_said_to_be_summed(first, rng):
    w, b = ag.Tensor(rng.normal(size=(4, 3)), True, "w"), ag.Tensor(np.zeros(3), True, "b")
    frame = first(ag.trace(lambda: ag.sum(ag.exp(w + b))).page())
    said = [step["say"] for step in frame["steps"] if step["kind"] == "backward"]
    assert "Each number of b changes several numbers of add, so its gradient is a sum." in said[-1]
    assert "is a sum" not in said[1]
