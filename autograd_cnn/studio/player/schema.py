"""Describes the page's facts: a `Page` and what it consists of, with the names that the script reads.

In the page a record is an object, without the fields that are None; a text that contains numbers is a list of pieces,
see `pieces`. A value is given by its id, and an operation by its id or its index.
"""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from typing import Any

from autograd_cnn.studio.player.wording import pieces


@dataclass(frozen=True)
class Page:
    """The network at some moments of its training, and its pictures at some depths, of which one is the usual."""

    frames: list[Moment]
    pictures: list[Drawing]
    quiz: bool
    usual: int
    classes: list[str]


@dataclass(frozen=True)
class Drawing:
    """Boxes with their centres as fractions of width and height, wires, and the row of each operation.

    A wire has its ends, and the value whose name it has, if it has one.
    """

    depth: int
    boxes: list[tuple[str, float, float]]
    wires: list[tuple[str, str, str]]
    rows: list[int]
    result: str


@dataclass(frozen=True)
class Lens:
    """An overlay: its texts and bars by box, and those of the rows of folded pictures; or, as caption, why not."""

    caption: str
    boxes: dict[str, Any] | None = None
    folded: list[dict[str, Any] | None] | None = None


@dataclass(frozen=True)
class Moment:
    """Everything about the network at one moment of its training."""

    name: str
    scalar: bool
    steps: list[Step]
    ops: list[Operation]
    values: dict[str, Value]
    result: str
    summary: str
    update: Update | None
    quiz: list[list[Question]]
    overlays: dict[str, Lens] | None = None
    label: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class Step:
    """A step: its question, sentences, formulas and costs; `op` is the index of its operation, or -1."""

    kind: str
    ask: str
    say: str
    op: int
    formulas: list[Formula] | None = None
    costs: str | None = None
    goal: list[str] | None = None
    source: Source | None = None
    inputs: list[str] | None = None
    round: str | None = None
    holds: str | None = None
    term: str | None = None
    warn: str | None = None


@dataclass(frozen=True)
class Formula:
    """The chain rule with its numbers; `check` tells of a run with a raised number, and `plot` of more of them."""

    lines: list[str]
    note: str
    check: str = ""
    plot: Plot | None = None


@dataclass(frozen=True)
class Plot:
    """The loss at some places, of which the one with the index `base` is the present one, and its tangent there.

    `axis` has the texts below both ends and the middle; `curve` the heights of the losses in thousandths of the frame,
    None where a loss is not finite; `rise` is that of the tangent from place to place. At each of the `places`, `says`
    tells what happens, and `numbers` are the texts of the values that change.
    """

    caption: str
    curve: list[int | None]
    rise: int | None
    axis: list[str]
    base: int
    places: list[str]
    says: list[str]
    numbers: dict[str, list[str]] | None = None


@dataclass(frozen=True)
class Operation:
    """The line of an operation and those of its rules, the values that get a gradient, and those that a rule names.

    It is the user's `own`, or one of the package.
    """

    name: str
    inputs: list[str]
    output: str
    learns: list[str]
    scope: str
    forward: str
    rules: list[str]
    used: list[str]
    calls: list[str]
    source: Source
    own: bool
    versions: list[Version] | None
    reach: Reach | None


@dataclass(frozen=True)
class Value:
    """An array, its gradient, and what each operation contributed.

    `code` and `full` are its names in the program and in full. `example` is an index of its
    maps; `axes` are their names.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    code: str
    full: str
    array: Look | None
    gradient: Look | None
    example: int | None
    parts: list[tuple[int, Look | None]] | None
    axes: tuple[str, ...] | None


@dataclass(frozen=True)
class Look:
    """An array: its `number`, if it is one; all elements or the first; and how many are not finite.

    The statistics are the least, the mean, rms and the largest number, and the share of zeros; `bars` are a histogram.
    """

    size: int
    number: str | None
    elements: list[str]
    statistics: list[str] | None
    bars: list[int] | None
    bad: int | None
    maps: Maps | None


@dataclass(frozen=True)
class Maps:
    """The drawn part of an array; `start` is the place of its numbers in the `Store`."""

    start: int
    shape: list[int]
    words: str
    index: str
    step: int
    colour: int


@dataclass(frozen=True)
class Reach:
    """How the output of an operation depends on its inputs, by windows, by rows, or element by element: see `geometry`.

    `won` are the maps of the winners of a pool.
    """

    fine: str | None = None
    coarse: str | None = None
    w: str | None = None
    b: str | None = None
    group: tuple[int, ...] | None = None
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    pad: tuple[int, ...] | None = None
    dilation: tuple[int, ...] | None = None
    pool: bool | None = None
    won: Maps | None = None
    rows: bool | None = None
    each: list[str] | None = None
    others: list[str] | None = None
    gate: bool | None = None


@dataclass(frozen=True)
class Version:
    """The rule of an operation as written, or with a broken `line`, beside differences; `what` is wrong with it.

    A row is an element of a gradient, the number by differences and by the rule, and whether they are near.
    """

    line: int
    text: str
    what: str
    rows: list[tuple[str, str, str, bool]]
    good: bool
    says: str


@dataclass(frozen=True)
class Update:
    """Steps against the gradient at some rates, with the lines of each, one of them first; `more` arrays have none."""

    start: int
    rates: list[float]
    lines: list[list[tuple[str, str]]]
    more: int
    plot: Plot


@dataclass(frozen=True)
class Question:
    """A question of the quiz; of its answers, each with its reason, the first is right. A picture has signs, too."""

    step: int
    text: str
    answers: list[tuple[str, str]]
    picture: list[Grid | str] | None


@dataclass(frozen=True)
class Grid:
    """Rows of numbers, and which of them are marked."""

    rows: list[list[str]]
    caption: str
    marks: list[list[bool]]


@dataclass(frozen=True)
class Source:
    """Lines of the user: of each its number, and its text before, in and after the expression that is marked."""

    at: str
    lines: list[tuple[int, str, str, str]]


def plain_data(thing: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(thing, str):
        return pieces(thing)
    if is_dataclass(thing):
        thing = {name: value for name, value in vars(thing).items() if value is not None}
    if isinstance(thing, dict):
        return {key: plain_data(value) for key, value in thing.items()}
    return [plain_data(part) for part in thing] if isinstance(thing, (list, tuple)) else thing
