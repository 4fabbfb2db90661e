"""A standalone program has the source of the textbook, needs NumPy alone, and gives the bits of the engine without
`fast`.
"""

import ast
import linecache
import pickle
import re
import runpy
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.program.shorten import shorten
from processes import printed
from studio.player import random_programs
from studio.programs import check, leaf, same

STUDIO = Path(ag.__file__).parent / "studio"
DEMOS, EXAMPLES = STUDIO / "player" / "demos", STUDIO / "live" / "examples"

RUN = """
import sys
sys.modules["autograd_cnn"] = None
import pickle, runpy
with open("given", "rb") as file:
    given = pickle.load(file)
results = [runpy.run_path(f"{i}.py")["step"](*arrays) for i, arrays in enumerate(given)]
with open("results", "wb") as file:
    pickle.dump(results, file)
"""


pytestmark = pytest.mark.usefixtures("textbook")


def ones(graph, program):
    """The gradient of a result that is no loss."""
    dtype = graph.values[graph.result].dtype
    return {n: np.ones(program.shapes[n], dtype) for n in program.inputs if n not in program.leaves}


def compare(graphs, folder):
    """Run the files of all graphs in a process without this package, and compare with their other programs."""
    given = []
    for i, graph in enumerate(graphs):
        graph.save(folder / f"{i}.py", standalone=True)
        program = graph.program(standalone=True)
        assert program.source == (folder / f"{i}.py").read_text(encoding="utf-8")
        arrays = {name: program.leaves[name] for name in program.inputs if name in program.leaves}
        arrays |= ones(graph, program)
        given.append([arrays[name] for name in program.inputs])
    (folder / "given").write_bytes(pickle.dumps(given))
    printed("-c", RUN, cwd=folder)
    for graph, (value, gradients) in zip(graphs, pickle.loads((folder / "results").read_bytes()), strict=True):
        program = graph.program()
        wanted, walked = program.run(**ones(graph, program))
        assert same(value, wanted)
        assert list(gradients) == list(walked)
        for name in walked:
            assert same(gradients[name], walked[name]), name


def traced(f, *leaves):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ag.trace(f, *leaves)


def small_cnn(x, W1, b1, W2, b2, y):
    h = ag.conv2d(x, W1, b1, padding=1)
    r = ag.relu(h)
    p = ag.max_pool2d(r, 2)
    f = ag.flatten(p, 1)
    z = ag.linear(f, W2, b2)
    return ag.cross_entropy(z, y)


def test_a_cnn_reads_like_one_by_hand(rng, tmp_path):
    """Every line of one stands in `docs/derived_cnn.py`, which a test compares."""
    shapes = {"W1": (3, 3, 3, 16), "b1": (16,), "W2": (256, 10), "b2": (10,)}
    leaves = [leaf((0.1 * rng.normal(size=shape)).astype(np.float32), name) for name, shape in shapes.items()]
    x, y = rng.random((4, 8, 8, 3), np.float32), np.array([3, 1, 4, 1])
    graph = traced(small_cnn, x, *leaves, y)
    compare([graph], tmp_path)
    source = graph.program(standalone=True).source
    assert len(source.splitlines()) <= 150
    checks = [line for line in source.splitlines() if "raise" in line]
    assert len(checks) == 2  # of the arrays, and of the labels
    for line in checks:
        source = source.replace(line, "")
    assert not re.search(r"autograd_cnn|\bag\.|\.raw|Any|raise|errstate\(.*\):|is None", source)
    loss = small_cnn(x, *leaves, y)
    loss.backward()
    value, gradients = pickle.loads((tmp_path / "results").read_bytes())[0]
    assert same(value, loss.data)
    for tensor in leaves:
        assert same(gradients[tensor.name], tensor.grad)


@pytest.mark.slow
def test_networks(rng, standard_cnn, tmp_path):
    nn = ag.nn
    body = [nn.Conv2d(3, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, rng=rng)]
    model = nn.Sequential(*body, nn.Flatten(), nn.Dropout(0.5, rng=rng), nn.Linear(36, 10, rng=rng))
    x, y = rng.random((2, 8, 8, 3), np.float32), np.array([3, 1])
    graphs = [traced(lambda x: ag.cross_entropy(model(x), y), x)]
    model.eval()
    graphs.append(traced(lambda x: ag.cross_entropy(model(x), y), x))
    source = graphs[0].program(standalone=True).source
    assert "    h4 = conv2d(h3, layer3_w, layer3_b, " in source  # layers that the user did not name
    assert not re.search("mean is |builtins|axis_tuple|groups|known|plain_array|is_complex", source)
    assert len(source.splitlines()) <= 185
    p, images, labels = standard_cnn.arguments(rng)
    graphs.append(traced(lambda *ws: standard_cnn(dict(zip(p, ws, strict=True)), images, labels), *p.values()))
    assert len(graphs[-1].program(standalone=True).source.splitlines()) <= 152
    w, v = leaf(rng.normal(size=(3, 5)), "w"), leaf(rng.normal(size=(5, 2)), "v")
    rows, targets = rng.normal(size=(4, 3)), rng.random((4, 2))
    graphs.append(traced(lambda w, v: ag.bce_with_logits(ag.gelu(rows @ w) @ v, targets), w, v))
    graphs.append(traced(lambda w: ag.tanh(w * w).sum(axis=0).max(), w))
    graphs.append(traced(lambda w: ag.sum(w[[0, 2, 0]] * w[1, None, 2]), w))
    graphs.append(traced(lambda w: ag.sum(ag.grad(lambda t: ag.sum(ag.sin(t) * t))(w) * 2), w))
    compare(graphs, tmp_path)


@pytest.mark.parametrize(("lines", "wanted", "body"), [
    (["y = f(x, x)", "z = f(x)"], ["y = f(x, x)", "z = f(x)"],
     "-x * x * x if max is None else np.minimum(x, -max) * x"),
    (["y = f(x, x)"], ["y = f(x, x)"], "np.minimum(x, -max) * x"),
    (["y = f(x)"], ["y = f(x)"], "-x * x * x"),
])  # fmt: skip
def test_what_all_calls_decide_is_decided(lines, wanted, body):
    text = (
        "def f(x, max=None):\n"  # no builtin, in spite of its name
        "    return -x * x * x if max is None else np.minimum(x, -max) * x"
    )
    functions = {"f": ast.parse(text).body[0]}
    assert shorten(lines, functions) == wanted
    assert ast.unparse(functions["f"].body) == f"return {body}"


@pytest.mark.parametrize(("function", "line", "wanted"), [
    ("def f(x, w):\n    return x @ w", "y = f(a, b + b)", "y = a @ (b + b)"),
    ("def f(x):\n    return x * x", "y = f(a + a)", "y = f(a + a)"),  # an argument is computed once
    ("def _f(x):\n    return tuple(x + i for i in x)", "y = _f(i)", "y = _f(i)"),  # another i
    ("def f(x, m=None):\n    if m is not None:\n        return m\n    m = x\n    return m", "y = f(a)", "y = a"),
    ("def f(x, m=1):\n    for i in x:\n        m = m * i\n    return m", "y = f(a)", "y = f(a)"),
    ("def f(x, m=0):\n    return np.pad(x, x.size or m)", "y = f(a)", "y = np.pad(a, a.size or 0)"),
    ("def f(x, m):\n    return np.take(x, m)", "y = f(a, np.array([1, 0]))", "y = np.take(a, np.array([1, 0]))"),
    ("def f(x, m=None):\n    return x * 2 if m is None or x.size > 3 else x", "y = f(a)", "y = a * 2"),
])  # fmt: skip
def test_a_short_function_is_written_in_place_of_its_calls(function, line, wanted):
    definition = ast.parse(function).body[0]
    assert shorten([line], {definition.name: definition}) == [wanted]


@pytest.mark.parametrize(("text", "line", "wanted"), [
    ("x = x * x * x\n if m is None:\n  return x\n return x * m", "y = f(a + a)", "return x * x * x"),
    ("for i in x:\n  x, m = (i if m is None else m, None)\n return x", "y = f(a, b)", ""),  # m changes
])  # fmt: skip
def test_an_argument_decides_conditions_while_its_name_has_it(text, line, wanted):
    function = ast.parse(f"def f(x, m=None):\n {text}").body[0]
    wanted = wanted or ast.unparse(function.body)
    assert shorten([line], {"f": function}) == [line] and ast.unparse(function.body) == wanted


@ag.primitive
def pooled(x):
    return ag.max_pool2d(x, (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)) * 2  # as the check returns the options


pooled.vjp(x=lambda g, x: x * ag.sum(g))


def test_a_primitive_of_the_user_may_call_one_with_by_products(rng):
    x = leaf(rng.normal(size=(1, 4, 4, 2)), "x")
    check(lambda x: ag.sum(pooled(x)), x, standalone=True)


@pytest.mark.slow
def test_demos_and_examples(tmp_path, monkeypatch):
    graphs, trace = [], ag.trace

    def noted(f, *args, **options):
        graphs.append(trace(f, *args, **options))
        return graphs[-1]

    monkeypatch.setattr(ag, "trace", noted)
    monkeypatch.setattr("autograd_cnn.studio.graph.show_page", lambda text: None)
    for path in [*sorted(EXAMPLES.glob("*.py")), *sorted(DEMOS.glob("*.py"))]:
        copied = tmp_path / path.name
        copied.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runpy.run_path(str(copied), run_name="__main__")
    assert len(graphs) >= 9
    compare(graphs, tmp_path)


@pytest.mark.slow
def test_random_programs(tmp_path, monkeypatch):
    lines = random_programs.HEAD.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<head>", (len(random_programs.HEAD), None, lines, "<head>"))
    graphs = []
    for seed in range(30):
        f, args, _ = random_programs.program(seed)
        with suppress(Exception):
            graphs.append(traced(f, *args))
    assert len(graphs) >= 20
    compare(graphs, tmp_path)


def test_what_cannot_stand_alone_is_refused(rng):
    scope = {"ag": ag}
    exec("@ag.primitive\ndef bent(x):\n    return x + x\nbent.vjp(x=lambda g: g + g)", scope)
    x = leaf(rng.normal(size=3), "x")
    graph = traced(lambda x: ag.sum(scope["bent"](x)), x)
    with pytest.raises(ValueError, match="program: the source of bent is in no file"):
        graph.program(standalone=True)
    assert graph.program().source
