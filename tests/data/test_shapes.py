"""The drawn images: their format, that they are repeatable, and that only the outline reveals the class."""

import numpy as np
import pytest

from autograd_cnn.data import as_float32, load_shapes


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(train=2000, test=500)


def test_the_format_is_that_of_cifar10(shapes):
    assert shapes.name == "shapes (synthetic)" and len(set(shapes.classes)) == 10
    for images, labels, count in (
        (shapes.train_images, shapes.train_labels, 2000),
        (shapes.test_images, shapes.test_labels, 500),
    ):
        assert images.shape == (count, 32, 32, 3) and images.dtype == np.uint8 and images.flags.c_contiguous
        assert labels.shape == (count,) and labels.dtype == np.int64
        assert np.bincount(labels).tolist() == [count // 10] * 10
        assert len(set(labels[:20].tolist())) > 5  # in mixed order


def test_only_the_seed_determines_the_images(shapes):
    np.random.seed(1)  # the global generator is neither read nor set
    state = np.random.get_state()[1].copy()
    again, other = load_shapes(train=2000, test=500), load_shapes(train=2000, test=500, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(again, part), getattr(shapes, part))
        assert (getattr(other, part) != getattr(shapes, part)).any()


def test_test_images_depend_on_no_training_image(shapes):
    fewer = load_shapes(train=7, test=500)
    np.testing.assert_array_equal(fewer.test_images, shapes.test_images)
    alike = load_shapes(train=500, test=500)
    training = {image.tobytes() for image in alike.train_images}
    assert training.isdisjoint(image.tobytes() for image in alike.test_images)


def test_any_number_can_be_drawn():
    for train, test in ((0, 0), (1, 3), (25, 10)):
        data = load_shapes(train, test)
        assert (len(data.train_images), len(data.test_images)) == (train, test)
        assert np.ptp(np.bincount(data.train_labels, minlength=10)) <= 1


def test_colour_and_brightness_do_not_reveal_the_class(shapes):
    """The mean colours of all classes are equal, within chance."""
    x = as_float32(shapes.train_images).reshape(2000, -1, 3)
    by_class = np.stack([x[shapes.train_labels == label].mean(axis=(0, 1)) for label in range(10)])
    spread = x.mean(axis=1).std(axis=0) / np.sqrt(200)
    assert (abs(by_class - by_class.mean(axis=0)) < 4 * spread).all()


def test_a_linear_classifier_learns_little(shapes):
    """Ridge regression on the pixels, solved exactly, for three penalties: 20 % at best."""
    parts = shapes.train_images, shapes.test_images
    x, z = (as_float32(images).reshape(len(images), -1) - 0.5 for images in parts)
    y = np.eye(10, dtype=np.float32)[shapes.train_labels] - 0.1
    for penalty in (1, 100, 10_000):
        weights = np.linalg.solve(x @ x.T + penalty * np.eye(len(x), dtype=np.float32), y)
        assert ((z @ x.T @ weights).argmax(axis=1) == shapes.test_labels).mean() < 0.25


def test_outlines_distinguish_the_classes(shapes):
    """Matched filters: 300 known images slide over an unknown one, as they are or inverted; the best wins."""

    def normalised(images):
        grey = as_float32(images).mean(axis=3)
        grey -= grey.mean(axis=(1, 2), keepdims=True)
        return grey / np.sqrt((grey**2).sum(axis=(1, 2), keepdims=True))

    parts = shapes.train_images[:300], shapes.test_images[:100]
    filters, images = (np.fft.rfft2(normalised(part)) for part in parts)
    match = abs(np.fft.irfft2(filters.conj() * images[:, None])).max(axis=(2, 3))
    right = shapes.train_labels[match.argmax(axis=1)] == shapes.test_labels[:100]
    assert right.mean() > 0.97
