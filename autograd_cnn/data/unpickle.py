"""Reading the pickled CIFAR-10 batches without running them.

Standard library only. A pickle is a program for a stack machine whose dangerous instructions are GLOBAL,
which imports any name, and REDUCE, which calls it. The machine here has the instructions that batches are
written in, by Python 2 or in protocols 3 and 4, and no call among them: GLOBAL knows NumPy's array names only
and leaves them names; REDUCE and BUILD note what was to be called with what. So nothing runs, nothing is
imported, no NumPy object is built from a stranger's state, and what comes out is plain data. `pickletools`,
the standard library's description of the machine, decodes the instructions and says what each takes from the
stack.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
GLOBALS = {"numpy.ndarray", "numpy.dtype", *_RECONSTRUCT}


@dataclass
class Unbuilt:
    """An object that a pickle asks for: what to call, with what, and the state to give to the result."""

    function: str
    arguments: tuple[Any, ...]
    state: Any = None


def read_pickle(raw: bytes) -> Any:
    """The plain data in a pickle; the byte strings of Python 2 come as str, a character a byte.

    Parameters
    ----------
    raw : bytes
        The pickle.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers and strings; an `Unbuilt` in the place of each array and dtype.

    Raises
    ------
    ValueError
        It asks for anything but arrays. A damaged one raises what Python finds wrong first, of any class.

    Examples
    --------
    >>> import pickle, shutil
    >>> read_pickle(pickle.dumps({"labels": [3, 8]}))
    {'labels': [3, 8]}
    >>> read_pickle(pickle.dumps(shutil.rmtree))
    Traceback (most recent call last):
        ...
    ValueError: asks for shutil.rmtree: refused
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for instruction, argument, _ in pickletools.genops(raw):
        name, taken = instruction.name, instruction.stack_before
        if name in _LITERALS:
            stack.append(argument)
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_allowed(*argument.split(" ")))
        elif name in _EFFECTS:
            to_mark = pickletools.markobject in taken
            start = marks.pop() - taken.index(pickletools.markobject) if to_mark else len(stack) - len(taken)
            operands = stack[start:]
            stack[start:] = [_EFFECTS[name](*operands)]
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"holds the instruction {name}: refused")
    return stack.pop()


def _allowed(module: str, name: str) -> str:
    if f"{module}.{name}" not in GLOBALS:
        raise ValueError(f"asks for {module}.{name}: refused")
    return f"{module}.{name}"


def _tuple(*items: Any) -> tuple[Any, ...]:
    return items


def _extend(target: list[Any], *items: Any) -> list[Any]:
    list.extend(target, items)
    return target


def _update(target: dict[str, Any], *items: Any) -> dict[str, Any]:
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | bytes):  # hashing a stranger's nested tuples can take for ever
            raise ValueError(f"has a key of type {type(key).__name__}: refused")
        target[key if isinstance(key, str) else key.decode("latin-1")] = value
    return target


def _build(target: Unbuilt, state: Any) -> Unbuilt:
    target.state = state
    return target


_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "SHORT_BINSTRING",
    "BINSTRING",
    "SHORT_BINBYTES",
    "BINBYTES",
    "SHORT_BINUNICODE",
    "BINUNICODE",
}

_EFFECTS: dict[str, Callable[..., Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "TUPLE": _tuple,
    "TUPLE1": _tuple,
    "TUPLE2": _tuple,
    "TUPLE3": _tuple,
    "APPEND": _extend,
    "APPENDS": _extend,
    "SETITEM": _update,
    "SETITEMS": _update,
    "STACK_GLOBAL": _allowed,
    "REDUCE": Unbuilt,
    "BUILD": _build,
}
