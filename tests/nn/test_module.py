"""Modules: parts and their names, what may be assigned, repr and summary, training."""

import gc
import re
import weakref
from collections import deque

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from nn.networks import Block, Net

# Parts and names


def test_parameters_and_buffers_are_found_by_their_place(net):
    assert [name for name, _ in net.named_parameters()] == [
        "stem.w", "blocks.0.conv1.w", "blocks.0.conv1.b", "blocks.0.norm.w", "blocks.0.norm.b",
        "blocks.1.conv1.w", "blocks.1.conv1.b", "blocks.1.norm.w", "blocks.1.norm.b",
        "heads.classes.w", "heads.classes.b", "scale",
    ]  # fmt: skip
    buffers = {name for name in net.state_dict() if name not in dict(net.named_parameters())}
    assert buffers == {f"blocks.{i}.norm.running_{what}" for i in (0, 1) for what in ("mean", "var")}
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]


def test_every_tensor_is_named_after_its_place_from_the_root(net):
    assert [p.name for p in net.parameters()] == [name for name, _ in net.named_parameters()]
    assert net.blocks[1].norm.running_mean.name == "blocks.1.norm.running_mean"
    assert net.blocks[1].path == "blocks.1"
    assert net.path == ""


def test_a_tree_that_is_assigned_deeper_later_is_renamed_as_a_whole(rng):
    outer, middle, inner = nn.Sequential(), nn.Sequential(Block(2, rng)), nn.Sequential(nn.ReLU())
    assert middle[0].conv1.w.name == "0.conv1.w"
    inner.middle = middle
    outer.inner = [inner]
    assert middle[0].conv1.w.name == "inner.0.middle.0.conv1.w"
    assert middle[0].norm.path == "inner.0.middle.0.norm"


def test_a_name_given_by_hand_or_at_another_place_stays(rng):
    a, b = nn.Linear(2, 2, rng=rng), nn.Linear(2, 2, rng=rng)
    b.w = a.w  # both are roots so far: w has one name in two places
    root, other = nn.Sequential(a, b), nn.Sequential()
    other.borrowed, other.listed = root[0], [root[0]]
    assert (a.w.name, b.w.name, b.b.name) == ("0.w", "0.w", "1.b")
    assert (a.path, a.b.name) == ("0", "0.b")
    root.w = ag.Tensor([1.0], requires_grad=True, name="theta")
    assert root.w.name == "theta"


def test_modules_appended_to_a_list_are_named_when_the_parameters_are_listed(rng):
    class Grown(nn.Module):
        def __init__(self):
            self.blocks = []
            for _ in range(2):
                self.blocks.append(Block(2, rng))

    assert [p.name for p in Grown().parameters()][:5:4] == ["blocks.0.conv1.w", "blocks.1.conv1.w"]


def test_a_shared_parameter_counts_once_and_sums_its_gradients(rng):
    tied = nn.Sequential(nn.Linear(3, 3, rng=rng), nn.Linear(3, 3, rng=rng))
    tied[1].w = tied[0].w
    assert [name for name, _ in tied.named_parameters()] == ["0.w", "0.b", "1.b"]
    assert "1.w" not in tied.state_dict()
    assert repr(tied).startswith("Sequential(): 15 parameters")


def test_results_of_operations_and_arrays_are_not_part_of_the_model(net, images):
    before = set(net.state_dict())
    net.result = net(images)
    net.palette = np.zeros(3)
    net.sizes = [1, 2, 3]
    assert set(net.state_dict()) == before
    assert net.result.name is None


def test_a_frozen_parameter_is_saved_but_not_trained(net):
    net.stem.w.requires_grad = False
    assert "stem.w" not in dict(net.named_parameters())
    assert "stem.w" in net.state_dict()
    assert repr(net.stem) == "Conv2d(padding=1): 0 parameters, w (3, 3, 3, 4)"


def test_train_and_eval_reach_every_module_and_return_the_model(net):
    assert net.training
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 9
    assert all(m.training for m in net.train().modules())


def test_a_model_may_change_while_it_is_walked(rng):
    """As by another thread that switches it to evaluation: each pass goes through the layers that it began with."""
    model = nn.Sequential(nn.Linear(4, 16, rng=rng), nn.ReLU(), nn.Linear(16, 3, rng=rng))
    for walked in (iter(model), model.modules()):
        next(walked)
        model.eval().note = len(vars(model))
        model[0].note = model[1].note = 1
        setattr(model, f"note{len(vars(model))}", 1)
        assert len(list(walked)) >= 2
    for module in model.modules():
        model.last = module.training
        module.seen = True
    calls = []
    model = nn.Sequential(lambda x: calls.append(model.eval()) or x, nn.Linear(4, 2, rng=rng))
    assert model(np.ones((3, 4), np.float32)).shape == (3, 2)


def test_a_model_is_freed_without_the_garbage_collector(rng):
    net = Net(rng)
    gone = weakref.ref(net.blocks[1].conv1.w)
    gc.disable()
    try:
        del net
        assert gone() is None
    finally:
        gc.enable()


# Repr and summary


def test_repr_lists_shapes_and_counts(net):
    assert repr(net).splitlines() == [
        "Net(): 480 parameters",
        "                  Net()              scale (10,)                                           10",
        "  stem            Conv2d(padding=1)  w (3, 3, 3, 4)                                       108",
        "  blocks.0        Block()",
        "  blocks.0.conv1  Conv2d(padding=1)  w (3, 3, 4, 4), b (4,)                               148",
        "  blocks.0.norm   BatchNorm2d()      w (4,), b (4,), running_mean (4,), running_var (4,)    8",
        "  blocks.1        Block()",
        "  blocks.1.conv1  Conv2d(padding=1)  w (3, 3, 4, 4), b (4,)                               148",
        "  blocks.1.norm   BatchNorm2d()      w (4,), b (4,), running_mean (4,), running_var (4,)    8",
        "  heads.classes   Linear()           w (4, 10), b (10,)                                    50",
    ]
    assert repr(net.heads["classes"]) == "Linear(): 50 parameters, w (4, 10), b (10,)"


def test_summary_shows_shapes_in_the_order_of_the_calls(net):
    net.stem, net.spare = net.stem, nn.Linear(2, 3, rng=np.random.default_rng(0))
    assert net.summary((2, 8, 8, 3)) == "\n".join(
        [
            "layer           kind               output        parameters",
            "                Net()              (2, 10)               10",
            "stem            Conv2d(padding=1)  (2, 8, 8, 4)         108",
            "blocks.0        Block()            (2, 8, 8, 4)           0",
            "blocks.0.conv1  Conv2d(padding=1)  (2, 8, 8, 4)         148",
            "blocks.0.norm   BatchNorm2d()      (2, 8, 8, 4)           8",
            "blocks.1        Block()            (2, 8, 8, 4)           0",
            "blocks.1.conv1  Conv2d(padding=1)  (2, 8, 8, 4)         148",
            "blocks.1.norm   BatchNorm2d()      (2, 8, 8, 4)           8",
            "heads.classes   Linear()           (2, 10)               50",
            "spare           Linear()           not called             9",
            "total                                                   489",
        ]
    )


def test_summary_marks_a_shared_module(rng):
    layer = nn.Linear(3, 3, rng=rng)
    text = nn.Sequential(layer, layer).summary((1, 3))
    assert re.findall(r"Linear\(\) +\(1, 3\) +(\w+)", text) == ["12", "shared"]
    assert text.endswith(" 12")


def test_summary_lists_the_modules_of_the_model_alone_and_replaces_no_forward():
    class Model(nn.Module):
        def __init__(self):
            self.relu = nn.ReLU()

        def forward(self, x):
            assert "forward" not in vars(self) and "forward" not in vars(self.relu)
            return nn.Sigmoid()(self.relu(x))

    model = Model()
    assert [line.split()[0] for line in model.summary((1, 3)).splitlines()] == ["layer", "Model()", "relu", "total"]


def test_summary_leaves_no_trace_even_when_the_model_fails(rng):
    recorded = []

    class Counting(nn.Module):
        def __init__(self):
            self.calls = 0
            self.norm, self.drop = nn.BatchNorm2d(3).eval(), nn.Dropout(0.5, rng=rng)

        def forward(self, x):
            self.calls += 1
            recorded.append((x * self.norm.w).requires_grad)
            return self.drop(self.norm(x)) @ x

    model = Counting()
    state, draws = model.state_dict(), rng.bit_generator.state
    before = [dict(vars(module)) for module in model.modules()]
    model.summary((3, 3))
    with pytest.raises(ValueError, match="matmul"):
        model.summary((2, 3))
    assert [dict(vars(module)) for module in model.modules()] == before
    assert all((state[name] == after).all() for name, after in model.state_dict().items())
    assert rng.bit_generator.state == draws
    assert model.training and not model.norm.training
    assert recorded == [False, False]


# Training


def test_a_step_of_a_whole_cnn_stays_float32_and_reaches_every_parameter(net, images):
    loss = ag.cross_entropy(net(images), np.arange(5))
    loss.backward()
    assert loss.dtype == np.float32
    for p in net.parameters():
        assert p.grad.dtype == np.float32
        assert p.grad.any() or p.name.endswith("conv1.b")  # batch norm cancels the bias before it


def test_a_forward_that_returns_nothing():
    class Net(nn.Module):
        def __init__(self):
            self.inner = Silent()

        def forward(self, x):
            return self.inner(x)

    class Silent(nn.Module):
        def forward(self, x):
            ag.relu(x)

    for model in (Silent(), Net()):
        with pytest.raises(TypeError, match=r"Silent.forward returned None. Does it end with `return ...`\?"):
            model(np.ones(2))


CURE = "To change numbers: {}.data = array; to freeze them: .requires_grad = False; to keep a result, give it another"
LOSING = {  # an assignment, and what it would lose
    "an array": (lambda net: setattr(net.stem, "w", np.zeros((3, 3, 3, 4))), "Conv2d.w", r"stem.w by \(3, 3, 3, 4\)"),
    "a masked weight": (lambda net: setattr(net.stem, "w", net.stem.w * np.ones(4, "f")), "Conv2d.w",
        r"stem.w by the result of multiply \(test_module.py:\d+\). " + CURE.format("stem.w")),
    "a number": (lambda net: setattr(net, "scale", 3), "Net.scale", "scale"),
    "a list": (lambda net: setattr(net, "scale", [1.0, 2.0]), "Net.scale", "scale"),
    "a buffer for a parameter": (lambda net: setattr(net, "scale", net.scale.detach()), "Net.scale",
        "scale by .*, which is not trained. " + CURE.format("scale")),
    "a frozen one": (lambda net: setattr(freeze(net.stem), "w", net.scale * 2), "Conv2d.w", "stem.w"),
    "a number for a buffer": (lambda net: setattr(net.blocks[0].norm, "running_var", 0.0), "running_var", "blocks.0"),
    "a running mean": (lambda net: setattr(net.blocks[0].norm, "running_mean", net.scale[:4] * 1),
        "BatchNorm2d.running_mean", "blocks.0.norm.running_mean by the result of multiply"),
    "the output of a layer": (lambda net: setattr(net, "stem", net.stem(np.ones((1, 8, 8, 3), "f"))),
        "Net.stem", "stem.w"),
    "a list of results": (lambda net: setattr(net, "blocks", [net.scale * 2]), "Net.blocks", "blocks.0.conv1.w, "),
    "a dict of results": (lambda net: setattr(net, "heads", {"a": net.scale * 2}), "Net.heads",
        "heads.classes.w, heads.classes.b by the result of multiply"),
}  # fmt: skip


def freeze(layer):
    layer.w.requires_grad = False
    return layer


@pytest.mark.parametrize("name", LOSING)
def test_an_assignment_that_would_lose_a_part_of_the_state_is_refused(net, name):
    assign, place, lost = LOSING[name]
    before = net.state_dict()
    with pytest.raises(TypeError, match=rf"{place} = ... would replace {lost}"):
        assign(net)
    assert net.state_dict().keys() == before.keys()
    with pytest.raises(AttributeError, match="Conv2d has no requires_grad: p.requires_grad = False for each"):
        net.stem.requires_grad = False


def test_parts_may_be_replaced_tied_and_taken_away(net, images):
    other = Net(np.random.default_rng(1))
    net.scale = other.scale
    net.stem.b, net.blocks = ag.Tensor(np.ones(4, np.float32), requires_grad=True), net.blocks[:1]
    net.stem.b = None
    net.blocks[0].norm.running_mean = ag.Tensor(np.ones(4, np.float32))
    net.heads = {"classes": lambda x: x[:, :1]}
    net.result = net(images)
    net.result = net.result.data
    net.results = [net(images)]
    net.results = [net(images)]
    del net.scale
    assert list(net.state_dict()) == [
        "stem.w", "blocks.0.conv1.w", "blocks.0.conv1.b", "blocks.0.norm.w", "blocks.0.norm.b",
        "blocks.0.norm.running_mean", "blocks.0.norm.running_var",
    ]  # fmt: skip


def test_buffers_are_the_tensors_that_are_not_trained_each_once():
    norm = nn.BatchNorm2d(2)
    model = nn.Sequential(norm, norm, nn.Linear(2, 2))
    assert [id(b) for b in model.buffers()] == [id(norm.running_mean), id(norm.running_var)]
    model[2].b.requires_grad = False
    assert [b.name for b in model.buffers()] == ["0.running_mean", "0.running_var", "2.b"]
    assert [*model.named_buffers()] == [(b.name, b) for b in model.buffers()]


IN_THE_CLASS = [
    lambda: nn.Linear(2, 2), lambda: [nn.ReLU(), nn.Linear(2, 2)], lambda: {"a": (nn.Dropout(),)},
    lambda: ag.Tensor(np.ones(2), requires_grad=True), lambda: [ag.Tensor(np.ones(2), requires_grad=True)],
]  # fmt: skip


@pytest.mark.parametrize("make", IN_THE_CLASS)
@pytest.mark.parametrize("base", [nn.Module, nn.ReLU, nn.Sequential])
def test_parts_of_a_model_that_are_made_in_the_class_are_refused(make, base):
    class Mixin:
        part = make()

    for bases, body in ((base,), {"part": make()}), ((Mixin, base), {}):
        with pytest.raises(TypeError, match="Net.part is made in the class: all its models would share it, and its pa"):
            type("Net", bases, body)
    model = type("Net", (base,), {"__init__": lambda self: setattr(self, "part", make()), "mean": ag.Tensor([0.5])})()
    assert all(name.startswith("part") for name in model.state_dict())


COLLECTIONS = [
    set, frozenset, deque, lambda x: np.array(x, object), lambda x: dict(enumerate(x)).values(),
    lambda x: [{*x}], lambda x: {"a": ({*x},)},
]  # fmt: skip


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_layers_in_a_collection_without_lasting_places_are_refused(rng, collection):
    model = nn.Module()
    with pytest.raises(TypeError, match="Module.layers: parts of a model in a .* would not be found. Use a list"):
        model.layers = collection([nn.Linear(2, 2, rng=rng), nn.Linear(2, 2, rng=rng)])
    model.layers, model.names = [nn.Linear(2, 2, rng=rng)], {"a", "b"}
    assert len(list(model.parameters())) == 2
