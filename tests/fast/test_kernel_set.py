"""The set of kernels that is asked for, and what ``python -m autograd_cnn info`` says of kernels and threads."""

from importlib.util import find_spec

import pytest

from autograd_cnn.environment import command

CHOSEN = """
import sys
sys.modules["numba"] = None
from autograd_cnn.fast.twins import kernel_set
try:
    kernel_set()
except ImportError as error:
    print(error)
"""


def test_compiled_kernels_that_are_asked_for_and_cannot_be_had_say_what_to_install(python, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_CNN_KERNELS", "numba")
    message = python(CHOSEN)
    assert message.startswith("AUTOGRAD_CNN_KERNELS is numba: ") and message.count("\n") == 1
    assert message.endswith(command("-m", "pip", "install", "autograd_cnn[fast]") + "\n")


@pytest.mark.skipif(not find_spec("numba"), reason="Numba is not installed")
def test_info_reports_kernels_that_are_turned_off(autograd_cnn):
    done = autograd_cnn("info", AUTOGRAD_CNN_KERNELS="numpy")
    assert "kernels: NumPy's; compiled ones: as AUTOGRAD_CNN_KERNELS says; " in done.stdout
    assert "pip install" not in done.stdout


def test_info_reports_threads(autograd_cnn):
    assert autograd_cnn("info", AUTOGRAD_CNN_NUM_THREADS="3").stdout.endswith("; 3 threads\n")
    done = autograd_cnn("info", AUTOGRAD_CNN_NUM_THREADS="many")
    assert done.returncode == 2 and "AUTOGRAD_CNN_NUM_THREADS is 'many'" in done.stderr and "numpy 2." in done.stdout
