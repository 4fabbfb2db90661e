"""A run that names colours, and images of one colour, for the tests of `predict`."""

from autograd_cnn.arrayfile import write_arrays
from autograd_cnn.training import RunFolder

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


def trained(tmp_path, channels=3, **settings):
    """Make the folder of a run whose model names the brightest colour in the middle of an image; return its path."""
    source = tmp_path / "recipe.py"
    source.write_text(RECIPE)
    settings = {
        "classes": [*COLOURS, "none of them"], "image_shape": (6, 6, channels), "settings": {"channels": channels},
        **settings,
    }  # fmt: skip
    folder = RunFolder(tmp_path / "run", settings, source)
    model = folder.module().build(folder.module().Settings(channels))
    write_arrays(folder.best, model.state_dict(), {})
    return str(folder.path)


def picture(path, colour, mode="RGB", size=(6, 6)):
    from PIL import Image

    image = Image.new("RGB", size, colour)
    if mode == "RGBA":
        image = image.convert("RGBA")
        image.putalpha(255)
    image.convert(mode).save(path)
    return str(path)
