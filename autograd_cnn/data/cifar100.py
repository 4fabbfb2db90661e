"""CIFAR-100: the table of its binary version, which is decoded as that of CIFAR-10.

Krizhevsky published the images beside CIFAR-10, and in the same form, except that a record has two labels: one of 20
groups, and one of 100 classes, which is the label here.
"""

from __future__ import annotations

import functools

from autograd_cnn.data import published
from autograd_cnn.data.cifar10 import decode_binary
from autograd_cnn.data.dataset import Dataset
from autograd_cnn.data.published import AnyPath, Published, Version

# In the order of fine_label_names.txt in the archive, which is that of the alphabet.
CLASSES = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()
)

_BINARY = Version(
    folder="cifar-100-binary",
    archive={  # TensorFlow Datasets, url_checksums/cifar100.txt
        "cifar-100-binary.tar.gz": (168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
    },
    files={  # ankane/torchvision-ruby, lib/torchvision/datasets/cifar100.rb, which has the sum of the archive too
        "train.bin": (50_000 * 3074, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        "test.bin": (10_000 * 3074, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    },
    decode=functools.partial(decode_binary, labels=2),
)

TABLE = Published(
    name="CIFAR-100",
    classes=CLASSES,
    each=(500, 100),
    largest=160_000_000,
    versions=(_BINARY,),
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz",
    ),
)


def load_cifar100(
    path: AnyPath | None = None, download: bool = False, verify: bool = True, url: str | None = None
) -> Dataset:
    """Load the CIFAR-100 images: 50,000 for training, 10,000 for testing, 100 classes.

    Parameters
    ----------
    path, download, verify, url
        As for `load_cifar10`. The binary version is searched for, `cifar-100-binary.tar.gz` (169 MB) or unpacked.

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
    FileNotFoundError: CIFAR-100 not found. Looked in:
      no/such/folder: does not exist
    download=True fetches 169 MB. ...
    """
    return published.load(TABLE, path, download, verify, url)
