"""``python -m autograd_cnn predict`` reads images of every kind, and names those that it cannot read."""

import numpy as np
import pytest

from autograd_cnn.__main__ import main
from training.colours import COLOURS, picture, trained

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "tif"), ("RGB", "jpg")]
)
@pytest.mark.parametrize("size", [(6, 6), (300, 17), (1, 2)])
def test_predict_reads_images_of_any_mode_and_size(tmp_path, capsys, mode, suffix, size):
    files = [picture(tmp_path / f"{name}.{suffix}", colour, mode, size) for name, colour in COLOURS.items()]
    assert main(["predict", trained(tmp_path), *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == list(COLOURS)


def test_predict_prints_the_three_most_probable_classes(tmp_path, capsys):
    files = [picture(tmp_path / "a.png", (255, 204, 0)), picture(tmp_path / "longer.png", (0, 51, 255))]
    assert main(["predict", trained(tmp_path), *files]) == 0
    e = np.exp(20 * np.array([1, 0.8, 0, 0]))
    first, second, third = (f"{x:6.1%}" for x in (e / e.sum())[:3])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == f"{files[0]}       {first} red           {second} green         {third} blue"
    assert lines[1].startswith(f"{files[1]}  100.0% blue ") and len(lines) == 2


def test_predict_takes_all_images_in_a_folder(tmp_path, capsys):
    for name in "b", "a/c":
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(tmp_path / "photos" / f"{name}.png", COLOURS["blue"])
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    assert main(["predict", trained(tmp_path), str(tmp_path / "photos")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [str(tmp_path / "photos" / name) for name in ("a/c.png", "b.png")]


def test_predict_reads_grey_images_for_a_grey_model(tmp_path, capsys):
    files = [picture(tmp_path / f"{mode}.png", "white", mode) for mode in ("L", "LA", "1", "RGB")]
    assert main(["predict", trained(tmp_path, channels=1), *files]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["red"] * 4


def test_predict_names_the_files_that_are_no_images_and_goes_on(tmp_path, capsys):
    good = picture(tmp_path / "good.png", COLOURS["blue"], size=(60, 60))
    (tmp_path / "text.png").write_text("no image")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty").mkdir()
    bad = [str(tmp_path / name) for name in ("text.png", "absent.png", "cut.png", "empty")]
    assert main(["predict", trained(tmp_path), *bad, good]) == 2
    out, err = capsys.readouterr()
    assert out.split()[:3] == [good, "100.0%", "blue"]
    lines = err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("text.png", "absent.png", "cut.png", "empty")
    ]
    assert "not a readable image" in lines[0] and lines[1].endswith(": No such file or directory")
    assert lines[3].endswith((": Is a directory", ": Permission denied"))


@pytest.mark.parametrize("damage", ["absent", "settings", "weights", "shape"])
def test_predict_names_what_is_wrong_with_a_run(tmp_path, capsys, damage):
    file = picture(tmp_path / "a.png", "red")
    folder = trained(tmp_path, **{"image_shape": None} if damage == "shape" else {})
    path = tmp_path / "run"
    if damage == "absent":
        folder = str(tmp_path / "none")
    elif damage == "settings":
        (path / "settings.json").write_text("{")
    elif damage == "weights":
        (path / "best.safetensors").write_bytes(b"no weights")
    assert main(["predict", folder, file]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(folder) and err.count("\n") == 1


def test_predict_stops_quietly_if_its_output_is_closed(unread, tmp_path):
    """It catches errors of files, and this is none."""
    assert unread("predict", trained(tmp_path), picture(tmp_path / "a.png", "red")) == (141, b"")
