"""Assignment, ``t[index] = v``: the result of the operation `set_at` becomes the array and the node of the Tensor.

Its gradients are 0 for the numbers that are replaced, and what stands at the index for `v`. At the first assignment the
Tensor gets memory of its own, `Own`, in which `set_at` writes from then on: a loop over n elements takes one array.
Others only see views that are read-only. NumPy cannot lock such memory, so graphs save copies of what they need of it
(`guards`), and keep their numbers.

A Tensor that is a view of the changed elements would have NumPy's new numbers, and a history without `v`. If it was
read from `t`, it has no array from now on, and its next use raises an error. If `t` was read from it, the assignment
raises one. A table has all Tensors that may share memory.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.guards import of_all
from autograd_cnn.engine.mode import Mode, current
from autograd_cnn.engine.numpy_calls import copied_index, exported, plain, recorded
from autograd_cnn.engine.registry import registry

_sharing: dict[int, Any] = {}
"""By id, as long as they live: Tensors that may share memory, views and those that they were read from."""

given: dict[int, Any] = {}
"""Likewise: the Tensors whose ``data`` was set to an array that others may hold."""


def share(tensor: Any, *others: Any, table: dict[int, Any] = _sharing) -> Any:
    """Enter those of the `others` that are Tensors and then a Tensor into the table, and return it.

    When a Tensor dies, its entry is taken out by C functions alone.
    """
    for t in (*others, tensor):
        if t.__class__ is tensor.__class__ and id(t) not in table:
            table[id(t)] = ref(t, partial(table.pop, id(t)))  # which returns the dead reference, if it came first
    return tensor


class Own(bytearray):
    """The memory of a Tensor that was assigned to."""


def is_own(array: Any) -> bool:
    return isinstance(getattr(getattr(array, "base", None), "base", None), Own)


def assign(tensor: Any, index: Any, value: Any) -> None:
    """Implement ``Tensor.__setitem__``."""
    mode, node, value = current.get(), tensor._node, exported(value)
    source = recorded(value) if mode.recording else None
    if node is not None and (tensor.is_leaf or not mode.recording or node.birth < mode.again):
        why = "is a parameter" if tensor.is_leaf else f"has a history ({node}), which no_grad and checkpoint end"
        raise errors.not_assigned(tensor, why, in_place=tensor.is_leaf and not mode.recording)
    dtype, kind = getattr(value if source is None else source, "dtype", tensor.dtype), tensor.dtype.kind
    if kind != "c" and (dtype.kind == "c" or (source is not None and kind != "f")):
        raise errors.not_assigned(tensor, f"is {tensor.dtype}, and v {dtype}", f"astype(np.{dtype})")
    if node is source is mode.call is None and tensor._array.flags.writeable:  # else a graph saved it
        array, value = tensor._array, plain(value)  # NumPy writes to a mask before it has read all of its own memory
        array[plain(index)] = np.array(value) if np.may_share_memory(array, value) else value
    else:
        is_mask = isinstance(index, type(tensor)) and index.dtype == bool  # which an observer sees as an operand
        _record(tensor, index if mode.left and is_mask else copied_index(index), value, mode)


def _record(tensor: Any, index: Any, value: Any, mode: Mode) -> None:
    place, in_place = tensor, mode.call is None and is_own(tensor._array)
    stale = _stale(tensor, index if in_place else ...)
    if mode.call is None:  # else an observer sees a new array
        array = tensor._array if in_place else _owned(tensor._array)
        place = type(tensor)._of(array.view(), tensor._node, tensor.name)
        place._array.setflags(write=True)
    value = registry["stack"](value) if isinstance(value, (list, tuple)) else value
    if tensor.dtype.kind not in "fc" and getattr(value, "dtype", tensor.dtype) != tensor.dtype:
        value = registry["astype"](value, tensor.dtype)  # else operations make floats of integers
    made = registry["set_at"](place, index, value)
    made.name = tensor.name
    tensor._array, tensor._node = made._array, made._node
    if not isinstance(made._array, np.ndarray):  # else what graphs save of it would look like Tensors that read it
        tensor._array = _owned(made._array)
        of_all(tensor._array).setflags(write=made._node is None)
    for other in stale:
        del other._array


def _owned(array: Any) -> Any:
    """Return a copy in memory of its own."""
    if not isinstance(array, np.ndarray):  # it stands for one example of a batch
        return type(array)(array.level, _owned(array.batch))
    array = array.copy("K")
    return np.ndarray(array.shape, array.dtype, Own(array.ravel("K").data), 0, array.strides)


def _stale(tensor: Any, index: Any) -> list[Any]:
    """Return the Tensors that were read from `tensor`, and whose numbers at `index` it shares; raise if others do.

    If `index` is ``...``, that is whoever shares its memory.
    """
    if id(tensor) in given and not is_own(tensor._array):
        raise errors.not_assigned(tensor, "has an array that was assigned to its data, and that others may hold")
    memory = _memory(tensor)
    others = [entry() for entry in [*_sharing.values()]]
    found = [o for o in others if o is not tensor and _memory(o) is memory]
    if found and index is not ...:
        parts = index if isinstance(index, tuple) else (index,)
        region = tensor._array[index if any(part is ... for part in parts) else (*parts, ...)]
        basic = np.may_share_memory(region, tensor._array)  # else integers or a mask, which read a copy
        found = [o for o in found if not basic or np.shares_memory(region, o._array)]
    owns = memory is of_all(tensor._array)
    for other in found:
        younger = getattr(other._node, "birth", 0) > getattr(tensor._node, "birth", math.inf)
        if not (owns and other._node is None) and (not younger or other._node.plan.primitive is registry["set_at"]):
            raise errors.shares_memory(tensor, other)
    return found


def _memory(tensor: Any) -> Any:
    """Return the array that owns the memory of a Tensor, or that others gave to NumPy; None if it is stale or dead."""
    try:
        array = type(tensor)._array.__get__(tensor)
    except AttributeError:
        return None
    array = of_all(array)
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
