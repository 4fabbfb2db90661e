"""Every operation and its rules, one file for each family."""

from typing import TYPE_CHECKING

from autograd_cnn import ops
from autograd_cnn.engine.naming import enrol
from autograd_cnn.ops.activations import *
from autograd_cnn.ops.arithmetic import *
from autograd_cnn.ops.convolution import *
from autograd_cnn.ops.indexing import *
from autograd_cnn.ops.layers import *
from autograd_cnn.ops.losses import *
from autograd_cnn.ops.products import *
from autograd_cnn.ops.reductions import *
from autograd_cnn.ops.resizing import *
from autograd_cnn.ops.shapes import *
from autograd_cnn.ops.windows import *

if not TYPE_CHECKING:  # type checkers follow the stars
    __all__ = [name for file in [*vars(ops).values()] for name in getattr(file, "__all__", ())]
enrol(globals())
