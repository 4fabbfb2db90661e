"""The scripts of the gallery run with NumPy alone, write their picture, and reach the results that they claim."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from studio.overlaps import overlaps_of
from studio.player.test_walk import GALLERY, gallery_page

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def printed(tmp_path):
    """Runs a script without warnings, and returns what it printed; its picture is there."""

    def printed(name):
        done = subprocess.run(
            [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
            cwd=tmp_path,
            env={**os.environ, "AUTOGRAD_CNN_KERNELS": "numpy"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"wrote {name}.png\n")
        assert os.listdir(tmp_path) == [f"{name}.png"]
        picture = (tmp_path / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 20_000
        return done.stdout

    return printed


def numbers(pattern, text):
    found = re.findall(pattern, text)
    assert found, f"{pattern} is not in:\n{text}"
    return [float(number) for number in found]


def test_the_spiral_is_separated(printed):
    text = printed("spiral")
    right = numbers(r"([\d.]+)% of 300", text)
    assert right[0] < 60 and right[-1] == 100
    losses = numbers(r"loss ([\d.]+)", text)
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.01

    small = subprocess.check_output([sys.executable, "-W", "error", EXAMPLES / "hundred_lines.py"], text=True)
    figures = [set(re.findall(r"step +(\d+): loss (\S+), (\S+)%", of)) for of in (text, small)]
    assert len(figures[0] & figures[1]) == 3  # steps 0, 100 and 400, by another engine


@pytest.mark.slow
def test_the_cnn_learns_shapes(printed):
    assert numbers(r"([\d.]+)% of 500 new images", printed("cnn"))[0] > 90


@pytest.mark.slow
def test_resnet_learns_shapes(printed):
    text = printed("resnet")
    assert "269,722 weights" in text  # 0.27 million, as in table 6 of the paper
    assert numbers(r"([\d.]+)% of 200 new images", text)[0] > 85


def test_newton_needs_fewer_gradients_than_gradient_descent(printed):
    text = printed("newton_cg")
    newton, descent = numbers(r"loss ([\d.]+)", text)
    assert newton < 0.06 < descent
    small, large = numbers(r"gradient (\d+e-\d+)", text)
    assert small < 1e-10 < large
    few, many = numbers(r"(\d+) gradients", text)
    assert 10 * few < many


@pytest.mark.slow
def test_integrated_gradients_add_up(printed):
    text = printed("saliency")
    assert numbers(r"([\d.]+)% of 300 new images", text)[0] > 90
    assert numbers(r"within ([\d.]+)%", text)[0] < 3


@pytest.mark.slow
def test_the_rates_of_the_differential_equation_are_found(printed):
    text = printed("ode")
    before, after = numbers(r"loss ([\d.]+)", text)
    assert after < 0.0064 < before  # below the noise of the counts, 0.08 squared
    found, true = (numbers(r"[\d.]+", part) for part in re.findall(r"\[(.*?)\]", text))
    assert all(abs(f / t - 1) < 0.15 for f, t in zip(found, true, strict=True))


@pytest.mark.slow
def test_the_lines_of_the_spectrum_are_found(printed):
    text = printed("spectrum")
    losses, (noise,) = numbers(r"loss ([\d.]+)", text), numbers(r"noise alone has ([\d.]+)", text)
    assert losses[0] > losses[1] > noise > losses[-1]
    found, true = (
        numbers(r"[\d.]+", part) for part in re.findall(r"frequencies found: \[(.*?)\] true: \[(.*?)\]", text)[0]
    )
    assert all(abs(f - t) < 0.05 for f, t in zip(found, true, strict=True))


@pytest.mark.slow
def test_the_language_model_knows_the_rhyme(printed):
    text = printed("language_model")
    assert numbers(r"loss ([\d.]+)", text)[-1] < 0.15
    verse = "the dog that worried the cat that killed the rat that ate the malt that lay in the house that jack built."
    assert f"the model goes on: this is {verse}\n" in text


@pytest.mark.slow
def test_the_gpt_learns_to_write_sentences_about_functions(printed):
    text = printed("gpt")
    losses = numbers(r"loss ([\d.]+)", text)
    assert losses[0] > 3.5 and losses == sorted(losses, reverse=True) and losses[-1] < 1.5
    invented = text.partition("that it invents:")[2].splitlines()[1:-1]
    assert len(invented) >= 4 and all(re.match(r"  \S.*: \S", line) for line in invented)


@pytest.mark.slow
def test_the_equation_of_burgers_is_solved(printed):
    assert numbers(r"relative error of u: ([\d.]+)%", printed("pinn"))[0] < 4


@pytest.mark.slow
def test_two_numbers_describe_an_image(printed):
    assert numbers(r"explain ([\d.]+)% of the variance", printed("autoencoder"))[0] > 85


def test_the_orbit_is_found(printed):
    text = printed("own_primitive")
    assert numbers(r"largest error (\S+)", text)[0] < 1e-6
    (eccentricity, true_eccentricity), (period, true_period) = (
        numbers(rf"{name} ([\d.]+) \+- [\d.]+ \(true", text) + numbers(rf"{name}.*?\(true ([\d.]+)\)", text)
        for name in ("eccentricity", "period")
    )
    assert abs(eccentricity - true_eccentricity) < 0.02 and abs(period - true_period) < 0.02


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_nothing_overlaps_in_the_pictures_of_the_gallery(path, monkeypatch):
    assert not overlaps_of(gallery_page(path, monkeypatch))
