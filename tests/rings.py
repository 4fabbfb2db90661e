"""Remove each ring from a copy of the project, and run the default tests of the other rings there.

    python tests/rings.py [ring ...]

A ring is a folder of the package that the rest can do without. Its tests are the folders of its name in `tests`, at any
depth: those in ``tests/studio/training`` need two rings, and those in ``tests/together`` all of them. The tests of the
library, which are in no such folder, run once: in the copy "all", which has no ring.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RINGS = {  # and the folders that go with it
    "studio": "studio",
    "interop": "interop",
    "training": "training data distributed",
    "distributed": "distributed",
    "fast": "fast",
    "vocabulary": "vocabulary interop",  # files of ONNX call all of it
}
RINGS["all"] = " ".join(dict.fromkeys(" ".join(RINGS.values()).split()))
ROOT = Path(__file__).resolve().parents[1]
LEFT = "_build", "_extra", "gallery", "api", "jupyter_execute", "runs", "*.egg-info", "__pycache__", ".git", ".*_cache"
TESTS = sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"

shares: dict[str, str] = {}  # of the tests that have run, for the line of progress


def copy_without(ring: str, place: Path) -> None:
    """Copy the project to `place`, without a ring and its tests."""
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(*LEFT))
    gone = RINGS[ring].split()
    for folder in gone:
        shutil.rmtree(place / "autograd_cnn" / folder)
    for path in [*(place / "tests").rglob("*/")]:
        if path.name in (*gone, "together") and path.exists():
            shutil.rmtree(path)


def paths_of_tests(ring: str, place: Path) -> list[str]:
    """Return the folders of the other rings and of their tests, or nothing, which stands for all, without any ring."""
    others = [] if ring == "all" else [name for name in RINGS["all"].split() if name not in RINGS[ring].split()]
    folders = [place / folder / name for name in others for folder in ("autograd_cnn", "tests")]
    return [str(path) for path in folders if path.exists()]


def show(ring: str, line: str) -> None:
    """Show how far the tests are, if pytest's line says so and somebody watches."""
    if (found := re.search(r"\[ *(\d+%)\]$", line.rstrip())) and sys.stderr.isatty():
        shares[ring] = found[1]
        print("\r" + ", ".join(f"{name} {share}" for name, share in shares.items()), end="  ", file=sys.stderr)


def passes(ring: str, place: Path) -> bool:
    """Run tests without a ring, print a line about them, and return whether they pass."""
    copy_without(ring, place)
    lines = []
    environment = {**os.environ, "PYTHONPATH": str(place)}  # the copy comes before an installed package
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": place, "env": environment}
    gone = RINGS[ring].split()[0]
    found = subprocess.run([sys.executable, "-c", f"import autograd_cnn.{gone}"], check=False, **options)
    assert "ModuleNotFoundError" in found.stdout
    with subprocess.Popen([*TESTS, *paths_of_tests(ring, place)], **options) as tests:
        for line in tests.stdout:
            lines.append(line)
            show(ring, line)
    if tests.returncode:
        print("".join(lines))
    print(f"without {ring}: {lines[-1].strip(' =')}", flush=True)
    return tests.returncode == 0


def main(rings: list[str]) -> int:
    """Test the rings, as many at a time as there are cores; return the exit code."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = [*pool.map(lambda ring: passes(ring, Path(folder) / ring), rings or RINGS)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
