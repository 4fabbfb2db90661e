"""Draws the table as a bar chart: one bar for each ratio, on a logarithmic axis around 1, with its target as a tick.

``python tests/benchmarks/chart.py FILE.json CHART`` draws a file of `compare.py --json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

# Okabe and Ito's colours, distinguishable with all kinds of colour vision: https://jfly.uni-koeln.de/color/
FASTER, SLOWER, OWN = "#0072B2", "#B45000", "#009E73"
LEGEND = {FASTER: "left of 1: ours needs less", SLOWER: "right of 1: ours needs more", OWN: "our own limits"}
OWN_GROUP = "Own limits"  # ratios to our own times, not to other libraries'
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
THICK = 0.4  # of a bar; those of other kernels are pale, and stand below


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw `document`, which `compare.py --json` writes, into two files: `path` with the suffixes .png and .svg."""
    rows = [r for r in document["rows"] if "ratio" in r and (r["group"] != OWN_GROUP or r["target"])]
    lines = {(r["group"], r["title"]): " (more is better)" * r["at_least"] for r in rows}
    kernels = sorted({row["kernels"] for row in rows})
    figure = Figure(figsize=(11, 1.6 + 0.3 * len(lines)), dpi=150, layout="constrained")
    panel = figure.subplots()
    for row in rows:
        other, ratio = kernels.index(row["kernels"]), row["ratio"]
        y = [*lines].index((row["group"], row["title"])) + THICK * other
        colour = OWN if row["group"] == OWN_GROUP else FASTER if ratio <= 1 else SLOWER
        panel.barh(y, ratio - 1, THICK, left=1, color=colour, alpha=(1, 0.45)[other % 2])
        panel.hlines(y, min(row["ratios"]), max(row["ratios"]), color="#444444", lw=0.8)
        if row["target"] is not None:
            panel.vlines(row["target"], y - THICK / 2, y + THICK / 2, color="black", lw=2)
        text = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
        panel.text(1.05, y, text, transform=panel.get_yaxis_transform(), ha="right", va="center", fontsize=8)
    values = [value for row in rows for value in (*row["ratios"], row["target"] or 1)]
    low, high = min(0.5, *values) / 1.2, max(2, *values) * 1.2
    panel.set(xscale="log", xlim=(low, high), ylim=(len(lines), -1))
    panel.set_xticks([t for t in TICKS if low <= t <= high], [f"{t:g}" for t in TICKS if low <= t <= high])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_yticks(range(len(lines)), [f"{': '.join(line)}{more}" for line, more in lines.items()], fontsize=9)
    panel.axvline(1, color="black", lw=0.8)
    panel.grid(axis="x", color="#E5E5E5")
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    handles: list[Any] = [Patch(color=colour, label=label) for colour, label in LEGEND.items()]
    handles.append(Line2D([], [], color="black", lw=2, marker="|", ls="", ms=11, mew=2, label="target"))
    handles.append(Line2D([], [], color="#444444", lw=0.8, label="range of the runs"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    machine = document["machine"]
    figure.suptitle(
        "Time or memory of autograd_cnn, divided by that of PyTorch or of whom the row names (logarithmic)\n"
        "A bar to the left of 1 is faster or smaller, a bar to the right of 1 slower or larger\n"
        f"{machine['processor']}, threads: {machine['threads']}, float32, Python {machine['Python']}, "
        f"NumPy {machine['NumPy']}, PyTorch {machine['PyTorch']}, {document['day']}; kernels: {', '.join(kernels)}",
        fontsize=10,
    )
    with rc_context({"svg.hashsalt": "autograd_cnn", "svg.fonttype": "none"}):  # the same bytes each time, text as text
        figure.savefig(path.with_suffix(".png"), metadata={"Software": None})
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
