"""
A convolutional network on drawn shapes
=======================================

A small CNN, written as one function of its weights, learns ten shapes from 3,000 drawn images.
The picture shows what its first and second layer make of one image, and its answers for images that it never saw.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag


def forward(p: dict[str, ag.Tensor], images: np.ndarray) -> tuple[ag.Tensor, ag.Tensor, ag.Tensor]:
    """The two layers of feature maps, and the scores (N, 10), of images (N, 32, 32, 3)."""
    first = ag.max_pool2d(ag.relu(ag.conv2d(images, p["w1"], p["b1"], padding=1)), 2)
    second = ag.max_pool2d(ag.relu(ag.conv2d(first, p["w2"], p["b2"], padding=1)), 4)
    return first, second, ag.linear(ag.flatten(second, 1), p["w3"], p["b3"])


def main() -> None:
    rng = np.random.default_rng(0)
    data = ag.data.load_shapes(train=3000, test=500)
    images, tests = ag.data.as_float32(data.train_images) - 0.5, ag.data.as_float32(data.test_images) - 0.5
    p = {}
    for i, shape in enumerate([(3, 3, 3, 16), (3, 3, 16, 32), (512, 10)], 1):
        scale = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        p[f"w{i}"] = ag.Tensor(scale * rng.standard_normal(shape, np.float32), requires_grad=True, name=f"w{i}")
        p[f"b{i}"] = ag.Tensor(np.zeros(shape[-1], np.float32), requires_grad=True, name=f"b{i}")
    adam, epochs = ag.optim.Adam(p.values(), lr=3e-3), 6
    for epoch in range(epochs):
        adam.lr = 3e-3 * (1 - epoch / epochs)
        losses = []
        for chosen in np.split(rng.permutation(len(images)), len(images) // 50):
            loss = ag.cross_entropy(forward(p, images[chosen])[-1], data.train_labels[chosen])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
    with ag.no_grad():
        first, second, scores = (t.data for t in forward(p, tests))
    answers = scores.argmax(axis=1)
    right = answers == data.test_labels
    print(f"{right.mean():.1%} of {len(tests)} new images right")

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(4, 10)
    for maps, rows in ((first[0], panels[0]), (second[0], panels[1])):
        for channel, axes in enumerate(rows[1:]):
            axes.imshow(maps[..., channel], cmap="magma")
    panels[0, 0].imshow(data.test_images[0])
    panels[0, 0].set_title("image", fontsize=9)
    panels[0, 1].set_title("layer 1", fontsize=9)
    panels[1, 1].set_title("layer 2", fontsize=9)
    shown = [*np.flatnonzero(~right)[:4], *np.flatnonzero(right)[:16]]
    for axes, i in zip(panels[2:].flat, shown, strict=False):
        axes.imshow(data.test_images[i])
        axes.set_title(data.classes[answers[i]], fontsize=9, color="black" if right[i] else "#d55e00")
    for axes in panels.flat:
        axes.set_axis_off()
    figure.savefig("cnn.png", dpi=120)
    print("wrote cnn.png")


if __name__ == "__main__":
    main()
