"""Every derived program gives the bits of the engine: over all primitives, and all uses of the tests' tables."""

import re
from itertools import islice

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.observe import primitives
from sampled import sampled
from split_inputs import split
from studio.programs import check, leaf, same
from uses import every_use

PRIMITIVES = {p.name: p for p in sorted(primitives(), key=lambda p: p.name) if p.rules and p.packaged}
USES = [
    (f"{i} {u.name}", u)
    for i, u in enumerate(every_use())
    if u.name not in ("divmod", "modf", "special.log_expit")  # one result has no gradient; the last is SciPy's
]
CALLED = "avg_pool2d batch_norm contract linalg.cofactors set_at".split()  # rules that decide by numbers, or are fast


def weighted(f):
    """The sum of all numbers of the results of `f`, each with a weight of its own."""

    def loss(*inputs):
        results = f(*inputs)
        results = results if isinstance(results, (tuple, list)) else [results]
        parts = [ag.real(r) + ag.imag(r) if np.iscomplexobj(r) else r for r in results if r.dtype.kind in "fc"]
        sums = [ag.sum(p * np.random.default_rng(1).normal(size=p.shape).astype(p.dtype)) for p in parts]
        return sum(sums[1:], sums[0])

    return loss


def cases(name, dtype=np.float64):
    """Examples of a primitive: a function, and the leaves that it takes."""
    for args, options in examples_of(PRIMITIVES[name], np.random.default_rng(0)):
        f, inputs = split(PRIMITIVES[name], args, options)
        yield f, [leaf(a.astype(dtype), f"v{i}") for i, a in enumerate(inputs)]


slowly = pytest.param(None, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("dtype", "examples"),
    [(np.float64, 1), *(pytest.param(dtype, None, marks=pytest.mark.slow) for dtype in (np.float64, np.float32))],
)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_primitive(name, dtype, examples):
    for f, leaves in islice(cases(name, dtype), examples):
        program = check(weighted(f), *leaves)
        assert "from autograd_cnn" not in program.source
        assert "rules[" not in program.source or name in CALLED


@pytest.mark.parametrize("case", sampled(USES, 4), ids=lambda case: case[0])
def test_a_use(case):
    check(weighted(case[1].f), *(leaf(a, f"v{i}") for i, a in enumerate(case[1].inputs)))


def alone(f, leaves):
    source = check(weighted(f), *leaves, standalone=True).source.replace("ag.trace(f, ...) with yours", "")
    assert not re.search(r"\bag\b|autograd_cnn", source)


@pytest.mark.parametrize("name", sampled([n for n in PRIMITIVES if not n.startswith("special.")], 5))
def test_a_primitive_alone(name, textbook):
    for f, leaves in cases(name):
        alone(f, leaves)


@pytest.mark.parametrize("case", sampled(USES, 16), ids=lambda case: case[0])
def test_a_use_alone(case, textbook):
    alone(case[1].f, [leaf(a, f"v{i}") for i, a in enumerate(case[1].inputs)])


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIMITIVES)
def test_only_the_rule_of_the_input_that_learns_is_printed(name):
    for f, leaves in cases(name):
        for i in range(len(leaves)):
            given = [leaf(v.data, "v") if i == j else v.data for j, v in enumerate(leaves)]
            assert re.findall(r'"(\w+)": g_', check(weighted(f), *given).source) == ["v"]


@pytest.mark.parametrize("examples", [1, slowly])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_second_derivative(name, examples):
    for f, leaves in islice(cases(name), examples):

        def slope(*v, f=f):
            gradients = ag.exp(0.1 * weighted(f)(*v)).gradient(*v, create_graph=True)
            products = [ag.sum(ag.sin(g)) for g in (gradients if isinstance(gradients, tuple) else (gradients,))]
            return sum(products[1:], products[0])

        check(slope, *leaves)


@pytest.mark.parametrize("examples", [1, slowly])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_tape_and_a_trace_take_the_gradient_of_many_numbers(name, examples):
    for f, leaves in islice(cases(name), examples):
        out = f(*leaves)
        programs = ag.trace(f, *leaves).program(), out.graph().program()
        seed = np.random.default_rng(2).normal(size=out.shape).astype(out.dtype) if out.size != 1 else np.ones_like(out)
        before = seed.copy()
        out.backward(seed)
        for program in programs:
            given = {**{t.name: t.data for t in leaves}, **program.leaves}
            given |= {n: seed for n in program.inputs if n not in given}
            value, gradients = program.run(**given)
            assert same(value, out.data) and same(seed, before)
            assert all(same(gradients[t.name], t.grad) for t in leaves)
