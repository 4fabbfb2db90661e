"""Makes one measurement in its own process, which `compare.py` starts, and prints it as one line of JSON.

    python tests/benchmarks/measure.py check CONTEST ...
    python tests/benchmarks/measure.py race ROUNDS CONTEST
    python tests/benchmarks/measure.py alone ROUNDS NAME CONTEST ...
    python tests/benchmarks/measure.py memory CONTEST SMALLER NAME
    python tests/benchmarks/measure.py count NETWORK BATCH
    python tests/benchmarks/measure.py start MODULE ROUNDS
    python tests/benchmarks/measure.py machine

A time is in seconds for each unit of work, a size in MB. The environment determines threads and kernels.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import convolutions
import layers
import limits
import numpy as np
from work import OURS, Work
from works import CONTESTS

Figures = dict[str, list[float]]

MODULES = {
    "PyTorch": "torch", "tuned": "torch", "MyGrad": "mygrad", "HIPS": "autograd", "onnxruntime": "onnxruntime",
    "JAX": "jax",
}  # fmt: skip # by first word
WARM_UP = 1  # rounds that do not count
SAMPLE = 0.1  # seconds: a quick workload is repeated for that long, and timed as one
TOLERANCE = 1e-3  # relative to the norm of each result, in float32: the order of summation differs


def build(contest: str, *names: str) -> dict[str, Work]:
    """The workloads of all libraries that are installed, or of `names` only, on as many threads as ours."""
    works = {}
    for name, builder in CONTESTS[contest].items():
        module = MODULES.get(name.split()[0])
        if (names and name not in names) or (module and not find_spec(module)):
            continue
        if module == "torch":
            import torch

            torch.set_num_threads(int(os.environ["AUTOGRAD_CNN_NUM_THREADS"]))
            torch.manual_seed(0)  # dropout draws other masks than ours, and the comparison must be repeatable
        works[name] = builder()
    return works


def difference(contest: str) -> str:
    """Run every workload once; return in which of its results a library differs from ours, or ""."""
    works = build(contest)
    results = {name: work.results() for name, work in works.items() if work.results}
    for name, theirs in results.items():
        for i, (a, b) in enumerate(zip(results[OURS], theirs, strict=True)):
            tolerance = TOLERANCE * works[name].roughness
            if a.shape != b.shape or not np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b):
                return f"{name} computes something else: result {i}, {a.shape} of ours and {b.shape} differ"
    return ""


def race(works: dict[str, Work], rounds: int) -> Figures:
    """Time the workloads in turn: A, B, A, B, ..."""
    repeats = {}
    for name, work in works.items():
        work.run()  # compiles and allocates
        start = time.perf_counter()
        work.run()
        repeats[name] = max(1, round(SAMPLE / (time.perf_counter() - start)))
    gc.freeze()  # so that gc.collect() skips everything that is alive now
    figures: Figures = {name: [] for name in works}
    for i in range(WARM_UP + rounds):
        for name, work in works.items():
            gc.collect()  # otherwise the next workload would collect the garbage of this one
            if len(works) > 1:
                work.run()  # untimed: the other workload has filled the caches, and perhaps the cores
            start = time.perf_counter()
            for _ in range(repeats[name]):
                work.run()
            if i >= WARM_UP:
                figures[name].append((time.perf_counter() - start) / repeats[name] / work.per)
    gc.unfreeze()
    return figures


def alone(name: str, contests: Sequence[str], rounds: int) -> Figures:
    """Time the workloads of one library, one contest after the other; contests without it are left out.

    glibc returns a freed array to the system unless the process has freed one as large before, so a layer's time
    would depend on what came before it: PyTorch's relu takes 10 ms with the page faults of fresh memory, and 1.6
    without. Freeing a large array spares all layers the faults. Networks start as a user's process does.
    """
    if contests[0] in {**layers.CONTESTS, **convolutions.CONTESTS}:
        np.empty(31 << 20, np.uint8)  # the largest size to which glibc adapts is 32 MB
    return {contest: times for contest in contests for times in race(build(contest, name), rounds).values()}


def growth(work: Work, steps: int = 3) -> float:
    """MB by which the memory of this process grows at most during some runs."""
    before = _peak(reset=True)
    for _ in range(steps):
        work.run()
    return _peak() - before


def _peak(reset: bool = False) -> float:
    """MB of memory that this process has had at most since its start; since now, from a `reset` on (Linux only)."""
    import resource

    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def start(module: str, rounds: int) -> list[float]:
    """Seconds that the import of a module takes after that of NumPy, each time in a new process."""
    code = f"import numpy, time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return [
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(rounds + 1)
    ][1:]  # the first one reads the disk


def machine() -> dict[str, Any]:
    """Processor, versions, threads and kernels."""
    from threadpoolctl import threadpool_info

    from autograd_cnn.fast.twins import kernel_set

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    packages = {
        "NumPy": "numpy", "Numba": "numba", "PyTorch": "torch", "onnxruntime": "onnxruntime",
        "MyGrad": "mygrad", "HIPS autograd": "autograd", "JAX": "jax",
    }  # fmt: skip
    return {
        "processor": f"{models[0] if models else platform.processor()}, {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": int(os.environ["AUTOGRAD_CNN_NUM_THREADS"]),
        "system": platform.system(),
        "Python": platform.python_version(),
        **{name: version(package) if find_spec(package) else "not installed" for name, package in packages.items()},
        "BLAS": ", ".join(f"{b['internal_api']} {b['version']} {b.get('architecture', '')}" for b in blas),
        "kernels": kernel_set(),
    }


def memory(contest: str, smaller: str, name: str) -> list[float]:
    """Growth for each workload of a contest; those of a smaller one have run before."""
    small = build(smaller, name)  # stays alive, so none of its memory is used again
    for work in small.values():
        work.run()  # the first step loads and compiles, which is not its own memory
    return [growth(work) for work in build(contest, name).values()]


def untuned(contest: str) -> list[str]:
    return [name for name in CONTESTS[contest] if not name.startswith("tuned")]


KINDS: dict[str, Callable[..., object]] = {
    "check": lambda *contests: {contest: difference(contest) for contest in contests},
    "race": lambda rounds, contest: race(build(contest, *untuned(contest)), int(rounds)),
    "alone": lambda rounds, name, *contests: alone(name, contests, int(rounds)),
    "memory": memory,
    "count": lambda network, batch: limits.count(network, int(batch))._asdict(),
    "start": lambda module, rounds: start(module, int(rounds)) if find_spec(module) else [],
    "machine": machine,
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](*sys.argv[2:])))
