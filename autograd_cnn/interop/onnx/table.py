"""The table: an entry for each operator of ONNX and each primitive, from which a file is written and read.

The entries stand in six files by what they do. A new operator is a new entry there, with a maker of random inputs in
`MAKERS` of tests/interop/onnx_variants.py; ``python tests/together/numpy_names.py`` adds it to docs/vocabulary.md.
"""

from __future__ import annotations

from dataclasses import replace

from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.interop.onnx import elementwise, images, indices, recurrent, reductions, shapes
from autograd_cnn.interop.onnx.entry import Entry, Kind

TABLE: dict[Kind, list[Entry]] = {
    "either": [*elementwise.ENTRIES, *reductions.ENTRIES],
    "image": images.ENTRIES,
    "plain": [*shapes.ENTRIES, *indices.ENTRIES, *recurrent.ENTRIES],
}

CONVERTERS: dict[Primitive[...], Entry] = {
    e.primitive: replace(e, kind=kind) for kind, entries in TABLE.items() for e in entries if e.primitive
}
"""How each primitive is written. `onnx_converter` adds to it."""

OPERATORS: dict[str, Entry] = {e.operator: e for entries in TABLE.values() for e in entries if e.operator}
"""What each operator does."""
