"""
Automatic differentiation in a hundred lines
============================================

The idea of the package in one file that needs NumPy only: primitives and their rules, the tape, and the walk, in the
order in which to read the engine's files. It trains the network of ``spiral.py``. Every Tensor requires a gradient, and
nodes have their rules (in the engine, a plan has them). A result may have several numbers, which the engine refuses.
"""

import itertools
from inspect import signature

import numpy as np

births = itertools.count()


def primitive(function, **rules):
    """Turn a NumPy function into an operation that records its calls; `rules` has the rule of each gradient.

    A rule takes `g`, the gradient of the output, and whatever else its parameters name: an input, its shape
    (`x_shape`) or the output (`out`). The tape saves these values, and no others.
    """
    needs = {name: [p for p in signature(rule).parameters if p != "g"] for name, rule in rules.items()}

    def run(*args, **options):
        given = signature(function).bind(*args, **options).arguments
        values = {name: a.data if isinstance(a, Tensor) else a for name, a in given.items()}
        out = function(**values)
        values |= {"out": out, "x_shape": np.shape(values["x"])}
        tensors = [(name, a) for name, a in given.items() if isinstance(a, Tensor)]
        return Tensor(out, Node(out.shape, [(a.node, rules[n], [values[v] for v in needs[n]]) for n, a in tensors]))

    return run


class Node:
    """A recorded operation. `inputs` has for each input its node, the rule of its gradient, and the saved values."""

    def __init__(self, shape, inputs=()):
        self.birth, self.shape, self.inputs, self.grad = next(births), shape, inputs, None


class Tensor:
    """An array, and the node of the operation that computed it. A leaf, such as a weight, has a node without inputs."""

    def __init__(self, data, node=None):
        self.data = np.asarray(data)
        self.node = node or Node(self.data.shape)

    grad = property(lambda self: self.node.grad)

    def backward(self):
        """Walk back: add d self / d leaf to the `grad` of every leaf that this tensor was computed from."""
        sums = {self.node: np.ones_like(self.data)}
        while sums:
            node = max(sums, key=lambda node: node.birth)  # the youngest: only younger nodes contribute to a node
            g = sums.pop(node)
            if not node.inputs:
                node.grad = g if node.grad is None else node.grad + g
            for parent, rule, saved in node.inputs:
                sums[parent] = sums.get(parent, 0) + unbroadcast(rule(g, *saved), parent.shape)


def unbroadcast(g, shape):
    """Sum `g` over the axes along which an input of this shape was repeated: each copy has contributed."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


add = primitive(lambda x, y: x + y, x=lambda g: g, y=lambda g: g)
subtract = primitive(lambda x, y: x - y, x=lambda g: g, y=lambda g: -g)
multiply = primitive(lambda x, y: x * y, x=lambda g, y: g * y, y=lambda g, x: g * x)
divide = primitive(lambda x, y: x / y, x=lambda g, y: g / y, y=lambda g, out, y: -g * out / y)
matmul = primitive(lambda x, y: x @ y, x=lambda g, y: g @ y.T, y=lambda g, x: x.T @ g)
exp = primitive(lambda x: np.exp(x), x=lambda g, out: g * out)
log = primitive(lambda x: np.log(x), x=lambda g, x: g / x)
tanh = primitive(lambda x: np.tanh(x), x=lambda g, out: g * (1 - out * out))
relu = primitive(lambda x: np.maximum(x, 0), x=lambda g, out: np.where(out > 0, g, 0))
total = primitive(lambda x, axis=None: x.sum(axis, keepdims=True), x=lambda g, x_shape: np.broadcast_to(g, x_shape))

for operator, operation in {"add": add, "sub": subtract, "mul": multiply, "truediv": divide, "matmul": matmul}.items():
    setattr(Tensor, f"__{operator}__", operation)

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    y, radius = np.repeat(np.arange(3), 100), np.tile(np.linspace(0.05, 1, 100), 3)
    angle = 6 * radius + 2 * np.pi / 3 * y + rng.normal(scale=0.15, size=300)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    weights = rng.normal(size=(2, 64)), np.zeros(64), 0.1 * rng.normal(size=(64, 3)), np.zeros(3)
    velocity = [0, 0, 0, 0]
    for step in range(401):
        w1, b1, w2, b2 = leaves = [Tensor(w) for w in weights]
        z = tanh(matmul(x, w1) + b1) @ w2 + b2
        loss = total((log(total(exp(z), axis=1)) - z) * np.eye(3)[y]) / 300  # the mean of -log softmax(z) at y
        loss.backward()
        velocity = [0.9 * v - 0.3 * leaf.grad for v, leaf in zip(velocity, leaves, strict=True)]
        weights = [w + v for w, v in zip(weights, velocity, strict=True)]
        if step % 100 == 0:
            print(f"step {step}: loss {loss.data.item():.4f}, {np.mean(z.data.argmax(axis=1) == y):.1%} right")
