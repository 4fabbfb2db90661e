"""Python in a process of its own."""

import os
import subprocess
import sys


def finished(*arguments, cwd=None, **environment):
    """Run Python with these arguments and variables of the environment; returns the finished process, with texts."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def printed(*arguments, **options):
    """Return what it prints; it must not fail."""
    done = finished(*arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
