"""Reads the pickled CIFAR-10 batches without executing them.

Imports the standard library only. A pickle is a program for a stack machine whose dangerous instructions are GLOBAL,
which imports any name, and REDUCE, which calls it. The machine here has only the instructions in which Python 2, or
protocols 3 and 4, write batches. None of them calls anything: GLOBAL accepts NumPy's array names only, and returns them
as strings; REDUCE and BUILD record the call and its arguments. So nothing runs, nothing is imported, no NumPy object is
built from untrusted state, and the result is plain data. `pickletools`, the standard library's description of the
machine, decodes the instructions and states what each takes from the stack.
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
    """An object that a pickle asks for: the function to call, its arguments, and the state of the result."""

    function: str
    arguments: tuple[Any, ...]
    state: Any = None


def read_pickle(raw: bytes) -> Any:
    """Read the plain data in a pickle; byte strings of Python 2 become str, one character for each byte.

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
        If the pickle asks for anything but arrays. A damaged pickle may raise an exception of any class.

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
        if not isinstance(key, str | bytes):  # hashing nested tuples can take for ever
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
