"""Checkpoints: the same bits as without, and nothing kept of what happened inside."""

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


def test_checkpoint_gives_the_same_bits(layers):
    x, weights = layers

    def block(h):
        for w in weights:  # closed over: they receive their gradients too
            h = ag.tanh(h @ w)
        return h

    plain = gradients(ag.sum(block(x) ** 2), [x, *weights])
    saved = gradients(ag.sum(ag.checkpoint(block, x) ** 2), [x, *weights])
    for a, b in zip(plain, saved, strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_keeps_nothing_of_what_happened_inside(layers):
    x, weights = layers

    def block(h):
        for w in weights:
            h = ag.tanh(h @ w)
        return h

    out = ag.checkpoint(block, x)
    assert out._node.saved == ()
    assert {n.birth for n in out._node.inputs} == {t._node.birth for t in (x, *weights)}


def test_checkpoints_nest_repeat_and_share(layers):
    x, (w, *_) = layers

    def block(h):
        return ag.checkpoint(lambda h: ag.tanh(h @ w), ag.tanh(h @ w))

    def plain(h):
        return ag.tanh(ag.tanh(h @ w) @ w)

    def twice(f):
        return ag.sum(f(f(x)) * f(x))

    want = gradients(twice(plain), [x, w])
    for a, b in zip(want, gradients(twice(lambda h: ag.checkpoint(block, h)), [x, w]), strict=True):
        close(a, b)


def test_checkpoint_of_a_result(layers):
    x, (w, *_) = layers

    def f(h):
        return ag.sum(ag.tanh(h @ w))

    for a, b in zip(gradients(f(2 * x), [x, w]), gradients(ag.checkpoint(f, 2 * x), [x, w]), strict=True):
        close(a, b)


def test_checkpoint_of_a_result_and_of_what_it_was_made_of(layers):
    """The walk inside a checkpoint stops at its inputs, even if one leads to another; the outer walk goes on."""
    x, _ = layers
    h = 2 * x
    loss = ag.sum(ag.checkpoint(lambda h: h * x, h))
    loss.backward(retain_graph=True)
    close(x.grad, 4 * x.data)
    loss.backward()
    close(x.grad, 8 * x.data)


def test_checkpoint_is_differentiable_twice(layers):
    _, (w, *_) = layers

    def f(x):
        return ag.sum(ag.tanh(ag.reshape(x, (1, 4)) @ w) ** 2)

    x, v = np.arange(4.0), np.ones(4)
    close(ag.hessian(lambda x: ag.checkpoint(f, x))(x), ag.hessian(f)(x))
    close(ag.hvp(lambda x: ag.checkpoint(f, x), (x,), (v,))[0], ag.hvp(f, (x,), (v,))[0])
    close(ag.jvp(lambda x: ag.checkpoint(f, x), (x,), (v,))[1], ag.jvp(f, (x,), (v,))[1])


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
    with pytest.raises(
        TypeError, match=r"checkpoint: f needs arguments. They stand in the same call: checkpoint.f, x."
    ):
        ag.checkpoint(ag.sin)(layers[0])
    assert ag.checkpoint(lambda *x: ag.sin(layers[0])).requires_grad


def test_checkpoint_refuses_a_result_that_changed(layers):
    x, (w, *_) = layers
    out = ag.checkpoint(lambda h: h @ w, x)
    w.data = w.data + 1
    with pytest.raises(RuntimeError, match="did a parameter change"):
        out.sum().backward()
    assert x.grad is None
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


def test_a_real_function_of_complex_numbers():
    z = np.array([1 + 2j, -1j])
    for f in (lambda z: ag.sum(abs(z) ** 3), lambda z: abs(ag.sum(z**3)) ** 2):
        close(ag.grad(lambda z, f=f: ag.checkpoint(f, z))(z), ag.grad(f)(z))
        close(ag.hvp(lambda z, f=f: ag.checkpoint(f, z), (z,), (z,)), ag.hvp(f, (z,), (z,)))


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
