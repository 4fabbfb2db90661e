"""Checkpoints: the same bits as without, and nothing kept of what happened inside."""

from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor


def close(got, want, rtol=1e-12):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12)


@pytest.fixture
def layers(rng):
    x = Tensor(rng.normal(size=(5, 4)), requires_grad=True)
    weights = [Tensor(rng.normal(size=(4, 4)), requires_grad=True) for _ in range(3)]
    return x, weights


def gradients(loss, tensors):
    for t in tensors:
        t.grad = None
    loss.backward()
    return [t.grad for t in tensors]


def block(ws, h):
    """Three layers, whose weights are no arguments: they receive their gradients too."""
    for w in ws:
        h = ag.tanh(h @ w)
    return h


def nested(wrap, x, ws):
    def f(h):
        return wrap(lambda h: wrap(lambda h: ag.tanh(h @ ws[0]), ag.tanh(h @ ws[0])), h)

    return f(f(x)) * f(x)


BLOCKS = {
    "layers": lambda wrap, x, ws: wrap(partial(block, ws), x),
    "nested, repeated and shared": nested,
    "of a result": lambda wrap, x, ws: wrap(lambda h: ag.sum(ag.tanh(h @ ws[0])), 2 * x),
    "real, of complex numbers": lambda wrap, x, ws: wrap(lambda z: abs(ag.sum(z**3)) ** 2, x + 1j * x[::-1]),
    "complex": lambda wrap, x, ws: abs(wrap(lambda z: z * abs(z), x + 1j * x[::-1]) + 1),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_checkpoints_give_the_derivatives_of_both_orders(layers, name):
    x, ws = layers

    def results(wrap):
        def f(x):
            return ag.sum(BLOCKS[name](wrap, x, ws) ** 2)

        twice = [t(f, (x.data,), (x.data + 1,))[-1] for t in (ag.hvp, lambda f, *at: ag.jvp(ag.grad(f), *at))]
        return [*gradients(f(x), [x, *ws]), *twice]

    for i, (a, b) in enumerate(zip(results(ag.checkpoint), results(lambda f, *args: f(*args)), strict=True)):
        check = np.testing.assert_array_equal if name == "layers" and i < 4 else close
        check(np.array(a, float), np.array(b, float))  # NaN for weights that are not used


def test_checkpoint_keeps_nothing_of_what_happened_inside(layers):
    x, weights = layers

    out = ag.checkpoint(partial(block, weights), x)
    assert out._node.saved == ()
    assert {n.birth for n in out._node.inputs} == {t._node.birth for t in (x, *weights)}


def test_checkpoint_of_a_result_and_of_what_it_was_made_of(layers):
    """The walk inside a checkpoint stops at its inputs, even if one leads to another; the outer walk goes on."""
    x, _ = layers
    h = 2 * x
    loss = ag.sum(ag.checkpoint(lambda h: h * x, h))
    loss.backward(retain_graph=True)
    close(x.grad, 4 * x.data)
    loss.backward()
    close(x.grad, 8 * x.data)


def test_checkpoint_runs_f_once_forward_and_once_more_backward(layers):
    x, (w, *_) = layers
    calls = []

    def f(h):
        calls.append(1)
        return ag.tanh(h @ w)

    out = ag.checkpoint(f, x)
    assert len(calls) == 1
    out.sum().backward()
    assert len(calls) == 2
    with ag.no_grad():
        assert not ag.checkpoint(f, x).requires_grad
    assert len(calls) == 3


def test_checkpoint_of_arrays_and_of_nothing_recorded(layers):
    x, (w, *_) = layers
    out = ag.checkpoint(lambda a: a @ w, x.data)  # an array in: only what is closed over has a gradient
    out.sum().backward()
    close(w.grad, x.data.T @ np.ones((5, 4)))
    assert not isinstance(ag.checkpoint(lambda a: a + 1, x.data), Tensor)
    assert ag.checkpoint(lambda a: a, x) is x


def test_checkpoint_wants_the_arguments_in_the_same_call(layers):
    with pytest.raises(TypeError, match=r"f needs arguments. They stand in the same call: checkpoint\(f, x\)"):
        ag.checkpoint(ag.sin)(layers[0])
    assert ag.checkpoint(lambda *x: ag.sin(layers[0])).requires_grad


def test_checkpoint_refuses_a_result_that_changed(layers):
    x, (w, *_) = layers
    out = ag.checkpoint(lambda h: h @ w, x)
    w.data = w.data + 1
    with pytest.raises(RuntimeError, match="did a parameter change"):
        out.sum().backward()
    assert x.grad is None
    factor = np.ones(4)
    out = ag.checkpoint(lambda h: h * factor, x)
    with pytest.raises(ValueError, match="read-only"):  # as long as `out` is there
        factor[0] = 2
    hidden = [np.random.default_rng(0)]
    with pytest.raises(RuntimeError, match="Does it draw random numbers itself"):
        ag.checkpoint(lambda h: h * hidden[0].random(4), x).sum().backward()


class Noise(ag.nn.Module):
    def __init__(self, rng):
        self.rng = rng

    def forward(self, h):
        return h * self.rng.normal(size=h.shape)


GENERATORS = {
    "argument": lambda wrap, rng, x: wrap(lambda h, own: h * own.random(4), x, rng),
    "variable": lambda wrap, rng, x: wrap(lambda h: h * rng.random(4), x),
    "attribute": lambda wrap, rng, x: wrap(Noise(rng), x),
    "method": lambda wrap, rng, x: wrap(Noise(rng).forward, x),
    "NumPy's": lambda wrap, rng, x: wrap(lambda h: h * np.random.normal(size=4) + np.random.normal(), x),
    "inside another": lambda wrap, rng, x: wrap(lambda h: 2 * wrap(Noise(rng), h), x),
}


@pytest.mark.parametrize("place", GENERATORS)
def test_generators_of_the_user_draw_the_same_numbers_in_the_second_run(layers, place):
    def run(wrap):
        rng = np.random.default_rng(0)
        np.random.seed(0)
        layers[0].grad = None
        out = GENERATORS[place](wrap, rng, layers[0])
        between = rng.random(), np.random.normal()
        ag.sum(out**2).backward()
        return out.data, layers[0].grad, between, rng.random(), np.random.normal()

    for a, b in zip(run(lambda f, *args: f(*args)), run(ag.checkpoint), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_function_that_changes_the_dtype():
    x = Tensor(np.float32([1, 2]), requires_grad=True)
    ag.checkpoint(lambda h: h.astype(np.float64) ** 2, x).sum().backward()
    np.testing.assert_array_equal(x.grad, np.float32([2, 4]))


def noisy(rng):
    """Layers that draw: from a generator of their own, from the default one, and by the function."""
    layers = [ag.nn.Linear(4, 4, rng=rng, dtype=np.float64), ag.nn.Dropout(0.3, rng), ag.nn.Dropout(0.4)]
    return ag.nn.Sequential(*layers, lambda h: ag.dropout(h, 0.2, rng), ag.nn.BatchNorm1d(4, dtype=np.float64))


@pytest.mark.parametrize(
    "wrap", [ag.checkpoint, lambda f, x: ag.checkpoint(lambda x: ag.checkpoint(f, x) * 2, x)], ids=["once", "nested"]
)
def test_layers_that_draw_or_keep_statistics_are_the_same_in_a_checkpoint(layers, wrap):
    def run(wrap):
        ag.nn.seed(0)
        rng = np.random.default_rng(0)
        model = noisy(rng)
        x, losses = layers[0], []
        x.grad = None
        for _ in range(2):  # the second draws go on where the first ended
            loss = ag.sum(wrap(model, x) ** 3)
            between = rng.random(), ag.nn.Linear(1, 1).w.item()
            loss.backward()
            losses.append((loss.item(), *between, rng.random(), ag.nn.Linear(1, 1).w.item()))
        return [np.array(losses), x.grad, *(p.grad for p in model.parameters()), *model.state_dict().values()]

    plain = run(lambda f, x: f(x) * (1 if wrap is ag.checkpoint else 2))
    for a, b in zip(plain, run(wrap), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_failing_second_run_leaves_generators_where_they_were(layers):
    rng, runs = np.random.default_rng(0), []

    def f(h):
        runs.append(1)
        if len(runs) == 2:
            ag.dropout(h, 0.5, rng)
            raise KeyError("second")
        return ag.dropout(h, 0.5, rng)

    out = ag.checkpoint(f, layers[0])
    before = rng.bit_generator.state
    with pytest.raises(KeyError):
        out.sum().backward()
    assert rng.bit_generator.state == before
    assert ag.nn.BatchNorm1d(1)(Tensor([[1.0], [2.0]])).size == 2  # and statistics move again
