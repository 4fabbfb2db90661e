"""`python -m autograd_cnn`: info never fails, check finds wrong primitives, predict reads images of every kind."""

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from autograd_cnn.environment import command
from autograd_cnn.studio.report.saliency import HEAT
from autograd_cnn.training import RunFolder

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")

RIGHT = """
import numpy as np
import autograd_cnn as ag

@ag.primitive
def swish(x):
    return x / (1 + np.exp(-x))

swish.vjp(x=lambda g, x, out: g * (out + ag.sigmoid(x) * (1 - out)))
"""
WRONG = RIGHT.replace("g * (out", "g * 1.001 * (out").replace("swish", "slip")
ROOT = """
import numpy as np
import autograd_cnn as ag

np.seterr(all="ignore")

@ag.primitive
def root(x):
    return np.sqrt(x)

root.vjp(x=lambda g, out: g / (2 * out))
"""
SCALED = """
import autograd_cnn as ag

@ag.primitive
def scaled(x, factor):
    return x * factor

scaled.vjp(x=lambda g, factor: g * factor)
"""


@pytest.fixture
def run(tmp_path):
    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "autograd_cnn", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


def test_info_prints_the_facts_for_a_bug_report(run, tmp_path):
    done = run("info", AUTOGRAD_CNN_DATA=str(tmp_path / "some where"), AUTOGRAD_CNN_NUM_THREADS="3")
    assert done.returncode == 0 and done.stderr == ""
    version = ".".join(map(str, sys.version_info[:3]))
    for part in (
        f"Python {version}",
        f"numpy {np.__version__}",
        "tiles run on 3",
        f"{tmp_path / 'some where'}: does not exist",
        f"AUTOGRAD_CNN_DATA={tmp_path / 'some where'}",
        "BLAS",
        "matplotlib",
    ):
        assert part in done.stdout


def test_info_reports_the_images_and_the_cache(run, tmp_path):
    folder = tmp_path / "data"
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    (folder / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(bytes(3_000_000))
    (folder / "fashion-mnist").mkdir()
    (folder / "fashion-mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"12")
    done = run("info", AUTOGRAD_CNN_DATA=str(folder))
    assert f"{folder}: cifar-10-batches-bin (data_batch_1.bin: 3,000,000 bytes, want 30,730,000)" in done.stdout
    assert f"{folder}: 2 files, 3 MB" in done.stdout
    assert "\nCIFAR-100  nothing of CIFAR-100 in these places\n" in done.stdout
    assert f"\nFashion    {folder}: fashion-mnist (train-images-idx3-ubyte.gz: 2 bytes, want 26,421,880)" in done.stdout


def test_info_survives_odd_places(run, tmp_path):
    odd = str(tmp_path / "Übung 1")
    done = run("info", AUTOGRAD_CNN_NUM_THREADS="many", XDG_CACHE_HOME=odd, HOME="/nowhere", PATH="", LC_ALL="C")
    assert done.returncode == 0 and done.stderr == ""
    assert "AUTOGRAD_CNN_NUM_THREADS is 'many'" in done.stdout and "no dot here" in done.stdout


@pytest.mark.skipif(not find_spec("numba"), reason="Numba is not installed")
def test_info_reports_kernels_that_are_turned_off(run):
    done = run("info", AUTOGRAD_CNN_KERNELS="numpy")
    assert "MB; Numba is installed, and turned off by AUTOGRAD_CNN_KERNELS\n" in done.stdout
    assert "pip install" not in done.stdout


def test_info_stops_quietly_if_its_output_is_closed():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "autograd_cnn", "info"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=600, check=False)
    finally:
        os.close(writing)
    assert done.stderr == b""


def test_info_imports_no_heavy_package(python):
    assert (
        python("""
import contextlib, io, sys
from autograd_cnn.__main__ import main
from autograd_cnn.environment import command
with contextlib.redirect_stdout(io.StringIO()):
    main(["info"])
print(sorted({"matplotlib", "torch", "tqdm", "requests", "safetensors"} & sys.modules.keys()))
""")
        == "[]\n"
    )


def test_check_lists_right_primitives(run, tmp_path):
    (tmp_path / "my_ops.py").write_text(RIGHT + RIGHT.replace("swish", "twin"))
    done = run("check", "my_ops.py")
    assert (done.returncode, done.stdout) == (0, "ok    swish: 1 example\nok    twin: 1 example\n"), done.stderr


def test_check_fails_on_an_error_of_a_thousandth(run, tmp_path):
    (tmp_path / "my_ops.py").write_text(RIGHT + WRONG)
    done = run("check", tmp_path / "my_ops.py")
    assert done.returncode == 1
    right, wrong = done.stdout.splitlines()
    assert right == "ok    swish: 1 example"
    assert wrong.startswith("FAIL  slip, input 0[0, 0]: rule ") and wrong.endswith("6 of 36 elements")


def test_check_names_the_arrays_that_a_primitive_failed_on(run, tmp_path):
    (tmp_path / "my_ops.py").write_text(RIGHT.replace("x / (1 + np.exp(-x))", "np.linalg.inv(x)"))
    done = run("check", "my_ops.py")
    assert (done.returncode, done.stdout) == (
        1,
        "FAIL  swish: Last 2 dimensions of the array must be square\n"
        "      on arrays of shape (2, 3); for others: @ag.primitive(examples=lambda rng: [(x, ...)])\n",
    )


def test_check_shows_examples_as_the_cure_of_nan(run, tmp_path):
    (tmp_path / "my_ops.py").write_text(ROOT)
    fail, cure = run("check", "my_ops.py").stdout.splitlines()
    assert fail.startswith("FAIL  root, input 0[") and "nan" in fail and "examples=lambda rng" in cure


def test_check_names_inputs_without_a_rule(run, tmp_path):
    (tmp_path / "my_ops.py").write_text(SCALED)
    done = run("check", "my_ops.py")
    assert done.stdout == "ok    scaled: 1 example; no rule, so no gradient: factor\n", done.stderr


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (("x, out: g", "x, ouput: g"), ":9", r"TypeError: swish.vjp\(x\): the rule has an unknown parameter 'ouput'"),
        (("swish", "relu"), ":[56]", "ValueError: "),  # Python 3.10 names the line below that of a decorator
        (("return", "retrun"), "", "SyntaxError: "),
    ],
)
def test_check_shows_an_error_in_the_file_itself(run, tmp_path, change, place, message):
    (tmp_path / "my_ops.py").write_text(RIGHT.replace(*change))
    done = run("check", "my_ops.py")
    assert done.returncode == 2 and re.match(rf"my_ops\.py{place}: {message}", done.stderr), done.stderr
    assert done.stderr.count("\n") == 1


def test_check_finds_the_neighbours_of_the_file(run, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "formulas.py").write_text(RIGHT)
    (tmp_path / "deep" / "my_ops.py").write_text("import formulas")
    assert run("check", "deep/my_ops.py").stdout == "ok    swish: 1 example\n"


def test_demo_needs_a_folder(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["demo", str(tmp_path / "taken"), "--no-open"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'taken'}: File exists\n"


def test_check_needs_primitives(tmp_path, capsys):
    (tmp_path / "empty.py").write_text("")
    assert main(["check", str(tmp_path / "empty.py")]) == 2
    assert main(["check", str(tmp_path / "absent.py")]) == 2
    assert main(["check", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("empty.py: registers no primitive. @ag.primitive above a function does")
    assert lines[1].endswith("absent.py: no such file")
    assert lines[2] == f"{tmp_path}: is a folder"


RECIPE = """
from dataclasses import dataclass

import numpy as np
import autograd_cnn as ag
from autograd_cnn import nn


@dataclass(frozen=True)
class Settings:
    channels: int = 3


class Brightest(nn.Module):
    def __init__(self, channels):
        self.w = ag.Tensor(20 * np.eye(channels, 4, dtype=np.float32), requires_grad=True)

    def forward(self, images):
        return images[:, 2:4, 2:4].mean(axis=(1, 2)) @ self.w


def build(settings, rng=None, images=None):
    return Brightest(settings.channels)


def probabilities(outputs):
    return np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
"""
COLOURS = {"red": (250, 10, 20), "green": (10, 240, 30), "blue": (0, 10, 200)}


@pytest.fixture
def trained(tmp_path):
    """Make the folder of a run whose model names the brightest colour in the middle of an image."""

    def make(channels=3, **settings):
        source = tmp_path / "recipe.py"
        source.write_text(RECIPE)
        settings = {
            "classes": [*COLOURS, "none of them"], "image_shape": (6, 6, channels), "settings": {"channels": channels},
            **settings,
        }  # fmt: skip
        folder = RunFolder(tmp_path / "run", settings, source)
        ag.interop.save_weights(folder.best, folder.module().build(folder.module().Settings(channels)))
        return str(folder.path)

    return make


def picture(path, colour, mode="RGB", size=(6, 6)):
    image = Image.new("RGB", size, colour)
    if mode == "RGBA":
        image = image.convert("RGBA")
        image.putalpha(255)
    image.convert(mode).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "tif"), ("RGB", "jpg")]
)
@pytest.mark.parametrize("size", [(6, 6), (300, 17), (1, 2)])
def test_predict_reads_images_of_any_mode_and_size(trained, tmp_path, capsys, mode, suffix, size):
    files = [picture(tmp_path / f"{name}.{suffix}", colour, mode, size) for name, colour in COLOURS.items()]
    assert main(["predict", trained(), *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == list(COLOURS)


def test_predict_prints_the_three_most_probable_classes(trained, tmp_path, capsys):
    files = [picture(tmp_path / "a.png", (255, 204, 0)), picture(tmp_path / "longer.png", (0, 51, 255))]
    assert main(["predict", trained(), *files]) == 0
    e = np.exp(20 * np.array([1, 0.8, 0, 0]))
    first, second, third = (f"{x:6.1%}" for x in (e / e.sum())[:3])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == f"{files[0]}       {first} red           {second} green         {third} blue"
    assert lines[1].startswith(f"{files[1]}  100.0% blue ") and len(lines) == 2


def test_predict_says_when_it_is_unsure(trained, tmp_path, capsys):
    files = [picture(tmp_path / "a.png", (255, 255, 255)), picture(tmp_path / "b.png", (255, 204, 0))]
    assert main(["predict", trained(), *files]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("  (unsure)") and "unsure" not in second


def test_predict_reads_grey_images_for_a_grey_model(trained, tmp_path, capsys):
    files = [picture(tmp_path / f"{mode}.png", "white", mode) for mode in ("L", "LA", "1", "RGB")]
    assert main(["predict", trained(channels=1), *files]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["red"] * 4


def test_predict_names_the_files_that_are_no_images_and_goes_on(trained, tmp_path, capsys):
    good = picture(tmp_path / "good.png", COLOURS["blue"], size=(60, 60))
    (tmp_path / "text.png").write_text("no image")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    bad = [str(tmp_path / name) for name in ("text.png", "absent.png", "cut.png", ".")]
    assert main(["predict", trained(), *bad, good]) == 2
    out, err = capsys.readouterr()
    assert out.split()[:3] == [good, "100.0%", "blue"]
    lines = err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("text.png", "absent.png", "cut.png", "")
    ]
    assert "not a readable image" in lines[0] and lines[1].endswith(": No such file or directory")
    assert lines[3].endswith((": Is a directory", ": Permission denied"))


def test_predict_shows_the_pixels_that_decide(trained, tmp_path, capsys):
    file, path = picture(tmp_path / "a.png", COLOURS["green"]), tmp_path / "run" / "why" / "a.png"
    assert main(["predict", trained(), file, "--why"]) == 0
    assert capsys.readouterr().out.splitlines()[1].strip() == str(path)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    scale = pixels.shape[0] // 6
    cells = pixels[scale // 2 :: scale, scale // 2 :: scale]
    assert (cells[:, :6] == COLOURS["green"]).all()
    heat = cells[:, 7:].astype(int).sum(-1)
    assert heat[2:4, 2:4].min() > heat[1:5, 1:5].min() > heat[0, 0] == heat[5, 5] == HEAT[0].sum()


def test_what_decided_is_written_nowhere_near_the_images_and_over_no_file(trained, tmp_path, capsys):
    """A folder of images stays a folder of images, whose pictures one may train on."""
    run, places = trained(), [tmp_path / "photos" / "red", tmp_path / "photos" / "blue"]
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


def test_a_place_without_pictures_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "run", "a.png", "--out", str(tmp_path)])
    assert capsys.readouterr().err.endswith("error: --out is for the pictures of --why\n")


def test_a_place_that_cannot_be_written_is_named_with_the_cure(trained, tmp_path, capsys):
    file = picture(tmp_path / "a.png", "red")
    assert main(["predict", trained(), file, "--why", "--out", file]) == 2
    assert capsys.readouterr().err == f"{file}: File exists. Elsewhere: --out FOLDER\n"


def test_predict_prints_names_that_no_terminal_obeys(trained, tmp_path, capsys):
    run = trained(classes=["red\x1b[31m", "green", "blue", "none"])
    file = picture(tmp_path / "a\x1b[2J\n.png", COLOURS["red"])
    gone = os.fsdecode(bytes(tmp_path) + b"/b\xff\x07.png")
    assert main(["predict", run, file, gone, "--why"]) == 2
    out, err = capsys.readouterr()
    assert "a\\x1b[2J\\n.png" in out and "100.0% red\\x1b[31m" in out and "\x1b" not in out + err
    assert err == f"{tmp_path}/b\\udcff\\x07.png: No such file or directory\n"


@pytest.mark.parametrize("damage", ["absent", "settings", "weights", "shape"])
def test_predict_names_what_is_wrong_with_a_run(trained, tmp_path, capsys, damage):
    file = picture(tmp_path / "a.png", "red")
    folder = trained(**{"image_shape": None} if damage == "shape" else {})
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


def test_predict_without_pillow_names_the_cure(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["predict", trained(), str(tmp_path / "a.png")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("reading images needs pillow (") and error.count("\n") == 1
    assert error.endswith("): " + command("-m", "pip", "install", "autograd_cnn[images]") + "\n")


def test_ctrl_c_is_one_line_and_the_exit_code_of_a_shell(monkeypatch, capsys):
    from autograd_cnn import __main__

    monkeypatch.setattr(__main__, "main", lambda: signal.raise_signal(signal.SIGINT))
    assert __main__.script() == 130
    assert capsys.readouterr() == ("", "\ninterrupted\n")
