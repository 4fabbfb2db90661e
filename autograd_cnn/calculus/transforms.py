"""Transforms of functions, such as `grad` and `jacobian`: each is a short composition of recording and walking.

Arguments may be arrays, numbers, Tensors, or trees of them (see `trees`), and a gradient has the structure of its
argument. The results are arrays. If an argument requires a gradient already, as inside another transform, they are
Tensors that can be differentiated again: ``grad(grad(f))`` is the second derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Protocol, TypeVar, overload

import numpy as np

from autograd_cnn.calculus.trees import leaves_like, ravel_pytree, tree_filled, tree_items, tree_leaves, tree_map
from autograd_cnn.calculus.vmap import blank, for_all, levels, lowered, numbers, raised, variable
from autograd_cnn.engine import errors
from autograd_cnn.engine.fitting import FLOATS, is_complex
from autograd_cnn.engine.messages import describe, warn
from autograd_cnn.engine.mode import current, enable_grad, in_mode
from autograd_cnn.engine.numpy_calls import known, peek, plain, plain_array
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tape import history
from autograd_cnn.engine.tensor import Tensor, carry_back

__all__ = ["elementwise_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "stop_gradient", "value_and_grad", "vjp"]

Result_co = TypeVar("Result_co", covariant=True)
Plain = np.ndarray | np.generic | float


class Transformed(Protocol[Result_co]):
    """The type of a function that a transform returns: for arrays, its result is an array.

    For other arguments its result is Any: gradients have their structure, and are Tensors inside another transform.
    """

    @overload
    def __call__(self, *args: Plain, **options: Any) -> Result_co: ...

    @overload
    def __call__(self, *args: object, **options: Any) -> Any: ...


@primitive(elementwise=True, moves=True)
def alias(x: Any) -> Any:
    """Gives `x` a node of its own, so that nested transforms do not share a variable."""
    return x.view()


alias.vjp(x=lambda g: g)


class _Run:
    """An evaluation of `f`, with new variables in place of the arguments to differentiate.

    `nested` says whether `f` depends on a transform around this one, and `differentiated` whether a derivative was
    taken in `f`: then a result that does not depend on the arguments is no mistake, as that of a linear function.
    """

    def __init__(self, caller: str, f: Any, args: Any, argnums: Any, options: Any = None, aux: bool = False) -> None:
        places = argnums if isinstance(argnums, tuple) else (argnums,)
        if not all(isinstance(i, (int, np.integer)) for i in places):
            raise TypeError(f"argnums is {argnums!r}, want an int or a tuple of them")
        self.caller, self.argnums = caller, tuple(i + len(args) if i < 0 else i for i in places)
        self.variables: list[Tensor] = []
        self.levels = levels()
        self.nested = self.differentiated = False
        fresh = list(args)
        outer = current.get().transforms
        for wanted, i in zip(places, self.argnums, strict=True):
            if not 0 <= i < len(args):
                raise TypeError(
                    f"{getattr(f, '__name__', 'f')}: cannot differentiate argument {wanted}, counted from 0: "
                    f"{len(args)} positional arguments were passed. Arguments by keyword are constants"
                )
        if len({*self.argnums}) < len(places):
            raise TypeError(f"argnums is {argnums}: an argument is there twice. Name each once")
        with enable_grad():
            for i in self.argnums:
                fresh[i] = tree_filled(fresh[i], [self._variable(*v) for v in tree_items(fresh[i], f"argument {i}")])
            with in_mode(transforms=(*outer, self)):
                try:
                    self.value = f(*fresh, **(options or {}))
                except (TypeError, ValueError, AttributeError) as error:
                    errors.explain_function(error, f, [args[i] for i in self.argnums])
                    raise
        if aux and not (isinstance(self.value, tuple) and len(self.value) == 2):
            raise TypeError(f"grad: has_aux=True, and f returned {describe(self.value)}, want (loss, others)")
        self.others: list[Any] = list(self.value[1:]) if aux else []
        self.value = self.value[0] if aux else self.value
        self.arguments = tuple(fresh[i] for i in self.argnums) if isinstance(argnums, tuple) else fresh[argnums]
        if not isinstance(self.value, Tensor):
            if isinstance(self.value, (tuple, list, dict)) or self.value is None:
                text = f"{getattr(f, '__name__', 'f')}: returned {type(self.value).__name__}, want one tensor"
                raise TypeError(f"{text}. For a loss and others: ag.grad(f, has_aux=True)")
            self.value = Tensor(self.value)
        if outer and not self.nested:  # `f` may close over the variable of a transform around this one
            found = [t for t in tree_leaves((self.value, self.others)) if isinstance(t, Tensor) and t._node is not None]
            around = {v._node for run in outer for v in run.variables}
            oldest = min((n.birth for n in around), default=0)
            self.nested = any(not around.isdisjoint(history(t._node, oldest)) for t in found)

    def _variable(self, place: str, value: Any) -> Tensor:
        if isinstance(value, Tensor) and value.requires_grad:
            self.nested = True
            made = alias(raised(lowered(value)))
        else:
            data = peek(value)
            if data.dtype.kind not in FLOATS:
                raise errors.not_differentiable(place, value, data.dtype)
            made = variable(data)
        self.variables.append(made)
        return made

    def back(self, seed: Any, create_graph: bool, retain: bool = False) -> list[Any]:
        """Return the gradient of every variable for `seed` = d loss / d value: zeros if it does not depend on it.

        Warn if it depends on none of them.
        """
        return for_all(partial(self._carried, create_graph=create_graph, retain=retain), seed, self.levels)

    def _carried(self, seed: Any, create_graph: bool, retain: bool) -> list[Any]:
        nodes = [v._node for v in self.variables]
        found: dict[Any, Any] = {}
        if self.value._node is not None:
            seed = np.array(seed) if known(seed) and not create_graph else seed
            found = carry_back(self.value._node, seed, create_graph, retain, targets=set(nodes))
        if nodes and not found and not self.differentiated:
            warn(errors.constant(self.caller, self.argnums))
            for run in (*current.get().transforms, self):  # once is enough
                run.differentiated = True
        zeros = Tensor if create_graph else np.asarray
        gradients = [found[n] if n in found else zeros(np.zeros(n.shape, n.dtype)) for n in nodes]
        return gradients if create_graph else stop_gradient(gradients)

    def shaped(self, gradients: list[Any]) -> Any:
        """Return gradients in the structure of the argument, or of the tuple of arguments."""
        return tree_filled(self.arguments, gradients)

    def out(self, value: Tensor) -> Any:
        return value if self.nested else value.data if known(value) else value.detach()


@overload
def value_and_grad(f: Callable[..., Any], argnums: int = 0) -> Transformed[tuple[np.ndarray, np.ndarray]]: ...


@overload
def value_and_grad(
    f: Callable[..., Any], argnums: tuple[int, ...]
) -> Transformed[tuple[np.ndarray, tuple[np.ndarray, ...]]]: ...


@overload
def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool) -> Any: ...


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Return a function that computes ``(f(*args), gradient)``.

    Warns if the result does not depend on any of the arguments to differentiate. Their gradients are 0 then.

    Parameters
    ----------
    f : callable
        A function that returns one number.
    argnums : int or tuple of int
        Which arguments to differentiate; a tuple gives a tuple of gradients.
    has_aux : bool
        Whether `f` returns a pair, the number and a tree of other results. They are returned as arrays, without
        history: ``((number, others), gradient)``, by `grad` ``(gradient, others)``.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.value_and_grad(lambda p, x: ag.sum(p["w"] * x))({"w": np.array([1.0, 2.0])}, np.array([3.0, 4.0]))
    (array(11.), {'w': array([3., 4.])})
    """

    @wraps(f)
    def evaluate(*args: Any, **options: Any) -> Any:
        run = _Run("grad", f, args, argnums, options, has_aux)
        if run.value.size != 1:
            text = f"grad: f returned {run.value.shape}, want one number: .mean() or .sum()"
            raise ValueError(f"{text}. For all of them: ag.jacobian")
        if run.value.dtype.kind == "c":
            raise errors.complex_loss("grad", "the result of f", "z", run.value.dtype)
        gradients = run.shaped(run.back(np.ones(run.value.shape, run.value.dtype), run.nested))
        others = run.others if run.nested else tree_map(plain, run.others)
        value = (run.out(run.value), *others) if has_aux else run.out(run.value)
        return value, gradients

    return evaluate


@overload
def grad(f: Callable[..., Any], argnums: int = 0) -> Transformed[np.ndarray]: ...


@overload
def grad(f: Callable[..., Any], argnums: tuple[int, ...]) -> Transformed[tuple[np.ndarray, ...]]: ...


@overload
def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool) -> Any: ...


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Return a function that computes the gradient of `f`.

    Parameters
    ----------
    f : callable
        A function that returns one number.
    argnums : int or tuple of int
        Which arguments to differentiate; a tuple gives a tuple of gradients.
    has_aux : bool
        Whether `f` returns a pair, the number and a tree of other results: ``(gradient, others)``, without history.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.grad(ag.grad(lambda x: x**3))(2.0)
    array(12.)
    """
    evaluate = value_and_grad(f, argnums, has_aux=has_aux)
    pick = (lambda value, slopes: (slopes, value[1])) if has_aux else (lambda value, slopes: slopes)
    return wraps(f)(lambda *args, **options: pick(*evaluate(*args, **options)))


def elementwise_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Any:
    """Return a function that computes the derivative of each element of `f` by its own element of the argument.

    That is the gradient of the sum, which is right if no element of the result depends on another element.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    return grad(wraps(f)(lambda *args, **options: registry["sum"](f(*args, **options))), argnums)


def stop_gradient(tree: Any) -> Any:
    """Return the Tensors of a tree without history, so that no gradient flows through them.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.grad(lambda x: x * ag.stop_gradient(x))(3.0)
    array(3.)
    """
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)


@overload
def vjp(f: Callable[..., Any], *args: Plain) -> tuple[np.ndarray, Callable[[Any], tuple[Any, ...]]]: ...


@overload
def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]: ...


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return ``f(*args)``, and a function that carries d loss / d f back to d loss / d args.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> y, back = ag.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> back(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    run = _Run("vjp", f, args, tuple(range(len(args))))

    def back(g: Any) -> tuple[Any, ...]:
        nested = run.nested or (isinstance(g, Tensor) and g.requires_grad)
        seed = g if nested and isinstance(g, Tensor) else plain_array(g)
        leaves_like("vjp", blank(run.value), seed, "f(x)", "gradient")
        seed = seed.astype(run.value.dtype) if seed.dtype != run.value.dtype else seed
        return run.shaped(run.back(seed, nested, retain=True))

    return run.out(run.value), back


def _flat_tangents(caller: str, args: Any, tangents: Any) -> list[Any]:
    """Return the leaves of `tangents` in the order of those of `args`."""
    if not (isinstance(args, (tuple, list)) and isinstance(tangents, (tuple, list)) and len(args) == len(tangents)):
        raise TypeError(f"{caller}: want as many tangents as arguments, both in tuples: ag.{caller}(f, (x,), (dx,))")
    pairs = enumerate(zip(args, tangents, strict=True))
    return [leaf for i, (a, t) in pairs for leaf in leaves_like(caller, a, t, f"argument {i}")]


@overload
def jvp(f: Callable[..., Any], args: tuple[Plain, ...], tangents: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]: ...


@overload
def jvp(f: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]: ...


def jvp(f: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return ``f(*args)`` and its derivative in the direction `tangents`, as the vjp of a vjp.

    A vjp multiplies by the transposed Jacobian and is linear in `g`, so its own vjp multiplies by the Jacobian
    (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.jvp(ag.sqrt, (np.array([4.0, 9.0]),), (np.array([1.0, 0.0]),))
    (array([2., 3.]), array([0.25, 0.  ]))
    """
    flat = _flat_tangents("jvp", args, tangents)
    run = _Run("jvp", f, args, tuple(range(len(args))))
    g = variable(np.zeros(run.value.shape, run.value.dtype))
    with enable_grad():
        total = _inner([(gx, t) for gx, t in zip(run.back(g, True), flat, strict=True) if gx.requires_grad])
    if not total.requires_grad:
        return run.out(run.value), run.out(Tensor(np.zeros(g.shape, g.dtype)))

    def back(seed: Any) -> list[Any]:
        return [carry_back(total._node, np.array(seed), run.nested, targets={g._node})[g._node]]

    return run.out(run.value), *for_all(back, np.ones(total.shape, total.dtype), run.levels)


def _inner(pairs: list[tuple[Any, Any]]) -> Any:
    """Sum the products of each pair of arrays, where a complex number counts as its two parts."""
    products = [registry["sum"](g * (np.conj(t) if is_complex(t) else t)) for g, t in pairs]
    products = [registry["real"](p) if is_complex(p) else p for p in products]
    return sum(products[1:], products[0]) if products else Tensor(0.0)


def hvp(f: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """Multiply the Hessian of `f` by `tangents`, at the cost of two gradients.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.hvp(lambda x: ag.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    (array([ 6., 12.]),)
    """
    flat = _flat_tangents("hvp", args, tangents)
    argnums = tuple(range(len(args)))

    def slope(*inner: Any) -> Any:
        return _inner([*zip(tree_leaves(grad(f, argnums)(*inner)), flat, strict=True)])

    return grad(slope, argnums)(*args)


@overload
def jacobian(f: Callable[..., Any], argnums: int = 0) -> Transformed[np.ndarray]: ...


@overload
def jacobian(f: Callable[..., Any], argnums: tuple[int, ...]) -> Transformed[tuple[np.ndarray, ...]]: ...


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Any:
    """Return a function that computes all derivatives of `f`, as an array of shape ``f.shape + x.shape``.

    If `f` returns a tree, the result has its structure, and each leaf of it the structure of the argument.

    A complex result has complex derivatives: by a complex number, it must be holomorphic. The derivatives of a real
    result by complex numbers are its gradients.

    Raises
    ------
    ValueError
        If a complex result is not a holomorphic function of a complex argument, as ``abs(z) * z``.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @wraps(f)
    def evaluate(*args: Any, **options: Any) -> Any:
        returned: list[Any] = []

        def flat(*inner: Any, **rest: Any) -> Any:
            returned.append(f(*inner, **rest))
            return ravel_pytree(returned[0])[0]

        run = _Run("jacobian", flat, args, argnums, options)
        units = np.eye(run.value.size, dtype=run.value.dtype)
        rows = iter([_row(run, unit) for unit in units])

        def block(value: Any) -> Any:
            found = [next(rows) for _ in range(np.size(value))]
            parts = enumerate(run.variables)
            return run.shaped([_stacked([row[k] for row in found], np.shape(value), v) for k, v in parts])

        return tree_map(block, returned[0])

    return evaluate


def _row(run: _Run, unit: np.ndarray) -> list[Any]:
    """Return the derivatives of one number: by the gradients of its real and of its imaginary part if it is complex."""
    row = run.back(unit, run.nested, retain=True)
    if unit.dtype.kind != "c":
        return row
    both = [*zip(row, run.back(1j * unit, run.nested, retain=True), run.variables, strict=True)]
    if not all(np.allclose(numbers(1j * g), numbers(h), 1e-4) for g, h, v in both if is_complex(v)):
        raise ValueError("jacobian: f is not holomorphic, so it has no derivative by a complex number. Use ag.jvp")
    return [np.conj(g) if v.dtype.kind == "c" else g + 1j * h for g, h, v in both]


def _stacked(rows: list[Any], shape: tuple[int, ...], variable: Tensor) -> Any:
    shape = shape + variable.shape
    return registry["reshape"](registry["stack"](rows), shape) if rows else np.zeros(shape, variable.dtype)


@overload
def hessian(f: Callable[..., Any], argnums: int = 0) -> Transformed[np.ndarray]: ...


@overload
def hessian(f: Callable[..., Any], argnums: tuple[int, ...]) -> Transformed[tuple[tuple[np.ndarray, ...], ...]]: ...


def hessian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Any:
    """Return a function that computes the second derivatives of a scalar `f`, of shape ``x.shape + x.shape``.

    For a tree it returns the blocks: ``hessian(f)(p)["w"]["b"]`` is the derivative by w and b.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)
