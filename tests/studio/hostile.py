"""Names that carry markup or escape sequences, and a network in which everything has one of them."""

import numpy as np

import autograd_cnn as ag

NAMES = {
    "script": "<script>document.title='taken'</script>",
    "end of script": "</script></style></title><img src=x onerror=\"document.title='taken'\">",
    "attribute": "\" onload='x' a=\"`${alert(1)}`",
    "entities": "&lt;b&gt;&#60;&amp;",
    "comment": "<!-- --> ]]> <!",
    "backslashes": '\\ \\N \\u003c \\"',
    "lines": "a\nb\r\n'''c\"\"\"\n#d",
    "terminal": "\x1b[31mred\x1b]0;owned\x07\x9b2J",
    "separators": "a\u2028b\u2029c\x85d\x0be",
    "direction": "a\u202eb\u2066c\u200f",
    "surrogate": "a\ud800b\udfff",
    "formula": "$x_{$ \\frac{a}",
    "nul": "a\0b\ufffe\uffff",
    "braces": "{x} %s %(x)s ${title} $title {{",
    "url": "javascript:alert(1)//",
    "table": "| a | b |\n|---|\n> [x](y) `c` *d*",
    "private": "\ue000 1\ue001 2\ue002",
    "combining": "e" + "\u0301" * 50,
    "wide": "🙂 你好",
    "long": "n" * 10_000,
}


def called(name, base):
    """A class with that name, if Python allows it."""
    try:
        return type(name, (base,), {})
    except (ValueError, UnicodeError):  # no class has NUL or a surrogate in its name
        return type("Plain", (base,), {})


def network(name):
    """A function in which everything has one name, and its arguments."""

    def doubled(x, text="a"):
        return x * 2

    doubled.__name__ = doubled.__doc__ = name
    space = {"ag": ag, "name": name, "doubled": ag.primitive(doubled)}
    space["doubled"].vjp(x=lambda g: g * 2)
    space["layer"] = called(name, ag.nn.Linear)(3, 3, rng=np.random.default_rng(0), dtype=float)
    code = """def f(p, x):
    with ag.scope(name):
        h = doubled(ag.tanh(x @ p[name] + x), text=name)
        h.name = name
    return (layer(h) * h).sum()
"""
    try:
        exec(compile(code, f"folder/{name}.py", "exec"), space)
    except (ValueError, UnicodeError):  # Python opens no file of that name
        exec(compile(code, "folder/file.py", "exec"), space)
    f = space["f"]
    f.__code__ = f.__code__.replace(co_name=name)
    f.__name__ = f.__qualname__ = name
    w = ag.Tensor(np.arange(9.0).reshape(3, 3) / 9, requires_grad=True, name=name)
    return f, ({name: w}, np.arange(6.0).reshape(2, 3) / 6)
