"""Accelerators: a kernel in the place of the textbook's function, for all arguments or for some."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from autograd_cnn.engine.primitive import Accelerator

Kernel = Callable[..., Any]


def instead(kernel: Kernel) -> Accelerator:
    """Return an accelerator that calls `kernel` in the place of the textbook's function, whatever the arguments are."""
    return lambda textbook: wraps(textbook)(lambda *args: kernel(*args))


def choose(kernel: Kernel, when: Callable[..., bool], otherwise: Accelerator | None = None) -> Accelerator:
    """Return an accelerator that calls `kernel` if ``when(*args)`` holds, and else the textbook's function."""

    def accelerator(textbook: Kernel) -> Kernel:
        slow = textbook if otherwise is None else otherwise(textbook)

        @wraps(textbook)
        def run(*args: Any) -> Any:
            return kernel(*args) if when(*args) else slow(*args)

        run.applies = when  # type: ignore[attr-defined]
        return run

    return accelerator
