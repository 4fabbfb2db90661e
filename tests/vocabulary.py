"""What becomes of each of NumPy's functions, and of torch.nn.functional's, here: recorded, plain, or refused.

``python tests/vocabulary.py`` writes the tables into docs/vocabulary.md.
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from textwrap import fill

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine import numpy_calls
from autograd_cnn.engine.registry import registry

PAGE = Path(__file__).parents[1] / "docs" / "vocabulary.md"

REFUSED = {
    "complex numbers": "",
    "writes into its argument: `x.at[i].set(v)`": "",
    "integers and bits only": "",
    "dates, text, memory and files": "",
    "roots and fits of polynomials: their results may be complex, or come from a search": "",
    "other": "",
}

# torch.nn.functional, where this package says it otherwise.
SPELLED = {
    "binary_cross_entropy": "bce",
    "binary_cross_entropy_with_logits": "bce_with_logits",
    "mse_loss": "mse",
}

NOT_HERE = {
    "three dimensions": "",
    "random choices inside": "",
    "PyTorch's own machinery": "",
    "not built": "",
}


def numpy_functions() -> dict[str, object]:
    """NumPy's functions that take arrays, each once: its ufuncs, and what ``__array_function__`` can intercept."""
    found: dict[int, tuple[str, object]] = {}
    for prefix, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in sorted(dir(module)):
            f = getattr(module, name)
            if isinstance(f, (np.ufunc, type(np.sum))) and not name.startswith("_"):
                canonical = f.__name__ == name
                if id(f) not in found or canonical:
                    found[id(f)] = prefix + name, f
    return dict(found.values())


def key_of(f: object) -> str:
    name = f.__name__ if isinstance(f, np.ufunc) else f"{f.__module__}.{f.__name__}".removeprefix("numpy.")
    return numpy_calls._OTHER_NAMES.get(name, name)


def fate(f: object) -> str:
    """``recorded``, ``plain`` (a plain array), or ``refused``, as `numpy_calls` decides."""
    key = key_of(f)
    return "plain" if key in numpy_calls._CONSTANT else "recorded" if key in registry else "refused"


def torch_fate(name: str) -> str:
    try:
        attrgetter(SPELLED.get(name, name))(ag)
    except AttributeError:
        return "missing"
    return "here"


if __name__ == "__main__":
    for kind in ("recorded", "plain", "refused"):
        names = [n for n, f in numpy_functions().items() if fate(f) == kind]
        print(kind, len(names), fill(" ".join(names), 118))
