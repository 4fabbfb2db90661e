import numpy as np

import autograd_cnn as ag
from uses import use


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


x = np.random.default_rng(0).normal(size=(3, 4)) * 2.5  # on both sides of every kink
slopes = np.array([0.1, 0.2, 0.3, -0.4])

USES = [
    use("selu", ag.selu, x, want=lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    use("relu6", lambda x: ag.relu6(x * 3), x, want=lambda x: np.clip(x * 3, 0, 6)),
    use("hardsigmoid", lambda x: ag.hardsigmoid(x * 2), x, want=lambda x: np.clip(x * 2 + 3, 0, 6) / 6),
    use("logsigmoid", ag.logsigmoid, x, want=lambda x: np.log(sigmoid(x))),
    use("prelu", ag.prelu, x, slopes, want=lambda x, a: np.where(x > 0, x, a * x)),
    use("prelu", ag.prelu, x, np.array(0.2), want=lambda x, a: np.where(x > 0, x, a * x)),
]
