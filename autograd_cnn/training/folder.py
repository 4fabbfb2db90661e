"""A folder for one run: its settings and code, its history, a checkpoint to resume from, and the best weights.

Every file is replaced atomically, so after a kill or on a full disk each is whole, old or new. The checkpoint of a pass
is written last: a run that resumes from an earlier one computes the same bits again, and replaces the files that were
ahead of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from autograd_cnn.arrayfile import read_json, spelled, write_arrays, write_json
from autograd_cnn.files import AnyPath, read, write_atomically
from autograd_cnn.nn import Module
from autograd_cnn.training.checkpoint import load_model
from autograd_cnn.training.history import History
from autograd_cnn.training.recipe import run_recipe

SETTINGS, CODE, HISTORY = "settings.json", "model.py", "history.json"
LAST, BEST = "last.safetensors", "best.safetensors"


class RunFolder:
    """The folder of a training run, which is complete in itself.

    =====================  =============================================================================
    ``settings.json``      all settings of the run, and checksums of this file and of ``model.py``
    ``model.py``           a copy of the code: ``build(settings)`` and, if it is a recipe, ``Settings`` and more
    ``history.json``       the History
    ``last.safetensors``   the checkpoint, from which `fit` resumes
    ``best.safetensors``   the weights after the best pass
    =====================  =============================================================================

    Parameters
    ----------
    path : path
        Created if it does not exist. If it has this run already, with equal settings and code, the run goes on.
    settings : dict, optional
        Values for JSON; ``settings["settings"]`` has the fields of ``Settings``. None opens a run that exists.
    source : path, optional
        The file of which ``model.py`` is a copy. Without it, nothing can build the model later.

    Attributes
    ----------
    path, last, best : Path
        The folder, the checkpoint for `fit`, and the weights of the best pass.
    settings : dict

    Raises
    ------
    FileExistsError
        If files of other origin would be overwritten.
    FileNotFoundError
        If `settings` is None, and there is no run, which has a ``settings.json``.
    ValueError
        If the run in the folder has other settings or other code, or ``settings.json`` is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2)).astype(np.float32)
    >>> y = (x[:, 0] > x[:, 1]).astype(int)
    >>> code = "def build(settings, rng=None, images=None): return ag.nn.Linear(2, 2, rng=rng)"
    >>> with tempfile.TemporaryDirectory() as temporary:
    ...     recipe = Path(temporary, "linear.py")
    ...     _ = recipe.write_text(f"import autograd_cnn as ag\\n{code}")
    ...     folder = RunFolder(f"{temporary}/run", {"classes": ["below", "above"]}, recipe)
    ...     model = folder.module().build(folder.settings, rng)
    ...     history = ag.training.fit(
    ...         model, ag.cross_entropy, ag.optim.Adam(model.parameters(), lr=0.1), x, y, rng=rng, epochs=5,
    ...         checkpoint=folder.last, callbacks=[folder.callback(model)], progress=False)
    ...     twin = ag.training.load_run(f"{temporary}/run")
    >>> ag.training.evaluate(twin, ag.cross_entropy, x, y).accuracy > 0.9
    True
    """

    def __init__(self, path: AnyPath, settings: Mapping[str, Any] | None = None, source: AnyPath | None = None) -> None:
        self.path = Path(path)
        self.last, self.best = self.path / LAST, self.path / BEST
        if settings is None:
            if not (self.path / SETTINGS).exists():
                raise FileNotFoundError(f"{self.path}: no run is here (no {SETTINGS}). train makes them, in runs/")
            self._record = read_json(self.path / SETTINGS)
        else:
            code = Path(source).read_bytes() if source else None
            run = json.loads(json.dumps(spelled(dict(settings))))  # as a later process will read them
            self._record = {"run": run, CODE: code and hashlib.sha256(code).hexdigest()}
            if (self.path / SETTINGS).exists():
                self._record = self._compared()
            else:
                self._create(code)
        self.settings: dict[str, Any] = self._record["run"]

    def _create(self, code: bytes | None) -> None:
        found = [name for name in (CODE, HISTORY, LAST, BEST) if (self.path / name).exists()]
        cut_short = found == [CODE] and (self.path / CODE).read_bytes() == code  # as another run was created here
        if found and not cut_short:
            raise FileExistsError(f"{self.path}: has {', '.join(found)}, but no run. Choose another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        if code is not None:
            write_atomically(self.path / CODE, code)
        write_json(self.path / SETTINGS, self._record)

    def remove(self) -> None:
        """Remove the settings and the code of a run that has no checkpoint, and the folder if nothing else is in it."""
        for name in (SETTINGS, CODE):
            (self.path / name).unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _compared(self) -> dict[str, Any]:
        """Return the record of the run in the folder, or raise an error unless it has these settings and this code."""
        record, sum_of_code = read_json(self.path / SETTINGS), self._record[CODE]
        other = [*_differences(record["run"], self._record["run"])]
        if sum_of_code not in (None, record[CODE]):
            other.append(f"the code is not that of {CODE}")
        if other:
            cure = "Choose another folder, or go on with that run (--resume)"
            raise ValueError(f"{self.path}: has another run: {'; '.join(other)}. {cure}")
        return record

    def callback(self, model: Module) -> Callable[[History], None]:
        """Return the callback for `fit` that writes the history, and keeps the best weights.

        In the list of callbacks it stands behind those that may end the run, so that the history says why.
        """
        weights = model.state_dict

        def write(history: History) -> None:
            self._compared()  # another run may have been begun in this folder at the same moment
            if history.since_best == 0:
                write_arrays(self.best, weights(), {})
            write_json(self.path / HISTORY, asdict(history))

        return write

    def history(self) -> History:
        """Read the History. Before the first pass has ended it is empty."""
        path = self.path / HISTORY
        return History.from_record(read_json(path)) if path.exists() else History()

    def module(self) -> ModuleType:
        """Run ``model.py``, and return it as a module, with defaults for what it lacks. Open only runs of trust."""
        path = self.path / CODE
        code, want = read(path), self._record[CODE]
        if want is None:
            raise ValueError(f"{path}: the run began without code, so it is not of this run")
        if want != hashlib.sha256(code).hexdigest():
            raise ValueError(
                f"{path}: damaged, or changed since the run began (its checksum is wrong). Restore it from a copy; for "
                "other code begin a new run"
            )
        return run_recipe(path, code)

    def model(self) -> Module:
        """Build the model with the best weights, in evaluation mode; before the first pass has ended, with the last.

        Raises
        ------
        FileNotFoundError
            If there are no weights or no code.
        CheckpointError
            If the file of weights is damaged, or of another model.
        ValueError
            If another file is damaged.
        """
        code = self.module()
        model: Module = code.build(code.Settings(**self.settings.get("settings", {})))
        load_model(self.best if self.best.exists() else self.last, model)
        return model.eval()


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Name the settings that differ, inside of dicts, too; not the command, which may have another place or limit."""
    for name in {**before, **now}:
        was, value = before.get(name, "missing"), now.get(name, "missing")
        if isinstance(was, dict) and isinstance(value, dict):
            yield from _differences(was, value)
        elif was != value and name != "program":
            yield f"{name} is {value!r}, was {was!r}"


def load_run(path: AnyPath) -> Module:
    """Build the model of a run folder with its best weights, in evaluation mode. This runs the folder's ``model.py``.

    Raises
    ------
    FileNotFoundError
        If there is no run, or it has no weights or no code.
    CheckpointError, ValueError
        If a file is damaged; the message names it.
    """
    return RunFolder(path).model()
