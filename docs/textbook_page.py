"""Writes the page of the operations that a CNN needs, with their rules, from the source of `autograd_cnn.ops`."""

import ast
import inspect
from functools import cache
from pathlib import Path
from textwrap import dedent

from autograd_cnn import ops
from autograd_cnn.engine.observe import operations

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
    """The source of the file of a primitive, and what it defines."""

    def __init__(self, module):
        self.text = inspect.getsource(module)
        self.lines = self.text.splitlines()
        self.tree = ast.parse(self.text)
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    def function(self, name):
        """Return a function without decorators, types and docstring; the first line of that is a comment."""
        node = self.functions[name]
        parameters = node.args
        for argument in ast.walk(parameters):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        first, *rest = node.body
        lines = [f"def {name}({ast.unparse(parameters)}):"]
        if ast.get_docstring(node):
            lines.append(f"    # {ast.get_docstring(node).partition(chr(10))[0]}")
        else:
            rest = [first, *rest]
        body = self.lines[rest[0].lineno - 1 : node.end_lineno]
        return "\n".join([*lines, *body])

    def rules(self, name):
        """Return the statements that register rules of the primitive `name`."""
        found = [node for node in self.tree.body if isinstance(node, ast.Expr) and self._is_rule(node.value, name)]
        return ["\n".join(self.lines[node.lineno - 1 : node.end_lineno]) for node in found]

    @staticmethod
    def _is_rule(node, name):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "vjp"
        return is_call and ast.unparse(node.func.value) == name

    def helpers(self, texts):
        """Return the functions of the file that the texts use, and those that these use, in the order of the file."""
        found, waiting = set(), list(texts)
        while waiting:
            names = {node.id for node in ast.walk(ast.parse(dedent(waiting.pop()))) if isinstance(node, ast.Name)}
            for name in names & self.functions.keys() - found:
                if not hasattr(operations.get(name), "rules"):
                    found.add(name)
                    waiting.append(self.function(name))
        return [name for name in self.functions if name in found]


def page() -> str:
    """Return the page in Markdown."""
    parts, written = [INTRODUCTION.format(count=sum(len(names.split()) for names in CHAPTERS.values()))], set()
    for chapter, names in CHAPTERS.items():
        parts.append(f"## {chapter}\n")
        for name in names.split():
            parts.append(f"```py\n{_entry(name, written)}\n```\n")
    return "\n".join(parts)


def _entry(name, written):
    primitive = operations[name]
    source = Source(inspect.getmodule(primitive.textbook))
    texts = [source.function(primitive.textbook.__name__), *source.rules(primitive.textbook.__name__)]
    helpers = [helper for helper in source.helpers(texts) if (source, helper) not in written]
    written.update((source, helper) for helper in helpers)
    return "\n\n".join([*(source.function(helper) for helper in helpers), *texts])


def write(folder: Path) -> None:
    """Write the page into `folder`."""
    (folder / "textbook.md").write_text(page(), encoding="utf-8")


assert ops  # its files have registered the operations
