"""Measures all claims about speed and memory, against PyTorch, MyGrad and HIPS autograd if they are installed.

    python tests/benchmarks/compare.py [--runs 3] [--kernels numpy,numba] [--json FILE] [--chart FILE]
    python tests/benchmarks/compare.py --quick --only chain pooling

No absolute time passes or fails: machines are shared and drift, so workloads to compare take turns, A, B, A, B, ...,
and their ratio counts. Every measurement has its own process (`measure.py`), where each workload (`works.py`) must give
PyTorch's gradients before it is timed. A ratio is the median over all rounds, relative to the fastest of PyTorch's
layouts. The exit code is 1 only if a measurement fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from works import CONTESTS, LAYERS, LAYOUTS, OURS

Figures = dict[str, list[float]]

PROCESSES = 3  # for each workload that runs alone: one may be unlucky with its memory
THREADS = int(
    os.environ.get("AUTOGRAD_CNN_NUM_THREADS")
    or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
)
VARIABLES = (
    "AUTOGRAD_CNN_NUM_THREADS OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS VECLIB_MAXIMUM_THREADS".split()
)


@dataclass
class Bench:
    """Measurements with one set of kernels.

    Parameters
    ----------
    kernels : str
        As in AUTOGRAD_CNN_KERNELS; "" is the default.
    rounds : int
    processes : int
        For workloads that run alone.
    """

    kernels: str
    rounds: int
    processes: int

    def __post_init__(self) -> None:
        self.found: dict[tuple[str, str], Figures] = {}  # several rows may come from one measurement

    def figures(self, kind: str, contest: str) -> Figures:
        """The result of the method `kind`, measured once."""
        if (kind, contest) not in self.found:
            self.found[kind, contest] = getattr(self, kind)(contest)
        return self.found[kind, contest]

    def child(self, *arguments: object, threads: int = THREADS) -> Any:
        """Run `measure.py` and return its result; if it fails, raise RuntimeError with its last line."""
        command = [sys.executable, str(Path(__file__).with_name("measure.py")), *map(str, arguments)]
        environment = {**os.environ, "AUTOGRAD_CNN_KERNELS": self.kernels, **dict.fromkeys(VARIABLES, str(threads))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
        return json.loads(done.stdout)

    def race(self, contest: str) -> Figures:
        """All workloads of a contest in one process, in turn."""
        found: Figures = self.child("race", contest, self.rounds)
        return found

    def alone(self, contest: str, threads: tuple[int, ...] = (THREADS,)) -> Figures:
        """Each workload of a contest in its own processes, which take turns; names have the threads if these vary."""
        figures: Figures = {}
        for _ in range(self.processes):
            for name in CONTESTS[contest]:
                for n in threads:
                    label = name if len(threads) == 1 else f"{name}, {_threads(n)}"
                    rounds = -(-self.rounds // self.processes)
                    times = self.child("race", contest, rounds, name, threads=n).get(name, [])
                    figures.setdefault(label, []).extend(times)
        return {name: times for name, times in figures.items() if times}

    def scaling(self, contest: str) -> Figures:
        """Each workload alone, on one thread and on all."""
        return self.alone(contest, (1, THREADS))

    def memory(self, contest: str) -> Figures:
        """MB that each workload needs, in a new process each time."""
        found = {
            name: [size for _ in range(self.processes) for size in self.child("memory", contest, name)]
            for name in CONTESTS[contest]
        }
        return {name: sizes for name, sizes in found.items() if sizes}

    def start(self, _: str) -> Figures:
        """Seconds that our import and PyTorch's take after that of NumPy, and our limit."""
        ours, theirs = (self.child("start", module, min(self.rounds, 7)) for module in ("autograd_cnn", "torch"))
        return {OURS: ours, "100 ms": [0.1] * len(ours), **({"PyTorch": theirs} if theirs else {})}


@dataclass(frozen=True)
class Row:
    """One ratio of the table: the slowest name that begins with `ours` over the fastest that begins with `over`.

    Parameters
    ----------
    group, title : str
    kind : {"race", "alone", "scaling", "memory", "start"}
    contest : str
        Of `works.CONTESTS`.
    targets : pair of float or None
        With compiled kernels, and with NumPy only; None reports the ratio without a target.
    unit : {"s", "MB"}
    at_least : bool
        Whether more is better.
    """

    group: str
    title: str
    kind: str
    contest: str
    targets: tuple[float | None, float | None] = (None, None)
    ours: str = OURS
    over: str = "PyTorch"
    unit: str = "s"
    at_least: bool = False

    def result(self, bench: Bench) -> dict[str, Any]:
        """Measure, and return the entry of this row and run in the JSON file."""
        figures = {
            name: values
            for name, values in bench.figures(self.kind, self.contest).items()
            if name.startswith((self.ours, self.over))
        }
        mine = [name for name in figures if name.startswith(self.ours)]
        theirs = [name for name in figures if name.startswith(self.over)]
        found: dict[str, Any] = {
            "rounds": min(map(len, figures.values()), default=0),
            "figures": {name: {"median": median(x), "least": min(x)} for name, x in figures.items()},
        }
        if not theirs:
            return {**found, "note": f"{self.over} is not installed"}
        worst, best = max(mine, key=lambda name: median(figures[name])), min(theirs, key=lambda n: median(figures[n]))
        ratios = [a / b for a, b in zip(figures[worst], figures[best], strict=True)]
        return {**found, "ours": worst, "over": best, "ratio": median(ratios)}


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


STANDARD, ORIGINAL, LAYER, MEMORY, CHAIN = (0.75, 1.1), (0.7, 0.95), (1.0, 1.5), (0.8, 1.0), (0.25, 0.25)
ROWS = [
    Row("Training step", "standard CNN, in turn", "race", "standard step", STANDARD),
    Row("Training step", "standard CNN, each alone", "alone", "standard step", STANDARD),
    Row("Training step", "original CNN, in turn", "race", "original step", ORIGINAL),
    Row("Training step", "original CNN, each alone", "alone", "original step", ORIGINAL),
    *(Row("Inference", f"standard CNN, batch {n}", "race", f"inference {n}", (0.8, None)) for n in (1, 100, 1000)),
    *(Row("Layer, forward + backward", name, "race", name, LAYER) for name in LAYERS),
    Row("Layer, forward + backward", "Adam, update of 1 M parameters", "race", "Adam, 1 M parameters", LAYER),
    Row("Engine, one operation", "PyTorch", "race", "chain", (0.7, 0.7)),
    Row("Engine, one operation", "MyGrad", "race", "chain", CHAIN, over="MyGrad"),
    Row("Engine, one operation", "HIPS autograd", "race", "chain", CHAIN, over="HIPS"),
    Row("Growth of memory", "standard CNN, batch 100", "memory", "memory standard 100", MEMORY, unit="MB"),
    Row("Growth of memory", "standard CNN, batch 500", "memory", "memory standard 500", MEMORY, unit="MB"),
    Row("Growth of memory", "original CNN, batch 100", "memory", "memory original 100", MEMORY, unit="MB"),
    Row("Own limits", "standard step / its products at sgemm speed", "race", "limit", (1.7, 2.6), over="sgemm"),
    Row("Own limits", "standard step / its products alone", "race", "limit", over="products"),
    Row("Own limits", "operation of a chain / NumPy, forward only", "race", "chain", over="NumPy"),
    Row("Own limits", "time an image, slowest / fastest batch size", "race", "batches", (1.15, 1.15), "batch", "batch"),
    *(
        Row("Own limits", f"{name}, 1 thread / {THREADS}", "scaling", "standard step", targets,
            f"{name}, 1 ", f"{name}, {THREADS} ", at_least=True)
        for name, targets in ((OURS, (1.7, 1.7)), *((name, (None, None)) for name in LAYOUTS))
        if THREADS > 1
    ),
    Row("Own limits", "import beyond NumPy's / 100 ms", "start", "", (1.0, 1.0), over="100 ms"),
    Row("Own limits", "import beyond NumPy's / PyTorch's", "start", ""),
]  # fmt: skip


def merged(row: Row, kernels: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of the JSON file: medians over the runs, and the least times of all runs."""
    measured = [r for r in results if "ratio" in r]
    found: dict[str, Any] = {"group": row.group, "title": row.title, "kernels": kernels, "unit": row.unit}
    if not measured:
        return {**found, **results[0]}
    ratios = [r["ratio"] for r in measured]
    ratio, target = median(ratios), row.targets[kernels == "numpy"]
    names = measured[0]["figures"]
    return {
        **found,
        "ratio": ratio,
        "ratios": ratios,
        "target": target,
        "at_least": row.at_least,
        "met": None if target is None else ratio >= target if row.at_least else ratio <= target,
        "rounds": sum(r["rounds"] for r in measured),
        "ours": measured[0]["ours"],
        "over": measured[0]["over"],
        "figures": {
            name: {
                "median": median(r["figures"][name]["median"] for r in measured),
                "least": min(r["figures"][name]["least"] for r in measured),
            }
            for name in names
        },
    }


def with_unit(value: float, unit: str) -> str:
    """Format a size or a time with three digits.

    Examples
    --------
    >>> with_unit(0.04567, "s"), with_unit(4.5e-6, "s"), with_unit(166, "MB")
    ('45.7 ms', '4.50 us', '166 MB')
    """
    if unit == "s":
        scale, unit = next((x for x in ((1, "s"), (1e3, "ms")) if value * x[0] >= 1), (1e6, "us"))
        value *= scale
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"


def line_of(row: dict[str, Any]) -> str:
    """A line of the table: ratio, target, and all medians, with the least times in brackets."""
    title = f"{row['group']}: {row['title']}"
    if "ratio" not in row:
        return f"{title:64} not measured: {row['note']}"
    target, sign = row["target"], ">" if row["at_least"] else "<"
    goal = f"{sign} {target:4.2f} {'met' if row['met'] else 'missed'}" if target is not None else ""
    each = (
        f"{name} {with_unit(f['median'], row['unit'])} ({with_unit(f['least'], row['unit'])})"
        for name, f in row["figures"].items()
    )
    return f"{title:64}{row['ratio']:7.2f}  {goal:14} {', '.join(each)}"


def main() -> int:
    """Measure, print, write; return 1 if a measurement failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds that count in each measurement")
    parser.add_argument("--runs", type=int, default=1, help="of the whole table; the medians of their ratios count")
    parser.add_argument(
        "--kernels", default=os.environ.get("AUTOGRAD_CNN_KERNELS", ""), help="numpy, numba, or both: numpy,numba"
    )
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose group or title has one of these words")
    parser.add_argument("--quick", action="store_true", help="two rounds in one process, to see whether it runs")
    parser.add_argument("--json", type=Path, help="write the table there")
    parser.add_argument("--chart", type=Path, help="draw it there, as .png and .svg")
    options = parser.parse_args()
    rounds, processes = (2, 1) if options.quick else (options.rounds, PROCESSES)
    rows = [r for r in ROWS if any(word.lower() in f"{r.group}: {r.title}".lower() for word in options.only)]
    if not rows:
        parser.error(f"--only {' '.join(options.only)}: no row has such a word in its group or title")
    results: dict[tuple[str, Row], list[dict[str, Any]]] = {}
    document: dict[str, Any] = {}
    failed = False
    print(f"{rounds} rounds a measurement; medians, least in brackets; ratio: ours / the best of theirs")
    for run in range(options.runs):
        for kernels in options.kernels.split(","):
            bench = Bench(kernels, rounds, processes)
            machine = bench.child("machine")
            kernel_set = machine.pop("kernels")
            if not results:
                print(", ".join(f"{name} {value}" for name, value in machine.items()))
            print(f"Run {run + 1} of {options.runs}, {kernel_set} kernels")
            for row in rows:
                try:
                    result = row.result(bench)
                except RuntimeError as error:
                    result, failed = {"note": str(error)}, True
                results.setdefault((kernel_set, row), []).append(result)
                print(line_of(merged(row, kernel_set, [result])), flush=True)
        table = [merged(row, kernels, found) for (kernels, row), found in results.items()]
        today = time.strftime("%Y-%m-%d", time.gmtime())
        document = {"machine": machine, "day": today, "rounds": rounds, "runs": run + 1, "rows": table}
        if options.json:  # after each run, since runs are long
            options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.runs > 1:
        print(f"Medians of {options.runs} runs")
        print(*(f"{row['kernels']}: {line_of(row)}" for row in document["rows"]), sep="\n")
    if options.chart:
        from chart import draw  # late: on Linux, the peak memory of a child begins at its parent's size

        draw(document, options.chart)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
