"""Batches cover every image once; augmentation moves and mirrors images, and leaves the caller's array unchanged."""

import numpy as np
import pytest

from autograd_cnn.data import augment, batches, split


@pytest.fixture
def data():
    """23 images, each filled with its label."""
    labels = np.arange(23)
    return np.broadcast_to(labels[:, None, None, None], (23, 2, 2, 1)).astype(np.uint8), labels


def together(pairs):
    images, labels = zip(*pairs, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_without_a_generator_batches_are_views_in_order(data):
    pairs = list(batches(*data, batch_size=5))
    assert [len(y) for _, y in pairs] == [5, 5, 5, 5, 3]
    for whole, part in zip(data, together(pairs), strict=True):
        np.testing.assert_array_equal(part, whole)
    assert all(np.shares_memory(x, data[0]) and np.shares_memory(y, data[1]) for x, y in pairs)


def test_shuffling_yields_each_image_once_with_its_label(data):
    rng = np.random.default_rng(0)
    first, second = (together(batches(*data, batch_size=5, rng=rng)) for _ in range(2))
    for images, labels in (first, second):
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
        np.testing.assert_array_equal(np.sort(labels), data[1])
    assert (first[1] != second[1]).any() and (first[1] != data[1]).any()
    again = together(batches(*data, batch_size=5, rng=np.random.default_rng(0)))
    np.testing.assert_array_equal(again[1], first[1])


def test_the_last_batch_has_the_remainder(data):
    for size, left in {1: 1, 2: 3, 10: 3, 11: 12, 20: 3, 22: 23, 23: 23, 24: 23}.items():
        sizes = [len(y) for _, y in batches(*data, batch_size=size)]
        assert sum(sizes) == 23 and set(sizes[:-1]) <= {size} and sizes[-1] == left  # one image alone joins the others
    assert [len(y) for _, y in batches(data[0][:1], data[1][:1], batch_size=5)] == [1]
    assert list(batches(data[0][:0], data[1][:0], batch_size=5)) == []


def test_labels_may_be_rows(data):
    targets = np.eye(23)
    for x, y in batches(data[0], targets, batch_size=7, rng=np.random.default_rng(0)):
        np.testing.assert_array_equal(y.argmax(axis=1), x[:, 0, 0, 0])


def reflected(place, side):
    """The pixel in 0..side-1 that stands at `place`, when the edges are mirrors."""
    place = abs(place) % max(2 * side - 2, 1)
    return min(place, 2 * side - 2 - place)


def slow_augment(images, rng, shift=4, flip=True, cutout=0, mode="constant"):
    """`augment`, pixel by pixel, from the same random numbers."""
    count, height, width, _ = images.shape
    top, left = rng.integers(0, 2 * shift + 1, size=(2, count))
    mirrored = rng.random(count) < 0.5 if flip else np.zeros(count, bool)
    above, before = (rng.integers(0, side, (count, 1))[:, 0] - cutout // 2 for side in (height, width))
    result, mean = np.empty_like(images), images.mean(axis=(0, 1, 2))
    mean = np.rint(mean) if images.dtype == np.uint8 else mean
    for n, row, column in np.ndindex(images.shape[:3]):
        target = width - 1 - column if mirrored[n] else column
        source_row, source_column = row + top[n] - shift, column + left[n] - shift
        if mode == "reflect":
            source_row, source_column = reflected(source_row, height), reflected(source_column, width)
        inside = 0 <= source_row < height and 0 <= source_column < width
        cut = 0 <= row - above[n] < cutout and 0 <= target - before[n] < cutout
        result[n, row, target] = mean if cut else images[n, source_row, source_column] if inside else 0
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("options", [
    {}, {"shift": 2, "flip": False}, {"shift": 0}, {"shift": 0, "flip": False}, {"shift": 7},
    {"shift": 2, "mode": "reflect"}, {"shift": 13, "mode": "reflect", "flip": False}, {"cutout": 3},
    {"cutout": 4, "shift": 1}, {"cutout": 1, "shift": 0, "flip": False}, {"cutout": 2, "mode": "reflect"},
    {"cutout": 100},
])  # fmt: skip
def test_augment_equals_its_definition(dtype, options):
    images = np.random.default_rng(1).integers(10, 256, (12, 6, 5, 3)).astype(dtype)
    images.flags.writeable = False
    before = images.copy()
    for view in (images, images[::-1, :, ::-1]):
        result = augment(view, np.random.default_rng(2), **options)
        np.testing.assert_array_equal(result, slow_augment(view, np.random.default_rng(2), **options))
        assert result.dtype == dtype and result.flags.c_contiguous and not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)


def test_cutout_takes_its_centre_from_every_pixel():
    """Squares of side 1 have no part outside, so each pixel is painted over equally often."""
    images = np.broadcast_to(np.float32([0, 1] * 4500)[:, None, None, None], (9000, 3, 3, 1))
    result = augment(images, np.random.default_rng(0), shift=0, flip=False, cutout=1)
    assert ((result == 0.5).sum(axis=(1, 2, 3)) == 1).all()
    assert (abs((result == 0.5).sum(axis=0) - 1000) < 150).all()


def test_every_shift_and_both_directions_occur_equally_often():
    """A single bright pixel shows how its image was moved."""
    images = np.zeros((20_000, 5, 5, 1), np.uint8)
    images[:, 2, 1] = 1
    result = augment(images, np.random.default_rng(0), shift=1)
    n, rows, columns, _ = np.nonzero(result)
    assert len(n) == len(images)
    counts = np.histogram2d(rows, columns, bins=[range(6), range(6)])[0]
    # Rows 1..3; columns 0..2 if not mirrored and 2..4 if mirrored, so column 2 twice as often.
    expected = np.outer([0, 1, 1, 1, 0], [1, 1, 2, 1, 1]) * 20_000 / 18
    assert (abs(counts - expected) <= 5 * np.sqrt(expected)).all()


def test_augment_reads_no_global_generator():
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
    state = np.random.get_state()[1].copy()
    first, second = (augment(images, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_augment_takes_an_empty_batch():
    assert augment(np.zeros((0, 4, 4, 3), np.float32), np.random.default_rng(0)).shape == (0, 4, 4, 3)


def test_a_split_has_every_image_once_in_order(rng):
    images, labels = np.arange(101), np.arange(101) * 2
    (x, y), (apart, of_apart) = split(images, labels, 0.1, rng)
    assert len(apart) == 11
    assert sorted([*x, *apart]) == list(range(101))
    for part, of_part in ((x, y), (apart, of_apart)):
        assert (np.diff(part) > 0).all()
        np.testing.assert_array_equal(of_part, part * 2)
    assert np.ptp(apart) > 50
