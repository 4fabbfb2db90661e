"""``python -m autograd_cnn`` or ``autograd-cnn``: pages, `check`, `compile`, `train`, `predict`, `export`.

May import everything. `info` never fails: it prints "not known" for what it cannot find out.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import runpy
import shutil
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable
from functools import partial
from html import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np
from numpy.typing import NDArray

import autograd_cnn as ag
from autograd_cnn import trainer
from autograd_cnn.calculus.check import conformance
from autograd_cnn.engine.observe import operations
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.environment import command, plain

PACKAGES = "autograd_cnn numpy threadpoolctl safetensors matplotlib graphviz jinja2 tqdm requests pillow numba".split()
VARIABLES = "AUTOGRAD_CNN_", "XDG_CACHE_HOME", "LOCALAPPDATA", "OMP_NUM", "OPENBLAS_NUM", "MKL_NUM"
UNSURE = 0.5  # a best probability below it
LEAST = 3  # images of a class
FEW, STEPS, PASSES, WIDTHS = 1000, 8, 25, (32, 64, 128)  # training images; then steps in a pass, passes, channels
GREY = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)

WORDS = {  # of messages, and those of the command line
    "load_folder: ": "", "Dataset: ": "", "skip=print": "--skip-unreadable",
    "Want 2 or more of each class": "Want 3 or more of each class",
    "Use a larger batch, or model.eval()": "A larger --batch-size or --size cures it",
}  # fmt: skip
FOLDER = "for scripts and pages [%(default)s]"
OFFLINE = """put Python into the page (12 MB): it needs no network. Without, the page loads Python from a public server.
AUTOGRAD_CNN_PYODIDE names a folder that has the files of Pyodide already"""
RUN = "the folder of a run; the code in its model.py is executed"
TRAIN = """Trains on the images in FOLDER, of any size and mode, whose sub-folders are the classes; a fifth is held out
for the test. Writes a run folder with a report. Needs Pillow. `train --resume RUN` goes on with a run that stopped."""
PREDICT = """Prints the three most probable classes of each image. An image is cut to the middle that has the
proportions of the model's images, and resized. Needs Pillow. Exit code 2 if the run or an image cannot be read."""
WHY = """also write a picture of each image into RUN/why: what the model got, and how much each pixel moves the output
of the most probable class (its absolute gradient, averaged over 16 noisy copies and over neighbours)"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command of the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m autograd_cnn", description="A tiny autograd engine on NumPy.")
    parser.add_argument("--version", action="version", version=f"autograd_cnn {ag.__version__}")
    commands = parser.add_subparsers(required=True)
    _add_pages(commands)
    commands.add_parser("info", help="versions, threads and folders, for bug reports").set_defaults(command=info)
    compiling = commands.add_parser("compile", help="compile Numba's kernels now, rather than in the first step")
    compiling.add_argument("--double", action="store_true", help="those of float64, rather than of float32")
    compiling.set_defaults(command=compile_kernels, needs="get_num_threads")
    checking = commands.add_parser("check", help="compare the primitives of your own file with finite differences")
    checking.add_argument("file", type=Path, help="a Python file with @ag.primitive and .vjp(...)")
    checking.set_defaults(command=check)
    _add_train(commands)
    _add_predict(commands)
    options = vars(parser.parse_args(arguments))
    run, needed = options.pop("command"), options.pop("needs", "Tensor")
    try:
        for name in needed.split():
            getattr(ag, name)
    except AttributeError as error:  # its folder was removed
        return _failed(error)
    return run(**options)


def _add_pages(commands: Any) -> None:
    showing = commands.add_parser("demo", help="networks to step through: chain rule, spiral, CNN, broken rules")
    showing.add_argument("folder", type=Path, nargs="?", default="autograd_cnn_demo", help=FOLDER)
    showing.add_argument("--no-open", dest="show", action="store_false", help="write the pages, and do not open them")
    showing.set_defaults(command=demo, needs="trace")
    editing = commands.add_parser("live", help="a page in which you edit a program, run it, and step through it")
    editing.add_argument("folder", type=Path, nargs="?", help="for the page [a temporary one; this, with --no-open]")
    editing.add_argument("--offline", action="store_true", help=OFFLINE)
    editing.add_argument("--no-open", dest="show", action="store_false", help="write the page, and do not open it")
    editing.set_defaults(command=live, needs="trace")


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a network on a folder of images", description=TRAIN)
    parser.add_argument("data", nargs="?", metavar="FOLDER", help="it has a folder of images for each class")
    parser.add_argument("--size", type=int, metavar="N", help="pixels of a side to which images are cut and resized")
    parser.add_argument("--skip-unreadable", action="store_true", help="use the other images if some cannot be read")
    Images.add_options(parser)
    parser.set_defaults(command=train, needs="training report distributed", refuse=parser.error)
    parser = commands.add_parser("export", help="write the network of a run as an ONNX file")
    parser.add_argument("run", type=Path, help=RUN)
    parser.add_argument("file", type=Path, metavar="FILE.onnx")
    parser.set_defaults(command=export, needs="training interop")


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser("predict", help="classify images with a model that was trained", description=PREDICT)
    parser.add_argument("run", type=Path, help=RUN)
    parser.add_argument("files", type=Path, nargs="+", metavar="IMAGE", help="BMP, GIF, JPEG, PNG, PPM, TIFF or WebP")
    parser.add_argument("--why", action="store_true", help=WHY)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for the pictures of --why, instead of RUN/why")
    parser.set_defaults(command=predict, needs="training", refuse=parser.error)


DEMOS = {"chain_rule": "The chain rule", "spiral": "A spiral", "cnn": "A CNN", "broken": "Five broken rules"}


def _failed(why: object) -> int:
    if isinstance(why, BrokenPipeError):
        raise why
    print(why, file=sys.stderr)
    return 2


def demo(folder: Path, show: bool = True) -> int:
    """Write four scripts into `folder`, run them, and open an index of the pages that they show."""
    from unittest.mock import patch

    from autograd_cnn.studio import graph

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _failed(f"{folder}: {error.strerror}")
    entries, demos = "", Path(__file__).parent / "studio" / "player" / "demos"
    for name, title in DEMOS.items():
        script, page = folder / f"{name}.py", folder / f"{name}.html"
        shutil.copyfile(demos / script.name, script)
        with patch.object(graph, "show_page", partial(page.write_text, encoding="utf-8")):
            said = escape(runpy.run_path(str(script), run_name="__main__")["__doc__"].strip()).replace("\n\n", "<br>")
        entries += f'<h2><a href="{name}.html">{title}</a></h2>\n<p>{said}</p>\n<small>made by {name}.py</small>\n'
        print(page.resolve())
    index = folder / "index.html"
    index.write_text((demos / "index.html").read_text(encoding="utf-8").replace("$entries", entries), encoding="utf-8")
    print(index.resolve())
    if show:
        webbrowser.open(index.resolve().as_uri())
    return 0


def live(folder: Path | None, offline: bool = False, show: bool = True) -> int:
    """Write the live page, and open it; 0, or 2 if a file cannot be read, downloaded or written."""
    from autograd_cnn.studio.live.page import write

    try:
        page = (folder or Path(tempfile.mkdtemp(prefix="autograd_cnn_") if show else "")) / "live.html"
        write(page, offline)
    except (OSError, ValueError) as error:
        return _failed(error)
    print(page)
    if show:
        webbrowser.open(page.resolve().as_uri())
    return 0


def check(file: Path) -> int:
    """Run a user's file and check every primitive it registers; 0 if all pass, 1 if one fails, 2 if none can be."""
    if not file.is_file():
        return _failed(f"{file}: {'is a folder' if file.is_dir() else 'no such file'}")
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


def compile_kernels(double: bool = False) -> int:
    """Train a network of the usual layers for a step, so that Numba compiles their kernels; 2 without Numba."""
    from autograd_cnn.fast.twins import compiled_pass, kernel_set

    if kernel_set() == "numpy":
        return _failed(f"the kernels are NumPy's: nothing to compile. {_kernels().splitlines()[0]}")
    nn, dtype = ag.nn, np.float64 if double else np.float32
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.Conv2d(32, 32, 3, padding=1, groups=32)),
        *(nn.GELU(), nn.Conv2d(32, 64, 3, 2, padding=1), nn.LeakyReLU(), nn.Conv2d(64, 64, 1, 2), nn.Softplus()),
        *(nn.Flatten(), nn.Linear(256, 4096), nn.Sigmoid()),
    )
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    x = np.random.default_rng(0).random((100, 32, 32, 3)).astype(dtype)
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


class Images(trainer.Program):
    """Trains on a folder of images."""

    start = ("-m", "autograd_cnn", "train")
    kept = ("data", "skip_unreadable")
    places = ("data",)
    words = WORDS

    def load(self, settings: Any) -> tuple[ag.data.Dataset, dict[str, Any]]:
        """Load a folder, and choose smaller batches of few or large images.

        Of few images there are more passes, more of them are held apart, and the network is smaller.
        """
        place, size, say = self.args.data, getattr(settings, "size", 32), partial(print, "left out:", file=sys.stderr)
        skip = say if self.args.skip_unreadable else None
        if self.args.resume and not Path(place).is_dir():
            there = command(*self.start, "FOLDER", "--resume", self.args.resume)
            raise FileNotFoundError(f"{place} does not exist. If it has moved: {there}")
        data = ag.data.load_folder(place, (size, size), seed=self.args.seed, skip=skip)
        count = len(data.train_images)
        if len(data.classes) < 2:
            inside = Path(place, data.classes[0])
            more = f", or, if its folders are the classes, {inside}" * any(each.is_dir() for each in inside.glob("*"))
            raise ValueError(f"{place}: has one class, {data.classes[0]}. Want a folder for each of two or more{more}")
        labels = np.concatenate([data.train_labels, data.test_labels])
        for name, images in zip(data.classes, np.bincount(labels), strict=True):
            if images < LEAST:
                why = "since some are held out for the test and for validation"
                raise ValueError(f"{place}: {images} images of {name} are too few, {why}. Want {LEAST} or more")
        better: dict[str, Any] = {"classes": len(data.classes)}
        if count < FEW:
            better |= {"epochs": PASSES, "batch_size": max(-(-count // STEPS), LEAST), "validation": 0.2}
        if self.args.recipe == "quick":
            most = max(settings.batch_size * 32**2 // size**2, 8)  # images of a step, which has to fit into memory
            better["batch_size"] = min(better.get("batch_size", settings.batch_size), most)
            better |= {"widths": WIDTHS} if count < FEW else {}
        return data, better


def train(refuse: Callable[[str], Any], **options: Any) -> int:
    """Train a network on a folder of images, or go on with such a run; return the exit code."""
    if not options["data"] and not options["resume"]:
        refuse("want FOLDER, or --resume RUN")
    return Images(argparse.Namespace(**options), refuse).run()


def _run_with_images(run: Path, caller: str) -> Any:
    folder = ag.training.RunFolder(run)
    if missing := [name for name in ("classes", "image_shape") if not folder.settings.get(name)]:
        raise ValueError(f"{run}: settings.json has no {' and no '.join(missing)}, which {caller} needs")
    return folder


def export(run: Path, file: Path) -> int:
    """Write the network of a run as an ONNX file; 0, or 2 if that cannot be done."""
    try:
        folder = _run_with_images(run, "export")
        shape = folder.settings["image_shape"]
        ag.interop.export_onnx(file, folder.model(), np.zeros((1, *shape), np.float32))
    except (ImportError, OSError, ValueError) as error:
        return _failed(error)
    classes = ", ".join(map(plain, folder.settings["classes"]))
    print(f"{file}: images (N, {', '.join(map(str, shape))}), float32 in [0, 1], to the outputs of {classes}")
    return 0


def predict(run: Path, files: list[Path], why: bool, out: Path | None, refuse: Callable[[str], Any]) -> int:
    """Print the most probable classes of images and, with `why`, write what decided them into RUN/why or `out`.

    Return 0, or 2 if the run or an image cannot be read, or a picture cannot be written.
    """
    if out and not why:
        refuse("--out is for the pictures of --why")
    code, unsure = 0, False
    try:
        folder = _run_with_images(run, "predict")
        accuracy, usual = (folder.history().looks or [[0, 0.0, UNSURE]])[-1][1:]
        classes, shape = list(map(plain, folder.settings["classes"])), tuple(folder.settings["image_shape"])
        model, probabilities = folder.model(), folder.module().probabilities
        width, wide = max(len(plain(str(file))) for file in files), max(map(len, classes))
        for file in files:
            name = plain(str(file))
            try:
                image = ag.data.read_image(file, shape[:2])
            except (OSError, ValueError) as error:
                cause = error.strerror if isinstance(error, OSError) else None
                code = _failed(f"{name}: {cause}" if cause else error)
                continue
            if shape[2:] == (1,):
                image = np.rint(image @ GREY)[..., None].astype(np.uint8)
            (row,) = probabilities(ag.training.predict(model, image[None]))
            order, doubt = (-row).argsort(kind="stable"), bool(row.max() < min(UNSURE, usual))
            best = [f"{row[i]:6.1%} {classes[i]}".ljust(wide + 7) for i in order[:3]]
            print(f"{name:{width}}", *best, *["(unsure)"] * doubt, sep="  ")
            unsure = unsure or doubt
            if why:
                path = _write_why(out or run / "why", file.stem, image, model, f"{file.name}: {best[0].strip()}")
                print(f"{'':{width}}  {plain(str(path))}: what the model got; the pixels that move {classes[order[0]]}")
        if unsure:
            known = f", and below {usual:.0%}, the mean on the test images, of which {accuracy:.0%} were right"
            print(f"unsure: the best probability is below {UNSURE:.0%}{known * (accuracy > 0)}", file=sys.stderr)
    except (ImportError, OSError, ValueError) as error:
        return _failed(error)
    return code


def _write_why(folder: Path, name: str, image: NDArray[np.uint8], model: Any, title: str) -> Path:
    """Write what decided into NAME.png in a folder, or NAME-2.png and so on if it exists; return the path."""
    from autograd_cnn.studio.report.model import saliency

    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for each in names if not (path := folder / f"{each}.png").exists())
        ag.plots.influence(image, saliency(model, ag.data.as_float32(image)), path, title)
    except OSError as error:
        raise OSError(f"{folder}: {error.strerror or error}. Elsewhere: --out FOLDER") from error
    return path


def info() -> int:
    """Print versions, threads, kernels and folders."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may have letters that the terminal cannot show
    facts: dict[str, Callable[[], Any]] = {
        "system": lambda: f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "packages": lambda: ", ".join(map(_version, PACKAGES)),
        "Graphviz": lambda: shutil.which("dot") or "no dot here: .png and .pdf of graphs are drawn by matplotlib",
        "cores": lambda: f"{os.cpu_count()}, tiles run on {ag.get_num_threads()} threads",
        "BLAS": _blas,
        "kernels": _kernels,
        "images": lambda: str(ag.data.cache_dir()),
        "variables": lambda: "\n".join(f"{n}={value}" for n, value in os.environ.items() if n.startswith(VARIABLES)),
    }
    for title, find_out in facts.items():
        try:
            text = f"{find_out() or 'none set'}"
        except Exception as error:
            text = f"not known ({error})"
        print(f"{title:10}", text.replace("\n", f"\n{'':11}"))
    return 0


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"no {package}"


def _blas() -> str:
    from threadpoolctl import threadpool_info

    found = [x for x in threadpool_info() if x["user_api"] == "blas"]
    return ", ".join(f"{x['internal_api']} {x['version']}, {x['num_threads']} threads" for x in found) or "not known"


def _kernels() -> str:
    from autograd_cnn.fast import tiles
    from autograd_cnn.fast.twins import kernel_set

    cure = f"compiled ones: {command('-m', 'pip', 'install', 'autograd_cnn[fast]')}"
    if os.environ.get("AUTOGRAD_CNN_KERNELS") == "numpy" and find_spec("numba"):
        cure = "Numba is installed, and turned off by AUTOGRAD_CNN_KERNELS"
    return f"{kernel_set()}, in tiles of {tiles.CACHE >> 20} MB" + ("" if kernel_set() == "numba" else f"; {cure}")


def script() -> int:
    """Run the command line, as a program of its own; return the exit code."""
    return trainer.script(main)


if __name__ == "__main__":
    sys.exit(script())
