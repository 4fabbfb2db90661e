"""Packages that are absent: one line says what to install, and NumPy alone trains and draws."""

import builtins
import os
import sys

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.environment import command

IMAGES, LABELS = np.zeros((4, 2), np.float32), np.arange(4) % 2


def fit(**options):
    w = ag.Tensor(np.zeros((2, 2), np.float32), requires_grad=True, name="w")
    sgd = ag.optim.SGD([w], lr=0.1)
    return ag.training.fit(lambda x: x @ w, ag.cross_entropy, sgd, IMAGES, LABELS, rng=None, epochs=1, **options)


def absent(monkeypatch, *packages):
    """Let every import of the packages fail, as if nobody had installed them."""

    def without(name, *rest, **options):
        if name.partition(".")[0] in packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name, *rest, **options)

    load = builtins.__import__
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)


MODULE = ag.nn.Linear(2, 2)

ABSENT = {
    "tqdm": [("tqdm", "showing progress", fit)],
    "safetensors": [("safetensors", "saving weights", lambda: ag.interop.save_weights("w.safetensors", MODULE)),
                    ("safetensors", "loading weights", lambda: ag.interop.load_weights(os.devnull, MODULE))],
    "graphviz": [("graphviz", ".png", lambda: ag.sum(MODULE.w).graph().save("a.png"))],
    "scipy": [("scipy", "ag.special.gammaln", lambda: ag.special.gammaln(MODULE.w))],
    "matplotlib": [("matplotlib", "autograd_cnn.plots", lambda: ag.plots.loss_curve(ag.training.History(), "a.png"))],
    "PIL": [("autograd_cnn[images]", "reading images", lambda: ag.data.read_image("a.png", (2, 2)))],
    "onnx": [("autograd_cnn[onnx]", "export_onnx", lambda: ag.interop.export_onnx("a.onnx", MODULE, IMAGES)),
             ("autograd_cnn[onnx]", "load_onnx", lambda: ag.interop.load_onnx("a.onnx"))],
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


BARE = """
import sys, threading
sys.modules.update(dict.fromkeys({packages}))  # as if they were not installed

def start(self):
    raise RuntimeError("can't start new thread")

threading.Thread.start = start
from pathlib import Path
import numpy as np
import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.__main__ import main

ag.set_num_threads(2)
data = ag.data.load_shapes(train=40, test=10)
model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), ag.relu, nn.Flatten(), nn.Linear(4096, 10))
adam = ag.optim.Adam(model.parameters())
history = ag.training.fit(
    model, ag.cross_entropy, adam, data.train_images, data.train_labels, rng=np.random.default_rng(0), epochs=5,
    batch_size=20, progress=False)
assert history.losses[-1] < history.losses[0]
images, labels = ag.data.as_float32(data.test_images), data.test_labels
loss_of = lambda images, labels: ag.cross_entropy(model(images), labels)
graph = ag.trace(loss_of, images[:2], labels[:2])
for suffix in ("svg", "html", "py", "dot"):
    graph.save(f"graph.{suffix}")
assert Path("graph.html").read_text(encoding="utf-8") == graph.page()
assert graph.program().run()[0] == loss_of(images[:2], labels[:2]).item()
assert main(["info"]) == 0
"""


def test_numpy_alone_suffices_to_train_and_to_draw(python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packages = "tqdm safetensors matplotlib graphviz threadpoolctl jinja2 PIL onnx mpi4py numba scipy torch IPython"
    program = BARE.replace("{packages}", repr([*packages.split(), "fcntl", "msvcrt"]))
    assert "kernels: NumPy's; compiled ones: " in python(program)
