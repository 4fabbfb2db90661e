from functools import partial

import numpy as np

from uses import use

rng = np.random.default_rng(0)
x = rng.normal(size=(2, 3, 4))
some = rng.random((2, 3, 4)) < 0.7
some[0] = True
zeros = np.array([[2.0, 0.0, -3.0, 0.5], [0.0, 4.0, 0.0, 1.0], [1.5, 2.0, -1.0, 3.0]])
TYPED = np.sum, np.prod, np.mean, np.var, np.std
LESS = {"ddof": 1}, {"correction": 1}, {"ddof": 1.5, "where": some}

USES = [
    *(use(f.__name__, f, x) for f in (*TYPED, np.max, np.min)),
    *(use(f.__name__, partial(f, axis=(0, -1), keepdims=True), x) for f in (*TYPED, np.max, np.min)),
    *(use(f.__name__, lambda x, f=f: f(x, 1, dtype=np.result_type(x)), x) for f in TYPED),
    *(use(f.__name__, lambda x, f=f: f(x, 1), x) for f in (np.max, np.min)),
    *(use(f.__name__, partial(f, axis=2, where=some), x) for f in TYPED),
    *(use(f.__name__, lambda x, f=f: f(x, axis=(0, 2), initial=0.4), x) for f in (np.sum, np.prod, np.max, np.min)),
    use("sum", lambda x: np.sum(x, 0, None, None, True), x),
    use("sum", lambda x: np.sum(a=x, axis=1, dtype=None, out=None), x),
    use("max", lambda x: np.maximum.reduce(x, axis=(0, 1)), x),
    use("max", lambda x: np.amax(x, axis=-1), x),
    use("min", lambda x: np.amin(x), x),
    *(use(name, lambda x, name=name: getattr(x, name)(1), x) for name in "sum mean max min var std".split()),
    use("max", lambda x: np.max(x, axis=2, initial=-5, where=some), x),
    use("min", lambda x: np.min(x, axis=2, initial=5, where=some, keepdims=True), x),
    use("sum", lambda x: np.add.reduce(x, axis=1, where=some), x),
    use("prod", lambda x: np.multiply.reduce(x), x),
    use("prod", lambda x: np.prod(x, axis=1), zeros),
    use("prod", lambda x: np.prod(x, axis=0, keepdims=True), zeros),
    use("prod", lambda x: np.prod(x[:2]), zeros),
    *(use(f.__name__, partial(f, axis=(0, 1), **options), x) for f in (np.var, np.std) for options in LESS),
    use("logsumexp", lambda x: np.logaddexp.reduce(x, axis=2), x, want=lambda x: np.log(np.exp(x).sum(2))),
]
