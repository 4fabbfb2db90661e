"""vmap against a loop over the examples."""

from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag

RNG = np.random.default_rng(0)
XS, YS, W = RNG.normal(size=(5, 3)), RNG.integers(0, 2, 5), RNG.normal(size=(3, 2))


def loop(f, *args):
    return np.stack([np.asarray(getattr(y, "data", y)) for y in (f(*example) for example in zip(*args, strict=True))])


def close(got, want, rtol=1e-10):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol / 100)


@ag.primitive
def users(x, w):
    """A primitive that declares nothing."""
    return (x * w).sum() * np.ones(2)


users.vjp(x=lambda g, x, w: ag.sum(g) * w, w=lambda g, x, w: ag.sum(g) * x)


def loss(w, x, y):
    return -ag.log_softmax(ag.tanh(x @ w))[y]


def filled(x):
    o = np.zeros_like(x)
    for i in range(1, len(x)):
        o[i] = np.sin(x[i]) * o[i - 1] + 1
    return o


FUNCTIONS = {
    "a sum": lambda x: (x * x).sum(), "a product": lambda x: x @ W,
    "a branch of arrays": lambda x: np.where((x > 0) & ~(x >= 1) | (x < 0.1), x, 0 * x),
    "argmax": lambda x: x[x.argmax()] * np.argmax(x),
    "steps": lambda x: np.floor(x) + x // 1 + np.sign(x) + np.round(x),
    "closeness": lambda x: np.isclose(x, x[0], atol=1.0) ^ np.isposinf(x), "order": lambda x: x[np.argsort(x)],
    "a loop": lambda x: sum(v * v * (i + len(x)) for i, v in enumerate(x)), "zeros": lambda x: np.zeros_like(x) + x,
    "a loop of assignments": filled, "grad of a loop of assignments": ag.grad(lambda x: ag.sum(filled(x) ** 2)),
    "no_grad": ag.grad(lambda x: ag.sum(ag.sin(x) * ag.no_grad()(ag.sum)(x * x))),
    "checkpoint": ag.grad(lambda x: ag.sum(ag.checkpoint(lambda x: ag.sin(x) * ag.sum(x * x), x))),
    "a user's primitive": lambda x: users(x, W[:, 0]), "grad": ag.grad(lambda x: (x**3).sum()),
    "grad of a user's primitive": lambda x: ag.grad(lambda w: ag.sum(users(x, w) ** 2))(W[:, 0]),
    "grad around a detached value": ag.grad(lambda x: ag.sum(x * x.detach() * x.data)),
    "value_and_grad": lambda x: ag.value_and_grad(lambda x: ag.sum(ag.exp(x @ W)))(x)[0],
    "jacobian": ag.jacobian(lambda x: ag.sin(x @ W)), "hessian": ag.hessian(lambda x: ag.sum(ag.sin(x @ W))),
    "hvp": lambda x: ag.hvp(lambda z: ag.sum(z**3), (x,), (x * 2,))[0],
    "jvp": lambda x: ag.jvp(lambda z: ag.sin(z @ W), (x,), (x,))[1], "vjp": lambda x: ag.vjp(ag.sin, x)[1](x * 2)[0],
    "vmap": lambda x: ag.vmap(lambda a: a * x.sum())(x),
    "vmap of grad": lambda x: ag.vmap(ag.grad(lambda a: a**2 * x.sum()))(x),
    "a mask of all": lambda x: x[np.isfinite(x)],
}  # fmt: skip
OTHERS = {  # functions of an example and of something that differs, too
    "scatter": lambda x, i: ag.scatter(x, i + 1, (4,)),
    "an index": lambda x, i: x[i],
    "take": lambda x, i: ag.take(x, i),
    "a place": lambda x, i: ag.set_at(x, i[0], 0.0),
    "a row": lambda x, i: np.outer(x, x)[1, i],
    "a column": lambda x, i: np.outer(x, x)[i, 0],
    "two": lambda x, i: np.outer(x, x)[i[0], i],
    "two and a number": lambda x, i: np.stack([np.outer(x, x)] * 2, -1)[i, i[1], -1],
    "rows and columns": lambda x, i: np.outer(x, x)[np.array([[0], [1]]), i],
    "a slice of rows": lambda x, i: np.outer(x, x)[i, 1:],
    "of an array": lambda x, i: x.sum() * (ag.Tensor(W)[i, 0]),
}  # fmt: skip
IDS = RNG.integers(-1, 3, (5, 3))


@pytest.mark.parametrize("name", [*FUNCTIONS, *OTHERS])
def test_all_examples_at_once_give_what_each_gives_alone(name):
    """Values, and gradients by the example."""
    f, *args = (FUNCTIONS[name], XS) if name in FUNCTIONS else (OTHERS[name], XS, IDS)
    got = ag.vmap(f)(*args)
    assert isinstance(got, np.ndarray)
    close(got, loop(f, *args))

    def total(x, *rest):
        y = f(x, *rest)
        return ag.sum(ag.sin(ag.where(np.isfinite(y), y, 0.0))) + ag.sum(x * x)

    close(ag.vmap(ag.grad(total))(*args), loop(ag.grad(total), *args), 1e-8)


def test_a_gradient_for_each_example():
    got = ag.vmap(ag.grad(loss), (None, 0, 0))(W, XS, YS)
    close(got, loop(lambda x, y: ag.grad(loss)(W, x, y), XS, YS))


def test_the_function_runs_once():
    runs = []
    ag.vmap(lambda x: runs.append(x.shape) or x)(XS)
    assert runs == [(3,)]


def bent(x):
    return ag.sin(x) * ag.sum(x * x)


def rows_of_jacobian(x):
    """The pullback is of all examples of a vmap around, and called for each row of the identity."""
    return ag.vmap(ag.vjp(bent, x)[1])(np.eye(3))[0]


@pytest.mark.parametrize("f", [bent, ag.checkpoint, ag.vmap(lambda x: ag.cos(x) * 2), lambda x: 2.0 * x[::-1]])
def test_a_pullback_from_outside(f):
    f = partial(f, bent) if f is ag.checkpoint else f
    pull = ag.vjp(f, XS[0])[1]
    got = ag.vmap(pull)(XS)[0]
    assert isinstance(got, np.ndarray)
    close(got, loop(lambda g: pull(g)[0], XS))
    close(ag.vmap(pull, 1)(XS.T.astype(np.float32))[0], loop(lambda g: pull(g)[0], XS.astype(np.float32)))
    close(ag.vmap(ag.vmap(pull))(XS[None])[0], got[None])
    close(ag.vmap(lambda a: a * pull(XS[1])[0])(np.arange(2.0)), [0 * got[1], got[1]])


@pytest.mark.parametrize("around", [lambda f: f, ag.jacobian, lambda f: ag.grad(lambda x: ag.sum(f(x) ** 2))])
def test_a_pullback_for_each_row_of_the_identity(around):
    got, want = around(rows_of_jacobian), around(ag.jacobian(bent))
    close(got(XS[0]), want(XS[0]))
    close(ag.vmap(got)(XS), loop(want, XS))
    close(ag.vmap(ag.vmap(got))(XS[None]), loop(want, XS)[None])


def test_a_pullback_whose_vmap_is_over():
    pulls = []
    ag.vmap(lambda x: pulls.append(ag.vjp(bent, x)[1]) or x)(XS)
    for call, g in (pulls[0], XS[0]), (ag.vmap(pulls[0]), XS):
        with pytest.raises(TypeError, match="vjp: the vmap in which it was called is over. Call the function"):
            call(g)


def test_grad_of_vmap_of_grad():
    def total(w):
        return ag.sum(ag.vmap(ag.grad(lambda x: ag.sum(ag.sin(x @ w))))(XS) ** 2)

    def by_loop(w):
        return ag.sum(ag.stack([ag.grad(lambda x: ag.sum(ag.sin(x @ w)))(x) for x in XS]) ** 2)

    close(ag.grad(total)(W), ag.grad(by_loop)(W))


def test_axes_and_trees():
    def f(p, x, k):
        return {"y": p["w"] * x + p["b"], "both": (k, x.sum())}

    args = {"w": np.ones(3), "b": np.arange(5.0)}, XS.T, 7
    got = ag.vmap(f, ({"w": None, "b": 0}, 1, None), {"y": -1, "both": (0, 0)})(*args)
    assert got["both"][0].tolist() == [7] * 5
    close(got["y"], (XS + np.arange(5.0)[:, None]).T)
    close(got["both"][1], XS.sum(1))


def test_results_are_arrays_or_have_a_history():
    assert isinstance(ag.vmap(ag.sin)(ag.Tensor(XS, requires_grad=True)), ag.Tensor)
    assert isinstance(ag.vmap(ag.sin)(XS), np.ndarray)
    assert ag.vmap(lambda x: 2.0)(XS).tolist() == [2.0] * 5 == ag.vmap(lambda x: 2 * x, None, axis_size=5)(1.0).tolist()


def test_checkpoint_around():
    w = ag.Tensor(W, requires_grad=True)
    ag.checkpoint(lambda w: ag.sum(ag.vmap(lambda x: ag.sin(x @ w))(XS)), w).backward()
    close(w.grad, ag.grad(lambda w: ag.sum(ag.sin(XS @ w)))(W))


DRAWN = np.random.default_rng(0)
DRAWS = {
    "NumPy's": lambda x: x + np.random.normal(),
    "a variable": lambda x: x + DRAWN.normal(),
    "an argument by keyword": partial(lambda x, r: x + r.normal(), r=DRAWN),
    "a derivative of it": ag.grad(lambda x: ag.sum(x * np.random.random())),
    "a derivative of a variable": ag.value_and_grad(lambda x: ag.sum(x * x * DRAWN.random())),
    "dropout": lambda x: ag.dropout(x, 0.5),
    "dropout with a generator": lambda x: ag.dropout(x, 0.5, DRAWN),
    "an inner vmap": lambda x: ag.vmap(lambda y: ag.dropout(y, 0.5))(x[None] * np.ones((2, 3))),
}


@pytest.mark.parametrize("name", DRAWS)
def test_what_the_function_draws_would_be_one_draw_for_all(name):
    with pytest.raises(RuntimeError, match=r"vmap: f draws random numbers, the same for all.*rng.normal\(size="):
        ag.vmap(DRAWS[name])(0 * XS)
    noise = np.random.normal(size=5)  # the cure
    close(ag.vmap(lambda x, r: x + r)(XS, noise), XS + noise[:, None])


WEAK = {
    "a factor": lambda x, s: x * s,
    "a choice": lambda x, s: np.where(x > 0, x, s),
    "complex": lambda x, s: x * (1j * s),
    "two of them": lambda x, s: s * s.astype(np.float16) + x,
    "joined": lambda x, s: np.stack([x[0], s]),
    "differentiated": lambda x, s: ag.grad(lambda s: ag.sum(x * s))(s),
    "a constant of a derivative": lambda x, s: ag.grad(lambda x: ag.sum(x * s))(x),
    "of an inner vmap": lambda x, s: ag.vmap(lambda a: a * s)(x),
}


@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float64)])
@pytest.mark.parametrize("name", WEAK)
def test_a_number_of_an_example_is_as_weak_as_a_number(name, dtypes):
    xs, scales = XS.astype(dtypes[0]), np.arange(1, 6).astype(dtypes[1])
    got = ag.vmap(WEAK[name])(xs, scales)
    want = [WEAK[name](ag.Tensor(x), ag.Tensor(s)) for x, s in zip(xs, scales, strict=True)]
    assert got.dtype == want[0].dtype
    close(got, np.stack([np.asarray(getattr(w, "data", w)) for w in want]), 1e-2)


def test_indices_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"vmap: getitem.* results of the shapes .*\n.*np.where"):
        ag.vmap(lambda x: x[x > 0])(XS)


@pytest.mark.parametrize(("axis", "f"), [
    (0, lambda w, k: w[k]), (0, lambda w, k: np.take(w, k)), (1, lambda w, k: w[k[0]]),
    (0, lambda w, k: w.at[k].set(w[k] * 3)),
])  # fmt: skip
@pytest.mark.parametrize("kind", [np.array, ag.Tensor])
def test_indices_that_change_after_the_call(axis, f, kind):
    index, w = np.array([0, 1]), ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    given = kind(index[None] if axis else index)
    total = ag.vmap(lambda k: f(w, k), axis)(given).sum()
    given[...] = 2
    total.backward()
    close(w.grad, ag.grad(lambda w: sum(ag.sum(f(w, k[None] if axis else k)) for k in index))(w.data))


def test_a_result_is_not_the_array_of_the_caller():
    x = XS.copy()
    ag.vmap(lambda x: x)(x)[...] = 0
    ag.vmap(lambda x: x[:2])(x)[...] = 0
    assert (x == XS).all()


FILLING = {
    "integers": lambda o, x: o.__setitem__(0, x[0]),
    "a list": lambda o, x: o.__setitem__(slice(0, 2), [x[0], x[1]]),
    "a number": lambda o, x: o.__setitem__(1, 1.7),
}


@pytest.mark.parametrize("dtype", [int, bool, np.int8])
@pytest.mark.parametrize("name", FILLING)
def test_buffers_of_integers_stay_integers(name, dtype):
    def f(x):
        out = np.zeros_like(x, dtype=dtype)
        FILLING[name](out, x)
        return out

    got = ag.vmap(f)(3 * XS)
    assert got.dtype == dtype and got.tolist() == np.stack([f(3 * x) for x in XS]).tolist()


def test_parts_of_an_example_move_inside_of_it():
    def f(x):
        o = np.zeros_like(x)
        o[0] = x[0]
        o[1] = o[0]
        o[1:] = o[:-1] * x[1:]
        return o

    def turned(x):
        o = np.zeros_like(x)
        o[1] = x[0]
        o[0] = o[1] * 2
        o[:, 0] = o[:, 1]
        return o

    close(ag.vmap(ag.jacobian(f))(XS), loop(ag.jacobian(f), XS))
    cubes = RNG.normal(size=(4, 2, 3))
    close(ag.vmap(ag.vmap(f))(cubes), np.stack([loop(f, c) for c in cubes]))
    close(ag.vmap(turned)(cubes), loop(turned, cubes))
    out = ag.vmap(f)(ag.Tensor(XS, requires_grad=True))
    assert not out.data.flags.writeable


def decays(y0, rate):
    return ag.odeint(lambda y, t, rate: -rate * y, y0, np.array([0.0, 1.0]), rate)[-1]


@pytest.mark.parametrize("f", [
    decays,
    lambda y0, rate: ag.grad(lambda rate: ag.sum(decays(y0, rate)))(rate),
    lambda y0, rate: ag.grad(lambda y0: ag.sum(decays(y0, rate) ** 2))(y0),
    lambda y0, rate: decays(y0, 2.0),
    lambda x0, a: ag.fixed_point(lambda x, a: (x + a / x) / 2, abs(x0) + 1, a),
    lambda x0, a: ag.fixed_point(lambda x, a: (x + a / x) / 2, abs(x0) + 1, 2.0),
    lambda x0, a: ag.grad(lambda a: ag.sum(ag.fixed_point(lambda x, a: (x + a / x) / 2, abs(x0) + 1, a)))(a),
])  # fmt: skip
def test_solvers_of_each_example(f):
    rates = np.array([1.0, 1.5, 2.0])
    np.testing.assert_allclose(ag.vmap(f)(XS[:3], rates), loop(f, XS[:3], rates), rtol=1e-6)


def test_no_examples():
    assert ag.vmap(ag.grad(lambda x: ag.sum(ag.sin(x) ** 2)))(np.ones((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match="vmap: users.* no result: no examples"):
        ag.vmap(lambda x: users(x, x))(np.ones((0, 3)))


SPOILT = {
    "a branch": lambda x: x if x.sum() > 0 else -x, "float": lambda x: float(x[0]), "item": lambda x: x[0].item(),
    "an array": lambda x: np.asarray(x), "a list": lambda x: x.tolist(), "in": lambda x: 3.0 in x,
    "an array that is filled": lambda x: np.zeros(3).__setitem__(0, x[0]),
    "an array in a gradient that is filled": lambda x: ag.grad(lambda x: np.zeros(3).__setitem__(0, x[0]))(x),
    "an index of an array": lambda x: W[x[0].astype(int)], "an index of a list": lambda x: [1, 2][x[0] > 0],
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_numbers_of_one_example_are_refused(name):
    with pytest.raises(
        TypeError, match=r"vmap: .+ asks for the numbers of one example, .*, and the examples differ\n.*np.where"
    ):
        ag.vmap(SPOILT[name])(XS)


def test_a_batched_value_shows_no_numbers():
    shown = []
    ag.vmap(lambda x: shown.append(f"{x} {x.data!r}") or x)(XS)
    assert shown == ["Tensor(<one of 5 examples, (3,)>, float64) <one of 5 examples, (3,)>"]


JOINED = "an operand", "a tuple", "values", "a list beside an array"  # refused where a gradient flows, as without vmap
LISTS = {
    "an index": lambda x, i, j: x[[i, j]],
    "a nested index": lambda x, i, j: x[[[i], [j]]],
    "an index with a constant": lambda x, i, j: x[[i, 0]],
    "indices": lambda x, i, j: np.outer(x, x)[[i, j], [j, i]],
    "an index beside a slice": lambda x, i, j: np.outer(x, x)[:, [i, j]],
    "indices of take": lambda x, i, j: ag.take(x, [i, j]),
    "an operand": lambda x, i, j: x[:2] @ [x[i], x[j]],
    "a tuple": lambda x, i, j: x[:2] * (x[i], 2.0),
    "a mask": lambda x, i, j: np.where(x[:2] > [x[i], x[j]], x[:2], 0.0),
    "values": lambda x, i, j: x.at[:2].add([x[i], x[j]]),
    "a list beside an array": lambda x, i, j: np.concatenate([[x[i]], x]),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_values_are_read_as_by_numpy_one_example_after_the_other(name):
    def f(x, i, j):
        return LISTS[name](x if isinstance(x, ag.Tensor) else ag.Tensor(x), i, j)

    i, j = np.array([0, 2, 1, 1, 0]), np.array([2, 2, 0, 1, 1])
    close(ag.vmap(f)(XS, i, j), [f(x, int(a), int(b)).data for x, a, b in zip(XS, i, j, strict=True)])
    slopes = ag.grad(lambda x, i, j: ag.sum(ag.sin(f(x, i, j))))
    if name in JOINED:
        with pytest.raises(TypeError, match="join them"):
            ag.vmap(slopes)(XS, i, j)
    else:
        close(ag.vmap(slopes)(XS, i, j), [slopes(x, int(a), int(b)) for x, a, b in zip(XS, i, j, strict=True)])


def test_a_primitive_of_a_user_gets_a_list_for_each_example():
    @ag.primitive
    def of_parts(x, parts):
        """A primitive of a user that takes a list of arrays of different shapes."""
        assert isinstance(parts, list)
        return x * parts[0] + parts[1].sum()

    of_parts.vjp(x=lambda g, parts: g * parts[0])
    close(ag.vmap(lambda x: of_parts(x, [x[0], x]))(XS), [x * x[0] + x.sum() for x in XS])


def test_a_value_where_all_need_the_same_is_refused():
    for use in (lambda x, i: x[i:], lambda x, i: ag.fixed_point(lambda y: np.cos(x[0] * y), 0.5)):
        with pytest.raises(TypeError, match=r"(?s)after its vmap or where all need the same\n.*Bounds of slices"):
            ag.vmap(use)(XS, np.arange(5))


def test_a_value_that_left_its_vmap_is_refused():
    left = []
    with pytest.raises(ZeroDivisionError):
        ag.vmap(lambda x: left.append(x) or 1 / 0)(XS)
    for use in (lambda x: x * 2, lambda x: x > 0, np.asarray, lambda x: ag.vmap(lambda y: x * y)(XS)):
        with pytest.raises(TypeError, match=r"(?s)after its vmap or where all need the same\n.*Return it"):
            use(left[0])


def test_backward_inside_is_refused():
    outside = ag.Tensor(XS[0], requires_grad=True) * 2
    for f in (ag.grad(lambda x: (x * 2).backward(np.ones(3)) or x.sum()), outside.backward):
        with pytest.raises(TypeError, match=r"backward: .* vmap.*ag.grad"):
            ag.vmap(f)(ag.Tensor(XS))


@pytest.mark.parametrize(("axes", "args", "message"), [
    (0, (XS, W), r"there are 5 of arguments\[0\], 3 of arguments\[1\]"),
    ((0, 0), (XS,), r"in_axes has \(0, 0\) for arguments, which has the parts \[0\]"),
    (2, (XS,), r"arguments\[0\] is \(5, 3\), and by in_axes, axis 2 counts"),
    (0, (2.0,), r"arguments\[0\] is \(\), and by in_axes"),
    (None, (XS,), r"by in_axes=None there are none: axis_size=n"),
    (True, (XS,), r"in_axes has True for arguments"),
    (({"a": 0},), ({"b": XS},), r"in_axes has \{'a': 0\} for arguments\[0\], which has the parts \['b'\]"),
    (({"a": 0},), (XS,), r"in_axes has \{'a': 0\} for arguments\[0\], which has no parts"),
])  # fmt: skip
def test_arguments_that_do_not_fit(axes, args, message):
    with pytest.raises(ValueError, match=f"vmap: .*{message}"):
        ag.vmap(lambda *args: args[0], axes)(*args)


@pytest.mark.parametrize(("f", "axis", "message"), [
    (str, 0, "the result is 'Tensor.*', want arrays"),
    (lambda x: "text", 0, "the result is 'text', want arrays"),
    (abs, None, r"out_axes has None for the result, which has no parts\nWant an int .* Of equal ones: result\[0\]$"),
    (abs, 2, r"the result is \(3,\), and by out_axes, axis 2 counts the examples\nWant -2 to 1$"),
])  # fmt: skip
def test_results_that_do_not_fit(f, axis, message):
    with pytest.raises((TypeError, ValueError), match=f"vmap: {message}"):
        ag.vmap(f, 0, axis)(XS)
