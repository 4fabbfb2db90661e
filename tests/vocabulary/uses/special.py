from importlib.util import find_spec

import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x, w = rng.normal(size=(2, 3)), np.array([0.5, 2.0, 0.0])
ONE_LARGE = np.array([0.0, 1.0, 900.0])  # whose weight in `w` is 0


def log_of_sum(x, axis=None, b=1.0, keepdims=False):
    return np.log(np.sum(b * np.exp(x), axis, keepdims=keepdims))


def shares(x, axis=None):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


USES = [
    use("special.logsumexp", ag.special.logsumexp, x, want=log_of_sum),
    use(
        "special.logsumexp", lambda x: ag.special.logsumexp(x, 1, w, True), x, want=lambda x: log_of_sum(x, 1, w, True)
    ),
    use(
        "special.logsumexp",
        lambda x: ag.special.logsumexp(x, b=w),
        ONE_LARGE,
        want=lambda x: log_of_sum(x[:2], b=w[:2]),
    ),
    use("special.softmax", ag.special.softmax, x, want=shares),
    use("special.softmax", lambda x: ag.special.softmax(x, axis=0), x, want=lambda x: shares(x, 0)),
    use("special.log_softmax", ag.special.log_softmax, x, want=lambda x: np.log(shares(x))),
    use("special.log_expit", ag.special.log_expit, x, want=lambda x: -np.log(1 + np.exp(-x))),
]
if find_spec("scipy"):
    from scipy import special

    USES += [
        use(
            "special.multigammaln",
            lambda a: ag.special.multigammaln(a, 3),
            abs(x) + 2,
            want=lambda a: special.multigammaln(a, 3),
        ),
    ]
