"""The interpreter in printed commands, and packages that are absent: one line says what to install."""

import builtins
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.environment import command, needs, plain, program
from autograd_cnn.studio.report.saliency import write_why

IMAGES, LABELS = np.zeros((4, 2), np.float32), np.arange(4) % 2


def fit(**options):
    w = ag.Tensor(np.zeros((2, 2), np.float32), requires_grad=True, name="w")
    sgd = ag.optim.SGD([w], lr=0.1)
    return ag.training.fit(lambda x: x @ w, ag.cross_entropy, sgd, IMAGES, LABELS, rng=None, epochs=1, **options)


def absent(monkeypatch, *packages):
    """Let every import of the packages fail, as if nobody had installed them."""

    def without(name, *rest):
        if name.partition(".")[0] in packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name, *rest)

    load = builtins.__import__
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "autograd_cnn.studio.picture.paint", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)


MODULE = ag.nn.Linear(2, 2)
ABSENT = {
    "tqdm": [("tqdm", "showing progress", fit)],
    "safetensors": [
        ("safetensors", "saving weights", lambda: ag.interop.save_weights("w.safetensors", MODULE)),
        ("safetensors", "loading weights", lambda: ag.interop.load_weights("w.safetensors", MODULE)),
        ("safetensors", "fit(checkpoint=...)", lambda: fit(progress=False, checkpoint="run.safetensors")),
    ],
    "matplotlib": [("matplotlib", "autograd_cnn.plots", lambda: ag.plots.loss_curve(ag.training.History(), "a.png"))],
    "PIL": [
        ("autograd_cnn[images]", "reading images", lambda: ag.data.read_image("a.png", (2, 2))),
        ("autograd_cnn[images]", "writing a picture", lambda: write_why("a.png", np.zeros((2, 2, 3)), IMAGES[:2])),
    ],
    "requests": [("autograd_cnn[download]", "a download", lambda: ag.data.load_cifar10("cifar", download=True))],
    "onnx": [
        ("autograd_cnn[onnx]", "export_onnx", lambda: ag.interop.export_onnx("a.onnx", MODULE, IMAGES)),
        ("autograd_cnn[onnx]", "load_onnx", lambda: ag.interop.load_onnx("a.onnx")),
    ],
}  # fmt: skip


@pytest.mark.parametrize("package", ABSENT)
def test_without_a_package_one_line_says_what_to_install(package, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    absent(monkeypatch, package)
    for cure, task, use in ABSENT[package]:
        with pytest.raises(ImportError) as caught:
            use()
        message = str(caught.value)
        assert message.startswith(f"{task} needs ") and f"(No module named '{package}" in message
        assert message.endswith("): " + command("-m", "pip", "install", cure)) and message.count("\n") == 0
    assert os.listdir() == []


def test_a_picture_without_both_renderers_names_both(monkeypatch, tmp_path):
    absent(monkeypatch, "matplotlib", "graphviz")
    graph = ag.sum(ag.Tensor(np.ones(2), requires_grad=True)).graph()
    with pytest.raises(ImportError) as caught:
        graph.save(tmp_path / "a.png")
    for package in ("matplotlib", "graphviz"):
        assert command("-m", "pip", "install", package) in str(caught.value)


BARE = """
import sys

sys.modules.update(dict.fromkeys({packages}))  # as if they were not installed
import numpy as np
import autograd_cnn as ag
from autograd_cnn.__main__ import main

ag.nn.seed(0)
data = ag.data.load_shapes(train=20, test=10)
model = ag.nn.Sequential(ag.nn.Conv2d(3, 4, 3), ag.relu, ag.nn.Flatten(), ag.nn.Linear(3600, 10))
adam = ag.optim.Adam(model.parameters())
history = ag.training.fit(
    model, ag.cross_entropy, adam, data.train_images, data.train_labels, rng=None, epochs=9, batch_size=10,
    progress=False)
assert history.losses[-1] < history.losses[0]
graph = ag.cross_entropy(model(ag.data.as_float32(data.test_images)), data.test_labels).graph()
for suffix in ("svg", "html", "py", "dot", "mmd"):
    graph.save(f"graph.{suffix}")
assert main(["info"]) == 0
"""


def test_numpy_alone_suffices_to_train_and_to_draw(python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packages = "tqdm safetensors matplotlib graphviz threadpoolctl PIL requests onnx mpi4py numba scipy torch IPython"
    assert "numpy, in tiles" in python(BARE.replace("{packages}", repr(packages.split())))


CHOSEN = """
import sys
sys.modules["numba"] = None
from autograd_cnn.fast.twins import kernel_set
try:
    kernel_set()
except ImportError as error:
    print(error)
"""


def test_compiled_kernels_that_are_asked_for_and_cannot_be_had_say_what_to_install(python, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_CNN_KERNELS", "numba")
    message = python(CHOSEN)
    assert message.startswith("AUTOGRAD_CNN_KERNELS is numba: ") and message.count("\n") == 1
    assert message.endswith(command("-m", "pip", "install", "autograd_cnn[fast]") + "\n")


# Commands


@pytest.fixture
def executable(monkeypatch, tmp_path):
    def put(path):
        monkeypatch.setattr(sys, "executable", str(path))
        monkeypatch.chdir(tmp_path)

    return put


@pytest.mark.skipif(os.name == "nt", reason="paths and shells are others there")
@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("{here}/.venv/bin/python", ".venv/bin/python"),
        ("{here}/my env/bin/python3", "'my env/bin/python3'"),
        ("/opt/python/bin/python", "/opt/python/bin/python"),
        ("{here}/../other/bin/python", "{here}/../other/bin/python"),
        ("{here}/python", "{here}/python"),  # a bare name would be looked for on PATH
        ("", "python3"),
    ],
)
def test_a_command_has_the_interpreter_in_use(executable, tmp_path, place, shown):
    executable(place.format(here=tmp_path))
    assert command("-m", "autograd_cnn", "my run") == f"{shown.format(here=tmp_path)} -m autograd_cnn 'my run'"


@pytest.mark.parametrize("name", ["", "-c", "-m", "/usr/lib/python3/ipykernel_launcher.py"])
def test_an_interactive_session_has_no_command(monkeypatch, name):
    monkeypatch.setattr(sys, "argv", ["train.py", "--out", "my run"])
    assert program() == command("train.py", "--out", "my run")
    monkeypatch.setattr(sys, "argv", [name, "-f", "kernel.json"])
    assert program() == ""


@pytest.mark.skipif(os.name == "nt", reason="another shell there")
def test_a_printed_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = command("-c", "import sys; print(sys.argv[1:], sys.executable)", "a b", "$HOME", "it's", tmp_path)
    done = subprocess.run(text, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"{['a b', '$HOME', chr(105) + 't' + chr(39) + 's', str(tmp_path)]} {sys.executable}"
    assert shlex.split(text)[1] == "-c"


def test_an_import_that_fails_inside_a_package_is_shown():
    with pytest.raises(ImportError, match=r"^x needs y \(libfoo\.so is missing\): "), needs("y", "x"):
        raise ImportError("libfoo.so is missing")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("Übung 1/猫", "Übung 1/猫"),
        ("a\nb\x1b[2J\x07", "a\\nb\\x1b[2J\\x07"),
        ("\u202eb\udcff", "\\u202eb\\udcff"),
    ],
)
def test_text_for_a_terminal_has_no_controls(text, shown):
    assert plain(text) == shown
