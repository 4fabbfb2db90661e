"""The pages of docs quote the source as it is.

A block fenced as ``py`` is a quotation: its first line, a comment, names the file, and a line ``...`` stands for lines
left out. Blocks fenced as ``python`` are run, in `test_examples`.
"""

import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent
QUOTATIONS = [
    pytest.param(page, *block.split("\n", 1), id=f"{page.name}-{i}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    for i, block in enumerate(re.findall(r"^```py\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M), 1)
]


def end_of(piece: str, lines: list[str], start: int) -> int:
    """The place after `piece` in `lines` from `start` on, whatever its indentation; 0 if it is not there."""
    count = len(piece.splitlines())
    for i in range(start, len(lines) - count + 1):
        if dedent("\n".join(lines[i : i + count])) == piece:
            return i + count
    return 0


@pytest.mark.parametrize(("page", "head", "text"), QUOTATIONS)
def test_a_quotation_stands_in_the_file_that_it_names(page, head, text):
    file = head.removeprefix("# ")
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    place = 0
    for piece in re.split(r"^\.\.\.\n", text, flags=re.M):
        place = end_of(dedent(piece).rstrip("\n"), lines, place)
        assert place, f"{page.name} quotes what is not in {file}, or not in this order:\n{piece}"


def test_there_are_quotations():
    assert len(QUOTATIONS) > 5
