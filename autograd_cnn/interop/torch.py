"""Finds how each weight of a model looks in PyTorch, which is not needed.

PyTorch has images as (N, C, H, W), weights of convolutions as (out, in, KH, KW) and of dense layers as (out, in). A
dense layer behind a flatten also has its rows in another order, (C, H, W) for (H, W, C). So one run of the model is
observed: each activation gets a tag, which says how PyTorch has it, and the operation that uses a weight shows the
weight's layout. If PyTorch may have an activation in other ways, too, the reason is noted, and a weight that depends on
the way is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

import autograd_cnn as ag
from autograd_cnn.calculus.trees import tree_leaves
from autograd_cnn.engine.messages import spell
from autograd_cnn.engine.observe import Call
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop.calls import array_of, arrays_of, axes_of, calls_of, parts_of
from autograd_cnn.nn import GRU, LSTM, RNN, Module, MultiheadAttention, TransformerEncoderLayer
from autograd_cnn.nn.module import in_training_mode

SAME, IMAGE, PIXELS, FEATURES = "same", "image", "pixels", "features"
"""How PyTorch has an array: as it is here; with the last axis behind the first, (N, C, H, W) for (N, H, W, C); in one
of these two ways; or as it is here, but with axes made of features, of which PyTorch may make images in another way.

The fifth kind of tag is a shape (H, W, C): as it is here, but the last axis is of flattened images, there (C, H, W).
None stands for an unknown order.
"""
Shape = tuple[int, ...]
Tag = str | Shape | None
Tags = list[tuple[Tag, Shape]]
Operands = list[tuple[str, np.ndarray]]

_NAMES = {"w": "weight", "b": "bias"}
_CONVOLUTIONS: set[Any] = {ag.conv2d, ag.conv_transpose2d}
_OF_IMAGES: set[Any] = {ag.adaptive_avg_pool2d, ag.group_norm, ag.interpolate, ag.pixel_shuffle, ag.pixel_unshuffle}
"""Functions with PyTorch's meaning, which calculate images from images in several steps."""
_OF_SETS: set[Any] = {ag.softmax, ag.log_softmax, ag.standardize}
"""Operations whose result for a number depends on the others, but not on their order."""
_SEQUENCES = RNN, LSTM, GRU, MultiheadAttention, TransformerEncoderLayer
"""Layers whose inputs and weights are the same in PyTorch."""

_CURE = (
    "Write it in PyTorch's order: behind the convolution x.transpose(0, 3, 1, 2), or (0, 2, 1) for sequences, "
    "and from there on as in PyTorch"
)
_CONTRARY = f"joins arrays that PyTorch has in different orders. {_CURE}"
_CALCULATED = "takes a weight that is calculated from inputs, or picked by an index"
_CURE_IMAGES = "To make images of features, do as in PyTorch: reshape to (N, C, H, W), then transpose(0, 2, 3, 1)"
_STRANGE = (
    "takes numbers that are not calculated from the example by recorded operations. "
    "Make a constant a buffer, self.c = ag.Tensor(c), and use neither .data nor transforms"
)
_BY_HAND = "Or leave out layout: arrays are in this package's then, and can be converted by hand"


class Refused(ValueError):
    """Raised where PyTorch needs an array in two orders, or in another one than it has."""


class Layout(NamedTuple):
    """How PyTorch has a weight.

    Attributes
    ----------
    axes : tuple of int
        The axes here in PyTorch's order.
    axis : int
        The axis here whose elements are the numbers of flattened images.
    image : tuple of int
        Their extents (H, W, C), which PyTorch flattens as (C, H, W). Empty: no axis is of this kind.
    """

    axes: Shape
    axis: int = 0
    image: Shape = ()

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of this package."""
        return (array.take(self.order(), self.axis) if self.image else array).transpose(self.axes)

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of PyTorch."""
        array = array.transpose(np.argsort(self.axes))
        return array.take(np.argsort(self.order()), self.axis) if self.image else array

    def order(self) -> np.ndarray:
        """Return the places here of the numbers of an image, in PyTorch's order."""
        return np.moveaxis(np.arange(math.prod(self.image)).reshape(self.image), -1, 0).ravel()


def as_it_is(ndim: int) -> Layout:
    """Return the layout of a weight that is the same in PyTorch."""
    return Layout(tuple(range(ndim)))


def torch_names(caller: str, paths: Mapping[str, Any]) -> dict[str, str]:
    """Return PyTorch's name for each path of a weight: ``conv1.w`` is ``conv1.weight``."""
    names = {}
    for path in paths:
        head, dot, last = path.rpartition(".")
        names[path] = head + dot + _NAMES.get(last, last)
    twice = [path for path in paths if path != names[path] and names[path] in paths]
    if twice:
        raise ValueError(f"{caller}: PyTorch's name for {twice[0]} is {names[twice[0]]}, which the model has already")
    return names


def torch_layouts(caller: str, model: Module, example: Any) -> dict[str, Layout]:
    """Run a model in evaluation mode on an example, and return how to convert each of its weights, by path.

    Raises
    ------
    ValueError
        If the layout of a weight cannot be found.
    """
    inputs = tuple(Tensor(x) for x in (example if isinstance(example, tuple) else (example,)))
    finder = _Finder(caller, model)
    with in_training_mode(model, training=False):
        calls, result = calls_of(model, inputs)
    moved = [c for c in calls if c.primitive.batch != "elementwise" and id(array_of(c.values[0])) not in finder.weights]
    axes = moved[0].arguments.get("axes") if moved else None
    for x in inputs:  # the model may begin with a transposition: then the example is in PyTorch's order
        turned = axes and tuple(axes) == _to_last(x.ndim)
        finder.tags[id(x.data)] = FEATURES if turned else IMAGE if x.ndim == 4 else SAME
    for call in calls:
        finder.see(call)
    return finder.all(result)


# Tags


def _to_last(n: int) -> Shape:
    return (0, *range(2, n), 1)


def loose(shape: Shape) -> bool:
    """Whether the numbers have the same order wherever the last axis stands."""
    return shape[-1:] == (1,) or math.prod(shape[1:-1]) == 1


def reshaped(x: Tag, old: Shape, new: Shape) -> Tag:
    """Return the tag after a reshape."""
    if isinstance(x, tuple):
        return x if old[-1:] == new[-1:] else None
    before, after = ([n for n in shape if n != 1] for shape in (old, new))
    if x in (IMAGE, PIXELS):
        ends = len(new) > 2 and (old[0], old[-1]) == (new[0], new[-1])
        if before == after and ends:
            return x
        if not loose(old):
            flat = x == IMAGE and len(old) < 5 and new == (old[0], math.prod(old[1:]))
            return old[1:] if flat else PIXELS if ends else None
    return FEATURES if x == FEATURES or (before and after and after[-1] % before[-1]) else SAME


def transposed(x: Tag, shape: Shape, axes: Shape) -> Tag:
    """Return the tag after a transposition."""
    n = len(axes)
    if axes == tuple(range(n)) or isinstance(x, tuple):
        return x if axes[-1] == n - 1 else None
    if x in (IMAGE, PIXELS) and not loose(shape):
        to_second = axes == (0, n - 1, *range(1, n - 1))
        return None if not to_second else SAME if x == IMAGE or n > 3 else PIXELS
    return PIXELS if axes == _to_last(n) and (n > 3 or x == FEATURES) else x if x == FEATURES else SAME


def without(x: Tag, shape: Shape, gone: Sequence[int]) -> Tag:
    """Return the tag of what is left without some axes."""
    n, rest = len(shape), {*range(len(shape))} - {*gone}
    if not gone or (x == FEATURES and len(rest) > 2) or (isinstance(x, tuple) and n - 1 in rest):
        return x
    if x in (IMAGE, PIXELS) and n - 1 in rest and rest & {*range(1, n - 1)} and not loose(shape):
        return x if 0 in rest else None
    return SAME


def joined(operands: Tags, shape: Shape, axis: int | None = None) -> Tag:
    """Return the tag of an elementwise result, or of arrays that are joined along an axis.

    Raises
    ------
    Refused
        If PyTorch has the operands in different orders.
    """
    n = len(shape)
    found = [(x, (1,) * (n - len(s)) + s) for x, s in operands]
    for x in (x for x, _ in found if isinstance(x, tuple)):
        if axis != n - 1 and any(y != x and s[-1] > 1 for y, s in found):
            raise Refused(_CONTRARY)
        return None if axis == n - 1 else x
    seen, shown = {x for x, _ in found}, {x for x, s in found if not loose(s)}
    if FEATURES in seen and not shown & {IMAGE, PIXELS}:
        return FEATURES if shown or n > 4 or loose(shape) else PIXELS
    if FEATURES in shown:
        raise Refused(f"joins images with features. {_CURE_IMAGES}")
    if not shown:  # from now on it may matter where the last axis stands
        settled = loose(shape) or (n == 3 and axis in (0, 1))
        return IMAGE if IMAGE in seen else SAME if settled else PIXELS
    return shown.pop() if len(shown) == 1 else IMAGE if n == 4 and SAME not in shown else PIXELS


def aligned(x: Tag, w: np.ndarray, ndim: int) -> Layout | None:
    """Return the layout of a weight in an elementwise operation with a result of `ndim` axes, None if it is unknown."""
    same, lost = as_it_is(w.ndim), ndim - w.ndim
    if w.size == 1 or x in (SAME, FEATURES) or (w.ndim == 1 and x in (IMAGE, PIXELS)):
        return same
    if isinstance(x, tuple):
        return same if w.shape[-1] == 1 else Layout(same.axes, w.ndim - 1, x)
    first = (0,) * (1 - lost)
    return Layout((*first, w.ndim - 1, *range(len(first), w.ndim - 1))) if x == IMAGE and lost < 2 else None


def place_of(call: Call) -> str:
    """Return the name of an operation and the user's line."""
    return f"{getattr(call.function, '__name__', call.primitive.name)} ({spell(call.place)})"


def ambiguous(call: Call) -> str:
    """Return the reason why the order of a result is unknown."""
    (_, x), *_ = arrays_of(call)
    known, what = call.primitive.packaged or call.primitive.batch, f"{place_of(call)} {x.shape} -> {call.out.shape}"
    own = "" if known else " @ag.primitive(elementwise=True) says that each number of it keeps its place."
    return f"{what}: PyTorch may have its numbers in another order.{own} {_CURE}"


def looks_up(call: Call) -> bool:
    """Whether rows of a table are picked, perhaps by numbers of the input."""
    index = call.values[1] if call.primitive in (ag.getitem, ag.take) else ()
    return any(getattr(array_of(i), "ndim", 0) for i in (index if isinstance(index, tuple) else (index,)))


class _Finder:
    """Passes through the calls of a model: the tag of each activation, and the layout of each weight."""

    def __init__(self, caller: str, model: Module) -> None:
        self.caller = caller
        self.tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.weights = {id(t.data): path for path, t in self.tensors.items()}
        self.sequences = {m.path for m in model.modules() if isinstance(m, _SEQUENCES)}
        self.made: dict[int, Call] = {}  # by the id of the result: calls that have only weights and constants
        self.tags: dict[int, Tag] = {}  # by the id of the array
        self.reasons: dict[int, str] = {}  # why an array has no tag
        self.found: dict[str, tuple[Layout, str]] = {}

    def all(self, result: Any) -> dict[str, Layout]:
        """Return the layout of every weight. A vector needs no conversion, even if the run does not use it."""
        for out in tree_leaves(result):
            if self.tags.get(id(array_of(out))) == FEATURES and out.ndim == 4 and not loose(out.shape):
                self.refuse([], f"the result {out.shape} is made of features. {_CURE_IMAGES}")
        for path, t in self.tensors.items():
            if path not in self.found and t.ndim > 1:
                self.refuse([("", t.data)], "model(example) does not use it")
        return {path: self.found.get(path, (as_it_is(t.ndim), ""))[0] for path, t in self.tensors.items()}

    def refuse(self, weights: Operands, reason: str) -> NoReturn:
        """Refuse the first of some weights, or of those that it was made from."""
        while weights and id(weights[0][1]) in self.made:
            weights = self.weights_of(self.made[id(weights[0][1])])
        what = f"{self.weights[id(weights[0][1])]} {weights[0][1].shape}" if weights else "the weights"
        raise ValueError(f"{self.caller}: cannot convert {what} to PyTorch's layout: {reason}. {_BY_HAND}")

    def weights_of(self, call: Call) -> Operands:
        return [(name, a) for name, a in arrays_of(call) if id(a) in self.weights or id(a) in self.made]

    def see(self, call: Call) -> None:
        """Note what one call shows."""
        arrays, weights, out = [a for _, a in arrays_of(call)], self.weights_of(call), id(call.out.data)
        x = [(self.tag(call, a), a.shape) for a in arrays if id(a) in self.tags]
        reason = next((self.reasons[id(a)] for a in arrays if id(a) in self.reasons), None)
        picked = bool(weights) and looks_up(call)
        if weights and not x and not picked and any(self.strange(a) for a in arrays):
            reason = f"{place_of(call)} {_STRANGE}"
        if not reason and not x and not picked and not (weights and call.primitive in {*_CONVOLUTIONS, ag.linear}):
            self.made.update({out: call} if weights else {})
            return
        try:
            tag = None if reason else self.result(call, x, weights)
            if reason and any(math.prod(shape[1:]) > 1 for _, shape in x):
                raise Refused(_CONTRARY)
        except Refused as error:
            self.refuse(weights, f"{place_of(call)} {error}")
        if tag is not None:
            self.tags[out] = tag
        elif weights:
            self.refuse(weights, reason or ambiguous(call))
        else:
            self.reasons[out] = reason or ambiguous(call)

    def strange(self, array: np.ndarray) -> bool:
        """Whether an array may come from the example in a way that is not recorded, unlike zeros and one-hot rows."""
        known = {*self.weights, *self.made, *self.reasons}
        return id(array) not in known and array.ndim > 1 and array.dtype.kind == "f" and bool((array % 1).any())

    def tag(self, call: Call, array: np.ndarray) -> Tag:
        """Return the tag of an operand. Layers for sequences have the same order in PyTorch."""
        x, scope = self.tags[id(array)], call.mode.scope
        while scope and scope[0] not in self.sequences:
            scope = scope[1]
        return SAME if scope and not isinstance(x, tuple) else x

    def need(self, weights: Operands, call: Call, **layouts: Layout) -> None:
        """Note the layouts of weights by the names of the operands; the others are the same."""
        for name, array in weights:
            self.note(array, layouts.get(name, as_it_is(array.ndim)), place_of(call))

    def note(self, array: np.ndarray, layout: Layout, by: str) -> None:
        """Note the layout of a weight, or of an array that is made from weights."""
        if id(array) in self.weights:
            known, first = self.found.setdefault(self.weights[id(array)], (layout, by))
            if known != layout:
                self.refuse([("", array)], f"{first} and {by} need it in different layouts. Give one its own weight")
            return
        call = self.made[id(array)]
        (_, w), *_ = arrays_of(call)
        if layout == as_it_is(array.ndim):  # from equal weights, PyTorch calculates equal results
            self.need(self.weights_of(call), call)
        elif call.primitive is ag.expand_dims and call.arguments["axis"] == 0:  # by conv1d
            self.note(w, Layout(tuple(a - 1 for a in layout.axes if a)), by)
        elif call.primitive is ag.transpose and layout.axes == (0, 1):
            self.note(w, layout._replace(axis=1 - layout.axis), by)
        else:
            turned = call.primitive is ag.transpose and array.ndim == 2
            cure = "Write x @ w.T" if turned else "Save the result as a parameter, and use that"
            self.refuse([("", array)], f"{place_of(call)} calculates with it before {by}. {cure}")

    # Results of calls

    def result(self, call: Call, x: Tags, weights: Operands) -> Tag:
        """Note the layouts that a call shows, and return the tag of its result, None if it is unknown."""
        p, first = call.primitive, x[0][0] if x and not weights else None
        if p in _CONVOLUTIONS:
            return self.convolution(call, weights)
        if first and (call.function in _OF_IMAGES or p.batch == "images"):
            return self.image(*x[0])
        if first in (IMAGE, PIXELS) and call.function is ag.pad:
            return first
        if p in (ag.linear, ag.matmul):
            return self.product(call, weights)
        if weights and looks_up(call):
            self.need(weights, call)
            return SAME
        if p.batch in ("elementwise", "channels") or p in (ag.concatenate, ag.stack, ag.broadcast_to):
            tag = self.joined(call, x, weights)
        else:
            tag = self.moved(call, *x[0]) if len(x) == 1 and not weights else self.other(call, x, weights)
        if call.function in (ag.layer_norm, ag.rms_norm) and tag == IMAGE:
            whole = any(w.ndim > 1 for _, w in weights) or (p is ag.standardize and len(axes_of(call)) > 1)
            return IMAGE if whole else PIXELS  # over the last axis, PyTorch needs (N, H, W, C)
        return tag

    def joined(self, call: Call, x: Tags, weights: Operands) -> Tag:
        """Return the tag of an elementwise result, or of arrays that are joined; its weights have the same order."""
        p, shape, axis = call.primitive, call.out.shape, None
        if p in (ag.concatenate, ag.stack) and call.arguments["axis"] is not None:
            axis = call.arguments["axis"] % len(shape)
        if p is ag.stack:
            x = [(reshaped(y, s, t), t) for y, s in x for t in [(*s[:axis], 1, *s[axis:])]]
        if None in dict(x) or (p is ag.concatenate and axis is None) or (p is ag.stack and weights):
            return self.other(call, x, weights)
        tag = joined(x, shape, axis)
        if tag == PIXELS and len(shape) == 3 and any(w.ndim > 1 and max(w.shape[-2:]) > 1 for _, w in weights):
            tag = SAME  # the shape of the weight shows that PyTorch has (N, L, C)
        for _, w in weights:
            layout = aligned(tag, w, len(shape))
            if layout is None:
                return None
            self.note(w, layout, place_of(call))
        return tag

    def moved(self, call: Call, x: Tag, shape: Shape) -> Tag:
        """Return the tag after an operation that moves, picks or reduces the numbers of one array."""
        p, new, n = call.primitive, call.out.shape, len(shape)
        if p.batch == "reshape":
            return reshaped(x, shape, new) if call.arguments.get("order", "C") == "C" else None
        if p is ag.transpose:
            return transposed(x, shape, tuple(a % n for a in call.arguments["axes"] or range(n)[::-1]))
        gone, cut, inner = new[:0], False, new  # axes; if the order on the last one counts; shape without new axes
        parts = parts_of(call.arguments["index"], n) if p is ag.getitem else ()
        old, along = [i for i in parts if i is not None], p is ag.take or p.batch in ("axes", "axis")
        if p is ag.getitem and all(isinstance(i, (slice, int, np.integer)) and i is not True for i in old):
            gone, cut = tuple(k for k, i in enumerate(old) if not isinstance(i, slice)), old[-1:] != [slice(None)]
            kept = [i for i in parts if i is None or isinstance(i, slice)]
            inner = tuple(m for m, i in zip(new, kept, strict=True) if i is not None)
        elif p is ag.pad_constant:
            cut = shape[-1] != new[-1]
        elif along and len(new) <= n and (call.arguments["axis"] is not None or new == ()):
            gone = axes_of(call) if len(new) < n else ()
            cut = not gone and n - 1 in axes_of(call) and new[-1] != 1 and p not in _OF_SETS
        else:
            return self.other(call, [(x, shape)], [])
        if isinstance(x, tuple) and (cut or new[-1:] == (1,)):
            return None if cut else SAME
        left = without(x, shape, gone)
        return left if left is None or inner == new else reshaped(left, inner, new)

    def other(self, call: Call, x: Tags, weights: Operands) -> Tag:
        """Return the tag after an unknown operation: from equal arrays, PyTorch calculates equal results."""
        tags = {y for y, _ in x}
        if tags <= {SAME, FEATURES}:
            self.need(weights, call)
            return FEATURES if FEATURES in tags else SAME
        if len(tags) > 1 and not tags <= {SAME, IMAGE, PIXELS}:
            raise Refused(_CONTRARY)
        return None

    def image(self, x: Tag, shape: Shape) -> Tag:
        """Return the tag of what is calculated from images of one tag."""
        if x == FEATURES and self.found and not loose(shape):  # else no weight has acted on them
            raise Refused(f"takes images that were made of features. {_CURE_IMAGES}")
        return None if isinstance(x, tuple) else IMAGE

    def convolution(self, call: Call, weights: Operands) -> Tag:
        """Note the layouts for a convolution, whose input may be a weight, too."""
        x, w, *_ = (a for _, a in arrays_of(call))
        if id(w) in self.tags:
            raise Refused(_CALCULATED)
        tag = self.image(self.tag(call, x), x.shape) if id(x) in self.tags else IMAGE
        if tag == IMAGE:
            self.need(weights, call, x=Layout((0, 3, 1, 2)), w=Layout((3, 2, 0, 1)))
        return tag

    def product(self, call: Call, weights: Operands) -> Tag:
        """Return the tag of a product along the last axis, for which PyTorch has to transpose images."""
        (_, a), (name, b), *_ = arrays_of(call)
        left, right = (self.tag(call, v) if id(v) in self.tags else None for v in (a, b))
        if right:
            if call.primitive is ag.linear:
                raise Refused(f"{_CALCULATED}. Write x @ w")
            if left in (SAME, FEATURES) and right == PIXELS:  # transposed for this
                return left
            tag = self.other(call, [(y, v.shape) for y, v in ((left, a), (right, b)) if y], weights)
            tokens = call.out.ndim == 3 and {left or SAME, right} <= {SAME, IMAGE, PIXELS} and not weights
            return PIXELS if tag is None and tokens else tag
        if b.ndim > 2 and left not in (None, SAME, FEATURES):
            return None
        axes = (1, 0) if call.primitive is ag.linear else as_it_is(b.ndim).axes
        rows = left if isinstance(left, tuple) else ()
        self.need(weights, call, **{name: Layout(axes, max(b.ndim - 2, 0) if rows else 0, rows)})
        if rows:
            return SAME if any(w is b for _, w in weights) else None
        if left in (IMAGE, PIXELS):
            return PIXELS
        return left if left and call.out.ndim > 2 else SAME
