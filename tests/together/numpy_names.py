"""The fate of NumPy's functions here, and of torch.nn.functional's: recorded, plain, or refused.

``python tests/together/numpy_names.py`` writes the tables into docs/vocabulary.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from pathlib import Path
from textwrap import fill

import numpy as np

import autograd_cnn as ag
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine import numpy_calls
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.registry import counterparts, numpys
from autograd_cnn.interop.onnx.table import CONVERTERS, OPERATORS

PAGE = Path(__file__).parents[2] / "docs" / "vocabulary.md"

# Recorded functions that take real numbers only, and NumPy's complex ones too.
UNORDERED = "amax amin clip fmax fmin max maximum median min minimum nanmax nanmedian nanmin ptp".split()

# Functions of torch.nn.functional that have another name here.
SPELLED = {
    "binary_cross_entropy": "bce", "binary_cross_entropy_with_logits": "bce_with_logits", "mse_loss": "mse",
    "upsample": "interpolate", "upsample_bilinear": "interpolate", "upsample_nearest": "interpolate",
}  # fmt: skip


def numpy_functions() -> dict[str, Callable[..., object]]:
    """NumPy's functions that take arrays, each once: its ufuncs, and those that ``__array_function__`` intercepts."""
    found: dict[int, tuple[str, Callable[..., object]]] = {}
    for prefix, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in sorted(dir(module)):
            f = getattr(module, name)
            intercepted = isinstance(f, (np.ufunc, type(np.sum))) and not name.startswith("_")
            if intercepted and (id(f) not in found or f.__name__ == name):
                found[id(f)] = prefix + name, f
    return dict(found.values())


def fate(f: object) -> str:
    """``recorded``, ``plain`` (it returns plain arrays), or ``refused``, as `numpy_calls` decides."""
    plain = {numpys(name) for name in numpy_calls.CONSTANT}
    return "plain" if f in plain else "recorded" if f in counterparts else "refused"


def refusal(name: str, f: Callable[..., object]) -> str:
    """The error of a function that is refused, whatever the arguments."""
    x = ag.Tensor(np.ones(3), requires_grad=True)
    for arguments in ((x,), (x, x), (x, x, x), (lambda v: v, 0, x), (x, 0, 1), (x, [0], 1, 0)):
        try:
            f(*arguments)
        except TypeError as error:
            if "np." in str(error):
                return str(error)
        except ValueError:
            pass
        else:
            raise AssertionError(f"np.{name} took {arguments}")
    raise AssertionError(f"np.{name}: no message of ours")


def torch_functions() -> list[str]:
    from torch.nn import functional

    return [
        name
        for name, f in sorted(vars(functional).items())
        if name.islower() and not name.startswith("_") and not name.endswith("_")
        if callable(f) and not isinstance(f, type)
    ]


def is_here(name: str) -> bool:
    try:
        return callable(attrgetter(SPELLED.get(name, name))(ag))
    except AttributeError:
        return False


def _names(names: Iterable[str], prefix: str = "") -> str:
    return fill(", ".join(f"`{prefix}{name}`" for name in sorted(names)), 120, break_on_hyphens=False)


def page() -> str:
    """The Markdown of docs/vocabulary.md."""
    functions = numpy_functions()
    fates = {name: fate(f) for name, f in functions.items()}
    sets = {kind: [name for name, found in fates.items() if found == kind] for kind in ("recorded", "plain", "refused")}
    here = [name for name in torch_functions() if is_here(name)]
    absent = [name for name in torch_functions() if not is_here(name)]
    instead = "\n".join(f"- `{name}`: `{ADVICE[name]}`" for name in absent if name in ADVICE)
    refusals: dict[str, list[str]] = {}
    for name in sets["refused"]:
        text, _, _ = refusal(name, functions[name]).partition("\n")  # without the line
        refusals.setdefault(text.replace(f"np.{name}", "np.f"), []).append(name)
    parts = [
        f"""# Vocabulary

This page is made by `python tests/together/numpy_names.py`, and a test compares it with the code.

## NumPy

NumPy {np.__version__.rpartition(".")[0]} has {len(fates)} functions that take arrays, counting aliases once. On Tensors

- {len(sets["recorded"])} are recorded: they have the right gradient, of any order, under NumPy's names and keywords,
- {len(sets["plain"])} return plain arrays, since they have no derivative; but `np.zeros_like` and
  its kin a Tensor to fill, and steps, such as `np.round`, a Tensor without history,
- {len(sets["refused"])} are refused by name, with the cure.

The recorded ones are also in `ag` (`ag.cumsum`, `ag.linalg.inv`), and methods of Tensor where arrays have them, with
these exceptions: `ag.trace` records a computation, so NumPy's is `ag.matrix_trace`; methods that change an array in
place (`sort`, `partition`, `resize`) are refused. In `ag` and in methods, further parameters are passed by keyword:
`t.sum(0, keepdims=True, dtype=float)`. No function takes `out=`, and no ufunc `where=` or `dtype=`; these and a few
rare keywords are refused by their names.

### Recorded

{_names(sets["recorded"], "np.")}

### Complex numbers

A recorded function takes complex numbers where NumPy's does, except these. They compare numbers, and complex ones have
no order; NumPy compares the real parts, and the imaginary parts of those that are equal:
{_names(UNORDERED, "np.")}.

### Plain

{_names(sets["plain"], "np.")}

### Refused

Errors say, with the name of the function instead of `f`:
"""
    ]
    parts += [f"`{error}`:\n{_names(names, 'np.')}\n" for error, names in refusals.items()]
    parts += [
        f"""## torch.nn.functional

It has {len(here) + len(absent)} functions; {len(here)} are here, on NHWC images. Those with another name:
{fill(", ".join(f"`{name}` is `ag.{ours}`" for name, ours in SPELLED.items()), 120)}.
`batch_norm` and `instance_norm` take `(x, w, b, eps)`, the weights before the options; statistics go by name.

### Here

{_names(here)}

### Not here

{_names(name for name in absent if name not in ADVICE)}

Errors say what takes the place of these:

{instead}
"""
    ]
    return "\n".join([*parts, scipy(), onnx()])


def scipy() -> str:
    """The part of the page on SciPy."""
    families = {name: getattr(ag.stats, name) for name in ag.stats.__all__}
    whole = [name for name, family in families.items() if hasattr(family, "pmf")]
    several = [name for name, family in families.items() if not hasattr(family, "cdf")]
    real = families.keys() - {*whole, *several}
    return f"""## SciPy

SciPy's own ufuncs of these names, called on Tensors, run the functions of `ag.special`. They have derivatives of any
order for real numbers, except for orders of Bessel functions, degrees of freedom, and the shapes of `gammainc`,
`gammaincc` and `betainc`, whose gradients are refused. Functions of SciPy that are no ufuncs are refused on Tensors,
and the error names ours. SciPy computes the numbers, and has to be installed, except for `erf`, `erfc`,
`expit`, `log_expit`, `logit`, `logsumexp`, `ndtr` and `xlogy`.

### ag.special

{_names(ag.special.__all__)}

### ag.stats

`logpdf`, `pdf`, `cdf` and `logcdf` of {_names(real)};
`logpmf`, `pmf`, `cdf` and `logcdf` of {_names(whole)};
`logpdf` and `pdf` of {_names(several)}.

### ag.linalg

Beside NumPy's: `solve_triangular`.
"""


def onnx() -> str:
    """The part of the page on ONNX."""
    known = {p.name for p in primitives() if p.packaged}
    written = known & {p.name for p in CONVERTERS if p.packaged}  # a test may have added its own
    return f"""## ONNX

`ag.interop.export_onnx` writes {len(written)} of the {len(known)} primitives, and so every function of them.
Its tests run the examples of each in ONNX Runtime. `ag.interop.load_onnx` reads {len(OPERATORS)} operators, and its
tests run ONNX's own cases of them.

### Primitives that are written

{_names(written)}

### Operators that are read

{_names(OPERATORS)}
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
