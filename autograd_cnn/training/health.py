"""Looks for what goes wrong in a run: numbers that are not finite, and channels that are dead."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from autograd_cnn.engine.finite import first_not_finite
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tape import Node, history
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn.functions import dead_channels
from autograd_cnn.state import not_finite
from autograd_cnn.training.checkpoint import State, names_not_finite
from autograd_cnn.training.evaluation import one_number
from autograd_cnn.training.run import Run

LARGE = 1e6  # among the inputs of a network


class Health:
    """Checks the numbers of a run before a step uses them, or a file gets them."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._origin = ""  # where a gradient began to be not finite
        self._infinite: Mapping[str, str] | None = None  # arrays that were not finite at the start
        self._warned = False  # of a rectifier that is dead

    def check_loss(self, value: Any) -> None:
        """Raise an error unless the loss is one finite number; at the first step of a pass, note the dead channels."""
        number, node, run = one_number("fit", value), value.node, self.run
        if not math.isfinite(number):
            culprit = f" {first_not_finite(node)}" if isinstance(node, Node) else ""
            raise FloatingPointError(f"fit: loss is {number} at step {run.step:,}.{culprit}")
        if run.step == run.closed and isinstance(node, Node) and not (run.current.dead or run.current.silent):
            run.current.dead, run.current.silent, whole = _dead_shares(node)
            if whole and not self._warned:
                self._warned = True
                warn(
                    f"{whole[0]}: all outputs are 0 for all images of a batch, so no gradient passes through it. Lower "
                    "the learning rate? He initialisation?",
                    RuntimeWarning,
                )

    def note_gradient(self, problem: str, began: str) -> None:
        """Note where a gradient began to be not finite, for `check_gradients`."""
        self._origin = self._origin or (f"{began}. " if began else "")

    def check_gradients(self) -> None:
        """Raise an error, before the step, if a gradient is not finite."""
        for i, p in enumerate(self.run.optimiser.parameters):
            grad = p.grad.data if isinstance(p.grad, Tensor) else p.grad
            if grad is not None and (bad := not_finite(grad)):
                raise FloatingPointError(
                    f"fit: the gradient of {p.name or f'parameter {i}'} is {bad} at step {self.run.step:,}, though the "
                    f"loss is {self.run.figures[0]:.5g}. Nothing was changed. {self._origin}The slope of a root, a "
                    "norm or a logarithm is infinite at 0: add a small number there, as in ag.sqrt(x + 1e-12). If "
                    f"numbers have grown too large: a lower learning rate{self._large_inputs()}"
                )
        self._origin = ""  # it was of a leaf that is not trained

    def checked_state(self) -> State:
        """Return the state of the run, or raise an error if a number is not finite, and was at the first such check."""
        state = self.run.state()
        found = names_not_finite(state)
        if self._infinite is None:
            self._infinite = found
        for name, bad in found.items():
            if name not in self._infinite:
                raise FloatingPointError(
                    f"fit: {name} is {bad} after step {self.run.step:,}, and was finite before. A checkpoint is "
                    "unchanged: it is of an earlier step. A lower learning rate, or clip=1, keeps numbers small"
                    f"{self._large_inputs()}"
                )
        return state

    def _large_inputs(self) -> str:
        """Return a sentence on very large numbers in the images, or "" if there are none."""
        x = self.run.images
        largest = max(float(x.max()), -float(x.min())) if x.dtype.kind == "f" and x.size else 0.0
        return f". The images may be the cause: they hold numbers as large as {largest:.3g}" if largest > LARGE else ""


def _dead_shares(root: Node) -> tuple[dict[str, float], dict[str, float], list[Node]]:
    """Return the share of channels that are 0 in the whole batch, for each rectifier of maps, and of units.

    The list has those rectifiers of which all channels are.
    """
    dead: dict[str, float] = {}
    silent: dict[str, float] = {}
    whole = []
    for node in history(root):
        out = node.saved_value("out") if isinstance(node, Node) and node.plan.primitive.rectifies else None
        if isinstance(node, Node) and out is not None and out.size:
            zero = dead_channels(out)
            shares = dead if out.ndim > 2 else silent
            shares[_name(node, shares)] = float(zero.mean())
            whole += [node] if zero.all() else []
    return dead, silent, whole


def _name(node: Node, others: Mapping[str, float]) -> str:
    """Name an operation after its module, or else after its line; number it if others have this name."""
    name = f"{node.scope[0]}.{node.plan.primitive.name}" if node.scope else str(node)
    numbered = itertools.chain([name], (f"{name} {i}" for i in itertools.count(2)))
    return next(each for each in numbered if each not in others)
