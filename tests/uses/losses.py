import numpy as np

import autograd_cnn as ag
from uses import use


def log_softmax(z):
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def nll(p, labels, weight=(1, 1, 1, 1), ignored=None):
    pairs = [(weight[k], -weight[k] * row[k]) for row, k in zip(p, labels, strict=True) if k != ignored]
    return sum(loss for _, loss in pairs) / sum(w for w, _ in pairs)


def logistic(z, y, weight=1):
    return weight * y * np.log(1 + np.exp(-z)) + (1 - y) * np.log(1 + np.exp(z))


def divergence(p, y):
    return y * (np.log(y) - p)


def huber(p, y, delta=1.0):
    d = np.abs(p - y)
    return np.where(d < delta, d**2 / 2, delta * (d - delta / 2))


rng = np.random.default_rng(1)
a, b = rng.normal(size=(2, 3, 4)) * 1.5
soft = rng.dirichlet(np.ones(4), 3)
labels, weight = np.array([3, 0, 3]), np.array([0.5, 2.0, 0.0, 1.5])

USES = [
    use("cross_entropy", ag.cross_entropy, a, soft, want=lambda z, y: -np.mean(np.sum(y * log_softmax(z), -1))),
    use("cross_entropy", lambda z, y: ag.cross_entropy(z, y, "none", 0.1, weight), a, soft,
        want=lambda z, y: -np.sum((0.9 * y + 0.025) * weight * log_softmax(z), -1)),
    use("cross_entropy", lambda z: ag.cross_entropy(z, labels, "sum", 0.1), a,
        want=lambda z: -np.sum((0.9 * np.eye(4)[labels] + 0.025) * log_softmax(z))),
    use("cross_entropy", lambda z: ag.cross_entropy(z, labels, weight=weight, ignore_index=0), a,
        want=lambda z: nll(log_softmax(z), labels, weight, 0)),
    use("cross_entropy", lambda z: ag.cross_entropy(z, labels, label_smoothing=0.1, weight=weight), a,
        want=lambda z: -np.sum((0.9 * np.eye(4)[labels] + 0.025) * weight * log_softmax(z)) / weight[labels].sum()),
    use("cross_entropy", lambda z: ag.cross_entropy(z, labels, "mean", 0.2, weight + 1, ignore_index=0), a,
        want=lambda z: np.mean(-((0.8 * np.eye(4)[3] + 0.05) * (weight + 1) * log_softmax(z))[::2].sum(-1)) / 2.5),
    use("cross_entropy", lambda z: ag.cross_entropy(z, labels, "none", weight=weight, ignore_index=3), a,
        want=lambda z: -np.array([0, 0.5, 0]) * log_softmax(z)[:, 0]),
    use("cross_entropy", lambda z: ag.cross_entropy(z, labels - 1, ignore_index=-1), a,
        want=lambda z: nll(log_softmax(z), labels - 1, ignored=-1)),
    use("bce_with_logits", ag.bce_with_logits, a, soft, want=lambda z, y: np.mean(logistic(z, y))),
    use("bce_with_logits", lambda z, y: ag.bce_with_logits(z, y, "sum", weight[:3, None], weight + 0.5), a, soft,
        want=lambda z, y: np.sum(weight[:3, None] * logistic(z, y, weight + 0.5))),
    use("l1_loss", ag.l1_loss, a, b, want=lambda p, y: np.mean(np.abs(p - y))),
    use("l1_loss", lambda p, y: ag.l1_loss(p, y, "none"), a, b, want=lambda p, y: np.abs(p - y)),
    use("huber_loss", ag.huber_loss, a, b, want=lambda p, y: np.mean(huber(p, y))),
    use("huber_loss", lambda p, y: ag.huber_loss(p, y, "sum", 0.7), a, b, want=lambda p, y: np.sum(huber(p, y, 0.7))),
    use("kl_div", ag.kl_div, a, soft, want=lambda p, y: np.mean(divergence(p, y))),
    use("kl_div", lambda p, y: ag.kl_div(p, y, "batchmean"), a, soft, want=lambda p, y: np.sum(divergence(p, y)) / 3),
    use("kl_div", lambda p, y: ag.kl_div(p, y, "none", log_target=True), a, b,
        want=lambda p, y: divergence(p, np.exp(y))),
]  # fmt: skip
