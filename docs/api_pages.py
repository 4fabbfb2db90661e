"""Writes the pages of the API, one for each family, in which every name is the public one, and a list of all names."""

import re
from importlib import import_module
from inspect import Signature, cleandoc, getdoc, isclass, signature
from pathlib import Path
from textwrap import indent
from typing import Any

from sphinx.ext.napoleon import NumpyDocstring

import autograd_cnn
from autograd_cnn import nn
from autograd_cnn.engine.registry import registry

TENSOR = "backward, gradient, detach, item, numpy, graph, data, grad, requires_grad, name, is_leaf"
ENGINE = {  # page -> title, and its names with their members
    "tensor": (
        "Tensors and recording",
        {
            "Tensor": TENSOR,
            "no_grad": "",
            "enable_grad": "",
            "scope": "",
            "primitive": "",
            "checkpoint": "",
            "nn.seed": "",
        },
    ),
    "transforms": (
        "Transforms",
        dict.fromkeys(
            "grad value_and_grad elementwise_grad vjp jvp hvp jacobian hessian vmap stop_gradient ravel_pytree "
            "functional_call check_gradients".split(),
            "",
        ),
    ),
    "solvers": ("Solvers", dict.fromkeys(["odeint", "fixed_point"], "")),
    "graph": (
        "Graphs, and measuring",
        {
            "trace": "",
            "Graph": "save, show, page, program, svg, dot",
            "studio.program.program.Program": "run",
            "profile": "",
            "set_num_threads": "",
            "get_num_threads": "",
        },
    ),
}
PACKAGES = {"ops": "Operations", "vocabulary": "Vocabulary"}
NN = {
    "module": "modules",
    "sequential": "modules one after the other",
    "layers": "layers with weights",
    "normalization": "layers that normalise",
    "functions": "layers without weights",
    "sequences": "layers for sequences",
    "init": "initial weights",
}
ROOMS = {
    "optim": "Optimisers and schedules",
    "data": "Data",
    "training": "Training",
    "distributed": "Several processes",
    "plots": "Plots",
    "stats": "Densities and distribution functions",
    "report": "Reports",
    "interop": "Weights and networks of other programs",
}


def write(folder: Path) -> None:
    """Write the pages into `folder`, and `names.rst`, which lists them with all their names."""
    folder.mkdir(exist_ok=True)
    pages: dict[str, tuple[str, str, list[str]]] = {}  # file -> title, text, names
    for page, (title, members) in ENGINE.items():
        pages[page] = title, "".join(_entry(name, shown) for name, shown in members.items()), list(members)
    families: dict[tuple[str, str], list[str]] = {}
    for key in sorted(registry):
        module = str(registry[key].__module__)
        if module.startswith(("autograd_cnn.ops.", "autograd_cnn.vocabulary.")):
            families.setdefault((module, module.rpartition(".")[2]), []).append(key)
    for (module, family), keys in sorted(families.items()):
        package = module.split(".")[1]
        text = f"{_intro(module)}.. py:currentmodule:: autograd_cnn\n\n" + "".join(map(_operation, keys))
        pages[f"{package}_{family}"] = f"{PACKAGES[package]}: {family}", text, keys
    for part, title in NN.items():
        module = f"autograd_cnn.nn.{part}"
        names = [f"nn.{name}" for name in nn.__all__ if getattr(nn, name).__module__ == module]
        pages[f"nn_{part}"] = f"Networks: {title}", _intro(module) + "".join(map(_entry, names)), names
    for room, title in ROOMS.items():
        module = getattr(autograd_cnn, room)
        names = [f"{room}.{name}" for name in module.__all__]
        pages[room] = title, _intro(module.__name__) + "".join(map(_entry, names)), names
    for page, (title, text, _) in pages.items():
        (folder / f"{page}.rst").write_text(f"{title}\n{'=' * len(title)}\n\n{text}", encoding="utf-8")
    listed = "".join(
        f":doc:`{title} <api/{page}>`\n   {', '.join(f':py:obj:`~autograd_cnn.{name}`' for name in names)}\n\n"
        for page, (title, _, names) in pages.items()
    )
    toctree = ".. toctree::\n   :hidden:\n\n" + "".join(f"   api/{page}\n" for page in pages)
    (folder / "names.txt").write_text(listed + toctree, encoding="utf-8")


def _intro(module: str) -> str:
    """Return the first line of a module's docstring."""
    line = (getdoc(import_module(module)) or "").partition("\n")[0]
    return re.sub(r"(?<!`)(`[^`]+`)(?!`)", r"`\1`", line) + "\n\n"


def _entry(name: str, members: str | None = None) -> str:
    """Return the directive that documents a public name, of a class with its members."""
    value: Any = autograd_cnn
    for part in name.split("."):
        value = getattr(value, part) if hasattr(value, part) else import_module(f"{value.__name__}.{part}")
    if not isclass(value):
        return f".. auto{'function' if callable(value) else 'data'}:: autograd_cnn.{name}\n"
    return f".. autoclass:: autograd_cnn.{name}\n   :members: {members or ''}\n"


def _operation(key: str) -> str:
    """Document an operation from its docstring: autodoc takes primitives for objects."""
    f = registry[key]
    plain = [p.replace(annotation=p.empty) for p in signature(f).parameters.values()]
    text = indent(str(NumpyDocstring(cleandoc(f.__doc__ or ""))), "   ")
    return f".. py:function:: {key}{Signature(plain)}\n\n{text}\n\n"
