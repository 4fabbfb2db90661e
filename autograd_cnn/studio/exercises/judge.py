"""Compares a student's file with the engine, and says in a sentence what is wrong with it.

An answer is right if it agrees with the engine in every case. A wrong one is compared with wrong answers that are
known: those that the solution lists below its lines, and those that any task can have, such as a missing sum or a wrong
sign. Beside the engine's number stands that of differences, which needs no rule to be believed.
"""

from __future__ import annotations

import ast
import inspect
import io
import linecache
import re
import runpy
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np

import autograd_cnn as ag
from autograd_cnn.environment import plain
from autograd_cnn.studio.exercises import steps
from autograd_cnn.studio.text import listed

RIGHT, WRONG, OPEN = "right", "wrong", "not yet"
STEP = 1e-6  # of differences
CURE = ". Before exp, subtract the largest of each row, and never take the log of p"
SLIP = re.compile(r"^ *# wrong: (.+)\n *# (.+)\n", re.M)  # the wrong line, and the sentence
Case = dict[str, Any]  # the arguments of a call, by name
Arrays = dict[str, np.ndarray]  # results, by name


class Task(NamedTuple):
    """A function that students write.

    A result `gx` is the gradient of the exercise's loss with respect to its argument `x`. The other results, which come
    first, are those of `forward`, which has no argument `g`.
    """

    function: str
    results: str
    forward: Callable[..., Any] | None = None
    call: Callable[..., Any] | None = None  # takes the student's names, then the arguments, in place of the function

    def given(self, case: Case) -> Case:
        """Return the arguments of the function."""
        return {name: deepcopy(value) for name, value in case.items() if name != "g" or not self.forward}

    def answer(self, names: dict[str, Any], given: Case) -> list[np.ndarray]:
        """Return what the function in a student's names returns, as arrays."""
        answer = self.call(names, *given.values()) if self.call else names[self.function](*given.values())
        several = " " in self.results and isinstance(answer, (tuple, list))
        return [np.asarray(part) for part in (answer if several else [answer])]


class Exercise(NamedTuple):
    """A file of the kit: the cases, and what students write. In a case, a tuple is the shape of an array to draw."""

    name: str
    cases: list[Case]
    tasks: list[Task]

    def step(self, task: Task) -> Callable[..., Any]:
        """Return the engine's step, which ends in a loss."""
        return task.forward if task.forward and task.call else getattr(steps, self.name)

    def drawn(self) -> Iterator[Case]:
        """Yield the cases with the same numbers each time, of two digits."""
        rng = np.random.default_rng(0)
        for case in self.cases:
            yield {n: np.array(rng.normal(size=v).round(2)) if isinstance(v, tuple) else v for n, v in case.items()}

    def right(self, task: Task, case: Case) -> Arrays:
        """Return the engine's results."""
        names = task.results.split()
        values = task.forward(*task.given(case).values()) if task.forward else ()
        places = tuple(list(case).index(name[1:]) for name in names if name[1:] in case)
        gradients = ag.grad(self.step(task), places)(*case.values()) if places else ()
        found = (*(values if isinstance(values, tuple) else [values]), *gradients)
        return dict(zip(names, map(np.asarray, found), strict=True))

    def difference(self, task: Task, case: Case, name: str, index: tuple[int, ...]) -> float:
        """Return the slope of the loss at a number of an argument, by central differences."""
        up, down = (case | {name: np.array(case[name])} for _ in range(2))
        up[name][index] += STEP
        down[name][index] -= STEP
        return float(self.step(task)(*up.values()) - self.step(task)(*down.values())) / (2 * STEP)

    def start(self, task: Task, graph: Any) -> int:
        """Return the step at which the page of a task opens: the first operation, or for gradients the way back to it.

        The operation is the one that returns `y`, or without one the last one: the way back begins there.
        """
        outputs = [graph.values[op.output].name for op in graph.ops]
        first, last = outputs.index("y") if "y" in outputs else len(outputs) - 1, 2 * len(outputs) + 1
        return last - first if task.results[-3:].strip().startswith("g") else 1

    def graph(self, task: Task, case: Case) -> Any:
        """Trace the step of the engine as if it stood in a file of its own, whose lines the page shows."""
        source, file = inspect.getsource(step := self.step(task)), "<the engine's step>"
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
        names: dict[str, Any] = {"np": np, "ag": ag}
        exec(compile(source, file, "exec"), names)
        results = " ".join(each.results for each in self.tasks).split()
        wanted = [name for name in case if name in results or f"g{name}" in results]
        leaves = {name: ag.Tensor(case[name], requires_grad=True, name=name) for name in wanted}
        return ag.trace(names[step.__name__], *(case | leaves).values())


class Verdict(NamedTuple):
    """The sentence on a student's file, its output, and the case and the task in which it is wrong."""

    state: str
    sentence: str = ""
    printed: str = ""
    case: Case | None = None
    task: Task | None = None


class Stopped(Exception):
    """The code of a student raised the error that is the argument of this one."""


@contextmanager
def _running(out: io.StringIO) -> Iterator[None]:
    """Run the code of a student: it may print, warn, end itself, raise anything, and be stopped by Ctrl-C."""
    try:
        with redirect_stdout(out), redirect_stderr(out), catch_warnings():
            simplefilter("ignore")
            yield
    except BaseException as error:
        raise Stopped(error) from error


@np.errstate(all="ignore")
def judge(exercise: Exercise, file: Path) -> Verdict:
    """Run a student's file in all cases of an exercise, up to the first one in which an answer is wrong."""
    out, task, case = io.StringIO(), exercise.tasks[0], None
    if _imports_the_engine(file):
        return Verdict(WRONG, "it imports autograd_cnn. Write the steps yourself, in plain NumPy")
    try:
        with _running(out):
            names = runpy.run_path(str(file))
        for task, case in product(exercise.tasks, exercise.drawn()):
            if task.function not in names:
                return Verdict(WRONG, f"there is no {task.function} in it any more", out.getvalue())
            given = task.given(case)
            with _running(out):
                answer = task.answer(names, given)
            if says := _complaint(exercise, task, case, given, answer):
                return Verdict(WRONG, f"{task.function}: {says}", out.getvalue(), case, task)
    except Stopped as stop:
        if isinstance(error := stop.args[0], NotImplementedError):
            return Verdict(OPEN, f"{task.function} waits for your lines", out.getvalue())
        return Verdict(WRONG, _raised(error, file, case and task.given(case)), out.getvalue(), case, task)
    return Verdict(RIGHT, "", out.getvalue())


def solution(name: str) -> str:
    """Return the source of the solution of an exercise."""
    return (Path(__file__).parent / "solutions" / f"{name}.py").read_text(encoding="utf-8")


def slips(source: str) -> Iterator[tuple[str, str]]:
    """Yield the source of a solution with one of its wrong lines in place of the right one, and the sentence of it."""
    for found in SLIP.finditer(source):
        before = SLIP.sub("", source[: found.start()]).removesuffix("\n")
        start = before.rindex("\n") + 1
        indent = before[start:].partition(before[start:].lstrip())[0]
        yield f"{before[:start]}{indent}{found[1]}\n{source[found.end() :]}", found[2]


def _imports_the_engine(file: Path) -> bool:
    names: list[str] = []
    with suppress(SyntaxError, ValueError):  # which running the file raises again
        for node in ast.walk(ast.parse(file.read_bytes())):
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(name.partition(".")[0] == "autograd_cnn" for name in names)


def _raised(error: BaseException, file: Path, given: Case | None) -> str:
    """Return the line of the file that raised an error, and its message."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    text = plain(f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".removesuffix(": "))
    what = "stopped by Ctrl-C here (an endless loop?)" if isinstance(error, KeyboardInterrupt) else text
    return f"{f'line {line}: ' if line else ''}{what}{f', with {_shapes(given)}' if given else ''}"


def _shapes(case: Case) -> str:
    return listed([f"{name} {np.shape(v)}" if np.ndim(v) else f"{name} = {v:.4g}" for name, v in case.items()])


def _complaint(exercise: Exercise, task: Task, case: Case, given: Case, answer: list[np.ndarray]) -> str:
    """Return what is wrong with the answer in a case, or ""."""
    names = task.results.split()
    for name, value in task.given(case).items():
        if not np.array_equal(value, given[name]):
            return f"it changes {name}, which belongs to the caller. Change a copy: {name} = {name}.copy()"
    parts = [part.item() if part.dtype == object and part.ndim == 0 else part for part in answer]
    if len(parts) == 1 and parts[0] is None:
        return "it returns None. Is a return missing at its end?"
    if len(parts) != len(names):
        return f"want {len(names)} results: return {', '.join(names)}. It returns {len(parts)} of them"
    right = exercise.right(task, case)
    for name, got, part in zip(names, answer, parts, strict=True):
        if part is Ellipsis:
            raise Stopped(NotImplementedError())
        if got.dtype.kind not in "biuf":
            return f"{name} is {plain(str(got)):.40}, want numbers"
        if not same(got, right[name]):
            what = _diagnosis(exercise, task, case, name, dict(zip(names, answer, strict=True)), right)
            return what + _numbers(exercise, task, case, name, got, right[name])
    return ""


def same(a: Any, b: Any) -> bool:
    """Return whether arrays have the same shape and, up to rounding, the same numbers."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-8)


def _diagnosis(exercise: Exercise, task: Task, case: Case, name: str, answer: Arrays, right: Arrays) -> str:
    """Return what is wrong with a result."""
    got, want = answer[name], right[name]
    finite = np.isfinite(got).all()
    for source, sentence in slips(solution(exercise.name)) if finite else ():
        names: dict[str, Any] = {}
        exec(source, names)
        with suppress(TypeError, ValueError):  # these shapes do not permit the mistake
            if same(got, task.answer(names, task.given(case))[list(right).index(name)]):
                return sentence
    swapped = [other for other in right if other != name and same(got, right[other]) and same(want, answer[other])]
    if swapped:
        return f"{name} is what {listed(swapped)} should be: they are swapped"
    if got.shape != want.shape:
        return _of_shape(task.given(case), name, got, want)
    ones = exercise.right(task, case | {"g": np.ones_like(case["g"])}) if "g" in task.given(case) else {}
    times = _factor(got, want)
    guesses = [
        (not finite, f"has nan or inf: not stable. exp of over 709 is inf, log of 0 is -inf, 0 / 0 is nan{CURE}"),
        (got.dtype.kind == "b", "is True and False, want numbers"),
        (ones and same(got, ones[name]), "has no factor g: multiply the slope by the incoming gradient"),
        (abs(times + 1) < 1e-4, "has the wrong sign"),
        (times < 0, f"has the wrong sign, and is {-times:.4g} times as large as it should be"),
        (abs(times) > 1, f"is {times:.4g} times what it should be. Is it counted twice, or is a division missing?"),
        (times, f"is 1/{1 / (times or 1):.4g} of what it should be. A mean in place of a sum, or a factor too few?"),
        (got.ndim == 2 and same(got, want.T), "is transposed"),
        (got.dtype.kind in "iu", f"is {got.dtype}, which has no decimals. Begin with np.zeros(shape)"),
    ]
    good = np.isclose(got, want, rtol=1e-4, atol=1e-8).sum()
    places = f"is right at {good} of {want.size} places" if good else "has other numbers"
    return f"{name} {next((guess for holds, guess in guesses if holds), places)}"


def _factor(got: np.ndarray, want: np.ndarray) -> float:
    """Return the factor by which all numbers are wrong, or 0; that of a single number has to be n or 1 / n."""
    k = np.argmax(np.abs(want))
    factor = float(got.flat[k] / want.flat[k]) if got.shape == want.shape and want.any() else 0
    if not factor or not same(got, factor * want):
        return 0
    return factor if want.size > 1 or np.isclose([factor, 1 / factor], np.round([factor, 1 / factor])).any() else 0


def _of_shape(given: Case, name: str, got: np.ndarray, want: np.ndarray) -> str:
    """Return what is wrong with a shape."""
    owner = name[1:] if name[1:] in given else ""
    what = f"{name} has shape {got.shape}, {f'and {owner} has' if owner else 'want'} {want.shape}"
    if got.size == want.size and same(got.reshape(want.shape), want):
        cure = "keepdims=True too much" if got.ndim > want.ndim else "keepdims=True or a reshape missing"
        return f"{what}. The numbers are right: is {cure}?"
    if name == "losses" and got.ndim == 1:
        return f"want one loss for each step, before its update: {want.size}, you have {got.size}"
    if axes := _spread(want.shape, got.shape):
        return f"a sum is missing: {what}. Sum over {axes}"
    if owner and (axes := _spread(want.shape, np.shape(given.get("g", 0)))):
        return f"{what}. It was spread over {axes} of y: sum g over that, and nothing else"
    if got.shape == want.shape[::-1]:
        return f"{what}: it is transposed"
    return f"{what}{'. A sum too many?' if _spread(got.shape, want.shape) else f', with {_shapes(given)}'}"


def _spread(small: tuple[int, ...], large: tuple[int, ...]) -> str:
    """Return the axes over which NumPy spreads an array of a shape to get a larger one; "" if it does not."""
    ahead = len(large) - len(small)
    if ahead < 0 or any(n not in (1, m) for n, m in zip(small, large[ahead:], strict=True)):
        return ""
    axes = [str(i) for i, m in enumerate(large) if i < ahead or small[i - ahead] != m]
    return f"ax{'es' if axes[1:] else 'is'} {listed(axes)}" if axes else ""


def _numbers(exercise: Exercise, task: Task, case: Case, name: str, got: np.ndarray, want: np.ndarray) -> str:
    """Return a wrong number beside those of the engine and of differences; "" for another shape.

    It is the largest one, of the first image if possible, because the page explains the largest that it draws.
    """
    if got.shape != want.shape:
        return ""
    off = np.abs(np.nan_to_num(got.astype(float), nan=np.inf) - want)
    size = np.where(np.isclose(got, want, rtol=1e-4, atol=1e-8), 0, np.abs(want) + STEP * off)
    size = size[:1] if want.ndim == 4 and name != "gw" and size[:1].any() else size
    index = tuple(int(i) for i in np.unravel_index(np.argmax(size), size.shape))
    who = "the engine says"
    if name[1:] in case:
        slope = exercise.difference(task, case, name[1:], index)
        if abs(slope - want[index]) < 1e-4 * (1 + abs(slope)):  # else it is a kink
            who = "differences and the engine say"
    return f" ({name}{list(index) if index else ''} is {got[index] + 0.0:.4g}; {who} {want[index]:.4g})"
