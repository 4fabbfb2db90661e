"""How a primitive is called: its parameters, and the flat arguments of a call.

Flat arguments are in the order of the parameters, with defaults filled in. The arrays of a sequence input
(``concatenate([x, y])``, ``contract("ij,jk", x, y)``) are separate flat arguments, one after the other.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.messages import describe
from autograd_cnn.engine.tensor import Tensor


def untyped(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function without types."""
    parameters = inspect.signature(function).parameters.values()
    return inspect.Signature([p.replace(annotation=p.empty) for p in parameters])


class Parameters:
    """The parameters of a primitive, and the binding of arguments to them.

    Attributes
    ----------
    parameters : tuple of str
        The names of the parameters. `defaults` maps names to default values.
    sequence : str
        The name of the parameter that takes several arrays, or ``""``. `variadic` is True for ``*operands``, and False
        for a list.
    arity : int
        The number of parameters, or -1 with a sequence input: then the arguments of a call are never flat as they are.
    """

    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        self.name = name or function.__name__
        self.signature = self.__signature__ = untyped(function)  # for messages and `help`
        parameters = self.signature.parameters.values()
        self.parameters = tuple(p.name for p in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.sequence: str = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self.variadic = bool(self.sequence)
        self.arity = -1 if self.sequence else len(self.parameters)

    def flat_names(self, elements: int) -> list[str]:
        """Return the parameter of each flat argument, for a sequence input of `elements` arrays."""
        return [n for p in self.parameters for n in [p] * (elements if p == self.sequence else 1)]

    def bind(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, int]:
        """Return the flat arguments, and the length of the sequence input or 0. Remove the used `options`."""
        fixed = list(args)
        if self.variadic:
            k = self.parameters.index(self.sequence)
            fixed = [*args[:k], args[k:]]
        for name in self.parameters[len(fixed) :]:
            if name not in options and name not in self.defaults:
                break
            fixed.append(options.pop(name) if name in options else self.defaults[name])
        if options or len(fixed) != len(self.parameters):
            raise errors.wrong_arguments(self.name, self.signature, args, options)
        if not self.sequence:
            return fixed, 0
        k = self.parameters.index(self.sequence)
        if isinstance(fixed[k], (Tensor, str)) or not hasattr(fixed[k], "__len__"):
            raise TypeError(f"{self.name}: {self.sequence} is a list of tensors, not {describe(fixed[k])}")
        return [*fixed[:k], *fixed[k], *fixed[k + 1 :]], len(fixed[k])

    def nested(self, args: Iterable[Any], elements: int) -> TypeError | None:
        """Return an error if a Tensor with a history is inside of an argument, where no rule reaches it, else None."""
        names = self.flat_names(elements)
        for i, (name, value) in enumerate(zip(names, args, strict=False)):
            label = f"{name}[{i - names.index(name)}]" if name == self.sequence else name
            if not isinstance(value, Tensor) and (path := _path_of_tensor(label, value)):
                return errors.nested(self, name, value, path)
        return None

    def grouped(self, values: list[Any], elements: int) -> list[Any]:
        """Return the arguments as the function takes them, with the arrays of a list input in one list."""
        if self.variadic or not self.sequence:
            return values
        k = self.parameters.index(self.sequence)
        return [*values[:k], values[k : k + elements], *values[k + elements :]]


_leaves = frozenset({int, float, bool, complex, str, bytes, type(None), np.ndarray})


def _path_of_tensor(path: str, value: Any) -> str | None:
    """Return the path of a Tensor with a history in nested containers and objects, ``params['w']``, or None."""
    waiting, visited = deque([(path, value)]), {id(value)}
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, Tensor):
            if value.requires_grad:
                return path
            continue
        if isinstance(value, Mapping):
            parts = [(f"{path}[{k!r}]", v) for k, v in value.items()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            parts = [(f"{path}[{i}]", v) for i, v in enumerate(value)] if {*map(type, value)} - _leaves else []
        else:
            attributes = {} if isinstance(value, (type, ModuleType)) else getattr(value, "__dict__", {})
            parts = [(f"{path}.{k}", v) for k, v in attributes.items()]
        for part in parts:
            if type(part[1]) not in _leaves and id(part[1]) not in visited:
                visited.add(id(part[1]))
                waiting.append(part)
    return None
