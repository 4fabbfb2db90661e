import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
x = rng.normal(size=(3, 4))
image = rng.normal(size=(2, 3, 4))
nan = np.arange(12).reshape(3, 4) % 5 == 1
METHODS = """
    linear inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull
    median_unbiased normal_unbiased lower higher midpoint nearest
""".split()


def of_holes(f):
    return lambda x: f(ag.where(nan, np.nan, x))


USES = [
    use("average", lambda x: np.average(x), x),
    use("average", lambda x: np.average(x, axis=(0, 2), keepdims=True), image),
    use("average", lambda x: np.average(x, axis=0, returned=True), x),
    use("average", lambda x, w: np.average(x, weights=w), x, x**2),
    use("average", lambda x, w: np.average(x, 1, w), x, x[0] ** 2),
    use("average", lambda x, w: np.average(x, (2, 0), w, keepdims=True), image, image[:, 0].T ** 2),
    use("average", lambda x, w: np.average(x, axis=0, weights=w, returned=True), x, x[:, 0] ** 2),
    *(use("quantile", lambda x, m=m: np.quantile(x, [0.0, 0.3, 0.55, 1], axis=1, method=m), x) for m in METHODS),
    use("quantile", lambda x: np.quantile(x, 0.4), x),
    use("quantile", lambda x: np.quantile(x, [[0.1, 0.9]], axis=(0, 2), keepdims=True), image),
    use("percentile", lambda x: np.percentile(x, 30, axis=1), x),
    use("percentile", lambda x: np.percentile(x, [5, 95], method="hazen"), x), use("median", lambda x: np.median(x), x),
    use("median", lambda x: np.median(x, axis=0, keepdims=True), x),
    use("median", lambda x: np.median(x, axis=(0, 1)), image), use("nanmedian", of_holes(lambda x: np.nanmedian(x)), x),
    use("nanmedian", of_holes(lambda x: np.nanmedian(x, axis=1, keepdims=True)), x),
    use("nanquantile", of_holes(lambda x: np.nanquantile(x, [0.2, 0.7], axis=0)), x),
    use("nanquantile", of_holes(lambda x: np.nanquantile(x, 0.2, axis=1, method="weibull")), x),
    use("nanpercentile", of_holes(lambda x: np.nanpercentile(x, 35, axis=1)), x), use("sort", lambda x: np.sort(x), x),
    use("sort", lambda x: np.sort(x, axis=0, kind="stable"), x),
    use("sort", lambda x: np.sort(x, axis=None, stable=True), x), use("sort", lambda x: np.sort(x, axis=1), image),
    use("sort_complex", lambda x: np.real(np.sort_complex(x * (1 + 2j))), x, want=lambda x: np.sort(x)),
    use("partition", lambda x: np.partition(x, 2), x),
    use("partition", lambda x: np.partition(x, (1, 5), axis=None, kind="introselect"), x),
    use("partition", lambda x: np.partition(x, 1, axis=0), image), use("cov", lambda x: np.cov(x), x),
    use("cov", lambda x: np.cov(x[0]), x), use("cov", lambda x, y: np.cov(x, y, rowvar=False, bias=True), x, image[0]),
    use("cov", lambda x, y: np.cov(x, y, ddof=0), x[0], x[1]), use("corrcoef", lambda x: np.corrcoef(x), x),
    use("corrcoef", lambda x, y: np.corrcoef(x, y, rowvar=False), x[0], x[1]),
]  # fmt: skip
