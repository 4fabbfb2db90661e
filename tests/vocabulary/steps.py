"""Steps of random programs: expressions in `x` and `y`, as NumPy has them and, after a bar, as PyTorch has them.

``=`` is NumPy's text with ``torch`` for ``np`` and ``dim`` for ``axis``; without a bar PyTorch is left out. ``{i}`` is
an axis of x, ``{n}`` its extent. ``ramp`` multiplies by constants, so that copies are no ties; ``spd`` makes a
symmetric matrix whose eigenvalues are positive and apart. Arguments are kept off poles, and kinks off numbers that
repeat.
"""

ELEMENTWISE = """
    np.tanh(x) | =
    np.sin(x) | =
    np.cos(x) | =
    np.tan(np.tanh(x)) | =
    np.exp(-x * x) | =
    np.log(x * x + 1.3) | =
    np.log1p(x * x) | =
    np.expm1(np.tanh(x)) | =
    np.sqrt(x * x + 0.5) | =
    np.arctan(x) | =
    np.arcsin(0.9 * np.sin(x)) | =
    np.arccos(0.9 * np.sin(x)) | =
    np.arcsinh(x) | =
    np.arccosh(x * x + 1.5) | =
    np.arctanh(0.8 * np.sin(x)) | =
    np.sinh(np.sin(x)) | =
    np.cosh(np.sin(x)) | =
    np.exp2(np.sin(x)) | =
    np.log2(x * x + 1.5) | =
    np.log10(x * x + 1.5) | =
    np.reciprocal(x * x + 1) | =
    np.cbrt(x * x + 1) | (x * x + 1) ** (1 / 3)
    np.square(np.sin(x)) | =
    np.sinc(np.sin(x)) | =
    np.abs(x + 0.31) | =
    np.fabs(x - 0.27) | torch.abs(x - 0.27)
    np.clip(x, -1.1, 1.2) | =
    np.maximum(x, 0.13) | torch.clip(x, 0.13)
    np.minimum(0.57, x) | torch.clip(x, None, 0.57)
    np.where(x > 0.17, x, 0.5 * x) | =
    np.power(x * x + 0.7, 1.3) | torch.pow(x * x + 0.7, 1.3)
    np.float_power(x * x + 0.7, 0.6) | =
    2.0 ** np.sin(x) | =
    0.1 * x**3 | =
    np.nan_to_num(x) | =
    np.deg2rad(20 * x) | =
    np.rad2deg(0.02 * x) | =
    np.fmod(x, 0.83) | =
    np.remainder(x, 0.77) | =
    x % 0.91 | =
    divmod(x, 0.71)[1] | x % 0.71
    np.modf(x)[0] | torch.frac(x)
    np.ldexp(x, -1) | x / 2
    x * np.sign(x + 0.2) | =
    x + np.floor(x) | =
    np.copysign(x + 0.31, -1.0) | -torch.abs(x + 0.31)
    np.positive(-x) | =
    np.real(x) * 1.1 | x * 1.1
    np.interp(x, [-2, 0, 1, 3], [0, 1, -1, 2])
    np.select([x > 0.4, x > -0.3], [x * x, np.sin(x)], 0.5 * x)
    np.heaviside(x, 0.5) * x | torch.where(x > 0, x, 0)
    np.unwrap(x) + 0.1 * x
    ag.sigmoid(x) | torch.sigmoid(x)
    ag.softplus(x) | F.softplus(x)
    ag.gelu(x) | F.gelu(x)
    ag.silu(x) | F.silu(x)
    ag.mish(x) | F.mish(x)
    ag.elu(x + 0.1) | F.elu(x + 0.1)
    ag.celu(x + 0.1) | F.celu(x + 0.1)
    ag.selu(x + 0.1) | F.selu(x + 0.1)
    ag.leaky_relu(x + 0.1) | F.leaky_relu(x + 0.1)
    ag.relu(x + 0.21) + 0.1 * x | F.relu(x + 0.21) + 0.1 * x
    ag.softsign(x) | F.softsign(x)
    ag.logsigmoid(x) | F.logsigmoid(x)
    ag.hardswish(x + 0.1) | F.hardswish(x + 0.1)
    ag.normal_cdf(x) | torch.special.ndtr(x)
    ag.tanhshrink(x) | F.tanhshrink(x)
    x.astype(x.dtype) | x * 1
    x.copy() | x * 1
    ag.hardtanh(x, -0.9, 1.3) | F.hardtanh(x, -0.9, 1.3)
""".strip()

ALONG = """
    np.sum(x, axis={i}) | =
    np.mean(x, axis={i}, keepdims=True) | torch.mean(x, dim={i}, keepdim=True)
    np.max(x, axis={i}) | torch.amax(x, {i})
    np.min(x, axis={i}) | torch.amin(x, {i})
    np.var(x, axis={i}) | torch.var(x, dim={i}, correction=0)
    np.std(ramp(x) + slope(x), axis={i}, ddof=1) | torch.std(ramp(x) + slope(x), dim={i})
    np.prod(np.cos(x), axis={i}) | =
    np.ptp(x, axis={i}) | torch.amax(x, {i}) - torch.amin(x, {i})
    np.median(x, axis={i})
    np.quantile(x, 0.3, axis={i}) | =
    np.percentile(x, 62.5, axis={i}, method="lower") | torch.quantile(x, 0.625, dim={i}, interpolation="lower")
    np.nanmean(x, axis={i}) | =
    np.nansum(x, axis={i}) | =
    np.nanmax(x, axis={i}) | torch.amax(x, {i})
    np.average(x, axis={i}, weights=np.arange(1, {n} + 1))
    np.cumsum(x, axis={i}) | =
    np.cumprod(np.cos(x), axis={i}) | =
    ramp(np.maximum.accumulate(x, axis={i})) | ramp(torch.cummax(x, {i}).values)
    np.sort(x, axis={i}) | torch.sort(x, {i}).values
    np.take_along_axis(x, np.argsort(x, axis={i}), axis={i}) | torch.take_along_dim(x, torch.argsort(x, {i}), {i})
    np.diff(x, axis={i}) | =
    np.diff(x, axis={i}, prepend=0.3)
    np.gradient(x, axis={i}) | torch.gradient(x, dim={i})[0]
    np.trapezoid(x, axis={i}) | =
    np.flip(x, axis={i}) | torch.flip(x, ({i},))
    np.roll(x, 1, axis={i}) | torch.roll(x, 1, {i})
    ramp(np.take(x, [0, -1, 0], axis={i})) | ramp(torch.index_select(x, {i}, torch.tensor([0, {n} - 1, 0])))
    ramp(np.repeat(x, 2, axis={i})) | ramp(torch.repeat_interleave(x, 2, dim={i}))
    ramp(np.delete(x, 0, axis={i})) | ramp(torch.index_select(x, {i}, torch.arange(1, {n})))
    np.insert(x, 1, 0.53, axis={i})
    np.concatenate([x, np.sin(x)], axis={i}) | =
    np.append(x, np.cos(x), axis={i}) | torch.concatenate([x, torch.cos(x)], dim={i})
    np.stack([x, np.cos(x)], axis={i}) | =
    np.array_split(x, 2, axis={i})[0] | torch.tensor_split(x, 2, {i})[0]
    np.split(x, [1], axis={i})[1] | torch.tensor_split(x, [1], {i})[1]
    np.compress(np.arange({n}) % 2 == 0, x, axis={i})
    np.expand_dims(x, {i}) | torch.unsqueeze(x, {i})
    np.squeeze(np.expand_dims(x, {i})) | torch.squeeze(x)
    np.swapaxes(x, 0, {i}) | torch.swapaxes(x, 0, {i})
    np.moveaxis(x, {i}, 0) | torch.moveaxis(x, {i}, 0)
    np.rollaxis(x, {i}) | torch.moveaxis(x, {i}, 0)
    np.linalg.norm(x + 0.2, axis={i}) | =
    np.linalg.norm(x + 0.2, 3, axis={i}) | =
    ag.logsumexp(x, {i}) | torch.logsumexp(x, {i})
    ag.softmax(x, {i}) | torch.softmax(x, {i})
    ag.log_softmax(x, {i}) | torch.log_softmax(x, {i})
    ag.normalize(x + 0.2, 2, {i}) | F.normalize(x + 0.2, 2, {i})
    ag.standardize(x, {i})
    ag.glu(np.concatenate([x, x], {i}), {i}) | F.glu(torch.concatenate([x, x], {i}), {i})
""".strip()

SHAPES = """
    x[0] | =
    x[..., -1] | =
    x[None] | =
    x[::-1] | torch.flip(x, (0,))
    x[1:] | =
    x[..., ::2] | =
    ramp(x[[0, -1, 0]]) | =
    ramp(x[..., [0, 0]]) | =
    x[x > 0.37] | =
    ag.set_at(x, 0, 0.41)
    ag.add_at(x, (..., 0), np.sin(x[..., 0]))
    ag.add_at(x, [0, 0], np.cos(x[[0, -1]]))
    np.ravel(x) | =
    np.reshape(x, (-1,), order="F")
    x.T | torch.permute(x, tuple(range(x.ndim)[::-1]))
    np.transpose(x) | x.permute(tuple(range(x.ndim)[::-1]))
    np.atleast_2d(x) | =
    ramp(np.tile(x, 2)) | ramp(torch.tile(x, (2,)))
    ramp(np.broadcast_to(x, (2, *x.shape))) | =
    ramp(np.pad(x, 1, mode="edge"))
    ramp(np.pad(x, 1, mode="wrap"))
    ramp(np.pad(x, 1, mode="reflect"))
    ramp(np.pad(x, (1, 0), constant_values=0.3)) + slope(np.pad(x, (1, 0)))
    ramp(np.resize(x, (2, 3)))
    x + np.tril(x)
    x + np.triu(x, 1)
    np.diagonal(x) | =
    np.trace(x)
    np.rot90(x) | =
    np.fliplr(x) | =
    np.linalg.matrix_norm(x) | =
    np.cov(x) | =
    np.vander(np.ravel(np.sin(x)), 3)
    np.ediff1d(x)
    np.sum(x) | =
    np.mean(x, axis=(0, -1)) | =
    np.sum(x, where=x > 0.11) | torch.sum(x * (x > 0.11))
    np.max(x, initial=-9.0, where=x > 0.11)
    np.linalg.vector_norm(x + 0.2) | =
    np.block([[x, x + 1]])
    np.hstack([x, np.sin(x)]) | =
    np.dstack([x, np.sin(x)]) | =
    np.column_stack([x, np.sin(x)]) | =
    np.polyval(np.ravel(x)[:3], 0.7)
    ag.flatten(x) | torch.flatten(x)
""".strip()

MATRICES = """
    np.linalg.inv(spd(x)) | =
    0.1 * np.linalg.det(spd(x)) | =
    np.linalg.slogdet(spd(x))[1] | =
    np.linalg.cholesky(spd(x)) | =
    np.linalg.solve(spd(x), x) | =
    np.linalg.eigvalsh(spd(x)) | =
    np.abs(np.linalg.eigh(spd(x))[1]) | =
    np.linalg.svd(spd(x))[1] | =
    np.linalg.svd(spd(x), compute_uv=False) | torch.linalg.svdvals(spd(x))
    np.abs(np.linalg.qr(spd(x))[1]) | =
    np.linalg.pinv(spd(x)) | =
    np.linalg.lstsq(spd(x), x)[0]
    np.linalg.matrix_power(0.2 * spd(x), 3) | =
    np.linalg.matrix_norm(spd(x), ord="nuc") | =
    np.linalg.norm(spd(x), 2, axis=(-2, -1)) | =
    np.linalg.cond(spd(x)) | =
    np.linalg.multi_dot([x, x.T, x])
    np.linalg.tensorsolve(spd(x), x[:, 0])
    np.einsum("...ij,...ij->...i", x, np.sin(x)) | =
    np.einsum("...ij->...ji", x) | =
    ag.linear(x, x.T) | x @ x.T
    ramp(ag.embedding([1, 0, 1], x)) | ramp(x[[1, 0, 1]])
    ramp(ag.max_pool2d(x[None, :, :, None], 2, 1)[0, :, :, 0]) | ramp(F.max_pool2d(x[None, None], 2, 1)[0, 0])
    ag.avg_pool2d(x[None, :, :, None], 2, 1, 1)[0, :, :, 0] | F.avg_pool2d(x[None, None], 2, 1, 1)[0, 0]
    ag.conv2d(x[None, :, :, None], x[:2, :2, None, None], padding=1)[0, :, :, 0] | conv2d(x)
    ag.conv_transpose2d(x[None, :, :, None], x[:2, :2, None, None])[0, :, :, 0] | conv_transpose2d(x)
    ag.interpolate(x[None, :, :, None], scale_factor=2, mode="bilinear")[0, :, :, 0] | upscaled(x)
""".strip()

PAIRS = """
    x + y | =
    x - 2 * y | =
    x * y | =
    x / (y * y + 1) | =
    np.maximum(x, y) | =
    np.minimum(x, 0.9 * y) | =
    np.fmax(x, 1.1 * y) | =
    np.fmin(x, 0.9 * y) | =
    np.logaddexp(x, y) | =
    np.logaddexp2(x, y) | =
    np.arctan2(x, y * y + 0.5) | =
    np.hypot(x, y * y + 0.3) | =
    np.power(x * x + 0.5, np.sin(y)) | torch.pow(x * x + 0.5, torch.sin(y))
    np.where(x > y, x, 0.5 * y) | =
    x @ y | =
    np.matmul(x, y) | =
    np.dot(x, y)
    np.inner(x, y) | =
    np.tensordot(x, y, 1) | =
    np.outer(x, y) | torch.outer(x.ravel(), y.ravel())
    np.kron(x, y) | =
    np.vdot(x, y) | torch.sum(x * y)
    np.linalg.vecdot(x, y) | =
    np.einsum("...i,...i->...", x, y) | =
    np.einsum("...i,...j->...ij", x, y) | =
    np.convolve(np.ravel(x), np.ravel(y))
    np.correlate(np.ravel(x), np.ravel(y), "full")
    np.concatenate([np.ravel(x), np.ravel(y)]) | =
    np.stack(np.broadcast_arrays(x, y)) | torch.stack(torch.broadcast_tensors(x, y))
    ramp(np.meshgrid(np.ravel(x), np.ravel(y))[0]) | ramp(torch.meshgrid(x.ravel(), y.ravel(), indexing="xy")[0])
    np.append(x, y) | torch.concatenate([x.ravel(), y.ravel()])
    np.trapezoid(x, np.cumsum(y * y + 0.5 + 0 * x, axis=-1), axis=-1)
    np.interp(np.ravel(y), np.arange(x.size) - 1, np.ravel(x))
    np.average(x, axis=-1, weights=np.broadcast_to(y * y + 0.5, x.shape))
    np.choose([0, 1], [x, y])
    np.copysign(x + 0.31, y + 0.17) | =
    np.remainder(x, y * y + 0.9) | =
    ag.mse(x, y + 0 * x) | F.mse_loss(x, y + 0 * x)
    ag.cosine_similarity(x + 0.2, y + 0.3) | F.cosine_similarity(x + 0.2, y + 0.3, -1)
    ag.huber_loss(x, y + 0 * x) | F.huber_loss(x, y + 0 * x)
    ag.prelu(x, np.mean(y)) | torch.where(x > 0, x, x * torch.mean(y))
    ag.cross_entropy(x, ag.softmax(y + 0 * x)) | F.cross_entropy(x, torch.softmax(y + 0 * x, -1))
    ag.batch_norm(x, y, y)
    ag.layer_norm(x, x.shape[-1:], y, y) | F.layer_norm(x, x.shape[-1:], y, y)
    ag.rms_norm(x, x.shape[-1:], y) | F.rms_norm(x, x.shape[-1:], y)
""".strip()
