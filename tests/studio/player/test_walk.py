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

OTHERS = "train", "hundred_lines"  # the latter has an engine of its own
GALLERY = sorted(p for p in (Path(__file__).parents[3] / "examples").glob("*.py") if not p.stem.startswith(OTHERS))
PROGRAMS, EACH = 120, 10  # random ones, and how many make a test


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
    with suppress(First):
        if not found:
            module.main()
    return found[0]


@pytest.mark.slow
def test_a_network_in_which_a_value_is_used_three_times_is_walked(walk, small):
    assert walk(small[0]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_live_example_is_walked(walk, name):
    assert walk(live_page(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_a_script_of_the_gallery_is_walked(walk, path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert walk(gallery_page(path, monkeypatch)) == []


def random_pages(seeds):
    """The pages of random programs, with their seeds and texts."""
    before = dict(registry)
    for seed in seeds:
        f, arguments, text = program(seed)
        yield seed, traced(f, *arguments), text[text.index("def f(") :]
        registry.clear()
        registry.update(before)


@pytest.mark.parametrize(
    "first", [pytest.param(k, marks=[] if k == 0 else pytest.mark.slow) for k in range(0, PROGRAMS, EACH)]
)
def test_random_programs_are_walked(walk, first):
    walked = [(walk(page)[:3], seed, text) for seed, page, text in random_pages(range(first, first + EACH))]
    wrong = [f"{seed}: {complaints}\n{text}" for complaints, seed, text in walked if complaints]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_pages_full_of_hostile_names_are_walked(walk, name):
    f, arguments = network(name)

    def fails(p, x):
        raise ValueError(name, f(p, x).shape)

    assert walk(traced(f, *arguments)) == walk(traced(fails, *arguments)) == []
