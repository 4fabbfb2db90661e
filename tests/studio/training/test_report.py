"""The report of a run: its facts equal the numbers that it was made from, and the page needs nothing else."""

import base64
import html
import math
import re
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.environment import command
from autograd_cnn.studio.live import page as live
from autograd_cnn.studio.png import url
from autograd_cnn.studio.report import _photo
from autograd_cnn.studio.report.facts import collect, figures, next_steps, share
from autograd_cnn.training import Epoch, Evaluation, History
from studio.pages import Page, facts_of
from studio.training.reports import CLASSES, Run
from studio.training.reports import figures as course

UNEVEN = History(
    "shapes", [0.9, 0.7, 0.5, 0.3, 0.1],
    [Epoch(2, 0.8, 0.5, 0.9, 0.45, 2.0, 0.02), Epoch(4, 0.4, 0.75, 0.6, 0.7, 3.0, 0.01),
     Epoch(5, 0.1, 1.0, 0.5, 0.8, 5.5, 0.001, part=0.25)],
    "time limit",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", "--recipe", "tiny"])
        run = Run(tmp_path_factory.mktemp("run"))
        run.text = run.write()
    return run


@pytest.fixture(scope="module")
def page(run):
    return Page(run.html)


def rows_of(text, section):
    """The cells of the tables in a section."""
    part = re.search(f'<section id="{section}".*?</section>', text, re.DOTALL)[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub("<.*?>", "", cell)) for cell in row] for row in cells]


def facts_of_run(run, history, resume="", **settings):
    recipe = run.folder.module()
    folder = SimpleNamespace(
        path="runs/tiny", settings={**run.folder.settings, **settings}, history=lambda: history,
        model=run.folder.model, module=lambda: SimpleNamespace(**{**vars(recipe), "Settings": lambda **values: None}),
    )  # fmt: skip
    return collect(folder, run.labels, run.result, resume)


def advice(run, history, **others):
    """The texts of what to do next, but for the last, which is about images of one's own."""
    *texts, ask = (text for text, _ in next_steps(facts_of_run(run, history, **others)))
    assert ask.startswith("Ask the model about images of your own.")
    return texts


@pytest.mark.parametrize(("part", "count", "text"), [
    (10 / 12, 12, "83%"), (0.5, 100, "50%"), (0.501, 101, "50.1%"), (0.88612, 10_000, "88.61%"),
    (0.886, 10**6, "88.60%"), (1, 1, "100%"), (math.nan, 12, ""),
])  # fmt: skip
def test_a_share_has_the_digits_that_so_many_images_can_tell(part, count, text):
    assert share(part, count) == text


def test_the_headline_is_that_of_the_evaluation(run, page):
    right = round(40 * run.result.accuracy)
    assert "".join(page.texts["h1"]) == f"{right / 40:.0%} {right} of 40 test images right"
    tiles = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert tiles == {
        "test loss": f"{run.result.loss:.4f}", "validation accuracy": "84%", "best pass": "3 of 3", "time": "0:00:06",
        "parameters": "625",
    }  # fmt: skip
    assert command("train.py", "--recipe", "tiny") in page.texts["header"]
    assert "data shapes (synthetic) · recipe tiny · seed 7. " in page.texts["header"]


HEADS = ["pass", "loss", "accuracy", "val. loss", "val. accuracy", "rate", "seconds"]


def test_the_figures_of_a_run_that_a_time_limit_ended(run):
    """Each pass has numbers of its own, so no figure can be that of another pass, or of another attribute."""
    facts = facts_of_run(run, UNEVEN, images_per_pass=1000, settings={"validation": 0.2})
    assert figures(facts) == {
        "test loss": f"{run.result.loss:.4f}", "validation accuracy": "70.0%",  # the part of a pass is not the best one
        "best pass": "2 of 3", "time": "0:00:10", "parameters": "625",
    }  # fmt: skip
    assert facts.validated and facts.held_apart == 250


def test_the_facts_of_the_test_images(run):
    """Computed one image at a time."""
    facts, outputs = facts_of_run(run, course()), run.result.outputs
    p, guesses = run.probabilities.astype(float), [int(max(range(3), key=lambda k: row[k])) for row in outputs]
    assert facts.chance == 14 / 40 and facts.images == 40  # 14 of the 40 images are discs
    wrong = [
        (i, guess, label) for i, (guess, label) in enumerate(zip(guesses, run.labels, strict=True)) if guess != label
    ]
    assert facts.right == 40 - len(wrong)
    surest = sorted(wrong, key=lambda mistake: -p[mistake[0], mistake[1]])
    assert facts.mistakes == [(i, a, f"{p[i, a]:.1%}", b, f"{p[i, b]:.1%}") for i, a, b in surest]
    pairs = Counter((CLASSES[label], CLASSES[guess]) for _, guess, label in wrong)
    assert {(label, guess): int(count) for label, guess, count in facts.pairs} == pairs
    assert [int(count) for *_, count in facts.pairs] == sorted(pairs.values(), reverse=True)


def test_the_confusions_are_those_of_the_evaluation(run, page):
    cells = [text for text in page.texts["confusion"] if text.strip().isdigit()]
    assert [int(cell) for cell in cells] == run.result.confusion[run.result.confusion > 0].tolist()


def test_each_class_has_its_figures(run):
    c = run.result.confusion.tolist()
    totals = [sum(row[i] for row in c) for i in range(3)]
    assert rows_of(run.html, "confusions")[-3:] == [
        [name, f"{sum(c[i])}", f"{c[i][i]}", f"{c[i][i] / sum(c[i]):.0%}", f"{c[i][i] / totals[i]:.0%}"]
        for i, name in enumerate(CLASSES)
    ]


def test_the_largest_errors_are_marked(run):
    c = run.result.confusion
    share = {(i, j): c[i, j] / c[i].sum() for i in range(3) for j in range(3) if i != j and c[i, j]}
    shades = [int(min(4 * share[i, j] / max(share.values()), 3)) for i, j in sorted(share)]
    assert [int(shade) for shade in re.findall('class="error(.)">', run.html)] == shades and {1, 3} <= set(shades)


def test_the_mistakes_are_the_surest_first(run, page):
    wrong = np.flatnonzero(run.result.outputs.argmax(1) != run.labels)
    surest = run.probabilities[wrong].max(axis=1).argsort()[::-1]
    expected = [
        f"{CLASSES[run.result.outputs[i].argmax()]} {run.probabilities[i].max():.1%} "
        f"is {CLASSES[run.labels[i]]} {run.probabilities[i, run.labels[i]]:.1%}"
        for i in wrong[surest]
    ]
    shots = [images for images in page.found if images[0] == "img" and images[1]["alt"].startswith("test image ")]
    assert [shot[1]["alt"] for shot in shots] == [f"test image {i}, {CLASSES[run.labels[i]]}" for i in wrong[surest]]
    assert " ".join(" ".join(page.texts["shots"]).split()) == " ".join(expected)


def test_images_of_floats_are_shown_as_those_of_bytes_and_large_ones_as_every_second_pixel(run):
    small, large = np.arange(64 * 63 * 3, dtype=np.uint8).reshape(64, 63, 3), np.zeros((65, 40, 3), np.uint8)
    large[::2, ::2] = 9
    for image in small, large:
        assert _photo(image.astype(np.float32) / 255) == _photo(image)
    assert _photo(np.float32([[[2, -1, 0.2]]])) == _photo(np.uint8([[[255, 0, 51]]]))
    assert (_photo(small), _photo(large)) == (url(small), url(np.full((33, 20, 3), 9, np.uint8)))


def test_gradients_and_dead_channels_have_their_numbers(run):
    assert rows_of(run.html, "layers") == [
        ["after pass", "1", "2", "3"], ["0.w", "0.5", "0.25", "0.17"], ["0.b", "0.05", "0.05", "0.05"],
        ["3.w", "0.2", "0.2", "0.2"], ["after pass", "1", "2", "3"], ["relu of 0", "0%", "25%", "50%"],
    ]  # fmt: skip


def test_numbers_that_a_pass_lacks_are_left_out(tmp_path):
    run, history = Run(tmp_path), course()
    history.epochs[0].gradients, history.epochs[2].dead = {}, {"relu of 5": 0.5}
    run.folder.callback(run.folder.model())(history)
    run.write()
    rows = rows_of(run.html, "layers")
    assert ["0.w", "", "0.25", "0.17"] in rows and ["relu of 5", "", "", "50%"] in rows


def test_the_page_asks_for_nothing(run, page):
    places = [a.get(name) for _, a, _ in page.found for name in ("src", "href", "action", "srcdoc", "style")]
    assert all(
        place.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,", "#")) for place in places if place
    )
    assert set(re.findall(r"http(?!-equiv)[\w:./]*", run.html)) == {"http://www.w3.org/2000/svg"}
    policy = policy_of(page)
    assert policy["default-src"] == {"'none'"} and "unsafe" not in str(policy)


def policy_of(page):
    (policy,) = [a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    return {name: set(sources) for name, *sources in (directive.split() for directive in policy.split("; "))}


def test_the_page_allows_what_the_player_in_its_frame_needs(run, page):
    player = policy_of(Page((run.folder.path / "net.html").read_text(encoding="utf-8")))
    own = policy_of(page)
    for directive in "script-src", "style-src":
        assert player[directive] < own[directive]
    assert player["script-src"] < set(re.findall(r"'sha256-.*?'", live.page()))


def test_every_picture_has_words_and_every_section_a_heading(page):
    assert all("alt" in attributes for tag, attributes, _ in page.found if tag == "img")
    titles = [a["aria-labelledby"] for tag, a, _ in page.found if tag == "section"]
    headings = [a.get("id") for tag, a, _ in page.found if tag == "h2"]
    assert titles == headings and len(titles) == 7
    links = [a["href"] for tag, a, _ in page.found if tag == "a"]
    assert [f"{link[1:]}-title" for link in links] == titles


def test_the_same_run_writes_the_same_bytes(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--recipe", "tiny"])
    before = run.html, (run.folder.path / "report.txt").read_bytes()
    run.write()
    assert (run.html, (run.folder.path / "report.txt").read_bytes()) == before


def test_the_text_has_the_same_facts(run, page):
    assert (run.folder.path / "report.txt").read_text() == run.text
    assert run.text.isascii() and max(map(len, run.text.splitlines())) <= 110 + len(str(run.folder.path))
    words = " ".join(run.text.split())
    assert all(f" {name} {value} " in words for name, value in zip(page.texts["dt"], page.texts["dd"], strict=True))
    right = round(40 * run.result.accuracy)
    assert run.text.startswith(
        f"Report of {run.folder.path}: data shapes (synthetic), recipe tiny, seed 7\n"
        f"{right} of 40 test images right ({right / 40:.0%})\n"
    )
    assert command("-m", "autograd_cnn", "predict", run.folder.path, "IMAGE.png", "--why") in run.text
    most = [f"{label} for {guess} ({count})" for label, guess, count in facts_of_run(run, course()).pairs]
    assert f"\nConfused most: {', '.join(most[:3])}\n" in run.text and len(most) > 3
    steps = re.findall(
        "<li>(.*?)(?:<pre>|</li>)", run.html[run.html.index("<ol>") : run.html.index("</ol>")], re.DOTALL
    )
    assert len(steps) == 4 and all(html.unescape(step) in words for step in steps)


def test_the_player_has_the_moments_of_the_training(run, tmp_path):
    recipe = run.folder.module()
    model = recipe.build(recipe.Settings()).train()
    moments = ag.report.Moments(model, ag.cross_entropy, run.images, run.labels)
    for done in range(1, 6):
        for p in model.parameters():
            p.data = p.data + 0.1
        moments(course(done))
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
    moments(course(1))
    first, second = (graph.loss for _, graph in moments.graphs)
    assert first == second  # without dropout
    assert all(np.array_equal(array, state[name]) for name, array in model.state_dict().items())


@pytest.mark.parametrize(("what", "module"), [("a report", "jinja2"), (r"autograd_cnn\.plots", "matplotlib.figure")])
def test_without_a_package_the_error_says_what_to_install(run, monkeypatch, what, module):
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0]
    with pytest.raises(ImportError, match=rf"{what} needs {package} \(.*\): .* -m pip install {package}$"):
        run.write()


def test_a_run_without_passes_is_reported(tmp_path):
    run = Run(tmp_path)
    recipe = run.folder.module()
    whole = ag.nn.Sequential(ag.nn.Flatten(), ag.nn.Linear(192, 3, rng=np.random.default_rng(0)))

    class Folder:
        path, settings = run.folder.path, {"classes": CLASSES}
        model, module, history = (lambda self: whole), (lambda self: recipe), (lambda self: History())

    text = ag.report.write(Folder(), run.images, run.labels, run.result, ag.cross_entropy)
    assert "best pass" not in text and "test loss" in text and "No pass was completed." in run.html


def test_results_of_other_images_are_refused(run):
    with pytest.raises(ValueError, match="report: 39 images, 40 labels, 40 results, want equally many"):
        ag.report.write(run.folder, run.images[1:], run.labels, run.result, ag.cross_entropy)
    plain = Evaluation(0.5, math.nan, run.result.outputs, np.zeros((0, 0), np.int64))
    with pytest.raises(ValueError, match="report: the results have no classes"):
        ag.report.write(run.folder, run.images, run.labels, plain, ag.cross_entropy)


LONGER = "The validation loss was still falling in the last pass (0.5500 to 0.3667): train longer, with more passes."
ROSE = "The validation loss was least after pass 2 and rose (0.5500 to 0.7000): the model learns images by heart. {}"
GAP = "Training accuracy is {} points above validation accuracy: the model learns images by heart. {}"
DEAD = "{} are 0 in all images of a batch, so they hardly learn: train again with a lower learning rate."
SLOWER = DEAD.format("50% of the channels of relu of 0")
REGULAR = "Train again with weight decay, augmentation or dropout, or with more images."


def apart(images):
    return {"images_per_pass": 100, "settings": {"validation": images / (100 + images)}}


@pytest.mark.parametrize(("last", "every", "others", "wanted"), [
    ({}, {}, {}, [LONGER, GAP.format(6, REGULAR), SLOWER]),
    ({"validation_loss": 0.7}, {}, {}, [ROSE.format(REGULAR), SLOWER]),
    ({"validation_loss": 0.549}, {}, {}, [GAP.format(6, REGULAR), SLOWER]),
    ({}, {"validation_loss": math.nan, "validation_accuracy": math.nan}, {},
     ["The training loss was still falling in the last pass (0.5000 to 0.3333): train longer, with more passes.",
      SLOWER]),
    ({"accuracy": 0.9, "validation_accuracy": 0.88}, {}, {}, [LONGER, SLOWER]),
    ({"accuracy": 0.9, "validation_accuracy": 0.7}, {}, {}, [LONGER, GAP.format(20, REGULAR), SLOWER]),
    ({"accuracy": 0.6, "validation_accuracy": 0.7}, {}, {}, [LONGER, SLOWER]),
    ({"dead": {"relu of 0": 0.5, "relu of 1": 0.75, "relu of 2": 0.4}}, {}, {},
     [LONGER, GAP.format(6, REGULAR), DEAD.format("75% of the channels of relu of 1")]),
    ({}, {"dead": {"relu of 0": 0.4}}, {}, [LONGER, GAP.format(6, REGULAR)]),
    ({"validation_accuracy": 0.994}, {}, {}, [SLOWER]),  # good enough
    ({}, {}, apart(10), [SLOWER]),  # a handful of images says nothing about settings
    ({"validation_accuracy": 0.7}, {}, apart(5), [SLOWER]),
    ({"validation_accuracy": 0.7}, {}, apart(51), [LONGER, GAP.format(20, REGULAR), SLOWER]),
    ({"validation_accuracy": 0.7}, {}, apart(100), [LONGER, GAP.format(20, REGULAR), SLOWER]),
    ({"validation_accuracy": 0.84}, {}, apart(51), [LONGER, SLOWER]),
    ({"accuracy": 0.9, "validation_accuracy": 0.84}, {}, apart(10**6), [LONGER, GAP.format(6, REGULAR), SLOWER]),
])  # fmt: skip
def test_advice_follows_from_the_passes(run, last, every, others, wanted):
    history = course()
    for epoch in history.epochs:
        vars(epoch).update(every)
    vars(history.epochs[2]).update(last)
    assert advice(run, history, **others) == wanted


def test_the_table_of_a_run_that_a_time_limit_ended(tmp_path):
    run = Run(tmp_path)
    run.folder.callback(run.folder.model())(UNEVEN)
    run.folder.settings.update(images_per_pass=1000)
    run.write()
    assert rows_of(run.html, "course") == [
        HEADS,
        ["1", "0.8000", "50.0%", "0.9000", "45%", "0.02", "2.0"],
        ["2", "0.4000", "75.0%", "0.6000", "70%", "0.01", "3.0"],
        ["3 (25.0%)", "0.1000", "100.0%", "0.5000", "80%", "0.001", "5.5"],
    ]
    assert re.findall('<tr class="best"><th scope="row">(.*?)<', run.html) == ["2"]


def test_a_run_without_validation_has_a_table_without_it(tmp_path):
    run, history = Run(tmp_path), course()
    for epoch in history.epochs:
        epoch.validation_loss = epoch.validation_accuracy = math.nan
    run.folder.callback(run.folder.model())(history)
    run.write()
    assert rows_of(run.html, "course")[0] == ["pass", "loss", "accuracy", "rate", "seconds"]
    assert "validation accuracy" not in figures(facts_of_run(run, history))


def test_advice_after_a_run_that_ended_early(run):
    ended = course(ended="interrupted at step 30")
    first, _ = next_steps(facts_of_run(run, ended, resume="again"))  # other advice would contradict it
    assert figures(facts_of_run(run, ended))["best pass"] == "3 of 3"  # it was complete
    assert first == ("The run ended early: interrupted at step 30. Go on from where it stopped:", "again")
    (text, none), _ = next_steps(facts_of_run(run, ended))
    assert none == "" and "The same program goes on" in text
    assert not any("ended" in text for text in advice(run, course(ended="early stop")))


def test_page_and_text_say_why_a_run_ended_and_how_far_it_came(tmp_path):
    run = Run(tmp_path)
    model, path = run.folder.model(), tmp_path / "cut"
    folder = ag.training.RunFolder(path, run.folder.settings, tmp_path / "recipe.py")
    sgd = ag.optim.SGD(model.parameters(), lr=0.01)
    history = ag.training.fit(
        model, ag.cross_entropy, sgd, run.images, run.labels, rng=np.random.default_rng(0), epochs=3, batch_size=16,
        time_limit=1e-9, callbacks=[folder.callback(model)], progress=False,
    )  # fmt: skip
    assert (history.ended, len(history.losses), history.epochs[0].part) == ("time limit", 1, 0.4)
    run.folder = folder
    text, words = run.write(resume="again"), " ".join(re.sub("<.*?>", " ", run.html).split())
    assert "\nThe run ended early (time limit)\n" in text and "The run ended early (time limit)." in words
    assert rows_of(run.html, "course")[1][0] == "1 (40.0%)"
    assert "The run ended early: time limit. Go on from where it stopped: again" in " ".join(text.split())


@pytest.mark.parametrize(("losses", "cure"), [
    ([1.0, math.nan], "Its loss did not fall: train again with a learning rate 10 times smaller"),
    ([1.0, 1.1], "Its loss did not fall: train again with a learning rate 10 times smaller"),
    ([1.0, 0.9], "Train again with more passes, with more images, or with a larger learning rate."),
])  # fmt: skip
def test_a_model_that_guesses_gets_one_advice(run, losses, cure):
    labels, outputs = np.arange(300) % 3, np.eye(3, dtype=np.float32)[np.arange(300) // 3 % 3]
    result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, labels, 10**4)
    guess, history = SimpleNamespace(folder=run.folder, result=result, labels=labels), course()
    history.losses = losses
    (text,) = advice(guess, history)
    guess.result.accuracy = 1 / 3 + 3.1 * math.sqrt(2 / 9 / 300)  # further off than chance
    assert not any("learned next to nothing" in told for told in advice(guess, history))
    about = "The model has learned next to nothing yet: its accuracy, 33.3%, is about that of guessing (33.3%). "
    assert text.startswith(about + cure)


@pytest.mark.parametrize("passes", [1, 3])
def test_the_table_of_passes_names_the_best(tmp_path, passes):
    run = Run(tmp_path)
    run.folder.callback(run.folder.model())(course(passes))
    run.write()
    assert f"The passes as a table; the best one, whose weights are kept, is {passes} of {passes}<" in run.html


def test_the_course_is_drawn(run):
    (image,) = (a for a, _ in Page(run.html).all("img") if a["src"].startswith("data:image/svg+xml"))
    drawn = base64.b64decode(image["src"].partition(",")[2])
    assert drawn == ag.plots.content(ag.plots.loss_curve(run.folder.history()), ".svg", transparent=True)


def test_many_classes_are_a_table(tmp_path):
    run = Run(tmp_path)
    run.folder.settings["classes"] = [f"class {i}" for i in range(30)]
    outputs = np.random.default_rng(1).normal(size=(40, 30))
    run.result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, run.labels, 1000)
    run.write()
    page = Page(run.html)
    assert "confusion" not in page.texts
    assert "class 29" in page.texts["confusions"]
    facts = facts_of_run(run, course())
    assert facts.right < 10 and len(facts.mistakes) == len(facts.pairs) == 24


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
    assert {tag for tag in page.tags if tag in ("b", "script")} <= {"b", "script"}


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
