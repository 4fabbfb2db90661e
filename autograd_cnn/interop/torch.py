"""Finds how each weight of a model looks in PyTorch, which is not needed.

PyTorch has images as (N, C, H, W), weights of convolutions as (out, in, KH, KW) and of dense layers as (out, in). A
dense layer behind a flatten also changes the order of its rows, from (H, W, C) to (C, H, W). So one run of the model is
observed. `moves` has the axes of its activations, and an operation that uses a weight shows the weight's layout. If the
weight passed through operations before, `moves` follows the layout back through these. A layout that cannot be
followed, or has two meanings in PyTorch, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.messages import spell
from autograd_cnn.engine.observe import Call
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop import axes as forms
from autograd_cnn.interop.axes import Axis, Form, Refused, as_here, channels_first, images, joined, mixed, same, whole
from autograd_cnn.interop.calls import array_of, arrays_of, axes_of, calls_of
from autograd_cnn.interop.layouts import Layout, as_it_is
from autograd_cnn.interop.moves import MOVES, before
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode

_NAMES = {"w": "weight", "b": "bias"}
_FROM_IMAGES: set[Any] = {
    ag.adaptive_avg_pool2d, ag.adaptive_max_pool2d, ag.interpolate, ag.local_response_norm, ag.pixel_shuffle,
    ag.pixel_unshuffle,
}  # fmt: skip
"""Functions with PyTorch's meaning, which calculate images from images in several steps."""

_CURE = "Use the weight itself there"
_CURE_IMAGES = "To make images of features, do as in PyTorch: reshape to (N, C, H, W), then transpose(0, 2, 3, 1)"
_CURE_TOKENS = "Tokens as in PyTorch: x.transpose(0, 3, 1, 2).reshape(N, C, H * W).transpose(0, 2, 1)"
_BY_HAND = "Or leave out layout: arrays are in this package's then, and can be converted by hand"


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
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    inputs = tuple(Tensor(x) for x in (example if isinstance(example, tuple) else (example,)))
    with in_training_mode(model, training=False):
        calls, _ = calls_of(model, inputs)
    finder = _Finder(caller, tensors, inputs)
    for call in calls:
        finder.see(call)
    return finder.all()


class _Finder:
    """Passes through the calls of a model: the form of each activation, and the layout of each weight."""

    def __init__(self, caller: str, tensors: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> None:
        self.caller, self.tensors = caller, tensors
        self.weights = {id(t.data): path for path, t in tensors.items()}
        self.made: dict[int, Call] = {}  # by the id of the result: calls that have only weights and constants
        self.forms = {id(t.data): (images if t.ndim == 4 else as_here)(t.shape, given=True) for t in inputs}
        self.found: dict[str, tuple[Layout, str]] = {}

    def all(self) -> dict[str, Layout]:
        """Return the layout of every weight. A vector needs no conversion, even if the run does not use it."""
        result = {}
        for path, t in self.tensors.items():
            if path not in self.found and t.ndim > 1:
                self.refuse(path, "model(example) does not use it")
            layout, described = self.found.get(path, (as_it_is(t.ndim), ""))
            if layout.axes is None and t.ndim > 1:
                self.refuse(path, f"it is transposed before {described}, and PyTorch may have it either way. {_CURE}")
            result[path] = layout
        return result

    def refuse(self, path: str | None, reason: str) -> NoReturn:
        what = f"{path} {self.tensors[path].shape}" if path is not None else "the weights"
        raise ValueError(f"{self.caller}: cannot convert {what} to PyTorch's layout: {reason}. {_BY_HAND}")

    def fail(self, array: np.ndarray | None, reason: str) -> NoReturn:
        """Refuse the first weight that an array was made from."""
        while id(array) in self.made:
            array = next(a for _, a in arrays_of(self.made[id(array)]) if self.is_weight(a))
        self.refuse(self.weights.get(id(array)), reason)

    def is_weight(self, array: np.ndarray | None) -> bool:
        return id(array) in self.weights or id(array) in self.made

    def see(self, call: Call) -> None:
        """Note what one call shows."""
        step = _Step(self, call)
        if step.forms or (step.weights and (step.looks_up or call.primitive in _LAYERS)):
            try:
                form = step.form()
            except Refused as error:
                self.fail(next((a for _, a in step.weights), None), f"{step.described} {error}")
            reason = (form.reason or step.mixes()) if form.uncertain else ""
            self.forms[id(call.out.data)] = replace(form, given=form.given and not step.weights, reason=reason)
        elif step.weights:
            self.made[id(call.out.data)] = call

    def demand(self, array: np.ndarray, layout: Layout, described: str) -> None:
        """Note the layout of a weight, or of an array that is made from weights."""
        if id(array) in self.made:
            self.back(self.made[id(array)], layout, described)
            return
        path = self.weights[id(array)]
        known, by = self.found.get(path, (layout, described))
        both = known.both(layout)
        if both is None:
            self.refuse(path, f"{by} and {described} need it in different layouts. {_CURE}")
        self.found[path] = both, by

    def back(self, call: Call, layout: Layout, described: str) -> None:
        """Follow a layout back to the operands of a call. From equal weights, PyTorch calculates equal results."""
        for _, array in arrays_of(call):
            if self.is_weight(array):
                earlier = as_it_is(array.ndim) if layout.trivial else before(call, array.shape, layout)
                if earlier is None:
                    place = f"{call.primitive.name} {array.shape} -> {call.out.shape} ({spell(call.place)})"
                    self.fail(array, f"it passes {place} before {described}. {_CURE}")
                self.demand(array, earlier, described)


class _Step:
    """A call: its weights, and the forms of its activations by name."""

    def __init__(self, finder: _Finder, call: Call) -> None:
        self.finder, self.call = finder, call
        self.primitive, self.shape, self.place = call.primitive, call.out.shape, spell(call.place)
        self.described = f"{self.primitive.name} ({self.place})"
        self.operands = list(arrays_of(call))
        self.weights = [(name, a) for name, a in self.operands if finder.is_weight(a)]
        self.forms = [finder.forms[id(a)] for _, a in self.operands if id(a) in finder.forms]

    @property
    def looks_up(self) -> bool:
        """Whether rows of a table are picked, perhaps by numbers of the input: the index is a copy of these."""
        if self.primitive not in (ag.getitem, ag.take):
            return False
        index = self.call.values[1]
        return any(getattr(array_of(i), "ndim", 0) for i in (index if isinstance(index, tuple) else (index,)))

    def form(self) -> Form:
        """Note the layouts that the weights have, and return the form of the result."""
        if self.primitive in _LAYERS:
            return _LAYERS[self.primitive](self)
        if self.primitive is ag.matmul:
            return self.matmul()
        if self.weights and self.looks_up:
            return self.other()
        x = self.forms[0]
        if self.call.function in _FROM_IMAGES:
            return images(self.shape) if len(self.shape) == 4 else self.lost(x)
        if self.primitive.batch == "images":
            self.check_images(x)
            return images(self.shape, x.axes[-1], given=x.given)
        move = None if self.weights else MOVES.get(self.primitive)
        moved = move.forward(self.call, x) if move is not None else None
        if moved is not None:
            return moved
        if self.primitive is ag.concatenate:
            return self.concatenation()
        if self.primitive.batch in ("elementwise", "channels"):
            form = self.joined(self.forms)
            self.align(form)
            return form
        return self.other()

    def mixes(self) -> str:
        """Return why the form of the result is unknown."""
        if self.primitive in (ag.linear, ag.matmul):
            return f"{self.described} takes images, whose axes PyTorch may have in any order"
        x = self.operands[0][1]
        what = "makes images of features" if x.ndim < len(self.shape) else "joins axes, which PyTorch may reorder"
        if not self.primitive.packaged and not self.primitive.batch:
            what = "is not known: @ag.primitive(elementwise=True) says that each number of it has a place of its own"
        cure = f". {_CURE_TOKENS}" if self.primitive in (ag.reshape, ag.flatten) and len(self.shape) == 3 else ""
        return f"{self.primitive.name} {x.shape} -> {self.shape} ({self.place}) {what}{cure}"

    # Layouts

    def need(self, array: np.ndarray, axes: Any, rows: Sequence[Axis | None], x: Form | None = None) -> None:
        """Demand a layout for a weight."""
        if any(axis is None for axis in rows):
            self.finder.fail(array, (x and x.reason) or self.combines())
        found = tuple(whole(n) if axis == () else forms.tidy(axis) for axis, n in zip(rows, array.shape, strict=True))
        self.finder.demand(array, Layout(axes, found), self.described)

    def bias(self) -> None:
        for name, b in self.weights:
            if name == "b":
                self.need(b, same(b.ndim), [*map(whole, b.shape)])

    def joined(self, operands: Sequence[Form]) -> Form:
        """Join forms. The shape of a weight, such as a table of positions, shows that PyTorch has tokens (N, L, C)."""
        form = joined(operands, self.shape)
        tokens = form.order == forms.UNKNOWN and len(self.shape) == 3
        tokens &= any(w.ndim > 1 and max(w.shape[-2:]) > 1 for _, w in self.weights)
        return replace(form, order=same(3), reason="") if tokens else form

    def align(self, x: Form) -> None:
        """Demand for the weights of an elementwise operation the order of the result's axes, whose form is `x`."""
        n = len(x.axes)
        for _, w in self.weights:
            lost = n - w.ndim
            rows = [() if m == 1 else x.axes[k + lost] for k, m in enumerate(w.shape)]
            if w.ndim < 2 or x.order == same(n) or w.size == 1:
                axes = same(w.ndim)
            elif isinstance(x.order, tuple) and lost < 2:
                axes = tuple(a - lost for a in x.order if a >= lost)
            else:
                self.finder.fail(w, x.reason or self.combines())
            self.need(w, axes, rows, x)

    def combines(self) -> str:
        others = [a.shape for _, a in self.operands if not self.finder.is_weight(a)]
        return f"{self.described} combines it with {', '.join(map(str, others))}"

    # Operations with weights of their own

    def check_images(self, x: Form) -> None:
        if not x.images:
            found = sorted({f.reason for f in self.forms if f.reason})
            reasons = f" ({'; '.join(found)})" if found else ""
            raise Refused(f"takes images that were made of features{reasons}. {_CURE_IMAGES}")

    def activation(self, array: np.ndarray, form: Any) -> Form:
        """Return the form of an activation, or demand that of a weight in its place."""
        if id(array) in self.finder.forms:
            return self.finder.forms[id(array)]
        x: Form = form(array.shape)
        if self.finder.is_weight(array):
            self.need(array, x.order, x.axes)
        return x

    def kernel(self, w: np.ndarray) -> np.ndarray:
        """Return the operand `w`, which PyTorch has in another order, so that it cannot be an activation."""
        if id(w) in self.finder.forms:
            raise Refused("takes a weight that is calculated from inputs, or picked by an index")
        return w

    def convolution(self) -> Form:
        axis = 2 if self.primitive is ag.conv2d else 3  # of w, which meets the channels of x
        operands = dict(self.operands)
        x, w = self.activation(operands["x"], images), self.kernel(operands["w"])
        self.check_images(x)
        if mixed(x.axes[-1]) and self.call.arguments["groups"] != 1:
            raise Refused("takes groups of channels that PyTorch has in another order")
        rows: list[Axis | None] = [*map(whole, w.shape)]
        if w.shape[axis] == operands["x"].shape[-1]:  # else they are those of a group
            rows[axis] = x.axes[-1]
        if self.finder.is_weight(w):
            self.need(w, (3, 2, 0, 1), rows, x)
        self.bias()
        return images(self.shape)

    def linear(self) -> Form:
        operands = dict(self.operands)
        self.activation(operands["x"], as_here)
        self.kernel(operands["w"])
        form = self.matmul()
        self.bias()
        return form

    def features(self, x: Form) -> Form:
        """Return the form of a product along the last axis, for which PyTorch has to transpose images."""
        n = len(self.shape)
        order = same(n) if n < 3 or x.order == same(len(x.axes)) else forms.UNKNOWN
        split = x.split if n > 2 else 0
        return Form((*x.axes[:-1], whole(self.shape[-1]))[:n], order, split=split, reason=x.reason)

    def matmul(self) -> Form:
        (_, a), (_, b), *_ = self.operands
        left, right = (self.finder.forms.get(id(v)) or as_here(v.shape) for v in (a, b))
        row = right.axes[-2] if b.ndim > 1 else right.axes[-1]
        if self.finder.is_weight(b):
            if b.ndim > 2 and left.order != same(a.ndim):
                self.finder.fail(b, left.reason or self.combines())
            rows: list[Axis | None] = [*map(whole, b.shape)]
            rows[max(b.ndim - 2, 0)] = left.axes[-1]
            self.need(b, (1, 0) if self.primitive is ag.linear else same(b.ndim), rows, left)
            row = left.axes[-1]
        elif self.finder.is_weight(a):
            if right.order != same(b.ndim):
                self.finder.fail(a, right.reason or self.combines())
            self.need(a, same(a.ndim), [*map(whole, a.shape[:-1]), row], right)
            left = replace(left, axes=(*left.axes[:-1], row))
        if b.ndim < 3 and id(b) not in self.finder.forms:
            return self.features(left) if not mixed(left.axes[-1]) or self.finder.is_weight(b) else self.lost(left)
        return self.product(left, right, row)

    def product(self, left: Form, right: Form, row: Axis | None) -> Form:
        """Return the form of a product of two activations."""
        if forms.tidy(left.axes[-1]) != forms.tidy(row) and () not in (left.axes[-1], row):
            raise Refused("multiplies arrays whose elements PyTorch has in different orders")
        n, both = len(self.shape), (left, right)
        ordered = [f.order == same(len(f.axes)) for f in both if len(f.axes) > 2]
        rows = left.axes[-2:-1] if len(left.axes) > 1 else ()
        columns = right.axes[-1:] if len(right.axes) > 1 else ()
        batch = map(whole, self.shape[: n - len(rows) - len(columns)])
        reason = right.reason if right.order == forms.UNKNOWN else left.reason or right.reason
        order = same(n) if all(ordered) or n < 3 else forms.UNKNOWN
        return Form((*batch, *rows, *columns), order, split=max(f.split for f in both), reason=reason)

    # The others

    def lost(self, x: Form) -> Form:
        """Return a form of which nothing is known."""
        return Form((None,) * len(self.shape), forms.UNKNOWN, split=x.split, reason=x.reason)

    def other(self) -> Form:
        """An operation of which nothing is known: PyTorch calculates equal results from equal arrays."""
        if all(f.trivial for f in self.forms):
            for _, w in self.weights:
                self.finder.demand(w, as_it_is(w.ndim), self.described)
            return as_here(self.shape, split=max((f.split for f in self.forms), default=0))
        for _, w in self.weights:
            self.finder.fail(w, next((f.reason for f in self.forms if f.reason), self.combines()))
        return self.lost(self.forms[0])

    def concatenation(self) -> Form:
        n, (axis, *_) = len(self.shape), axes_of(self.call)
        if any(mixed(f.axes[axis]) for f in self.forms):
            return self.other()
        longer = whole(self.shape[axis])
        forms = [replace(f, axes=(*f.axes[:axis], longer, *f.axes[axis + 1 :])) for f in self.forms]
        form = self.joined(forms)
        if form.order not in (same(n), channels_first(n)) and any(w.ndim > 1 and w.size > 1 for _, w in self.weights):
            self.finder.fail(self.weights[0][1], form.reason or self.combines())
        self.align(form)
        return form


_LAYERS: dict[Any, Callable[[_Step], Form]] = {
    ag.conv2d: _Step.convolution, ag.conv_transpose2d: _Step.convolution, ag.linear: _Step.linear,
}  # fmt: skip
"""Operations that PyTorch has in layers, whose weights it has in another order."""
