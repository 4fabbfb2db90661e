"""Errors and interrupts in the middle of a backward walk."""

import dis
import os
import sys
import threading
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest

import autograd_cnn as ag
from leaves import leaf

TOOL = 4  # a number for `sys.monitoring`, which debuggers, coverage and profilers do not use
PACKAGE = os.path.dirname(ag.__file__) + os.sep


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


class Step:
    """One step of training: the batch is a view, there are three parameters, and one result is used four times."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.images = rng.normal(size=(3, 3))
        self.parameters = [leaf(rng.normal(size=shape)) for shape in ((3, 2), (2,), (2, 2))]

    def loss(self):
        w, b, v = self.parameters
        h = ag.tanh(self.images[1:] @ w + b)
        return (h[0] * h[1]).sum() + ag.mean((h @ v) * h)

    def gradients(self):
        return [p.grad for p in self.parameters]

    def clear(self, value=None):
        for p in self.parameters:
            p.grad = None if value is None else np.full(p.shape, value)

    def read_only(self):
        return [a for a in (self.images, *(p.data for p in self.parameters)) if not a.flags.writeable]


@cache
def serves_signals(code):
    """Whether CPython looks for signals after the instruction, for every offset into the bytecode."""
    names = map(dis.opname.__getitem__, code.co_code)
    return [name.startswith("CALL") or name in ("RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE") for name in names]


@contextmanager
def traced(enter, step):
    """Call `enter` with each frame that begins, and, if it returns True, `step` before each instruction of the frame.

    With `sys.monitoring`, the instructions of a function are seen from its next call on, and those of other calls, too.
    """
    if sys.version_info < (3, 12):

        def local(frame, event, _):
            if event == "opcode":
                step(frame)
            return local

        def trace(frame, *_):
            if not enter(frame):
                return None
            frame.f_trace_opcodes = True
            return local

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before)
        return
    monitoring, events = sys.monitoring, sys.monitoring.events

    def start(code, _):
        if enter(sys._getframe(1)):
            monitoring.set_local_events(TOOL, code, events.INSTRUCTION)

    monitoring.register_callback(TOOL, events.PY_START, start)
    monitoring.register_callback(TOOL, events.INSTRUCTION, lambda code, _: step(sys._getframe(1)))
    monitoring.set_events(TOOL, events.PY_START)
    try:
        yield
    finally:
        monitoring.set_events(TOOL, 0)


@pytest.fixture
def monitored():
    """Register a tool with `sys.monitoring`, which Python has from 3.12 on."""
    if sys.version_info < (3, 12):
        yield
        return
    sys.monitoring.use_tool_id(TOOL, "test_interrupts")
    yield
    for event in sys.monitoring.events.PY_START, sys.monitoring.events.INSTRUCTION:
        sys.monitoring.register_callback(TOOL, event, None)
    sys.monitoring.free_tool_id(TOOL)


def interrupted(run, call, moment):
    """Call `run`, raise KeyboardInterrupt at a moment of one call inside the package; return the calls and the line.

    Both are counted from 1. There is no line after the last moment, and only this call is traced, which takes time.

    A moment is the beginning of a function, or comes after a call or a jump back: CPython looks for signals only there.
    At other lines no code could be safe: between a ``with`` block and its end, or just before a ``finally`` begins.
    """
    calls, count, served, place, target = 0, 0, True, None, None

    def enter(frame):
        nonlocal calls, target
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return False
        calls += 1
        if calls == call:
            target = frame
        return calls == call

    def step(frame):
        nonlocal count, place, served
        if frame is not target:
            return
        count += served
        if served and count == moment:
            place = f"{os.path.relpath(frame.f_code.co_filename, PACKAGE)}:{frame.f_lineno}"
            raise KeyboardInterrupt
        served = serves_signals(frame.f_code)[frame.f_lasti]

    try:
        with traced(enter, step):
            run()
    except KeyboardInterrupt:
        pass
    target = None  # a frame has the arrays of its variables
    return calls, place


def same(gradients, others):
    return all(np.array_equal(g, other) for g, other in zip(gradients, others, strict=True))


def broken_promises(step, right, errstate):
    """Compare the state after an interrupt, and the gradients of the next step, with what they must be."""
    old = [np.full_like(g, 7) for g in right]
    if not same(step.gradients(), old) and not same(step.gradients(), [7 + g for g in right]):
        yield "some gradients are new, others old"
    if step.read_only():
        yield "an array stays read-only"
    if np.geterr() != errstate:
        yield "NumPy's errstate changed"
    if not (step.parameters[0] * 1).requires_grad:
        yield "nothing is recorded any more"
    step.clear()
    step.loss().backward()
    if not same(step.gradients(), right):
        yield "the next gradients are wrong"


def test_an_interrupt_at_any_moment_leaves_nothing_half_done(monitored):
    """Ctrl-C at every moment of a step: forward, backward, and while the graph is freed."""
    step, errstate = Step(), np.geterr()
    step.loss().backward()
    right, found = step.gradients(), {}
    call = moment = moments = 1
    while True:
        if moment == 1:  # the instructions of the function may be seen from its next call on
            interrupted(lambda: Step().loss().backward(), call, 0)
        step = Step()
        step.clear(7.0)
        calls, place = interrupted(lambda step=step: step.loss().backward(), call, moment)
        moment += 1
        if place is None:
            if calls < call:
                break
            call, moment = call + 1, 1
            continue
        moments += 1
        for promise in broken_promises(step, right, errstate):
            found.setdefault(promise, set()).add(place)
    assert moments > 400  # Pythons differ in their instructions
    assert found == {}
    other = threading.Thread(target=lambda: step.loss().backward(), daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive(), "another thread waits for a lock that was never released"


def test_recording_is_restored_after_an_interrupted_create_graph():
    def stop():
        raise KeyboardInterrupt

    _, loss = parameters_and_loss(stop)
    with ag.no_grad():
        with pytest.raises(KeyboardInterrupt):
            loss.backward(create_graph=True)
        assert not (leaf(1.0) * 2).requires_grad
    assert (leaf(1.0) * 2).requires_grad
