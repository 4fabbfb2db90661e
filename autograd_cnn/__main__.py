"""``python -m autograd_cnn`` or ``autograd-cnn``: pages, the setup (`info`), primitives (`check`), `predict`.

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
import webbrowser
from collections.abc import Callable
from html import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn import __version__
from autograd_cnn.calculus.check import conformance
from autograd_cnn.data import as_float32, cache_dir, cifar100, fashion_mnist, read_image, searched
from autograd_cnn.data.published import Published
from autograd_cnn.data.published import searched as searched_for
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.environment import command, plain
from autograd_cnn.fast import memory, tiles
from autograd_cnn.fast.threads import get_num_threads
from autograd_cnn.fast.twins import kernel_set

PACKAGES = "autograd_cnn numpy threadpoolctl safetensors matplotlib graphviz tqdm requests pillow numba".split()
VARIABLES = "XDG_CACHE_HOME LOCALAPPDATA KERAS_HOME OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS".split()
UNSURE = 0.5  # a best probability below it
GREY = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)

OFFLINE = """write live.html with Python inside (12 MB) into this folder: it needs no network. Without, the page loads
Python from a public server. AUTOGRAD_CNN_PYODIDE names a folder that has the files of Pyodide already"""
PREDICT = """Prints the three most probable classes of each image. An image is cut to the middle that has the
proportions of the model's images, and resized. Needs Pillow. Exit code 2 if the run or an image cannot be read."""
WHY = """also write a picture of each image into RUN/why: what the model got, and how much each pixel moves the output
of the most probable class (its absolute gradient, averaged over 16 noisy copies and over neighbours), from black to
bright"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command of the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m autograd_cnn", description="A tiny autograd engine on NumPy.")
    parser.add_argument("--version", action="version", version=f"autograd_cnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    showing = commands.add_parser("demo", help="networks to step through: chain rule, spiral, CNN, broken rules")
    showing.add_argument(
        "folder", type=Path, nargs="?", default=Path("autograd_cnn_demo"), help="for scripts and pages [%(default)s]"
    )
    showing.add_argument("--no-open", action="store_true", help="write the pages, and do not open them")
    editing = commands.add_parser("live", help="a page in which you edit a program, run it, and step through it")
    editing.add_argument("--offline", type=Path, metavar="FOLDER", help=OFFLINE)
    editing.add_argument("--no-open", action="store_true", help="write the page, and do not open it")
    commands.add_parser("info", help="versions, threads and folders, for bug reports")
    checking = commands.add_parser("check", help="compare the primitives of your own file with finite differences")
    checking.add_argument("file", type=Path, help="a Python file with @ag.primitive and .vjp(...)")
    predicting = commands.add_parser(
        "predict", help="classify images with a model that was trained", description=PREDICT
    )
    predicting.add_argument("run", type=Path, help="the folder of a run; the code in its model.py is executed")
    predicting.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="BMP, GIF, JPEG, PNG, PPM, TIFF or WebP"
    )
    predicting.add_argument("--why", action="store_true", help=WHY)
    predicting.add_argument("--out", type=Path, metavar="FOLDER", help="for the pictures of --why, instead of RUN/why")
    options = parser.parse_args(arguments)
    if options.command == "predict" and options.out and not options.why:
        predicting.error("--out is for the pictures of --why")
    if options.command == "demo":
        return demo(options.folder, not options.no_open)
    if options.command == "live":
        return live(options.offline, not options.no_open)
    if options.command == "predict":
        return predict(options.run, options.images, (options.out or options.run / "why") if options.why else None)
    return info() if options.command == "info" else check(options.file)


INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Networks to step through</title>
<style>
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h2 { margin: 1.3rem 0 0.1rem; font-size: 1.3rem; }
p { margin: 0.2rem 0; }
a { color: light-dark(#005f95, #56b4e9); }
small { opacity: 0.8; }
</style>
</head>
<body>
<h1>Networks to step through</h1>
<p>Each page walks forward through a function and back along the chain rule, with all its numbers. Press → to begin.</p>
$entries</body>
</html>
"""
DEMOS = {"chain_rule": "The chain rule", "spiral": "A spiral", "cnn": "A CNN", "broken": "Five broken rules"}


def demo(folder: Path, show: bool = True) -> int:
    """Write four scripts into `folder`, run them, and open an index of the pages that they write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{folder}: {error.strerror}", file=sys.stderr)
        return 2
    entries = []
    for name, title in DEMOS.items():
        script = folder / f"{name}.py"
        shutil.copyfile(Path(__file__).parent / "studio" / "player" / "demos" / script.name, script)
        said = escape(runpy.run_path(str(script), run_name="__main__")["__doc__"]).strip().replace("\n\n", "<br>")
        entries.append(
            f'<h2><a href="{name}.html">{title}</a></h2>\n<p>{said}</p>\n<small>made by {script.name}</small>\n'
        )
        print(script.with_suffix(".html").resolve())
    index = folder / "index.html"
    index.write_text(INDEX.replace("$entries", "".join(entries)), encoding="utf-8")
    print(index.resolve())
    if show:
        webbrowser.open(index.resolve().as_uri())
    return 0


def live(offline: Path | None, show: bool = True) -> int:
    """Write the live page, and open it; 0, or 2 if a file cannot be read, downloaded or written."""
    from autograd_cnn.studio.live.page import write

    try:
        page = (offline or Path(tempfile.mkdtemp(prefix="autograd_cnn_"))) / "live.html"
        write(page, offline is not None)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(page)
    if show:
        webbrowser.open(page.resolve().as_uri())
    return 0


def check(file: Path) -> int:
    """Run a user's file and check every primitive it registers; 0 if all pass, 1 if one fails, 2 if none can be."""
    if not file.is_file():
        print(f"{file}: {'is a folder' if file.is_dir() else 'no such file'}", file=sys.stderr)
        return 2
    ours = set(registry)
    sys.path.insert(0, str(file.parent))  # the file may import its neighbours, as a script may
    try:
        runpy.run_path(str(file))
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(file)]
        place = f"{file}:{lines[-1]}" if lines else file  # the message of a SyntaxError has its line
        print(f"{place}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    own = [p for name, p in registry.items() if isinstance(p, Primitive) and name not in ours]
    if not own:
        print(f"{file}: registers no primitive. @ag.primitive above a function does", file=sys.stderr)
        return 2
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


def predict(run: Path, files: list[Path], why: Path | None = None) -> int:
    """Print the most probable classes of images, and write what decided them into the folder `why`.

    Return 0, or 2 if the run or an image cannot be read, or a picture cannot be written.
    """
    from autograd_cnn.studio.report.saliency import saliency
    from autograd_cnn.training import RunFolder
    from autograd_cnn.training import predict as outputs_of

    code = 0
    try:
        folder = RunFolder(run)
        missing = [name for name in ("classes", "image_shape") if not folder.settings.get(name)]
        if missing:
            raise ValueError(f"{run}: settings.json has no {' and no '.join(missing)}, which predict needs")
        classes, shape = list(map(plain, folder.settings["classes"])), tuple(folder.settings["image_shape"])
        model, probabilities = folder.model(), folder.module().probabilities
        width, wide = max(len(plain(str(file))) for file in files), max(map(len, classes))
        for file in files:
            name = plain(str(file))
            try:
                image = read_image(file, shape[:2])
            except (OSError, ValueError) as error:
                cause = error.strerror if isinstance(error, OSError) else None
                print(f"{name}: {cause}" if cause else error, file=sys.stderr)
                code = 2
                continue
            if shape[2:] == (1,):
                image = np.rint(image @ GREY)[..., None].astype(np.uint8)
            (row,) = probabilities(outputs_of(model, image[None]))
            best = (f"{row[i]:6.1%} {classes[i]:{wide}}" for i in (-row).argsort(kind="stable")[:3])
            print(f"{name:{width}}", *best, *["(unsure)"] * bool(row.max() < UNSURE), sep="  ")
            if why is not None:
                path = _write_why(why, file.stem, image, saliency(model, as_float32(image)))
                print(f"{'':{width}}  {plain(str(path))}")
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return code


def _write_why(folder: Path, name: str, image: NDArray[np.uint8], found: NDArray[Any]) -> Path:
    """Write NAME.png into a folder, or NAME-2.png and so on if it exists; return the path."""
    from autograd_cnn.studio.report.saliency import write_why

    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for each in names if not (path := folder / f"{each}.png").exists())
        write_why(path, image, found)
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
        "cores": lambda: f"{os.cpu_count()}, tiles run on {get_num_threads()} threads",
        "BLAS": _blas,
        "kernels": _kernels,
        "CIFAR-10": lambda: "\n".join(f"{place}: {what}" for place, what in searched()),
        "CIFAR-100": lambda: _found(cifar100.TABLE),
        "Fashion": lambda: _found(fashion_mnist.TABLE),
        "cache": _cache,
        "variables": lambda: "\n".join(
            f"{name}={value}"
            for name, value in os.environ.items()
            if name in VARIABLES or name.startswith("AUTOGRAD_CNN_")
        ),
    }
    for title, find_out in facts.items():
        try:
            text = find_out() or "none set"
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
    import numpy  # noqa: F401 - loads BLAS
    from threadpoolctl import threadpool_info

    found = [x for x in threadpool_info() if x["user_api"] == "blas"]
    return ", ".join(f"{x['internal_api']} {x['version']}, {x['num_threads']} threads" for x in found) or "not known"


def _kernels() -> str:
    cure = f"compiled ones: {command('-m', 'pip', 'install', 'autograd_cnn[fast]')}"
    if os.environ.get("AUTOGRAD_CNN_KERNELS") == "numpy" and find_spec("numba"):
        cure = "Numba is installed, and turned off by AUTOGRAD_CNN_KERNELS"
    return (
        f"{kernel_set()}, in tiles of {tiles.CACHE >> 20} MB"
        + ("" if kernel_set() == "numba" else f"; {cure}")
        + f"\nmemory kept for the next step: up to {memory.SPARE >> 20} MB"
        + f"\ncaches of a core: {_core_caches() or 'not known'}"
    )


def _core_caches() -> str:
    """The sizes of the first core's caches, from Linux."""
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    found = [[(f / name).read_text().strip() for name in ("level", "type", "size")] for f in folders]
    return ", ".join(f"L{level} {size}" for level, kind, size in found if kind != "Instruction")


def _found(published: Published) -> str:
    """The places that have something of a set."""
    nothing = "does not exist", f"nothing of {published.name}"
    found = [f"{place}: {what}" for place, what in searched_for(published) if what not in nothing]
    return "\n".join(found) or f"{nothing[1]} in these places"


def _cache() -> str:
    files = [path for path in cache_dir().rglob("*") if path.is_file()]
    return f"{cache_dir()}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:,.0f} MB"


def script() -> int:
    """Run the command line, as a program of its own; return the exit code."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # as in `info | head`; Python flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        code = 130  # as a shell reports a program that SIGINT has ended
    return code


if __name__ == "__main__":
    sys.exit(script())
