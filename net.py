# 4 operations, 32 parameters, loss 0.4696
import numpy as np


# Turns scores into logarithms of probabilities, over `axis`: ``log(softmax(x))``.
def log_softmax(x):
    shifted = x - (np.max(x, axis=-1, keepdims=True) if np.size(x) else 0)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


# Put `fill` where `mask` does not hold.
def masked(x, mask):
    return x if mask is True else np.where(mask, x, np.nan)


# Combine the losses of the elements; inside of a primitive by NumPy's `sum` and `mean`.
def reduced(values):
    some = True
    n = np.size(values)
    out = np.mean(values)
    overflows = np.isinf(out)
    return masked(np.sum(values / n) if overflows else out, some)


# Measures how little probability the right class has: ``-log softmax(logits)[label]``.
def cross_entropy(logits, labels):
    if not ((labels >= 0) & (labels < logits.shape[-1])).all():
        raise ValueError(f"program: labels have {labels.min()}..{labels.max()}, want 0..{logits.shape[-1] - 1}")
    losses = -np.take_along_axis(log_softmax(logits), labels[..., None], -1)[..., 0]
    return reduced(losses)


# Turns scores into probabilities that sum to 1 over `axis`: ``exp(x) / sum(exp(x))``.
def softmax(x):
    e = np.exp(x - (np.max(x, axis=-1, keepdims=True) if np.size(x) else 0))
    return e / np.sum(e, axis=-1, keepdims=True)


# Keeps `x` where `y`, a result of `relu`, is positive, and sets the rest to 0.
def relu_gradient(x, y):
    return np.where(y <= 0, 0, x).astype(np.result_type(x, y), copy=False)


@np.errstate(all="ignore")
def step(x, y, W1, b1, W2, b2):
    for name, array, shape, kind in [
        ("x", x, (4, 3), np.floating),
        ("y", y, (4,), np.integer),
        ("W1", W1, (3, 5), np.floating),
        ("b1", b1, (5,), np.floating),
        ("W2", W2, (5, 2), np.floating),
        ("b2", b2, (2,), np.floating),
    ]:
        if np.shape(array) != shape or not np.issubdtype(getattr(array, "dtype", type(array)), kind):
            raise ValueError(
                f"program: {name} is {getattr(array, 'dtype', type(array))} {np.shape(array)}, want {kind.__name__} {shape}. The program is for these: convert with np.asarray or .astype, or ag.trace(f, ...) with yours writes another"
            )
    h1 = x @ W1 + b1
    h2 = np.maximum(h1, 0)
    h3 = h2 @ W2 + b2
    loss = cross_entropy(h3, y)

    g_loss = np.ones_like(loss)
    g_h3 = g_loss / 4 * (softmax(h3) - (y[..., None] == np.arange(2)))
    g_h2 = np.matmul(g_h3, W2.T)
    g_W2 = np.matmul(h2.T, g_h3)
    g_b2 = np.sum(g_h3, 0)
    g_h1 = relu_gradient(g_h2, h2)
    g_W1 = np.matmul(x.T, g_h1)
    g_b1 = np.sum(g_h1, 0)
    return loss, {"W1": g_W1, "b1": g_b1, "W2": g_W2, "b2": g_b2}
