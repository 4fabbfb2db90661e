"""Sphinx configuration: Markdown pages, and an API page made from the docstrings."""

from inspect import cleandoc
from pathlib import Path
from textwrap import indent

from sphinx.ext.napoleon import NumpyDocstring

import autograd_cnn as ag
from autograd_cnn.engine.primitive import Primitive

project = "autograd_cnn"
author = "The autograd_cnn developers"
copyright = "2026, The autograd_cnn developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "A tiny reverse-mode autograd engine on NumPy", "page_width": "1000px"}
autodoc_member_order = "bysource"
napoleon_google_docstring = False
myst_heading_anchors = 3


def primitives() -> str:
    """The primitives as reStructuredText, by family, since autodoc takes them for objects, not functions."""
    families: dict[str, list[str]] = {}
    for name in sorted(vars(ag)):
        primitive = getattr(ag, name)
        if isinstance(primitive, Primitive):
            text = indent(str(NumpyDocstring(cleandoc(primitive.__doc__ or ""))), "   ")
            entry = f".. py:function:: autograd_cnn.{name}{primitive.signature}\n\n{text}\n"
            families.setdefault(primitive.__module__.rpartition(".")[2], []).append(entry)
    return "\n".join(f"{f.capitalize()}\n{'-' * len(f)}\n\n" + "\n".join(e) for f, e in families.items())


Path(__file__).with_name("primitives.txt").write_text(primitives())
