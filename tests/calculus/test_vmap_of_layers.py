"""vmap of layers: the gradients of weights that examples share, and of weights of each, against a loop."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.observe import observing

RNG = np.random.default_rng(0)
XS, W = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 2))


def loop(f, *args):
    return np.stack([np.asarray(getattr(y, "data", y)) for y in (f(*example) for example in zip(*args, strict=True))])


def close(got, want, rtol=1e-10):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol / 100)


IMAGES = RNG.normal(size=(5, 2, 6, 5, 4))
CONVOLUTIONS = {
    "plain": ((3, 2, 4, 6), {"padding": 1}),
    "stride": ((3, 3, 4, 2), {"stride": (2, 1), "padding": ((1, 0), (2, 1))}),
    "dilation": ((2, 2, 4, 3), {"dilation": 2}),
    "groups": ((3, 3, 2, 4), {"padding": "same", "groups": 2}),
}


def check_weights(f, w, *others):
    """Compare the gradients by weights that all share, of first and second order, and values for weights of each."""
    weights = np.stack([w + k for k in range(5)])
    for arguments, axes in ((w, None), (weights, 0)):
        every = w[None].repeat(5, 0) if axes is None else weights
        for g in (f, ag.grad(f), ag.grad(lambda w, x: ag.sum(ag.sin(ag.grad(f)(w, x))))):
            got = ag.vmap(g, (axes, 0))(arguments, *others)
            want = loop(g, every, *others)
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_weights_of_a_convolution(name):
    shape, options = CONVOLUTIONS[name]
    w, b = RNG.normal(size=shape), RNG.normal(size=shape[-1])
    check_weights(lambda w, x: ag.sum(ag.conv2d(x, w, None, **options) ** 2), w, IMAGES)
    check_weights(lambda b, x: ag.sum(ag.tanh(ag.conv2d(x, w, b, **options))), b, IMAGES)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_weights_of_a_linear_layer(shape):
    x = RNG.normal(size=(5, *shape))
    check_weights(lambda w, x: ag.sum(ag.linear(x, w, np.ones(2)) ** 2), W, x)
    check_weights(lambda b, x: ag.sum(ag.tanh(ag.linear(x, W, b))), np.ones(2), x)


def test_weights_of_each_example_are_groups_of_one_convolution():
    w, calls = RNG.normal(size=(3, 3, 4, 2)), []
    with observing(lambda call: calls.append((call.primitive.name, np.shape(call.out)[:1]))):
        ag.vmap(ag.grad(lambda w, x: ag.sum(ag.conv2d(ag.relu(ag.conv2d(x, w)), w[..., :2, :]))), (None, 0))(w, IMAGES)
    assert [shape for name, shape in calls if name == "conv2d"] == [(2,)] * 2


def test_images_and_what_differs_beside_them_without_groups():
    @ag.primitive(batch="images")
    def scaled(x, s):
        return x * s

    scaled.vjp(x=lambda g, s: g * s, s=lambda g, x: ag.sum(g * x, (0, 1, 2)))
    check_weights(lambda s, x: ag.sum(ag.sin(scaled(x, s))), np.ones(4), IMAGES)


X, IMAGE, KERNEL = np.ones((3, 2, 3)), np.ones((2, 1, 4, 4, 2)), np.ones((2, 3, 3, 2, 2))


@pytest.mark.parametrize(("layer", "args", "message"), [
    (ag.linear, (X, np.ones((3, 3))), "linear: w is 1-dimensional"),
    (ag.linear, (X, np.ones((3, 3, 4)), np.ones((3, 1))), r"linear: b is \(1,\), w \(3, 4\) has 4 outputs"),
    (ag.linear, (X, np.ones((3, 2, 4))), r"linear: x \(2, 3\) @ w \(2, 4\): 3 is not 2"),
    (ag.conv2d, (IMAGE, np.ones((2, 3, 3, 3, 2))), r"x has 2 channels, w expects 3\n[^$]*Should w be \(3, 3, 2, 2\)\?"),
    (ag.conv2d, (IMAGE, KERNEL, np.ones((2, 3))), r"b is \(3,\), want \(2,\)"),
])  # fmt: skip
def test_operands_of_each_example_that_do_not_fit(layer, args, message):
    with pytest.raises(ValueError, match=message):
        ag.vmap(layer)(*args)


def test_gradients_of_a_cnn_for_each_example_and_for_a_model_each():
    model = ag.nn.Sequential(
        ag.nn.Conv2d(4, 3, 3, padding=1), ag.nn.ReLU(), ag.nn.MaxPool2d(2), ag.nn.Flatten(), ag.nn.Linear(18, 2)
    )
    parameters = {name: p.data for name, p in model.named_parameters()}
    images = IMAGES.astype(np.float32)
    g = ag.grad(lambda p, x: ag.mean(ag.functional_call(model, p, x) ** 2), (0, 1))
    with ag.no_grad():
        np.testing.assert_allclose(ag.vmap(model)(images), loop(model, images), rtol=1e-4, atol=1e-6)
    models = {name: np.stack([p * k for k in (1, 2, 3, 4, 5)]) for name, p in parameters.items()}
    for axes, given in ((None, parameters), (0, models)):
        got, by_image = ag.vmap(g, (axes, 0))(given, images)
        for k in range(5):
            want, one = g(given if axes is None else {name: p[k] for name, p in models.items()}, images[k])
            np.testing.assert_allclose(by_image[k], one, rtol=1e-3, atol=1e-5)
            for name in parameters:
                np.testing.assert_allclose(got[name][k], want[name], rtol=1e-3, atol=1e-5)


def test_gradients_of_parameters_outside():
    layer = ag.nn.Linear(3, 2, dtype=np.float64)
    ag.sum(ag.vmap(lambda x: ag.tanh(layer(x)))(XS) ** 2).backward()
    found, layer.w.grad = layer.w.grad, None
    ag.sum(ag.tanh(layer(XS)) ** 2).backward()
    close(found, layer.w.grad)


def test_batch_norm():
    model = ag.nn.BatchNorm2d(4, dtype=np.float64)
    with pytest.raises(TypeError, match=r"(?s)vmap: .*BatchNorm: model.eval\(\)"):
        ag.vmap(model)(IMAGES)
    assert model.running_mean.tolist() == [0.0] * 4
    model.eval()
    close(ag.vmap(model)(IMAGES).data, loop(model, IMAGES))
