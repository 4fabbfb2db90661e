"""The pages of docs quote the source as it is, and their programs do what they say.

A block fenced as ``py`` is a quotation: its first line, a comment, names the file, and a line ``...`` stands for lines
left out. Blocks fenced as ``python`` are run: those of `ALONE` each as a program, those of `WHOLE` as one program, and
those of `SESSIONS` so in a process of their own. A block fenced as ``python raises`` ends in an error or a
warning, whose text is the block after it, fenced as ``text``. In a session, such a block is what is printed, and a
file of Python to which the page links is what is written. A block fenced as ``diff`` has the lines to change of the
program above it; the changed program is run, too.
"""

import ast
import inspect
import re
import runpy
import sys
import warnings
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from xml.etree import ElementTree

import pytest

import autograd_cnn as ag
from autograd_cnn.engine.observe import own_operations
from autograd_cnn.engine.registry import registry
from lines import code_lines
from processes import printed

ROOT = Path(__file__).parents[2]
PACKAGE = Path(ag.__file__).parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTBOOK = ROOT / "docs" / "textbook.md"  # made from the source by a script
QUOTATIONS = [
    pytest.param(page, *block.split("\n", 1), id=f"{page.name}-{i}")
    for page in PAGES
    if page != TEXTBOOK
    for i, block in enumerate(re.findall(r"^```py\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M), 1)
]

ALONE = ("coming_from.md", "faq.md", "index.md", "numerics.md", "tools.md")
WHOLE = ("package.md", "pictures.md", "player.md", "own_primitive.md", "vmap.md", "engine.md", "training.md")
WHOLE += ("distributed.md", "first_steps.md", "interop.md")
SLOW = ("first_steps.md", "interop.md")
SESSIONS = {"docs/by_hand.md": "by_hand.py", "docs/tutorial.md": "tutorial.py", "README.md": "net.py"}
PROGRAM = re.compile(r"^```python( raises)?\n(.*?)^```(?:\n+```text\n(.*?)^```)?", re.S | re.M)
HEAD = {"faq.md": "import numpy as np, autograd_cnn as ag\n\n"}  # the page says that its programs begin with it
PROGRAMS = [
    pytest.param(found[1], HEAD.get(page, "") + found[2], found[3], id=f"{page}-{i}")
    for page in ALONE
    for i, found in enumerate(PROGRAM.finditer((ROOT / "docs" / page).read_text(encoding="utf-8")), 1)
]


def blocks(page: str) -> str:
    """The blocks of a page in one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M))


PROGRAMS += [
    pytest.param(None, blocks(f"docs/{page}"), None, id=page, marks=[pytest.mark.slow] if page in SLOW else [])
    for page in WHOLE
]


def cured(program: str, change: str) -> str:
    """Return a program with its lines after a minus replaced by those after a plus."""
    old, new = ("".join(re.findall(rf"^{sign}(.*\n)", change, re.M)) for sign in (r"-", r"\+"))
    assert program.count(old) == 1, f"not in the program, or twice:\n{old}"
    return program.replace(old, new)


CURES = [
    pytest.param(None, cured(HEAD["faq.md"] + program, change), None, id=title)
    for title, program, change in re.findall(
        r'^### "([^"]+)"\n\n```python raises\n((?:(?!^#).)*?)^```\n(?:(?!^#).)*?^```diff\n(.*?)^```',
        (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"),
        re.S | re.M,
    )
]


def end_of(piece: str, lines: list[str], start: int) -> int:
    """The place after `piece` in `lines` from `start` on, whatever its indentation; 0 if it is not there."""
    count = len(piece.splitlines())
    for i in range(start, len(lines) - count + 1):
        if dedent("\n".join(lines[i : i + count])) == piece:
            return i + count
    return 0


def imported(code: str) -> list[str]:
    """The names of the modules that a program imports."""
    nodes = [*ast.walk(ast.parse(code))]
    whole = [part.name for node in nodes if isinstance(node, ast.Import) for part in node.names]
    return whole + [node.module for node in nodes if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize(("page", "head", "text"), QUOTATIONS)
def test_a_quotation_stands_in_the_file_that_it_names(page, head, text):
    file = head.removeprefix("# ")
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    place = 0
    for piece in re.split(r"^\.\.\.\n", text, flags=re.M):
        place = end_of(dedent(piece).rstrip("\n"), lines, place)
        assert place, f"{page.name} quotes what is not in {file}, or not in this order:\n{piece}"


def test_the_core_and_the_mechanism_of_the_engine_have_about_as_many_lines_as_the_readme_and_the_tour_say():
    """Lines with code, of the four files that the README names, and of those in the first list of the tour."""
    tour, readme = (
        " ".join((ROOT / page).read_text(encoding="utf-8").split()) for page in ("docs/engine.md", "README.md")
    )
    files = re.findall(r" - `(\w+\.py)`", tour.partition("**The idea**")[2].partition("**A Tensor")[0])
    core = re.findall(r"\(autograd_cnn/engine/(\w+\.py)\)", readme.partition("## Read it")[2])
    assert core == files[:4] and len(files) >= 10
    for names, text, stated, tolerance in (
        (core, readme, r"four files of (\d+) lines", 0.03),
        (core, tour, r"first four files, (\d+) lines", 0.03),
        (files, tour, r"first list have about ([\d,]+) lines", 0.25),
    ):
        count = sum(code_lines((PACKAGE / "engine" / file).read_text(encoding="utf-8")) for file in names)
        (lines,) = re.findall(stated, text)
        assert abs(count / int(lines.replace(",", "")) - 1) < tolerance


def test_there_are_quotations():
    assert len(QUOTATIONS) > 5


@pytest.fixture
def free_names():
    """Names of operations that examples in docstrings have taken are free again: they belong to the package there."""
    with own_operations():
        for name in [n for n, f in registry.items() if inspect.unwrap(f).__code__.co_filename.startswith("<doctest")]:
            del registry[name]
        yield


@pytest.mark.usefixtures("free_names")
@pytest.mark.parametrize(("raises", "code", "text"), PROGRAMS + CURES)
def test_a_program_does_what_the_page_says(raises, code, text, tmp_path, monkeypatch):
    for name in imported(code):
        pytest.importorskip(name, reason=f"{name}, which the program imports, is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER", "true")
    Path("script.py").write_text(code, encoding="utf-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if "onnxruntime" in imported(code) else "error")  # PyTorch's exporter warns
            runpy.run_path("script.py", run_name="__main__")
    except Exception as error:
        assert raises, f"{type(error).__name__}: {error}"
        assert f"{type(error).__name__}: {error}".split() == text.split()
    else:
        assert not raises, f"no message, but the page has {text}"


@pytest.mark.parametrize(("page", "program"), SESSIONS.items())
def test_a_session_prints_what_the_page_says(page, program, tmp_path):
    text = (ROOT / page).read_text(encoding="utf-8")
    script = tmp_path / program
    script.write_text(blocks(page), encoding="utf-8")
    shown = printed("-W", "error", program, cwd=tmp_path, AUTOGRAD_CNN_KERNELS="numpy", COLUMNS="140")
    shown = [line.rstrip() for line in shown.splitlines()]
    for block in re.findall(r"^```text\n(.*?)^```", text, re.S | re.M):
        lines = [line.rstrip() for line in block.splitlines()]
        places = range(len(shown) - len(lines) + 1)
        assert any(shown[i : i + len(lines)] == lines for i in places), f"{page} was not printed:\n{block}"
    for picture in tmp_path.glob("*.svg"):
        drawn, stored = (
            re.findall(r"<text.*?</text>", file.read_text()) for file in (picture, ROOT / "docs" / picture.name)
        )
        assert [re.sub("<.*?>", "", text) for text in drawn] == [re.sub("<.*?>", "", text) for text in stored]
    for name in re.findall(r"\]\((\w+\.py)\)", text):
        assert (tmp_path / name).read_text() == (ROOT / "docs" / name).read_text(), f"{page} writes another {name}"


@pytest.mark.parametrize(
    ("page", "least"), [("docs/promises.md", 50), ("README.md", 8), ("docs/design.md", 3), ("CONTRIBUTING.md", 8)]
)
def test_the_tests_that_a_page_names_exist(page, least):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text(encoding="utf-8"))
    assert len(named) >= least
    for file, test in named:
        assert f"\ndef {test}(" in "\n" + (ROOT / file).read_text(encoding="utf-8") if test else (ROOT / file).exists()


def test_the_names_that_a_page_gives_for_those_of_other_libraries_exist():
    text = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
    names = set(re.findall(r"\bag((?:\.\w+)+)", text))
    assert len(names) > 30
    for name in names:
        place = ag
        for part in name.split(".")[1:]:
            place = getattr(place, part)


def test_the_players_of_the_pages_are_those_of_the_demo():
    names = {path.stem for path in (PACKAGE / "studio" / "player" / "demos").glob("*.py")}
    linked = {
        name for page in PAGES for name in re.findall(r'href="players/(\w+)\.html"', page.read_text(encoding="utf-8"))
    }
    assert linked and linked <= names


def test_a_message_of_the_faq_stands_below_a_part_of_it():
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    assert len(CURES) == page.count("```diff")
    entries = re.findall(r'^### "(.*?)"\n.*?^```text\n(.*?)^```', page, re.S | re.M)
    assert len(entries) > 20
    for title, text in entries:
        assert title in " ".join(text.split()), title


def test_the_page_of_the_textbook_is_what_its_script_makes_of_the_source():
    module = runpy.run_path(str(ROOT / "docs" / "textbook_page.py"))
    page = module["page"]()
    assert TEXTBOOK.read_text(encoding="utf-8") == page, "the source has changed: python docs/textbook_page.py"
    blocks = re.findall(r"^```py\n(.*?)^```", page, re.S | re.M)
    names = " ".join(module["CHAPTERS"].values()).split()
    assert len(blocks) == len(names) >= 25
    for name, block in zip(names, blocks, strict=True):
        compile(block, name, "exec")
        assert ".vjp(" in block, name
        assert not re.search(r"\b(Any|elementwise|kernels|raise)\b", block), block
    explained = re.findall(r"^- `(\w+)`: ", page, re.M)
    assert {"expand_dims", "pool_window", "window"} <= set(explained)
    declared = re.findall(r"^@primitive\((.*)\)\ndef (\w+)", page, re.M)
    assert ('byproducts=("argmax",)', "max_pool2d") in declared
    assert ('name="cross_entropy"', "cross_entropy_of_labels") in declared
    assert not set(explained) & set(re.findall(r"^def (\w+)", page, re.M))


def test_every_public_name_is_on_one_page_of_the_api(tmp_path):
    pytest.importorskip("sphinx", reason="sphinx, which makes the pages, is not installed")
    runpy.run_path(str(ROOT / "docs" / "api_pages.py"))["write"](tmp_path)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.rst")}
    entries = {
        k: re.findall(r"^\.\. (?:py:|auto)\w+:: (?:autograd_cnn\.)?([\w.]+)\W", text, re.M) for k, text in pages.items()
    }
    found = [name for names in entries.values() for name in names if name != "autograd_cnn"]
    rooms = {name: getattr(ag, name) for name in ag.__all__ if isinstance(getattr(ag, name), ModuleType)}
    public = {name for name in ag.__all__ if name not in rooms}
    public |= {f"{room}.{name}" for room, module in rooms.items() for name in module.__all__}
    assert public <= set(found), f"add {public - set(found)} to docs/api_pages.py"
    assert len(found) == len(set(found)) > 350
    assert len(pages) > 25 and max(map(len, entries.values())) < 90


def test_the_api_lists_the_commands_and_the_variables_that_there_are():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    help_text = printed("-m", "autograd_cnn", "--help")
    commands = re.findall(r"^    ([a-z]+) ", help_text.partition("  COMMAND\n")[2], re.M)
    assert sorted(re.findall(r"^\| `([a-z]+)", text, re.M)) == sorted(commands)
    read = {
        name for f in PACKAGE.rglob("*.py") for name in re.findall(r"get\(\"(AUTOGRAD_CNN_\w+)", f.read_text("utf-8"))
    }
    assert set(re.findall(r"^\| `(AUTOGRAD_CNN_\w+)", text, re.M)) == read


def test_the_pictures_of_the_documentation_are_those_that_its_script_draws(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])

    def texts_of(text):  # machines differ in the last digits of a loss
        return [
            re.sub(r"loss \S+", "loss", "".join(t.itertext()))
            for t in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")
        ]

    graphs = runpy.run_path(str(ROOT / "docs" / "draw.py"))["graphs"]()
    assert set(graphs) == {"cnn.svg", "residual.svg"}
    for name, graph in graphs.items():
        assert texts_of((ROOT / "docs" / name).read_text(encoding="utf-8")) == texts_of(graph.svg(depth=1))
