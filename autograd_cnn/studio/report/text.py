"""Writes the report as plain text, for a terminal without colour and a folder without a screen."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

from autograd_cnn.environment import plain, program
from autograd_cnn.studio.report.advice import Step
from autograd_cnn.studio.report.facts import Facts, Table

WIDTH = 100
ROWS, PAIRS, MISTAKES = 30, 5, 5


def text_of(facts: Facts, steps: Sequence[Step], moments: int) -> str:
    """Return the facts as text: headline, passes, confusions, mistakes, what to do next, and the pages to open.

    The player's page has so many `moments`; there is none if they are 0.
    """
    origin = ", ".join(f"{name} {value}" for name, value in facts.origin.items())
    parts = [
        f"Report of {facts.folder}: {origin}" if origin else f"Report of {facts.folder}",
        f"{len(facts.labels):,} test images, {facts.looked}",
        "",
        *(f"  {line}" for line in _named(facts.figures)),
        *(["", *textwrap.wrap(facts.note, WIDTH, initial_indent="  ", subsequent_indent="  ")] if facts.note else []),
        *(["", f"  {program()}"] if program() else []),
        *_section("Passes", _table(_passes(facts))),
        *_section("Confused most, on the test images", _table(facts.pairs_table(PAIRS))),
        *_section("Worst mistakes, on the test images", _table(facts.mistakes_table(MISTAKES))),
        *_section("What to do next", [line for step in steps for line in _step(step)]),
        *_section("Open this", _pages(facts.folder, moments)),
    ]
    return "\n".join(map(plain, parts)) + "\n"  # names from the user cannot steer a terminal


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}".rstrip() for line in lines)] if lines else []


def _table(table: Table) -> list[str]:
    if not table.rows:
        return []
    lines = [table.heads, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.rjust, line, widths)) for line in lines]


def _named(texts: Mapping[str, str]) -> list[str]:
    width = max(map(len, texts))
    return [f"{name:{width}}  {text}" for name, text in texts.items()]


def _passes(facts: Facts) -> Table:
    """Return the table of passes; of a long run about `ROWS` of them, with the best and the last."""
    heads, rows = facts.passes_table()
    if not rows:
        return Table(heads, rows)
    best, every = facts.history.best, -(-len(rows) // ROWS)
    rows[best][0] = f"best {rows[best][0]}"
    keep = {*range(every - 1, len(rows), every), best, len(rows) - 1}
    return Table(heads, [rows[i] for i in sorted(keep)])


def _pages(folder: str, moments: int) -> list[str]:
    """Return the paths of the pages of a run, with their contents."""
    pages = {os.path.join(folder, "report.html"): "this report, with its pictures"}
    if moments:
        at = f", at {moments} moments of the training" if moments > 1 else ""
        pages[os.path.join(folder, "net.html")] = f"this network, forward and back, step by step{at}"
    return _named(pages)


def _step(step: Step) -> list[str]:
    lines = textwrap.wrap(step.text, WIDTH, initial_indent="- ", subsequent_indent="  ")
    return [*lines, f"    {step.command}"] if step.command else lines
