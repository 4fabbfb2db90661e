"""Checkpoints, from which a run that stopped after any step resumes, in another process too, with the same bits.

One checksummed safetensors file holds all that determines the next step: parameters and buffers, the state of the
optimiser, the state of every random generator and, for a run of `fit`, the number of the step (hence the place in the
schedule and in the pass) and the seed of the pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.arrayfile import CheckpointError, read_arrays, write_arrays
from autograd_cnn.files import AnyPath
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import load_tensors
from autograd_cnn.optim.optimiser import Steps
from autograd_cnn.state import check_state, not_finite
from autograd_cnn.training.ranks import Array

Generators = Mapping[str, Generator] | None
Contents = tuple[dict[str, Array], dict[str, Any]]  # the arrays of a checkpoint, and what JSON holds


def save_checkpoint(
    path: AnyPath, model: Any, optimiser: Steps, generators: Generators = None, state: Mapping[str, Any] | None = None
) -> None:
    """Write all that a training run depends on to one checksummed safetensors file.

    Parameters
    ----------
    path : path
        Replaced as a whole or, on failure, left as it was.
    model : Module or callable
        A Module is saved with its `state_dict` and the state of every random generator in it, such as that of Dropout;
        a plain function with the parameters that the optimiser holds.
    optimiser : SGD, Adam, AdamW
    generators : dict of str to numpy.random.Generator, optional
        Other generators that the run draws from.
    state : dict, optional
        Anything else that the run needs, as far as JSON can hold it.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    arrays, record = full_state(model, optimiser, generators)
    write_arrays(path, arrays, {**record, "state": state or {}})


def load_checkpoint(path: AnyPath, model: Any, optimiser: Steps, generators: Generators = None) -> dict[str, Any]:
    """Restore the model, the optimiser and the generators that `save_checkpoint` saved, or change nothing.

    Parameters
    ----------
    path : path
    model : Module or callable
        Built in the same way as the one that was saved, as are the others.
    optimiser : SGD, Adam, AdamW
    generators : dict of str to numpy.random.Generator, optional

    Returns
    -------
    dict
        The `state` that was passed to `save_checkpoint`.

    Raises
    ------
    CheckpointError
        If the file is damaged, or belongs to another model, optimiser or kind of generator.
    OSError
        If the file cannot be read.
    """
    return restore_state(path, read_checkpoint(path), model, optimiser, generators)


def full_state(model: Any, optimiser: Steps, generators: Generators) -> Contents:
    """Return all that determines the next step: the state of a model, its optimiser and the generators of both."""
    if isinstance(model, Module):
        weights = model.state_dict()
    else:
        weights = {str(i): p.data for i, p in enumerate(optimiser.parameters)}
    state = optimiser.state_dict()
    arrays = {f"model.{name}": x for name, x in weights.items()}
    arrays |= {f"optimiser.{name}": x for name, x in state.items() if isinstance(x, np.ndarray)}
    settings = {name: x for name, x in state.items() if not isinstance(x, np.ndarray)}
    drawn = {name: g.bit_generator.state for name, g in all_generators(model, generators).items()}
    return arrays, {"optimiser": settings, "generators": drawn}


def read_checkpoint(path: AnyPath) -> Contents:
    """Read a checkpoint, or the best weights of a run."""
    arrays, record = read_arrays(path)
    if record is None:
        cure = "Restore it from a copy. For weights: ag.interop.load_weights(path, model)"
        raise CheckpointError(f"{path}: has no checksum, so it is no checkpoint. {cure}")
    return arrays, record


def restore_state(
    path: AnyPath, contents: Contents, model: Any, optimiser: Steps, generators: Generators, read: Any = dict
) -> Any:
    """Restore what the contents of a checkpoint hold, or change nothing. Return what `read` finds in its `state`."""
    arrays, record = contents
    (own, settings), drawn = full_state(model, optimiser, generators), all_generators(model, generators)
    try:
        check_state("checkpoint", own, arrays)
        check_state("checkpoint", settings["optimiser"], record["optimiser"])
        check_state("checkpoint", dict.fromkeys(drawn, 0), dict.fromkeys(record["generators"], 0))
        for name, generator in drawn.items():  # a fresh generator of the same kind takes the state, or raises
            type(generator.bit_generator)().state = record["generators"][name]
        state = read(record["state"])
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{path}: not of this version, or not of such a run ({error!r})") from error
    weights = _of("model.", arrays)
    if isinstance(model, Module):
        model.load_state_dict(weights)
    else:
        load_tensors("checkpoint", {str(i): p for i, p in enumerate(optimiser.parameters)}, weights)
    optimiser.load_state_dict({**_of("optimiser.", arrays), **record["optimiser"]})
    for name, generator in drawn.items():
        generator.bit_generator.state = record["generators"][name]
    return state


def load_model(path: AnyPath, model: Module) -> None:
    """Fill a model from a checkpoint, or from a file of the best weights."""
    arrays, record = read_checkpoint(path)
    try:
        model.load_state_dict(_of("model.", arrays) if "optimiser" in record else arrays)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _of(room: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(room): x for name, x in arrays.items() if name.startswith(room)}


def names_not_finite(arrays: Mapping[str, Array], record: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the arrays and settings of a state that hold NaN or infinities, with a description."""
    numbers = {f"optimiser.{name}": np.asarray(x) for name, x in record["optimiser"].items()}
    return {name: bad for name, x in {**arrays, **numbers}.items() if (bad := not_finite(x))}


def all_generators(model: Any, others: Generators) -> dict[str, Generator]:
    """Return every generator that a run draws from, by name. A shared one has several names."""
    modules = model.modules() if isinstance(model, Module) else ()
    found = {f"{m.path}.{name}": g for m in modules for name, g in vars(m).items() if isinstance(g, Generator)}
    return {**found, **(others or {})}
