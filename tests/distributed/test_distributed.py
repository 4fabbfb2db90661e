"""Several ranks train as one does: shares, messages, replicas, failures; the ranks are threads."""

import itertools
import queue
import re
import sys
import threading

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.distributed import MPIRanks, Ranks
from autograd_cnn.training import evaluate, fit, quick
from distributed.thread_ranks import (
    IMAGES,
    Threads,
    assert_equal_runs,
    assert_same_bits,
    cnn,
    images,
    sgd,
    together,
    training,
)
from training.runs import points


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 2), (7, 2), (100, 64), (5, 8)])
def test_shares_are_the_whole_in_order_and_nearly_equal(count, size):
    ranks = [MPIRanks(Threads(rank, size, None, None)) for rank in range(size)]
    parts = [list(range(count))[r.share(count)] for r in ranks]
    assert [i for part in parts for i in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def ahead(net):
    optimiser = quick.Lookahead(net.parameters(), net.buffers(), lambda step: 0.5, lr=0.05)
    optimiser.every = 2
    return optimiser


OPTIONS = {
    "uneven shares": {}, "a last batch smaller than the ranks": {"data": images(15)},
    "augmentation": {"augment": ag.data.augment}, "clipping": {"clip": 0.5}, "validation": {"validation": images(11)},
    "lookahead": {"optimiser": ahead},
}  # fmt: skip


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_losses_equal_those_of_one_rank(options, size):
    alone = training(**options)(Ranks())
    results = together(size, training(**options))
    assert_equal_runs(alone, results[0])
    assert_same_bits(results)
    last, same = results[-1][0].epochs[-1], alone[0].epochs[-1]
    assert last.validation_loss == pytest.approx(same.validation_loss, rel=1e-5, nan_ok=True)
    assert last.validation_accuracy == pytest.approx(same.validation_accuracy, nan_ok=True)


def test_a_parameter_without_a_gradient_stays_without():
    unused = ag.Tensor(np.ones(3), requires_grad=True, name="unused")
    w = ag.Tensor(np.zeros((2, 2)), requires_grad=True)
    descent = ag.optim.SGD([w, unused], 0.1, weight_decay=0.5)
    ranks = MPIRanks(Threads(0, 1, [None], threading.Barrier(1)))
    with pytest.warns(UserWarning, match="no gradient for 1 of 2 parameters"):
        fit(lambda x: x @ w, ag.cross_entropy, descent, *points(8), rng=None, steps=1, progress=False, ranks=ranks)
    assert unused.data.tolist() == [1, 1, 1] and w.data.any()


def normed():
    return cnn(nn.BatchNorm2d(4))


def test_running_statistics_are_averages_over_the_ranks():
    """Each rank normalises its share by its own moments; the mean over the batch is the same, and all buffers are."""
    _, alone = training(normed, epochs=1, data=images(7))(Ranks())
    results = together(2, training(normed, epochs=1, data=images(7)))
    assert_same_bits(results)
    np.testing.assert_allclose(results[0][1]["1.running_mean"], alone["1.running_mean"], rtol=1e-4)
    assert np.abs(results[0][1]["1.running_var"] - alone["1.running_var"]).max() < 0.1


def test_lookahead_draws_the_same_running_statistics_back_on_all_ranks():
    assert_same_bits(together(2, training(normed, ahead, images(20), epochs=2)))


class Counting(nn.Module):
    """A network that counts its calls, and how many it makes of an image is up to `count`."""

    def __init__(self, dtype, count):
        self.net, self.count = cnn(), count
        self.calls = ag.Tensor(np.array([0, 0], dtype))

    def forward(self, x):
        if self.training:
            self.calls.data = self.count(self.calls.data)
        return self.net(x)


@pytest.mark.parametrize(("dtype", "count", "want"), [
    (np.int64, lambda n: n + np.array([1, 5]), [9, 45]),
    (np.int64, lambda n: n + 2**40, [9 * 2**40] * 2),
    (np.uint8, lambda n: n - np.uint8([1, 0]), [247, 0]),
    (bool, lambda n: ~n, [True, True]),
], ids=["int64", "large", "uint8", "bool"])  # fmt: skip
@pytest.mark.parametrize("size", [2, 3, 9])
def test_integers_that_move_alike_on_all_ranks_are_kept(dtype, count, want, size):
    """Three passes of three steps, the last of each with two images: other ranks have none."""
    for _, weights in together(size, training(lambda: Counting(dtype, count), data=images(16))):
        assert weights["calls"].tolist() == want and weights["calls"].dtype == dtype


@pytest.mark.parametrize("dtype", [np.int64, bool])
def test_integers_that_move_otherwise_on_one_rank_are_an_error(dtype):
    def program(ranks):
        return training(lambda: Counting(dtype, lambda n: n ^ np.array([1, ranks.rank], dtype)))(ranks)

    told = r"calls \(2,\) (int64|bool) of rank \d is not that of the other ranks, and has"
    with pytest.raises(RuntimeError, match=told):
        together(3, program)


def test_buffers_that_do_not_change_keep_their_bits():
    def model():
        net = cnn()
        net.constant = ag.Tensor(np.float32([0.1, 0.7, 1 / 3]))
        return net

    for _, weights in together(3, training(model)):
        assert weights["constant"].tobytes() == np.float32([0.1, 0.7, 1 / 3]).tobytes()


def test_dropout_draws_other_masks_on_each_rank_and_the_same_again_in_a_resumed_run(tmp_path):
    masks = {}

    def model():
        def note(x):
            masks.setdefault(threading.get_ident(), []).append((x.data != 0).tobytes())
            return x

        net = cnn(nn.Dropout(0.5, rng=np.random.default_rng(5)))
        return nn.Sequential(net[0], net[1], note, *list(net)[2:])

    options = {"model": model, "data": images(16), "batch_size": 8}
    whole = together(2, training(**options))
    first, second = masks.values()
    assert len({*first, *second}) == len(first) + len(second)
    assert_same_bits(whole)
    for steps in 3, 6:
        results = together(2, training(**options, epochs=None, steps=steps, checkpoint=tmp_path / "c"))
    assert_same_bits([whole[0], *results])


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_a_run_resumes_on_another_number_of_ranks(tmp_path, before, after):
    part = {"epochs": None, "checkpoint": tmp_path / "checkpoint", "augment": ag.data.augment}
    together(before, training(steps=5, **part))
    results = together(after, training(steps=9, **part))
    assert_equal_runs(training(augment=ag.data.augment)(Ranks()), results[0])
    assert_same_bits(results)


def test_rank_0_alone_calls_callbacks_and_all_stop_with_it(tmp_path, capsys):
    calls = []

    def note(history):
        calls.append(threading.get_ident())
        return len(history.epochs) == 2

    results = together(2, training(callbacks=[note], checkpoint=tmp_path / "checkpoint", progress=True))
    assert len(calls) == 2 and len(set(calls)) == 1
    assert [history.ended for history, _ in results] == ["early stop"] * 2
    assert_same_bits(results)
    assert capsys.readouterr().err.count("epoch 1/3") == 1
    assert_same_bits(together(2, training(callbacks=[lambda h: h.since_best >= 1], checkpoint=tmp_path / "checkpoint")))


def test_a_limit_of_time_is_that_of_rank_0(monkeypatch):
    """The clock of rank 1 runs ahead, and nothing happens; then that of rank 0 does, and both stop."""
    from autograd_cnn.training.run import Run

    ahead = {1: 1000.0}
    monkeypatch.setattr(Run, "elapsed", property(lambda run: ahead.get(run.ranks.rank, 0.0)))
    assert [h.ended for h, _ in together(2, training(time_limit=500))] == ["", ""]
    ahead[0] = 1000.0
    results = together(2, training(time_limit=500))
    assert [(h.ended, len(h.losses)) for h, _ in results] == [("time limit", 1)] * 2


@pytest.mark.parametrize(("count", "size"), [(11, 3), (1, 2)])
def test_the_results_of_an_evaluation_are_those_of_all_images(count, size):
    x, y = images(count)
    want = evaluate(cnn(), ag.cross_entropy, x, y)
    for got in together(size, lambda ranks: evaluate(cnn(), ag.cross_entropy, x, y, ranks=ranks)):
        np.testing.assert_allclose(got.outputs, want.outputs, rtol=1e-5, atol=1e-6)
        assert (got.accuracy, got.confusion.tolist()) == (want.accuracy, want.confusion.tolist())


def test_a_function_that_rank_0_calls_returns_or_raises_on_all():
    calls, raised = [], []
    assert together(2, lambda ranks: ranks.first(lambda: calls.append(1) or "result")) == ["result"] * 2
    assert calls == [1]

    def program(ranks):
        with pytest.raises(ValueError, match="seven"):
            ranks.first(int, "seven")
        with pytest.raises(TypeError, match=r"first: function <function .*lambda.* is not picklable \(.*others cannot"):
            ranks.first(lambda: lambda: 1)
        raised.append(ranks.rank)

    together(2, program)
    assert len(raised) == 2


# Differences and failures


def differing(change):
    """A program in which rank 1 changes something: before its first step, in call 0, or in a call of the loss."""

    def program(ranks):
        net = cnn()
        descent, rng, calls = sgd(net), np.random.default_rng(0), itertools.count(1)

        def loss(outputs, labels):
            if ranks.rank == 1:
                change(net, descent, rng, next(calls))
            return ag.cross_entropy(outputs, labels)

        if ranks.rank == 1:
            change(net, descent, rng, 0)
        fit(net, loss, descent, *images(14), rng=rng, epochs=2, batch_size=7, progress=False, ranks=ranks)

    return program


def weights_at(call):
    def change(net, descent, rng, calls):
        if calls == call:
            w = net[-1].w.data.copy()
            w[3, 3] = np.nextafter(w[3, 3], np.float32(9))
            net[-1].w.data = w

    return differing(change)


def momentum(net, descent, rng, calls):
    if calls == 2:
        state = descent.state_dict()
        descent.load_state_dict({**state, "momentum.1": state["momentum.1"] + 1})


def other(**options):
    """A program in which rank 1 has other arguments of `fit`."""
    return training(other=options)


START = r"^fit: at the start \(all ranks pass the same arguments; data of rank 0 for all: ranks\.first\(load\)\), "
SEEDS = r"^fit: at the start \(.*ranks.broadcast\(model\) first\), "
X, Y = IMAGES
BRIGHTER = X.copy()
BRIGHTER[7, 0, 0, 0] ^= 1
DIFFERENCES = {  # programs in which rank 1 is not as the others, and the errors
    "weights": (weights_at(0), SEEDS + r"model\.4\.w of rank 1 is not that of r"),
    "a seed": (differing(lambda net, descent, rng, calls: calls or rng.random()),
               SEEDS + r"generator\.fit of rank 1 is not that"),
    "a rate": (differing(lambda net, descent, *_: setattr(descent, "lr", 0.1)),
               "^fit: .*settings.*0.1.* on rank 1, and .*0.05.* on rank 0"),
    "a layer": (differing(lambda net, *_: setattr(net, "norm", nn.BatchNorm2d(4))),
                r"^fit: .*model\.norm\.\w+ of rank 1 is"),
    "one bit, later": (weights_at(2), r"^fit: after step 2, model\.4\.w of rank 1 is not that of rank 0"),
    "momentum": (differing(momentum), r"^fit: after step 2, (model\.0\.b|optimiser\.momentum\.1) of rank 1"),
    "an image": (other(data=(BRIGHTER, Y)), START + "images of rank 1 is not that of rank 0"),
    "images in another order": (other(data=(X[::-1], Y)), START + "images of rank 1 is not that"),
    "images of another type": (other(data=(X.view(np.int8), Y)), START + "images of rank 1 is not that"),
    "fewer images": (other(data=(X[:21], Y[:21])), START + "images of rank 1 is not that"),
    "a label": (other(data=(X, Y ^ 1)), START + "labels of rank 1 is not that"),
    "batch size": (other(batch_size=8), START + "batch_size is 8.0 on rank 1, and 7.0 on rank 0"),
    "passes": (other(epochs=4), START + "epochs is 4.0 on rank 1, and 3.0 on rank 0"),
    "steps": (other(epochs=None, steps=9), START + "epochs is 'missing' on rank 1, and 3.0 on rank 0"),
    "clipping": (other(clip=1), START + "clip is 1.0 on rank 1, and 'missing' on rank 0"),
    "validation": (other(validation=images(5)), START + "validation is 'given' on rank 1, and 'missing' on rank 0"),
    "validation labels": (training(validation=images(5), other={"validation": (images(5)[0], images(5)[1] ^ 1)}),
                          START + "validation labels of rank 1 is not that of rank 0"),
    "a schedule": (other(schedule=ag.optim.constant(0.05)),
                   START + "schedule is 'given' on rank 1, and 'missing' on rank 0"),
    "augmentation": (other(augment=ag.data.augment), START + "augment is 'given' on rank 1, and 'missing' on rank 0"),
    "a checkpoint": (other(checkpoint="c"), START + "checkpoint is 'given' on rank 1, and 'missing' on rank 0"),
    "an evaluation of rank 0 alone": (
        lambda ranks: evaluate(cnn(), ag.cross_entropy, *images(5), ranks=ranks) if ranks.rank == 0 else ranks.sum([1]),
        r"rank 0 is at `join`, .*, and rank \d at `sum`, .* rank 0 alone: ranks\.first\(function\)",
    ),
    "a broadcast that one leaves out": (lambda ranks: ranks.sum([1]) if ranks.rank == 2 else ranks.broadcast(cnn()),
                                        r"rank \d is at .*`first` or `broadcast`"),
    "another number of figures": (
        lambda ranks: ranks.sum([1] * (1 + ranks.rank // 2)),
        r"rank \d is at `sum`, a step of fit of (4|8) bytes, and rank \d at `sum`, a step of fit of (4|8) bytes",
    ),
    "the end of a program": (lambda ranks: ranks.end() if ranks.rank == 1 else ranks.join(np.zeros(1)),
                             r"rank 1 (is )?at the end of the program"),
}  # fmt: skip


@pytest.mark.parametrize(("program", "message"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_what_one_rank_does_otherwise_is_an_error(program, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match=message):
        together(3, program)


def fails(net, descent, rng, calls):
    if calls == 2:
        raise ValueError("no such class: 11")


@pytest.mark.parametrize(("program", "message"), [
    (differing(fails), "ValueError: no such class: 11"),
    (other(clip="a lot"), "TypeError: fit: clip is 'a lot', want the largest norm of the gradients"),
])  # fmt: skip
def test_an_error_on_one_rank_ends_all(capsys, program, message):
    with pytest.raises((ValueError, TypeError), match=message.partition(": ")[2]):
        together(2, program)
    err = capsys.readouterr().err
    assert "rank 1 of 2 ends the job:\nTraceback" in err and message in err


def test_other_versions_or_kernels_are_an_error(monkeypatch):
    mine = threading.local()
    monkeypatch.setattr(ag.distributed, "kernels", lambda: mine.kernels)

    def program(ranks):
        mine.kernels = "numpy" if ranks.rank else "numba"
        training()(ranks)

    own = re.escape(ag.__version__)
    told = rf"versions is 'autograd_cnn {own}, NumPy .* numpy kernels' on rank 1, and '.* numba kernels' on rank 0"
    with pytest.raises(RuntimeError, match=told):
        together(2, program)


def test_a_rank_that_does_not_come_is_named_after_a_time():
    """Rank 1 never comes, nor does rank 3."""
    mail = {pair: queue.SimpleQueue() for pair in itertools.product(range(4), repeat=2)}
    communicator = Threads(2, 4, None, threading.Barrier(4), mail)
    mail[0, 2].put(np.array([1, 4]))
    told = (
        r"rank 2 has waited 0 s in `sum`, a step of fit, for ranks 1, 3: it hangs, .* AUTOGRAD_CNN_RANKS_TIMEOUT=7200"
    )
    with pytest.raises(RuntimeError, match=told):
        MPIRanks(communicator, patience=0.01).sum([1.0])
    for rank in 0, 1:
        mail[rank, 2].put(np.array([1, 4]))
    with pytest.raises(RuntimeError, match="for rank 3: it hangs"):
        MPIRanks(communicator, patience=0.01).sum([1.0])


# Starting


@pytest.mark.parametrize("text", ["soon", "0", "nan"])
def test_a_timeout_that_is_no_time_is_refused(monkeypatch, text):
    from autograd_cnn import distributed

    monkeypatch.setenv("AUTOGRAD_CNN_RANKS_TIMEOUT", text)
    with pytest.raises(ValueError, match=f"ranks: AUTOGRAD_CNN_RANKS_TIMEOUT is '{text}', want a number of seconds"):
        distributed._patience()


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_without_mpi4py_several_processes_are_an_error_and_one_is_not(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    ag.distributed.ranks.cache_clear()
    assert ag.distributed.ranks().size == 1
    ag.distributed.ranks.cache_clear()
    monkeypatch.setenv(name, "4")
    with pytest.raises(ImportError, match=r"one of 4 processes, .* pip install 'autograd_cnn\[mpi\]'"):
        ag.distributed.ranks()


def test_one_rank_does_nothing_to_a_step():
    ranks, model = Ranks(), cnn()
    generator = np.random.default_rng(0)
    assert ranks.broadcast(model) is model and ranks.share(7) == slice(0, 7)
    with ranks.own_draws([generator], [1]), ranks.all_or_none():
        generator.random()
    assert generator.bit_generator.state != np.random.default_rng(0).bit_generator.state
    figures = [1.0, 2.0]
    assert ranks.sum(figures, list(model.parameters())) is figures
    ranks.compare(lambda: pytest.fail("hashed"), "fit")
