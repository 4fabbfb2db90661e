"""Backward and what it leaves behind: gradients, and the state of graph, leaves and memory after it."""

import copy
import pickle
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.mode import is_recording
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.tensor import Tensor


def leaf(data, **options):
    return Tensor(data, requires_grad=True, **options)


# Gradients


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_any_tensor_of_size_1_is_one_number(shape):
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    np.testing.assert_array_equal(x.grad, np.full(shape, 6.0))


def test_a_leaf_is_its_own_loss():
    x = leaf(3.0)
    x.backward()
    assert x.grad == 1


def test_an_explicit_gradient_weighs():
    x = leaf([1.0, 2.0])
    (x * x).backward(grad=[1, 10])
    np.testing.assert_array_equal(x.grad, [2, 40])


def test_a_tensor_used_twice_receives_twice():
    x = leaf(3.0)
    h = x * x
    (h + h).backward()
    assert x.grad == 12


def test_leaves_add_up_over_walks():
    x = leaf([1.0, 2.0])
    for _ in range(3):
        (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [6, 12])


def test_two_walks_double_the_leaves_and_nothing_else(rng):
    x, w = leaf(rng.normal(size=(4, 3))), leaf(rng.normal(size=(3, 2)))
    h = ag.tanh(x @ w)
    loss = (h * h).mean()
    loss.backward(retain_graph=True)
    once = x.grad.copy(), w.grad.copy()
    data = x.data.copy(), h.data.copy()
    loss.backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad, 2 * once[0])
    np.testing.assert_array_equal(w.grad, 2 * once[1])
    np.testing.assert_array_equal(x.data, data[0])
    np.testing.assert_array_equal(h.data, data[1])
    loss.backward()
    np.testing.assert_allclose(w.grad, 3 * once[1], rtol=1e-15)
    with pytest.raises(RuntimeError, match="was walked before"):
        loss.backward()


@pytest.mark.parametrize("loss", [ag.mse, ag.bce_with_logits, ag.bce])
def test_reductions_of_a_loss_agree(loss, rng):
    p, y = rng.uniform(0.1, 0.9, (5, 3)), rng.uniform(size=(5, 3))
    mean, total = (ag.grad(lambda p, how=how: loss(p, y, how))(p) for how in ("mean", "sum"))
    np.testing.assert_allclose(total, p.size * mean, rtol=1e-12)
    twice = ag.grad(lambda p: loss(ag.concatenate([p, p]), np.concatenate([y, y])))(p)
    np.testing.assert_allclose(twice, mean, rtol=1e-12)  # a duplicated batch changes no mean


def test_an_unused_parameter_keeps_none():
    used, unused = leaf(1.0), leaf(1.0)
    (used * 2).backward()
    assert unused.grad is None


def test_nothing_flows_into_what_needs_no_gradient():
    """No rule is evaluated for the image batch, nor for frozen weights."""
    calls = []

    @ag.primitive
    def scale(x, w):
        return x * w

    scale.vjp(x=lambda g, w: calls.append("x") or g * w, w=lambda g, x: calls.append("w") or g * x)
    scale(np.ones(2), leaf(np.ones(2))).sum().backward()
    scale(leaf(np.ones(2)), Tensor(np.ones(2))).sum().backward()
    assert calls == ["w", "x"]


def test_what_no_rule_asks_for_is_not_kept():
    def kept(out):
        return [a.shape for a in out._node.saved if isinstance(a, np.ndarray)]

    x, w = leaf(np.ones((2, 3))), leaf(np.ones((3, 4)))
    assert kept(x + x) == []
    assert kept(ag.sum(x)) == []
    assert sorted(kept(x @ w)) == [(2, 3), (3, 4)]
    assert kept(x.data @ w) == [(2, 3)]
    assert kept(x @ w.data) == [(3, 4)]


def test_interior_gradients():
    x = leaf(3.0)
    h = x * x
    loss = h * x
    dh, dx = loss.gradient(h, x)
    assert (dh, dx) == (3, 27)
    assert loss.gradient(loss) == 1
    assert x.grad is None  # touches no .grad
    assert h.grad is None
    loss.backward()  # and has kept the graph
    assert x.grad == 27


def test_gradient_goes_only_where_it_is_asked():
    calls = []

    @ag.primitive
    def spy(x):
        return x * 1

    spy.vjp(x=lambda g: calls.append(1) or g)
    a, b = leaf(1.0), leaf(2.0)
    (spy(a) * b).gradient(b)
    assert not calls


def test_create_graph_differentiates_the_walk():
    x = leaf(2.0)
    slope = (x**4).gradient(x, create_graph=True)
    curvature = slope.gradient(x, create_graph=True)
    assert [float(v.item()) for v in (slope, curvature, curvature.gradient(x, create_graph=True))] == [32, 48, 48]

    (x**3).backward(create_graph=True)
    assert isinstance(x.grad, Tensor)
    first, x.grad = x.grad, None
    first.backward()
    assert x.grad == 12


def test_a_penalty_on_the_gradient():
    """d/dw of |d loss / d x|^2, as in gradient penalties."""
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    slope = ag.sum(w * x**2).gradient(x, create_graph=True)
    ag.sum(slope**2).backward()
    np.testing.assert_array_equal(w.grad, 8 * w.data * x.data**2)


def test_each_rule_of_a_joint_one_is_called_once():
    calls = []

    @ag.primitive
    def both(x, y):
        return x * y

    def rules(g, x, y):
        calls.append(1)
        return g * y, g * x

    both.vjp(x=rules, y=rules)
    x, y = leaf(2.0), leaf(5.0)
    both(x, y).backward()
    assert (len(calls), x.grad, y.grad) == (1, 5, 2)
    both(np.array(2.0), y).backward()
    assert (len(calls), y.grad) == (2, 4)


# Gradients are the leaf's own


def test_a_gradient_has_the_shape_and_dtype_of_its_leaf():
    w = leaf(np.ones((3, 1), np.float32))
    (w * np.ones((2, 1, 4))).sum().backward()  # float64 operand
    assert (w.grad.shape, w.grad.dtype) == ((3, 1), np.float32)


def test_gradients_share_no_memory():
    """Not with each other, not with the g that came in, not with what was saved."""
    a, b, c = (leaf(np.ones((2, 3))) for _ in range(3))
    g = np.ones((2, 3))
    out = a + b + ag.reshape(ag.transpose(ag.reshape(c, (3, 2))), (2, 3))
    out.backward(g, retain_graph=True)
    arrays = [a.grad, b.grad, c.grad, g, a.data, b.data, c.data, out.data]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])
    for t in (a, b, c):
        t.grad += 1  # ours to write into
    np.testing.assert_array_equal(g, np.ones((2, 3)))
    loss = out.sum()
    loss.gradient(loss)[...] = 2
    assert loss.gradient(loss) == 1


def test_a_gradient_added_to_leaves_the_old_array_alone():
    x = leaf([1.0])
    (x * 2).backward()
    old = x.grad
    (x * 2).backward()
    assert (old, x.grad) == (2, 4)


# Interrupted walks


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


# Copies


def test_a_leaf_travels(tmp_path):
    w = leaf(np.array([1.0, 2.0], np.float32), name="conv1.w")
    (w * w).sum().backward()
    for other in (copy.copy(w), copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert (other.name, other.dtype, other.requires_grad, other.is_leaf) == ("conv1.w", np.float32, True, True)
        np.testing.assert_array_equal(other.data, w.data)
        np.testing.assert_array_equal(other.grad, w.grad)
        assert not np.shares_memory(other.data, w.data)
        assert not np.shares_memory(other.grad, w.grad)
        (other * 3).sum().backward()
    np.testing.assert_array_equal(w.grad, [2, 4])
    plain = pickle.loads(pickle.dumps(Tensor([1, 2], name="labels")))
    assert (plain.name, plain.requires_grad, plain.grad, plain.dtype) == ("labels", False, None, np.int64)


def test_a_shared_parameter_stays_shared():
    w = leaf([1.0])
    first, second = copy.deepcopy([w, w])
    assert first is second
    first, second = pickle.loads(pickle.dumps([w, w]))
    assert first is second


def test_a_tensor_copies_what_it_is_made_of():
    array = np.ones(2)
    x = leaf(array)
    array[0] = 5
    np.testing.assert_array_equal(x.data, [1, 1])
    x.numpy()[0] = 5
    np.testing.assert_array_equal(x.data, [1, 1])


# What a live graph has saved is read-only


def refused(array):
    try:
        array[...] = 5
    except ValueError as error:
        assert str(error) == "assignment destination is read-only"
        return True
    return False


def test_a_leaf_is_locked_between_forward_and_backward():
    x = leaf([1.0, 2.0])
    assert not refused(x.data)
    loss = (x * x).sum()
    assert refused(x.data)
    loss.backward()
    np.testing.assert_array_equal(x.grad, [10, 10])
    assert not refused(x.data)


def test_a_leaf_is_free_once_the_graph_is_dropped():
    x = leaf([1.0, 2.0])
    first, second = (x * x).sum(), (x**2).sum()
    del first
    assert refused(x.data)
    del second
    assert not refused(x.data)


def test_what_is_not_saved_is_not_locked():
    x, batch = leaf([1.0, 2.0]), np.ones(2)
    loss = (x + batch).sum()
    assert not refused(batch)
    assert not refused(x.data)
    loss.backward()


def test_a_batch_buffer_is_free_again_after_backward():
    buffer = np.ones((8, 3), np.float32)
    w = leaf(np.ones((3, 2), np.float32))
    for step in range(3):
        buffer[...] = step  # refused in the second round, were it still locked
        loss = ag.linear(buffer[2:6], w).sum()
        assert refused(buffer)
        loss.backward()
        np.testing.assert_array_equal(w.grad, np.full((3, 2), 4 * step))
        w.grad = None


def test_a_view_locks_its_owner_and_both_are_freed():
    owner = np.arange(6.0)
    view = owner[1:4]
    w = leaf(np.ones(3))
    loss = (w * view).sum()
    assert refused(view)
    assert refused(owner)
    loss.backward()
    np.testing.assert_array_equal(w.grad, [1, 2, 3])
    assert not refused(view)
    assert not refused(owner)


def test_views_let_go_in_any_order():
    owner = np.arange(6.0)
    views = [owner[:3], owner[3:], owner]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        losses = [(leaf(np.ones(len(v))) * v).sum() for v in views]
        for i in order:
            assert refused(owner)
            losses[i].backward()
        assert not any(map(refused, views))


def test_a_read_only_array_stays_so():
    array = np.ones(2)
    array.flags.writeable = False
    (leaf([1.0, 2.0]) * array).sum().backward()
    assert refused(array)


def test_a_result_is_read_only_for_good():
    h = leaf([1.0, 2.0]) * 2
    assert refused(h.data)
    h.sum().backward()
    assert refused(h.data)
    with ag.no_grad():
        free = leaf([1.0]) * 2
    assert not refused(free.data)


def test_retain_graph_keeps_the_lock():
    x = leaf([1.0, 2.0])
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    assert refused(x.data)
    loss.backward()
    assert not refused(x.data)


def test_rebinding_data_while_a_graph_lives_keeps_the_old_gradient_exact():
    """What an optimiser does when it meets a locked parameter."""
    x = leaf([1.0, 2.0])
    loss = (x * x).sum()
    x.data = np.array([100.0, 200.0])
    loss.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


@pytest.mark.parametrize("index", [lambda i: i, lambda i: (i, 0), lambda i: (slice(None), i), lambda i: i.tolist()])
def test_an_index_that_is_written_into_changes_no_gradient(index):
    rows = np.array([0, 1, 2])
    x = leaf(np.ones((3, 3)))
    at = index(rows)
    want = np.zeros((3, 3))
    np.add.at(want, copy.deepcopy(at), 1)
    loss = x[at].sum()
    for part in [at, *(at if isinstance(at, (tuple, list)) else [])]:
        if isinstance(part, np.ndarray) and part.flags.writeable:
            part[...] = 0
        elif isinstance(part, list):
            part[:] = [0, 0, 0]
    loss.backward()
    np.testing.assert_array_equal(x.grad, want)


# Switches and threads


def test_no_grad_and_enable_grad():
    x = leaf(1.0)
    with ag.no_grad():
        assert not (x * 2).requires_grad
        with ag.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @ag.no_grad()
    def evaluate(x):
        return x * 2

    for _ in range(2):
        assert not evaluate(x).requires_grad
    with pytest.raises(KeyboardInterrupt), ag.no_grad():
        raise KeyboardInterrupt
    assert (x * 2).requires_grad


def in_threads(count, function):
    """`function(i)` in so many threads at once; an error in one of them is raised here."""
    errors, start = [], threading.Barrier(count)

    def run(i):
        start.wait()
        try:
            function(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture
def hectic():
    """Threads take turns every microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_grad_in_one_thread_leaves_the_others_recording():
    x, inside, outside = leaf(1.0), threading.Event(), threading.Event()
    recorded = []

    def work(i):
        if i == 0:
            with ag.no_grad():
                inside.set()
                outside.wait()
                recorded.append((x * 2).requires_grad)
        else:
            inside.wait()
            recorded.append((x * 2).requires_grad)
            outside.set()

    in_threads(2, work)
    assert recorded == [True, False]


def test_tensors_of_different_threads_combine():
    made = {}

    def work(i):
        x = leaf(float(i + 1))
        made[i] = x, ag.exp(x)

    in_threads(2, work)
    (made[0][1] * made[1][1]).backward()
    assert made[0][0].grad == pytest.approx(np.exp(3))
    assert made[1][0].grad == pytest.approx(np.exp(3))


def test_eight_threads_with_fifty_graphs_each_are_exact(hectic):
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
    batches = rng.normal(size=(8, 50, 6, 5))
    shared = Tensor(w1, requires_grad=False)

    def gradient(batch):
        a, b = leaf(w1), leaf(w2)
        h = ag.relu(batch @ a) + ag.tanh(batch @ shared)
        ag.logsumexp(h @ b).backward()
        return a.grad, b.grad

    want = [[gradient(batch) for batch in group] for group in batches]
    got = [[None] * 50 for _ in range(8)]

    def work(i):
        got[i] = [gradient(batch) for batch in batches[i]]

    in_threads(8, work)
    for i in range(8):
        for (a, b), (c, d) in zip(want[i], got[i], strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)


def test_threads_that_share_leaves_lose_no_contribution(hectic):
    w = leaf(np.ones(3))

    def work(i):
        for _ in range(50):
            (w * float(i + 1)).sum().backward()

    in_threads(8, work)
    np.testing.assert_array_equal(w.grad, np.full(3, 50.0 * 36))
    assert not refused(w.data)


def test_of_two_threads_that_walk_one_graph_one_is_told(hectic):
    for _ in range(20):
        x = leaf(np.ones(3))
        h = x
        for _ in range(20):
            h = h * 2.0
        loss, outcomes = h.sum(), []

        def work(i, loss=loss, outcomes=outcomes):
            try:
                loss.backward()
                outcomes.append("walked")
            except RuntimeError as error:
                outcomes.append("told" if "was walked before" in str(error) else error)

        in_threads(2, work)
        assert sorted(outcomes) == ["told", "walked"]
        np.testing.assert_array_equal(x.grad, np.full(3, 2.0**20))


@pytest.fixture
def doubled():
    """A primitive whose rule has a twin that writes over g where it may, and the calls in which it did."""
    calls = []

    def write_over(g):
        if not g.flags.writeable:
            return g * 2
        calls.append(g)
        g *= 2
        return g

    double = Primitive(lambda x: x * 2)
    double.name = "double"
    double.vjp(x=lambda g: g * 2)
    double.over(x=write_over)
    return double, calls


def test_a_twin_writes_over_a_gradient_that_is_the_walks_own(doubled):
    double, calls = doubled
    x = leaf(np.array([1.0, 2.0]))
    ag.sum(double(x) * np.array([3.0, 5.0])).backward()
    np.testing.assert_array_equal(x.grad, [6.0, 10.0])
    assert len(calls) == 1


def test_what_is_somebody_elses_is_not_written_over(doubled):
    double, calls = doubled
    x, seed = leaf(np.array([1.0, 2.0])), np.array([3.0, 5.0])
    double(x).backward(seed)  # the user's
    np.testing.assert_array_equal(x.grad, [6.0, 10.0])
    np.testing.assert_array_equal(seed, [3.0, 5.0])
    y = leaf(np.array([1.0, 2.0]))
    x.grad = None
    (double(x) + double(y)).backward(seed)  # passed on to two
    np.testing.assert_array_equal([x.grad, y.grad], [[6.0, 10.0]] * 2)
    assert not calls


def test_a_gradient_that_was_asked_for_is_not_written_over(doubled):
    double, calls = doubled
    x = leaf(np.array([1.0, 2.0]))
    h = double(x)
    at_h, at_x = ag.sum(h * np.array([3.0, 5.0])).gradient(h, x)
    np.testing.assert_array_equal([at_h.data, at_x.data], [[3.0, 5.0], [6.0, 10.0]])
    assert len(calls) == 1
    slope = ag.sum(double(x) * x).gradient(x, create_graph=True)
    np.testing.assert_array_equal(ag.sum(slope).gradient(x).data, [4.0, 4.0])


def test_one_array_for_two_inputs_is_not_written_over(doubled):
    double, calls = doubled

    def rule(g):
        both = g * 3
        return both, both

    add = Primitive(lambda x, y: 3 * (x + y))
    add.name = "add3"
    add.vjp(x=rule, y=rule)
    x, y = leaf(np.array([1.0, 2.0])), leaf(np.array([1.0, 2.0]))
    ag.sum(add(double(x), double(y)) * np.array([3.0, 5.0])).backward()
    np.testing.assert_array_equal([x.grad, y.grad], [[18.0, 30.0]] * 2)
    assert not calls
