"""Transforms of functions, such as `grad` and `jacobian`: each is a short composition of recording and walking.

Arguments may be arrays, numbers, Tensors, or trees of them (see `trees`), and a gradient has the structure of its
argument. A Module stands for a dict of its parameters. The results are arrays. If an argument requires a gradient
already, as inside another transform, they are Tensors that can be differentiated again: ``grad(grad(f))`` is the second
derivative.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from autograd_cnn.calculus.trees import as_tree, joined, leaves_like, tree_filled, tree_items, tree_leaves, tree_map
from autograd_cnn.calculus.vmap import blank, for_all, levels, lowered, numbers, raised, running, variable
from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import FLOATS, is_complex
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.messages import code_of, describe, warn
from autograd_cnn.engine.mode import current, enable_grad
from autograd_cnn.engine.numpy_calls import known, peek, plain, plain_array, recorded
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tape import leading
from autograd_cnn.engine.tensor import Tensor, carry_back

__all__ = ["elementwise_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "stop_gradient", "value_and_grad", "vjp"]


@primitive(elementwise=True, moves=True)
def alias(x: Any) -> Any:
    """Gives `x` a node of its own, so that nested transforms do not share a variable."""
    return x.view()


alias.vjp(x=lambda g: g)


def _places(caller: str, f: Any, argnums: Any) -> tuple[int, ...]:
    """Return `argnums` as a tuple, or raise an error about arguments in the order of PyTorch's functions."""
    places = argnums if isinstance(argnums, tuple) else (argnums,)
    if isinstance(f, Tensor):
        targets = ", ".join(code_of(t) for t in tree_leaves(argnums) if isinstance(t, Tensor)) or "w"
        cure = f"The gradient of a Tensor: {code_of(f)}.gradient({targets})"
        raise TypeError(f"{caller}: wants a function, and {code_of(f)} is a Tensor. {cure}")
    if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in places):
        text = f"{caller}: argnums is {reprlib.repr(argnums)}, want an int or a tuple of them"
        raise TypeError(f"{text}. The arguments of f come behind: ag.{caller}(f)(x)")
    return places


class _Run:
    """An evaluation of `f`, with new variables in place of the arguments to differentiate.

    `tree` is its result. Where that is a tree of several, `value` is all of them as one vector. `others` has the
    results beside it, if there are any (`aux`).
    `nested` says whether `f` depends on a transform around this one, and `differentiated` whether a derivative was
    taken in `f`: then a result that does not depend on the arguments is no mistake, as that of a linear function.
    """

    def __init__(self, caller: str, f: Any, args: Any, argnums: Any, options: Any = None, aux: bool = False) -> None:
        places = _places(caller, f, argnums)
        self.caller, self.argnums = caller, tuple(i + len(args) if i < 0 else i for i in places)
        self.levels, self.nested, self.differentiated = levels(), False, False
        fresh, name, outer = list(args), getattr(f, "__name__", "f"), current.get().transforms
        trees: dict[int, Any] = {}
        with enable_grad():
            for wanted, i in zip(places, self.argnums, strict=True):
                if not 0 <= i < len(args):
                    passed = f"{len(args)} positional arguments were passed. Arguments by keyword are constants"
                    raise TypeError(f"{name}: cannot differentiate argument {wanted}, counted from 0: {passed}")
                tree = as_tree(args[i])
                trees[i] = tree_filled(tree, [self._variable(*v) for v in tree_items(tree, f"argument {i}")])
                fresh[i] = trees[i] if tree is args[i] else args[i].replaced(trees[i])
            chosen = tuple(trees[i] for i in self.argnums)
            self.arguments = chosen if isinstance(argnums, tuple) else chosen[0]
            self.variables = tree_leaves(self.arguments)
            with running(transforms=(*outer, self)):
                value = f(*fresh, **(options or {}))
            if aux and not (isinstance(value, tuple) and len(value) == 2):
                raise TypeError(f"{caller}: has_aux=True, and f returned {describe(value)}, want (result, others)")
            value, others = value if aux else (value, None)
            self.tree = tree_map(lambda leaf: leaf if isinstance(leaf, Tensor) else Tensor(leaf), value)
            if not isinstance(self.tree, Tensor) and caller not in ("vjp", "jvp", "hvp", "jacobian"):
                text = f"{name}: returned {type(value).__name__}, want one tensor"
                raise TypeError(f"{text}. For a loss and others: ag.grad(f, has_aux=True)")
            value = joined(tree_leaves(self.tree))
            self.value = value if isinstance(value, Tensor) else Tensor(value)  # of an empty tree
        if outer and not self.nested:  # `f` may close over the variable of a transform around this one
            found = [t._node for t in tree_leaves((self.value, others)) if isinstance(t, Tensor) and t.requires_grad]
            around = {v._node for run in outer for v in run.variables}
            self.nested = any(node in leading(node, around) for node in found)
        self.others: Any = others if self.nested else tree_map(plain, others)

    def _variable(self, place: str, value: Any) -> Tensor:
        if isinstance(value, Tensor) and value.requires_grad:
            self.nested = True
            return alias(raised(lowered(value)))
        data = peek(value)
        if data.dtype.kind not in FLOATS:
            found = repr(value)[:40] if data.ndim == 0 else f"{data.shape} {data.dtype}"
            cure = "Of integers: np.float64(x). Let f have others by keyword, and a Module as an argument of its own"
            raise TypeError(f"{place} is {found}: only floats have a gradient. {cure}")
        return variable(data)

    def back(self, seed: Any, retain: bool = True) -> list[Any]:
        """Return the gradient of every variable for `seed` = d loss / d value: zeros if it does not depend on it.

        Warn if it depends on none of them.
        """
        return for_all(partial(self._carried, retain=retain), seed, self.levels)

    def _carried(self, seed: Any, retain: bool) -> list[Any]:
        nodes = [v._node for v in self.variables]
        create_graph = self.nested or recorded(seed) is not None
        found: dict[Any, Any] = {}
        if self.value._node is not None:
            seed = np.array(seed) if known(seed) and not create_graph else seed
            found = carry_back(self.value._node, seed, create_graph, retain, targets=dict.fromkeys(nodes, True))
        if nodes and not found:
            if not self.differentiated:
                which = f"argument {self.argnums[0]}" if len(self.argnums) == 1 else "any argument"
                problem = f"the result of the function does not depend on {which}, and the gradient is 0"
                cure = "Are there .data, .item() or .detach() in it? They leave the graph: compute with the argument"
                warn(f"{self.caller}: {problem}. {cure}")
            for run in (*current.get().transforms, self):  # once is enough
                run.differentiated = True
        gradients = [found[n] if n in found else np.zeros(n.shape, n.dtype) for n in nodes]
        return gradients if create_graph else stop_gradient(gradients)

    def shaped(self, gradients: list[Any]) -> Any:
        """Return gradients in the structure of the argument, or of the tuple of arguments."""
        return tree_filled(self.arguments, gradients)

    def pulled(self, leaves: list[Any]) -> Any:
        """Carry back d loss / d leaf for each leaf of the result, as often as one likes, and return the gradients."""
        seed = joined(leaves)
        seed = seed if recorded(seed) is not None else plain_array(seed)
        seed = seed.astype(self.value.dtype) if seed.dtype != self.value.dtype else seed
        return self.shaped(self.back(seed))

    def out(self, tree: Any) -> Any:
        """Return results as arrays, unless a transform around this one differentiates them."""
        return tree if self.nested else tree_map(lambda leaf: leaf._array if known(leaf) else leaf.detach(), tree)


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

    return _derived("value_and_grad", f, argnums, has_aux, lambda result, slopes: (result, slopes))


def _derived(caller: str, f: Any, argnums: Any, has_aux: bool, give: Callable[[Any, Any], Any]) -> Any:
    """Return a function that returns what `give` makes of the result of `f`, or of all of them, and of the gradient."""
    _places(caller, f, argnums)

    @wraps(f)
    def evaluate(*args: Any, **options: Any) -> Any:
        run = _Run(caller, f, args, argnums, options, has_aux)
        if run.value.size != 1:
            text = f"{caller}: f returned {run.value.shape}, want one number: .mean() or .sum(). For all of them"
            raise ValueError(f"{text}: ag.jacobian({'ag.jacobian(f)' if caller == 'hessian' else 'f'})")
        if run.value.dtype.kind == "c":
            raise errors.complex_loss(caller, "the result of f", "z", run.value.dtype)
        slopes = run.shaped(run.back(np.ones(run.value.shape, run.value.dtype), retain=False))
        return give((run.out(run.value), run.others) if has_aux else run.out(run.value), slopes)

    return evaluate


def _gradient(caller: str, f: Any, argnums: Any, has_aux: bool = False) -> Any:
    return _derived(caller, f, argnums, has_aux, lambda result, slopes: (slopes, result[1]) if has_aux else slopes)


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Return a function that computes the gradient of `f`.

    Parameters
    ----------
    f : callable
        A function that returns one number. Its arguments may be trees, such as a dict of arrays. The gradient of a
        Module is a dict of those of its parameters.
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
    return _gradient("grad", f, argnums, has_aux)


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
    total = wraps(f)(lambda *args, **options: registry["sum"](f(*args, **options)))
    return _gradient("elementwise_grad", f if isinstance(f, Tensor) else total, argnums)


def stop_gradient(tree: Any) -> Any:
    """Return the Tensors of a tree without history, so that no gradient flows through them.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.grad(lambda x: x * ag.stop_gradient(x))(3.0)
    array(3.)
    """
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)


def vjp(f: Callable[..., Any], *args: Any, has_aux: bool = False) -> Any:
    """Return ``f(*args)``, and a function that carries d loss / d f back to d loss / d args.

    If `f` returns a tree, d loss / d f is such a tree. With `has_aux`, `f` returns a pair, whose second part is a tree
    of other results: it is returned as a third, without history.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> y, back = ag.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> back(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    run = _Run("vjp", f, args, tuple(range(len(args))), aux=has_aux)

    def back(g: Any) -> tuple[Any, ...]:
        return run.pulled(leaves_like("vjp", tree_map(blank, run.tree), g, "f(x)", "gradient"))

    return (run.out(run.tree), back, run.others)[: 2 + has_aux]


def _tangents(caller: str, args: Any, tangents: Any) -> list[Any]:
    """Return the leaves of `tangents` in the order of those of `args`."""
    if not (isinstance(args, (tuple, list)) and isinstance(tangents, (tuple, list)) and len(args) == len(tangents)):
        raise TypeError(f"{caller}: want as many tangents as arguments, both in tuples: ag.{caller}(f, (x,), (dx,))")
    pairs = enumerate(zip(args, tangents, strict=True))
    return [leaf for i, (a, t) in pairs for leaf in leaves_like(caller, as_tree(a), t, f"argument {i}")]


def jvp(f: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...], has_aux: bool = False) -> Any:
    """Return ``f(*args)`` and its derivative in the direction `tangents`, as the vjp of a vjp.

    Both may be trees. `has_aux` is as for `vjp`.

    A vjp multiplies by the transposed Jacobian and is linear in `g`, so its own vjp multiplies by the Jacobian
    (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.jvp(ag.sqrt, (np.array([4.0, 9.0]),), (np.array([1.0, 0.0]),))
    (array([2., 3.]), array([0.25, 0.  ]))
    """
    flat = _tangents("jvp", args, tangents)
    run = _Run("jvp", f, args, tuple(range(len(args))), aux=has_aux)
    g = [np.zeros(leaf.shape, leaf.dtype) for leaf in tree_leaves(run.tree)]
    (slope,) = _Run("jvp", run.pulled, [g], (0,)).pulled(flat)
    return (run.out(run.tree), tree_filled(run.tree, slope), run.others)[: 2 + has_aux]


def hvp(f: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """Multiply the Hessian of `f` by `tangents`, at the cost of two gradients: as the vjp of the gradient.

    The Hessian is symmetric, so a product from the left is one from the right.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.hvp(lambda x: ag.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    (array([ 6., 12.]),)
    """
    flat, argnums = _tangents("hvp", args, tangents), tuple(range(len(args)))
    return _Run("hvp", _gradient("hvp", f, argnums), args, argnums).pulled(flat)


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Return a function that computes all derivatives of `f`, as an array of shape ``f.shape + x.shape``.

    If `f` returns a tree, the result has its structure, and each leaf of it the structure of the argument.

    With `has_aux`, `f` returns a pair, whose second part is a tree of other results, and the result is
    ``(jacobian, others)``.

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

    _places("jacobian", f, argnums)

    @wraps(f)
    def evaluate(*args: Any, **options: Any) -> Any:
        run = _Run("jacobian", f, args, argnums, options, has_aux)
        rows = iter([_row(run, e.reshape(run.value.shape)) for e in np.eye(run.value.size, dtype=run.value.dtype)])

        def block(value: Any) -> Any:
            found = [next(rows) for _ in range(value.size)]
            return run.shaped([_stacked([r[k] for r in found], value.shape, v) for k, v in enumerate(run.variables)])

        return (tree_map(block, run.tree), run.others) if has_aux else tree_map(block, run.tree)

    return evaluate


def _row(run: _Run, unit: np.ndarray) -> list[Any]:
    """Return the derivatives of one number: by the gradients of its real and of its imaginary part if it is complex."""
    row = run.back(unit)
    if unit.dtype.kind != "c":
        return row
    both = [*zip(row, run.back(1j * unit), run.variables, strict=True)]
    if not all(np.allclose(numbers(1j * g), numbers(h), 1e-4) for g, h, v in both if is_complex(v)):
        raise ValueError("jacobian: f is not holomorphic, so it has no derivative by a complex number. Use ag.jvp")
    return [np.conj(g) if v.dtype.kind == "c" else g + 1j * h for g, h, v in both]


def _stacked(rows: list[Any], shape: tuple[int, ...], variable: Tensor) -> Any:
    shape = shape + variable.shape
    return registry["reshape"](registry["stack"](rows), shape) if rows else np.zeros(shape, variable.dtype)


def hessian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Return a function that computes the second derivatives of a scalar `f`, of shape ``x.shape + x.shape``.

    For a tree it returns the blocks: ``hessian(f)(p)["w"]["b"]`` is the derivative by w and b. `has_aux` is as for
    `jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(_gradient("hessian", f, argnums, has_aux), argnums, has_aux)
