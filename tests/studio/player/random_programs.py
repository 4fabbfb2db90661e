"""Writes random programs from a seed, for tests of everything that shows a program: pages, pictures, listings.

A program is text, so that pages show its lines. Each statement is run when it is written; one that fails is dropped,
but for the last statement of a program that is meant to fail.
"""

import linecache
import warnings

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.ops.layers import seed as seed_generator

HEAD = """import numpy as np
import autograd_cnn as ag

@ag.primitive
def twice(x):
    return x + x
twice.vjp(x=lambda g: g + g)

@ag.primitive
def blend(x, y, share=0.25):
    \"\"\"Mixes two arrays: ``share * x + (1 - share) * y``.\"\"\"
    return share * x + (1 - share) * y
blend.vjp(x=lambda g, share: g * share, y=lambda g, share: g * (1 - share))

@ag.primitive
def product(x, y):
    return x * y
def both(g, x, y):
    return g * y, g * x
product.vjp(x=both, y=both)

@ag.primitive(byproducts=("sign",))
def distance(x):
    sign = np.sign(x)
    return sign * x, sign
distance.vjp(x=lambda g, sign: g * sign)
"""

ONE = [  # of any array
    "ag.tanh({a})", "ag.sin({a})", "ag.relu({a})", "ag.sigmoid({a})", "ag.exp(-{a} * {a})", "abs({a})", "-{a}",
    "np.log({a})", "np.sqrt({a})", "1 / {a}", "{a} ** 2", "{a}.sum()", "{a}.mean()", "{a}.mean(axis=0)", "2.5",
    "{a}.max(axis=-1, keepdims=True)", "{a}.min()", "np.std({a})", "{a}.T", "{a}.reshape(-1)", "np.cumsum({a})",
    "np.sort({a}, axis=-1)", "ag.softmax({a})", "ag.logsumexp({a})", "{a}.detach()", "{a} * np.inf", "{a}.argmax()",
    "{a} - np.nan", "twice({a})", "distance({a})", "ag.checkpoint(lambda t: ag.tanh(t), {a})", "ag.gelu({a})",
    "np.pad({a}, 1)", "ag.clip({a}, -1, 1)", "ag.dropout({a}, 0.5)", "np.flip({a})", "{a}.astype(np.float32)",
    "ag.standardize({a})", "np.linalg.norm({a})", "np.squeeze({a})", "np.expand_dims({a}, 0)", "np.tile({a}, 2)",
]  # fmt: skip
TWO = [  # of two arrays, often of the same one
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}", "np.maximum({a}, {b})", "{a} @ {b}", "{a} @ {b}.T",
    "ag.where({a} > {b}, {a}, {b})", "ag.where({a} > 0, {b}, 0)", "np.hypot({a}, {b})", "np.arctan2({a}, {b})",
    "twice({a}) * {b}", "blend({a}, {b})", "blend({a}, {b}, share=0.5)", "product({a}, {b})", "ag.mse({a}, {b})",
    "ag.stack([{a}, {b}, {a}])", "ag.stack([{a}, {b}], axis=-1)", "ag.concatenate([{a}, {b}])", "sum([{a}, {b}, {a}])",
    "np.concatenate([{a}, {a}, {b}], axis=-1)", "ag.linear({a}, {b})", "np.outer({a}, {b})", "{a} * {b}.detach()",
    'np.einsum("ij,kj->ik", {a}, {b})', "ag.stack([{a}[0], {b}[0], 1.0])", "np.dot({a}, {b})", "{a} ** {b}",
    "ag.cross_entropy({a}, np.zeros(len({b}), int))", "ag.layer_norm({a}, {b}, {b})",
    "(lambda p, q: p * q + p)({a}, {b})",
]  # fmt: skip
INDEX = [  # of an array with axes
    "{a}[0]", "{a}[-1]", "{a}[..., 0]", "{a}[None]", "{a}[..., None]", "{a}[::2]", "{a}[::-1]", "{a}[:0]", "{a}[1:]",
    "{a}[[0, 0, 1]]", "{a}[{a} > 0]", "{a}[{a}.data > 1e9]", "{a}[np.array([True, False, True])]", "{a}[[]]",
    "{a}[np.array([0, 1]), np.array([0, 0])]", "{a}[:, 1]", "{a}[..., ::2]", "{a}.at[0].set({b})", "{a}.at[0].add({b})",
    "{a}[np.argsort({a}.data)]", "np.take({a}, [1, 0, 1])", "ag.split({a}, 3)[1]", "np.diff({a})", "{a}[-1:, 0:1]",
]  # fmt: skip
IMAGES = [
    "ag.conv2d({a}, {w})", "ag.conv2d({a}, {w}, {c}, stride=2, padding=1)",
    "ag.conv2d({a}, {w}, dilation=2, padding=2)",
    "ag.conv2d({a}, ag.tanh({w}), padding=1)", "ag.max_pool2d({a}, 2)", "ag.max_pool2d({a}, 3, stride=1, padding=1)",
    "ag.avg_pool2d({a}, 2)", "ag.conv_transpose2d({a}, {w}, stride=2, padding=1)", "ag.flatten({a}, 1)",
    "{a}.mean(axis=(1, 2))", "ag.interpolate({a}, scale_factor=2)", "layer({a})", "ag.relu({a})", "{a} * {a}",
    "ag.batch_norm({a}, {c}, {c})", "ag.adaptive_avg_pool2d({a}, 1)", "{a}[0]", "{a}[:, ::2, 1:]",
    "ag.pixel_unshuffle({a}, 2)",
]  # fmt: skip
BLOCKS = [  # statements with lines of their own
    "with ag.scope({scope!r}):\n    {r} = ag.tanh({a})\n    {r} = {r} * {r}",
    "with ag.scope({scope!r}), ag.scope('inner'):\n    {r} = {a} * {b}",
    "{r} = {a}\nfor step in range(3):\n    {r} = ag.tanh({r} + {a})",
    "{r} = 0.0\nfor part in {a}:\n    {r} = {r} + part * part",
    "with ag.no_grad():\n    {r} = ag.exp({a})\n{r} = {r} * {a}",
    "{r} = ({a} * 0.5); {r} = {r} + ({a} * 0.5)",
    "{r} = dense({a})\n{r} = ag.relu(dense({r}))",
    "{r} = [{a} * k for k in (1, 2, 3)]\n{r} = ag.concatenate({r})",
    "{r} = (\n    {a}\n    + {b}\n)",
    "unused = {a} * 3\n{r} = {a} + 1",
]
FAILURES = [
    "raise ValueError('</script><b>no\\n\\x1b[31m more')", "fail = {a} @ np.ones((7, 7, 7))", "fail = {a}[99]",
    "fail = 1 // 0",
    "fail = {a}.undefined", "fail = {a} + np.ones((13, 17))", "fail = ag.conv2d({a}, {b})", "fail = np.asarray({a})",
    "fail = ag.stack([{a}, np.ones((5, 7))])", "assert False", "fail = undefined_name + {a}",
]  # fmt: skip
NAMES = [
    "x", "y", "w", "h", "a_long_name_that_says_everything_about_the_value_and_more_than_fits", "α", "größe", "変数",
    "loss", "out", "g", "np_", "sum", "at", "value", "_", "__proto__", "constructor", "n1", "r1", "t1", "g_x",
    "lambda_", "l", "O0",
]  # fmt: skip
SHAPES = [(), (1,), (3,), (0,), (2, 3), (3, 3), (4, 2), (2, 0), (2, 3, 3), (1, 1), (5,), (40,), (3, 20)]
SCOPES = ["encoder", "block 1", "a</script>", "größer & kleiner", 'say "so"', "a" * 60]


def program(seed):
    """Return a function, its arguments and its text; the function raises an error if the program is meant to fail."""
    rng = np.random.default_rng(seed)
    seed_generator(seed)
    images, fails = rng.random() < 0.25, rng.random() < 0.15
    names = list(dict.fromkeys(rng.choice(NAMES, 12)))
    values = _arguments(rng, names, images)
    head, scope = (
        HEAD,
        {"__name__": "__main__", "layer": nn.Conv2d(3, 3, 3, padding=1, rng=rng), "dense": nn.Linear(3, 3, rng=rng)},
    )
    exec(compile(head, "<head>", "exec"), scope)
    lines, known = [], dict(values)
    scope |= {name: ag.Tensor(value, requires_grad=True) for name, value in values.items()}  # as `trace` does
    last = next(iter(values))
    for k in range(int(rng.integers(2, 14))):
        for _ in range(20):
            target = str(names[k % len(names)]) if rng.random() < 0.5 else f"v{k}"
            text = _statement(rng, target, list(known), images)
            if _runs(text, scope, target):
                lines += text.split("\n")
                known[target] = None
                last = target
                break
    if fails:
        lines.append(str(rng.choice(FAILURES)).format(a=last, b=next(iter(values))))
    end = rng.random()
    lines.append(
        f"return {last}" if end < 0.25 else f"return ({last} * {last}).sum()" if end < 0.6 else f"return {last}.sum()"
    )
    text = f"{head}\ndef f({', '.join(values)}):\n" + "".join(f"    {line}\n" for line in lines)
    file = f"program{seed}.py"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    own = {"__name__": "__main__", "layer": scope["layer"], "dense": scope["dense"]}
    exec(compile(text, file, "exec"), own)
    return own["f"], list(values.values()), text


def _arguments(rng, names, images):
    values = {}
    for name in names[: int(rng.integers(1, 4))]:
        shape = SHAPES[rng.integers(len(SHAPES))]
        value = rng.normal(size=shape).round(2).astype(np.float32 if rng.random() < 0.2 else float)
        if rng.random() < 0.1 and value.size:
            value.flat[0] = rng.choice([np.nan, np.inf, 0.0, 1e30, 1e-40])
        if rng.random() < 0.4:
            value = ag.Tensor(
                value, requires_grad=bool(rng.random() < 0.7), name=None if rng.random() < 0.5 else str(name)
            )
        values[str(name)] = value
    if images:
        values["pixels"] = rng.uniform(size=(2, 6, 6, 3)).round(2)
        values["filters"] = ag.Tensor(rng.normal(size=(3, 3, 3, 3)).round(2), requires_grad=True)
        values["bias"] = ag.Tensor(np.zeros(3), requires_grad=bool(rng.random() < 0.5), name="bias")
    return values


def _statement(rng, target, known, images):
    a, b = (str(known[max(rng.integers(len(known)), rng.integers(len(known)))]) for _ in range(2))
    b = a if rng.random() < 0.3 else b
    kind = rng.random()
    if images and kind < 0.5:
        text = rng.choice(IMAGES)
    elif kind < 0.15:
        text = rng.choice(BLOCKS)
        return str(text).format(a=a, b=b, r=target, scope=str(rng.choice(SCOPES)))
    else:
        text = rng.choice(ONE if kind < 0.4 else TWO if kind < 0.8 else INDEX)
    return f"{target} = {str(text).format(a=a, b=b, w='filters', c='bias')}"


def _runs(text, scope, target):
    """Run a statement; return whether it gave a Tensor with a gradient, of moderate size, and bind its names if so."""
    inner = dict(scope)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            exec(text, inner)
    except Exception:
        return False
    result = inner[target]
    if not isinstance(result, ag.Tensor) or result.size > 3000 or not result.requires_grad:
        return False
    scope.clear()
    scope.update(inner)
    return True
