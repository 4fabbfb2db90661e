"""Puts the faster functions of this package in the place of the textbook's, operation by operation.

Each accelerator takes a function of the textbook and returns a faster one, which calls the textbook's where it does not
apply: for small arrays, and for other dtypes, shapes and layouts.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from autograd_cnn.engine.observe import operations, primitives
from autograd_cnn.engine.primitive import Accelerator, Primitive
from autograd_cnn.engine.registry import counterparts
from autograd_cnn.ops import activations, arithmetic

from . import elementwise
from .attach_images import accelerate_images
from .attach_sums import accelerate_sums
from .choose import Kernel, choose
from .elementwise import LARGE, blocked, blocked_ufunc, by_twin, is_large, mapped
from .updates import accelerate_functions


def attach() -> None:
    """Accelerate all operations."""
    elementwise_operations()
    accelerate_activations()
    accelerate_sums()
    accelerate_images()
    accelerate_functions()


def detach() -> None:
    """Put the textbook's functions back in their places, as if this package were not there."""
    for p in primitives():
        rules: dict[str, Any] = dict.fromkeys(p.rules, _itself)
        p.accelerate(_itself, exact=True, **rules)


def _itself(textbook: Kernel) -> Kernel:
    return textbook


def elementwise_operations() -> None:
    """Compute large arrays in blocks: every operation whose elements do not depend on each other, and its rules."""
    ufuncs = {name: f for f, name in counterparts.items() if isinstance(f, np.ufunc)}
    for name, p in operations.items():
        if isinstance(p, Primitive) and p.elementwise:
            forward = _ufunc(ufuncs[name]) if name in ufuncs else blocked
            # A rule that needs nothing passes `g` on, or changes its sign.
            rules: dict[str, Any] = {n: blocked for n, rule in p.rules.items() if rule.needs}
            p.accelerate(forward, exact=True, **rules)


def _ufunc(ufunc: np.ufunc) -> Accelerator:
    return lambda _: blocked_ufunc(ufunc)


def accelerate_activations() -> None:
    """Give each activation its kernels."""
    arithmetic.multiply.accelerate(x=_product, y=_product, exact=True)
    arithmetic.where.accelerate(lambda _: elementwise.where)
    arithmetic.tanh.accelerate(blocked)
    relu, leaky_relu = activations.relu, activations.leaky_relu
    relu.accelerate(choose(elementwise.relu, is_large, blocked), x=_relu_rule, may_write=True, exact=True)
    activations.relu_gradient.accelerate(choose(elementwise.relu_gradient, _alike, blocked))
    leaky_relu.accelerate(
        choose(lambda x, slope: _leaky(x, x, slope), lambda x, slope: _alike(x, x) and _is_number(slope), blocked),
        x=choose(_leaky_over, lambda g, x, slope: _alike(g, x) and _is_number(slope), blocked),
        may_write=True,
        exact=True,
    )
    activations.sigmoid.accelerate(by_twin("sigmoid_tile"))
    for name in "softplus", "silu":
        forward, x = by_twin(f"{name}_tile"), by_twin(f"{name}_gradient_tile", rule=True)
        getattr(activations, name).accelerate(forward, x=x, may_write=True)
    activations.normal_cdf.accelerate(lambda _: elementwise.normal_cdf)
    activations.gelu.accelerate(_gelu, x=_gelu_rule, may_write=True)


def _alike(g: Any, y: Any, *_: Any) -> bool:
    same = is_large(g) and isinstance(y, np.ndarray) and g.dtype == y.dtype and g.shape == y.shape
    return same and g.flags.c_contiguous and y.flags.c_contiguous


def _is_number(slope: Any) -> bool:
    return isinstance(slope, (int, float))


def _product(formula: Kernel) -> Kernel:
    """Accelerate ``g * factor``: a single pass takes larger blocks than a formula."""
    multiply = blocked_ufunc(np.multiply)

    @wraps(formula)
    def run(g: Any, factor: Any) -> Any:
        return g * factor if g.size < LARGE else multiply(g, factor)  # the formula, without a call of it

    return run


def _relu_rule(formula: Kernel) -> Kernel:
    small = activations.relu_gradient.textbook

    @wraps(formula)
    def run(g: Any, out: Any) -> Any:
        if not g.flags.c_contiguous:  # the kernel's result would have another memory order
            return small(g, out)
        if not _alike(g, out):
            if not g.flags.writeable:
                return small(g, out)
            g[out <= 0] = 0
            return g
        return elementwise.relu_gradient(g, out, g if g.flags.writeable else None)

    return run


def _leaky(g: Any, x: Any, slope: Any, into: Any = None) -> Any:
    return mapped(elementwise.leaky_relu_tile, g, x, g.dtype.type(slope), into=into)


def _leaky_over(g: Any, x: Any, slope: Any) -> Any:
    return _leaky(g, x, slope, g if g.flags.writeable else None)


def _gelu(textbook: Kernel) -> Kernel:
    exact: Kernel = by_twin("gelu_tile")(lambda x: textbook(x, "none"))
    approximate = blocked(textbook)

    @wraps(textbook)
    def run(x: Any, kind: str) -> Any:
        return exact(x) if kind == "none" else approximate(x, kind)

    return run


def _gelu_rule(formula: Kernel) -> Kernel:
    def kernel(g: Any, x: Any, _: str) -> Any:
        return mapped(elementwise.gelu_gradient_tile, g, x, into=g if g.flags.carray else None)

    return choose(kernel, lambda g, x, approximate: approximate == "none" and is_large(g), blocked)(formula)
