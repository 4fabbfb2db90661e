"""Compares a student's file with the engine, and says in a sentence what is wrong with it.

An answer is right if it agrees with the engine in every case. A wrong one is compared with wrong answers that are
known: those that the solution lists below its lines, and those that any task can have, such as a missing sum or a wrong
sign. Beside the engine's number stands that of differences, which needs no rule to be believed.
"""

from __future__ import annotations

import inspect
import io
import linecache
import re
import runpy
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np

import autograd_cnn as ag
from autograd_cnn.environment import plain
from autograd_cnn.studio.text import listed

RIGHT, WRONG, OPEN = "right", "wrong", "not yet"
STEP = 1e-6  # of differences
SLIP = re.compile(r"^( *)# wrong: (.+)\n *# (.+)\n", re.M)  # the wrong line, and the sentence
Case = dict[str, Any]  # the arguments of a call, by name


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

    def answer(self, names: dict[str, Any], given: Case) -> Any:
        """Return what the function in a student's names returns."""
        return self.call(names, *given.values()) if self.call else names[self.function](*given.values())


class Exercise(NamedTuple):
    """A file of the kit: the step of the engine, which is a function with a loss, the cases, and what students write.

    Where a case has a tuple, an array of that shape is drawn.
    """

    loss: Callable[..., Any]
    cases: list[Case]
    tasks: list[Task]

    def drawn(self) -> Iterator[Case]:
        """Yield the cases with the same numbers each time, of two digits."""
        rng = np.random.default_rng(0)
        for case in self.cases:
            yield {n: np.array(rng.normal(size=v).round(2)) if isinstance(v, tuple) else v for n, v in case.items()}

    def right(self, task: Task, case: Case) -> dict[str, np.ndarray]:
        """Return the engine's results."""
        names = task.results.split()
        values = task.forward(*task.given(case).values()) if task.forward else ()
        places = tuple(list(case).index(name[1:]) for name in names if name[1:] in case)
        gradients = ag.grad(self.loss, places)(*case.values()) if places else ()
        found = (*(values if isinstance(values, tuple) else [values]), *gradients)
        return dict(zip(names, map(np.asarray, found), strict=True))

    def difference(self, case: Case, name: str, index: tuple[int, ...]) -> float:
        """Return the slope of the loss at a number of an argument, by central differences."""
        up, down = (case | {name: np.array(case[name])} for _ in range(2))
        up[name][index] += STEP
        down[name][index] -= STEP
        return float(self.loss(*up.values()) - self.loss(*down.values())) / (2 * STEP)

    def graph(self, case: Case) -> Any:
        """Trace the step of the engine as if it stood in a file of its own, whose lines the page shows."""
        source, file = inspect.getsource(self.loss), "the_engine.py"
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
        names: dict[str, Any] = {"np": np, "ag": ag}
        exec(compile(source, file, "exec"), names)
        results = " ".join(task.results for task in self.tasks).split()
        wanted = [name for name in case if name in results or f"g{name}" in results]
        leaves = {name: ag.Tensor(case[name], requires_grad=True, name=name) for name in wanted}
        return ag.trace(names[self.loss.__name__], *(case | leaves).values())


class Verdict(NamedTuple):
    """What is said of a student's file, what it printed, and the case in which it is wrong."""

    state: str
    sentence: str = ""
    printed: str = ""
    case: Case | None = None


def judge(name: str, exercise: Exercise, file: Path) -> Verdict:
    """Run a student's file in all cases of an exercise, up to the first one in which an answer is wrong."""
    out, task, case = io.StringIO(), exercise.tasks[0], None
    try:
        with redirect_stdout(out), redirect_stderr(out), catch_warnings(), np.errstate(all="ignore"):
            simplefilter("ignore")
            names = runpy.run_path(str(file))
            for task, case in product(exercise.tasks, exercise.drawn()):
                if says := _complaint(name, exercise, task, case, names):
                    return Verdict(WRONG, f"{task.function}: {says}", out.getvalue(), case)
    except NotImplementedError:
        return Verdict(OPEN, f"{task.function} waits for your lines", out.getvalue())
    except BaseException as error:  # of any kind: a student's file may end itself, or be stopped by Ctrl-C
        return Verdict(WRONG, _raised(error, file, case and task.given(case)), out.getvalue(), case)
    return Verdict(RIGHT, "", out.getvalue())


def solution(name: str) -> str:
    """Return the source of the solution of an exercise."""
    return (Path(__file__).parent / "solutions" / f"{name}.py").read_text(encoding="utf-8")


def slips(source: str) -> Iterator[tuple[str, str]]:
    """Yield the source of a solution with one of its wrong lines in place of the right one, and the sentence of it."""
    for found in SLIP.finditer(source):
        before = SLIP.sub("", source[: found.start()]).removesuffix("\n")
        yield f"{before[: before.rindex(chr(10))]}\n{found[1]}{found[2]}\n{source[found.end() :]}", found[3]


def _raised(error: BaseException, file: Path, given: Case | None) -> str:
    """Return the line of the file that raised an error, and its message."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    text = plain(f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".removesuffix(": "))
    what = "stopped by Ctrl-C here. Does this loop end?" if isinstance(error, KeyboardInterrupt) else text
    return f"{f'line {line}: ' if line else ''}{what}{f', with {_shapes(given)}' if given else ''}"


def _shapes(case: Case) -> str:
    return listed([f"{name} {np.shape(v)}" if np.ndim(v) else f"{name} = {v:.4g}" for name, v in case.items()])


def _complaint(name: str, exercise: Exercise, task: Task, case: Case, names: dict[str, Any]) -> str:
    """Return what is wrong with the answer in a case, or ""."""
    if task.function not in names:
        return "there is no such name in it any more"
    given, results = task.given(case), task.results.split()
    answer = task.answer(names, given)
    parts = answer if len(results) > 1 and isinstance(answer, (tuple, list)) else (answer,)
    for argument, value in given.items():
        if not np.array_equal(value, case[argument]):
            return f"it changes {argument}, which belongs to the caller. Change a copy: {argument} = {argument}.copy()"
    if answer is None:
        return "it returns None. Is a return missing at its end?"
    if len(parts) != len(results):
        return f"it returns {_kind(answer)}, want {len(results)} results: return {', '.join(results)}"
    right = exercise.right(task, case)
    for result, part in zip(results, parts, strict=True):
        if part is Ellipsis:
            raise NotImplementedError
        got = np.asarray(part)
        if got.dtype.kind not in "biuf":
            return f"{result} is {_kind(part)}, want an array of numbers"
        if not same(got, right[result]):
            what = _diagnosis(name, exercise, task, case, result, got, right)
            return what + _numbers(exercise, case, result, got, right[result])
    return ""


def _kind(value: Any) -> str:
    return type(value).__name__ if np.ndim(value) == 0 else f"one array of shape {np.shape(value)}"


def same(a: Any, b: Any) -> bool:
    """Return whether arrays have the same shape and, up to rounding, the same numbers."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-8)


def _diagnosis(
    name: str, exercise: Exercise, task: Task, case: Case, result: str, got: np.ndarray, right: dict[str, np.ndarray]
) -> str:
    """Return the name of the mistake in a result."""
    want, place = right[result], list(right).index(result)
    finite = np.isfinite(got).all()
    for source, sentence in slips(solution(name)) if finite else ():
        names: dict[str, Any] = {}
        exec(source, names)
        try:
            answer = task.answer(names, task.given(case))
        except (TypeError, ValueError):  # these shapes do not permit the mistake
            continue
        if same(got, answer[place] if len(right) > 1 else answer):
            return sentence
    if got.shape != want.shape:
        return _of_shape(task.given(case), result, got, want)
    ones = exercise.right(task, case | {"g": np.ones_like(case["g"])}) if "g" in task.given(case) else {}
    swapped = [other for other in right if other != result and same(got, right[other])]
    k = np.argmax(np.abs(want))
    ratio = float(got.flat[k] / want.flat[k]) if want.any() and finite else 0
    times = ratio if same(got, ratio * want) else 0
    count = np.isclose(got, want, rtol=1e-4, atol=1e-8).sum()
    guesses = [
        (not finite, "has nan or inf: not stable. exp of more than 709 is inf, and log of 0 is -inf"),
        (got.dtype.kind == "b", "is True and False, want numbers"),
        (swapped, f"is what {' and '.join(swapped)} should be. Are they swapped?"),
        (ones and same(got, ones[result]), "has no factor g: multiply the slope by the incoming gradient"),
        (abs(times + 1) < 1e-4, "has the wrong sign"),
        (abs(times) > 1, f"is {times:.4g} times what it should be. Is it counted twice, or is a division missing?"),
        (times, f"is 1/{1 / (times or 1):.4g} of what it should be. A mean in place of a sum, or a factor too few?"),
        (got.ndim == 2 and same(got, want.T), "is transposed"),
        (got.dtype.kind in "iu", f"is {got.dtype}, which has no decimals. Begin with np.zeros(shape)"),
        (count, f"is right at {count} of {want.size} places"),
        (True, "has other numbers"),
    ]
    return f"{result} {next(guess for holds, guess in guesses if holds)}"


def _of_shape(given: Case, result: str, got: np.ndarray, want: np.ndarray) -> str:
    """Return what is wrong with a shape."""
    belongs = f"and {result[1:]} has" if result[1:] in given else "want"
    what = f"{result} has shape {got.shape}, {belongs} {want.shape}"
    if got.size == want.size and same(got.reshape(want.shape), want):
        return f"{what}. The numbers are right: is keepdims=True or a reshape missing?"
    if got.shape == want.shape[::-1]:
        return f"{what}: it is transposed"
    ahead = max(0, got.ndim - want.ndim)
    padded = (1,) * ahead + want.shape
    if len(padded) == got.ndim and all(n in (1, m) for n, m in zip(padded, got.shape, strict=True)):
        axes = [str(i) for i, n in enumerate(padded) if i < ahead or n != got.shape[i]]
        return f"a sum is missing: {what}. Sum over ax{'es' if axes[1:] else 'is'} {listed(axes)}"
    return f"{what}, with {_shapes(given)}"


def _numbers(exercise: Exercise, case: Case, result: str, got: np.ndarray, want: np.ndarray) -> str:
    """Return the number that is most wrong, beside those of the engine and of differences; "" for another shape."""
    if got.shape != want.shape:
        return ""
    off = np.abs(np.nan_to_num(got.astype(float), nan=np.inf) - want)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(off), want.shape))
    who = "the engine says"
    if result[1:] in case:
        slope = exercise.difference(case, result[1:], index)
        if abs(slope - want[index]) < 1e-4 * (1 + abs(slope)):  # else it is a kink
            who = "differences and the engine say"
    return f" ({result}{list(index) if index else ''} is {got[index] + 0.0:.4g}; {who} {want[index]:.4g})"
