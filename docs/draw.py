"""Draws the pictures of docs/pictures.md and docs/tutorial.md into its own folder: ``python docs/draw.py``."""

import os
import re
import runpy
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "examples"))

from recipes.standard import CNN  # noqa: E402  (found by the line above)


class Block(nn.Module):
    """A residual block: its input plus two convolutions of it."""

    def __init__(self, channels, rng):
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, rng=rng)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, rng=rng)

    def forward(self, x):
        return ag.relu(x + self.conv2(ag.relu(self.conv1(x))))


class Residual(nn.Module):
    """A residual network: a convolution, three blocks, the mean over all pixels, ten scores."""

    def __init__(self, rng):
        self.stem = nn.Conv2d(3, 16, 3, padding=1, rng=rng)
        self.blocks = [Block(16, rng) for _ in range(3)]
        self.head = nn.Linear(16, 10, rng=rng)

    def forward(self, x):
        h = ag.relu(self.stem(x))
        for block in self.blocks:
            h = block(h)
        return self.head(h.mean(axis=(1, 2)))


def graphs():
    """The graphs by file name: losses of two untrained networks on a batch of a hundred images."""
    data = ag.data.load_shapes(train=100, test=1)
    images, labels = ag.data.as_float32(data.train_images), data.train_labels
    cnn, residual = CNN("standard", np.random.default_rng(0)), Residual(np.random.default_rng(0))
    one_hot = np.eye(10, dtype=np.float32)[labels]
    return {
        "cnn.svg": ag.trace(lambda images, labels: ag.bce(cnn(images), labels), images, one_hot),
        "residual.svg": ag.trace(lambda images, labels: ag.cross_entropy(residual(images), labels), images, labels),
    }


def tutorial():
    """Run the programs of the tutorial, which save its pictures."""
    text = (HERE / "tutorial.md").read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("tutorial.py").write_text("\n".join(re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)))
        runpy.run_path("tutorial.py")
        for picture in Path().glob("*.svg"):
            (HERE / picture.name).write_bytes(picture.read_bytes())
        os.chdir(HERE)


if __name__ == "__main__":
    for name, graph in graphs().items():
        graph.save(HERE / name, depth=1)
    tutorial()
