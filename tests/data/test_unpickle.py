"""Reading pickles: data are read back as written, everything else is refused, nothing runs, nothing hangs."""

import builtins
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from autograd_cnn.data import cifar10
from autograd_cnn.data.unpickle import GLOBALS, read_pickle

BATCH = {
    "labels": [3, 255, 256, 70_000, -1],
    "names": ["a", "b" * 300],
    "flags": (True, False, None, ()),
    "tuples": [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "empty": [],
    "one": ["x"],
}


PROTOCOLS = pytest.mark.parametrize("protocol", range(6))
PAIRS = b"N\x85q\xff" + b"h\xff\x86q\xff" * 20  # (None,) in 2**20 places: a pair of one pair, again and again


@PROTOCOLS
def test_plain_data_are_read_back_as_written(protocol):
    shared = [1, 2]
    batch = {**BATCH, "shared": [shared, shared]}
    result = read_pickle(pickle.dumps(batch, protocol))
    assert result == batch and result["shared"][0] is result["shared"][1]


@PROTOCOLS
def test_bytes_are_read_back_in_every_protocol(protocol):
    batch = {b"all": bytes(range(256)), b"none": b"", b"many": [b"a", b"b"] * 2}
    text = {"all": batch[b"all"].decode("latin-1"), "none": "", "many": ["a", "b"] * 2}
    result = read_pickle(pickle.dumps(batch, protocol))
    assert result == (text if protocol < 3 else {key.decode(): value for key, value in batch.items()})


@PROTOCOLS
@pytest.mark.parametrize("keys", [("data", "labels"), (b"data", b"labels")])
def test_a_batch_of_any_protocol_is_decoded(protocol, keys):
    planes = np.random.default_rng(0).integers(0, 256, (2, 3072), np.uint8)
    frozen = planes.copy()
    frozen.flags.writeable = False
    for data in (planes, frozen, np.repeat(planes, 2, axis=0)[::2], planes[:1], planes[:0]):
        raw = pickle.dumps(
            {**dict(zip(keys, [data, [3, 9][: len(data)]], strict=True)), "files": [b"", b"a"]}, protocol
        )
        images, labels = cifar10.TABLE.versions[1].decode(raw)
        np.testing.assert_array_equal(images.transpose(0, 3, 1, 2).reshape(-1, 3072), data)
        assert labels.tolist() == [3, 9][: len(data)]
    for data in (np.asfortranarray(planes), planes.astype(np.int16)):
        with pytest.raises(ValueError, match="its pixels are not uint8 in C order"):
            cifar10.TABLE.versions[1].decode(pickle.dumps({"data": data, "labels": [3, 9]}, protocol))


def test_python_2_strings_keep_their_bytes(as_python2_pickle):
    everything = bytes(range(256))
    assert read_pickle(as_python2_pickle({"x": everything * 2}))["x"].encode("latin-1") == everything * 2
    assert read_pickle(as_python2_pickle(BATCH)) == BATCH


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(folder):
    """Pickles with forbidden instructions; any call would create `folder` / "executed"."""
    mark = str(folder / "executed")
    for function in (os.mkdir, os.system, subprocess.Popen, builtins.eval, open):
        yield from (pickle.dumps(Call(function, mark), protocol) for protocol in (2, 4))
    yield pickle.dumps(Call(np.load, mark), 2)
    yield pickle.dumps(np.dtype, 2).replace(b"dtype", b"memmap")
    yield b"\x80\x02cnumpy\nndarray\nU\x03abc\x81."  # NEWOBJ
    yield b"(S'x'\nios\nsystem\n."  # INST, protocol 0
    yield b"(cos\nsystem\nS'x'\no."  # OBJ
    yield b"\x80\x02\x82\x01."  # EXT1
    yield b"\x80\x02U\x03abcQ."  # BINPERSID
    yield b"\x80\x02}((((tttK\x01s."  # a tuple as a key
    yield b"\x80\x04\x8c\x02os\x8c\x06system\x93."  # STACK_GLOBAL
    yield b"\x80\x04(\x8c\x02os\x93."  # STACK_GLOBAL on a mark
    yield b"\x80\x02cnumpy.ndarray\n__class__\n."
    yield b"\x80\x04" + PAIRS + b"h\xff\x93."  # STACK_GLOBAL on tuples
    yield b"\x80\x02" + PAIRS + b")R."  # REDUCE of a tuple
    yield b"\x80\x02c_codecs\nencode\n" + PAIRS + b"R."
    yield b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00utf-8\x86R."
    yield b"\x80\x02c_codecs\nencode\n" + PAIRS + b"X\x06\x00\x00\x00latin1\x86R."


def test_hostile_pickles_are_refused_and_run_nothing(tmp_path):
    pickles = list(hostile(tmp_path))
    for raw in pickles:
        with pytest.raises((ValueError, TypeError)):
            read_pickle(raw)
        with pytest.raises(ValueError, match="Use the binary version"):
            cifar10.TABLE.versions[1].decode(raw)
    assert len(pickles) > 15 and not (tmp_path / "executed").exists()


def test_the_error_names_what_is_refused():
    with pytest.raises(ValueError, match=rf"^asks for {os.system.__module__}.system: refused$"):
        read_pickle(pickle.dumps(Call(os.system, "true"), 2))
    with pytest.raises(ValueError, match="^holds the instruction NEWOBJ: refused$"):
        read_pickle(b"\x80\x02cnumpy\nndarray\n)\x81.")
    with pytest.raises(ValueError, match="^has a key of type tuple: refused$"):
        read_pickle(pickle.dumps({(1, 2): 3}, 2))
    with pytest.raises(ValueError, match="^asks for something without a name: refused$"):
        read_pickle(b"\x80\x04" + PAIRS + b"h\xff\x93.")
    with pytest.raises(ValueError, match="^has a key of 1,001 characters: refused$"):
        read_pickle(pickle.dumps({"k" * 1001: 3}, 2))


def test_what_a_pickle_asks_for_cannot_reach_the_terminal():
    with pytest.raises(ValueError, match=r"^asks for os\\x1b\[2J.\\x07: refused$"):
        read_pickle(b"\x80\x02cos\x1b[2J\n\x07\n.")
    with pytest.raises(ValueError) as caught:
        read_pickle(b"c" + b"o" * 1_000_000 + b"\nsystem\n.")
    assert len(str(caught.value)) < 3000


@pytest.mark.slow
def test_the_number_of_instructions_is_limited():
    """Each byte of `]` makes a list of 56 bytes."""
    assert read_pickle(b"]" * 999_999 + b".") == []
    with pytest.raises(ValueError, match="^has more than 1,000,000 instructions: refused$"):
        read_pickle(b"]" * 1_000_000 + b".")


@pytest.mark.parametrize("kind", ["labels", "shape"])
def test_numbers_that_are_nested_are_refused_before_anything_walks_them(as_python, kind):
    raw = as_python(np.zeros((2, 3072), np.uint8), np.array([3, 4]))
    old = {"labels": b"K\x03K\x04e", "shape": b"K\x02M\x00\x0c\x86"}[kind]
    assert raw.count(old) == 1
    new = PAIRS + (b"e" if kind == "labels" else b"")
    with pytest.raises(ValueError, match=f"{kind}: not a flat (list|tuple) of int"):
        cifar10.TABLE.versions[1].decode(raw.replace(old, new))


def test_array_names_stay_names():
    for name in GLOBALS - {"_codecs.encode", "__builtin__.bytes"}:
        module, _, attribute = name.rpartition(".")
        result = read_pickle(f"\x80\x02c{module}\n{attribute}\n)R}}b.".encode("latin-1"))
        assert (result.function, result.arguments, result.state) == (name, (), {})


def test_claimed_sizes_allocate_nothing():
    """Indices and lengths that would make the standard unpickler allocate gigabytes."""
    far = struct.pack("<I", 2**32 - 1)
    assert read_pickle(b"\x80\x02Nr" + far + b".") is None
    for raw in (b"T" + struct.pack("<i", 2**31 - 1) + b"x.", b"T" + far + b".", b"B" + far + b"x."):
        with pytest.raises(ValueError):
            read_pickle(raw)


def test_nesting_may_be_deep():
    value = read_pickle(b"\x80\x02N" + b"\x85" * 200_000 + b".")
    for _ in range(200_000):  # in a loop, since comparing or printing it would recurse
        (value,) = value
    assert value is None


def test_damage_anywhere_is_noticed_or_harmless(as_python):
    """Every truncation is refused; a changed byte is refused, or changes values only."""
    raw = as_python(np.zeros((1, 3072), np.uint8), np.array([3]))
    decode = cifar10.TABLE.versions[1].decode
    pixels = raw.index(bytes(3072))
    structure = [k for k in range(len(raw)) if not pixels + 3 <= k < pixels + 3000]
    for k in structure:
        with pytest.raises(ValueError):
            decode(raw[:k])
        for flip in (1, 128, 255):
            changed = bytearray(raw)
            changed[k] ^= flip
            try:
                images, labels = decode(bytes(changed))
            except ValueError:
                continue
            assert images.dtype == np.uint8 and images.shape[1:] == (32, 32, 3) and labels.dtype == np.int64
