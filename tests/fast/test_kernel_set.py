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
    assert "MB; Numba is installed, and turned off by AUTOGRAD_CNN_KERNELS\n" in done.stdout
    assert "pip install" not in done.stdout


def test_info_reports_threads(autograd_cnn):
    assert "tiles run on 3" in autograd_cnn("info", AUTOGRAD_CNN_NUM_THREADS="3").stdout
    done = autograd_cnn("info", AUTOGRAD_CNN_NUM_THREADS="many")
    assert done.returncode == 0 and done.stderr == "" and "AUTOGRAD_CNN_NUM_THREADS is 'many'" in done.stdout
