"""
A two-layer network on a spiral
===============================

Three lines of forward code, ``backward`` and a step with momentum separate the arms of a spiral.
The picture shows what the network answers everywhere in the plane, at four moments of its training.
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import autograd_cnn as ag

COLOURS = np.array([to_rgb(c) for c in ("#0072b2", "#e69f00", "#009e73")])
MOMENTS = (0, 100, 400, 2000)


def spiral(rng: np.random.Generator, each: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Points (3 * each, 2) on three arms of a spiral, and the arm of each."""
    arm = np.repeat(np.arange(3), each)
    radius = np.tile(np.linspace(0.05, 1, each), 3)
    angle = 6 * radius + 2 * np.pi / 3 * arm + rng.normal(scale=0.15, size=3 * each)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), arm


def scores(p: dict[str, ag.Tensor], x: np.ndarray) -> ag.Tensor:
    """The network: a hidden layer, and one score for each arm."""
    hidden = ag.tanh(x @ p["w1"] + p["b1"])
    return hidden @ p["w2"] + p["b2"]


def main() -> None:
    rng = np.random.default_rng(0)
    x, y = spiral(rng)
    start = {
        "w1": rng.normal(size=(2, 64)),
        "b1": np.zeros(64),
        "w2": 0.1 * rng.normal(size=(64, 3)),
        "b2": np.zeros(3),
    }
    p = {name: ag.Tensor(array, requires_grad=True, name=name) for name, array in start.items()}
    velocity = {name: np.zeros_like(array) for name, array in start.items()}

    figure = Figure(figsize=(11, 3), layout="constrained")
    panels = iter(figure.subplots(1, len(MOMENTS)))
    plane = np.stack(np.meshgrid(np.linspace(-1.2, 1.2, 150), np.linspace(-1.2, 1.2, 150)), axis=-1)
    for step in range(MOMENTS[-1] + 1):
        z = scores(p, x)
        loss = ag.cross_entropy(z, y)
        if step in MOMENTS:
            right = np.mean(z.data.argmax(axis=1) == y)
            print(f"step {step:4}: loss {loss.item():.4f}, {right:.1%} of {len(x)} points right")
            axes = next(panels)
            with ag.no_grad():
                shares = ag.softmax(scores(p, plane)).data
            axes.imshow(1 - 0.6 * (1 - shares @ COLOURS), origin="lower", extent=(-1.2, 1.2, -1.2, 1.2))
            axes.scatter(*x.T, c=COLOURS[y], s=9, edgecolors="white", linewidths=0.4)
            axes.set(title=f"step {step}: {right:.0%} right", xticks=[], yticks=[])
        for tensor in p.values():
            tensor.grad = None
        loss.backward()
        for name, tensor in p.items():
            velocity[name] = 0.9 * velocity[name] - 0.3 * tensor.grad
            tensor.data = tensor.data + velocity[name]
    figure.savefig("spiral.png", dpi=120)
    print("wrote spiral.png")


if __name__ == "__main__":
    main()
