"""Builds pages of one file each, whose policy allows their own scripts, styles and pictures, and no request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template


class Page(str):
    """The text of an HTML page, with the scripts and styles that its policy allows, as sources of the policy.

    A frame inherits the policy of the page around it, so that page has to allow the sources of both.
    """

    scripts: Sequence[str] = ()
    styles: Sequence[str] = ()


def page(
    title: str,
    body: str,
    style: str,
    script: str,
    scripts: Iterable[str] = (),
    styles: Iterable[str] = (),
    policy: Mapping[str, str] | None = None,
) -> Page:
    """Return the page with this body; `style` follows the palette, which all pages share.

    Parameters
    ----------
    title, body : str
        HTML, in which names from the user are escaped.
    style, script : str
        As `part` returns them.
    scripts, styles : iterable of str
        Sources that the policy allows besides the page's own.
    policy : dict of str, optional
        Directives to add to the policy, or to put in place of its own.
    """
    style = f"{part('palette.css')}\n{style}"
    scripts, styles = [source(script), *scripts], list(dict.fromkeys([source(style), *styles]))
    directives = {"default-src": "'none'", "script-src": " ".join(scripts), "style-src": " ".join(styles)}
    directives |= {"img-src": "data:", "base-uri": "'none'", "form-action": "'none'", **(policy or {})}
    found = Page(
        Template(part("page.html")).substitute(
            policy="; ".join(f"{name} {sources}" for name, sources in directives.items()),
            title=title,
            style=style,
            body=body,
            script=script,
        )
    )
    found.scripts, found.styles = scripts, styles
    return found


def part(*names: str) -> str:
    """Return files of this folder, without indents and comments at the ends of lines, which no browser needs."""
    text = "\n".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)
    lines = (re.sub(r"\s+// .*$", "", line.strip()) for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def source(text: str) -> str:
    """Return a script or a style as a source of a policy: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def sources_of_styles(drawings: str) -> list[str]:
    """Return the styles inside SVG documents as sources of a policy."""
    return [source(style) for style in re.findall(r"<style>(.*?)</style>", drawings, re.DOTALL)]


def as_json(value: object) -> str:
    """Return a value as JSON that can stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def packed(data: bytes) -> str:
    """Return compressed data as text, which a page unpacks with ``DecompressionStream("deflate")``."""
    return base64.b64encode(zlib.compress(data, 7)).decode()
