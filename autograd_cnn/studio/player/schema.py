"""Describes the page's facts: a `Page` and what it consists of, with the names that the script reads.

In the page a record is an object, without the fields that are None; a text that contains numbers is a list of pieces,
see `pieces`. A value is given by its id, and an operation by its id or its index.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from autograd_cnn.studio.player.wording import pieces

# The network at some moments (`frames`) of its training, and its pictures at some depths, of which one is the usual
Page = namedtuple("Page", "frames pictures quiz usual classes")

# Boxes (id, and its centre as fractions of width and height); wires (both ends, and the value whose name the wire has,
# if it has one); and the row of each operation
Drawing = namedtuple("Drawing", "depth boxes wires rows result")

# An overlay: its texts and bars by box, and those of the rows of folded pictures; or, as caption, why not
Lens = namedtuple("Lens", "caption boxes folded", defaults=(None, None))

# Everything about the network at one moment of its training; `values` and `overlays` by name, `quiz` a list by level
Moment = namedtuple(
    "Moment", "name scalar steps ops values result summary update quiz overlays label image",
    defaults=(None, None, None),
)  # fmt: skip

# A step: its question, sentences, formulas and costs; `op` is the index of its operation, or -1
Step = namedtuple(
    "Step", "kind ask say op formulas costs goal source inputs round holds term warn",
    defaults=(None, None, None, None, None, None, None, None, None),
)  # fmt: skip

# The chain rule with its numbers; `check` tells of a run with a raised number, and `plot` of more of them
Formula = namedtuple("Formula", "lines note check plot", defaults=("", None))

# The loss at some places, of which the one with the index `base` is the present one, and its tangent there. `axis` has
# the texts below both ends and the middle; `curve` the heights of the losses in thousandths of the frame, None where a
# loss is not finite; `rise` is that of the tangent from place to place. At each of the `places`, `says` tells what
# happens, and `numbers` has the texts of the values that change
Plot = namedtuple("Plot", "caption curve rise axis base places says numbers", defaults=(None,))

# An operation, the user's `own` or one of the package: its line and those of its rules, the values that get a gradient,
# those that a rule names, and what the rules call
Operation = namedtuple(
    "Operation", "name inputs output learns scope forward rules used calls source own versions reach"
)

# An array, its gradient, and what each operation contributed: its index and a look. `code` and `full` are its names in
# the program and in full; `example` is an index of its maps; `axes` are their names
Value = namedtuple("Value", "name role shape dtype code full array gradient example parts axes")

# An array: its `number`, if it is one; all elements or the first; and how many are not finite. The statistics are the
# least, the mean, rms and the largest number, and the share of zeros; `bars` are a histogram
Look = namedtuple("Look", "size number elements statistics bars bad maps")

# The drawn part of an array; `start` is the place of its numbers in the `Store`
Maps = namedtuple("Maps", "start shape words index step colour")

# How the output of an operation depends on its inputs, by windows, by rows, or element by element: see `geometry`.
# `won` are the maps of the winners of a pool
Reach = namedtuple(
    "Reach", "fine coarse w b group kernel stride pad dilation pool won rows each others gate",
    defaults=(None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
)  # fmt: skip

# The rule of an operation as written, or with a broken `line`, beside differences; `what` is wrong with it. A row is an
# element of a gradient, the number by differences and by the rule, and whether they are near
Version = namedtuple("Version", "line text what rows good says")

# Steps against the gradient at some rates, with the lines of each, one of them first; `more` arrays have none
Update = namedtuple("Update", "start rates lines more plot")

# A question of the quiz; of its answers, each with its reason, the first is right. A picture has grids and signs
Question = namedtuple("Question", "step text answers picture")

# Rows of numbers, and which of them are marked
Grid = namedtuple("Grid", "rows caption marks")

# Lines of the user: of each its number, and its text before, in and after the expression that is marked
Source = namedtuple("Source", "at lines")


def plain_data(thing: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(thing, str):
        return pieces(thing)
    if hasattr(thing, "_asdict"):
        thing = {name: value for name, value in thing._asdict().items() if value is not None}
    if isinstance(thing, dict):
        return {key: plain_data(value) for key, value in thing.items()}
    return [plain_data(part) for part in thing] if isinstance(thing, (list, tuple)) else thing
