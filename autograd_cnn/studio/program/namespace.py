"""Chooses the names in a program, and collects their imports and values."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import unicodedata
from inspect import signature
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.observe import operations
from autograd_cnn.studio.program.syntax import NoSource

LONGEST = 40  # characters of an identifier
LOOP = "name", "array", "shape", "kind"  # the variables of the check of arrays
CALLED = "getattr", "type", "ValueError", "complex"  # builtins in the lines of any program


class Namespace:
    """Chooses a different identifier for each object; the lines of the program run in `scope`.

    A program refers to what is in `faces` by its public name, and to nothing else of the packages there.
    """

    faces: ClassVar[dict[str, ModuleType]] = {"ag": ag, "np": np, "np.fft": np.fft, "np.linalg": np.linalg}
    if "linalg" in dir(ag):  # it is part of a folder that may be absent
        faces |= {"ag.fft": ag.fft, "ag.linalg": ag.linalg, "ag.special": ag.special}

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}  # value, (operation, by-product or variable), import -> identifier
        self.taken = {"np", "ag", "step", "require", "_", *LOOP, *CALLED, *keyword.kwlist}
        self.imports: dict[str, None] = {}
        self.scope: dict[str, Any] = {"np": np, "ag": ag, "require": bool}  # they hold for the recorded arrays

    def named(self, key: Any, hint: str, companion: str = "") -> str:
        """Return the identifier of `key`: `hint`, numbered until it is free both alone and after `companion`.

        What has a companion, as a value its gradient, is a variable of one function, which may be called ``abs``.
        """
        if key not in self.names:
            layer = re.match(r"\d+\.", hint)
            hint = re.sub(r"\W", "_", unicodedata.normalize("NFKC", hint))[:LONGEST]
            hint = found = hint if hint.isidentifier() else f"{'layer' if layer else 'v_'}{hint}"
            count = 1
            while {found, companion + found} & self.taken or (not companion and hasattr(builtins, found)):
                count += 1
                found = f"{hint}_{count}"
            self.taken |= {found, companion + found}
            self.names[key] = found
        return self.names[key]

    def known(self, thing: Any, hint: str) -> str:
        """Return an expression for a function, class or module, and add its import if it needs one."""
        thing = getattr(thing, "numpy", None) or thing  # NumPy's function that has no derivative
        public = operations.get(getattr(thing, "name", ""))
        thing = public if getattr(public, "primitive", None) is thing and _adds_nothing(public, thing) else thing
        name, home = getattr(thing, "__name__", ""), getattr(thing, "__module__", None)
        for short, module in self.faces.items():
            if thing is module or vars(module).get(name) is thing:
                return short if thing is module else f"{short}.{name}"
        if vars(builtins).get(name) is thing and name not in self.names.values():
            self.taken.add(name)
            return name
        if str(home or name).partition(".")[0] == ag.__name__:
            if hasattr(thing, "textbook") and thing.name in vars(ag):
                return f"ag.{thing.name}"  # the public function of which it is the last part
            raise NoSource
        if isinstance(thing, ModuleType):
            line = f"import {name}"
        elif name.isidentifier() and getattr(sys.modules.get(str(home)), name, None) is thing:
            line, hint = f"from {home} import {name}", name.lstrip("_")
        else:
            raise NoSource
        alias = self.named(line, hint)
        self.imports[line if alias == name else f"{line} as {alias}"] = None
        self.scope[alias] = thing
        return alias


def _adds_nothing(function: Any, primitive: Any) -> bool:
    """Return whether a function does what the primitive below it does, unless more options are passed: all are off."""
    parameters = signature(function).parameters.items()
    return not any(p.default for name, p in parameters if name not in primitive.parameters)
