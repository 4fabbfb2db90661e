"""
Your own primitive: Kepler's equation
=====================================

Newton's method finds the angle E in E - e sin E = M. As a primitive, its derivative is the implicit function theorem,
two lines beside it, and nothing of the iteration is recorded. The picture shows an orbit fitted through it.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag


@ag.primitive(examples=lambda rng: [(rng.uniform(0, 6, (2, 3)), rng.uniform(0.1, 0.8, (2, 3)))])
def kepler(anomaly, eccentricity):
    """Solves ``E - eccentricity * sin(E) = anomaly`` for E."""
    found = anomaly + eccentricity * np.sin(anomaly)
    for _ in range(20):
        error = found - eccentricity * np.sin(found) - anomaly
        found = found - error / (1 - eccentricity * np.cos(found))
    return found


# Differentiate the equation: dE - e cos(E) dE - sin(E) de = dM.
kepler.vjp(
    anomaly=lambda g, out, eccentricity: g / (1 - eccentricity * ag.cos(out)),
    eccentricity=lambda g, out, eccentricity: g * ag.sin(out) / (1 - eccentricity * ag.cos(out)),
)


def places(p, times):
    """Points (N, 2) of a planet at the given times; its sun is at the origin."""
    size, e, period, turn, start = p[0], ag.sigmoid(p[1]), p[2], p[3], p[4]
    angle = kepler(2 * np.pi * times / period + start, e)
    x, y = size * (ag.cos(angle) - e), size * ag.sqrt(1 - e * e) * ag.sin(angle)
    return ag.stack([x * ag.cos(turn) - y * ag.sin(turn), x * ag.sin(turn) + y * ag.cos(turn)], axis=-1)


def main() -> None:
    worst = ag.check_gradients(kepler, np.linspace(0.1, 6, 7), np.full(7, 0.6), order=2)
    print(f"the rule agrees with differences of both orders: largest error {worst:.0e}")

    rng = np.random.default_rng(0)
    truth = np.array([1.5, np.log(0.6 / 0.4), 1.84, 0.7, 0.3])  # size, logit of the eccentricity, years, angles
    times = np.sort(rng.uniform(0, 2.5, 25))
    seen = places(ag.Tensor(truth), times).data + rng.normal(scale=0.05, size=(25, 2))

    def residual(q):
        return (places(q, times) - seen).reshape(-1)

    p, damping, orbits = np.array([1.2, -1.0, 2.0, 0.4, 0.6]), 1e-2, []
    for _ in range(25):  # Levenberg and Marquardt: the Jacobian is 50 x 5
        orbits.append(p)
        r, jacobian = residual(ag.Tensor(p)).data, ag.jacobian(residual)(p)
        while True:
            new = p - np.linalg.solve(jacobian.T @ jacobian + damping * np.eye(5), jacobian.T @ r)
            if np.sum(residual(ag.Tensor(new)).data ** 2) <= np.sum(r**2) or damping > 1e6:
                break
            damping *= 4
        p, damping = new, damping / 4
    spread = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian))) * np.sqrt(np.sum(r**2) / (r.size - 5))
    e, error = 1 / (1 + np.exp(-p[1])), spread[1] * 0.6 * 0.4
    print(f"eccentricity {e:.3f} +- {error:.3f} (true 0.600), period {p[2]:.3f} +- {spread[2]:.3f} (true 1.840)")

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for step, shade in ((0, 0.2), (1, 0.35), (3, 0.5), (24, 1)):
        curve = places(ag.Tensor(orbits[step]), np.linspace(0, orbits[step][2], 300)).data
        axes.plot(*curve.T, color="#0072b2", alpha=shade, lw=1 + (step == 24), label=f"step {step}")
    even = places(ag.Tensor(p), np.linspace(0, p[2], 25)[:-1]).data
    axes.plot(*even.T, ".", color="#0072b2", ms=5)
    axes.plot(*seen.T, "o", color="#d55e00", ms=5, label="observed")
    axes.plot(0, 0, "*", color="#e69f00", ms=16)
    axes.set(aspect="equal", title="a planet, fitted; dots are equal times apart")
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig("own_primitive.png", dpi=120)
    print("wrote own_primitive.png")


if __name__ == "__main__":
    main()
