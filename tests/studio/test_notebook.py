"""Cells of a notebook: `show` anywhere in a cell, programs, places.

Most tests use a stand-in for IPython, which records what it is asked to display; the last ones need IPython.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.program.listing import side_by_side
from processes import finished
from studio.pages import Page


def net(x, w):
    h = ag.tanh(x * w)
    return ag.sum(h)


@pytest.fixture
def graph():
    return ag.trace(net, np.ones(3), np.arange(3.0))


# show


def test_a_cell_shows_the_player_in_a_frame_wherever_show_stands(graph, shown):
    assert graph.show() is None  # so that the last line of a cell does not show it twice
    (bundle,) = shown
    ((frame, _),) = Page(bundle["text/html"]).all("iframe")
    assert frame["srcdoc"] == graph.page() and frame["sandbox"] == "allow-scripts"


@pytest.fixture
def linux(monkeypatch, tmp_path):
    """A terminal on Linux with a screen, and the addresses that its browser opens."""
    opened = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    return opened


def test_a_terminal_opens_the_player_in_the_browser(graph, linux, capsys):
    graph.show()
    (address,) = linux
    assert address.startswith("file://") and address.endswith(".html") and not capsys.readouterr().out


@pytest.mark.parametrize("screen", [False, True])
def test_without_a_screen_or_a_browser_show_prints_the_path(graph, linux, capsys, monkeypatch, screen):
    monkeypatch.setattr("webbrowser.open", lambda address: not screen)
    if not screen:
        monkeypatch.delenv("DISPLAY")
    graph.show()
    (path,) = re.fullmatch(r"No browser to open it in: (.*)\n", capsys.readouterr().out).groups()
    with open(path, encoding="utf-8") as file:
        assert file.read() == graph.page()


# Programs


@pytest.mark.parametrize(("columns", "least"), [(60, 80), (80, 80), (110, 110), (400, 143)])
def test_a_program_is_as_wide_as_the_terminal(cnn, monkeypatch, columns, least):
    monkeypatch.setenv("COLUMNS", str(columns))
    program = cnn.graph().program()
    assert max(map(len, str(program).splitlines())) <= least
    words = re.sub(r"[\s|/\\]+", "", str(program))
    assert "".join(sorted(words)) == "".join(sorted(re.sub(r"[\s|/\\]+", "", side_by_side(program.rows))))


def test_a_cell_prints_a_program_in_its_width(cnn, shown):
    assert max(map(len, str(cnn.graph().program()).splitlines())) <= 100


# Real cells

CELLS = """
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in CELLS:
    result = shell.run_cell(cell, store_history=True)
    print(type(result.error_in_exec).__name__, str(result.error_in_exec).splitlines()[2:3])
"""
WRITTEN = [
    "import numpy as np, autograd_cnn as ag\n@ag.primitive\ndef cube(x):\n    return x**3",
    "def slope(g, x):\n    assert x is not None\n    return g * 3 * x**2\ncube.vjp(x=slope)",
    "def f(x):\n    h = cube(x)\n    return h * 2.0",
    "graph = ag.trace(f, 2.0)\nprint([f'{op.place.file}:{op.place.line}' for op in graph.ops])\nprint(graph.program())",
    "x = 1\n\nw = ag.Tensor(np.ones((3, 2), np.float32), requires_grad=True)\nag.linear(np.ones((2, 3)), w)",
    "x = 1\n\nag.Tensor(np.ones((2, 3))) @ ag.Tensor(np.ones((2, 3)))",
]


@pytest.fixture(scope="module")
def cells():
    """A session of IPython, with its output."""
    pytest.importorskip("IPython", reason="needs IPython")
    script = CELLS.replace("CELLS:", f"{WRITTEN!r}:")
    return finished("-c", script)


def test_places_are_numbers_of_cells(cells):
    assert "['In [3]:2', 'In [3]:3']" in cells.stdout and "ValueError ['  at In [6]:3']" in cells.stdout
    assert "In [5]:4: UserWarning: linear: x is float64" in cells.stderr


def test_a_rule_of_an_earlier_cell_is_printed_as_its_text(cells):
    assert "g_x = g_h * 3 * x ** 2" in cells.stdout
