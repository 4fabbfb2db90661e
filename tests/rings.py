"""Remove each ring from a copy of the project, and run the default tests of what is left there.

    python tests/rings.py [ring ...]

A ring is a folder of the package that the rest can do without. Its tests are the folders of its name in `tests`, at any
depth: those in ``tests/studio/training`` need two rings, and those in ``tests/together`` all of them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RINGS = {  # and the folders that go with it
    "studio": "studio",
    "interop": "interop",
    "training": "training data distributed",
    "distributed": "distributed",
    "fast": "fast",
    "vocabulary": "vocabulary",
}
ROOT = Path(__file__).resolve().parents[1]
LEFT = "_build", "_extra", "gallery", "api", "jupyter_execute", "runs", "*.egg-info", "__pycache__", ".git", ".*_cache"
TESTS = "-m", "pytest", "-q", "-p", "no:cacheprovider"


def copy_without(ring: str, place: Path) -> None:
    """Copy the project to `place`, without a ring and its tests."""
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(*LEFT))
    gone = RINGS[ring].split()
    for folder in gone:
        shutil.rmtree(place / "autograd_cnn" / folder)
    for path in [*(place / "tests").rglob("*/")]:
        if path.name in (*gone, "together") and path.exists():
            shutil.rmtree(path)


def python(place: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a copy, which comes before an installed package."""
    command, environment = [sys.executable, *arguments], {**os.environ, "PYTHONPATH": str(place)}
    return subprocess.run(command, cwd=place, env=environment, text=True, check=False, **options)


def failed(ring: str, place: Path) -> bool:
    """Run the default tests without a ring, print a line about them, and return whether one failed."""
    copy_without(ring, place)
    assert python(place, "-c", f"import autograd_cnn.{ring}", stderr=subprocess.DEVNULL).returncode
    start, log = time.monotonic(), place / "tests.log"
    with log.open("w") as file:
        done = python(place, *TESTS, stdout=file, stderr=subprocess.STDOUT)
    text = log.read_text()
    counts = ", ".join(re.findall(r"\d+ (?:passed|failed|errors?)", text.rpartition("\n=")[2] or text[-200:]))
    if done.returncode:
        print(text)
    print(f"without {ring:12} {counts or 'no tests ran'}, {time.monotonic() - start:.0f} s", flush=True)
    return bool(done.returncode)


def main(rings: list[str]) -> int:
    """Test the rings, as many at a time as there are cores; return the exit code."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda ring: failed(ring, Path(folder) / ring), rings or RINGS)
        return int(any(list(results)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
