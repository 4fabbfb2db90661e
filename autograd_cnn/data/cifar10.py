"""CIFAR-10: the table of its two versions, and how their files are decoded.

Krizhevsky published the images with "Learning Multiple Layers of Features from Tiny Images" (2009), at
https://www.cs.toronto.edu/~kriz/cifar.html, in two versions with the same pixels: one binary, one pickled. Pickles are
read without executing them (see `unpickle`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data import published
from autograd_cnn.data.dataset import Dataset
from autograd_cnn.data.published import AnyPath, Published, Records, Version
from autograd_cnn.data.unpickle import read_pickle

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def decode_binary(raw: bytes, labels: int = 1) -> Records:
    """Records of 3073 bytes or more: labels, the last one ours, then 1024 reds, greens, blues, row by row."""
    size = labels + 3072
    if not raw or len(raw) % size:
        raise ValueError(f"{len(raw):,} bytes are not a whole number of records of {size:,}")
    records = np.frombuffer(raw, np.uint8).reshape(-1, size)
    return _to_nhwc(records[:, labels:]), records[:, labels - 1].astype(np.int64)


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


_BINARY = Version(
    folder="cifar-10-batches-bin",
    archive={
        "cifar-10-binary.tar.gz": (170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    },
    files={
        "data_batch_1.bin": (30_730_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        "data_batch_2.bin": (30_730_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        "data_batch_3.bin": (30_730_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        "data_batch_4.bin": (30_730_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        "data_batch_5.bin": (30_730_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        "test_batch.bin": (30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    },
    decode=decode_binary,
)

_PYTHON = Version(
    folder="cifar-10-batches-py",
    archive={
        "cifar-10-python.tar.gz": (170_498_071, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
    },
    files={
        "data_batch_1": (None, "c99cafc152244af753f735de768cd75f"),
        "data_batch_2": (None, "d4bba439e000b95fd0a9bffe97cbabec"),
        "data_batch_3": (None, "54ebc095f3ab1f0389bbae665268c751"),
        "data_batch_4": (None, "634d18415352ddfa80567beed471001a"),
        "data_batch_5": (None, "482c414d41f54cd18b22e5b47cb7c3cb"),
        "test_batch": (None, "40351d587109b95175f43aff81a1287e"),
    },
    decode=_decode_python,
    other_names=(  # those of Keras
        "cifar-10-batches-py-target/cifar-10-batches-py",
        "cifar-10-batches-py-target_archive",
        "cifar-10-batches-py.tar.gz",
    ),
)

TABLE = Published(
    name="CIFAR-10",
    classes=CLASSES,
    each=(5000, 1000),
    largest=64_000_000,  # in every protocol of pickle
    versions=(_BINARY, _PYTHON),
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
    ),
)


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
    return published.load(TABLE, path, download, verify, url)


def searched(path: AnyPath | None = None) -> list[tuple[Path, str]]:
    """List the places that `load_cifar10(path)` searches, in order, and what is in each, judged by names and sizes.

    Examples
    --------
    >>> [(str(place), what) for place, what in searched("no/such/folder")]
    [('no/such/folder', 'does not exist')]
    """
    return published.searched(TABLE, path)
