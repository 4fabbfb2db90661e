"""Writes the live page: an editor, and below it the player of the program, which Python runs in the browser.

Python is Pyodide: CPython, compiled to WebAssembly. The page contains this package as a zip. It fetches Pyodide from a
public server, and the browser refuses every file with another SHA-256; or it contains Pyodide too, and then it opens
from a disk without a network. A worker runs the programs, so that a loop without end can be stopped. The policy of the
page forbids requests to any other address, to the page, to the worker and to the player in its frame.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import urllib.request
import zipfile
from pathlib import Path
from string import Template

from autograd_cnn.files import write_atomically
from autograd_cnn.studio import assets
from autograd_cnn.studio.player.page import script as script_of_players

VERSION = "0.27.7"
NUMPY = "numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl"
NPM = f"https://cdn.jsdelivr.net/npm/pyodide@{VERSION}/"
FULL = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
FILES = {  # of Pyodide: address of the folder, bytes, SHA-256
    "pyodide.js": (NPM, 14_913, "b4cb23a53aba19c221659b9fb40a2f18281d685691dc06647fb0afd0681baf98"),
    "pyodide.asm.js": (NPM, 1_255_688, "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51"),
    "pyodide.asm.wasm": (NPM, 10_105_545, "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f"),
    "python_stdlib.zip": (NPM, 2_360_737, "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16"),
    "pyodide-lock.json": (NPM, 112_205, "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c"),
    NUMPY: (FULL, 3_061_133, "ebb61241d962b98b21597d7ce43b67668a6d5bab3acec4fbe958657320d7cd08"),
}
PACKAGE = "package.zip"
EXAMPLES = (
    "player/demos/chain_rule.py", "live/examples/dead_relu.py", "player/demos/spiral.py", "live/examples/cnn.py",
    "player/demos/broken.py",
)  # fmt: skip
TIMEOUT = 30  # seconds that the server may be silent
ELSEWHERE = "Files from elsewhere: AUTOGRAD_CNN_PYODIDE=FOLDER"


def page(offline: bool = False) -> str:
    """Return the live page.

    Parameters
    ----------
    offline : bool
        Whether the page contains Pyodide (13 MB), and needs no network. Its files are read from the folder that
        `AUTOGRAD_CNN_PYODIDE` names, or downloaded.

    Raises
    ------
    OSError
        If a file can neither be read nor downloaded.
    ValueError
        If a file has another SHA-256.
    """
    inside = {PACKAGE: packed()}
    if offline:
        inside |= {name: _read(name) for name in FILES}
    integrity = {n: f"sha256-{base64.b64encode(bytes.fromhex(sha256)).decode()}" for n, (_, _, sha256) in FILES.items()}
    files = [
        {"name": n, "size": size, "url": url + n, "integrity": integrity[n]} for n, (url, size, _) in FILES.items()
    ]
    body = Template(assets.part("live/page.html")).substitute(
        worker=assets.part("live/worker.js"),
        files=assets.as_json([{"name": PACKAGE, "size": len(inside[PACKAGE])}, *files]),
        examples=assets.as_json([[text.partition("\n")[0].strip('#". '), text] for text in map(example, EXAMPLES)]),
        inside="\n".join(
            f'<script type="application/octet-stream" id="{name}">{assets.packed(data)}</script>'
            for name, data in inside.items()
        ),
    )
    return assets.page(
        "autograd_cnn, live",
        body,
        assets.part("live/live.css"),
        assets.part("live/live.js"),
        scripts=[assets.source(script_of_players()), "blob:", "'wasm-unsafe-eval'"],
        policy={
            "style-src": "'unsafe-inline'",  # each picture of a player has its own style
            "worker-src": "blob:",
            "connect-src": "'none'" if offline else " ".join(folder + name for name, (folder, *_) in FILES.items()),
        },
    )


def example(name: str) -> str:
    """Return a program of the menu, without what makes its page where it is run by itself."""
    source = (Path(__file__).parents[1] / name).read_text(encoding="utf-8")
    return source.partition('if __name__ == "__main__":\n')[0].rstrip()


def write(path: Path, offline: bool = False) -> None:
    """Write the live page, and make its folder if necessary. Errors as in `page`."""
    text = page(offline)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def packed() -> bytes:
    """Return the installed package as a zip, which is not compressed; the same files give the same bytes."""
    root, content = Path(__file__).parents[2], io.BytesIO()
    found = [path for path in root.rglob("*") if path.suffix in (".py", ".html", ".js", ".css")]
    with zipfile.ZipFile(content, "w") as archive:
        for name, path in sorted((path.relative_to(root.parent).as_posix(), path) for path in found):
            entry = zipfile.ZipInfo(name)  # of 1980, whenever the file was written
            entry.create_system = 3  # on Windows as well
            archive.writestr(entry, path.read_bytes())
    return content.getvalue()


def _read(name: str) -> bytes:
    """Return a file of Pyodide with the right SHA-256, from the folder that the variable names, or from the server."""
    folder, size, sha256 = FILES[name]
    given = os.environ.get("AUTOGRAD_CNN_PYODIDE")
    place = Path(given, name).absolute().as_uri() if given else folder + name
    try:
        with urllib.request.urlopen(place, timeout=TIMEOUT) as answer:
            data = bytes(answer.read(size + 1))
    except OSError as error:
        raise OSError(f"{place}: {getattr(error, 'reason', error)}. {ELSEWHERE}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{place}: not the file of Pyodide {VERSION}, whose SHA-256 is {sha256}. {ELSEWHERE}")
    return data
