"""A tiny reverse-mode autograd engine on NumPy: write a model as forward code, call backward, look at the graph."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autograd_cnn import ops, vocabulary
from autograd_cnn.calculus.check import check_gradients
from autograd_cnn.calculus.checkpoint import checkpoint
from autograd_cnn.calculus.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from autograd_cnn.calculus.trees import ravel_pytree
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine import registry
from autograd_cnn.engine.messages import missing
from autograd_cnn.engine.mode import enable_grad, no_grad, scope
from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.fast.threads import get_num_threads, set_num_threads
from autograd_cnn.ops.activations import *
from autograd_cnn.ops.arithmetic import *
from autograd_cnn.ops.convolution import *
from autograd_cnn.ops.indexing import *
from autograd_cnn.ops.joining import *
from autograd_cnn.ops.losses import *
from autograd_cnn.ops.normalization import *
from autograd_cnn.ops.pooling import *
from autograd_cnn.ops.products import *
from autograd_cnn.ops.reductions import *
from autograd_cnn.ops.shapes import *
from autograd_cnn.vocabulary import linalg
from autograd_cnn.vocabulary.elementary import *
from autograd_cnn.vocabulary.resizing import *
from autograd_cnn.vocabulary.scans import *
from autograd_cnn.vocabulary.statistics import *

if TYPE_CHECKING:
    from autograd_cnn import data, distributed, interop, nn, optim, plots, training
    from autograd_cnn.studio import report
    from autograd_cnn.studio.profiler import profile
    from autograd_cnn.studio.records import Graph
    from autograd_cnn.studio.trace import trace

__version__ = "0.1.0"

__all__ = [
    "Graph", "Tensor", "check_gradients", "checkpoint", "data", "distributed", "enable_grad", "get_num_threads", "grad",
    "hessian", "hvp", "interop", "jacobian", "jvp", "linalg", "nn", "no_grad", "optim", "plots", "primitive", "profile",
    "ravel_pytree", "report", "scope", "set_num_threads", "trace", "training", "value_and_grad", "vjp",
]  # fmt: skip
__all__ += ops.activations.__all__
__all__ += ops.arithmetic.__all__
__all__ += ops.convolution.__all__
__all__ += vocabulary.elementary.__all__
__all__ += ops.indexing.__all__
__all__ += ops.joining.__all__
__all__ += ops.losses.__all__
__all__ += ops.normalization.__all__
__all__ += ops.pooling.__all__
__all__ += ops.products.__all__
__all__ += ops.reductions.__all__
__all__ += vocabulary.scans.__all__
__all__ += vocabulary.resizing.__all__
__all__ += ops.shapes.__all__
__all__ += vocabulary.statistics.__all__

_ROOMS = {room: room for room in ("data", "distributed", "interop", "nn", "optim", "plots", "training")}
_ROOMS["report"] = "studio.report"
_LATER = {"Graph": "studio.trace", "trace": "studio.trace", "profile": "studio.profiler"}


def _open(place: str, name: str) -> Any:
    """Import a name from a room above the engine when it is first used, so that ``import autograd_cnn`` is fast."""
    room = import_module(f"autograd_cnn.{place}")
    publish(vars(room), name)
    return getattr(room, name)


publish(globals())
registry.advice.update(ADVICE)
registry.doors.update(
    graph=lambda tensor: _open("studio.trace", "graph_of")(tensor),
    html=lambda tensor: _open("studio.player.array_views", "html")(tensor),
    at=ops.indexing.At,
    mT=ops.shapes.matrix_transpose,
    real=vocabulary.elementary.positive,
)


if not TYPE_CHECKING:  # hidden from type checkers, so that they report missing names

    def __getattr__(name: str) -> object:
        if name in _ROOMS:
            return import_module(f"autograd_cnn.{_ROOMS[name]}")
        if name in _LATER:
            return _open(_LATER[name], name)
        if not name.startswith("_") and name not in registry.advice:
            for room, place in _ROOMS.items():
                if name in import_module(f"autograd_cnn.{place}").__all__:
                    raise AttributeError(f"autograd_cnn has no {name!r}. Here: ag.{room}.{name}")
        raise AttributeError(missing(name, "autograd_cnn", __dir__()))


def __dir__() -> list[str]:
    return sorted(__all__)
