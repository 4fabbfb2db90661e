"""
A tiny language model with self-attention
=========================================

One block of causal self-attention, in ten lines of forward code, learns a nursery rhyme letter by letter.
The picture shows which letters surprise it, and to which earlier letters one head looks from each.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import autograd_cnn as ag

PARTS = [
    "the house that jack built", "the malt that lay in ", "the rat that ate ", "the cat that killed ",
    "the dog that worried ", "the cow with the crumpled horn that tossed ", "the maiden all forlorn that milked ",
    "the man all tattered and torn that kissed ", "the priest all shaven and shorn that married ",
    "the cock that crowed in the morn that waked ", "the farmer sowing his corn that kept ",
]  # fmt: skip
TEXT = "".join("this is " + "".join(PARTS[n::-1]) + ".\n" for n in range(len(PARTS)))
LETTERS = sorted(set(TEXT))
CONTEXT, WIDTH, HEADS = 48, 48, 4


def attention(p: dict[str, ag.Tensor], h: ag.Tensor) -> tuple[ag.Tensor, ag.Tensor]:
    """Mix the places (N, T, WIDTH) of a text, each with those before it; also the shares (N, HEADS, T, T)."""
    n, t, _ = h.shape
    q, k, v = ((h @ p[name]).reshape(n, t, HEADS, -1).transpose(0, 2, 1, 3) for name in ("wq", "wk", "wv"))
    match = q @ k.swapaxes(-1, -2) / np.sqrt(WIDTH / HEADS)
    shares = ag.softmax(ag.where(np.tri(t, dtype=bool), match, -1e9))
    return (shares @ v).transpose(0, 2, 1, 3).reshape(n, t, WIDTH) @ p["wo"], shares


def forward(p: dict[str, ag.Tensor], ids: np.ndarray) -> tuple[ag.Tensor, ag.Tensor]:
    """Scores (N, T, letters) of the letter after each place, and the shares of attention."""
    t = ids.shape[1]
    h = ag.embedding(ids, p["letter"]) + p["place"][:t]
    # Each place also knows the letters just before it.
    h = h + sum(ag.pad(h[:, : t - d], ((0, 0), (d, 0), (0, 0))) * p["before"][d - 1] for d in (1, 2, 3))
    mixed, shares = attention(p, ag.standardize(h, axis=-1))
    h = h + mixed
    h = h + ag.gelu(ag.standardize(h, axis=-1) @ p["w1"]) @ p["w2"]
    return ag.standardize(h, axis=-1) @ p["head"], shares


def main() -> None:
    rng = np.random.default_rng(0)
    shapes = {
        "letter": (len(LETTERS), WIDTH), "place": (CONTEXT, WIDTH), "before": (3, WIDTH), "wq": (WIDTH, WIDTH),
        "wk": (WIDTH, WIDTH), "wv": (WIDTH, WIDTH), "wo": (WIDTH, WIDTH), "w1": (WIDTH, 96), "w2": (96, WIDTH),
        "head": (WIDTH, len(LETTERS)),
    }  # fmt: skip
    p = {
        name: ag.Tensor(rng.normal(scale=1 / np.sqrt(WIDTH), size=shape).astype(np.float32), requires_grad=True)
        for name, shape in shapes.items()
    }
    ids = np.array([LETTERS.index(c) for c in TEXT])
    print(f"{len(TEXT)} letters, {sum(t.size for t in p.values()):,} weights")
    steps, losses = 500, []
    adam, schedule = ag.optim.Adam(p.values(), lr=1e-2), ag.optim.one_cycle(1e-2, steps)
    for step in range(steps):
        adam.lr = schedule(step)
        window = rng.integers(0, len(ids) - CONTEXT, (24, 1)) + np.arange(CONTEXT + 1)
        scores, _ = forward(p, ids[window[:, :-1]])
        loss = ag.cross_entropy(scores, ids[window[:, 1:]])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
        if step % 100 == 99:
            print(f"step {step + 1}: loss {np.mean(losses[-20:]):.3f} nats a letter")

    text = "this is the dog "
    verses = TEXT.strip().split("\n")
    begun = np.array([[LETTERS.index(c) for c in verse[:24]] for verse in verses])
    with ag.no_grad():
        while not text.endswith(".\n"):
            scores, shares = forward(p, np.array([[LETTERS.index(c) for c in text[-CONTEXT:]]]))
            text += LETTERS[scores.data[0, -1].argmax()]
            if text.endswith("the malt that lay in"):
                seen, looks = text[-CONTEXT - 1 : -1], shares.data[0]
        chances = ag.softmax(forward(p, begun[:, :-1])[0]).data
    print("the model goes on:", text.strip())

    figure = Figure(figsize=(12, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[0.7, 1.2, 1])
    left.plot(losses, lw=0.8, color="#0072b2")
    left.set(xlabel="step", ylabel="nats a letter", title="loss")
    given = np.take_along_axis(chances, begun[:, 1:, None], axis=-1)[..., 0]
    known = np.pad(given, ((0, 0), (1, 0)), constant_values=1)
    middle.imshow(known, cmap="Oranges_r", vmin=0, vmax=1, aspect="auto")
    for row, verse in enumerate(verses):
        for column, letter in enumerate(verse[:24]):
            ink = "black" if known[row, column] > 0.4 else "white"  # on light cells, and on dark ones
            middle.text(column, row, letter, color=ink, ha="center", va="center", family="monospace")
    middle.set(title="each verse; dark: the letter was unexpected", xticks=[], yticks=[])
    right.imshow(looks[looks.max(axis=-1).mean(axis=-1).argmax()], cmap="Blues")
    right.set(title="where one head looks, row by row")
    right.set_xticks(range(CONTEXT), seen, fontsize=6)
    right.set_yticks(range(CONTEXT), seen, fontsize=6)
    right.tick_params(length=0)
    figure.savefig("language_model.png", dpi=120)
    print("wrote language_model.png")


if __name__ == "__main__":
    main()
