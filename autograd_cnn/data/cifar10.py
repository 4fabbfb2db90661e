"""Finds CIFAR-10 on disk or downloads it, and checks every byte before it decodes any.

Imports NumPy, the standard library, `autograd_cnn.files` and its neighbours. Krizhevsky published the images with
"Learning Multiple Layers of Features from Tiny Images" (2009), at https://www.cs.toronto.edu/~kriz/cifar.html, in two
versions with the same pixels: one binary, one pickled.

All safety rests on the checksums in `VERSIONS`. Each is computed from the same bytes that are decoded afterwards, so
data that passes is the published data, wherever it came from. Archives are never unpacked by path: six members are read
by name, in memory. Pickles are read without executing them (see `unpickle`).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data.dataset import Dataset
from autograd_cnn.data.download import complaint_of, fetch
from autograd_cnn.data.unpickle import read_pickle
from autograd_cnn.files import write_atomically

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORDS = 10_000  # images in each of the six files
LARGEST = 64_000_000  # bytes; all files of both versions are smaller, in every protocol of pickle
URLS = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
)

AnyPath = str | os.PathLike[str]
Records = tuple[NDArray[np.uint8], NDArray[np.int64]]


def _decode_binary(raw: bytes) -> Records:
    """Records of 3073 bytes: the label, then 1024 reds, 1024 greens, 1024 blues, row by row."""
    if not raw or len(raw) % 3073:
        raise ValueError(f"{len(raw):,} bytes are not a whole number of records of 3,073")
    records = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
    return _to_nhwc(records[:, 1:]), records[:, 0].astype(np.int64)


def _decode_python(raw: bytes) -> Records:
    """A pickled dict: "data", uint8 (N, 3072) in the order of the binary version; "labels", a list of int."""
    try:
        batch = read_pickle(raw)
        if batch["data"].state is None:  # protocol 5
            pixels, dtype, shape, order = batch["data"].arguments
            in_c_order = order == "C"
        else:
            _, shape, dtype, in_fortran_order, pixels = batch["data"].state
            in_c_order = in_fortran_order is False
        if dtype.arguments[0] not in ("u1", "|u1") or not in_c_order:
            raise ValueError("its pixels are not uint8 in C order")
        for name, numbers, kind in (("shape", shape, tuple), ("labels", batch["labels"], list)):
            if type(numbers) is not kind or not all(type(number) is int for number in numbers):
                raise ValueError(f"{name}: not a flat {kind.__name__} of int")
        pixels = pixels.encode("latin-1") if isinstance(pixels, str) else pixels
        return _to_nhwc(np.frombuffer(pixels, np.uint8).reshape(shape)), np.array(batch["labels"], np.int64)
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = error if isinstance(error, ValueError) else f"not a batch of CIFAR-10 ({error!r})"
        raise ValueError(f"{reason}. Use the binary version") from error


def _to_nhwc(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class Version(NamedTuple):
    """One published version: an archive that holds a folder with five training files and a test file."""

    archive: str
    size: int
    sha256: str
    folder: str
    file_size: int | None
    algorithm: str
    sums: dict[str, str]
    decode: Callable[[bytes], Records]


VERSIONS = {
    "binary": Version(
        archive="cifar-10-binary.tar.gz",
        size=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        folder="cifar-10-batches-bin",
        file_size=30_730_000,
        algorithm="sha256",
        sums={
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        },
        decode=_decode_binary,
    ),
    "python": Version(
        archive="cifar-10-python.tar.gz",
        size=170_498_071,
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        folder="cifar-10-batches-py",
        file_size=None,
        algorithm="md5",
        sums={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        decode=_decode_python,
    ),
}

# Names to look for in a folder, in order of preference; the last three are those of Keras.
NAMES = {
    "cifar-10-batches-bin": "binary",
    "cifar-10-binary.tar.gz": "binary",
    "cifar-10-batches-py": "python",
    "cifar-10-python.tar.gz": "python",
    "cifar-10-batches-py-target/cifar-10-batches-py": "python",
    "cifar-10-batches-py-target_archive": "python",
    "cifar-10-batches-py.tar.gz": "python",
}


def load_cifar10(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the CIFAR-10 images: 50,000 for training, 10,000 for testing, ten classes.

    Parameters
    ----------
    path : path, optional
        A folder with the images, its parent, or an archive: the only place to search. By default, the places are
        the cache of this package (`cache_dir`), the cache of Keras (`$KERAS_HOME/datasets`, else
        `~/.keras/datasets`), `./data` and `./`, in this order. In each place, the binary version comes before the
        python version, and an unpacked folder before its archive. The first undamaged copy is loaded.
    download : bool
        Whether to fetch the binary version (170 MB) if no undamaged copy is found. It goes into `path` if given,
        else into the cache of this package.
    verify : bool
        False accepts unpacked files with unknown checksums, such as a subset that you made, and names the result
        "CIFAR-10 (unverified copy)". Archives and downloads must match their checksums in any case.
    url : str, optional
        A mirror to download `cifar-10-binary.tar.gz` from. It may use http, since the checksum is verified. An https
        address is never retried over http, and its certificate is always checked.

    Returns
    -------
    Dataset
        Images (N, 32, 32, 3) uint8, NHWC, colours red, green, blue; labels (N,) int64, 0..9.

    Raises
    ------
    FileNotFoundError
        If nothing was found; the message lists what is in each place.
    ValueError
        If a copy, or the answer of a server, is damaged or is not CIFAR-10.
    OSError
        If a file cannot be read, or the network or the disk fails.

    References
    ----------
    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> load_cifar10("no/such/folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FileNotFoundError: CIFAR-10 not found. Looked in:
      no/such/folder: does not exist
    download=True fetches 170 MB. ...
    """
    damage: Exception | None = None
    for place in _places(path):
        for version, found in _candidates(place):
            try:
                return _load(version, found, verify)
            except (ValueError, OSError) as error:
                damage = damage or error
    binary, folder = VERSIONS["binary"], _destination(path)
    if download:
        fetch(URLS if url is None else (url,), folder / binary.archive, binary.size, binary.sha256)
        return _load(binary, folder / binary.archive, verify)
    if damage is not None:
        raise damage
    looked_in = "".join(f"\n  {place}: {what}" for place, what in searched(path))
    raise FileNotFoundError(
        f"CIFAR-10 not found. Looked in:{looked_in}\n"
        f"download=True fetches {binary.size / 1e6:.0f} MB. By hand: put {binary.archive} in {folder} "
        f"({URLS[0]}, SHA-256 {binary.sha256}). Without CIFAR-10: ag.data.load_shapes()"
    )


def cache_dir() -> Path:
    """The folder that downloads go to: `$AUTOGRAD_CNN_DATA`, else `autograd_cnn` in the user's cache."""
    own = os.environ.get("AUTOGRAD_CNN_DATA")
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(own or os.path.join(base, "autograd_cnn")))


def searched(path: AnyPath | None = None) -> list[tuple[Path, str]]:
    """List the places that `load_cifar10(path)` searches, in order, and what is in each, judged by names and sizes.

    Examples
    --------
    >>> [(str(place), what) for place, what in searched("no/such/folder")]
    [('no/such/folder', 'does not exist')]
    """
    return [(place, _describe(place)) for place in _places(path)]


def _places(path: AnyPath | None) -> list[Path]:
    if path is not None:
        return [Path(os.path.expanduser(path))]
    keras = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    return [cache_dir(), Path(keras, "datasets"), Path("data"), Path()]


def _destination(path: AnyPath | None) -> Path:
    """The folder that a download goes to, even if `path` is an archive or the name of a future one."""
    place = _places(path)[0]
    return place.parent if os.path.isfile(place) or place.suffix == ".gz" else place


def _candidates(place: Path) -> Iterator[tuple[Version, Path]]:
    """Yield the candidates for CIFAR-10 in a place; the place itself may be one."""
    if os.path.isfile(place):
        fits = [version for version in VERSIONS.values() if version.size == os.path.getsize(place)]
        yield fits[0] if fits else VERSIONS["python" if "py" in place.name else "binary"], place
    for version in VERSIONS.values():
        if os.path.isfile(place / next(iter(version.sums))):
            yield version, place
    for name, key in NAMES.items():
        if os.path.isfile(place / name) or os.path.isdir(place / name):
            yield VERSIONS[key], place / name


def _describe(place: Path) -> str:
    if not os.path.exists(place):
        return "does not exist"
    reports = [f"{found.name} ({_state(version, found)})" for version, found in _candidates(place)]
    return ", ".join(reports) or "nothing of CIFAR-10"


def _state(version: Version, found: Path) -> str:
    """Describe whether the files of a candidate exist and, if their sizes are known, have the right ones."""
    if os.path.isfile(found):
        size = os.path.getsize(found)
        return "size right" if size == version.size else f"{size:,} bytes, want {version.size:,}"
    for name in version.sums:
        if not os.path.isfile(found / name):
            return f"no {name}"
        size = os.path.getsize(found / name)
        if version.file_size not in (None, size):
            return f"{name}: {size:,} bytes, want {version.file_size:,}"
    return "all files" if version.file_size is None else "all sizes right"


def _load(version: Version, found: Path, verify: bool) -> Dataset:
    """Read a candidate; the name of the result says whether every checksum was right."""
    packed = os.path.isfile(found)
    members = _unpack(version, found) if packed else {}
    images, labels, known = [], [], True
    for name in version.sums:
        raw = members[name] if packed else _read(found / name, LARGEST)
        complaint = complaint_of(found / name, raw, version.file_size, version.sums[name], version.algorithm)
        if complaint and verify:
            raise ValueError(
                f"{complaint}. Delete it, or fetch the images again with download=True; "
                "if you made this copy, verify=False accepts it"
            )
        known = known and not complaint
        x, y = _decode(version, found / name, raw)
        images.append(x)
        labels.append(y)
    train_images, train_labels = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    for y, each in ((train_labels, RECORDS // 2), (labels[-1], RECORDS // 10)):
        counts = np.bincount(y, minlength=len(CLASSES))
        if known and (counts != each).any():
            raise ValueError(f"{found}: {counts.tolist()} images of the classes, want {each:,} of each")
    if packed and found.parent == cache_dir():
        _keep(found.parent / version.folder, members)
    name = "CIFAR-10" if known else "CIFAR-10 (unverified copy)"
    return Dataset(name, CLASSES, train_images, train_labels, images[-1], labels[-1])


def _decode(version: Version, source: Path, raw: bytes) -> Records:
    try:
        images, labels = version.decode(raw)
        if labels.shape != (len(images),):
            raise ValueError(f"{len(images):,} images, but labels of shape {labels.shape}")
        outside = np.flatnonzero((labels < 0) | (labels >= len(CLASSES)))
        if len(outside):
            raise ValueError(f"label {labels[outside[0]]} at [{outside[0]}], but classes are 0..9")
        return images, labels
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _unpack(version: Version, archive: Path) -> dict[str, bytes]:
    """The six files of an archive, chosen by exact name, kind and size."""
    raw = _read(archive, version.size)
    if complaint := complaint_of(archive, raw, version.size, version.sha256):
        raise ValueError(f"{complaint}. Delete it, or fetch the images again with download=True")
    wanted = {f"{version.folder}/{name}": name for name in version.sums}
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
            for member in tar:
                if member.size > LARGEST:
                    raise ValueError(f"{archive}: {member.name} claims {member.size:,} bytes: refused")
                if member.name in wanted and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    found[wanted[member.name]] = tar.extractfile(member).read()  # type: ignore[union-attr]
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{archive}: not a readable archive ({error})") from error
    for member_name, name in wanted.items():
        if name not in found:
            raise ValueError(f"{archive}: has no regular file {member_name}")
    return found


def _read(path: Path, limit: int) -> bytes:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: missing, or not a regular file")
    if (size := os.path.getsize(path)) > limit:
        raise ValueError(f"{path}: {size:,} bytes, want at most {limit:,}: not what was published")
    return path.read_bytes()


def _keep(folder: Path, members: dict[str, bytes]) -> None:
    """Keep the files unpacked, since they load several times faster; failing to write the cache is not an error."""
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        for name, raw in members.items():
            write_atomically(folder / name, raw)
