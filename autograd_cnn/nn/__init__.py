"""Networks: modules that hold parameters, the usual layers, and initialisers.

A `Module` is a plain object whose parts are found by looking at its attributes, so there is nothing to register and no
``super().__init__()`` to forget.

============================================  ================================================================
attribute                                     is
============================================  ================================================================
Tensor with ``requires_grad=True``            a parameter
Tensor without                                a buffer, or a frozen parameter: saved and loaded, not trained
Module, or list, tuple, dict of these         a part of the model: ``blocks.0.conv1.w``
anything else, results of operations, arrays  not a part of the model: neither saved nor trained
============================================  ================================================================

Images are NHWC, weights of convolutions HWIO and of linear layers (in, out).
"""

from typing import TYPE_CHECKING, Any

from autograd_cnn.engine.messages import missing
from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.observe import operations
from autograd_cnn.nn import functions, init, layers, normalization, sequences
from autograd_cnn.nn.functions import *
from autograd_cnn.nn.init import *
from autograd_cnn.nn.layers import *
from autograd_cnn.nn.module import Module
from autograd_cnn.nn.normalization import *
from autograd_cnn.nn.sequences import *
from autograd_cnn.nn.sequential import Sequential
from autograd_cnn.ops.layers import seed

__all__ = ["Module", "Sequential", "seed"]
__all__ += functions.__all__
__all__ += init.__all__
__all__ += layers.__all__
__all__ += normalization.__all__
__all__ += sequences.__all__
publish(globals())


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise AttributeError(missing(name, __name__, [*__all__, *(f"ag.{n}" for n in operations)]), name=name)
