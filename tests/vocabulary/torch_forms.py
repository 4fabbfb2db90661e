"""The forms of PyTorch's operators, over ours: helpers for the table in torch_calls.py."""

import numpy as np

import autograd_cnn as ag
from autograd_cnn import linalg


def images(f):
    """`f` of images (N, H, W, C), made to take and return (N, C, H, W) and (C, H, W)."""

    def call(x, *args, **options):
        batch = x if x.ndim == f_ndim(f) else x[None]
        y = ag.moveaxis(f(ag.moveaxis(batch, 1, -1), *args, **options), -1, 1)
        return y if batch is x else y[0]

    return call


def f_ndim(f):
    return 3 if f.__name__.endswith("1d") else 4


def single(value):
    """An int from PyTorch's int or list of one."""
    return value[0] if isinstance(value, (list, tuple)) else value


def singles(f):
    """`f` of sequences, whose numbers PyTorch may put into lists of one."""

    def call(*args, **options):
        return f(*map(single, args), **{k: single(v) for k, v in options.items()})

    call.__name__ = f.__name__
    return call


def convolution(f, transposed=False):
    def call(x, w, b=None, stride=1, padding=0, *rest, **options):
        kernel = ag.moveaxis(w, (0, 1), (-1, -2))  # OIHW or, transposed, IOHW
        if padding not in ("same", "valid"):
            padding = padding if f.__name__.endswith("2d") else single(padding)
        return images(lambda_named(f, lambda x: f(x, kernel, b, stride, padding, *rest, **options)))(x)

    return call


def lambda_named(f, g):
    g.__name__ = f.__name__
    return g


def window(f):
    """Pooling."""

    def call(x, kernel_size, stride=None, padding=0, *rest, **options):
        options.pop("return_indices", None)
        return images(lambda_named(f, lambda x: f(x, kernel_size, stride or None, padding, *rest, **options)))(x)

    return call


def grid(axis, index):
    """The index of the elements that `index` picks along `axis`, as PyTorch's gather and scatter mean it."""
    index = index.astype(int)
    places = list(np.ogrid[tuple(map(slice, index.shape))])
    places[axis] = index
    return tuple(places)


def part(values, index):
    """The values that scatter uses: as many as its index has."""
    if np.ndim(values) == 0:
        return values
    return values[tuple(map(slice, np.shape(index)))]


def scattered(how):
    def call(x, axis, index, src=None, value=None):
        return getattr(x.at[grid(axis, index)], how)(part(value if src is None else src, index))

    return call


WAYS = {
    "sum": ("add", 0.0),
    "mean": ("add", 0.0),
    "prod": ("mul", 1.0),
    "amax": ("max", -np.inf),
    "amin": ("min", np.inf),
}


def reduced(x, place, values, how, include_self):
    """Of PyTorch's scatter_reduce and index_reduce: a mean counts `x` if it is included."""
    method, start = WAYS[how]
    base = x if include_self else x.at[place].set(start)
    out = getattr(base.at[place], method)(values)
    if how != "mean":
        return out
    ones = ag.Tensor(np.ones(x.shape))
    counts = reduced(ones, place, np.ones(np.shape(values)), "sum", include_self)
    return out / counts.data


def scatter_reduce(x, axis, index, src, how, include_self=True):
    return reduced(x, grid(axis, index), part(src, index), how, include_self)


def index_reduce(x, axis, index, src, how, include_self=True):
    return reduced(x, along(x, axis, index), src, how, include_self)


def expanded(x, *shape, implicit=False):
    shape = shape[0] if shape and isinstance(shape[0], (list, tuple)) else shape
    own = (1,) * (len(shape) - x.ndim) + x.shape
    return ag.broadcast_to(x, tuple(n if m == -1 else m for n, m in zip(own, shape, strict=True)))


def several(f):
    return lambda x: f(*x) if isinstance(x, (list, tuple)) else f(x)


def adaptive(f, dimensions=2):
    def call(x, size, return_indices=False):
        if dimensions == 1:
            return images(f)(x[..., None, :], (1, single(size)))[..., 0, :]
        size = size if isinstance(size, (list, tuple)) else (size, size)
        return images(f)(x, tuple(n if m is None else m for n, m in zip(x.shape[-2:], size, strict=True)))

    return call


def along(x, axis, index):
    """The index that picks `index` along one axis."""
    return (slice(None),) * (axis % x.ndim) + (index,)


def indexed(how):
    return lambda x, axis, index, values, alpha=1: getattr(x.at[along(x, axis, index)], how)(alpha * values)


def narrow(x, axis, start, length):
    start = int(start)
    return x[along(x, axis, slice(start, x.shape[axis] + start + length if start < 0 else start + length))]


def sections(f):
    """PyTorch's sizes or number of parts, as NumPy's indices."""

    def call(x, sizes, axis=0):
        if isinstance(sizes, int):
            return f(x, range(sizes, x.shape[axis], sizes), axis)
        return f(x, np.cumsum(sizes)[:-1], axis)

    return call


def chunk(x, chunks, axis=0):
    size = -(-x.shape[axis] // chunks)
    return ag.split(x, range(size, x.shape[axis], size), axis)


def correction(options, unbiased=None):
    """PyTorch divides by n - 1 unless it is told otherwise."""
    given = options.pop("correction", options.pop("unbiased", unbiased))
    return 1 if given is None else given


def spread(f):
    def call(x, *args, **options):
        if args and isinstance(args[0], bool):
            return f(x, ddof=args[0])
        axis = args[0] if args else options.pop("axis", None)
        unbiased = args[1] if len(args) > 1 else None
        return f(
            x,
            axis=axis or None if isinstance(axis, (list, tuple)) else axis,
            ddof=correction(options, unbiased),
            **options,
        )

    return call


def quantile(f):
    def call(x, q, axis=None, keepdims=False, interpolation="linear"):
        return f(x, q, axis, method=interpolation, keepdims=keepdims and axis is not None)

    return call


def triangle(a, upper):
    return ag.triu(a) if upper else ag.tril(a)


def solve_triangular(a, b, *, upper, left=True, unitriangular=False):
    if left:
        return linalg.solve_triangular(a, b, 0, not upper, unitriangular)
    return linalg.solve_triangular(a, b.mT, 1, not upper, unitriangular).mT


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if enable_gqa:
        k, v = (ag.repeat(t, q.shape[-3] // t.shape[-3], -3) for t in (k, v))
    return ag.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal, scale)


def over_axes(transform):
    """A transform that has `axis`, one axis or several."""

    def call(x, *args, axis=None, **options):
        axes = {} if axis is None else {"axes": (axis,) if isinstance(axis, int) else axis}
        return transform(x, *args, **axes, **options)

    return call


def padded(mode):
    def call(x, pad, *_args, value=0, mode=mode, **_):
        value = _args[-1] if _args and not isinstance(_args[-1], str) else value
        pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
        x = x[tuple(slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(x.shape, pairs, strict=True))]
        pairs = [(max(0, a), max(0, b)) for a, b in pairs]
        return ag.pad(x, pairs, **({"constant_values": value or 0} if mode == "constant" else {"mode": mode}))

    return call


def batch_norm(x, mean, variance, w=None, b=None, training=False, momentum=0.1, eps=1e-5):
    c = x.shape[1]
    w, b = (np.ones(c) if w is None else w), (np.zeros(c) if b is None else b)
    given = {} if training else {"mean": mean, "variance": variance}
    return ag.moveaxis(ag.batch_norm(ag.moveaxis(x, 1, -1), w, b, eps, **given), -1, 1)


def instance_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    if use_input_stats:
        return ag.moveaxis(ag.instance_norm(ag.moveaxis(x, 1, -1), weight, bias, eps), -1, 1)
    return batch_norm(x, running_mean, running_var, weight, bias, False, 0.1, eps)


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    return ag.moveaxis(ag.group_norm(ag.moveaxis(x, 1, -1), groups, weight, bias, eps), -1, 1)


def classes_last(f):
    """A loss over classes, which PyTorch has at axis 1 and we at the last one."""

    def call(x, y, **options):
        options.pop("size_average", None)
        ids = np.issubdtype(y.dtype, np.integer)
        options.setdefault("ignore_index", -100) if ids else options.pop("ignore_index", None)
        axis = 0 if x.ndim == 1 else 1
        return f(ag.moveaxis(x, axis, -1), y if ids else ag.moveaxis(y, axis, -1), **options)

    return call


def linear_cross_entropy(x, w, y, bias=None, options=None, **rest):
    return classes_last(ag.cross_entropy)(ag.matmul(x, w.mT) + (0 if bias is None else bias), y, **rest)


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
    """Lines as images of one row."""
    line = x.ndim == 3
    mode = {"linear": "bilinear"}.get(mode, mode)
    if line:
        x = x[:, :, None]
        size = None if size is None else (1, single(size))
        scale_factor = None if scale_factor is None else (1, single(scale_factor))
    y = ag.moveaxis(ag.interpolate(ag.moveaxis(x, 1, -1), size, scale_factor, mode, bool(align_corners)), -1, 1)
    return y[:, :, 0] if line else y


def masked(f):
    def call(x, axis=None, *, mask=None, keepdims=False, dtype=None):
        return f(x, axis, keepdims=keepdims, where=True if mask is None else np.broadcast_to(mask, x.shape))

    return call


def masked_spread(f):
    def call(x, axis=None, unbiased=None, *, mask=None, keepdims=False, dtype=None, **options):
        options.setdefault("unbiased", unbiased)
        where = True if mask is None else np.broadcast_to(mask, x.shape)
        return f(x, axis, ddof=correction(options), keepdims=keepdims, where=where)

    return call


def masked_scores(f, lowest):
    def call(x, *args, mask=None, dtype=None, **options):
        return f(x if mask is None else ag.where(mask, x, lowest), *args, **options)

    return call


def norm(x, p="fro", axis=None, keepdims=False, dtype=None):
    p = 2 if p in ("fro", None) else p
    if p == "nuc":
        return (
            linalg.matrix_norm(x, ord="nuc", keepdims=keepdims) if axis is None else linalg.norm(x, p, axis, keepdims)
        )
    axis = (tuple(axis) or None) if isinstance(axis, (list, tuple)) else axis
    return linalg.vector_norm(x, ord=p, axis=axis, keepdims=keepdims)


def sort(x, axis=-1, descending=False, stable=None):
    s = ag.sort(x, axis)
    return ag.flip(s, axis) if descending else s


def kthvalue(x, k, axis=-1, keepdims=False):
    s = ag.take(ag.sort(x, axis), [k - 1], axis)
    return s if keepdims else ag.squeeze(s, axis)


def topk(x, k, axis=-1, largest=True, sorted=True):
    s = ag.sort(x, axis)
    return ag.take(ag.flip(s, axis) if largest else s, range(k), axis)


def median(f):
    return lambda x, axis=None, keepdims=False: f(x, 0.5, axis, method="lower", keepdims=keepdims)


def repeat_interleave(x, repeats, axis=None, output_size=None):
    return ag.repeat(x, repeats, axis)


def diagonal_embedded(x, offset=0, dim1=-2, dim2=-1):
    n = x.shape[-1] + abs(offset)
    rows = np.arange(x.shape[-1]) + max(0, -offset)
    y = ag.scatter(x, (..., rows, rows + offset), (*x.shape[:-1], n, n))
    return ag.moveaxis(y, (-2, -1), (dim1, dim2))


def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    rows = np.arange(src.shape[-1]) + max(0, -offset)
    moved = ag.moveaxis(x, (dim1, dim2), (-2, -1))
    return ag.moveaxis(moved.at[(..., rows, rows + offset)].set(src), (-2, -1), (dim1, dim2))


def renorm(x, p, axis, maxnorm):
    others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    n = linalg.vector_norm(x, ord=p, axis=others, keepdims=True)
    return x * ag.where(n > maxnorm, maxnorm / (n + 1e-7), 1.0)


def unfold(x, axis, size, step):
    windows = 1 + (x.shape[axis] - size) // step
    y = ag.take(x, np.arange(size) + step * np.arange(windows)[:, None], axis)
    return ag.moveaxis(y, axis % x.ndim + 1, -1)


def gradient(x, *, spacing=None, axis=None, edge_order=1):
    axis = range(x.ndim) if axis is None else axis
    steps = (1.0,) if spacing is None else tuple(spacing) if isinstance(spacing, (list, tuple)) else (spacing,)
    return ag.gradient(x, *steps, axis=axis, edge_order=edge_order)


def cartesian(*lines):
    parts = ag.meshgrid(*lines, indexing="ij")
    return ag.stack([p.ravel() for p in parts], -1) if len(lines) > 1 else lines[0]


def cdist(x, y, p=2.0, compute_mode=None):
    return linalg.vector_norm(x[..., :, None, :] - y[..., None, :, :], ord=p, axis=-1)


def shuffled(x, groups):
    n, c, *rest = x.shape
    return ag.reshape(ag.swapaxes(ag.reshape(x, (n, groups, c // groups, *rest)), 1, 2), x.shape)


def unflatten(x, axis, sizes):
    axis %= x.ndim
    return ag.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def flatten(x, start_dim=0, end_dim=-1):
    end = end_dim % x.ndim + 1
    return ag.reshape(x, (*x.shape[:start_dim], -1, *x.shape[end:]))


def put(x, index, source, accumulate=False):
    at = ag.ravel(x).at[np.asarray(index)]
    return ag.reshape((at.add if accumulate else at.set)(source), x.shape)


def index_put(x, indices, values, accumulate=False):
    at = x.at[tuple(indices)]
    return (at.add if accumulate else at.set)(values)


def slices(x, axis=0, start=None, end=None, step=1):
    return along(x, axis, slice(start, end, step))


def sum_to_size(x, *shape):
    shape = tuple(shape[0]) if shape and isinstance(shape[0], (list, tuple)) else shape
    padded = (1,) * (x.ndim - len(shape)) + tuple(shape)
    axes = tuple(a for a, n in enumerate(padded) if n == 1)
    return ag.reshape(ag.sum(x, axes, keepdims=True), shape)


def svd(a, some=True, compute_uv=True):
    u, s, vh = linalg.svd(a, full_matrices=not some)
    return u, s, vh.mT


def means(x, axis=None, unbiased=None, keepdims=False, **_):
    return ag.mean(x, axis or None if isinstance(axis, (list, tuple)) else axis, keepdims)


def logit(x, eps=None):
    x = x if eps is None else ag.clip(x, eps, 1 - eps)
    return ag.special.logit(x)


def both_broadcast(x, mask):
    shape = np.broadcast_shapes(mask.shape, x.shape)
    return ag.broadcast_to(x, shape), np.broadcast_to(mask, shape)


def masked_select(x, mask):
    x, mask = both_broadcast(x, mask)
    return x[mask]


def masked_scatter(x, mask, source):
    x, mask = both_broadcast(x, mask)
    return x.at[mask].set(ag.ravel(source)[: mask.sum()])
