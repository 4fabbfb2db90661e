"""Modules and plain functions, called one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from autograd_cnn.nn.module import Module


class Function(Module):
    """Calls a function: the form that a plain function takes in a `Sequential`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.forward = function

    def _described(self) -> str:
        return getattr(self.forward, "__name__", "Function")


class Sequential(Module):
    """Calls layers one after the other: modules, and plain functions of one Tensor.

    Layers that are passed by keyword have that name. The others are called ``0``, ``1``, ...

    Raises
    ------
    TypeError
        If a layer cannot be called, or is a class, or has the name of a method.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> from autograd_cnn import nn
    >>> model = nn.Sequential(nn.Linear(2, 3), ag.tanh, lambda x: x.mean(axis=1), scale=nn.Linear(3, 1))
    >>> len(model), model[-1].w.name
    (4, 'scale.w')
    >>> model[:2]
    Sequential(): 9 parameters
      0  Linear()  w (2, 3), b (3,)  9
      1  tanh
    """

    def __init__(self, *layers: Callable[[Any], Any], **named: Callable[[Any], Any]) -> None:
        for name, layer in {**{str(i): layer for i, layer in enumerate(layers)}, **named}.items():
            if isinstance(layer, (list, tuple)):
                kind = type(layer).__name__
                raise TypeError(f"Sequential: layer {name} is a {kind}. Its layers one by one: nn.Sequential(*layers)")
            if isinstance(layer, type) or not callable(layer):
                cure = f"{layer.__name__}(...)" if isinstance(layer, type) else "a layer, or a function such as ag.relu"
                raise TypeError(f"Sequential: layer {name} is {layer!r}, want {cure}")
            if hasattr(Sequential, name):
                raise TypeError(f"Sequential: a layer cannot be called {name}, which every module has")
            setattr(self, name, layer if isinstance(layer, Module) else Function(layer))

    def forward(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return iter([layer for layer in [*vars(self).values()] if isinstance(layer, Module)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]
