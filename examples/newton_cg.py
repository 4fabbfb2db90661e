"""Fit a network with SciPy's Newton-CG, which needs Hessian-vector products, and compare it with L-BFGS.

``ag.ravel_pytree`` turns a dict of parameters into the one vector that SciPy wants, and back; ``ag.hvp`` multiplies by
the Hessian at the cost of two gradients, without forming it. Writes newton_cg.png. Needs SciPy: ``pip install scipy``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

import autograd_cnn as ag


def spiral(rng: np.random.Generator, count: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Points (2 * count, 2) on two arms of a spiral, and the arm of each."""
    t = np.sqrt(rng.uniform(0.02, 1, 2 * count))
    arm = np.arange(2 * count) % 2
    angle = 9 * t + np.pi * arm
    points = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)
    return points + rng.normal(scale=0.02, size=points.shape), arm


def main() -> None:
    rng = np.random.default_rng(0)
    x, y = spiral(rng)
    start = {
        "w1": rng.normal(size=(2, 24)) * 2,
        "b1": np.zeros(24),
        "w2": rng.normal(size=(24, 24)) / 5,
        "b2": np.zeros(24),
        "w3": rng.normal(size=(24, 2)) / 5,
    }
    vector, unravel = ag.ravel_pytree(start)

    def loss(v):
        p = unravel(v)
        h = ag.tanh(ag.linear(x, p["w1"], p["b1"]))
        h = ag.tanh(ag.linear(h, p["w2"], p["b2"]))
        return ag.cross_entropy(h @ p["w3"], y) + 1e-4 * ag.sum(v * v)

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for method, options in {
        "Newton-CG": {"hessp": lambda v, p: ag.hvp(loss, (v,), (p,))[0]},
        "L-BFGS-B": {},
    }.items():
        losses = [loss(vector)]
        found = minimize(
            ag.value_and_grad(loss),
            vector,
            jac=True,
            method=method,
            callback=lambda v, losses=losses: losses.append(loss(v)),
            options={"maxiter": 60},
            **options,
        )
        p = unravel(found.x)
        hidden = np.tanh(np.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"])
        right = np.mean((hidden @ p["w3"]).argmax(1) == y)
        print(f"{method}: loss {found.fun:.5f} after {found.nit} iterations, {right:.1%} of {len(x)} points right")
        axes.semilogy(losses, label=method)
    axes.set(xlabel="iterations", ylabel="loss", title=f"{vector.size} parameters, second derivatives by hvp")
    axes.legend()
    figure.savefig(Path("newton_cg.png"), dpi=120)
    print("wrote newton_cg.png")


if __name__ == "__main__":
    main()
