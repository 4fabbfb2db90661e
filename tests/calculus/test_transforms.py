"""Functions of functions against formulas, against each other, and against PyTorch where it is installed."""

from typing import NamedTuple

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from wording import warns


def close(got, want, rtol=1e-12):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12)


# grad and value_and_grad


def test_grad_of_several_arguments():
    def f(x, y, z):
        return ag.sum(x * y) + 3 * z

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    close(ag.grad(f)(x, y, 5.0), y)
    close(ag.grad(f, 1)(x, y, 5.0), x)
    gy, gz = ag.grad(f, (1, 2))(Tensor(x), Tensor(y), 5.0)  # which need no gradient, so it is arrays
    close(gy, x)
    assert gz == 3 and isinstance(gy, np.ndarray)


def test_keywords_pass_and_the_name_stays():
    def loss(x, power=2):
        """The loss."""
        return ag.sum(x**power)

    close(ag.grad(loss)(np.array([2.0]), power=3), [12])
    close(ag.jacobian(loss)(np.array([2.0]), power=3), [12])
    assert (ag.grad(loss).__name__, ag.grad(loss).__doc__) == ("loss", "The loss.")


DX = np.ones(2)
TRANSFORMS = {  # of a function of a vector: the call, and its derivative
    "grad": lambda f: ag.grad(f)(DX), "value_and_grad": lambda f: ag.value_and_grad(f)(DX)[1],
    "vjp": lambda f: ag.vjp(f, DX)[1](1.0)[0], "jvp": lambda f: ag.jvp(f, (DX,), (DX,))[1],
    "jacobian": lambda f: ag.jacobian(f)(DX), "hessian": lambda f: ag.hessian(f)(DX),
    "hvp": lambda f: ag.hvp(f, (DX,), (DX,))[0],
}  # fmt: skip
WEIGHTS = Tensor([1.0, 2.0], requires_grad=True)
LOST = {
    "a constant": lambda x: 3.0, "data": lambda x: (x.data**2).sum(), "item": lambda x: x[0].item() ** 2,
    "detached": lambda x: ag.sum(x.detach() ** 2), "a result's data": lambda x: ag.sum((x * 2).data),
    "through another Tensor": lambda x: ag.sum(WEIGHTS * x.data), "without a derivative": lambda x: np.sign(x).sum(),
    "in no_grad": ag.no_grad()(lambda x: ag.sum(x * x)),
}  # fmt: skip


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", LOST)
def test_a_result_that_does_not_depend_on_the_argument_warns_once_at_the_users_line(name, transform):
    with pytest.warns(UserWarning, match="the result of the function does not depend on a") as caught:
        derivative = TRANSFORMS[transform](LOST[name])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not np.any(derivative)


DIFFERENTIATED = {
    "grad": lambda x: ag.grad(lambda x: ag.sum(3 * x))(x),
    "jvp": lambda x: ag.jvp(lambda x: 3 * x, (x,), (DX,))[1],
    "vjp": lambda x: ag.vjp(lambda x: 3 * x, x)[1](DX)[0],
    "gradient": lambda x: ag.sum(3 * x).gradient(x, create_graph=True),
    "with a loss of it": lambda x: ag.sum(ag.grad(lambda x: ag.sum(3 * x))(x) ** 2) * DX,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_the_derivative_of_a_linear_function_is_constant_without_a_warning(name, transform):
    assert not np.any(TRANSFORMS[transform](lambda x: ag.sum(DIFFERENTIATED[name](x))))


def test_arguments_are_counted_from_either_end():
    f = lambda x, y: ag.sum(x * y * y)  # noqa: E731
    close(ag.grad(f, -1)(DX, 3 * DX), [6, 6])
    close(ag.grad(f, (-1, 0))(DX, 3 * DX), [[6, 6], [9, 9]])
    close(ag.grad(f, (0, -2))(DX, 3 * DX), [[9, 9], [9, 9]])  # the same one twice
    with pytest.raises(TypeError, match="cannot differentiate argument -3, counted from 0: 2 positional"):
        ag.grad(f, -3)(DX, DX)


def test_one_of_several_arguments_may_be_unused():
    f = lambda x, y, **rest: ag.sum(y * y)  # noqa: E731
    close(ag.grad(f, (0, 1))(DX, DX), [[0, 0], [2, 2]])
    close(ag.grad(lambda p: ag.sum(p["w"]))({"w": DX, "b": DX})["b"], [0, 0])
    close(ag.vjp(f, DX, DX)[1](1.0)[0], [0, 0])
    close(ag.hessian(lambda x: ag.sum(x))(DX), np.zeros((2, 2)))


@warns(UserWarning)
def test_a_function_of_data():
    r"""
    grad: the result of the function does not depend on argument 0, and the gradient is 0. Are there .data, .item() or \
    .detach() in it? They leave the graph: compute with the argument
    """
    ag.grad(lambda x: (x.data**2).sum())(DX)  # here


def test_f_must_return_one_number():
    with pytest.raises(ValueError, match=r"grad: f returned \(2,\), want one number: .mean\(\) or .sum\(\)"):
        ag.grad(lambda x: x)(np.ones(2))
    with pytest.raises(ValueError, match=r"hessian: f returned \(2,\), want one .* all of them: ag.jacobian\(ag.jac"):
        ag.hessian(lambda x: x)(np.ones(2))
    with pytest.raises(TypeError, match="f: returned tuple, want one tensor. For a loss and others: ag.grad"):

        def f(x):
            return x, x

        ag.grad(f)(1.0)
    assert ag.grad(lambda x: x * np.ones((1, 1)))(2.0) == 1  # size 1 is one number


def test_transforms_work_under_no_grad_and_touch_no_gradient():
    w = Tensor([2.0], requires_grad=True)
    with ag.no_grad():
        close(ag.grad(lambda x: ag.sum(x * x))(np.array([3.0])), [6])
    close(ag.grad(lambda x: ag.sum(x * w))(np.array([3.0])), [2])
    assert w.grad is None


def test_float32_in_float32_out():
    x = np.array([0.5, 1.0], np.float32)

    def f(x):
        return ag.sum(ag.tanh(x) ** 3)

    value, g = ag.value_and_grad(f)(x)
    results = [value, g, ag.hessian(f)(x), ag.jacobian(ag.sin)(x), *ag.hvp(f, (x,), (x,)), *ag.jvp(ag.sin, (x,), (x,))]
    assert {r.dtype for r in results} == {np.dtype(np.float32)}


# Nesting


def test_higher_derivatives():
    f = ag.sin
    for want in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos):
        f = ag.grad(f)
        close(f(0.7), want(0.7))


def mixed(x, y):
    return ag.sin(x * y) * y


NESTED = [  # J. Siskind, B. Pearlmutter, "Perturbation Confusion and Referential Transparency", 2005
    (lambda x: x * ag.grad(lambda y: x + y)(1.0), 1),
    (lambda x: x * ag.grad(lambda y: x * y)(x), 6),
    (lambda x: ag.grad(lambda y: x * y * y)(x), 12),
    (lambda x: x * ag.jvp(lambda y: x * y, (2.0,), (1.0,))[1], 6),
    (lambda y: ag.grad(lambda x: x * y)(2.0), 1),
    (lambda x: x * ag.grad(lambda y: x * y)(2.0), 6),
    (lambda y: ag.jvp(lambda x: x * y * y, (2.0,), (1.0,))[1], 6),
    (lambda y: ag.vjp(lambda x: x * y * y, 2.0)[1](1.0)[0], 6),
    (lambda y: ag.sum(ag.jacobian(lambda x: x * y * y)(np.ones(2))), 12),
    (ag.grad(lambda y: ag.grad(lambda x: x * y**3)(2.0)), 18),
    (lambda y: ag.grad(lambda x, y: x * y * y)(2.0, y), 6),
    (lambda y: ag.grad(mixed)(0.5, y), 6 * np.cos(1.5) - 4.5 * np.sin(1.5)),
    (lambda y: ag.grad(mixed, 1)(y, 0.5), 0.5 * 2 * np.cos(1.5) - 0.25 * 3 * np.sin(1.5)),
]


@pytest.mark.parametrize(("f", "want"), NESTED)
def test_an_inner_transform_may_close_over_the_outer_variable(f, want):
    close(ag.grad(f)(3.0), want)


def test_a_tensor_inside_a_recorded_graph_differentiates_through_grad():
    w = Tensor([1.0, 2.0], requires_grad=True)
    inner = ag.grad(lambda v: ag.sum(v**3))(w)
    ag.sum(inner).backward()
    close(w.grad, 6 * w.data)


# vjp, jvp, hvp, jacobian, hessian


A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


X = np.array([0.5, -1.0, 2.0])


V = np.array([1.0, 0.5, -0.25])


def bent(x):
    return ag.tanh(A @ x)


BENT = (1 - np.tanh(A @ X) ** 2)[:, None] * A


def test_vjp():
    value, back = ag.vjp(bent, X)
    close(value, np.tanh(A @ X))
    for g in (np.array([1.0, 0.0]), np.array([-2.0, 3.0])):  # as often as one likes
        (gx,) = back(g)
        close(gx, g @ BENT)
        assert g.flags.writeable  # the walk locks a copy
    with pytest.raises(ValueError, match=r"vjp: f\(x\) is \(2,\), its gradient \(3,\)"):
        back(np.ones(3))


def test_jvp():
    value, tangent = ag.jvp(bent, (X,), (V,))
    close(value, np.tanh(A @ X))
    close(tangent, BENT @ V)
    close(ag.jvp(lambda x, y: x * y, (X, V), (V, X)), [X * V, V * V + X * X])
    close(ag.jvp(lambda x, y: x + 0 * y, (X, V), (V, X)), [X, V])


def test_jvp_of_every_kind_of_rule(rng):
    """Gather and scatter, pooling, convolution, joint rules: a jvp walks the walk of each."""
    image, w, t = rng.normal(size=(2, 6, 6, 2)), rng.normal(size=(3, 3, 2, 4)), rng.normal(size=(2, 6, 6, 2))
    scale, shift = rng.normal(size=4), rng.normal(size=4)

    def f(x):
        h = ag.batch_norm(ag.conv2d(x, w, padding=1), scale, shift)
        h = ag.max_pool2d(ag.gelu(h), 2)
        return ag.log_softmax(ag.concatenate([h[:, 0], h[:, [1, 1, 2]][..., 0, :]], 1))

    _, tangent = ag.jvp(f, (image,), (t,))
    close(tangent, (f(image + 1e-6 * t) - f(image - 1e-6 * t)) / 2e-6, rtol=1e-6)


def test_jacobian():
    close(ag.jacobian(bent)(X), BENT)
    close(ag.jacobian(np.exp)(X + 1j * V), np.diag(np.exp(X + 1j * V)))
    j = ag.jacobian(lambda x: ag.reshape(x, (2, 1, 3)) * np.ones((4, 1)))(np.arange(6.0).reshape(3, 2))
    assert j.shape == (2, 4, 3, 3, 2)
    assert ag.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert ag.jacobian(lambda x: ag.sum(x))(X).shape == (3,)
    close(ag.jacobian(lambda x, y: x * y, 1)(X, V), np.diag(X))
    close(ag.jacobian(lambda x, y: x * y, (0, 1))(X, V), [np.diag(V), np.diag(X)])


def flat(tree):
    return ag.ravel_pytree(tree)[0]


def branches(p, x):
    return {"sum": p["a"] * p["a"] + x * p["b"][0], "rest": (ag.sum(p["a"] * x), [np.ones(2)])}


def test_derivatives_of_trees_are_those_of_vectors():
    args, tangents = ({"a": X, "b": (2.0,)}, V), ({"a": V, "b": (0.5,)}, X)
    seed = {"sum": X, "rest": (3.0, [np.zeros(2)])}
    (at, unravel), along, back = ag.ravel_pytree(args), flat(tangents), flat(seed)

    def vector(v):
        return flat(branches(*unravel(v)))

    def found(*args):
        value, pull = ag.vjp(branches, *args)
        return flat([value, pull(seed), *ag.jvp(branches, args, tangents)])

    def want(at):
        j = ag.jacobian(vector)(at)
        return ag.concatenate([vector(at), back @ j, vector(at), j @ along])

    close(found(*args), want(at))
    slopes, wanted = (ag.grad(lambda v, f=f: ag.sum(ag.sin(f(v)))) for f in (lambda v: found(*unravel(v)), want))
    close(slopes(at), wanted(at))
    close(ag.vmap(slopes)(np.stack([at, along])), np.stack([wanted(at), wanted(along)]))
    j = ag.jacobian(branches, (0, 1))(*args)
    g = ag.grad(lambda p: ag.sum(branches(p, V)["sum"]))(args[0])
    assert type(g["b"]) is tuple and (g["a"].tolist(), g["b"][0]) == ((2 * X).tolist(), V.sum())
    close(j["sum"][0]["a"], np.diag(2 * X))
    close(j["rest"][0][0]["b"][0], 0)
    value, slope = ag.jvp(branches, args, tangents)
    assert type(slope["rest"]) is tuple and type(value["rest"][1][0]) is type(slope["sum"]) is np.ndarray
    with pytest.raises(TypeError, match=r"vjp: f\(x\) is a dict of 'sum', 'rest', its gradient a ndarray"):
        ag.vjp(branches, *args)[1](X)
    h = ag.hessian(lambda p: ag.sum(p["a"] ** 2 * p["b"]))({"a": X, "b": V})
    close(h["a"]["a"], np.diag(2 * V))
    close(h["a"]["b"], np.diag(2 * X))
    close(h["b"]["b"], np.zeros((3, 3)))


def quartic(x):
    return ag.sum(x**2) ** 2 / 2 + ag.sum(A @ x)


QUARTIC = 2 * (X @ X) * np.eye(3) + 4 * np.outer(X, X)


def test_second_derivatives():
    close(ag.hessian(quartic)(X), QUARTIC)
    close(ag.jacobian(ag.jacobian(bent))(X), -2 * (np.tanh(A @ X)[:, None, None] * BENT[:, :, None] * A[:, None, :]))
    close(ag.hvp(quartic, (X,), (V,)), [QUARTIC @ V])
    close(ag.hvp(lambda x, y: ag.sum(x * x * y), (X, V), (V, X)), [2 * V * V + 2 * X * X, 2 * X * V])


def test_transforms_nest(rng):
    second = ag.jacobian(ag.jacobian(bent))(X)
    close(ag.grad(lambda x: ag.sum(ag.jacobian(bent)(x) ** 2))(X), 2 * np.einsum("ijk,ij->k", second, BENT))
    close(ag.grad(lambda x: ag.sum(ag.jvp(bent, (x,), (V,))[1]))(X), np.einsum("ijk,j->k", second, V))
    close(ag.grad(lambda x: ag.sum(ag.vjp(bent, x)[1](np.ones(2))[0]))(X), second.sum((0, 1)))
    close(ag.jvp(ag.grad(quartic), (X,), (V,))[1], QUARTIC @ V)  # forward over reverse
    third = ag.jacobian(ag.hessian(quartic))(X)
    close(ag.grad(lambda x: ag.sum(ag.hvp(quartic, (x,), (V,))[0]))(X), np.einsum("ijk,j->k", third, V))


def test_tangents_are_matched_by_key():
    def f(p):
        return ag.sum(p["a"] ** 3) + ag.sum(p["b"] ** 2)

    p = {"a": np.ones(2), "b": np.ones(2)}
    (product,) = ag.hvp(f, (p,), ({"b": np.zeros(2), "a": np.ones(2)},))
    close(product["a"], [6, 6])
    close(product["b"], [0, 0])
    _, slope = ag.jvp(lambda p: p["a"] * p["b"] ** 2, (p,), ({"b": np.zeros(2), "a": np.ones(2)},))
    close(slope, [1, 1])


@pytest.mark.parametrize("transform", [ag.hvp, ag.jvp])
@pytest.mark.parametrize(("tangent", "message"), [
    ({"a": np.ones(2), "z": np.ones(2)}, r"argument 0 is a dict of 'a', 'b', its tangent a dict of 'a', 'z'"),
    ({"a": np.ones(2)}, "its tangent a dict of 'a'"),
    ([np.ones(2), np.ones(2)], "its tangent a list of 0, 1"),
    ({"a": np.ones(2), "b": np.ones(1)}, r"argument 0\['b'\] is \(2,\), its tangent \(1,\)"),
    ({"a": 1j * np.ones(2), "b": np.ones(2)}, r"argument 0\['a'\] is of real numbers, its tangent of complex ones"),
])  # fmt: skip
def test_a_tangent_of_another_structure_is_refused(transform, tangent, message):
    p = {"a": np.ones(2), "b": np.ones(2)}
    with pytest.raises((TypeError, ValueError), match=message):
        transform(lambda p: ag.sum(p["a"] * p["b"]), (p,), (tangent,))


@pytest.mark.parametrize("transform", [ag.grad, ag.value_and_grad, ag.jacobian, ag.hessian, ag.elementwise_grad])
def test_the_forms_of_other_libraries_are_refused_with_ours(transform):
    w = Tensor(DX, requires_grad=True)
    loss, name = ag.sum(w * w), transform.__name__
    for targets in ([w], w, (w,)):
        with pytest.raises(TypeError, match=rf"{name}: wants a function, .* of a Tensor: loss.gradient\(w\)$"):
            transform(loss, targets)
    for wrong in ([0, 1], DX, True):
        with pytest.raises(TypeError, match=rf"{name}: argnums is .*, want an int or a tuple.*: ag.{name}\(f\)\(x\)"):
            transform(lambda x, y: x * y, wrong)
    with pytest.raises(TypeError, match=r"vjp: wants a function, and loss is a Tensor"):
        ag.vjp(loss, w)


def test_an_array_that_is_filled_element_by_element_would_lose_the_gradient():
    def f(x):
        y = np.zeros(3)
        for i in range(3):
            y[i] = x[i] ** 2
        return np.sum(y)

    with pytest.raises(TypeError, match="would leave the graph. To fill an array: "):
        ag.grad(f)(np.ones(3))  # and not NumPy's error, whose cause this is
    close(ag.grad(lambda x: x**2 + x.item())(2.0), 4)


# Other results, elements, constants


class Pair(NamedTuple):
    a: object
    b: object


def loss_and_others(p, x):
    h = p["w"] * x
    return ag.sum(h * h), {"h": h, "pair": Pair(h + 1, [x]), "n": 3}


def test_other_results_come_back_as_arrays():
    p, x = {"w": np.array([1.0, 2.0])}, np.array([3.0, 4.0])
    (value, others), _ = ag.value_and_grad(loss_and_others, has_aux=True)(p, x)
    assert type(others["h"]) is type(others["pair"].a) is np.ndarray
    assert isinstance(others["pair"], Pair)
    assert (value, others["n"], others["pair"].b[0] is x) == (73, 3, True)
    close(others["h"], [3, 8])
    (both, _), others = ag.grad(lambda a, b: (a * b, a), (0, 1), has_aux=True)(2.0, 3.0)
    assert (both, others) == (3, 2)


@pytest.mark.parametrize(("transform", "plain"), [
    *((lambda f, x, t=t: t(f, has_aux=True)(x), lambda f, x, t=t: t(f)(x)) for t in (ag.grad, ag.jacobian, ag.hessian)),
    (lambda f, x: [(v := ag.vjp(f, x, has_aux=True))[1](1.0)[0], v[2]], lambda f, x: ag.vjp(f, x)[1](1.0)[0]),
    (lambda f, x: ag.jvp(f, (x,), (x,), has_aux=True)[1:], lambda f, x: ag.jvp(f, (x,), (x,))[1]),
])  # fmt: skip
def test_other_results_beside_every_derivative(transform, plain):
    def both(x):
        return ag.sum(x**3), {"h": 2 * x, "n": 3}

    found, others = transform(both, X)
    close(found, plain(lambda x: both(x)[0], X))
    assert type(others["h"]) is np.ndarray and (others["h"].tolist(), others["n"]) == ((2 * X).tolist(), 3)
    close(ag.vmap(lambda x: transform(both, x))(A)[1]["h"], 2 * A)
    close(ag.grad(lambda x: ag.sum(transform(both, x)[1]["h"] ** 2))(X), 8 * X)


@pytest.mark.parametrize(("inner", "want"), [
    (lambda p, x: (p**3 * x, p * x * x), 12 + 10 * 3 * 2),  # both depend on x
    (lambda p, x: (p**3, p * x * x), 60),  # the other result alone
    (lambda p, x: (p**3 * x, p * p), 12),  # the loss alone
])  # fmt: skip
def test_other_results_inside_another_transform_have_their_gradient(inner, want):
    def outer(x):
        g, other = ag.grad(lambda p: inner(p, x), has_aux=True)(2.0)
        return g + 5 * other + x * 0

    assert ag.grad(outer)(3.0) == want


def test_what_is_no_pair_is_refused():
    for f in (lambda x: x, lambda x: (x, x, x), lambda x: [x, x]):
        with pytest.raises(TypeError, match=r"grad: has_aux=True, and f returned .*, want \(result, others\)"):
            ag.grad(f, has_aux=True)(1.0)


def test_elementwise_derivatives_of_any_order():
    x = np.linspace(-1, 1, 5)
    close(ag.elementwise_grad(np.tanh)(x), 1 - np.tanh(x) ** 2)
    close(ag.elementwise_grad(ag.elementwise_grad(np.sin))(x), -np.sin(x))
    close(ag.elementwise_grad(lambda x, y: x * y, 1)(x, x + 1), x)
    assert ag.elementwise_grad(np.sin)(0.0) == 1


def test_no_gradient_flows_through_a_stopped_tree():
    p = {"w": 3.0, "rest": [2.0, None]}
    g = ag.grad(lambda p: p["w"] * ag.stop_gradient(p)["w"] * p["rest"][0])(p)
    assert (g["w"], g["rest"][0]) == (6, 9)
    assert ag.stop_gradient(p) == p
