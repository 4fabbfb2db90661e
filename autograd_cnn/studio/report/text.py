"""Writes the report as plain text, for a terminal without colour and a folder without a screen."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence

from autograd_cnn.environment import plain
from autograd_cnn.studio.report.advice import Step
from autograd_cnn.studio.report.facts import Facts, passes_table

WIDTH = 100
ROWS, PAIRS, MISTAKES = 30, 5, 5


def text_of(facts: Facts, steps: Sequence[Step], moments: int) -> str:
    """Return the facts as text: headline, passes, confusions, mistakes, what to do next, and the pages to open.

    The player's page has so many `moments`; there is none if they are 0.
    """
    origin = ", ".join(f"{name} {value}" for name, value in facts.origin.items())
    width = max(map(len, facts.figures))
    parts = [
        f"Report of {facts.folder}: {origin}" if origin else f"Report of {facts.folder}",
        f"{len(facts.labels):,} test images, {facts.looked}",
        "",
        *(f"  {name:{width}}  {value}" for name, value in facts.figures.items()),
        *(["", *textwrap.wrap(facts.sums, WIDTH, initial_indent="  ", subsequent_indent="  ")] if facts.sums else []),
        *(["", f"  {facts.command}"] if facts.command else []),
        *_section("Passes", _passes(facts)),
        *_section("Confused most, on the test images", _pairs(facts)),
        *_section("Worst mistakes, on the test images", _mistakes(facts)),
        *_section("What to do next", [line for step in steps for line in _step(step)]),
        *_section("Open this", _pages(facts.folder, moments)),
    ]
    return "\n".join(map(plain, parts)) + "\n"  # names from the user cannot steer a terminal


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}".rstrip() for line in lines)] if lines else []


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]


def _passes(facts: Facts) -> list[str]:
    """Return the table of passes; of a long run about `ROWS` of them, with the best and the last."""
    if not facts.epochs:
        return []
    heads, rows = passes_table(facts)
    rows[facts.history.best][0] = f"best {rows[facts.history.best][0]}"
    every = -(-len(rows) // ROWS)
    keep = {*range(every - 1, len(rows), every), facts.history.best, len(rows) - 1}
    return _table(heads, [rows[i] for i in sorted(keep)])


def _pairs(facts: Facts) -> list[str]:
    names = facts.classes
    rows = [
        [f"{p.count:,}", names[p.first], f"{p.forth:,}", names[p.second], f"{p.back:,}"] for p in facts.pairs[:PAIRS]
    ]
    return _table(["mistakes", "class", "taken for other", "class", "taken for other"], rows) if rows else []


def _mistakes(facts: Facts) -> list[str]:
    names = facts.classes
    rows = [
        [f"{m.index:,}", names[m.guess], f"{m.confidence:.1%}", names[m.label], f"{m.chance:.1%}"]
        for m in facts.mistakes[:MISTAKES]
    ]
    return _table(["image", "model says", "", "it is", ""], rows) if rows else []


def _pages(folder: str, moments: int) -> list[str]:
    """Return the paths of the pages of a run, with their contents."""
    pages = [("report.html", "this report, with its pictures")]
    if moments:
        at = f", at {moments} moments of the training" if moments > 1 else ""
        pages.append(("net.html", f"this network, forward and back, step by step{at}"))
    paths = [os.path.join(folder, name) for name, _ in pages]
    return [f"{path:{max(map(len, paths))}}  {what}" for path, (_, what) in zip(paths, pages, strict=True)]


def _step(step: Step) -> list[str]:
    lines = textwrap.wrap(step.text, WIDTH, initial_indent="- ", subsequent_indent="  ")
    return [*lines, f"    {step.command}"] if step.command else lines
