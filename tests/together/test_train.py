"""``python -m autograd_cnn train FOLDER`` and what follows it: more training, predictions, an ONNX file."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from autograd_cnn.environment import command
from processes import printed

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")

MODEL = """
from autograd_cnn import nn, relu

def build(settings, rng=None, images=None):
    width = 4 * (settings.size - 2) ** 2
    head = nn.Linear(width, settings.classes, rng=rng)
    return nn.Sequential(nn.Conv2d(3, 4, 3, rng=rng), relu, nn.Flatten(), head)
"""
NOTHING_APART = """
from dataclasses import dataclass
from autograd_cnn.training import recipe

@dataclass(frozen=True)
class Settings(recipe.Settings):
    validation: float = 0
"""
INTERRUPTED = """
import signal
from autograd_cnn import cross_entropy

calls = []

def loss(settings, outputs, labels):
    calls.append(1)
    if len(calls) == 3:
        signal.raise_signal(signal.SIGINT)
    return cross_entropy(outputs, labels)
"""
MODES = {"RGB": "jpg", "L": "png", "P": "gif", "RGBA": "webp", "CMYK": "tif", "LA": "png"}
TRAIN = ["train", "photos", "--model", "tiny.py", "--epochs", "3"]


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """Twelve images of two classes, of several modes and sizes."""
    monkeypatch.chdir(tmp_path)
    for name, colour in {"blue": (10, 20, 230), "red": (240, 30, 20)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i, (mode, ending) in enumerate(MODES.items()):
            image = Image.new("RGB", (40 + 20 * i, 60), colour).convert(mode)
            image.save(tmp_path / "photos" / name / f"{i}.{ending}")
    (tmp_path / "tiny.py").write_text(MODEL)
    return tmp_path / "photos"


@pytest.fixture
def unreported(monkeypatch):
    """No report is written."""
    monkeypatch.setattr(ag.report, "write", lambda *arguments: "report")


def refused(capsys, *arguments):
    """Run a command that must fail before there is a run; return what it says."""
    assert main([*arguments]) == 2 and not os.path.exists("runs")
    out, err = capsys.readouterr()
    assert out == ""
    return err.rstrip("\n")


def test_three_commands_from_a_folder_to_an_answer_and_an_onnx_file(photos, capsys):
    assert main([*TRAIN, "--size", "8", "--lr", "0.02"]) == 0
    said = capsys.readouterr().out
    assert "<photos: 10 training and 2 test images (8, 8, 3) uint8, 2 classes>" in said and "What to do next" in said
    run = ag.training.RunFolder("runs/photos-tiny")
    assert run.settings["settings"]["validation"] == 0.2 and run.settings["images_per_pass"] == 8
    assert {"report.html", "net.html", "model.py", "best.safetensors"} <= {*os.listdir(run.path)}
    assert main(["predict", "runs/photos-tiny", "photos/red/0.jpg", "--why"]) == 0
    assert capsys.readouterr().out.split()[2] in ("red", "blue")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    for name, message in {"photos.pt": "Call it photos.onnx\n", "x.txt": "Call it x.onnx\n"}.items():
        assert main(["export", "runs/photos-tiny", name]) == 2 and not os.path.exists(name)
        assert capsys.readouterr().err == f"export_onnx: {name} would be an ONNX file. {message}"
    assert main(["export", "runs/photos-tiny", "net.onnx"]) == 0
    assert capsys.readouterr().out == "net.onnx: images (N, 8, 8, 3), float32 in [0, 1], to the outputs of blue, red\n"
    x = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    (there,) = runtime.InferenceSession("net.onnx").run(None, {"x": x})
    np.testing.assert_allclose(there, ag.training.predict(run.model(), x), atol=1e-5)


def test_a_run_that_was_cut_short_goes_on_to_the_same_bits(photos, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["first.py"])
        assert main([*TRAIN, "--out", "whole"]) == main([*TRAIN, "--out", "cut", "--minutes", "1e-9"]) == 0
    assert command("-m", "autograd_cnn", "train", "--resume", "cut") in capsys.readouterr().out
    photos.rename("moved")
    assert main(["train", "--resume", "cut"]) == 2
    there = command("-m", "autograd_cnn", "train", "FOLDER", "--resume", "cut")
    assert capsys.readouterr().err == f"photos does not exist. If it has moved: {there}\n"
    for arguments in ["train", "--resume", "nowhere"], ["predict", "nowhere", "x.png"], ["export", "nowhere", "x"]:
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert err == "nowhere: no run is here (no settings.json). train makes them, in runs/\n"
    assert main(["train", "moved", "--resume", "cut"]) == 0
    assert "first.py" in Path("cut", "report.html").read_text(encoding="utf-8")  # the options that the run began with
    whole, cut = (ag.training.RunFolder(name) for name in ("whole", "cut"))
    assert whole.best.read_bytes() == cut.best.read_bytes() and len(cut.history().epochs) == 3
    capsys.readouterr()
    assert main(["train", "moved", *TRAIN[2:], "--out", "whole"]) == 2
    cure = "Choose another folder, or go on with that run (--resume)"
    told = f"whole: has another run: data is 'moved', was 'photos'; name is 'moved', was 'photos'. {cure}\n"
    assert capsys.readouterr().err == told
    report = Path("cut", "report.html").read_bytes()
    assert main(["train", "--resume", "cut"]) == 0 and Path("cut", "report.html").read_bytes() == report
    assert capsys.readouterr().err.startswith("cut: the training has ended. Its report: cut")


def test_options_and_what_suits_the_images_reach_the_training(capsys, monkeypatch):
    def fit(model, loss, optimiser, images, labels, *, epochs, augment, time_limit, clip, **_):
        raise ValueError(f"{set(labels.tolist())}, {len(images)}, {epochs}, {augment is None}, {time_limit}, {clip}")

    monkeypatch.setattr(ag.training, "fit", fit)
    assert main([*TRAIN, "--minutes", "2", "--clip", "3", "--images", "4"]) == 2
    assert capsys.readouterr().err == "{0, 1}, 3, 3, False, 120.0, 3.0\n"
    assert main(["train", "--images", "40"]) == 2
    assert capsys.readouterr().err.endswith("}, 38, 5, True, None, None\n")


@pytest.mark.usefixtures("unreported")
def test_the_same_command_with_other_limits_goes_on_with_the_run(capsys):
    assert main([*TRAIN, "--out", "run", "--minutes", "1e-9"]) == main([*TRAIN, "--out", "run"]) == 0
    assert len(ag.training.RunFolder("run").history().epochs) == 3
    assert main([*TRAIN, "--out", "run", "--lr", "0.5"]) == 2
    assert "run: has another run: lr is 0.5, was 0.002. Choose another" in capsys.readouterr().err


def test_more_images_than_there_are_cannot_be_had(capsys):
    assert refused(capsys, *TRAIN, "--images", "9999999") == "--images 9,999,999: photos has 10 for the training"


def test_numbers_that_grow_too_large_end_the_run_with_one_line(capsys):
    """And with no warning of NumPy's, which would be an error here."""
    assert main([*TRAIN, "--lr", "1e20", "--out", "run"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("fit: loss is nan at step 1. First seen in ")


def shows_lines(run, place):
    for page in "net.html", "report.html":
        text = Path(run, page).read_text(encoding="utf-8")
        assert place in text and "frozen" not in text and "_run_code" not in text


def test_pages_show_lines_of_the_model(photos):
    printed("-m", "autograd_cnn", *TRAIN, "--out", "run")
    shows_lines("run", "__main__.py:")


def test_the_recipe_of_the_package_trains_on_other_classes_and_sizes(photos, capsys):
    assert main(["train", "photos", "--size", "9", "--epochs", "1", "--out", "run"]) == 0
    assert ag.training.load_run("run").head.w.shape == (128, 2)  # of few images
    shows_lines("run", "model.py:")
    assert main(["train", "photos", "--size", "8", "--out", "small"]) == 2
    assert "quick: size is 8, want 9 to 256 pixels" in capsys.readouterr().err


def test_a_folder_that_is_wrong_is_refused(photos, capsys):
    assert refused(capsys, "train", "nowhere") == "nowhere does not exist. Without a folder: shapes or cifar10"
    os.mkdir("empty")
    assert "folders in empty: 0, want one for each of two or more classes, such as" in refused(capsys, "train", "empty")
    shutil.copytree("photos", "whole/photos")
    assert refused(capsys, "train", "whole").endswith(", such as whole/cat. If they are in it: whole/photos")
    shutil.copytree("photos/red", "twins/red")
    shutil.copytree("photos/red", "twins/red ")
    assert (
        refused(capsys, "train", "twins")
        == "load_folder: twins has 'red' and 'red ', one name for two classes. Rename one"
    )


@pytest.mark.usefixtures("unreported")
def test_images_that_cannot_be_read_are_left_out_and_one_is_named(photos, capsys):
    for name in "8.png", "9.png":
        (photos / "red" / name).write_text("no image")
    assert main([*TRAIN, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert "<photos: 10 training and 2 test images" in out
    assert err.count("left out: photos/red/") == 2 and "9.png: not a readable" in err
    shutil.rmtree(photos / "red")
    (photos / "red").mkdir()
    (photos / "red" / "9.png").write_text("no image")
    assert "photos/red: has no image" in refused(capsys, "train", "photos")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def make(): pass", "tiny.py: has no build(settings, rng, images), which returns the Module to train"),
        ("import nothing_here", "tiny.py: ModuleNotFoundError: No module named 'nothing_here'"),
        ("def build(settings:", "tiny.py: SyntaxError: "),
    ],
)
def test_a_file_that_is_no_recipe_is_named(photos, capsys, code, message):
    (photos.parent / "tiny.py").write_text(code)
    assert refused(capsys, *TRAIN).startswith(message)


def test_options_that_do_not_fit_are_refused(capsys):
    for arguments, message in {
        ("photos", "--epochs", "2.5"): "argument --epochs: 2.5 is no whole number above 0",
        ("photos", "--images", "0"): "argument --images: 0 is no whole number above 0",
        ("photos", "--patience", "-1"): "argument --patience: -1 is no whole number above 0",
        ("photos", "--seed", "-1"): "argument --seed: -1 is no whole number above -1",
        ("photos", "--clip", "nan"): "argument --clip: nan is no number above 0",
        ("photos", "--set", "cutout"): "cutout is no NAME=VALUE, such as weight_decay=0.01",
        ("photos", "--lr", "fast"): "argument --lr: fast is no number above 0",
        ("photos", "--epoch", "2", "--rat", "3"): "error: unrecognized arguments: --rat 3",
    }.items():
        with pytest.raises(SystemExit):
            main(["train", *arguments])
        assert message in capsys.readouterr().err
    for option in ["--size", "9"], ["--seed", "0"], ["--no-verify"]:
        assert "so beside it only --minutes, --patience and" in refused(capsys, "train", "--resume", "run", *option)
    assert refused(capsys, "train", "photos", "--recipe", "slow") == "slow is no recipe (quick, best), and no file"
    settings = "from dataclasses import dataclass\n@dataclass\nclass Settings:\n    epochs: int = 1\n"
    with open("tiny.py", "w") as file:
        file.write(settings + MODEL)
    ag.training.RunFolder("own", {"seed": 0})
    assert refused(capsys, "train", "--resume", "own").startswith("own: the run is of another program, which has to")
    message = "tiny.py: its Settings have no batch_size, validation, size, but epochs"
    assert refused(capsys, *TRAIN, "--size", "9") == message


@pytest.mark.usefixtures("unreported")
def test_any_number_of_the_settings_can_be_set(capsys):
    few = ["train", "photos", "--size", "9", "--epochs", "1"]
    assert (
        main([*few, "--set", "cutout=2", "--set", "weight_decay=1", "--set", "widths=(4, 4, 4)", "--out", "run"]) == 0
    )
    settings = ag.training.RunFolder("run").settings
    given = {name: settings["settings"][name] for name in ("cutout", "weight_decay", "widths")}
    assert given == {"cutout": 2, "weight_decay": 1, "widths": [4, 4, 4]}
    capsys.readouterr()
    for wrong, want in {
        "cutout=2.5": "int, such as cutout=0",
        "widths=4": "tuple, such as widths=(64, 128, 256)",
    }.items():
        assert main([*few, "--set", wrong]) == 2
        assert capsys.readouterr().err == f"--set {wrong}: want {want}\n"
    Path("tiny.py").write_text(NOTHING_APART + MODEL)
    assert main([*TRAIN, "--set", "validation=0.5", "--out", "half"]) == 0
    assert ag.training.RunFolder("half").settings["images_per_pass"] == 5


def drawn(tmp_path, count, change):
    """Make a folder `set` of two classes, of so many images of 16 x 16 pixels each."""
    rng = np.random.default_rng(0)
    for label, name in enumerate("ab"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(count):
            pixels = change(rng.integers(0, 256, (16, 16, 3)), label).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")


@pytest.mark.parametrize(
    ("kind", "count"), [("grey", 9), ("flat", 5), *(("noise", count) for count in (3, 4, 5, 8, 13))]
)
@pytest.mark.usefixtures("unreported")
def test_any_images_train(tmp_path, kind, count):
    """Few, so that a batch could be of one image, whose batch norm has no variance; all equal; one colour constant."""
    drawn(tmp_path, count, lambda x, label: {"noise": x, "grey": 0 * x + 99, "flat": x * [1, 1, 0]}[kind])
    assert main(["train", "set", "--size", "16", "--epochs", "1", "--out", "run"]) == 0
    assert all(np.isfinite(array).all() for array in ag.training.load_run("run").state_dict().values())


@pytest.mark.usefixtures("unreported")
def test_a_run_that_failed_before_its_first_checkpoint_leaves_no_folder(capsys):
    with open("tiny.py", "a") as file:
        file.write("\ndef loss(settings, outputs, labels):\n    return outputs.sum() * float('nan')\n")
    os.mkdir("mine")
    Path("mine", "notes.txt").write_text("kept")
    for out in "run", "mine":
        assert main([*TRAIN, "--out", out]) == 2
        assert capsys.readouterr().err.endswith(". A lower --lr, or --clip 1, in a new run may help\n")
    assert not os.path.exists("run") and os.listdir("mine") == ["notes.txt"]


def test_ctrl_c_ends_the_training_with_its_results_and_the_code_of_a_shell(capsys):
    with open("tiny.py", "a") as file:
        file.write(INTERRUPTED)
    assert main([*TRAIN, "--out", "run"]) == 130
    assert "interrupted at step " in capsys.readouterr().out and os.path.exists("run/report.html")


def test_a_run_without_classes_is_not_exported(capsys):
    ag.training.RunFolder("run", {})
    assert main(["export", "run", "net.onnx"]) == 2
    assert "run: settings.json has no classes and no image_shape, which export needs" in capsys.readouterr().err


def test_images_of_cifar10_that_are_missing_or_damaged_are_an_error_with_the_options_that_help(capsys, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", "here")
    told = "CIFAR-10 not found in here\ndownload=True (--download) fetches 170 MB"
    assert refused(capsys, "train", "cifar10").startswith(told)
    os.mkdir("here")
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        Path("here", f"{name}.bin").write_bytes(bytes(3073))
    told = f"{Path('here', 'data_batch_1.bin')}: 3,073 bytes have the checksum "
    assert refused(capsys, "train", "cifar10").startswith(told)

    def loaded(*options):
        raise ValueError(options)

    monkeypatch.setattr(ag.data, "load_cifar10", loaded)
    assert refused(capsys, "train", "cifar10") == "(None, False, True)"
    assert refused(capsys, "train", "cifar10", "--no-verify", "--download") == "(None, True, False)"
