"""Writes the page of the operations that a CNN needs, with their rules, from the source of `autograd_cnn.ops`."""

import ast
import inspect
from functools import cache
from pathlib import Path

from autograd_cnn import ops
from autograd_cnn.engine.observe import operations, primitives

CHAPTERS = {  # what a CNN with batch norm and cross-entropy computes, forward and backward
    "Arithmetic": "add subtract multiply divide negative exp log sqrt square maximum where",
    "Sums and shapes": "sum mean broadcast_to reshape transpose",
    "Products": "matmul linear",
    "Activations and losses": "relu relu_gradient sigmoid softmax log_softmax cross_entropy bce",
    "Images": "conv2d conv_transpose2d conv2d_weight_gradient max_pool2d max_unpool2d batch_norm",
}
INTRODUCTION = """# The textbook

These are the {count} operations with which a CNN is trained, as they stand in `autograd_cnn/ops`: each a plain NumPy
function, and below it the formula of its derivative. Checks of arguments, examples and types are left out here, and of
each docstring there is the first line. The package runs them as they stand if its folder `fast` is removed; `fast` puts
faster functions in their place, and a test compares the two.
"""


@cache
class Source:
    """The source of a file of operations, and what it defines."""

    def __init__(self, module):
        self.module = module
        text = inspect.getsource(module)
        self.lines, self.tree = text.splitlines(), ast.parse(text)
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    def function(self, name):
        """Return a function without decorators, types and docstring; the first line of that is a comment."""
        node = self.functions[name]
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        documented = ast.get_docstring(node)
        lines = [f"def {name}({ast.unparse(node.args)}):"]
        if documented:
            lines.append(f"    # {documented.partition(chr(10))[0]}")
        body = node.body[1 if documented else 0]
        return "\n".join([*lines, *self.lines[body.lineno - 1 : node.end_lineno]])

    def rules(self, name):
        """Return the statements that register rules of the primitive `name`."""
        found = [node for node in self.tree.body if isinstance(node, ast.Expr) and _is_rule(node.value, name)]
        return ["\n".join(self.lines[node.lineno - 1 : node.end_lineno]) for node in found]

    def helpers(self, text):
        """Return the functions of this package, other than operations and checks, to which a text refers."""
        names = dict.fromkeys(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
        for value in (getattr(self.module, name, None) for name in names):
            home = str(getattr(value, "__module__", ""))
            if inspect.isfunction(value) and home.startswith(ops.__name__) and value.__name__ not in operations:
                source = Source(inspect.getmodule(value))
                if value.__name__ in source.functions and "raise " not in source.function(value.__name__):
                    yield source, value.__name__


def _is_rule(node, name):
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "vjp"
    return is_call and ast.unparse(node.func.value) == name


def page() -> str:
    """Return the page in Markdown."""
    parts, written = [INTRODUCTION.format(count=sum(len(names.split()) for names in CHAPTERS.values()))], set()
    for chapter, names in CHAPTERS.items():
        parts.append(f"## {chapter}\n")
        parts += [f"```py\n{_entry(name, written)}\n```\n" for name in names.split()]
    return "\n".join(parts)


def _entry(name, written):
    """Return the text of an operation, below the helpers that no operation before it needed."""
    primitive = next(p for p in primitives() if p.name == name)
    source = Source(inspect.getmodule(primitive.textbook))
    texts = [source.function(primitive.textbook.__name__), *source.rules(primitive.textbook.__name__)]
    found, waiting = [], [(source, text) for text in texts]
    while waiting:
        origin, text = waiting.pop(0)
        for helper in origin.helpers(text):
            if helper not in written:
                written.add(helper)
                found.append(helper[0].function(helper[1]))
                waiting.append((helper[0], found[-1]))
    return "\n\n".join([*reversed(found), *texts])


def write(folder: Path) -> None:
    """Write the page into `folder`."""
    (folder / "textbook.md").write_text(page(), encoding="utf-8")
