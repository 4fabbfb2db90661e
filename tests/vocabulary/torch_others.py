"""PyTorch's operators that are not compared with ours, and samples that are left out, each with the reason."""

import numpy as np

VERSION = "2.13"  # of PyTorch, whose database the tables were made with

NOT_HERE = {
    "a composition of operations that are compared": """
        H addbmm addcdiv addcmul addmm* addmv addr baddbmm add sub rsub cartesian_prod cdist cholesky_* chunk
        combinations complex cumulative_trapezoid diag_embed diagonal_scatter dist expand expand_as fill flatten
        index_fill index_reduce* kthvalue lerp linalg.pinv|singular logdet mH masked.cum* masked.log* masked.normalize
        masked.softm* masked_* msort narrow native_* nn.functional.bilinear nn.functional.channel_shuffle
        nn.functional.linear_cross_entropy* nn.functional.pdist nn.functional.soft_margin_loss
        nn.functional.upsample_* polar put renorm rsqrt scatter_reduce* select select_scatter slice slice_scatter
        std_mean* sum_to_size topk unflatten unfold unsafe_chunk var_mean* view_as_complex view_as_real
    """,
    "another name or form of an operator that is compared": """
        *_copy __radd__ __rmul__ cholesky div|floor_rounding div|no_rounding_mode linalg.*_ex
        linalg.norm|subgradients_at_zero log_softmax|with_dtype nn.functional.softmin|with_dtype norm* pinverse qr
        reshape_as resolve_* softmax|with_dtype split_with_sizes split|list_args std|unbiased svd t trapz
        triangular_solve unsafe_split var|unbiased view view_as
    """,
    "no derivative: plain arrays of NumPy": """
        all allclose any argmax argmin argwhere bitwise_* ceil count_nonzero eq equal floor gcd ge gt heaviside isclose
        isfinite isin isinf isnan isneginf isposinf isreal lcm le logical_* lt ne round sgn sign signbit trunc
    """,
    "not NumPy's: spectra of several axes that are real, and of pieces; conversions": """
        cdouble cfloat chalf fft.hfft2 fft.hfftn fft.ihfft2 fft.ihfftn istft nn.functional.silu|complex stft
    """,
    "makes an array": """
        arange empty empty_like empty_permuted empty_strided eye full full_like linspace* logspace* new_* ones ones_like
        scalar_tensor signal.windows.* tril_indices triu_indices zeros zeros_like zero_
    """,
    "random numbers": """
        bernoulli cauchy exponential geometric log_normal multinomial nn.functional.alpha_dropout
        nn.functional.dropout2d nn.functional.dropout3d nn.functional.feature_alpha_dropout*
        nn.functional.fractional_max_pool* nn.functional.rrelu normal* pca_lowrank rand* svd_lowrank uniform
    """,
    "integers, bits and types": """
        __rand__ __ror__ __rxor__ bfloat16 bool broadcast_shapes byte char double float half hash_tensor int item long
        nn.functional.one_hot short to unravel_index
    """,
    "no derivative, and arguments or results unlike NumPy's": """
        argsort bucketize div|trunc_rounding histc histogram histogramdd linalg.matrix_rank* masked.argmax
        masked.argmin nextafter nonzero nonzero_static round|* searchsorted unique unique_consecutive
    """,
    "three dimensions": """
        grid_sampler_3d nn.functional.*pool3d nn.functional.conv3d nn.functional.conv_transpose3d
        nn.functional.interpolate|trilinear nn.functional.max_unpool3d*
    """,
    "PyTorch's own machinery: memory, sparse arrays, kernels, backward functions": """
        _batch_norm_with_update _chunk_cat _native_batch_norm_legit _segment_reduce* _softmax_backward_data
        _unsafe_masked_index* as_strided* bmm|triton_optimized jiterator_* max_pool2d_with_indices_backward
        native_dropout_backward nn.functional.batch_norm|without_cudnn resize_ resize_as_ sparse.* to_sparse torch.*
    """,
    "another meaning: indices of pixels; ours are places in the window": """
        nn.functional.max_unpool1d* nn.functional.max_unpool2d*
    """,
    "Bessel functions in which PyTorch has six digits, and no derivative": "special.bessel_*",
    "special functions": """
        igamma igammac mvlgamma* special.airy_ai special.chebyshev_* special.hermite_* special.laguerre_*
        special.legendre_* special.modified_bessel_k* special.scaled_* special.shifted_* special.spherical_*
        special.zeta
    """,
    "not built: matrices": """
        geqrf linalg.householder_product linalg.ldl_* linalg.lstsq linalg.lu* linalg.pinv|hermitian lu lu_solve
        lu_unpack ormqr
    """,
    "not built: networks": """
        _upsample_bilinear2d_aa grid_sampler_2d nn.functional.ctc_loss nn.functional.embedding_bag
        nn.functional.grid_sample nn.functional.interpolate|area nn.functional.interpolate|bicubic
        nn.functional.interpolate|nearest-exact nn.functional.multi_head_attention_forward
        nn.functional.multi_margin_loss nn.functional.multilabel_* nn.functional.triplet_margin_with_distance_loss
    """,
    "not built: other": """
        logcumsumexp masked.logaddexp masked.median masked.norm mode
    """,
}

OF_REAL = "logaddexp", "nn.functional.softsign"  # PyTorch's take complex numbers, ours refuse them
HERMITIAN = ("linalg.cholesky",)  # gradients agree for Hermitian changes only


def number(x, *args, **o):
    return x.ndim == 0


def kept(name, *values):
    return lambda *args, **o: o.get(name) in values


def batched(x, *args, **o):
    return x.ndim > 2


def sizes_above_one(x, axis=(), **o):
    axis = o.get("dim", axis)
    return x.ndim and any(x.shape[a] != 1 for a in (axis if isinstance(axis, (list, tuple)) else [axis]))


def nothing_left(x, pad, *args):
    return any(x.shape[-1 - i] + min(0, pad[2 * i]) + min(0, pad[2 * i + 1]) <= 0 for i in range(len(pad) // 2))


def more_columns(a, full_matrices=True, some=False):
    return full_matrices and not some and a.shape[-1] != a.shape[-2]


SKIPPED = [  # (reason, operators, whether a sample has the argument)
    ("a number has no axis in NumPy", """
        cummax cummin cumprod cumsum gather index_add index_select logsumexp median nanmedian nanquantile quantile
        scatter scatter_add transpose nn.functional.prelu sort squeeze|multiple
    """, number),
    ("a number has no axis in NumPy", """
        mean masked.mean nn.functional.normalize linalg.vector_norm sum prod amax amin
    """, lambda x, *args, **o: x.ndim == 0 and "dim" in o),
    ("squeeze of an axis that is longer than 1", "squeeze squeeze|multiple", sizes_above_one),
    ("an empty line among matrices", "cat", lambda xs, *args, **o: any(x.shape == (0,) for x in xs)),
    ("an ellipsis that is summed", "einsum",
     lambda xs, equation: "..." in equation and "..." not in equation.split("->")[-1]),
    ("extents of 1 and n in a product", "tensordot", lambda x, y, dims=2: x.shape == (1, 1, 1)),
    ("an index with more axes than the array", "gather", lambda x, dim, index, **o: index.ndim != x.ndim),
    ("float32 weights", "cov", lambda x, **o: o.get("aweights") is not None),
    ("a batch of vectors, which NumPy reads as a matrix", "linalg.solve",
     lambda a, b, **o: b.ndim == a.ndim - 1 and b.ndim > 1),
    ("batches", "linalg.lstsq|grad_oriented", batched),
    ("batches", "linalg.vander", lambda x, **o: x.ndim > 1),
    ("a threshold for singular values", "linalg.pinv",
     lambda a, **o: o.get("rtol") is not None or o.get("atol") is not None),
    ("columns without a derivative", "linalg.svd", more_columns),
    ("targets that broadcast", "nn.functional.gaussian_nll_loss",
     lambda p, y, var, **o: len({p.shape, y.shape, var.shape}) > 1),
    ("labels other than 1 and -1", "nn.functional.hinge_embedding_loss", lambda x, y, **o: x.ndim == 0),
    ("a norm with a negative power", "nn.functional.pairwise_distance", lambda x, y, p=2.0, **o: not 0 < p < np.inf),
    ("no axis of channels", "nn.functional.batch_norm", lambda x, *args, **o: x.ndim < 2),
    ("random numbers", "nn.functional.dropout", lambda x, p=0.5, training=True, **o: training and p),
    ("random numbers", "nn.functional.scaled_dot_product_attention",
     lambda *args, **o: o.get("dropout_p", 0)),
    ("the scale of the rounded size", "nn.functional.interpolate|*", kept("recompute_scale_factor", True)),
    ("three dimensions", "nn.functional.interpolate|nearest",
     lambda x, *args, **o: x.ndim > 4),
    ("padding of what was cut off", "nn.functional.pad|replicate_negative", nothing_left),
    ("another divisor", "nn.functional.avg_pool2d", lambda x, *args: len(args) > 5 and args[5] is not None),
]  # fmt: skip

SIGNS = "linalg.eig", "linalg.eigh", "linalg.svd"  # vectors are compared without their signs
