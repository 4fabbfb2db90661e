"""How work is cut: whole images, rows of one image, and parts of a sum."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from autograd_cnn.fast import tiles


def test_small_tiles_cut_images_into_rows(small_tiles):
    assert tiles.tiles(images=2, rows=5, row_bytes=400)[:3] == [
        (slice(0, 1), slice(0, 1)), (slice(0, 1), slice(1, 2)), (slice(0, 1), slice(2, 3)),
    ]  # fmt: skip


@pytest.mark.parametrize("images", [0, 1, 3, 4, 100])
@pytest.mark.parametrize("row_bytes", [0, 10, 400, 5000])
def test_tiles_cover_every_row_of_every_image_once(images, row_bytes, small_tiles):
    for cut in tiles.tiles, tiles.in_bands, partial(tiles.tiles, least=50), partial(tiles.in_bands, most=5):
        covered = np.zeros((images, 7), int)
        for tile in cut(images, rows=7, row_bytes=row_bytes):
            covered[tile] += 1
        assert (covered == 1).all()


def test_images_are_copied_unless_channels_are_adjacent(other_layouts, small_tiles):
    a = np.arange(1400.0).reshape(10, 7, 2, 10)
    packed = np.zeros(a.shape, [("byte", "u1"), ("number", float)])["number"]  # not aligned
    packed[...] = a
    for layout, other in {"itself": a, "packed": packed, **other_layouts(a)}.items():
        whole, copy = tiles.adjacent(other, a.dtype), tiles.adjacent(other, np.float32)
        assert (whole is other) == (layout in ("itself", "read-only", "among others")), layout
        assert copy.flags.c_contiguous and copy.dtype == np.float32
        np.testing.assert_array_equal([whole, copy], [a, a])


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 100])
def test_parts_keep_the_order_of_the_tiles(count):
    parts = tiles.in_parts(list(range(count)))
    assert [tile for part in parts for tile in part] == list(range(count))
    assert len(parts) == min(count, tiles.PARTS) and all(parts)
