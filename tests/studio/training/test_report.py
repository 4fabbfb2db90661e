"""The report of a run: its facts equal the numbers that it was made from, and the page needs nothing else."""

import math
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.environment import command
from autograd_cnn.studio.live import page as live
from autograd_cnn.studio.report.advice import next_steps
from autograd_cnn.studio.report.facts import Facts
from autograd_cnn.studio.report.sections import course
from autograd_cnn.training import Evaluation, History
from studio.pages import facts_of
from studio.training.reports import CLASSES, Run, figures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", "--recipe", "tiny"])
        run = Run(tmp_path_factory.mktemp("run"))
        run.text = run.write()
    return run


class Page(HTMLParser):
    """The elements of a page: the texts of each kind, their attributes, and whether they are nested rightly."""

    VOID = ("meta", "img", "br", "input", "link")

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.found = [], {}, []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append((tag, dict(attributes).get("id"), dict(attributes).get("class")))

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for place in {part for element in self.open for part in element}:
            self.texts.setdefault(place, []).append(data)


@pytest.fixture(scope="module")
def page(run):
    return Page(run.html)


def test_the_headline_is_that_of_the_evaluation(run, page):
    share = f"{run.result.accuracy:.2%}"
    assert "".join(page.texts["h1"]) == f"{share} of 40 test images right"
    tiles = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert tiles == {
        "test loss": f"{run.result.loss:.4f}", "validation accuracy": "84.00%", "best pass": "3 of 3", "time": "6 s",
        "images a second": "50", "waited for data": "5.0%", "parameters": "625",
    }  # fmt: skip
    assert command("train.py", "--recipe", "tiny") in page.texts["header"]
    (origin,) = [text for text in page.texts["header"] if "looked at once" in text]
    assert "data shapes (synthetic) · recipe tiny · seed 7" in origin


def test_every_pass_is_in_the_table(page):
    cells = page.texts["course"]
    for i in range(1, 4):
        row = [f"{i}", f"{1 / i:.4f}", f"{0.3 * i:.2%}", f"{1.1 / i:.4f}", f"{0.28 * i:.2%}", f"{0.01 / i:.3g}"]
        assert " ".join([*row, "2.0 s", "0.10 s"]) in " ".join(text for text in cells if text.strip())


def test_the_confusions_are_those_of_the_evaluation(run, page):
    cells = [text for text in page.texts["confusion"] if text.strip().isdigit()]
    assert [int(cell) for cell in cells] == run.result.confusion[run.result.confusion > 0].tolist()


def test_the_mistakes_are_the_surest_first(run, page):
    wrong = np.flatnonzero(run.result.outputs.argmax(1) != run.labels)
    surest = run.probabilities[wrong].max(axis=1).argsort()[::-1]
    expected = [
        f"{CLASSES[run.result.outputs[i].argmax()]} {run.probabilities[i].max():.1%} "
        f"is {CLASSES[run.labels[i]]} {run.probabilities[i, run.labels[i]]:.1%}"
        for i in wrong[surest]
    ]
    shots = [images for images in page.found if images[0] == "img" and images[1]["alt"].startswith("test image ")]
    assert [shot[1]["alt"] for shot in shots[1:]] == [
        f"test image {i}, {CLASSES[run.labels[i]]}" for i in wrong[surest]
    ]
    texts = [text.strip() for text in page.texts["shots"]]
    assert " ".join(texts) == " ".join(expected)


def test_filters_and_maps_are_drawn_one_by_one(page):
    labels = [attributes["aria-label"] for tag, attributes in page.found if attributes.get("class") == "tiles"]
    assert labels == [
        "4 filters of 0, 3 × 3 pixels, colours",
        "written by 0: 4 channels, 8 × 8",
        "read by 3: 4 channels, 4 × 4",
        "written by 3: 6 channels, 4 × 4",
    ]
    assert sum(tag == "img" and attributes["alt"] == "" for tag, attributes in page.found) == 4 + 4 + 4 + 6


def test_gradients_and_dead_channels_have_their_numbers(page):
    text = " ".join(text for text in page.texts["layers"] if text.strip())
    assert "0.w 0.5 0.167" in text and "3.w 0.2 0.2" in text and "relu of 0 0.0% 50.0%" in text
    assert "0.b 0.05 0.05 0.05" in text  # a bias is in the table of all numbers only


def test_the_page_asks_for_nothing(run, page):
    places = [a.get(name) for _, a in page.found for name in ("src", "href", "action", "srcdoc", "style")]
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in places if place)
    assert set(re.findall(r"http(?!-equiv)[\w:./]*", run.html)) == {"http://www.w3.org/2000/svg"}
    policy = policy_of(page)
    assert policy["default-src"] == {"'none'"} and "unsafe" not in str(policy)


def policy_of(page):
    (policy,) = [a["content"] for tag, a in page.found if a.get("http-equiv") == "Content-Security-Policy"]
    return {name: set(sources) for name, *sources in (directive.split() for directive in policy.split("; "))}


def test_the_page_allows_what_the_player_in_its_frame_needs(run, page):
    player = policy_of(Page((run.folder.path / "net.html").read_text(encoding="utf-8")))
    own = policy_of(page)
    for directive in "script-src", "style-src":
        assert player[directive] < own[directive]
    assert player["script-src"] < set(re.findall(r"'sha256-.*?'", live.page()))


def test_every_picture_has_words_and_every_section_a_heading(page):
    assert all("alt" in attributes for tag, attributes in page.found if tag == "img")
    titles = [a["aria-labelledby"] for tag, a in page.found if tag == "section"]
    headings = [a.get("id") for tag, a in page.found if tag == "h2"]
    assert titles == headings and len(titles) == 8
    links = [a["href"] for tag, a in page.found if tag == "a"]
    assert [f"{link[1:]}-title" for link in links] == titles


def test_names_of_the_user_are_escaped(run):
    assert "<square>" not in run.html and "&lt;square&gt; &amp; co" in run.html


def test_the_same_run_writes_the_same_bytes(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--recipe", "tiny"])
    before = run.html, (run.folder.path / "report.txt").read_bytes()
    run.write()
    assert (run.html, (run.folder.path / "report.txt").read_bytes()) == before


def test_the_text_has_the_same_facts(run):
    assert (run.folder.path / "report.txt").read_text() == run.text
    assert run.text.isascii() and max(map(len, run.text.splitlines())) <= 110 + len(str(run.folder.path))
    words = " ".join(run.text.split())
    assert f"test accuracy {run.result.accuracy:.2%} test loss {run.result.loss:.4f}" in words
    assert "best 3 0.3333 90.00% 0.3667 84.00% 0.00333 2.0 s 0.10 s" in words
    assert command("-m", "autograd_cnn", "predict", run.folder.path, "IMAGE.png", "--why") in run.text
    assert "looked at once" in run.text and "seed 7" in run.text


def test_the_player_has_the_moments_of_the_training(run, tmp_path):
    recipe = run.folder.module()
    model = recipe.build(recipe.Settings()).train()
    moments = ag.report.Moments(model, ag.cross_entropy, run.images, run.labels)
    for passes in range(1, 6):
        for p in model.parameters():
            p.data = p.data + 0.1
        moments(figures(passes))
    assert [name for name, _ in moments.graphs] == ["at the start", "after pass 1", "after pass 2", "after pass 4"]
    assert len({graph.loss for _, graph in moments.graphs}) == 4 and model.training
    assert all(graph.values["t1"].shape[0] == 4 for _, graph in moments.graphs)
    text = run.write(moments=moments)
    assert "net.html     this network, forward and back, step by step, at 5 moments of the training\n" in text
    net = facts_of((run.folder.path / "net.html").read_text(encoding="utf-8"))
    assert (
        "after pass 4" in [frame["label"] for frame in net["frames"]]
        and net["classes"] == run.folder.settings["classes"]
    )
    assert "at the start, after pass 1, after pass 2, after pass 4, after the training" in run.html


def test_a_report_without_a_player_says_why(tmp_path):
    run = Run(tmp_path)
    recipe = run.folder.module()
    model = recipe.build(recipe.Settings())
    next(model.parameters()).requires_grad = False
    moments = ag.report.Moments(model, ag.cross_entropy, run.images, run.labels)
    assert "net.html" not in run.write(moments=moments) and not (run.folder.path / "net.html").exists()
    assert "The player is left out: the frame after the training is another network, or other tensors" in run.html


def test_moments_leave_the_training_alone(run):
    model = ag.nn.Sequential(ag.nn.BatchNorm2d(3), ag.nn.Flatten(), ag.nn.Dropout(0.5), ag.nn.Linear(192, 3))
    state = {name: array.copy() for name, array in model.state_dict().items()}
    moments = ag.report.Moments(model, ag.cross_entropy, run.images, run.labels)
    moments(figures(1))
    first, second = (graph.loss for _, graph in moments.graphs)
    assert first == second  # without dropout
    assert all(np.array_equal(array, state[name]) for name, array in model.state_dict().items())


def test_the_report_needs_neither_a_screen_nor_matplotlib(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "test accuracy" in run.write()


def test_a_run_without_convolutions_or_passes_is_reported(run):
    recipe = run.folder.module()
    whole = ag.nn.Sequential(ag.nn.Flatten(), ag.nn.Linear(192, 3, rng=np.random.default_rng(0)))

    class Folder:
        path, settings = run.folder.path, {"classes": CLASSES}
        model, module, history = (lambda self: whole), (lambda self: recipe), (lambda self: History())

        def count_look(self, accuracy, confidence):
            return 1

    text = ag.report.write(Folder(), run.images, run.labels, run.result, ag.cross_entropy)
    assert "Passes" not in text and "test accuracy" in text
    assert "seen" not in [a.get("id") for _, a in Page(run.html).found]


def test_results_of_other_images_are_refused(run):
    with pytest.raises(ValueError, match="report: 39 images, 40 labels, 40 results, want equally many"):
        ag.report.write(run.folder, run.images[1:], run.labels, run.result, ag.cross_entropy)
    plain = Evaluation(0.5, math.nan, run.result.outputs, np.zeros((0, 0), np.int64))
    with pytest.raises(ValueError, match="report: the results have no classes"):
        ag.report.write(run.folder, run.images, run.labels, plain, ag.cross_entropy)


def many(run, times=5):
    """The same run with so many times the test images."""
    outputs, labels = np.tile(run.result.outputs, (times, 1)), np.tile(run.labels, times)
    result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, labels, 10**4)
    parts = {"result": result, "labels": labels, "probabilities": np.tile(run.probabilities, (times, 1))}
    return SimpleNamespace(folder=run.folder, **parts)


def test_few_cases_give_no_advice(run):
    """13 mistakes say little about classes, 40 images about confidence, and 5 about the gap."""
    assert len(run.labels) == 40 and not said(advice(run, figures()), "confuse")
    near = run.probabilities * 0 + (1 - run.result.accuracy - 0.08) / 2
    near[np.arange(40), run.result.outputs.argmax(1)] = run.result.accuracy + 0.08
    assert not said(advice(run, figures(), probabilities=near), "confidence")
    assert said(advice(many(run, 20), figures(), probabilities=np.tile(near, (20, 1))), "confidence")
    history = figures()
    history.epochs[2].validation_accuracy = 0.7
    for share, sure in (0.05, False), (0.5, True):  # 5 and 100 validation images
        settings = {**run.folder.settings, "settings": {"validation": share}}
        facts = Facts("", settings, history, run.result, run.labels, run.probabilities, 625)
        assert any("Training accuracy is 20 points above" in step.text for step in next_steps(facts)) == sure


def test_a_model_that_has_hardly_learnt_gets_no_advice_on_classes(run):
    wrong = many(run)
    wrong.labels = (wrong.labels + 1) % 3
    outputs = wrong.result.outputs
    wrong.result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, wrong.labels, 10**4)
    assert wrong.result.accuracy < 0.5 and not said(advice(wrong, figures()), "confuse")


def test_the_note_of_a_recipe_is_in_the_report(tmp_path):
    run = Run(tmp_path)
    run.folder.module().note = lambda settings: f"The loss <{settings.width}> is least at 0.325."
    try:
        text = run.write()
    finally:
        del sys.modules[run.folder.module().__name__]
    assert "  The loss <4> is least at 0.325.\n" in text and "The loss &lt;4&gt; is least at 0.325." in run.html


def test_a_report_without_origin_begins_its_line_with_a_word(tmp_path):
    run = Run(tmp_path)
    for name in ("data", "recipe", "seed"):
        del run.folder.settings[name]
    run.write()
    assert '<p class="quiet">The test images were looked at once' in run.html


def advice(run, history, result=None, probabilities=None):
    facts = Facts(
        "runs/tiny", run.folder.settings, history, result or run.result, run.labels,
        run.probabilities if probabilities is None else probabilities, 625,
    )  # fmt: skip
    return [step.text for step in next_steps(facts)]


def said(texts, words):
    return any(words in text for text in texts)


def test_advice_follows_from_the_course(run):
    falling = figures()
    assert said(advice(run, falling), "still falling in the last pass (0.5500 to 0.3667): train longer, with 6 passes")
    rising = figures()
    rising.epochs[2].validation_loss = 0.7
    assert said(advice(run, rising), "validation loss was least after pass 2 (0.5500) and rose to 0.7000")
    level = figures()
    level.epochs[2].validation_loss = 0.549
    assert not said(advice(run, level), "validation loss")


def test_advice_follows_from_the_gap(run):
    history = figures()
    history.epochs[2].validation_accuracy = 0.88
    assert not said(advice(run, history), "Training accuracy")
    history.epochs[2].validation_accuracy = 0.7
    assert said(advice(run, history), "Training accuracy is 20 points above validation accuracy")
    history.epochs[2].accuracy = 0.6
    assert said(advice(run, history), "Training accuracy is 10 points below validation accuracy")


def test_advice_follows_from_layers(run):
    history = figures()
    assert said(advice(run, history), "50% of the channels of relu of 0 are 0 in all images of a batch, so they hardly")
    for epoch in history.epochs:
        epoch.dead, epoch.silent, epoch.waited = {"relu of 0": 0.4}, {"relu of fc": 0.6}, 0.01
    assert not said(advice(run, history), "0 in all images") and not said(advice(run, history), "waited")


def test_advice_names_the_options_of_the_command(run):
    """Those that it has, for the settings that it has; without any, words."""
    settings = {"lr": 0.01, "weight_decay": 0.002, "cutout": 0, "label_smoothing": 0.2, "epochs": 3, "size": 32}
    options = {"settings": settings, "options": ["--lr", "--epochs", "--set", "--size"]}
    large, rising = many(run, 20), figures()
    unsure = np.tile(run.probabilities * 0 + 0.3 + 0.1 * np.eye(3)[run.result.outputs.argmax(1)], (20, 1))
    rising.epochs[2].validation_loss, rising.epochs[2].validation_accuracy = 0.7, 0.6
    for given, words in (
        ({}, ["with 6 passes.", "more: weight decay, augmentation or dropout.", "dropout will narrow"]),
        (
            options,
            ["with --epochs 6.", "more: --set weight_decay=0.004 --set cutout=8.", "cutout=8 will narrow",
             "--set label_smoothing=0.1 makes it more honest", "resolution (--size), would"],
        ),
    ):  # fmt: skip
        large.folder = SimpleNamespace(settings={**run.folder.settings, **given})
        told = [*advice(large, figures()), *advice(large, rising, probabilities=unsure)]
        assert all(said(told, each) for each in words) and said(told, "--") == bool(given), told


def test_good_models_need_no_more_passes(run):
    fine = figures()
    fine.epochs[2].validation_accuracy = 0.994
    assert not said(advice(run, fine), "passes")


def test_advice_after_a_run_that_ended_early(run):
    ended = figures(ended="interrupted at step 30")
    facts = Facts("my run", run.folder.settings, ended, run.result, run.labels, run.probabilities, 625, resume="again")
    first = next_steps(facts)[0]
    assert first.text == "The run ended early: interrupted at step 30. Go on from where it stopped:"
    assert first.command == "again"
    own = next_steps(replace(facts, resume=""))[0]
    assert own.command == "" and "RunFolder(..., resume=True), goes on" in own.text
    assert not said(advice(run, figures(ended="early stop")), "ended early")


def test_advice_names_the_classes_that_are_confused(run):
    run = many(run)
    c = run.result.confusion
    pairs = {(i, j): c[i, j] + c[j, i] for i in range(3) for j in range(i)}
    i, j = max(pairs, key=pairs.get)
    (text,) = [text for text in advice(run, figures()) if "confuse" in text]
    wrong = len(run.labels) - np.trace(c)
    assert text.startswith(f"Of {wrong} mistakes, 100% confuse ")
    assert re.search(rf"^[^(]*({CLASSES[i]} and {CLASSES[j]}|{CLASSES[j]} and {CLASSES[i]}) \({pairs[i, j]}\)", text)


def test_advice_follows_from_confidence(run):
    sure = np.where(run.probabilities == run.probabilities.max(axis=1, keepdims=True), 0.99, 0.005)
    (text,) = [text for text in advice(run, figures(), probabilities=sure) if "confidence" in text]
    assert text.startswith("The model's mean confidence is 99%, its accuracy ")
    assert "it is surer than it should be. Label smoothing" in text


@pytest.mark.parametrize(
    ("scale", "cure"),
    [(20, "train again with a learning rate 10 times smaller"), (0.1, "Train again with 30 passes")],
)
def test_a_model_that_guesses_gets_one_advice(run, scale, cure):
    """It is not told that it is surer than it should be, or what it confuses."""
    labels, outputs = np.arange(300) % 3, scale * np.eye(3, dtype=np.float32)[np.arange(300) // 3 % 3]
    result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, labels, 10**4)
    guess = SimpleNamespace(
        folder=run.folder, result=result, labels=labels, probabilities=run.folder.module().probabilities(outputs)
    )
    first, *own = advice(guess, figures())
    assert first.startswith(
        "The model has learned next to nothing yet: its accuracy, 33.33%, is about that of guessing"
    )
    assert cure in first and len(own) == 2


def test_passes_that_were_cut_short_have_one_form(run):
    history = figures(1)
    history.epochs[0].part = 4 / 19
    facts = Facts("", run.folder.settings, history, run.result, run.labels, run.probabilities, 625)
    assert facts.figures["best pass"] == "0.211 of 0.211"


def test_equal_numbers_of_all_passes_are_drawn(run):
    """The accuracy cannot rise above 1, where its axis ends."""
    history = figures()
    for epoch in history.epochs:
        epoch.accuracy = epoch.validation_accuracy = 1.0
    drawn = course(Facts("", run.folder.settings, history, run.result, run.labels, run.probabilities, 625))
    assert drawn.count("<circle") == 3 * (2 + 2 + 1 + 2) and "nan" not in drawn
    assert "Accuracy against passes: training from 100% to 100%; validation from 100% to 100%" in drawn


def test_the_losses_of_many_steps_are_drawn_as_their_means(run):
    history = figures()
    history.losses = [1.0] * 1200
    drawn = course(Facts("", run.folder.settings, history, run.result, run.labels, run.probabilities, 625))
    (path,) = re.findall(r'<path class="line2" d="M([^"]*)"', drawn)
    points = [float(point.split()[0]) for point in path.split("L")]
    assert len(points) == 300 and points[0] == 2.1  # the steps 1 to 4 of 1200, on a picture of width 1000


def test_many_classes_are_a_picture_and_a_table(tmp_path):
    run = Run(tmp_path)
    run.folder.settings["classes"] = [f"class {i}" for i in range(30)]
    outputs = np.random.default_rng(1).normal(size=(40, 30))
    run.result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, run.labels, 1000)
    run.write()
    page = Page(run.html)
    assert "confusion" not in page.texts
    assert any(a.get("class") == "matrix" and a["alt"].startswith("Confusion matrix of 30") for _, a in page.found)
    assert "class 29" in page.texts["confusions"]


def test_the_report_says_how_often_the_test_images_were_looked_at(tmp_path):
    run = Run(tmp_path)
    for passes, looks in (3, "once, after the training"), (4, "2 times: whenever"), (4, "2 times: whenever"):
        run.folder.callback(run.folder.model())(figures(passes))
        assert f"test images, looked at {looks}" in run.write()
        assert f"The test images were looked at {looks}" in run.html
    seen = [run.result.accuracy, pytest.approx(run.probabilities.max(axis=1).mean())]
    assert run.folder.history().looks == [[30, *seen], [40, *seen]]


NASTY = ["\x1b]0;owned\x07red\x1b[31m", '"><script>alert(1)</script>', "$x_{$ \u202e\r\n</svg>"]


def test_names_of_classes_and_folders_steer_no_terminal_and_no_page(tmp_path):
    run = Run(tmp_path)
    run.folder.settings.update(classes=NASTY, data="\x1b[2J", recipe="<b>")
    nasty = tmp_path / "run\x1b[31m"
    run.folder.path.rename(nasty)
    run.folder.path, run.folder.best = nasty, nasty / "best.safetensors"
    text = run.write()
    for said in text, (nasty / "report.txt").read_text(), run.html, (nasty / "net.html").read_text(encoding="utf-8"):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said)
    assert "\\x1b]0;owned\\x07red\\x1b[31m" in text and "\\u202e" in text
    page = Page(run.html)
    assert not any("alert" in text for text in page.texts.get("script", []))
    assert {tag for tag, _ in page.found if tag in ("b", "script")} <= {"b", "script"}


def test_settings_that_do_not_suit_the_results_are_refused(tmp_path):
    run = Run(tmp_path)
    run.folder.settings["classes"] = ["disc", "ring"]
    with pytest.raises(
        ValueError, match=r"report: the results have 3 classes, and settings\.json names 2: \{'classes': "
    ):
        run.write()
    del run.folder.settings["classes"]
    with pytest.raises(ValueError, match=r"report: the results have 3 classes, and settings\.json names 0"):
        run.write()
