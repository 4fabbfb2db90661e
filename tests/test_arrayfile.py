"""Files of arrays: content is read back bit for bit, and any other file is refused."""

import hashlib
import json
import struct
import sys

import numpy as np
import pytest
import safetensors.numpy

from autograd_cnn.arrayfile import CheckpointError, read_arrays, write_arrays

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.ones(2, np.float16), "scalar": np.array(0.1),
    "empty": np.zeros((0, 3)), "flags": np.array([True, False]), "steps": np.array(2**62),
    "waves": np.array([1 + 2j, -0.0 - 1j], np.complex64), "phase": np.array(1 - 0.1j),
    "spectra": np.array([[1 + 2j, 3j], [-4, np.nan]]),
}  # fmt: skip
STATE = {"seed": 2**127 + 1, "rate": 0.1, "words": ["naïve", "\n"], "nothing": None}


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_arrays_and_state_are_read_back_bit_for_bit(tmp_path):
    write_arrays(tmp_path / "a", ARRAYS, STATE)
    arrays, state = read_arrays(tmp_path / "a")
    assert arrays.keys() == ARRAYS.keys() and all(same(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert state == STATE


def test_any_memory_layout_is_written_by_value(tmp_path):
    square = np.arange(9.0).reshape(3, 3)
    layouts = {"transposed": square.T, "strided": square[::2, ::2], "big-endian": square.astype(">f8")}
    write_arrays(tmp_path / "a", layouts, {})
    arrays, _ = read_arrays(tmp_path / "a")
    for name, array in layouts.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_infinities_and_nan_are_read_back_as_strings_that_float_accepts(tmp_path):
    state = {"numbers": [float("inf"), -np.inf, np.nan, np.float32(0.5), np.arange(2)]}
    write_arrays(tmp_path / "a", {}, state)
    assert read_arrays(tmp_path / "a")[1] == {"numbers": ["inf", "-inf", "nan", 0.5, [0, 1]]}


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_arrays(tmp_path / name, ARRAYS, STATE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_readers_open_the_file(tmp_path):
    write_arrays(tmp_path / "a", ARRAYS, STATE)
    arrays = safetensors.numpy.load_file(tmp_path / "a")
    pairs = {name for name, array in ARRAYS.items() if array.dtype == np.complex128}  # which the format lacks
    assert all(same(arrays[name], ARRAYS[name]) for name in ARRAYS.keys() - pairs)
    assert all(same(arrays[name], np.stack([ARRAYS[name].real, ARRAYS[name].imag], -1)) for name in pairs)
    with safetensors.safe_open(tmp_path / "a", "np") as file:
        state = json.loads(file.metadata()["autograd_cnn"])
    raw = (tmp_path / "a").read_bytes()
    assert hashlib.sha256(raw.replace(state["sha256"].encode(), b"0" * 64)).hexdigest() == state["sha256"]


def test_arrays_are_writable_copies(tmp_path):
    write_arrays(tmp_path / "a", {"w": np.zeros(3)}, {})
    arrays, _ = read_arrays(tmp_path / "a")
    write_arrays(tmp_path / "a", {"w": np.ones(3)}, {})
    arrays["w"][0] = 5
    assert arrays["w"].tolist() == [5, 0, 0] and read_arrays(tmp_path / "a")[0]["w"].tolist() == [1, 1, 1]


def damaged(raw, bits):
    for length in range(len(raw)):
        yield raw[:length]
    for position in range(len(raw)):
        for bit in bits:
            yield raw[:position] + bytes([raw[position] ^ 1 << bit]) + raw[position + 1 :]
    yield raw + b"\0"


@pytest.mark.parametrize("bits", [[0], pytest.param(range(8), marks=pytest.mark.slow)])
def test_every_truncation_and_a_flip_in_every_byte_are_noticed(tmp_path, bits):
    path = tmp_path / "a"
    write_arrays(path, {"w": np.arange(3, dtype=np.float32), "scalar": np.array(1.5)}, {"step": 3})
    for wrong in damaged(path.read_bytes(), bits):
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError):  # and no other class
            # a file from elsewhere has no checksum; a caller that needs one checks this
            if read_arrays(path)[1] is None:
                raise CheckpointError


def raw_file(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(shape, offsets, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


ONE = json.dumps(entry([1], [0, 4]))
HOSTILE = {
    "nothing": b"",
    "no header": b"1234567",
    "header longer than the file": raw_file(b"{}", length=3),
    "header longer than any file": raw_file(b"{}", length=2**64 - 1),
    "not UTF-8": raw_file(b'{"\xff": 1}'),
    "not JSON": raw_file(b"{nope"),
    "not a dict": raw_file(b"[]"),
    "nested 1,000 deep": raw_file(b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "nested 100,000 deep": raw_file(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "metadata twice": raw_file(f'{{"__metadata__": {{}}, "__metadata__": {{}}, "a": {ONE}}}'.encode(), b"0000"),
    "overlap": raw_file({"a": entry([1], [0, 4]), "b": entry([1], [2, 6])}, b"0" * 6),
    "gap": raw_file({"a": entry([1], [0, 4]), "b": entry([1], [6, 10])}, b"0" * 10),
    "backwards": raw_file({"a": entry([1], [4, 0])}, b"0000"),
    "a name twice": raw_file(
        f'{{"a": {json.dumps(entry([1], [0, 4]))}, "a": {json.dumps(entry([1], [4, 8]))}}}'.encode(), b"0" * 8
    ),
    "past the end": raw_file({"a": entry([2], [0, 8])}, b"0000"),
    "size is not the shape's": raw_file({"a": entry([3], [0, 4])}, b"0000"),
    "product past 2**63": raw_file({"a": entry([2**62, 4], [0, 4])}, b"0000"),
    "product past 2**63, times 0": raw_file({"a": entry([2**62, 4, 0], [0, 0])}),
    "negative extent": raw_file({"a": entry([-1], [0, 4])}, b"0000"),
    "unknown dtype": raw_file({"a": entry([1], [0, 4], "Q7")}, b"0000"),
    "dtype that NumPy lacks": raw_file({"a": entry([2], [0, 2], "F8_E4M3")}, b"00"),
    "bytes left over": raw_file({"a": entry([1], [0, 4])}, b"00000"),
    "metadata is a list": raw_file({"__metadata__": []}),
    "state is not JSON": raw_file({"__metadata__": {"autograd_cnn": "{"}}),
    "state is a list": raw_file({"__metadata__": {"autograd_cnn": "[1]"}}),
    "state nested 100,000 deep": raw_file({"__metadata__": {"autograd_cnn": "[" * 100_000}}),
    "no sum": raw_file({"__metadata__": {"autograd_cnn": "{}"}}),
    "empty sum": raw_file({"__metadata__": {"autograd_cnn": '{"sha256": ""}'}}),
    "sum is a number": raw_file({"__metadata__": {"autograd_cnn": '{"sha256": 1}'}}),
    "wrong sum": raw_file({"__metadata__": {"autograd_cnn": json.dumps({"sha256": "a" * 64})}}),
    "sum with surrogates": raw_file({"__metadata__": {"autograd_cnn": json.dumps({"sha256": "\ud800" * 64})}}),
}


def test_bfloat16_becomes_float32(tmp_path):
    numbers = np.array([[1, -2.5], [2**100, np.inf]], np.float32)
    halves = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    (tmp_path / "a").write_bytes(raw_file({"a": entry([2, 2], [0, 8], "BF16")}, halves.tobytes()))
    (array,) = read_arrays(tmp_path / "a")[0].values()
    np.testing.assert_array_equal(array, numbers)
    assert array.dtype == np.float32


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(tmp_path, kind):
    (tmp_path / "a").write_bytes(HOSTILE[kind])
    with pytest.raises(CheckpointError, match=r"damaged, or not a safetensors file|NumPy has no dtype"):
        read_arrays(tmp_path / "a")


@pytest.mark.skipif(sys.platform == "win32", reason="has no devices that look like files")
def test_a_device_without_end_is_refused():
    with pytest.raises(CheckpointError):
        read_arrays("/dev/zero")


def test_a_file_from_elsewhere_has_no_state(tmp_path):
    safetensors.numpy.save_file({"w": np.ones(2)}, tmp_path / "a", {"format": "np"})
    arrays, state = read_arrays(tmp_path / "a")
    assert arrays["w"].tolist() == [1, 1] and state is None


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "a")
