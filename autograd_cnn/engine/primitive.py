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

Take ``u = ag.Tensor(3.0, requires_grad=True)``, which has a `Leaf` (its `requires_grad` makes it), and a float64 array
of its own (a copy, if an array is passed), and ``z = u * u``:

1. ``u * u`` calls ``Tensor.__mul__``, which is `direct` in ``tensor.py``. It finds `multiply` in `registry` and,
   without a call of `__call__`, does the same: it calls ``multiply.run((u, u), {}, mode)``. The mode,
   ``current.get()``, is the settings of this context (`contextvars`), such as `recording`, which is False under
   `no_grad` only. If an observer, such as a profiler, has set ``mode.call``, the call goes there instead.
2. `run` takes the arrays out of the Tensors and calls `forward`: the plain function, or one that the subpackage `fast`
   has put in its place, under the same name, as by default for multiply: it computes large arrays in blocks, and small
   ones by NumPy's function. `grad_mask` has a bit for each argument to which a gradient flows: 0b11 for ``u * u``, 0b01
   for ``u * 2``. NumPy returns a number for arrays without axes, as here, and `fitted_result` makes an array of it
   again.
3. A `Plan` has, for these bits, the values to save and the steps of the walk. The first call with these bits makes the
   plan, from the names of the rules' parameters, and `plans` keeps it for the next. A step is (`argnums`, `rule`,
   `pick`): the positions of the inputs that the rule is for, the rule (a `Rule`, whose `function` is the lambda above,
   or one that `fast` has put in its place, as by default for multiply), and a function, for which ``pick(node.saved)``
   is what the rule needs.
4. ``plan.record`` makes the node, with the leaf of u twice in `inputs` and both factors in `saved`. The array of z is
   read-only from now on, and that of u, which is not copied, until the walk frees `saved` and `guards`. The node
   becomes `z.node`. The user's line is that of the first frame outside of the package; the search begins at the caller
   of `direct` (``sys._getframe(2)``).
5. ``z.backward()`` walks from this node: see `walk`.

>>> import autograd_cnn as ag
>>> u = ag.Tensor(3.0, requires_grad=True)
>>> z = u * u
>>> z.node.inputs == [u.node, u.node], z.node.saved
(True, (array(3.), array(3.)))
>>> for argnums, rule, pick in z.node.plan.steps:
...     print(argnums, rule.name, rule.needs, pick(z.node.saved), rule(np.array(1.0), *pick(z.node.saved)))
(0,) x ['y'] (array(3.),) 3.0
(1,) y ['x'] (array(3.),) 3.0
>>> z.backward()
>>> u.grad
array(6.)

The words of this file:

- Arguments are *flat* if they are all there, in the order of the parameters, with the arrays of a list one by one.
- `arity` is the number of parameters, 2 for multiply: a call with so many positional arguments is flat as it is. It is
  -1 for a primitive of lists, whose arguments `bind` always has to take apart.
- An *option* is an argument that is no array, such as an axis. A *by-product* is a further result of the function that
  rules may need, such as the places of maxima. A *joint* rule is one function for several inputs.
- A call is *rare* if an argument that needs no gradient might have to be converted: a list, an array of another dtype
  than float32 and float64, or one without axes, since its dtype is weak: it gives way to the dtype of the others. It is
  rare also if the operation is `strict`, as conv2d, which refuses integers and warns of mixed floats. A Python number,
  as in ``u * 2``, is not rare, nor is ``u * u``: u has no axes, but needs a gradient. In a rare call
  `promote` makes plain arrays of the arguments and converts their dtypes, before the function is called.
- `views`, `sequence`, `complex` and `strict` are facts that a primitive declares (see `declare`); multiply
  has none of them but `complex`: its rules hold for complex numbers, too.
- `tensors` is whether there is a Tensor among the arguments: then the result is a Tensor, too.

A first reading needs `run`, without what is rare in it; then `tape`, `plan` and `walk`. For the same idea in a hundred
lines, see ``examples/hundred_lines.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Concatenate, Generic, ParamSpec, overload

import numpy as np

from autograd_cnn.engine.arrays import fitted_result, promote
from autograd_cnn.engine.assignment import share
from autograd_cnn.engine.mode import Mode, current
from autograd_cnn.engine.naming import explain, refuse_nested
from autograd_cnn.engine.numpy_calls import exported
from autograd_cnn.engine.plan import Plan
from autograd_cnn.engine.rules import Rules
from autograd_cnn.engine.tensor import Tensor

P = ParamSpec("P")
Q = ParamSpec("Q")
ndarray = np.ndarray
float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
_new = object.__new__


class Primitive(Rules, Generic[P]):
    """An operation that records its calls.

    `primitive`, in `declare`, makes it. `Rules` has `vjp`, which registers its rules, and what `run` reads of it.
    """

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
        if mode.call is not None:  # an observer
            return mode.call(self, exported(args), exported(options), mode)
        return self.run(args, options, mode)

    def run(self, args: Any, options: dict[str, Any], mode: Mode) -> Any:
        """Take the arrays out of the Tensors, compute, and record."""
        position = grad_mask = 0
        if options or len(args) != self.arity:
            args = self.bind(args, options)
        values, inputs, tensors = [*args], [*args], False
        rare = self.strict
        for a in args:
            cls = a.__class__
            if cls is Tensor:
                tensors = True
                values[position] = data = a._array
                if (node := a._node) is not None:
                    inputs[position] = node
                    grad_mask |= 1 << position
                elif ((dtype := data.dtype) is not float32 and dtype is not float64) or not data.shape:
                    rare = True
            elif cls is ndarray:
                if ((dtype := a.dtype) is not float32 and dtype is not float64) or not a.shape:
                    rare = True
            elif cls not in self.option_types:
                rare = True
            position += 1
        try:
            if rare:
                refuse_nested(self, args)
                promote(self, values, inputs, tensors)
            out = self.forward(*(self.grouped(values) if self.sequence else values))
            byproducts: Any = ()
            if self.byproducts:
                out, *byproducts = out
            if out.__class__ is not ndarray or (not self.complex and out.dtype.kind == "c"):
                out = fitted_result(self, out, tensors)  # an array, or an error
        except Exception as error:
            explain(error, self, args, values)
            raise
        if not tensors:
            return out
        tensor = _new(Tensor)
        tensor._name = None
        if self.views:  # of such an operation, `out` may share memory with an argument: see `assignment`
            if out is values[0]:
                out = out.view()
            if out.base is not None:
                share(tensor, *args)
        if grad_mask and mode.recording:
            key = (grad_mask, position) if self.sequence else grad_mask  # `position` counts the arguments now
            plan = self.plans.get(key) or self.plans.setdefault(key, Plan(self, grad_mask, inputs))
            out.setflags(False)  # read-only
            values.append(out)
            for array in byproducts:
                array.setflags(False)
                values.append(array)
            tensor._node = plan.record(values, inputs, mode, sys._getframe(2))
        else:
            tensor._node = None
        tensor._array = out
        return tensor
