"""Shows HTML and text below a cell of a notebook; elsewhere, a page in the browser."""

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


class LiveText:
    """A text below the cell that is replaced when it changes; tqdm writes its bar into it as into a file.

    `write` replaces the bar, the last line of the text. `line` adds a line above it; of many, the last ones are shown.
    """

    encoding = "utf-8"
    shown = 12  # lines

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._bar = ""
        self._handle = display({"text/plain": ""}, display_id=True)

    def write(self, text: str) -> None:
        if bar := text.strip():  # else tqdm clears the line or ends it
            self._bar = bar
            self._update()

    def flush(self) -> None:
        """Do nothing, since `write` keeps no text back."""

    def line(self, text: str) -> None:
        self._lines.append(text)
        self._update()

    def _update(self) -> None:
        hidden = len(self._lines) - self.shown
        above = [f"... {hidden} lines"] if hidden > 0 else []
        self._handle.update({"text/plain": "\n".join([*above, *self._lines[-self.shown :], self._bar])}, raw=True)
