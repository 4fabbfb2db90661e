"""Damaged and hostile files: each is refused by a message that names the file, or is read right.

Every file is loaded, and what loads also runs. Nothing outside of the file's folder is read.
"""

import os
import sys
import warnings
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.arrayfile import CheckpointError
from interop.torch_networks import X, randomised

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
node, from_array = onnx.helper.make_node, onnx.numpy_helper.from_array
INPUT = np.ones((3, 2), np.float32)
RED = "\x1b[31m"


def value(name, shape=("N", 2), kind=1):
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def model(*nodes, inputs=None, outputs=None, constants=(), functions=(), opset=20, own=False):
    graph = onnx.helper.make_graph(nodes, "g", inputs or [value("x")], outputs or [value("y")], constants)
    opsets = [onnx.helper.make_opsetid("", opset), *([onnx.helper.make_opsetid("own", 1)] * own)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)


def function(name, *nodes, domain="own"):
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("own", 1)]
    return onnx.helper.make_function(domain, name, ["a"], ["b"], nodes, opsets)


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
    return model(node("Add", ["x", "w"], ["y"]), constants=[w])


def of_shape(operator, *numbers, first="x"):
    w = from_array(np.array(numbers, np.int64), "w")
    shape = value("y", [None] * len(numbers))
    return model(node(operator, [first, "w"] if first else ["w"], ["y"]), constants=[w], outputs=[shape])


def resized(scale):
    w = from_array(np.array([1, scale], np.float32), "w")
    return model(node("Resize", ["x", "", "w"], ["y"]), constants=[w])


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


def edited(m, **fields):
    for name, content in fields.items():
        setattr(m, name, content)
    return m


def opsets_twice():
    m = model(node("Relu", ["x"], ["y"]))
    m.opset_import.add().version = 13
    return m


def longer_than_its_shape():
    return added(onnx.TensorProto(name="w", data_type=1, dims=[2], float_data=[1, 2, 3]))


DAMAGED, NODE = r"^load_onnx: .*f\.onnx is damaged, or not an ONNX file \(.+\)$", r"^f\.onnx: "
NAMED = r"f\.onnx has the name \\x1b\[31m, which is not printable$"
REFUSED = {  # name: (a function that makes the file, the message)
    "nothing": (lambda: b"", DAMAGED),
    "text": (lambda: b"no ONNX", DAMAGED),
    "no graph": (lambda: onnx.ModelProto(), DAMAGED),
    "a cycle": (lambda: model(node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Neg", ["b"], ["y"])),
                DAMAGED),
    "4 TB": (lambda: added(tensor([2**40], bytes(8))), DAMAGED),
    "a negative extent": (lambda: added(tensor([-2], bytes(8))), DAMAGED),
    "fewer bytes than the shape has": (lambda: added(tensor([3], bytes(8))), DAMAGED),
    "more numbers than the shape has": (longer_than_its_shape, DAMAGED),
    "bfloat16": (lambda: added(tensor([2], bytes(4), 16)), "w is bfloat16, want floats or integers"),
    "text for numbers": (lambda: model(node("Relu", ["x"], ["y"]), inputs=[value("x", kind=8)]), "load_onnx: .*x"),
    "an unknown dtype": (lambda: added(tensor([2], bytes(8), 99)), DAMAGED),
    "complex numbers": (lambda: added(tensor([2], bytes(16), 14)), "w is complex64, want floats or integers"),
    "a sparse constant": (lambda: sparse(), "has sparse constants|damaged"),
    **{f"numbers in {place!r}": (lambda place=place: added(tensor([2], location=place)), DAMAGED)
       for place in ("../secret", "/etc/passwd", "a/../../secret", "link", "folder")},
    **{f"numbers from {start} to {length}": (lambda start=start, length=length: added(
        tensor([2], location="beside", offset=start, length=length)), DAMAGED)
       for start, length in (("-8", "8"), ("4", "8"), ("0", "9" * 20), ("0", "4"))},
    "an attribute that is no text": (lambda: model(node("Gelu", ["x"], ["y"], approximate=b"\xff")), DAMAGED),
    "an operator that there is not": (lambda: model(node("Nope" + RED, ["x"], ["y"], RED)), DAMAGED),
    "opset 0": (lambda: model(node("Relu", ["x"], ["y"]), opset=0), DAMAGED),
    "opset 999": (lambda: model(node("Relu", ["x"], ["y"]), opset=999), "has opset 999; the installed ONNX ends at"),
    "two opsets": (opsets_twice, "several versions of ONNX's operators"),
    "a function for an operator": (lambda: model(node("Relu", ["x"], ["y"]), functions=[
        function("Relu", node("Neg", ["a"], ["b"]), domain="")]), "has functions of its own"),
    "two functions that call each other": (lambda: model(node("f", ["x"], ["y"], domain="own"), own=True, functions=[
        function("f", node("g", ["a"], ["b"], domain="own")), function("g", node("f", ["a"], ["b"], domain="own"))]),
        DAMAGED),
    "functions 5,000 deep": (lambda: model(node("f4999", ["x"], ["y"], domain="own"), own=True, functions=[
        function("f0", node("Relu", ["a"], ["b"])),
        *(function(f"f{k}", node(f"f{k - 1}", ["a"], ["b"], domain="own")) for k in range(1, 5000))]), DAMAGED),
    "graphs 3,000 deep": (lambda: nested(3000), DAMAGED),
    "a loop": (lambda: looped(), r"has operators that this package lacks: Loop \(1\)"),
    "a sparse Constant": (lambda: model(node("Constant", [], ["y"], sparse_value=sparse_tensor())),
                          "has sparse constants"),
    "text in a Constant": (lambda: model(node("Constant", [], ["q"], value_string=RED), node("Relu", ["x"], ["y"])),
                           "q is str.*, want floats or integers"),
    "complex numbers in a Constant": (lambda: model(node("Constant", [], ["q"], value=tensor([1], bytes(16), 15)),
                                                    node("Relu", ["x"], ["y"])),
                                      "q is complex128, want floats or integers"),
    "a node with a name that is not printable": (lambda: model(node("Relu", ["x"], ["y"], RED)), NAMED),
    "a constant with one": (lambda: model(node("Add", ["x", RED], ["y"]), constants=[from_array(INPUT, RED)]), NAMED),
    "a result with one": (lambda: model(node("Relu", ["x"], [RED]), node("Relu", [RED], ["y"])), NAMED),
    "an extent with one": (lambda: model(node("Relu", ["x"], ["y"]), inputs=[value("x", (RED, 2))]), NAMED),
    "a domain with one": (lambda: model(node("f", ["x"], ["y"], domain=RED)), f"{DAMAGED}|{NAMED}"),
    "opset 6": (lambda: model(node("Relu", ["x"], ["y"]), opset=6), "has opset 6, want 7 or later"),
    "4 TB when it runs": (lambda: of_shape("ConstantOfShape", 2**40, first=""), NODE + "ConstantOfShape"),
    "a negative shape when it runs": (lambda: of_shape("ConstantOfShape", -1, first=""), NODE + "ConstantOfShape"),
    "2**64 numbers when it runs": (lambda: of_shape("Expand", 2**62, 4, 3, 2), NODE + "Expand"),
    "tiles without end": (lambda: of_shape("Tile", 2**40, 2**20), NODE + "Tile"),
    "padding without end": (lambda: of_shape("Pad", 0, 0, 2**40, 2**40), NODE + "Pad"),
    "a shape that does not fit": (lambda: of_shape("Reshape", 7, 9), NODE + "Reshape"),
    "an index out of range": (lambda: of_shape("Gather", 2**40), NODE + "Gather"),
    **{f"scale {scale}": (lambda scale=scale: resized(scale), NODE + "Resize") for scale in (-1, 0, np.nan, 1e13)},
}  # fmt: skip


def sparse():
    m = model(node("Add", ["x", "w"], ["y"]))
    m.graph.sparse_initializer.append(sparse_tensor())
    return m


def sparse_tensor():
    numbers = from_array(np.ones(1, np.float32), "w")
    place = from_array(np.zeros((1, 2), np.int64), "i")
    return onnx.helper.make_sparse_tensor(numbers, place, [3, 2])


def looped():
    values = [value("k", [], 7), value("on", [], 9), value("a")]
    steps = [node("Identity", ["on"], ["on_"]), node("Relu", ["a"], ["a_"])]
    body = onnx.helper.make_graph(steps, "b", values, [value("on_", [], 9), value("a_")])
    return model(node("Loop", ["", "c", "x"], ["y"], body=body), constants=[from_array(np.array(True), "c")])


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


def survives(folder, raw):
    """Load and run a file. Return what happened; any error but a refusal by name is raised."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            load(folder, raw)(X)
    except (ValueError, TypeError) as error:
        assert str(error).startswith(("load_onnx: ", "f.onnx: ", "OnnxModule: ")), error
        return "refused"
    return "ran"


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
    counts = Counter(survives(folder, damage(network, rng)) for _ in range(count))
    counts += Counter(survives(folder, network[:n]) for n in range(0, len(network), len(network) * 2 // count))
    assert counts["refused"] > count / 2


@pytest.mark.slow
def test_twenty_thousand_nodes_run(folder):
    names = ["x", *(f"a{k}" for k in range(20_000 - 1)), "y"]
    m = load(folder, model(*(node("Neg", [a], [b]) for a, b in pairwise(names))))
    np.testing.assert_array_equal(m(INPUT), INPUT)
