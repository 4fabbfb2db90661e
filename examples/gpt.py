"""
A small GPT that invents functions
==================================

Two layers of a transformer read the names of NumPy's and of this package's functions, with what each does, letter by
letter. Then they write functions of their own. The picture shows the loss, what the model writes as it learns, and
where its heads look.
"""

from __future__ import annotations

import inspect

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag
from autograd_cnn import nn

CONTEXT, WIDTH, HEADS, DEPTH, STEPS = 64, 96, 4, 2, 600


def sentences() -> list[str]:
    """A line for each function: its name, and the first sentence that is written about it."""
    lines = []
    for room in (np, np.linalg, np.fft, ag, ag.linalg, nn, ag.optim):
        for name in sorted(set(room.__all__)):
            text = inspect.getdoc(getattr(room, name)) or ""
            first = [line for line in text.split("\n\n") if line and not line.startswith(f"{name}(")][:1]
            line = f"{name}: {' '.join(first).replace(chr(10), ' ')}"
            if first and line.isascii() and len(line) < 120:
                lines.append(line.partition(". ")[0].rstrip(".") + ".")
    return sorted({*lines})


class GPT(nn.Module):
    """Scores of the next letter after each letter: integers (N, T) -> (N, T, letters)."""

    def __init__(self, letters: int, rng: np.random.Generator) -> None:
        self.letter, self.place = (nn.Embedding(n, WIDTH, nn.small_normal, rng) for n in (letters, CONTEXT))
        options = {"dropout": 0.0, "activation": "gelu", "norm_first": True, "rng": rng}
        self.blocks = [nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, **options) for _ in range(DEPTH)]
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, letters, rng=rng)

    def forward(self, ids: np.ndarray) -> ag.Tensor:
        h = self.letter(ids) + self.place(np.arange(ids.shape[1]))
        for block in self.blocks:
            h = block(h, is_causal=True)
        return self.head(self.norm(h))

    def looks(self, ids: np.ndarray) -> np.ndarray:
        """Where each head of each layer looks from each letter: (DEPTH, HEADS, T, T), for one text."""
        h, found = self.letter(ids) + self.place(np.arange(len(ids))), []
        for block in self.blocks:
            _, weights = block.self_attn(block.norm1(h), is_causal=True, average_attn_weights=False)
            found.append(weights.data)
            h = block(h, is_causal=True)
        return np.stack(found)


def write(model: GPT, letters: str, start: str, rng: np.random.Generator, temperature: float = 0.5) -> str:
    """Go on after `start` until the line ends."""
    with ag.no_grad():
        while len(start) < 120 and (not start.endswith("\n") or len(start) < 2):
            ids = np.array([[letters.index(c) for c in start[-CONTEXT:]]])
            chances = ag.softmax(model(ids)[0, -1] / temperature).data.astype(float)
            start += letters[rng.choice(len(letters), p=chances / chances.sum())]
    return start.strip()


def main() -> None:
    rng = np.random.default_rng(0)
    lines = sentences()
    text = "\n" + "\n".join(rng.permutation(lines)) + "\n"
    letters = "".join(sorted(set(text)))
    ids = np.array([letters.index(c) for c in text])
    model = GPT(len(letters), rng)
    size = sum(p.size for p in model.parameters())
    print(f"{len(lines)} functions, {len(text):,} letters; {size:,} weights")
    adam = ag.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.01)
    schedule, losses, samples = ag.optim.one_cycle(4e-3, STEPS), [], []
    for step in range(STEPS + 1):
        if step in (0, 30, 100, 300, STEPS):
            samples.append((step, write(model, letters, "\n", np.random.default_rng(3))))
            print(f"step {step:3}:" + (f" loss {np.mean(losses[-20:]):.2f}" if losses else "") + f"  {samples[-1][1]}")
        window = rng.integers(0, len(ids) - CONTEXT, (24, 1)) + np.arange(CONTEXT + 1)
        loss = ag.cross_entropy(model(ids[window[:, :-1]]), ids[window[:, 1:]])
        adam.zero_grad()
        loss.backward()
        adam.lr = schedule(min(step, STEPS - 1))
        adam.step()
        losses.append(loss.item())
    known = {line.split(":")[0] for line in lines}
    drawn = [write(model, letters, "\n", rng) for _ in range(24)]
    invented = [line for line in drawn if ": " in line and line.split(":")[0] not in known][:12]
    print("functions that it invents:", *invented, sep="\n  ")

    figure = Figure(figsize=(11, 6.6), layout="constrained")
    panels = figure.subplot_mosaic([["loss", "looks"], ["text", "looks"]], width_ratios=[1.4, 1])
    above, below, right = panels["loss"], panels["text"], panels["looks"]
    above.plot(losses, lw=0.8, color="#0072b2")
    above.set(xlabel="step", ylabel="nats a letter", title="loss")
    shown = [f"step {step}:  {line}" for step, line in samples] + ["", "functions that it invents:", *invented]
    text = "\n".join(f"{line[:84]}" for line in shown)
    below.text(0, 1, text, va="top", family="monospace", fontsize=7, linespacing=1.4)
    below.set_title("what it writes")
    below.set_axis_off()
    line = "mean: Computes the mean along `axis`."
    weights = model.looks(np.array([letters.index(c) for c in line])).reshape(-1, len(line), len(line))
    distances = (weights * np.abs(np.subtract.outer(np.arange(len(line)), np.arange(len(line))))).sum(-1).mean(-1)
    right.imshow(weights[distances.argmax()], cmap="Blues")
    right.set(title="where one head looks, row by row")
    right.set_xticks(range(len(line)), line, fontsize=7)
    right.set_yticks(range(len(line)), line, fontsize=7)
    right.tick_params(length=0)
    figure.savefig("gpt.png", dpi=120)
    print("wrote gpt.png")


if __name__ == "__main__":
    main()
