"""The differentiable inputs of an example, apart from the rest of its arguments."""

import numpy as np


def split(primitive, args, options):
    """A function of the arrays of floats that have a rule, and these arrays."""
    flat = primitive.bind(args, dict(options))
    pairs = enumerate(zip(primitive.flat_names(len(flat)), flat, strict=True))
    varied = [i for i, (n, v) in pairs if n in primitive.rules and isinstance(v, np.ndarray) and v.dtype.kind in "fc"]

    def call(*variables):
        given = {**dict(enumerate(flat)), **dict(zip(varied, variables, strict=True))}
        return primitive(*primitive.grouped([*given.values()]))

    call.__name__ = primitive.name
    return call, [flat[i] for i in varied]
