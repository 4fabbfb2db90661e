"""Arguments to try the operations of the package on that need more than arrays of shape (2, 3).

Those that take a line stand in the declaration of their operation. Importing this file gives the others theirs.
"""

import numpy as np

import autograd_cnn as ag
from autograd_cnn.ops.axes import normal


def pools(rng):
    def distinct(*shape):
        return rng.permutation(np.prod(shape)).reshape(shape) * 0.1

    return [
        (distinct(2, 6, 4, 2), 2),
        (distinct(2, 5, 4, 2), 3, 1, 1),
        (distinct(1, 7, 5, 2), (3, 2), (2, 1), (1, 0)),
        ((distinct(1, 6, 5, 2), 2, 3, (1, 0)), {"ceil_mode": True}),
    ]


def dilated_pools(rng):
    return [*pools(rng), ((pools(rng)[2][0], 2, 1, 1), {"dilation": (3, 2), "ceil_mode": True})]


def averages(rng):
    more = {"count_include_pad": False}, {"ceil_mode": True}, {"count_include_pad": False, "ceil_mode": True}
    return [*pools(rng), *(((rng.normal(size=(1, 6, 5, 2)), 3, 2, (1, 0)), options) for options in more)]


def places(rng, gradient):
    x, cases = rng.normal(size=(2, 5, 4, 2)), []
    for options in (2, None, 0), (3, 1, 1), (2, 2, 1, 2):
        y, argmax = ag.max_pool2d.raw(x, *options)
        cases.append((rng.normal(size=y.shape), argmax, x.shape, *options) if gradient else (x, argmax, *options))
    return cases


ag.max_pool2d.examples, ag.avg_pool2d.examples = dilated_pools, averages
ag.max_unpool2d.examples, ag.max_gather2d.examples = lambda rng: places(rng, True), lambda rng: places(rng, False)
ag.avg_unpool2d.examples = normal(
    ((2, 2, 2, 2), {"shape": (2, 5, 4, 2), "kernel_size": 2}),
    ((2, 5, 4, 2), {"shape": (2, 5, 4, 2), "kernel_size": 3, "stride": 1, "padding": 1}),
)
