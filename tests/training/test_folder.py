"""Run folders: complete in themselves, whole at every moment, equal after kills, refused where they do not fit."""

import errno
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy

import autograd_cnn as ag
from autograd_cnn import files
from autograd_cnn.arrayfile import read_arrays
from autograd_cnn.training import CheckpointError, Epoch, History, RunFolder, evaluate, fit, load_run
from training.runs import interrupting

RECIPE = '''
"""A small network, as a recipe."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn

@dataclass(frozen=True)
class Settings:
    width: int = 4
    dropout: float = 0.2

def build(settings, rng=None, images=None):
    width = settings.width
    return nn.Sequential(
        nn.Conv2d(3, width, 3, rng=rng), nn.BatchNorm2d(width), ag.relu, nn.Flatten(),
        nn.Dropout(settings.dropout, rng=rng), nn.Linear(16 * width, 3, rng=rng))

def probabilities(outputs):
    return np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
'''
SETTINGS = {"recipe": "small", "classes": ("a", "b", "c"), "settings": {"width": 4, "dropout": 0.2}, "seed": 0}
FILES = ["best.safetensors", "history.json", "last.safetensors", "model.py", "settings.json"]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(RECIPE)
    return path


def data(count=23):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, 6, 6, 3), np.uint8), np.arange(count) % 3


def train(folder, loss=ag.cross_entropy, callbacks=(), epochs=3, **options):
    recipe, rng = folder.module(), np.random.default_rng(0)
    model = recipe.build(recipe.Settings(**folder.settings["settings"]), rng)
    history = fit(
        model,
        loss,
        ag.optim.AdamW(model.parameters(), lr=0.01),
        *data(),
        rng=rng,
        epochs=epochs,
        batch_size=6,
        augment=lambda x, rng: ag.data.augment(x, rng, shift=1),
        validation=data(9),
        checkpoint=folder.last,
        callbacks=[*callbacks, folder.callback(model)],
        progress=False,
        **options,
    )
    return model, history


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir() if file.suffix != ".part"}  # which a kill may leave


@pytest.fixture
def stopped_clock(monkeypatch):
    """Without times, equal runs have equal files."""
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)


# What is in it


def test_a_folder_is_complete_in_itself(tmp_path, recipe):
    folder = RunFolder(tmp_path / "runs" / "a", SETTINGS, recipe)
    _, history = train(folder)
    recipe.unlink()
    assert sorted(os.listdir(folder.path)) == FILES
    assert (folder.path / "model.py").read_text() == RECIPE
    again = RunFolder(folder.path)
    assert again.settings == {**SETTINGS, "classes": ["a", "b", "c"]} == folder.settings
    assert again.history() == history
    images, labels = data(9)
    model = load_run(folder.path)
    result = evaluate(model, ag.cross_entropy, images, labels, batch_size=6)
    assert not model.training and result.loss == history.epochs[history.best].validation_loss
    np.testing.assert_allclose(again.module().probabilities(result.outputs).sum(axis=1), 1, rtol=1e-6)


def test_the_best_weights_are_loaded_and_without_them_the_last(tmp_path, recipe):
    folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
    with pytest.raises(FileNotFoundError, match=r"a.last\.safetensors"):
        folder.model()
    assert folder.history() == History()
    model, history = train(folder)
    history.epochs[-1].validation_loss = -1  # the best of all
    for p in model.parameters():
        p.data = p.data + 1
    folder.callback(model)(history)
    for path, change in ((folder.best, 0), (folder.last, -1)):
        twin = folder.model()
        for name, array in model.state_dict().items():
            shift = change if name in dict(model.named_parameters()) else 0
            np.testing.assert_allclose(twin.state_dict()[name], array + shift, rtol=1e-5, atol=1e-6)
        path.unlink()


def test_the_best_weights_are_kept(tmp_path):
    folder, model, nan = RunFolder(tmp_path, {}), ag.nn.Linear(2, 2), math.nan
    write, saved, losses = folder.callback(model), [], (3, 2, 5, 1.5, 4)
    for count, loss in enumerate(losses, 1):
        model.w.data = np.full((2, 2), loss, np.float32)
        write(History("", [], [Epoch(i, 0, nan, x, nan, 0.0) for i, x in enumerate(losses[:count])]))
        saved.append(safetensors.numpy.load_file(folder.best)["w"][0, 0])
    assert saved == [3, 2, 2, 1.5, 1.5]


def test_an_early_stop_is_in_the_files(tmp_path, recipe):
    folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
    train(folder, callbacks=[lambda history: len(history.epochs) == 2])
    assert folder.history().ended == "early stop" and len(folder.history().epochs) == 2


def test_the_history_after_a_time_limit_is_in_the_folder_until_the_run_goes_on(tmp_path, recipe):
    folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
    _, cut = train(folder, time_limit=1e-9)
    assert folder.history() == cut and (cut.ended, len(cut.losses), cut.planned) == ("time limit", 1, 12)
    assert [(epoch.step, epoch.part) for epoch in cut.epochs] == [(1, 6 / 23)] and cut.best == 0
    _, whole = train(folder)
    assert folder.history() == whole and whole.ended == "" and whole.losses[:1] == cut.losses
    assert [(epoch.step, epoch.part) for epoch in whole.epochs] == [(4, 1), (8, 1), (12, 1)]


# Other runs and damage


def test_a_folder_with_another_run_is_refused(tmp_path, recipe):
    path = tmp_path / "a"
    with pytest.raises(FileNotFoundError, match=r"a: no run is here \(no settings\.json\)\. train makes"):
        RunFolder(path)
    RunFolder(path, SETTINGS, recipe)
    before = contents(path)
    assert RunFolder(path, SETTINGS, recipe).settings == RunFolder(path, SETTINGS).settings
    RunFolder(path, {**SETTINGS, "program": "another command"}, recipe)
    other = {**SETTINGS, "seed": 1, "settings": {"width": 5, "dropout": 0.2}}
    told = r"a: has another run: width is 5, was 4; seed is 1, was 0\. Choose"
    with pytest.raises(ValueError, match=told):
        RunFolder(path, other, recipe)
    recipe.write_text(RECIPE + "\n")
    with pytest.raises(ValueError, match=r"has another run: the code is not that of model\.py\. Choose another"):
        RunFolder(path, SETTINGS, recipe)
    assert contents(path) == before


ORIGINS = {"model.py": "precious"}, {"last.safetensors": "precious"}, {"model.py": RECIPE, "history.json": "precious"}


@pytest.mark.parametrize("files", ORIGINS)
def test_files_of_other_origin_are_not_overwritten(tmp_path, recipe, files):
    (tmp_path / "a").mkdir()
    for name, text in files.items():
        (tmp_path / "a" / name).write_text(text)
    with pytest.raises(FileExistsError, match=f"a: has {', '.join(files)}, but no run. Choose another folder"):
        RunFolder(tmp_path / "a", SETTINGS, recipe)
    assert contents(tmp_path / "a") == {name: text.encode() for name, text in files.items()}


def test_a_creation_that_was_cut_short_is_completed(tmp_path, recipe):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model.py").write_text(RECIPE)
    assert RunFolder(tmp_path / "a", SETTINGS, recipe).module().Settings().width == 4


def weights(folder):
    return {name: array.tobytes() for name, array in folder.model().state_dict().items()}


READ = {  # every file that is read again, and what is read of it
    "settings.json": lambda folder: folder.settings,
    "model.py": lambda folder: folder.module().__name__,
    "history.json": lambda folder: folder.history(),
    "best.safetensors": weights,
    "last.safetensors": weights,
}


@pytest.fixture
def damage(tmp_path, recipe):
    """Write other bytes into a file of a run; assert that it is refused by name, or read as if nothing had happened."""

    def start(name):
        folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
        train(folder, epochs=1)
        if name == "last.safetensors":
            folder.best.unlink()
        path = folder.path / name
        raw, want = path.read_bytes(), READ[name](folder)

        def read(wrong):
            path.write_bytes(wrong)
            try:
                assert READ[name](RunFolder(folder.path)) == want
            except ValueError as error:
                assert str(error).startswith(str(path)) and "copy" in str(error)
                assert isinstance(error, CheckpointError) == name.endswith("safetensors")
                return True
            return False

        return raw, read

    return start


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_flip_and_every_truncation_is_refused_by_name_or_harmless(damage, name, all_of_them):
    raw, read = damage(name)
    step = 11 if name.endswith("safetensors") else 1  # tests/test_arrayfile.py flips every byte of such a file
    positions = range(0, len(raw), step) if all_of_them else np.random.default_rng(0).integers(0, len(raw), 60)
    flips = [1 << bit for bit in range(8)] if all_of_them and step == 1 else [1, 32]
    assert all(read(raw[:at]) for at in positions)
    flipped = [read(raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :]) for at in positions for flip in flips]
    assert flipped.count(False) < len(flipped) / 8  # spaces of JSON, and 1e-5 as 1E-5: what was read is the same


@pytest.mark.parametrize("name", READ)
def test_other_contents_are_refused_by_name(damage, name):
    raw, read = damage(name)
    wrong = [b"", b"\0" * 100, b"{" * 10**5, b'{"a": 1, "a": 1}', b"\xff\xfe", safetensors.numpy.save({})]
    if name.endswith("json"):
        record = json.loads(raw)
        unsigned = {key: value for key, value in record.items() if key != "sha256"}
        sums = None, record["sha256"].upper()
        others = [], None, {}, unsigned, {**record, "version": 2}, *({**unsigned, "sha256": sum} for sum in sums)
        wrong += [json.dumps(other).encode() for other in others]
    if name == "best.safetensors":
        wrong.append(safetensors.numpy.save(safetensors.numpy.load(raw)))  # the weights, without a checksum
    assert all(map(read, wrong))


def test_code_that_came_after_the_run_began_is_not_executed(tmp_path):
    RunFolder(tmp_path / "a", {"seed": 0})
    (tmp_path / "a" / "model.py").write_text("raise SystemExit")
    with pytest.raises(ValueError, match=r"model\.py: the run began without code, so it is not of this run"):
        RunFolder(tmp_path / "a").module()


@pytest.mark.parametrize("name", [name for name in READ if name != "best.safetensors"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, recipe, name):
    folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
    train(folder, epochs=1)
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    with pytest.raises(OSError, match=name):
        train(RunFolder(folder.path), epochs=2)
        folder.history()


def test_a_folder_that_another_run_has_taken_is_left_to_it(tmp_path, recipe):
    """Two runs that were begun in one new folder at the same moment: the settings are those of the second."""
    folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
    other = RunFolder(tmp_path / "b", {**SETTINGS, "seed": 1}, recipe)
    (folder.path / "settings.json").write_bytes((other.path / "settings.json").read_bytes())
    with pytest.raises(ValueError, match=r"a: has another run: seed is 0, was 1\. Choose another folder"):
        train(folder)
    assert not folder.best.exists() and not (folder.path / "history.json").exists()


def test_code_without_weights_for_it_is_refused(tmp_path, recipe):
    folder = RunFolder(tmp_path / "a", SETTINGS, recipe)
    other = RunFolder(tmp_path / "b", {"settings": {"width": 5}}, recipe)
    train(other, epochs=1)
    folder.best.write_bytes(other.best.read_bytes())
    with pytest.raises(CheckpointError, match=r"a.best\.safetensors: Sequential\.load_state_dict: the state does not"):
        folder.model()


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_files_that_are_links_or_come_from_the_future_are_used_as_they_are(tmp_path, recipe, stopped_clock):
    straight, folder = (RunFolder(tmp_path / name, SETTINGS, recipe) for name in ("straight", "moved"))
    train(straight)
    train(folder, epochs=1)
    (tmp_path / "elsewhere").mkdir()
    for path in list(folder.path.iterdir()):
        os.utime(path, (2**33, 2**33))  # the clock went back since
        path.symlink_to(path.rename(tmp_path / "elsewhere" / path.name))
    (tmp_path / "link").symlink_to(folder.path)
    train(RunFolder(tmp_path / "link", SETTINGS, recipe))
    assert contents(folder.path) == contents(straight.path)
    assert all(path.is_symlink() for path in folder.path.iterdir())


# Kills and full disks


@pytest.mark.parametrize("call", [3, 6, 8])  # in the first and in the second pass; 5 and 6 are of the evaluation
def test_an_interrupted_run_resumes_to_equal_files(tmp_path, recipe, stopped_clock, call):
    for name in ("straight", "stopped"):
        folder = RunFolder(tmp_path / name, SETTINGS, recipe)
        if name == "stopped":
            train(folder, interrupting(call))
            assert folder.history().ended.startswith("interrupted at step ")
            assert evaluate(folder.model(), ag.cross_entropy, *data(9), 6).loss == pytest.approx(
                folder.history().epochs[folder.history().best].validation_loss
            )
        train(folder)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


class Disk:
    """Counts the calls that open, flush and name files, and lets one of them fail, or all from this one on."""

    def __init__(self, monkeypatch, error=errno.ENOSPC, fails=None, for_good=False):
        self.called = []

        def watched(name, function):
            def call(*arguments, **options):
                self.called.append(name)
                late = len(self.called) - (fails or math.inf)
                if late == 0 or (for_good and late > 0):
                    raise OSError(error, os.strerror(error))
                return function(*arguments, **options)

            return call

        for name in "open", "fsync", "replace":
            monkeypatch.setattr(files.os, name, watched(name, getattr(os, name)))


def run_to_its_end(path, recipe):
    """Create or resume a run, train it, and read it."""
    folder = RunFolder(path, SETTINGS, recipe)
    train(folder, epochs=2)
    folder.history()
    folder.model()


def moments(called, all_of_them):
    """The numbers of all calls, or of some: the last that give files their names, and three others."""
    every = range(1, len(called) + 1)
    named = [i for i in every if called[i - 1] == "replace"]
    return every if all_of_them else {*named[-4:], *random.Random(0).sample(every, 3)}


@pytest.mark.parametrize(
    ("error", "for_good"),
    [(errno.ENOSPC, False), (errno.EIO, True), (errno.EROFS, False), (errno.EACCES, True)],
    ids=["a full disk", "a disk that is gone", "a moment without write access", "a folder that becomes read-only"],
)
@pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_fault_at_any_call_ends_the_run_by_name_and_loses_nothing(
    tmp_path, recipe, stopped_clock, error, for_good, all_of_them
):
    run_to_its_end(tmp_path / "straight", recipe)  # Numba tries its own folder once in a process, which does not count
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        run_to_its_end(tmp_path / "counted", recipe)
    assert len(disk.called) > 40 and set(disk.called) == {"open", "fsync", "replace"}
    for moment in moments(disk.called, all_of_them):
        path = tmp_path / f"{moment}"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match=os.strerror(error)) as caught:
            Disk(patch, error, moment, for_good)
            run_to_its_end(path, recipe)
        assert str(caught.value.filename).startswith(str(path)), disk.called[moment - 1]
        assert not list(path.glob("*.part")) or for_good
        assert_whole(path)
        run_to_its_end(path, recipe)
        assert contents(path) == contents(tmp_path / "straight")
        shutil.rmtree(path)


KILLED = """
import os, signal, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import autograd_cnn as ag
from test_folder import SETTINGS, RunFolder, train

time.perf_counter = lambda: 0.0  # without times, equal runs have equal files
folder, stop = Path(sys.argv[1]), int(sys.argv[2])
events = []

def event():
    events.append(1)
    if len(events) == stop:
        os.kill(os.getpid(), signal.SIGKILL)

def logged(function):
    def call(*arguments):
        event()
        return function(*arguments)
    return call

os.fsync, os.replace = logged(os.fsync), logged(os.replace)
train(RunFolder(folder, SETTINGS, folder.parent / "small.py"), logged(ag.cross_entropy))
print(len(events))
"""


@pytest.fixture
def killed(tmp_path, recipe):
    def run(name, stop):
        """Train in a process that kills itself at an event: a step, or a moment of writing a file."""
        paths = [os.path.dirname(__file__), *sys.path]
        command = [sys.executable, "-c", KILLED, tmp_path / name, str(stop), *filter(None, paths)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    return run


def assert_whole(path):
    """Every file in a folder can be read to its end."""
    for file in path.iterdir():
        if file.suffix == ".safetensors":
            assert read_arrays(file)[1] is not None
        elif file.suffix == ".json":
            json.loads(file.read_text())
        elif file.suffix == ".png":
            assert file.read_bytes().endswith(b"IEND\xaeB`\x82")
        else:
            assert file.name == "model.py" or file.suffix == ".part"


@pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_after_kills_the_folder_is_whole_and_the_run_resumes_to_equal_files(tmp_path, killed, kills):
    straight = killed("straight", 0)
    assert straight.returncode == 0, straight.stderr
    chance, path = random.Random(kills), tmp_path / "killed"
    while kills:
        done = killed(path.name, chance.randint(1, int(straight.stdout)))
        if done.returncode == 0:  # the moment would have come after the end
            assert contents(path) == contents(tmp_path / "straight")
            shutil.rmtree(path)
        else:
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills -= 1
            if path.exists():
                assert_whole(path)
    done = killed(path.name, 0)
    assert done.returncode == 0, done.stderr
    assert contents(path) == contents(tmp_path / "straight")
