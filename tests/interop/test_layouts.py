"""The same small networks, here and in PyTorch: weights that were saved for it give its outputs, or are refused.

A pair of functions has the network in either library. `p` holds its weights, which have the same names in both. A text
in the place of the second function is the reason for which the network is refused.
"""

import re
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn

RNG = np.random.default_rng(7)
IMAGE = RNG.standard_normal((2, 4, 6, 3)).astype("f")
ROWS = RNG.standard_normal((2, 5, 3)).astype("f")
FLAT = RNG.standard_normal((2, 24)).astype("f")
FRAMES = RNG.standard_normal((2, 3, 4, 6, 3)).astype("f")
WORDS = np.arange(10).reshape(2, 5)


class Net(nn.Module):
    """Weights by name, and a function of them."""

    def __init__(self, f, shapes):
        self.function = f
        for name, shape in shapes.items():
            a = RNG.standard_normal(shape) * 0.5 + 0.1
            setattr(self, name, ag.Tensor(a.astype("f"), requires_grad=True))

    def forward(self, x):
        return self.function(x, self)


class Torch:
    """Functions of PyTorch, which is imported when one is called."""

    def __getattr__(self, name):
        if name[0] == "_":  # which pytest looks for in every object of a module
            raise AttributeError(name)
        import torch

        return getattr(torch.nn.functional, name, None) or getattr(torch, name)


F = Torch()
cube = ag.primitive(lambda x: x**3, name="cube", elementwise=True, private=True)
other = ag.primitive(lambda x: x**3, name="other", private=True)
cube.vjp(x=lambda g, x: g * 3 * x**2)
other.vjp(x=lambda g, x: g * 3 * x**2)


def attention(q, k, v):
    return ag.softmax(q @ ag.transpose(k, (0, 2, 1)), -1) @ v


def attention_there(q, k, v):
    return (q @ k.transpose(1, 2)).softmax(-1) @ v


def conv(x, w):
    return ag.conv2d(x, w, padding=1)


def conv_(x, w):
    return F.conv2d(x, w, padding=1)


def flat(x):
    return ag.flatten(x, 1)


def doubled(x):
    return ag.concatenate([x, -x], -1)


def tokens(x):
    return x.reshape((2, -1, x.shape[-1]))


def heads(x, linear, transpose, p):
    """Attention in two heads, with the three products in one, and rotated by pairs of features."""
    q, k, v = (transpose(linear(x, p.qkv).reshape((2, 5, 3, 2, 2)), (2, 0, 3, 1, 4))[i] for i in range(3))
    weights = (q @ transpose(k, (0, 1, 3, 2)))[..., None].mean(-1)
    return transpose(weights @ v, (0, 2, 1, 3)).reshape((2, 5, 4))


def squeezed(x, p):
    return x * ag.sigmoid(ag.linear(ag.relu(ag.linear(x.mean((1, 2)), p.a)), p.c))[:, None, None]


def squeezed_there(x, p):
    return x * F.linear(F.linear(x.mean((2, 3)), p.a).relu(), p.c).sigmoid()[..., None, None]


def pixels(x, p):
    return x + attention(ag.linear(x, p.q), x, ag.linear(x, p.v))


def pixels_there(x, p):
    return x + attention_there(F.linear(x, p.q), x, F.linear(x, p.v))


K, Q = {"k": (3, 3, 3, 4)}, {"q": (4, 4), "v": (4, 4)}
MAY = "PyTorch may have its numbers in another order. Write it in PyTorch's order: behind the convolution x.transpose"
CONTRARY = "joins arrays that PyTorch has in different orders. Write it"
FEATURES = r"To make images of features, do as in PyTorch: reshape to \(N, C, H, W\), then transpose\(0, 2, 3, 1\)"

FLATTENED = {  # a convolution, this, flatten, and a dense layer: (more weights, here, in PyTorch)
    "nothing": ({}, lambda x, p: x, lambda x, p: x),
    "transposed convolution": ({"t": (2, 2, 5, 4)}, lambda x, p: ag.conv_transpose2d(x, p.t, stride=2),
                               lambda x, p: F.conv_transpose2d(x, p.t, stride=2)),
    "maximum over rows": ({}, lambda x, p: x.max(1), lambda x, p: x.amax(2)),
    "one of the channels": ({}, lambda x, p: x[..., 1], lambda x, p: x[:, 1]),
    "a matrix for each row": ({"m": (4, 4, 4)}, lambda x, p: x @ p.m, rf"m .*matmul .*{MAY}"),
    "stacked with a weight": ({"m": (2, 4, 6, 4)}, lambda x, p: ag.stack([x, p.m], 1).mean(1), rf"m .*stack .*{MAY}"),
    "parts of flattened images": ({}, lambda x, p: flat(x).reshape((2, 4, 24)).mean(1), MAY),
    "pairs of rows": ({"g": (3, 3, 4, 2)}, lambda x, p: conv(x.reshape((2, 2, 2, 6, 4)).mean(2), p.g),
                      lambda x, p: conv_(x.reshape(2, 4, 2, 2, 6).mean(3), p.g)),
    "one image": ({}, lambda x, p: x[0], MAY),
    "cropped": ({}, lambda x, p: x[:, 1:3, :4], lambda x, p: x[:, :, 1:3, :4]),
    "two maps with their axes": (
        {}, lambda x, p: ag.concatenate([x.mean(-1, keepdims=True), x.max(-1, keepdims=True)], -1),
        lambda x, p: F.cat([x.mean(1, True), x.amax(1, True)], 1)),
    "two maps": ({}, lambda x, p: ag.stack([x.mean(-1), x.max(-1)], -1), rf"fc .*flatten .*{MAY}"),
    "two maps, multiplied": ({}, lambda x, p: x.mean(-1)[..., None] * x.mean((1, 2))[:, None, None], MAY),
    "two maps in PyTorch's order": (
        {}, lambda x, p: ag.stack([x.mean(-1), x.max(-1)], -1).transpose(0, 3, 1, 2),
        lambda x, p: F.stack([x.mean(1), x.amax(1)], 1)),
    "attention of maps": (
        {"g": (3, 3, 2, 1)}, lambda x, p: x * conv(ag.stack([x.mean(-1), x.max(-1)], -1), p.g),
        lambda x, p: x * conv_(F.stack([x.mean(1), x.amax(1)], 1), p.g)),
    "a norm over channels": ({}, lambda x, p: ag.layer_norm(x, 4), MAY),
    "a norm over images": ({"m": (4, 6, 4)}, lambda x, p: ag.layer_norm(x, (4, 6, 4), p.m, p.m),
                           lambda x, p: F.layer_norm(x, (4, 4, 6), p.m, p.m)),
    "a block of ConvNeXt": (
        {"s": (4,), "a": (4, 8), "c": (8, 4)},
        lambda x, p: x + p.s * ag.linear(ag.gelu(ag.linear(ag.layer_norm(x, 4), p.a)), p.c),
        lambda x, p: x + (p.s * F.linear(F.gelu(F.linear(F.layer_norm(x.permute(0, 2, 3, 1), (4,)), p.a)), p.c)
                          ).permute(0, 3, 1, 2)),
    "a dense layer": (Q, lambda x, p: ag.linear(x, p.q) * p.v[0], MAY),
    "squeeze and excitation": ({"a": (4, 2), "c": (2, 4)}, squeezed, squeezed_there),
    "group norm": ({"s": (4,)}, lambda x, p: ag.group_norm(x, 2, p.s), lambda x, p: F.group_norm(x, 2, p.s)),
    "resized": ({}, lambda x, p: ag.interpolate(x, (3, 5), mode="bilinear"),
                lambda x, p: F.interpolate(x, (3, 5), mode="bilinear")),
    "a mean, resized": ({}, lambda x, p: ag.interpolate(x.mean((1, 2))[:, None, None], (3, 5)),
                        lambda x, p: F.interpolate(x.mean((2, 3))[..., None, None], (3, 5))),
    "a margin": ({}, lambda x, p: ag.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"),
                 lambda x, p: F.pad(x, (1, 1, 1, 1), mode="reflect")),
    "pixels shuffled": ({}, lambda x, p: ag.pixel_shuffle(x, 2), lambda x, p: F.pixel_shuffle(x, 2)),
    "a map": ({"m": (4, 6, 4)}, lambda x, p: x * p.m, lambda x, p: x * p.m),
    "a dense layer and a map": (Q | {"m": (4, 6, 4)}, lambda x, p: ag.linear(x, p.q) * p.v[0] * p.m, rf"m .*{MAY}"),
    "a map of some axes": ({"m": (6, 4)}, lambda x, p: x * p.m, rf"m \(6, 4\) .*multiply .*{MAY}"),
    "scaled features": ({"s": (96,)}, lambda x, p: flat(x) * p.s, lambda x, p: x.flatten(1) * p.s),
    "features in another order": ({}, lambda x, p: ag.flip(flat(x), 1), MAY),
    "turned by 90 degrees": ({}, lambda x, p: ag.transpose(x, (0, 2, 1, 3)), rf"fc .*transpose .*{MAY}"),
    "joined flattened": ({}, lambda x, p: ag.concatenate([flat(x), x.mean((1, 2))], -1), MAY),
    "with features of its own": ({"w": (96, 96)}, lambda x, p: flat(x) + ag.linear(flat(x), p.w), CONTRARY),
    "with features in another order": (
        {"w": (4, 96)}, lambda x, p: ag.flip(flat(x), 1) + ag.linear(x.mean((1, 2)), p.w), CONTRARY),
    "in PyTorch's order and back": ({}, lambda x, p: x.transpose(0, 3, 1, 2).transpose(0, 2, 3, 1), MAY),
    "pixels with a table of positions": (
        {"t": (1, 24, 4)}, lambda x, p: tokens(x) + p.t, lambda x, p: x.flatten(2).mT + p.t),
    "pixels, transposed": ({}, lambda x, p: tokens(x).transpose(0, 2, 1), MAY),
    "the mean of attention over pixels": (
        Q, lambda x, p: pixels(tokens(x), p).mean(1), lambda x, p: pixels_there(x.flatten(2).mT, p).mean(1)),
    "a token before pixels": (
        Q | {"t": (1, 1, 4)}, lambda x, p: pixels(ag.concatenate([ag.broadcast_to(p.t, (2, 1, 4)), tokens(x)], 1), p),
        lambda x, p: pixels_there(F.cat([p.t.expand(2, -1, -1), x.flatten(2).mT], 1), p)),
    "attention over pixels, back to images": (
        Q | {"g": (3, 3, 4, 2)}, lambda x, p: conv(pixels(tokens(x), p).reshape((2, 4, 6, 4)), p.g),
        lambda x, p: conv_(pixels_there(x.flatten(2).mT, p).mT.reshape(2, 4, 4, 6), p.g)),
    "channels in the place of rows": ({"g": (3, 3, 6, 2)}, lambda x, p: conv(ag.transpose(x, (0, 1, 3, 2)), p.g), MAY),
    "features added to images": ({"w": (4, 96)}, lambda x, p: x + ag.linear(x.mean((1, 2)), p.w).reshape(x.shape),
                                 f"joins images with features. {FEATURES}"),
    "a transform": ({}, lambda x, p: ag.vmap(ag.relu)(x), r"fc .*linear .* takes numbers that are not calculated from"),
    "rows of one channel": ({}, lambda x, p: doubled(x[..., :1].reshape((2, 2, 12, 1)).reshape((2, 24, 1))), MAY),
    "a root mean square and its weight": ({"s": (4,)}, lambda x, p: ag.rms_norm(x, 4, p.s), MAY),
    "a primitive of the user": ({}, lambda x, p: cube(x), lambda x, p: x**3),
    "a primitive that is unknown": ({}, lambda x, p: other(x),
                                    r"fc .*other .* @ag.primitive\(elementwise=True\) says that each number"),
}  # fmt: skip

NETWORKS = {  # (input, shapes of the weights, here, in PyTorch)
    "one dimension": (ROWS, {"k": (3, 3, 3), "t": (2, 4, 3), "fc": (24, 2)},
                      lambda x, p: ag.linear(flat(ag.conv_transpose1d(x + ag.conv1d(x, p.k, padding=1), p.t)), p.fc),
                      lambda x, p: F.linear(F.conv_transpose1d(x.mT + F.conv1d(x.mT, p.k, padding=1), p.t).flatten(1),
                                            p.fc)),
    "one dimension in PyTorch's order": (
        ROWS, {"k": (3, 3, 4), "w": (4, 4), "fc": (12, 2)},
        lambda x, p: ag.linear(flat(ag.linear(ag.conv1d(x, p.k).transpose(0, 2, 1).transpose(0, 2, 1), p.w)), p.fc),
        lambda x, p: F.linear(F.linear(F.conv1d(x.mT, p.k).mT, p.w).flatten(1), p.fc)),
    "transposed": (IMAGE, {"v": (5, 72)}, lambda x, p: flat(x) @ p.v.T, lambda x, p: x.flatten(1) @ p.v.T),
    "dense, transposed": (FLAT, {"v": (24, 24)}, lambda x, p: ag.linear(x, p.v.T),
                          r"v .*transpose \(.*\) calculates with it before linear \(.*\). Write x @ w.T"),
    "low rank": (FLAT, {"v": (24, 4), "a": (24, 2), "c": (2, 4)}, lambda x, p: x @ (p.v + p.a @ p.c),
                 lambda x, p: x @ (p.v + p.a @ p.c)),
    "low rank for pixels": (IMAGE, {"a": (72, 2), "c": (2, 4)}, lambda x, p: flat(x) @ (p.a @ p.c), "a .*Save the res"),
    "in two places": (FLAT, {"w": (24, 24)}, lambda x, p: ag.linear(x, p.w) @ p.w,
                      r"w .*linear \(.*\) and matmul \(.*\) need it in different layouts. Give one its own weight"),
    "not used": (FLAT, {"w": (24, 4), "v": (2, 2)}, lambda x, p: ag.linear(x, p.w), r"v \(2, 2\).* does not use it"),
    "embedding, scaled": (WORDS, {"e": (20, 4)}, lambda x, p: (p.e * 2)[x], lambda x, p: F.embedding(x, p.e * 2)),
    "words as sequences": (WORDS, {"e": (20, 4), "k": (3, 4, 6), "fc": (18, 2)},
                           lambda x, p: ag.linear(flat(ag.conv1d(ag.take(p.e, WORDS + 0, 0), p.k)), p.fc),
                           lambda x, p: F.linear(F.conv1d(p.e[x].mT, p.k).flatten(1), p.fc)),
    "heads": (WORDS, {"e": (20, 4), "qkv": (4, 12), "fc": (20, 2)},
              lambda x, p: ag.linear(flat(p.e[x] + heads(p.e[x], ag.linear, ag.transpose, p)), p.fc),
              lambda x, p: F.linear((p.e[x] + heads(p.e[x], F.linear, F.permute, p)).flatten(1), p.fc)),
    "learned queries": (WORDS, {"e": (20, 4), "q": (1, 3, 4), "w": (4, 4), "fc": (12, 2)},
                        lambda x, p: ag.linear(flat(attention(ag.linear(p.q, p.w) + 0 * p.e[x][:, :1], p.e[x],
                                                              p.e[x])), p.fc),
                        lambda x, p: F.linear(attention_there(F.linear(p.q, p.w) + 0 * p.e[x][:, :1], p.e[x],
                                                              p.e[x]).flatten(1), p.fc)),
    "a learned image": (FLAT, {"c": (1, 4, 6, 3), "k": (3, 3, 3, 2)}, lambda x, p: conv(p.c, p.k) * x.mean(),
                        lambda x, p: conv_(p.c, p.k) * x.mean()),
    "reshaped to images of one channel": (FLAT, {"w": (24, 24), "k": (3, 3, 1, 2)},
                                          lambda x, p: conv(ag.linear(x, p.w).reshape((2, 4, 6, 1)), p.k),
                                          lambda x, p: conv_(F.linear(x, p.w).reshape((2, 1, 4, 6)), p.k)),
    "reshaped to images as the result": (FLAT, {"w": (24, 24)}, lambda x, p: ag.linear(x, p.w).reshape((2, 2, 3, 4)),
                                         rf"the weights .*result \(2, 2, 3, 4\) is made of features. {FEATURES}"),
    "reshaped to images of one channel, joined": (
        FLAT, {"w": (24, 24), "fc": (48, 2)},
        lambda x, p: ag.linear(flat(doubled(ag.linear(x, p.w).reshape((2, 4, 6, 1)))), p.fc), MAY),
    "features compared": (IMAGE, K | {"w": (4, 96)}, lambda x, p: flat(conv(x, p.k)) @ ag.linear(
        conv(x, p.k).mean((1, 2)), p.w).T, rf"the weights .*matmul .*{CONTRARY}"),
    "reshaped to sequences, a dense layer": (
        FLAT, {"w": (24, 24), "v": (4, 4), "k": (3, 4, 2)},
        lambda x, p: ag.conv1d(ag.linear(ag.linear(x, p.w).reshape((2, 6, 4)), p.v), p.k), FEATURES),
    "reshaped to sequences, their products": (
        FLAT, {"w": (24, 24), "k": (3, 4, 2)},
        lambda x, p: ag.conv1d(attention(*[ag.linear(x, p.w).reshape((2, 6, 4))] * 3), p.k), FEATURES),
    "reshaped to images, their mean": (
        FLAT, {"w": (24, 24), "k": (2, 4, 2)},
        lambda x, p: ag.conv1d(ag.linear(x, p.w).reshape((2, 2, 3, 4)).mean(1), p.k), FEATURES),
    "numbers reshaped to images": (FLAT, {"k": (3, 3, 3, 2)}, lambda x, p: conv((x / 255).reshape((2, 2, 4, 3)), p.k),
                                   lambda x, p: conv_((x / 255).reshape(2, 2, 4, 3).movedim(-1, 1), p.k)),
    "an example in PyTorch's order": (
        IMAGE, {"k": (3, 3, 4, 2)}, lambda x, p: conv((x / 255 - 0.5).transpose(0, 2, 3, 1), p.k),
        lambda x, p: conv_(x.movedim(1, -1) / 255 - 0.5, p.k)),
    "sequences in PyTorch's order": (ROWS, {"fc": (15, 2)}, lambda x, p: ag.linear(flat(x.transpose(0, 2, 1)), p.fc),
                                     MAY),
    "an example and a dense layer": (
        IMAGE, {"w": (3, 3), "fc": (72, 2)}, lambda x, p: ag.linear(flat(x + ag.linear(x, p.w)), p.fc),
        lambda x, p: F.linear((x + F.linear(x.movedim(1, -1), p.w).movedim(-1, 1)).flatten(1), p.fc)),
    "a frame, added": (FRAMES, {"k": (3, 3, 3, 3), "fc": (72, 2)},
                       lambda x, p: ag.linear(flat(x[:, 0] + conv(x[:, 0], p.k)), p.fc), MAY),
    "a map in PyTorch's order": (IMAGE, {"m": (1, 3, 4, 6), "fc": (72, 2)}, lambda x, p: ag.linear(
        flat(p.m.transpose(0, 2, 3, 1) + x), p.fc), r"m .*transpose .* calculates with it before add .* Save the"),
    "map, flattened": (IMAGE, {"m": (4, 6, 3)}, lambda x, p: flat(x) * p.m.reshape(-1), r"m .*reshape .*Save the"),
    "matrix from the left": (ROWS, {"m": (4, 5)}, lambda x, p: p.m @ x, lambda x, p: p.m @ x),
    "two rows, joined": (
        ROWS, {"fc": (6, 2)},
        lambda x, p: ag.linear(flat(ag.concatenate([x.mean(1, keepdims=True), x.max(1, keepdims=True)], 1)), p.fc),
        lambda x, p: F.linear(F.cat([x.mean(1, True), x.amax(1, True)], 1).flatten(1), p.fc)),
    "einsum": (IMAGE, {"m": (4, 6, 3, 2)}, lambda x, p: ag.einsum("nhwc,hwck->nk", x, p.m), rf"m .*einsum .*{MAY}"),
    "einsum, features": (FLAT, {"m": (24, 2)}, lambda x, p: ag.einsum("nc,ck->nk", x, p.m),
                         lambda x, p: F.einsum("nc,ck->nk", x, p.m)),
    "a weight that is looked up": (FLAT, {"k": (5, 24, 3)}, lambda x, p: ag.linear(x, p.k[np.array([1])][0]),
                                   r"the weights .*linear \(.*\) takes a weight that is calculated from inputs, or"),
    "a single number": (IMAGE[:1, :1, :1], {"k": (1, 1, 3, 1), "w": (1, 1)},
                        lambda x, p: ag.linear(ag.conv2d(x, p.k), p.w).reshape(()),
                        lambda x, p: (F.conv2d(x, p.k) * p.w).reshape(())),
    "a norm over features": (IMAGE, K | {"fc": (96, 2)},
                             lambda x, p: ag.linear(ag.layer_norm(flat(conv(x, p.k)), 96), p.fc),
                             lambda x, p: F.linear(F.layer_norm(conv_(x, p.k).flatten(1), (96,)), p.fc)),
    "more features": (IMAGE, K | {"fc": (97, 2)},
                      lambda x, p: ag.linear(ag.pad(flat(conv(x, p.k)), ((0, 0), (0, 1))), p.fc), rf"fc .*pad .*{MAY}"),
}  # fmt: skip


def network(name):
    if name in NETWORKS:
        return NETWORKS[name]
    more, f, g = FLATTENED[name]
    rows = flat(f(conv(IMAGE, np.ones(K["k"], "f")), Net(None, more))).shape[1]
    there = g if isinstance(g, str) else lambda x, p: F.linear(g(conv_(x, p.k), p).flatten(1), p.fc)
    return IMAGE, K | more | {"fc": (rows, 2)}, lambda x, p: ag.linear(flat(f(conv(x, p.k), p)), p.fc), there


@pytest.mark.parametrize("name", [*FLATTENED, *NETWORKS])
def test_a_network_is_the_same_in_pytorch_or_refused(tmp_path, name):
    x, shapes, f, there = network(name)
    model = Net(f, shapes)
    if isinstance(there, str):
        with pytest.raises(
            ValueError, match=r"^save_weights: cannot convert .* to PyTorch.s layout: .*\. Or leave out"
        ) as error:
            ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
        assert re.search(there, str(error.value))
        assert list(tmp_path.iterdir()) == []
        return
    ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
    twin = Net(f, shapes)
    ag.interop.load_weights(tmp_path / "w", twin, layout="torch", example=x)
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[path], array)
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    t = torch.from_numpy(x)
    arrays = {name.replace("weight", "w"): value for name, value in load_file(tmp_path / "w").items()}
    got = there(t.movedim(-1, 1) if x.ndim == 4 else t, SimpleNamespace(**arrays)).numpy()
    got = np.moveaxis(got, 1, -1) if got.ndim == 4 else got
    np.testing.assert_allclose(got, model(x).data, rtol=1e-4, atol=1e-5)
