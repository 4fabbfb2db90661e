"""The derived program: as printed, it computes the results of the walk bit for bit, for primitives and networks."""

import re
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.observe import primitives
from studio.programs import check, leaf, own, same

PRIMITIVES = {p.name: p for p in sorted(primitives(), key=lambda p: p.name) if p.rules and p.packaged}


def check_of(shapes):
    """The first lines of a step whose arrays have floats."""
    rows = re.sub(r"(?<=\))\)", ", np.floating)", shapes)
    return (
        f"    for name, array, shape, kind in [{rows}]:\n"
        "        if np.shape(array) != shape or not np.issubdtype(getattr(array, 'dtype', type(array)), kind):\n"
        "            raise ValueError(f\"program: {name} is {getattr(array, 'dtype', type(array))} {np.shape(array)}, "
        "want {kind.__name__} {shape}. The program is for these: convert with np.asarray or .astype, or "
        'ag.trace(f, ...) with yours writes another")\n'
    )


# Primitives


def test_a_primitive_is_called_by_the_function_of_its_name_that_does_the_same():
    x, labels = leaf(np.zeros((2, 3)), "x"), np.array([0, 2])
    assert "ag.cross_entropy(x, labels)" in ag.cross_entropy(x, labels).graph().program().source
    terms = ag.bce_with_logits(x, np.ones((2, 3)), "none")  # with its default, the function takes the mean
    assert "ag.bce_with_logits(x, bce_with_logits_y, reduction='none')" in ag.sum(terms).graph().program().source


@pytest.mark.parametrize("name", ["batch_norm", "relu", "leaky_relu", "silu", "gelu"])
def test_a_gradient_that_goes_two_ways_is_not_overwritten(name):
    x = leaf(np.random.default_rng(0).normal(size=(3, 5, 4, 2)), "x")
    rest = [leaf([1.5, 2.5], "w"), leaf([0.5, 1.0], "b")] if name == "batch_norm" else []
    program = ag.trace(lambda x, *rest: x + getattr(ag, name)(x, *rest), x, *rest).program()
    seed = np.random.default_rng(1).normal(size=x.shape)
    before = seed.copy()
    _, gradients = program.run(**{program.inputs[-1]: seed})
    (x + getattr(ag, name)(x, *rest)).backward(before)
    assert same(seed, before)
    assert all(same(gradients[t.name], t.grad) for t in (x, *rest))


# Networks


def test_a_scalar():
    x, y = leaf(2.0, "x"), leaf(3.0, "y")

    def f(x, y):
        h = x * y
        return ag.sin(h) + x

    program = check(f, x, y)
    assert program.source.partition("def ")[2] == (
        "step(x, y):\n"
        + check_of('("x", x, ()), ("y", y, ())')
        + "    h = x * y\n    sin = ag.sin(h)\n    loss = sin + x\n\n    g_loss = np.ones_like(loss)\n"
        "    g_sin = g_loss\n    g_x = g_loss\n    g_h = g_sin * ag.cos(h)\n    g_x = g_x + g_h * y\n"
        "    g_y = g_h * x\n"
        '    return loss, {"x": g_x, "y": g_y}\n'
    )


def test_the_whole_text_of_a_cnn(rng):
    def net(x, W1, b1, W2, b2, y):
        h = ag.conv2d(x, W1, b1, padding=1)
        r = ag.relu(h)
        p = ag.max_pool2d(r, kernel_size=2)
        f = ag.flatten(p, start_axis=1)
        u = ag.linear(f, W2, b2)
        q = ag.sigmoid(u)
        return ag.bce(q, y)

    shapes = {"W1": (3, 3, 3, 16), "b1": (16,), "W2": (256, 10), "b2": (10,)}
    leaves = [leaf((0.1 * rng.normal(size=shape)).astype(np.float32), name) for name, shape in shapes.items()]
    x, y = rng.random((4, 8, 8, 3), np.float32), np.eye(10, dtype=np.float32)[[3, 1, 4, 1]]
    program = check(net, ag.Tensor(x, name="x"), *leaves, ag.Tensor(y, name="y"))
    assert (
        re.sub("loss .*", "loss LOSS", program.source, count=1)
        == """\
# 7 operations, 3,018 parameters, loss LOSS
import numpy as np

import autograd_cnn as ag


# loss, gradients = step(...) takes arrays of these shapes, and returns the gradients by name
@np.errstate(all="ignore")
def step(x, W1, b1, W2, b2, y):
"""
        + check_of(
            '("x", x, (4, 8, 8, 3)), ("W1", W1, (3, 3, 3, 16)), ("b1", b1, (16,)), ("W2", W2, (256, 10)), '
            '("b2", b2, (10,)), ("y", y, (4, 10))'
        )
        + """\
    h = ag.conv2d(x, W1, b1, padding=1)
    r = ag.relu(h)
    p, argmax_p = ag.max_pool2d.raw(r, 2)
    f = ag.flatten(p, start_axis=1)
    u = ag.linear(f, W2, b2)
    q = ag.sigmoid(u)
    loss = ag.bce(q, y)

    g_loss = np.ones_like(loss)
    g_q = g_loss / 40 * ((q - y) / ag.maximum(q * (1 - q), 1e-12))
    g_u = g_q * (q * (1 - q))
    g_f = ag.matmul(g_u, W2.T)
    g_W2 = ag.matmul(f.T, g_u)
    g_b2 = ag.sum(g_u, axis=0)
    g_p = ag.reshape(g_f, (4, 4, 4, 16))
    g_r = ag.max_unpool2d(g_p, argmax_p, (4, 8, 8, 16), kernel_size=2)
    g_h = ag.relu_gradient(g_r, r)
    g_W1 = ag.conv2d_weight_gradient(x, g_h, (3, 3, 3, 16), padding=1)
    g_b1 = ag.sum(g_h, axis=(0, 1, 2))
    return loss, {"W1": g_W1, "b1": g_b1, "W2": g_W2, "b2": g_b2}
"""
    )


@pytest.mark.skipif(not find_spec("autograd_cnn.fast"), reason="of batch norm, the formula runs, and is printed")
def test_modules_have_the_names_of_their_layers_and_a_rule_that_is_called_has_its_formula(rng):
    nn = ag.nn
    body = [nn.Conv2d(3, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, rng=rng)]
    model = nn.Sequential(*body, nn.Flatten(), nn.Dropout(0.5, rng=rng), nn.Linear(36, 10, rng=rng))

    def loss_of(x, y):
        return ag.cross_entropy(model(x), y)

    source = ag.trace(loss_of, rng.random((2, 8, 8, 3), np.float32), np.array([3, 1])).program().source
    given = "x, y, layer0_w, layer0_b, layer1_w, layer1_b, layer3_w, layer3_b, mask, layer6_w, layer6_b"
    returned = ", ".join(f'"{i}.{p}": g_layer{i}_{p}' for i in (0, 1, 3, 6) for p in "wb")
    (called,) = re.findall(r"\n    (g_.* = ag.batch_norm.rules.*)", source)
    before, formula, after = source.partition(re.search(r"(?:    # .*\n)+    g_conv2d, .*\n", source)[0])
    assert f"\ndef step({given}):\n" in before and '("y", y, (2,), np.integer), ("0.w", layer0_w, ' in before
    for line in (
        "batch_norm, mean_x_batch_norm, variance_x_batch_norm = ag.batch_norm.raw(conv2d, layer1_w, layer1_b)",
        "conv2d_2 = ag.conv2d(relu, layer3_w, layer3_b, stride=2)",
        "g_linear = g_loss / 2 * (ag.softmax(linear) - (y[..., None] == np.arange(10)))",
        "g_flatten = g_multiply * mask",
        "g_relu = ag.conv_transpose2d(g_conv2d_2, layer3_w, stride=2, output_padding=(1, 1))",
        "g_layer3_w = ag.conv2d_weight_gradient(relu, g_conv2d_2, (3, 3, 4, 4), stride=2)",
    ):
        assert f"    {line}\n" in before
    for line in (
        "where n = (conv2d - mean(conv2d)) / deviation and gn = g_batch_norm * layer1_w",
        "    # gx = gn / deviation if the statistics are given.",
        "    # x_n2_2 = g_batch_norm * layer1_w",
        "    # scale_n2 = 1 / ag.sqrt(size_n2)",
    ):
        assert f"{line}\n" in formula
    assert called == (
        "g_conv2d, g_layer1_w, g_layer1_b = ag.batch_norm.rules['x']"
        "(g_batch_norm, conv2d, layer1_w, 1e-05, None, None, mean_x_batch_norm, variance_x_batch_norm)"
    )
    assert after.endswith(f"    return loss, {{{returned}}}\n") and "#" not in after


def test_modules_with_batch_norm_in_training_and_in_evaluation(rng):
    layers = [ag.nn.Conv2d(3, 4, 3, padding=1, rng=rng), ag.nn.BatchNorm2d(4), ag.nn.ReLU(), ag.nn.Flatten()]
    model = ag.nn.Sequential(*layers, ag.nn.Linear(4 * 36, 5, rng=rng))
    x, y = rng.normal(size=(2, 6, 6, 3)).astype(np.float32), np.array([3, 1])
    for training in (True, False):
        model.train() if training else model.eval()
        program = ag.trace(lambda x: ag.cross_entropy(model(x), y), x).program()
        value, gradients = program.run()
        loss = ag.cross_entropy(model(ag.Tensor(x)), y)
        for p in model.parameters():
            p.grad = None
        loss.backward()
        assert same(value, loss.data)
        assert all(same(gradients[n], p.grad) for n, p in zip(gradients, model.parameters(), strict=True))
    assert "ag.sqrt(" in program.source  # operations that need no gradient are there too


def shared(u, b):
    h = LAYOUTS[:5, :8]
    for _ in range(4):
        h = ag.tanh(h @ u + b) + h
    return ag.sum(h * h * h)


def pieces(x):
    total = x[0] * 2
    for i in (1, 2, 1):
        total = total + x[i] * x[i, 0]
    return ag.sum(total[np.array([0, 0, 1])])


def weak(x):
    counts, half, scale = np.array([1, 2, 3]), np.float64(0.5), ag.Tensor(np.array(2.0), name="scale")
    return ag.sum((x.astype(np.float32) * counts + half) * scale - [1.0, 2.0, 3.0])


def joined(x, y):
    together = ag.concatenate([x, y, x], axis=1)
    piled = ag.stack([together, together * 2])
    return ag.sum(ag.einsum("kij,lij->kl", piled, ag.sin(piled)))


def layouts(u):
    x, y, shifted = LAYOUTS[:7, ::2], np.asfortranarray(LAYOUTS[:7, :33]), LAYOUTS[:33, :5][::-1]
    return ag.sum((x + y + u) @ shifted) + ag.sum(u @ shifted)


add3 = own("add3", lambda x, y: 3 * (x + y), **dict.fromkeys("xy", lambda g: (g * 3,) * 2))  # one array twice
product = own("product", lambda x, y: x * y, {"symbol": "*"}, x=lambda g, y: g * y, y=lambda g, x: g * x)
LAYOUTS = np.random.default_rng(3).normal(size=(33, 65))
CALLED, REQUIRED = r"rules\['x'\]", r'require\(.*, "standardize", '  # its rule; whether its numbers are ordinary
PROGRAMS = {  # a function, the shapes of its leaves, and how often a pattern is in its program
    "fan-out": (shared, {"u": (8, 8), "b": (8,)}, {r"    g_u \+= ": 3, "    g_u = ": 1, r"    (g_\w+) = \1 \+ ": 3}),
    "pieces": (pieces, {"x": (4, 3)}, {r"\n    g_x\[[^]]+\] \+= ": 6, "add_at|None": 0}),
    "a number": (lambda s: s[()] * s[()] + s, {"s": ()}, {}),
    "weak operands": (weak, {"x": (3,)}, {r"scale\.item\(\)": 2, r"counts\.astype\(np\.float32\)": 2}),
    "joint rules that share an input": (
        lambda x, s: ag.sum(ag.batch_norm(x, s, s) * ag.batch_norm(x, s, s * 2)), {"x": (4, 3), "s": (3,)}, {}
    ),
    "one array twice": (lambda x, y: ag.sum(x * x + add3(x, y) * 2), {"x": (3,), "y": (3,)}, {}),
    "sequences": (joined, {"x": (2, 3), "y": (2, 1)}, {}),
    "dropout": (lambda x: ag.sum(ag.dropout(x, 0.5, np.random.default_rng(3)) * x), {"x": (4, 5)}, {"random": 0}),
    "layouts": (layouts, {"u": (7, 33)}, {}),
    "ordinary": (lambda x: ag.sum(ag.standardize(x, 0, 0.0) ** 2), {"x": (4, 3)}, {CALLED: 0, REQUIRED: 1}),
    "huge": (lambda x: ag.sum(ag.standardize(x * 1e200, 0, 0.0) ** 2), {"x": (4, 3)}, {CALLED: 0, REQUIRED: 2}),
    "tiny": (lambda x: ag.sum(ag.standardize(x * 1e-200, 0, 0.0) ** 2), {"x": (4, 3)}, {CALLED: 0, REQUIRED: 2}),
    "a sum": (lambda x, y: ag.sum(x + y), {"x": (3,), "y": (3,)}, {}),
    "symbol": (
        lambda x, y: ag.sum(product(x, y)), {"x": (3,), "y": (3,)},
        {r"    product = x \* y\n": 1, r"    g_x = g_product \* y\n": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_the_bits_of_the_walk(name, w):
    f, shapes, counts = PROGRAMS[name]
    program = check(f, *(w(leaf, *shape) for leaf, shape in shapes.items()))
    assert {pattern: len(re.findall(pattern, program.source)) for pattern in counts} == counts
    gradients = [*program.run()[1].values()]
    assert not any(np.shares_memory(a, b) for a, b in combinations(gradients, 2))


def test_operations_without_a_gradient_are_computed_too(w, rng):
    x = rng.normal(size=(6, 3))

    def f(u, x):
        with ag.no_grad():
            scale = ag.std(x, axis=0) + ag.mean(u)
        h = (x / scale) * u
        return ag.sum(h * h.detach())

    program = check(f, w("u", 3), ag.Tensor(x, name="x"))
    assert program.inputs == ["u", "x"]
    moved = leaf(rng.normal(size=3), "u")
    f(moved, ag.Tensor(2 * x)).backward()
    assert same(program.run(u=moved, x=2 * x)[1]["u"], moved.grad)


def test_second_derivatives(w, rng):
    x, v = rng.normal(size=5), rng.normal(size=5)
    f = lambda x: ag.sum(ag.sin(x) * x * x)  # noqa: E731
    for g in (ag.grad(lambda x: ag.sum(ag.grad(f)(x) * v)), lambda x: ag.hvp(f, (x,), (v,))[0], ag.grad(f)):
        program = ag.trace(lambda x, g=g: ag.sum(g(x) * v), x).program()
        moved = leaf(rng.normal(size=5), "x")
        loss = ag.sum(g(moved) * v)
        loss.backward()
        value, gradients = program.run(x=moved)
        assert same(value, loss.data) and same(gradients["x"], moved.grad)

    def penalty(u, b):
        h = ag.conv2d(image, u, b, padding=1)
        loss = ag.mean(ag.square(ag.tanh(h)))
        return ag.sum(ag.square(loss.gradient(u, create_graph=True))) + loss

    image = rng.normal(size=(2, 5, 5, 3))
    check(penalty, w("u", 3, 3, 3, 2), w("b", 2))


def test_values_computed_before_the_trace(w):
    u, b = w("u", 3), w("b", 3)
    h = ag.tanh(u) + b
    program = ag.trace(lambda b: ag.sum(h * h * b), b).program()
    value, gradients = program.run(u=u)
    loss = ag.sum(h * h * b)
    loss.backward()
    assert same(value, loss.data) and same(gradients["u"], u.grad) and same(gradients["b"], b.grad)


def test_the_arrays_of_an_index_may_be_missing(w):
    """The tape keeps no array of an index by name, and `exp` keeps its result: the next line has all but the index."""
    loss = ag.sum(ag.exp(w("u", 3, 4))[np.array([0, 1]), np.array([1, 0])])
    program = loss.graph().program()
    assert "exp[index, index_2]" in program.source


@pytest.mark.parametrize("shape", [(7, 5), (40, 30), (201, 101)])
@pytest.mark.parametrize("columns", ["gradient", "image", "both"])
def test_arrays_that_the_walk_overwrites_have_the_layout_of_the_rule(w, rng, shape, columns):
    x, y = (
        np.asarray(rng.normal(size=shape), order="F" if columns in (name, "both") else "C")
        for name in ("image", "gradient")
    )
    check(lambda b: ag.sum(ag.relu(x + b) * y), w("b", shape[1]))


def test_it_is_silent(w):
    u = w("u", 3)
    with pytest.warns(UserWarning, match="exactly 0 or 1"):
        graph = ag.trace(lambda u: ag.bce(ag.sigmoid(u * 1000), np.ones(3)), u)
    graph.program().run()


def test_leaves_are_copied(w):
    u = w("u", 3)
    program = ag.trace(lambda u: ag.sum(u * u), u).program()
    before = u.data.copy()
    u.data[:] = 0  # no lock is left
    assert same(program.run()[1]["u"], 2 * before)


def test_a_leaf_alone(w):
    value, gradients = ag.trace(lambda x: x, w("x", 3)).program().run(g_x=np.ones(3))
    assert list(gradients) == ["x"] and value.shape == (3,)


# Names

HOSTILE = {
    "quote": 'a"b', "apostrophe": "a'b",
    "both": """'"'\\""", "backslash": "a\\", "keyword": "lambda", "import": "import os",
    "numpy": "np", "package": "ag", "function": "step", "builtin": "len", "gradient": "g_y", "soft": "match",
    "newline": "a\nimport os\n", "nul": "a\0b", "surrogate": "a\ud800b", "override": "a\u202eb", "emoji": "🙂",
    "digit": "1x", "ligature": "ﬁ", "greek": "α", "long": "x" * 10_000, "brace": "{x}", "wide": "你好",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_stay_text(name, tmp_path):
    x, y = leaf(np.array([2.0, 3.0]), name), leaf(np.array([5.0, 7.0]), "y")
    g_y = x * y
    g_y.name = name
    graph = (g_y * x[0] * 2).sum().graph()
    program = graph.program()
    _, gradients = program.run(**{name: x, "y": y})
    assert same(gradients["y"], x.data * 4) and same(gradients[name], np.array([82.0, 28.0]))
    graph.save(tmp_path / "net.py")
    assert (tmp_path / "net.py").read_text(encoding="utf-8") == program.source
    assert len(str(program)) < 100_000 and all(len(line) < 250 for line in str(program).splitlines())


def test_names_that_become_the_same_identifier_stay_apart():
    leaves = [leaf(float(i), name) for i, name in enumerate(("a.b", "a_b", "a b", "ﬁ", "fi"))]
    check(lambda *xs: xs[0] * xs[1] + xs[2] * xs[3] + xs[4], *leaves)


def test_a_wrapped_line_is_bracketed_and_read_down(rng):
    x, w = rng.normal(size=(1, 4, 4, 1)), rng.normal(size=(3, 3, 1, 2))

    def f(picture, the_first_weights):
        h = ag.conv2d(picture, the_first_weights, padding=(1, 1), stride=2)
        return ag.sum(h)

    head, *rows = str(ag.trace(f, x, w).program()).splitlines()
    assert "backward: read up, from / to \\ down" in head
    bar = head.index("| backward")
    marks, texts = zip(*((row[bar], row[bar + 2 :]) for row in rows), strict=True)
    start = marks.index("/")
    assert texts[start].startswith("g_the_first_weights = ag.conv2d_weight_gradient(")
    assert marks[start + 1] == "\\" and texts[start + 1].startswith("    ")
    assert "from /" not in str(ag.trace(lambda x: x * x, 2.0).program())


def test_the_listing():
    def f(x, y):
        h = ag.sin(x)
        return h * y

    listing = str(ag.trace(f, 2.0, 3.0).program())
    listing = re.sub(r"py:\d+", "py:LINE", listing).replace("|", " ")
    assert [re.split(r"  +", line.strip()) for line in listing.splitlines()] == [
        ["#", "forward: read down", "backward: read up", "rms"],
        ["1", "h = ag.sin(x)", "g_x = g_h * ag.cos(x)", "1.2e+00"],
        ["test_program.py:LINE", "()", "keeps x 8 B"],
        ["2", "loss = h * y", "g_y = g_loss * h", "9.1e-01"],
        ["test_program.py:LINE", "()", "keeps h 8 B, y 8 B", "g_h = g_loss * y", "3.0e+00"],
        ["keeps 24 B in all", "g_loss = np.ones_like(loss)", "start here"],
    ]


def test_a_program_calls_values_as_the_picture_does():
    @ag.primitive
    def reduced(x, how=max):
        return x * how(2, 3)

    reduced.vjp(x=lambda g, how: g * how(2, 3))

    def f(x):
        h = ag.abs(ag.abs(x) - 1) * ag.max(x)
        return ag.sum(reduced(h, max))

    graph = ag.trace(f, np.array([0.5, -2.0, 3.0]))
    program = graph.program()
    assert {"abs", "abs_2", "max"} <= {v.name for v in graph.values.values()}
    for line in "abs = ag.abs(x)", "abs_2 = ag.abs(subtract)", "max = ag.max(x)", "from builtins import max as max_2":
        assert f"{line}\n" in program.source
    assert program.run()[0] == graph.loss
