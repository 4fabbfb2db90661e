"""Batches prepared on a thread: the bits of a plain loop, errors and waiting time passed on, no thread left behind."""

import gc
import os
import threading
import traceback
from contextlib import contextmanager, suppress
from types import FrameType

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.training.feeding import fed, prepared
from training.runs import line, points, train

NAME = "autograd_cnn batches"


def feeding():
    return [thread for thread in threading.enumerate() if thread.name.startswith(NAME)]


@pytest.fixture
def no_threads(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


# Batches


@pytest.mark.parametrize("start", [0, 1, 3])
def test_batches_are_shuffled_augmented_and_converted(start):
    images, labels = np.arange(8 * 4, dtype=np.uint8).reshape(8, 2, 2, 1), np.arange(8)
    got = list(prepared(images, labels, 2, 5, lambda x, rng: x + rng.integers(9, dtype=np.uint8), start, slice))
    order = np.random.default_rng(5).permutation(8)
    for i, (x, y) in enumerate(got, start):
        chosen = order[2 * i : 2 * i + 2]
        np.testing.assert_array_equal(y, labels[chosen])
        noise = np.random.default_rng([5, i]).integers(9, dtype=np.uint8)
        np.testing.assert_array_equal(x, ag.data.as_float32(images[chosen] + noise))
    assert len(got) == 4 - start


def test_an_augmentation_may_crop_and_convert():
    images, labels = np.zeros((5, 4, 4, 1), np.uint8), np.arange(5)
    (batch, _), *_ = prepared(images, labels, 5, 0, lambda x, rng: np.float32(x[:, :2, :2]) - 3, 0, slice)
    assert batch.shape == (5, 2, 2, 1) and batch.dtype == np.float32 and (batch == -3).all()


def test_an_augmentation_that_writes_into_its_images_leaves_those_of_the_user():
    def brighten(x, rng):
        x += np.uint8(9)
        return x

    images, labels = np.zeros((5, 4, 4, 1), np.uint8), np.arange(5)
    for _ in range(2):
        assert all(
            (batch == ag.data.as_float32(np.uint8([9]))).all()
            for batch, _ in prepared(images, labels, 2, 0, brighten, 0, slice)
        )
    assert not images.any()


def test_without_a_seed_floats_are_views_in_order():
    x = np.arange(5.0)
    assert all(np.shares_memory(batch, x) for batch, _ in prepared(x, x, 2, None, None, 0, slice))


def test_a_thread_changes_no_bit(no_threads, monkeypatch):
    images, labels = np.random.default_rng(1).integers(0, 256, (50, 4, 4, 3), np.uint8), np.arange(50) % 3

    def run():
        rng = np.random.default_rng(0)
        model = ag.nn.Sequential(ag.nn.Flatten(), ag.nn.Dropout(0.2, rng=rng), ag.nn.Linear(48, 3, rng=rng))
        sgd = ag.optim.SGD(model.parameters(), lr=0.1)
        history = train(model, sgd, images, labels, rng=rng, epochs=2, augment=lambda x, r: ag.data.augment(x, r, 1))
        return history.losses, model[2].w.data.tobytes()

    inline = run()
    monkeypatch.undo()
    assert run() == inline


# Life of the thread


def test_at_most_two_are_computed_ahead():
    computed = []
    enough = threading.Event()

    def items():
        for i in range(10):
            computed.append(i)
            if i == 3:
                enough.set()
            yield i

    with fed(items()) as feed:
        assert next(feed) == 0 and next(feed) == 1
        assert enough.wait(10)  # 2 and 3 follow without being asked for
        assert len(feeding()) == 1
    assert len(computed) <= 4 and not feeding()


def test_items_are_computed_in_the_callers_context():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError), fed(np.ones(1) / x for x in (1, 0)) as feed:
        list(feed)


@pytest.mark.parametrize("kind", [KeyError, SystemExit, KeyboardInterrupt])
def test_an_error_of_the_augmentation_is_raised_by_fit_with_its_traceback(kind):
    def broken(x, rng):
        raise kind("here")

    x, y = points()
    _, model, optimiser = line()
    with pytest.raises(kind, match="here") as caught:
        train(model, optimiser, x, y, epochs=1, augment=broken)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names.index("fit") < names.index("prepared") < names.index("broken")
    assert not feeding() and optimiser.steps == [0]


def test_batches_before_an_error_are_used():
    x, y = points()
    _, model, optimiser = line()

    def broken(batch, rng):
        if len(batch) == 10:
            raise KeyError
        return batch

    with pytest.raises(KeyError):
        train(model, optimiser, x[:50], y[:50], epochs=1, augment=broken)
    assert optimiser.steps == [2]


@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt])
def test_the_thread_ends_when_a_step_fails(kind):
    seen = []

    def loss(outputs, labels):
        seen.extend(feeding())
        raise kind

    x, y = points(2000)
    with pytest.raises(kind):
        train(*line()[1:], x, y, epochs=1, loss=loss)
    assert len(seen) == 1 and not feeding()


@contextmanager
def no_garbage():
    """Nothing of ours must wait for the garbage collector. Threads of other tests and libraries may leave theirs."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        frames = [x.f_code for x in gc.garbage if isinstance(x, FrameType)]
        assert not [code for code in frames if "autograd_cnn" in code.co_filename]
        assert not [x for x in gc.garbage if type(x).__module__.startswith("autograd_cnn")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_it_leaves_no_garbage():
    x, y = points()
    parts = line()
    train(*parts[1:], x, y, epochs=1)
    with no_garbage():
        train(*parts[1:], x, y, epochs=2)


def test_an_error_leaves_no_garbage():
    def broken():
        yield 1
        raise KeyError

    with no_garbage():
        with suppress(KeyError), fed(broken()) as feed:
            list(feed)
        del feed


FORKED = """
import os, sys, threading, warnings
import numpy as np
import autograd_cnn as ag
warnings.simplefilter("ignore")  # from 3.12 on Python warns of every fork beside threads
rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)

def fit():
    w = ag.Tensor(np.zeros((2, 2)), requires_grad=True)
    sgd = ag.optim.SGD([w], lr=0.1)
    rng = np.random.default_rng(1)
    return ag.training.fit(lambda x: x @ w, loss, sgd, x, y, rng=rng, epochs=2, progress=False).losses

loss = ag.cross_entropy
straight = fit()

def loss(outputs, labels):
    if os.getpid() == parent and os.fork() == 0:  # while a thread feeds
        os._exit(fit() != straight)
    return ag.cross_entropy(outputs, labels)

parent = os.getpid()
assert fit() == straight
print([os.waitstatus_to_exitcode(os.wait()[1]) for _ in straight])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_feeds_in_a_forked_child(python):
    assert set(python(FORKED).strip("[]\n").split(", ")) == {"0"}


@pytest.mark.parametrize("images", [np.float32([[[[0, 255.0]]]]), np.uint8([[[[0, 255]]]]), np.float32([[[[0, 1]]]])])
def test_floats_from_0_to_255_are_warned_of_wherever_images_go_in(images):
    calls = {
        "predict": lambda: ag.training.predict(lambda x: x.reshape(1, 2), images),
        "evaluate": lambda: ag.training.evaluate(lambda x: x.reshape(1, 2), ag.cross_entropy, images, np.array([0])),
    }
    for name, call in calls.items():
        if images.dtype == np.uint8 or images.max() == 1:
            call()
        else:
            with pytest.warns(
                UserWarning, match=f"^{name}: images are float32 from 0 to 255, .* images / 255$"
            ) as found:
                call()
            assert len(found) == 1
