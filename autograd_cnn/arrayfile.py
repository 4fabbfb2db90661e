"""Reads and writes files with checksums: named arrays and JSON in one safetensors file, and JSON by itself.

The first is the format of weights and checkpoints, the second that of settings and histories. Any reader of safetensors
opens such a file. Its metadata have one entry: JSON with a SHA-256 of the whole file, computed with zeros in place of
its own 64 digits. Nothing is compressed, executed or memory-mapped: the arrays are copies, so the file may be replaced
at once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.environment import needs
from autograd_cnn.files import AnyPath, read, write_atomically

SUM = "sha256"  # the entry of JSON that has the checksum
KEY = "autograd_cnn"  # one entry, because the library would write several in an arbitrary order
ZEROS = "0" * 64
DTYPES = {f"{k}{8 * n}": f"{k.lower()}{n}" for k in "FIU" for n in (1, 2, 4, 8)}
DTYPES |= {"BOOL": "?", "C64": "c8", "BF16": "u2"}


class CheckpointError(ValueError):
    """Raised if a file of arrays is damaged, forged, or made for something else."""


def write_arrays(path: AnyPath, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Write `arrays` and `state` with a checksum; the same content gives the same bytes.

    Parameters
    ----------
    path : path
        Replaced as a whole or, on failure, left as it was.
    arrays : dict of str to array
        Bools, integers, floats or complex numbers; complex128 as pairs of float64 along a last axis.
    state : dict
        Values for JSON; integers may have any length. Infinities and NaN are read back as strings that `float` accepts.

    Raises
    ------
    ValueError
        If an array is called ``__metadata__``, which the format reserves.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_arrays(f"{folder}/run.safetensors", {"w": np.ones(2)}, {"step": 7})
    ...     read_arrays(f"{folder}/run.safetensors")
    ({'w': array([1., 1.])}, {'step': 7})
    """
    with needs("safetensors", "saving weights"):
        import safetensors.numpy

    if "__metadata__" in arrays:
        raise ValueError(f"{path}: no array can be called '__metadata__', which safetensors reserves; rename it")
    pairs = [name for name, array in arrays.items() if array.dtype == np.complex128]  # safetensors has complex64 only
    text = json.dumps({SUM: ZEROS, **({"complex128": pairs} if pairs else {}), **spelled(state)}, allow_nan=False)
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    ordered |= {name: ordered[name][..., None].view(np.float64) for name in pairs}
    raw = safetensors.numpy.save(ordered, {KEY: text})
    digest = hashlib.sha256(raw).hexdigest()
    write_atomically(path, raw.replace(ZEROS.encode(), digest.encode(), 1))  # the first match: metadata come first


def read_arrays(path: AnyPath) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """Read a file of `write_arrays`, or the arrays of any other safetensors file; bfloat16 becomes float32.

    Returns
    -------
    arrays : dict of str to array
    state : dict, or None if the file is not from `write_arrays`, and so has no checksum

    Raises
    ------
    CheckpointError
        If the file is damaged, or is not a safetensors file.
    OSError
        If the file cannot be read.
    """
    with needs("safetensors", "loading weights"):
        import safetensors

    raw = read(path)
    try:
        entries = safetensors.deserialize(raw)  # type: ignore[no-untyped-call]  # it has no types
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        text = header.get("__metadata__", {}).get(KEY)
        state = None if text is None else json.loads(text)
        if state is not None:
            digest = state.pop(SUM, "")
            actual = hashlib.sha256(raw.replace(digest.encode(), ZEROS.encode(), 1)).hexdigest()
            if actual != digest:
                raise ValueError(f"SHA-256 is {actual[:8]}..., want {digest[:8]}...")
        pairs = (state or {}).pop("complex128", ())
        loaded = {name: _array(**entry) for name, entry in entries}
        return loaded | {n: loaded[n].view(complex)[..., 0] for n in pairs}, state
    except KeyError as error:
        state = "{n: t.float() for n, t in safetensors.torch.load_file(path).items()}"
        raise CheckpointError(f"{path}: NumPy has no dtype {error}. With PyTorch, load {state}") from error
    except (ValueError, AttributeError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: damaged, or not a safetensors file ({error}). Restore a copy") from error


def _array(dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    array = np.frombuffer(data, DTYPES[dtype]).reshape(shape)
    return (array.astype("u4") << 16).view("f4") if dtype == "BF16" else array  # the upper half of a float32


def write_json(path: AnyPath, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, with its checksum as the last entry, "sha256". Raises OSError if that fails."""
    text = json.dumps({**spelled(record), SUM: _sum_of(spelled(record))}, indent=1, allow_nan=False)
    write_atomically(path, text.encode())


def read_json(path: AnyPath) -> dict[str, Any]:
    """Read a file of `write_json`.

    Raises
    ------
    ValueError
        If the file is damaged, or has no checksum.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(f"{folder}/run.json", {"step": 7})
    ...     read_json(f"{folder}/run.json")
    {'step': 7}
    """
    raw = read(path)
    try:
        record = json.loads(raw)
        if not isinstance(record, dict) or record.pop(SUM, None) != _sum_of(record):
            raise ValueError("its checksum is wrong, or missing")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, or changed since it was written ({error}). Restore a copy") from error
    return record


def _sum_of(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def spelled(value: Any) -> Any:
    """Convert `value` for JSON: arrays become lists; NaN and infinities become strings that `float` accepts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: spelled(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spelled(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return spelled(value.tolist())
    return value
