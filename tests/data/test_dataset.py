"""Conversions of stored images and labels for a network; none of them happens implicitly."""

import numpy as np
import pytest

from autograd_cnn.data import Dataset, as_float32, channel_statistics, load_shapes, one_hot


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(train=60, test=30)


def test_repr_is_short_and_names_the_images(shapes):
    assert repr(shapes) == ("<shapes (synthetic): 60 training and 30 test images (32, 32, 3) uint8, 10 classes>")


def test_a_dataset_is_frozen(shapes):
    with pytest.raises(AttributeError):
        shapes.name = "CIFAR-10"


def test_take_returns_views_of_the_first_images_and_names_them_so(shapes):
    few = shapes.take(10, test=5)
    assert isinstance(few, Dataset) and few.classes == shapes.classes
    assert few.name == "shapes (synthetic), first 10 + 5"
    for part, count in (("train_images", 10), ("train_labels", 10), ("test_images", 5), ("test_labels", 5)):
        np.testing.assert_array_equal(getattr(few, part), getattr(shapes, part)[:count])
        assert np.shares_memory(getattr(few, part), getattr(shapes, part))
    assert len(shapes.take(10).test_images) == 30


def test_take_refuses_more_images_than_there_are(shapes):
    with pytest.raises(ValueError, match=r"^take: 61 training images wanted, shapes \(synthetic\) has 60$"):
        shapes.take(61)
    with pytest.raises(ValueError, match=r"^take: 31 test images wanted, shapes \(synthetic\) has 30$"):
        shapes.take(1, 31)
    with pytest.raises(ValueError, match="-1 training"):
        shapes.take(-1)


def test_as_float32_maps_each_shade_to_its_share_of_255():
    shades = np.arange(256, dtype=np.uint8)
    result = as_float32(shades)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.arange(256, dtype=np.float32) / np.float32(255))
    assert result[0] == 0 and result[255] == 1


def test_as_float32_normalises_each_channel_and_leaves_its_input(shapes):
    before = shapes.train_images.copy()
    mean, std = channel_statistics(shapes.train_images)
    result = as_float32(shapes.train_images, mean, std)
    np.testing.assert_array_equal(shapes.train_images, before)
    assert result.dtype == np.float32 and result.flags.c_contiguous
    np.testing.assert_allclose(result.mean(axis=(0, 1, 2), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis=(0, 1, 2), dtype=np.float64), 1, atol=1e-5)
    only_mean = as_float32(shapes.train_images, mean=mean.tolist())
    np.testing.assert_allclose(only_mean, result * std, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8])
def test_as_float32_refuses_dtypes_other_than_uint8(dtype):
    message = rf"^as_float32: images are {np.dtype(dtype)}, expected uint8 \(0\.\.255\)"
    with pytest.raises(TypeError, match=message):
        as_float32(np.zeros((1, 2, 2, 3), dtype))


def test_channel_statistics_are_those_of_the_converted_images(shapes):
    mean, std = channel_statistics(shapes.train_images)
    x = as_float32(shapes.train_images).astype(np.float64)
    assert mean.dtype == std.dtype == np.float32 and mean.shape == std.shape == (3,)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, x.std(axis=(0, 1, 2)), rtol=1e-6)


def test_channel_statistics_of_views_and_of_one_shade(shapes):
    view = shapes.train_images[::2, :, ::-1]
    np.testing.assert_array_equal(channel_statistics(view), channel_statistics(view.copy()))
    mean, std = channel_statistics(np.full((2, 3, 3, 2), 51, np.uint8))
    np.testing.assert_allclose(mean, 0.2, rtol=1e-6)
    np.testing.assert_allclose(std, 0, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("integer", [np.int64, np.uint8, np.int32])
def test_one_hot_marks_each_label(integer, dtype):
    labels = np.array([3, 0, 9, 3], integer)
    result = one_hot(labels, dtype=dtype)
    assert result.shape == (4, 10) and result.dtype == dtype and result.flags.c_contiguous
    np.testing.assert_array_equal(result.argmax(axis=1), labels)
    np.testing.assert_array_equal(np.sort(result, axis=1), [[0] * 9 + [1]] * 4)
    assert one_hot(np.array([], np.int64), classes=4).shape == (0, 4)


def test_one_hot_names_the_wrong_label():
    labels = np.zeros(20, np.int64)
    labels[17] = 10
    with pytest.raises(ValueError) as caught:
        one_hot(labels)
    assert str(caught.value) == ("one_hot: label 10 at [17], but classes are 0..9. Labels that start at 1: labels - 1")
    with pytest.raises(ValueError, match=r"label -1 at \[0\], but classes are 0\.\.2"):
        one_hot(np.array([-1, 3]), classes=3)


def test_one_hot_refuses_other_shapes_and_dtypes():
    with pytest.raises(ValueError, match=r"^one_hot: labels \(64, 1\), expected \(N,\)\. labels\[:, 0\]\?$"):
        one_hot(np.zeros((64, 1), np.int64))
    with pytest.raises(ValueError, match=r"^one_hot: labels \(2, 3\), expected \(N,\)\.$"):
        one_hot(np.zeros((2, 3), np.int64))
    with pytest.raises(TypeError, match="^one_hot: labels are float32, expected integers"):
        one_hot(np.zeros(3, np.float32))
