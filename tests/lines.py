"""Counts lines of code."""

import ast
import tokenize
from io import StringIO

NO_CODE = {
    tokenize.COMMENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.INDENT, tokenize.NEWLINE, tokenize.NL,
}  # fmt: skip


def code_lines(text: str) -> int:
    """Return the number of lines that are not blank, and neither comment nor docstring."""
    strings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr) and is_text(node.value)]
    tokens = [t for t in tokenize.generate_tokens(StringIO(text).readline) if t.type not in NO_CODE]
    code = {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}
    return len(code - {line for node in strings for line in range(node.lineno, node.end_lineno + 1)})


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
