"""Writes the page of the operations that a CNN needs, with their rules, from the source of `autograd_cnn.ops`.

Run it as ``python docs/textbook_page.py`` after a change of an operation.
"""

import ast
import builtins
import inspect
import symtable
from functools import cache
from pathlib import Path
from textwrap import fill

from autograd_cnn import ops
from autograd_cnn.engine.observe import operations, primitives
from autograd_cnn.ops.windows import window

WIDTH = 120
PAGE = Path(__file__).with_name("textbook.md")
CHAPTERS = {  # what a CNN with batch norm and cross-entropy computes, forward and backward
    "Arithmetic": "add subtract multiply divide negative exp log sqrt square maximum where",
    "Sums and shapes": "sum mean broadcast_to reshape transpose",
    "Products": "matmul linear",
    "Activations and losses": "relu relu_gradient sigmoid softmax log_softmax cross_entropy",
    "Images": "conv2d conv_transpose2d conv2d_weight_gradient max_pool2d max_unpool2d max_gather2d batch_norm",
}
LEFT_OUT = {"in_range"}  # multiplies rows whose squares would overflow, which no formula needs
INTRODUCTION = """# The textbook

These are the {count} operations with which a CNN is trained, as they stand in `autograd_cnn/ops`: each is a plain NumPy
function, and below it stands the formula of its derivative. The package runs them as they stand if its folder `fast` is
removed; `fast` puts faster functions in their place, and a test compares the two. `docs/textbook_page.py` makes this
page from the source, without types, checks of arguments, and all of a docstring but its first line. The last section
has the names that this page does not define.

**Names in a rule.** `g` is the gradient of the result, `out` the result, and `x_shape` the shape of `x`; the [other
parameters](own_primitive.md) are arguments or by-products. `sum`, `where`, `maximum` and the like are the operations of
this page, so a rule can be differentiated again; NumPy's functions are written `np.sum`. On plain arrays, as inside of
another operation, an operation records nothing. `log_softmax.raw` also skips the check. The walk undoes broadcasting,
so `g` alone is the whole rule of `add` and of `broadcast_to`.

**A parameter hides an operation of the same name.** In `sum`, `mean` and their rules, `where` is the argument: a mask
of the numbers that count. In `batch_norm` and its rules, `mean` and `variance` are the arguments, which are None
where the moments of the batch are used. `reduced` gets the functions that it calls `sum` and `mean`.

**By-products** are further values that an operation returns behind its result, named by `@primitive(byproducts=...)`.
Rules may take them, and the caller gets the result only. The rule of `max_pool2d` takes `argmax`, the place of the
maximum in each window. Those of `batch_norm` serve the running averages of `nn.BatchNorm2d`.

**`cross_entropy`** is a function of several operations. For class ids without weights and smoothing it calls
`cross_entropy_of_labels`, the operation below, which has the name "cross_entropy" in messages and pictures.

**Options** may be written in several ways. The check of the operation brings them into one form. Of `conv2d(x, w,
stride=2, padding="same")`, for images of 6x5 pixels and a kernel of 3x3, the function gets `stride={stride}`,
`padding={padding}`, which is ((top, bottom), (left, right)), and `dilation={dilation}`. A rule gets the options as the
caller wrote them.
"""
ELSEWHERE = """## Names from elsewhere

These names occur above, and their source is not on this page.
"""


@cache
class Source:
    """The source of a file of operations, and what it defines."""

    def __init__(self, module):
        self.module = module
        text = inspect.getsource(module)
        self.lines, self.tree = text.splitlines(), ast.parse(text)
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}
        imports = [node for node in self.tree.body if isinstance(node, ast.ImportFrom)]
        self.imported = {alias.name: node.module for node in imports for alias in node.names}

    def function(self, name):
        """Return a function without types, checks and docstring; the first line of that is a comment.

        Decorators keep the names of by-products, and the name of the operation if that is not the function's. All else
        in them is left out.
        """
        node = self.functions[name]
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        documented = ast.get_docstring(node)
        options = [o for d in node.decorator_list if isinstance(d, ast.Call) for o in d.keywords]
        named = [ast.unparse(o).replace("'", '"') for o in options if o.arg in ("name", "byproducts")]
        lines = [f"@primitive({', '.join(named)})"] if named else []
        lines.append(f"def {name}({ast.unparse(node.args)}):")
        if documented:
            lines.append(f"    # {documented.partition(chr(10))[0]}")
        body = node.body[1:] if documented else node.body
        shown = set(range(body[0].lineno, node.end_lineno + 1))
        for check in filter(_is_check, body):
            shown -= set(range(check.lineno, check.end_lineno + 1))
        return "\n".join([*lines, *(self.lines[number - 1] for number in sorted(shown))])

    def rules(self, name):
        """Return the statements that register rules of the primitive `name`."""
        found = [node for node in self.tree.body if isinstance(node, ast.Expr) and _is_rule(node.value, name)]
        return ["\n".join(self.lines[node.lineno - 1 : node.end_lineno]) for node in found]

    def helpers(self, text):
        """Return the functions of `ops`, other than operations and checks, to which a text refers."""
        names = dict.fromkeys(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
        for value in (inspect.unwrap(getattr(self.module, name, None)) for name in names):
            home = str(getattr(value, "__module__", ""))
            if (
                inspect.isfunction(value)
                and home.startswith(ops.__name__)
                and value.__name__ not in {*operations, *LEFT_OUT}
            ):
                source = Source(inspect.getmodule(value))
                if value.__name__ in source.functions and "raise " not in source.function(value.__name__):
                    yield source, value.__name__

    def explained(self, name):
        """Say what a name of this file is that the page does not show."""
        home = self.imported.get(name, self.module.__name__)
        if not home.startswith("autograd_cnn."):
            return f"`{home}.{name}`"
        line = inspect.getdoc(getattr(self.module, name)).partition("\n")[0]
        return f"in `{home.replace('.', '/')}.py`. {line}"


def _is_check(node):
    return isinstance(node, ast.If) and all(isinstance(step, ast.Raise) for step in node.body)


def _is_rule(node, name):
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "vjp"
    return is_call and ast.unparse(node.func.value) == name


def _globals(table):
    """Return the names that a text, or a function in it, takes from outside."""
    found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    return found.union(*map(_globals, table.get_children()))


def page() -> str:
    """Return the page in Markdown."""
    _, stride, padding, dilation = window((6, 5), 3, 2, "same", 1)
    count = sum(len(names.split()) for names in CHAPTERS.values())
    text = INTRODUCTION.format(count=count, stride=stride, padding=padding, dilation=dilation)
    parts = ["\n\n".join(fill(paragraph, WIDTH) for paragraph in text.split("\n\n")) + "\n"]
    written, elsewhere = {}, {}
    for chapter, names in CHAPTERS.items():
        parts.append(f"## {chapter}\n")
        for name in names.split():
            texts = _entry(name, written)
            for source, text in texts:
                elsewhere |= dict.fromkeys(_globals(symtable.symtable(text, name, "exec")), source)
            parts.append("```py\n{}\n```\n".format("\n\n".join(text for _, text in texts)))
    for name in {*dir(builtins), "np", "math", "builtins", *(name for _, name in written)}:
        elsewhere.pop(name, None)
    parts.append(ELSEWHERE)
    items = [f"- `{name}`: {elsewhere[name].explained(name)}" for name in sorted(elsewhere)]
    return "\n".join([*parts, *(fill(item, WIDTH, subsequent_indent="  ") for item in items), ""])


def _entry(name, written):
    """Return the texts of an operation, below the functions that no operation before it needed, with their sources."""
    primitive = next(p for p in primitives() if p.name == name)
    source = Source(inspect.getmodule(primitive.textbook))
    written[source, primitive.textbook.__name__] = True
    texts = [source.function(primitive.textbook.__name__), *source.rules(primitive.textbook.__name__)]
    own = [(source, text) for text in texts]
    found, waiting = [], [*own]
    while waiting:
        origin, text = waiting.pop(0)
        for helper in origin.helpers(text):
            if helper not in written:
                written[helper] = True
                found.append((helper[0], helper[0].function(helper[1])))
                waiting.append(found[-1])
    return [*reversed(found), *own]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
