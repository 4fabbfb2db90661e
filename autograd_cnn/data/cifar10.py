"""Loads CIFAR-10 from the disk, or from its server, after a check of every file.

The set is published in several forms. Only the binary version is read: its files are numbers and can run nothing, while
those of the python version are pickles. Each checksum is computed from the same bytes that are decoded afterwards, so
data that passes is the published data, wherever it came from, and nothing else is unpacked.

The images are by Krizhevsky, at https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data.dataset import Dataset
from autograd_cnn.environment import needs
from autograd_cnn.files import read, write_atomically

AnyPath = str | os.PathLike[str]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE, FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
SUM = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"  # SHA-256 of the archive
FILES = {  # in the folder, with their SHA-256; the last one has the test images
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
SIZE = 170_052_171  # bytes of the archive
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
MIRROR = f"https://cave.cs.toronto.edu/kriz/{ARCHIVE}"
TIMEOUT = 30  # seconds that a host may be silent
CURE = "Delete it, or fetch the images again with download=True"


def load_cifar10(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the CIFAR-10 images: 50,000 for training, 10,000 for testing, ten classes.

    Parameters
    ----------
    path : path, optional
        A folder with the files of the binary version, its parent, or the archive, `cifar-10-binary.tar.gz`; by default
        `cache_dir()`. The first undamaged copy is loaded.
    download : bool
        Whether to fetch the archive (170 MB) if no undamaged copy is found, into `path`.
    verify : bool
        False accepts unpacked files with unknown checksums, such as a subset that you made, and names the result
        "CIFAR-10 (unverified copy)". Archives and downloads must match their checksum in any case.
    url : str, optional
        A mirror to download `cifar-10-binary.tar.gz` from. It may use http, since the checksum is verified.

    Returns
    -------
    Dataset
        Images (N, 32, 32, 3) uint8, NHWC, colours red, green, blue; labels (N,) int64, 0..9.

    Raises
    ------
    FileNotFoundError
        If nothing was found.
    ValueError
        If a copy is damaged or is not CIFAR-10.
    OSError
        If a file cannot be read, the network or the disk fails, or what a server sends is not CIFAR-10.

    References
    ----------
    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> load_cifar10("no/such/folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FileNotFoundError: CIFAR-10 not found in no/such/folder
    download=True fetches 170 MB. ...
    """
    place = cache_dir() if path is None else Path(os.path.expanduser(path))
    damage: Exception | None = None
    for found in _candidates(place):
        try:
            return _read(found, verify)
        except (ValueError, OSError) as error:
            damage = damage or error
    folder = place.parent if place.is_file() or place.suffix == ".gz" else place
    if download:
        _fetch(url or URL, folder / ARCHIVE)
        return _read(folder / ARCHIVE, verify)
    if damage is not None:
        raise damage
    raise FileNotFoundError(
        f"CIFAR-10 not found in {place}\n"
        f"download=True fetches {SIZE / 1e6:.0f} MB. {_by_hand(folder / ARCHIVE)}. "
        "Without CIFAR-10: ag.data.load_shapes()"
    )


def cache_dir() -> Path:
    """Return the folder that downloads go to: `$AUTOGRAD_CNN_DATA`, else `autograd_cnn` in the user's cache."""
    own = os.environ.get("AUTOGRAD_CNN_DATA")
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(own or os.path.join(base, "autograd_cnn")))


def _candidates(place: Path) -> Iterator[Path]:
    """Return the folders of files and the archives in a place, which may be one itself."""
    yield from (each for each in (place, place / FOLDER) if (each / next(iter(FILES))).is_file())
    yield from (each for each in (place, place / ARCHIVE) if each.is_file())


def _read(found: Path, verify: bool) -> Dataset:
    """Read a folder of files, or an archive; the name of the result says whether every checksum was right."""
    problems: list[str] = []
    if found.is_file():
        archive = read(found)
        if problem := _complaint(found, archive, SUM):
            raise ValueError(f"{problem}. {CURE}")
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            # mypy: the archive was checked, so each of its names is a file.
            raws = [tar.extractfile(f"{FOLDER}/{name}").read() for name in FILES]  # type: ignore[union-attr]
    else:
        raws = [read(found / name) for name in FILES]
        checked = (_complaint(found / name, raw, FILES[name]) for name, raw in zip(FILES, raws, strict=True))
        problems = [*filter(None, checked)]
    if problems and verify:
        raise ValueError(f"{problems[0]}. {CURE}; if you made this copy, verify=False accepts it")
    images, labels = zip(*(_decode(found / name, raw) for name, raw in zip(FILES, raws, strict=True)), strict=True)
    train_images, train_labels = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    name = "CIFAR-10 (unverified copy)" if problems else "CIFAR-10"
    return Dataset(name, CLASSES, train_images, train_labels, images[-1], labels[-1])


def _decode(source: Path, raw: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode records of 3073 bytes: the label, then 1024 reds, greens, blues, row by row."""
    if not raw or len(raw) % 3073:
        raise ValueError(f"{source}: {len(raw):,} bytes are not a whole number of records of 3,073")
    records = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].astype(np.int64)


def _complaint(source: Path | str, raw: bytes, want: str) -> str:
    """Describe bytes that have another checksum, or return ""."""
    digest = hashlib.sha256(raw).hexdigest()
    page = ", a web page," if raw.lstrip()[:1] == b"<" else ""
    wrong = f"{source}: {len(raw):,} bytes{page} have the checksum {digest[:8]}..., want {want[:8]}..."
    return "" if digest == want else wrong


def _fetch(url: str, target: Path) -> None:
    """Download the archive, and keep it only if its checksum is right, so that http is safe too."""
    with needs("tqdm", "a download"):
        from tqdm.auto import tqdm

    target.parent.mkdir(parents=True, exist_ok=True)
    raw, bar = io.BytesIO(), tqdm(total=SIZE, unit="B", unit_scale=True, disable=None)
    try:
        with bar, urlopen(url, timeout=TIMEOUT) as answer:
            while raw.tell() <= SIZE and (chunk := answer.read(1 << 16)):
                bar.update(raw.write(chunk))
        problem = _complaint(url, raw.getvalue(), SUM)
    except (OSError, ValueError, HTTPException) as error:
        problem = f"{url}: {error}"
    if problem:
        raise ConnectionError(f"{problem}\nKept nothing. {_by_hand(target)}. Mirror: url={MIRROR!r}")
    write_atomically(target, raw.getvalue())


def _by_hand(target: Path) -> str:
    return f"By hand: put {target.name} in {target.parent} ({URL}, SHA-256 {SUM})"
