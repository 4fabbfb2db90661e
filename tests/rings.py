"""Test the library in a copy of the project without any ring, and each ring beside nothing but what it needs.

    python tests/rings.py [copy ...]

A ring is a folder of the package that the rest can do without. Its tests are the folders of its name in `tests`, at any
depth: those in ``tests/studio/training`` need two rings, and those in ``tests/together`` all of them. A test that
passes here needs no ring that is not in its path, so any other ring can be deleted. Of a test with many cases, one in
four runs: all of them run where every ring is.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RINGS = "studio interop training data distributed fast vocabulary".split()
COPIES = {  # and the rings that each has; the tests are those in the folders of its name
    "fast": "fast",
    "studio": "studio",
    "library": "",
    "vocabulary": "vocabulary",
    "interop": "interop vocabulary",  # files of ONNX call all of it
    "training": "training data",
    "data": "training data",
    "distributed": "distributed training data",
    "studio/training": "studio training data",
    "vocabulary/studio": "vocabulary studio",
}
ROOT = Path(__file__).resolve().parents[1]
LEFT = "_build", "_extra", "gallery", "api", "jupyter_execute", "runs", "*.egg-info", "__pycache__", ".git", ".*_cache"
TESTS = sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"

shares: dict[str, str] = {}  # of the tests that have run, for the line of progress


def copy_of(name: str, place: Path) -> None:
    """Copy the project to `place`, with the rings of a copy and the tests that need no other."""
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(*LEFT))
    gone = {*RINGS} - {*COPIES[name].split()}
    for folder in gone:
        shutil.rmtree(place / "autograd_cnn" / folder)
    for path in [*(place / "tests").rglob("*/")]:
        if path.name in gone | {"together"} and path.exists():
            shutil.rmtree(path)


def paths_of_tests(name: str, place: Path) -> list[str]:
    """Return the folders of the tests of a copy, or nothing, which stands for all that are left, for the library."""
    paths = [] if name == "library" else [place / "tests" / name, place / "autograd_cnn" / name]
    return [str(path) for path in paths if path.exists()]


def show(name: str, line: str) -> None:
    """Show how far the tests are, if pytest's line says so and somebody watches."""
    if (found := re.search(r"\[ *(\d+%)\]$", line.rstrip())) and sys.stderr.isatty():
        shares[name] = found[1]
        print("\r" + ", ".join(f"{copy} {share}" for copy, share in shares.items()), end="  ", file=sys.stderr)


def passes(name: str, place: Path) -> bool:
    """Run the default tests of a copy, print a line about them, and return whether they pass."""
    copy_of(name, place)
    lines = []
    environment = {**os.environ, "PYTHONPATH": str(place), "ONE_CASE_IN": "4"}  # the copy before an installed package
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": place, "env": environment}
    absent = next(ring for ring in RINGS if ring not in COPIES[name].split())
    found = subprocess.run([sys.executable, "-c", f"import autograd_cnn.{absent}"], check=False, **options)
    assert "ModuleNotFoundError" in found.stdout
    with subprocess.Popen([*TESTS, *paths_of_tests(name, place)], **options) as tests:
        for line in tests.stdout:
            lines.append(line)
            show(name, line)
    if tests.returncode:
        print("".join(lines))
    print(f"{name} with {COPIES[name] or 'no ring'}: {lines[-1].strip(' =')}", flush=True)
    return tests.returncode == 0


def main(names: list[str]) -> int:
    """Test the copies, as many at a time as there are cores; return the exit code."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = [*pool.map(lambda name: passes(name, Path(folder) / name), names or COPIES)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
