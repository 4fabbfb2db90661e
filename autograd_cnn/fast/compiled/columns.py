"""Compiled twin of `fast.columns.col2im`."""

from __future__ import annotations

from . import helper, kernel, run_of


@helper
def _accumulate(run, out):
    for k in range(out.size):
        out[k] += run[k]


@kernel
def col2im(columns, gx, y_size, kernel_size, stride, padding, dilation):
    groups, (_, height, width, channels), (kh, kw) = len(columns), gx.shape, kernel_size
    per_group = channels // groups
    adjacent = groups == dilation[1] == 1  # whether a row of a window is one run of numbers
    for group in range(groups):
        for window in range(columns.shape[1]):
            image, place = divmod(window, y_size[0] * y_size[1])
            r, c = divmod(place, y_size[1])
            left = c * stride[1] - padding[1][0]
            inside = adjacent and left >= 0 and left + kw <= width
            for i in range(kh):
                row = r * stride[0] - padding[0][0] + i * dilation[0]
                if not 0 <= row < height:
                    continue
                source, pixels = columns[group, window, i * kw * per_group :], run_of(gx[image, row])
                if inside:
                    _accumulate(source, pixels[left * channels : (left + kw) * channels])
                    continue
                for j in range(kw):
                    column = left + j * dilation[1]
                    if 0 <= column < width:
                        first = column * channels + group * per_group
                        _accumulate(source[j * per_group :], pixels[first : first + per_group])
