"""Finds published images on disk or downloads them, and checks every byte before it decodes any.

Each set is a table (`Published`) in a file of its own, with the function that decodes its files.

All safety rests on the checksums in these tables. Each is computed from the same bytes that are decoded afterwards, so
data that passes is the published data, wherever it came from. Archives are never unpacked by path: their members are
read by name, in memory.
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
from autograd_cnn.files import write_atomically

AnyPath = str | os.PathLike[str]
Files = dict[str, tuple[int | None, str]]  # size, if it is known, and SHA-256 (or MD5) by name
Records = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Version(NamedTuple):
    """One published version: a folder of `files`, those of the test last, which comes as an archive or as the files.

    `decode` takes the bytes of one file, or of `together` files that follow each other, and returns images and labels.
    In a place, its folder and its archive are looked for, and folders and archives of `other_names`.
    """

    folder: str
    archive: Files  # one or none
    files: Files
    decode: Callable[..., Records]
    other_names: tuple[str, ...] = ()
    together: int = 1


class Published(NamedTuple):
    """A published set.

    `each` has the numbers of training and of test images of one class; `largest` is more than the bytes of any file.
    `versions` are in order of preference, and the first is downloaded from the first of `urls` that has it: addresses
    of its archive, or of the folder of its files.
    """

    name: str
    classes: tuple[str, ...]
    each: tuple[int, int]
    largest: int
    versions: tuple[Version, ...]
    urls: tuple[str, ...]


def load(published: Published, path: AnyPath | None, download: bool, verify: bool, url: str | None) -> Dataset:
    """Load a set as `load_cifar10` describes it."""
    damage: Exception | None = None
    for place in _places(path):
        for version, found in _candidates(published, place, path is not None):
            try:
                return _load(published, version, found, verify)
            except (ValueError, OSError) as error:
                damage = damage or error
    version, urls = published.versions[0], published.urls if url is None else (url,)
    folder, files = _destination(version, path), version.archive or version.files
    if download:
        for name, (size, sha256) in files.items():
            addresses = tuple(each if version.archive else f"{each.rstrip('/')}/{name}" for each in urls)
            fetch(addresses, folder / name, size or 0, sha256)
        return _load(published, version, folder.joinpath(*version.archive), verify)
    if damage is not None:
        raise damage
    looked_in = "".join(f"\n  {place}: {what}" for place, what in searched(published, path))
    sizes, sums = zip(*files.values(), strict=True)
    raise FileNotFoundError(
        f"{published.name} not found. Looked in:{looked_in}\n"
        f"download=True fetches {sum(sizes) / 1e6:.0f} MB. By hand: put {', '.join(files)} in {folder} "
        f"({published.urls[0]}, SHA-256 {', '.join(sums)}). Without {published.name}: ag.data.load_shapes()"
    )


def searched(published: Published, path: AnyPath | None = None) -> list[tuple[Path, str]]:
    """List the places that are searched for a set, in order, and what is in each, judged by names and sizes."""
    return [(place, _describe(published, place, path is not None)) for place in _places(path)]


def cache_dir() -> Path:
    """The folder that downloads go to: `$AUTOGRAD_CNN_DATA`, else `autograd_cnn` in the user's cache."""
    own = os.environ.get("AUTOGRAD_CNN_DATA")
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(own or os.path.join(base, "autograd_cnn")))


def _places(path: AnyPath | None) -> list[Path]:
    if path is not None:
        return [Path(os.path.expanduser(path))]
    keras = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    return [cache_dir(), Path(keras, "datasets"), Path("data"), Path()]


def _destination(version: Version, path: AnyPath | None) -> Path:
    """The folder that a download goes to, even if `path` is a file or the name of a future one."""
    place = _places(path)[0]
    if os.path.isfile(place) or place.suffix == ".gz":
        place = place.parent
    return place if version.archive or place.name == version.folder else place / version.folder


def _candidates(published: Published, place: Path, asked: bool) -> Iterator[tuple[Version, Path]]:
    """Yield the candidates in a place; the place itself may be one.

    Files that lie in the place without a folder may be another set's, since some sets have common names. If nobody
    `asked` for the place, they count only if the size of the first is right.
    """
    if os.path.isfile(place):
        yield _whose(published, place)
    for version in published.versions:
        first, (size, _) = next(iter(version.files.items()))
        if os.path.isfile(place / first) and (asked or size in (None, os.path.getsize(place / first))):
            yield version, place
    for version in published.versions:
        for name in (version.folder, *version.archive, *version.other_names):
            if os.path.isdir(place / name) or (version.archive and os.path.isfile(place / name)):
                yield version, place / name


def _whose(published: Published, file: Path) -> tuple[Version, Path]:
    """The version that a file belongs to: it is one of its files, or by its size or its name the archive."""
    versions, size = published.versions, os.path.getsize(file)
    for version in versions:
        if file.name in version.files or not version.archive:
            return version, file.parent
    return max(versions, key=lambda v: (size in dict(v.archive.values()), file.name in v.archive)), file


def _describe(published: Published, place: Path, asked: bool) -> str:
    if not os.path.exists(place):
        return "does not exist"
    states = [f"{found.name} ({_state(version, found)})" for version, found in _candidates(published, place, asked)]
    return ", ".join(states) or f"nothing of {published.name}"


def _state(version: Version, found: Path) -> str:
    """Describe whether the files of a candidate exist and, if their sizes are known, have the right ones."""
    if os.path.isfile(found):
        size, ((want, _),) = os.path.getsize(found), version.archive.values()
        return "size right" if size == want else f"{size:,} bytes, want {want:,}"
    for name, (want, _) in version.files.items():
        if not os.path.isfile(found / name):
            return f"no {name}"
        size = os.path.getsize(found / name)
        if want not in (None, size):
            return f"{name}: {size:,} bytes, want {want:,}"
    return "all files" if None in dict(version.files.values()) else "all sizes right"


def _load(published: Published, version: Version, found: Path, verify: bool) -> Dataset:
    """Read a candidate; the name of the result says whether every checksum was right."""
    members = _unpack(published, version, found) if os.path.isfile(found) else {}
    files, parts, known = list(version.files.items()), [], True
    for group in (files[k : k + version.together] for k in range(0, len(files), version.together)):
        raws = []
        for name, (size, digest) in group:
            raw = members[name] if members else _read(found / name, published.largest)
            complaint = complaint_of(found / name, raw, size, digest)
            if complaint and verify:
                raise ValueError(
                    f"{complaint}. Delete it, or fetch the images again with download=True; "
                    "if you made this copy, verify=False accepts it"
                )
            known = known and not complaint
            raws.append(raw)
        parts.append(_decode(published, version, ", ".join(str(found / name) for name, _ in group), raws))
    images, labels = zip(*parts, strict=True)
    train_images, train_labels = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    for y, each in zip((train_labels, labels[-1]), published.each, strict=True):
        counts = np.bincount(y, minlength=len(published.classes))
        if known and (counts != each).any():
            raise ValueError(f"{found}: {counts.tolist()} images of the classes, want {each:,} of each")
    if members and found.parent == cache_dir():
        _keep(found.parent / version.folder, members)
    name = published.name if known else f"{published.name} (unverified copy)"
    return Dataset(name, published.classes, train_images, train_labels, images[-1], labels[-1])


def _decode(published: Published, version: Version, source: str, raws: list[bytes]) -> Records:
    try:
        images, labels = version.decode(*raws)
        if labels.shape != (len(images),):
            raise ValueError(f"{len(images):,} images, but labels of shape {labels.shape}")
        classes = len(published.classes)
        outside = np.flatnonzero((labels < 0) | (labels >= classes))
        if len(outside):
            raise ValueError(f"label {labels[outside[0]]} at [{outside[0]}], but classes are 0..{classes - 1}")
        return images, labels
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _unpack(published: Published, version: Version, archive: Path) -> dict[str, bytes]:
    """The files of an archive, chosen by exact name, kind and size."""
    ((size, digest),) = version.archive.values()
    raw = _read(archive, size or 0)
    if complaint := complaint_of(archive, raw, size, digest):
        raise ValueError(f"{complaint}. Delete it, or fetch the images again with download=True")
    wanted = {f"{version.folder}/{name}": name for name in version.files}
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
            for member in tar:
                if member.size > published.largest:
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
    with open(path, "rb") as file:
        return file.read(size)  # not to the end: some files of a system have none


def _keep(folder: Path, members: dict[str, bytes]) -> None:
    """Keep the files unpacked, since they load several times faster; failing to write the cache is not an error."""
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        for name, raw in members.items():
            write_atomically(folder / name, raw)
