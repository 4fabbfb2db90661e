"""Shows HTML below a cell of a notebook; elsewhere, a page in the browser."""

from __future__ import annotations

import os
import sys
import tempfile
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # one of them is set where Linux has a screen


def in_notebook() -> bool:
    """Return whether this code runs in a notebook."""
    ipython = sys.modules.get("IPython")
    return bool(ipython and getattr(ipython.get_ipython(), "kernel", None))


def display(bundle: dict[str, str], **options: Any) -> Any:
    """Show a result below the cell, wherever in the cell this is called; `bundle` has its forms by MIME type."""
    return import_module("IPython.display").display(bundle, raw=True, **options)


def show_page(text: str) -> None:
    """Show an HTML page: in a frame below the cell in a notebook, else in the browser.

    Without a screen or a browser, print the path of the page.
    """
    if in_notebook():
        frame = 'sandbox="allow-scripts" width="100%" height="800" style="border:0"'
        display({"text/html": f'<iframe {frame} srcdoc="{escape(text)}"></iframe>', "text/plain": "<the player>"})
        return
    path = Path(tempfile.mkdtemp(prefix="autograd_cnn_")) / "player.html"
    path.write_text(text, encoding="utf-8")
    screen = sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in SCREENS)
    if not (screen and import_module("webbrowser").open(path.as_uri())):
        print(f"No browser to open it in: {path}")
