"""Recording in generators and asynchronous tasks."""

import asyncio
from contextvars import copy_context

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor

w = Tensor(np.ones(2), requires_grad=True)


def records():
    return (w * 2).requires_grad


@pytest.mark.parametrize("mode", ["no_grad", "enable_grad"])
def test_what_waits_for_its_caller_is_not_decorated(mode):
    def batches():
        yield

    async def stream():
        yield

    async def evaluate():
        pass

    for function in (batches, stream, evaluate):
        with pytest.raises(TypeError, match=rf"{function.__name__} waits for its caller.* with ag.{mode}\(\):$"):
            getattr(ag, mode)()(function)


def test_overlapping_tasks_have_modes_of_their_own():
    async def task(entered, other):
        with ag.no_grad():
            entered.set()
            await other.wait()
            return records()

    async def bystander(entered, other):
        await entered.wait()
        found = records()
        other.set()
        return found

    async def program():
        entered, other = asyncio.Event(), asyncio.Event()
        found = await asyncio.gather(task(entered, other), bystander(entered, other), task(asyncio.Event(), other))
        return found, records()

    assert asyncio.run(program()) == ([False, True, False], True)
    assert records()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 0, 1)])
def test_generators_that_end_in_any_order_leave_recording_as_it_was(order):
    def waiting():
        with ag.no_grad():
            yield

    generators = [waiting() for _ in range(3)]
    for generator in generators:
        next(generator)
    for i in order:
        assert not records()
        next(generators[i], None)
    assert records()


def test_a_generator_that_ends_in_another_context_does_not_change_the_mode_there():
    def waiting():
        with ag.enable_grad():
            yield

    generator = waiting()
    copy_context().run(next, generator)
    with ag.no_grad():
        generator.close()
        assert not records()
    assert records()


def test_a_mode_can_be_entered_again_and_a_decorated_function_can_recurse():
    off = ag.no_grad()
    with off, off:
        assert not records()
    with off:
        assert not records()
    assert records()

    @ag.no_grad()
    def depth(n):
        return records() or (n and depth(n - 1))

    assert depth(3) == 0
    assert records()
