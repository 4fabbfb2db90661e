"""Reads the pickled CIFAR-10 batches without executing them.

A pickle is a program for a stack machine whose dangerous instructions are GLOBAL, which imports any name, and REDUCE,
which calls it. The machine here has only the instructions in which Python 2, or Python 3 in any of its protocols,
writes batches. None of them calls anything: GLOBAL accepts the names of arrays and bytes only, and returns them as
strings; REDUCE and BUILD record the call and its arguments. So nothing runs, nothing is imported, no NumPy object is
built from untrusted state, and the result is plain data. `pickletools`, the standard library's description of the
machine, decodes the instructions and states what each takes from the stack.

A value may occur in itself many times, through the memo: a few hundred bytes can stand for 2**50 tuples. So nothing
here walks, compares, hashes or prints a value before it knows that the value is a string or a number.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograd_cnn.environment import plain

MOST = 1_000_000  # instructions; a batch of 10,000 images has at most 120,000
LONGEST = 1000  # characters of a key, since a long one can be hashed again and again
GLOBALS = {
    "numpy.ndarray", "numpy.dtype", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer", "_codecs.encode", "__builtin__.bytes",
}  # fmt: skip


@dataclass
class Unbuilt:
    """An object that a pickle asks for: the function to call, its arguments, and the state of the result."""

    function: str
    arguments: tuple[Any, ...]
    state: Any = None


def read_pickle(raw: bytes) -> Any:
    """Read the plain data in a pickle.

    Byte strings of Python 2, and of protocols 0 to 2, become str, one character for each byte.

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
        If the pickle asks for anything but arrays and bytes, or has too many instructions. A damaged pickle may
        raise an exception of any class.

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
    for count, (instruction, argument, _) in enumerate(pickletools.genops(raw)):
        if count >= MOST:
            raise ValueError(f"has more than {MOST:,} instructions: refused")
        name, taken = instruction.name, instruction.stack_before
        if name in _LITERALS:
            stack.append(argument)
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
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
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("asks for something without a name: refused")
    if f"{module}.{name}" not in GLOBALS:
        raise ValueError(f"asks for {plain(f'{module[:LONGEST]}.{name[:LONGEST]}')}: refused")
    return f"{module}.{name}"


def _extend(target: list[Any], *items: Any) -> list[Any]:
    list.extend(target, items)
    return target


def _update(target: dict[str, Any], *items: Any) -> dict[str, Any]:
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | bytes):
            raise ValueError(f"has a key of type {type(key).__name__}: refused")
        if len(key) > LONGEST:
            raise ValueError(f"has a key of {len(key):,} characters: refused")
        target[key if isinstance(key, str) else key.decode("latin-1")] = value
    return target


def _reduce(function: str, arguments: Any) -> Unbuilt | str:
    """Record a call, except those by which protocols 0 to 2 write bytes: they are read as str."""
    if not isinstance(function, str) or not isinstance(arguments, tuple):
        raise ValueError("calls something without a name: refused")
    if function == "_codecs.encode":
        text, encoding = arguments
        if not isinstance(text, str) or not isinstance(encoding, str) or encoding != "latin1":
            raise ValueError("has bytes that are not text in latin1: refused")
        return text
    return "" if function == "__builtin__.bytes" and not arguments else Unbuilt(function, arguments)


def _build(target: Unbuilt, state: Any) -> Unbuilt:
    target.state = state
    return target


_LITERALS = {
    "BININT", "BININT1", "BININT2", "INT", "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BYTEARRAY8",
    "SHORT_BINUNICODE", "BINUNICODE", "UNICODE",
}  # fmt: skip

_EFFECTS: dict[str, Callable[..., Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST LIST": lambda *items: list(items),
    "EMPTY_DICT DICT": lambda *items: _update({}, *items),
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3": lambda *items: items,
    "APPEND APPENDS": _extend,
    "SETITEM SETITEMS": _update,
    "STACK_GLOBAL": _allowed,
    "REDUCE": _reduce,
    "BUILD": _build,
}
_EFFECTS = {name: effect for names, effect in _EFFECTS.items() for name in names.split()}
