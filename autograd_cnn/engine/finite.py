"""The search for the first number that is not finite: in the results behind a loss, or in a walk."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np

from autograd_cnn.engine.tape import Node, history

SMALL = 4096  # numbers; up to so many, one product of BLAS takes less time than two passes of NumPy


def is_finite(value: Any) -> bool:
    """Return whether no number of an array or a Tensor is NaN or infinite."""
    array = np.asarray(getattr(value, "_array", value))
    return (array.size <= SMALL and cmath.isfinite(np.vdot(array, array))) or bool(np.isfinite(array).all())


class Search:
    """Looks for the first contribution of a walk that is not finite, and describes it in `began`.

    It looks at contributions once NumPy has met an invalid number or an overflow; with `always`, from the first.
    """

    def __init__(self, always: bool = False) -> None:
        self.began, self.always = "", always

    def listen(self, sums: Any) -> None:
        sums.look = self.look if self.always else None
        np.seterr(divide="call", over="call", invalid="call")
        np.seterrcall(lambda error, flag: setattr(sums, "look", self.look))

    def look(self, c: Any, g: Any, node: Node, rule: Any) -> None:
        if not self.began and not is_finite(c) and is_finite(g):
            self.began = f"First in the rule of {node} for {rule.name}: {_share(c)}"


def not_finite(spoilt: list[Any], gradients: dict[Any, Any]) -> str:
    """Return the text of the warning about gradients that are not finite, though the loss is."""
    first = spoilt[0]
    label = first.name or (str(first) if isinstance(first, Node) else f"a leaf {first.shape}")
    more = f", and of {len(spoilt) - 1} more," if len(spoilt) > 1 else ""
    return f"{_share(gradients[first])} numbers of the gradient of {label}{more} are nan or inf; the loss is finite."


def _share(value: Any) -> str:
    array = np.asarray(getattr(value, "_array", value))
    return f"{array.size - int(np.isfinite(array).sum())} of {array.size}"


def first_not_finite(root: Node) -> str:
    """Name the first operation at which a NaN or an infinity is seen, as far as the saved arrays show it."""
    last: Any = None  # with finite numbers
    for node in [n for n in history(root) if isinstance(n, Node)]:
        for p, array in node.saved_by_number().items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc":
                continue
            label = node.plan.labels[p]
            if not np.isfinite(array).all():
                before = f"; the last finite numbers before that are in {last}" if last not in (None, node) else ""
                what = "the result" if label == "out" else label
                return f"First seen in {what} of {node}: {_share(array)}{before}"
            if label not in node.plan.primitive.byproducts:
                last = node
    return f"It arose in {last} or after it" if last else f"It arose in {root} or before"
