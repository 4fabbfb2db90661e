"""vmap against a loop over the examples."""

import numpy as np
import pytest

import autograd_cnn as ag

RNG = np.random.default_rng(0)
XS, YS, W = RNG.normal(size=(5, 3)), RNG.integers(0, 2, 5), RNG.normal(size=(3, 2))


def loop(f, *args):
    return np.stack([np.asarray(getattr(y, "data", y)) for y in (f(*example) for example in zip(*args, strict=True))])


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@ag.primitive
def users(x, w):
    """A primitive that declares nothing."""
    return (x * w).sum() * np.ones(2)


users.vjp(x=lambda g, x, w: ag.sum(g) * w, w=lambda g, x, w: ag.sum(g) * x)


def loss(w, x, y):
    return -ag.log_softmax(ag.tanh(x @ w))[y]


FUNCTIONS = {
    "a sum": lambda x: (x * x).sum(),
    "a product": lambda x: x @ W,
    "a branch of arrays": lambda x: np.where((x > 0) & ~(x >= 1) | (x < 0.1), x, 0 * x),
    "argmax": lambda x: x[x.argmax()] * np.argmax(x),
    "steps": lambda x: np.floor(x) + x // 1 + np.sign(x) + np.round(x),
    "order": lambda x: x[np.argsort(x)],
    "a loop": lambda x: sum(v * v * (i + len(x)) for i, v in enumerate(x)),
    "zeros": lambda x: np.zeros_like(x) + x,
    "a user's primitive": lambda x: users(x, W[:, 0]),
    "grad": ag.grad(lambda x: (x**3).sum()),
    "grad of a user's primitive": lambda x: ag.grad(lambda w: ag.sum(users(x, w) ** 2))(W[:, 0]),
    "grad around a detached value": ag.grad(lambda x: ag.sum(x * x.detach() * x.data)),
    "value_and_grad": lambda x: ag.value_and_grad(lambda x: ag.sum(ag.exp(x @ W)))(x)[0],
    "jacobian": ag.jacobian(lambda x: ag.sin(x @ W)),
    "hessian": ag.hessian(lambda x: ag.sum(ag.sin(x @ W))),
    "hvp": lambda x: ag.hvp(lambda z: ag.sum(z**3), (x,), (x * 2,))[0],
    "jvp": lambda x: ag.jvp(lambda z: ag.sin(z @ W), (x,), (x,))[1],
    "vjp": lambda x: ag.vjp(ag.sin, x)[1](x * 2)[0],
    "vmap": lambda x: ag.vmap(lambda a: a * x.sum())(x),
    "vmap of grad": lambda x: ag.vmap(ag.grad(lambda a: a**2 * x.sum()))(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_examples_at_once_give_what_each_gives_alone(name):
    got = ag.vmap(FUNCTIONS[name])(XS)
    assert isinstance(got, np.ndarray)
    close(got, loop(FUNCTIONS[name], XS))


def test_a_gradient_for_each_example():
    got = ag.vmap(ag.grad(loss), (None, 0, 0))(W, XS, YS)
    close(got, loop(lambda x, y: ag.grad(loss)(W, x, y), XS, YS))


def test_the_function_runs_once():
    runs = []
    ag.vmap(lambda x: runs.append(x.shape) or x)(XS)
    assert runs == [(3,)]


def test_grad_of_vmap_of_grad():
    def total(w):
        return ag.sum(ag.vmap(ag.grad(lambda x: ag.sum(ag.sin(x @ w))))(XS) ** 2)

    def by_loop(w):
        return ag.sum(ag.stack([ag.grad(lambda x: ag.sum(ag.sin(x @ w)))(x) for x in XS]) ** 2)

    close(ag.grad(total)(W), ag.grad(by_loop)(W))


def test_axes_and_trees():
    def f(p, x, k):
        return {"y": p["w"] * x + p["b"], "both": (k, x.sum())}

    got = ag.vmap(f, ({"w": None, "b": 0}, 1, None), {"y": -1, "both": (None, 0)})(
        {"w": np.ones(3), "b": np.arange(5.0)}, XS.T, 7
    )
    assert got["both"][0] == 7
    close(got["y"], (XS + np.arange(5.0)[:, None]).T)
    close(got["both"][1], XS.sum(1))


def test_tensors_give_tensors_and_arrays_give_arrays():
    assert isinstance(ag.vmap(ag.sin)(ag.Tensor(XS)), ag.Tensor)
    assert isinstance(ag.vmap(ag.sin)(XS), np.ndarray)
    assert ag.vmap(lambda x: 2.0)(XS).tolist() == [2.0] * 5


SPOILT = {
    "a branch": lambda x: x if x.sum() > 0 else -x,
    "float": lambda x: float(x[0]),
    "item": lambda x: x[0].item(),
    "an array": lambda x: np.asarray(x),
    "a list": lambda x: x.tolist(),
    "in": lambda x: 3.0 in x,
    "an index of a list": lambda x: [1, 2][x[0] > 0],
}


@pytest.mark.parametrize("name", SPOILT)
def test_numbers_of_one_example_are_refused(name):
    with pytest.raises(TypeError, match=r"vmap: .+ asks for the numbers of one example, .*differ\n.*np.where"):
        ag.vmap(SPOILT[name])(XS)


def test_a_batched_value_shows_no_numbers():
    shown = []
    ag.vmap(lambda x: shown.append(f"{x} {x.data!r}") or x)(XS)
    assert shown == ["Tensor(<one of 5 examples, (3,)>, float64) <one of 5 examples, (3,)>"]


def test_a_value_that_left_its_vmap_is_refused():
    left = []
    ag.vmap(lambda x: left.append(x) or x)(XS)
    for use in (lambda x: x * 2, lambda x: x > 0, np.asarray, lambda x: ag.vmap(lambda y: x * y)(XS)):
        with pytest.raises(TypeError, match=r"(?s)whose vmap is over\n.*Return it"):
            use(left[0])


def test_backward_inside_is_refused():
    with pytest.raises(TypeError, match=r"backward: .* vmap.*ag.grad"):
        ag.vmap(ag.grad(lambda x: (x * 2).backward(np.ones(3)) or x.sum()))(XS)


@pytest.mark.parametrize(
    ("axes", "args", "message"),
    [
        (0, (XS, W), r"different numbers of examples: argument 0 5, argument 1 3"),
        ((0, 0), (XS,), r"in_axes has 2 entries, and 1 positional"),
        (2, (XS,), r"argument 0 is \(5, 3\), and in_axes says that its axis 2 counts"),
        (0, (2.0,), r"argument 0 is 2.0, and in_axes says"),
        (None, (XS,), r"no argument has an axis of examples"),
        (({"a": 0},), ({"b": XS},), r"in_axes has \{'a': 0\} for argument 0, which is a tree of \['b'\]"),
        (({"a": 0},), (XS,), r"in_axes has \{'a': 0\} for argument 0, which is no tree"),
    ],
)
def test_arguments_that_do_not_fit(axes, args, message):
    with pytest.raises(ValueError, match=f"vmap: .*{message}"):
        ag.vmap(lambda *args: args[0], axes)(*args)


def test_results_that_do_not_fit():
    with pytest.raises(TypeError, match="vmap: the result is 'text'"):
        ag.vmap(lambda x: "text")(XS)
    with pytest.raises(ValueError, match="out_axes is None for the result, which differs"):
        ag.vmap(lambda x: x, 0, None)(XS)
    with pytest.raises(ValueError, match=r"out_axes is 2 for the result, which is \(3,\)"):
        ag.vmap(lambda x: x, 0, 2)(XS)
