"""Train a network on images, and write a report.

    python examples/train_cifar10.py                              drawn shapes: no download, ends within two minutes
    python examples/train_cifar10.py --data cifar10 --download    the real images, 24 passes
    python examples/train_cifar10.py --data cifar10 --recipe quick
    python examples/train_cifar10.py --resume runs/cifar10-quick  continues a run that stopped, bit for bit

The same run as the hand-written code that this project replaces, two steps on one batch of 100 images:

    python examples/train_cifar10.py --recipe original --images 100

On several processes, here or on many machines that share the folder of the run (see docs/distributed.md):

    mpirun -n 4 python examples/train_cifar10.py

A recipe is a file in examples/recipes: a network, its settings and its training. The folder --out gets report.html (and
report.txt), net.html, which steps through the network, the settings and a copy of the recipe, history.json and .csv,
loss.png, predictions.png, confusion.png, graph.svg, the best weights and the last checkpoint. Ctrl-C ends the training
early; its best weights are evaluated.

A part of the training images is held apart to compare passes and settings. The test images are used once, at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

NOTHING = "\ninterrupted. Nothing was trained yet"
try:
    import numpy as np
    from recipes import standard, whitened

    import autograd_cnn as ag
    from autograd_cnn.environment import command
except KeyboardInterrupt:
    print(NOTHING, file=sys.stderr)
    sys.exit(130)

RECIPES = {  # the file, and its settings
    "standard": (standard, standard.Settings()),
    "original": (standard, standard.ORIGINAL),
    "quick": (whitened, whitened.Settings()),
    "best": (whitened, whitened.BEST),
}
SHAPES = {"epochs": 5}  # instead of those of the recipe
DEFAULTS = {"recipe": "standard", "seed": 0, "accumulate": 1}
OPTIONS = (  # of the command, which a resumed run needs again
    "data",
    "data_dir",
    "no_verify",
    "images",
    "recipe",
    "seed",
    "accumulate",
    "clip",
)
RESUMED = ("resume", "data_dir", "download", "url", "minutes", "patience")  # may be given to a resumed run
WORDS = {  # of the package's messages, on the command line
    "download=True": "--download",
    "verify=False": "--no-verify",
    "path=": "--data-dir",
    "url=...": "--url ADDRESS",
    "ag.data.load_shapes()": "--data shapes",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--recipe", choices=RECIPES, help="(default: standard)")
    add("--data", choices=("shapes", "cifar10"), help="drawn shapes, or the real images (default: shapes)")
    add("--data-dir", metavar="PATH", help="folder or archive that has CIFAR-10 (default: the usual places)")
    add("--no-verify", action="store_true", help="accept a copy of CIFAR-10 with unknown checksums")
    add("--download", action="store_true", help="fetch CIFAR-10 (170 MB) if it is not there")
    add("--url", metavar="ADDRESS", help="a mirror to download cifar-10-binary.tar.gz from; it is checked")
    add("--images", type=int, metavar="N", help="only the first N training images (default: all)")
    add("--epochs", type=int, metavar="N", help="passes over the images (default: that of the recipe; shapes: 5)")
    add("--batch-size", type=int, metavar="N", help="(default: that of the recipe)")
    add("--lr", type=float, metavar="RATE", help="(default: that of the recipe)")
    add("--seed", type=int, metavar="N", help="for weights, order and augmentation (default: 0)")
    add("--minutes", type=float, metavar="N", help="end the training when it has taken so many, resumed parts included")
    add("--patience", type=int, metavar="N", help="end it after N passes without a better one")
    add("--clip", type=float, metavar="NORM", help="scale larger gradients down to this norm")
    add("--accumulate", type=int, metavar="N", help="compute a batch in N parts, in less memory")
    add("--out", type=Path, metavar="FOLDER", help="where the results go (default: runs/DATA-RECIPE, or -2, -3, ...)")
    add("--resume", type=Path, metavar="FOLDER", help="go on with the run in this folder, with its settings")
    args = parser.parse_args()
    check(parser, args)
    return args


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what does not fit together, and fill in the defaults."""
    for name in ("images", "epochs", "batch_size", "lr", "minutes", "patience", "clip", "accumulate"):
        if getattr(args, name) is not None and not getattr(args, name) > 0:
            parser.error(f"{option(name)} is {getattr(args, name)}, must be more than 0")
    if args.seed is not None and args.seed < 0:
        parser.error(f"--seed is {args.seed}, must be 0 or more")
    args.download = args.download or args.url is not None
    given = [name for name, value in vars(args).items() if value is not None and value is not False]
    if args.resume:
        if other := [option(name) for name in given if name not in RESUMED]:
            parser.error(
                f"--resume goes on with the settings of {args.resume}, so {', '.join(other)} cannot be given. "
                "For other settings begin a new run"
            )
        return
    real = args.data_dir or args.no_verify or args.download
    if args.data == "shapes" and real:
        parser.error("--data-dir, --no-verify and --download need --data cifar10")
    args.data = args.data or ("cifar10" if real else "shapes")
    vars(args).update({name: value for name, value in DEFAULTS.items() if name not in given})


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def recall(args: argparse.Namespace) -> argparse.Namespace:
    """Take the options of the run to resume."""
    before = ag.training.RunFolder(args.resume).settings
    if missing := [name for name in OPTIONS if name not in before]:
        raise ValueError(
            f"{args.resume}: the run is of another program, which has to resume it "
            f"(settings.json has no {', '.join(missing)})"
        )
    vars(args).update({name: before[name] for name in OPTIONS if name != "data_dir" or args.data_dir is None})
    return args


def load(args: argparse.Namespace) -> ag.data.Dataset:
    if args.data == "shapes":
        data = ag.data.load_shapes(seed=args.seed)
    else:
        data = ag.data.load_cifar10(args.data_dir, download=args.download, verify=not args.no_verify, url=args.url)
    return data if args.images is None else data.take(args.images)


def settings_of(args: argparse.Namespace) -> tuple[ModuleType, Any]:
    """The recipe, and its settings with those that the command line replaces."""
    recipe, settings = RECIPES[args.recipe]
    given = {name: getattr(args, name) for name in ("epochs", "batch_size", "lr") if getattr(args, name) is not None}
    shapes = SHAPES if args.data == "shapes" and args.recipe != "original" else {}
    return recipe, dataclasses.replace(settings, **{**shapes, **given})


def folder_of(args: argparse.Namespace, data: ag.data.Dataset) -> ag.training.RunFolder:
    """The folder of a new run, or of the one to resume."""
    if args.resume:
        return ag.training.RunFolder(args.resume)
    recipe, settings = settings_of(args)
    names = itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
    free = (path for name in names if not (path := Path("runs", f"{args.data}-{args.recipe}{name}")).exists())
    count = len(data.train_images)
    apart = math.ceil(settings.validation * count)
    if apart == count:
        raise ValueError(
            f"--images {count}: held apart to compare passes, so none is left to train on. --images 2 does"
        )
    facts = {
        **{name: getattr(args, name) for name in OPTIONS},
        "settings": dataclasses.asdict(settings),
        "name": data.name,
        "classes": data.classes,
        "image_shape": data.train_images.shape[1:],
        "images_per_pass": count - apart,
    }
    path = args.out or next(free)
    try:
        return ag.training.RunFolder(path, facts, recipe.__file__)
    except OSError as error:
        raise OSError(f"{error}. Elsewhere: --out FOLDER") from error


def finished(folder: ag.training.RunFolder) -> bool:
    """Whether the run has made all its passes, and its report is newer than the last checkpoint."""
    epochs, report = folder.history().epochs, folder.path / "report.html"
    return (
        len(epochs) == folder.settings["settings"]["epochs"]
        and epochs[-1].part == 1
        and report.exists()
        and report.stat().st_mtime >= folder.last.stat().st_mtime
    )


def train(
    args: argparse.Namespace, folder: ag.training.RunFolder, data: ag.data.Dataset, ranks: ag.distributed.Ranks
) -> None:
    recipe = folder.module()
    settings = recipe.Settings(**folder.settings["settings"])
    rng = np.random.default_rng(args.seed)
    images, labels, validation = data.train_images, data.train_labels, None
    if settings.validation:
        (images, labels), validation = ag.data.split(images, labels, settings.validation, rng)
    model = ranks.broadcast(recipe.build(settings, rng, images))
    if ranks.rank == 0:
        notes = filter(None, [getattr(recipe, "NOTE", "")])
        print(data, model.summary((settings.batch_size, *images.shape[1:])), *notes, sep="\n\n", end="\n\n")
    steps = settings.epochs * -(-len(images) // settings.batch_size)
    loss = partial(recipe.loss, settings)
    moments = ag.report.Moments(model, loss, images[:4], labels[:4])
    stop = [ag.training.early_stop(args.patience)] if args.patience else []
    ag.training.fit(
        model,
        loss,
        recipe.optimiser(settings, model, steps),
        images,
        labels,
        rng=rng,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        schedule=recipe.schedule(settings, steps),
        augment=partial(recipe.augment, settings) if args.data == "cifar10" else None,
        validation=validation,
        checkpoint=folder.last,
        callbacks=[*stop, moments, folder.callback(model)],
        accumulate=args.accumulate,
        clip=args.clip,
        time_limit=args.minutes and 60 * args.minutes,
        name=data.name,
        ranks=ranks,
    )
    model, images, labels = folder.model(), data.test_images, data.test_labels  # a look at them
    result = ag.training.evaluate(partial(recipe.views, model), loss, images, labels, ranks=ranks)
    if ranks.rank == 0:
        show(folder, recipe, loss, data, moments, result)


def show(
    folder: ag.training.RunFolder,
    recipe: ModuleType,
    loss: Any,
    data: ag.data.Dataset,
    moments: ag.report.Moments,
    result: ag.training.Evaluation,
) -> None:
    """Write the report of the best weights, which counts the looks at the test images, and the pictures."""
    model, images, labels = folder.model(), data.test_images, data.test_labels
    print(ag.report.write(folder, images, labels, result, loss, moments))
    shares = recipe.probabilities(result.outputs)
    ag.plots.predictions(images, labels, shares, data.classes, folder.path / "predictions.png", data.name)
    ag.plots.confusion_matrix(result.confusion, data.classes, folder.path / "confusion.png", data.name)
    batch = ag.Tensor(ag.data.as_float32(images[:100]), name="images")
    loss(model(batch), labels[:100]).graph().save(folder.path / "graph.svg")


def main(begun: list[ag.training.RunFolder]) -> int:
    """Run the program; `begun` gets the folder of the run as soon as there is one."""
    args, ranks = arguments(), ag.distributed.ranks()
    say = partial(print, file=sys.stderr) if ranks.rank == 0 else lambda text: None
    try:
        if args.resume:
            args = ranks.first(recall, args)
            folder = ranks.first(ag.training.RunFolder, args.resume)
            if ranks.first(finished, folder):
                if ranks.rank == 0:
                    print(f"{folder.path}: the training has ended. Its report: {folder.path / 'report.html'}")
                return 0
            begun.append(folder)
            if not folder.last.exists():
                say(f"{folder.path}: has no checkpoint yet, so the training begins at its start")
        data = ranks.first(load, args)
        folder = ranks.first(folder_of, args, data)
        begun.append(folder)
    except (ImportError, OSError, ValueError) as error:
        text = str(error)
        for word, ours in WORDS.items():
            text = text.replace(word, ours)
        say(text)
        return 2
    try:
        train(args, folder, data, ranks)
    except FloatingPointError as error:
        say(f"{error}. A lower --lr, or --clip 1, in a new run may help")
        return 1
    except (ImportError, OSError, ag.training.CheckpointError) as error:
        say(error)
        return 1
    return 0


def script() -> int:
    """Run the program; after Ctrl-C outside of the training, which has an end of its own, say what is left."""
    begun: list[ag.training.RunFolder] = []
    try:
        return main(begun)
    except KeyboardInterrupt:
        if begun and begun[-1].last.exists():
            resume = command(sys.argv[0], "--resume", begun[-1].path)
            print(f"\ninterrupted. Go on from the last checkpoint:\n    {resume}", file=sys.stderr)
        else:
            print(NOTHING, file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(script())
