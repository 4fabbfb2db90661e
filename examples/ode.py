"""
A differential equation, fitted through its solver
==================================================

Hares and lynxes follow the equations of Lotka and Volterra; noisy counts are given, the four rates are sought.
``backward`` goes back through every step of the solver, and the picture shows orbits before and after.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag


def slope(state: ag.Tensor, t: float, rates: ag.Tensor) -> list[ag.Tensor]:
    """How fast the numbers of hares and of lynxes change."""
    hares, lynxes = state
    birth, eaten, fed, death = rates
    return [hares * (birth - eaten * lynxes), lynxes * (fed * hares - death)]


def main() -> None:
    rng = np.random.default_rng(0)
    truth, start, t = np.array([1.1, 0.4, 0.1, 0.4]), np.array([10.0, 5.0]), np.linspace(0, 15, 101)
    seen = np.arange(0, 101, 4)
    counts = ag.odeint(slope, start, t[seen], truth) * np.exp(rng.normal(scale=0.08, size=(len(seen), 2)))

    logs = ag.Tensor(np.log([0.8, 0.3, 0.07, 0.6]), requires_grad=True, name="logs")  # so that rates stay positive
    adam, orbits, losses = ag.optim.Adam([logs], lr=0.1, betas=(0.8, 0.9)), [], []
    for step in range(101):
        if step in (0, 10, 20, 100):
            orbits.append((step, ag.odeint(slope, start, t, np.exp(logs.data))))
        states = ag.odeint(slope, start, t[seen], ag.exp(logs), rtol=1e-5, atol=1e-5)
        loss = ag.mse(ag.log(states), np.log(counts))
        adam.zero_grad()
        loss.backward()
        adam.lr = 0.1 * (1 - step / 101)
        adam.step()
        losses.append(loss.item())
    for step in (0, 100):
        print(f"step {step:3}: loss {losses[step]:.4f}")
    print("rates found:", np.exp(logs.data).round(3), "true:", truth)

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    for column, (name, colour) in enumerate((("hares", "#0072b2"), ("lynxes", "#d55e00"))):
        left.plot(t, orbits[0][1][:, column], "--", color=colour, alpha=0.5)
        left.plot(t, orbits[-1][1][:, column], color=colour, label=name)
        left.plot(t[seen], counts[:, column], "o", ms=4, color=colour)
    left.set(xlabel="time", ylabel="number", title="counts, the first guess (dashed) and the fit")
    left.legend()
    for (step, states), shade in zip(orbits, (0.25, 0.45, 0.65, 1), strict=True):
        right.plot(*states.T, color="black", alpha=shade, lw=1 + (step == 100), label=f"step {step}")
    right.plot(*counts.T, "o", ms=4, color="#009e73")
    right.set(xlabel="hares", ylabel="lynxes", title="orbits")
    right.legend()
    figure.savefig("ode.png", dpi=120)
    print("wrote ode.png")


if __name__ == "__main__":
    main()
