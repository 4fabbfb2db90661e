"""Errors and interrupts in the middle of a backward walk."""

import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.mode import is_recording
from autograd_cnn.engine.tensor import Tensor


def leaf(data, **options):
    return Tensor(data, requires_grad=True, **options)


def parameters_and_loss(hook):
    """A graph of 20 leaves in which `hook` is called at every step of the walk."""

    @ag.primitive
    def step(x, w):
        return x * w

    def rule_of_x(g, w):
        hook()
        return g * w

    def rule_of_w(g, x):
        hook()
        return g * x

    step.vjp(x=rule_of_x, w=rule_of_w)
    leaves = [leaf(np.full(3, 1.0 + i / 10)) for i in range(20)]
    h = leaves[0]
    for w in leaves[1:]:
        h = step(h, w)
    return leaves, step(h.sum(), 1.0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_walk_that_fails_changes_no_leaf(error):
    for moment in range(39):
        count = iter(range(100))

        def hook(count=count, moment=moment):
            if next(count) == moment:
                raise error

        leaves, loss = parameters_and_loss(hook)
        for w in leaves:
            w.grad = np.full(3, 7.0)
        with pytest.raises(error):
            loss.backward()
        assert all((w.grad == 7).all() for w in leaves)
        with pytest.raises(RuntimeError, match="was walked before"):  # the graph counts as walked
            loss.backward()


def test_an_interrupt_at_any_moment_leaves_every_gradient_old_or_new():
    """Ctrl-C between any two lines, landing included: a trace function raises there."""
    rng = np.random.default_rng(0)
    package = str(Path(ag.__file__).parent / "engine")

    def interrupted_after(lines):
        """`loss.backward()`, stopped at that line of the engine; how many there were."""
        count = 0

        def trace(frame, event, _):
            nonlocal count
            if not frame.f_code.co_filename.startswith(package) or frame.f_code.co_filename.endswith("guards.py"):
                return None  # Python swallows what is raised while an object dies
            count += event == "line"
            if count == lines:
                raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            loss.backward()
        finally:
            sys.settrace(before)
        return count

    leaves, loss = parameters_and_loss(lambda: None)
    total = interrupted_after(-1)
    new = [w.grad + 7 for w in leaves]
    moments = sorted({*rng.integers(1, total, 80).tolist(), *range(total - 40, total)})
    for moment in moments:
        leaves, loss = parameters_and_loss(lambda: None)
        for w in leaves:
            w.grad = np.full(3, 7.0)
        with np.errstate(), pytest.raises(KeyboardInterrupt):  # Python may miss the end of a `with` block
            interrupted_after(moment)
        assert all((w.grad == 7).all() or (w.grad == n).all() for w, n in zip(leaves, new, strict=True))
        assert is_recording()


def test_recording_is_restored_after_an_interrupted_create_graph():
    def stop():
        raise KeyboardInterrupt

    _, loss = parameters_and_loss(stop)
    with ag.no_grad():
        with pytest.raises(KeyboardInterrupt):
            loss.backward(create_graph=True)
        assert not is_recording()
