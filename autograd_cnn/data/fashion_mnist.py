"""Fashion-MNIST: the table of its four files, and how they are decoded.

Zalando published the images at https://github.com/zalandoresearch/fashion-mnist, in the format of MNIST: one file of
images and one of labels, each compressed by gzip.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data import published
from autograd_cnn.data.dataset import Dataset
from autograd_cnn.data.published import AnyPath, Published, Records, Version

LARGEST = 64_000_000  # bytes, unpacked; the training images have 47 million


def _decode(images: bytes, labels: bytes) -> Records:
    return _read_idx(images, 28, 28)[..., None].copy(), _read_idx(labels).astype(np.int64)


def _read_idx(raw: bytes, *item: int) -> NDArray[np.uint8]:
    """Read an array of items of a shape: 0, 0, 8 (for uint8), the number of axes, a length in four bytes each, data."""
    axes = 1 + len(item)
    unpacker = zlib.decompressobj(wbits=31)  # of gzip
    try:
        content = unpacker.decompress(raw, LARGEST)
    except zlib.error as error:
        raise ValueError(f"not compressed by gzip ({error})") from error
    if not unpacker.eof:
        raise ValueError(f"cut short, or more than {LARGEST:,} bytes")
    if unpacker.unused_data:
        raise ValueError(f"{len(unpacker.unused_data):,} bytes behind its end")
    start = 4 + 4 * axes
    if content[:4] != bytes([0, 0, 8, axes]) or len(content) < start:
        raise ValueError(f"not an array of uint8 with {axes} axes in the format idx")
    shape = tuple(np.frombuffer(content, ">u4", axes, offset=4).tolist())
    if shape[1:] != item:
        raise ValueError(f"has the shape {shape}, want (N{''.join(f', {side}' for side in item)})")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_IDX = Version(
    folder="fashion-mnist",  # as in Keras
    archive={},
    files={  # TensorFlow Datasets, url_checksums/fashion_mnist.txt; the sums also in Keras
        "train-images-idx3-ubyte.gz": (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        "train-labels-idx1-ubyte.gz": (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        "t10k-images-idx3-ubyte.gz": (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        "t10k-labels-idx1-ubyte.gz": (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    },
    decode=_decode,
    other_names=("FashionMNIST/raw", "fashion"),  # of torchvision, and of Zalando's repository
    together=2,
)

TABLE = Published(
    name="Fashion-MNIST",
    classes=CLASSES,
    each=(6000, 1000),
    largest=LARGEST,
    versions=(_IDX,),
    urls=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)


def load_fashion_mnist(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the Fashion-MNIST images: 60,000 for training, 10,000 for testing, ten classes of clothes.

    Parameters
    ----------
    path, download, verify, url
        As for `load_cifar10`. The four files `train-images-idx3-ubyte.gz` and so on (31 MB) are searched for, in
        folders named `fashion-mnist`, `FashionMNIST/raw` or `fashion`. A mirror is the address of their folder.

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
    FileNotFoundError: Fashion-MNIST not found. Looked in:
      no/such/folder: does not exist
    download=True fetches 31 MB. ...
    """
    return published.load(TABLE, path, download, verify, url)
