"""PyTorch's operators as calls here: the table for tests/vocabulary/test_torch_operators.py.

The keys are names in PyTorch's operator database (``op_db``), with the variant after a bar. A call takes what the
operator takes, with `axis` for `dim` and `keepdims` for `keepdim`.
"""

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


def sections(f):
    """PyTorch's sizes or number of parts, as NumPy's indices."""

    def call(x, sizes, axis=0):
        if isinstance(sizes, int):
            return f(x, range(sizes, x.shape[axis], sizes), axis)
        return f(x, np.cumsum(sizes)[:-1], axis)

    return call


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


def sort(x, axis=-1, descending=False, stable=None):
    s = ag.sort(x, axis)
    return ag.flip(s, axis) if descending else s


def median(f):
    return lambda x, axis=None, keepdims=False: f(x, 0.5, axis, method="lower", keepdims=keepdims)


def repeat_interleave(x, repeats, axis=None, output_size=None):
    return ag.repeat(x, repeats, axis)


def gradient(x, *, spacing=None, axis=None, edge_order=1):
    axis = range(x.ndim) if axis is None else axis
    steps = (1.0,) if spacing is None else tuple(spacing) if isinstance(spacing, (list, tuple)) else (spacing,)
    return ag.gradient(x, *steps, axis=axis, edge_order=edge_order)


def index_put(x, indices, values, accumulate=False):
    at = x.at[tuple(indices)]
    return (at.add if accumulate else at.set)(values)


def logit(x, eps=None):
    x = x if eps is None else ag.clip(x, eps, 1 - eps)
    return ag.special.logit(x)


SAME_NAME = """
    abs acos acosh angle asin asinh atan atan2 atanh bincount broadcast_to column_stack conj copysign corrcoef cos
    cosh cross cumprod cumsum deg2rad dot dsplit dstack exp exp2 expm1 fliplr flipud float_power fmax fmin fmod
    frexp hsplit hstack hypot imag inner kron linalg.cond linalg.cross linalg.det linalg.eig linalg.eigvals
    linalg.eigvalsh linalg.inv linalg.matrix_power linalg.multi_dot linalg.norm linalg.slogdet linalg.svdvals
    linalg.tensorinv linalg.vecdot log log10 log1p log2 log_softmax logaddexp logaddexp2 logsumexp matmul maximum
    mean minimum nan_to_num nanmean nansum nn.functional.celu nn.functional.elu nn.functional.gelu nn.functional.glu
    nn.functional.hardshrink nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh
    nn.functional.hinge_embedding_loss nn.functional.huber_loss nn.functional.kl_div nn.functional.l1_loss
    nn.functional.layer_norm nn.functional.leaky_relu nn.functional.logsigmoid nn.functional.margin_ranking_loss
    nn.functional.mish nn.functional.pairwise_distance nn.functional.poisson_nll_loss nn.functional.relu
    nn.functional.relu6 nn.functional.rms_norm nn.functional.selu nn.functional.silu nn.functional.smooth_l1_loss
    nn.functional.softmin nn.functional.softshrink nn.functional.softsign nn.functional.tanhshrink
    nn.functional.threshold outer positive prod rad2deg ravel real reciprocal remainder reshape roll rot90 sigmoid
    sin sinc sinh softmax sqrt square squeeze sum tan tanh tile tril triu vdot vsplit
""".split()

OTHER_NAME = """
    T=transpose __getitem__=getitem amax=max amin=min bmm=matmul broadcast_tensors=broadcast_arrays cat=concatenate
    clamp=clip clamp_max=minimum clamp_min=maximum clone=copy conj_physical=conj contiguous=copy mT=matrix_transpose
    max|binary=maximum max|reduction_no_dim=max min|binary=minimum min|reduction_no_dim=min mm=matmul
    movedim=moveaxis mul=multiply mv=matmul neg=negative nn.functional.mse_loss=mse permute=transpose pow=power
    repeat=tile squeeze|multiple=squeeze take=take trace=matrix_trace transpose=swapaxes true_divide=divide
    unsqueeze=expand_dims
""".split()

ONE_AXIS = "fft ifft rfft irfft hfft ihfft".split()
SEVERAL_AXES = "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn fftshift ifftshift".split()

CALLS = {
    **{f"fft.{name}": getattr(ag.fft, name) for name in ONE_AXIS},
    **{f"fft.{name}": over_axes(getattr(ag.fft, name)) for name in SEVERAL_AXES},
    "__rdiv__": lambda x, y: y / x,
    "__rmatmul__": lambda x, y: y @ x,
    "__rmod__": lambda x, y: y % x,
    "__rpow__": lambda x, y: y**x,
    "__rsub__": lambda x, y: y - x,
    "atleast_1d": several(ag.atleast_1d),
    "atleast_2d": several(ag.atleast_2d),
    "atleast_3d": several(ag.atleast_3d),
    "aminmax": lambda x, axis=None, keepdims=False: [f(x, axis, keepdims) for f in (ag.min, ag.max)],
    "block_diag": linalg.block_diag,
    "constant_pad_nd": padded("constant"),
    "cov": lambda x, correction=1, fweights=None, aweights=None: ag.cov(
        x, ddof=correction, fweights=fweights, aweights=aweights
    ),
    "cummax": ag.cummax,
    "cummin": ag.cummin,
    "diag": ag.diag,
    "diagflat": lambda x, offset=0: ag.diagflat(x, offset),
    "flip": lambda x, dims: ag.flip(x, tuple(dims)),
    "ldexp": lambda x, y: x * 2**y,
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: ag.diagonal(x, offset, dim1, dim2),
    "diff": lambda x, n=1, axis=-1, prepend=None, append=None: ag.diff(x, n, axis, prepend, append),
    "einsum": lambda operands, equation: ag.einsum(equation, *operands),
    "digamma": ag.special.digamma,
    "erf": ag.special.erf,
    "erfc": ag.special.erfc,
    "erfinv": ag.special.erfinv,
    "floor_divide": lambda x, y: x // y,
    "frac": lambda x: ag.modf(x)[0],
    "gather": lambda x, axis, index, sparse_grad=False: x[grid(axis, index)],
    "gradient": gradient,
    "i0": ag.special.i0,
    "lgamma": ag.special.gammaln,
    "matrix_exp": linalg.expm,
    **{f"polygamma|polygamma_n_{n}": lambda x, n: ag.special.polygamma(n, x) for n in range(5)},
    "special.polygamma|special_polygamma_n_0": lambda x, n: ag.special.polygamma(n, x),
    **{f"special.{name}": getattr(ag.special, name) for name in "erfcx i0e i1 i1e log_ndtr ndtri".split()},
    **{f"special.modified_bessel_{name}": getattr(ag.special, name) for name in ("i0", "i1")},
    "index_add": indexed("add"),
    "index_put": index_put,
    "index_select": lambda x, axis, index: ag.take(x, index, axis),
    "linalg.cholesky": lambda a, upper=False: linalg.cholesky((a + a.mT.conj()) / 2, upper=upper),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: ag.diagonal(x, offset, dim1, dim2),
    "linalg.eigh": lambda a, UPLO="L": linalg.eigh(a, UPLO),
    "linalg.lstsq|grad_oriented": lambda a, b, driver=None: linalg.lstsq(a, b)[0],
    "linalg.matrix_norm": lambda a, ord="fro", axis=(-2, -1), keepdims=False, dtype=None: linalg.norm(
        a, ord, tuple(axis), keepdims
    ),
    "linalg.pinv": lambda a, rtol=None, **_: linalg.pinv(a, rtol=rtol),
    "linalg.qr": lambda a, mode="reduced": linalg.qr(a, mode),
    "linalg.solve": lambda a, b, left=True: linalg.solve(a, b) if left else linalg.solve(a.mT, b.mT).mT,
    "linalg.solve_triangular": solve_triangular,
    "linalg.svd": lambda a, full_matrices=True: linalg.svd(a, full_matrices),
    "linalg.tensorsolve": lambda a, b, dims=None: linalg.tensorsolve(a, b, dims),
    "linalg.vander": lambda x, N=None: ag.vander(x, N, increasing=True),
    "linalg.vector_norm": lambda x, ord=2, axis=None, keepdims=False, dtype=None: linalg.vector_norm(
        x, ord=ord, axis=axis, keepdims=keepdims
    ),
    "logit": logit,
    "masked.amax": lambda x, axis=None, *, mask=None, keepdims=False, dtype=None: ag.max(
        x, axis, keepdims, initial=-np.inf, where=True if mask is None else np.broadcast_to(mask, x.shape)
    ),
    "masked.amin": lambda x, axis=None, *, mask=None, keepdims=False, dtype=None: ag.min(
        x, axis, keepdims, initial=np.inf, where=True if mask is None else np.broadcast_to(mask, x.shape)
    ),
    "masked.mean": masked(ag.mean),
    "masked.prod": masked(ag.prod),
    "masked.std": masked_spread(ag.std),
    "masked.sum": masked(ag.sum),
    "masked.var": masked_spread(ag.var),
    "max|reduction_with_dim": ag.max,
    "min|reduction_with_dim": ag.min,
    "median": median(ag.quantile),
    "nanmedian": median(ag.nanquantile),
    "meshgrid|list_of_tensors": lambda xs, indexing: ag.meshgrid(*xs, indexing=indexing),
    "meshgrid|variadic_tensors": lambda *xs, indexing: ag.meshgrid(*xs, indexing=indexing),
    "nanquantile": quantile(ag.nanquantile),
    "nn.functional.adaptive_avg_pool1d": adaptive(ag.adaptive_avg_pool2d, 1),
    "nn.functional.adaptive_avg_pool2d": adaptive(ag.adaptive_avg_pool2d),
    "nn.functional.adaptive_max_pool1d": adaptive(ag.adaptive_max_pool2d, 1),
    "nn.functional.adaptive_max_pool2d": adaptive(ag.adaptive_max_pool2d),
    "nn.functional.avg_pool1d": singles(window(ag.avg_pool1d)),
    "nn.functional.avg_pool2d": lambda x, *args: window(ag.avg_pool2d)(
        x, *(single(a) if np.size(a) == 1 else a for a in args[:5])
    ),
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.binary_cross_entropy": lambda p, y, weight=None, reduction="mean": ag.bce(p, y, reduction, weight),
    "nn.functional.binary_cross_entropy_with_logits": lambda z, y, weight=None, reduction="mean", pos_weight=None: (
        ag.bce_with_logits(z, y, reduction, weight, pos_weight)
    ),
    "nn.functional.conv1d": singles(convolution(ag.conv1d)),
    "nn.functional.conv2d": convolution(ag.conv2d),
    "nn.functional.conv_transpose1d": singles(convolution(ag.conv_transpose1d)),
    "nn.functional.conv_transpose2d": convolution(ag.conv_transpose2d),
    "nn.functional.cosine_embedding_loss": ag.cosine_embedding_loss,
    "nn.functional.cosine_similarity": ag.cosine_similarity,
    "nn.functional.cross_entropy": classes_last(ag.cross_entropy),
    "nn.functional.dropout": lambda x, p=0.5, training=True, inplace=False: ag.dropout(x, p) if training else x,
    "nn.functional.embedding": lambda w, ids, **_: ag.embedding(ids, w),
    "nn.functional.gaussian_nll_loss": ag.gaussian_nll_loss,
    "nn.functional.group_norm": group_norm,
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.interpolate|bilinear": interpolate,
    "nn.functional.interpolate|linear": interpolate,
    "nn.functional.interpolate|nearest": interpolate,
    "nn.functional.linear": lambda x, w, b=None: ag.linear(x, w.T, b),
    "nn.functional.local_response_norm": lambda x, size, alpha=1e-4, beta=0.75, k=1.0: ag.moveaxis(
        ag.local_response_norm(ag.moveaxis(x, 1, -1), size, alpha, beta, k), -1, 1
    ),
    "nn.functional.max_pool1d": singles(window(ag.max_pool1d)),
    "nn.functional.max_pool2d": window(ag.max_pool2d),
    "nn.functional.nll_loss": classes_last(ag.nll_loss),
    "nn.functional.normalize": lambda x, p=2.0, axis=1, eps=1e-12: ag.normalize(x, p, axis, eps),
    "nn.functional.pad|circular": padded("wrap"),
    "nn.functional.pad|constant": padded("constant"),
    "nn.functional.pad|reflect": padded("reflect"),
    "nn.functional.pad|replicate": padded("edge"),
    "nn.functional.pad|replicate_negative": padded("edge"),
    "nn.functional.prelu": lambda x, weight: (
        ag.moveaxis(ag.prelu(ag.moveaxis(x, 1, -1), weight), -1, 1) if x.ndim > 1 else ag.prelu(x, weight)
    ),
    "nn.functional.pixel_shuffle": images(ag.pixel_shuffle),
    "nn.functional.pixel_unshuffle": images(ag.pixel_unshuffle),
    "nn.functional.scaled_dot_product_attention": attention,
    "nn.functional.softplus": lambda x, beta=1, threshold=20: ag.where(x * beta > threshold, x, ag.softplus(x, beta)),
    "nn.functional.triplet_margin_loss": ag.triplet_margin_loss,
    "nn.functional.unfold": lambda x, *args, **options: ag.swapaxes(
        ag.unfold(ag.moveaxis(x, -3, -1), *args, **options), -1, -2
    ),
    "quantile": quantile(ag.quantile),
    "repeat_interleave": repeat_interleave,
    "scatter": scattered("set"),
    "scatter_add": scattered("add"),
    "sort": sort,
    "special.entr": ag.special.entr,
    "special.ndtr": ag.special.ndtr,
    "special.xlog1py": ag.special.xlog1py,
    "split": sections(ag.split),
    "stack": ag.stack,
    "std": spread(ag.std),
    "take_along_dim": lambda x, index, axis=None: ag.take_along_axis(x, index.ravel() if axis is None else index, axis),
    "tensor_split": lambda x, sections, axis=0: ag.array_split(
        x, sections if np.ndim(sections) else int(sections), axis
    ),
    "tensordot": lambda x, y, dims=2: ag.tensordot(x, y, dims),
    "trapezoid": ag.trapezoid,
    "unbind": lambda x, axis=0: ag.unstack(x, axis=axis),
    "var": spread(ag.var),
    "vstack": ag.vstack,
    "where": lambda x, condition, y: ag.where(condition, x, y),
    "xlogy": ag.special.xlogy,
}
