"""
An autoencoder that finds two numbers
=====================================

Each image shows the hand of a clock. Squeezed through two numbers and drawn again from them, the images arrange
themselves: the picture shows a plane in which angle and length of the hand have become places.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag
from autograd_cnn import nn


def hands(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (count, 16, 16, 1) float32 in [0, 1], and the angle and the length of each hand."""
    angle, length = rng.uniform(0, 2 * np.pi, count), rng.uniform(4, 7.5, count)
    y, x = np.mgrid[7.5:-8:-1, -7.5:8]
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    along = np.clip(x * c + y * s, 0, length[:, None, None])  # the nearest point of the hand
    distance = np.hypot(x - along * c, y - along * s)
    return np.exp(-0.15 * distance**2).astype(np.float32)[..., None], angle, length


def main() -> None:
    rng = np.random.default_rng(0)
    images, angle, length = hands(rng, 2000)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, rng=rng), ag.gelu,
        nn.Conv2d(16, 32, 3, stride=2, padding=1, rng=rng), ag.gelu,
        nn.Flatten(), nn.Linear(512, 64, rng=rng), ag.gelu, nn.Linear(64, 2, rng=rng), nn.BatchNorm1d(2),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(2, 64, rng=rng), ag.gelu, nn.Linear(64, 512, rng=rng), ag.gelu,
        lambda h: h.reshape(-1, 4, 4, 32),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1, rng=rng), ag.gelu,
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1, rng=rng),
    )  # fmt: skip
    epochs, losses = 12, []
    steps = epochs * len(images) // 50
    adam = ag.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=4e-3)
    schedule = ag.optim.cosine(4e-3, steps)
    for _ in range(epochs):
        for chosen in np.split(rng.permutation(len(images)), len(images) // 50):
            adam.lr = schedule(len(losses))
            x = images[chosen]
            loss = ag.bce_with_logits(decoder(encoder(x)), x)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    new, angle, length = hands(rng, 1500)
    encoder.eval()
    with ag.no_grad():
        codes = encoder(new).data
        drawn = ag.sigmoid(decoder(codes)).data
        low, high = np.quantile(codes, [0.02, 0.98], axis=0)
        grid = np.stack(np.meshgrid(*np.linspace(low, high, 9).T, indexing="xy"), axis=-1).astype(np.float32)
        plane = ag.sigmoid(decoder(grid[::-1].reshape(-1, 2))).data.reshape(9, 9, 16, 16)
    explained = 1 - np.mean((drawn - new) ** 2) / np.var(new, axis=0).mean()
    print(f"two numbers explain {explained:.1%} of the variance of 256 pixels, of new images")

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.2, 1, 1])
    pairs = np.concatenate([new[:12, ..., 0].reshape(2, 6, 16, 16), drawn[:12, ..., 0].reshape(2, 6, 16, 16)], axis=2)
    frames = np.pad(pairs, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5)
    left.imshow(frames.transpose(0, 2, 1, 3).reshape(2 * 34, 6 * 18), cmap="gray")
    left.set_title("images; below: drawn from 2 numbers")
    middle.scatter(*codes.T, c=angle, cmap="hsv", s=1.5 * length, alpha=0.8, linewidths=0)
    middle.set_title("their codes; colour: angle, size: length")
    right.imshow(plane.transpose(0, 2, 1, 3).reshape(144, 144), cmap="gray")
    right.set_title("images drawn from the plane of codes")
    for axes in (left, middle, right):
        axes.set(xticks=[], yticks=[])
    figure.savefig("autoencoder.png", dpi=120)
    print("wrote autoencoder.png")


if __name__ == "__main__":
    main()
