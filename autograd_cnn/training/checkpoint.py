"""All that a training run depends on, in one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.arrayfile import CheckpointError, read_arrays, write_arrays
from autograd_cnn.nn import Module
from autograd_cnn.optim import Optimiser
from autograd_cnn.state import check_state

Array = NDArray[Any]


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Any,
    optimiser: Optimiser,
    generators: Mapping[str, Generator] | None = None,
    state: Mapping[str, Any] | None = None,
) -> None:
    """Keep all that a training run depends on, in one safetensors file that damage does not go unnoticed in.

    Parameters
    ----------
    path : path
        Replaced as a whole or, on failure, left as it was.
    model : Module or callable
        Of a Module its `state_dict` is kept, and every random generator in it (such as that of Dropout); of a plain
        function the parameters that the optimiser holds.
    optimiser : SGD, Adam, AdamW
    generators : dict of str to numpy.random.Generator, optional
        Others that the run draws from.
    state : dict, optional
        What else the run needs: anything that JSON can hold.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    write_arrays(
        path,
        _arrays(model, optimiser),
        {
            "optimiser": _numbers(optimiser),
            "generators": {name: g.bit_generator.state for name, g in _generators(model, generators).items()},
            "state": state or {},
        },
    )


def load_checkpoint(
    path: str | os.PathLike[str], model: Any, optimiser: Optimiser, generators: Mapping[str, Generator] | None = None
) -> dict[str, Any]:
    """Put model, optimiser and generators into the state that `save_checkpoint` found them in; all or nothing.

    Parameters
    ----------
    path : path
    model, optimiser, generators
        As for `save_checkpoint`, built the same way.

    Returns
    -------
    dict
        The `state` that was given to `save_checkpoint`.

    Raises
    ------
    CheckpointError
        The file is damaged, or of another model, optimiser or kind of generator. Nothing has changed then.
    OSError
        The file cannot be read.
    """
    state, apply = read_checkpoint(path, model, optimiser, generators)
    apply()
    return state


def read_checkpoint(
    path: str | os.PathLike[str], model: Any, optimiser: Optimiser, generators: Mapping[str, Generator] | None
) -> tuple[dict[str, Any], Callable[[], None]]:
    """The `state` in a checkpoint that was found to fit, and what puts the rest of it in place."""
    arrays, record = read_arrays(path)
    if record is None:
        raise CheckpointError(
            f"{path}: has no sum, so it is no checkpoint. Weights: ag.interop.load_weights(path, model)"
        )
    mine = _generators(model, generators)
    try:
        check_state("checkpoint", _arrays(model, optimiser), arrays)
        check_state("checkpoint", _numbers(optimiser), record["optimiser"])
        check_state("checkpoint", dict.fromkeys(mine, 0), dict.fromkeys(record["generators"], 0))
        for name, generator in mine.items():  # tried on another one first
            type(generator.bit_generator)().state = record["generators"][name]
        state = dict(record["state"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{path}: {error}") from error

    def apply() -> None:
        weights = {name.removeprefix("model."): x for name, x in arrays.items() if name.startswith("model.")}
        slots = {name.removeprefix("optimiser."): x for name, x in arrays.items() if name.startswith("optimiser.")}
        if isinstance(model, Module):
            model.load_state_dict(weights)
        else:
            for i, parameter in enumerate(optimiser.parameters):
                parameter.data = weights[str(i)]
        optimiser.load_state_dict({**slots, **record["optimiser"]})
        for name, generator in mine.items():
            generator.bit_generator.state = record["generators"][name]

    return state, apply


def _generators(model: Any, others: Mapping[str, Generator] | None) -> dict[str, Generator]:
    """Every generator that a run draws from, by name; one in two places is listed twice, and restored alike."""
    modules = model.modules() if isinstance(model, Module) else ()
    found = {f"{m.path}.{name}": g for m in modules for name, g in vars(m).items() if isinstance(g, Generator)}
    return {**found, **(others or {})}


def _arrays(model: Any, optimiser: Optimiser) -> dict[str, Array]:
    if isinstance(model, Module):
        weights = model.state_dict()
    else:
        weights = {str(i): p.data for i, p in enumerate(optimiser.parameters)}
    arrays = {f"model.{name}": x for name, x in weights.items()}
    return arrays | {f"optimiser.{name}": x for name, x in optimiser.state_dict().items() if isinstance(x, np.ndarray)}


def _numbers(optimiser: Optimiser) -> dict[str, Any]:
    return {name: x for name, x in optimiser.state_dict().items() if not isinstance(x, np.ndarray)}
