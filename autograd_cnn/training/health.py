"""Looks for rectifiers whose channels are dead."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from autograd_cnn.engine.tape import Node, history
from autograd_cnn.nn.functions import dead_channels


def dead_shares(root: Node) -> tuple[dict[str, float], list[Node]]:
    """Return the share of channels that are 0 in the whole batch, for each rectifier of maps.

    The list has the rectifiers, of maps or of units, of which all channels are. A unit has one number per image, so a
    share of units may be 0 in a batch without harm.
    """
    dead: dict[str, float] = {}
    whole = []
    for node in history(root):
        out = node.saved_value("out") if isinstance(node, Node) and node.plan.primitive.rectifies else None
        if isinstance(node, Node) and out is not None and out.size:
            zero = dead_channels(out)
            whole += [node] if zero.all() else []
            if out.ndim > 2:
                dead[_name(node, dead)] = float(zero.mean())
    return dead, whole


def _name(node: Node, others: Mapping[str, float]) -> str:
    """Name an operation after its module, or else after its line; number it if others have this name."""
    name = f"{node.scope[0]}.{node.plan.primitive.name}" if node.scope else str(node)
    numbered = itertools.chain([name], (f"{name} {i}" for i in itertools.count(2)))
    return next(each for each in numbered if each not in others)
