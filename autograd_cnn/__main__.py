"""``python -m autograd_cnn`` or ``autograd-cnn``: `train`, `predict`, `export`, pages, `check`, `compile`, `info`.

May import everything. `train` trains a recipe on images, in a run folder, with a report.
"""

from __future__ import annotations

import ast
import itertools
import math
import os
import platform
import runpy
import sys
import webbrowser
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.calculus.check import conformance
from autograd_cnn.engine.messages import inside
from autograd_cnn.engine.observe import operations
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import kernels
from autograd_cnn.environment import command, plain, program

PACKAGES = "autograd_cnn numpy threadpoolctl safetensors matplotlib graphviz jinja2 tqdm pillow numba".split()
DEMOS = "chain_rule", "spiral", "cnn", "broken"
GREY = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)

RECIPES: Mapping[str, Path] = dict.fromkeys(("quick", "best"), Path(__file__).parent / "training" / "quick.py")
SETS: dict[str, Callable[[Mapping[str, Any]], ag.data.Dataset]] = {  # by name, from the facts of a run; else a folder
    "shapes": lambda facts: ag.data.load_shapes(seed=facts["seed"]),
    "cifar10": lambda facts: ag.data.load_cifar10(None, "download" in facts, "no_verify" not in facts),
}
DRAWN = next(iter(SETS))  # the default: five passes suffice, and no image is moved or mirrored
NEEDED = ("epochs", "batch_size", "validation")  # fields that all settings have
SHORT = ("size", "epochs", "batch_size", "lr")  # fields of settings that are options, too
PLACES, LIMITS = {"data", "download"}, {"minutes", "patience"}  # options that a resumed run may be given, too
FEW, LEAST, STEPS, PASSES, WIDTHS = 1000, 3, 8, 25, (32, 64, 128)  # training images; then a batch, its number, passes

ABOUT = "Train networks on images, ask and export them; watch backprop step by step; check derivatives of your own."
FIRST = "To begin: %(prog)s demo. With a folder of images for each class, in the folder photos: %(prog)s train photos"
DATA = f"a folder that has a folder of images for each class, or {' or '.join(SETS)} (default: {DRAWN}, drawn here)"
RECIPE = "{} (default: the first), or FILE.py with build(settings, rng=None, images=None)"
SET = "another number of the recipe's Settings, such as weight_decay=0.01; may be repeated"
CURES: dict[type[Exception], str] = {
    FloatingPointError: ". A lower --lr, or --clip 1, in a new run may help",
    MemoryError: ". A smaller --size or --batch-size takes less memory",
}
ERRORS: tuple[type[Exception], ...] = (ImportError, OSError, ValueError, *CURES)  # which are one line, and no traceback

inside[__file__] = False  # a program: of a model that is called nowhere else, pages show the line here


def _setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise ArgumentTypeError(f"{text} is no NAME=VALUE, such as weight_decay=0.01") from None


def _above(least: int, kind: type = int, metavar: str = "N") -> dict[str, Any]:
    """Return the details of an option for a number."""

    def read(text: str) -> Any:
        with suppress(ValueError):
            if least < (number := kind(text)) < math.inf:
                return number
        raise ArgumentTypeError(f"{text} is no {'whole ' * (kind is int)}number above {least}")

    return {"type": read, "metavar": metavar}


FOLDER, YES = {"type": Path, "metavar": "FOLDER"}, {"action": "store_true"}
WHOLE, SEED, NUMBER = _above(0), _above(-1), _above(0, float, "X")
OPTIONS: list[tuple[str, str, str, dict[str, Any]]] = [  # the commands that have it, its names, its help, its details
    ("demo live", "folder", "for pages [%(default)s]", {**FOLDER, "nargs": "?", "default": "autograd_cnn_pages"}),
    ("live", "--offline", "put Python (12 MB) into the page, which else loads it from a public server", YES),
    ("demo live", "--no-open", "write the pages, and do not open them", {"dest": "show", "action": "store_false"}),
    ("train", "data", DATA, {"nargs": "?", "metavar": "FOLDER"}),
    ("train", "--recipe --model", RECIPE, {"metavar": "NAME"}),
    ("train", "--images", "train on so many of the images (default: all)", WHOLE),
    ("train", "--size", "pixels of a side to which images are cut and resized", WHOLE),
    ("train", "--epochs", "passes over the images (default: by recipe and images)", WHOLE),
    ("train", "--batch-size", "(default: by recipe and images)", WHOLE),
    ("train", "--lr", "(default: that of the recipe)", NUMBER),
    ("train", "--set", SET, {"type": _setting, "action": "append", "metavar": "NAME=VALUE"}),
    ("train", "--seed", "for weights, order and augmentation (default: 0)", SEED),
    ("train", "--clip", "scale larger gradients down to this norm", NUMBER),
    ("train", "--download", "fetch CIFAR-10 (170 MB) if it is not in $AUTOGRAD_CNN_DATA, or your cache", YES),
    ("train", "--no-verify", "accept a copy of CIFAR-10 with unknown checksums", YES),
    ("train", "--out", "for the results (default: runs/DATA-RECIPE, or -2, -3, ...)", FOLDER),
    ("train", "--resume", "go on with the run in this folder", {"type": Path, "metavar": "RUN"}),
    ("train", "--minutes", "end after so many, resumed parts included", NUMBER),
    ("train", "--patience", "end after N passes without a better one", WHOLE),
    ("predict export", "run", "the folder of a run; its model.py is executed", {"type": Path, "metavar": "RUN"}),
    ("predict", "files", "an image or a folder of them", {"type": Path, "nargs": "+", "metavar": "IMAGE"}),
    ("predict", "--why", "also draw what the model got, and the pixels that move its answer, into RUN/why", YES),
    ("export", "file", "", {"type": Path, "metavar": "FILE.onnx"}),
    ("check", "file", "a Python file with @ag.primitive and .vjp(...)", {"type": Path}),
]


def main(arguments: list[str] | None = None, recipes: Mapping[str, Path] = RECIPES) -> int:
    """Run the command of the command line; return the exit code, 2 after an error in one line.

    It is that of a shell after Ctrl-C, and if the output is closed, as by head.
    `recipes` has the file of each recipe of `train`, whose `SETTINGS` go by these names. The first one is the default.
    """
    parser = ArgumentParser(prog="python -m autograd_cnn", description=ABOUT, epilog=FIRST)
    parser.add_argument("--version", action="version", version=f"autograd_cnn {ag.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for run in demo, live, train, predict, export, check, compile, info:
        text = str(run.__doc__).partition("\n")[0]
        sub = commands.add_parser(run.__name__, help=text, description=text, argument_default=SUPPRESS)
        sub.set_defaults(command=run)
        for those, names, text, details in OPTIONS:
            if run.__name__ in those.split():
                sub.add_argument(*names.split(), help=text.format(", ".join(recipes)), **details)
    options = vars(parser.parse_args((sys.argv[1:] if arguments is None else arguments) or ["--help"]))
    run = options.pop("command")
    try:
        code = run(recipes, **options) if run is train else run(**options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more when it ends
        return 141
    except KeyboardInterrupt as stop:
        print(f"\ninterrupted{stop}", file=sys.stderr)
        return 130
    except ERRORS as error:
        return _failed(error)


def _failed(why: object) -> int:
    cure = next((cure for kind, cure in CURES.items() if isinstance(why, kind)), "")
    if isinstance(why, OSError) and why.strerror and why.filename is not None:
        why = f"{plain(os.fspath(why.filename))}: {why.strerror}"
    print(f"{why}{cure}", file=sys.stderr)
    return 2


def _free(folder: Path, name: str, ending: str = "") -> Path:
    """Return the first of NAME, NAME-2, NAME-3 and so on that does not exist in a folder."""
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return next(path for each in names if not (path := folder / f"{each}{ending}").exists())


def train(recipes: Mapping[str, Path], resume: Path | None = None, **given: Any) -> int:
    """Train a network on images, and write a report; or go on with a run that stopped.

    Returns the exit code. Ctrl-C outside of the training, which has an end of its own, prints the command that goes on.
    """
    ranks, folder, limits = ag.distributed.ranks(), None, {name: given.pop(name) for name in LIMITS & given.keys()}
    try:
        folder, data = ranks.first(_again, resume, given) if resume else ranks.first(_new, recipes, given)
        return _train(ranks, folder, data, **limits) if data else 0
    except ERRORS:
        if ranks.rank == 0:
            raise
        return 2
    except KeyboardInterrupt:
        run = folder.path if folder and folder.last.exists() else None
        how = f"Go on from the last checkpoint:\n    {_resume(run)}" if run else "Nothing was trained yet"
        raise KeyboardInterrupt(f". {how}") from None
    finally:
        if folder and ranks.rank == 0 and not folder.last.exists():
            folder.remove()


def _resume(run: Path, *data: str) -> str:
    """Return the command that goes on with a run."""
    return command("-m", "autograd_cnn", "train", *data, "--resume", run)


def _settings(folder: ag.training.RunFolder) -> Any:
    return folder.module().Settings(**folder.settings["settings"])


def _again(run: Path, given: dict[str, Any]) -> tuple[ag.training.RunFolder, ag.data.Dataset | None]:
    """Return the folder of a run, and its images; None if the run has ended, and its report is newer than its end."""
    if given.keys() - PLACES:
        own = "only --minutes, --patience and the place of the images can be given. For other settings begin a new run"
        raise ValueError(f"--resume goes on with the settings of {run}, so beside it {own}")
    folder = ag.training.RunFolder(run)
    facts, history, report = {**folder.settings, **given}, folder.history(), folder.path / "report.html"
    if not facts.keys() >= {"data", "recipe", "seed", "settings"}:
        raise ValueError(f"{run}: the run is of another program, which has to resume it")
    ended = len(history.losses) == history.planned > 0 and report.exists()
    if ended and report.stat().st_mtime >= folder.last.stat().st_mtime:
        print(f"{run}: the training has ended. Its report: {report}", file=sys.stderr)
        return folder, None
    return folder, _load(facts, _settings(folder), f"If it has moved: {_resume(run, 'FOLDER')}")


def _new(recipes: Mapping[str, Path], given: dict[str, Any]) -> tuple[ag.training.RunFolder, ag.data.Dataset]:
    """Make the folder of a new run; return it, and its images."""
    facts = {"data": DRAWN, "recipe": next(iter(recipes)), "seed": 0, **given}
    name, changes, out = facts["recipe"], dict(facts.pop("set", ())), facts.pop("out", None)
    changes |= {field: facts.pop(field) for field in SHORT if field in facts}
    if name not in recipes and not Path(name).exists():
        raise ValueError(f"{name} is no recipe ({', '.join(recipes)}), and no file")
    recipe = ag.training.read_recipe(recipes.get(name, name))
    settings = recipe.SETTINGS.get(name) or recipe.Settings()
    if absent := [field for field in (*NEEDED, *changes) if not hasattr(settings, field)]:
        raise ValueError(f"{name}: its Settings have no {', '.join(absent)}, but {', '.join(vars(settings))}")
    whole = {field.name for field in fields(settings) if field.type in (int, "int")}
    for field, value in changes.items():
        usual = getattr(settings, field)
        kind = int | float if isinstance(usual, int | float) and field not in whole else type(usual)
        if usual is not None and not isinstance(value, kind):
            raise ValueError(f"--set {field}={value!r}: want {type(usual).__name__}, such as {field}={usual!r}")
    settings = replace(settings, **changes)
    data = _load(facts, settings, f"Without a folder: {' or '.join(SETS)}")
    suited = _suited(facts, data, settings).items()
    settings = replace(settings, **{name: x for name, x in suited if hasattr(settings, name) and name not in changes})
    count, *shape = data.train_images.shape
    learned_from = count - math.ceil(settings.validation * count)
    facts.update(program=program(), settings=asdict(settings), images_per_pass=learned_from)
    facts.update(name=data.name, classes=data.classes, image_shape=shape)
    path = out or _free(Path("runs"), f"{Path(facts['data']).resolve().name}-{Path(name).stem}")
    return ag.training.RunFolder(path, facts, recipes.get(name, name)), data


def _load(facts: Mapping[str, Any], settings: Any, cure: str) -> ag.data.Dataset:
    """Load the images of a run; `cure` ends the error if their folder does not exist."""
    if facts["data"] in SETS:
        data = SETS[facts["data"]](facts)
    elif not Path(facts["data"]).expanduser().exists():
        raise FileNotFoundError(f"{plain(facts['data'])} does not exist. {cure}")
    else:
        size, left_out = getattr(settings, "size", 32), partial(print, "left out:", file=sys.stderr)
        data = ag.data.load_folder(facts["data"], (size, size), seed=facts["seed"], skip=left_out)
    count, there = facts.get("images"), len(data.train_images)
    if count and count > there:
        raise ValueError(f"--images {count:,}: {plain(data.name)} has {there:,} for the training")
    if count:
        some = np.linspace(0, there - 1, count).astype(int)  # of a folder, as many of each class
        data = replace(data, train_images=data.train_images[some], train_labels=data.train_labels[some])
    return data


def _suited(facts: Mapping[str, Any], data: ag.data.Dataset, settings: Any) -> dict[str, Any]:
    """Return settings that suit the images better: for few, a smaller network, smaller batches and more passes."""
    if facts["data"] in SETS:
        return {"epochs": min(settings.epochs, 5)} if facts["data"] == DRAWN else {}
    count = len(data.train_images)
    better: dict[str, Any] = {"classes": len(data.classes), "batch_size": settings.batch_size}
    if count < FEW:
        better |= {"epochs": PASSES, "batch_size": max(-(-count // STEPS), LEAST), "validation": 0.2}
    if facts["recipe"] == "quick":
        most = max(settings.batch_size * 32**2 // settings.size**2, 8)  # images of a step, which has to fit into memory
        better |= {"batch_size": min(better["batch_size"], most), **({"widths": WIDTHS} if count < FEW else {})}
    return better


@np.errstate(all="ignore")  # `fit` stops at the first number that is not finite, and says where it came from
def _train(ranks: Any, folder: ag.training.RunFolder, data: Any, minutes: Any = None, patience: Any = None) -> int:
    recipe, settings, facts = folder.module(), _settings(folder), folder.settings
    rng = np.random.default_rng(facts["seed"])
    images, labels, validation = data.train_images, data.train_labels, None
    if settings.validation:
        (images, labels), validation = ag.data.split(images, labels, settings.validation, rng)
    model = ranks.broadcast(recipe.build(settings, rng, images))
    if ranks.rank == 0:
        print(data, model.summary((1, *images.shape[1:])), sep="\n\n", end="\n\n")
    steps = settings.epochs * sum(1 for _ in ag.data.batches(images, labels, settings.batch_size))
    loss = partial(recipe.loss, settings)
    moments = ag.report.Moments(model, loss, images, labels)
    stop: list[Any] = [] if patience is None else [lambda history: history.since_best >= patience]
    history = ag.training.fit(
        model, loss, recipe.optimiser(settings, model, steps), images, labels, rng=rng, epochs=settings.epochs,
        batch_size=settings.batch_size, schedule=recipe.schedule(settings, steps),
        augment=None if facts["data"] == DRAWN else partial(recipe.augment, settings),
        validation=validation, checkpoint=folder.last, callbacks=[*stop, moments, folder.callback(model)],
        clip=facts.get("clip"), time_limit=minutes and 60 * minutes, name=data.name, ranks=ranks,
    )  # fmt: skip
    model, images, labels = folder.model(), data.test_images, data.test_labels
    if ranks.rank == 0:
        print(f"Evaluating {len(images):,} test images, and writing the report", file=sys.stderr)
    result = ag.training.evaluate(partial(recipe.views, model), loss, images, labels, settings.batch_size, ranks)
    if ranks.rank == 0:
        print(ag.report.write(folder, images, labels, result, loss, moments, _resume(folder.path)))
    return 130 if history.ended.startswith("interrupted") else 0  # as a shell expects, which goes on after 0


def _trained(run: Path, caller: str) -> tuple[ag.training.RunFolder, list[str], Any]:
    """Return the folder of a run, the names of its classes, as a terminal shows them, and the shape of an image."""
    folder = ag.training.RunFolder(run)
    if missing := [name for name in ("classes", "image_shape") if not folder.settings.get(name)]:
        raise ValueError(f"{run}: settings.json has no {' and no '.join(missing)}, which {caller} needs")
    return folder, [*map(plain, folder.settings["classes"])], tuple(folder.settings["image_shape"])


def predict(run: Path, files: list[Path], why: bool = False) -> int:
    """Print the three most probable classes of each image.

    With `why`, write what decided into RUN/why. Return 0, or 2 if an image cannot be read.
    """
    from autograd_cnn.data.image_files import images_in

    folder, classes, shape = _trained(run, "predict")
    code, model, probabilities = 0, folder.model(), folder.module().probabilities
    files = [file for each in files for file in (each.is_dir() and images_in(each)) or [each]]
    width, wide = max(len(plain(str(file))) for file in files), max(map(len, classes))
    for file in files:
        try:
            image = ag.data.read_image(file, shape[:2])
        except (OSError, ValueError) as error:
            code = _failed(error)
            continue
        if shape[2:] == (1,):
            image = np.rint(image @ GREY)[..., None].astype(np.uint8)
        (row,) = probabilities(ag.training.predict(model, image[None]))
        order = (-row).argsort(kind="stable")
        best = [f"{row[i]:6.1%} {classes[i]}".ljust(wide + 7) for i in order[:3]]
        print(f"{plain(str(file)):{width}}", *best, sep="  ")
        if why:
            name = "-".join(filter(None, [file.parent.name, file.stem]))  # several folders may have one name
            (run / "why").mkdir(exist_ok=True)
            path = _free(run / "why", name, ".png")
            ag.plots.influence(model, ag.data.as_float32(image), path, f"{file.name}: {best[0].strip()}")
            print(f"{'':{width}}  {plain(str(path))}: what the model got; the pixels that move {classes[order[0]]}")
    return code


def export(run: Path, file: Path) -> int:
    """Write the network of a run as an ONNX file."""
    folder, classes, shape = _trained(run, "export")
    ag.interop.export_onnx(file, folder.model(), np.zeros((1, *shape), np.float32))
    form = f"(N, {', '.join(map(str, shape))}), float32 in [0, 1]"
    print(f"{file}: images {form}, to the outputs of {', '.join(classes)}")
    return 0


def demo(folder: Path, show: bool = True) -> int:
    """Open networks to step through: chain rule, spiral, CNN, broken rules; the folder gets their scripts, too."""
    from unittest.mock import patch

    from autograd_cnn.studio import graph

    folder.mkdir(parents=True, exist_ok=True)
    for name in DEMOS:
        script, page = folder / f"{name}.py", folder / f"{name}.html"
        script.write_bytes((Path(graph.__file__).parent / "player" / "demos" / script.name).read_bytes())
        with patch.object(graph, "show_page", partial(page.write_text, encoding="utf-8")):
            runpy.run_path(str(script), run_name="__main__")
        _opened(page.resolve(), show)
    return 0


def live(folder: Path, offline: bool = False, show: bool = True) -> int:
    """Open a page in which you edit a program, run it, and step through it."""
    from autograd_cnn.studio.live.page import write

    write(folder / "live.html", offline)
    return _opened(folder / "live.html", show)


def _opened(page: Path, show: bool) -> int:
    print(page)
    if show and not webbrowser.open(page.resolve().as_uri()):
        print("No browser was found here: open this file in one", file=sys.stderr)
    return 0


def check(file: Path) -> int:
    """Compare the primitives of your own file with finite differences.

    Return 0 if all pass, 1 if one fails, 2 if none can be.
    """
    ours = set(operations)
    sys.path.insert(0, str(file.parent))  # the file may import its neighbours, as a script may
    try:
        runpy.run_path(str(file))
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(file)]
        place = f"{file}:{lines[-1]}" if lines else file  # the message of a SyntaxError has its line
        return _failed(f"{place}: {type(error).__name__}: {error}")
    own = [p for name, p in operations.items() if isinstance(p, Primitive) and name not in ours]
    if not own:
        return _failed(f"{file}: registers no primitive. @ag.primitive above a function does")
    failed = False
    for primitive in own:
        try:
            count = conformance(primitive)
            known = {*primitive.rules, *primitive.defaults}
            without = ", ".join(name for name in primitive.parameters if name not in known)
            note = f"; no rule, so no gradient: {without}" if without else ""
            print(f"ok    {primitive.name}: {count} example{'s' if count > 1 else ''}{note}")
        except Exception as error:
            failed = True
            text = str(error).partition("\n")[0]
            print(f"FAIL  {text if primitive.name in text else f'{primitive.name}: {error!r}'}")
            if primitive.examples is None and ("nan" in text or not isinstance(error, AssertionError)):
                print("      on arrays of shape (2, 3); for others: @ag.primitive(examples=lambda rng: [(x, ...)])")
    return int(failed)


def compile() -> int:
    """Compile Numba's kernels now, rather than in the first step.

    A network of the usual layers is trained for a step. Return 2 without Numba.
    """
    from autograd_cnn.fast.twins import compiled_pass

    if kernels() != "numba":
        return _failed(f"nothing to compile: the kernels are {_kernels()}")
    nn = ag.nn
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.Conv2d(32, 32, 3, padding=1, groups=32)),
        *(nn.GELU(), nn.Conv2d(32, 64, 3, 2, padding=1), nn.LeakyReLU(), nn.Conv2d(64, 64, 1, 2), nn.Softplus()),
        *(nn.Flatten(), nn.Linear(256, 4096), nn.Sigmoid()),
    )
    x = np.random.default_rng(0).random((100, 32, 32, 3), np.float32)
    for optimiser in ag.optim.SGD(model.parameters(), lr=0.1), ag.optim.Adam(model.parameters()):
        ag.cross_entropy(model(x), np.zeros(100, int)).backward()
        optimiser.step()
    with ag.no_grad():
        model(x)
    multiply: Any = compiled_pass("products.multiply")
    print("kernels are in", multiply.stats.cache_path or "memory: no folder is writable")
    return 0


def _kernels() -> str:
    off = os.environ.get("AUTOGRAD_CNN_KERNELS") == "numpy"
    cure = "as AUTOGRAD_CNN_KERNELS says" if off else command("-m", "pip", "install", "autograd_cnn[fast]")
    return "compiled by Numba" if kernels() == "numba" else f"NumPy's; compiled ones: {cure}"


def info() -> int:
    """Print versions and kernels, for bug reports."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    for package in PACKAGES:
        try:
            print(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            print("no", package)
    if hasattr(ag, "get_num_threads"):
        print(f"kernels: {_kernels()}; {ag.get_num_threads()} threads")
    return 0


if __name__ == "__main__":
    sys.exit(main())
