"""PyTorch's operators as calls here: the table for tests/vocabulary/test_torch_operators.py.

The keys are names in PyTorch's operator database (``op_db``), with the variant after a bar. A call takes what the
operator takes, with `axis` for `dim` and `keepdims` for `keepdim`.
"""

from itertools import combinations, combinations_with_replacement

import numpy as np

import autograd_cnn as ag
from autograd_cnn import linalg
from vocabulary.torch_forms import (
    adaptive,
    along,
    attention,
    batch_norm,
    cartesian,
    cdist,
    chunk,
    classes_last,
    convolution,
    diagonal_embedded,
    diagonal_scatter,
    expanded,
    flatten,
    gradient,
    grid,
    group_norm,
    images,
    index_put,
    index_reduce,
    indexed,
    instance_norm,
    interpolate,
    kthvalue,
    linear_cross_entropy,
    logit,
    masked,
    masked_scatter,
    masked_scores,
    masked_select,
    masked_spread,
    means,
    median,
    narrow,
    norm,
    over_axes,
    padded,
    put,
    quantile,
    renorm,
    repeat_interleave,
    scatter_reduce,
    scattered,
    sections,
    several,
    shuffled,
    single,
    singles,
    slices,
    solve_triangular,
    sort,
    spread,
    sum_to_size,
    svd,
    topk,
    unflatten,
    unfold,
    window,
)

SAME_NAME = """
    abs acos acosh angle asin asinh atan atan2 atanh bincount broadcast_to column_stack conj copysign corrcoef cos cosh
    cross cumprod cumsum deg2rad dot dsplit dstack exp exp2 expm1 fliplr flipud float_power fmax fmin fmod frexp
    hsplit hstack hypot imag inner kron linalg.cond linalg.cross linalg.det linalg.eig linalg.eigvals linalg.eigvalsh
    linalg.inv linalg.matrix_power linalg.multi_dot linalg.norm linalg.slogdet linalg.svdvals linalg.tensorinv
    linalg.vecdot log log10 log1p log2 log_softmax logaddexp logaddexp2 logsumexp matmul maximum mean minimum
    nan_to_num nanmean
    nansum nn.functional.celu nn.functional.elu nn.functional.gelu nn.functional.glu nn.functional.hardshrink
    nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh nn.functional.hinge_embedding_loss
    nn.functional.huber_loss nn.functional.kl_div nn.functional.l1_loss nn.functional.layer_norm
    nn.functional.leaky_relu nn.functional.logsigmoid nn.functional.margin_ranking_loss nn.functional.mish
    nn.functional.pairwise_distance nn.functional.poisson_nll_loss nn.functional.relu nn.functional.relu6
    nn.functional.rms_norm nn.functional.selu nn.functional.silu nn.functional.smooth_l1_loss nn.functional.softmin
    nn.functional.softshrink nn.functional.softsign nn.functional.tanhshrink nn.functional.threshold outer positive
    prod rad2deg ravel real reciprocal remainder reshape roll rot90 sigmoid sin sinc sinh softmax sqrt square
    squeeze sum tan tanh tile tril triu vdot vsplit
""".split()

OTHER_NAME = """
    T=transpose __getitem__=getitem __radd__=add __rmul__=multiply alias_copy=copy amax=max amin=min
    bmm=matmul broadcast_tensors=broadcast_arrays cat=concatenate clamp=clip clamp_max=minimum clamp_min=maximum
    clone=copy conj_physical=conj contiguous=copy div|no_rounding_mode=divide
    linalg.norm|subgradients_at_zero=linalg.norm mT=matrix_transpose max|binary=maximum
    max|reduction_no_dim=max min|binary=minimum min|reduction_no_dim=min mm=matmul movedim=moveaxis mul=multiply
    mv=matmul neg=negative nn.functional.mse_loss=mse permute=transpose permute_copy=transpose pinverse=linalg.pinv
    pow=power repeat=tile reshape_as=reshape resolve_conj=copy resolve_neg=copy squeeze_copy=squeeze
    squeeze|multiple=squeeze t=transpose t_copy=transpose take=take trace=matrix_trace transpose=swapaxes
    transpose_copy=swapaxes true_divide=divide unsqueeze=expand_dims unsqueeze_copy=expand_dims view=reshape
    view_copy=reshape
""".split()

ONE_AXIS = "fft ifft rfft irfft hfft ihfft".split()
SEVERAL_AXES = "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn fftshift ifftshift".split()

CALLS = {
    **{f"fft.{name}": getattr(ag.fft, name) for name in ONE_AXIS},
    **{f"fft.{name}": over_axes(getattr(ag.fft, name)) for name in SEVERAL_AXES},
    "complex": lambda x, y: x + 1j * y,
    "polar": lambda length, turn: length * ag.exp(1j * turn),
    "view_as_complex": lambda x: x[..., 0] + 1j * x[..., 1],
    "view_as_real": lambda z: ag.stack([z.real, z.imag], -1),
    **dict.fromkeys(["H", "mH"], lambda x: x.conj().mT),
    "__rdiv__": lambda x, y: y / x,
    "__rmatmul__": lambda x, y: y @ x,
    "__rmod__": lambda x, y: y % x,
    "__rpow__": lambda x, y: y**x,
    "__rsub__": lambda x, y: y - x,
    "add": lambda x, y, alpha=1: x + alpha * y,
    "addbmm": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * ag.sum(a @ b, 0),
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addmm": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * (a @ b),
    "addmm|decomposed": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * (a @ b),
    "addmv": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * (a @ b),
    "addr": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * ag.outer(a, b),
    "atleast_1d": several(ag.atleast_1d),
    "atleast_2d": several(ag.atleast_2d),
    "atleast_3d": several(ag.atleast_3d),
    "combinations": lambda x, r=2, with_replacement=False: x[
        np.array(
            list((combinations_with_replacement if with_replacement else combinations)(range(x.size), r)), int
        ).reshape(-1, r)
    ],
    "aminmax": lambda x, axis=None, keepdims=False: [f(x, axis, keepdims) for f in (ag.min, ag.max)],
    "baddbmm": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * (a @ b),
    "block_diag": linalg.block_diag,
    "cartesian_prod": cartesian,
    "cdist": cdist,
    "chunk": chunk,
    "unsafe_chunk": chunk,
    "constant_pad_nd": padded("constant"),
    "cov": lambda x, correction=1, fweights=None, aweights=None: ag.cov(
        x, ddof=correction, fweights=fweights, aweights=aweights
    ),
    "cummax": ag.cummax,
    "cummin": ag.cummin,
    "cumulative_trapezoid": lambda y, x=None, dx=1.0, axis=-1: ag.cumsum(
        (ag.diff(x, axis=axis if np.ndim(x) > 1 else -1) if x is not None else dx)
        * (np.take(y, range(1, y.shape[axis]), axis) + np.take(y, range(y.shape[axis] - 1), axis))
        / 2,
        axis,
    ),
    "diag": ag.diag,
    "diagflat": lambda x, offset=0: ag.diagflat(x, offset),
    "flip": lambda x, dims: ag.flip(x, tuple(dims)),
    "ldexp": lambda x, y: x * 2**y,
    "diag_embed": diagonal_embedded,
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: ag.diagonal(x, offset, dim1, dim2),
    "diagonal_copy": lambda x, offset=0, dim1=0, dim2=1: ag.diagonal(x, offset, dim1, dim2),
    "diagonal_scatter": diagonal_scatter,
    "diff": lambda x, n=1, axis=-1, prepend=None, append=None: ag.diff(x, n, axis, prepend, append),
    "dist": lambda x, y, p=2: linalg.vector_norm(x - y, ord=p),
    "div|floor_rounding": lambda x, y, rounding_mode: x // y,
    "einsum": lambda operands, equation: ag.einsum(equation, *operands),
    "digamma": ag.special.digamma,
    "erf": ag.special.erf,
    "erfc": ag.special.erfc,
    "erfinv": ag.special.erfinv,
    "expand_as": lambda x, y: ag.broadcast_to(x, y.shape),
    "expand": expanded,
    "expand_copy": expanded,
    "fill": lambda x, value: 0 * x + value,
    "flatten": flatten,
    "floor_divide": lambda x, y: x // y,
    "frac": lambda x: ag.modf(x)[0],
    "gather": lambda x, axis, index, sparse_grad=False: x[grid(axis, index)],
    "gradient": gradient,
    "i0": ag.special.i0,
    "lgamma": ag.special.gammaln,
    "matrix_exp": linalg.expm,
    "triangular_solve": lambda b, a, upper=True, transpose=False, unitriangular=False: linalg.solve_triangular(
        a, b, int(transpose), not upper, unitriangular
    ),
    **{f"polygamma|polygamma_n_{n}": lambda x, n: ag.special.polygamma(n, x) for n in range(5)},
    "special.polygamma|special_polygamma_n_0": lambda x, n: ag.special.polygamma(n, x),
    **{f"special.{name}": getattr(ag.special, name) for name in "erfcx i0e i1 i1e log_ndtr ndtri".split()},
    **{f"special.modified_bessel_{name}": getattr(ag.special, name) for name in ("i0", "i1")},
    "index_add": indexed("add"),
    **{f"index_reduce|{how}": index_reduce for how in ("mean", "prod", "amax", "amin")},
    "index_copy": indexed("set"),
    "index_fill": lambda x, axis, index, value: x.at[along(x, axis, index)].set(value),
    "index_put": index_put,
    "index_select": lambda x, axis, index: ag.take(x, index, axis),
    "kthvalue": kthvalue,
    "lerp": lambda x, y, weight: x + weight * (y - x),
    "linalg.cholesky": lambda a, upper=False: linalg.cholesky((a + a.mT.conj()) / 2, upper=upper),
    "cholesky": lambda a, upper=False: linalg.cholesky((a + a.mT.conj()) / 2, upper=upper),
    "linalg.cholesky_ex": lambda a, upper=False, check_errors=False: linalg.cholesky(
        (a + a.mT.conj()) / 2, upper=upper
    ),
    "cholesky_inverse": lambda t, upper=False: linalg.inv(t.mT.conj() @ t if upper else t @ t.mT.conj()),
    "cholesky_solve": lambda b, t, upper=False: linalg.solve(t.mT.conj() @ t if upper else t @ t.mT.conj(), b),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: ag.diagonal(x, offset, dim1, dim2),
    "linalg.eigh": lambda a, UPLO="L": linalg.eigh(a, UPLO),
    "linalg.inv_ex": lambda a, check_errors=False: linalg.inv(a),
    "linalg.lstsq|grad_oriented": lambda a, b, driver=None: linalg.lstsq(a, b)[0],
    "linalg.matrix_norm": lambda a, ord="fro", axis=(-2, -1), keepdims=False, dtype=None: linalg.norm(
        a, ord, tuple(axis), keepdims
    ),
    "linalg.pinv": lambda a, rtol=None, **_: linalg.pinv(a, rtol=rtol),
    "linalg.pinv|singular": lambda a, b: linalg.pinv(a @ b.mT),
    "linalg.qr": lambda a, mode="reduced": linalg.qr(a, mode),
    "qr": lambda a, some=True: linalg.qr(a, "reduced" if some else "complete"),
    "linalg.solve": lambda a, b, left=True: linalg.solve(a, b) if left else linalg.solve(a.mT, b.mT).mT,
    "linalg.solve_ex": lambda a, b, left=True, check_errors=False: (
        linalg.solve(a, b) if left else linalg.solve(a.mT, b.mT).mT
    ),
    "linalg.solve_triangular": solve_triangular,
    "linalg.svd": lambda a, full_matrices=True: linalg.svd(a, full_matrices),
    "linalg.tensorsolve": lambda a, b, dims=None: linalg.tensorsolve(a, b, dims),
    "linalg.vander": lambda x, N=None: ag.vander(x, N, increasing=True),
    "linalg.vector_norm": lambda x, ord=2, axis=None, keepdims=False, dtype=None: linalg.vector_norm(
        x, ord=ord, axis=axis, keepdims=keepdims
    ),
    "logdet": lambda a: ag.log(linalg.det(a)) if np.iscomplexobj(a) else linalg.slogdet(a)[1],
    "logit": logit,
    "masked.amax": lambda x, axis=None, *, mask=None, keepdims=False, dtype=None: ag.max(
        x, axis, keepdims, initial=-np.inf, where=True if mask is None else np.broadcast_to(mask, x.shape)
    ),
    "masked.amin": lambda x, axis=None, *, mask=None, keepdims=False, dtype=None: ag.min(
        x, axis, keepdims, initial=np.inf, where=True if mask is None else np.broadcast_to(mask, x.shape)
    ),
    "masked.cumprod": lambda x, axis, mask=None, dtype=None: ag.cumprod(
        x if mask is None else ag.where(mask, x, 1.0), axis
    ),
    "masked.cumsum": lambda x, axis, mask=None, dtype=None: ag.cumsum(
        x if mask is None else ag.where(mask, x, 0.0), axis
    ),
    "masked.log_softmax": masked_scores(ag.log_softmax, -np.inf),
    "masked.logsumexp": masked_scores(ag.logsumexp, -np.inf),
    "masked.mean": masked(ag.mean),
    "masked.normalize": lambda x, ord, axis, eps=1e-12, mask=None, dtype=None: ag.normalize(
        x if mask is None else ag.where(mask, x, 0.0), ord, axis, eps
    ),
    "masked.prod": masked(ag.prod),
    "masked.softmax": masked_scores(ag.softmax, -np.inf),
    "masked.softmin": masked_scores(ag.softmin, np.inf),
    "masked.std": masked_spread(ag.std),
    "masked.sum": masked(ag.sum),
    "masked.var": masked_spread(ag.var),
    "masked_fill": lambda x, mask, value: ag.where(mask, value, x),
    "masked_scatter": masked_scatter,
    "masked_select": masked_select,
    "max|reduction_with_dim": ag.max,
    "min|reduction_with_dim": ag.min,
    "median": median(ag.quantile),
    "nanmedian": median(ag.nanquantile),
    "meshgrid|list_of_tensors": lambda xs, indexing: ag.meshgrid(*xs, indexing=indexing),
    "meshgrid|variadic_tensors": lambda *xs, indexing: ag.meshgrid(*xs, indexing=indexing),
    "msort": lambda x: ag.sort(x, 0),
    "narrow": narrow,
    "narrow_copy": narrow,
    "native_batch_norm": lambda x, w, b, mean, variance, training, momentum, eps: batch_norm(
        x, mean, variance, w, b, training, 0, eps
    ),
    "native_group_norm": lambda x, w, b, n, c, hw, groups, eps: group_norm(x, groups, w, b, eps),
    "native_layer_norm": lambda x, shape, w, b, eps: ag.layer_norm(x, tuple(shape), w, b, eps),
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
    "nn.functional.bilinear": lambda x, y, w, b=None: (
        ag.einsum("...i,oij,...j->...o", x, w, y) + (0 if b is None else b)
    ),
    "nn.functional.binary_cross_entropy": lambda p, y, weight=None, reduction="mean": ag.bce(p, y, reduction, weight),
    "nn.functional.binary_cross_entropy_with_logits": lambda z, y, weight=None, reduction="mean", pos_weight=None: (
        ag.bce_with_logits(z, y, reduction, weight, pos_weight)
    ),
    "nn.functional.channel_shuffle": shuffled,
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
    "nn.functional.linear_cross_entropy": linear_cross_entropy,
    "nn.functional.linear_cross_entropy|chunked": linear_cross_entropy,
    "nn.functional.linear_cross_entropy|chunked_none": linear_cross_entropy,
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
    "nn.functional.pdist": lambda x, p=2.0: cdist(x, x, p)[np.triu_indices(len(x), 1)],
    "nn.functional.pixel_shuffle": images(ag.pixel_shuffle),
    "nn.functional.pixel_unshuffle": images(ag.pixel_unshuffle),
    "nn.functional.scaled_dot_product_attention": attention,
    "nn.functional.soft_margin_loss": lambda x, y, reduction="mean": {
        "none": lambda v: v,
        "mean": ag.mean,
        "sum": ag.sum,
    }[reduction](ag.softplus(-y * x)),
    "nn.functional.softplus": lambda x, beta=1, threshold=20: ag.where(x * beta > threshold, x, ag.softplus(x, beta)),
    "nn.functional.triplet_margin_loss": ag.triplet_margin_loss,
    "nn.functional.unfold": lambda x, *args, **options: ag.swapaxes(
        ag.unfold(ag.moveaxis(x, -3, -1), *args, **options), -1, -2
    ),
    "nn.functional.upsample_bilinear": lambda x, size=None, scale_factor=None: interpolate(
        x, size, scale_factor, "bilinear", True
    ),
    "nn.functional.upsample_nearest": lambda x, size=None, scale_factor=None: interpolate(x, size, scale_factor),
    "norm": norm,
    "norm|fro": norm,
    "norm|inf": norm,
    "norm|nuc": norm,
    "put": put,
    "quantile": quantile(ag.quantile),
    "renorm": renorm,
    "repeat_interleave": repeat_interleave,
    "rsqrt": lambda x: 1 / ag.sqrt(x),
    "rsub": lambda x, y, alpha=1: y - alpha * x,
    "scatter": scattered("set"),
    "scatter_add": scattered("add"),
    **{f"scatter_reduce|{how}": scatter_reduce for how in ("sum", "mean", "prod", "amax", "amin")},
    "softmax|with_dtype": lambda x, axis, dtype: ag.softmax(x, axis),
    "log_softmax|with_dtype": lambda x, axis, dtype: ag.log_softmax(x, axis),
    "nn.functional.softmin|with_dtype": lambda x, axis, dtype: ag.softmin(x, axis),
    "select": lambda x, axis, index: x[along(x, axis, index)],
    "select_scatter": lambda x, src, axis, index: x.at[along(x, axis, index)].set(src),
    "slice": lambda x, *args, **options: x[slices(x, *args, **options)],
    "slice_scatter": lambda x, src, *args, **options: x.at[slices(x, *args, **options)].set(src),
    "sort": sort,
    "special.entr": ag.special.entr,
    "special.ndtr": ag.special.ndtr,
    "special.xlog1py": ag.special.xlog1py,
    "split": sections(ag.split),
    "split_with_sizes": sections(ag.split),
    "split_with_sizes_copy": sections(ag.split),
    "split|list_args": sections(ag.split),
    "unsafe_split": sections(ag.split),
    "stack": ag.stack,
    "std": spread(ag.std),
    "std|unbiased": spread(ag.std),
    "std_mean": lambda x, *args, **options: (spread(ag.std)(x, *args, **options), means(x, *args, **options)),
    "std_mean|unbiased": lambda x, unbiased: (ag.std(x, ddof=unbiased), ag.mean(x)),
    "sub": lambda x, y, alpha=1: x - alpha * y,
    "sum_to_size": sum_to_size,
    "svd": svd,
    "take_along_dim": lambda x, index, axis=None: ag.take_along_axis(x, index.ravel() if axis is None else index, axis),
    "tensor_split": lambda x, sections, axis=0: ag.array_split(
        x, sections if np.ndim(sections) else int(sections), axis
    ),
    "tensordot": lambda x, y, dims=2: ag.tensordot(x, y, dims),
    "topk": topk,
    "trapezoid": ag.trapezoid,
    "trapz": ag.trapezoid,
    "unbind": lambda x, axis=0: ag.unstack(x, axis=axis),
    "unbind_copy": lambda x, axis=0: ag.unstack(x, axis=axis),
    "unflatten": unflatten,
    "unfold": unfold,
    "unfold_copy": unfold,
    "var": spread(ag.var),
    "var|unbiased": spread(ag.var),
    "var_mean": lambda x, *args, **options: (spread(ag.var)(x, *args, **options), means(x, *args, **options)),
    "var_mean|unbiased": lambda x, unbiased: (ag.var(x, ddof=unbiased), ag.mean(x)),
    "view_as": lambda x, y: ag.reshape(x, y.shape),
    "reshape_as": lambda x, y: ag.reshape(x, y.shape),
    "vstack": ag.vstack,
    "where": lambda x, condition, y: ag.where(condition, x, y),
    "xlogy": ag.special.xlogy,
}
