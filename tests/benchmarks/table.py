"""Prints a file of `compare.py --json` as a table in Markdown, which docs/performance.md contains.

    python tests/benchmarks/table.py FILE.json

A ratio is bold if it misses its aim; of several runs, the smallest and the largest ratio follow in brackets.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from compare import with_unit

HEAD = "| | ours | theirs | ratio | aim | theirs, tuned | NumPy only | aim |\n|---|---|---|---|---|---|---|---|"


def table_of(document: dict[str, Any]) -> str:
    """All rows, below the names of their groups."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for row in document["rows"]:
        entries.setdefault((row["group"], row["title"]), {})[row["kernels"]] = row
    lines, last = [HEAD], ""
    for (group, title), by_kernels in entries.items():
        if group != last:
            lines.append(f"| **{group}** | | | | | | | |")
        last = group
        numpy = by_kernels.pop("numpy", {})
        compiled = next(iter(by_kernels.values()), {})
        cells = [title, *_medians(compiled or numpy), _ratio(compiled), _aim(compiled), _tuned(compiled)]
        cells += [_ratio(numpy), _aim(numpy)]
        lines.append("".join(f"| {cell} " if cell else "| " for cell in cells) + "|")
    return "\n".join(lines)


def _medians(row: dict[str, Any]) -> tuple[str, str]:
    """Our time or size and theirs; of a limit also its parts."""
    if "ratio" not in row:
        return "", row["note"]
    median = {name: with_unit(figure["median"], row["unit"]) for name, figure in row["figures"].items()}
    theirs = median[row["over"]]
    if row["over"] == "least":
        theirs += f": {median['products']} of products, {median['memory']} of memory"
    return median[row["ours"]], theirs


def _ratio(row: dict[str, Any]) -> str:
    if "ratio" not in row:
        return ""
    ratios = row["ratios"]
    ratio, low, high = (f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in (row["ratio"], min(ratios), max(ratios)))
    text = f"**{ratio}**" if row["met"] is False else ratio
    return f"{text} ({low} to {high})" if len(ratios) > 1 else text


def _tuned(row: dict[str, Any]) -> str:
    """Times of PyTorch as an expert tunes it."""
    figures = {name.partition(", ")[2]: f for name, f in row.get("figures", {}).items() if name.startswith("tuned")}
    return ", ".join(f"{name} {with_unit(figure['median'], row['unit'])}" for name, figure in figures.items())


def _aim(row: dict[str, Any]) -> str:
    return f"{row['target']:g}" if row.get("target") is not None else ""


if __name__ == "__main__":
    print(table_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
