"""Trains a recipe on images, in a run folder, with a report: the command `train`, and scripts like it."""

from __future__ import annotations

import ast
import itertools
import math
import os
import sys
import warnings
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.messages import inside
from autograd_cnn.environment import command

QUICK = Path(__file__).parent / "training" / "quick.py"
FIELDS = ("epochs", "batch_size", "lr", "size")  # options that replace fields of the recipe's settings
NEEDED = ("epochs", "batch_size", "validation")  # fields that all settings have
COMMON = ("recipe", "seed", "accumulate", "clip")  # options that a resumed run needs again
RESUMED = ("resume", "minutes", "patience")  # options that a resumed run may be given
NOTHING = "\ninterrupted. Nothing was trained yet"
PERFECT = 5  # passes that get all validation images right
PATIENCE = f"end it after N passes without a better one; after {PERFECT} that are perfect it ends in any case"
SET = "another number of the recipe's Settings, such as weight_decay=0.01; may be repeated"
MEMORY = "a smaller --size or --batch-size takes less, or --accumulate N, which computes a batch in N parts"

inside[__file__] = False  # a program: of a model that is called nowhere else, pages show the line here


class Program:
    """A program that trains. Those that derive from it have options of their own, and load images.

    Attributes
    ----------
    args : Namespace
        The options of the command line.
    start : tuple of str
        The words of the command, after Python's.
    recipes : dict of str to path
        The file of each recipe, whose `SETTINGS` go by these names. The first one is the default.
    kept : tuple of str
        The options on which images depend: a resumed run needs them again.
    places : tuple of str
        Options that say where images are: a resumed run may be given others.
    words : dict of str to str
        Words of the package's messages, and those on the command line.
    augmented : bool
        Whether training images are changed at random.
    """

    start: tuple[str, ...]
    recipes: Mapping[str, Path] = {"quick": QUICK, "best": QUICK}
    kept: tuple[str, ...]
    places: tuple[str, ...]
    words: Mapping[str, str]
    augmented = True

    @classmethod
    def add_options(cls, parser: ArgumentParser) -> None:
        """Add the options that all programs have."""
        one, add = parser.add_mutually_exclusive_group(), parser.add_argument
        one.add_argument("--recipe", choices=cls.recipes, help=f"(default: {next(iter(cls.recipes))})")
        one.add_argument("--model", dest="recipe", metavar="FILE.py", help="has build(settings, rng=None, images=None)")
        add("--epochs", type=int, metavar="N", help="passes over the images (default: by recipe and images)")
        add("--batch-size", type=int, metavar="N", help="(default: by recipe and images)")
        add("--lr", type=float, metavar="RATE", help="(default: that of the recipe)")
        add("--set", type=_setting, action="append", metavar="NAME=VALUE", help=SET)
        add("--seed", type=int, metavar="N", help="for weights, order and augmentation (default: 0)")
        add("--minutes", type=float, metavar="N", help="end the training after so many, resumed parts included")
        add("--patience", type=int, metavar="N", help=PATIENCE)
        add("--clip", type=float, metavar="NORM", help="scale larger gradients down to this norm")
        add("--accumulate", type=int, metavar="N", help="compute a batch in N parts, in less memory")
        add("--out", type=Path, metavar="FOLDER", help="for the results (default: runs/DATA-RECIPE, or -2, -3, ...)")
        add("--resume", type=Path, metavar="RUN", help="go on with the run in this folder, with its settings")

    def __init__(self, args: Namespace, refuse: Callable[[str], Any]) -> None:
        """Refuse options that do not fit together, and fill in the defaults of a new run."""
        self.args = args
        for name, value in vars(args).items():
            if name != "seed" and type(value) in (int, float) and not value > 0:
                refuse(f"{_option(name)} is {value}, must be more than 0")
        if args.seed is not None and args.seed < 0:
            refuse(f"--seed is {args.seed}, must be 0 or more")
        given = [name for name, value in vars(args).items() if value is not None and value is not False]
        if not args.resume:
            defaults = {"recipe": next(iter(self.recipes)), "seed": 0, "accumulate": 1}
            vars(args).update({name: value for name, value in defaults.items() if name not in given})
        elif other := [_option(name) for name in given if name not in (*RESUMED, *self.places)]:
            refuse(
                f"--resume goes on with the settings of {args.resume}, so {', '.join(other)} cannot be given. "
                "For other settings begin a new run"
            )

    def load(self, settings: Any) -> tuple[ag.data.Dataset, dict[str, Any]]:
        """Load the images for a recipe with these settings; return them, and settings that suit them better."""
        raise NotImplementedError  # each program has images of its own

    def run(self) -> int:
        """Train a new run, or go on with one, and write its report; return the exit code.

        Ctrl-C outside of the training, which has an end of its own, prints the command that goes on.
        """
        ranks, folder, code = ag.distributed.ranks(), None, 2
        say: Callable[[object], None] = partial(print, file=sys.stderr) if ranks.rank == 0 else lambda text: None
        try:
            if self.args.resume:
                self.args, folder = ranks.first(self._recalled)
                if ranks.first(_finished, folder):
                    if ranks.rank == 0:
                        print(f"{folder.path}: the training has ended. Its report: {folder.path / 'report.html'}")
                    return 0
                if not folder.last.exists():
                    say(f"{folder.path}: has no checkpoint yet, so the training begins at its start")
            folder, data = ranks.first(self._begun, folder)
            code = 1
            code = self._train(folder, data, ranks)
        except FloatingPointError as error:
            say(f"{error}. A lower --lr, or --clip 1, in a new run may help")
        except BrokenPipeError:
            raise
        except MemoryError as error:
            say(f"out of memory: {error}. {MEMORY}")
        except (ImportError, OSError, ValueError) as error:
            text = str(error)
            for word, ours in self.words.items():
                text = text.replace(word, ours)
            say(text)
        except KeyboardInterrupt:
            there = folder is not None and folder.last.exists() and self._resume(folder)
            say(f"\ninterrupted. Go on from the last checkpoint:\n    {there}" if there else NOTHING)
            code = 130
        if code and folder and ranks.rank == 0 and not (self.args.resume or folder.last.exists()):
            folder.remove()
        return code

    def _resume(self, folder: ag.training.RunFolder) -> str:
        return command(*self.start, "--resume", folder.path)

    def _recalled(self) -> tuple[Namespace, ag.training.RunFolder]:
        """Return the options of the run to resume, and its folder."""
        args, names, folder = self.args, (*self.kept, *COMMON), ag.training.RunFolder(self.args.resume)
        if missing := [name for name in names if name not in folder.settings]:
            raise ValueError(
                f"{args.resume}: the run is of another program, which has to resume it "
                f"(settings.json has no {', '.join(missing)})"
            )
        new = [name for name in self.places if getattr(args, name) is not None]
        vars(args).update({name: folder.settings[name] for name in names if name not in new})
        return args, folder

    def _begun(self, folder: ag.training.RunFolder | None) -> tuple[ag.training.RunFolder, ag.data.Dataset]:
        """Return the folder of the run, which a new one gets here, and its images."""
        if folder is not None:
            return folder, self.load(folder.module().Settings(**folder.settings["settings"]))[0]
        name, given = self.args.recipe, {field: getattr(self.args, field, None) for field in FIELDS}
        given = {field: value for field, value in given.items() if value is not None} | dict(self.args.set or ())
        recipe = ag.training.read_recipe(self.recipes.get(name) or name)
        settings = recipe.SETTINGS.get(name) or recipe.Settings()
        if absent := [field for field in (*NEEDED, *given) if not hasattr(settings, field)]:
            known = ", ".join(vars(settings))
            raise ValueError(f"{name}: its Settings have no {', '.join(absent)}, but {known}")
        for field, value in given.items():
            default = getattr(settings, field)
            if type(value) is not type(default) and (type(value), type(default)) != (int, float):
                raise ValueError(f"{name}: {field} is {value!r}, want one like {default!r}")
        settings = replace(settings, **given)
        data, better = self.load(settings)
        better = {field: value for field, value in better.items() if hasattr(settings, field) and field not in given}
        return self._new(replace(settings, **better), data), data

    def _new(self, settings: Any, data: ag.data.Dataset) -> ag.training.RunFolder:
        """Make the folder of a new run."""
        args, count = self.args, len(data.train_images)
        apart = math.ceil(settings.validation * count)
        if apart == count:
            raise ValueError(f"{count} training image is held apart to compare passes, so none is left to train on")
        facts = {
            **{name: getattr(args, name) for name in (*self.kept, *COMMON)},
            "options": [*map(_option, vars(args))],
            "settings": asdict(settings),
            "name": data.name,
            "classes": data.classes,
            "image_shape": data.train_images.shape[1:],
            "images_per_pass": count - apart,
        }
        first = Path("runs", f"{Path(args.data).resolve().name}-{Path(args.recipe).stem}")
        paths = itertools.chain([first], (Path(f"{first}-{n}") for n in itertools.count(2)))
        path = args.out or next(path for path in paths if not path.exists())
        try:
            return ag.training.RunFolder(path, facts, self.recipes.get(args.recipe) or args.recipe)
        except OSError as error:
            raise OSError(f"{error}. Elsewhere: --out FOLDER") from error

    def _train(self, folder: ag.training.RunFolder, data: ag.data.Dataset, ranks: ag.distributed.Ranks) -> int:
        args, recipe = self.args, folder.module()
        settings = recipe.Settings(**folder.settings["settings"])
        rng = np.random.default_rng(args.seed)
        images, labels, validation = data.train_images, data.train_labels, None
        if settings.validation:
            (images, labels), validation = ag.data.split(images, labels, settings.validation, rng)
        model = ranks.broadcast(recipe.build(settings, rng, images))
        if ranks.rank == 0:
            notes = filter(None, [recipe.note(settings)])
            print(data, model.summary((1, *images.shape[1:])), *notes, sep="\n\n", end="\n\n")
        steps = settings.epochs * sum(1 for _ in ag.data.batches(images, labels, settings.batch_size))
        loss = partial(recipe.loss, settings)
        moments = ag.report.Moments(model, loss, images[:4], labels[:4])
        stop = [_perfect, *([ag.training.early_stop(args.patience)] if args.patience else [])]
        history = ag.training.fit(
            model, loss, recipe.optimiser(settings, model, steps), images, labels, rng=rng, epochs=settings.epochs,
            batch_size=settings.batch_size, schedule=recipe.schedule(settings, steps),
            augment=partial(recipe.augment, settings) if self.augmented else None,
            validation=validation, checkpoint=folder.last, callbacks=[*stop, moments, folder.callback(model)],
            accumulate=args.accumulate, clip=args.clip, time_limit=args.minutes and 60 * args.minutes, name=data.name,
            ranks=ranks,
        )  # fmt: skip
        model, images, labels = folder.model(), data.test_images, data.test_labels  # a look at them
        if ranks.rank == 0:
            print(f"Evaluating {len(images):,} test images, and writing the report", file=sys.stderr)
        result = ag.training.evaluate(partial(recipe.views, model), loss, images, labels, settings.batch_size, ranks)
        if ranks.rank == 0:  # the report counts the looks at the test images
            text = ag.report.write(folder, images, labels, result, loss, moments, self._resume(folder))
            batch = ag.Tensor(ag.data.as_float32(images[: settings.batch_size]), name="images")
            loss(model(batch), labels[: settings.batch_size]).graph().save(folder.path / "graph.svg")
            shares = recipe.probabilities(result.outputs)
            ag.plots.predictions(images, labels, shares, data.classes, folder.path / "predictions.png", data.name)
            ag.plots.confusion_matrix(result.confusion, data.classes, folder.path / "confusion.png", data.name)
            print(text)
        return 130 if history.ended.startswith("interrupted") else 0  # as a shell expects, which goes on after 0


def _perfect(history: ag.training.History) -> str:
    perfect = [epoch.validation_accuracy for epoch in history.epochs[-PERFECT:]] == [1] * PERFECT
    return f"all validation images right in {PERFECT} passes" * perfect


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE."""
    name, _, value = text.partition("=")
    if name in FIELDS:
        raise ArgumentTypeError(f"{name} has an option of its own, {_option(name)}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise ArgumentTypeError(f"{text} is no NAME=VALUE, such as weight_decay=0.01") from None


def _once(show: Callable[..., Any]) -> Callable[..., Any]:
    """Let each warning be shown once: Python forgets which were, whenever matplotlib changes filters for a moment."""
    shown: set[str] = set()

    def showwarning(message: Any, *place: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            show(message, *place)

    return showwarning


def script(run: Callable[[], int]) -> int:
    """Run a program; return its exit code, that of a shell after Ctrl-C, or if its output is closed, as by head."""
    warnings.showwarning = _once(warnings.showwarning)
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more when it ends
        code = 141
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        code = 130
    return code


def _finished(folder: ag.training.RunFolder) -> bool:
    """Whether the run has made all its passes, and its report is newer than the last checkpoint."""
    epochs, report = folder.history().epochs, folder.path / "report.html"
    whole = len(epochs) == folder.settings["settings"]["epochs"] and epochs[-1].part == 1
    return whole and report.exists() and report.stat().st_mtime >= folder.last.stat().st_mtime
