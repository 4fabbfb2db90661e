"""Which room may import which, and what importing the package brings in."""

import re
from pathlib import Path

from autograd_cnn.engine import tape

IMPORTED = """
import sys
before = set(sys.modules)
import autograd_cnn as ag
heavy = {"matplotlib", "numba", "graphviz", "torch", "tqdm", "pooch", "safetensors"} & (set(sys.modules) - before)
assert not heavy, heavy
ag.conv2d, ag.Tensor
print("light")
"""


def test_importing_brings_in_nothing_heavy(python):
    assert python(IMPORTED) == "light\n"


def test_the_engine_imports_no_other_room():
    for file in Path(tape.__file__).parent.glob("*.py"):
        imports = re.findall(r"^(?:from|import) (autograd_cnn\.\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(imports) <= {"autograd_cnn.engine"}, file
