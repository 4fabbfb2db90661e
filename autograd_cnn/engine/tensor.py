"""Tensor: an array, its node on the tape, and its gradient.

Methods and operators look up their primitive by name in `registry`, so that the engine imports no operation. NumPy's
functions find the same operations: see `numpy_calls`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import FLOATS, as_array, numeric
from autograd_cnn.engine.assignment import assign, given, share
from autograd_cnn.engine.finite import Search, first_not_finite, is_finite, not_finite
from autograd_cnn.engine.guards import exclusive
from autograd_cnn.engine.messages import code_of, describe, label_of, missing, warn
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.numpy_calls import CONSTANT, array_function, array_ufunc, copied_index, plain
from autograd_cnn.engine.registry import advice, hooks, registry
from autograd_cnn.engine.tape import Leaf, Node, next_birth
from autograd_cnn.engine.walk import walk

_set_grad: Any = vars(Leaf)["grad"].__set__
IN_PLACE = frozenset(["partition", "resize", "sort"])  # methods of arrays; the functions of these names copy
NO_OPTIONS: dict[str, Any] = {}

Operator = Callable[["Tensor", Any], "Tensor"]
Report = Callable[[str, str], None]  # of a gradient that is not finite: the problem, and where it began or ""


def _warn_not_finite(problem: str, began: str) -> None:
    cure = "To see where they began: the forward code again, and backward(retain_graph=True)"
    warn(f"{problem} {began or cure}", RuntimeWarning)


def _operator(name: str) -> tuple[Operator, Operator]:
    """Return Python's operator for an operation, and the one that Python calls if the Tensor is on the right."""

    def direct(self: Tensor, other: Any) -> Tensor:
        mode, operation = current.get(), registry[name]
        if mode.call is None:  # as `Primitive.__call__`, without the cost of a call
            return operation.run((self, other), NO_OPTIONS, mode)
        return operation(self, other)

    def reflected(self: Tensor, other: Any) -> Tensor:
        return registry[name](other, self)

    return direct, reflected


def _method(name: str) -> Callable[..., Tensor]:
    """Return the method that calls an operation with the Tensor as its first argument."""

    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        return registry[name](self, *args, **options)

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"Call ``ag.{name}`` with this Tensor, then the other arguments."
    return method


def _constant(ufunc: np.ufunc) -> tuple[Callable[[Tensor, Any], np.ndarray], Callable[[Tensor, Any], np.ndarray]]:
    """Return the operators of a function without a derivative, with the Tensor on the left, and on the right."""

    def direct(self: Tensor, other: Any) -> Any:
        return array_ufunc(self, ufunc, "__call__", self, other)

    def reflected(self: Tensor, other: Any) -> Any:
        return array_ufunc(self, ufunc, "__call__", other, self)

    return direct, reflected


def _in_place(sign: str, operator: Callable[[Tensor, Any], Any]) -> Callable[[Tensor, Any], Any]:
    """Return the operator ``x += y``, which changes no array: it is `operator`, and refused for a parameter."""

    def assign(self: Tensor, other: Any) -> Any:
        if isinstance(self._node, Leaf):
            problem = f"{label_of(self)} {sign} ... would replace the parameter by a result"
            cure = f"{advice['-=']}, or change its array after backward(): {code_of(self)}.data {sign} ..."
            raise TypeError(f"{problem}. Use {cure}")
        return operator(self, other)

    return assign


class Tensor:
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Copied: an array of any library, a DataFrame, an image, or a list of numbers. float32 stays
        float32; Python numbers and lists get NumPy's default dtype.
    requires_grad : bool
        Whether `backward` stores d loss / d data in `grad`. For floats and complex numbers only.
    name : str, optional
        The name in messages and pictures.

    Raises
    ------
    TypeError
        If `requires_grad` is set for integers or bools, or if `data` is a list of Tensors, or the result of a recorded
        operation: a copy would have no history.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> x = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "_array", "_name", "_node")
    _array: np.ndarray  # not `_data`, which NumPy's masked arrays would read
    _name: str | None
    _node: Any
    mT: Tensor  # hooks, for type checkers
    real: Tensor
    imag: Tensor
    at: Any
    __pandas_priority__ = 5000  # above that of DataFrames, whose operators then leave the operation to the Tensor

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None) -> None:
        if isinstance(data, Tensor):
            if isinstance(data._node, Node) and current.get().recording and not requires_grad:
                text = f"Tensor: {label_of(data)} is the result of {data._node}, and a copy would leave the graph"
                raise TypeError(f"{text}. Use {label_of(data)}, or {label_of(data)}.detach() without history")
            data = data._array
        self._array = numeric(data, "Tensor: data", copy=True)
        self._name = name
        self._node = None
        if requires_grad:
            self.requires_grad = requires_grad

    def __init_subclass__(cls) -> None:
        raise TypeError("Tensor is final: hold one as an attribute, or write a function of tensors")

    @classmethod
    def _of(cls, array: np.ndarray, node: Node | Leaf | None, name: str | None = None) -> Tensor:
        """Return a Tensor of `array` itself, not of a copy."""
        tensor = cls.__new__(cls)
        tensor._array = array
        tensor._node = node
        tensor._name = name
        return tensor

    # Attributes

    @property
    def data(self) -> np.ndarray:
        """The array itself, not a copy. It is read-only while a graph that saved it is alive."""
        return self._array if current.get().walk is None else _in_rule(self)._array

    @data.setter
    def data(self, array: Any) -> None:
        array = numeric(array, "data")
        if array.shape != self.shape or array.dtype != self.dtype:
            raise errors.not_of_this_kind(self, "data", describe(array), ". For others, make a new Tensor")
        self._array = array
        share(share(self), table=given)

    @property
    def node(self) -> Any:
        """Its place on the tape: the `Node` of a result, the `Leaf` of a parameter, or None."""
        return self._node

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    @property
    def T(self) -> Tensor:
        """This Tensor with its axes reversed."""
        return registry["transpose"](self)

    @property
    def name(self) -> str | None:
        """The name in messages and pictures."""
        return self._name if self._node is None else self._node.name

    @name.setter
    def name(self, name: str | None) -> None:
        if self._node is None:
            self._name = name
        else:
            self._node.name = name

    @property
    def is_leaf(self) -> bool:
        """Whether it is not the result of a recorded operation."""
        return not isinstance(self._node, Node)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it. It can be set, except for results of recorded operations."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if isinstance(self._node, Node):
            raise RuntimeError(f"{label_of(self)} is the result of {self._node}: detach() gives one without history")
        if wanted not in (True, False):
            raise TypeError(f"requires_grad is {wanted!r}, want True or False")
        if wanted and self._array.dtype.kind not in FLOATS:
            cure = f"Tensor(np.float64({self.name or 'data'}), requires_grad=True)"
            raise TypeError(f"{self.name or 'data'} is {self.dtype}: only floats have a gradient. {cure}")
        if wanted != self.requires_grad:
            self._name = self.name
            self._node = Leaf(self.shape, self.dtype, self._name) if wanted else None

    @property
    def grad(self) -> Any:
        """d loss / d self, summed over every `backward` since it was last set to None; None before the first.

        An array of this Tensor's shape and dtype, or a Tensor after ``backward(create_graph=True)``. Only leaves have
        one; for other tensors call ``loss.gradient(h)``.
        """
        if isinstance(self._node, Node):
            warn(errors.no_leaf(self, self._node))
        return self._node.grad if isinstance(self._node, Leaf) else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if not isinstance(self._node, Leaf):
            raise RuntimeError(f"{label_of(self)} is not a leaf with requires_grad=True: it has no .grad to set")
        if value is not None and (np.shape(value) != self.shape or getattr(value, "dtype", None) != self.dtype):
            raise errors.not_of_this_kind(self, "grad", describe(value), ", or None to clear it")
        self._node.grad = value if value is None or isinstance(value, Tensor) else numeric(value, "grad")
        self._node.grad_since = next_birth()

    # Backward

    def backward(self, grad: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d self / d leaf to the `grad` of every leaf behind this Tensor.

        Gradients add up over calls, so that several batches can be accumulated: clear them once per step with
        ``optimiser.zero_grad()``. All leaves change together at the end; an interrupted walk changes none.

        Parameters
        ----------
        grad : array_like, optional
            d loss / d self, of this Tensor's shape. Default: 1, for a Tensor of one number.
        retain_graph : bool
            Keep the saved arrays, so that the graph can be walked again.
        create_graph : bool
            Record the walk itself, so that gradients can be differentiated. Implies `retain_graph`.

        Raises
        ------
        ValueError
            If nothing was recorded, or if `grad` is missing and this Tensor is not one number.
        RuntimeError
            If the graph was walked before and its saved arrays were freed.

        Warns
        -----
        RuntimeWarning
            If this Tensor or, without `grad`, a gradient is NaN or infinite. It names the operation where that began.
        """
        self._backward(_warn_not_finite if grad is None else None, grad, retain_graph or create_graph, create_graph)

    def _backward(
        self, report: Report | None, grad: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Run `backward`, and report a gradient that is not finite in another way than by a warning, or not at all."""
        gradients = self._gradients("backward", grad, retain_graph, create_graph, None, report)
        leaves: Any = [*gradients]
        with exclusive.lock:
            before = [leaf.grad for leaf in leaves]  # kept alive, so that no finaliser runs amid the changes
            sums = [g if b is None else as_array(b + g) for b, g in zip(before, gradients.values(), strict=True)]
            Leaf.last_backward = next_birth()
            for leaf, b in zip(leaves, before, strict=True):
                leaf.grad_since = Leaf.last_backward if b is None else leaf.grad_since
            list(map(_set_grad, leaves, sums))  # one call in C, which no interrupt divides

    def gradient(self, *targets: Tensor, create_graph: bool = False) -> Any:
        """Return d self / d target for leaves or results that this Tensor was computed from, and keep the graph.

        It changes no `grad`.

        Parameters
        ----------
        *targets : Tensor
            Leaves or results that this Tensor was computed from.
        create_graph : bool
            Return Tensors that can be differentiated again.

        Returns
        -------
        ndarray or Tensor, or a tuple of them
            One for each target.

        Raises
        ------
        ValueError
            If this Tensor does not depend on a target.

        Examples
        --------
        >>> import autograd_cnn as ag
        >>> x = ag.Tensor(3.0, requires_grad=True)
        >>> h = x * x
        >>> (h * x).gradient(h, x)
        (array(3.), array(27.))
        """
        if not all(isinstance(t, Tensor) for t in targets):
            problem = f"gradient: want Tensors that {label_of(self)} was computed from, such as model.conv1.w"
            raise TypeError(f"{problem}. Those of a list one by one: gradient(*targets)")
        nodes = [t._node for t in targets]
        wanted = {n: True for n in nodes if n is not None}
        found = self._gradients("gradient", None, True, create_graph, wanted, _warn_not_finite)
        for t, node in zip(targets, nodes, strict=True):
            if node not in found:
                why = "" if t.requires_grad else ", which does not require a gradient"
                raise ValueError(f"gradient: {label_of(self)} does not depend on {label_of(t)} {t.shape}{why}")
        results = tuple(found[node] for node in nodes)
        return results[0] if len(results) == 1 else results

    def _gradients(
        self, caller: str, grad: Any, retain: bool, create_graph: bool, targets: Any, report: Report | None
    ) -> dict[Any, Any]:
        if self._node is None:
            raise errors.no_history(caller, self)
        if self._node.shape != self.shape or (isinstance(grad, Tensor) and not isinstance(grad._array, np.ndarray)):
            raise TypeError(f"{caller}: this is a value of one example, in vmap. Write a function, and ag.grad(f)")
        if grad is None:
            if self.size != 1:
                raise errors.not_one_number(caller, self)
            if self.dtype.kind == "c":
                raise errors.complex_loss(caller, label_of(self), code_of(self), self.dtype)
            if not np.isfinite(self._array).all():
                report = None
                if isinstance(self._node, Node):
                    warn(f"{label_of(self)} is {self._array.item()}. {first_not_finite(self._node)}", RuntimeWarning)
            seed: Any = np.ones(self.shape, self.dtype)
        elif create_graph and isinstance(grad, Tensor):
            seed = grad
        else:
            seed = numeric(plain(grad), f"{caller}: grad")
            if seed.dtype.kind == "c" and self.dtype.kind != "c":
                raise TypeError(f"{caller}: grad is {seed.dtype}, {label_of(self)} is {self.dtype}")
            seed = np.asarray(seed, self.dtype).view()
            seed.setflags(False)  # so that the walk does not add into the caller's array
        if seed.shape != self.shape:
            raise ValueError(f"{caller}: grad is {seed.shape}, {label_of(self)} is {self.shape}")
        search = None if report is None else Search()
        found = carry_back(self._node, seed, create_graph, retain, targets=targets, search=search)
        if report is not None and (spoilt := [node for node, g in found.items() if not is_finite(g)]):
            if retain and search is not None and not search.began:
                search = Search(always=True)
                carry_through(self._node, seed, False, True, targets=targets, search=search)
            report(not_finite(spoilt, found), search.began if search else "")
        return found

    # Leaving the graph

    def detach(self) -> Tensor:
        """Return a Tensor of the same array without history."""
        return share(Tensor._of(self._array, None, self.name), self)

    def item(self) -> Any:
        """Return the number in a Tensor of size 1, as a Python number."""
        return _in_rule(self)._number("item")

    def _number(self, caller: str) -> Any:
        if self.size != 1:
            raise errors.not_one_number(caller, self)
        return plain(self).item()

    def numpy(self) -> np.ndarray:
        """Return a writable copy of the array."""
        return plain(_in_rule(self)).copy()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return plain(_in_rule(self)).tolist()

    def graph(self) -> Any:  # of the studio, which the engine does not import, not for types either
        """Return the computation of this Tensor as an `autograd_cnn.Graph`, which can be drawn."""
        return hooks["graph"](self)

    if not TYPE_CHECKING:  # hidden from type checkers, which would take ``array * tensor`` for an array
        real = imag = property(fset=errors.parts_are_set)  # without a getter, `__getattr__` reads them

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            if self._node is not None:
                raise errors.leaves_graph(_in_rule(self))
            return np.array(plain(self), dtype=dtype, copy=copy)

    def __dlpack__(self, *, copy: bool | None = None, **options: Any) -> Any:
        return np.array(self).__dlpack__(**options)  # a copy: PyTorch writes into arrays that are read-only, too

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def __float__(self) -> float:
        return float(self._leaving("float"))

    def __complex__(self) -> complex:
        return complex(self._leaving("complex"))

    def _leaving(self, caller: str) -> Any:
        number = _in_rule(self)._number(caller)
        if self._node is not None and (current.get().transforms or getattr(self._node, "walked", None) is None):
            raise errors.leaves_graph(self, caller)
        return number

    def __int__(self) -> int:
        return int(self._number("int"))

    def __index__(self) -> int:
        return plain(self).__index__()

    def __bool__(self) -> bool:
        return bool(self._number("bool"))

    def __format__(self, spec: str) -> str:
        return format(self._number("format"), spec) if spec else str(self)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return value in plain(self)

    def __reduce__(self) -> tuple[Any, ...]:  # for deepcopy, copy and pickle
        if isinstance(self._node, Node):
            code, text = code_of(self), f"{label_of(self)} is the result of {self._node} and has a history"
            raise TypeError(f"copy and pickle: {text}. Without it: {code}.detach(), or the array {code}.data")
        state = None if self.grad is None else (None, {"grad": np.array(plain(self.grad))})  # attributes, to be set
        return Tensor, (self._array, self.requires_grad, self.name), state

    def __repr__(self) -> str:
        body = np.array2string(self._array, separator=", ", prefix="Tensor(", threshold=100)
        parts = [f"Tensor({body}", str(self.dtype)] + ([f"name={self.name!r}"] if self.name else [])
        if isinstance(self._node, Node):
            parts.append(f"from {self._node.plan.primitive.name}")
        elif self._node is not None:
            missed = self._node.grad_since < Leaf.last_backward
            absent = f"None ({'backward ran and did not reach it' if missed else 'no backward yet'})"
            parts.append(f"grad={absent if self.grad is None else self.grad.shape}")
        return ", ".join(parts) + ")"

    __hash__ = object.__hash__

    __array_ufunc__ = array_ufunc
    __array_function__ = array_function

    # Operators

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __mul__, __rmul__ = _operator("multiply")
    __truediv__, __rtruediv__ = _operator("divide")
    __mod__, __rmod__ = _operator("remainder")
    __pow__, __rpow__ = _operator("power")
    __matmul__, __rmatmul__ = _operator("matmul")
    __neg__, __pos__, __abs__ = map(_method, ("negative", "copy", "abs"))
    __floordiv__, __rfloordiv__ = _constant(np.floor_divide)
    __and__, __rand__ = _constant(np.bitwise_and)
    __or__, __ror__ = _constant(np.bitwise_or)
    __xor__, __rxor__ = _constant(np.bitwise_xor)
    __lt__, __le__ = _constant(np.less)[0], _constant(np.less_equal)[0]
    __gt__, __ge__ = _constant(np.greater)[0], _constant(np.greater_equal)[0]
    __eq__: Any = _constant(np.equal)[0]  # type checkers take it for a bool otherwise
    __ne__: Any = _constant(np.not_equal)[0]

    def __invert__(self) -> np.ndarray:
        return np.invert(self)

    def __getitem__(self, index: Any) -> Tensor:
        return registry["getitem"](self, copied_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        with exclusive.lock:  # threads may fill parts of one Tensor
            assign(self, index, value)

    # NumPy's methods, the first of which only call the operation: its docstring has their parameters

    sum, mean, max, min, var = map(_method, "sum mean max min var".split())
    std, clip, astype, flatten = map(_method, "std clip astype flatten".split())

    def reshape(self, *shape: Any, order: str = "C") -> Tensor:
        """Return the same elements in another shape; one length may be -1."""
        return registry["reshape"](self, shape[0] if len(shape) == 1 else shape, order)

    def transpose(self, *axes: Any) -> Tensor:
        """Return this Tensor with its axes in another order, by default reversed."""
        return registry["transpose"](self, axes[0] if len(axes) == 1 else axes or None)

    def compress(self, condition: Any, axis: int | None = None) -> Tensor:
        """Pick the entries along `axis` for which `condition` holds."""
        return registry["compress"](condition, self, axis)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """Return the sum of the diagonal of each matrix in `axis1` and `axis2`."""
        return registry["matrix_trace"](self, offset, axis1, axis2)

    def argmax(self, axis: int | None = None) -> Any:
        """Return the index of the maximum, as a plain array."""
        return plain(self).argmax(axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Return the index of the minimum, as a plain array."""
        return plain(self).argmin(axis)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *hooks, *(name for name in registry if name.isidentifier())} - IN_PLACE)

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        """Make every other operation a method, ``t.relu()``, and every door an attribute, ``t.at``.

        Methods of arrays that have no derivative, such as ``t.round()``, return plain arrays.
        """
        if name == "_array":
            read = f"{label_of(self)} was read" + (f" ({self._node})" if self._node else "")
            cure = "Read it again after the assignment, or before it a copy: .copy()"
            raise RuntimeError(f"{read}, and then an assignment changed its numbers. {cure}")
        if name in hooks:
            return hooks[name](self)
        if name in CONSTANT and hasattr(np.ndarray, name):
            return partial(getattr(np, name), self)
        if name in registry and name not in IN_PLACE:
            return partial(registry[name], self)
        raise AttributeError(missing(name, "Tensor", [*registry, *vars(Tensor)]), name=name)


signs = "+= -= *= /= //= %= **= @=".split()  # &= and its like are for integers, which are no parameters
for name, sign in zip("add sub mul truediv floordiv mod pow matmul".split(), signs, strict=True):
    setattr(Tensor, f"__i{name}__", _in_place(sign, getattr(Tensor, f"__{name}__")))


def _in_rule(tensor: Tensor) -> Tensor:
    """Return `tensor`, unless the rule of a user's primitive that is differentiated would lose its numbers."""
    walk, node = current.get().walk, tensor._node
    if walk is None or node is None or (primitive := walk.node.plan.primitive).packaged:
        return tensor
    if node.birth >= walk.node.birth or any(node is parent for parent in walk.node.inputs):
        code = code_of(tensor)
        cure = f"Compute with {code} itself, by functions of np or ag. As a constant: ag.stop_gradient({code})"
        raise TypeError(f"{primitive.name}: a rule that is differentiated takes {code} out of the graph. {cure}")
    return tensor


def carry_back(node: Any, seed: Any, create_graph: bool, retain: bool = False, **options: Any) -> dict[Any, Any]:
    """Return gradients for `seed` = d loss / d node. Those of complex numbers have the direction in which loss grows.

    Rules multiply by derivatives that are not conjugated, so the walk takes and gives the conjugate of a gradient.
    """
    if node.dtype.kind == "c":
        seed = np.conj(seed)
    found = carry_through(node, seed, create_graph, retain, **options)
    return {n: np.conj(g) if n.dtype.kind == "c" else g for n, g in found.items()}


def carry_through(node: Any, seed: Any, create_graph: bool, retain: bool = False, **options: Any) -> dict[Any, Any]:
    """Call `walk`; with `create_graph`, the rules run on Tensors, the walk is recorded, and its results are Tensors.

    For a seed that is a Tensor, the rules run on Tensors too.
    """
    if create_graph and not isinstance(seed, Tensor):
        seed = Tensor(seed, name="seed")
    detached = (lambda array, node: Tensor._of(array, None)) if isinstance(seed, Tensor) else None
    wrap = Tensor._of if create_graph else detached
    return copy_context().run(walk, node, seed, retain=retain or create_graph, wrap=wrap, **options)
