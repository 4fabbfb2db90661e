"""The derived program: as printed, it computes the results of the walk bit for bit, for primitives and networks."""

import linecache
import re
import runpy
import sys
import weakref
from importlib.util import find_spec
from itertools import islice

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import examples_of, split
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.registry import registry
from autograd_cnn.studio.program.write import Author

PRIMITIVES = {p.name: p for p in sorted(primitives(), key=lambda p: p.name) if p.rules}


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(f, *leaves, graph=None):
    """The program of `f` gives the value of `f` and, in `grad` of every leaf, what `backward` leaves there."""
    program = (graph or ag.trace(f, *leaves)).program()
    value, gradients = program.run()
    loss = f(*leaves)
    loss.backward()
    assert same(value, loss.data)
    wanted = {t.name: t.grad for t in leaves if isinstance(t, ag.Tensor) and t.grad is not None}
    assert list(gradients) == [n for n in program.inputs if n in wanted] and len(gradients) == len(wanted)
    for name, grad in wanted.items():
        assert same(gradients[name], grad), name
    return program


def check_of(shapes, integer="none"):
    """The first lines of a step, whose arrays have floats, apart from the one of that name."""
    rows = re.sub(r"(?<=\))\)", ", np.floating)", shapes)
    rows = re.sub(rf'(\("{integer}", .*?, )np.floating', r"\1np.integer", rows)
    return (
        f"    for name, array, shape, kind in [{rows}]:\n"
        "        if np.shape(array) != shape or not np.issubdtype(np.asarray(array).dtype, kind):\n"
        '            raise ValueError(f"program: {name} is {np.asarray(array).dtype} {np.shape(array)}, '
        "want {kind.__name__} {shape}. The program is for these: convert with .astype, or "
        'ag.trace(f, ...) with yours writes another")\n'
    )


def leaf(data, name):
    return ag.Tensor(data, requires_grad=True, name=name)


# Every primitive


def cases(name, dtype):
    """Examples of an operation, as functions of real results."""
    primitive = PRIMITIVES[name]
    for args, options in examples_of(primitive, np.random.default_rng(0)):
        f, inputs = split(primitive, args, options)

        def real(*v, f=f):
            out = f(*v)
            return ag.real(out) + ag.imag(out) if np.iscomplexobj(out) else out

        yield real, [leaf(a.astype(dtype), f"v{i}") for i, a in enumerate(inputs)]


@pytest.mark.parametrize(
    ("dtype", "examples"),
    [(np.float64, 1), *(pytest.param(dtype, None, marks=pytest.mark.slow) for dtype in (np.float64, np.float32))],
)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_program_of_a_primitive_equals_its_walk(name, dtype, examples):
    for f, leaves in islice(cases(name, dtype), examples):
        weights = np.random.default_rng(1).normal(size=f(*leaves).shape).astype(dtype)
        program = check(lambda *v, f=f, w=weights: ag.sum(f(*v) * w), *leaves)
        assert "from autograd_cnn" not in program.source
        if "rules[" in program.source:  # a rule that decides by numbers, or whose fast form has other bits
            assert name in ("avg_pool2d", "batch_norm", "contract", "linalg.cofactors", "set_at")


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIMITIVES)
def test_only_the_rule_of_the_input_that_learns_is_printed(name):
    for f, leaves in cases(name, np.float64):
        for i in range(len(leaves)):
            given = [leaf(v.data, "v") if i == j else v.data for j, v in enumerate(leaves)]
            program = check(lambda *v, f=f: ag.sum(ag.square(f(*v))), *given)
            assert re.findall(r'"(\w+)": g_', program.source) == ["v"]


def test_a_primitive_is_called_by_the_function_of_its_name_that_does_the_same():
    x, labels = leaf(np.zeros((2, 3)), "x"), np.array([0, 2])
    assert "ag.cross_entropy(x, labels)" in ag.cross_entropy(x, labels).graph().program().source
    terms = ag.bce_with_logits(x, np.ones((2, 3)), "none")  # with its default, the function takes the mean
    assert "ag.bce_with_logits(x, constant, reduction='none')" in ag.sum(terms).graph().program().source


@pytest.mark.parametrize("examples", [1, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_program_of_the_second_derivative_equals_its_walk(name, examples):
    for f, leaves in islice(cases(name, np.float64), examples):

        def slope(*v, f=f):
            out = ag.sum(ag.exp(0.1 * f(*v)))
            gradients = out.gradient(*v, create_graph=True)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            products = [ag.sum(ag.sin(g)) for g in gradients]
            return sum(products[1:], products[0])

        check(slope, *leaves)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIMITIVES)
def test_loss_graph_gives_the_same_program_as_trace(name):
    for f, leaves in cases(name, np.float64):
        weights = np.ones(f(*leaves).shape)
        loss = ag.sum(f(*leaves) * weights)
        program = loss.graph().program()
        given = {**{t.name: t.data for t in leaves}, **program.leaves}
        given |= {n: weights for n in program.inputs if n not in given}
        value, gradients = program.run(**given)
        loss.backward()
        assert same(value, loss.data)
        assert all(same(gradients[t.name], t.grad) for t in leaves)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_result_of_many_numbers_takes_its_gradient(name):
    for f, leaves in cases(name, np.float64):
        program = ag.trace(f, *leaves).program()
        out = f(*leaves)
        if out.size != 1:
            seed = np.random.default_rng(2).normal(size=out.shape)
            _, gradients = program.run(**{program.inputs[-1]: seed})
            out.backward(seed)
            assert all(same(gradients[t.name], t.grad) for t in leaves)


# Networks


@pytest.fixture
def w(rng):
    """A named leaf of that shape."""
    return lambda name, *shape: leaf(rng.normal(size=shape), name)


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


def test_the_standard_cnn(rng, standard_cnn):
    p, images, labels = standard_cnn.arguments(rng)
    for name, tensor in p.items():
        tensor.name = name
    program = check(lambda *ws: standard_cnn(dict(zip(p, ws, strict=True)), images, labels), *p.values())
    body = program.source.partition("g_loss")[2]
    for line in (
        "g_z = g_q * (q * (1 - q))",
        "g_v = ag.matmul(g_z, w5.T)",
        "g_w5 = ag.matmul(v.T, g_z)",
        "g_b5 = ag.sum(g_z, axis=0)",
        "g_u = ag.relu_gradient(g_v, v)",
        "g_m_3 = ag.reshape(g_f, (4, 4, 4, 128))",
        "g_r = ag.max_unpool2d(g_m, argmax_m, (4, 32, 32, 32), kernel_size=2)",
        "g_w1 = ag.conv2d_weight_gradient(x, g_h, (3, 3, 3, 32), padding=1)",
        "g_b1 = ag.sum(g_h, axis=(0, 1, 2))",
    ):
        assert f"\n    {line}\n" in body, line
    assert "_flat" not in program.source  # nothing is imported for a branch that shapes have ruled out
    assert "g_x" not in body  # the images need no gradient: that rule is neither printed nor run


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


def test_the_formula_of_a_rule_has_the_names_of_the_program(w):
    def f(h, gamma, beta, m, v):
        return ag.sum(ag.batch_norm(h, gamma, beta, mean=m, variance=v))

    source = ag.trace(f, w("h", 4, 3), w("gamma", 3), w("beta", 3), np.zeros(3), np.ones(3)).program().source
    assert "where n = (h - mean(h)) / deviation and gn = g_batch_norm * gamma\n" in source
    assert "    # gx = gn / deviation if the statistics are given.\n" in source


@pytest.mark.skipif(not find_spec("autograd_cnn.fast"), reason="of batch norm, the formula runs, and is printed")
def test_the_whole_text_of_modules(rng):
    nn = ag.nn
    body = [nn.Conv2d(3, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, rng=rng)]
    model = nn.Sequential(*body, nn.Flatten(), nn.Dropout(0.5, rng=rng), nn.Linear(36, 10, rng=rng))

    def loss_of(x, y):
        return ag.cross_entropy(model(x), y)

    source = ag.trace(loss_of, rng.random((2, 8, 8, 3), np.float32), np.array([3, 1])).program().source
    assert (
        re.sub("loss .*", "loss LOSS", source, count=1)
        == """\
# 8 operations, 638 parameters, loss LOSS
import numpy as np

import autograd_cnn as ag


@np.errstate(all="ignore")
def step(x, y, layer0_w, layer0_b, layer1_w, layer1_b, layer3_w, layer3_b, mask, layer6_w, layer6_b):
"""
        + check_of(
            '("x", x, (2, 8, 8, 3)), ("y", y, (2,)), ("0.w", layer0_w, (3, 3, 3, 4)), ("0.b", layer0_b, (4,)), '
            '("1.w", layer1_w, (4,)), ("1.b", layer1_b, (4,)), ("3.w", layer3_w, (3, 3, 4, 4)), '
            '("3.b", layer3_b, (4,)), ("mask", mask, (2, 36)), ("6.w", layer6_w, (36, 10)), '
            '("6.b", layer6_b, (10,))',
            integer="y",
        )
        + """\
    conv2d = ag.conv2d(x, layer0_w, layer0_b, padding=1)
    batch_norm, mean_x_batch_norm, variance_x_batch_norm = ag.batch_norm.raw(conv2d, layer1_w, layer1_b)
    relu = ag.relu(batch_norm)
    conv2d_2 = ag.conv2d(relu, layer3_w, layer3_b, stride=2)
    flatten = ag.flatten(conv2d_2, start_axis=1)
    multiply = flatten * mask
    linear = ag.linear(multiply, layer6_w, layer6_b)
    loss = ag.cross_entropy(linear, y)

    g_loss = np.ones_like(loss)
    g_linear = g_loss / 2 * (ag.softmax(linear) - (y[..., None] == np.arange(10)))
    g_multiply = ag.matmul(g_linear, layer6_w.T)
    g_layer6_w = ag.matmul(multiply.T, g_linear)
    g_layer6_b = ag.sum(g_linear, axis=0)
    g_flatten = g_multiply * mask
    g_conv2d_2 = ag.reshape(g_flatten, (2, 3, 3, 4))
    g_relu = ag.conv_transpose2d(g_conv2d_2, layer3_w, stride=2, output_padding=(1, 1))
    g_layer3_w = ag.conv2d_weight_gradient(relu, g_conv2d_2, (3, 3, 4, 4), stride=2)
    g_layer3_b = ag.sum(g_conv2d_2, axis=(0, 1, 2))
    g_batch_norm = ag.relu_gradient(g_relu, relu)
    # gx = (gn - mean(gn) - n * mean(gn * n)) / deviation, where n = (conv2d - mean(conv2d)) / deviation and gn = """
        + """g_batch_norm * layer1_w
    # gx = gn / deviation if the statistics are given.
    # x_n2 = ag.square(conv2d - ag.sum(conv2d, axis=(0, 1, 2)) / 128)
    # size_n2 = ag.sum(x_n2, axis=(0, 1, 2)) / 128 + 1e-05
    # fits_n2 = (size_n2 >= np.float32(9.860761315262648e-32)) & (size_n2 <= np.float32(3.4028234663852886e+38))
    # require(fits_n2.all())
    # x_n2_2 = g_batch_norm * layer1_w
    # scale_n2 = 1 / ag.sqrt(size_n2)
    # normal_n2 = (conv2d - ag.sum(conv2d, axis=(0, 1, 2)) / 128) * scale_n2
    # gx_n2 = (x_n2_2 - ag.sum(x_n2_2, axis=(0, 1, 2)) / 128 - normal_n2 * """
        + """\
(ag.sum(x_n2_2 * normal_n2, axis=(0, 1, 2)) / 128)) * scale_n2
    # (gx_n2, ag.sum(g_batch_norm * normal_n2, axis=(0, 1, 2)), ag.sum(g_batch_norm, axis=(0, 1, 2)))
    g_conv2d, g_layer1_w, g_layer1_b = """
        + """\
ag.batch_norm.rules['x'](g_batch_norm, conv2d, layer1_w, 1e-05, None, None, mean_x_batch_norm, variance_x_batch_norm)
    g_layer0_w = ag.conv2d_weight_gradient(x, g_conv2d, (3, 3, 3, 4), padding=1)
    g_layer0_b = ag.sum(g_conv2d, axis=(0, 1, 2))
    return loss, {"0.w": g_layer0_w, "0.b": g_layer0_b, "1.w": g_layer1_w, "1.b": g_layer1_b, "3.w": g_layer3_w, """
        + """\
"3.b": g_layer3_b, "6.w": g_layer6_w, "6.b": g_layer6_b}
"""
    )


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


def test_shared_weights_and_fan_out(w, rng):
    x = rng.normal(size=(5, 8))

    def f(u, b):
        h = x
        for _ in range(4):
            h = ag.tanh(h @ u + b) + h
        return ag.sum(h * h * h)

    source = check(f, w("u", 8, 8), w("b", 8)).source
    assert source.count("    g_u += ") == 3 and source.count("    g_u = ") == 1
    assert re.search(r"    (g_\w+) = \1 \+ ", source)  # the first contribution is in use elsewhere


def test_buffers_that_are_added_into(w):
    def f(x):
        total = x[0] * 2
        for i in (1, 2, 1):
            total = total + x[i] * x[i, 0]
        return ag.sum(total[np.array([0, 0, 1])])

    source = check(f, w("x", 4, 3)).source
    assert len(re.findall(r"\n    g_x\[[^]]+\] \+= ", source)) == 6 and "add_at" not in source
    assert "None" not in source
    check(lambda s: s[()] * s[()] + s, w("s"))


def test_weak_operands(rng):
    x = leaf(rng.normal(size=3).astype(np.float32), "x")
    counts, half, scale = np.array([1, 2, 3]), np.float64(0.5), ag.Tensor(np.array(2.0), name="scale")
    source = check(lambda x: ag.sum((x * counts + half) * scale - [1.0, 2.0, 3.0]), x).source
    assert "scale.item()" in source and ".astype(np.float32)" in source


def test_joint_rules_that_share_an_input(w):
    x, s = w("x", 4, 3), w("s", 3)
    check(lambda x, s: ag.sum(ag.batch_norm(x, s, s) * ag.batch_norm(x, s, s * 2)), x, s)


def test_joint_rules_that_give_one_array_twice(w):
    both = lambda g: (g * 3,) * 2  # noqa: E731

    @ag.primitive
    def add3(x, y):
        return 3 * (x + y)

    add3.vjp(x=both, y=both)
    try:
        check(lambda x, y: ag.sum(x * x + add3(x, y) * 2), w("x", 3), w("y", 3))
    finally:
        del registry["add3"]


def test_sequences(w):
    def f(x, y):
        joined = ag.concatenate([x, y, x], axis=1)
        piled = ag.stack([joined, joined * 2])
        return ag.sum(ag.einsum("kij,lij->kl", piled, ag.sin(piled)))

    check(f, w("x", 2, 3), w("y", 2, 1))


def test_dropout(w):
    program = check(lambda x: ag.sum(ag.dropout(x, 0.5, np.random.default_rng(3)) * x), w("x", 4, 5))
    assert "random" not in program.source  # the mask is an input


def test_checkpoints_within_each_other(w):
    u, b = w("u", 4, 4), w("b", 4)

    def inner(h):
        return ag.sin(h @ u) * h

    def block(h):
        return ag.checkpoint(inner, h + b) + h * h

    def f(u, b):
        h = u @ b
        c = ag.checkpoint(block, h)
        return ag.sum(ag.checkpoint(block, c) * h + c)

    assert "# checkpoint of block: backward runs this again" in check(f, u, b).source


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


def test_layouts_are_kept(w, rng):
    x, y = rng.normal(size=(7, 65))[:, ::2], np.asfortranarray(rng.normal(size=(7, 33)))
    shifted = rng.normal(size=(33, 5))[::-1]
    check(lambda u: ag.sum((x + y + u) @ shifted) + ag.sum(u @ shifted), w("u", 7, 33))


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


def test_gradients_share_no_memory(w):
    gradients = check(lambda x, y: ag.sum(x + y), w("x", 3), w("y", 3)).run()[1]
    assert not np.shares_memory(gradients["x"], gradients["y"])


def test_a_leaf_alone(w):
    value, gradients = ag.trace(lambda x: x, w("x", 3)).program().run(g_x=np.ones(3))
    assert list(gradients) == ["x"] and value.shape == (3,)


def test_a_primitive_with_a_symbol_is_written_as_an_operator(w):
    @ag.primitive(symbol="*")
    def product(x, y):
        return x * y

    product.vjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
    try:
        source = check(lambda x, y: ag.sum(product(x, y)), w("x", 3), w("y", 3)).source
        assert "    product = x * y\n" in source and "    g_x = g_product * y\n" in source
    finally:
        del registry["product"]


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


# Rules without source, and rules that depend on numbers


def test_a_rule_needs_no_source_and_may_be_a_closure(w):
    scope = {"ag": ag}
    text = """
@ag.primitive
def swish3(x):
    return x * x

def times(k):
    return lambda g, x: g * k * x

swish3.vjp(x=times(2))
"""
    exec(text, scope)
    try:
        assert "    g_x = g_swish3 * 2 * x\n" in check(lambda x: ag.sum(scope["swish3"](x)), w("x", 3)).source
    finally:
        del registry["swish3"]


def test_a_rule_that_depends_on_numbers_is_called(w, rng):
    @ag.primitive
    def bent(x):
        return x * 2

    bent.vjp(x=lambda g, x: g * 2 if x.min() > 0 else g + g)
    try:
        program = check(lambda x: ag.sum(bent(x)), w("x", 3))
        assert "# bent: the rule itself is called" in program.source
        assert "bent_op.rules['x'](g_bent, x)" in program.source
        assert program.inputs == ["x", "bent_op"] and "engine" not in program.source  # no module holds `bent`
        program.run(x=np.abs(rng.normal(size=3)))
    finally:
        del registry["bent"]


def test_the_text_is_that_of_the_rule_that_runs_if_its_file_has_changed(w, tmp_path, monkeypatch):
    path = tmp_path / "my_ops.py"
    text = """
import autograd_cnn as ag

@ag.primitive
def cubed(x):
    return x**3

cubed.vjp(x=lambda g, x: g * 3 * x**2)
"""
    path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import my_ops

    try:
        path.write_text(text.replace("g * 3", "g * 4"))
        linecache.checkcache(str(path))
        source = check(lambda x: ag.sum(my_ops.cubed(x)), w("x", 3)).source
        assert "from my_ops import cubed\n" in source and "g_x = g_cubed_2 * 3 * x ** 2" in source
    finally:
        del sys.modules["my_ops"], registry["cubed"]


def test_conditions_on_options_and_shapes_are_evaluated(w):
    @ag.primitive
    def chosen(x, axis=None):
        return x * 2

    chosen.vjp(x=lambda g, x, axis: g * (1 if axis is not None and len(axis) else 2) if len(x.shape) < 3 else x + "no")
    try:
        assert "\n    g_v = g_loss * 2\n" in check(lambda v: chosen(v), w("v")).source
    finally:
        del registry["chosen"]


def _twice(a, times=2):
    return a * times


def _cubed(a):
    return a * a * a


def _scaled(a, x):
    scale = a + x.shape[0]
    former = scale
    scale = scale * scale
    return former + scale


def _pairs(items, sizes):
    total = 0
    for size in sizes:
        total = total + size
    return items[0] * total


def _kept_positive(a):
    return a if a.min() > 0 else a * 0


# A rule, and its printed lines for ``x`` of shape (3, 2), ``out`` of the same, ``g`` and ``n=2``.
RULES = [
    (lambda g, n: _twice(g) * n, ["g * 2 * 2"]),
    (lambda g, n: _twice(g + n, times=n + 1), ["(g + 2) * 3"]),
    (lambda g, x: _scaled(g, x), ["scale = g + 3", "scale + scale * scale"]),
    (
        lambda g, x: _scaled(g * x, x) * len(x.shape),
        ["scale = g * x + 3", "(scale + scale * scale) * 2"],
    ),
    (lambda g: _twice(g, 1) + np.sum(_twice(g), axis=0), ["g * 1 + np.sum(g * 2, axis=0)"]),
    (
        lambda g, n: _scaled(g * n, g) + _cubed(g + n),
        ["scale = g * 2 + 3", "a = g + 2", "scale + scale * scale + a * a * a"],
    ),
    (lambda g, n: _pairs([g], (1, 2)) if n > 1 else g, ["g * 3"]),
    (lambda g: _kept_positive(g), ["kept_positive(g)"]),
    (
        lambda g, x: g * (ag.sum(g, -1, True) + ag.sum(x, axis=None)),
        ["g * (ag.sum(g, axis=-1, keepdims=True) + ag.sum(x))"],
    ),
    (lambda g, x, n: g[tuple(slice(n) if i else slice(None) for i in range(x.ndim))] * 1, ["g[:, :2] * 1"]),
    (lambda g, x: g.astype(x.dtype) * x.dtype.type(2), ["g.astype(np.float64) * np.float64(2.0)"]),
    (lambda g, x: g * np.asarray(x) * isinstance(g, np.ndarray), ["g * x * True"]),
    (lambda g, n: g * (1 / 3) * (n / 4), ["g * 0.3333333333333333 * 0.5"]),
    (lambda g, n: g * sum(i * n for i in range(n)), ["g * 2"]),
    (lambda g, x: g * sum(i * x for i in range(2)), ["g * (0 + 0 * x + 1 * x)"]),
]


@pytest.mark.parametrize(("rule", "printed"), RULES, ids=range(len(RULES)))
def test_the_printed_lines_of_a_rule(rule, printed, w):
    def doubled(x, n=2):
        return x * 2

    made = ag.primitive(doubled)
    made.vjp(x=rule)
    try:
        program = ag.trace(lambda x: doubled_of(x, made), w("x", 3, 2)).program()
        _, gradients = program.run(g_doubled=np.full((3, 2), 1.5))
        lines = program.source.partition("\n\n    ")[2].splitlines()[:-1]
        texts = [re.sub(r"g_doubled\b", "g", re.sub(r"_n1\b", "", line.strip())) for line in lines]
        assert [*texts[:-1], texts[-1].removeprefix("g_x = ")] == printed
        x = w("x", 3, 2)
        x.data = program.leaves["x"]
        made(x).backward(np.full((3, 2), 1.5))
        assert same(gradients["x"], x.grad)
    finally:
        del registry["doubled"]


def doubled_of(x, made):
    doubled = made(x)
    return doubled


def _list_that_grows(g, x):
    parts, sizes = [g], [1, 2]
    parts.append(x)
    sizes.append(3)
    last = parts.pop()
    return parts[0] * last * len(sizes)


def _array_that_changes(g, x):
    h = g.copy()
    total = h.sum()
    h[0] += 1
    np.multiply(h, x, out=h)
    return h * total


def _item_that_is_set(g, x):
    h = g.copy()
    h[0] = 0
    return h * x


def _scattered(g, x):
    h = np.zeros_like(g)
    np.add.at(h, ([0, 0],), g[0])
    return h + x.sum()


def _result_that_changes(g, x):
    first = np.multiply(g, x, out=np.empty_like(g))
    second = np.add(first, 1, out=first)
    return first * 1 + second


def _names_that_change_places(g, x):
    a, b = x, g
    a, b = b, a
    b = b + 1
    return a * 2 - b


@pytest.mark.parametrize(
    "rule",
    [_list_that_grows, _array_that_changes, _item_that_is_set, _scattered, _result_that_changes,
     _names_that_change_places],
    ids=lambda rule: rule.__name__,
)  # fmt: skip
def test_a_rule_may_write_into_its_own_arrays(rule, w):
    @ag.primitive
    def odd(x):
        return x * 1

    odd.vjp(x=rule)
    try:
        check(lambda x: ag.sum(odd(x) * x), w("x", 3, 2))
    finally:
        del registry["odd"]


def test_an_observer_may_run_every_step_again(w):
    count = 0

    def ran(op, rule, again):
        nonlocal count
        again()
        count += 1

    def f(x, b):
        h = ag.checkpoint(lambda h: ag.tanh(h) * h, x + b)
        n = ag.batch_norm(h, b, b)
        return ag.sum(n[0] * n[1] + n[0])

    graph = ag.trace(f, w("x", 4, 3), w("b", 3))
    author = Author(graph, ran=ran)
    assert author.program().source == graph.program().source and count > 2 * len(graph.ops)
    _, gradients = graph.program().run()
    assert all(same(author.scope[f"g_{name}"], g) for name, g in gradients.items())


def test_a_rule_is_read_once_for_all_arguments_of_the_same_shapes_and_dtypes(w):
    def f(x, y):
        for k in range(1, 50):
            x = ag.tanh(x * y) if k % 2 else ag.sum(x, axis=0, keepdims=True) + y
        return ag.sum(x)

    graph = ag.trace(f, w("x", 3, 2), w("y", 3, 2))
    author = Author(graph)
    author.program()
    assert len(graph.ops) == 99 and len(author.reader.templates) == 7
    held = weakref.ref(author)
    del author
    assert held() is None  # and so are its arrays, without garbage collection
    check(f, w("x", 3, 2), w("y", 3, 2))


def test_a_rule_is_read_again_if_numbers_determine_a_shape(w):
    def rule(g, x):
        large = x[x > 0]
        return g * large.size

    @ag.primitive
    def counted(x):
        return x * 1

    counted.vjp(x=rule)
    try:
        x = ag.Tensor([1.0, -1.0, 2.0], requires_grad=True, name="x")
        source = check(lambda x: ag.sum(counted(counted(x) - 1.5)), x).source
        assert "    g_x = g_counted * 2\n" in source and "g_subtract = g_counted_2 * 1\n" in source
    finally:
        del registry["counted"]


def test_conditions_of_a_def_are_evaluated_and_its_docstring_is_a_comment(w):
    def rule(g, x, n):
        """Twice or thrice.

        Not this.
        """
        if n is None:
            return g
        if x.ndim > 5:
            g = g.no_such_thing()
        elif n == 2:
            g = g * 2
        return g * len(x.shape)

    @ag.primitive
    def several(x, n=2):
        return x * 4

    several.vjp(x=rule)
    try:
        source = check(lambda x: ag.sum(several(x)), w("x", 3, 2)).source
        assert "    # Twice or thrice.\n    g_x = g_several * 2 * 2\n" in source
    finally:
        del registry["several"]


def test_without_rules_by_products_are_not_requested(w, rng):
    image = ag.Tensor(rng.normal(size=(1, 4, 4, 1)), name="image")
    source = check(lambda image, u: ag.sum(ag.max_pool2d(image, 2) * u), image, w("u", 1)).source
    assert "max_pool2d = ag.max_pool2d(image, 2)\n" in source


def test_the_reader_removes_the_arguments_of_a_rule_from_the_scope(w):
    author = Author(ag.trace(lambda x: ag.std(x * 2), w("x", 3)))
    author.program()
    assert all(name.isidentifier() for name in author.scope)


@pytest.mark.parametrize("standalone", [False, True])
def test_other_shapes_are_refused(standalone, w, tmp_path):
    graph = ag.trace(lambda x, b: ag.mean(x * 2 + b), w("x", 4, 3), w("b", 3))
    graph.save(tmp_path / "net.py", standalone=standalone)
    step, program = runpy.run_path(str(tmp_path / "net.py"))["step"], graph.program(standalone)
    arrays = program.leaves
    for name, shape, wanted in (("x", (8, 3), (4, 3)), ("b", (1,), (3,))):  # NumPy would broadcast both
        message = (
            f"program: {name} is float64 {shape}, want floating {wanted}. "
            "The program is for these: convert with .astype, or ag.trace(f, ...) with yours writes another"
        )
        for run in (program.run, step):
            with pytest.raises(ValueError, match=re.escape(message)):
                run(**{**arrays, name: np.ones(shape)})
    assert same(step(**arrays)[0], program.run()[0])


@pytest.mark.parametrize("standalone", [False, True])
def test_other_kinds_of_numbers_are_refused(standalone, w):
    def f(x, mask, y):
        return ag.cross_entropy((x * mask) @ w("v", 3, 2), y)

    x, mask, y = np.ones((4, 3)), np.array([True, False, True]), np.array([0, 1, 1, 0])
    program = ag.trace(f, x, mask, y).program(standalone)
    for name, array, message in (
        ("x", x.astype(np.uint8), "program: x is uint8 (4, 3), want floating (4, 3)"),
        ("x", x.astype(int), "program: x is int64 (4, 3), want floating (4, 3)"),
        ("x", x + 1j, "program: x is complex128 (4, 3), want floating (4, 3)"),
        ("v", np.ones((3, 2), complex), "program: v is complex128 (3, 2), want floating (3, 2)"),
        ("mask", np.ones(3), "program: mask is float64 (3,), want bool (3,)"),
        ("y", y.astype(float), "program: y is float64 (4,), want integer (4,)"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            program.run(**{name: array})
    for alike in {"y": y.astype(np.uint8)}, {"x": x.astype(np.float32)}:
        assert same(program.run(**alike)[0], program.run()[0])


@pytest.mark.parametrize("standalone", [False, True])
def test_labels_that_are_no_class_are_refused(standalone, w):
    labels = np.array([[0, 1], [1, 0]])
    program = ag.trace(lambda x, y: ag.cross_entropy(x, y.reshape(-1)), w("x", 4, 2), labels).program(standalone)
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match=f"label.*{wrong}.*0..1"):
            program.run(y=np.where(labels, wrong, 0))


@pytest.mark.parametrize("standalone", [False, True])
def test_step_takes_the_arguments_of_the_function_in_its_order(standalone, w):
    def f(x, p, labels):
        h = ag.batch_norm(x, p["gamma"], p["beta"]) @ w("v", 3, 2)
        return ag.cross_entropy(h, labels)

    p = {"beta": w("beta", 3), "gamma": w("gamma", 3)}
    x, labels = np.arange(12.0).reshape(4, 3) ** 2, np.array([0, 1, 1, 0])
    program = ag.trace(f, x, p, labels).program(standalone)
    assert "\ndef step(x, beta, gamma, labels, v):\n" in program.source
    assert program.inputs == ["x", "beta", "gamma", "labels", "v"] == [*program.leaves]
    assert list(program.run()[1]) == ["beta", "gamma", "v"]
    untraced = f(ag.Tensor(x, name="x"), p, labels).graph().program()  # a tape knows the order of use alone
    assert [*untraced.inputs] == ["x", "gamma", "beta", "v", "labels"]


def test_objects_that_cannot_be_spelled_are_inputs(w):
    @ag.primitive
    def applied(x, by):
        return by(x)

    applied.vjp(x=lambda g, x, by: g * by.slope(x))
    by = type("By", (), {"__call__": lambda self, x: x * x, "slope": lambda self, x: 2 * x})()
    try:
        assert check(lambda x: ag.sum(applied(x, by)), w("x", 3)).inputs == ["x", "by", "applied_op"]
    finally:
        del registry["applied"]


def test_an_input_that_is_no_array_has_a_name_that_no_array_has():
    @ag.primitive
    def scaled(x):
        return 2 * x

    scaled.vjp(x=lambda g: 2 * g)
    program = check(lambda x: ag.sum(scaled(x)), leaf(np.ones(3), "scaled_op"))
    assert program.inputs == ["scaled_op", "scaled_op_"]


# The same text everywhere

SCRIPT = """
import sys
sys.path.insert(0, FOLDER)
import numpy as np
import autograd_cnn as ag
rng = np.random.default_rng(0)
w = ag.Tensor(rng.normal(size=(3, 3, 2, 4)), requires_grad=True, name="w")
v = ag.Tensor(rng.normal(size=(4, 2)), requires_grad=True, name="v")
def f(x, y):
    h = ag.relu(ag.conv2d(x, w, padding=1)).mean(axis=(1, 2))
    return ag.cross_entropy(ag.linear(h, v), y)
graph = ag.trace(f, rng.normal(size=(3, 5, 5, 2)), np.array([0, 1, 1]))
graph.save(FOLDER + "/backward.py")
program = graph.program()
import backward
loss, gradients = backward.step(*program.leaves.values())
assert loss == graph.loss and all((gradients[n] == g).all() for n, g in program.run()[1].items())
print(program)
print(program.source)
"""


SLOPES = [
    (lambda x: ag.exp(x), "g_loss * loss"),
    (lambda x: ag.log(x), "g_loss * (1 / x)"),
    (lambda x: ag.sqrt(x), "g_loss * (0.5 / loss)"),
    (lambda x: 1 / x, "g_loss * -(loss / x)"),
    (lambda x: x / 2.0, "g_loss * np.float64(0.5)"),
    (lambda x: x**3, "g_loss * (3 * ag.power(x, 2))"),
]


@pytest.mark.parametrize(("f", "line"), SLOPES, ids=range(len(SLOPES)))
def test_a_finite_slope_is_a_factor(f, line):
    program = ag.trace(f, 2.0).program()
    assert f"\n    g_x = {line}\n" in program.source and "require" not in str(program)
    assert program.run(x=3.0)[1]["x"] == ag.grad(f)(3.0)


@pytest.mark.parametrize("standalone", [False, True])
def test_a_program_keeps_comparisons(standalone):
    def f(x):
        return ag.sum(np.where((x > 0) & ~(x >= 2), x * x, np.sign(x)))

    program = ag.trace(f, np.array([1.0, -1.0, 3.0])).program(standalone)
    assert "np.greater(x, 0)" in program.source
    _, gradients = program.run(x=np.array([-1.0, 1.5, 1.0]))
    assert gradients["x"].tolist() == [0.0, 3.0, 2.0]


def emptied(x):
    h = x * 1
    h[h > 0] = 0.0
    return ag.sum(h * h)


AGAIN = {
    "assigned": emptied,
    "vmap": lambda x: ag.sum(ag.vmap(lambda a: ag.where(a > 0, a, -2 * a) * (a > 1).any() * np.round(a))(x)),
    "cross_entropy": lambda x: ag.cross_entropy(ag.stack([x, x * x]), [0, 2], weight=np.arange(1.0, 4.0)),
}
CONSTANTS = {
    "x[x > 0]": lambda x: ag.sum(x[x > 0]),
    "(x > 0).any()": lambda x: ag.sum(x) * (x > 0).any(),
    "(x > 0).all()": lambda x: ag.sum(x) * (x > 0).all(),
    "np.isclose(x, 1.0)": lambda x: ag.sum(x * np.isclose(x, 1.0)),
    "np.round(x)": lambda x: ag.sum(x * np.round(x)),
    "np.count_nonzero(x > 0)": lambda x: ag.sum(x) * np.count_nonzero(x > 0),
    "np.nonzero(x)": lambda x: ag.sum(x[np.nonzero(x)]),
    "ag.compress(x > 0, x)": lambda x: ag.sum(ag.compress(x > 0, x)),
    "x.argmax()": lambda x: x[x.argmax()] * 1,
    "x[0] > 0": lambda x: ag.sum(x) if x[0] > 0 else ag.mean(x),
    "float(x.detach()[0])": lambda x: ag.sum(x * float(x.detach()[0])),
    "h[h > 0]": lambda x: ag.sum(ag.checkpoint(lambda h: h[h > 0] * 1, x)),
}


@pytest.mark.parametrize("name", AGAIN)
@pytest.mark.parametrize("standalone", [False, True])
def test_a_program_computes_decisions_again(name, standalone):
    f, x = AGAIN[name], np.array([2.0, 3.0, -1.0])
    program = ag.trace(f, np.array([1.0, -2.0, 3.0])).program(standalone)
    value, gradients = program.run(x=x)
    np.testing.assert_allclose(value, ag.trace(f, x).loss)
    np.testing.assert_allclose(gradients["x"], ag.grad(f)(x))


@pytest.mark.parametrize("text", CONSTANTS)
@pytest.mark.parametrize("standalone", [False, True])
def test_a_program_refuses_other_numbers_where_plain_ones_depend_on_them(text, standalone):
    x, f = np.array([1.0, -2.0, 3.0]), CONSTANTS[text]
    program = ag.trace(lambda x, y: f(x) * ag.sum(y), x, x).program(standalone)
    line = f"{text} (test_program.py:{f.__code__.co_firstlineno})"
    assert program.frozen == {"x": line}
    assert f"# Holds for the traced x only: {line} became constants\n" in program.source
    assert program.run(x=x, y=2 * x)[0] == 2 * program.run()[0]
    message = (
        f"program: {line} became plain numbers, which are constants here. They depend on x, and you passed another"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        program.run(x=-x)


def test_trace_takes_complex_arguments():
    f, z = lambda z: ag.sum(abs(z) ** 2), np.array([3 - 1j])
    _, gradients = ag.trace(f, np.array([1 + 2j])).program().run(z=z)
    np.testing.assert_allclose(gradients["z"], ag.grad(f)(z))
    assert ag.trace(abs, 3 + 4j).loss == 5


def test_a_program_requires_that_its_slopes_are_finite():
    def f(x):
        h = ag.sqrt(x)
        return ag.sum(ag.where(x > 0, h, 0.0))

    at_0, elsewhere = np.array([0.0, 4.0]), np.array([1.0, 4.0])
    _, gradients = ag.trace(f, at_0).program().run()
    np.testing.assert_array_equal(gradients["x"], [0.0, 0.25])
    program = ag.trace(f, elsewhere).program()
    assert "require(np.isfinite(" in program.source and "require" not in str(program)
    message = (
        "program: np.isfinite(0.5 / h).all() is false, so the derivative of h has another form. "
        "ag.trace(f, ...) with yours writes another"
    )
    for standalone in False, True:
        with pytest.raises(ValueError, match=re.escape(message)):
            ag.trace(f, elsewhere).program(standalone).run(x=at_0)


def test_the_file_runs_and_every_run_gives_the_same_bytes(python, tmp_path, monkeypatch):
    outputs = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        outputs.add(python(SCRIPT.replace("FOLDER", repr(str(folder)))))
    (text,) = outputs
    assert str(tmp_path) not in text and " 0x" not in text
    assert "def step(x, y, w, v):" in text


def test_writing_it_changes_nothing(cnn):
    graph = cnn.graph()
    before = [n.saved for n in ag.engine.tape.history(cnn._node) if hasattr(n, "plan")]
    first = graph.program()
    assert [n.saved for n in ag.engine.tape.history(cnn._node) if hasattr(n, "plan")] == before
    assert graph.program().source == first.source and str(graph.program()) == str(first)
    cnn.backward()


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


def test_messages(w):
    x, y = w("x", 3), w("y", 3)
    loss = ag.sum(x + y)
    program = loss.graph().program()
    loss.backward()
    for call, text in (
        (lambda: program.run(z=1), "program: has no z. It begins with x, y"),
        (
            lambda: program.run(x=x),
            "program: no array for y. Pass run(y=array), or use ag.trace(f, ...), which copies all inputs",
        ),
        (
            lambda: ag.checkpoint(ag.sin, x).graph().program(),
            "program: checkpoint of sin keeps no operations. ag.trace(f, ...) runs it and records them",
        ),
        (
            lambda: loss.graph().program(),
            "program: the arrays of add (test_program.py:LINE) were freed by backward(). "
            "Do it before backward(), or keep them: backward(retain_graph=True), or ag.trace(f, ...)",
        ),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
            call()
        assert re.sub(r":\d+", ":LINE", str(caught.value)) == text
