"""``python -m autograd_cnn predict --why`` writes what decided, near no image and over no file."""

import os

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from training.colours import COLOURS, picture, trained

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")


def test_predict_shows_the_pixels_that_decide(tmp_path, capsys, monkeypatch):
    file, path, figures = (
        picture(tmp_path / "a.png", COLOURS["green"]),
        tmp_path / "run" / "why" / f"{tmp_path.name}-a.png",
        [],
    )
    monkeypatch.setattr(ag.plots, "_save", lambda figure, path: figures.append(figure))
    assert main(["predict", trained(tmp_path), file, "--why"]) == 0
    line = capsys.readouterr().out.splitlines()[1].strip()
    assert line == f"{path}: what the model got; the pixels that move green"
    left, right, legend = figures[0].axes
    assert figures[0].get_suptitle() == "a.png: 100.0% green\nBright: the answer changes most if these pixels do"
    assert (left.get_title(), right.get_title()) == ("what the model got", "what moves its answer")
    assert legend.get_ylabel() == "effect of a pixel; the largest is 1"
    assert (np.rint(255 * left.images[0].get_array()) == COLOURS["green"]).all()
    heat = right.images[0].get_array()
    assert heat[2:4, 2:4].min() > heat[1:5, 1:5].min() > heat[0, 0] == heat[5, 5] == 0


def test_what_decided_is_written_nowhere_near_the_images_and_over_no_file(tmp_path, capsys):
    """A folder of images stays a folder of images, whose pictures one may train on."""
    run, places = trained(tmp_path), [tmp_path / "photos" / "red", tmp_path / "photos" / "blue"]
    for place in places:
        place.mkdir(parents=True)
    files = [picture(place / "05.png", COLOURS["red"]) for place in places]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["predict", run, *files, "--why"]) == 0
    assert main(["predict", run, files[0], "--why"]) == 0
    written = capsys.readouterr().out.split("\n")[1::2]
    wanted = [tmp_path / "run" / "why" / name for name in ("red-05.png", "blue-05.png", "red-05-2.png")]
    assert [line.strip().partition(": ")[0] for line in written if line] == list(map(str, wanted))
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before.items() <= after.items() and set(after) - set(before) == set(wanted)


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    run = trained(tmp_path)
    (tmp_path / "run" / "why").write_text("taken")
    assert main(["predict", run, picture(tmp_path / "a.png", "red"), "--why"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'run' / 'why'}: File exists\n"


def test_predict_prints_names_that_no_terminal_obeys(tmp_path, capsys):
    run = trained(tmp_path, classes=["red\x1b[31m", "green", "blue", "none"])
    file = picture(tmp_path / "a\x1b[2J\n.png", COLOURS["red"])
    gone = os.fsdecode(bytes(tmp_path) + b"/b\xff\x07.png")
    assert main(["predict", run, file, gone, "--why"]) == 2
    out, err = capsys.readouterr()
    assert "a\\x1b[2J\\n.png" in out and "100.0% red\\x1b[31m" in out and "\x1b" not in out + err
    assert err == f"{tmp_path}/b\\udcff\\x07.png: No such file or directory\n"
