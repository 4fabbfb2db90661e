"""Weights from files of other programs: the same numbers, or the call that brings them here."""

import json
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.arrayfile import CheckpointError
from interop.torch_networks import X, cnn, randomised

TORCH = {"layout": "torch", "example": X}


def model(seed=0, classes=4):
    nn.seed(seed)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(160, classes))


@pytest.fixture
def there(tmp_path):
    """The weights of a model, as PyTorch has them."""
    ag.interop.save_weights(tmp_path / "saved.safetensors", randomised(model()), **TORCH)
    arrays = safetensors.numpy.load_file(tmp_path / "saved.safetensors")
    return arrays | {"1.num_batches_tracked": np.array(3)}


def agrees(twin):
    want = randomised(model()).state_dict()
    return all((array == want[name]).all() for name, array in twin.state_dict().items())


def test_another_head_stays_and_is_named(tmp_path, there):
    safetensors.numpy.save_file({f"backbone.{name}": array for name, array in there.items()}, tmp_path / "w")
    twin = model(1, classes=7)
    head = twin[3].w.data
    with pytest.raises(
        CheckpointError, match=r"3.weight: \(4, 160\).*want \(7, 160\)[^$]*strict=False loads what fits"
    ):
        ag.interop.load_weights(tmp_path / "w", twin, **TORCH)
    left = ag.interop.load_weights(tmp_path / "w", twin, **TORCH, strict=False)
    assert left == (["3.weight", "3.bias"], ["backbone.3.bias", "backbone.3.weight"], "backbone.")
    assert twin[3].w.data is head
    np.testing.assert_array_equal(twin[0].w.data, there["0.weight"].transpose(2, 3, 1, 0))


def test_a_backbone_of_half_the_bits_is_loaded(there):
    twin, backbone = model(1), {n: a.astype(np.float16) for n, a in there.items() if n[0] != "3"}
    assert ag.interop.load_weights(backbone, twin, **TORCH, strict=False) == (["3.weight", "3.bias"], [], "")
    np.testing.assert_array_equal(twin[1].w.data, backbone["1.weight"].astype(np.float32))
    with pytest.raises(ValueError, match="nothing was loaded"):
        ag.interop.load_weights({"4.weight": np.ones(3)}, twin, **TORCH, strict=False)


def test_an_index_is_refused_with_the_call_for_its_parts(tmp_path, there):
    parts = [tmp_path / "w-1.safetensors", tmp_path / "w-2.safetensors"]
    for k, part in enumerate(parts):
        safetensors.numpy.save_file(dict([*there.items()][k::2]), part)
    (tmp_path / "w.index.json").write_text(json.dumps({"weight_map": {"0.weight": parts[0].name}}))
    with pytest.raises(CheckpointError, match=r"w\.index\.json: JSON, perhaps the index of a file in parts") as caught:
        ag.interop.load_weights(tmp_path / "w.index.json", model())
    twin = model(1)
    arrays = eval(str(caught.value).partition("parts: ")[2], {"parts": parts, "safetensors": safetensors})
    ag.interop.load_weights(arrays, twin, **TORCH)
    assert agrees(twin)


def test_arrays_of_numpy_are_read_in_either_layout(tmp_path, there):
    np.savez(tmp_path / "theirs.npz", **there)
    np.savez_compressed(tmp_path / "ours.npz", **randomised(model()).state_dict())
    for name, options in (("theirs", TORCH), ("ours", {})):
        twin = model(1)
        ag.interop.load_weights(tmp_path / f"{name}.npz", twin, **options)
        assert agrees(twin)


def test_damaged_arrays_and_objects_are_refused(tmp_path):
    path, layer = tmp_path / "w.npz", nn.Linear(2, 3)
    np.savez_compressed(path, w=np.array([print], object))
    with pytest.raises(CheckpointError, match=r"w\.npz: .*allow_pickle"):
        ag.interop.load_weights(path, layer)
    np.savez_compressed(path, **layer.state_dict())
    raw, want = path.read_bytes(), layer.w.data
    for k in range(len(raw)):
        path.write_bytes(raw[:k] + bytes([raw[k] ^ 0x41]) + raw[k + 1 :])
        try:
            ag.interop.load_weights(path, layer)
        except (CheckpointError, ImportError):  # of PyTorch, whose files are ZIP files, too
            continue
        np.testing.assert_array_equal(layer.w.data, want)


KERAS = {"net.keras": "net = keras.saving.load_model", "net.h5": "net = keras.saving.load_model",
         "net.weights.h5": "net.load_weights"}  # fmt: skip


@pytest.mark.parametrize("name", KERAS)
def test_a_file_of_keras_is_refused_with_the_calls(tmp_path, name):
    path = str(tmp_path / name)
    if name.endswith("h5"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model.weights.h5", "")
    with pytest.raises(CheckpointError) as caught:
        ag.interop.load_weights(path, model())
    calls = f"{KERAS[name]}({path!r}); model.load_state_dict(net.get_weights())"
    assert str(caught.value) == f"{path}: written by Keras: {calls}"


# Files of PyTorch


def tensors(there):
    torch = pytest.importorskip("torch")
    return {name: torch.tensor(array) for name, array in there.items()}


def checkpoint(state):
    return {"epoch": 3, "state_dict": {f"model.{n}": a for n, a in state.items()}, "optimizer_states": [{"state": {}}]}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("wrap", [dict, checkpoint])
def test_a_file_of_torch_save_is_read(tmp_path, there, old, wrap):
    state = tensors(there)
    sys.modules["torch"].save(wrap(state), tmp_path / "w.pt", _use_new_zipfile_serialization=not old)
    twin = model(1)
    ag.interop.load_weights(tmp_path / "w.pt", twin, **TORCH)
    assert agrees(twin)


def test_bfloat16_comes_from_every_file_of_pytorch(tmp_path, there):
    state = {name: t.bfloat16() for name, t in tensors(there).items()}
    import safetensors.torch

    sys.modules["torch"].save(state, tmp_path / "w.bin")
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    for source in (tmp_path / "w.bin", tmp_path / "w.safetensors", state):
        twin = model(1)
        ag.interop.load_weights(source, twin, **TORCH)
        for ours, theirs in ((twin[0].w.data.transpose(3, 2, 0, 1), "0.weight"), (twin[1].w.data, "1.weight")):
            np.testing.assert_array_equal(ours, state[theirs].float().numpy())


def test_numbers_of_eight_bits_come_by_way_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    import safetensors.torch

    layer, path = nn.LayerNorm(3), tmp_path / "w"
    safetensors.torch.save_file({n: (2 * torch.ones(3)).to(torch.float8_e4m3fn) for n in "wb"}, path)
    with pytest.raises(CheckpointError) as caught:
        ag.interop.load_weights(path, layer)
    state = "{n: t.float() for n, t in safetensors.torch.load_file(path).items()}"
    assert str(caught.value) == f"{path}: NumPy has no dtype 'F8_E4M3'. With PyTorch, load {state}"
    ag.interop.load_weights({n: t.float() for n, t in safetensors.torch.load_file(path).items()}, layer)
    assert layer.w.data.tolist() == [2, 2, 2]


def test_what_torch_save_wrote_besides_weights_is_refused_with_the_call(tmp_path, there):
    state, path = tensors(there), tmp_path / "w.pt"
    torch = sys.modules["torch"]
    torch.save({"model": state, "ema": state}, path)
    with pytest.raises(
        CheckpointError,
        match=r"has model, ema: load_weights\(torch\.load\('.*w\.pt'\)\[name\], model, layout='torch', example=x\)",
    ):
        ag.interop.load_weights(path, model(), **TORCH)
    torch.save(torch.nn.Linear(2, 3), path)
    with pytest.raises(CheckpointError) as caught:
        ag.interop.load_weights(path, nn.Linear(2, 3))
    call = f"load_weights(torch.load({str(path)!r}, weights_only=False).state_dict(), model, layout='torch', example=x)"
    assert str(caught.value) == f"{path}: damaged, or more than weights. If you trust it: {call}"
    path.write_bytes(path.read_bytes()[:500])
    for wrong in (path.read_bytes(), b"PK\x03\x04" + bytes(100), b"\x80\x02" + bytes(100)):
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=r"w\.pt: "):
            ag.interop.load_weights(path, nn.Linear(2, 3))


def test_without_pytorch_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "w.pt").write_bytes(b"\x80\x02" + bytes(100))
    with pytest.raises(ImportError, match=r"reading .*w\.pt, a file of PyTorch, needs torch .*autograd_cnn\[torch\]"):
        ag.interop.load_weights(tmp_path / "w.pt", cnn(nn))
