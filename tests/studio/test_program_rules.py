"""The derived program: how its rules are read, which arrays it refuses, and which numbers are constants of it."""

import linecache
import re
import runpy
import sys
import weakref

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.program.write import Author
from studio.programs import check, check_again, leaf, own, same

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
    assert "    g_x = g_swish3 * 2 * x\n" in check(lambda x: ag.sum(scope["swish3"](x)), w("x", 3)).source


def test_a_rule_that_depends_on_numbers_is_called(w, rng):
    bent = own("bent", lambda x: x * 2, x=lambda g, x: g * 2 if x.min() > 0 else g + g)
    program = check(lambda x: ag.sum(bent(x)), w("x", 3))
    assert "# bent: the rule itself is called" in program.source
    assert "bent_op.rules['x'](g_bent, x)" in program.source
    assert program.inputs == ["x", "bent_op"] and "engine" not in program.source  # no module holds `bent`
    program.run(x=np.abs(rng.normal(size=3)))


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

    path.write_text(text.replace("g * 3", "g * 4"))
    linecache.checkcache(str(path))
    source = check(lambda x: ag.sum(my_ops.cubed(x)), w("x", 3)).source
    assert "from my_ops import cubed\n" in source and "g_x = g_cubed_2 * 3 * x ** 2" in source
    svg = ag.trace(lambda x: ag.sum(my_ops.cubed(x)), np.ones(3)).svg()
    assert ">cubed_2<" in svg and ">g_cubed_2<" in svg  # one name in picture and program
    del sys.modules["my_ops"]


def test_conditions_on_options_and_shapes_are_evaluated(w):
    def rule(g, x, axis):
        return g * (1 if axis is not None and len(axis) else 2) if len(x.shape) < 3 else x + "no"

    chosen = own("chosen", lambda x, axis=None: x * 2, x=rule)
    assert "\n    g_v = g_loss * 2\n" in check(lambda v: chosen(v), w("v")).source


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
    (lambda g, x: _scaled(g * x, x) * len(x.shape), ["scale = g * x + 3", "(scale + scale * scale) * 2"]),
    (lambda g: _twice(g, 1) + np.sum(_twice(g), axis=0), ["g * 1 + np.sum(g * 2, axis=0)"]),
    (lambda g, n: _scaled(g * n, g) + _cubed(g + n),
     ["scale = g * 2 + 3", "a = g + 2", "scale + scale * scale + a * a * a"]),
    (lambda g, n: _pairs([g], (1, 2)) if n > 1 else g, ["g * 3"]),
    (lambda g: _kept_positive(g), ["kept_positive(g)"]),
    (lambda g, x: g * (ag.sum(g, -1, True) + ag.sum(x, axis=None)),
     ["g * (ag.sum(g, axis=-1, keepdims=True) + ag.sum(x))"]),
    (lambda g, x, n: g[tuple(slice(n) if i else slice(None) for i in range(x.ndim))] * 1, ["g[:, :2] * 1"]),
    (lambda g, x: g.astype(x.dtype) * x.dtype.type(2), ["g.astype(np.float64) * np.float64(2.0)"]),
    (lambda g, x: g * np.asarray(x) * isinstance(g, np.ndarray), ["g * x * True"]),
    (lambda g, n: g * (1 / 3) * (n / 4), ["g * 0.3333333333333333 * 0.5"]),
    (lambda g, n: g * sum(i * n for i in range(n)), ["g * 2"]),
    (lambda g, x: g * sum(i * x for i in range(2)), ["g * (0 + 0 * x + 1 * x)"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "printed"), RULES, ids=range(len(RULES)))
def test_the_printed_lines_of_a_rule(rule, printed, w):
    def doubled(x, n=2):
        return x * 2

    made = ag.primitive(doubled)
    made.vjp(x=rule)
    program = ag.trace(lambda x: doubled_of(x, made), w("x", 3, 2)).program()
    _, gradients = program.run(g_doubled=np.full((3, 2), 1.5))
    lines = program.source.partition("\n\n    ")[2].splitlines()[:-1]
    texts = [re.sub(r"g_doubled\b", "g", re.sub(r"_n1\b", "", line.strip())) for line in lines]
    assert [*texts[:-1], texts[-1].removeprefix("g_x = ")] == printed
    x = w("x", 3, 2)
    x.data = program.leaves["x"]
    made(x).backward(np.full((3, 2), 1.5))
    assert same(gradients["x"], x.grad)


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


@pytest.mark.parametrize("rule", [
    _list_that_grows, _array_that_changes, _item_that_is_set, _scattered, _result_that_changes,
    _names_that_change_places,
], ids=lambda rule: rule.__name__)  # fmt: skip
def test_a_rule_may_write_into_its_own_arrays(rule, w):
    odd = own("odd", lambda x: x * 1, x=rule)
    check(lambda x: ag.sum(odd(x) * x), w("x", 3, 2))


def test_an_observer_may_run_every_step_again(w):
    count = 0

    def ran(op, rule, again):
        nonlocal count
        again()
        count += 1

    def f(x, b):
        h = ag.tanh(x + b) * (x + b)
        n = ag.batch_norm(h, b, b)
        return ag.sum(n[0] * n[1] + n[0])

    graph = ag.trace(f, w("x", 4, 3), w("b", 3))
    author = Author(graph, ran=ran)
    assert author.program().source == graph.program().source and count > 2 * len(graph.ops)
    _, gradients = graph.program().run()
    assert all(same(author.scope[f"g_{name}"], g) for name, g in gradients.items())


def test_the_arrays_of_a_program_are_freed_with_its_author(w):
    def f(x, y):
        for k in range(1, 50):
            x = ag.tanh(x * y) if k % 2 else ag.sum(x, axis=0, keepdims=True) + y
        return ag.sum(x)

    author = Author(ag.trace(f, w("x", 3, 2), w("y", 3, 2)))
    author.program()
    held = weakref.ref(author)
    del author
    assert held() is None  # without garbage collection
    check(f, w("x", 3, 2), w("y", 3, 2))


def test_numbers_may_determine_a_shape(w):
    def rule(g, x):
        large = x[x > 0]
        return g * large.size

    counted = own("counted", lambda x: x * 1, x=rule)
    x = ag.Tensor([1.0, -1.0, 2.0], requires_grad=True, name="x")
    source = check(lambda x: ag.sum(counted(counted(x) - 1.5)), x).source
    assert "    g_x = g_counted * 2\n" in source and "g_subtract = g_counted_2 * 1\n" in source


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

    several = own("several", lambda x, n=2: x * 4, x=rule)
    source = check(lambda x: ag.sum(several(x)), w("x", 3, 2)).source
    assert "    # Twice or thrice.\n    g_x = g_several * 2 * 2\n" in source


def test_without_rules_by_products_are_not_requested(w, rng):
    image = ag.Tensor(rng.normal(size=(1, 4, 4, 1)), name="image")
    source = check(lambda image, u: ag.sum(ag.max_pool2d(image, 2) * u), image, w("u", 1)).source
    assert "max_pool2d = ag.max_pool2d(image, 2)\n" in source


def test_the_reader_removes_the_arguments_of_a_rule_from_the_scope(w):
    author = Author(ag.trace(lambda x: ag.std(x * 2), w("x", 3)))
    author.program()
    assert all(name.isidentifier() for name in author.scope)


@pytest.mark.parametrize("standalone", [False, True])
def test_other_shapes_and_kinds_of_numbers_are_refused(standalone, w, tmp_path):
    def f(x, mask, y):
        return ag.cross_entropy((x * mask) @ w("v", 3, 2), y)

    x, mask, y = np.ones((4, 3)), np.array([True, False, True]), np.array([0, 1, 1, 0])
    graph = ag.trace(f, x, mask, y)
    graph.save(tmp_path / "net.py", standalone=standalone)
    step, program = runpy.run_path(str(tmp_path / "net.py"))["step"], graph.program(standalone)

    def refuses(run, name, array, found, wanted):
        cure = "convert with np.asarray or .astype, or ag.trace(f, ...) with yours writes another"
        message = f"program: {name} is {found}, want {wanted}. The program is for these: {cure}"
        with pytest.raises(ValueError, match=re.escape(message)):
            run(**{**program.leaves, name: array})

    for wrong in (
        ("x", x[:1], "float64 (1, 3)", "floating (4, 3)"),  # NumPy would broadcast it
        ("mask", mask[:1], "bool (1,)", "bool (3,)"),
        ("x", x.astype(np.uint8), "uint8 (4, 3)", "floating (4, 3)"),
        ("x", x.astype(int), "int64 (4, 3)", "floating (4, 3)"),
        ("x", x + 1j, "complex128 (4, 3)", "floating (4, 3)"),
        ("v", np.ones((3, 2), complex), "complex128 (3, 2)", "floating (3, 2)"),
        ("mask", np.ones(3), "float64 (3,)", "bool (3,)"),
        ("y", y.astype(float), "float64 (4,)", "integer (4,)"),
    ):
        refuses(program.run, *wrong)
        refuses(step, *wrong)
    refuses(step, "y", y.tolist(), "<class 'list'> (4,)", "integer (4,)")
    for alike in {}, {"y": y.astype(np.uint8)}, {"x": x.astype(np.float32)}, {"y": y.tolist()}, {"y": tuple(y)}:
        assert same(program.run(**alike)[0], step(**program.leaves)[0])


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
    applied = own("applied", lambda x, by: by(x), x=lambda g, x, by: g * by.slope(x))
    by = type("By", (), {"__call__": lambda self, x: x * x, "slope": lambda self, x: 2 * x})()
    assert check(lambda x: ag.sum(applied(x, by)), w("x", 3)).inputs == ["x", "by", "applied_op"]


def test_an_input_that_is_no_array_has_a_name_that_no_array_has():
    scaled = own("scaled", lambda x: 2 * x, x=lambda g: 2 * g)
    program = check(lambda x: ag.sum(scaled(x)), leaf(np.ones(3), "scaled_op"))
    assert program.inputs == ["scaled_op", "scaled_op_"]


# Slopes, decisions and constants

SLOPES = [
    (lambda x: ag.exp(x), "g_loss * loss"), (lambda x: ag.log(x), "g_loss * (1 / x)"),
    (lambda x: ag.sqrt(x), "g_loss * (0.5 / loss)"), (lambda x: 1 / x, "g_loss * -(loss / x)"),
    (lambda x: x / 2.0, "g_loss * np.float64(0.5)"), (lambda x: x**3, "g_loss * (3 * ag.power(x, 2))"),
]  # fmt: skip


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
}


@pytest.mark.parametrize("name", AGAIN)
@pytest.mark.parametrize("standalone", [False, True])
def test_a_program_computes_decisions_again(name, standalone):
    check_again(AGAIN[name], standalone)


@pytest.mark.parametrize("text", CONSTANTS)
@pytest.mark.parametrize("standalone", [False, True])
def test_a_comment_names_the_line_whose_numbers_became_constants(text, standalone):
    x, f = np.array([1.0, -2.0, 3.0]), CONSTANTS[text]
    program = ag.trace(lambda x, y: f(x) * ag.sum(y), x, x).program(standalone)
    place = f"test_program_rules.py:{f.__code__.co_firstlineno}"
    assert re.findall(
        r"^# Constants, of the traced run: the numbers of (?:x|a tensor) at (.*)", program.source, re.M
    ) == [place]
    assert program.run(x=x, y=2 * x)[0] == 2 * program.run()[0]


def test_only_trace_sees_comparisons():
    """A mask in the program of `loss.graph()` is an input, which `run` does not compute again."""
    w, other = leaf([1.0, -2.0], "w"), np.array([-1.0, 2.0])

    def f(w):
        mask = w > 0
        return ag.sum(w * w * mask)

    program = f(w).graph().program()
    assert program.inputs == ["w", "mask"] and "# Constants" not in program.source
    assert program.run(w=other)[1]["w"].tolist() == [-2.0, 0.0]
    assert program.run(w=other, mask=[0.0, 1.0])[1]["w"].tolist() == [0.0, 4.0]
    assert ag.trace(f, w).program().run(w=other)[1]["w"].tolist() == [0.0, 4.0]


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
