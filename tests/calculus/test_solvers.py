"""Solvers: SciPy's numbers, derivatives that agree with formulas and differences, and errors."""

import numpy as np
import pytest

import autograd_cnn as ag
from leaves import differences

START, TIMES, RATES = np.array([10.0, 5.0]), np.array([0.0, 0.3, 0.7]), np.array([1.1, 0.4, 0.1, 0.4])


def hares(y, t, p):
    """The equations of Lotka and Volterra, with seasons."""
    return [y[0] * (p[0] + ag.cos(t) - p[1] * y[1]), y[1] * (p[2] * y[0] - p[3])]


def loss(y, t, p, f=hares, **options):
    return ag.sum(ag.sin(ag.odeint(f, y, t, p, **options)))


@pytest.mark.slow
def test_gradients_of_a_differential_equation_equal_differences():
    """For the state, the times and the arguments."""
    got = ag.grad(loss, (0, 1, 2))(START, TIMES, RATES)
    given = [START, TIMES, RATES]
    for i, g in enumerate(got):
        want = differences(lambda x, i=i: loss(*given[:i], x, *given[i + 1 :], rtol=1e-10, atol=1e-10), given[i], 1e-4)
        np.testing.assert_allclose(g, want, 1e-5, 1e-5)


def odeint(*given):
    """Solve an equation without keeping the steps."""
    return ag.checkpoint(ag.odeint, *given)


@pytest.mark.parametrize("solve", [ag.odeint, odeint])
def test_decay_has_the_derivatives_of_an_exponential(solve):
    def end(times, rate):
        return (solve(lambda y, t, rate: -rate * y, np.ones(2), times, rate)[-1] ** 2).sum()

    times, want = np.array([0.1, 0.5]), 2 * np.exp(-4 * 0.4)
    by_times, by_rate = ag.grad(end, (0, 1))(times, 2.0)
    np.testing.assert_allclose([*by_times, by_rate], [4 * want, -4 * want, -0.8 * want], 1e-6)
    np.testing.assert_allclose(ag.grad(ag.grad(end, 1), 1)(times, 2.0), 0.64 * want, 1e-6)


def test_trees_dtypes_and_times_that_fall():
    def turn(y, t, speed):
        return {"x": -speed["v"] * y["y"], "y": speed["v"] * y["x"]}

    start = {"x": np.ones((2, 1), np.float32), "y": np.zeros((2, 1), np.float32)}
    speed = {"v": np.float32(2)}
    for times in (np.linspace(0, 1, 3), np.linspace(0, -1, 3), np.zeros(1)):
        out = ag.odeint(turn, start, times, speed)
        assert out["x"].dtype == np.float32 and out["x"].shape == (len(times), 2, 1)
        np.testing.assert_allclose(out["y"][:, 1, 0], np.sin(2 * times), 1e-5, 1e-5)
    g = ag.grad(lambda v: ag.odeint(turn, start, [0.0, 1.0], v)["x"][-1].sum())(speed)
    np.testing.assert_allclose(g["v"], -2 * np.sin(2), 1e-5)


def test_func_gets_the_dtype_of_the_state_whatever_that_of_the_times():
    seen = set()
    times = ag.Tensor([0.0, 1.0], requires_grad=True)
    ag.odeint(lambda y, t: seen.add((y.dtype, t.dtype)) or -y * t, np.ones(2, np.float32), times)
    assert seen == {(np.dtype(np.float32),) * 2}


def test_a_solution_that_ends_at_zero_takes_few_steps_without_atol():
    calls = []
    y = ag.odeint(lambda y, t: calls.append(t) or ag.cos(t), np.sin(-1.0), [-1.0, 0.0], rtol=1e-6, atol=0.0)
    assert abs(y[-1]) < 1e-6 and len(calls) < 100


def test_tensors_that_func_uses_besides_get_their_gradients_by_recording():
    w = ag.Tensor(2.0, requires_grad=True)
    ag.odeint(lambda y, t: -w * y, 1.0, [0.0, 1.0])[-1].backward()
    np.testing.assert_allclose(w.grad, -np.exp(-2), 1e-6)


def test_an_equation_without_the_state_is_an_integral():
    def end(times):
        return ag.odeint(lambda y, t: ag.cos(t), 0.0, times)[-1]

    np.testing.assert_allclose(ag.grad(end)(np.array([0.5, 2.0])), [-np.cos(0.5), np.cos(2)], 1e-6)


def test_an_array_that_func_uses_must_not_change():
    a, used = ag.Tensor(0.3, requires_grad=True), np.ones(2)

    def solve(a):
        return ag.fixed_point(lambda x, a: (x / 2 + used) * a, np.zeros(2), a).sum()

    y = solve(a)
    y.backward(retain_graph=True)
    y.backward()
    y = solve(a)
    used[1] = 2
    with pytest.raises(RuntimeError, match="func gives another result in backward. Did an array in it change"):
        y.backward()
    ag.grad(solve)(0.3)


W = ag.Tensor(0.5, requires_grad=True)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: ag.odeint(lambda y, t: y * y, 1.0, [0.0, 2.0], rtol=1e-5), RuntimeError,
     r"odeint: \d+ steps from t = 0 ended at 1, not at 2"),
    (lambda: ag.odeint(lambda y, t: -1e6 * (y - np.cos(t)), 0.0, [0.0, 1.0], mxstep=50), RuntimeError,
     r"odeint: 50 steps from t = 0 ended at .*, not at 1. Is it stiff, or infinite\? Steps are longer with"),
    (lambda: ag.odeint(lambda y, t: y * np.nan, 1.0, [0.0, 1.0]), RuntimeError, "ended at 0, not at 1"),
    (lambda: ag.odeint(lambda y, t: y, 1.0, [0.0, 2.0, 1.0]), ValueError, "want times .T,. that rise, or fall"),
    (lambda: ag.odeint(lambda y, t: y, 1.0, [0.0, np.nan, 1.0]), ValueError, "want times .T,. that rise, or fall"),
    (lambda: ag.odeint(lambda y, t: y[0], np.ones(2), [0.0, 1.0]), ValueError,
     r"odeint: the state is \(2,\), its value by func \(\)"),
    (lambda: ag.odeint(lambda y, t: {"x": y["x"]}, {"x": 1.0, "v": 2.0}, [0.0, 1.0]), TypeError,
     "odeint: the state is a dict of 'x', 'v', its value by func a dict of 'x'"),
    (lambda: ag.fixed_point(lambda x: x / 2, 1j), TypeError,
     "fixed_point: the state or args are complex. Want real and imaginary parts"),
    (lambda: ag.fixed_point(lambda x: W * x, 1.0), TypeError, "func uses a Tensor that requires a gradient. Pass"),
    (lambda: ag.fixed_point(lambda x: 2 * x + 1, 1.0, maxiter=9), RuntimeError,
     "fixed_point: the last of 9 steps moved a number by 5.1e.02. Does func contract"),
    (lambda: ag.fixed_point(lambda x: ag.stack([x, x]), 1.0), ValueError,
     r"the state is \(\), its value by func \(2,\)"),
])  # fmt: skip
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_fixed_points_have_derivatives_of_every_order():
    def root(a):
        return ag.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)

    f, want = root, [2**0.5, 0.5 * 2**-0.5, -0.25 * 2**-1.5, 0.375 * 2**-2.5]
    for value in want:
        np.testing.assert_allclose(f(2.0), value, 1e-7)
        f = ag.grad(f)
    np.testing.assert_allclose(ag.jvp(root, (2.0,), (1.0,))[1], want[1], 1e-7)
    np.testing.assert_allclose(ag.vmap(ag.grad(root))(np.array([2.0, 8.0])), [want[1], want[1] / 2], 1e-7)


@pytest.mark.parametrize("derivative", [lambda f: f, ag.grad, ag.vmap])
def test_gradients_do_not_depend_on_the_size_of_the_loss(derivative):
    def slope(size):
        def loss(a):
            return size * (ag.fixed_point(lambda x, a: 0.4 * x + ag.sin(a), np.zeros(2), a) ** 2).sum()

        return derivative(ag.grad(loss))(np.array([0.7, 0.2]) if derivative is ag.vmap else 0.7) / size

    want = slope(1.0)
    for size in (1e-30, 1e7):
        np.testing.assert_allclose(slope(size), want, 1e-12)
    assert np.isnan(slope(np.inf)).all() and np.isnan(slope(np.nan)).all()


def test_a_complex_state_has_the_gradient_of_its_steps():
    solved = ag.grad(lambda k: abs(ag.odeint(lambda y, t, k: k * y, 1 + 1j, [0.0, 1.0], k)[-1]) ** 2)(0.5 + 0.2j)
    np.testing.assert_allclose(solved, 4 * np.exp(1.0), 1e-6)


def test_fixed_points_of_trees(rng):
    """A deep equilibrium model: the gradients are those of 200 recorded steps."""
    p = {"w": 0.2 * rng.normal(size=(3, 3)), "u": rng.normal(size=(2, 3))}

    def step(x, p, u):
        return {"h": ag.tanh(x["h"] @ p["w"] + u @ p["u"])}

    def recorded(p, u):
        x = {"h": np.zeros((4, 3))}
        for _ in range(200):
            x = step(x, p, u)
        return (x["h"] ** 2).sum()

    def implicit(p, u):
        return (ag.fixed_point(step, {"h": np.zeros((4, 3))}, p, u, xtol=1e-12)["h"] ** 2).sum()

    u = rng.normal(size=(4, 2))
    want, got = (ag.grad(f, (0, 1))(p, u) for f in (recorded, implicit))
    for a, b in zip([want[0]["w"], want[0]["u"], want[1]], [got[0]["w"], got[0]["u"], got[1]], strict=True):
        np.testing.assert_allclose(b, a, 1e-9, 1e-11)
    p32 = {name: w.astype(np.float32) for name, w in p.items()}
    single = ag.fixed_point(step, {"h": np.zeros((4, 3), np.float32)}, p32, u.astype(np.float32))["h"]
    assert single.dtype == np.float32


def problem(seed):
    """A random system of up to 4 equations that does not explode: a start, times, weights, and the function."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    times = np.concatenate([[0], np.cumsum(rng.uniform(0.1, 1, rng.integers(1, 5)))]) * (-1) ** seed
    w, b, start = rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=n)
    return start, times, {"w": w, "b": b}, lambda y, t, p: ag.tanh(y @ p["w"] + p["b"] * ag.sin(t)) - 0.1 * y


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_solutions_equal_scipys(seed):
    integrate = pytest.importorskip("scipy.integrate")
    start, times, p, f = problem(seed)
    y = ag.odeint(f, start, times, p)
    options = {"t_eval": times, "rtol": 1e-11, "atol": 1e-12, "method": "DOP853"}
    want = integrate.solve_ivp(lambda t, y: f(y, t, p), times[[0, -1]], start, **options).y.T
    np.testing.assert_allclose(y, want, 1e-6, 1e-6)
    found = ag.grad(loss, 2)(start, times, p, f=f, rtol=1e-9, atol=1e-9)
    got = differences(lambda b: loss(start, times, {**p, "b": b}, f=f, rtol=1e-10, atol=1e-10), p["b"], 1e-4)
    np.testing.assert_allclose(found["b"], got, 1e-5, 1e-5)
