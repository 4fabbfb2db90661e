"""The rest of the functions of NumPy and of torch.nn.functional, written with the operations of `ops`."""

from typing import TYPE_CHECKING

import numpy as np

from autograd_cnn.engine.naming import enrol
from autograd_cnn.engine.registry import counterparts, hooks
from autograd_cnn.vocabulary import arrays, elementary, linalg, scans, statistics
from autograd_cnn.vocabulary.arrays import *
from autograd_cnn.vocabulary.elementary import *
from autograd_cnn.vocabulary.scans import *
from autograd_cnn.vocabulary.statistics import *

if not TYPE_CHECKING:  # type checkers follow the stars
    __all__ = [name for file in (arrays, elementary, scans, statistics) for name in file.__all__]
enrol(globals())
enrol(vars(linalg), "linalg.")
hooks["real"] = elementary.positive
counterparts.update({(np.maximum, "accumulate"): "cummax", (np.minimum, "accumulate"): "cummin"})
