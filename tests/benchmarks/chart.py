"""Draws the table as a bar chart: one bar for each ratio, on a logarithmic axis around 1, with its target as a tick.

``python tests/benchmarks/chart.py FILE.json CHART`` draws a file of `compare.py --json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

# Okabe and Ito's colours, distinguishable with all kinds of colour vision: https://jfly.uni-koeln.de/color/
FASTER, SLOWER, OWN = "#0072B2", "#D55E00", "#009E73"  # greys are for the kernels' legend
OWN_GROUP = "Own limits"  # ratios to our own times, not to other libraries'
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
HEADING = 1.3  # height of a group's heading, in rows
THICK, GAP = 0.64, 0.36  # height of a bar and between titles, in rows


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw `document` into two files: `path` with the suffixes .png and .svg.

    Parameters
    ----------
    document : dict
        As `compare.py --json` writes it.
    path : path
        Its own suffix is replaced.
    """
    rows = [r for r in document["rows"] if "ratio" in r and (r["group"] != OWN_GROUP or r["target"])]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    longest = max(groups, key=lambda group: len(_titles(rows, group)))  # gets its own panel
    others = [group for group in groups if group != longest]
    panels = [part for part in (others, [longest]) if part]
    height = max(
        sum(HEADING + sum(_height(rows, group, title) for title in _titles(rows, group)) for group in part)
        for part in panels
    )
    figure = Figure(figsize=(6.4 * len(panels), 1.6 + 0.27 * height), dpi=150, layout="constrained")
    for panel, part in zip(figure.subplots(1, len(panels), squeeze=False, sharex=True)[0], panels, strict=True):
        _panel(panel, [row for row in rows if row["group"] in part], height)
    ratios = [value for row in rows for value in (*row["ratios"], row["target"] or 1)]
    low, high = min(0.5, *ratios) / 1.2, max(2, *ratios) * 1.2
    ticks = [tick for tick in TICKS if low <= tick <= high]
    panel.set(xscale="log", xlim=(low, high))  # shared by all
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    kernels = sorted({row["kernels"] for row in rows})
    handles = [
        Patch(color=FASTER, label="ours needs less"),
        Patch(color=SLOWER, label="ours needs more"),
        Patch(color=OWN, label="our own limits"),
        Line2D([], [], color="black", lw=2, marker="|", ls="", ms=11, mew=2, label="target"),
        Line2D([], [], color="#444444", lw=0.8, label="range of the runs"),
    ]
    if len(kernels) > 1:
        handles += [
            Patch(fc="#444444", ec="none", alpha=_alpha(i), label=f"{('full', 'pale')[i % 2]}: {k} kernels")
            for i, k in enumerate(kernels)
        ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    machine = document["machine"]
    figure.suptitle(
        "autograd_cnn / PyTorch (or whom the row names), time or memory, logarithmic: shorter to the left is better\n"
        f"{machine['processor']}, threads: {machine['threads']}, float32, Python {machine['Python']}, "
        f"NumPy {machine['NumPy']}, PyTorch {machine['PyTorch']}, {document['day']}",
        fontsize=10,
    )
    with rc_context({"svg.hashsalt": "autograd_cnn"}):  # the same bytes each time
        figure.savefig(path.with_suffix(".png"), metadata={"Software": None})
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def _titles(rows: list[dict[str, Any]], group: str) -> list[str]:
    return list(dict.fromkeys(row["title"] for row in rows if row["group"] == group))


def _bars(rows: list[dict[str, Any]], group: str, title: str) -> list[dict[str, Any]]:
    return [row for row in rows if (row["group"], row["title"]) == (group, title)]


def _height(rows: list[dict[str, Any]], group: str, title: str) -> float:
    """Return the height of the bars of a title and of the gap below them."""
    return THICK * len(_bars(rows, group, title)) + GAP


def _alpha(kernel_set: int) -> float:
    return (1, 0.45)[kernel_set % 2]


def _panel(panel: Axes, rows: list[dict[str, Any]], height: float) -> None:
    """Draw groups below each other, and for each title a bar for every set of kernels."""
    kernels = sorted({row["kernels"] for row in rows})
    places, names, y = [], [], 0.0
    for group in dict.fromkeys(row["group"] for row in rows):
        y += HEADING
        style: dict[str, Any] = {
            "weight": "bold",
            "va": "center",
            "fontsize": 9,
            "bbox": {"fc": "white", "ec": "none", "pad": 2},
        }
        panel.text(0, y - 0.8, group, transform=panel.get_yaxis_transform(), **style)
        for title in _titles(rows, group):
            bars = sorted(_bars(rows, group, title), key=lambda row: kernels.index(row["kernels"]))
            for i, row in enumerate(bars):
                _bar(panel, row, y + THICK * i, _alpha(kernels.index(row["kernels"])))
            places.append(y + THICK * (len(bars) - 1) / 2)
            names.append(title + " (more is better)" * row["at_least"])
            y += _height(rows, group, title)
    panel.set_ylim(height - 0.4, 0)
    panel.set_yticks(places, names, fontsize=9)
    panel.axvline(1, color="black", lw=0.8)
    panel.grid(axis="x", color="#E5E5E5")
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)


def _bar(panel: Axes, row: dict[str, Any], y: float, alpha: float) -> None:
    """Draw a bar from 1 to the ratio, its range over the runs as a thin line, and its target as a tick.

    The number stands in a column right of the bars, where neither line meets it.
    """
    ratio, target = row["ratio"], row["target"]
    colour = OWN if row["group"] == OWN_GROUP else FASTER if ratio <= 1 else SLOWER
    panel.barh(y, ratio - 1, THICK * 0.92, left=1, color=colour, alpha=alpha)
    if len(row["ratios"]) > 1:
        panel.hlines(y, min(row["ratios"]), max(row["ratios"]), color="#444444", lw=0.8)
    if target is not None:
        panel.vlines(target, y - THICK / 2, y + THICK / 2, color="black", lw=2)
    text = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
    panel.text(1.12, y, text, transform=panel.get_yaxis_transform(), ha="right", va="center", fontsize=8)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
