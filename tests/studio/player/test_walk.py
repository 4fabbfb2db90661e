"""Every page is walked by keyboard, forward and back, and raises no error and prints nothing to the console."""

import warnings
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.registry import registry
from autograd_cnn.studio.live.page import EXAMPLES, example
from autograd_cnn.studio.live.run import run
from studio.hostile import NAMES, network
from studio.player.random_programs import program

LIVE = [*EXAMPLES, "live/examples/least.py"]
OTHERS = "train", "hundred_lines"  # the latter has an engine of its own
GALLERY = sorted(p for p in (Path(__file__).parents[3] / "examples").glob("*.py") if not p.stem.startswith(OTHERS))
PROGRAMS, EACH = 200, 10  # random ones, and how many make a test
CONTROLS = (Path(__file__).parent / "controls.js").read_text(encoding="utf-8")


def traced(f, *arguments):
    """The page of a function, or that of its failure."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return ag.trace(f, *arguments).page()
        except Exception as error:
            if not hasattr(error, "graph"):
                raise
            return error.graph.page()


def live_page(name):
    """The page of an example of the live page, after a step if it trains."""
    program = run(example(name), lambda _: None)
    result = next(program)
    if result["trains"]:
        program.send(0)
        result = next(program)
    assert not result["error"]
    return result["page"]


class First(Exception):
    """Ends a script at its first walk back."""


def gallery_page(path, monkeypatch):
    """The page of the graph that a script of the gallery walks back first."""
    found = []

    def keep(tensor, *_, **__):
        found.append(tensor.graph().page())
        raise First

    monkeypatch.setattr(ag.Tensor, "_backward", keep)  # `fit` calls this one
    spec = spec_from_file_location(f"gallery_{path.stem}", path)
    module = module_from_spec(spec)
    with suppress(First):  # of a script without `main`
        spec.loader.exec_module(module)
    if path.stem == "own_primitive":
        return traced(lambda p: module.places(p, np.linspace(0, 2, 5)), np.array([1.2, -1.0, 2.0, 0.4, 0.6]))
    if path.stem == "newton_cg":
        x, y = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9.0) % 2
        return traced(lambda w: ag.bce_with_logits(module.features(x) @ w, y) + 1e-4 * ag.sum(w * w), np.zeros(28))
    if path.stem == "ode":
        module.TIMES = 4  # steps of its solver: 100 make a page of 5,000 steps
    with suppress(First):
        if not found:
            module.main()
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", LIVE)
def test_a_live_example_is_walked(walk, name):
    assert walk(live_page(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_a_script_of_the_gallery_is_walked(walk, path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert walk(gallery_page(path, monkeypatch)) == []


@pytest.mark.parametrize(
    "first", [pytest.param(k, marks=[] if k == 0 else pytest.mark.slow) for k in range(0, PROGRAMS, EACH)]
)
def test_random_programs_are_walked(walk, first):
    wrong, before = {}, dict(registry)
    for seed in range(first, first + EACH):
        f, arguments, text = program(seed)
        complaints = walk(traced(f, *arguments))
        if complaints:
            wrong[seed] = complaints[:3], text[text.index("def f(") :]
        registry.clear()
        registry.update(before)
    assert not wrong, "\n".join(f"{seed}: {complaints}\n{text}" for seed, (complaints, text) in wrong.items())


@pytest.mark.slow
def test_pages_full_of_hostile_names_are_walked(walk, reader):
    for name in NAMES.values():
        f, arguments = network(name)

        def fails(p, x, f=f, name=name):
            raise ValueError(name, f(p, x).shape)

        for text in (traced(f, *arguments), traced(fails, *arguments)):
            assert walk(text) == []
            assert reader[0].title().startswith("Backprop player") and not reader[0].query_selector(
                "#taken, img[src=x]"
            )


@pytest.mark.slow
def test_every_control_of_some_pages_is_used(reader, tmp_path):
    page, logged = reader
    texts = {name: live_page(name) for name in LIVE}
    before = dict(registry)
    for seed in range(8):
        f, arguments, _ = program(seed)
        texts[f"program {seed}"] = traced(f, *arguments)
        registry.clear()
        registry.update(before)
    wrong, used = {}, 0
    page.set_viewport_size({"width": 390, "height": 800})
    for name, text in texts.items():
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        page.goto("about:blank")
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector("body.ready")
        count, wide, _ = page.evaluate(CONTROLS)
        used += count
        if logged or wide > 0:
            wrong[name] = wide, sorted(set(logged))
        logged.clear()
    assert not wrong
    assert used > 1000


@pytest.mark.slow
def test_an_overlay_that_another_moment_lacks_is_left(opened):
    x = np.ones(3)
    timed, later = (ag.trace(lambda x: ag.tanh(x * x).sum(), x, repeat=repeat) for repeat in (1, 0))
    page = opened(timed.page([("later", later)]), "#overlay=time")
    assert page.inner_text("#caption")
    page.evaluate(
        "document.getElementById('frame').value = 1; document.getElementById('frame').dispatchEvent(new Event('input'))"
    )
    page.keyboard.press("ArrowRight")
    assert page.evaluate("at") == 1 and page.input_value("#overlay") == "" and not page.inner_text("#caption")
