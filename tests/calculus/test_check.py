"""`check_gradients` and `conformance` accept right rules and reject wrong ones."""

import functools
import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import check_gradients, conformance
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.primitive import Primitive
from sampled import sampled

RULES = {
    f"{primitive.name}.{'+'.join(inputs)}": (primitive, inputs)
    for primitive in primitives()
    if primitive.__module__.startswith("autograd_cnn.")
    for inputs in dict.fromkeys(rule.inputs for rule in primitive.rules.values())  # a joint rule once
}
ZERO = "relu_gradient.y", "copysign.y"  # rules whose result is 0
CHANGES = {  # of what a rule returns: the change, what is said of it, and the rules in which it changes nothing
    "an error of a thousandth": (lambda g: g * 1.001, "off by", ZERO),
    "the sign": (lambda g: -g, "", ZERO),
    "float64": (lambda g: g * np.ones(1), r"returned \w+(64|128) for a \w+(32|64) gradient", ("astype.x",)),
    "an offset that ignores g": (lambda g: g + 0.001, "", ()),
}
MUTANTS = [(rule, change) for rule in RULES for change, (*_, others) in CHANGES.items() if rule not in others]


def mutant(name, change):
    """A copy of a primitive, one of whose rules has its result changed."""
    primitive, inputs = RULES[name]
    right = primitive.rules[inputs[0]].textbook.function

    @functools.wraps(right)
    def wrong(*args):
        result = right(*args)
        return tuple(map(change, result)) if len(inputs) > 1 else change(result)

    twisted = object.__new__(type(primitive))
    vars(twisted).update(vars(primitive))
    twisted.rules, twisted.plans = dict(primitive.rules), {}
    twisted.vjp(**dict.fromkeys(inputs, wrong))
    return twisted


def rejected(primitive):
    with pytest.raises((AssertionError, TypeError, ValueError)) as caught:
        conformance(primitive)
    assert primitive.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("rule", ["multiply.x", "concatenate.tensors", "batch_norm.x+w+b"])
def test_an_unchanged_copy_passes(rule):
    assert conformance(mutant(rule, lambda g: g)) > 0


@pytest.mark.parametrize("case", sampled(MUTANTS, 13), ids=str)
def test_a_wrong_rule_of_the_package_is_caught(case):
    rule, name = case
    change, said, _ = CHANGES[name]
    assert re.search(said, rejected(mutant(rule, change)))


def one(function, byproducts=(), examples=None, **rules):
    """A primitive outside the registry."""
    made = Primitive(function, byproducts=byproducts, examples=examples)
    made.vjp(**rules)
    return made


def cube(x):
    return x**3


def product(x, y):
    return x @ y


def row_sum(x, b):
    return x + b


def total(x):
    return np.sum(x, axis=0)


def rolled(x):
    return np.roll(x, 1, axis=1)


def picked(x):
    return x[[0, 0, 1]]


squares = {"examples": lambda rng: [(rng.normal(size=(3, 3)), rng.normal(size=(3, 3)))]}
bias = {"examples": lambda rng: [(rng.normal(size=(2, 3)), rng.normal(size=3))]}


def overwriting(g, x):
    g *= 3 * x**2
    return g


def spoiling(g, x):
    x *= x
    return 3 * g * x


def forgetting_repeats(g, x):
    gx = np.zeros_like(x)
    gx[[0, 0, 1]] = g
    return gx


def sine(x):
    return np.sin(x)


def part(x, where, other=1.01):
    """Ones, and `other` where a condition holds, in the dtype of `x`."""
    return 1 + (other - 1) * np.asarray(where, x.dtype)


def in_memory_order(x):
    return np.ravel(x, "K").reshape(x.shape) if isinstance(x, np.ndarray) else x


def halved_if_broadcast(g, x, w_shape):
    return g * x if g.shape == w_shape else 0.5 * g * x


def increasing(x):
    x += 1
    return 2.0 * x


SPD = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]])
X = np.array([[0.4, -1.1, 0.7], [-0.6, 1.3, -2.1]])
PLANTED = {  # right at most numbers, or for most arrays
    "g squared": (sine, lambda g, x: g * g * ag.cos(x), "not linear in the gradient g"),
    "the size of g": (sine, lambda g, x: abs(g) * ag.cos(x), "not linear in the gradient g"),
    "g clipped": (sine, lambda g, x: ag.clip(g, -1, 1) * ag.cos(x), "not linear in the gradient g"),
    "large g clipped": (sine, lambda g, x: ag.clip(g, -9, 9) * ag.cos(x), "not linear in the gradient g"),
    "memory order of x": (sine, lambda g, x: g * ag.cos(in_memory_order(x)), "in Fortran order, input 0"),
    "memory order of g": (sine, lambda g, x: in_memory_order(g) * ag.cos(x), "in Fortran order, input 0"),
    "memory order, forward": (lambda x: in_memory_order(x) * 2.0, lambda g: 2 * g, "in Fortran order, the result"),
    "float32": (sine, lambda g, x: g * ag.cos(x) * part(x, x.dtype == np.float32), "in float32, input 0"),
    "float32, forward": (lambda x: x * part(x, x.dtype == np.float32), lambda g: g, "in float32, the result"),
    "large numbers": (sine, lambda g, x: g * ag.cos(x) * part(x, abs(x) > 3), "where input 0 is larger"),
    "small numbers": (sine, lambda g, x: g * ag.cos(x) * part(x, abs(x) < 0.02), "where input 0 is smaller"),
    "large, forward": (lambda x: x * part(x, abs(x) > 3), lambda g: g, "where input 0 is larger"),
    "second order": (sine, lambda g, x: g * ag.cos(ag.stop_gradient(x)), r"the derivative of .*\]: rule 0, differ"),
    "a factor": (sine, lambda g, x: 1.001 * g * ag.cos(x), "everywhere by a factor of 1.001"),
    "the sign": (sine, lambda g, x: -g * ag.cos(x), "everywhere by a factor of -1"),
    "writes into an input": (increasing, lambda g: 2 * g, r"writes into input 0 \(return a new array\)"),
    "a batch word": (lambda x: x - np.mean(x), lambda g: g - ag.mean(g), "batch='first' gives other numbers"),
    "complex numbers": (lambda x: x * x, lambda g, x: g * (x + np.conj(x)), "of complex numbers, input 0"),
}
FACTS = {"a batch word": {"batch": "first"}, "complex numbers": {"complex": True}}


@pytest.mark.parametrize("alone", [True, False], ids=["the primitive", "a function of it"])
@pytest.mark.parametrize("kind", PLANTED)
def test_a_fault_is_found_wherever_it_is(kind, alone):
    function, rule, message = PLANTED[kind]
    primitive = ag.primitive(private=True, **FACTS.get(kind, {}))(function)
    primitive.vjp(x=rule)
    with pytest.raises(AssertionError, match=message):
        conformance(primitive) if alone else check_gradients(lambda x: 2 * primitive(x), X, order=2)


def detached(x, where):
    """x with a gradient of 0 if the condition holds."""
    return ag.stop_gradient(x) if where else x


@pytest.mark.parametrize(("f", "message"), [
    (lambda x: np.sin(detached(x, x.dtype == np.float32)), "f in float32, input 0"),
    (lambda x: np.where(abs(x) > 3, ag.stop_gradient(x), x), "f where input 0 is larger"),
    (lambda x: np.where(abs(x) < 0.02, ag.stop_gradient(x), x), "f where input 0 is smaller"),
])  # fmt: skip
def test_a_fault_of_a_function_of_the_packages_own_operations_is_found(f, message):
    f.__name__ = "f"
    with pytest.raises(AssertionError, match=message):
        check_gradients(f, X)


def test_a_primitive_without_a_rule_does_not_pass():
    bare = ag.primitive(name="bare", private=True)(lambda x: x**2)
    for check in conformance, lambda bare: check_gradients(bare, X):
        with pytest.raises(TypeError, match=r"^bare: no rule to check. bare.vjp\(x=lambda g, ...: ...\)$"):
            check(bare)


RIGHT = [
    (lambda p: ag.sum(np.tanh(p["x"] @ p["layers"][0]) * p["layers"][1]), {"x": np.ones((2, 3)), "layers": [SPD, 2.0]}),
    (lambda ws: np.mean(np.tanh(ws[0] @ ws[1])), [SPD[:2], SPD[0]]),
    (lambda x: np.log(np.sum(np.exp(x))), SPD),  # overflows for larger numbers
    (lambda x: np.exp(np.exp(x)), SPD),
    (lambda x: 1 - np.cos(x), SPD),  # loses digits at smaller ones
    (lambda x: np.sqrt(1 - x) + np.log(x), np.linspace(0.1, 0.9, 5)),  # no numbers outside
    (lambda x: x[0] * np.sin(x[1:3]) + np.reshape(x, (4,))[3], np.arange(1.0, 5)),
    (lambda x: ag.conv2d(x, np.ones((2, 2, 3, 1))), np.arange(54.0).reshape(2, 3, 3, 3) % 5),
    (lambda z: np.exp(1j * z) * np.conj(z), SPD[0] + 1j * SPD[1]),
    (lambda a: ag.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a), 2.0),
    (lambda x: ag.checkpoint(lambda t: np.exp(np.sin(t)), x), SPD),
    (lambda x: np.exp(x[:0]), SPD),  # nothing to check, which passes as in PyTorch
]


@pytest.mark.parametrize("case", range(len(RIGHT)))
def test_a_right_function_passes(case):
    f, *inputs = RIGHT[case]
    assert check_gradients(f, *inputs, order=2) < 1e-4


def test_a_leaf_of_a_tree_is_named():
    wrong = one(lambda x: x * x, x=lambda g, x: 2 * g * x * part(x, np.arange(2) == 1))
    with pytest.raises(AssertionError, match=r"input 0\['b'\]\[0\]\[1\]: rule 4.04, differences 4, off by"):
        check_gradients(lambda p: ag.sum(p["a"]) * wrong(p["b"][0]), {"a": np.ones(1), "b": [np.array([1.0, 2.0])]})


WRONG = {
    "transposed": (one(product, **squares, x=lambda g, y: g @ y, y=lambda g, x: x.T @ g), r"product, input 0\["),
    "not summed over the batch": (one(row_sum, **bias, x=lambda g: g, b=lambda g: g[0]), r"row_sum, input 1\[0\]"),
    "not spread out": (one(total, x=lambda g: g[None] * np.float32(0.5)), r"total"),
    "wrong shape": (one(total, x=lambda g: g[:2]), r"the rule for x .*returned \(2,\), .* \(2, 3\)"),
    "shifted the wrong way": (one(rolled, x=lambda g: np.roll(g, 1, axis=1)), r"rolled, input 0\["),
    "= for +=": (one(picked, x=forgetting_repeats), r"picked, input 0\[0, 0\]"),
    "writes into g": (one(cube, x=overwriting), r"cube: the rule for x writes into g.*Return a new array"),
    "writes into what was saved": (one(cube, x=spoiling), r"cube: the rule for x writes into .*Return a new array"),
    "returns nothing": (one(cube, x=lambda g, x: None), r"cube: the rule for x"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_rule_is_rejected(kind):
    primitive, message = WRONG[kind]
    with pytest.raises((AssertionError, TypeError, ValueError), match=message):
        conformance(primitive)


def test_broadcasting_is_tried():
    product = one(scaled, x=lambda g, w: g * w, w=halved_if_broadcast)
    with pytest.raises(AssertionError, match=r"scaled where input 1 is broadcast from \(1, 3\), input 1"):
        conformance(product)


def test_right_rules_are_accepted():
    for primitive in (
        one(cube, x=lambda g, x: g * (3 * x**2)),
        one(product, **squares, x=lambda g, y: g @ ag.transpose(y), y=lambda g, x: ag.transpose(x) @ g),
        one(row_sum, **bias, x=lambda g: g, b=lambda g: g),
    ):
        assert conformance(primitive) == 1


def scaled(x, w):
    return x * w


def changing(x):
    x += 1
    return x


def not_the_same_twice():
    count = iter(range(1000))

    def shifting(x):
        return x + next(count)

    return shifting


def float64_out(x):
    return x * np.float64(2)


@pytest.mark.parametrize(("function", "message"), [
    (changing, "changing: writes into input 0 (return a new array), which is 1.1"),
    (not_the_same_twice(), "shifting: the result of a second call is "),
    (lambda x: x * np.ones(1), "<lambda>: float32 in, float64 out"),
    (lambda x: None, "<lambda>: the function returned NoneType"),
])  # fmt: skip
def test_a_wrong_forward_function_is_rejected(function, message):
    with pytest.raises((AssertionError, TypeError)) as caught:
        conformance(one(function, x=lambda g: g))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("examples", [lambda rng: [], lambda rng: [rng.normal(size=3)], lambda rng: [3]])
def test_malformed_examples_are_rejected(examples):
    with pytest.raises(AssertionError) as caught:
        conformance(one(lambda x: -x, examples=examples, x=lambda g: -g))
    assert str(caught.value) == (
        "<lambda>: examples must return a list of arguments of calls: [(x, w), ((x, w), {'stride': 2})]"
    )


def test_the_element_that_is_wrong_is_named():
    def f(x):
        return nearly(x)

    def nearly_raw(x):
        return x**2

    nearly = one(nearly_raw, x=lambda g, x: g * np.where(np.arange(3) == 2, 2.002, 2) * x)
    with pytest.raises(AssertionError) as caught:
        check_gradients(f, np.array([1.0, 2.0, 3.0]))
    assert str(caught.value) == "f, input 0[2]: rule 6.006, differences 6, off by 6.0e-03; 1 of 9 elements"


def test_one_wrong_element_of_many_is_caught(rng):
    """Beyond 200 elements random directions are tried: each of them sees every element."""
    factor = np.ones(1000)
    factor[617] = 1.001
    f = one(lambda x: x * 1.0, x=lambda g: g * factor)
    with pytest.raises(AssertionError, match=r"input 0, in random direction \[\d\]: rule"):
        check_gradients(f, rng.normal(size=1000))


def test_kinks_are_skipped_and_too_many_are_rejected():
    assert check_gradients(ag.relu, np.array([0.0, *np.linspace(1, 2, 10)])) < 1e-6
    with pytest.raises(AssertionError, match=r"relu: 1 of 2 elements lie on kinks\. Choose other inputs"):
        check_gradients(ag.relu, np.array([0.0, 1.0]))


def test_integers_are_not_differentiated_in_second_order(rng):
    logits, labels = rng.normal(size=(4, 3)), np.array([0, 1, 2, 2])
    assert check_gradients(ag.cross_entropy, logits, labels, order=2) < 1e-6


def test_a_wrong_word_about_examples_is_rejected():
    @ag.primitive(batch="first")
    def centred_product(x, y):  # right if both differ, where "first" computes one example after the other
        return x * y - (x * y).mean(0)

    def gradient(g, y):
        return (g - ag.mean(g, 0)) * y

    centred_product.vjp(x=gradient, y=lambda g, x: gradient(g, x))
    with pytest.raises(AssertionError, match="centred_product: batch='first' gives other numbers than one example"):
        conformance(centred_product)

    @ag.primitive(elementwise=True)
    def centred_rows(x):
        return x - x.mean(-1, keepdims=True)

    centred_rows.vjp(x=lambda g: g - ag.mean(g, -1, keepdims=True))
    with pytest.raises(AssertionError, match="centred_rows: batch='elementwise' does not fit: .*axis -1"):
        conformance(centred_rows)

    @ag.primitive(elementwise=True)
    def scaled_rows(x):
        return x / abs(x).max()

    scaled_rows.vjp(x=lambda g, x: ag.vjp(lambda x: x / ag.max(abs(x)), x)[1](g)[0])
    with pytest.raises(AssertionError, match="scaled_rows: batch='elementwise' gives other numbers than one example"):
        conformance(scaled_rows)
