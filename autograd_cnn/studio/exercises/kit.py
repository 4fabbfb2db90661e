"""Writes the exercises of a course into a folder, and checks the files that a student has filled in.

A file that exists is never overwritten. The check leaves `score.json` beside them, and a page for the first wrong one.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from autograd_cnn import __version__
from autograd_cnn.environment import command, plain
from autograd_cnn.files import write_atomically
from autograd_cnn.studio.exercises.catalogue import EXERCISES
from autograd_cnn.studio.exercises.judge import OPEN, RIGHT, Verdict, judge

MOST = 8  # printed lines that the report repeats
FILES = {f"{number:02}_{name}.py": name for number, name in enumerate(EXERCISES, 1)}


def write(folder: Path) -> None:
    """Write the files that a folder lacks, and print their names and how to go on.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, name in FILES.items():
        kept = (folder / file).exists()
        if not kept:
            template = Path(__file__).parent / "templates" / f"{name}.py"
            write_atomically(folder / file, template.read_bytes())
        print(plain(str(folder / file)), "was there, and stays as it is" if kept else "")
    print(f"Fill in the first one, then: {command('-m', 'autograd_cnn', 'exercises', folder, '--check')}")


def check(folder: Path) -> tuple[bool, str]:
    """Judge all files of a folder, print a report, and write `score.json`.

    In the report, the first exercise that is not right has its sentence. If an answer is wrong there, a page shows the
    engine's step with the same numbers.

    Returns
    -------
    passed : bool
        Whether all exercises are right.
    page : str
        The address of that page, at the step in question, if it was not there before, else "".

    Raises
    ------
    OSError
        If there is no such folder, or a file cannot be written.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Run it without --check to write one")
    verdicts = {file: _verdict(folder / file) for file in FILES}
    rows = [{"name": FILES[file], "state": v.state, "sentence": v.sentence} for file, v in verdicts.items()]
    points = sum(verdict.state == RIGHT for verdict in verdicts.values())
    score = {"date": f"{date.today()}", "version": __version__, "points": points, "of": len(FILES), "exercises": rows}
    write_atomically(folder / "score.json", json.dumps(score, indent=2).encode())
    page, first = "", next((file for file, verdict in verdicts.items() if verdict.state != RIGHT), None)
    for file, verdict in verdicts.items():
        print(f"{file:20}{verdict.state}")
        if file == first:
            page = _explain(folder / file, verdict)
    print(f"{points} of {len(FILES)} points: {plain(str(folder / 'score.json'))}")
    return first is None, page


def _verdict(file: Path) -> Verdict:
    if not file.exists():
        return Verdict(OPEN, f"it is missing. {command('-m', 'autograd_cnn', 'exercises', file.parent)} writes it")
    return judge(EXERCISES[FILES[file.name]], file)


def _explain(file: Path, verdict: Verdict) -> str:
    """Print what is said of a file, and write the page of its exercise; return the address of the page if it is new."""
    print(f"    {verdict.sentence}")
    printed = verdict.printed.splitlines()
    for line in printed[:MOST]:
        print(f"    | {plain(line)}")
    if printed[MOST:]:
        print(f"    | ... {len(printed) - MOST} more lines")
    if verdict.case is None or verdict.task is None:
        return ""
    page, exercise = file.with_suffix(".html"), EXERCISES[FILES[file.name]]
    new, graph = not page.exists(), exercise.graph(verdict.task, verdict.case)
    graph.save(page)
    address = f"{page.resolve().as_uri()}#step={exercise.start(verdict.task, graph)}"
    print(f"    Open this: {address}\n    The engine takes the same step there, with the same numbers")
    return address if new else ""
