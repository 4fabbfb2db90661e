"""The geometry of windows, against explicit loops."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autograd_cnn.fast.windows import phases, taps
from autograd_cnn.ops.windows import output_size

sides = st.tuples(st.integers(-1, 3), st.integers(-1, 3))
axis = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), sides, st.integers(1, 3))
axis = axis.filter(lambda a: a[0] + sum(a[3]) > a[4] * (a[1] - 1))


@given(axis)
def test_output_size_counts_the_windows_that_fit(axis):
    size, kernel, stride, padding, dilation = axis
    span = dilation * (kernel - 1) + 1
    starts = range(-padding[0], size + padding[1] - span + 1, stride)
    assert output_size(size, kernel, stride, *padding, dilation) == len(starts)


@given(axis, axis)
def test_phases_and_taps_pair_windows_with_the_pixels_under_each_tap(down, across):
    size, kernel, stride, padding, dilation = zip(down, across, strict=True)
    corner = padding[0][0], padding[1][0]
    y_size = tuple(output_size(*axis[:3], *axis[3], axis[4]) for axis in (down, across))
    found = []
    for phase in phases(y_size, stride, corner, dilation):
        seen, inside = ([a[i[1:]] for a in np.indices(n)] for i, n in ((phase.pixels, size), (phase.windows, y_size)))
        for tap, windows, pixels in taps(seen[0].shape, inside[0].shape, kernel, phase.stride, phase.corner):
            places = [a[i[1:]].ravel() for some, i in ((inside, windows), (seen, pixels)) for a in some]
            found += zip([tap] * places[0].size, *places, strict=True)
    expected = []
    for i, j, r, c in itertools.product(*map(range, (*kernel, *y_size))):
        row = r * stride[0] + i * dilation[0] - padding[0][0]
        column = c * stride[1] + j * dilation[1] - padding[1][0]
        if 0 <= row < size[0] and 0 <= column < size[1]:
            expected.append(((i, j), r, c, row, column))
    assert sorted(found) == sorted(expected)


def test_no_windows_have_no_taps():
    assert not list(taps((1, 4), (0, 3), (1, 3), (1, 1), (0, 0)))
