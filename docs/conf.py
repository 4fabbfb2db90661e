"""Sphinx configuration: Markdown pages, API pages made from the docstrings, and a gallery made from the examples."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import autograd_cnn
from autograd_cnn.__main__ import demo
from autograd_cnn.studio.live.page import write

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))  # for gallery_of_examples

import api_pages  # noqa: E402

project = "autograd_cnn"
author = "The autograd_cnn developers"
version = release = autograd_cnn.__version__
copyright = "2026, The autograd_cnn developers"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_extra", "jupyter_execute", "gallery/*.ipynb", "package.md"]  # the last: for an index
html_theme = "furo"
pygments_dark_style = "one-dark"
html_title = "autograd_cnn"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5f94", "color-brand-content": "#0b5f94"},
    "dark_css_variables": {"color-brand-primary": "#6cb8ea", "color-brand-content": "#6cb8ea"},
}
html_static_path = ["site.css"]
html_extra_path = ["_extra"]  # the players and the live page, to which pages link
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp, .go"
linkcheck_ignore = [r"https?://"]  # checks the links between pages, without a network
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "",  # every script is executed, but for those that are ignored
    "ignore_pattern": r"train_\w+\.py|__init__\.py",  # programs with a page of their own
    "within_subsection_order": "gallery_of_examples.Order",
    "image_scrapers": ("gallery_of_examples.pictures",),
    "capture_repr": (),
    "abort_on_example_error": True,
    "backreferences_dir": None,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
}
autodoc_member_order = "bysource"
napoleon_google_docstring = False
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks have their outputs; notebooks/execute.py makes them


api_pages.write(HERE / "api")
with redirect_stdout(StringIO()):  # it prints the names of the pages
    demo(HERE / "_extra" / "players", show=False)
write(HERE / "_extra" / "live" / "index.html")
