"""``python -m autograd_cnn`` or ``autograd-cnn``: `train`, `predict`, `export`, pages, `check`, `compile`, `info`.

May import everything. `Program` trains a recipe on images, in a run folder, with a report: it is the command `train`,
and the base of scripts like it.
"""

from __future__ import annotations

import ast
import itertools
import math
import os
import platform
import runpy
import shutil
import sys
import tempfile
import time
import warnings
import webbrowser
from argparse import ArgumentParser, ArgumentTypeError, Namespace
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
from autograd_cnn.environment import command, plain, program

PACKAGES = "autograd_cnn numpy threadpoolctl safetensors matplotlib graphviz jinja2 tqdm pillow numba".split()
DEMOS = {"chain_rule": "the chain rule", "spiral": "two spirals", "cnn": "a CNN", "broken": "five broken rules"}
GREY = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)

QUICK = Path(__file__).parent / "training" / "quick.py"
NEEDED = ("epochs", "batch_size", "validation")  # fields that all settings have
AGAIN = ("resume", "minutes", "patience")  # options that a resumed run may be given
ONCE = (*AGAIN, "set", "out")  # options that a resumed run does not need again
FEW, LEAST, STEPS, PASSES, WIDTHS = 1000, 3, 8, 25, (32, 64, 128)  # training images; then a batch, its number, passes

SET = "another number of the recipe's Settings, such as weight_decay=0.01; may be repeated"
WHY = """also write a picture of each image into RUN/why: what the model got, and how much each pixel moves the output
of the most probable class (its absolute gradient, averaged over 16 noisy copies and over neighbours)"""
OFFLINE = """put Python into the page (12 MB): it needs no network. Without, the page loads Python from a public server.
AUTOGRAD_CNN_PYODIDE names a folder that has the files of Pyodide already"""
NOTHING = "\ninterrupted. Nothing was trained yet"
CURES: dict[type[Exception], str] = {
    FloatingPointError: ". A lower --lr, or --clip 1, in a new run may help",
    MemoryError: ". A smaller --size or --batch-size takes less memory",
}

inside[__file__] = False  # a program: of a model that is called nowhere else, pages show the line here


def _setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise ArgumentTypeError(f"{text} is no NAME=VALUE, such as weight_decay=0.01") from None


def _above_0(kind: type, metavar: str, setting: str = "") -> dict[str, Any]:
    """Return the details of an option for a number above 0, which may be another word for ``--set setting=...``."""

    def read(text: str) -> Any:
        with suppress(ValueError):
            if (number := kind(text)) > 0:
                return (setting, number) if setting else number
        raise ArgumentTypeError(f"{text} is no {kind.__name__} above 0")

    return {"type": read, "metavar": metavar, **({"dest": "set", "action": "append"} if setting else {})}


FOLDER, YES = {"type": Path, "metavar": "FOLDER"}, {"action": "store_true"}
COMMANDS = {
    "demo": "networks to step through: chain rule, spiral, CNN, broken rules",
    "live": "a page in which you edit a program, run it, and step through it",
    "train": "train a network on a folder of images, or go on with a run that stopped",
    "predict": "print the three most probable classes of each image",
    "export": "write the network of a run as an ONNX file",
    "check": "compare the primitives of your own file with finite differences",
    "compile": "compile Numba's kernels now, rather than in the first step",
    "info": "versions and kernels, for bug reports",
}
OPTIONS: list[tuple[str, str, str, dict[str, Any]]] = [  # the commands that have it, its name, its help, its details
    ("demo", "folder", "for scripts and pages [%(default)s]", {**FOLDER, "nargs": "?", "default": "autograd_cnn_demo"}),
    ("live", "folder", "for the page [a temporary one; this, with --no-open]", {**FOLDER, "nargs": "?"}),
    ("live", "--offline", OFFLINE, YES),
    ("demo live", "--no-open", "write the pages, and do not open them", {"dest": "show", "action": "store_false"}),
    ("train", "data", "a folder of images for each class is in it", {"nargs": "?", "metavar": "FOLDER"}),
    ("train", "--size", "pixels of a side to which images are cut and resized", _above_0(int, "N", "size")),
    ("programs", "--epochs", "passes over the images (default: by recipe and images)", _above_0(int, "N", "epochs")),
    ("programs", "--batch-size", "(default: by recipe and images)", _above_0(int, "N", "batch_size")),
    ("programs", "--lr", "(default: that of the recipe)", _above_0(float, "RATE", "lr")),
    ("programs", "--set", SET, {"type": _setting, "action": "append", "metavar": "NAME=VALUE"}),
    ("programs", "--seed", "for weights, order and augmentation (default: 0)", {"type": int, "metavar": "N"}),
    ("programs", "--minutes", "end after so many, resumed parts included", _above_0(float, "N")),
    ("programs", "--patience", "end after N passes without a better one", _above_0(int, "N")),
    ("programs", "--clip", "scale larger gradients down to this norm", _above_0(float, "NORM")),
    ("programs", "--out", "for the results (default: runs/DATA-RECIPE, or -2, -3, ...)", FOLDER),
    ("programs", "--resume", "go on with the run in this folder", {"type": Path, "metavar": "RUN"}),
    ("predict export", "run", "the folder of a run; the code in its model.py is executed", {"type": Path}),
    ("predict", "files", "an image or a folder of them", {"type": Path, "nargs": "+", "metavar": "IMAGE"}),
    ("predict", "--why", WHY, YES),
    ("export", "file", "", {"type": Path, "metavar": "FILE.onnx"}),
    ("check", "file", "a Python file with @ag.primitive and .vjp(...)", {"type": Path}),
]


def _add_options(parser: ArgumentParser, command: str) -> None:
    for commands, name, text, details in OPTIONS:
        if command in commands.split():
            parser.add_argument(name, help=text, **details)


def main(arguments: list[str] | None = None) -> int:
    """Run the command of the command line; return the exit code, 2 after an error in one line."""
    parser = ArgumentParser(prog="python -m autograd_cnn", description="A tiny autograd engine on NumPy.")
    parser.add_argument("--version", action="version", version=f"autograd_cnn {ag.__version__}")
    commands = parser.add_subparsers(required=True)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=globals()[name])
        if name == "train":
            Images.add_options(sub)
            sub.set_defaults(refuse=sub.error)
        _add_options(sub, name)
    options = vars(parser.parse_args(arguments))
    run = options.pop("command")
    try:
        return run(**options)
    except BrokenPipeError:
        raise
    except (ImportError, OSError, ValueError) as error:
        return _failed(error)


def _failed(why: object) -> int:
    if isinstance(why, OSError) and why.strerror and why.filename is not None:
        why = f"{plain(os.fspath(why.filename))}: {why.strerror}"
    print(why, file=sys.stderr)
    return 2


def _free(folder: Path, name: str, ending: str = "") -> Path:
    """Return the first of NAME, NAME-2, NAME-3 and so on that does not exist in a folder."""
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return next(path for each in names if not (path := folder / f"{each}{ending}").exists())


class Program:
    """A program that trains. Those that derive from it have options of their own, and load images.

    Attributes
    ----------
    args : Namespace
        The options of the command line. `data` is the name of the images, or their folder.
    start : tuple of str
        The words of the command, after Python's.
    recipes : dict of str to path
        The file of each recipe, whose `SETTINGS` go by these names. The first one is the default.
    places : tuple of str
        Options that say where images are: a resumed run may be given others.
    augmented : bool
        Whether training images are changed at random.
    """

    start: tuple[str, ...]
    recipes: Mapping[str, Path] = {"quick": QUICK, "best": QUICK}
    places: tuple[str, ...]
    augmented = True

    @classmethod
    def add_options(cls, parser: ArgumentParser) -> None:
        """Add the options that all programs have."""
        names = f"{', '.join(cls.recipes)} (default: the first), or FILE.py with build(settings, rng=None, images=None)"
        parser.add_argument("--recipe", "--model", metavar="NAME", help=names)
        _add_options(parser, "programs")

    def __init__(self, args: Namespace, refuse: Callable[[str], Any]) -> None:
        """Refuse options that do not fit together, and fill in the defaults of a new run."""
        self.args = args
        given = {name for name, value in vars(args).items() if value is not None and value is not False}
        if args.seed is not None and args.seed < 0:
            refuse(f"--seed is {args.seed}, must be 0 or more")
        if not args.resume:
            args.recipe, args.seed = args.recipe or next(iter(self.recipes)), args.seed or 0
        elif given - {*AGAIN, *self.places}:
            refuse(
                f"--resume goes on with the settings of {args.resume}, so beside it only --minutes, --patience and the "
                "place of the images can be given. For other settings begin a new run"
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
            folder, data = ranks.first(self._begun)
            if data is None:
                say(f"{folder.path}: the training has ended. Its report: {folder.path / 'report.html'}")
                return 0
            code = self._train(folder, data, ranks)
        except BrokenPipeError:
            raise
        except (ImportError, OSError, ValueError, FloatingPointError, MemoryError) as error:
            say(f"{error}{next((cure for kind, cure in CURES.items() if isinstance(error, kind)), '')}")
        except KeyboardInterrupt:
            there = folder is not None and folder.last.exists() and self._resume(folder)
            say(f"\ninterrupted. Go on from the last checkpoint:\n    {there}" if there else NOTHING)
            code = 130
        if code and folder and ranks.rank == 0 and not (self.args.resume or folder.last.exists()):
            folder.remove()
        return code

    def _resume(self, folder: ag.training.RunFolder) -> str:
        return command(*self.start, "--resume", folder.path)

    def _begun(self) -> tuple[ag.training.RunFolder, ag.data.Dataset | None]:
        """Return the folder of the run, which a new one gets here, and its images; None if it has ended."""
        args = self.args
        if args.resume:
            folder = ag.training.RunFolder(args.resume)
            kept = [name for name in vars(args) if name not in ONCE and getattr(args, name) in (None, False)]
            if not folder.settings.keys() >= {*kept}:
                raise ValueError(f"{folder.path}: the run is of another program, which has to resume it")
            vars(args).update({name: folder.settings[name] for name in kept})
            data = None if _finished(folder) else self.load(_settings(folder))[0]
            return folder, data
        name, given = args.recipe, dict(args.set or ())
        if name not in self.recipes and not Path(name).exists():
            raise ValueError(f"{name} is no recipe ({', '.join(self.recipes)}), and no file")
        recipe = ag.training.read_recipe(self.recipes.get(name, name))
        settings = recipe.SETTINGS.get(name) or recipe.Settings()
        if absent := [field for field in (*NEEDED, *given) if not hasattr(settings, field)]:
            raise ValueError(f"{name}: its Settings have no {', '.join(absent)}, but {', '.join(vars(settings))}")
        whole = {field.name for field in fields(settings) if field.type in (int, "int")}
        for field, value in given.items():
            usual = getattr(settings, field)
            kind = int | float if isinstance(usual, int | float) and field not in whole else type(usual)
            if usual is not None and not isinstance(value, kind):
                raise ValueError(f"{field} is {value!r}, want {type(usual).__name__}, such as {field}={usual!r}")
        settings = replace(settings, **given)
        data, better = self.load(settings)
        better = {field: value for field, value in better.items() if hasattr(settings, field) and field not in given}
        return self._new(replace(settings, **better), data), data

    def _new(self, settings: Any, data: ag.data.Dataset) -> ag.training.RunFolder:
        """Make the folder of a new run."""
        args, count = self.args, len(data.train_images)
        facts = {
            **{name: value for name, value in vars(args).items() if name not in ONCE},
            "program": program(),
            "settings": asdict(settings),
            "name": data.name,
            "classes": data.classes,
            "image_shape": data.train_images.shape[1:],
            "images_per_pass": count - math.ceil(settings.validation * count),
        }
        path = args.out or _free(Path("runs"), f"{Path(args.data).resolve().name}-{Path(args.recipe).stem}")
        return ag.training.RunFolder(path, facts, self.recipes.get(args.recipe, args.recipe))

    def _train(self, folder: ag.training.RunFolder, data: ag.data.Dataset, ranks: ag.distributed.Ranks) -> int:
        args, recipe, settings = self.args, folder.module(), _settings(folder)
        rng = np.random.default_rng(args.seed)
        images, labels, validation = data.train_images, data.train_labels, None
        if settings.validation:
            (images, labels), validation = ag.data.split(images, labels, settings.validation, rng)
        model = ranks.broadcast(recipe.build(settings, rng, images))
        if ranks.rank == 0:
            print(data, model.summary((1, *images.shape[1:])), sep="\n\n", end="\n\n")
        steps = settings.epochs * sum(1 for _ in ag.data.batches(images, labels, settings.batch_size))
        loss = partial(recipe.loss, settings)
        moments = ag.report.Moments(model, loss, images[:4], labels[:4])
        stop = [ag.training.early_stop(args.patience)] if args.patience else []
        history = ag.training.fit(
            model, loss, recipe.optimiser(settings, model, steps), images, labels, rng=rng, epochs=settings.epochs,
            batch_size=settings.batch_size, schedule=recipe.schedule(settings, steps),
            augment=partial(recipe.augment, settings) if self.augmented else None,
            validation=validation, checkpoint=folder.last, callbacks=[*stop, moments, folder.callback(model)],
            clip=args.clip, time_limit=args.minutes and 60 * args.minutes, name=data.name, ranks=ranks,
        )  # fmt: skip
        model, images, labels = folder.model(), data.test_images, data.test_labels
        if ranks.rank == 0:
            print(f"Evaluating {len(images):,} test images, and writing the report", file=sys.stderr)
        result = ag.training.evaluate(partial(recipe.views, model), loss, images, labels, settings.batch_size, ranks)
        if ranks.rank == 0:
            print(ag.report.write(folder, images, labels, result, loss, moments, self._resume(folder)))
        return 130 if history.ended.startswith("interrupted") else 0  # as a shell expects, which goes on after 0


def _settings(folder: ag.training.RunFolder) -> Any:
    return folder.module().Settings(**folder.settings["settings"])


def _finished(folder: ag.training.RunFolder) -> bool:
    """Whether the run has made all its steps, and its report is newer than the last checkpoint."""
    history, report = folder.history(), folder.path / "report.html"
    whole = len(history.losses) == history.planned > 0 and report.exists()
    return whole and report.stat().st_mtime >= folder.last.stat().st_mtime


class Images(Program):
    """Trains on a folder of images."""

    start = ("-m", "autograd_cnn", "train")
    places = ("data",)

    def load(self, settings: Any) -> tuple[ag.data.Dataset, dict[str, Any]]:
        """Load a folder. For few images, choose a smaller network, smaller batches and more passes."""
        place, size = self.args.data, getattr(settings, "size", 32)
        left: list[str] = []
        if self.args.resume and not Path(place).is_dir():
            there = command(*self.start, "FOLDER", "--resume", self.args.resume)
            raise FileNotFoundError(f"{place} does not exist. If it has moved: {there}")
        data = ag.data.load_folder(place, (size, size), seed=self.args.seed, skip=left.append)
        if left:
            print(f"left out, since they cannot be read: {len(left):,}, such as {left[0]}", file=sys.stderr)
        if len(data.classes) == 1:
            inside = Path(place, *data.classes)
            raise ValueError(f"{place}: has one class, {inside.name}. Want two or more; if they are in it: {inside}")
        count, most = len(data.train_images), math.inf
        better: dict[str, Any] = {"classes": len(data.classes)}
        if count < FEW:
            better |= {"epochs": PASSES, "batch_size": max(-(-count // STEPS), LEAST), "validation": 0.2}
        if self.args.recipe == "quick":
            most = max(settings.batch_size * 32**2 // size**2, 8)  # images of a step, which has to fit into memory
            better |= {"widths": WIDTHS} if count < FEW else {}
        return data, {**better, "batch_size": min(better.get("batch_size", settings.batch_size), most)}


def train(refuse: Callable[[str], Any], **options: Any) -> int:
    """Train a network on a folder of images, or go on with such a run; return the exit code."""
    if not options["data"] and not options["resume"]:
        refuse("want FOLDER, or --resume RUN")
    return Images(Namespace(**options), refuse).run()


def _run_with_images(run: Path, caller: str) -> ag.training.RunFolder:
    folder = ag.training.RunFolder(run)
    if missing := [name for name in ("classes", "image_shape") if not folder.settings.get(name)]:
        raise ValueError(f"{run}: settings.json has no {' and no '.join(missing)}, which {caller} needs")
    return folder


def predict(run: Path, files: list[Path], why: bool) -> int:
    """Print the most probable classes of images and, with `why`, write what decided into RUN/why.

    Return 0, or 2 if an image cannot be read.
    """
    from autograd_cnn.data.folder import images_in

    code, folder = 0, _run_with_images(run, "predict")
    classes, shape = list(map(plain, folder.settings["classes"])), tuple(folder.settings["image_shape"])
    model, probabilities = folder.model(), folder.module().probabilities
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
    folder = _run_with_images(run, "export")
    shape = folder.settings["image_shape"]
    ag.interop.export_onnx(file, folder.model(), np.zeros((1, *shape), np.float32))
    classes = ", ".join(map(plain, folder.settings["classes"]))
    print(f"{file}: images (N, {', '.join(map(str, shape))}), float32 in [0, 1], to the outputs of {classes}")
    return 0


def demo(folder: Path, show: bool = True) -> int:
    """Write four scripts into `folder`, run them, and open the pages that they show."""
    from unittest.mock import patch

    from autograd_cnn.studio import graph

    folder.mkdir(parents=True, exist_ok=True)
    for name, following in itertools.pairwise([*DEMOS, "chain_rule"]):
        script, page = folder / f"{name}.py", folder / f"{name}.html"
        shutil.copyfile(Path(graph.__file__).parent / "player" / "demos" / script.name, script)
        with patch.object(graph, "show_page", partial(page.write_text, encoding="utf-8")):
            runpy.run_path(str(script), run_name="__main__")
        link = f'<p id="onward">Another demo: <a href="{following}.html">{DEMOS[following]}</a>.'
        page.write_text(page.read_text(encoding="utf-8").replace('<p id="onward">', link), encoding="utf-8")
        _opened(page.resolve(), show)
    return 0


def live(folder: Path | None, offline: bool = False, show: bool = True) -> int:
    """Write the live page, and open it."""
    from autograd_cnn.studio.live.page import write

    page = (folder or Path(tempfile.mkdtemp(prefix="autograd_cnn_") if show else "")) / "live.html"
    write(page, offline)
    return _opened(page, show)


def _opened(page: Path, show: bool) -> int:
    print(page)
    if show and not webbrowser.open(page.resolve().as_uri()):
        print("No browser was found here: open this file in one", file=sys.stderr)
    return 0


def check(file: Path) -> int:
    """Run a user's file and check every primitive it registers; 0 if all pass, 1 if one fails, 2 if none can be."""
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
    """Train a network of the usual layers for a step, so that Numba compiles their kernels; 2 without Numba."""
    from autograd_cnn.fast.twins import compiled_pass, kernel_set

    if kernel_set() == "numpy":
        return _failed(f"nothing to compile: the kernels are {_kernels()}")
    nn = ag.nn
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.Conv2d(32, 32, 3, padding=1, groups=32)),
        *(nn.GELU(), nn.Conv2d(32, 64, 3, 2, padding=1), nn.LeakyReLU(), nn.Conv2d(64, 64, 1, 2), nn.Softplus()),
        *(nn.Flatten(), nn.Linear(256, 4096), nn.Sigmoid()),
    )
    x = np.random.default_rng(0).random((100, 32, 32, 3), np.float32)
    start = time.perf_counter()
    for optimiser in ag.optim.SGD(model.parameters(), lr=0.1), ag.optim.Adam(model.parameters()):
        ag.cross_entropy(model(x), np.zeros(100, int)).backward()
        optimiser.step()
    with ag.no_grad():
        model(x)
    multiply: Any = compiled_pass("products.multiply")
    folder = multiply.stats.cache_path
    print(f"{time.perf_counter() - start:.0f} s;", f"kernels are in {folder}" if folder else "no folder is writable")
    return 0


def _kernels() -> str:
    from autograd_cnn.fast.twins import kernel_set

    off = os.environ.get("AUTOGRAD_CNN_KERNELS") == "numpy"
    cure = "as AUTOGRAD_CNN_KERNELS says" if off else command("-m", "pip", "install", "autograd_cnn[fast]")
    return "compiled by Numba" if kernel_set() == "numba" else f"NumPy's; compiled ones: {cure}"


def info() -> int:
    """Print versions and kernels."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    for package in PACKAGES:
        try:
            print(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            print("no", package)
    if hasattr(ag, "get_num_threads"):
        print(f"kernels: {_kernels()}; {ag.get_num_threads()} threads")
    return 0


def script(run: Callable[[], int] = main) -> int:
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


def _once(show: Callable[..., Any]) -> Callable[..., Any]:
    """Let each warning be shown once: Python forgets which were, whenever matplotlib changes filters for a moment."""
    shown: set[str] = set()

    def showwarning(message: Any, *place: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            show(message, *place)

    return showwarning


if __name__ == "__main__":
    sys.exit(script())
