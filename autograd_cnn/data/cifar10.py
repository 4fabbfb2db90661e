"""Loads CIFAR-10 from the disk, or from its server, after a check of every file.

All safety rests on the checksums in the table. Each is computed from the same bytes that are decoded afterwards, so
data that passes is the published data, wherever it came from, and nothing else is unpacked or unpickled.

The images are by Krizhevsky, at https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tarfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data.dataset import Dataset
from autograd_cnn.environment import needs
from autograd_cnn.files import AnyPath, read, write_atomically

Records = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Version(NamedTuple):
    """A form in which the set is published: an archive of a folder of files, those of the test last, with checksums."""

    archive: str
    sum: str  # of the archive; SHA-256, or MD5 by its length
    folder: str
    files: dict[str, str]
    decode: Callable[[Path, bytes], Records]


def _decode_binary(source: Path, raw: bytes) -> Records:
    """Records of 3073 bytes: the label, then 1024 reds, greens, blues, row by row."""
    if not raw or len(raw) % 3073:
        raise ValueError(f"{source}: {len(raw):,} bytes are not a whole number of records of 3,073")
    records = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
    return _to_nhwc(records[:, 1:]), records[:, 0].astype(np.int64)


def _decode_pickle(source: Path, raw: bytes) -> Records:
    batch = pickle.loads(raw, encoding="bytes")
    return _to_nhwc(batch[b"data"]), np.array(batch[b"labels"], np.int64)


def _to_nhwc(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BINARY = Version(
    archive="cifar-10-binary.tar.gz",
    sum="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    files={
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
    decode=_decode_binary,
)
PYTHON = Version(
    archive="cifar-10-python.tar.gz",
    sum="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    folder="cifar-10-batches-py",
    files={  # torchvision, datasets/cifar.py
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    decode=_decode_pickle,
)
SIZE = 170_052_171  # of the archive of the binary version, which a download fetches
URL = f"https://www.cs.toronto.edu/~kriz/{BINARY.archive}"
MIRROR = f"https://cave.cs.toronto.edu/kriz/{BINARY.archive}"
TIMEOUT = 30  # seconds that a host may be silent
CURE = "Delete it, or fetch the images again with download=True (--download)"


def load_cifar10(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the CIFAR-10 images: 50,000 for training, 10,000 for testing, ten classes.

    Parameters
    ----------
    path : path, optional
        A folder with the images, its parent, or the archive; by default `cache_dir()`. The binary version is searched
        for, `cifar-10-binary.tar.gz` or unpacked, then the python version. The first undamaged copy is loaded.
    download : bool
        Whether to fetch the archive (170 MB) if no undamaged copy is found, into `path`.
    verify : bool
        False accepts unpacked files of the binary version with unknown checksums, such as a subset that you made, and
        names the result "CIFAR-10 (unverified copy)". Pickles, archives and downloads must match their checksums in
        any case.
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
    download=True (--download) fetches 170 MB. ...
    """
    place = cache_dir() if path is None else Path(os.path.expanduser(path))
    damage: Exception | None = None
    for found in _candidates(place):
        try:
            return _read(*found, verify)
        except (ValueError, OSError) as error:
            damage = damage or error
    folder = place.parent if place.is_file() or place.suffix == ".gz" else place
    if download:
        _fetch(url or URL, folder / BINARY.archive)
        return _read(BINARY, folder / BINARY.archive, verify)
    if damage is not None:
        raise damage
    raise FileNotFoundError(
        f"CIFAR-10 not found in {place}\n"
        f"download=True (--download) fetches {SIZE / 1e6:.0f} MB. {_by_hand(folder / BINARY.archive)}. "
        "Without CIFAR-10: ag.data.load_shapes()"
    )


def cache_dir() -> Path:
    """Return the folder that downloads go to: `$AUTOGRAD_CNN_DATA`, else `autograd_cnn` in the user's cache."""
    own = os.environ.get("AUTOGRAD_CNN_DATA")
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(own or os.path.join(base, "autograd_cnn")))


def _candidates(place: Path) -> Iterator[tuple[Version, Path]]:
    """Return the folders of files and the archives in a place, which may be one itself."""
    for version in (BINARY, PYTHON):
        first, archive = next(iter(version.files)), place if place.is_file() else place / version.archive
        yield from ((version, each) for each in (place, place / version.folder) if (each / first).is_file())
        if archive.is_file():
            yield version, archive


def _read(version: Version, found: Path, verify: bool) -> Dataset:
    """Read a folder of files, or an archive; the name of the result says whether every checksum was right."""
    known, raws = True, list[bytes]()
    if found.is_file():
        archive = read(found)
        if problem := _complaint(found, archive, version.sum):
            raise ValueError(f"{problem}. {CURE}")
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            # mypy: the archive was checked, so each of its names is a file.
            raws = [tar.extractfile(f"{version.folder}/{name}").read() for name in version.files]  # type: ignore[union-attr]
    else:
        for name, want in version.files.items():
            raws.append(read(found / name))
            problem = _complaint(found / name, raws[-1], want)
            if problem and (verify or version is PYTHON):  # a pickle may run any program
                own = f"if you made this copy, verify=False (--no-verify) accepts {BINARY.folder}"
                raise ValueError(f"{problem}. {CURE}; {own}")
            known = known and not problem
    parts = [version.decode(found / name, raw) for name, raw in zip(version.files, raws, strict=True)]
    images, labels = zip(*parts, strict=True)
    train_images, train_labels = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    name = "CIFAR-10" if known else "CIFAR-10 (unverified copy)"
    return Dataset(name, CLASSES, train_images, train_labels, images[-1], labels[-1])


def _complaint(source: Path | str, raw: bytes, want: str) -> str:
    """Describe bytes that have another checksum, or return ""."""
    digest = hashlib.new("md5" if len(want) == 32 else "sha256", raw, usedforsecurity=False).hexdigest()
    page = ", a web page," if raw.lstrip()[:1] == b"<" else ""
    wrong = f"{source}: {len(raw):,} bytes{page} have the checksum {digest[:8]}..., want {want[:8]}..."
    return "" if digest == want else wrong


def _fetch(url: str, target: Path) -> None:
    """Download the archive, and keep it only if its checksum is right, so that http is safe too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with needs("tqdm", "a download"):
        from tqdm.auto import tqdm

    raw, bar = io.BytesIO(), tqdm(total=SIZE, unit="B", unit_scale=True, disable=None)
    try:
        with bar, urlopen(url, timeout=TIMEOUT) as answer:
            while raw.tell() <= SIZE and (chunk := answer.read(1 << 16)):
                bar.update(raw.write(chunk))
        problem = _complaint(url, raw.getvalue(), BINARY.sum)
    except (OSError, ValueError, HTTPException) as error:
        problem = f"{url}: {error}"
    if problem:
        raise ConnectionError(f"{problem}\nKept nothing. {_by_hand(target)}. Mirror: url={MIRROR!r}")
    write_atomically(target, raw.getvalue())


def _by_hand(target: Path) -> str:
    return f"By hand: put {target.name} in {target.parent} ({URL}, SHA-256 {BINARY.sum})"
