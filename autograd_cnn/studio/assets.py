"""Builds pages of one file each, whose policy allows their own scripts, styles and pictures, and no request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template


def page(
    title: str,
    body: str,
    style: str,
    script: str,
    scripts: Iterable[str] = (),
    drawings: str = "",
    frame: str = "",
    policy: Mapping[str, str] | None = None,
) -> str:
    """Return the page with this body; `style` follows page.css, which all pages share.

    Parameters
    ----------
    title, body : str
        HTML, in which names from the user are escaped.
    style, script : str
        As `part` returns them.
    scripts : iterable of str
        Sources of scripts that the policy allows besides the page's own.
    drawings, frame : str
        SVG documents in the body, and a page in a frame, which inherits the policy of this one. Their styles are
        allowed too, and the script of the frame.
    policy : dict of str, optional
        Directives to add to the policy, or to put in place of its own.
    """
    style = f"{part('page.css')}\n{style}"
    scripts = [source(script), *scripts, *_sources("script", frame)]
    styles = dict.fromkeys([source(style), *_sources("style", drawings + frame)])
    directives = {"default-src": "'none'", "script-src": " ".join(scripts), "style-src": " ".join(styles)}
    directives |= {"img-src": "data:", "base-uri": "'none'", "form-action": "'none'", **(policy or {})}
    allowed = "; ".join(f"{name} {sources}" for name, sources in directives.items())
    return Template(part("page.html")).substitute(policy=allowed, title=title, style=style, body=body, script=script)


def part(*names: str) -> str:
    """Return files of this folder, without indents and comments at the ends of lines, which no browser needs."""
    text = "\n".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)
    lines = (re.sub(r"\s+// .*$", "", line.strip()) for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def source(text: str) -> str:
    """Return a script or a style as a source of a policy: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _sources(tag: str, text: str) -> list[str]:
    """Return the scripts or the styles in a text as sources of a policy."""
    return [source(found) for found in re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)]


def as_json(value: object) -> str:
    """Return a value as JSON that can stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def packed(data: bytes) -> str:
    """Return compressed data as text, which a page unpacks with ``DecompressionStream("deflate")``."""
    return base64.b64encode(zlib.compress(data, 7)).decode()
