"""Optimisers, which change parameters by their gradients, schedules of the learning rate, and clipping."""

from autograd_cnn.engine.naming import publish
from autograd_cnn.optim import algorithms, clipping, schedules
from autograd_cnn.optim.algorithms import *
from autograd_cnn.optim.clipping import *
from autograd_cnn.optim.optimiser import Optimiser
from autograd_cnn.optim.schedules import *

__all__ = ["Optimiser"]
__all__ += algorithms.__all__
__all__ += clipping.__all__
__all__ += schedules.__all__
publish(globals())
