"""Solvers whose results have derivatives: of differential equations, and of fixed points.

The state of a solver, which may be a tree, is joined into one vector. `odeint` records its steps. `fixed_point` is one
operation, whose rule solves a linear problem of the same kind, by the implicit function theorem. The rule calls
`fixed_point`, so it serves every order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_cnn.calculus.transforms import vjp
from autograd_cnn.calculus.trees import leaves_like, ravel_pytree, tree_map
from autograd_cnn.calculus.vmap import blank, numbers, vmap
from autograd_cnn.engine.arrays import is_complex, precision
from autograd_cnn.engine.numpy_calls import plain, recorded
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor

NODES = 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1
STAGES = (
    (1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9), (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)  # fmt: skip
ERROR = 71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40


def _weighted(weights: Any, slopes: list[Any]) -> Any:
    return registry["matmul"](np.array(weights, slopes[0].dtype), registry["stack"](slopes))


@np.errstate(all="ignore")  # a step that is too long may overflow, and is made shorter
def _integrate(y: Any, t: Any, times: Any, func: Any, rtol: float, atol: float, mxstep: int) -> Any:
    """Return the states (T, n) at the `times`, which `t` has too. Steps end at each, and are parts of an interval."""
    states, slope, length = [y], func(y, t[0]), 1e-3 * abs(times[-1] - times[0])
    for i, span in enumerate(np.diff(times)):
        done, tries = 0.0, 0
        while done < 1 - 1e-12:
            part, tries, now = min(length / abs(span), 1 - done), tries + 1, times[i] + span * done
            if tries > mxstep or not abs(span * part) > 1e-16 * np.max(abs(times)):
                where = f"{tries - 1} steps from t = {times[i]:.6g} ended at {now:.6g}, not at {times[i + 1]:.6g}"
                cure = "Is it stiff, or infinite? Steps are longer with larger rtol and atol"
                raise RuntimeError(f"odeint: {where}. {cure}")
            h, slopes = (t[i + 1] - t[i]) * part, [slope]
            for node, weights in zip(NODES, STAGES, strict=True):
                end = y + h * _weighted(weights, slopes)
                slopes.append(func(end, t[i] + (t[i + 1] - t[i]) * (done + node * part)))
            scale = atol + rtol * np.maximum(abs(numbers(y)), abs(numbers(end)))
            errors = span * part * numbers(_weighted(ERROR, slopes)) / scale
            error = float(np.max(np.sqrt(np.mean(abs(errors) ** 2, -1))))
            better = part * abs(span) * min(10.0, max(0.2, 0.9 * max(error, 1e-12) ** -0.2))  # 0.2 for NaN
            length = max(length, better) if error <= 1 and part == 1 - done else better
            if error <= 1:
                y, slope, done = end, slopes[-1], done + part
        states.append(y)
    return registry["stack"](states)


def odeint(
    func: Callable[..., Any], y0: Any, t: Any, *args: Any, rtol: float = 1.4e-8, atol: float = 1.4e-8,
    mxstep: int = 10_000,
) -> Any:  # fmt: skip
    """Solve the differential equation ``dy/dt = func(y, t, *args)``, and return `y` at each of the times `t`.

    The method is that of Dormand and Prince, of order 5, with steps of varying length, as in ``jax.experimental.ode``.
    Derivatives with respect to `y0`, `t`, `args`, and what `func` uses besides, are of any order. They are those of the
    computed numbers: every step is recorded. Where memory is short, `checkpoint` repeats the steps in backward, all or
    those of each interval: ``ag.checkpoint(ag.odeint, func, y, t[i : i + 2], *args)[-1]``.

    Parameters
    ----------
    func : callable
        Returns the derivative of `y`, of its shape and structure. `t` is a number. If `y` is a vector, also a list.
    y0 : array of floats, or tree of them
        `y` at ``t[0]``.
    t : (T,)
        Times, which rise or fall.
    *args : arrays, or trees of them
        A tuple is one of them: SciPy's ``args=(a, b)`` is ``odeint(func, y0, t, a, b)`` here.
    rtol, atol : float
        Each step has an error of at most about ``atol + rtol * |y|``.
    mxstep : int
        The largest number of steps from one time to the next.

    Returns
    -------
    (T, ...), or a tree of such arrays

    Raises
    ------
    ValueError
        If `t` does not rise or fall, or `func` returns another shape.
    RuntimeError
        If `mxstep` steps do not suffice, as for stiff problems, or if the solution becomes infinite.

    References
    ----------
    J. R. Dormand, P. J. Prince, "A family of embedded Runge-Kutta formulae", 1980.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> decay = lambda y, t, rate: -rate * y
    >>> ag.odeint(decay, np.array([1.0]), np.array([0.0, 1.0]), 2.0).round(6)
    array([[1.      ],
           [0.135335]])
    >>> ag.grad(lambda rate: ag.odeint(decay, np.array([1.0]), np.array([0.0, 1.0]), rate)[1, 0])(2.0).round(6)
    np.float64(-0.135335)
    """
    times = np.asarray(plain(t), float)
    if times.ndim != 1 or not times.size or abs(np.sum(np.sign(np.diff(times)))) != times.size - 1:
        raise ValueError(f"odeint: t is {times!r:.60}, want times (T,) that rise, or fall")
    y, state, flat = _on_vectors("odeint", func, y0)
    t = registry["astype"](t, precision(y.dtype)) if isinstance(t, Tensor) else times.tolist()
    return vmap(state)(_integrate(y, t, times, lambda y, t: flat(y, t, *args), rtol, atol, mxstep))


def _on_vectors(caller: str, func: Any, y0: Any) -> Any:
    """Return `y0` as a vector, what undoes that, and `func` as a function of such a vector and of its arguments."""
    y, state = ravel_pytree(y0)
    dtype, like = y.dtype, tree_map(blank, y0)  # the function of `fixed_point` runs outside of `vmap`

    def flat(y: Any, *args: Any) -> Any:
        out = func(state(y), *args)
        out = registry["stack"](out) if isinstance(out, (tuple, list)) and hasattr(y0, "shape") else out
        leaves_like(caller, like, out, "the state", "value by func")
        return registry["astype"](ravel_pytree(out)[0], dtype)

    return y, state, flat


def _iterate(params: Any, x: Any, func: Any, xtol: float, maxiter: int) -> Any:
    tolerance = max(xtol, 4 * np.finfo(x.dtype).eps)
    for _ in range(maxiter):
        before, x = x, func(x, params)
        if np.all(abs(x - before) <= tolerance * np.maximum(abs(x), 1)):
            return x
    moved = f"fixed_point: the last of {maxiter} steps moved a number by {np.max(abs(x - before)):.2g}"
    raise RuntimeError(f"{moved}. Does func contract? Half a step may: lambda x: (x + func(x)) / 2")


def _implicit(g: Any, out: Any, params: Any, func: Any, xtol: float, maxiter: int) -> Any:
    """Solve ``w = g + w df/dx`` at the solution, with the largest number of `g` at 1, and return ``w df/dparams``."""
    given, result = func.last
    if isinstance(result, np.ndarray) and not np.array_equal(func(*given), result, equal_nan=True):
        raise RuntimeError("fixed_point: func gives another result in backward. Did an array in it change?")
    size = float(np.max(abs(numbers(g)), initial=0)) or 1.0
    g = g / size if size < np.inf else np.zeros_like(g)  # infinity and NaN return with `size`

    def linear(w: Any, g: Any, x: Any, params: Any) -> Any:
        return g + vjp(func, x, params)[1](w)[0]

    w = fixed_point(linear, g, g, out, params, xtol=xtol, maxiter=maxiter)
    return size * registry["astype"](vjp(func, out, params)[1](w)[1], g.dtype)


_fixed: Primitive[...] = Primitive(_iterate, name="fixed_point_implicit")
_fixed.vjp(params=_implicit)


def fixed_point(func: Callable[..., Any], x0: Any, *args: Any, xtol: float = 1e-8, maxiter: int = 500) -> Any:
    """Solve ``x = func(x, *args)`` by iteration from `x0`.

    The names are those of ``scipy.optimize.fixed_point``. The derivative with respect to `args` is that of the solution
    by the implicit function theorem, of any order; the iteration is not recorded, and `x0` gets no gradient.

    Parameters
    ----------
    func : callable
        Must bring points nearer to each other. It gets all Tensors that it needs gradients for as `args`.
    x0 : array of floats, or tree of them
    *args : arrays of floats, or trees of them
    xtol : float
        The iteration ends when no number moves by more than `xtol`, or `xtol` times its size. In backward it is
        relative to the largest number of the gradient.
    maxiter : int

    Returns
    -------
    array or tree
        It has the structure of `x0`.

    Raises
    ------
    RuntimeError
        If `maxiter` steps do not suffice. In backward, if `func` gives another result than before, since an array that
        it uses has changed. Inside `vmap` that is not noticed.
    TypeError
        If `func` uses another Tensor that requires a gradient, or if `x0` or `args` are complex.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> root = lambda a: ag.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    >>> print(root(2.0), ag.grad(root)(2.0).round(6), ag.grad(ag.grad(root))(2.0).round(6))
    1.414213562373095 0.353553 -0.088388
    """
    x, state, flat = _on_vectors("fixed_point", func, x0)
    params, unravel = ravel_pytree(args)
    if is_complex(x) or is_complex(params):
        raise TypeError("fixed_point: the state or args are complex. Want real and imaginary parts: z.real, z.imag")

    def closed(x: Any, params: Any) -> Any:
        out = flat(x, *unravel(params))
        if not (isinstance(x, np.ndarray) and isinstance(params, np.ndarray)):
            return out
        if recorded(out) is not None:
            raise TypeError("fixed_point: func uses a Tensor that requires a gradient. Pass it as one of *args")
        vars(closed).update(last=((x, params), plain(out)))
        return plain(out)

    return state(_fixed(params, plain(x), closed, xtol, maxiter))
