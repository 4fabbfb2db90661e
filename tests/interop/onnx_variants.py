"""Random variants of each operator of ONNX: inputs, dtypes and attributes within the operator's definition.

A maker takes a generator, and returns the inputs (None for an omitted one) and the attributes. The dtype of each input
is drawn from those that the definition has, unless the maker has chosen it.
"""

import numpy as np

SHAPES = [(), (3,), (1,), (2, 3), (4, 1), (0, 3), (2, 3, 4), (2, 1, 3, 2)]
NUMBERS = "float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()


class Draw:
    """Draws inputs and attributes for one case; `kinds` are the dtypes that a parameter of the operator may have."""

    def __init__(self, seed, schema):
        self.rng, self.schema, self.kinds, self.wide = np.random.default_rng(seed), schema, {}, True
        allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
        self.choices = {}
        for i in schema.inputs:
            names = allowed.get(i.type_str, [i.type_str])
            names = [n[7:-1].replace("float16", "float16") for n in names if n.startswith("tensor(")]
            names = [{"float": "float32", "double": "float64"}.get(n, n) for n in names]
            self.choices[i.type_str] = [n for n in names if n in NUMBERS]

    def dtype(self, port):
        """Draw the dtype of an input, the same for all of its type parameter; floats more often."""
        kind = self.schema.inputs[min(port, len(self.schema.inputs) - 1)].type_str
        if kind not in self.kinds:
            names = self.choices[kind]
            likely = [n for n in names if n in ("float32", "float64")]
            self.kinds[kind] = np.dtype(self.pick(likely if likely and self.flip() else names))
        return self.kinds[kind]

    def pick(self, values):
        return values[self.rng.integers(len(values))]

    def flip(self, p=0.5):
        return bool(self.rng.random() < p)

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def shape(self):
        return self.pick(SHAPES)

    def array(self, shape, port=0, low=-3.0, high=3.0):
        dtype = self.dtype(port)
        if dtype.kind == "b":
            return self.rng.random(shape) < 0.5
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            small = self.rng.integers(max(info.min, -9), 9, shape, endpoint=True).astype(dtype)
            if self.wide and self.flip(0.2):  # to the ends of the range
                return self.rng.integers(info.min, info.max, shape, dtype, endpoint=True)
            return np.asarray(small)
        a = self.rng.uniform(low, high, shape)
        return np.asarray(np.round(a * 2) / 2 if self.flip(0.3) else a).astype(dtype)

    def some(self, **options):
        """Draw which attributes are given."""
        return {name: value for name, value in options.items() if self.flip(0.6)}


def unary(low=-3.0, high=3.0, **attributes):
    def make(d):
        options = {n: (float(d.rng.uniform(*v)) if isinstance(v, tuple) else d.pick(v)) for n, v in attributes.items()}
        return [d.array(d.shape(), low=low, high=high)], d.some(**options)

    return make


def unusual(**attributes):
    """Make a case of `unary` with NaN and infinities."""

    def make(d):
        (x,), options = unary(**attributes)(d)
        strange = d.rng.choice([np.nan, np.inf, -np.inf], x.shape)
        return [np.where(d.rng.random(x.shape) < 0.5, strange, x).astype(x.dtype)], options

    return make


def broadcast(d, count):
    full = d.pick([(2, 3), (3,), (2, 1, 4), (0, 2), (2, 3, 2)])
    parts = [full]
    for _ in range(count - 1):
        cut = full[d.int(0, len(full)) :]
        parts.append(tuple(1 if d.flip(0.3) else n for n in cut))
    return parts


def binary(d):
    a, b = broadcast(d, 2)
    arrays = [d.array(a, 0), d.array(b, 1)]
    return arrays[:: d.pick([1, -1])] if d.schema.inputs[0].type_str == d.schema.inputs[1].type_str else arrays, {}


def divided(d):
    (x, y), _ = binary(d)
    if y.dtype.kind in "iu":
        y = np.where(y == 0, 1, y).astype(y.dtype)
        if x.dtype.kind == "i" and d.flip():
            x = x.copy()
            x[...] = np.where(x == np.iinfo(x.dtype).min, 0, x)  # divided by -1, it overflows
        y = np.where((y == -1) & np.any(x == np.iinfo(x.dtype).min), 2, y).astype(y.dtype)
    return [x, y], {}


def mod(d):
    (x, y), _ = divided(d)
    return [x, y], {"fmod": 1} if x.dtype.kind == "f" or d.flip() else d.some(fmod=0)


def power(d):
    (x, y), _ = binary(d)
    y = np.abs(y) % 5 if y.dtype.kind == "i" else y % 5 if y.dtype.kind == "u" else y
    x = np.abs(x) if y.dtype.kind == "f" and x.dtype.kind == "f" else x
    if x.dtype.kind in "iu":
        x, y = (x % 9).astype(x.dtype), np.round(np.abs(y))
        y = y.astype(d.kinds["T1"])
    return [x, y], {}


def several(d):
    return [d.array(s) for s in broadcast(d, d.int(1, 3))], {}


def where(d):
    a, b, c = broadcast(d, 3)
    return [d.rng.random(a) < 0.5, d.array(b, 1), d.array(c, 2)], {}


def axis_of(d, shape):
    return d.int(-len(shape), len(shape) - 1)


def along(d, **options):
    shape = d.pick([(2, 3), (3,), (2, 3, 4), (2, 1, 3, 2)])
    return [d.array(shape)], d.some(axis=axis_of(d, shape), **options)


def reduction(d):
    shape = d.pick([(2, 3), (3,), (2, 3, 4), (2, 1, 3, 2)])
    d.wide = False  # beyond the range, ONNX Runtime cuts off
    count = d.int(0, len(shape))
    axes = d.rng.permutation(len(shape))[:count] - d.pick([0, len(shape)])
    options = d.some(keepdims=d.int(0, 1), noop_with_empty_axes=d.int(0, 1))
    form = d.pick(["absent", "given", "given"])
    x = d.array(shape)
    x = np.clip(x, 0, 2) if d.schema.name == "ReduceProd" and x.dtype.kind in "iu" else x
    return [x, axes.astype(np.int64)] if form == "given" else [x], options


def window(d, n, transposed=False):
    size = [d.int(4, 6) for _ in range(n)]
    kernel = [d.int(1, 3) for _ in range(n)]
    options = d.some(strides=[d.int(1, 3) for _ in range(n)], dilations=[d.int(1, 2) for _ in range(n)])
    if d.flip(0.7):
        options |= d.some(pads=[d.int(0, kernel[i % n] - 1) for i in range(2 * n)])
    elif not transposed:
        options |= {"auto_pad": d.pick(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])}
    return size, kernel, options


def conv(d):
    n, group = d.pick([1, 2, 2, 2, 3]), d.pick([1, 1, 2])
    size, kernel, options = window(d, n)
    inputs, outputs = group * d.int(1, 2), group * d.int(1, 2)
    arrays = [d.array((2, inputs, *size)), d.array((outputs, inputs // group, *kernel), 1)]
    arrays += [d.array((outputs,), 2)] if d.flip() else []
    return arrays, {**options, **d.some(kernel_shape=kernel), **({"group": group} if group > 1 else {})}


def conv_transpose(d):
    n, group = d.pick([1, 2, 2, 2, 3]), d.pick([1, 1, 2])
    size, kernel, options = window(d, n, True)
    inputs, outputs = group * d.int(1, 2), d.int(1, 2)
    arrays = [d.array((2, inputs, *size)), d.array((inputs, outputs, *kernel), 1)]
    arrays += [d.array((outputs * group,), 2)] if d.flip() else []
    extra = [d.int(0, s - 1) for s in options.get("strides", [1] * n)]
    options |= d.some(output_padding=extra, kernel_shape=kernel)
    return arrays, {**options, **({"group": group} if group > 1 else {})}


def pool(**more):
    def make(d):
        size, kernel, options = window(d, d.pick([1, 2, 2, 2, 3]))
        options |= {"kernel_shape": kernel}
        if "auto_pad" not in options:  # with which ONNX Runtime takes another size than the definition
            options |= d.some(ceil_mode=d.int(0, 1))
        return [d.array((2, 3, *size))], {**options, **d.some(**{k: d.pick(v) for k, v in more.items()})}

    return make


def images(d, low=1):
    return d.array((2, 3, *(d.int(low, 5) for _ in range(d.pick([1, 2, 2, 3])))))


def mean_variance(d):
    x = d.array((2, 3, 2, 2))
    return [x if x.dtype == np.float16 else x * np.asarray(d.pick([1, 1e-3, 1e-4]), x.dtype)], {}


def batch_norm(d):
    x = images(d)
    return [x, d.array((3,), 1), d.array((3,), 2), d.array((3,), 3), d.array((3,), 4, 0.1, 2)], d.some(epsilon=0.01)


def instance_norm(d):
    return [images(d, 2), d.array((3,), 1), d.array((3,), 2)], d.some(epsilon=0.01)


def group_norm(d):
    x = d.array((2, 4, *(d.int(2, 4) for _ in range(d.pick([0, 1, 2, 3])))))
    return [x, d.array((4,), 1), d.array((4,), 2)], {"num_groups": d.pick([1, 2, 4]), **d.some(epsilon=0.01)}


def layer(weights):
    def make(d):
        shape = d.pick([(2, 3), (2, 3, 4), (2, 2, 3, 2)])
        options = d.some(axis=axis_of(d, shape), epsilon=0.01)
        rest = shape[options.get("axis", -1) :]
        return [d.array(shape), *(d.array(rest, i + 1) for i in range(weights))], options

    return make


def lrn(d):
    x = d.array((2, 6, *(d.int(1, 3) for _ in range(d.pick([0, 1, 2, 2, 3])))))
    return [x], {"size": d.int(1, 7), **d.some(alpha=d.pick([0.01, 0.5]), beta=0.5, bias=1.5)}


def matmul(d):
    a, b = d.pick([((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 2, 3), (3, 4)),
                   ((2, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))])  # fmt: skip
    return [d.array(a, 0), d.array(b, 1)], {}


def gemm(d):
    n, k, m = d.int(1, 3), d.int(1, 3), d.int(1, 3)
    options = d.some(alpha=d.pick([0.5, 2.0]), beta=d.pick([0.5, 2.0, 0.0]), transA=1, transB=1)
    a = d.array((k, n) if options.get("transA") else (n, k), 0)
    b = d.array((m, k) if options.get("transB") else (k, m), 1)
    return [a, b, *([d.array(d.pick([(n, m), (m,), (1, m), (n, 1), (), (1,)]), 2)] if d.flip() else [])], options


def int64(*values):
    return np.array(values, np.int64)


def pad(d):
    shape = d.pick([(2, 3), (4,), (3, 4, 5)])
    mode = d.pick(["constant", "constant", "reflect", "edge", "wrap"])
    axes = d.rng.permutation(len(shape))[: d.int(1, len(shape))] if d.flip(0.4) else None
    count = len(shape) if axes is None else len(axes)
    low = -1 if mode == "constant" and d.flip(0.3) else 0
    pads = np.array([d.int(low, 1) for _ in range(2 * count)], np.int64)
    value = d.array((), 2) if mode == "constant" and d.flip() else None
    arrays = [d.array(shape), pads, value, None if axes is None else axes.astype(np.int64) - d.pick([0, len(shape)])]
    while arrays[-1] is None:
        arrays.pop()
    return arrays, d.some(mode=mode) if mode == "constant" else {"mode": mode}


def sliced(d):
    shape = d.pick([(4, 5), (5,), (3, 4, 5)])
    axes = d.rng.permutation(len(shape))[: d.int(1, len(shape))]
    steps = np.array([d.pick([1, 2, -1, -2, 3]) for _ in axes], np.int64)
    ends = [np.array([d.pick([-9, -3, -1, 0, 1, 2, 5, 9, 2**62, -(2**62)]) for _ in axes], np.int64) for _ in "se"]
    if d.flip(0.3):
        return [d.array(shape), *(np.array([d.int(-6, 6) for _ in shape], np.int64) for _ in "se")], {}
    axes = axes - d.pick([0, len(shape)])
    return [d.array(shape), *ends, axes.astype(np.int64), *([steps] if d.flip(0.8) else [])], {}


def reshape(d):
    shape = d.pick([(2, 3, 4), (6,), (0, 3), (2, 12)])
    new = d.pick({24: [(4, 6), (-1,), (2, 0, -1), (0, -1), (3, 8)], 6: [(2, 3), (-1, 2), (0, 1)],
                  0: [(0, 3), (3, 0), (0, 0)]}[int(np.prod(shape))])  # fmt: skip
    options = d.some(allowzero=1) if 0 not in new or shape == (0, 3) else {}
    return [d.array(shape), int64(*new)], options if not (-1 in new and 0 in new) else {}


def squeeze(d):
    return d.pick([([d.array((1, 3, 1, 2)), int64(0, -2)], {}), ([d.array((1, 3, 1)), int64(2)], {}),
                   ([d.array((1, 3, 1))], {}), ([d.array((1, 1))], {})])  # fmt: skip


def unsqueeze(d):
    return [d.array(d.pick([(2, 3), (), (3,)])), d.pick([int64(0), int64(-1), int64(1, 0), int64(0, -1)])], {}


def expand(d):
    return [d.array((3, 1)), d.pick([int64(2, 1, 6), int64(3, 4), int64(1), int64(2, 3, 1), int64(3, 0)])], {}


def gather(d):
    shape = d.pick([(3, 4), (5,), (2, 3, 4)])
    axis = axis_of(d, shape)
    n = shape[axis]
    indices = d.rng.integers(-n, n, d.pick([(), (2,), (2, 3), (0,)]))
    return [d.array(shape), indices.astype(d.pick([np.int64, np.int32]))], {"axis": axis} if axis or d.flip() else {}


def gather_elements(d):
    shape = d.pick([(3, 4), (5,), (2, 3, 4)])
    axis = axis_of(d, shape)
    other = tuple(d.int(1, n) for n in shape)
    indices = d.rng.integers(-shape[axis], shape[axis], other).astype(d.pick([np.int64, np.int32]))
    return [d.array(shape), indices], {"axis": axis}


def gather_nd(d):
    return d.pick([([d.array((2, 3)), d.rng.integers(-2, 2, (3, 2))], {}),
                   ([d.array((2, 3, 2)), d.rng.integers(-2, 2, (2, 1))], {}),
                   ([d.array((2, 3, 2)), d.rng.integers(-2, 2, (2, 2, 1))], {"batch_dims": 1}),
                   ([d.array((2, 2, 3)), d.rng.integers(-2, 2, (2, 2, 1))], {"batch_dims": 2}),
                   ([d.array((2, 3, 2)), d.rng.integers(-2, 2, (2, 2))], {"batch_dims": 1})])  # fmt: skip


def scatter(d):
    shape = d.pick([(3, 4), (5,), (2, 3, 4)])
    axis = axis_of(d, shape)
    other = [d.int(1, n) for n in shape]
    n = shape[axis]
    kind = d.pick(["none", "none", "add", "mul", "max", "min"])
    indices = np.stack([d.rng.permutation(n) for _ in range(int(np.prod(shape) // n))], 0).reshape(
        *[m for k, m in enumerate(shape) if k != axis % len(shape)], n)  # fmt: skip
    indices = np.moveaxis(indices, -1, axis)[tuple(map(slice, other))] - d.pick([0, n])
    options = {} if kind == "none" or d.schema.name == "Scatter" else {"reduction": kind}
    return [d.array(shape), indices.astype(np.int64), d.array(indices.shape, 2)], {"axis": axis, **options}


def scatter_nd(d):
    kind = d.pick(["none", "none", "add", "mul", "max", "min"])
    x, indices = d.pick([((5,), [[0], [-1], [2]]), ((3, 4), [[0, 1], [-1, 3]]), ((3, 4), [[2], [0]])])
    x, indices = d.array(x), np.array(indices, np.int64)
    updates = d.array((len(indices), *x.shape[indices.shape[1] :]), 2)
    return [x, indices, updates], {} if kind == "none" else {"reduction": kind}


def concat(d):
    shape = d.pick([(2, 3), (3,), (2, 0)])
    return [d.array(shape) for _ in range(d.int(1, 3))], {"axis": axis_of(d, shape)}


def split(d):
    axis = d.int(-2, 1)
    if d.flip():
        n = (4, 5)[axis]
        first = d.int(0, n)
        return [d.array((4, 5)), int64(first, n - first)], {"axis": axis}
    return [d.array((4, 5))], {"axis": axis, "num_outputs": d.int(1, 3)}


def resize(d):
    n = d.pick([1, 2, 2, 3])
    size = [d.int(1, 5) for _ in range(n)]
    mode = d.pick(["nearest", "nearest", "linear", "cubic"])
    options = d.some(
        coordinate_transformation_mode=d.pick(
            ["half_pixel", "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]),
        antialias=d.pick([0, 0, 0, 1]), exclude_outside=0, extrapolation_value=0.0,
    )  # fmt: skip
    if mode == "nearest":
        options |= d.some(nearest_mode=d.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    if mode != "nearest" or d.flip():
        options["mode"] = mode
    shape, axes = (1, 2, *size), [*range(2, n + 2)]
    new = [d.int(1, 7) for _ in size]
    scales = [d.pick([0.5, 1.0, 2.0, 3.0, 1.5, 0.6]) for _ in size]
    if d.flip(0.3):
        order = [int(i) for i in d.rng.permutation(n)]
        axes = [axes[i] - d.pick([0, n + 2]) for i in order]
        options["axes"] = axes
        full = [], []
    else:
        full = [1, 2], [1.0, d.pick([1.0, 1.0, 1.0, 2.0])]
    if d.flip():
        return [d.array(shape), None, None, int64(*full[0], *new)], options
    return [d.array(shape), None, np.array([*full[1], *scales], "f")], options


def cumulative(d):
    shape = d.pick([(2, 3), (4,), (2, 3, 2)])
    axis = np.array(axis_of(d, shape), d.pick([np.int32, np.int64]))
    return [d.array(shape), axis], d.some(exclusive=d.int(0, 1), reverse=d.int(0, 1))


def depth(d):
    b = d.pick([1, 2])
    deep = d.schema.name == "DepthToSpace"
    x = d.array((2, 2 * b * b, 2, 3) if deep else (2, 2, 2 * b, 3 * b))
    return [x], {"blocksize": b, **(d.some(mode=d.pick(["DCR", "CRD"])) if deep else {})}


def top_k(d):
    shape = d.pick([(3, 4), (5,)])
    axis = axis_of(d, shape)
    x = d.array(shape)
    x = d.rng.permutation(np.arange(x.size)).reshape(shape).astype(x.dtype)
    return [x, int64(d.int(0, shape[axis]))], {"axis": axis, **d.some(largest=d.int(0, 1), sorted=1)}


def columns(d):
    size, block = (d.int(4, 6), d.int(4, 6)), (d.int(1, 3), d.int(1, 3))
    options = d.some(
        dilations=[d.int(1, 2), 1], pads=[d.int(0, 2) for _ in range(4)], strides=[d.int(1, 2), d.int(1, 2)]
    )
    gaps, steps, pads = options.get("dilations", [1] * 2), options.get("strides", [1] * 2), options.get("pads", [0] * 4)
    counts = [(size[i] + pads[i] + pads[i + 2] - gaps[i] * (block[i] - 1) - 1) // steps[i] + 1 for i in (0, 1)]
    return [d.array((2, 3 * block[0] * block[1], counts[0] * counts[1])), int64(*size), int64(*block)], options


def one_hot(d):
    places, depth = d.rng.integers(-6, 6, d.pick([(3,), (2, 3), ()])), np.array(d.int(1, 4))
    return [places, d.pick([depth, depth.reshape(1)]), d.array((2,), 2)], d.some(axis=d.int(-1, places.ndim))


def place(d):
    shape = d.pick([(2, 3), (3,), (2, 3, 4)])
    x = d.rng.integers(-3, 3, shape)  # with ties
    return [x.astype(d.dtype(0)) % 3], d.some(
        axis=axis_of(d, shape), keepdims=d.int(0, 1), select_last_index=d.int(0, 1)
    )


def tril(d):
    return [d.array(d.pick([(3, 4), (2, 3, 3)])), *([np.array(d.int(-2, 2))] if d.flip() else [])], d.some(upper=0)


def einsum(d):
    equation, shapes = d.pick([("ij,jk->ik", [(2, 3), (3, 4)]), ("ij->ji", [(2, 3)]), ("ii->i", [(3, 3)]),
                               ("...ij,...jk->...ik", [(2, 2, 3), (2, 3, 2)]), ("ij,ij", [(2, 3)] * 2),
                               ("i,j->ij", [(2,), (3,)]), ("i,i", [(3,), (3,)])])  # fmt: skip
    return [d.array(s) for s in shapes], {"equation": equation}


def clip(d):
    arrays = [d.array(d.shape()), d.array((), 1) if d.flip() else None, d.array((), 2) if d.flip() else None]
    while arrays[-1] is None:
        arrays.pop()
    return arrays, {}


def ranged(d):
    dtype = d.pick(["float32", "float64", "int16", "int32", "int64"])
    start, limit, delta = d.pick([(0, 5, 1), (3, -4, -2), (1, 1, 1), (2, 9, 3), (0.5, 2, 0.25), (5, 1, 1)])
    return [np.array(v).astype(dtype) for v in (start, limit, delta if dtype[0] == "f" else int(delta) or 1)], {}


def loss(d):
    n, c, rest = 3, 4, d.pick([(), (2,), (2, 3)])
    x, labels = d.array((n, c, *rest)), d.rng.integers(0, c, (n, *rest)).astype(d.pick([np.int64, np.int32]))
    options = d.some(reduction=d.pick(["none", "mean", "sum"]))
    if d.flip(0.3):
        options["ignore_index"] = 1
    return [x, labels, *([d.array((c,), 2, 0.1, 1)] if d.flip() else [])], options


def compress(d):
    return [d.array((3, 4)), d.rng.random(3) < 0.5], d.some(axis=0) or {"axis": 0}


def cast(d):
    x = d.array(d.shape())
    return [np.abs(x) if x.dtype.kind == "f" else x], {"to": d.pick([1, 11, 10, 6, 7, 9, 3, 2])}


def recurrent(gates, *activations, **wanted):
    """Make a case of an operator with these gates; seldom with an attribute that has no counterpart."""

    def make(d):
        direction = d.pick(["forward", "reverse", "bidirectional"])
        ways, t, n, features, h = 1 + (direction == "bidirectional"), *(d.int(1, 4) for _ in range(4))
        arrays = [d.array((t, n, features)), d.array((ways, gates * h, features), 1), d.array((ways, gates * h, h), 2)]
        arrays.append(d.array((ways, 2 * gates * h), 3) if d.flip() else None)
        arrays.append(d.rng.integers(1, t + 1, n).astype(np.int32) if d.flip() else None)
        arrays += [d.array((ways, n, h), 5 + k) if d.flip() else None for k in range(1 + (gates == 4))]
        while arrays[-1] is None:
            arrays.pop()
        options = {"hidden_size": h, "direction": direction, **wanted}
        chosen = [d.pick(activations) for _ in range(ways)]
        options |= d.some(activations=[name for names in chosen for name in names.split()])
        return arrays, options | (d.some(clip=0.5, layout=1, **dict.fromkeys(wanted, 0)) if d.flip(0.1) else {})

    return make


MAKERS = {
    **dict.fromkeys("Abs Atan Cos Exp HardSwish Identity Not BitwiseNot Ceil Floor Round Sign Erf Sin Sinh Cosh "
                    "Sigmoid Softplus Softsign Tan Tanh Relu Neg Mish Asinh Reciprocal".split(), unary()),
    "IsNaN": unusual(), "IsInf": unusual(detect_negative=[0, 1], detect_positive=[0, 1]),
    **dict.fromkeys("Acos Asin Atanh".split(), unary(-1, 1)),
    "Acosh": unary(1, 9), "Log": unary(0.1, 9), "Sqrt": unary(0, 9), "Gelu": unary(approximate=["none", "tanh"]),
    "Elu": unary(alpha=(0.1, 2)), "Celu": unary(alpha=(0.1, 2)), "LeakyRelu": unary(alpha=(0.1, 2)),
    "Selu": unary(alpha=(1, 2), gamma=(1, 2)), "HardSigmoid": unary(alpha=(0.1, 1), beta=(0.1, 1)),
    "Shrink": unary(lambd=(0.1, 2), bias=(0, 2)), "Swish": unary(alpha=(0.1, 2)),
    "ThresholdedRelu": unary(alpha=(0, 2)),
    **dict.fromkeys("Add Sub Mul And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual BitwiseAnd BitwiseOr "
                    "BitwiseXor PRelu".split(), binary),
    "Div": divided, "Mod": mod, "Pow": power, "Where": where, **dict.fromkeys("Max Min Mean Sum".split(), several),
    **dict.fromkeys("Softmax LogSoftmax".split(), along),
    "LpNormalization": lambda d: along(d, p=d.pick([1, 2])), "Flatten": along,
    **dict.fromkeys([f"Reduce{n}" for n in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()],
                    reduction),
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": pool(storage_order=[0, 1]),
    "AveragePool": pool(count_include_pad=[0, 1]), "LpPool": pool(p=[1, 2, 3]),
    **dict.fromkeys(["GlobalAveragePool", "GlobalMaxPool"], lambda d: ([images(d)], {})),
    "MeanVarianceNormalization": mean_variance,
    "BatchNormalization": batch_norm, "InstanceNormalization": instance_norm, "GroupNormalization": group_norm,
    "LayerNormalization": layer(2), "RMSNormalization": layer(1), "LRN": lrn, "MatMul": matmul, "Gemm": gemm,
    "Det": lambda d: ([d.array(d.pick([(2, 2), (2, 3, 3), (1, 1)]))], {}), "Pad": pad, "Slice": sliced,
    "Reshape": reshape, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Expand": expand, "Gather": gather,
    "GatherElements": gather_elements, "GatherND": gather_nd, "ScatterElements": scatter, "ScatterND": scatter_nd,
    "Concat": concat, "Split": split, "Resize": resize, "CumSum": cumulative,
    "CumProd": cumulative, "DepthToSpace": depth, "SpaceToDepth": depth, "TopK": top_k, "Trilu": tril, "Einsum": einsum,
    "Clip": clip, "Range": ranged, "NegativeLogLikelihoodLoss": loss, "SoftmaxCrossEntropyLoss": loss,
    "Compress": compress, "Cast": cast, "GRU": recurrent(3, "Sigmoid Tanh", linear_before_reset=1),
    "LSTM": recurrent(4, "Sigmoid Tanh Tanh"), "RNN": recurrent(1, "Tanh", "Relu"),
    "Tile": lambda d: ([d.array((2, 3)), int64(d.int(0, 2), d.int(1, 3))], {}),
    "Transpose": lambda d: ([d.array((2, 3, 4))], d.some(perm=[int(i) for i in d.rng.permutation(3)])),
    "Shape": lambda d: ([d.array((2, 3, 4))], d.some(start=d.int(-4, 4), end=d.int(-4, 4))),
    "ConstantOfShape": lambda d: ([d.pick([int64(2, 3), int64(), int64(0, 2)])], {}),
    **dict.fromkeys(["ArgMax", "ArgMin"], place), "Size": unary(), "OneHot": one_hot, "Col2Im": columns,
    "CastLike": lambda d: ([d.array((2, 3), 0, 0, 3), d.array((2,), 1)], {}),
    "ReverseSequence": lambda d: ([d.array((3, 3, 2)), int64(*(d.int(1, 4) for _ in range(3)))],
                                  d.pick([{}, {"batch_axis": 0, "time_axis": 1}])),
    "SwiGLU": lambda d: ([d.array((2, 3)), d.array((2, 3), 1)], d.some(alpha=0.5)),
}  # fmt: skip
