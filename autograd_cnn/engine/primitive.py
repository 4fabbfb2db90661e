"""A primitive: a plain NumPy function, and beside it the formula of its derivative.

::

    @primitive
    def multiply(x, y):
        return x * y

    multiply.vjp(x=lambda g, y: g * y,
                 y=lambda g, x: g * x)

Called with arrays, a primitive is the plain function. Called with a Tensor, it computes with the Tensor's array, and
records a node on the tape if an argument requires a gradient. A rule (vjp, vector-Jacobian product) turns the incoming
gradient `g` into the gradient of one input. The names of its other parameters determine which values the tape saves: an
input, the output (`out`), a by-product or an option by its name, and by ``x_shape`` only the shape of the input `x`.
The names are read once, when the rule is registered. The tape saves no other values.

After ``z = u * u``, where u is a Tensor that requires a gradient:

1. Tensor's operator has looked up its primitive by name and called ``multiply(u, u)``. `current` holds the mode, the
   settings of this context. Its `call` is None, so the call goes to `Primitive.run`; an observer, such as a profiler,
   sets another function there.
2. `run` takes the arrays out of the Tensors and computes. `grad_mask` has a bit for each argument to which a gradient
   flows: 0b11 for ``u * u``, 0b01 for ``u * 2``.
3. A `Plan` has, for these bits, the values to save and the steps of the walk. The first call with these bits makes the
   plan, from the names of the rules' parameters, and `Primitive.plans` keeps it for the next. A step is (`argnums`,
   `rule`, `pick`): the positions of the inputs that the rule is for, the rule, and a function, for which
   ``pick(node.saved)`` is what the rule needs. Here the steps are ``((0,), the rule g * y, a pick of the second
   factor)`` and ``((1,), the rule g * x, a pick of the first)``.
4. ``plan.record`` makes the node, with the leaf of u twice in `inputs` and both factors in `saved`. It becomes
   `z.node`. The user's line is looked for from the frame of the operator outwards.

The words of this file:

- Arguments are *flat* if they are all there, in the order of the parameters, with the arrays of a list one by one.
- `elements` is the number of arrays in such a list, or 0.
- `arity` is the number of parameters, 2 for multiply: a call with so many positional arguments is flat as it is. It is
  -1 with a list, so that such a call is never.
- A *joint* rule is one function for several inputs.

A first reading needs `__call__`, `run` without its errors, and `_plan`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache, update_wrapper
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypedDict, overload

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.arguments import Parameters
from autograd_cnn.engine.assignment import share
from autograd_cnn.engine.fitting import all_exported, kind_of, numeric
from autograd_cnn.engine.messages import explained, is_explained
from autograd_cnn.engine.mode import Mode, current
from autograd_cnn.engine.plan import Plan, Rule
from autograd_cnn.engine.promotion import OPTIONS, promote, widen
from autograd_cnn.engine.registry import numpys, registry
from autograd_cnn.engine.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack

P = ParamSpec("P")
Q = ParamSpec("Q")
ndarray = np.ndarray
float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
_new = object.__new__
_ELEMENTWISE = {np.round, np.around, np.fix, np.isclose, np.isneginf, np.isposinf, np.isreal, np.iscomplex}
Accelerator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Facts(TypedDict, total=False):
    """What `primitive` can declare of an operation; it explains each."""

    byproducts: tuple[str, ...]
    strict: bool
    examples: Callable[[np.random.Generator], list[Any]] | None
    symbol: str
    elementwise: bool
    moves: bool
    views: bool
    integers: bool
    rectifies: bool
    complex: bool | str
    flops: Callable[..., int] | None
    check: Callable[..., Any] | None
    batch: str | Callable[..., Any]
    name: str | None
    private: bool


def _check(function: str, parameters: Iterable[str], *allowed: str) -> None:
    if unknown := [name for name in parameters if name not in allowed]:
        raise errors.unknown_parameter(function, unknown[0], [*allowed])


class Primitive(Parameters, Generic[P]):
    """A recorded operation, which `primitive` makes and whose rules `vjp` registers."""

    __name__: str
    __qualname__: str
    byproducts: tuple[str, ...] = ()
    strict = elementwise = moves = integers = rectifies = complex = private = False
    exact = True  # whether `forward` has the bits of `formula`
    symbol = ""
    examples: Callable[[np.random.Generator], list[Any]] | None = None
    flops: Callable[..., int] | None = None
    check: Callable[..., Any] | None = None
    sparse: Callable[..., Any] | None = None  # the operation for an operand that is a sparse matrix of SciPy
    batch: Any = ""
    numpy: Any = None

    def __init__(self, function: Callable[P, Any], **facts: Unpack[Facts]) -> None:
        super().__init__(function, facts.pop("name", None))
        update_wrapper(self, function)
        self.packaged = str(getattr(function, "__module__", "")).startswith("autograd_cnn.")
        self.options = OPTIONS if self.packaged else OPTIONS - {tuple}  # our own tuples hold no Tensors
        self.rules: dict[str, Rule] = {}
        self.plans: dict[Any, Plan] = {}
        # `run` reads these. Python finds an attribute faster if all primitives have it, in one order, before any others
        self.byproducts, self.strict, self.complex = (), False, facts.get("moves", False)
        self.views = facts.get("moves", not self.packaged)
        self.check = facts.get("check")
        self.textbook: Callable[..., Any] = function
        self.forward = self.formula = self._checked(function)  # `textbook`, behind the check of its arguments
        vars(self).update(facts)
        self.widens = self.packaged and not (self.moves or self.integers or numpys(self.name))
        self.batch = self.batch or "elementwise" * self.elementwise
        shapes = ["out_shape", *(f"{p}_shape" for p in self.parameters)]
        _check(f"{self.name}: flops", signature(self.flops).parameters if self.flops else (), *shapes, *self.parameters)

    def __repr__(self) -> str:
        return f"<primitive {self.name}{self.signature}>"

    def __reduce__(self) -> str:  # for pickle and copy: by reference, as for a function
        return self.__qualname__

    # For type checkers: if one of the first three arguments is a Tensor, so is the result; else it may be an array.

    @overload
    def __call__(
        self: Primitive[Concatenate[Any, Q]], x: Tensor | Sequence[Tensor], /, *args: Q.args, **options: Q.kwargs
    ) -> Tensor: ...

    @overload
    def __call__(
        self: Primitive[Concatenate[Any, Any, Q]], x: Any, y: Tensor, /, *args: Q.args, **options: Q.kwargs
    ) -> Tensor: ...

    @overload
    def __call__(
        self: Primitive[Concatenate[Any, Any, Any, Q]], x: Any, y: Any, z: Tensor, /, *args: Q.args, **options: Q.kwargs
    ) -> Tensor: ...

    @overload
    def __call__(self, *args: P.args, **options: P.kwargs) -> Any: ...

    def __call__(self, *args: Any, **options: Any) -> Any:  # type: ignore[misc]  # mypy: does not cover Q
        mode = current.get()
        if mode.call is not None and not (self.sparse and any(hasattr(type(a), "tocsr") for a in args)):  # an observer
            return mode.call(self, all_exported(args), all_exported(options), mode)
        return self.run(args, options, mode)

    def vjp(self, *unnamed: Any, **rules: Callable[..., Any]) -> None:
        """Register one rule per input, ``name=lambda g, ...: gradient``.

        A function that is passed for several inputs is a joint rule: it is called once, and returns a gradient for each
        of them, in the same order. A rule with a parameter `position` makes its input a sequence of Tensors, as in
        `concatenate`.

        Raises
        ------
        TypeError
            If a rule is for an unknown input, or has an unknown parameter.
        """
        if unnamed:
            raise errors.unnamed_rule(self)
        made = {id(f): Rule(f, tuple(n for n, same in rules.items() if same is f)) for f in rules.values()}
        for name, function in rules.items():
            if name not in self.parameters:
                raise TypeError(f"{self.name}.vjp: {name} is not an input. It has {', '.join(self.parameters)}")
            self.rules[name] = made[id(function)]
            if "position" in self.rules[name].needs:
                self.sequence, self.arity = name, -1
        allowed = ["g", "out", *self.parameters, *(f"{p}_shape" for p in self.rules), "out_shape", *self.byproducts]
        for name in rules:
            position = ["position"] if self.sequence else []
            _check(f"{self.name}.vjp({name}): the rule", self.rules[name].needs, *allowed, *position)
        self.plans.clear()

    def into(self, **functions: Callable[..., None]) -> None:
        """Register in-place twins of rules, ``name=lambda buffer, g, ...``, which add the gradient to `buffer`.

        The walk calls a twin if it owns a sum for that input already. The other parameters are those of the rule.
        """
        for name, function in functions.items():
            self.rules[name].into = function

    def accelerate(
        self,
        forward: Accelerator | None = None,
        *,
        may_write: bool = False,
        exact: bool = False,
        **rules: Accelerator,
    ) -> None:
        """Put faster functions in the place of the function and of rules, ``name=accelerator``.

        An accelerator takes the textbook's function and returns the faster one, which calls the textbook's where its
        ``applies(*args)``, an attribute, does not hold. A faster rule may need more values. The name of one of its
        inputs stands for a joint rule.

        `may_write` says that the rules write their results into `g` if it is writable, which it is if nobody else needs
        it. The rule of the first input does, and the others return no view of `g`. `exact` says that all results have
        the bits and the memory order of the textbook's.
        """
        _check(f"{self.name}.accelerate", rules, "forward", *self.rules)
        if forward is not None:
            function, self.exact = self._faster("forward", forward, self.textbook), exact
            self.forward = self.formula if function is self.textbook else self._checked(function)
        for name, accelerator in rules.items():
            faster = formula = self.rules[name].textbook
            if (function := self._faster(name, accelerator, formula.function)) is not formula.function:
                faster = Rule(function, formula.inputs, formula)
                faster.may_write, faster.exact, faster.into = may_write, exact, self.rules[name].into
            self.rules.update(dict.fromkeys(formula.inputs, faster))
        self.plans.clear()

    def _faster(self, place: str, accelerator: Accelerator, formula: Callable[..., Any]) -> Callable[..., Any]:
        function = accelerator(formula) if callable(accelerator) else accelerator
        if not callable(function):
            want = f"want a decorator: {place}=lambda formula: faster, for a function `faster`"
            raise TypeError(f"{self.name}.accelerate: {place} gives {function!r:.40}, {want}")
        return function

    def _checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` behind the check of its arguments: it takes all of them, in order."""
        check = self.check
        return function if check is None else lambda *args: function(*check(*args))

    def raw(self, *args: Any, **options: Any) -> Any:
        """Compute with arrays, and return the by-products, too, if there are any."""
        is_flat = not options and len(args) == self.arity
        return self.forward(*(args if is_flat else self.grouped(*self.bind(args, options))))

    def run(self, args: Any, options: dict[str, Any], mode: Mode) -> Any:
        """Take the arrays out of the Tensors, compute, and record."""
        position = grad_mask = elements = 0
        if options or len(args) != self.arity:
            args, elements = self.bind(args, options)
        values, inputs, tensors = [*args], [*args], False
        mixed = self.strict  # whether `promote` must look: it converts integers, and constants without axes
        for a in args:
            cls = a.__class__
            if cls is Tensor:
                tensors = True
                values[position] = data = a._array
                if (node := a._node) is not None:
                    inputs[position] = node
                    grad_mask |= 1 << position
                elif ((dtype := data.dtype) is not float32 and dtype is not float64) or not data.shape:
                    mixed = True
            elif cls is ndarray:
                if ((dtype := a.dtype) is not float32 and dtype is not float64) or not a.shape:
                    mixed = True
            elif cls not in self.options:
                if self.sparse is not None and hasattr(cls, "tocsr"):
                    return self.sparse(*args)
                mixed = True
                if not self.packaged and (nested := self.nested(args, elements)):
                    raise explained(nested, self.name, *self.described(args, elements))
            position += 1  # noqa: SIM113 - enumerate makes a tuple for every argument
        try:
            if mixed and (tensors or list in map(type, args)):
                promote(self, values, inputs, elements)
            elif mixed and self.widens:
                widen(self, values, inputs, elements)
            out = self.compute(values, elements) if self.sequence else self.forward(*values)
            byproducts: Any = ()
            if self.byproducts:
                out, *byproducts = out
            if out.__class__ is not ndarray:
                out = np.asarray(out) if tensors and isinstance(out, np.generic) else self._result(out, tensors)
            if not self.complex and kind_of(out) == "c":
                raise errors.not_for_complex(self, "out", out.dtype)
        except Exception as error:
            if is_explained(error, self.packaged):
                raise
            cause = None if self.packaged else error
            error = self.nested(args, elements) or self.refusal(values, elements) or error
            raise explained(error, self.name, *self.described(args, elements)) from cause
        if not tensors:
            return out
        tensor = _new(Tensor)
        tensor._name = None
        if self.views:
            if out is values[0]:
                out = out.view()
            if out.base is not None:
                share(tensor, *args)
        if grad_mask and mode.recording:
            key = (grad_mask, elements) if elements else grad_mask
            plan = self.plans.get(key) or self._plan(key, grad_mask, elements, args)
            out.setflags(False)
            values.append(out)
            for array in byproducts:
                array.setflags(False)
                values.append(array)
            tensor._node = plan.record(values, inputs, mode, sys._getframe(2))
        else:
            tensor._node = None
        tensor._array = out
        return tensor

    def _result(self, out: Any, tensors: bool) -> Any:
        """Return a result that is no plain array as one, if there are Tensors, or raise an error."""
        if out.__class__ is Tensor:
            raise errors.not_an_argument()
        if tensors and isinstance(out, (tuple, dict)):
            raise errors.several_results(out)
        return numeric(out, f"the function returned {type(out).__name__}, which") if tensors else out

    def refusal(self, values: Sequence[Any], elements: int) -> TypeError | None:
        """Return the error about a complex operand, unless the operation takes complex numbers."""
        for name, value in zip(self.flat_names(elements), values, strict=True) if not self.complex else ():
            if name in self.rules and (isinstance(value, complex) or kind_of(value) == "c"):
                return errors.not_for_complex(self, name, np.result_type(value))
        return None

    def compute(self, values: list[Any], elements: int) -> Any:
        """Call the plain function with flat arguments, some of which are a sequence."""
        out = self.forward(*self.grouped(values, elements))
        if getattr(out, "dtype", np.dtype(float)).hasobject:
            raise TypeError(f"{self.sequence} are not all arrays of numbers")
        return out

    def described(self, args: Any, elements: int) -> tuple[list[tuple[str, Any]], set[str]]:
        """Return the arguments that are not defaults, by name, and the names of those that must not be None."""
        pairs, missing = zip(self.flat_names(elements), args, strict=False), object()
        given = [(name, value) for name, value in pairs if value is not self.defaults.get(name, missing)]
        return given, self.rules.keys() - self.defaults.keys()

    def _plan(self, key: Any, grad_mask: int, elements: int, args: Any) -> Plan:
        for position, name in enumerate(self.flat_names(elements)):
            if grad_mask >> position & 1 and name not in self.rules:
                raise errors.no_rule(self, name, args[position])
        plan = self.plans[key] = Plan(self, grad_mask, elements)
        return plan


def as_primitive(function: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a primitive and the options of a call of it: also for a function of NumPy without a derivative."""
    if isinstance(function, Primitive):
        return function, {**options}
    return (observed.__wrapped__(function, **options) if options else observed(function)), {}


@cache
def observed(function: Any, **options: Any) -> Primitive[...]:
    """Return a function of NumPy as a primitive without rules, for those who observe calls."""

    def of_numpy(*operands: Any) -> Any:
        return function(*operands, **options)

    elementwise = function in _ELEMENTWISE or (isinstance(function, np.ufunc) and function.signature is None)
    made: Primitive[...] = Primitive(of_numpy, name=function.__name__, elementwise=elementwise, complex=True)
    made.numpy = function
    return made


@overload
def primitive(function: Callable[P, Any], /) -> Primitive[P]: ...


@overload
def primitive(**facts: Unpack[Facts]) -> Callable[[Callable[P, Any]], Primitive[P]]: ...


def primitive(function: Callable[..., Any] | None = None, /, **facts: Unpack[Facts]) -> Any:
    """Turn a plain NumPy function into a recorded operation.

    Parameters
    ----------
    function : callable
        Takes arrays, and returns one array. It must neither write into its inputs nor return one of them.
    byproducts : tuple of str
        Names of further results, as in ``return out, argmax``. Rules may have them as parameters.
    strict : bool
        Refuse integer operands, and warn if float64 meets float32.
    examples : callable, optional
        ``rng -> [args, ...]``: inputs for the conformance suite. Each `args` is a tuple of arguments, or a pair of such
        a tuple and a dict of options. Default: standard normal arrays of shape (2, 3).
    symbol : str
        Python's operator for it, such as ``"+"``, or ``"[]"`` for an index. The derived program uses it.
    elementwise : bool
        Whether an element of the result depends on the elements of the arguments at its own place only.
    moves : bool
        Whether it only moves elements. Then it has no floating-point operations, and its result may be a view.
    views : bool
        Whether its result may be a view of an argument, so that an assignment to one changes the other. Default: True,
        since a view that is not declared would keep its old numbers.
    integers : bool
        Whether an operation of the package that NumPy lacks takes integers as they are; else it computes with floats.
    rectifies : bool
        Whether it cuts numbers off at 0. Then a channel that is 0 everywhere is dead.
    complex : bool or str
        Whether its rules hold for complex numbers. Otherwise these are refused, unless it `moves` elements. A text says
        that they hold in part; the conformance suite does not try them then.
    flops : callable, optional
        ``(out_shape, w_shape, ...) -> int``: the number of floating-point operations, from parameters named as in a
        rule. Each rule counts as many again. Default: one per element.
    check : callable, optional
        Takes the arguments of a call, raises an error if they do not fit, and returns all arguments as the function
        takes them, so that the function is the formula and nothing else.
    batch : str or callable, optional
        How it treats axes, by which it runs on all examples of a `vmap` at once: "elementwise" (also by that fact),
        "leading" (operands are stacks of matrices), "axes" (it works along its `axis`, of which None means all), "axis"
        (None means the flattened array), "first" (further axes in front of the first operand change nothing), "images"
        (the first axis of the first operand counts images), or a function ``(primitive, args, batched, size) ->
        result``; `calculus.batching` has more words. Default: it runs on one example after the other.
    name : str, optional
        The name of the operation, such as ``"linalg.inv"``. Default: the function's name.
    private : bool
        Whether it is no method of Tensor, ``x.name()``. Then its name may be that of one of the package's operations.

    Returns
    -------
    Primitive
        Callable like `function`. Register its derivative with ``.vjp(...)``. Type checkers know its parameters, and
        that the result is a Tensor if one of the first three positional arguments is a Tensor.

    Raises
    ------
    ValueError
        If the name belongs to one of the package's own operations, and it is not private.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> @ag.primitive
    ... def cube(x):
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: g * 3 * x**2)
    >>> x = ag.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    array(12.)
    """

    if not facts.keys() <= Facts.__annotations__.keys():
        raise errors.wrong_arguments("primitive", signature(primitive), (), {**facts})

    def register(f: Callable[P, Any]) -> Primitive[P]:
        made = Primitive(f, **facts)
        key = f"{f.__module__}.{made.name}" if made.private else made.name
        known = registry.get(key)
        if known is not None and str(known.__module__).startswith("autograd_cnn.") and f.__module__ != known.__module__:
            raise ValueError(f"primitive: {made.name} is the package's own. Rename it, or @ag.primitive(private=True)")
        registry[key] = made
        return made

    return register if function is None else register(function)


primitive.__signature__ = Signature(  # type: ignore[attr-defined]
    [Parameter("function", Parameter.POSITIONAL_ONLY, default=None)]
    + [
        Parameter(fact, Parameter.KEYWORD_ONLY, default=getattr(Primitive, fact, None))
        for fact in Facts.__annotations__
    ]
)
