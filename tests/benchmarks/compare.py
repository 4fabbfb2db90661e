"""Measures all claims about speed and memory, against PyTorch, onnxruntime, JAX, MyGrad and HIPS, if installed.

    python tests/benchmarks/compare.py [--runs 3] [--kernels numpy,numba] [--json FILE] [--chart FILE]
    python tests/benchmarks/compare.py --quick --only chain pooling

No absolute time passes or fails: machines are shared and drift, so workloads to compare take turns, and their ratio
counts. Each library is alone in a process (`measure.py`), since PyTorch's threads stay awake for milliseconds after an
operation and slow down whoever comes next. The processes take turns, A, B, A, B, ..., and each of them warms up before
it is timed. Rows "in turn" have all libraries in one process. Of a network there is also PyTorch as an expert tunes it:
by ``torch.compile``, or with an allocator that gives no memory back to the system. Before anything is timed, each
library must give our results. A ratio is the median of the ratios of all turns, relative to the faster of PyTorch's
layouts, not tuned; PyTorch is tuned in the first run only, because compiling takes minutes. The exit code is 1 only if
a measurement fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import convolutions
import layers
from rows import Row, rows
from work import MEMORY_KEPT, OURS
from works import CONTESTS

Figures = dict[str, list[float]]

THREADS = int(
    os.environ.get("AUTOGRAD_CNN_NUM_THREADS")
    or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
)
VARIABLES = (
    "AUTOGRAD_CNN_NUM_THREADS OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS VECLIB_MAXIMUM_THREADS".split()
)
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 62)}  # glibc: from one heap, which does not shrink


@dataclass
class Bench:
    """Measurements with one set of kernels.

    Parameters
    ----------
    kernels : str
        As in AUTOGRAD_CNN_KERNELS; "" is the default.
    turns, rounds : int
        Processes of each library, and timed rounds in each process.
    contests : list of str
        All that will be asked for. Those of single layers share the processes of a library, which take long to start.
    tuned : bool
        Whether PyTorch is measured as tuned, too.
    """

    kernels: str
    turns: int
    rounds: int
    contests: list[str]
    tuned: bool = True
    found: dict[tuple[str, str], Figures] = field(default_factory=dict)  # several rows may come from one measurement
    differences: dict[str, str] = field(default_factory=dict)

    def figures(self, kind: str, contest: str) -> Figures:
        """The result of the method `kind`, measured once."""
        if (kind, contest) not in self.found:
            self.found[kind, contest] = getattr(self, kind)(contest)
        return self.found[kind, contest]

    def child(self, *arguments: object, threads: int = THREADS) -> Any:
        """Run `measure.py` and return its result; if it fails, raise RuntimeError with its last line."""
        command = [sys.executable, str(Path(__file__).with_name("measure.py")), *map(str, arguments)]
        environment = {**os.environ, "AUTOGRAD_CNN_KERNELS": self.kernels, **dict.fromkeys(VARIABLES, str(threads))}
        environment["PYTHONDONTWRITEBYTECODE"] = ""  # an import reads bytecode, as a user's second one does
        environment |= KEPT if MEMORY_KEPT in arguments else {}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
        return json.loads(done.stdout)

    def race(self, contest: str) -> Figures:
        """All workloads of a contest in one process, in turn."""
        self._check(contest, [contest])
        found: Figures = self.child("race", self.rounds, contest)
        return found

    def alone(self, contest: str) -> Figures:
        """Each library alone in its own processes, which take turns; in each turn the median of its rounds."""
        together = [contest]
        for group in layers.CONTESTS, convolutions.CONTESTS:
            if contest in group:
                together = [other for other in self.contests if other in group]
        self._check(contest, together)
        figures: dict[str, Figures] = {other: {} for other in together}
        for _ in range(self.turns):
            for name in dict.fromkeys(name for other in together for name in CONTESTS[other]):
                if _tuned([name]) and not self.tuned:
                    continue
                for other, times in self._turn(name, together).items():
                    figures[other].setdefault(name, []).append(median(times))
        self.found |= {("alone", other): found for other, found in figures.items()}
        return figures[contest]

    def _turn(self, name: str, contests: list[str], threads: int = THREADS) -> Figures:
        named = [contest for contest in contests if name in CONTESTS[contest]]
        found: Figures = self.child("alone", self.rounds, name, *named, threads=threads)
        return found

    def _check(self, contest: str, together: list[str]) -> None:
        """Compare the results of all libraries, once; raise RuntimeError if they differ in this contest."""
        if missing := [other for other in together if OURS in CONTESTS[other] and other not in self.differences]:
            self.differences |= self.child("check", *missing)
        if difference := self.differences.get(contest):
            raise RuntimeError(difference)

    def scaling(self, contest: str) -> Figures:
        """We and PyTorch, alone, on one thread and on all."""
        figures: Figures = {}
        for _ in range(self.turns):
            for name in (OURS, "PyTorch channels_last"):
                for n, label in ((1, "1 thread"), (THREADS, f"{THREADS} threads")):
                    for times in self._turn(name, [contest], n).values():
                        figures.setdefault(f"{name}, {label}", []).append(median(times))
        return figures

    def memory(self, contest: str) -> Figures:
        """MB that each workload needs, in a new process."""
        smaller = f"{contest.rpartition(' ')[0]} 8"
        found = {name: self.child("memory", contest, smaller, name) for name in CONTESTS[contest]}
        return {name: sizes for name, sizes in found.items() if sizes}

    def limit(self, network: str) -> Figures:
        """Our step, and the least time for its multiplications and its bytes: see `limits`."""
        step = self.figures("alone", f"{network}, step 100")[OURS]
        speeds = {name: median(times) for name, times in self.figures("alone", "speeds").items()}
        count = self.child("count", network, 100)
        products, memory = count["multiplications"] * speeds["sgemm"], count["bytes"] * speeds["memory"]
        least = {"least": products + memory, "products": products, "memory": memory}
        least["direct products"] = count["direct"] * speeds["sgemm"]
        return {OURS: step, **{name: [value] * len(step) for name, value in least.items()}}

    def start(self, _: str) -> Figures:
        """Seconds that our import and PyTorch's take after that of NumPy, and our limit."""
        ours, theirs = (self.child("start", module, min(self.rounds, 7)) for module in ("autograd_cnn", "torch"))
        return {OURS: ours, "60 ms": [0.06] * len(ours), **({"PyTorch": theirs} if theirs else {})}


def _tuned(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith("tuned")]


def result(row: Row, bench: Bench) -> dict[str, Any]:
    """Measure, and return the entry of this row and run in the JSON file."""
    figures = bench.figures(row.kind, row.contest)
    mine, theirs = ([name for name in figures if name.startswith(start)] for start in (row.ours, row.over))
    shown = figures if row.kind == "limit" else dict.fromkeys([*mine, *theirs, *_tuned(figures)])
    found: dict[str, Any] = {
        "rounds": min(map(len, figures.values()), default=0),
        "figures": {name: {"median": median(figures[name]), "least": min(figures[name])} for name in shown},
    }
    if not theirs:
        return {**found, "note": f"{row.over} is not installed"}
    worst, best = max(mine, key=lambda name: median(figures[name])), min(theirs, key=lambda n: median(figures[n]))
    ratios = [a / b for a, b in zip(figures[worst], figures[best], strict=True)]
    return {**found, "ours": worst, "over": best, "ratio": median(ratios)}


def merged(row: Row, kernels: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of the JSON file: medians over the runs, and the least times of all runs."""
    measured = [r for r in results if "ratio" in r]
    found: dict[str, Any] = {"group": row.group, "title": row.title, "kernels": kernels, "unit": row.unit}
    if not measured:
        return {**found, **results[0]}
    ratios = [r["ratio"] for r in measured]
    ratio, target = median(ratios), row.targets[kernels == "numpy"]
    met = None if target is None else ratio >= target if row.at_least else ratio <= target
    found |= {"ratio": ratio, "ratios": ratios, "target": target, "at_least": row.at_least, "met": met}
    found |= {"rounds": sum(r["rounds"] for r in measured), "ours": measured[0]["ours"], "over": measured[0]["over"]}
    found["figures"] = {}
    for name in measured[0]["figures"]:
        each = [r["figures"][name] for r in measured if name in r["figures"]]
        middle, least = median(figure["median"] for figure in each), min(figure["least"] for figure in each)
        found["figures"][name] = {"median": middle, "least": least}
    return found


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
    """A line of the table: ratio, its range over the runs, target, and all medians, with the least in brackets."""
    title = f"{row['group']}: {row['title']}"
    if "ratio" not in row:
        return f"{title:64} not measured: {row['note']}"
    target, sign = row["target"], ">" if row["at_least"] else "<"
    goal = f"{sign} {target:4.2f} {'met' if row['met'] else 'missed'}" if target is not None else ""
    low, high = min(row["ratios"]), max(row["ratios"])
    runs = f" ({low:.2f} to {high:.2f})" if len(row["ratios"]) > 1 else ""
    each = (
        f"{name} {with_unit(f['median'], row['unit'])} ({with_unit(f['least'], row['unit'])})"
        for name, f in row["figures"].items()
    )
    return f"{title:64}{row['ratio']:7.2f}{runs}  {goal:14} {', '.join(each)}"


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line, and the chosen rows as `rows`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2, help="processes of each library for each measurement")
    parser.add_argument("--rounds", type=int, default=4, help="timed rounds in each process, and in turn")
    parser.add_argument("--runs", type=int, default=1, help="of the whole table; the medians of their ratios count")
    parser.add_argument(
        "--kernels", default=os.environ.get("AUTOGRAD_CNN_KERNELS", ""), help="numpy, numba, or both: numpy,numba"
    )
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose group or title has one of these words")
    parser.add_argument("--quick", action="store_true", help="two rounds in one process, to see whether it runs")
    parser.add_argument("--json", type=Path, help="write the table there; table.py prints it as Markdown")
    parser.add_argument("--chart", type=Path, help="draw it there, as .png and .svg")
    options = parser.parse_args(arguments)
    if options.quick:
        options.turns, options.rounds = 1, 2
    words = [word.lower() for word in options.only]
    options.rows = [row for row in rows(THREADS) if any(word in f"{row.group}: {row.title}".lower() for word in words)]
    if not options.rows:
        parser.error(f"--only {' '.join(options.only)}: no row has such a word in its group or title")
    return options


def main() -> int:
    """Measure, print, write; return 1 if a measurement failed."""
    options = options_of()
    contests = [row.contest for row in options.rows]
    benches = [Bench(kernels, options.turns, options.rounds, contests) for kernels in options.kernels.split(",")]
    results: dict[tuple[str, Row], list[dict[str, Any]]] = {}
    document: dict[str, Any] = {}
    failed = False
    print(f"{options.turns} turns of {options.rounds} rounds; medians, least in brackets; ratio: ours / best of theirs")
    for run in range(options.runs):
        for bench in benches:
            bench.found.clear()
            bench.tuned = run == 0
            machine = bench.child("machine")
            kernel_set = machine.pop("kernels")
            if not results:
                print(", ".join(f"{name} {value}" for name, value in machine.items()))
            print(f"Run {run + 1} of {options.runs}, {kernel_set} kernels")
            for row in options.rows:
                try:
                    found = result(row, bench)
                except RuntimeError as error:
                    found, failed = {"note": str(error)}, True
                results.setdefault((kernel_set, row), []).append(found)
                print(line_of(merged(row, kernel_set, [found])), flush=True)
        table = [merged(row, kernels, found) for (kernels, row), found in results.items()]
        today = time.strftime("%Y-%m-%d", time.gmtime())
        document = {"machine": machine, "day": today, "turns": options.turns, "rounds": options.rounds}
        document |= {"runs": run + 1, "rows": table}
        if options.json:  # after each run, since runs are long
            options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.runs > 1:
        print(f"Medians of {options.runs} runs")
        print(*(f"{row['kernels']}: {line_of(row)}" for row in document["rows"]), sep="\n")
    if options.chart:
        from chart import draw  # late: it is slow to import

        draw(document, options.chart)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
