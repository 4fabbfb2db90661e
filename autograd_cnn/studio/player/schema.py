"""Lists the objects in the page's JSON, with the names that the script reads.

A field that is None is left out. A text that contains numbers is a list of pieces: see `pieces`. A value is given by
its id, and an operation by its id or its index.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from autograd_cnn.studio.player.wording import pieces

# The network at some moments of its training, and its pictures at some depths, of which one is the usual
Page = namedtuple("Page", "frames labels pictures quiz usual")
# Boxes with their centres as fractions of width and height; wires with their ends and, if labelled, the value that they
# carry, or 1 for what is kept; and the row of each operation
Drawing = namedtuple("Drawing", "depth boxes wires rows result")
# An overlay: its texts and bars by box, and those of the rows of folded pictures; or the reason why it is missing
Lens = namedtuple("Lens", "caption boxes folded missing", defaults=(None, None, None, None))
# Everything about the network at one moment of its training; `worth` are remarks with the steps that show them
Moment = namedtuple(
    "Moment", "name scalar steps ops values functions places result summary update worth quiz overlays image"
)
# What a step asks, says, computes and costs; `op` is the index of its operation, or -1; `held` are bytes
Step = namedtuple(
    "Step",
    "kind ask say op formulas costs goal place inputs round held holds term warn",
    defaults=(None, None, None, None, None, None, None, None, None, None),
)
Formula = namedtuple("Formula", "lines note check", defaults=("",))  # `check` tells of a run with a raised number
# The line of an operation and the lines of its rules; the values that get a gradient, and those that a rule names
Operation = namedtuple(
    "Operation", "id name inputs output learns scope forward rules used calls place comparison reach"
)
# An array, its gradient, and how each operation contributed; `code` and `full` are its names in the program and in
# full if they differ. `number` and `slope` are those of a single number; `example` is an index of its maps
Value = namedtuple("Value", "name role type code full array gradient number slope example parts")
Part = namedtuple("Part", "op look")
# Of an array all elements or the first; least, mean, rms and largest; heights of a histogram; numbers not finite
Look = namedtuple("Look", "size elements statistics zeros bars bad maps")
Maps = namedtuple("Maps", "start shape words index step colour")  # `start` is the place of the numbers in the `Store`
# How the output of an operation depends on its inputs: see `geometry`. `won` are the maps of the winners of a pool
Window = namedtuple("Window", "fine coarse kernel stride pad dilation w b group pool won")
Rows = namedtuple("Rows", "rows fine coarse w b group")
Each = namedtuple("Each", "each others gate")
Reach = Window | Rows | Each
# Gradients by the rules of an operation and by differences, whether they agree, all and each, and broken lines
Comparison = namedtuple("Comparison", "tables agree mistakes")
Table = namedtuple("Table", "name at differences rule near")
Mistake = namedtuple("Mistake", "line text what table off")
# Steps against the gradient, each at a learning rate, with the loss after it
Update = namedtuple("Update", "start choices more why")
Choice = namedtuple("Choice", "lr rate after lines say")
Question = namedtuple("Question", "step text answers")  # of the answers, each with its reason, the first is right
Excerpt = namedtuple("Excerpt", "first lines")  # of a function of the user: the number of the first line
Source = namedtuple("Source", "at function line marked")  # a line, in three parts if its expression is known


def plain_data(thing: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(thing, str):
        return pieces(thing)
    if hasattr(thing, "_asdict"):
        thing = {name: value for name, value in thing._asdict().items() if value is not None}
    if isinstance(thing, (list, tuple)):
        return [plain_data(part) for part in thing]
    return {key: plain_data(value) for key, value in thing.items()} if isinstance(thing, dict) else thing
