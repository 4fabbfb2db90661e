"""The rooms of the package: what each is for, how long it may be, and which others its files may import.

No circles, no private names, nothing heavy at the start.

An import inside a function counts like any other; only the blocks under ``if TYPE_CHECKING`` do not, since they never
run. A file goes by its dotted name inside the package, as ``engine.tensor``; the face is ``autograd_cnn`` itself.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import autograd_cnn as ag
from lines import code_lines

PACKAGE = Path(ag.__file__).parent
FACE = "autograd_cnn"


class Room(NamedTuple):
    """A folder or a file at the top of the package."""

    lines: int  # of code, at most
    imports: str  # the rooms that its files may import besides their own
    purpose: str


ROOMS = {
    # the library
    "engine": Room(1954, "", "the tape, the recorded call, the walk back, and Tensor"),
    "ops": Room(1881, "engine checks", "the textbook: operations, each with its derivative below it"),
    "calculus": Room(906, "engine checks", "grad and its kin, checkpoint, and checks of gradients"),
    "nn": Room(749, "engine calculus ops state checks", "modules, layers and their initial weights"),
    "optim": Room(323, "engine calculus state checks", "optimisers, schedules, clipping"),
    "checks": Room(31, "", "checks of single arguments, which return them"),
    "elsewhere": Room(115, "", "names of other libraries, and what to write here"),
    "state": Room(72, "environment", "checks of a state before it is loaded"),
    "environment": Room(29, "", "this Python: its command line, and packages that are absent"),
    "files": Room(49, "", "writes a file as a whole or not at all"),
    "arrayfile": Room(76, "files environment", "arrays in files with checksums"),
    "notebook": Room(24, "", "shows a page below a cell"),
    "plots": Room(104, "engine files environment", "pictures of a training, by matplotlib"),
    FACE: Room(76, "engine calculus ops vocabulary elsewhere", "the names that users see"),
    "__main__": Room(357, f"{FACE} environment engine calculus data fast studio", "python -m autograd_cnn"),
    # the rings, each of which can be removed (tests/rings.py)
    "vocabulary": Room(
        1011, "engine calculus ops environment checks", "the rest of NumPy, and SciPy: functions of a few lines"
    ),
    "fast": Room(2697, "engine environment ops", "speed: tiles, threads, memory, Winograd, Numba"),
    "data": Room(547, "engine files environment checks", "published images, folders of images, batches"),
    "training": Room(
        1047,  # of which 34 Lookahead and dirac, which only the recipe `quick` uses
        "engine ops nn optim data state arrayfile files plots environment checks",
        "the loop, what looks at a run, and folders of runs that resume",
    ),
    "distributed": Room(196, "engine training environment", "several processes that train one model, on MPI"),
    "interop": Room(
        1487,
        f"engine calculus ops vocabulary nn state arrayfile files environment {FACE}",  # operators are its functions
        "weights for PyTorch, and ONNX files",
    ),
    "studio": Room(
        4897,
        f"engine calculus ops nn training files notebook plots environment {FACE}",  # programs call the face
        "what is shown of a computation: pictures, programs, pages, reports",
    ),
}
SCRIPTS = 1315  # lines of the player's scripts and styles that are not blank
PROGRAMS = "studio.player.demos", "studio.live.examples", "training.quick"  # they import the face and nothing else

HEAVY = {*"matplotlib numba graphviz torch tqdm safetensors playwright mpi4py onnx jinja2".split()}
FOR_HEAVY = {"fast.compiled"}  # exist for it, and are imported when they are asked for


def private(name):
    return name.startswith("_") and not name.startswith("__")


class Imports(ast.NodeVisitor):
    """The imports of one file of `folder`: (dotted name, whether it waits until a function runs)."""

    def __init__(self, source, folder):
        self.found, self.inside, self.names, self.folder = [], False, {}, folder
        self.visit(ast.parse(source))

    def add(self, name):
        self.found.append((name, self.inside))

    def visit_Import(self, node):
        for alias in node.names:
            self.add(alias.name)

    def visit_ImportFrom(self, node):
        above = self.folder[: len(self.folder) + 1 - node.level] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            self.add(f"{module}.{alias.name}")
            self.names[alias.asname or alias.name] = f"{module}.{alias.name}"

    def visit_Attribute(self, node):
        """``kernels._name`` is an import of `_name`, where `kernels` was imported."""
        if isinstance(node.value, ast.Name) and node.value.id in self.names and private(node.attr):
            self.add(f"{self.names[node.value.id]}.{node.attr}")
        self.generic_visit(node)

    def visit_If(self, node):
        never = "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", ""))
        for child in node.orelse if never else [node.test, *node.body, *node.orelse]:
            self.visit(child)

    def visit_FunctionDef(self, node):
        outside, self.inside = self.inside, True
        self.generic_visit(node)
        self.inside = outside

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef


class House:
    """The files of a package and what they import."""

    def __init__(self, package):
        self.files = {self.dotted(path.relative_to(package)): path for path in package.rglob("*.py")}
        self.edges, self.names, self.privates, self.heavy = set(), set(), set(), set()
        for file, path in self.files.items():
            folder = [FACE, *path.relative_to(package).parts[:-1]]
            for name, waits in Imports(path.read_text(encoding="utf-8"), folder).found:
                first, _, rest = name.partition(".")
                if first == FACE:
                    self.add(file, rest)
                elif first in HEAVY and not waits:
                    self.heavy.add((file, first))

    @staticmethod
    def dotted(path):
        parts = path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or FACE

    def add(self, file, name):
        """`file` imports a module called `name`, or a name from the module that it begins with."""
        module = name
        while module and module not in self.files:
            module = module.rpartition(".")[0]
        self.edges.add((file, module or FACE))
        self.names.add((file, name))
        if private(name.removeprefix(module).removeprefix(".")):
            self.privates.add((file, name))

    def strangers(self):
        """Imports that the table of rooms does not allow."""
        for file, imported in self.edges:
            here, there = file.split(".")[0], imported.split(".")[0]
            below = FACE if file.startswith(PROGRAMS) else f"{here} {ROOMS[here].imports}"
            if there not in below.split():
                yield file, imported

    def circle(self):
        """Files that import each other in a ring, or an empty list."""
        order = TopologicalSorter({file: set() for file in self.files})
        for file, imported in self.edges:
            if file != imported:
                order.add(file, imported)
        try:
            order.prepare()
        except CycleError as error:
            return error.args[1][::-1]
        return []


@pytest.fixture(scope="module")
def house():
    return House(PACKAGE)


def test_every_room_has_its_place(house):
    rooms = {file.split(".")[0] for file in house.files}
    assert rooms <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_no_longer_than_its_budget(house, room):
    files = [path for file, path in house.files.items() if file.split(".")[0] == room]
    lines = sum(code_lines(path.read_text(encoding="utf-8")) for path in files)
    assert lines <= ROOMS[room].lines, (
        f"{room} has {lines} lines of code, and its budget is {ROOMS[room].lines}. Who needs more changes the number "
        "in ROOMS in the same commit, and says why in its message"
    )


def test_scripts_and_styles_of_the_player_are_no_longer_than_their_budget():
    files = [path for path in PACKAGE.glob("studio/player/*") if path.suffix in (".js", ".css")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= SCRIPTS


def test_lines_of_code_are_neither_comments_nor_docstrings():
    assert code_lines('"""One.\n\nTwo."""\n# three\nx = """four\nfive"""\n\ndef f():\n    "six"\n    return x\n') == 4


def test_a_room_imports_only_the_rooms_below_it(house):
    assert set(house.strangers()) == set()


def test_no_files_import_each_other_in_a_circle(house):
    assert house.circle() == []


def test_no_file_imports_the_private_name_of_another(house):
    assert house.privates == set()


def test_only_the_mechanism_reads_the_parts_of_a_tensor_and_the_registry(house):
    """Elsewhere: `Tensor.data`, `Tensor.node` and `observe.operations`."""
    found = set()
    for file, path in house.files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if {getattr(node, "attr", ""), str(getattr(node, "value", ""))} & {"_node", "_array", "_of"}:
                found.add(file)
    found |= {file for file, name in house.names if name == "engine.registry.registry"}
    assert {file.split(".")[0] for file in found} == {"engine", "calculus"}


def test_nothing_heavy_is_imported_before_a_function_needs_it(house):
    assert {(file, name) for file, name in house.heavy if not file.startswith(tuple(FOR_HEAVY))} == set()


def test_the_house_is_searched_to_the_last_corner(tmp_path):
    """A package with one mistake of each kind: every one of them is found."""
    for file, source in {
        "__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
        "engine/tape.py": "def f():\n    if f:\n        from autograd_cnn.studio.trace import trace\n",
        "studio/trace.py": "import autograd_cnn.studio.records\nfrom autograd_cnn.engine.tape import _hidden\n",
        "studio/records.py": "class Graph:\n    async def f(self):\n        from autograd_cnn.studio import trace\n",
        "__main__.py": "from autograd_cnn.fast import tiles\ntiles._cut\n",
        "fast/tiles.py": "from . import memory\nfrom .memory import _free\nif memory:\n    import numba\n",
        "fast/memory.py": "from ..fast.tiles import tile\n",
        "plots.py": "def f():\n    import matplotlib\n",
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(source)
    house = House(tmp_path)
    assert set(house.strangers()) == {("engine.tape", "studio.trace")}
    assert house.privates == {
        ("studio.trace", "engine.tape._hidden"),
        ("__main__", "fast.tiles._cut"),
        ("fast.tiles", "fast.memory._free"),
    }
    assert house.heavy == {("fast.tiles", "numba")}
    assert len(house.circle()) > 2
    for circle in ("studio.records", "studio.trace"), ("fast.memory", "fast.tiles"):
        house.edges = {circle, circle[::-1]}
        assert set(house.circle()) == set(circle)
    house.edges.pop()
    assert house.circle() == []


IMPORTED = """
import sys
before = set(sys.modules)
import autograd_cnn as ag
heavy = {"matplotlib", "numba", "graphviz", "torch", "tqdm", "safetensors", "jinja2"}
assert not heavy & (set(sys.modules) - before)
ag.conv2d, ag.Tensor
print("light")
"""


def test_importing_brings_in_nothing_heavy(python):
    assert python(IMPORTED) == "light\n"
