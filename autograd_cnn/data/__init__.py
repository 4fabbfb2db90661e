"""Loads images (CIFAR-10, your own, drawn shapes that need no download), converts them, and cuts them into batches."""

from autograd_cnn.data.cifar10 import cache_dir, load_cifar10
from autograd_cnn.data.dataset import Dataset, as_float32
from autograd_cnn.data.image_files import load_folder, read_image
from autograd_cnn.data.minibatches import augment, batches, split
from autograd_cnn.data.shapes import load_shapes
from autograd_cnn.engine.naming import publish

__all__ = [
    "Dataset",
    "as_float32",
    "augment",
    "batches",
    "cache_dir",
    "load_cifar10",
    "load_folder",
    "load_shapes",
    "read_image",
    "split",
]
publish(globals())
