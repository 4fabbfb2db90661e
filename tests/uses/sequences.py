import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(1)
q, k, v = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 3))
seen = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], bool)  # the second query sees nothing
bias = np.where(seen, rng.normal(size=(3, 5)), -np.inf)


def attend(q, k, v, seen, bias=0, scale=0.5, keep=1):
    """The formula with sums over the keys that are seen."""
    e = np.exp(np.where(seen, q @ k.mT * scale + bias, -np.inf))
    return e / np.maximum(e.sum(-1, keepdims=True), 1e-300) * keep @ v


def attention(**options):
    return lambda *operands: ag.scaled_dot_product_attention(*operands, **options)


kept = np.random.default_rng(0).random((2, 3, 5), np.float32) >= 0.25
USES = [
    use("scaled_dot_product_attention", attention(), q, k, v, want=lambda *o: attend(*o, True)),
    use("scaled_dot_product_attention", attention(is_causal=True, scale=2.0), q, k, v,
        want=lambda *o: attend(*o, np.tri(3, 5, dtype=bool), scale=2)),
    use("scaled_dot_product_attention", attention(attn_mask=seen), q, k, v, want=lambda *o: attend(*o, seen)),
    use("scaled_dot_product_attention", attention(attn_mask=bias), q, k, v,
        want=lambda *o: attend(*o, seen, np.where(seen, bias, 0))),
    use("scaled_dot_product_attention", lambda q, k, v, b: attention(attn_mask=b, is_causal=True)(q, k, v), q, k, v,
        np.where(seen, bias, 0), want=lambda q, k, v, b: attend(q, k, v, np.tri(3, 5, dtype=bool), b)),
    use("scaled_dot_product_attention", lambda *o: attention(dropout_p=0.25, rng=np.random.default_rng(0))(*o), q, k, v,
        want=lambda *o: attend(*o, True, keep=kept / 0.75)),
]  # fmt: skip
