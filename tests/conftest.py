"""Fixtures for every test: no network, a registry restored after each test, repeatable hypothesis."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from functools import partial
from types import ModuleType, SimpleNamespace

if "PYTEST_XDIST_WORKER" in os.environ:  # whose others have the other cores: threads of BLAS would wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

import examples  # noqa: F401 - gives operations their examples
from autograd_cnn.engine.observe import own_operations
from autograd_cnn.nn import seed
from processes import finished, printed

pytest.register_assert_rewrite("wording")

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Thousands of collected tests live until the end: the garbage collector looks at none of them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Run a part of the cases of each test, for `rings.py`."""
    step, seen = int(os.environ.get("ONE_CASE_IN", "1")), Counter()
    kept, left = [], []
    for item in items:
        name = item.nodeid.partition("[")[0]
        (left if seen[name] % step else kept).append(item)
        seen[name] += 1
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


def pytest_configure(config):
    """Also for doctests, which are in no folder below this file."""
    config.pluginmanager.register(Restored())


class Restored:
    """Each test begins with the same random numbers and NumPy's own error state, and its primitives are removed."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self):
        seed(0)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self):
        seed(0)
        with own_operations(), np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return (yield)


def pytest_terminal_summary(terminalreporter):
    """Print why tests were skipped: a line for each reason."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:,} {reason}")


@pytest.fixture(scope="module", autouse=True)
def young_heap():
    """Collections of garbage look at what the tests of one file make, and not at thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def full_width():
    """Listings have their full width, also under pytest-xdist, which says that its terminals have 80 columns."""
    os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Ctrl-C interrupts, also in a background job, where a shell has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """No test connects to another machine."""
    connect = socket.socket.connect

    def near(self, address):
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"the tests run without a network: {address}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", near)
        yield


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, which the engine is compared with, is not installed")


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    name = "playwright.sync_api"
    sync_api = pytest.importorskip(name, reason="playwright, which drives the browser, is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on PATH (apt install chromium, or CHROMIUM=path)")
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def barriers():
    """List the rules of accessibility that a page breaks, as axe finds them, with the elements that break them."""
    name = "axe_playwright_python.sync_playwright"
    axe = pytest.importorskip(name, reason="axe-playwright-python is not installed")

    def found(page):
        violations = axe.Axe().run(page).response["violations"]
        return [(v["id"], [node["html"][:120] for node in v["nodes"]][:3]) for v in violations]

    return found


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def python(tmp_path):
    """Run a program in a process of its own, with warnings as errors; returns what it printed."""

    def run(program):
        script = tmp_path / "program.py"
        script.write_text(program)
        return printed("-W", "error", script, PYTHONPATH=os.pathsep.join(sys.path))

    return run


@pytest.fixture
def shown(monkeypatch):
    """A notebook; the list of what its cells display, in which an update replaces."""
    shown = []

    def display(bundle, raw, display_id=False):
        assert raw
        shown.append(bundle)
        place = len(shown) - 1
        return SimpleNamespace(update=lambda bundle, raw: shown.__setitem__(place, bundle))

    ipython, displays = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    displays.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return shown


@pytest.fixture
def unread():
    """Run the command line with an output that is closed; returns the exit code and the errors."""

    def run(*arguments):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            command = [sys.executable, "-u", "-m", "autograd_cnn", *arguments]
            done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=600, check=False)
        finally:
            os.close(writing)
        return done.returncode, done.stderr

    return run


@pytest.fixture
def autograd_cnn(tmp_path):
    """Run the command line in a folder of its own; returns the finished process."""

    return partial(finished, "-W", "error", "-m", "autograd_cnn", cwd=tmp_path)
