"""
Second derivatives in a physics-informed network
================================================

A network learns Burgers' equation, u_t + u u_x = nu u_xx, from the equation alone: its loss contains u_xx, and
``backward`` differentiates it once more. The picture compares the network with the exact solution, a steepening wave.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag

NU = 0.05


def exact(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The solution for u(0, x) = -sin(pi x), by the Cole-Hopf transform and Gauss-Hermite quadrature."""
    z, weights = np.polynomial.hermite.hermgauss(100)
    s = x[..., None] - np.sqrt(4 * NU * t[..., None]) * z
    f = weights * np.exp(-np.cos(np.pi * s) / (2 * np.pi * NU))
    return -(f * np.sin(np.pi * s)).sum(axis=-1) / f.sum(axis=-1)


def main() -> None:
    rng = np.random.default_rng(0)
    p = []
    for inputs, outputs in ((2, 24), (24, 24), (24, 1)):
        w = rng.normal(scale=np.sqrt(1 / inputs), size=(inputs, outputs))
        p += [ag.Tensor(w, requires_grad=True), ag.Tensor(np.zeros(outputs), requires_grad=True)]

    def u(t, x):
        """The network, in a form that has the right values at t = 0 and x = -1, 1 whatever its weights."""
        h = ag.stack([t, x], axis=-1)
        h = ag.tanh(ag.linear(h, p[0], p[1]))
        h = ag.tanh(ag.linear(h, p[2], p[3]))
        return -ag.sin(np.pi * x) + t * (1 - x * x) * ag.linear(h, p[4], p[5])[..., 0]

    steps, losses = 1500, []
    adam, schedule = ag.optim.Adam(p, lr=1e-2), ag.optim.cosine(1e-2, steps)
    for step in range(steps):
        adam.lr = schedule(step)
        t = ag.Tensor(rng.uniform(size=200), requires_grad=True)
        x = ag.Tensor(rng.uniform(-1, 1, size=200), requires_grad=True)
        value = u(t, x)
        total = value.sum()  # points are independent, so the gradient of the sum has the slope at every point
        u_t, u_x = total.gradient(t, create_graph=True), total.gradient(x, create_graph=True)
        u_xx = u_x.sum().gradient(x, create_graph=True)
        loss = ag.mean(ag.square(u_t + value * u_x - NU * u_xx))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
        if step % 500 == 0 or step == steps - 1:
            print(f"step {step:4}: mean square of the residual {losses[-1]:.5f}")

    t, x = np.meshgrid(np.linspace(0, 1, 101), np.linspace(-1, 1, 201), indexing="ij")
    with ag.no_grad():
        found = u(ag.Tensor(t), ag.Tensor(x)).data
    error = np.sqrt(np.mean((found - exact(t, x)) ** 2) / np.mean(exact(t, x) ** 2))
    print(f"relative error of u: {error:.2%}")

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    image = left.pcolormesh(t, x, found, cmap="RdBu_r", shading="gouraud", rasterized=True)
    left.set(xlabel="t", ylabel="x", title="u, the network")
    figure.colorbar(image, ax=left)
    for row, colour in ((0, "#999999"), (30, "#56b4e9"), (60, "#0072b2"), (100, "#d55e00")):
        middle.plot(x[row], exact(t[row], x[row]), color=colour, lw=4, alpha=0.35)
        middle.plot(x[row], found[row], color=colour, lw=1.2, label=f"t = {t[row, 0]:.1f}")
    middle.set(xlabel="x", title="network (thin), exact (wide)")
    middle.legend(fontsize=8)
    right.semilogy(losses, lw=0.6)
    right.set(xlabel="step", title="mean square of the residual")
    figure.savefig("pinn.png", dpi=120)
    print("wrote pinn.png")


if __name__ == "__main__":
    main()
