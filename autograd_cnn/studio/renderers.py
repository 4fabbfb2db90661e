"""Lists the formats of `Graph.save`: the function that writes each format, and the options that it takes.

The table holds names of functions, which are imported when they are first called. So renderers can import the records,
and drawing a picture does not load the player.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from autograd_cnn.studio.text import listed

RENDERERS = {  # by suffix: "module:function" of graph -> str or bytes; the options of `Graph.save` that it takes
    ".html": ("player.page:page", ("quiz", "source")),
    ".svg": ("picture.svg:svg", ("depth", "overlay")),
    ".dot": ("picture.dot:dot", ("depth", "overlay")),
    ".mmd": ("picture.mermaid:mermaid", ("depth",)),
    ".py": ("program.write:source", ()),
    ".png": ("picture.dot:png", ("depth", "overlay")),
    ".pdf": ("picture.dot:pdf", ("depth", "overlay")),
}
DEFAULTS = {"depth": None, "overlay": None, "quiz": False, "source": True}


def load(name: str) -> Any:
    """Import the function ``"module:function"`` of this package."""
    module, _, function = name.partition(":")
    return getattr(import_module(f"autograd_cnn.studio.{module}"), function)


def text(graph: Any, suffix: str, **options: Any) -> str:
    """Render `graph` in the text format of `suffix`."""
    rendered: str = load(RENDERERS[suffix][0])(graph, **options)
    return rendered


def data(graph: Any, path: str | os.PathLike[str], **options: Any) -> bytes:
    """Render `graph` in the format that the suffix of `path` names, with the `options` of `Graph.save`.

    Raises
    ------
    ValueError
        If the suffix is unknown, or if an option differs from its default and the format does not take it.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in RENDERERS:
        raise ValueError(f"graph: {os.fspath(path)!r} ends in {suffix!r}. There are {listed(list(RENDERERS))}")
    name, taken = RENDERERS[suffix]
    given = {option: value for option, value in options.items() if value != DEFAULTS[option]}
    for option in given:
        if option not in taken:
            takers = [other for other, (_, taken) in RENDERERS.items() if option in taken]
            raise ValueError(f"graph: {suffix} takes no {option}; {listed(takers)} {'do' if takers[1:] else 'does'}")
    rendered: str | bytes = load(name)(graph, **given)
    return rendered.encode() if isinstance(rendered, str) else rendered
