"""Python in a process of its own."""

import os
import subprocess
import sys


def finished(*arguments, cwd=None, **environment):
    """Run Python with these arguments and variables of the environment; returns the finished process, with texts."""
    command, ways = [sys.executable, *map(str, arguments)], {"capture_output": True, "text": True, "timeout": 600}
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, check=False, **ways)


def printed(*arguments, **options):
    """Return what it prints; it must not fail."""
    done = finished(*arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
