"""`vmap`: a function of one example, run once on a batch of them.

Inside, a batched value is a Tensor whose array is an `Example`: it has the shape and the dtype of one example, no
numbers, and the array of all examples, along axis 0. The node of the Tensor is that of all examples: an operation on
such values runs once on all of them (`batching`), and they are on the tape as ever. So derivatives inside need no rules
of their own. The examples do not mix, and the gradient of the sum over them is the gradient of each. A variable of a
`grad` inside is repeated for each example, as a view without memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from functools import cache, partial, reduce, wraps
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd_cnn.calculus.batching import FORMS, operands
from autograd_cnn.calculus.trees import parts_of, tree_items, tree_map
from autograd_cnn.engine import errors
from autograd_cnn.engine.fitting import unbroadcast
from autograd_cnn.engine.messages import written
from autograd_cnn.engine.mode import Mode, current, in_mode
from autograd_cnn.engine.numpy_calls import CONSTANT, OF_SHAPES, constant, plain
from autograd_cnn.engine.primitive import Primitive, as_primitive
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
        if any(isinstance(a, Tensor) for a in args):
            return NotImplemented  # the Tensor records it
        self._check_level()
        return constant(ufunc if method == "__call__" else getattr(ufunc, method), args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.array2string or Tensor in types:
            return repr(self) if function is np.array2string else NotImplemented
        self._check_level()
        return constant(function, args, options)

    def _check_level(self) -> None:
        if self.level not in current.get().transforms:
            over = f"vmap: {written() or 'the code'} uses a value of one example, whose vmap is over"
            raise TypeError(f"{over}\nReturn it from the function: then it has all examples")

    def refused(self, *_: Any, **__: Any) -> Any:
        """Raise the error about numbers that only all examples have."""
        self._check_level()
        asked = f"vmap: {written() or 'the code'} asks for the numbers of one example, {self.shape} {self.dtype}"
        cures = "A branch: np.where(condition, x, y). An index into an array: ag.take(array, x). Filling one: ag.stack"
        cures += "([...]). BatchNorm: model.eval(). Another library: outside of vmap"
        raise TypeError(f"{asked}, and the examples differ\n{cures}")

    __array__ = __bool__ = __contains__ = refused

    def __getitem__(self, index: Any) -> Any:
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


def blank(value: Any) -> Any:
    """Return an array of the shape and the dtype of an example, which takes no memory."""
    value = value._array if isinstance(value, Tensor) else value
    return np.broadcast_to(np.zeros((), value.dtype), value.shape) if isinstance(value, Example) else value


class Level:
    """A running `vmap` of `size` examples. It is in `Mode.transforms`, and its `call` is `Mode.call`."""

    variables = ()
    differentiated = nested = False

    def __init__(self, size: int, randomness: str = "same") -> None:
        self.size, self.randomness, self.outside = size, randomness, current.get()

    def generator(self, rng: Any, caller: str) -> Any:
        """Return the generator of an operation that is about to draw: for all examples, or for each."""
        if self.randomness == "error":
            cure = 'ag.vmap(f, randomness="different") draws for each example, and "same" once for all'
            raise RuntimeError(f"{caller}: draws random numbers in vmap. {cure}")
        each = SimpleNamespace(random=lambda size, *how: self.wrapped(rng.random((self.size, *size), *how)))
        return rng if self.randomness == "same" else each

    def inside(self) -> in_mode:
        """Return the mode of the function."""
        return in_mode(call=self.call, transforms=(*self.outside.transforms, self))

    def below(self, **changes: Any) -> in_mode:
        """Return the mode of operations on all examples: that around this vmap."""
        return in_mode(call=self.outside.call, transforms=self.outside.transforms, **changes)

    def wrapped(self, batch: Any) -> Any:
        """Return the Tensor that stands for one example of a batch, or one for each of several."""
        if isinstance(batch, tuple):
            return tuple(map(self.wrapped, batch))
        array, node = (batch._array, batch._node) if isinstance(batch, Tensor) else (np.asarray(batch), None)
        return _tensor(Example(self, array), node)

    def batch(self, value: Any) -> Tensor | None:
        """Return all examples of a value of this level, or None."""
        array, node = (value._array, value._node) if isinstance(value, Tensor) else (value, None)
        return Tensor._of(array.batch, node) if isinstance(array, Example) and array.level is self else None

    def expanded(self, value: Any) -> Any:
        """Return all examples of a value, which may be the same for all."""
        batch = self.batch(value)
        with self.below():
            return registry["broadcast_to"](value, (self.size, *np.shape(value))) if batch is None else batch

    def has(self, value: Any) -> bool:
        if isinstance(value, (tuple, list)):
            return any(map(self.has, value))
        return self.batch(value) is not None

    def call(self, function: Any, args: Any, options: Any, mode: Mode) -> Any:
        """Run an operation on all examples, or a function of NumPy without a derivative."""
        if function in OF_SHAPES:
            return function(*map(blank, args), **options)
        primitive, rest = as_primitive(function, options)
        flat, elements = primitive.bind(args, rest)
        with self.below():
            if not self.has(list(flat)):
                return function(*args, **options)
        with self.below(recording=mode.recording and primitive is function):
            return self.wrapped(self.run(primitive, list(flat), elements))

    def run(self, primitive: Any, flat: list[Any], elements: int) -> Any:
        batched = {i for i, a in enumerate(flat) if self.has(a)}
        form = FORMS.get(primitive.batch) if isinstance(primitive.batch, str) else primitive.batch
        if form is not None:
            args = self.batches(flat)
            result = form(primitive, args if primitive.rules or self.outside.left else plain(args), batched, self.size)
            if callable(result) and self.size:
                places = operands(primitive, flat)
                return each(primitive, result)(*[self.expanded(a) if i in places else a for i, a in enumerate(flat)])
            if result is not NotImplemented and not callable(result):
                return result
        return self.loop(primitive.name, lambda i: primitive(*primitive.grouped(self.example(flat, i), elements)))

    def batches(self, value: Any) -> Any:
        """Return all examples of a value, or of the values in one."""
        if isinstance(value, (tuple, list)):
            return type(value)(map(self.batches, value))
        return value if (batch := self.batch(value)) is None else batch

    def loop(self, name: str, run: Callable[[int], Any]) -> Any:
        """Run an operation on one example after the other, and return all results, or those of each of several."""
        results = [run(i) for i in range(self.size)]
        if results and isinstance(results[0], (tuple, list)):
            return tuple(self.loop(name, part.__getitem__) for part in zip(*results, strict=True))
        if len(shapes := [*dict.fromkeys(map(np.shape, results))]) != 1:
            what = f"results of the shapes {shapes}\nnp.where keeps the shape" if shapes else "no result: no examples"
            raise ValueError(f"vmap: {name}, which runs on one example after the other, gives {what}")
        return registry["stack"](results)

    def example(self, value: Any, i: int) -> Any:
        """Return example `i` of a value, or of the values in one."""
        if isinstance(value, (tuple, list)):
            return type(value)(self.example(v, i) for v in value)
        batch = self.batch(value)
        silent = batch is None or not (batch._node or self.outside.left or isinstance(batch._array, Example))
        if silent:
            return value if batch is None else batch._array[i]
        return registry["getitem"](batch, i)


@cache
def each(primitive: Any, function: Callable[..., Any]) -> Primitive[...]:
    """Return `primitive` on all examples as one operation.

    ``function(primitive, *args)`` computes it from arrays, in which axis 0 of the operands counts the examples. The
    rules are those of one example, under a `Level`.
    """
    run = wraps(primitive.textbook)(partial(function, primitive))
    made: Primitive[...] = Primitive(run, strict=primitive.strict, complex=primitive.complex)
    made.name = f"{primitive.name} of each example"
    for rule in {r.textbook for r in primitive.rules.values()}:
        ours = copy(rule)
        ours.needs = list(dict.fromkeys([*rule.needs, *(f"{name}_shape" for name in rule.inputs)]))
        ours.function, ours.into = partial(_of_each, rule, ours.needs, {*primitive.rules, "out"}), None
        made.rules.update(dict.fromkeys(rule.inputs, ours))
    return made


def _of_each(rule: Any, needs: list[str], arrays: set[str], g: Any, *values: Any) -> Any:
    """Run the rule of one example on all examples."""
    level = Level(len(g))
    given: dict[str, Any] = dict(zip(needs, values, strict=True))
    for need, value in given.items():
        if need in arrays and value is not None:
            given[need] = level.wrapped(value)
        elif need.removesuffix("_shape") in arrays:
            given[need] = value[1:]
    with level.inside():
        found = rule.function(level.wrapped(g), *(given[need] for need in rule.needs))
        found = zip(rule.inputs, found if rule.joint else [found], strict=True)
        found = [level.expanded(unbroadcast(c, given[f"{name}_shape"])) for name, c in found]
    found = found if isinstance(g, Tensor) else plain(found)
    return found if rule.joint else found[0]


def levels() -> list[Level]:
    """Return the vmaps that are running, outermost first."""
    return [t for t in current.get().transforms if isinstance(t, Level)]


def is_batched(value: Any) -> bool:
    """Return whether a value stands for one example of several."""
    return isinstance(value._array if isinstance(value, Tensor) else value, Example)


def lowered(value: Any) -> Any:
    """Return all examples of all running vmaps."""
    return reduce(lambda value, level: level.expanded(value), reversed(levels()), value)


def raised(batch: Any) -> Any:
    """Return the value that stands for one example of a batch of all running vmaps."""
    return reduce(lambda batch, level: level.wrapped(batch), levels(), batch)


def for_all(function: Callable[[Any], list[Any]], value: Any, ours: list[Level]) -> list[Any]:
    """Call a function of all examples of the vmaps `ours` for a value of one example of the running ones.

    For the others it runs once too: its argument is of one example of them all, so that each operation runs on all.
    """
    running, k = levels(), len(ours)
    if running[:k] != ours:
        raise TypeError("vjp: the vmap in which it was called is over. Call the function that it returned inside of it")
    if running == ours:
        return [raised(found) for found in function(lowered(value))]
    inner, outer = range(k, len(running)), range(len(running) - k)
    batch = registry["moveaxis"](lowered(value), inner, outer)  # the axes of `ours` are those of the function
    around = tuple(t for t in current.get().transforms if not isinstance(t, Level))
    with in_mode(call=running[0].outside.call, transforms=around):
        sizes = batch.shape[: len(outer)]
        level = Level(math.prod(sizes))
        with level.inside():
            found = function(level.wrapped(registry["reshape"](batch, (level.size, *batch.shape[len(outer) :]))))
        results = [registry["reshape"](r, (*sizes, *r.shape[1:])) for r in map(level.expanded, found)]
        results = [registry["moveaxis"](r, outer, inner) for r in results]
    return [raised(r) for r in results]


def variable(value: Any) -> Any:
    """Return a copy of a value without history as a leaf, one for each example of all running vmaps."""
    array = plain(lowered(value)) if levels() else np.array(value)
    return raised(Tensor._of(array, Leaf(array.shape, array.dtype, None)))


def _leaves(axes: Any, tree: Any, place: str, parameter: str) -> list[tuple[str, Any, Any]]:
    """Return the place of every leaf of `tree`, its axis and the leaf. One of `axes` may be for a part of the tree."""
    if axes is None or isinstance(axes, (int, np.integer)):
        return [(path, axes, leaf) for path, leaf in tree_items(tree, place)]
    theirs, parts = parts_of(axes), parts_of(tree)
    if not theirs or theirs.keys() != parts.keys():
        what = f"the parts {[*parts]}" if parts else "no parts"
        cure = "Want an int or None for all of it, or one for each part"
        raise ValueError(f"vmap: {parameter} has {axes!r} for {place}, which has {what}\n{cure}")
    return [leaf for k in parts for leaf in _leaves(theirs[k], parts[k], f"{place}[{k!r}]", parameter)]


def _moved(place: str, axis: int | None, value: Any, parameter: str) -> Any:
    """Move the axis of the examples to the front, or from there."""
    if axis is None:
        return value
    if not -np.ndim(value) <= axis < np.ndim(value):
        text = f"vmap: {place} is {np.shape(value)}, and by {parameter}, axis {axis} counts the examples"
        raise ValueError(f"{text}\nNone instead of it: the same for all examples")
    return registry["moveaxis"](value, *((0, axis) if parameter == "out_axes" else (axis, 0))) if axis else value


def _left(level: Level, place: str, axis: int | None, value: Any) -> Any:
    """Return all examples of a result."""
    if not (hasattr(value, "shape") or isinstance(value, (int, float))):
        raise TypeError(f"vmap: {place} is {value!r:.40}, want arrays, numbers or trees of them")
    if axis is None and level.has(value):
        raise ValueError(f"vmap: {place} differs from example to example, and out_axes for it is None")
    value = _moved(place, axis, value if axis is None else level.expanded(value), "out_axes")
    return value if _is_recorded(value) else plain(value)


def _is_recorded(value: Any) -> bool:
    return getattr(value, "requires_grad", False) or is_batched(value)


def _copied(value: Any) -> Any:
    """Return a copy of what others may write into. Indices are not locked, and a result is not the user's array."""
    return value if _is_recorded(value) else np.array(plain(value))


def _filled(tree: Any, leaves: list[Any]) -> Any:
    """Return a tree with other leaves."""
    supply = iter(leaves)
    return tree_map(lambda _: next(supply), tree)


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, randomness: str = "error") -> Callable[..., Any]:
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
    out_axes : int, None, or tree
        Where that axis is in the results. None for a result that is the same for all examples.

    randomness : {"error", "same", "different"}
        Whether an operation that draws random numbers, such as dropout, is refused, draws once for all examples, or
        for each of them. Generators that `f` calls itself draw once.

    Returns
    -------
    callable
        Its results have the structure of that of `f`: arrays, or Tensors if a gradient flows to them.

    Raises
    ------
    ValueError
        If an argument has no such axis, or if the arguments have different numbers of examples.
    RuntimeError
        If an operation draws random numbers, unless `randomness` says how.
    TypeError
        If `f` asks for the numbers of one example, as a branch ``if x > 0:`` does. Write ``np.where(x > 0, ..., ...)``.

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

    if randomness not in ("error", "same", "different"):
        raise ValueError(f'vmap: randomness is {randomness!r}, want "error", "same" or "different"')

    @wraps(f)
    def mapped(*args: Any, **options: Any) -> Any:
        leaves = _leaves(in_axes, args, "arguments", "in_axes")
        batches = [_moved(*leaf, "in_axes") for leaf in leaves]
        sizes = {place: len(b) for (place, axis, _), b in zip(leaves, batches, strict=True) if axis is not None}
        if len({*sizes.values()}) != 1:
            numbers = ", ".join(f"{size} of {place}" for place, size in sizes.items()) or "none"
            raise ValueError(f"vmap: want one number of examples, and by in_axes={in_axes!r} there are {numbers}")
        level = Level(next(iter(sizes.values())), randomness)
        pairs = zip(leaves, batches, strict=True)
        inner = [b if axis is None else level.wrapped(_copied(b)) for (_, axis, _), b in pairs]
        with level.inside():
            try:
                result = f(*_filled(args, inner), **options)
            except ValueError as error:
                errors.explain_function(error, f, [])
                raise
        return _filled(result, [_left(level, *leaf) for leaf in _leaves(out_axes, result, "the result", "out_axes")])

    return mapped
