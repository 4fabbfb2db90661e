"""Trees: nested dicts, lists, tuples and dataclasses, whose leaves are arrays, numbers or Tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_cnn.engine.fitting import FLOATS, is_complex
from autograd_cnn.engine.registry import registry


def tree_map(f: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `f` to every leaf, and return the results in the same structure. None is a tree without leaves."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return tree | {k: tree_map(f, v) for k, v in tree.items()}  # an OrderedDict or a defaultdict stays one
    if isinstance(tree, (list, tuple)):
        parts = [tree_map(f, v) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)  # of a namedtuple, or not
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        fields = [field.name for field in dataclasses.fields(tree) if field.init]
        return dataclasses.replace(tree, **{name: tree_map(f, getattr(tree, name)) for name in fields})
    return f(tree)


def tree_items(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the place of every leaf, such as ``argument 0['conv1']['w']``, and the leaf, from left to right."""
    if isinstance(tree, (dict, list, tuple)) or (dataclasses.is_dataclass(tree) and not isinstance(tree, type)):
        for key, part in parts_of(tree).items():
            yield from tree_items(part, f"{path}[{key!r}]")
    elif tree is not None:
        yield path, tree


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
    if tree is None or other is None or isinstance(tree, (dict, list, tuple)) or dataclasses.is_dataclass(tree):
        parts, others = parts_of(tree), parts_of(other)
        if type(tree) is not type(other) or parts.keys() != others.keys():
            raise TypeError(f"{caller}: {path} is a {_outline(tree)}, its {noun} a {_outline(other)}")
        return [leaf for k in parts for leaf in leaves_like(caller, parts[k], others[k], f"{path}[{k!r}]", noun)]
    if np.shape(tree) != np.shape(other):
        raise ValueError(f"{caller}: {path} is {np.shape(tree)}, its {noun} {np.shape(other)}")
    if is_complex(other) and not is_complex(tree):
        raise TypeError(f"{caller}: {path} is of real numbers, its {noun} of complex ones")
    return [other]


def parts_of(tree: Any) -> dict[Any, Any]:
    """Return the parts of a tree by key, position or field."""
    if dataclasses.is_dataclass(tree):
        return {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree) if field.init}
    return tree if isinstance(tree, dict) else dict(enumerate(tree)) if isinstance(tree, (list, tuple)) else {}


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
    if hasattr(type(tree), "named_parameters"):
        tree = {name: parameter.data for name, parameter in tree.named_parameters()}
    tree = tree_map(lambda leaf: leaf if hasattr(leaf, "dtype") else np.asarray(leaf), tree)
    leaves = tree_leaves(tree)
    for leaf in leaves:
        if leaf.dtype.kind not in FLOATS:
            raise TypeError(f"ravel_pytree: a leaf is {leaf.dtype}, want floats: take it out, or convert it")
    size = sum(int(leaf.size) for leaf in leaves)

    def unravel(vector: Any) -> Any:
        if np.shape(vector) != (size,):
            raise ValueError(f"unravel: got {np.shape(vector)}, the tree has {size} numbers: want ({size},)")
        start = 0

        def piece(leaf: Any) -> Any:
            nonlocal start
            part = vector[start : start + leaf.size].reshape(leaf.shape)
            start += leaf.size
            part = part if is_complex(leaf) or not is_complex(part) else np.real(part)
            return part if part.dtype == leaf.dtype else part.astype(leaf.dtype)

        return tree_map(piece, tree)

    flat = [registry["reshape"](leaf, (-1,)) for leaf in leaves]
    return registry["concatenate"](flat) if flat else np.zeros(0), unravel
