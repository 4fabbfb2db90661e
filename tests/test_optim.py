"""Optimisers against PyTorch, step by step; what they must not change; schedules."""

import copy
import json
import warnings
from functools import partial
from itertools import product

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn, optim
from autograd_cnn.calculus.trees import tree_leaves

SHAPES = [(), (3,), (4, 5), (2, 3, 4, 5), (0, 3)]

RECIPES = {
    "SGD": (optim.SGD, {"lr": 0.1}), "SGD with decay": (optim.SGD, {"lr": 0.1, "weight_decay": 0.05}),
    "SGD with momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}),
    "SGD with Nesterov": (optim.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    "RMSprop": (optim.RMSprop, {}), "Adam": (optim.Adam, {}), "AdamW": (optim.AdamW, {}),
    "RMSprop with all": (optim.RMSprop, {"lr": 0.03, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.9,
                                         "centered": True}),
    **{f"{make.__name__} with all": (make, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1})
       for make in (optim.Adam, optim.AdamW)},
}  # fmt: skip
recipes = pytest.mark.parametrize("recipe", RECIPES)


def test_every_optimiser_is_public_and_compared():
    own = {c for c in vars(optim).values() if isinstance(c, type) and issubclass(c, optim.Optimiser)}
    assert own - {optim.Optimiser} == {make for make, _ in RECIPES.values()}, "add a recipe for it to RECIPES"
    missing = {c.__name__ for c in own} - set(optim.__all__)
    assert not missing, f"add {missing} to __all__ in its file in autograd_cnn/optim/"


def drawn(rng, shape, dtype):
    x = np.asarray(rng.normal(size=shape))
    return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def parameters(rng, dtype=np.float64, shapes=SHAPES):
    return [ag.Tensor(drawn(rng, shape, dtype), requires_grad=True, name=f"p{i}") for i, shape in enumerate(shapes)]


def set_gradients(ps, rng):
    for p in ps:
        p.grad = drawn(rng, p.shape, p.dtype)


GROUPS = [{"weight_decay": 0.0}, {"lr": 0.02}, {"weight_decay": 0.3}]  # a schedule scales all rates alike


@recipes
@pytest.mark.parametrize(("dtype", "tolerance", "settings"), [
    ("float64", 1e-12, GROUPS), ("float64", 1e-12, [{}]), ("float32", 1e-6, [{}]), ("complex128", 1e-12, [{}]),
    ("complex64", 1e-6, [{}]),
])  # fmt: skip
def test_twenty_steps_equal_pytorch(recipe, dtype, tolerance, settings, rng, torch):
    make, options = RECIPES[recipe]
    options = {"lr": 0.1, **options}
    ours = parameters(rng, dtype)
    theirs = [torch.tensor(p.data, requires_grad=True) for p in ours]
    split = [slice(0, 1), slice(1, 3), slice(3, None)] if len(settings) > 1 else [slice(None)]
    optimiser = make([{"parameters": ours[s], **own} for s, own in zip(split, settings, strict=True)], **options)
    reference = getattr(torch.optim, make.__name__)(
        [{"params": theirs[s], **own} for s, own in zip(split, settings, strict=True)], **options
    )
    for step in range(20):
        optimiser.lr = np.float64(options["lr"] / (1 + step))  # as a schedule may return it
        for group, own in zip(reference.param_groups, settings, strict=True):
            group["lr"] = own.get("lr", options["lr"]) / (1 + step)
        optimiser.zero_grad()
        reference.zero_grad()
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            if i == 2 and step % 3 == 1:
                continue  # its moments and its count of steps do not change
            p.grad = drawn(rng, p.shape, dtype)
            q.grad = torch.tensor(p.grad)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimiser.step()
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=tolerance, atol=tolerance)
    slots = [a for name, a in optimiser.state_dict().items() if "." in name]
    assert {a.dtype for a in slots} <= {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("norm_type", [1, 2, 3.5, np.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clipping_equals_pytorch(max_norm, norm_type, dtype, rng, torch):
    ours = parameters(rng, dtype, SHAPES[:4] if norm_type == np.inf else SHAPES)  # PyTorch refuses an empty maximum
    set_gradients(ours, rng)
    ours[1].grad = None
    ours[2].grad.setflags(write=False)
    theirs = [torch.tensor(p.data, requires_grad=True) for p in ours]
    for p, q in zip(ours, theirs, strict=True):
        q.grad = None if p.grad is None else torch.tensor(p.grad.copy())
    norm = optim.clip_grad_norm(ours, max_norm, norm_type)
    want = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    np.testing.assert_allclose(norm, want.item(), rtol=1e-5)
    for p, q in zip(ours, theirs, strict=True):
        if p.grad is not None:
            np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-5)
            assert p.grad.dtype == dtype


def test_a_norm_that_is_not_finite_changes_no_gradient(rng):
    ps = parameters(rng, shapes=[(2,), (2,)])
    ps[0].grad, ps[1].grad = np.array([1.0, np.inf]), np.array([3.0, 4.0])
    assert optim.clip_grad_norm(ps, 1) == np.inf
    np.testing.assert_array_equal(ps[1].grad, [3, 4])


@recipes
def test_a_rate_in_float64_changes_no_bit_of_a_float32_step(recipe, rng):
    make, options = RECIPES[recipe]
    twins = parameters(np.random.default_rng(1), np.float32), parameters(np.random.default_rng(1), np.float32)
    for ps, lr in zip(twins, (0.1, np.float64(0.1)), strict=True):
        optimiser = make(ps, **{"lr": 1, **options})
        optimiser.lr = lr
        set_gradients(ps, np.random.default_rng(2))
        optimiser.step()
    for p, q in zip(*twins, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


# Memory


def test_parameters_change_in_place(rng):
    ps = parameters(rng)
    arrays = [p.data for p in ps]
    set_gradients(ps, rng)
    optim.SGD(ps, lr=0.1).step()
    assert all(p.data is array for p, array in zip(ps, arrays, strict=True))


def test_a_parameter_locked_by_a_live_graph_gets_a_new_array(rng):
    w = ag.Tensor([2.0], requires_grad=True)
    x = ag.Tensor([5.0], requires_grad=True)
    loss = (w * x).sum()  # saves w for the gradient of x
    w.grad = np.ones(1)
    optim.SGD([w], lr=0.5).step()
    assert w.data == [1.5]
    loss.backward()
    assert x.grad == [2.0]
    array, w.grad = w.data, np.ones(1)
    optim.SGD([w], lr=0.5).step()  # the graph is dead: in place again
    assert w.data is array


def test_a_parameter_that_shares_memory_keeps_it_or_warns():
    vector = np.array([2.0, 9.0, 4.0])
    w, x = (ag.Tensor(np.ones(2), requires_grad=True, name=name) for name in "wx")
    w.data = vector[::2]  # not contiguous
    w.grad = np.ones(2)
    optim.SGD([w], lr=0.5).step()
    assert vector.tolist() == [1.5, 9, 3.5]
    loss = (w * x).sum()
    with pytest.warns(UserWarning, match=r"SGD.step: w shares memory with another array, and a live graph has locked"):
        optim.SGD([w], lr=0.5).step()
    assert (vector.tolist(), w.tolist()) == ([1.5, 9, 3.5], [1, 3])
    loss.backward()
    assert x.grad.tolist() == [1.5, 3.5]


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_parameters_and_gradients_may_have_any_layout(layout, dtype, rng):
    pairs = [(layout, np.copy), (np.copy, layout), (layout, layout)]
    for (as_parameter, as_gradient), shape in product(pairs, [(3, 4), (3,)]):
        start, grad = (drawn(rng, shape, dtype) for _ in range(2))
        p = ag.Tensor(start, requires_grad=True)
        p.data, p.grad = as_parameter(start.copy()), as_gradient(grad)
        optim.SGD([p], lr=0.5, momentum=0.9).step()
        np.testing.assert_array_equal(p.data, start - 0.5 * grad)


def test_a_step_is_not_recorded_and_accepts_recorded_gradients(rng):
    w = ag.Tensor(rng.normal(size=3), requires_grad=True)
    before = w.numpy()
    (w**3).sum().backward(create_graph=True)
    assert isinstance(w.grad, ag.Tensor)
    optim.Adam([w], lr=0.1).step()
    assert w.is_leaf
    assert isinstance(w.data, np.ndarray)
    np.testing.assert_allclose(w.data, before - 0.1, atol=1e-6)


def test_a_shared_parameter_is_updated_once(rng):
    w = ag.Tensor([1.0], requires_grad=True)
    w.grad = np.ones(1)
    optim.SGD([w, w], lr=0.25).step()
    assert w.data == [0.75]


# Warnings and errors


@pytest.fixture
def model(rng):
    return nn.Sequential(*(nn.Linear(2, 2, rng=rng) for _ in range(4)))


def test_step_skips_and_names_parameters_that_the_loss_does_not_depend_on(model):
    optimiser = optim.Adam(model.parameters())
    model[:3](np.ones((1, 2), np.float32)).sum().backward()
    before = [p.numpy() for p in model.parameters()]
    with pytest.warns(UserWarning) as caught:
        optimiser.step()
    assert [str(w.message) for w in caught] == [
        "Adam.step: no gradient for 2 of 8 parameters (3.w, 3.b): the loss does not depend on them"
    ]
    assert caught[0].filename == __file__
    same = [bool((p.data == b).all()) for p, b in zip(model.parameters(), before, strict=True)]
    assert same == [False] * 6 + [True] * 2


def test_step_warns_once_for_each_line(model):
    optimiser = optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            optimiser.zero_grad()
            model[:3](np.ones((1, 2), np.float32)).sum().backward()
            optimiser.step()
    assert len(caught) == 1


def test_step_before_backward_warns(model):
    with pytest.warns(UserWarning) as caught:
        optim.SGD(model.parameters(), lr=0.1).step()
    assert [str(w.message) for w in caught] == [
        "SGD.step: none of 8 parameters has a gradient. Call loss.backward() before step(); or are these not the "
        "parameters of the model that made the loss?"
    ]


@pytest.mark.parametrize("layers", [4, 1])
def test_step_warns_of_gradients_that_were_not_cleared(layers, model):
    optimiser = optim.SGD(model.parameters(), lr=0.1)
    x = np.ones((1, 2), np.float32)
    model(x).sum().backward()
    optimiser.step()
    model[:layers](x).sum().backward()  # whether or not backward adds to them, the previous step used them
    with pytest.warns(UserWarning) as caught:
        optimiser.step()
    assert [str(w.message) for w in caught] == [
        "SGD.step: 8 of 8 gradients were not cleared since the previous step (0.w, 0.b, 1.w, ...). "
        "Call zero_grad() once per step(), before backward()"
    ]


def test_accumulating_several_batches_and_clearing_by_hand_are_silent(model):
    optimiser = optim.SGD(model.parameters(), lr=0.1)
    x = np.ones((1, 2), np.float32)
    for _ in range(3):
        for _ in range(2):
            model(x).sum().backward()
        optimiser.step()
        for p in model.parameters():
            p.grad = None


def test_a_parameter_frozen_later_is_left_alone_silently(model):
    optimiser = optim.SGD(model.parameters(), lr=0.1)
    model[0].w.requires_grad = False
    before = model[0].w.numpy()
    model(np.ones((1, 2), np.float32)).sum().backward()
    optimiser.step()
    optimiser.zero_grad()
    np.testing.assert_array_equal(model[0].w.data, before)


@pytest.mark.parametrize("lr", [np.nan, np.inf, -1.0, None])
def test_a_step_with_a_rate_that_is_none_changes_nothing(lr):
    w = ag.Tensor(np.ones(3), requires_grad=True)
    optimiser = optim.SGD([w], 0.1, momentum=0.9)
    (w * w).sum().backward()
    before = optimiser.state_dict()
    optimiser.lr = lr
    with pytest.raises((TypeError, ValueError), match=rf"SGD\.step: lr is {lr}, want a number, 0 or more"):
        optimiser.step()
    optimiser.lr = 0.1
    assert w.data.tolist() == [1, 1, 1]
    for name, value in optimiser.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# Stopping and resuming


@recipes
def test_resuming_from_a_state_changes_no_bit(recipe, rng):
    make, options = RECIPES[recipe]

    def steps(optimiser, ps, first, last):
        for step in range(first, last):
            set_gradients(ps, np.random.default_rng(step))
            for p in ps:
                p.grad.setflags(write=False)  # a gradient is the user's
            optimiser.step()

    ps = parameters(rng, np.float32)
    optimiser = make(ps, **{"lr": 0.1, **options})
    steps(optimiser, ps, 0, 3)
    optimiser.lr = 0.05
    later = copy.deepcopy(ps)
    state = optimiser.state_dict()
    scalars = json.loads(json.dumps({name: v for name, v in state.items() if not isinstance(v, np.ndarray)}))
    arrays = {name: v.copy() for name, v in state.items() if isinstance(v, np.ndarray)}
    resumed = make(later, **{"lr": 0.1, **options})
    resumed.load_state_dict({**arrays, **scalars})
    steps(optimiser, ps, 3, 6)
    steps(resumed, later, 3, 6)
    for p, q in zip(ps, later, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert resumed.lr == 0.05
    assert all(name == "lr" or (arrays[name] == state[name]).all() for name in state)  # copies, both ways


def test_the_state_of_another_optimiser_is_refused_as_a_whole(rng):
    adam = optim.Adam(parameters(rng, shapes=[(3,), (2, 2)]))
    state = adam.state_dict()
    state["steps"] += 7
    state["mean.1"] = np.zeros((2, 2), np.float32)
    state["momentum.0"] = state.pop("square.0")
    with pytest.raises(ValueError, match="Adam") as caught:
        adam.load_state_dict(state)
    assert str(caught.value) == (
        "Adam.load_state_dict: the state does not fit; nothing was loaded\n"
        "  missing: square.0\n"
        "  unexpected: momentum.0\n"
        "  mean.1: (2, 2) float32, want (2, 2) float64"
    )
    assert adam.steps == [0, 0]


# Schedules


def rates(schedule, steps):
    return [schedule(step) for step in range(steps)]


def test_schedules_equal_pytorch(torch):
    def theirs(make, steps, lr):
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
        scheduler = make(optimiser)
        result = []
        for _ in range(steps):
            result.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step()
        return result

    schedulers = torch.optim.lr_scheduler
    cycle, options = partial(schedulers.OneCycleLR, max_lr=0.5, total_steps=50), {"start": 0.05, "final": 0.005}
    for ours, make, steps in [
        (optim.step_decay(0.5, 7, 0.3), lambda o: schedulers.StepLR(o, 7, 0.3), 40),
        (optim.cosine(0.5, 30, 0.01), lambda o: schedulers.CosineAnnealingLR(o, 30, 0.01), 31),
        (optim.one_cycle(0.5, 50), partial(cycle, final_div_factor=400), 49),
        *(
            (
                optim.one_cycle(0.5, 50, 0.37, **options, anneal_strategy=way),
                partial(cycle, pct_start=0.37, div_factor=10, final_div_factor=10, anneal_strategy=way),
                49,
            )
            for way in ("cos", "linear")
        ),
    ]:
        np.testing.assert_allclose(rates(ours, steps), theirs(make, steps, 0.5), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("warm_up", [0, 0.3, 1])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_short_cycles_stay_between_their_ends(steps, warm_up):
    course = rates(optim.one_cycle(1.0, steps, warm_up, start=0.1, final=0.01), steps + 3)
    assert all(0.01 <= rate <= 1 for rate in course)
    assert max(course) == 1


def test_schedules_return_python_floats():
    half = np.float64(0.5)
    for schedule in (optim.constant(half), optim.step_decay(half, 3), optim.cosine(half, 3), optim.one_cycle(half, 10)):
        assert {type(rate) for rate in rates(schedule, 12)} == {float}
        assert max(rates(schedule, 12)) == 0.5


def test_parameters_in_a_tree_are_one_vector():
    """As in HIPS autograd, whose Adam gives the same numbers."""
    theirs = pytest.importorskip("autograd.misc.optimizers")

    def adam(grad, params, num_iters, step_size):
        vector, tree = ag.ravel_pytree(params)
        p = ag.Tensor(vector, requires_grad=True)
        optimiser = optim.Adam([p], lr=step_size)
        for i in range(num_iters):
            p.grad, _ = ag.ravel_pytree(grad(tree(p.data), i))
            optimiser.step()
        return tree(p.data)

    start = [(np.arange(6.0).reshape(2, 3), 3.0), {"b": np.array([1.0, -1.0])}]
    slope = ag.grad(lambda p, i: ag.sum(ag.sin(p[0][0]) * p[0][1]) + ag.sum(p[1]["b"] ** 2) * (1 + i % 3))
    got, want = (f(slope, start, num_iters=50, step_size=0.01) for f in (adam, theirs.adam))
    for a, b in zip(tree_leaves(got), tree_leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
