"""Writes the report as one HTML file, which makes no request: sections, tables and pictures, and the player inside it.

The policy of the page allows its own styles and two scripts: the player's, and one that starts the player when its
place is opened, since its frame inherits this policy.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import numpy as np

from autograd_cnn.engine.registry import kernels
from autograd_cnn.environment import program
from autograd_cnn.studio import assets
from autograd_cnn.studio.graph import Graph
from autograd_cnn.studio.report.advice import Step
from autograd_cnn.studio.report.facts import Array, Facts, Table, percent
from autograd_cnn.studio.report.markup import clean, quiet, table
from autograd_cnn.studio.report.network import Layer
from autograd_cnn.studio.report.sections import confusions, course, filters_and_maps, layers, mistakes

LISTED = 30  # parts of a setting


def page(
    facts: Facts,
    steps: Sequence[Step],
    images: Array,
    convolutions: Sequence[Layer],
    weights: set[str],
    moments: Sequence[tuple[str, Graph]],
    player: str,
    missing: str,
) -> str:
    """Return the page.

    Parameters
    ----------
    facts : Facts
    steps : list of Step
        The advice.
    images : array, (N, H, W, C), NHWC
        The test images; the first is shown on its way through `convolutions`.
    convolutions : list of Layer
    weights : set of str
        Names of the parameters that are matrices or filters.
    moments : list of (str, Graph)
        The network at moments of its training, the last one as it is now.
    player : str
        The page with the player of these moments, or "".
    missing : str
        Why there is no player, or "".
    """
    ladder = moments[-1][1].svg()
    shown = f"test image 0, {facts.classes[facts.labels[0]]}"
    sections = [
        ("next", "What to do next", _steps(steps)),
        ("course", "Course of the training", course(facts)),
        ("layers", "Layers", layers(facts, weights)),
        ("seen", "Filters and maps", filters_and_maps(convolutions, images[0], shown) if convolutions else ""),
        ("mistakes", "Worst mistakes", mistakes(facts, images)),
        ("confusions", "Confusions", confusions(facts)),
        ("network", "Network", _network(ladder, [label for label, _ in moments], player, missing)),
        ("settings", "Settings", _settings(facts)),
    ]
    sections = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    contents = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>\n{content}</section>\n'
        for name, title, content in sections
    )
    return assets.page(
        clean(f"{facts.figures['test accuracy']}: report of {facts.folder}"),
        f'{_header(facts)}<nav aria-label="Sections">{links}</nav>\n<main>\n{contents}</main>',
        assets.part("report/report.css"),
        assets.part("report/report.js"),
        drawings=ladder,
        frame=player,
    )


def _header(facts: Facts) -> str:
    origin = " · ".join(f"{name} {value}" for name, value in facts.origin.items())
    found = [f"{origin}." if origin else "", f"The test images were {facts.looked}."]
    found += [f"The run ended early: {facts.history.ended}." if facts.history.ended else "", facts.note]
    tiles = [f"<div><dt>{clean(name)}</dt><dd>{clean(value)}</dd></div>" for name, value in facts.figures.items()]
    return (
        f"<header><div>{quiet(f'Training report of {facts.folder}')}"
        f"<h1><b>{percent(facts.result.accuracy)}</b> of {len(facts.labels):,} test images right</h1>\n"
        f"{quiet(' '.join(filter(None, found)))}</div>\n<dl>{''.join(tiles[1:])}</dl>{_command(program())}</header>\n"
    )


def _command(line: str) -> str:
    return f"<pre><code>{clean(line)}</code></pre>" if line else ""


def _steps(steps: Sequence[Step]) -> str:
    return f"<ol>{''.join(f'<li>{clean(step.text)}{_command(step.command)}</li>' for step in steps)}</ol>\n"


def _network(ladder: str, labels: Sequence[str], player: str, missing: str) -> str:
    """Return the ladder, and the place of the player of the moments with these labels."""
    framed = f'<div class="ladder" tabindex="0" role="group" aria-label="Ladder">{ladder}</div>'
    drawing = f"<details open><summary>The ladder: forward down, backward up</summary>{framed}</details>\n"
    if missing:
        return f"{drawing}<p>The player is left out: {clean(missing)}.</p>\n"
    return (
        f'{drawing}<details id="player"><summary>The player: step through this network, forward and back '
        f"({clean(', '.join(labels))})</summary>\n"
        '<button type="button" id="alone">open in a tab of its own</button>\n'
        '<iframe title="Backprop player of this network" sandbox="allow-scripts"></iframe></details>\n'
        f'<script type="application/json" id="player-page">{assets.as_json(player)}</script>\n'
    )


def _settings(facts: Facts) -> str:
    """Return every setting of the run, and the machine that wrote the report."""
    settings = {**facts.settings, **facts.settings.get("settings", {})}
    rows = [[name, _value(value)] for name, value in settings.items() if name != "settings"]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, {kernels()} kernels"
    rows.append(["made with", f"{versions}, {os.cpu_count()} cores, {platform.machine()}"])
    return table(Table(["setting", "value"], rows), "words")


def _value(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    more = f" and {len(value) - LISTED:,} more" if len(value) > LISTED else ""
    return ", ".join(map(str, value[:LISTED])) + more
