"""
Saliency: which pixels decided
==============================

The gradient of a score for the image, not for the weights, says which pixels the answer depends on.
The picture compares three ways to look at it: the plain gradient, SmoothGrad, and integrated gradients.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag
from autograd_cnn import nn


def gradient(model: nn.Module, images: np.ndarray, answer: int) -> np.ndarray:
    """The gradient of one score of each image, of the shape of the images."""
    x = ag.Tensor(images, requires_grad=True, name="images")
    return model(x)[:, answer].sum().gradient(x)


def smooth(model: nn.Module, image: np.ndarray, answer: int, rng: np.random.Generator) -> np.ndarray:
    """The mean gradient of 32 noisy copies (Smilkov et al., 2017)."""
    noise = rng.normal(scale=0.1, size=(32, *image.shape)).astype(np.float32)
    return gradient(model, image + noise, answer).mean(axis=0)


def integrated(model: nn.Module, image: np.ndarray, answer: int, base: np.ndarray) -> np.ndarray:
    """The gradient along the way from a plain image, times the way (Sundararajan et al., 2017).

    It adds up to the difference of the two scores.
    """
    shares = ((np.arange(64) + 0.5) / 64).astype(np.float32)[:, None, None, None]
    return (image - base) * gradient(model, base + shares * (image - base), answer).mean(axis=0)


def main() -> None:
    rng = np.random.default_rng(0)
    data = ag.data.load_shapes(train=3000, test=300)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, rng=rng), ag.gelu, nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, rng=rng), ag.gelu, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(512, 10, rng=rng),
    )  # fmt: skip
    adam = ag.optim.Adam(model.parameters(), lr=4e-3)
    ag.training.fit(
        model, ag.cross_entropy, adam, data.train_images, data.train_labels, rng=rng, epochs=5, progress=False
    )
    result = ag.training.evaluate(model, ag.cross_entropy, data.test_images, data.test_labels)
    print(f"{result.accuracy:.1%} of {len(data.test_labels)} new images right")

    figure = Figure(figsize=(9.5, 5), layout="constrained")
    panels = figure.subplots(4, 8)
    tests, worst = ag.data.as_float32(data.test_images), 0.0
    right = result.outputs.argmax(axis=1) == data.test_labels
    for label, column in enumerate(panels.T, 1):
        i = np.flatnonzero(right & (data.test_labels == label))[0]
        image, base = tests[i], np.broadcast_to(np.median(tests[i], axis=(0, 1)), tests[i].shape)
        whole = integrated(model, image, label, base)
        scores = model(ag.Tensor(np.stack([image, base]))).data[:, label]
        worst = max(worst, abs(whole.sum() / (scores[0] - scores[1]) - 1))
        column[0].imshow(data.test_images[i])
        column[0].set_title(data.classes[label], fontsize=9)
        maps = (gradient(model, image[None], label)[0], smooth(model, image, label, rng), whole)
        for axes, found in zip(column[1:], maps, strict=True):
            strength = np.abs(found).sum(axis=-1)
            axes.imshow(strength, cmap="inferno", vmax=np.quantile(strength, 0.99))
    print(f"integrated gradients add up to the difference of the scores, within {worst:.1%}")
    for axes, name in zip(panels[:, 0], ("image", "gradient", "SmoothGrad", "integrated"), strict=True):
        axes.set_ylabel(name)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    figure.savefig("saliency.png", dpi=120)
    print("wrote saliency.png")


if __name__ == "__main__":
    main()
