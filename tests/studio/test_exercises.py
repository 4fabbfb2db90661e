"""The exercises of a course: right answers pass, each wrong one gets its sentence, and files of students are safe."""

import json
import os
import subprocess
import sys
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from autograd_cnn.studio.exercises import kit
from autograd_cnn.studio.exercises.catalogue import EXERCISES
from autograd_cnn.studio.exercises.judge import OPEN, RIGHT, WRONG, judge, slips, solution
from studio.pages import facts_of, visible

FOLDER = Path(kit.__file__).parent
SLIPS = [
    pytest.param(name, source, sentence, id=f"{name}-{i}")
    for name in EXERCISES
    for i, (source, sentence) in enumerate(slips(solution(name)))
]

# Answers as students write them, not as the solutions do: exercise, functions, and the beginning of the verdict.
ANSWERS = {
    "factor 2": ("multiply", "def multiply_backward(g, x, u): return 2 * g * u, 2 * g * x", "gx is 2 times"),
    "half": ("multiply", "def multiply_backward(g, x, u): return g * u / 2, g * x / 2", "gx is 1/2 of"),
    "sign": ("multiply", "def multiply_backward(g, x, u): return -(g * u), g * x", "gx has the wrong sign"),
    "no g": ("multiply", "def multiply_backward(g, x, u): return u, x", "gx has no factor g"),
    "swapped": ("multiply", "def multiply_backward(g, x, u): return x * g, u * g", "gx is g * x."),
    "swapped products": (
        "matmul",
        "def matmul_backward(g, x, w): return x.T @ g, g @ w.T",
        "gx is what gw should be: they are swapped",
    ),
    "one result": (
        "multiply",
        "def multiply_backward(g, x, u): return g * u",
        "want 2 results: return gx, gu. It returns 1 of them",
    ),
    "no return": (
        "multiply",
        "def multiply_backward(g, x, u): g * u, g * x",
        "it returns None. Is a return missing",
    ),
    "a word": ("multiply", "def multiply_backward(g, x, u): return 'g', 'x'", "gx is g, want numbers"),
    "too many results": (
        "multiply",
        "def multiply_backward(g, x, u): return g * u, g * x, 1",
        "want 2 results: return gx, gu. It returns 3 of them",
    ),
    "rows of several lengths": (
        "multiply",
        "def multiply_backward(g, x, u): return [[1], [2, 3]], g * x",
        "ValueError: ",
    ),
    "summed": (
        "multiply",
        "def multiply_backward(g, x, u): return (g * u).sum(), g * x",
        "gx has shape (), and x has (2, 3). A",
    ),
    "list": ("multiply", "def multiply_backward(g, x, u): return [(g * u).tolist(), g * x]", RIGHT),
    "float32": ("multiply", "def multiply_backward(g, x, u): return np.float32(g * u), g * x", RIGHT),
    "nothing": (
        "multiply",
        "def multiply_backward(g, x, u): return ()",
        "want 2 results: return gx, gu. It returns 0 of",
    ),
    "lists of None": (
        "multiply",
        "def multiply_backward(g, x, u): return [[None] * 3] * 2",
        "gx is [None None None], want",
    ),
    "backwards by the sign": (
        "multiply",
        "def multiply_backward(g, x, u): return -4 * g * u, g * x",
        "gx has the wrong sign, and is 4",
    ),
    "a negative part": (
        "multiply",
        "def multiply_backward(g, x, u): return g * u / -4, g * x",
        "gx has the wrong sign, and is 0.25",
    ),
    "other numbers": (
        "multiply",
        "def multiply_backward(g, x, u): return g * u + 1, g * x",
        "gx has other numbers (gx[",
    ),
    "the engine": (
        "multiply",
        "import autograd_cnn.nn\ndef multiply_backward(g, x, u): return g * u, g * x",
        "it imports autograd",
    ),
    "from the engine": (
        "relu",
        "def relu(x):\n from autograd_cnn import relu\n return relu(x).data",
        "it imports autograd_cnn.",
    ),
    "another order": (
        "used_twice",
        "def used_twice_backward(g, x): return g * (np.sin(x) - x * np.sin(x))",
        "the slope of sin(x) is cos(x).",
    ),
    "sign of x": (
        "relu",
        "def relu(x): return np.maximum(0, x)\ndef relu_backward(g, x): return np.sign(x) * g",
        "np.sign is -1 where",
    ),
    "columns": (
        "cross_entropy",
        "def cross_entropy(z, y):\n"
        " z = z - z.max(0)\n return -(z - np.log(np.exp(z).sum(1, keepdims=True)))[np.arange(4), y].mean()",
        "the largest of each column is subtracted",
    ),
    "keepdims": (
        "max_pool",
        "def max_pool(x): return x.reshape(2, 2, 2, 3, 2, 2).max((2, 4), keepdims=True)",
        "y has shape (2, 2, 1, 3, 1, 2), want (2, 2, 3, 2). The numbers are right: is keepdims=True too much?",
    ),
    "one loss more": (
        "training",
        solution("training").replace("return w, losses", "return w, [*losses, np.mean((x @ w - y) ** 2)]"),
        "want one loss for each step, before its update: 1, you have 2",
    ),
    "one loss less": (
        "training",
        solution("training").replace("return w, losses", "return w, losses[1:]"),
        "want one loss for each step, before its update: 1, you have 0",
    ),
    "no return of one": ("relu", "def relu(x): np.maximum(x, 0)", "it returns None. Is a return missing"),
    "in place": ("multiply", "def multiply_backward(g, x, u):\n g *= u\n return g, g * x", "it changes g, which"),
    "integers": (
        "multiply",
        "def multiply_backward(g, x, u): return (g * u).round().astype(int), g * x",
        "gx is int64, which has no decimals",
    ),
    "partly": (
        "multiply",
        "def multiply_backward(g, x, u):\n gx = g * u\n gx[0, 1] = 9\n return gx, g * x",
        "gx is right at 5 of 6 places (gx[0, 1] is 9; differences and the engine say ",
    ),
    "no sum": (
        "broadcast",
        "def add_backward(g, x, b): return g, g",
        "a sum is missing: gb has shape (3, 3), and b has (3,). Sum over axis 0",
    ),
    "mean": ("broadcast", "def add_backward(g, x, b): return g, g.mean(0)", "gb is 1/3 of what it should be. A mean"),
    "no keepdims": (
        "broadcast",
        "def add_backward(g, x, b): return g, g.sum(1) if b.shape == (4, 1) else g.sum(0)",
        "gb has shape (4,), and b has (4, 1). The numbers are right: is keepdims=True",
    ),
    "one sum of two": (
        "broadcast",
        "def add_backward(g, x, b):\n if b.ndim == 2: return g, g.sum(-1, keepdims=True)\n return g, g.sum(0)",
        "a sum is missing: gb has shape (2, 4, 1), and b has (4, 1). Sum over axis 0",
    ),
    "always the rows": (
        "broadcast",
        "def add_backward(g, x, b): return g, g.sum(0)",
        "gb has shape (3,), and b has (4, 1). It was spread over axis 1 of y: sum g over that, and nothing else",
    ),
    "two axes": (
        "broadcast",
        "def add_backward(g, x, b):\n"
        " if b.ndim == 2 or not b.ndim: return g, g if not b.ndim else g.reshape(-1, 4, 3).sum((0, 2))[:, None]\n"
        " return g, g.sum(0)",
        "a sum is missing: gb has shape (4, 3), and b has (). Sum over axes 0 and 1",
    ),
    "one path": ("used_twice", "def used_twice_backward(g, x): return np.sin(x) * g", "gx has only the path straight"),
    "transposed": ("matmul", "def matmul_backward(g, x, w): return w @ g.T, x.T @ g", "gx is transposed"),
    "no transpose": (
        "matmul",
        "def matmul_backward(g, x, w): return np.dot(g, w), x.T @ g",
        "w is not transposed in gx",
    ),
    "mask as int": ("relu", "def relu(x): return (x > 0) * 1", "y is the mask x > 0."),
    "loop over rows": (
        "relu",
        "def relu(x):\n for i in range(9):\n  for j in range(4):\n   x[i, j]",
        "line 6: IndexError: index 3 is out of bounds for axis 0 with size 3, with x (3, 4)",
    ),
    "ones at zero": (
        "relu",
        "def relu(x): return x * (x > 0)\ndef relu_backward(g, x): return np.where(x < 0, 0, g)",
        "at exactly 0 the slope is 0 here",
    ),
    "naive": (
        "cross_entropy",
        "def cross_entropy(z, y):\n"
        " p = np.exp(z) / np.exp(z).sum(1, keepdims=True)\n return -np.log(p[np.arange(4), y]).mean()",
        "loss has nan or inf: not stable.",
    ),
    "log of p": (
        "cross_entropy",
        "def cross_entropy(z, y):\n"
        " e = np.exp(z - z.max(1, keepdims=True))\n"
        " return -np.log((e / e.sum(1, keepdims=True))[np.arange(4), y]).mean()",
        "loss has nan or inf: not stable.",
    ),
    "largest of all": (
        "cross_entropy",
        "def cross_entropy(z, y):\n"
        " z = z - z.max()\n return -(z - np.log(np.exp(z).sum(1, keepdims=True)))[np.arange(4), y].mean()",
        "loss has nan or inf: not stable.",
    ),
    "small number in the log": (
        "cross_entropy",
        "def cross_entropy(z, y):\n"
        " p = np.exp(z) / np.exp(z).sum(1, keepdims=True)\n return -np.log(p[np.arange(4), y] + 1e-9).mean()",
        "loss has nan or inf: not stable.",
    ),
    "no mean": (
        "cross_entropy",
        "def cross_entropy(z, y):\n"
        " p = np.exp(z) / np.exp(z).sum(1, keepdims=True)\n return -np.log(p[np.arange(4), y])",
        "a sum is missing: loss has shape (4,), want (). Sum over axis 0",
    ),
    "another loss": (
        "cross_entropy",
        "def cross_entropy(z, y): return np.mean(z**2)",
        "loss has other numbers (loss is ",
    ),
    "paid twice": (
        "max_pool",
        "def max_pool(x): return x.reshape(2, 2, 2, 3, 2, 2).max((2, 4))\n"
        "def wide(a): return a.repeat(2, 1).repeat(2, 2)\n"
        "def max_pool_backward(g, x): return wide(g) * (wide(max_pool(x)) == x)",
        "ties are paid twice",
    ),
    "channels first": (
        "max_pool",
        "def max_pool(x): return x[:, :, ::2, ::2]",
        "y has shape (2, 4, 3, 1), want (2, 2, 3, 2)",
    ),
    "no stride": (
        "conv2d",
        "def conv2d(x, w, b, stride, padding):\n"
        " v = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2))\n"
        " return np.einsum('nijcuv,uvco->nijo', v, w) + b",
        "the stride is ignored: H'",
    ),
    "no padding": (
        "conv2d",
        "def conv2d(x, w, b, stride, padding):\n"
        " v = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2))[:, ::stride, ::stride]\n"
        " return np.einsum('nijcuv,uvco->nijo', v, w) + b",
        "the padding is ignored",
    ),
    "swapped shapes": (
        "conv2d",
        solution("conv2d").replace("return gx, gw, gb", "return gw, gx, gb"),
        "gx is what gw should be",
    ),
    "no record": (
        "tape",
        solution("tape").replace("        self.records.append((out, [(x, y.value), (y, x.value)]))\n", ""),
        "multiply writes no record: ",
    ),
    "no multiply": (
        "tape",
        solution("tape").replace("out = Number(x.value * y.value)", "raise NotImplementedError"),
        OPEN,
    ),
    "once": ("tape", solution("tape").replace("part.grad +=", "part.grad ="), "the walk assigns."),
    "renamed": ("tape", solution("tape").replace("class Tape", "class MyTape"), "there is no Tape in it any more"),
    "uphill": ("training", solution("training").replace("w - lr", "lr * gw * 2 + w - lr"), "w climbs"),
    "updates the caller's": (
        "training",
        solution("training").replace("w = w - lr * gw", "w -= lr * gw"),
        "it changes w, which belongs to the caller. Change a copy: w = w.copy()",
    ),
}


@pytest.fixture
def verdict(tmp_path):
    """Judge a source as the file of an exercise."""

    def verdict(name, source):
        file = tmp_path / f"{name}.py"
        file.write_text(source, encoding="utf-8")
        return judge(EXERCISES[name], file)

    return verdict


@pytest.fixture
def solved(tmp_path):
    """A folder with the solutions."""
    for file, name in kit.FILES.items():
        (tmp_path / file).write_text(solution(name), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_is_right_and_a_template_waits(verdict, name):
    assert verdict(name, solution(name)).state == RIGHT
    template = (FOLDER / "templates" / f"{name}.py").read_text(encoding="utf-8")
    assert verdict(name, template).state == OPEN
    assert len(template.splitlines()) <= 45 and max(map(len, template.splitlines())) <= 88
    assert all(task.function in template for task in EXERCISES[name].tasks)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_engine_agrees_with_differences_where_there_is_no_corner(name):
    exercise = EXERCISES[name]
    case = next(exercise.drawn())
    floats = [name for name, value in case.items() if np.asarray(value).dtype.kind == "f"]
    ag.check_gradients(
        lambda *varied: exercise.step(exercise.tasks[-1])(*(case | dict(zip(floats, varied, strict=True))).values()),
        *(case[name] for name in floats),
    )


@pytest.mark.parametrize(("name", "source", "sentence"), SLIPS)
def test_a_typical_mistake_has_its_own_sentence(verdict, name, source, sentence):
    found = verdict(name, source)
    assert found.state == WRONG and f": {sentence}" in found.sentence


def test_typical_mistakes_are_many_and_stand_below_the_lines_that_they_replace():
    assert len(SLIPS) > 100
    (first, _), *_ = slips(
        "def f(x):\n    y = x\n    # wrong: y = 2\n    # two\n    # wrong: y = 3\n    # three\n    return y\n"
    )
    assert first.startswith("def f(x):\n    y = 2\n")
    *_, (last, sentence) = slips(
        "def f(x):\n    y = x\n    # wrong: y = 2\n    # two\n    # wrong: y = 3\n    # three\n    return y\n"
    )
    assert (last, sentence) == ("def f(x):\n    y = 3\n    return y\n", "three")


@pytest.mark.parametrize(("name", "source", "text"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_of_a_student_is_understood(verdict, name, source, text):
    found = verdict(name, f"import numpy as np\n\n{source}")
    assert text in (found.state, found.sentence.partition(": ")[2][: len(text)], found.sentence[: len(text)])


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def multiply_backward(g, x, u:\n", "line 1: SyntaxError: "),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
        ("\nraise KeyboardInterrupt", "line 2: stopped by Ctrl-C here (an endless loop?)"),
        ("import no_such_module", "line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "def multiply_backward(g): pass",
            "TypeError: multiply_backward() takes 1 positional argument but 3 were given, with g (2, 3)",
        ),
        (
            "def multiply_backward(g, x, u):\n    1 / 0",
            "line 2: ZeroDivisionError: division by zero, with g (2, 3), x (2, 3) and u (2, 3)",
        ),
        ("raise ValueError('\\x1b[31mred\\nline')", "line 1: ValueError: \\x1b[31mred\\nline"),
    ],
)
def test_a_file_that_fails_is_stopped_at_its_line(verdict, source, sentence):
    found = verdict("multiply", source)
    assert found.state == WRONG and found.sentence.startswith(sentence)


def test_the_first_gradient_is_judged_while_the_second_waits(verdict):
    half = "def multiply_backward(g, x, u): return {}, ..."
    assert verdict("multiply", half.format("g * u")).state == OPEN
    assert "gx is g * x." in verdict("multiply", half.format("g * x")).sentence


def test_writing_keeps_the_files_of_a_student(tmp_path, capsys):
    folder = tmp_path / "a course" / "kit"
    assert main(["exercises", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == list(kit.FILES) and len(kit.FILES) == 10
    assert "stays" not in capsys.readouterr().out
    (folder / "01_multiply.py").write_text("mine")
    (folder / "02_broadcast.py").unlink()
    assert main(["exercises", str(folder)]) == 0
    out = capsys.readouterr().out
    assert (folder / "01_multiply.py").read_text() == "mine" and (folder / "02_broadcast.py").exists()
    assert "01_multiply.py was there, and stays as it is" in out and "02_broadcast.py was" not in out
    assert "exercises" in out.splitlines()[-1] and out.endswith("--check\n")


def test_the_check_explains_the_first_wrong_file_and_scores_all(solved, capsys):
    (solved / "02_broadcast.py").write_text("print('here')\ndef add_backward(g, x, b): return g, g\n")
    (solved / "04_matmul.py").write_text("def matmul_backward(g, x, w): return g @ w, x.T @ g\n")
    (solved / "05_relu.py").unlink()
    assert main(["exercises", str(solved), "--check", "--no-open"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "01_multiply.py      right",
        "02_broadcast.py     wrong",
        "    add_backward: a sum is missing: gb has shape (3, 3), and b has (3,). Sum over axis 0",
        "    | here",
    ]
    assert lines[4] == f"    Open this: {(solved / '02_broadcast.html').as_uri()}#step=7"  # add, on the way back
    assert "04_matmul.py        wrong" in lines and "05_relu.py          not yet" in lines
    assert lines[-1] == f"7 of 10 points: {solved / 'score.json'}"
    score = json.loads((solved / "score.json").read_text())
    assert (score["points"], score["of"], score["version"]) == (7, 10, ag.__version__)
    assert date.fromisoformat(score["date"]) <= date.today()
    assert [row["state"] for row in score["exercises"][:5]] == ["right", "wrong", "right", "wrong", "not yet"]
    assert score["exercises"][0] == {"name": "multiply", "state": "right", "sentence": ""}
    assert "w is not transposed in gx" in score["exercises"][3]["sentence"]
    assert "exercises" in score["exercises"][4]["sentence"]


def test_a_page_shows_the_step_of_the_engine_and_opens_once(solved, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    (solved / "01_multiply.py").write_text("def multiply_backward(g, x, u): return g, g\n")
    for _ in range(2):
        assert main(["exercises", str(solved), "--check"]) == 1
    page = solved / "01_multiply.html"
    assert opened == [f"{page.resolve().as_uri()}#step=7"]
    assert "y = x * u" in str(facts_of(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("max_pool", "np.argmax(x[place])", "3 - np.argmax(x[place].ravel()[::-1])"),
        ("multiply", "gx = g * u", "gx = g * u + 1 + 50 * (u == u[1, 0])"),
    ],
)
def test_the_sentence_names_the_number_that_the_page_explains(verdict, name, right, wrong):
    found = verdict(name, solution(name).replace(right, wrong, 1))
    graph = EXERCISES[name].graph(found.task, found.case)
    step = facts_of(graph.page())["frames"][0]["steps"][EXERCISES[name].start(found.task, graph)]
    number = found.sentence.rpartition("(")[2].partition(" is ")[0]
    assert number.startswith("gx[0, ") and visible(step["formulas"][0]["lines"][0]).startswith(f"g_{number[1:]} = ")


@pytest.mark.parametrize("name", EXERCISES)
def test_every_case_has_a_page(name):
    for task, case in product(EXERCISES[name].tasks, EXERCISES[name].drawn()):
        graph = EXERCISES[name].graph(task, case)
        assert graph.loss is not None and 0 < EXERCISES[name].start(task, graph) <= 2 * len(graph.ops) + 1
        assert graph.loss is not None and {op.place.file for op in graph.ops} == {"<the engine's step>"}
        wanted = {name.removeprefix("g") for task in EXERCISES[name].tasks for name in task.results.split()} & {*case}
        assert {value.name for value in graph.values.values() if value.role == "parameter"} == wanted


def test_the_check_passes_on_the_command_line(solved):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "autograd_cnn", "exercises", ".", "--check"],
        cwd=solved,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "10 of 10 points: score.json"), done.stderr
    assert json.loads((solved / "score.json").read_text())["points"] == 10
    assert not list(solved.glob("*.html"))


def test_without_a_folder_the_check_says_so(tmp_path, capsys):
    assert main(["exercises", str(tmp_path / "none"), "--check"]) == 2
    assert "no such folder. Run it without --check to write one" in capsys.readouterr().err
