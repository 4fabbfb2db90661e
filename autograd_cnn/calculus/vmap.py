"""`vmap`: a function of one example, run once on a batch of them.

Inside, a batched value is a Tensor whose array is an `Example`: it has the shape and the dtype of one example, no
numbers, and the array of all examples, along axis 0. The node of the Tensor is that of all examples: an operation on
such values runs once on all of them (`batching`), and they are on the tape as ever. So derivatives inside need no rules
of their own. The examples do not mix, and the gradient of the sum over them is the gradient of each. A variable of a
`grad` inside is repeated for each example, as a view without memory.
"""

from __future__ import annotations

import inspect
import math
import pickle
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, reduce, wraps
from typing import Any

import numpy as np

from autograd_cnn.calculus.batching import FORMS, expanded
from autograd_cnn.calculus.trees import parts_of, tree_filled, tree_items, tree_map
from autograd_cnn.engine.arrays import in_precision
from autograd_cnn.engine.assignment import share
from autograd_cnn.engine.mode import Mode, current, in_mode
from autograd_cnn.engine.numpy_calls import CONSTANT, OF_SHAPES, constant, exported, kind_of, known, plain
from autograd_cnn.engine.observe import as_primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tape import Leaf
from autograd_cnn.engine.tensor import Tensor


class Example(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for the array of one example. Whoever asks it for a number gets an error."""

    def __init__(self, level: Level, batch: Any) -> None:
        self.level, self.batch, self.dtype, self.shape = level, batch, batch.dtype, batch.shape[1:]
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    def __len__(self) -> int:
        return len(blank(self))

    def __repr__(self) -> str:
        return f"<one of {len(self.batch)} examples, {self.shape}>"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        return self.__array_function__(ufunc if method == "__call__" else getattr(ufunc, method), (), args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.array2string or Tensor in types or Tensor in map(type, args):  # a Tensor records the others
            return repr(self) if function is np.array2string else NotImplemented
        self._check_level()
        return constant(function, args, options)

    def _check_level(self) -> None:
        if self.level not in current.get().transforms:
            cure = "Return it: then it has all examples. Bounds of slices are the same for all; a solver has it by args"
            raise TypeError(f"vmap: a value of one example, after its vmap or where all need the same\n{cure}")

    def refused(self, *_: Any, **__: Any) -> Any:
        """Raise the error about numbers that only all examples have."""
        self._check_level()
        asked = f"vmap: the function asks for the numbers of one example, {self.shape} {self.dtype}"
        cures = "A branch: np.where(condition, x, y). An index into an array: ag.take(array, x). Filling one: ag.stack"
        cures += "([...]). BatchNorm: model.eval(). Another library: outside of vmap"
        raise TypeError(f"{asked}, and the examples differ\n{cures}")

    __array__ = __bool__ = __contains__ = refused

    def __getitem__(self, index: Any) -> Any:
        self._check_level()
        return _tensor(self, None)[index]

    def __getattr__(self, name: str) -> Any:
        if name in CONSTANT:
            return partial(getattr(np, name), self)
        if name in registry or name in ("T", "mT"):
            return getattr(_tensor(self, None), name)
        if name.startswith("__array_"):  # NumPy asks for these first
            raise AttributeError(name)
        return self.refused()


_tensor: Any = Tensor._of  # an Example is an array, but not to type checkers


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else value


def _node(value: Any) -> Any:
    return value._node if isinstance(value, Tensor) else None


def blank(value: Any) -> Any:
    """Return an array of the shape and the dtype of an example, which takes no memory."""
    value = _array(value)
    return np.broadcast_to(np.zeros((), value.dtype), value.shape) if isinstance(value, Example) else value


class running(in_mode):
    """Context manager around the function of a transform: the cause of an error comes in the place of NumPy's."""

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        cause: Any = getattr(error[1], "__cause__", None)
        if isinstance(cause, TypeError) and ("would leave the graph" in str(cause) or "vmap: " in str(cause)):
            raise cause from None


class Level:
    """A running `vmap` of `size` examples. It is in `Mode.transforms`, and its `call` is `Mode.call`."""

    variables, differentiated, nested = (), False, False

    def __init__(self, size: int) -> None:
        self.size, self.outside = size, current.get()

    def inside(self) -> running:
        """Return the mode of the function."""
        return running(call=self.call, transforms=(*self.outside.transforms, self))

    def below(self, **changes: Any) -> in_mode:
        """Return the mode of operations on all examples: that around this vmap."""
        return in_mode(call=self.outside.call, transforms=self.outside.transforms, **changes)

    def wrapped(self, batch: Any) -> Any:
        """Return the Tensor that stands for one example of a batch, or a tree of them."""
        return tree_map(lambda b: share(_tensor(Example(self, _array(b)), _node(b))), batch)

    def has(self, value: Any) -> bool:
        """Return whether a value, or one inside of a tuple or list, stands for an example of this level."""
        if isinstance(value, (tuple, list)):
            return any(map(self.has, value))
        return isinstance(_array(value), Example) and _array(value).level is self

    def is_apart(self, value: Any, operand: bool) -> bool:
        """Return whether a list, of which NumPy makes one array, has values of this level; a tuple may be an index."""
        if isinstance(value, tuple) and not operand:
            return any(self.is_apart(v, True) for v in value)
        return isinstance(value, (tuple, list)) and self.has(value)

    def batch(self, value: Any) -> Any:
        """Return all examples of a value of this level, and another value as it is."""
        return Tensor._of(_array(value).batch, _node(value)) if self.has(value) else value

    def expanded(self, value: Any) -> Any:
        """Return all examples of a value, which may be the same for all."""
        with self.below():
            return self.batch(value) if self.has(value) else expanded(value, self.size)

    def call(self, function: Any, args: Any, options: Any, mode: Mode) -> Any:
        """Run an operation on all examples, or a function of NumPy without a derivative."""
        if function in OF_SHAPES:
            return function(*map(blank, args), **options)
        primitive, rest = as_primitive(function, options)
        flat = primitive.bind(args, rest)
        if not primitive.sequence:
            flat = self.fitted(flat, [n in primitive.rules for n in primitive.flat_names(len(flat))])
        with self.below(recording=mode.recording and primitive is function):
            if self.has(flat):
                return self.wrapped(self.run(primitive, flat))
            return function(*args, **options) if primitive is function else constant(function, args, options)

    def fitted(self, values: Any, operands: list[bool]) -> list[Any]:
        """Convert numbers without a history to the dtype of the other operands, as an operation on one example does."""
        floats = {i: v for i, v in enumerate(values) if operands[i] and kind_of(v) in ("f", "c")}
        weak = {i for i, v in floats.items() if v.shape == () and _node(v) is None}
        if len(weak) < len(floats) and self.has([values[i] for i in weak]):
            common = np.result_type(*{v.dtype for i, v in floats.items() if i not in weak})
            taken = {i: registry["astype"](values[i], in_precision(values[i].dtype, common)) for i in weak}
            return [taken.get(i, v) for i, v in enumerate(values)]
        return [*values]

    def run(self, primitive: Any, flat: list[Any]) -> Any:
        """Run an operation on all examples by its form, or on one after the other."""
        is_numpys = not (primitive.rules or self.outside.left)  # it takes arrays
        batched = {i for i, a in enumerate(flat) if self.has(a)}
        form = FORMS.get(primitive.batch) if isinstance(primitive.batch, str) else primitive.batch
        names = primitive.flat_names(len(flat))
        if any(self.is_apart(a, n in (primitive.rules or names)) for a, n in zip(flat, names, strict=True)):
            form = None
        args = tree_map(self.batch, flat)
        result = form(primitive, plain(args) if is_numpys else args, batched, self.size) if form else NotImplemented
        if result is not NotImplemented:
            return result

        def one(i: int) -> Any:
            args = tree_map(lambda v: registry["getitem"](self.batch(v), i) if self.has(v) else v, flat)
            return primitive(*primitive.grouped(plain(args) if is_numpys else args))

        return self.loop(primitive.name, one)

    def loop(self, name: str, run: Callable[[int], Any]) -> Any:
        """Run an operation on one example after the other, and return all results, or those of each of several."""
        results = [run(i) for i in range(self.size)]
        if results and isinstance(results[0], (tuple, list)):
            return tuple(self.loop(name, part.__getitem__) for part in zip(*results, strict=True))
        if len(shapes := [*dict.fromkeys(map(np.shape, results))]) != 1:
            what = f"results of the shapes {shapes}\nnp.where keeps the shape" if shapes else "no result: no examples"
            raise ValueError(f"vmap: {name}, which runs on one example after the other, gives {what}")
        return registry["stack"](results)


def levels() -> list[Level]:
    """Return the vmaps that are running, outermost first."""
    return [t for t in current.get().transforms if isinstance(t, Level)]


def lowered(value: Any) -> Any:
    """Return all examples of all running vmaps."""
    return reduce(lambda value, level: level.expanded(value), reversed(levels()), value)


def numbers(value: Any) -> Any:
    """Return the numbers of all examples, for decisions that all of them share."""
    return plain(lowered(value))


def raised(batch: Any) -> Any:
    """Return the value that stands for one example of a batch of all running vmaps."""
    return reduce(lambda batch, level: level.wrapped(batch), levels(), batch)


def for_all(function: Callable[[Any], list[Any]], value: Any, ours: list[Level]) -> list[Any]:
    """Call a function of all examples of the vmaps `ours` for a value of one example of the running ones.

    Under further ones, the function is mapped over their examples, whose axes come behind those of `ours`.
    """
    running, k = levels(), len(ours)
    if running[:k] != ours:
        raise TypeError("vjp: the vmap in which it was called is over. Call the function that it returned inside of it")
    for _ in running[k:]:
        function = vmap(function, k, k)
    batch = lowered(value)
    around = tuple(t for t in current.get().transforms if t not in running)
    with in_mode(call=running[0].outside.call, transforms=around) if running else in_mode():
        found = function(batch)
    return [*map(raised, found)]


def variable(value: Any) -> Any:
    """Return a copy of a value without history as a leaf, one for each example of all running vmaps."""
    array = numbers(value) if levels() else np.array(value)
    return raised(Tensor._of(array, Leaf(array.shape, array.dtype, None)))


def _leaves(axes: Any, tree: Any, place: str, parameter: str) -> list[tuple[str, Any, Any]]:
    """Return the place of every leaf of `tree`, its axis and the leaf. One of `axes` may be for a part of the tree."""
    theirs, parts, is_result = parts_of(axes), parts_of(tree), parameter == "out_axes"
    if theirs and parts and theirs.keys() == parts.keys():
        return [leaf for k in parts for leaf in _leaves(theirs[k], parts[k], f"{place}[{k!r}]", parameter)]
    kinds = (int, np.integer) if is_result else (int, np.integer, type(None))
    if not isinstance(axes, kinds) or isinstance(axes, bool):
        what = f"the parts {[*parts]}" if parts else "no parts"
        cure = f"Want an int for all of it or for each part{'. Of equal ones: result[0]' if is_result else ', or None'}"
        raise ValueError(f"vmap: {parameter} has {axes!r} for {place}, which has {what}\n{cure}")
    leaves = [(path, axes, leaf) for path, leaf in tree_items(tree, place)]
    for path, axis, leaf in leaves:
        ndim = np.ndim(leaf) + is_result
        if axis is not None and not -ndim <= axis < ndim:
            text = f"vmap: {path} is {np.shape(leaf)}, and by {parameter}, axis {axis} counts the examples"
            cure = f"Want {-ndim} to {ndim - 1}" if is_result else "None instead of it: the same for all examples"
            raise ValueError(f"{text}\n{cure}")
    return leaves


def _front(axis: int, value: Any) -> Any:
    """Return a copy of what others may write into, with the axis of the examples in front."""
    value = registry["moveaxis"](value, axis, 0) if axis else value
    return value if _is_recorded(value) else np.array(exported(plain(value)))  # indices are not locked


def _left(level: Level, place: str, axis: int, value: Any) -> Any:
    """Return all examples of a result."""
    if not (hasattr(value, "shape") or isinstance(value, (int, float))):
        raise TypeError(f"vmap: {place} is {reprlib.repr(value)}, want arrays, numbers or trees of them")
    value = registry["moveaxis"](level.expanded(value), 0, axis) if axis else level.expanded(value)
    return value if _is_recorded(value) else plain(value)


def _is_recorded(value: Any) -> bool:
    return getattr(value, "requires_grad", False) or not known(value)


class _Global:
    """The generator of ``np.random.normal`` and its kin, with a `state` as others have."""

    state = property(lambda self: np.random.get_state(), lambda self, state: np.random.set_state(state))


_global = _Global()


@contextmanager
def drawing(f: Any, *args: Any, **options: Any) -> Iterator[dict[int, tuple[Any, Any]]]:
    """Collect, by their id, the generators from which a call of `f` draws, and their states before."""
    drawn = {id(rng): (rng, rng.state) for rng in _generators(f, *args, **options)}
    with in_mode(draws=(*current.get().draws, drawn)):  # those of operations and layers come by this
        yield drawn
    for key, (rng, before) in [*drawn.items()]:
        if pickle.dumps(rng.state) == pickle.dumps(before):
            del drawn[key]


def _generators(f: Any, *args: Any, **options: Any) -> list[Any]:
    """Return NumPy's global generator, and those among arguments, variables from outside, and attributes of `f`."""
    f = inspect.unwrap(f)  # of a gradient, the function
    if isinstance(f, partial):
        return _generators(f.func, *f.args, *args, **f.keywords, **options)
    names: Any = inspect.getclosurevars(f) if inspect.isfunction(f) or inspect.ismethod(f) else ({}, {})
    found = {**names[0], **names[1], **getattr(getattr(f, "__self__", f), "__dict__", {}), **options}
    return [_global, *(v.bit_generator for v in (*args, *found.values()) if isinstance(v, np.random.Generator))]


def vmap(f: Any, in_axes: Any = 0, out_axes: Any = 0, axis_size: Any = None) -> Any:
    """Return a function that calls `f` for all examples of a batch at once.

    `f` is written for one example and runs once: each operation in it runs on all examples. A derivative inside is that
    of one example, so ``vmap(grad(loss), (None, 0, 0))`` computes a gradient for each. Arguments by keyword are the
    same for all examples.

    Parameters
    ----------
    f : callable
        Takes and returns arrays, or trees of them.
    in_axes : int, None, or tuple
        The axis of each argument that counts the examples; None for an argument that is the same for all of them. One
        for all arguments, or a tuple with one for each. For an argument that is a tree, also a tree of axes.
    out_axes : int, or tree
        Where that axis is in the results.
    axis_size : int, optional
        The number of examples, needed if no argument counts them.

    Returns
    -------
    callable
        Its results have the structure of that of `f`: arrays, or Tensors if a gradient flows to them.

    Raises
    ------
    ValueError
        If an argument has no such axis, or if the arguments have different numbers of examples.
    RuntimeError
        If `f` draws random numbers, which would be the same for all examples. Pass them as an argument. Draws of
        operations are noticed, and those from NumPy's global generator and from generators that are an argument, a
        variable or an attribute of `f`.
    TypeError
        If `f` needs the numbers of one example, as a branch ``if x > 0:`` does. Write ``np.where(x > 0, ..., ...)``.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.vmap(np.dot)(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([1., 4.])
    >>> loss = lambda w, x, y: (x @ w - y) ** 2
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 0.0])
    >>> ag.vmap(ag.grad(loss), in_axes=(None, 0, 0))(np.zeros(2), x, y)
    array([[-2., -4.],
           [ 0.,  0.]])
    """

    @wraps(f)
    def mapped(*args: Any, **options: Any) -> Any:
        leaves = _leaves(in_axes, args, "arguments", "in_axes")
        sizes = {place: np.shape(x)[axis] for place, axis, x in leaves if axis is not None}
        sizes |= {} if axis_size is None else {"axis_size": axis_size}
        if len({*sizes.values()}) != 1:
            numbers = ", ".join(f"{size} of {place}" for place, size in sizes.items()) or "none: axis_size=n for n"
            raise ValueError(f"vmap: want one number of examples, and by in_axes={in_axes!r} there are {numbers}")
        level = Level(next(iter(sizes.values())))
        inner = [x if axis is None else level.wrapped(_front(axis, x)) for _, axis, x in leaves]
        with level.inside(), drawing(f, *args, **options) as drawn:
            result = f(*tree_filled(args, inner), **options)
            leaves = _leaves(out_axes, result, "the result", "out_axes")
        if drawn:
            cure = f"Draw for each before: ag.vmap(lambda x, noise: ...)(x, rng.normal(size=({level.size}, ...)))"
            raise RuntimeError(f"vmap: f draws random numbers, the same for all. {cure}. Dropout: model.eval()")
        return tree_filled(result, [_left(level, *leaf) for leaf in leaves])

    return mapped
