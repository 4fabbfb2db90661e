"""The rest of the functions of NumPy and of torch.nn.functional, written with the operations of `ops`."""

from typing import TYPE_CHECKING

from autograd_cnn.engine.naming import enrol, publish
from autograd_cnn.vocabulary import fft, functions, linalg, special, stats
from autograd_cnn.vocabulary.functions import *

if not TYPE_CHECKING:  # type checkers follow the stars
    __all__ = functions.__all__
enrol(globals())
enrol(vars(fft), "fft.")
enrol(vars(linalg), "linalg.")
enrol(vars(special), "special.")
publish(vars(stats))
