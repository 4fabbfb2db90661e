"""Complex numbers: the direction of gradients, real operands, the boundary of the walk, and what is refused."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf

Z = np.array([1.0 + 2.0j, -0.5 + 0.25j, 3.0 - 1.0j])


def test_a_step_against_the_gradient_makes_a_real_loss_smaller():
    w = leaf(Z)
    losses = []
    for _ in range(20):
        loss = (abs(w * (1 + 2j) - 3j) ** 2).sum()
        losses.append(loss.item())
        w.grad = None
        loss.backward()
        w.data = w.data - 0.05 * w.grad
    assert losses[-1] < 1e-3 * losses[0]
    assert w.grad.dtype == complex


def test_gradients_are_the_derivatives_by_both_parts():
    def loss(z):
        return (np.real(z * z * np.conj(z)) + np.imag(np.exp(z)) * abs(z) + np.angle(z)).sum()

    x, y = leaf(Z.real), leaf(Z.imag)
    loss(x + 1j * y).backward()
    z = leaf(Z)
    loss(z).backward()
    np.testing.assert_allclose(z.grad, x.grad + 1j * y.grad)
    assert x.grad.dtype == float


def test_second_derivatives_are_those_of_the_parts():
    def slope(z):
        loss = (abs(z) ** 3 + np.real(np.exp(z))).sum()
        return (abs(loss.gradient(z, create_graph=True)) ** 2).sum()

    x, y, z = leaf(Z.real), leaf(Z.imag), leaf(Z)
    slope(x + 1j * y).backward()
    slope(z).backward()
    np.testing.assert_allclose(z.grad, x.grad + 1j * y.grad)


def test_the_seed_is_a_gradient_too():
    z = leaf(Z)
    (z * (2 + 1j)).backward(Z)
    np.testing.assert_allclose(z.grad, Z * (2 - 1j))
    x = leaf([1.0, 2.0, 3.0])
    (x * Z).backward(np.ones(3))
    np.testing.assert_allclose(x.grad, Z.real)


def test_complex64_stays():
    z, x = leaf(Z, np.complex64), leaf(Z.real, np.float32)
    out = np.exp(z * x) / (2 + z) @ (z * 1j)
    assert out.dtype == np.complex64
    abs(out).backward()
    assert z.grad.dtype == np.complex64
    assert x.grad.dtype == np.float32
    assert z.astype(np.complex128).dtype == np.complex128


def test_a_complex_loss_needs_a_seed():
    z = leaf(Z)
    loss = (z * z).sum()
    cure = r"loss\.real, abs\(loss\) \*\* 2; or pass d loss / d loss: loss\.backward\(np\.complex128\(1\)\)"
    with pytest.raises(TypeError, match=f"backward: loss is complex128, and only real numbers.*{cure}"):
        loss.backward()
    with pytest.raises(TypeError, match="gradient: loss is complex128"):
        loss.gradient(z)
    with pytest.raises(TypeError, match="grad: the result of f is complex128.*or ag.jacobian"):
        ag.grad(lambda z: z * z)(1j)
    loss.backward(np.complex128(1))
    np.testing.assert_allclose(z.grad, np.conj(2 * Z))


def test_a_real_result_has_no_complex_seed():
    x = leaf([1.0])
    with pytest.raises(TypeError, match=r"backward: grad is complex128, this tensor is float64"):
        (x * 2).backward([1j])
    with pytest.raises(TypeError, match=r"vjp: f\(x\) is of real numbers, its gradient of complex ones"):
        ag.vjp(ag.exp, 1.0)[1](1j)
    with pytest.raises(TypeError, match="jvp: argument 0 is of real numbers, its tangent of complex ones"):
        ag.jvp(ag.exp, (1.0,), (1j,))


@pytest.mark.parametrize("f", [
    lambda z: ag.relu(z), lambda z: np.maximum(z, 0), lambda z: np.max(z), lambda z: np.clip(z, 0, 1),
    lambda z: np.arctan2(z, 1), lambda z: ag.softplus(z), lambda z: np.fmax(z, 1), lambda z: z % 2,
])  # fmt: skip
def test_what_is_for_real_numbers_refuses_complex_ones_by_name(f):
    for z in (leaf(Z), Tensor(Z), leaf(Z) * 1, leaf(Z, np.complex64) * 1):
        with pytest.raises(TypeError, match=r"(\w+): x is complex\d+, and \1 is for real numbers\n[^$]*x\.real"):
            f(z)
    with pytest.raises(TypeError, match="relu: x is complex128, and relu is for real numbers"):
        ag.relu(Z)
    with pytest.raises(TypeError, match="maximum: y is complex128"):
        np.maximum(leaf([1.0]), 1j)


@pytest.mark.parametrize("f", [lambda z: z > 0, lambda z: z >= 0, lambda z: np.less(z, 1j), np.median, np.nanmedian])
def test_complex_numbers_have_no_order(f):
    with pytest.raises(TypeError, match=r"complex numbers have no order\n.*abs\(x\), x\.real, x\.imag|no order"):
        f(leaf(Z))


@pytest.mark.parametrize("f", [lambda x: x < 1j, lambda x: x >= 1j, lambda x: np.less(x, np.complex64(1j))])
def test_real_numbers_have_no_order_with_a_complex_one(f):
    with pytest.raises(TypeError, match="complex numbers have no order"):
        f(leaf([1.0, 2.0]))


def test_the_sign_of_a_complex_number_is_its_direction():
    z = leaf([*Z, 0])
    np.testing.assert_allclose(np.sign(z).data, np.sign(z.data))
    assert ag.check_gradients(lambda z: np.sign(z), Z, order=2) < 1e-6
    assert np.sign(leaf([1.0])).node is None


def test_astype_drops_no_imaginary_part():
    with pytest.raises(TypeError, match=r"x is complex128, dtype float32\n.*\n.*\n  Its real part: x\.real|x\.real"):
        leaf(Z).astype(np.float32)
    x = leaf([1.0, 2.0], np.float32)
    z = x.astype(complex) * 1j
    z.imag.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_parts_are_attributes():
    z = leaf(Z)
    np.testing.assert_array_equal(z.real.data, Z.real)
    np.testing.assert_array_equal(z.imag.data, Z.imag)
    np.testing.assert_array_equal(z.conj().data, Z.conj())
    assert complex(z.detach()[0]) == Z[0]
    assert "1. +2.j" in repr(z)
    x = leaf([1.0, -2.0])
    (x.real + x.imag + x.conj() + np.angle(x)).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_lengths_and_angles_at_0_have_gradient_0():
    z = leaf([0j, 1j])
    (abs(z) + np.angle(z)).sum().backward()
    np.testing.assert_allclose(z.grad, [0, 1j - 1])


def test_a_checkpoint_conjugates_nothing():
    def block(z):
        return np.exp(z) * np.conj(z)

    gradients = []
    for f in (block, lambda z: ag.checkpoint(block, z)):
        z = leaf(Z)
        (abs(f(z * 1j)) ** 2).sum().backward()
        gradients.append(z.grad)
    np.testing.assert_allclose(*gradients)


def test_a_gradient_that_is_not_finite_is_reported():
    z = leaf([0j, 1j])
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="1 numbers of the gradient|nan or inf"):
        np.real(np.sqrt(z)).sum().backward()


@pytest.mark.parametrize("f", [np.log, np.sqrt])
def test_the_gradient_at_a_complex_0_has_no_direction(f):
    z = leaf([0j, 0j])
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        (f(z) * [1, 0]).real[:2].sum().backward()
    assert np.isnan(z.grad[0]) and z.grad[1] == 0


def test_real_numbers_have_no_room_for_complex_ones():
    x, z = leaf([1.0, 2.0]), leaf([1j, 2.0])
    own = x * 1
    own[0] = 0
    for h in x * 1, own, Tensor([1.0, 2.0]), Tensor([1, 2]):
        before = h.tolist()
        for index, v in [(0, 1j), (0, z[0]), (0, Z[0]), (..., Z[:2]), (..., [1j, 2]), (..., z.detach())]:
            with pytest.raises((TypeError, RuntimeError), match="are complex numbers|and v complex128|not 'complex'"):
                h[index] = v
            assert h.tolist() == before
    for change in "set", "add":
        for v in 1j, z[0], Z[0]:
            with pytest.raises(TypeError, match="values are complex numbers, and x is of real ones\n(.*\n)*.*x.astype"):
                getattr(x.at[0], change)(v)


def test_the_parts_are_not_set():
    h = leaf(Z) * 1
    for part in "real", "imag":
        with pytest.raises(AttributeError, match=part):
            setattr(h, part, 0)


# Transforms


def test_vjp_and_jvp_are_adjoint_in_the_product_of_the_parts():
    def f(z, x):
        return np.conj(z) * x + z * z * np.sin(x) + abs(z)

    rng = np.random.default_rng(0)
    z, x = Z, np.array([0.5, 1.0, 2.0])
    (dz, g), dx = rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3)), rng.normal(size=3)
    _, slope = ag.jvp(f, (z, x), (dz, dx))
    step = 1e-6
    numeric = (f(z + step * dz, x + step * dx) - f(z - step * dz, x - step * dx)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-8)
    gz, gx = ag.vjp(f, z, x)[1](g)
    assert gx.dtype == float
    np.testing.assert_allclose(np.vdot(g, slope).real, np.vdot(gz, dz).real + gx @ dx)


def test_jacobians_are_the_derivatives_of_holomorphic_functions():
    matrix = np.array([[1j, 2.0], [0.5, 1 - 1j]])
    np.testing.assert_allclose(ag.jacobian(lambda z: matrix @ np.exp(z))(Z[:2]), matrix * np.exp(Z[:2]))
    x = np.array([0.5, 1.0])
    np.testing.assert_allclose(ag.jacobian(lambda x: np.exp(1j * x))(x), np.diag(1j * np.exp(1j * x)))
    np.testing.assert_allclose(ag.jacobian(lambda z: abs(z) ** 2)(Z), np.diag(2 * Z))
    with pytest.raises(ValueError, match="jacobian: f is not holomorphic"):
        ag.jacobian(lambda z: abs(z) * z)(Z)


def test_hvp_takes_the_parts_of_complex_numbers():
    def f(z):
        return (abs(z) ** 3).sum()

    def parts(x):
        return f(x[0] + 1j * x[1])

    v = np.array([1j, 2.0, 1 - 1j])
    (want,) = ag.hvp(parts, (np.stack([Z.real, Z.imag]),), (np.stack([v.real, v.imag]),))
    np.testing.assert_allclose(ag.hvp(f, (Z,), (v,))[0], want[0] + 1j * want[1])


def test_check_gradients_moves_both_parts():
    assert ag.check_gradients(lambda z, x: np.exp(z) * np.conj(z) * x, Z, Z.real, order=2) < 1e-6
    wrong = ag.primitive(complex=True)(lambda z: np.conj(z))
    wrong.vjp(z=lambda g: g)
    with pytest.raises(AssertionError, match=r"input 0\[0, 1\]: rule 1, differences -1"):
        ag.check_gradients(wrong, Z)


def test_a_tree_of_real_and_complex_numbers_is_one_vector():
    tree = {"z": Z, "x": Z.real}
    vector, unravel = ag.ravel_pytree(tree)
    assert vector.dtype == complex
    assert unravel(vector)["x"].dtype == float
    np.testing.assert_array_equal(unravel(vector)["z"], Z)
    found = ag.grad(lambda t: (abs(t["z"] * t["x"]) ** 2).sum())(tree)
    again = ag.grad(lambda v: (abs(unravel(v)["z"] * unravel(v)["x"]) ** 2).sum())(vector)
    np.testing.assert_allclose(again, np.concatenate([found["z"], found["x"]]))


def test_odeint_turns_a_complex_number():
    t = np.linspace(0.0, 1.0, 3)
    out, back = ag.vjp(lambda y: ag.odeint(lambda y, t: 1j * y, y, t), Z)
    np.testing.assert_allclose(out, np.exp(1j * t)[:, None] * Z, rtol=1e-7)
    np.testing.assert_allclose(back(np.ones((3, 3)))[0], np.exp(-1j * t).sum() * np.ones(3), rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("f", [
    lambda np, z: np.angle(z), lambda np, z: np.real(np.conj(z) * z * z), lambda np, z: np.abs(np.exp(z)),
    lambda np, z: np.real(z ** (0.5 + 1j)), lambda np, z: np.abs(np.where(np.abs(z) > 1, z, z * z)),
])  # fmt: skip
def test_hips_autograd_returns_the_conjugate(f):
    theirs, module = pytest.importorskip("autograd"), pytest.importorskip("autograd.numpy")
    want = theirs.grad(lambda z: module.sum(f(module, z)))(Z)
    np.testing.assert_allclose(ag.grad(lambda z: np.sum(f(np, z)))(Z), np.conj(want), rtol=1e-10)
    twice = theirs.grad(lambda z: module.sum(module.abs(theirs.grad(lambda z: module.sum(f(module, z)))(z)) ** 2))(Z)
    ours = ag.grad(lambda z: np.sum(abs(ag.grad(lambda z: np.sum(f(np, z)))(z)) ** 2))(Z)
    np.testing.assert_allclose(ours, np.conj(twice), rtol=1e-8, atol=1e-9)


def test_complex_numbers_are_weak_where_numpys_are():
    for dtype, wide in ((np.float32, np.complex64), (np.float64, np.complex128)):
        for x in (leaf([1.0, 2.0], dtype), leaf(2.0, dtype)):
            for other in (1j, np.complex64(1j), np.array(1j), [1j, 2.0], leaf([1j], np.complex64), np.array([1])):
                out = x * 1j * other
                assert out.dtype == wide, other
                out.real.sum().backward()
                assert x.grad.dtype == dtype
    assert (leaf([1.0], np.float32) * np.array([1j])).dtype == np.complex128


# Functions that decide by parts, or find them


def test_nan_to_num_repairs_each_part():
    z = np.array([1 + 2j, complex(np.nan, 1), complex(np.inf, -np.inf), complex(1, np.nan)])
    x = Tensor(z, requires_grad=True)
    out = np.nan_to_num(x, posinf=7.0, neginf=-5.0)
    np.testing.assert_array_equal(out.data, np.nan_to_num(z, posinf=7.0, neginf=-5.0))
    (out.real + 2 * out.imag).sum().backward()
    np.testing.assert_array_equal(x.grad, [1 + 2j, 2j, 0, 1])


def test_sorted_complex_numbers_carry_their_gradients():
    x = Tensor(np.array([2 + 1j, 1 - 1j, 2 - 3j]), requires_grad=True)
    (np.sort_complex(x) * [1, 2, 3]).real.sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 1, 2])


@pytest.mark.parametrize("f", [np.sign, lambda z: abs(z) * (1 + 1j)])
def test_directions_have_no_slope_at_0(f):
    x = Tensor([0, 3 + 4j], requires_grad=True)
    first = (f(x) * (2 - 1j)).real.sum().gradient(x, create_graph=True)
    with pytest.warns(RuntimeWarning, match="nan or inf"):
        second = (first * (1 + 1j)).real.sum().gradient(x)
    assert first[0] == 0 and np.isnan(second[0]) and second[1] != 0


@pytest.mark.parametrize("f", [np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh, np.log, np.sqrt])
def test_the_derivative_on_a_cut_is_that_of_the_side_which_the_sign_of_0_says(f):
    def at(parts, scale):
        return (parts * scale).view(complex)[:, 0]  # of a product of complex numbers, the zeros would lose their signs

    ends = np.array([-3, -1.5, -0.5, 0.5, 1.5, 3])
    for zero in np.zeros(6), -np.zeros(6):
        for parts in np.stack([ends, zero], -1), np.stack([zero, ends], -1):
            z, after, before = (at(parts, scale) for scale in (1, 1 + 1e-6, 1 - 1e-6))
            differences = (f(after) - f(before)) / (2e-6 * z)
            np.testing.assert_allclose(np.diagonal(ag.jacobian(f)(z)), differences, 1e-7, err_msg=str(z))


# Linear algebra: eigenvalues of real matrices, phases of vectors, signs of determinants

A = np.random.default_rng(3).normal(size=(3, 3)) + 1j * np.random.default_rng(4).normal(size=(3, 3))
ROTATION = np.array([[0.0, -2, 0.1], [1, 0.3, 0], [0.2, 0, 1]])  # real, with complex eigenvalues


def squared(x):
    return (x * x.conj()).real


def test_real_matrices_may_have_complex_eigenvalues():
    x = Tensor(ROTATION, requires_grad=True)
    w = np.linalg.eigvals(x)
    np.testing.assert_allclose(w.data, np.linalg.eigvals(ROTATION))
    (w * w).real.sum().backward()  # the trace of x @ x
    np.testing.assert_allclose(x.grad, 2 * ROTATION.T, atol=1e-12)
    assert np.linalg.eigvals(Tensor(np.diag([1.0, 2.0]))).dtype == np.float64


@pytest.mark.parametrize("vectors", [
    lambda x: np.linalg.eigh(x)[1], lambda x: np.linalg.eig(x)[1],
    lambda x: np.linalg.svd(x)[0], lambda x: np.linalg.svd(x)[2],
])  # fmt: skip
def test_a_loss_that_depends_on_the_phases_of_vectors_is_refused(vectors):
    x = Tensor(A, requires_grad=True)
    with pytest.raises(ValueError, match="linalg: the loss depends on the phases of complex vectors, .* abs\\(v\\)"):
        vectors(x).real.sum().backward()
    assert x.grad is None
    squared(vectors(x))[0].sum().backward()
    assert x.grad.dtype == complex


def test_singular_values_of_complex_matrices_have_second_derivatives():
    assert ag.check_gradients(np.linalg.svdvals, A, order=2) < 1e-5


def test_the_sign_of_a_determinant_is_recorded_if_it_is_complex():
    x = Tensor(A, requires_grad=True)
    sign, log = np.linalg.slogdet(x)
    np.testing.assert_allclose((sign * np.exp(log)).data, np.linalg.det(A))
    sign.imag.backward()
    y = Tensor(A, requires_grad=True)
    np.sin(np.angle(np.linalg.det(y))).backward()
    np.testing.assert_allclose(x.grad, y.grad)
    assert not isinstance(np.linalg.slogdet(Tensor(A.real, requires_grad=True))[0], Tensor)
