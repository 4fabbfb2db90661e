"""A tiny reverse-mode autograd engine on NumPy: write a model as forward code, call backward, look at the graph."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine import registry
from autograd_cnn.engine.check import check_gradients
from autograd_cnn.engine.checkpoint import checkpoint
from autograd_cnn.engine.messages import missing
from autograd_cnn.engine.mode import enable_grad, no_grad, scope
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.engine.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from autograd_cnn.kernels.threads import get_num_threads, set_num_threads
from autograd_cnn.ops.activations import (
    gelu,
    leaky_relu,
    log_softmax,
    normal_cdf,
    relu,
    relu_gradient,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from autograd_cnn.ops.arithmetic import (
    abs,
    add,
    astype,
    clip,
    cos,
    divide,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sin,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from autograd_cnn.ops.convolution import conv2d, conv2d_weight_gradient, conv_transpose2d
from autograd_cnn.ops.linalg import einsum, linear, matmul
from autograd_cnn.ops.losses import bce, bce_with_logits, cross_entropy, mse
from autograd_cnn.ops.normalization import batch_norm, dropout
from autograd_cnn.ops.pooling import avg_pool2d, avg_unpool2d, max_gather2d, max_pool2d, max_unpool2d
from autograd_cnn.ops.reductions import logsumexp, max, mean, min, std, sum, var
from autograd_cnn.ops.shapes import (
    broadcast_to,
    concatenate,
    expand_dims,
    flatten,
    flip,
    getitem,
    pad,
    reshape,
    scatter,
    squeeze,
    stack,
    take,
    transpose,
)

if TYPE_CHECKING:
    from autograd_cnn import data, interop, nn, optim, plots, training
    from autograd_cnn.graph.records import Graph
    from autograd_cnn.graph.trace import trace
    from autograd_cnn.profiler import profile

__all__ = [
    "Graph", "Tensor", "abs", "add", "astype", "avg_pool2d", "avg_unpool2d", "batch_norm", "bce", "bce_with_logits",
    "broadcast_to", "check_gradients", "checkpoint", "clip", "concatenate", "conv2d", "conv2d_weight_gradient",
    "conv_transpose2d", "cos", "cross_entropy", "data", "divide", "dropout", "einsum", "enable_grad", "exp",
    "expand_dims", "expm1", "flatten", "flip", "gelu", "get_num_threads", "getitem", "grad", "hessian", "hvp",
    "interop", "jacobian", "jvp", "leaky_relu", "linear", "log", "log1p", "log_softmax", "logsumexp", "matmul", "max",
    "max_gather2d", "max_pool2d", "max_unpool2d", "maximum", "mean", "min", "minimum", "mse", "multiply", "negative",
    "nn", "no_grad", "normal_cdf", "optim", "pad", "plots", "power", "primitive", "profile", "relu", "relu_gradient",
    "reshape", "scatter", "scope", "set_num_threads", "sigmoid", "silu", "sin", "softmax", "softplus", "sqrt", "square",
    "squeeze", "stack", "std", "subtract", "sum", "take", "tanh", "trace", "training", "transpose", "value_and_grad",
    "var", "vjp", "where",
]  # fmt: skip

_ROOMS = ("data", "interop", "nn", "optim", "plots", "training")
_LATER = {"Graph": "graph.trace", "trace": "graph.trace", "profile": "profiler"}


def _open(place: str, name: str) -> Any:
    """Import a name from a room above the engine when it is first used, so that ``import autograd_cnn`` is fast."""
    return getattr(import_module(f"autograd_cnn.{place}"), name)


registry.advice.update(ADVICE)
registry.doors.update(
    graph=lambda tensor: _open("graph.trace", "graph_of")(tensor),
    html=lambda tensor: _open("graph.player.looks", "html")(tensor),
)


if not TYPE_CHECKING:  # hidden from type checkers, so that they report missing names

    def __getattr__(name: str) -> object:
        if name in _ROOMS:
            return import_module(f"autograd_cnn.{name}")
        if name in _LATER:
            return _open(_LATER[name], name)
        raise AttributeError(missing(name, "autograd_cnn", __dir__()))


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, *_LATER})
