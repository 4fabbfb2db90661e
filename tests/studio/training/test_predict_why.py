"""``python -m autograd_cnn predict --why`` writes what decided, near no image and over no file."""

import os

import numpy as np
import pytest

from autograd_cnn.__main__ import main
from autograd_cnn.studio.report.saliency import HEAT
from training.colours import COLOURS, picture, trained

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")


def test_predict_shows_the_pixels_that_decide(tmp_path, capsys):
    file, path = picture(tmp_path / "a.png", COLOURS["green"]), tmp_path / "run" / "why" / "a.png"
    assert main(["predict", trained(tmp_path), file, "--why"]) == 0
    assert capsys.readouterr().out.splitlines()[1].strip() == str(path)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    scale = pixels.shape[0] // 6
    cells = pixels[scale // 2 :: scale, scale // 2 :: scale]
    assert (cells[:, :6] == COLOURS["green"]).all()
    heat = cells[:, 7:].astype(int).sum(-1)
    assert heat[2:4, 2:4].min() > heat[1:5, 1:5].min() > heat[0, 0] == heat[5, 5] == HEAT[0].sum()


def test_what_decided_is_written_nowhere_near_the_images_and_over_no_file(tmp_path, capsys):
    """A folder of images stays a folder of images, whose pictures one may train on."""
    run, places = trained(tmp_path), [tmp_path / "photos" / "red", tmp_path / "photos" / "blue"]
    for place in places:
        place.mkdir(parents=True)
    files = [picture(place / "05.png", COLOURS["red"]) for place in places]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["predict", run, *files, "--why"]) == 0
    assert main(["predict", run, files[0], "--why", "--out", str(tmp_path / "new" / "place")]) == 0
    written = capsys.readouterr().out.split("\n")[1::2]
    wanted = [
        *(tmp_path / "run" / "why" / name for name in ("05.png", "05-2.png")),
        tmp_path / "new" / "place" / "05.png",
    ]
    assert [line.strip() for line in written if line] == list(map(str, wanted))
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before.items() <= after.items() and set(after) - set(before) == set(wanted)


def test_a_place_that_cannot_be_written_is_named_with_the_cure(tmp_path, capsys):
    file = picture(tmp_path / "a.png", "red")
    assert main(["predict", trained(tmp_path), file, "--why", "--out", file]) == 2
    assert capsys.readouterr().err == f"{file}: File exists. Elsewhere: --out FOLDER\n"


def test_predict_prints_names_that_no_terminal_obeys(tmp_path, capsys):
    run = trained(tmp_path, classes=["red\x1b[31m", "green", "blue", "none"])
    file = picture(tmp_path / "a\x1b[2J\n.png", COLOURS["red"])
    gone = os.fsdecode(bytes(tmp_path) + b"/b\xff\x07.png")
    assert main(["predict", run, file, gone, "--why"]) == 2
    out, err = capsys.readouterr()
    assert "a\\x1b[2J\\n.png" in out and "100.0% red\\x1b[31m" in out and "\x1b" not in out + err
    assert err == f"{tmp_path}/b\\udcff\\x07.png: No such file or directory\n"
