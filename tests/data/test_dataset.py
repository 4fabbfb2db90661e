"""Conversions of stored images and labels for a network; none of them happens implicitly."""

from dataclasses import replace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.data import Dataset, as_float32, load_shapes


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(train=60, test=30)


def test_repr_is_short_and_names_the_images(shapes):
    assert repr(shapes) == ("<shapes (synthetic): 60 training and 30 test images (32, 32, 3) uint8, 10 classes>")


def test_repr_cannot_steer_a_terminal(shapes):
    assert repr(replace(shapes, name="a\x1b[2J\nb")).startswith("<a\\x1b[2J\\nb: 60 training")


def test_a_dataset_is_frozen(shapes):
    with pytest.raises(AttributeError):
        shapes.name = "CIFAR-10"


# Arrays of the user's


def arrays(count=20, classes=4, channels=3):
    """Images (count, 4, 5, channels), each filled with its number, and their labels in turn."""
    images = np.empty((count, 4, 5, channels), np.uint8)
    images[...] = np.arange(count)[:, None, None, None]
    return images, np.arange(count) % classes


def test_arrays_become_two_parts_with_every_image_once_and_its_label():
    images, labels = arrays()
    data = Dataset.from_arrays(images, labels.astype(np.uint8), test=0.4, name="mine")
    numbers = [part[:, 0, 0, 0] for part in (data.train_images, data.test_images)]
    assert [len(part) for part in numbers] == [12, 8] and data.name == "mine"
    assert sorted(np.concatenate(numbers).tolist()) == list(range(20))
    for part, of_part in zip(numbers, (data.train_labels, data.test_labels), strict=True):
        assert (np.diff(part.astype(int)) > 0).all() and of_part.dtype == np.int64
        np.testing.assert_array_equal(of_part, part % 4)
        assert len(set(np.bincount(of_part))) == 1  # the same share of each class
    assert data.classes == ("0", "1", "2", "3")
    assert Dataset.from_arrays(images, labels + 1).classes == ("0", "1", "2", "3", "4")


def test_the_seed_chooses_the_test_images():
    first, again, other = (Dataset.from_arrays(*arrays(200), seed=seed).test_images for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_test_images_may_be_given():
    images, labels = arrays(8)
    data = Dataset.from_arrays(images, labels.tolist(), test=(images[:4], labels[:4]), classes=list("abcde"))
    assert data.classes == tuple("abcde") and len(data.train_images) == 8 and len(data.test_images) == 4


IMAGES, LABELS = arrays()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.99])
def test_every_class_has_an_image_in_both_parts(share):
    data = Dataset.from_arrays(IMAGES, LABELS, share)
    assert set(data.train_labels) == set(data.test_labels) == set(LABELS)


def test_names_become_labels_by_the_cure():
    names = np.array(["dog", "cat"])[LABELS % 2]
    classes, labels = np.unique(names, return_inverse=True)
    data = Dataset.from_arrays(IMAGES, labels, classes=classes.tolist())
    assert data.classes == ("cat", "dog")


def test_as_float32_maps_each_shade_to_its_share_of_255():
    shades = np.arange(256, dtype=np.uint8)
    result = as_float32(shades)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.arange(256, dtype=np.float32) / np.float32(255))
    assert result[0] == 0 and result[255] == 1


@pytest.mark.parametrize(("name", "text"), [
    ("load_mnist", "Here: ag.data.Dataset.from_arrays(images, labels)"),
    ("load_cifar100", "Here: ag.data.Dataset.from_arrays(images, labels)"),
    ("DataLoader", "Here: ag.data.batches(images, labels, batch_size, rng)"),
    ("ImageFolder", "Here: ag.data.load_folder(path, size)"),
    ("load_cifar", "Did you mean 'load_cifar10'?"),
])  # fmt: skip
def test_names_of_other_packages_lead_to_ours(name, text):
    with pytest.raises(AttributeError) as caught:
        getattr(ag.data, name)
    assert str(caught.value) == f"autograd_cnn.data has no {name!r}. {text}"
