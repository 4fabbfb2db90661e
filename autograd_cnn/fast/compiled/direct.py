"""Compiled passes of `fast.direct`: products of the windows of an image, which are read where they lie."""

from __future__ import annotations

from . import call, copy_into, helper, images_of, kernel, strided

BAND = 128  # pixels whose gradients `weight_gradient` reads together: they stay in the first-level cache


@kernel
def conv2d(product, x, w, b, y, padded, top, left, window, steps):
    """Write the products of all windows and the weights into `y`.

    A window has the shape `window`. The first two `steps` are those to the window below and to the right of it, and the
    others those within it, in numbers.
    """
    images, out = images_of(x), images_of(y)
    _, rows, columns, outputs = out.shape
    bias = strided(b, (columns, outputs), (0, 1))
    padded[:] = 0
    for image in range(len(out)):
        windows = strided(_padded(padded, images[image], top, left), (rows, columns, *window), steps)
        for row in range(rows):
            call(product, windows[row], w, bias, out[image, row])


@helper
def _padded(padded, image, top, left):
    """Return the image itself, if it lies in memory as `padded` and has no margins, else `padded` with a copy in it."""
    if top == 0 and left == 0 and image.shape == padded.shape and image.strides == padded.strides:
        return image
    copy_into(padded, image, top, left)
    return padded


@kernel
def weight_gradient(product, x, g, gw, padded, top, left, stride, own, steps):
    """Add the products of windows and gradients to `gw`; the windows of a row are as many as its numbers, and `own`."""
    images, gradients = images_of(x), images_of(g)
    (_, numbers, outputs), rows = gw.shape, max(1, BAND // gradients.shape[2])
    padded[:] = 0
    for image in range(len(gradients)):
        source = _padded(padded, images[image], top, left)
        for row in range(0, gradients.shape[1], rows):
            band = gradients[image, row : row + rows]
            sizes = (numbers, len(band), band.shape[1], *own)
            for i in range(len(gw)):
                windows, total = strided(source[row * stride + i :], sizes, steps), gw[i]
                call(product, windows, band, strided(total, (numbers, outputs), (outputs, 1)), total)
