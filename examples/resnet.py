"""
ResNet-20 on drawn shapes
=========================

Twenty layers with shortcuts (He et al., "Deep residual learning for image recognition", 2016) learn ten shapes.
The picture shows where each answer comes from: the class activation map of the last layer (Zhou et al., 2016).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag
from autograd_cnn import nn


class Block(nn.Module):
    """Two convolutions, added to their input."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        self.stride, self.more = outputs // inputs, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=self.stride, padding=1, bias=False, rng=rng)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False, rng=rng)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        h = self.norm2(self.conv2(ag.relu(self.norm1(self.conv1(x)))))
        # Where the block makes images smaller, the shortcut takes every second pixel, and adds channels of zeros.
        shortcut = ag.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (0, self.more)))
        return ag.relu(h + shortcut)


class ResNet20(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False, rng=rng)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = [Block(*widths, rng) for widths in pairwise([16] * 4 + [32] * 3 + [64] * 3)]
        self.head = nn.Linear(64, 10, rng=rng)

    def maps(self, x: np.ndarray) -> ag.Tensor:
        """The last feature maps (N, 8, 8, 64) of images (N, 32, 32, 3)."""
        h = ag.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            h = block(h)
        return h

    def forward(self, x: np.ndarray) -> ag.Tensor:
        return self.head(self.maps(x).mean(axis=(1, 2)))


def main() -> None:
    rng = np.random.default_rng(0)
    data = ag.data.load_shapes(train=1000, test=200)
    images, tests = ag.data.as_float32(data.train_images) - 0.5, ag.data.as_float32(data.test_images) - 0.5
    model, epochs, losses = ResNet20(rng), 3, []
    print(f"{sum(p.size for p in model.parameters()):,} weights")
    steps = epochs * len(images) // 25
    schedule = ag.optim.one_cycle(6e-3, steps)
    adam = ag.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        for chosen in np.split(rng.permutation(len(images)), len(images) // 25):
            adam.lr = schedule(len(losses))
            loss = ag.cross_entropy(model(images[chosen]), data.train_labels[chosen])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses[-40:]):.3f}")
    model.eval()
    with ag.no_grad():
        maps = model.maps(tests)
        answers = model.head(maps.mean(axis=(1, 2))).data.argmax(axis=1)
        evidence = model.head(maps).data  # the mean over pixels is linear, so every pixel has its ten scores
    print(f"{np.mean(answers == data.test_labels):.1%} of {len(tests)} new images right")

    figure = Figure(figsize=(11, 2.7), layout="constrained")
    panels = figure.subplots(2, 10)
    for label, (above, below) in enumerate(panels.T):
        i = np.flatnonzero(data.test_labels == label)[0]
        heat = np.maximum(evidence[i, :, :, answers[i]] / evidence[i, :, :, answers[i]].max(), 0)
        above.imshow(data.test_images[i])
        above.set_title(data.classes[answers[i]], fontsize=9, color="black" if answers[i] == label else "#d55e00")
        below.imshow(data.test_images[i].mean(axis=-1), cmap="gray", vmin=0, vmax=300)
        extent = (-0.5, 31.5, 31.5, -0.5)
        below.imshow(heat, cmap="autumn", alpha=0.8 * heat, extent=extent, interpolation="bilinear")
    for axes in panels.flat:
        axes.set_axis_off()
    figure.savefig("resnet.png", dpi=120)
    print("wrote resnet.png")


if __name__ == "__main__":
    main()
