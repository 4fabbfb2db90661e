"""Shows which pixels of an image decided the answer of a model."""

from __future__ import annotations

import numpy as np

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module
from autograd_cnn.studio.report.facts import Array

COPIES, NOISE = 16, 0.1  # of the image, whose gradients are averaged; standard deviation of what is added to each


def saliency(model: Module, image: Array, seed: int = 0) -> Array:
    """Return how much each pixel of an image moves the largest output of a model in evaluation mode.

    It is the absolute gradient of that output, the greatest of the colours, averaged over noisy copies of the image
    and over neighbours (Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017).

    Parameters
    ----------
    model : Module
    image : array, (H, W, C) float32 in [0, 1]
    seed : int
        Seeds the noise.

    Returns
    -------
    array, (H, W)
        In [0, 1]; the largest is 1, unless no pixel matters.
    """
    answer = int(model(Tensor(image[None])).data.argmax())
    noise = np.random.default_rng(seed).normal(0, NOISE, (COPIES, *image.shape)).astype(np.float32)
    copies = Tensor(image + noise, requires_grad=True, name="images")
    gradient = model(copies)[:, answer].sum().gradient(copies)
    found = np.abs(np.asarray(gradient.data).mean(axis=0)).max(axis=-1)
    padded = np.pad(found, 1, mode="edge")
    height, width = found.shape
    blurred = np.mean([padded[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)
    most = blurred.max()
    return np.asarray(blurred / most if most > 0 else blurred)
