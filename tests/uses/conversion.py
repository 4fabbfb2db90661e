"""Calls of conversions. The results of a use have the dtype of its inputs, so others are in tests/engine."""

import numpy as np

import autograd_cnn as ag
from uses import use

USES = [use("astype", lambda x: ag.astype(x, x.dtype), np.array([[0.5, -1.5]]), want=lambda x: x)]
