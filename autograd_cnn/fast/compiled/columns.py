"""Compiled twin of `fast.columns.col2im`."""

from __future__ import annotations

from . import add_run, kernel, run_of


@kernel
def col2im(columns, gx, y_size, kernel_size, stride, corner):
    (_, height, width, channels), (kh, kw) = gx.shape, kernel_size
    for window in range(columns.shape[0]):
        image, place = divmod(window, y_size[0] * y_size[1])
        r, c = divmod(place, y_size[1])
        left = c * stride[1] - corner[1]
        first, last = max(0, -left), min(kw, width - left)  # the part of a row of a window that lies on the image
        for i in range(kh):
            row = r * stride[0] - corner[0] + i
            if 0 <= row < height and first < last:
                source, pixels = columns[window, (i * kw + first) * channels :], run_of(gx[image, row])
                add_run(source, pixels[(left + first) * channels : (left + last) * channels])
