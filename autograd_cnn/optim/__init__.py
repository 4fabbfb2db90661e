"""Optimisers, which change parameters by their gradients, schedules of the learning rate, and clipping."""

from autograd_cnn.engine.naming import publish
from autograd_cnn.optim import algorithms, schedules
from autograd_cnn.optim.algorithms import *
from autograd_cnn.optim.optimiser import Optimiser, clip_grad_norm
from autograd_cnn.optim.schedules import *

__all__ = ["Optimiser", "clip_grad_norm"]
__all__ += algorithms.__all__
__all__ += schedules.__all__
publish(globals())
