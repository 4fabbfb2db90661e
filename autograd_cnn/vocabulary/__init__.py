"""The rest of the functions of NumPy and of torch.nn.functional, written with the operations of `ops`."""

from typing import TYPE_CHECKING

from autograd_cnn.engine.naming import enrol, publish
from autograd_cnn.vocabulary import along_axes, arrays, elementary, fft, linalg, special, stats
from autograd_cnn.vocabulary.along_axes import *
from autograd_cnn.vocabulary.arrays import *
from autograd_cnn.vocabulary.elementary import *

if not TYPE_CHECKING:  # type checkers follow the stars
    __all__ = along_axes.__all__ + arrays.__all__ + elementary.__all__
enrol(globals())
enrol(vars(fft), "fft.")
enrol(vars(linalg), "linalg.")
enrol(vars(special), "special.")
publish(vars(stats))
