"""The table: an entry for each operator of ONNX and each primitive, from which a file is written and read.

The entries stand in three files by what they do. A new operator is a new entry there, which ONNX's own cases test;
``python tests/together/numpy_names.py`` adds it to docs/vocabulary.md.
"""

from __future__ import annotations

from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.interop.onnx import layers, numbers, shapes
from autograd_cnn.interop.onnx.entry import Entry

TABLE = [*numbers.ENTRIES, *layers.ENTRIES, *shapes.ENTRIES]

CONVERTERS: dict[Primitive[...], Entry] = {e.primitive: e for e in TABLE if e.primitive}
"""How each primitive is written. `onnx_converter` adds to it."""

OPERATORS: dict[str, Entry] = {e.operator: e for e in TABLE if e.operator}
"""What each operator does."""
