"""
Newton-CG for logistic regression
=================================

``ag.hvp`` multiplies the Hessian by a vector at the price of two gradients, so Newton's step is solved by conjugate
gradients, without a matrix. The picture shows the fitted boundary, and how much faster it is than gradient descent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag

POWERS = [(i, j) for i in range(7) for j in range(7 - i)]


def features(x: np.ndarray) -> np.ndarray:
    """All products of powers of both coordinates up to degree 6: (..., 2) to (..., 28)."""
    return np.stack([x[..., 0] ** i * x[..., 1] ** j for i, j in POWERS], axis=-1)


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], b: np.ndarray, steps: int
) -> tuple[np.ndarray, int]:
    """Solve ``product(v) = b`` roughly; also the number of products."""
    v, r = np.zeros_like(b), b
    d, size = r, r @ r
    tolerance = min(0.5, size**0.25) * np.sqrt(size)  # exact only near the solution (Nocedal & Wright, section 7.1)
    for done in range(steps):
        if np.sqrt(size) < tolerance:
            return v, done
        q = product(d)
        alpha = size / (d @ q)
        v, r = v + alpha * d, r - alpha * q
        d, size = r + (r @ r) / size * d, r @ r
    return v, steps


def main() -> None:
    rng = np.random.default_rng(0)
    angle, y = rng.uniform(0, np.pi, 300), np.arange(300) % 2
    sign = 1 - 2 * y
    x = np.stack([sign * (np.cos(angle) - 0.5), sign * (np.sin(angle) - 0.25)], axis=1)  # two half moons
    x += rng.normal(scale=0.16, size=x.shape)
    table = features(x)

    def loss(w):
        return ag.bce_with_logits(table @ w, y.astype(float)) + 1e-4 * ag.sum(w * w)

    def hessian_product(w, v):
        return ag.hvp(loss, (w,), (v,))[0]

    gradient = ag.value_and_grad(loss)
    w, cost, newton = np.zeros(table.shape[1]), 0, []
    while len(newton) < 30:
        value, g = gradient(w)
        cost += 1
        newton.append((cost, value))
        if np.linalg.norm(g) < 1e-10:
            break
        step, products = conjugate_gradients(partial(hessian_product, w), -g, 4 * len(w))
        cost += 2 * products
        length = 1.0
        while loss(w + length * step) > value + 1e-4 * length * (g @ step):
            length /= 2
        w = w + length * step
    best = value
    print(f"Newton-CG: loss {value:.10f}, gradient {np.linalg.norm(g):.0e}, {len(newton)} steps, {cost} gradients")

    rate = 1 / np.linalg.eigvalsh(ag.hessian(loss)(np.zeros(len(w))))[-1]  # the largest that is safe: 1 / curvature
    slow, descent = np.zeros(len(w)), []
    for cost in range(1, 2001):
        value, g = gradient(slow)
        descent.append((cost, value))
        slow = slow - rate * g
    print(f"gradient descent: loss {value:.10f}, gradient {np.linalg.norm(g):.0e}, after {cost} gradients")

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    plane = np.stack(np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1.7, 1.7, 170)), axis=-1)
    share = ag.sigmoid(features(plane) @ w)
    left.contourf(plane[..., 0], plane[..., 1], share, np.linspace(0, 1, 11), cmap="PuOr", alpha=0.8)
    left.contour(plane[..., 0], plane[..., 1], share, [0.5], colors="black")
    left.scatter(*x.T, c=y, cmap="PuOr", vmin=-0.3, vmax=1.3, s=14, edgecolors="white", linewidths=0.5)
    left.set(title=f"{len(w)} weights, {len(x)} points", xticks=[], yticks=[])
    for name, curve in (("Newton-CG", newton), ("gradient descent", descent)):
        costs, values = np.array(curve).T
        right.loglog(costs, np.maximum(values - best, 1e-16), label=name)
    right.set(xlabel="cost, in gradients", ylabel="loss above the least", title="convergence", ylim=(1e-14, 2))
    right.legend()
    figure.savefig("newton_cg.png", dpi=120)
    print("wrote newton_cg.png")


if __name__ == "__main__":
    main()
