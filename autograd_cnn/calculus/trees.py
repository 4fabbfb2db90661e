"""Trees: nested dicts, lists, tuples and dataclasses, whose leaves are arrays, numbers or Tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from itertools import accumulate
from typing import Any

import numpy as np

from autograd_cnn.engine.arrays import FLOATS, is_complex
from autograd_cnn.engine.registry import registry


def parts_of(tree: Any) -> dict[Any, Any] | None:
    """Return the parts of a tree by key, position or field; None for a leaf. None is a tree without parts."""
    if tree is None or isinstance(tree, dict):
        return tree or {}
    if isinstance(tree, (list, tuple)):
        return dict(enumerate(tree))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree) if field.init}
    return None


@singledispatch
def as_tree(value: Any) -> Any:
    """Return the tree for which a value stands: itself, unless its class registers another one here.

    Such a class has ``replaced(tree)``, which returns a value that stands for another tree of this structure.
    """
    return value


def tree_map(f: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `f` to every leaf, and return the results in the same structure."""
    if (parts := parts_of(tree)) is None:
        return f(tree)
    mapped = {k: tree_map(f, part) for k, part in parts.items()}
    if isinstance(tree, dict):
        return tree | mapped  # an OrderedDict or a defaultdict stays one
    if isinstance(tree, (list, tuple)):
        return type(tree)(*mapped.values()) if hasattr(tree, "_fields") else type(tree)(mapped.values())
    return None if tree is None else dataclasses.replace(tree, **mapped)


def tree_filled(tree: Any, leaves: Iterable[Any]) -> Any:
    """Return a tree of the same structure with other leaves, which are passed from left to right."""
    supply = iter(leaves)
    return tree_map(lambda _: next(supply), tree)


def tree_items(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the place of every leaf, such as ``argument 0['conv1']['w']``, and the leaf, from left to right."""
    if (parts := parts_of(tree)) is None:
        yield path, tree
    for key, part in (parts or {}).items():
        yield from tree_items(part, f"{path}[{key!r}]")


def tree_leaves(tree: Any) -> list[Any]:
    """Return the leaves from left to right."""
    return [leaf for _, leaf in tree_items(tree)]


def leaves_like(caller: str, tree: Any, other: Any, path: str, noun: str = "tangent") -> list[Any]:
    """Return the leaves of `other`, a `noun` of `tree`, in the order of those of `tree`.

    Raises
    ------
    TypeError, ValueError
        If the trees differ in their structure or in the shape of a leaf. The message names the first such place.
    """
    parts, others = parts_of(tree), parts_of(other)
    if parts is None and other is not None:
        if np.shape(tree) != np.shape(other):
            raise ValueError(f"{caller}: {path} is {np.shape(tree)}, its {noun} {np.shape(other)}")
        if is_complex(other) and not is_complex(tree):
            raise TypeError(f"{caller}: {path} is of real numbers, its {noun} of complex ones")
        return [other]
    if parts is None or others is None or type(tree) is not type(other) or parts.keys() != others.keys():
        raise TypeError(f"{caller}: {path} is a {_outline(tree)}, its {noun} a {_outline(other)}")
    return [leaf for k in parts for leaf in leaves_like(caller, parts[k], others[k], f"{path}[{k!r}]", noun)]


def _outline(tree: Any) -> str:
    parts = parts_of(tree)
    return f"{type(tree).__name__} of {', '.join(map(repr, parts))}" if parts else type(tree).__name__


def ravel_pytree(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the numbers of a tree as one vector, and the function that makes such a tree of a vector.

    Minimisers that take one vector, as SciPy's do, can so work on the parameters of a model.

    Parameters
    ----------
    tree : dict, list, tuple or dataclass of float arrays or Tensors, or a Module
        Trees may be nested. A Module stands for a dict of its parameters' arrays.

    Returns
    -------
    vector : (n,) ndarray
        A copy of all numbers, in their common dtype; a Tensor if a leaf is one.
    unravel : callable
        ``unravel(vector)`` has the structure, the shapes and the dtypes of `tree`. From a Tensor it makes Tensors,
        through which gradients flow.

    Raises
    ------
    TypeError
        If a leaf is not of floats.
    ValueError
        By ``unravel``, for a vector of another length.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> vector, unravel = ag.ravel_pytree({"w": np.array([[1.0, 2.0]]), "b": np.array(3.0)})
    >>> vector
    array([1., 2., 3.])
    >>> unravel(2 * vector)
    {'w': array([[2., 4.]]), 'b': array(6.)}
    """
    tree = tree_map(lambda leaf: leaf if hasattr(leaf, "dtype") else np.asarray(leaf), as_tree(tree))
    leaves = tree_leaves(tree)
    for leaf in leaves:
        if leaf.dtype.kind not in FLOATS:
            raise TypeError(f"ravel_pytree: a leaf is {leaf.dtype}, want floats: take it out, or convert it")
    *starts, size = accumulate((leaf.size for leaf in leaves), initial=0)

    def unravel(vector: Any) -> Any:
        if np.shape(vector) != (size,):
            raise ValueError(f"unravel: got {np.shape(vector)}, the tree has {size} numbers: want ({size},)")
        return tree_filled(tree, [_cut(vector, start, leaf) for start, leaf in zip(starts, leaves, strict=True)])

    flat = [registry["reshape"](leaf, (-1,)) for leaf in leaves]
    return registry["concatenate"](flat) if flat else np.zeros(0), unravel


def joined(leaves: list[Any]) -> Any:
    """Return the only leaf, or several as one vector."""
    return leaves[0] if len(leaves) == 1 else ravel_pytree(leaves)[0]


def _cut(vector: Any, start: int, leaf: Any) -> Any:
    """Return the part of `vector` from `start` on in the form of a leaf."""
    part = vector[start : start + leaf.size].reshape(leaf.shape)
    part = part if is_complex(leaf) or not is_complex(part) else np.real(part)
    return part if part.dtype == leaf.dtype else part.astype(leaf.dtype)
