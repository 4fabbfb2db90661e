"""Networks: modules that hold parameters, the usual layers, and how weights are first drawn.

May import `autograd_cnn.ops` and the engine. A `Module` is a plain object: what is hung up in it is found by
looking at its attributes, so there is nothing to register and no ``super().__init__()`` to forget.

============================================  ================================================================
attribute                                     is
============================================  ================================================================
Tensor with ``requires_grad=True``            a parameter
Tensor without                                a buffer, or a frozen parameter: saved and loaded, not trained
Module, or list, tuple, dict of these         a part of the model: ``blocks.0.conv1.w``
anything else, results of operations, arrays  the user's own affair
============================================  ================================================================

Images are NHWC, weights of convolutions HWIO and of linear layers (in, out).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.messages import missing
from autograd_cnn.engine.tape import no_grad, scope
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.state import check_state

Self = TypeVar("Self", bound="Module")


def _children(part: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of what hangs directly in a module or a container."""
    if isinstance(part, Module):
        part = vars(part)
    if isinstance(part, Mapping):
        yield from ((str(name), child) for name, child in part.items())
    elif isinstance(part, (list, tuple)):
        yield from ((str(i), child) for i, child in enumerate(part))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _parts(
    part: Any, path: str = "", owner: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, str, Module | Tensor]]:
    """(path, path of the owner, part) of modules and leaf Tensors, in the order of hanging up, each once."""
    seen = set() if seen is None else seen
    if isinstance(part, Module) or (isinstance(part, Tensor) and part.is_leaf):
        if id(part) in seen:
            return
        seen.add(id(part))
        yield path, owner, part
    if isinstance(part, Module):
        owner = path
    for name, child in _children(part):
        yield from _parts(child, _join(path, name), owner, seen)


def _adopt(part: Any, path: str, before: str = "") -> None:
    """Call a part, and what hangs below it, by its place. What got a name at another place keeps it.

    `before` is what the part was called as long as what it hangs in was a tree of its own.
    """
    if isinstance(part, Tensor):
        if part.is_leaf and part.name in (None, before):
            part.name = path
        return
    if isinstance(part, Module):
        if part.path not in ("", before):
            return
        before, part.path = part.path, path
    for name, child in _children(part):
        _adopt(child, _join(path, name), _join(before, name))


def _table(rows: list[list[str]]) -> list[str]:
    """Rows as lines with aligned columns, the last one to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])]).rstrip() for row in rows]


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str)) or (isinstance(value, tuple) and all(map(_is_plain, value)))


class Module:
    """A function with parameters. Subclasses hang them up as attributes and write ``forward``.

    A parameter is named after the place where it was hung up first, counted from the root: ``conv1.w``. A
    parameter or a module that hangs in two places is shared: it counts once, under its first name. Every
    module has a `path`, its place in the model ("" for the root), and `training`, False after `eval`.

    What `forward` wants to leave behind for a look it stores as an array, ``self.seen = h.data``: a Tensor
    made under `no_grad` would pass for a buffer.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> from autograd_cnn import nn
    >>> class Net(nn.Module):
    ...     def __init__(self, rng):
    ...         self.conv1 = nn.Conv2d(3, 8, 3, padding=1, rng=rng)
    ...         self.fc = nn.Linear(2048, 10, rng=rng)
    ...     def forward(self, x):
    ...         h = ag.max_pool2d(ag.relu(self.conv1(x)), 2)
    ...         return self.fc(ag.flatten(h, 1))
    >>> model = Net(np.random.default_rng(0))
    >>> model(np.zeros((5, 32, 32, 3), np.float32)).shape
    (5, 10)
    >>> [name for name, _ in model.named_parameters()]
    ['conv1.w', 'conv1.b', 'fc.w', 'fc.b']
    >>> model
    Net(): 20,714 parameters
      conv1  Conv2d(padding=1)  w (3, 3, 3, 8), b (8,)     224
      fc     Linear()           w (2048, 10), b (10,)   20,490
    """

    forward: Callable[..., Any]
    path = ""
    training = True

    if not TYPE_CHECKING:  # a checker is to find what is not there

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(missing(name, type(self).__name__, [*vars(self), *dir(type(self))]))

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        _adopt(value, _join(self.path, name))

    def __call__(self, *args: Any, **options: Any) -> Any:
        if not self.path:
            return self.forward(*args, **options)
        with scope(self.path):
            return self.forward(*args, **options)

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers by path."""
        _adopt(self, self.path, self.path)  # an append to a list of modules went by unseen
        return {path: part for path, _, part in _parts(self) if isinstance(part, Tensor)}

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (part for _, _, part in _parts(self) if isinstance(part, Module))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(path from here, parameter), a shared one once."""
        return ((path, t) for path, t in self._tensors().items() if t.requires_grad)

    def parameters(self) -> Iterator[Tensor]:
        """What an optimiser takes: every Tensor below with ``requires_grad=True``, a shared one once."""
        return (t for _, t in self.named_parameters())

    def train(self: Self) -> Self:
        """Switch this module and all below it to training; return it."""
        return self._switch(True)

    def eval(self: Self) -> Self:
        """Switch to evaluation: batch norm uses its running statistics, dropout drops nothing; return it."""
        return self._switch(False)

    def _switch(self: Self, training: bool) -> Self:
        for module in self.modules():
            module.training = training
        return self

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """A copy of every parameter and buffer by its path from here, a shared one once."""
        return {path: tensor.numpy() for path, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a copy of what `state_dict` gave, all or nothing; a graph keeps the old values.

        Raises
        ------
        ValueError
            Where a name is missing or unknown, or a shape or dtype differs: every one is listed.

        Examples
        --------
        >>> import numpy as np
        >>> from autograd_cnn import nn
        >>> model, twin = (nn.Linear(2, 3, rng=np.random.default_rng(seed)) for seed in (0, 1))
        >>> twin.load_state_dict(model.state_dict())
        >>> bool((twin.w == model.w).all())
        True
        >>> twin.load_state_dict({"w": np.zeros((2, 4), np.float32), "bias": np.zeros(3)})
        Traceback (most recent call last):
            ...
        ValueError: Linear.load_state_dict: the state of something else; nothing was loaded
          missing: b
          not known here: bias
          w: (2, 4) float32, want (2, 3) float32
        """
        own = self._tensors()
        arrays = {path: tensor.data for path, tensor in own.items()}
        check_state(f"{type(self).__name__}.load_state_dict", arrays, state)
        copies = [np.array(state[path], order="C") for path in own]
        for tensor, array in zip(own.values(), copies, strict=True):
            tensor.data = array

    def _described(self) -> str:
        """``Conv2d(padding=1)``: the arguments of the constructor that were kept and are not the defaults."""
        kept = vars(self)
        options = [
            f"{name}={kept[name]!r}"
            for name, parameter in inspect.signature(type(self)).parameters.items()
            if name in kept and _is_plain(kept[name]) and kept[name] != parameter.default
        ]
        return f"{type(self).__name__}({', '.join(options)})"

    def _inventory(self) -> dict[str, tuple[Module, dict[str, Tensor]]]:
        """By path: every module, and the tensors that hang in it and in no module below it."""
        found: dict[str, tuple[Module, dict[str, Tensor]]] = {}
        for path, owner, part in _parts(self):
            if isinstance(part, Module):
                found[path] = (part, {})
            else:
                found[owner][1][path.removeprefix(f"{owner}.")] = part
        return found

    def __repr__(self) -> str:
        rows = []
        for path, (module, tensors) in self._inventory().items():
            shapes = ", ".join(f"{name} {t.shape}" for name, t in tensors.items())
            rows.append([path, module._described(), shapes, f"{_count(tensors):,}" if tensors else ""])
        total = f"{self._described()}: {_count(self._tensors()):,} parameters"
        if len(rows) == 1:
            return ", ".join(filter(None, [total, rows[0][2]]))
        lines = _table(rows if rows[0][2] else rows[1:])
        return "\n".join([total, *(f"  {line}" for line in lines)])

    def summary(self, input_shape: tuple[int, ...]) -> str:
        """A table of what happens to an input of this shape: layer, kind, output shape, parameters.

        Runs `forward` on zeros, in evaluation mode and unrecorded, and leaves every attribute as it was.

        Parameters
        ----------
        input_shape : tuple of int
            With the batch: (N, H, W, C).

        Examples
        --------
        >>> import numpy as np
        >>> from autograd_cnn import nn
        >>> rng = np.random.default_rng(0)
        >>> conv, fc = nn.Conv2d(3, 16, 3, padding=1, rng=rng), nn.Linear(4096, 10, rng=rng)
        >>> model = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), fc)
        >>> print(model.summary((100, 32, 32, 3)))
        layer  kind                      output             parameters
               Sequential()              (100, 10)                   0
        0      Conv2d(padding=1)         (100, 32, 32, 16)         448
        1      ReLU()                    (100, 32, 32, 16)           0
        2      MaxPool2d(kernel_size=2)  (100, 16, 16, 16)           0
        3      Flatten()                 (100, 4096)                 0
        4      Linear()                  (100, 10)              40,970
        total                                                   41,418
        """
        rows: list[list[str]] = []
        waiting = self._inventory()

        def watched(path: str, module: Module, forward: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **options: Any) -> Any:
                count = f"{_count(waiting.pop(path)[1]):,}" if path in waiting else "shared"
                row = [path, module._described(), "", count]
                rows.append(row)
                out = forward(*args, **options)
                row[2] = _spelled_shape(out)
                return out

            return run

        tensors = self._tensors()
        dtype = next((t.dtype for t in tensors.values()), np.float32)
        before = [(module, dict(vars(module))) for module in self.modules()]
        try:
            for path, (module, _) in waiting.items():
                module.forward = watched(path, module, module.forward)
            self.eval()
            with no_grad(), np.errstate(all="ignore"):
                self(Tensor(np.zeros(input_shape, dtype)))
        finally:
            for module, attributes in before:
                vars(module).clear()
                vars(module).update(attributes)
        rows += [
            [path, module._described(), "not called", f"{_count(own):,}"]
            for path, (module, own) in waiting.items()
            if own
        ]
        rows.append(["total", "", "", f"{_count(tensors):,}"])
        return "\n".join(_table([["layer", "kind", "output", "parameters"], *rows]))


def _count(tensors: Mapping[str, Tensor]) -> int:
    return sum(t.size for t in tensors.values() if t.requires_grad)


def _spelled_shape(out: Any) -> str:
    if isinstance(out, (tuple, list)):
        return ", ".join(map(_spelled_shape, out))
    return str(out.shape) if hasattr(out, "shape") else type(out).__name__


class Sequential(Module):
    """Layers one after the other; they are called ``0``, ``1``, ...

    Raises
    ------
    TypeError
        Where a layer is not a Module.

    Examples
    --------
    >>> from autograd_cnn import nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=np.random.default_rng(0)), nn.ReLU(), nn.Sigmoid())
    >>> len(model), model[-1], model[0].w.name
    (3, Sigmoid(): 0 parameters, '0.w')
    >>> len(model[:2])
    2
    """

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential: layer {i} is {layer!r}, want a Module. For ag.relu: nn.ReLU()")
            setattr(self, str(i), layer)

    def forward(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return (layer for layer in vars(self).values() if isinstance(layer, Module))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]
