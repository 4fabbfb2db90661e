"""The same small networks, here and in PyTorch: weights that were saved for it give its outputs, or are refused.

A pair of functions has the network in either library. `p` holds its weights, which have the same names in both.
"""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn

RNG = np.random.default_rng(7)
IMAGE = RNG.standard_normal((2, 4, 6, 3)).astype("f")
ROWS = RNG.standard_normal((2, 5, 3)).astype("f")
FLAT = RNG.standard_normal((2, 24)).astype("f")
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


class There:
    """The weights of a file as attributes, as PyTorch has them."""

    def __init__(self, arrays):
        self.__dict__.update(arrays)


def standardised(w, axes):
    return (w - w.mean(axes, keepdims=True)) / (w.std(axes, keepdims=True) + 1e-5)


def F():
    import torch

    return torch.nn.functional


def std_there(w):
    return (w - w.mean((1, 2, 3), True)) / (w.std((1, 2, 3), correction=0, keepdim=True) + 1e-5)


def attention(q, k, v):
    return ag.softmax(q @ ag.transpose(k, (0, 2, 1)), -1) @ v


def attention_there(q, k, v):
    return (q @ k.transpose(1, 2)).softmax(-1) @ v


def shuffled_here(x):
    n, h, w, c = x.shape
    return x.reshape((n, h, w, 2, 2, c // 4)).transpose(0, 1, 3, 2, 4, 5).reshape((n, 2 * h, 2 * w, c // 4))


K, FC, FLAT_FC = {"k": (3, 3, 3, 4)}, {"fc": (4, 2)}, {"fc": (96, 2)}


def conv(x, w):
    return ag.conv2d(x, w, padding=1)


def conv_(x, w):
    return F().conv2d(x, w, padding=1)


def flat(x):
    return ag.flatten(x, 1)


CASES = {  # name: (input, shapes of the weights, here, in PyTorch)
    "plain": (IMAGE, K | FLAT_FC, lambda x, p: ag.linear(flat(conv(x, p.k)), p.fc),
              lambda x, p: F().linear(conv_(x, p.k).flatten(1), p.fc)),
    "scaled": (IMAGE, K | FLAT_FC, lambda x, p: ag.linear(flat(conv(x, p.k * 0.5)), 2 * p.fc),
               lambda x, p: F().linear(conv_(x, p.k * 0.5).flatten(1), 2 * p.fc)),
    "standardised": (IMAGE, K, lambda x, p: conv(x, standardised(p.k, (0, 1, 2))),
                     lambda x, p: conv_(x, std_there(p.k))),
    "weight norm": (IMAGE, {"fc": (72, 5), "g": (1, 5)},
                    lambda x, p: ag.linear(flat(x), p.fc / ag.sqrt(ag.sum(p.fc**2, 0, keepdims=True)) * p.g),
                    lambda x, p: F().linear(x.flatten(1), p.fc / (p.fc**2).sum(1, True).sqrt() * p.g)),
    "softmax over the weights": (IMAGE, {"fc": (72, 5)}, lambda x, p: ag.linear(flat(x), ag.softmax(p.fc, 0)),
                                 lambda x, p: F().linear(x.flatten(1), p.fc.softmax(1))),
    "sliced": (IMAGE, {"k": (3, 3, 3, 6)}, lambda x, p: conv(x, p.k[..., :4] * 1) + conv(x, p.k[:, :, :, 2:]),
               lambda x, p: conv_(x, p.k[:4]) + conv_(x, p.k[2:])),
    "rows sliced": (FLAT, {"fc": (30, 6)}, lambda x, p: ag.linear(x, p.fc[:24, :4]),
                    lambda x, p: F().linear(x, p.fc[:4, :24])),
    "rows behind a flatten sliced": (IMAGE, {"fc": (100, 2)}, lambda x, p: ag.linear(flat(x), p.fc[:72]), None),
    "joined": (IMAGE, {"a": (3, 3, 3, 2), "c": (3, 3, 3, 4)},
               lambda x, p: conv(x, ag.concatenate([p.a, p.c], -1)),
               lambda x, p: conv_(x, _torch().cat([p.a, p.c]))),
    "joined dense": (IMAGE, {"a": (72, 2), "c": (72, 3)},
                     lambda x, p: ag.linear(flat(x), ag.concatenate([p.a, p.c], 1)),
                     lambda x, p: F().linear(x.flatten(1), _torch().cat([p.a, p.c]))),
    "joined rows behind a flatten": (IMAGE, {"a": (36, 2), "c": (36, 2)},
                                     lambda x, p: ag.linear(flat(x), ag.concatenate([p.a, p.c], 0)), None),
    "transposed": (IMAGE, {"v": (5, 72)}, lambda x, p: flat(x) @ p.v.T, lambda x, p: x.flatten(1) @ p.v.T),
    "transposed, square": (FLAT, {"v": (24, 24)}, lambda x, p: x @ p.v.T, lambda x, p: x @ p.v.T),
    "dense, transposed": (FLAT, {"v": (24, 24)}, lambda x, p: ag.linear(x, p.v.T), None),
    "tied": (FLAT, {"w": (24, 6)}, lambda x, p: ag.linear(ag.linear(x, p.w), p.w.T),
             lambda x, p: F().linear(F().linear(x, p.weight), p.weight.T)),
    "tied by products": (IMAGE, {"v": (72, 6)}, lambda x, p: (flat(x) @ p.v) @ p.v.T,
                         lambda x, p: ((x.flatten(1) @ p.v) @ p.v.T).reshape(2, 3, 4, 6).movedim(1, -1).flatten(1)),
    "torch's own order": (IMAGE, {"k": (4, 3, 3, 3)}, lambda x, p: conv(x, p.k.transpose(2, 3, 1, 0)), None),
    "low rank": (IMAGE, {"w": (72, 4), "a": (72, 2), "c": (2, 4)}, lambda x, p: ag.linear(flat(x), p.w + p.a @ p.c),
                 None),
    "low rank, plain": (FLAT, {"v": (24, 4), "a": (24, 2), "c": (2, 4)}, lambda x, p: x @ (p.v + p.a @ p.c),
                        lambda x, p: x @ (p.v + p.a @ p.c)),
    "grouped": (IMAGE, {"k": (3, 3, 3, 6), "g": (3, 3, 3, 4)},
                lambda x, p: ag.conv2d(conv(x, p.k), p.g * 2, groups=2),
                lambda x, p: F().conv2d(conv_(x, p.k), p.g * 2, groups=2)),
    "depthwise": (IMAGE, {"k": (3, 3, 1, 3)}, lambda x, p: ag.conv2d(x, p.k, groups=3),
                  lambda x, p: F().conv2d(x, p.k, groups=3)),
    "transposed convolution": (IMAGE, {"k": (2, 2, 4, 3), "fc": (384, 2)},
                               lambda x, p: ag.linear(flat(ag.conv_transpose2d(x, p.k, stride=2)), p.fc),
                               lambda x, p: F().linear(F().conv_transpose2d(x, p.k, stride=2).flatten(1), p.fc)),
    "one dimension": (ROWS, {"k": (3, 3, 4), "fc": (12, 2)}, lambda x, p: ag.linear(flat(ag.conv1d(x, p.k * 1)), p.fc),
                      lambda x, p: F().linear(F().conv1d(x.movedim(-1, 1), p.k).flatten(1), p.fc)),
    "embedding": (WORDS, {"e": (20, 4), "fc": (20, 2)}, lambda x, p: ag.linear(flat(ag.take(p.e, x, 0)), p.fc),
                  lambda x, p: F().linear(F().embedding(x, p.e).flatten(1), p.fc)),
    "embedding, scaled": (WORDS, {"e": (20, 4)}, lambda x, p: (p.e * 2)[x], lambda x, p: F().embedding(x, p.e * 2)),
    "words as sequences": (WORDS, {"e": (20, 4), "k": (3, 4, 6), "fc": (18, 2)},
                           lambda x, p: ag.linear(flat(ag.conv1d(p.e[x], p.k)), p.fc),
                           lambda x, p: F().linear(F().conv1d(p.e[x].movedim(-1, 1), p.k).flatten(1), p.fc)),
    "tied words": (WORDS, {"e": (20, 4)}, lambda x, p: p.e[x] @ p.e.T, lambda x, p: p.e[x] @ p.e.T),
    "global mean": (IMAGE, K | FC, lambda x, p: ag.linear(conv(x, p.k).mean((1, 2)), p.fc),
                    lambda x, p: F().linear(conv_(x, p.k).mean((2, 3)), p.fc)),
    "global maximum, squeezed": (IMAGE, K | FC,
                                 lambda x, p: ag.linear(ag.squeeze(conv(x, p.k).max((1, 2), keepdims=True)), p.fc),
                                 lambda x, p: F().linear(conv_(x, p.k).amax((2, 3)), p.fc)),
    "maximum over rows": (IMAGE, K | {"fc": (24, 2)}, lambda x, p: ag.linear(flat(conv(x, p.k).max(1)), p.fc),
                          lambda x, p: F().linear(conv_(x, p.k).amax(2).flatten(1), p.fc)),
    **{f"{name} over channels": (IMAGE, K | {"fc": (24, 2)}, lambda x, p, f=f: ag.linear(flat(f(conv(x, p.k))), p.fc),
                                 lambda x, p, g=g: F().linear(g(conv_(x, p.k)).flatten(1), p.fc))
       for name, f, g in [
           ("mean", lambda x: x.mean(-1), lambda x: x.mean(1)),
           ("mean with its axis", lambda x: x.mean(-1, keepdims=True), lambda x: x.mean(1, True)),
           ("maximum", lambda x: x.max(3), lambda x: x.amax(1)),
           ("norm", lambda x: ag.linalg.norm(x, axis=-1), lambda x: x.norm(dim=1)),
           ("one of the", lambda x: x[..., 1], lambda x: x[:, 1]),
       ]},
    "softmax over channels": (IMAGE, K | FLAT_FC, lambda x, p: ag.linear(flat(ag.softmax(conv(x, p.k), -1)), p.fc),
                              lambda x, p: F().linear(conv_(x, p.k).softmax(1).flatten(1), p.fc)),
    "channels moved": (IMAGE, K | FLAT_FC, lambda x, p: ag.linear(flat(ag.moveaxis(conv(x, p.k), -1, 1)), p.fc),
                       lambda x, p: F().linear(conv_(x, p.k).flatten(1), p.fc)),
    "channels transposed": (IMAGE, K | FLAT_FC,
                            lambda x, p: ag.linear(flat(ag.transpose(conv(x, p.k), (0, 3, 1, 2))), p.fc),
                            lambda x, p: F().linear(conv_(x, p.k).flatten(1), p.fc)),
    "reshaped to images as PyTorch": (FLAT, {"w": (24, 24), "k": (3, 3, 4, 2)},
                                      lambda x, p: conv(ag.linear(x, p.w).reshape(2, 4, 2, 3).transpose(0, 2, 3, 1),
                                                        p.k),
                                      lambda x, p: conv_(F().linear(x, p.weight).reshape(2, 4, 2, 3), p.k)),
    "reshaped to images": (FLAT, {"w": (24, 24), "k": (3, 3, 4, 2)},
                           lambda x, p: conv(ag.linear(x, p.w).reshape((2, 2, 3, 4)), p.k), None),
    "features added to images": (IMAGE, {"k": (3, 3, 3, 3), "w": (72, 72)},
                                 lambda x, p: conv(x, p.k) + ag.linear(flat(x), p.w).reshape(x.shape), None),
    "flattened and back": (IMAGE, K | {"g": (3, 3, 4, 2)},
                           lambda x, p: conv(ag.relu(flat(conv(x, p.k))).reshape((2, 4, 6, 4)), p.g),
                           lambda x, p: conv_(conv_(x, p.k).relu(), p.g)),
    "flattened, and other images": (IMAGE, K | {"g": (3, 3, 8, 2)},
                                    lambda x, p: conv(flat(conv(x, p.k)).reshape((2, 8, 3, 4)).transpose(0, 2, 3, 1),
                                                      p.g), None),
    "flattened, and a row of each": (IMAGE, K | {"fc": (12, 2)},
                                     lambda x, p: ag.linear(flat(conv(x, p.k)).reshape((2, 8, 12)).mean(1), p.fc),
                                     None),
    "channels in the place of rows": (IMAGE, K | {"g": (3, 3, 6, 2)},
                                      lambda x, p: conv(ag.transpose(conv(x, p.k), (0, 1, 3, 2)), p.g), None),
    "convolution, flatten, convolution": (IMAGE, K | {"g": (1, 1, 96, 2)},
                                          lambda x, p: ag.conv2d(flat(conv(x, p.k))[:, None, None], p.g),
                                          lambda x, p: F().conv2d(conv_(x, p.k).flatten(1)[..., None, None], p.g)),
    "squeeze and excitation": (IMAGE, K | {"a": (4, 2), "c": (2, 4)} | FLAT_FC,
                               lambda x, p: ag.linear(flat(_squeezed(conv(x, p.k), p)), p.fc),
                               lambda x, p: F().linear(_squeezed_there(conv_(x, p.k), p).flatten(1), p.fc)),
    "attention over pixels": (IMAGE, K | {"q": (4, 4), "v": (4, 4)} | FC,
                              lambda x, p: ag.linear(_tokens(conv(x, p.k), p).mean(1), p.fc),
                              lambda x, p: F().linear(_tokens_there(conv_(x, p.k), p).mean(1), p.fc)),
    "attention over pixels, flattened": (IMAGE, K | {"q": (4, 4), "v": (4, 4)} | FLAT_FC,
                                         lambda x, p: ag.linear(flat(_tokens(conv(x, p.k), p)), p.fc), None),
    "attention over pixels, back to images": (IMAGE, K | {"q": (4, 4), "v": (4, 4), "g": (3, 3, 4, 2)},
                                              lambda x, p: conv(_tokens(conv(x, p.k), p).reshape((2, 4, 6, 4)), p.g),
                                              lambda x, p: conv_(_tokens_there(conv_(x, p.k), p).transpose(1, 2)
                                                                 .reshape(2, 4, 4, 6), p.g)),
    "positions of pixels": (IMAGE, K | {"positions": (24, 4)},
                            lambda x, p: conv(x, p.k).reshape((2, 24, 4)) + p.positions,
                            lambda x, p: conv_(x, p.k).flatten(2).mT + p.positions),
    "positions of pixels, flattened": (IMAGE, K | {"positions": (1, 24, 4)} | FLAT_FC,
                                       lambda x, p: ag.linear(flat(conv(x, p.k).reshape((2, 24, 4)) + p.positions),
                                                              p.fc),
                                       lambda x, p: F().linear((conv_(x, p.k).flatten(2).mT + p.positions).flatten(1),
                                                               p.fc)),
    "a token before pixels": (IMAGE, K | {"token": (1, 1, 4), "positions": (1, 25, 4), "q": (4, 4), "v": (4, 4)},
                              lambda x, p: _pixels(ag.concatenate([
                                  ag.broadcast_to(p.token, (2, 1, 4)), conv(x, p.k).reshape((2, 24, 4))], 1), p),
                              lambda x, p: _pixels_there(_torch().cat([
                                  p.token.expand(2, -1, -1), conv_(x, p.k).flatten(2).mT], 1), p)),
    "attention over pixels with a gate, flattened": (
        IMAGE, K | {"q": (4, 4), "v": (4, 4), "gate": (1, 1, 1)} | FLAT_FC,
        lambda x, p: ag.linear(flat(_tokens(conv(x, p.k), p) * p.gate), p.fc), None),
    "features as pixels, and positions": (FLAT, {"w": (24, 24), "k": (3, 3, 4, 2), "positions": (6, 4)},
                                          lambda x, p: conv((ag.linear(x, p.w).reshape((2, 6, 4)) + p.positions)
                                                            .reshape((2, 2, 3, 4)), p.k), None),
    "flattened, then pixels and positions": (IMAGE, K | {"positions": (24, 4)},
                                             lambda x, p: flat(conv(x, p.k)).reshape((2, 24, 4)) + p.positions, None),
    "heads": (WORDS, {"e": (20, 4), "q": (4, 4), "v": (4, 4), "fc": (20, 2)},
              lambda x, p: ag.linear(flat(_heads(p.e[x], p)), p.fc),
              lambda x, p: F().linear(_heads_there(p.e[x], p).flatten(1), p.fc)),
    "learned queries": (WORDS, {"e": (20, 4), "q": (1, 3, 4), "w": (4, 4), "fc": (12, 2)},
                        lambda x, p: ag.linear(flat(attention(ag.linear(p.q, p.w) + 0 * p.e[x][:, :1], p.e[x],
                                                              p.e[x])), p.fc),
                        lambda x, p: F().linear(attention_there(F().linear(p.q, p.weight) + 0 * p.e[x][:, :1], p.e[x],
                                                                p.e[x]).flatten(1), p.fc)),
    "pixels shuffled": (IMAGE, {"k": (3, 3, 3, 8), "fc": (192, 2)},
                        lambda x, p: ag.linear(flat(ag.pixel_shuffle(conv(x, p.k), 2)), p.fc),
                        lambda x, p: F().linear(F().pixel_shuffle(conv_(x, p.k), 2).flatten(1), p.fc)),
    "pixels shuffled by hand": (IMAGE, {"k": (3, 3, 3, 8), "g": (3, 3, 2, 2)},
                                lambda x, p: conv(shuffled_here(conv(x, p.k)), p.g), None),
    "pooled by hand": (IMAGE, K | {"g": (3, 3, 4, 2)},
                       lambda x, p: conv(conv(x, p.k).reshape((2, 2, 2, 3, 2, 4)).mean((2, 4)), p.g),
                       lambda x, p: conv_(F().avg_pool2d(conv_(x, p.k), 2), p.g)),
    "group norm": (IMAGE, K | {"s": (4,)} | FLAT_FC,
                   lambda x, p: ag.linear(flat(ag.group_norm(conv(x, p.k), 2, p.s)), p.fc),
                   lambda x, p: F().linear(F().group_norm(conv_(x, p.k), 2, p.s).flatten(1), p.fc)),
    "local response": (IMAGE, K | FLAT_FC,
                       lambda x, p: ag.linear(flat(ag.local_response_norm(conv(x, p.k), 3)), p.fc),
                       lambda x, p: F().linear(F().local_response_norm(conv_(x, p.k), 3).flatten(1), p.fc)),
    "scaled features": (IMAGE, {"s": (72,), "fc": (72, 2)}, lambda x, p: ag.linear(flat(x) * p.s, p.fc),
                        lambda x, p: F().linear(x.flatten(1) * p.s, p.fc)),
    "map, scaled": (IMAGE, {"m": (4, 6, 3), "fc": (72, 2)}, lambda x, p: ag.linear(flat(x * (p.m * 2)), p.fc),
                    lambda x, p: F().linear((x * (p.m * 2)).flatten(1), p.fc)),
    "map, flattened": (IMAGE, {"m": (4, 6, 3), "fc": (72, 2)},
                       lambda x, p: ag.linear(flat(x) * p.m.reshape(-1), p.fc), None),
    "turned by 90 degrees": (IMAGE, K | FLAT_FC,
                             lambda x, p: ag.linear(flat(ag.transpose(conv(x, p.k), (0, 2, 1, 3))), p.fc), None),
    "features in another order": (IMAGE, {"fc": (72, 2)}, lambda x, p: ag.linear(ag.flip(flat(x), 1), p.fc), None),
    "rows flipped": (IMAGE, K | FLAT_FC, lambda x, p: ag.linear(flat(ag.flip(conv(x, p.k), 1)), p.fc),
                     lambda x, p: F().linear(conv_(x, p.k).flip(2).flatten(1), p.fc)),
    "cropped": (IMAGE, K | {"fc": (32, 2)}, lambda x, p: ag.linear(flat(conv(x, p.k)[:, 1:3, :4]), p.fc),
                lambda x, p: F().linear(conv_(x, p.k)[:, :, 1:3, :4].flatten(1), p.fc)),
    "joined images": (IMAGE, K | {"fc": (168, 2)},
                      lambda x, p: ag.linear(flat(ag.concatenate([x, conv(x, p.k)], -1)), p.fc),
                      lambda x, p: F().linear(_torch().cat([x, conv_(x, p.k)], 1).flatten(1), p.fc)),
    "joined flattened": (IMAGE, K | {"fc": (168, 2)},
                         lambda x, p: ag.linear(ag.concatenate([flat(x), flat(conv(x, p.k))], -1), p.fc), None),
    "matrix from the left": (IMAGE, {"m": (5, 6)}, lambda x, p: p.m @ x, None),
    "matrix from the left, sequences": (ROWS, {"m": (4, 5)}, lambda x, p: p.m @ x,
                                        lambda x, p: p.m @ x),
    "einsum": (IMAGE, {"m": (4, 6, 3, 2)}, lambda x, p: ag.einsum("nhwc,hwck->nk", x, p.m), None),
    "einsum, features": (FLAT, {"m": (24, 2)}, lambda x, p: ag.einsum("nc,ck->nk", x, p.m),
                         lambda x, p: _torch().einsum("nc,ck->nk", x, p.m)),
    "a calculated kernel": (WORDS, {"e": (20, 36), "k": (2, 3, 6)},
                            lambda x, p: ag.conv2d(IMAGE, p.e[x[0, :2]].reshape((3, 2, 3, 4))), None),
    "a kernel that is looked up": (WORDS, {"k": (5, 3, 3)}, lambda x, p: ag.linear(x[:, :3] / 9, p.k[x[0, 0]]), None),
    "a single number": (IMAGE[:1, :1, :1], {"k": (1, 1, 3, 1), "w": (1, 1)},
                        lambda x, p: ag.linear(ag.conv2d(x, p.k), p.w).reshape(()),
                        lambda x, p: (F().conv2d(x, p.k) * p.weight).reshape(())),
    "statistics of the weights": (IMAGE, {"m": (3, 2)}, lambda x, p: x.mean((1, 2)) * p.m.mean(1),
                                  lambda x, p: x.mean((2, 3)) * p.m.mean(1)),
}  # fmt: skip


def _torch():
    import torch

    return torch


def _squeezed(x, p):
    s = ag.sigmoid(ag.linear(ag.relu(ag.linear(x.mean((1, 2)), p.a)), p.c))
    return x * s[:, None, None]


def _squeezed_there(x, p):
    s = F().linear(F().linear(x.mean((2, 3)), p.a).relu(), p.c).sigmoid()
    return x * s[..., None, None]


def _tokens(x, p):
    t = ag.reshape(x, (len(x), -1, x.shape[-1]))
    return t + attention(ag.linear(t, p.q), t, ag.linear(t, p.v))


def _tokens_there(x, p):
    t = x.flatten(2).transpose(1, 2)
    return t + attention_there(F().linear(t, p.q), t, F().linear(t, p.v))


def _pixels(x, p):
    x = x + p.positions
    return (x + attention(ag.linear(x, p.q), x, ag.linear(x, p.v)))[:, 0]


def _pixels_there(x, p):
    x = x + p.positions
    return (x + attention_there(F().linear(x, p.q), x, F().linear(x, p.v)))[:, 0]


def _heads(x, p):
    q, v = (ag.linear(x, w).reshape((2, 5, 2, 2)).transpose(0, 2, 1, 3) for w in (p.q, p.v))
    return (ag.softmax(q @ q.transpose(0, 1, 3, 2), -1) @ v).transpose(0, 2, 1, 3).reshape((2, 5, 4))


def _heads_there(x, p):
    q, v = (F().linear(x, w).reshape(2, 5, 2, 2).transpose(1, 2) for w in (p.q, p.v))
    return ((q @ q.transpose(2, 3)).softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 4)


@pytest.mark.parametrize("name", CASES)
def test_a_network_is_the_same_in_pytorch_or_refused(tmp_path, name):
    x, shapes, f, there = CASES[name]
    model = Net(f, shapes)
    if there is None:
        with pytest.raises(
            ValueError, match=r"^save_weights: cannot convert .* to PyTorch.s layout: .*\. Or leave out layout"
        ) as error:
            ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
        assert re.search(r"test_layouts.py:\d+", str(error.value))
        return
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
    t = torch.from_numpy(x)
    got = there(t.movedim(-1, 1) if x.ndim == 4 else t, There(load_file(tmp_path / "w"))).numpy()
    got = np.moveaxis(got, 1, -1) if got.ndim == 4 else got
    np.testing.assert_allclose(got, model(x).data, rtol=1e-4, atol=1e-5)
    twin = Net(f, shapes)
    ag.interop.load_weights(tmp_path / "w", twin, layout="torch", example=x)
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[path], array)


def test_a_primitive_of_the_user_says_that_it_is_elementwise(tmp_path):
    cube = ag.primitive(lambda x: x**3, name="cube", elementwise=True, private=True)
    other = ag.primitive(lambda x: x**3, name="other", private=True)
    cube.vjp(x=lambda g, x: g * 3 * x**2)
    other.vjp(x=lambda g, x: g * 3 * x**2)
    f = Net(lambda x, p: ag.linear(flat(cube(conv(x, cube(p.k)))), p.fc), K | FLAT_FC)
    ag.interop.save_weights(tmp_path / "w", f, layout="torch", example=IMAGE)
    g = Net(lambda x, p: ag.linear(flat(other(conv(x, p.k))), p.fc), K | FLAT_FC)
    with pytest.raises(ValueError, match=r"other .* is not known: @ag.primitive\(elementwise=True\) says that"):
        ag.interop.save_weights(tmp_path / "w", g, layout="torch", example=IMAGE)
