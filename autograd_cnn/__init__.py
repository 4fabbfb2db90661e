"""A tiny reverse-mode autograd engine on NumPy: write a model as forward code, call backward, look at the graph."""

import re
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from autograd_cnn import ops
from autograd_cnn.calculus import transforms
from autograd_cnn.calculus.check import check_gradients as check_gradients
from autograd_cnn.calculus.checkpoint import checkpoint as checkpoint
from autograd_cnn.calculus.solvers import fixed_point as fixed_point, odeint as odeint
from autograd_cnn.calculus.transforms import *
from autograd_cnn.calculus.trees import ravel_pytree as ravel_pytree
from autograd_cnn.calculus.vmap import vmap as vmap
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine import registry
from autograd_cnn.engine.messages import missing
from autograd_cnn.engine.mode import enable_grad as enable_grad, no_grad as no_grad, scope as scope
from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.declare import primitive as primitive
from autograd_cnn.engine.tensor import Tensor as Tensor
from autograd_cnn.ops import *

if find_spec("autograd_cnn.vocabulary"):
    from autograd_cnn import vocabulary
    from autograd_cnn.vocabulary import *
    from autograd_cnn.vocabulary import fft as fft, linalg as linalg, special as special, stats as stats

if TYPE_CHECKING:
    from autograd_cnn import data as data, distributed as distributed, interop as interop, nn as nn, optim as optim
    from autograd_cnn import plots as plots, training as training
    from autograd_cnn.fast.threads import get_num_threads as get_num_threads, set_num_threads as set_num_threads
    from autograd_cnn.nn.module import functional_call as functional_call
    from autograd_cnn.studio import report as report
    from autograd_cnn.studio.graph import Graph as Graph
    from autograd_cnn.studio.profiler import profile as profile
    from autograd_cnn.studio.trace import trace as trace

__version__ = "0.1.0"

# names that are imported when they are first used, so that ``import autograd_cnn`` is fast, and those of rings
_LATER = {room: room for room in ("data", "distributed", "interop", "nn", "optim", "plots", "training")}
_LATER |= {name: f"vocabulary.{name}" for name in ("fft", "linalg", "special", "stats")}
_LATER |= {"report": "studio.report", "Graph": "studio.trace:Graph", "trace": "studio.trace:trace"}
_LATER |= {"profile": "studio.profiler:profile", "functional_call": "nn.module:functional_call"}
_LATER |= {name: f"fast.threads:{name}" for name in ("get_num_threads", "set_num_threads")}


def _absent(place: str) -> bool:
    """Return whether the folder of a place is not in the package, or one that it needs."""
    folder = re.split("[.:]", place)[0]
    needed = {"interop": ["vocabulary"], "training": ["data"], "distributed": ["training", "data"]}.get(folder, [])
    return any(find_spec(f"autograd_cnn.{name}") is None for name in (folder, *needed))


def _open(place: str) -> Any:
    """Import a room, or a name from it."""
    room, _, name = place.partition(":")
    module = import_module(f"autograd_cnn.{room}")
    if not name:
        return module
    publish(vars(module), name)
    return getattr(module, name)


if not TYPE_CHECKING:  # type checkers take what is imported by a star, or as itself
    __all__ = [
        "Tensor", "check_gradients", "checkpoint", "enable_grad", "fixed_point", "no_grad", "odeint", "primitive",
        "ravel_pytree", "scope", "vmap",
    ]  # fmt: skip
    __all__ += ops.__all__ + transforms.__all__
    __all__ += [name for name, place in _LATER.items() if not _absent(place)]
    if not _absent("vocabulary"):
        __all__ += vocabulary.__all__
if not _absent("fast"):
    import_module("autograd_cnn.fast.attach").attach()
publish(globals())
registry.advice.update(ADVICE)
registry.hooks.update(graph=lambda tensor: _open("studio.trace:graph_of")(tensor), at=ops.indexing.At)
registry.hooks.update(mT=ops.shapes.matrix_transpose, real=ops.arithmetic.real, imag=ops.arithmetic.imag)

if not TYPE_CHECKING:  # hidden from type checkers, so that they report missing names

    def __getattr__(name: str) -> object:
        if (place := _LATER.get(name)) and not _absent(place):
            return _open(place)
        if not name.startswith("_") and name not in registry.advice:
            for room, place in _LATER.items():
                if room in __all__ and ":" not in place and name in getattr(_open(place), "__all__", ()):
                    raise AttributeError(f"autograd_cnn has no {name!r}. Here: ag.{room}.{name}")
        raise AttributeError(missing(name, "autograd_cnn", __dir__()), name=name)

    def __dir__() -> list[str]:
        return sorted(__all__)
