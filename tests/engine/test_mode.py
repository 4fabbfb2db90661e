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


def test_a_decorated_generator_runs_in_the_mode_and_its_consumer_does_not():
    closed = []

    @ag.no_grad()
    def batches(count):
        """Docstring."""
        try:
            for _ in range(count):
                sent = yield records()
                if sent is not None:
                    assert sent == records()
        except KeyError:
            yield records(), "thrown"
        finally:
            closed.append(records())
        return records()

    assert batches.__doc__ == "Docstring."
    for recorded in batches(3):
        assert (recorded, records()) == (False, True)
    first, second = batches(2), batches(2)
    assert (next(first), next(second), records()) == (False, False, True)
    assert (first.send(False), records()) == (False, True)
    with pytest.raises(StopIteration) as stop:
        next(first)
    assert stop.value.value is False
    assert second.throw(KeyError()) == (False, "thrown")
    second.close()
    assert closed == [False] * 3
    assert records()


def test_a_generator_may_turn_recording_on_again():
    @ag.enable_grad()
    def steps():
        yield records()
        yield records()

    with ag.no_grad():
        assert list(steps()) == [True, True]
        assert not records()


def test_a_decorated_coroutine():
    @ag.no_grad()
    async def evaluate():
        await asyncio.sleep(0)
        return records()

    async def both():
        return await evaluate(), records()

    assert asyncio.run(both()) == (False, True)


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


def test_a_decorated_asynchronous_generator_runs_in_the_mode_and_its_consumer_does_not():
    closed = []

    @ag.no_grad()
    async def stream(count):
        try:
            for _ in range(count):
                await asyncio.sleep(0)
                sent = yield records()
                assert sent in (None, records())
        except KeyError:
            yield records(), "thrown"
        finally:
            closed.append(records())

    async def consume():
        found = [(recorded, records()) async for recorded in stream(2)]
        second = stream(2)
        found += [(await second.__anext__(), records()), (await second.asend(False), records())]
        assert await second.athrow(KeyError()) == (False, "thrown")
        await second.aclose()
        return found

    assert asyncio.run(consume()) == [(False, True)] * 4
    assert closed == [False, False]


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
