"""The player's page shows arrays and moments as images, and which numbers of an operation belong together."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

import autograd_cnn as ag
from autograd_cnn.studio.player.array_views import Views, drawn, maps
from studio.pages import facts_of


def test_each_moment_has_its_image_or_none_has(models, rng):
    graph = models["square"]
    images = list(rng.integers(256, size=(2, 2, 3, 3), dtype=np.uint8))
    facts = facts_of(graph.page([("later", graph)], images=images))
    for frame, image in zip(facts["frames"], images, strict=True):
        png = base64.b64decode(frame["image"].partition(",")[2])
        assert np.array_equal(np.rint(255 * imread(io.BytesIO(png))), image)
    with pytest.raises(ValueError, match="1 images for 2 moments"):
        graph.page([("later", graph)], images=images[:1])
    assert "image" not in facts_of(graph.page())["frames"][0]


def test_maps_of_an_activation_are_its_channels_and_of_a_parameter_its_filters(rng):
    a = rng.normal(size=(2, 3, 4, 5))
    cut = maps(a, "activation")
    assert np.array_equal(cut.numbers, np.moveaxis(a[:1], -1, 1)) and cut.words == "item 0: 5 channels"
    kernels = maps(a, "parameter")
    assert np.array_equal(kernels.numbers, np.transpose(a, (3, 2, 0, 1))) and "4 input channels" in kernels.words
    assert maps(np.ones((1, 8, 8, 30)), "activation").words == "item 0: 6 of 30 channels"


def test_numbers_are_kept_with_four_digits(rng):
    a = (rng.normal(size=200) * 10.0 ** rng.integers(-30, 30, 200)).reshape(1, 8, 5, 5)
    a.flat[:4] = 0, np.nan, 0.99999, -1234.5
    kept = drawn(maps(a, "activation"), False, "")["numbers"]
    want = np.moveaxis(a, -1, 1).ravel()
    assert kept == [float(f"{v:.4g}") if np.isfinite(v) else None for v in want] and kept.count(None) == 1


@pytest.mark.parametrize("array", [
    np.zeros((0, 3)), np.float32(2), np.ones(20, bool), np.arange(20), np.full(20, np.nan), np.zeros((2, 0, 3, 3)),
    np.ones((2, 2, 2, 2, 3)), np.array([np.inf] + [1.0] * 20), np.ones((3, 4, 5)), 1j * np.ones(20),
], ids=str)  # fmt: skip
def test_every_array_can_be_shown(array):
    value = SimpleNamespace(id="", role="activation", shape=np.shape(array))
    found = Views(SimpleNamespace(ops=[])).look(array, value, False)
    json.dumps([found, drawn(maps(array, "activation"), True, "activation")])
    assert found["size"] == np.size(array)
    if np.size(array) and not np.isfinite(array).all():
        assert found["bad"] == np.size(array) - np.count_nonzero(np.isfinite(array))


def test_only_rectifiers_let_through_or_shut():
    def f(x, b):
        return ag.sum(ag.relu(x + b) * 2.0)

    x, b = np.array([[0.0, 1.0], [-1.0, 2.0]]), np.zeros(2)
    reaches = [op.get("reach") for op in facts_of(ag.trace(f, x, b).page())["frames"][0]["ops"]]
    assert [bool(reach and reach["gate"]) for reach in reaches[:3]] == [False, True, False]


def test_the_margin_of_a_window_is_that_of_rows_and_of_columns(rng):
    w = ag.Tensor(rng.normal(size=(3, 1, 1, 1)), requires_grad=True)
    graph = ag.trace(lambda x: ag.sum(ag.conv2d(x, w, padding=(1, 0))), rng.normal(size=(1, 4, 4, 1)))
    reach = facts_of(graph.page())["frames"][0]["ops"][0]["reach"]
    assert (reach["kernel"], reach["pad"]) == ([3, 1], [1, 0])


def test_a_pool_to_which_no_gradient_flows_is_on_the_page(rng):
    graph = ag.trace(lambda x: ag.sum(ag.max_pool2d(x.detach(), 2) * x[:, :2, :2]), rng.normal(size=(1, 4, 4, 2)))
    assert "max_pool2d" in graph.page()


@pytest.mark.parametrize("shape", [(4, 5), (5, 5), (2, 4, 5)], ids=str)
def test_elements_of_two_arrays_meet_in_arrays_of_any_shape(rng, shape):
    a, b = (ag.Tensor(rng.normal(size=shape), True, name) for name in "ab")
    (facts,) = facts_of(ag.trace(lambda: ag.sum((a + b) * a)).page())["frames"]
    assert [op["reach"]["each"] for op in facts["ops"][:2]] == [op["inputs"] for op in facts["ops"][:2]]
