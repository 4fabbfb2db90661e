"""
Lines of a spectrum, fitted through an FFT
==========================================

A record has four decaying waves with noise, two of them closer than the FFT can tell apart, and a wave 50 times as
strong, which nobody wants. The loss compares spectra, so it can look at the band of the four alone. The parameters are
complex: an exponent has the decay and the frequency of a wave, an amplitude its height and its phase.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag

N, NOISE, STEPS = 256, 0.02, 1500
TIME, WINDOW, BAND = np.arange(N) / N, np.hanning(N), slice(20, 62)  # frequencies and decays count per record
COLOURS = "#0072b2", "#d55e00", "#009e73", "#cc79a7"


def waves(exponents: ag.Tensor, amplitudes: ag.Tensor) -> ag.Tensor:
    """The waves one by one, (waves, N)."""
    return amplitudes[:, None] * ag.exp(exponents[:, None] * TIME)


def main() -> None:
    rng = np.random.default_rng(0)
    frequencies, decays = np.array([30.0, 40.4, 41.6, 51.3]), np.array([4.0, 1.5, 1.0, 2.5])
    heights = np.array([1.0, 0.8, 0.6, 0.4]) * np.exp(2j * np.pi * rng.random(4))
    record = waves(ag.Tensor(2j * np.pi * frequencies - decays), ag.Tensor(heights)).data.sum(0)
    record += 50 * np.exp((2j * np.pi * 130.5 - 5) * TIME)
    record += NOISE * (rng.normal(size=N) + 1j * rng.normal(size=N))
    measured = np.fft.fft(WINDOW * record)

    guess = np.array([30.0, 40.0, 42.0, 51.0])  # read off the spectrum, where one peak is wide
    exponents = ag.Tensor(2j * np.pi * guess - 2, requires_grad=True, name="exponents")
    amplitudes = ag.Tensor(np.ones(4, complex), requires_grad=True, name="amplitudes")
    adam, schedule = ag.optim.Adam([exponents, amplitudes], lr=0.5), ag.optim.cosine(0.5, STEPS)
    path, losses = [], []
    for step in range(STEPS):
        spectra = np.fft.fft(WINDOW * waves(exponents, amplitudes))
        loss = ag.mean(ag.square(abs(spectra.sum(0) - measured)[BAND]))
        adam.zero_grad()
        loss.backward()
        path.append(exponents.data.imag / (2 * np.pi))
        losses.append(loss.item())
        adam.lr = schedule(step)
        adam.step()
        if step in (0, 100, STEPS - 1):
            print(f"step {step:3}: loss {losses[-1]:.3f}")
    print("frequencies found:", path[-1].round(2), "true:", frequencies)
    print("decays found:", -exponents.data.real.round(1), "true:", decays)
    print(f"the noise alone has {2 * (NOISE * WINDOW) @ (NOISE * WINDOW):.3f}")

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[2, 3, 2])
    left.semilogy(abs(measured), color="#999999", lw=1)
    left.axvspan(BAND.start, BAND.stop - 1, color="#56b4e9", alpha=0.3, lw=0)
    left.set(xlabel="frequency", title="the record, and the band")
    places = np.arange(N)[BAND]
    middle.plot(places, abs(measured[BAND]), "o", ms=4, color="#999999", label="measured")
    middle.plot(places, abs(spectra.data.sum(0))[BAND], color="black", lw=1, label="fit")
    for row, colour in zip(spectra.data, COLOURS, strict=True):
        middle.fill_between(places, abs(row)[BAND], color=colour, alpha=0.35, lw=0)
    middle.set(xlabel="frequency", title="the band: measured, and the four fitted waves")
    middle.legend()
    for wave in (1, 2):
        right.axhline(frequencies[wave], color=COLOURS[wave], lw=4, alpha=0.35)
        right.plot(np.array(path)[:, wave], color=COLOURS[wave], lw=1.2)
    right.set(xlabel="step", xscale="symlog", title="the close two: fit, true (wide)")
    figure.savefig("spectrum.png", dpi=120)
    print("wrote spectrum.png")


if __name__ == "__main__":
    main()
