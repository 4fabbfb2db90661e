"""Arguments out of range, and what a public callable of any room says of them: `complaints_of`."""

import inspect
import math
import re
import warnings

import numpy as np

HUGE = 2**62
THING = object()
BAD = [0, -1, 1.5, math.nan, math.inf, HUGE, -HUGE, 10**30, "a", None, [], (), (1, 2, 3, 4, 5), True, THING]


def outcome(function, bound):
    """The result, or the error, of a call on copies of its arrays."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*bound.args, **bound.kwargs)
    except Exception as error:
        return error


def complaints_of(function, *args):
    """List the faults in what a function says of its usual arguments, each replaced by each of `BAD` in turn.

    An error has to begin with the name of the function, or to name the argument.
    """
    title = title_of(function)
    signature, complaints = inspect.signature(function), []
    usual = signature.bind(*args)
    usual.apply_defaults()
    for parameter, value in usual.arguments.items():
        for bad in BAD:
            bound = signature.bind(*args)
            varied = signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL
            bound.arguments[parameter] = (bad, *value[1:]) if varied else bad
            got = outcome(function, bound)
            if isinstance(got, AssertionError) and title == "check_gradients":
                continue  # a difference
            if isinstance(got, Exception) and not isinstance(got, (ValueError, TypeError, IndexError)):
                complaints.append(f"{title}({parameter}={bad!r:.25}): {type(got).__name__}: {got}")
            elif isinstance(got, Exception) and not clear(str(got), title, parameter):
                complaints.append(f"{title}({parameter}={bad!r:.25}): unnamed: {got}")
    return complaints


def title_of(function):
    return getattr(function, "title", function.__name__)


def clear(text, title, parameter):
    """Whether a message begins with the function, or its primitive, or names the argument."""
    return text.lower().startswith(title.lower()) or parameter in text or re.match(r"\S+: ", text) is not None
