"""Modules: functions that hold parameters.

One function, `_walk`, finds the parts of a module; everything else is built on it.
"""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from contextlib import contextmanager
from functools import partial
from types import CellType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autograd_cnn.calculus.trees import as_tree, tree_leaves, tree_map
from autograd_cnn.engine.errors import bound
from autograd_cnn.engine.messages import describe, missing
from autograd_cnn.engine.mode import current, in_mode, no_grad
from autograd_cnn.engine.rules import untyped
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.state import Loaded, check_dict, fit_state

Part = tuple[str, "Module | None", str, Any]
"""Path, owning module, key in that module, and the part itself, which is a module or a leaf Tensor."""

Self = TypeVar("Self", bound="Module")


def _walk(
    value: Any, path: str = "", owner: Module | None = None, key: str = "", visited: set[int] | None = None
) -> Iterator[Part]:
    """Yield the modules and leaf Tensors in a value, in order of assignment, each once."""
    visited = set() if visited is None else visited
    if isinstance(value, Module) or (isinstance(value, Tensor) and value.is_leaf):
        if id(value) in visited:
            return
        visited.add(id(value))
        yield path, owner, key, value
    if isinstance(value, Module):
        value, owner, key = vars(value), value, ""
    elif isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for name, child in [*value.items()]:  # another thread, or the caller, may set an attribute meanwhile
            if isinstance(child, (Tensor, Module, list, tuple, Mapping)):
                yield from _walk(child, _join(path, name), owner, _join(key, name), visited)


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _name(parts: Iterable[Part]) -> None:
    """Name parts after their places. A part that the user named, or that has another place, keeps its name."""
    former: dict[int, str] = {}  # earlier paths of modules, after which their parts may be named
    for _, owner, key, value in parts:
        if owner is None:
            continue
        place, before = _join(owner.path, key), _join(former.get(id(owner), owner.path), key)
        if isinstance(value, Module):
            if value.path in ("", before):
                former[id(value)], value.path = value.path, place
        elif value.name in (None, before):
            value.name = place


def _check_replaced(place: str, name: str, before: Any, value: Any) -> None:
    """Raise an error if assigning `value` would lose parameters or buffers of `before` by mistake.

    None, and another Tensor of the same kind, may take the place of one. What is no result may replace modules and
    lists.
    """
    lost = [part.name or path for path, _, _, part in _walk(before, name) if isinstance(part, Tensor)]
    result = next((t for t in tree_leaves(value) if isinstance(t, Tensor) and not t.is_leaf), None)
    fits = result is None and not isinstance(before, Tensor)
    if result is None and isinstance(before, Tensor) and isinstance(value, Tensor):
        fits = value.requires_grad or not before.requires_grad
    if lost and value is not None and not fits:
        by = f"the result of {result.node}" if result is not None else describe(value)
        by += ", which is not trained" * (result is None and isinstance(value, Tensor))
        raise TypeError(
            f"{place} = ... would replace {', '.join(lost[:3])}{', ...' * (len(lost) > 3)} by {by}. To change numbers: "
            f"{lost[0]}.data = array; to freeze them: .requires_grad = False; to keep a result, give it another name"
        )


def _check_found(place: str, value: Any) -> None:
    """Raise an error if a collection that `_walk` does not enter has parts of a model."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        _check_found(place, part)
    if isinstance(value, (Set, deque, ValuesView)) or (isinstance(value, np.ndarray) and value.dtype == object):
        items = value.flat if isinstance(value, np.ndarray) else value
        if any(isinstance(item, (Module, Tensor)) for item in items):
            raise TypeError(f"{place}: parts of a model in a {type(value).__name__} would not be found. Use a list")


_thread = threading.local()  # `calls`: while `Module.summary` runs, a list of [module, text of its output's shape]


class Module:
    """A function with parameters. Subclasses assign them to attributes and write ``forward``.

    A parameter is named after the place where it was assigned first, counted from the root: ``conv1.w``. A
    parameter or a module in two places is shared: it counts once, under its first name. Every module has a
    `path`, its place in the model ("" for the root), and `training`, False after `eval`. A class with a layer or a
    parameter in its body, outside of ``__init__``, is refused.

    To keep a value of `forward` for inspection, store its array, ``self.hidden = h.data``: a Tensor made under
    `no_grad` would count as a buffer.

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
    _given: Mapping[str, Any] | None = None  # what `replaced` put into this copy

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in ((n, v) for base in cls.__mro__ for n, v in vars(base).items()):
            _check_found(f"{cls.__name__}.{name}", value)
            if any(isinstance(part, Module) or part.requires_grad for *_, part in _walk(value)):
                raise TypeError(
                    f"{cls.__name__}.{name} is made in the class: all its models would share it, and its parameters "
                    f"would not be found. Make it in __init__: self.{name} = ..."
                )

    if not TYPE_CHECKING:  # hidden from type checkers, so that they report missing attributes

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(missing(name, type(self).__name__, [*vars(self), *dir(type(self))]))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "requires_grad":
            raise AttributeError(
                f"{type(self).__name__} has no requires_grad: p.requires_grad = False for each of parameters()"
            )
        if vars(self).get(name) is not None:
            _check_replaced(f"{type(self).__name__}.{name}", name, vars(self)[name], value)
        _check_found(f"{type(self).__name__}.{name}", value)
        object.__setattr__(self, name, value)
        _name(_walk(value, owner=self, key=name))

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        forward = self._listed_forward if hasattr(_thread, "calls") else self.forward
        mode = current.get()
        try:
            if self.path and (mode.recording or mode.call):
                with in_mode(scope=(self.path, mode.scope, type(self).__name__)):
                    out = forward(*args, **options)
            else:  # nobody asks for the scope, and to set it takes as long as a small operation
                out = forward(*args, **options)
        except TypeError as error:
            if error.__traceback__ and error.__traceback__.tb_next is None:  # `forward` was not entered
                bound(self._title(), untyped(self.forward), args, options)
            raise
        if out is None:
            raise TypeError(f"{type(self).__name__}.forward returned None. Does it end with `return ...`?")
        return out

    def _title(self) -> str:
        """Return the name in messages, such as ``Conv2d features.0``."""
        return f"{type(self).__name__} {self.path}".rstrip()

    def _listed_forward(self, *args: Any, **options: Any) -> Any:
        """Call `forward`, and list the call for `summary`."""
        call = [self, ""]
        _thread.calls.append(call)  # listed before the modules that `forward` calls
        out = self.forward(*args, **options)
        call[1] = _shape_text(out)
        return out

    def _tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by path, and name those that have no name yet."""
        parts = list(_walk(self))
        _name(parts)  # appending to a list of modules assigns no attribute
        return {path: value for path, _, _, value in parts if isinstance(value, Tensor)}

    def _inventory(self) -> dict[int, tuple[str, Module, dict[str, Tensor]]]:
        """Return path, module and the tensors that it holds directly, by id of the module."""
        found: dict[int, tuple[str, Module, dict[str, Tensor]]] = {}
        for path, owner, key, value in _walk(self):
            if isinstance(value, Module):
                found[id(value)] = path, value, {}
            else:
                found[id(owner)][2][key] = value
        return found

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all below it, each once."""
        return (value for _, _, _, value in _walk(self) if isinstance(value, Module))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over pairs of a path from here and a parameter, each parameter once."""
        return ((path, t) for path, t in self._tensors().items() if t.requires_grad)

    def parameters(self) -> Iterator[Tensor]:
        """Iterate over the parameters, each once, for an optimiser."""
        return (t for _, t in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over pairs of a path from here and a Tensor without gradient, such as a running mean, each once."""
        return ((path, t) for path, t in self._tensors().items() if not t.requires_grad)

    def buffers(self) -> Iterator[Tensor]:
        """Iterate over the Tensors that are not trained, each once, such as the running statistics of batch norm."""
        return (t for _, t in self.named_buffers())

    def replaced(self: Self, parameters: Mapping[str, Any]) -> Self:
        """Return a copy that has other parameters and buffers, by name, in the place of its own: see `functional_call`.

        Lists and dicts are copies, too; arrays and other Tensors are those of this module.
        """
        caller = f"{type(self).__name__}.replaced"
        check_dict(f"{caller}: parameters", parameters, ": {**p, **b}")
        own, given = self._tensors(), dict[int, Tensor]()
        for name, value in parameters.items():
            other = value if isinstance(value, Tensor) else Tensor(value)
            if name not in own or other.shape != own[name].shape:
                has = ", ".join(f"{path} {tensor.shape}" for path, tensor in own.items())
                raise ValueError(f"{caller}: {name} is {other.shape}, and {self._title()} has {has}")
            given[id(own[name])] = other
        twin = _twin(self, given, {})
        vars(twin)["_given"] = {**(self._given or {}), **parameters}
        return twin

    def train(self: Self, training: bool = True) -> Self:
        """Switch this module and all below it to training, and return it."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation, and return it: batch norm uses its running statistics, and dropout drops nothing."""
        return self.train(False)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return copies of all parameters and buffers by their paths from here, each once."""
        return {path: tensor.numpy() for path, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, Any] | Sequence[Any], strict: bool = True) -> Loaded:
        """Load every parameter and buffer from `state`, or none if one does not match. Live graphs keep the old arrays.

        Parameters
        ----------
        state : dict, or list in the order of `state_dict`
            Arrays, or Tensors of PyTorch. The names may all have the same prefix, such as ``module.``. A dtype with
            fewer bits is converted. A list is what ``get_weights()`` of a model in Keras returns.
        strict : bool
            False loads what matches and leaves the rest, such as another head. A list has to match.

        Returns
        -------
        Loaded
            The names that were left on either side, and the prefix.

        Raises
        ------
        ValueError
            If a name is missing or unexpected, or a shape or dtype differs. The message lists every difference. With
            ``strict=False``, if nothing matches. If several prefixes match.

        Examples
        --------
        >>> import numpy as np
        >>> from autograd_cnn import nn
        >>> model, twin = (nn.Linear(2, 3, rng=np.random.default_rng(seed)) for seed in (0, 1))
        >>> twin.load_state_dict(model.state_dict())
        Loaded(missing_keys=[], unexpected_keys=[], prefix='')
        >>> bool((twin.w == model.w).all())
        True
        >>> twin.load_state_dict({"w": np.zeros((2, 4), np.float32), "bias": np.zeros(3)})
        Traceback (most recent call last):
            ...
        ValueError: Linear.load_state_dict: the state does not fit; nothing was loaded
          missing: b
          unexpected: bias
          w: (2, 4) float32, want (2, 3) float32
        """
        return load_tensors(f"{type(self).__name__}.load_state_dict", self._tensors(), state, strict)

    def _described(self) -> str:
        """Format as ``Conv2d(padding=1)``, with the constructor's arguments that are attributes and no defaults."""
        attributes = vars(self)
        options = [
            f"{name}={attributes[name]!r}"
            for name, parameter in inspect.signature(type(self)).parameters.items()
            if name in attributes and _is_plain(attributes[name]) and attributes[name] != parameter.default
        ]
        return f"{type(self).__name__}({', '.join(options)})"

    def __repr__(self) -> str:
        rows = []
        for path, module, own in self._inventory().values():
            shapes = ", ".join(f"{name} {t.shape}" for name, t in own.items())
            rows.append([path, module._described(), shapes, f"{_count(own):,}" if own else ""])
        total = f"{self._described()}: {_count(self._tensors()):,} parameters"
        if len(rows) == 1:
            return ", ".join(filter(None, [total, rows[0][2]]))
        return "\n".join([total, *(f"  {line}" for line in _aligned(rows if rows[0][2] else rows[1:]))])

    def summary(self, input_shape: tuple[int, ...], dtype: DTypeLike | None = None) -> str:
        """Tabulate the calls of modules for an input of this shape: layer, kind, output shape, parameters.

        Runs `forward` on zeros, in evaluation mode and unrecorded, and leaves every attribute as it was.

        Parameters
        ----------
        input_shape : tuple of int
            With the batch: (N, H, W, C).
        dtype : dtype, optional
            The dtype of the input, such as int for indices. Default: that of the first parameter.

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
        inventory, tensors = self._inventory(), self._tensors()
        dtype = np.dtype(next((t.dtype for t in tensors.values()), np.float32) if dtype is None else dtype)
        try:
            x = Tensor(np.zeros(input_shape, dtype))
        except TypeError:
            shown = "an array" if hasattr(input_shape, "shape") else f"{input_shape!r:.40}"
            title = f"{type(self).__name__}.summary"
            raise TypeError(f"{title}: input_shape is {shown}, want a tuple of ints, such as x.shape") from None
        attributes = [(module, dict(vars(module))) for _, module, _ in inventory.values()]
        calls = _thread.calls = list[list[Any]]()
        try:
            self.eval()
            with no_grad(), np.errstate(all="ignore"):
                self(x)
        finally:
            vars(_thread).clear()
            for module, before in attributes:
                vars(module).clear()
                vars(module).update(before)
        rows = [["layer", "kind", "output", "parameters"]]
        waiting = dict(inventory)
        for module, output in calls:
            if id(module) in inventory:  # else `forward` created the module
                path, _, own = inventory[id(module)]
                count = f"{_count(own):,}" if waiting.pop(id(module), None) else "shared"
                rows.append([path, module._described(), output, count])
        rows += [[path, m._described(), "not called", f"{_count(own):,}"] for path, m, own in waiting.values() if own]
        rows.append(["total", "", "", f"{_count(tensors):,}"])
        return "\n".join(_aligned(rows))


@as_tree.register(Module)
def _parameters(module: Module) -> dict[str, Any]:
    """Return the arrays of the parameters by name, or what `replaced` put in their place."""
    return {**{name: p.data for name, p in module.named_parameters()}, **(module._given or {})}


def load_tensors(caller: str, tensors: Mapping[str, Tensor], state: Any, strict: bool = True) -> Loaded:
    """Give every Tensor a copy of the array of its name in `state`, or raise an error and change none."""
    arrays, left = fit_state(caller, {name: tensor.data for name, tensor in tensors.items()}, state, strict)
    copies = {name: np.array(array, tensors[name].dtype, order="C") for name, array in arrays.items()}
    for name, array in copies.items():
        tensors[name].data = array
    return left


def functional_call(module: Module, parameters: Mapping[str, Any], *args: Any, **options: Any) -> Any:
    """Call a copy of a module that has other parameters and buffers in the place of its own.

    An attribute that `forward` sets is one of the copy. Transforms take a model itself, too, as the tree of its
    parameters: ``ag.grad(lambda model: loss(model(x)))(model)`` is a dict of gradients.

    Parameters
    ----------
    module : Module
    parameters : dict
        Arrays or Tensors, by names as in `Module.named_parameters` and `named_buffers`; both in one dict, that is
        ``{**p, **b}``. The module uses its own for those that are not there.
    *args, **options
        For the module. A tuple that stands alone has them all, as in ``torch.func.functional_call``.

    Raises
    ------
    TypeError
        If `parameters` is no dict, or if an attribute is a function that holds the module, which the copy would call.
    ValueError
        If the module has no such name, or another shape there.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> model = ag.nn.Linear(2, 1)
    >>> ag.functional_call(model, {"w": np.array([[1.0], [2.0]]), "b": np.array([0.5])}, np.array([[10.0, 100.0]]))
    Tensor([[210.5]], float64)
    """
    alone = len(args) == 1 and isinstance(args[0], tuple)
    return module.replaced(parameters)(*(args[0] if alone else args), **options)


def _twin(part: Any, given: Mapping[int, Tensor], twins: dict[int, Any]) -> Any:
    """Return a module with the `given` Tensors, by the id of its own; `twins` has those of modules that have one."""
    if not isinstance(part, Module):
        function, args = (part.func, part.args) if isinstance(part, partial) else (part, ())
        cells = [c for c in getattr(function, "__closure__", None) or () if c != CellType()]  # one may be empty as yet
        held = [getattr(function, "__self__", None), *args, *(c.cell_contents for c in cells)]
        if callable(part) and any(isinstance(value, Module) for value in held):
            cure = "It would be called with its own parameters: call it in forward instead"
            raise TypeError(f"replaced: {part!r:.40} holds a module\n{cure}")
        return given.get(id(part), part)
    if id(part) not in twins:
        twin = twins[id(part)] = object.__new__(type(part))
        for name, value in vars(part).items():
            vars(twin)[name] = tree_map(lambda leaf: _twin(leaf, given, twins), value)
    return twins[id(part)]


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str)) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def _count(tensors: Mapping[str, Tensor]) -> int:
    return sum(t.size for t in tensors.values() if t.requires_grad)


def _shape_text(out: Any) -> str:
    if isinstance(out, (tuple, list)):
        return ", ".join(map(_shape_text, out))
    return str(out.shape) if hasattr(out, "shape") else type(out).__name__


def _aligned(rows: list[list[str]]) -> list[str]:
    """Format rows as lines with aligned columns, the last one flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])]).rstrip() for row in rows]


@contextmanager
def in_training_mode(model: Any, training: bool) -> Iterator[None]:
    """Switch a Module to training or evaluation, and each of its parts back at the end."""
    before = [(module, module.training) for module in model.modules()] if isinstance(model, Module) else []
    try:
        for module, _ in before:
            module.training = training
        yield
    finally:
        for module, mode in before:
            module.training = mode
