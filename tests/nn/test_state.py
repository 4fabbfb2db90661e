"""States: saving, loading all or nothing, names of other libraries, copies."""

import copy
import pickle

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from nn.networks import Net


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
