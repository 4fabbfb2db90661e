"""Follows the axes of an array through the operations of a model: their order here, and in PyTorch.

PyTorch has images as (N, C, H, W). A flatten joins what is there in the order of its memory: (H, W, C) here, (C, H, W)
there. So each axis has its factors, and each array has the order of its axes. A step that has two meanings in PyTorch,
such as a reshape of pixels to tokens, leaves the order unknown until another operation shows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

Shape = tuple[int, ...]
Axis = tuple[tuple[int, int], ...]
"""The factors of an axis in our order: the extent, and the place in PyTorch's order. An extent of 1 has none."""

UNKNOWN = "unknown"
"""The order of axes that is no permutation."""


class Refused(ValueError):
    """Raised where PyTorch may have an array in several orders, and the result depends on it."""


def whole(extent: int) -> Axis:
    """Return an axis of one factor."""
    return ((extent, 0),) if extent != 1 else ()


def tidy(axis: Axis | None) -> Axis | None:
    """Join the factors that stand one after the other in both orders."""
    result: list[tuple[int, int]] = []
    for extent, place in axis or ():
        if result and result[-1][1] + 1 == place:
            result[-1] = result[-1][0] * extent, place
        else:
            result.append((extent, place))
    return None if axis is None else _ranked(result)


def mixed(axis: Axis | None) -> bool:
    """Whether PyTorch has the elements of an axis in another order, or in an unknown one."""
    return axis is None or len(tidy(axis) or ()) > 1


def same(ndim: int) -> Shape:
    """Return the order of axes that is the same in PyTorch."""
    return tuple(range(ndim))


def channels_first(ndim: int) -> Shape:
    """Return the axes (N, ..., C) in the order (N, C, ...)."""
    return (0, ndim - 1, *range(1, ndim - 1)) if ndim > 1 else same(ndim)


def _ranked(factors: Iterable[tuple[int, Any]]) -> Axis:
    """Number the places of factors from 0."""
    factors = list(factors)
    places = sorted(place for _, place in factors)
    return tuple((extent, places.index(place)) for extent, place in factors)


@dataclass(frozen=True)
class Form:
    """How PyTorch has an array.

    Attributes
    ----------
    axes : tuple
        The factors of each axis here. None if their order in PyTorch is unknown.
    order : tuple of int, or UNKNOWN
        The axes here in PyTorch's order.
    given : bool
        Whether it is an input on which no weight has acted: PyTorch may be given its numbers in any order.
    split : int
        The number of features that were split into several axes, or 0. PyTorch may make images of them in another way.
    reason : str
        The operation that may have made something unknown.
    """

    axes: tuple[Axis | None, ...]
    order: Any
    given: bool = False
    split: int = 0
    reason: str = ""

    @property
    def trivial(self) -> bool:
        """Whether PyTorch has the same numbers in the same places."""
        return self.order == same(len(self.axes)) and not any(map(mixed, self.axes))

    @property
    def uncertain(self) -> bool:
        """Whether something is unknown."""
        return None in self.axes or self.order == UNKNOWN or bool(self.split)

    @property
    def images(self) -> bool:
        """Whether an operation on images (N, ..., C) has one meaning."""
        n = len(self.axes)
        either = [self.sequence(n, channels_first(n)), self.sequence(n, same(n))]
        fits = self.order == UNKNOWN or self.sequence(n) in either
        return fits and not self.split and not any(map(mixed, self.axes[1:-1]))

    def sequence(self, ndim: int, order: Shape | None = None) -> list[int]:
        """Return the axes of more than one element in PyTorch's order, as axes of an array with `ndim` axes."""
        lost = ndim - len(self.axes)
        return [a + lost for a in (self.order if order is None else order) if self.axes[a] != ()]

    def only(self, kept: Sequence[int | None], ones: Iterable[int] = ()) -> Form:
        """Return the form of the axes in `kept`, of which `ones` have extent 1 now; None makes a new one."""
        axes = tuple(() if k is None or k in ones else self.axes[k] for k in kept)
        order = self.order
        if isinstance(order, tuple):
            order = _sorted([None if k is None else (order.index(k),) for k in kept])
        elif len(kept) < 2 or (len(kept) == 2 < len(self.axes) and kept[0] == 0):  # a batch of features has one order
            order = same(len(kept))
        return replace(self, axes=axes, order=order)

    def transposed(self, axes: Shape) -> Form:
        """Return the form after a transposition by the user, which PyTorch does not need to have images."""
        n = len(axes)
        to_images = self.order == same(n) and axes == (0, *range(2, n), 1) and (n > 3 or (n == 3 and self.split))
        order: Any = UNKNOWN  # PyTorch may have images of features in either order
        if axes == self.order or (self.order == same(n) and not to_images):
            order = same(n)
        moved = tuple(self.axes[a] for a in axes)
        if self.order == channels_first(n) != same(n) and order == UNKNOWN and axes[-1] != n - 1:
            moved = (None,) * n  # in PyTorch, these axes may hold others
        return replace(self, axes=moved, order=order, split=0 if to_images else self.split)

    def reshaped(self, shape: Shape, tokens: bool) -> Form:
        """Return the form after a reshape; `tokens` says that joined pixels may have either order in PyTorch."""
        known = isinstance(self.order, tuple)
        factors = [
            (extent, k, ((self.order.index(k) if known else k), place))
            for k, axis in enumerate(self.axes)
            for extent, place in (axis if axis is not None else ((0, 0),))
        ]
        groups = _regrouped(factors, shape)
        if groups is None:
            return replace(self, axes=(None,) * len(shape), order=UNKNOWN)
        places = sorted(place for group in groups for _, _, place in group)
        axes: list[Axis | None] = []
        for group in groups:
            ranks = [places.index(place) for _, _, place in group]
            alone = len({k for _, k, _ in group}) < 2
            together = alone or (known and max(ranks) - min(ranks) < len(ranks))
            axes.append(_ranked([(extent, place) for extent, _, place in group]) if together else None)
        order: Any = self.order
        if known:
            order = _sorted([min((p for _, _, p in group), default=None) for group in groups])
        elif len(shape) < 3 and all(group[0][1] == 0 for group in groups[:1] if group):
            order = same(len(shape))
        if tokens and len(shape) < len(self.axes) and order != same(len(shape)):
            order = UNKNOWN
        torn = any(mixed(axis) and not any(_has(g, k, self.axes) for g in groups) for k, axis in enumerate(self.axes))
        cut = any(len(place) > 2 for group in groups for _, _, place in group)
        cut |= any(len(group) > 1 for group in groups)  # into tokens, of several pixels in a row
        if torn and (cut or order != channels_first(len(shape)) or any(map(mixed, axes))):  # not back to the images
            return replace(self, axes=(None,) * len(shape), order=UNKNOWN)
        return self._features(axes, order, groups)

    def _features(self, axes: list[Axis | None], order: Any, groups: Any) -> Form:
        """Note whether a reshape split features, or joined all of them again."""
        last = len(self.axes) - 1
        cut = any(len(place) > 2 and k == last for group in groups for _, k, place in group)
        split = self.split
        if cut and not self.given:
            split = max(split, math.prod(extent for extent, _ in self.axes[last] or ()))
        elif axes and axes[-1] is not None and math.prod(extent for extent, _ in axes[-1]) == split:
            axes[-1], split = tidy(axes[-1]), 0
        return replace(self, axes=tuple(axes), order=order, split=split)


def _sorted(places: Sequence[tuple[int, ...] | None]) -> Shape:
    """Return the axes in the order of their places; one without a place goes behind the last of those before it."""
    found: list[tuple[int, ...]] = []
    for place in places:
        found.append(max(found, default=(-1,)) if place is None else place)
    return tuple(sorted(range(len(found)), key=lambda k: (found[k], k)))


def _has(group: Sequence[tuple[int, int, Any]], k: int, axes: Sequence[Axis | None]) -> bool:
    """Whether a new axis contains all of an old one."""
    return math.prod(n for n, axis, _ in group if axis == k) == math.prod(n for n, _ in axes[k] or ())


def _regrouped(factors: Sequence[tuple[int, int, Any]], shape: Shape) -> list[list[tuple[int, int, Any]]] | None:
    """Return the factors of each new axis, split where needed; None if they do not fit.

    A factor is an extent, its old axis, and its place in PyTorch; a part of one has a longer place.
    """
    waiting, groups = [*factors][::-1], []
    for new in shape:
        group, rest = [], new
        while rest != 1:
            if not waiting or not rest or not waiting[-1][0]:
                return None
            extent, axis, place = waiting.pop()
            common = math.gcd(extent, rest)
            if common < min(extent, rest):
                return None
            if common < extent:
                waiting.append((extent // common, axis, (*place, 1)))
                place = (*place, 0)
            group.append((common, axis, place))
            rest //= common
        groups.append(group)
    return None if waiting else groups


def as_here(shape: Shape, **options: Any) -> Form:
    """Return the form of an array that is the same in PyTorch."""
    return Form(tuple(map(whole, shape)), same(len(shape)), **options)


def images(shape: Shape, channels: Axis | None = None, **options: Any) -> Form:
    """Return the form of images (N, ..., C), whose channels may have an order of their own."""
    axes = (*map(whole, shape[:-1]), whole(shape[-1]) if channels is None else channels)
    return Form(axes, channels_first(len(shape)), **options)


def joined(forms: Sequence[Form], shape: Shape) -> Form:
    """Return the form of an elementwise result. An operand whose order is known decides how PyTorch has the others.

    Raises
    ------
    Refused
        If two operands have different orders in PyTorch.
    """
    n = len(shape)
    fixed = [f for f in forms if not f.given] or forms
    axes = [_common([f.axes[k - n] for f in fixed if len(f.axes) >= n - k], shape[k]) for k in range(n)]
    shown = [(f, f.sequence(n)) for f in forms if isinstance(f.order, tuple)]
    known = [s for f, s in shown if f in fixed]
    split = max(f.split for f in forms)
    contrary = any([a for a in s if a in t] != [a for a in t if a in s] for s, t in combinations(known, 2))
    if contrary and split:
        raise Refused("joins images with features")
    deciding = shown if n == 4 or len(known) == len(fixed) else []  # inputs show the order of images only
    covering = [f for f, s in deciding if len(s) == sum(m != 1 for m in shape)]
    order: Any = UNKNOWN
    if not contrary and covering:
        best = max(covering, key=lambda f: (not f.given, len(f.axes), f.order != same(len(f.axes))))
        order = (*range(n - len(best.axes)), *(a + n - len(best.axes) for a in best.order))
    elif not contrary:
        order = same(n) if all(f.order == same(len(f.axes)) for f in fixed) else UNKNOWN
    reason = next((f.reason for f in forms if f.reason), "")
    return Form(tuple(axes), order, all(f.given for f in forms), split, reason)


def _common(axes: Sequence[Axis | None], extent: int) -> Axis | None:
    """Return the factors of an axis that several arrays share."""
    several = [axis for axis in axes if axis != ()]
    if None in several:
        return None
    if len({tidy(axis) for axis in several}) > 1:
        raise Refused("joins arrays whose elements PyTorch has in different orders")
    return max(several, key=lambda axis: len(axis or ()), default=whole(extent))
