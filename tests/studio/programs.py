"""Helpers of the tests of the derived program."""

import numpy as np

import autograd_cnn as ag


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(f, *leaves, standalone=False):
    """The program of `f` gives the value of `f` and, in `grad` of every leaf, what `backward` leaves there."""
    program = ag.trace(f, *leaves).program(standalone)
    value, gradients = program.run()
    loss = f(*leaves)
    loss.backward()
    assert same(value, loss.data)
    wanted = {t.name: t.grad for t in leaves if isinstance(t, ag.Tensor) and t.grad is not None}
    assert list(gradients) == [n for n in program.inputs if n in wanted] and len(gradients) == len(wanted)
    for name, grad in wanted.items():
        assert same(gradients[name], grad), name
    return program


def check_again(f, standalone):
    """The program of a run on some numbers computes what depends on them again for others."""
    x = np.array([2.0, 3.0, -1.0])
    value, gradients = ag.trace(f, np.array([1.0, -2.0, 3.0])).program(standalone).run(x=x)
    np.testing.assert_allclose(value, ag.trace(f, x).loss)
    np.testing.assert_allclose(gradients["x"], ag.grad(f)(x))


def own(name, f, options=(), **rules):
    """A primitive of the user, with its rules."""
    made = ag.primitive(f, name=name, **dict(options))
    made.vjp(**rules)
    return made


def leaf(data, name):
    return ag.Tensor(data, requires_grad=True, name=name)
