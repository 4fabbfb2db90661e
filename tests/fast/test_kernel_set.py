"""The set of kernels that is asked for."""

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
