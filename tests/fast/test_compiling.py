"""Compiling is announced, done once, and can be done beforehand."""

from importlib.util import find_spec

import pytest

compiled = pytest.mark.skipif(not find_spec("numba"), reason="Numba is not installed")
STEP = """
import numpy as np
import autograd_cnn as ag
from numba.core import event

nn, compiled = ag.nn, []
class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"])
    def on_end(self, event):
        pass
event.register("numba:compile", Listener())
block = lambda i, o, stride=1: (nn.Conv2d(i, o, 3, stride, padding=1), nn.BatchNorm2d(o), nn.ReLU())
ends = nn.AvgPool2d(2), nn.Flatten(), nn.Linear(512, 10)
model = nn.Sequential(*block(3, 16), nn.MaxPool2d(2), *block(16, 32), *block(32, 32, 2), nn.Conv2d(32, 32, 1, 1), *ends)
optimiser = ag.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
ag.cross_entropy(model(np.ones((100, 32, 32, 3), np.float32)), np.zeros(100, int)).backward()
optimiser.step()
print(compiled)
"""
CODE = """
import ctypes, hashlib
import numpy as np
from autograd_cnn.fast.twins import compiled_pass

place = compiled_pass("products.address")(np.dtype(np.float32))
print(len(compiled_pass("products.multiply").stats.cache_hits), hashlib.sha256(ctypes.string_at(place, 4096)).digest())
"""


@compiled
@pytest.mark.slow
def test_what_was_compiled_beforehand_is_not_compiled_again(autograd_cnn, python, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    done = autograd_cnn("compile")
    assert done.returncode == 0 and f"kernels are in {tmp_path / 'kernels'}" in done.stdout
    assert done.stderr == "autograd_cnn: Numba compiles kernels. It takes some seconds, once: they are kept on disk\n"
    assert python(STEP) == "[]\n"


@compiled
@pytest.mark.slow
def test_the_code_of_a_product_is_the_same_when_it_is_compiled_and_from_the_disk(python, tmp_path, monkeypatch):
    """Where Numba links a function into another, it optimises it once more, and the other process has another code."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (found, compiled), (found_again, kept) = (python(CODE).split(maxsplit=1) for _ in range(2))
    assert (found, found_again) == ("0", "1")
    assert compiled == kept


def test_without_compiled_kernels_there_is_nothing_to_compile(autograd_cnn):
    done = autograd_cnn("compile", AUTOGRAD_CNN_KERNELS="numpy")
    assert done.returncode == 2 and done.stdout == ""
    info = autograd_cnn("info", AUTOGRAD_CNN_KERNELS="numpy").stdout
    assert info.splitlines()[-1].startswith("kernels: NumPy's; compiled ones: as AUTOGRAD_CNN_KERNELS says; ")
    assert "pip install" not in info
    assert done.stderr.startswith("nothing to compile: the kernels are NumPy's; compiled ones: as AUTOGRAD_CNN_KERNELS")
