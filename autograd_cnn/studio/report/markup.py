"""Writes the parts that every section of the page has, as HTML; names from the user are escaped here."""

from __future__ import annotations

from html import escape

from autograd_cnn.studio.report.facts import Table
from autograd_cnn.studio.text import plain


class Html(str):
    """A text that is HTML already."""


def clean(text: object) -> str:
    """Return a text of the user's as HTML."""
    return text if isinstance(text, Html) else escape(plain(str(text)))


def table(content: Table, kind: str = "", marked: int | None = None) -> str:
    """Return a table as HTML; `marked` is the row of the best pass."""
    head = "".join(f'<th scope="col">{clean(text)}</th>' for text in content.heads)
    body = []
    for i, (first, *rest) in enumerate(content.rows):
        cells = "".join(f"<td>{clean(text)}</td>" for text in rest)
        best = ' class="best"' * (i == marked)
        body.append(f'<tr{best}><th scope="row">{clean(first)}</th>{cells}</tr>\n')
    kind = f' class="{kind}"' if kind else ""
    inner = f"<table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table">{inner}</div>'


def details(summary: str, content: str) -> str:
    return f"<details><summary>{clean(summary)}</summary>{content}</details>\n"


def quiet(text: str) -> str:
    return f'<p class="quiet">{clean(text)}</p>\n'
