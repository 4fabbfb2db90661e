"""Clocks around primitives: what they count, that they come off, and who may open them."""

from __future__ import annotations

import contextvars
import itertools
import json
import os
import re
import threading

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.profiler import Cost


def network(x, w):
    return ag.sum(ag.relu(x @ w) * 2.0)


@pytest.fixture
def x():
    return np.ones((4, 3), np.float32)


@pytest.fixture
def w():
    return ag.Tensor(np.ones((3, 5), np.float32), requires_grad=True)


def test_it_counts_calls_and_bytes_both_ways(x, w):
    with ag.profile() as p:
        for _ in range(3):
            network(x, w).backward()
    assert {name: cost.calls for name, cost in p.costs.items()} == {"matmul": 3, "relu": 3, "multiply": 3, "sum": 3}
    assert p.costs["multiply"].forward_bytes == p.costs["multiply"].backward_bytes == 3 * 80
    assert p.costs["relu"].backward_bytes == 3 * 80  # only the rule of a large array writes over the gradient
    assert p.costs["matmul"].backward_bytes == 3 * 60
    assert 0 < p.costs["relu"].forward < p.seconds
    assert "matmul" in str(p)


def test_gradients_are_those_without_it(x, w):
    network(x, w).backward()
    plain, w.grad = w.grad, None
    with ag.profile():
        network(x, w).backward()
    np.testing.assert_array_equal(w.grad, plain)


def test_it_ends_even_after_an_error(x, w):
    with pytest.raises(ValueError, match="matmul"), ag.profile():
        network(x[:, :2], w)
    with ag.profile() as p:
        pass
    network(x, w).backward()
    assert not p.costs


def test_a_profile_in_a_profile_is_refused(x, w):
    with ag.profile() as p:
        with pytest.raises(RuntimeError, match="another one is open"), ag.profile():
            pass
        network(x, w)
    assert p.costs["matmul"].calls == 1


def test_every_thread_has_profiles_of_its_own(x, w):
    def work():
        network(x, w)
        with ag.profile() as inner:
            network(x, w).backward()
        counts.append({name: cost.calls for name, cost in inner.costs.items()})

    counts = []
    with ag.profile() as p:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert not p.costs
    assert counts[0]["matmul"] == 1


def test_it_can_be_printed_before_inside_and_after_its_block():
    p = ag.profile()
    assert repr(p) == "profile: primitives 0, calls 0, time 0 ms. print(...) lists them"
    assert str(p).startswith("primitive")
    with p:
        ag.exp(ag.Tensor(np.ones(3)))
        assert repr(p).startswith("profile, open: primitives 1, calls 1, time ")
        assert "exp" in str(p)
    assert repr(p) == f"profile: primitives 1, calls 1, time {p.seconds * 1e3:.2f} ms. print(...) lists them"


def test_columns_stay_apart_whatever_their_numbers():
    p = ag.profile()
    p.costs["conv2d"] = Cost("conv2d", 21_600, 211.02788, 2.27685, 3 * 10**12)
    p.seconds = 300.0
    head, line, *_ = str(p).split("\n")
    assert line == "conv2d     21,600  211,027.88 ms  2,276.85 ms  71.1%  3,000,000.0 MB"
    assert line.index("211,027.88 ms") + 13 == head.index("forward") + 7


def test_a_long_name_has_a_column_of_its_own():
    x = ag.Tensor(np.ones((1, 3, 3, 1)), requires_grad=True)
    with ag.profile() as p:
        ag.conv2d_weight_gradient(np.ones((1, 3, 3, 1)), x, (1, 1, 1, 1))
    head, *lines = str(p).split("\n")
    assert any(line.startswith("conv2d_weight_gradient ") for line in lines)
    assert {len(line) for line in lines if "calls" not in line and line.endswith("MB")} == {len(head)}


@pytest.fixture
def exported(tmp_path):
    """Write the trace of a profile, and read the calls in it: the complete events of the Trace Event Format."""

    def exported(p):
        p.export_chrome_trace(tmp_path / "trace.json")
        trace = json.loads((tmp_path / "trace.json").read_text())
        assert trace.keys() == {"traceEvents", "displayTimeUnit"} and trace["displayTimeUnit"] in ("ms", "ns")
        head, *events = trace["traceEvents"]
        assert head == {"name": "process_name", "ph": "M", "pid": os.getpid(), "args": {"name": "autograd_cnn"}}
        for event in events:
            assert event.keys() == {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"}
            assert event["ph"] == "X" and event["pid"] == os.getpid() and event["ts"] >= 0 and event["dur"] > 0
        return events

    return exported


def test_a_trace_has_every_call_with_its_shapes(exported, x, w):
    with ag.profile() as p:
        network(x, w).backward()
    assert [(e["name"], e["cat"], e["args"]) for e in exported(p)] == [
        ("matmul", "forward", {"inputs": [[4, 3], [3, 5]], "outputs": [[4, 5]]}),
        ("relu", "forward", {"inputs": [[4, 5]], "outputs": [[4, 5]]}),
        ("multiply", "forward", {"inputs": [[4, 5]], "outputs": [[4, 5]]}),
        ("sum", "forward", {"inputs": [[4, 5]], "outputs": [[]]}),
        ("sum backward x", "backward", {"inputs": [[]], "outputs": [[4, 5]]}),
        ("multiply backward x", "backward", {"inputs": [[4, 5]], "outputs": [[4, 5]]}),
        ("relu backward x", "backward", {"inputs": [[4, 5], [4, 5]], "outputs": [[4, 5]]}),
        ("matmul backward y", "backward", {"inputs": [[4, 5], [4, 3]], "outputs": [[3, 5]]}),
    ]


def test_the_calls_of_a_trace_follow_one_another_and_add_up_to_the_costs(exported, x, w):
    with ag.profile() as p:
        for _ in range(3):
            network(x, w).backward()
    events = exported(p)
    assert events[0]["ts"] == 0
    for before, after in itertools.pairwise(events):
        assert before["ts"] + before["dur"] <= after["ts"] + 0.002  # both are rounded to nanoseconds
    assert events[-1]["ts"] + events[-1]["dur"] <= p.seconds * 1e6
    for name, cost in p.costs.items():
        for phase, seconds in (("forward", cost.forward), ("backward", cost.backward)):
            spent = sum(e["dur"] for e in events if e["cat"] == phase and e["name"].partition(" ")[0] == name)
            assert spent == pytest.approx(seconds * 1e6, abs=0.01)


def test_a_trace_names_the_module_of_calls_and_rules(exported, x):
    linear = ag.nn.Linear(3, 2, rng=np.random.default_rng(0))
    model = ag.nn.Sequential(ag.nn.Sequential(linear, ag.relu), ag.nn.Flatten())
    with ag.profile() as p:
        with ag.scope("encoder"):
            h = model(x)
        ag.sum(h).backward()
    modules = {event["name"]: event["args"].get("module") for event in exported(p)}
    assert modules["linear"] == modules["linear backward w"] == modules["linear backward b"] == "encoder/0.0"
    assert modules["relu"] == modules["relu backward x"] == "encoder/0.1"
    assert modules["flatten"] == "encoder/1"
    assert modules["sum"] is modules["sum backward x"] is None


def test_a_trace_shows_sequences_sums_in_place_and_joint_rules(exported, rng):
    a, b = (ag.Tensor(rng.normal(size=(2, n)), requires_grad=True) for n in (3, 4))
    with ag.profile() as p:
        ag.sum(ag.concatenate([a, b], axis=1)).backward()
    (joined,) = [e["args"] for e in exported(p) if e["name"] == "concatenate"]
    assert joined == {"inputs": [[2, 3], [2, 4]], "outputs": [[2, 7]]}

    with ag.profile() as p:  # the second rule of a[0] adds to the sum of the first
        (ag.sum(a[:, 0]) + ag.sum(a[:, 1])).backward()
    rules = [e["args"] for e in exported(p) if e["name"].startswith("getitem backward")]
    assert [rule["outputs"] for rule in rules] == [[[2, 3]], [[2, 3]]]

    scale, shift = (ag.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    with ag.profile() as p:
        ag.sum(ag.batch_norm(a, scale, shift)).backward()
    (rule,) = [e for e in exported(p) if e["name"].startswith("batch_norm backward")]
    assert rule["name"] == "batch_norm backward x, w, b" and rule["args"]["outputs"] == [[2, 3], [3], [3]]


def test_a_trace_names_threads(exported, x, w):
    def work():
        network(x, w)
        seen.append(threading.get_native_id())

    seen = [threading.get_native_id()]
    with ag.profile() as p:
        network(x, w)
        context = contextvars.copy_context()  # as asyncio.to_thread passes it on
        thread = threading.Thread(target=context.run, args=(work,))
        thread.start()
        thread.join()
    assert [event["tid"] for event in exported(p)] == [seen[0]] * 4 + [seen[1]] * 4


def test_a_trace_leaves_out_what_failed_and_may_be_empty(exported, x, w):
    with ag.profile() as p:
        with pytest.raises(ValueError, match="matmul"):
            network(x[:, :2], w)
        assert exported(p) == []
        network(x, w)
        assert len(exported(p)) == 4  # inside the block too


def test_a_trace_needs_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none"))):
        ag.profile().export_chrome_trace(tmp_path / "none" / "trace.json")
