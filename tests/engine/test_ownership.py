"""The walk adds in place only into arrays that it owns."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import conformance, examples_of
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.primitive import Primitive
from leaves import leaf


def made(function, name, **rules):
    primitive = Primitive(function)
    primitive.name = name
    primitive.vjp(**rules)
    return primitive


def rules_of_examples(primitive):
    """Yield each rule that a call of the primitive's examples runs, with its arguments, as they are and enlarged."""
    rng = np.random.default_rng(0)
    for args, options in examples_of(primitive, rng):
        flat = primitive.bind(args, dict(options))
        calls = [flat]
        if primitive.elementwise:  # blocks, tiles and compiled passes take large arrays only
            calls.append([np.resize(a, (130, 301)) if isinstance(a, np.ndarray) else a for a in flat])
        for values in calls:
            made = [
                leaf(a) if n in primitive.rules and getattr(a, "dtype", np.dtype(int)).kind in "fc" else a
                for n, a in zip(primitive.flat_names(len(values)), values, strict=True)
            ]
            node = primitive(*primitive.grouped(made)).node
            if node is not None:
                yield from ((node, rule, pick(node.saved)) for _, rule, pick in node.plan.steps)


@pytest.mark.parametrize("primitive", [p for p in primitives() if p.packaged], ids=lambda p: p.name)
def test_a_rule_of_the_package_returns_an_array_that_nobody_else_has_or_a_read_only_one(primitive):
    for node, rule, values in rules_of_examples(primitive):
        g = np.ones(node.shape, node.dtype)
        g.setflags(write=False)
        kept = [g, *(v for v in values if isinstance(v, np.ndarray))]
        for _ in range(2):  # a second call shows an array that the rule keeps
            results = rule.function(g, *values)
            results = results if rule.joint else [results]
            for result in results:
                if isinstance(result, np.ndarray) and result.flags.writeable:
                    assert not any(np.may_share_memory(result, other) for other in kept), rule.name
            kept += [result for result in results if isinstance(result, np.ndarray)]
    assert all(rule.fresh for rule in primitive.rules.values())


def both_views(g):
    h = g * 1.0
    return h, h.T


def test_a_joint_rule_may_return_two_views_of_one_array():
    x, y = leaf(np.zeros((2, 2))), leaf(np.zeros((2, 2)))
    add = made(lambda x, y: x + y.T, "add_turned", x=both_views, y=both_views)
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    (ag.sum(add(x, y) * weights) + ag.sum(x * 10)).backward()
    np.testing.assert_array_equal(x.grad, weights + 10)
    np.testing.assert_array_equal(y.grad, weights.T)


@pytest.mark.parametrize("view", [lambda a: a, lambda a: a[:], lambda a: a.T.T], ids=["itself", "a view", "turned"])
def test_an_array_that_a_rule_keeps_is_not_written_into(view):
    kept = np.ones((2, 2))
    one = made(lambda x: x.sum(), "one", x=lambda g: view(kept))
    x = leaf(np.zeros((2, 2)))
    (one(x) + one(x) + ag.sum(x * 5)).backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 2), 7.0))
    np.testing.assert_array_equal(kept, np.ones((2, 2)))
    y = leaf(np.zeros((2, 2)))
    one(y).backward()
    assert not np.may_share_memory(y.grad, kept)


def test_check_finds_a_rule_that_overwrites_what_it_returned():
    kept = np.empty((2, 3))

    def reuse(g):
        kept[...] = g
        return kept

    double = made(lambda x: 2 * x, "double", x=lambda g: reuse(2 * g))
    with pytest.raises(AssertionError, match="double, input 0: not linear .*, or a rule overwrites its last result"):
        conformance(double)
