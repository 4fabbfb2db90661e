import math

import numpy as np

import autograd_cnn as ag
from uses import use


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def gelu(x):
    return x * np.vectorize(lambda v: math.erfc(-v / math.sqrt(2)) / 2)(x)


def gelu_of_tanh(x):
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


x = np.random.default_rng(0).normal(size=(3, 4)) * 2.5  # on both sides of every kink
slopes, column = np.array([0.1, 0.2, 0.3, -0.4]), np.array([[0.5], [0.6], [1.7]])

USES = [
    use("leaky_relu", ag.leaky_relu, x, want=lambda x: np.where(x > 0, x, 0.01 * x)),
    use("leaky_relu", ag.leaky_relu, x, slopes, want=lambda x, a: np.where(x > 0, x, a * x)),
    use("elu", ag.elu, x, want=elu),
    use("elu", ag.elu, x, slopes, want=elu),
    use("silu", ag.silu, x, want=lambda x: x * sigmoid(x)),
    use("gelu", ag.gelu, x, want=gelu),
    use("gelu", lambda x: ag.gelu(x, "tanh"), x, want=gelu_of_tanh),
    use("hardtanh", ag.hardtanh, x, want=lambda x: np.clip(x, -1, 1)),
    use("hardtanh", ag.hardtanh, x, slopes - 1, column, want=np.clip),
    use("selu", ag.selu, x, want=lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    use("mish", ag.mish, x, want=lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    use("relu6", lambda x: ag.relu6(x * 3), x, want=lambda x: np.clip(x * 3, 0, 6)),
    use("hardsigmoid", lambda x: ag.hardsigmoid(x * 2), x, want=lambda x: np.clip(x * 2 + 3, 0, 6) / 6),
    use("hardswish", ag.hardswish, x * 2, want=lambda x: x * np.clip(x + 3, 0, 6) / 6),
    use("logsigmoid", ag.logsigmoid, x, want=lambda x: np.log(sigmoid(x))),
    use("prelu", ag.prelu, x, slopes, want=lambda x, a: np.where(x > 0, x, a * x)),
    use("prelu", ag.prelu, x, np.array(0.2), want=lambda x, a: np.where(x > 0, x, a * x)),
]
