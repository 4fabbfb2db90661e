"""Sphinx configuration: Markdown pages, and an API page made from the docstrings."""

from collections.abc import Callable
from inspect import Signature, cleandoc, signature
from pathlib import Path
from textwrap import indent
from typing import Any

from sphinx.ext.napoleon import NumpyDocstring

import autograd_cnn
from autograd_cnn.engine.registry import registry

project = "autograd_cnn"
author = "The autograd_cnn developers"
version = release = autograd_cnn.__version__
copyright = "2026, The autograd_cnn developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "package.md"]  # the description on a package index
html_theme = "alabaster"
html_theme_options = {"description": "A tiny reverse-mode autograd engine on NumPy", "page_width": "1000px"}
autodoc_member_order = "bysource"
napoleon_google_docstring = False
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks have their outputs; notebooks/execute.py makes them


def operations() -> str:
    """The operations as reStructuredText, by family, which autodoc does not see: it takes primitives for objects."""
    families: dict[str, list[str]] = {}
    for key in sorted(registry):
        f = registry[key]
        family = str(f.__module__)
        if family.startswith("autograd_cnn.ops."):
            text = indent(str(NumpyDocstring(cleandoc(f.__doc__ or ""))), "   ")
            entry = f".. py:function:: autograd_cnn.{key}{_signature(f)}\n\n{text}\n"
            families.setdefault(family.rpartition(".")[2], []).append(entry)
    return "\n".join(f"{f.capitalize()}\n{'-' * len(f)}\n\n" + "\n".join(families[f]) for f in sorted(families))


def _signature(f: Callable[..., Any]) -> str:
    plain = [p.replace(annotation=p.empty) for p in signature(f).parameters.values()]
    return str(Signature(plain))


Path(__file__).with_name("operations.txt").write_text(operations())
