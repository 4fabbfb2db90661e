"""Modules: parts and their names, saving and loading, copies, repr and summary, training."""

import copy
import gc
import pickle
import re
import weakref
from collections import deque
from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn


class Block(nn.Module):
    def __init__(self, channels, rng):
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, rng=rng)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return ag.relu(self.norm(self.conv1(x)))


class Net(nn.Module):
    def __init__(self, rng, width=4):
        self.width = width
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False, rng=rng)
        self.blocks = [Block(width, rng), Block(width, rng)]
        self.heads = {"classes": nn.Linear(width, 10, rng=rng)}
        self.scale = ag.Tensor(np.ones(10, np.float32), requires_grad=True)

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.heads["classes"](h.mean((1, 2))) * self.scale


@pytest.fixture
def net(rng):
    return Net(rng)


@pytest.fixture
def images(rng):
    return rng.random((5, 8, 8, 3), np.float32)


def perceptron(rng, dtype=np.float32):
    return nn.Sequential(nn.Linear(4, 16, rng=rng, dtype=dtype), nn.ReLU(), nn.Linear(16, 3, rng=rng, dtype=dtype))


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
    model = perceptron(rng)
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


def test_completion_offers_the_public_names():
    assert dir(nn) == sorted(nn.__all__)
    assert all(getattr(nn, name).__doc__ for name in dir(nn))


# Saving, loading, copying


def test_a_state_loads_into_another_model(images, rng):
    model, twin = Net(rng), Net(np.random.default_rng(1))
    model(images)  # moves the running statistics
    state = model.state_dict()
    twin.load_state_dict(state)
    for array in state.values():
        array[...] = 7  # changes neither model: state_dict and load_state_dict copy
    assert (twin.eval()(images).data == model.eval()(images).data).all()
    assert not (model.stem.w == 7).any()


def test_names_of_pytorch_are_told_apart():
    layer = nn.Linear(2, 3)
    with pytest.raises(
        ValueError, match=r"unexpected: weight\n  The names are PyTorch's: .*, layout=\"torch\", example=x"
    ):
        layer.load_state_dict({"weight": np.zeros((3, 2), np.float32), "b": layer.b.data})


def test_the_state_of_a_module_of_pytorch_with_the_same_names_is_loaded():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)  # a number near 0 would have a larger relative error
    ours, theirs = nn.GRU(2, 3), torch.nn.GRU(2, 3, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    x = np.ones((1, 4, 2), np.float32)
    np.testing.assert_allclose(ours(x)[0].data, theirs(torch.tensor(x))[0].detach(), 1e-5)
    with pytest.raises(ValueError, match=r"weight_ih_l0: \(9, 2\) float64, want \(9, 2\) float32"):
        ours.load_state_dict(theirs.double().state_dict())
    state = theirs.state_dict()
    ours.load_state_dict({n: np.asarray(a, "float32") for n, a in state.items()})


def test_arrays_in_order_are_loaded(net):
    state = {name: array + 1 for name, array in net.state_dict().items()}
    net.load_state_dict(list(state.values()))
    assert all((array == state[name]).all() for name, array in net.state_dict().items())
    with pytest.raises(ValueError, match=r"unexpected: \[2\]\n") as caught:
        nn.Linear(2, 3).load_state_dict([np.zeros((2, 4), "f"), np.zeros(3, "f"), np.zeros(3, "f")])
    assert "w: (2, 4) float32, want (2, 3) float32" in str(caught.value)
    for strict in (True, False):  # an array that is left out moves the others
        with pytest.raises(ValueError, match=r"missing: b$"):
            nn.Linear(2, 3).load_state_dict([np.zeros((2, 3), "f")], strict)


def test_without_strict_what_fits_is_loaded_and_the_rest_is_named():
    layer = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    head, state = layer[1].w.data, {"0.w": np.ones((2, 3), "f"), "1.w": np.ones((3, 9), "f"), "0.b": np.ones(3), "x": 1}
    left = layer.load_state_dict(state, strict=False)
    assert left == (["0.b", "1.w", "1.b"], ["0.b", "1.w", "x"], "")
    assert (layer[0].w.data == 1).all() and layer[1].w.data is head
    with pytest.raises(ValueError, match="does not fit; nothing was loaded"):
        layer.load_state_dict({"1.w": np.ones((3, 9), "f")}, strict=False)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.backbone."])
def test_a_prefix_of_all_names_is_stripped_and_returned(net, prefix):
    state = {name: array + 1 for name, array in net.state_dict().items()}
    left = net.load_state_dict({prefix + name: array for name, array in state.items()})
    assert left == ([], [], prefix)
    assert all((array == state[name]).all() for name, array in net.state_dict().items())
    with pytest.raises(ValueError, match=rf"unexpected: {prefix}stem.w, (.*\n)*  strict=False"):
        net.load_state_dict({prefix + name: array for name, array in state.items()} | {"scale": state["scale"]})


def test_several_prefixes_are_refused():
    layer, state = nn.Linear(2, 3), {}
    for prefix in ("student.", "teacher."):
        state |= {prefix + name: array for name, array in nn.Linear(2, 3).state_dict().items()}
    for strict in (True, False):
        before = layer.state_dict()
        with pytest.raises(ValueError, match=r"It fits behind 'student\.' and 'teacher\.': keep the names with one"):
            layer.load_state_dict(state, strict)
        assert (layer.w.data == before["w"]).all()
    assert layer.load_state_dict(state | layer.state_dict(), strict=False).prefix == ""


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_numbers_of_fewer_bits_are_converted(dtype):
    layer, state = nn.Linear(2, 3, dtype="float64"), {"w": np.full((2, 3), 0.3, dtype), "b": np.ones(3, dtype)}
    layer.load_state_dict(state)
    assert layer.w.dtype == np.float64 and (layer.w.data == state["w"]).all()
    for wrong in (np.ones(3, int), np.ones(3, bool), np.ones(3, complex)):
        with pytest.raises(ValueError, match=r"b: \(3,\) \w+, want \(3,\) float64"):
            layer.load_state_dict(state | {"b": wrong})


def test_numbers_that_would_be_converted_are_no_difference():
    state = {f"module.{name}": array.astype(np.float16) for name, array in nn.Linear(2, 3).state_dict().items()}
    with pytest.raises(ValueError, match=r"loaded\n  unexpected: x\n  strict=False loads what fits.*$"):
        nn.Linear(2, 3).load_state_dict(state | {"module.x": np.ones(3)})


def test_bfloat16_of_pytorch_is_converted():
    torch = pytest.importorskip("torch")
    layer = nn.LayerNorm(3)
    layer.load_state_dict({"w": torch.tensor([1, 2.5, -3]).bfloat16(), "b": torch.ones(3).half()})
    assert layer.w.data.tolist() == [1, 2.5, -3] and layer.w.dtype == np.float32


def test_loading_is_all_or_nothing_and_lists_every_difference(net):
    before, state = net.state_dict(), net.state_dict()
    state["stem.w"] = np.zeros((3, 3, 1, 4), np.float32)
    state["scale"] = np.ones(10)
    state["blocks.0.conv1.w"] += 1
    state["stem.b"], state["bias"] = state.pop("heads.classes.b"), np.float32(0)
    del state["blocks.1.norm.running_var"]
    with pytest.raises(ValueError, match="Net") as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Net.load_state_dict: the state does not fit; nothing was loaded\n"
        "  missing: blocks.1.norm.running_var, heads.classes.b\n"
        "  unexpected: stem.b, bias\n"
        "  stem.w: (3, 3, 1, 4) float32, want (3, 3, 3, 4) float32\n"
        "  scale: (10,) float64, want (10,) float32\n"
        "  To round, load {n: np.asarray(a, 'float32') for n, a in state.items()}"
    )
    after = net.state_dict()
    assert all((after[name] == before[name]).all() for name in before)


def test_loading_under_a_live_graph_leaves_its_gradient_right(rng):
    layer = nn.Linear(2, 1, bias=False, rng=rng, dtype=np.float64)
    x = ag.Tensor(np.ones((1, 2)), requires_grad=True)
    before = layer.w.numpy()
    loss = layer(x).sum()
    layer.load_state_dict({"w": np.zeros((2, 1))})
    loss.backward()
    np.testing.assert_array_equal(x.grad, before.T)
    assert not layer.w.data.any()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copied_model_is_independent_and_whole(clone, rng):
    model = nn.Sequential(nn.Linear(4, 4, rng=rng), nn.Dropout(0.5, rng=rng), nn.Linear(4, 4, rng=rng))
    model[2].w = model[0].w
    twin = clone(model)
    assert twin[2].w is twin[0].w
    assert [p.name for p in twin.parameters()] == [p.name for p in model.parameters()]
    x = np.ones((8, 4), np.float32)
    assert (twin(x).data == model(x).data).all()  # the generator was copied too, with its state
    twin[0].w.data = np.zeros_like(twin[0].w.data)
    assert model[0].w.data.any()


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


class Shared(nn.Module):
    """Parameters in attributes, in a list, in a dict, and twice in one module."""

    def __init__(self, rng):
        self.first = nn.Linear(3, 3, rng=rng)
        self.layers = [nn.Linear(3, 3, rng=rng), self.first]
        self.scales = {"in": ag.Tensor(np.float32([1, 2, 3]), requires_grad=True), "rest": (self.first.w, None)}
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x * self.scales["in"])
        return self.layers[0](self.norm(x)) @ self.scales["rest"][0]


def test_a_module_is_called_with_other_parameters(rng):
    """Values and gradients are those of a model that has these parameters, and the module keeps its own."""
    model, twin = Shared(rng), Shared(rng)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    others = {name: p.data for name, p in twin.named_parameters()}
    buffers = {name: ag.Tensor(b.data + 1) for name, b in twin.named_buffers()}
    before, parts = model.state_dict(), [*model.parameters(), *model.buffers()]
    out = ag.functional_call(model, {**others, **buffers}, x)
    twin_out = twin(x)
    np.testing.assert_array_equal(out.data, twin_out.data)
    assert not out.requires_grad
    np.testing.assert_allclose(buffers["norm.running_mean"].data, twin.norm.running_mean.data + 0.9, atol=1e-6)

    found = ag.grad(lambda p: ag.sum(ag.functional_call(model, p, x) ** 2))(others)
    ag.sum(twin_out**2).backward()
    for name, p in twin.named_parameters():
        np.testing.assert_allclose(found[name], p.grad, rtol=1e-5)
    assert all(a is b for a, b in zip(parts, [*model.parameters(), *model.buffers()], strict=True))
    for name in others:
        np.testing.assert_array_equal(model.state_dict()[name], before[name])


def test_a_part_of_the_parameters_and_a_direction(rng):
    model, x = nn.Linear(3, 2, rng=rng, dtype=np.float64), rng.normal(size=(4, 3))
    b = np.ones(2)
    value, slope = ag.jvp(lambda b: ag.functional_call(model, {"b": b}, x), (b,), (np.array([1.0, 0.0]),))
    np.testing.assert_allclose(value, x @ model.w.data + 1)
    np.testing.assert_array_equal(slope, [[1, 0]] * 4)
    np.testing.assert_array_equal(ag.functional_call(model, {"b": b}, (x,)).data, value)  # as in torch.func
    ag.functional_call(model, {"b": b}, x).sum().backward()
    assert (model.b.grad, model.w.grad.shape) == (None, (3, 2))


def test_calls_with_other_parameters_nest_and_leave_the_module_as_it_is(rng):
    class Twice(nn.Module):
        def __init__(self):
            self.scale = ag.Tensor(2.0, requires_grad=True)
            self.twin = self  # a circle

        def forward(self, x, deeper=False):
            if deeper:
                x = ag.functional_call(self, {"scale": 10.0}, x)
            self.seen = self.scale.item()
            return x * self.twin.scale / (x.data != 0)

    model = Twice()
    own = model.scale
    assert ag.functional_call(model, {"scale": 3.0}, 1.0 * own, deeper=True).item() == 60
    assert model.scale is own and not hasattr(model, "seen")
    model(own)
    ag.functional_call(model, {"scale": 3.0}, 1.0 * own)
    assert model.seen == 2


HOLDERS = lambda m: m.inner.forward, lambda m: lambda x: m.inner(x), lambda m: partial(nn.Module.__call__, m.inner)


@pytest.mark.parametrize("held", HOLDERS)
def test_a_function_that_holds_a_module_would_call_it_with_its_own_parameters(rng, held):
    class Outer(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(2, 2, rng=rng)
            self.run = held(self)

        def forward(self, x):
            return self.run(x)

    model = Outer()
    with pytest.raises(TypeError, match=r"replaced: .* holds a module\n.* call it in forward instead"):
        ag.functional_call(model, {n: p.data for n, p in model.named_parameters()}, np.ones((1, 2)))


def test_a_function_may_name_a_variable_that_is_set_later(rng):
    model, x = nn.Sequential(nn.Linear(2, 2, rng=rng), lambda x: x * later), np.ones((1, 2), np.float32)
    with pytest.raises(NameError, match="later"):
        ag.functional_call(model, {}, x)
    later = 2.0
    np.testing.assert_array_equal(ag.functional_call(model, {}, x).data, model(x).data)


def test_the_second_run_of_a_checkpoint_has_the_other_parameters_too(rng):
    class Layer(nn.Module):
        def __init__(self, run, inner=None):
            self.run, self.inner = run, inner or nn.Linear(3, 3, rng=np.random.default_rng(0))

        def forward(self, x):
            return self.run(lambda x: ag.tanh(self.inner(x)), x)

    class Slope(Layer):
        def forward(self, x):  # the second run is inside of the call
            return ag.grad(lambda x: ag.sum(self.inner(x) ** 2))(x)

    kept, again = Layer(lambda f, x: f(x)), Layer(ag.checkpoint)
    x = rng.normal(size=(2, 3))
    for first, second in (kept, again), (Slope(None, kept), Slope(None, again)):
        f, g = (lambda p, m=m: ag.sum(ag.functional_call(m, p, x) ** 2) for m in (first, second))
        p = {name: rng.normal(size=t.shape) for name, t in first.named_parameters()}
        for derivative in ag.grad, lambda f: lambda p: ag.hvp(f, (p,), (p,))[0]:
            for want, got in zip(derivative(f)(p).values(), derivative(g)(p).values(), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12)
