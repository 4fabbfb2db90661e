"""The scripts of the gallery run with NumPy alone, write their picture, and reach the results that they claim."""

import os
import re
from functools import cache
from operator import truediv
from pathlib import Path

import pytest

from processes import printed
from studio.overlaps import overlaps_of
from studio.player.test_walk import GALLERY, gallery_page

EXAMPLES = Path(__file__).parents[2] / "examples"
SLOW = "cnn resnet saliency ode spectrum language_model gpt pinn autoencoder".split()
LARGE = "gpt ode resnet".split()  # pictures that take long to draw


def falls(losses):
    return list(losses) == sorted(losses, reverse=True)


def near(found, true, error):
    return all(abs(f - t) < error for f, t in zip(found, true, strict=True))


CLAIMS = {  # of each script: a pattern of numbers that it prints, and whether they are as good as the page says
    "spiral": {r"([\d.]+)% of 300": lambda *right: right[0] < 60 and right[-1] == 100,
               r"loss ([\d.]+)": lambda *losses: falls(losses) and losses[-1] < 0.01},
    "newton_cg": {r"loss ([\d.]+)": lambda newton, descent: newton < 0.06 < descent,
                  r"gradient (\d+e-\d+)": lambda small, large: small < 1e-10 < large,
                  r"(\d+) gradients": lambda few, many: 10 * few < many},
    "own_primitive": {
        r"largest error (\S+)": lambda error: error < 1e-6,
        r"(?:eccentricity |period |true )([\d.]+)": lambda e, true_e, p, true_p: near((e, p), (true_e, true_p), 0.02)},
    "cnn": {r"([\d.]+)% of 500 new images": lambda share: share > 90},
    "resnet": {r"(\d+),722 weights": lambda thousands: thousands == 269,  # 0.27 million, as in table 6 of the paper
               r"([\d.]+)% of 200 new images": lambda share: share > 85},
    "saliency": {r"([\d.]+)% of 300 new images": lambda share: share > 90,
                 r"within ([\d.]+)%": lambda error: error < 3},
    "ode": {r"loss ([\d.]+)": lambda before, after: after < 0.0064 < before,  # the noise of the counts, 0.08 squared
            r"(?<=[\[ ])([\d.]+)(?=[ \]])": lambda *rates: near(map(truediv, rates[:4], rates[4:]), [1] * 4, 0.15)},
    "spectrum": {r"(?:loss|alone has) ([\d.]+)": lambda first, *later: first > later[0] > later[-1] > later[-2],
                 r"(?<=[\[ ])([\d.]+)(?=[ \]])": lambda *n: near(n[:4], n[4:8], 0.05)},
    "language_model": {r"loss ([\d.]+)": lambda *losses: losses[-1] < 0.15},
    "gpt": {r"loss ([\d.]+)": lambda *losses: losses[0] > 2.5 and falls(losses) and losses[-1] < 1.5},
    "pinn": {r"relative error of u: ([\d.]+)%": lambda error: error < 4},
    "autoencoder": {r"explain ([\d.]+)% of the variance": lambda share: share > 85},
}  # fmt: skip
WORDS = {
    "language_model": r"the model goes on: this is the dog that worried the cat that killed the rat that ate the malt "
    r"that lay in the house that jack built\.\n",
    "gpt": r"that it invents:\n(  \S.*: \S.*\n){4}",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a script, once; returns its folder and what it prints."""

    @cache
    def run(name):
        folder = tmp_path_factory.mktemp(name)
        return folder, printed("-W", "error", EXAMPLES / f"{name}.py", cwd=folder, AUTOGRAD_CNN_KERNELS="numpy")

    return run


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CLAIMS])
def test_a_script_does_what_its_page_says(name, run):
    folder, text = run(name)
    assert text.endswith(f"wrote {name}.png\n") and os.listdir(folder) == [f"{name}.png"]
    picture = (folder / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000
    for pattern, holds in CLAIMS[name].items():
        numbers = [*map(float, re.findall(pattern, text))]
        assert numbers and holds(*numbers), f"{pattern}: {numbers} in\n{text}"
    assert re.search(WORDS.get(name, ""), text), text


def test_the_engine_of_hundred_lines_trains_as_this_one(run):
    steps = [{*re.findall(r"step +(\d+): loss (\S+), (\S+)%", run(name)[1])} for name in ("spiral", "hundred_lines")]
    assert len(steps[0] & steps[1]) == 3  # 0, 100 and 400


def test_every_script_with_a_picture_has_its_claims():
    assert {path.stem for path in GALLERY} <= {*CLAIMS, "by_hand"}


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=pytest.mark.slow) if p.stem in LARGE else p for p in GALLERY], ids=lambda p: p.stem
)
def test_nothing_overlaps_in_the_pictures_of_the_gallery(path, monkeypatch):
    assert not overlaps_of(gallery_page(path, monkeypatch))
