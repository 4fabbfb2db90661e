"""Sphinx configuration: Markdown pages, and an API page made from the docstrings."""

import autograd_cnn  # noqa: F401  # autodoc needs it importable

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
