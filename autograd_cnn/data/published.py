"""Published images: a table of their files, which are found on disk or downloaded, checked, and then decoded.

All safety rests on the checksums in this table. Each is computed from the same bytes that are decoded afterwards, so
data that passes is the published data, wherever it came from, and nothing else is unpacked or unpickled.

CIFAR-10 and CIFAR-100 are by Krizhevsky, at https://www.cs.toronto.edu/~kriz/cifar.html. Fashion-MNIST is by Zalando,
at https://github.com/zalandoresearch/fashion-mnist.
"""

from __future__ import annotations

import gzip
import io
import os
import pickle
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data.dataset import Dataset
from autograd_cnn.data.download import complaint_of, fetch
from autograd_cnn.files import read

AnyPath = str | os.PathLike[str]
Files = dict[str, tuple[int, str]]  # size and SHA-256, or MD5, by name
Records = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Published(NamedTuple):
    """A published set: a folder of `files`, those of the test last, which comes as an archive or as the files.

    `decode` takes the bytes of one file, or of `together` files that follow each other, and returns images and labels.
    `each` has the numbers of training and of test images of one class. `urls` are addresses of the archive, or of the
    folder of the files; the first one that has it is taken.
    """

    name: str
    classes: tuple[str, ...]
    each: tuple[int, int]
    urls: tuple[str, ...]
    folder: str
    archive: Files  # one or none
    files: Files
    decode: Callable[..., Records]
    together: int = 1


def _decode_binary(raw: bytes, labels: int = 1) -> Records:
    """Records of 3073 bytes or more: labels, the last one ours, then 1024 reds, greens, blues, row by row."""
    size = labels + 3072
    if not raw or len(raw) % size:
        raise ValueError(f"{len(raw):,} bytes are not a whole number of records of {size:,}")
    records = np.frombuffer(raw, np.uint8).reshape(-1, size)
    return _to_nhwc(records[:, labels:]), records[:, labels - 1].astype(np.int64)


def _decode_pickle(raw: bytes) -> Records:
    batch = pickle.loads(raw, encoding="bytes")
    return _to_nhwc(batch[b"data"]), np.array(batch[b"labels"], np.int64)


def _to_nhwc(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _decode_idx(images: bytes, labels: bytes) -> Records:
    return _read_idx(images, 28, 28)[..., None].copy(), _read_idx(labels).astype(np.int64)


def _read_idx(raw: bytes, *item: int) -> NDArray[np.uint8]:
    """Read an array of items of a shape: 0, 0, 8 (for uint8), the number of axes, a length in four bytes each, data."""
    axes = 1 + len(item)
    try:
        content = gzip.decompress(raw)
    except (EOFError, OSError, ValueError) as error:
        raise ValueError(f"not compressed by gzip ({error})") from error
    start = 4 + 4 * axes
    if content[:4] != bytes([0, 0, 8, axes]) or len(content) < start:
        raise ValueError(f"not an array of uint8 with {axes} axes in the format idx")
    shape = tuple(np.frombuffer(content, ">u4", axes, offset=4).tolist())
    if shape[1:] != item:
        raise ValueError(f"has the shape {shape}, want (N{''.join(f', {side}' for side in item)})")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


_ADDRESSES = "https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"

CIFAR10 = Published(
    name="CIFAR-10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    each=(5000, 1000),
    urls=tuple(f"{address}cifar-10-binary.tar.gz" for address in _ADDRESSES),
    folder="cifar-10-batches-bin",
    archive={
        "cifar-10-binary.tar.gz": (
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )
    },
    files={
        name: (30_730_000, digest)
        for name, digest in {
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        }.items()
    },
    decode=_decode_binary,
)

CIFAR10_PYTHON = CIFAR10._replace(
    folder="cifar-10-batches-py",
    archive={
        "cifar-10-python.tar.gz": (
            170_498_071,
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        )
    },
    files={  # torchvision, datasets/cifar.py
        "data_batch_1": (31_035_704, "c99cafc152244af753f735de768cd75f"),
        "data_batch_2": (31_035_320, "d4bba439e000b95fd0a9bffe97cbabec"),
        "data_batch_3": (31_035_999, "54ebc095f3ab1f0389bbae665268c751"),
        "data_batch_4": (31_035_696, "634d18415352ddfa80567beed471001a"),
        "data_batch_5": (31_035_623, "482c414d41f54cd18b22e5b47cb7c3cb"),
        "test_batch": (31_035_526, "40351d587109b95175f43aff81a1287e"),
    },
    decode=_decode_pickle,
)

CIFAR100 = Published(
    name="CIFAR-100",
    # In the order of fine_label_names.txt in the archive, which is that of the alphabet.
    classes=tuple(
        """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
        castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
        elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
        man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
        pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
        tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
        """.split()
    ),
    each=(500, 100),
    urls=tuple(f"{address}cifar-100-binary.tar.gz" for address in _ADDRESSES),
    folder="cifar-100-binary",
    archive={  # TensorFlow Datasets, url_checksums/cifar100.txt
        "cifar-100-binary.tar.gz": (
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )
    },
    files={  # ankane/torchvision-ruby, lib/torchvision/datasets/cifar100.rb, which has the archive's sum too
        "train.bin": (50_000 * 3074, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        "test.bin": (10_000 * 3074, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    },
    decode=partial(_decode_binary, labels=2),
)

FASHION_MNIST = Published(
    name="Fashion-MNIST",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    each=(6000, 1000),
    urls=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    folder="fashion-mnist",
    archive={},
    files={  # TensorFlow Datasets, url_checksums/fashion_mnist.txt; the sums also in Keras
        "train-images-idx3-ubyte.gz": (
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        "train-labels-idx1-ubyte.gz": (
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        "t10k-images-idx3-ubyte.gz": (
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        "t10k-labels-idx1-ubyte.gz": (
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    },
    decode=_decode_idx,
    together=2,
)  # fmt: skip


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
    FileNotFoundError: CIFAR-10 not found in no/such/folder
    download=True fetches 170 MB. ...
    """
    return _load(CIFAR10, path, download, verify, url, CIFAR10_PYTHON)


def load_cifar100(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the CIFAR-100 images: 50,000 for training, 10,000 for testing, 100 classes.

    Parameters
    ----------
    path : path, optional
        A folder with the files, its parent, or the archive `cifar-100-binary.tar.gz`; by default `cache_dir()`.
    download : bool
        Whether to fetch the archive (169 MB) if no undamaged copy is found, into `path`.
    verify : bool
        False accepts unpacked files with unknown checksums, such as a subset that you made, and names the result as
        an unverified copy.
    url : str, optional
        A mirror to download the archive from. It may use http, since checksums are verified.

    Returns
    -------
    Dataset
        Images (N, 32, 32, 3) uint8, NHWC, colours red, green, blue; labels (N,) int64, 0..99.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        As `load_cifar10`.

    References
    ----------
    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> load_cifar100("no/such/folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FileNotFoundError: CIFAR-100 not found in no/such/folder
    download=True fetches 169 MB. ...
    """
    return _load(CIFAR100, path, download, verify, url)


def load_fashion_mnist(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the Fashion-MNIST images: 60,000 for training, 10,000 for testing, ten classes of clothes.

    Parameters
    ----------
    path : path, optional
        A folder with the four files `train-images-idx3-ubyte.gz` and so on, or a folder that has them in
        `fashion-mnist`; by default `cache_dir()`.
    download : bool
        Whether to fetch the files (31 MB) if no undamaged copy is found, into `path`.
    verify : bool
        False accepts files with unknown checksums, such as a subset that you made, and names the result as
        an unverified copy.
    url : str, optional
        A mirror, the address of a folder with the four files. It may use http, since checksums are verified.

    Returns
    -------
    Dataset
        Images (N, 28, 28, 1) uint8, NHWC, 0 is black; labels (N,) int64, 0..9.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        As `load_cifar10`.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", 2017.

    Examples
    --------
    >>> load_fashion_mnist("no/such/folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FileNotFoundError: Fashion-MNIST not found in no/such/folder
    download=True fetches 31 MB. ...
    """
    return _load(FASHION_MNIST, path, download, verify, url)


def cache_dir() -> Path:
    """Return the folder that downloads go to: `$AUTOGRAD_CNN_DATA`, else `autograd_cnn` in the user's cache."""
    own = os.environ.get("AUTOGRAD_CNN_DATA")
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(own or os.path.join(base, "autograd_cnn")))


def _load(
    published: Published, path: AnyPath | None, download: bool, verify: bool, url: str | None, *others: Published
) -> Dataset:
    """Load a set as `load_cifar10` describes it; `others` are further versions, which are not downloaded."""
    place = cache_dir() if path is None else Path(os.path.expanduser(path))
    damage: Exception | None = None
    versions = sorted((published, *others), key=lambda v: place.name not in (*v.archive, *v.files))
    for version, found in [(v, found) for v in versions for found in _candidates(v, place)]:
        try:
            return _read(version, found, verify)
        except (ValueError, OSError) as error:
            damage = damage or error
    folder = place.parent if place.is_file() or place.suffix == ".gz" else place  # the name of an archive or a file
    if not published.archive and folder.name != published.folder:
        folder = folder / published.folder
    urls, files = published.urls if url is None else (url,), published.archive or published.files
    if download:
        for name, (size, digest) in files.items():
            addresses = [each if published.archive else f"{each.rstrip('/')}/{name}" for each in urls]
            fetch(addresses, folder / name, size, digest)
        return _read(published, folder.joinpath(*published.archive), verify)
    if damage is not None:
        raise damage
    sizes, sums = zip(*files.values(), strict=True)
    raise FileNotFoundError(
        f"{published.name} not found in {place}\n"
        f"download=True fetches {sum(sizes) / 1e6:.0f} MB. By hand: put {', '.join(files)} in {folder} "
        f"({published.urls[0]}, SHA-256 {', '.join(sums)}). Without {published.name}: ag.data.load_shapes()"
    )


def _candidates(published: Published, place: Path) -> list[Path]:
    """Return the folders of files and the archives in a place, which may be one itself."""
    if place.is_file():
        return [place if published.archive and place.name not in published.files else place.parent]
    first = next(iter(published.files))
    folders = [folder for folder in (place, place / published.folder) if (folder / first).is_file()]
    return folders + [place / name for name in published.archive if (place / name).is_file()]


def _read(published: Published, found: Path, verify: bool) -> Dataset:
    """Read a candidate; the name of the result says whether every checksum was right."""
    members: dict[str, bytes] = {}
    cure = "Delete it, or fetch the images again with download=True"
    if found.is_file():
        raw = read(found)
        if complaint := complaint_of(found, raw, *next(iter(published.archive.values()))):
            raise ValueError(f"{complaint}. {cure}")
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
            # an archive with the right sum has every member, which type checkers cannot know
            members = {name: tar.extractfile(f"{published.folder}/{name}").read() for name in published.files}  # type: ignore[union-attr]
    files, parts, known = list(published.files.items()), [], True
    for group in (files[k : k + published.together] for k in range(0, len(files), published.together)):
        raws = []
        for name, (size, digest) in group:
            raws.append(members[name] if members else read(found / name))
            complaint = "" if members else complaint_of(found / name, raws[-1], size, digest)
            if complaint and (verify or published.decode is _decode_pickle):  # a pickle may run any program
                accepted = f"{CIFAR10.folder} alone" if published.decode is _decode_pickle else "it"
                raise ValueError(f"{complaint}. {cure}; if you made this copy, verify=False accepts {accepted}")
            known = known and not complaint
        try:
            parts.append(_records(published, published.decode(*raws)))
        except ValueError as error:
            raise ValueError(f"{', '.join(str(found / name) for name, _ in group)}: {error}") from error
    images, labels = zip(*parts, strict=True)
    train_images, train_labels = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    for y, each in zip((train_labels, labels[-1]), published.each, strict=True):
        counts = np.bincount(y, minlength=len(published.classes))
        if known and (counts != each).any():
            raise ValueError(f"{found}: {counts.tolist()} images of the classes, want {each:,} of each")
    name = published.name if known else f"{published.name} (unverified copy)"
    return Dataset(name, published.classes, train_images, train_labels, images[-1], labels[-1])


def _records(published: Published, records: Records) -> Records:
    images, labels = records
    if labels.shape != (len(images),):
        raise ValueError(f"{len(images):,} images, but labels of shape {labels.shape}")
    classes = len(published.classes)
    for place in np.flatnonzero((labels < 0) | (labels >= classes))[:1]:
        raise ValueError(f"label {labels[place]} at [{place}], but classes are 0..{classes - 1}")
    return records
