"""The door for observers: what they see of a call and of a rule, and that they see the outermost calls only."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.observe import observing, operations, own_operations, primitives


@pytest.fixture
def x():
    return ag.Tensor([1.0, 2.0], requires_grad=True, name="x")


def test_a_call_has_its_arguments_result_place_and_scope(x):
    calls = []
    with observing(calls.append), ag.scope("encoder"):
        out = ag.sum(x, keepdims=True)
    (call,) = calls
    assert call.primitive is ag.sum and call.out.node is out.node and call.module == "encoder"
    assert (
        call.values[0].node is x.node
        and call.arguments["axis"] is None
        and call.arguments["keepdims"]
        and call.seconds > 0
    )
    assert call.place[0] is test_a_call_has_its_arguments_result_place_and_scope.__code__


def test_a_call_that_fails_is_passed_with_its_error(x):
    calls, failures = [], []
    with observing(calls.append, lambda call, error: failures.append((call.primitive, call.values, error))):
        with pytest.raises(ValueError) as raised:
            x @ np.ones((3, 3))
        with pytest.raises(TypeError, match="exp"):
            ag.exp(x, x)
    assert calls == [] and [primitive for primitive, *_ in failures] == [ag.matmul, ag.exp]
    assert failures[0][2] is raised.value and failures[1][1] == []  # the arguments do not fit


def test_calls_inside_of_a_primitive_are_not_observed(x):
    @ag.primitive
    def doubled(x):
        return ag.add(x, x)

    outer, inner = [], []
    with observing(outer.append), observing(inner.append):
        doubled(x.detach())
    assert [[call.primitive for call in calls] for calls in (outer, inner)] == [[doubled], [doubled]]


def test_operations_of_a_block_are_forgotten():
    with own_operations():
        ag.primitive(name="passing")(lambda x: x * 1)
        assert "passing" in operations
    assert "passing" not in operations


def test_a_primitive_is_found_below_the_function_of_its_name():
    found = [p for p in primitives() if p.name == "cross_entropy"]
    assert found == [ag.cross_entropy.primitive]
    assert ag.cross_entropy.rules is found[0].rules
    loss = ag.cross_entropy(ag.Tensor(np.zeros((2, 3)), requires_grad=True), np.array([0, 2]))
    assert loss.node.plan.primitive is found[0]


def test_comparisons_are_observed_and_have_no_history(x):
    """Their results serve as the plain arrays do that they are outside."""
    assert isinstance(x > 1, np.ndarray)
    calls = []
    with observing(calls.append):
        mask = (x > 1) & np.isfinite(x) | ~(x >= 1)
        places = np.where(mask)
        chosen = (x[mask], np.array([10, 20])[mask], x * mask, bool(mask.any()), int(mask.sum()))
    names = [call.primitive.name for call in calls]
    assert names[:6] == ["greater", "isfinite", "bitwise_and", "greater_equal", "invert", "bitwise_or"]
    assert not mask.requires_grad and mask.tolist() == [False, True] and places[0].tolist() == [1]
    assert [np.asarray(getattr(c, "data", c)).tolist() for c in chosen] == [[2.0], [20], [0.0, 2.0], True, 1]
