"""Modules that are called with other parameters, which transforms differentiate."""

from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn


class Shared(nn.Module):
    """Parameters in attributes, in a list, in a dict, and twice in one module."""

    def __init__(self, rng):
        self.first = nn.Linear(3, 3, rng=rng)
        self.layers = [nn.Linear(3, 3, rng=rng), self.first]
        self.scales = {"in": ag.Tensor(np.float32([1, 2, 3]), requires_grad=True), "rest": (self.first.w, None)}
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x * self.scales["in"])
        return self.layers[0](self.norm(x)) @ self.scales["rest"][0]


def test_a_module_is_called_with_other_parameters(rng):
    """Values and gradients are those of a model that has these parameters, and the module keeps its own."""
    model, twin = Shared(rng), Shared(rng)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    others = {name: p.data for name, p in twin.named_parameters()}
    buffers = {name: ag.Tensor(b.data + 1) for name, b in twin.named_buffers()}
    before, parts = model.state_dict(), [*model.parameters(), *model.buffers()]
    out = ag.functional_call(model, {**others, **buffers}, x)
    twin_out = twin(x)
    np.testing.assert_array_equal(out.data, twin_out.data)
    assert not out.requires_grad
    np.testing.assert_allclose(buffers["norm.running_mean"].data, twin.norm.running_mean.data + 0.9, atol=1e-6)

    found = ag.grad(lambda p: ag.sum(ag.functional_call(model, p, x) ** 2))(others)
    ag.sum(twin_out**2).backward()
    for name, p in twin.named_parameters():
        np.testing.assert_allclose(found[name], p.grad, rtol=1e-5)
    assert all(a is b for a, b in zip(parts, [*model.parameters(), *model.buffers()], strict=True))
    for name in others:
        np.testing.assert_array_equal(model.state_dict()[name], before[name])


def test_a_part_of_the_parameters_and_a_direction(rng):
    model, x = nn.Linear(3, 2, rng=rng, dtype=np.float64), rng.normal(size=(4, 3))
    b = np.ones(2)
    value, slope = ag.jvp(lambda b: ag.functional_call(model, {"b": b}, x), (b,), (np.array([1.0, 0.0]),))
    np.testing.assert_allclose(value, x @ model.w.data + 1)
    np.testing.assert_array_equal(slope, [[1, 0]] * 4)
    np.testing.assert_array_equal(ag.functional_call(model, {"b": b}, (x,)).data, value)  # as in torch.func
    ag.functional_call(model, {"b": b}, x).sum().backward()
    assert (model.b.grad, model.w.grad.shape) == (None, (3, 2))


def test_calls_with_other_parameters_nest_and_leave_the_module_as_it_is(rng):
    class Twice(nn.Module):
        def __init__(self):
            self.scale = ag.Tensor(2.0, requires_grad=True)
            self.twin = self  # a circle

        def forward(self, x, deeper=False):
            if deeper:
                x = ag.functional_call(self, {"scale": 10.0}, x)
            self.seen = self.scale.item()
            return x * self.twin.scale / (x.data != 0)

    model = Twice()
    own = model.scale
    assert ag.functional_call(model, {"scale": 3.0}, 1.0 * own, deeper=True).item() == 60
    assert model.scale is own and not hasattr(model, "seen")
    model(own)
    ag.functional_call(model, {"scale": 3.0}, 1.0 * own)
    assert model.seen == 2


HOLDERS = lambda m: m.inner.forward, lambda m: lambda x: m.inner(x), lambda m: partial(nn.Module.__call__, m.inner)


@pytest.mark.parametrize("held", HOLDERS)
def test_a_function_that_holds_a_module_would_call_it_with_its_own_parameters(rng, held):
    class Outer(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(2, 2, rng=rng)
            self.run = held(self)

        def forward(self, x):
            return self.run(x)

    model = Outer()
    with pytest.raises(TypeError, match=r"replaced: .* holds a module\n.* call it in forward instead"):
        ag.functional_call(model, {n: p.data for n, p in model.named_parameters()}, np.ones((1, 2)))


def test_a_function_may_name_a_variable_that_is_set_later(rng):
    model, x = nn.Sequential(nn.Linear(2, 2, rng=rng), lambda x: x * later), np.ones((1, 2), np.float32)
    with pytest.raises(NameError, match="later"):
        ag.functional_call(model, {}, x)
    later = 2.0
    np.testing.assert_array_equal(ag.functional_call(model, {}, x).data, model(x).data)


def test_the_second_run_of_a_checkpoint_has_the_other_parameters_too(rng):
    class Layer(nn.Module):
        def __init__(self, run, inner=None):
            self.run, self.inner = run, inner or nn.Linear(3, 3, rng=np.random.default_rng(0))

        def forward(self, x):
            return self.run(lambda x: ag.tanh(self.inner(x)), x)

    class Slope(Layer):
        def forward(self, x):  # the second run is inside of the call
            return ag.grad(lambda x: ag.sum(self.inner(x) ** 2))(x)

    kept, again = Layer(lambda f, x: f(x)), Layer(ag.checkpoint)
    x = rng.normal(size=(2, 3))
    for first, second in (kept, again), (Slope(None, kept), Slope(None, again)):
        f, g = (lambda p, m=m: ag.sum(ag.functional_call(m, p, x) ** 2) for m in (first, second))
        p = {name: rng.normal(size=t.shape) for name, t in first.named_parameters()}
        for derivative in ag.grad, lambda f: lambda p: ag.hvp(f, (p,), (p,))[0]:
            for want, got in zip(derivative(f)(p).values(), derivative(g)(p).values(), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12)
