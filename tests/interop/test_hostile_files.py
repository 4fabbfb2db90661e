"""Damaged and hostile files: each is refused by a message that names the file, or is read right.

Every file is loaded, and what loads also runs. Nothing outside of the file's folder is read.
"""

import os
import sys
import warnings
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.arrayfile import CheckpointError
from interop.onnx_files import parsed
from interop.torch_networks import X, randomised

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
INPUT = np.ones((3, 2), np.float32)
RED = "\x1b[31m"


def changed(body, change, *types, **options):
    """A file of nodes, after a change."""
    model = parsed(body, *types, **options)
    change(model)
    return model


def tensor(dims, raw=b"", kind=1, **outside):
    """A constant `w`, whose numbers may be outside of the file."""
    t = onnx.TensorProto(name="w", data_type=kind, dims=dims)
    if outside:
        t.data_location = onnx.TensorProto.EXTERNAL
        for key, text in outside.items():
            t.external_data.add(key=key, value=text)
    else:
        t.raw_data = raw
    return t


def added(w):
    return changed("y = Add(x, w)", lambda m: m.graph.initializer.append(w))


def sparse():
    numbers = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    place = onnx.numpy_helper.from_array(np.zeros((1, 2), np.int64), "i")
    return onnx.helper.make_sparse_tensor(numbers, place, [3, 2])


def constant(**value):
    """A Constant whose attribute is none that ONNX's text can have."""
    (attribute,) = (onnx.helper.make_attribute(*item) for item in value.items())
    return changed(
        "q = Constant<value_int=1>() y = Relu(x)", lambda m: m.graph.node[0].attribute[0].CopyFrom(attribute)
    )


def function(name, body):
    return f'<domain: "own", opset_import: ["": 20, "own": 1]> {name} (a) => (b) {{ b = {body} }} '


def delimited(field, content):
    size, head = len(content), bytes([field << 3 | 2])
    while size > 127:
        head, size = head + bytes([size & 127 | 128]), size >> 7
    return head + bytes([size]) + content


def nested(depth):
    """A graph in an attribute of a node of a graph, and so on."""
    content = b""
    for _ in range(depth):
        content = delimited(1, delimited(5, delimited(6, content)))
    return delimited(7, content)


DAMAGED, NODE = r"^load_onnx: .*f\.onnx is damaged, or not an ONNX file \(.+\)$", r"^f\.onnx: "
NAMED = r"f\.onnx has the name \\x1b\[31m, which is not printable$"
LOOP = """y = Loop<body = b (int64 k, bool on, float[N, 2] a) => (bool on_, float[N, 2] a_)
          { on_ = Identity(on) a_ = Relu(a) }>(, c, x)"""
REFUSED = {  # name: (a function that makes the file, the message)
    "nothing": (lambda: b"", DAMAGED),
    "text": (lambda: b"no ONNX", DAMAGED),
    "no graph": (lambda: onnx.ModelProto(), DAMAGED),
    "a cycle": (lambda: parsed("a = Add(x, b) b = Relu(a) y = Neg(b)"), DAMAGED),
    "4 TB": (lambda: added(tensor([2**40], bytes(8))), DAMAGED),
    "a negative extent": (lambda: added(tensor([-2], bytes(8))), DAMAGED),
    "fewer bytes than the shape has": (lambda: added(tensor([3], bytes(8))), DAMAGED),
    "more numbers than the shape has": (
        lambda: added(onnx.TensorProto(name="w", data_type=1, dims=[2], float_data=[1, 2, 3])), DAMAGED),
    "bfloat16": (lambda: added(tensor([2], bytes(4), 16)), "w is bfloat16, want floats or integers"),
    "text for numbers": (lambda: parsed("y = Relu(x)", "string[N, 2] x"), "load_onnx: .*x"),
    "an unknown dtype": (lambda: added(tensor([2], bytes(8), 99)), DAMAGED),
    "complex numbers": (lambda: added(tensor([2], bytes(16), 14)), "w is complex64, want floats or integers"),
    "a sparse constant": (lambda: changed("y = Add(x, w)", lambda m: m.graph.sparse_initializer.append(sparse())),
                          "has sparse constants"),
    **{f"numbers in {place!r}": (lambda place=place: added(tensor([2], location=place)), DAMAGED)
       for place in ("../secret", "/etc/passwd", "a/../../secret", "link", "folder")},
    **{f"numbers from {start} to {length}": (lambda start=start, length=length: added(
        tensor([2], location="beside", offset=start, length=length)), DAMAGED)
       for start, length in (("-8", "8"), ("4", "8"), ("0", "9" * 20), ("0", "4"))},
    "an attribute that is no text": (lambda: changed('y = Gelu<approximate="none">(x)', lambda m: setattr(
        m.graph.node[0].attribute[0], "s", b"\xff")), DAMAGED),
    "an operator that there is not": (lambda: changed("y = Relu(x)", lambda m: setattr(
        m.graph.node[0], "op_type", "Nope" + RED)), DAMAGED),
    "opset 0": (lambda: parsed("y = Relu(x)", opset=0), DAMAGED),
    "opset 6": (lambda: parsed("y = Relu(x)", opset=6), "has opset 6, want 7 or later"),
    "opset 999": (lambda: parsed("y = Relu(x)", opset=999), "has opset 999; the installed ONNX ends at"),
    "two opsets": (lambda: changed("y = Relu(x)", lambda m: setattr(m.opset_import.add(), "version", 13)),
                   "several versions of ONNX's operators"),
    "a function for an operator": (lambda: parsed("y = Relu(x)", own=function("Relu", "Neg(a)").replace("own", "", 1)),
                                   "has functions of its own"),
    "two functions that call each other": (
        lambda: parsed("y = own.f(x)", own=function("f", "own.g(a)") + function("g", "own.f(a)")), DAMAGED),
    "functions 5,000 deep": (lambda: parsed("y = own.f4999(x)", own=function("f0", "Relu(a)") + "".join(
        function(f"f{k}", f"own.f{k - 1}(a)") for k in range(1, 5000))), DAMAGED),
    "graphs 3,000 deep": (lambda: nested(3000), DAMAGED),
    "a loop": (lambda: parsed(LOOP, c=np.array(True)), r"has operators that this package lacks: Loop \(1\)"),
    "a sparse Constant": (lambda: constant(sparse_value=sparse()), "has sparse constants"),
    "text in a Constant": (lambda: constant(value_string=RED), "q is str.*, want floats or integers"),
    "complex numbers in a Constant": (lambda: constant(value=tensor([1], bytes(16), 15)),
                                      "q is complex128, want floats or integers"),
    "a node with a name that is not printable": (
        lambda: changed("y = Relu(x)", lambda m: setattr(m.graph.node[0], "name", RED)), NAMED),
    "a constant with one": (lambda: parsed("y = Relu(x)", **{RED: INPUT}), NAMED),
    "a result with one": (lambda: changed("y, z = Dropout(x)", lambda m: m.graph.node[0].output.__setitem__(1, RED)),
                          NAMED),
    "an extent with one": (lambda: changed("y = Relu(x)", lambda m: setattr(
        m.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", RED)), NAMED),
    "a domain with one": (lambda: changed("y = own.f(x)", lambda m: setattr(m.graph.node[0], "domain", RED), own=" "),
                          f"{DAMAGED}|{NAMED}"),
    "4 TB when it runs": (lambda: parsed("y = ConstantOfShape(w)", w=[2**40]), NODE + "ConstantOfShape"),
    "a negative shape when it runs": (lambda: parsed("y = ConstantOfShape(w)", w=[-1]), NODE + "ConstantOfShape"),
    "2**64 numbers when it runs": (lambda: parsed("y = Expand(x, w)", w=[2**62, 4, 3, 2]), NODE + "Expand"),
    "tiles without end": (lambda: parsed("y = Tile(x, w)", w=[2**40, 2**20]), NODE + "Tile"),
    "padding without end": (lambda: parsed("y = Pad(x, w)", w=[0, 0, 2**40, 2**40]), NODE + "Pad"),
    "a shape that does not fit": (lambda: parsed("y = Reshape(x, w)", w=[7, 9]), NODE + "Reshape"),
    "an index out of range": (lambda: parsed("y = Gather(x, w)", w=[2**40]), NODE + "Gather"),
    **{f"scale {scale}": (lambda scale=scale: parsed("y = Resize(x, , w)", w=np.float32([1, scale])), NODE + "Resize")
       for scale in (-1, 0, np.nan, 1e13)},
}  # fmt: skip


def load(folder, content):
    raw = content.SerializeToString() if isinstance(content, onnx.ModelProto) else content
    (folder / "f.onnx").write_bytes(raw)
    return ag.interop.load_onnx(folder / "f.onnx")


@pytest.fixture
def folder(tmp_path):
    """A folder with a file of numbers beside the network, a link out of it, and a file outside."""
    inside = tmp_path / "inside"
    (inside / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(64))
    (inside / "beside").write_bytes(np.float32([1, 2]).tobytes())
    with suppress(OSError):  # Windows has none without a privilege
        (inside / "link").symlink_to("../secret")
    return inside


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_network_is_refused(folder, name):
    make, message = REFUSED[name]
    with warnings.catch_warnings(), pytest.raises((ValueError, TypeError), match=message) as error:
        warnings.simplefilter("ignore")  # of the numbers
        load(folder, make())(INPUT)
    assert RED not in str(error.value)


def test_numbers_beside_the_file_are_read(folder):
    got = load(folder, added(tensor([2], location="beside")))(INPUT)
    assert got.data.tolist() == [[2, 3]] * 3


@pytest.mark.skipif(sys.platform == "win32", reason="has no devices and pipes that look like files")
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "f.onnx")
    for path in tmp_path / "f.onnx", tmp_path, "/dev/zero":
        with pytest.raises(OSError, match="is not a regular file"):
            ag.interop.load_onnx(path)
    with pytest.raises(CheckpointError):
        ag.interop.load_weights(tmp_path / "f.onnx", {"w": ag.Tensor(1.0)})


def test_escape_sequences_in_names_of_weights_stay_out_of_messages(tmp_path):
    ag.interop.save_weights(tmp_path / "w", {RED: ag.Tensor(1.0)})
    with pytest.raises(CheckpointError, match="unexpected") as error:
        ag.interop.load_weights(tmp_path / "w", {"w": ag.Tensor(1.0)})
    assert RED not in str(error.value)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "f.onnx"
    layers = nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(40, 3)
    ag.interop.export_onnx(path, randomised(nn.Sequential(*layers)), X)
    return path.read_bytes()


def refused(folder, raw):
    """Load and run a file. Return whether it is refused by name; any other error is raised."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            load(folder, raw)(X)
    except (ValueError, TypeError) as error:
        assert str(error).startswith(("load_onnx: ", "f.onnx: ", "OnnxModule: ")), error
        return True
    return False


def damage(raw, rng):
    """Return a file with one bit, or two bytes, of another value."""
    changed = bytearray(raw)
    if rng.random() < 0.5:
        changed[rng.integers(len(raw))] ^= 1 << rng.integers(8)
    else:
        for _ in range(2):
            changed[rng.integers(len(raw))] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_damaged_network_is_refused_or_runs(folder, network, count):
    rng = np.random.default_rng(count)
    files = [damage(network, rng) for _ in range(count)]
    files += [network[:n] for n in range(0, len(network), len(network) * 2 // count)]
    assert sum(refused(folder, raw) for raw in files) > count / 2


@pytest.mark.slow
def test_twenty_thousand_nodes_run(folder):
    names = ["x", *(f"a{k}" for k in range(20_000 - 1)), "y"]
    model = load(folder, parsed(" ".join(f"{b} = Neg({a})" for a, b in pairwise(names))))
    np.testing.assert_array_equal(model(INPUT), INPUT)
