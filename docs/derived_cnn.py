# 6 operations, 1,370 parameters, loss 2.083
import numpy as np
from math import prod


# Return `x` (N, H, W, C) as it is seen through each window: (N, H', W', C, KH, KW). The padding shows `fill`.
def windows(x, kernel_size, stride, padding, dilation=(1, 1), fill=0):
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return seen[:, ::stride[0], ::stride[1], :, ::dilation[0], ::dilation[1]]


# Slides filters over a batch of images and sums the products under each: a convolution.
def conv2d(x, w, b, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1)):
    y = np.einsum('nijckl,klco->nijo', windows(x, w.shape[:2], stride, padding, dilation), w, order='C', optimize=True)
    return y + b


# Turn windows (N, H', W', C, KH, KW) into rows (N, H', W', C, KH * KW).
def _in_rows(parts):
    return parts.reshape(*parts.shape[:4], prod(parts.shape[4:]))


# Takes the largest number of every window.
def max_pool2d(x, kernel_size, stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1)):
    sliding = (kernel_size, stride, padding, dilation)
    lowest = -np.inf if x.dtype.kind == 'f' else x.dtype.kind != 'b' and np.iinfo(x.dtype).min
    seen = _in_rows(windows(x, *sliding, fill=lowest))
    real = _in_rows(windows(np.ones(x.shape, bool), *sliding, fill=False))
    largest = seen.max(axis=-1, keepdims=True)
    argmax = (real & ((seen == largest) | np.isnan(seen))).argmax(axis=-1)
    y = np.take_along_axis(seen, argmax[..., None], axis=-1)[..., 0]
    return (y, argmax.astype(np.min_scalar_type(seen.shape[-1])))


# Joins the axes from `start_axis` on into one: ``flatten(images, 1)`` has a row of all numbers for each image.
def flatten(x):
    return np.reshape(x, (*x.shape[:1], prod(x.shape[1:])))


# Turns scores into logarithms of probabilities, over `axis`: ``log(softmax(x))``.
def log_softmax(x):
    shifted = x - (np.max(x, axis=-1, keepdims=True) if np.size(x) else 0)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


# Combine the losses of the elements; inside of a primitive by NumPy's `sum` and `mean`.
def reduced(values):
    out = np.mean(values)
    overflows = np.isinf(out)
    return np.sum(values / np.size(values)) if overflows else out


# Measures how little probability the right class has: ``-log softmax(logits)[label]``.
def cross_entropy(logits, labels):
    if not ((labels >= 0) & (labels < logits.shape[-1])).all():
        raise ValueError(f'program: labels have {labels.min()}..{labels.max()}, want 0..{logits.shape[-1] - 1}')
    losses = -np.take_along_axis(log_softmax(logits), labels[..., None], -1)[..., 0]
    return reduced(losses)


# Turns scores into probabilities that sum to 1 over `axis`: ``exp(x) / sum(exp(x))``.
def softmax(x):
    e = np.exp(x - (np.max(x, axis=-1, keepdims=True) if np.size(x) else 0))
    return e / np.sum(e, axis=-1, keepdims=True)


# Add the windows (N, H', W', C, KH, KW) to images of `shape`, each number to its pixel: transposes `windows`.
def add_windows(parts, shape, stride, padding, dilation=(1, 1)):
    (top, bottom), (left, right) = padding
    n, high, wide, channels = shape
    x = np.zeros((n, top + high + bottom, left + wide + right, channels), parts.dtype)
    down, across = (parts.shape[1] * stride[0], parts.shape[2] * stride[1])
    for row, column in np.ndindex(parts.shape[4:]):
        i, j = (row * dilation[0], column * dilation[1])
        x[:, i:i + down:stride[0], j:j + across:stride[1]] += parts[..., row, column]
    return x[:, top:top + high, left:left + wide]


# Puts each number at the place of the maximum of its window, and 0 elsewhere.
def max_unpool2d(x, argmax, shape, kernel_size, stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1)):
    rows = np.where(argmax[..., None] == np.arange(prod(kernel_size)), x[..., None], 0)
    return add_windows(rows.reshape(*rows.shape[:4], *kernel_size), shape, stride, padding, dilation)


# Keeps `x` where `y`, a result of `relu`, is positive, and sets the rest to 0.
def relu_gradient(x, y):
    return np.where(y <= 0, 0, x).astype(np.result_type(x, y), copy=False)


# Computes the gradient of `conv2d` with respect to `w`.
def conv2d_weight_gradient(x, gy, w_shape, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1)):
    seen = windows(x, w_shape[:2], stride, padding, dilation)[:, :gy.shape[1], :gy.shape[2]]
    return np.einsum('nijckl,nijo->klco', seen, gy, order='C', optimize=True)


# loss, gradients = step(...) takes arrays of these shapes, and returns the gradients by name
@np.errstate(all="ignore")
def step(images, labels, C, c, D, d):
    for name, array, shape, kind in [("images", images, (4, 8, 8, 1), np.floating), ("labels", labels, (4,), np.integer), ("C", C, (3, 3, 1, 8), np.floating), ("c", c, (8,), np.floating), ("D", D, (128, 10), np.floating), ("d", d, (10,), np.floating)]:
        if np.shape(array) != shape or not np.issubdtype(getattr(array, 'dtype', type(array)), kind):
            raise ValueError(f"program: {name} is {getattr(array, 'dtype', type(array))} {np.shape(array)}, want {kind.__name__} {shape}. The program is for these: convert with np.asarray or .astype, or ag.trace(f, ...) with yours writes another")
    h = conv2d(images, C, c)
    r = np.maximum(h, 0)
    p, argmax_p = max_pool2d(r, (2, 2))
    f = flatten(p)
    s = f @ D + d
    loss = cross_entropy(s, labels)

    g_loss = np.ones_like(loss)
    g_s = g_loss / 4 * (softmax(s) - (labels[..., None] == np.arange(10)))
    g_f = np.matmul(g_s, D.T)
    g_D = np.matmul(f.T, g_s)
    g_d = np.sum(g_s, 0)
    g_p = np.reshape(g_f, (4, 4, 4, 8))
    g_r = max_unpool2d(g_p, argmax_p, (4, 8, 8, 8), (2, 2))
    g_h = relu_gradient(g_r, r)
    g_C = conv2d_weight_gradient(images, g_h, (3, 3, 1, 8))
    g_c = np.sum(g_h, (0, 1, 2))
    return loss, {"C": g_C, "c": g_c, "D": g_D, "d": g_d}
