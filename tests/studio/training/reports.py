"""A small run with its folder, for the tests of reports."""

import numpy as np

import autograd_cnn as ag
from autograd_cnn.training import Epoch, History, RunFolder

CLASSES = ("disc", "ring", "<square> & co")
RECIPE = """
from dataclasses import dataclass

import numpy as np
import autograd_cnn as ag
from autograd_cnn import nn


@dataclass(frozen=True)
class Settings:
    width: int = 4


def build(settings, rng=None, images=None):
    rng = rng or np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(3, settings.width, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(settings.width, 6, 3, padding=1, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3, rng=rng),
    )


def probabilities(outputs):
    return np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
"""


def figures(passes=3, ended=""):
    epochs = [
        Epoch(
            10 * i, 1 / i, 0.3 * i, 1.1 / i, 0.28 * i, 2.0, 0.01 / i,
            {"0.w": 0.5 / i, "0.b": 0.05, "3.w": 0.2}, {"relu of 0": 0.25 * (i - 1)},
        )
        for i in range(1, passes + 1)
    ]  # fmt: skip
    return History("shapes", [2 / (1 + 0.1 * i) for i in range(10 * passes)], epochs, ended)


class Run:
    """A folder with a model, its History, and what it says of test images."""

    def __init__(self, path, images=40):
        rng = np.random.default_rng(0)
        source = path / "recipe.py"
        source.write_text(RECIPE)
        settings = {
            "recipe": "tiny", "data": "shapes (synthetic)", "classes": CLASSES, "image_shape": (8, 8, 3), "seed": 7,
            "images_per_pass": 100, "settings": {"width": 4},
        }  # fmt: skip
        self.folder = RunFolder(path / "run", settings, source)
        model = self.folder.module().build(self.folder.module().Settings())
        self.folder.callback(model)(figures())
        self.images = rng.integers(0, 256, (images, 8, 8, 3), np.uint8)
        self.labels = np.arange(images) % 3
        outputs = rng.normal(size=(images, 3)).astype(np.float32)
        outputs[np.arange(images), self.labels] += 1
        self.result = ag.training.evaluate(lambda x: ag.Tensor(outputs), ag.cross_entropy, outputs, self.labels, 1000)
        self.probabilities = self.folder.module().probabilities(outputs)

    def write(self, **options):
        return ag.report.write(self.folder, self.images, self.labels, self.result, ag.cross_entropy, **options)

    @property
    def html(self):
        return (self.folder.path / "report.html").read_text(encoding="utf-8")
