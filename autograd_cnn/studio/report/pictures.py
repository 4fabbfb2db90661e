"""Turns images, filters and feature maps into small PNG files inside the page."""

from __future__ import annotations

import numpy as np

from autograd_cnn.studio.png import url
from autograd_cnn.studio.report.facts import Array

SIDE = 64  # pixels of the longer side of an image; larger ones are averaged


def photo(image: Array) -> str:
    """Return an image (H, W, 3) or (H, W, 1), uint8 or floats in [0, 1], as the address of a PNG file."""
    pixels = image if image.dtype == np.uint8 else np.rint(255 * np.clip(image, 0, 1))
    block = -(-max(pixels.shape[:2]) // SIDE)
    if block > 1:
        height, width = (n // block * block for n in pixels.shape[:2])
        cut = pixels[:height, :width].reshape(height // block, block, width // block, block, -1)
        pixels = np.rint(cut.mean(axis=(1, 3)))
    return url(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.uint8))


def filters(weights: Array) -> list[str]:
    """Return each filter (HWIO, of colours or of grey) as a picture: grey is 0, the strongest weight is full colour."""
    most = np.abs(weights).max(axis=(0, 1, 2), keepdims=True)
    scaled = 0.5 + 0.5 * weights / np.where(most > 0, most, 1)
    return [photo(np.asarray(scaled[..., i], np.float32)) for i in range(weights.shape[-1])]


def maps(array: Array, most: int) -> list[str]:
    """Return the maps of (H, W, channels) that vary most, from black to white, in the order of their channels."""
    spread = array.std(axis=(0, 1), dtype=np.float64)
    chosen = array[..., np.sort(np.argsort(-spread, kind="stable")[:most])].astype(np.float64)
    low, high = chosen.min(axis=(0, 1)), chosen.max(axis=(0, 1))
    scaled = (chosen - low) / np.where(high > low, high - low, 1)
    return [photo(scaled[..., [i]]) for i in range(scaled.shape[-1])]


def heat(matrix: Array) -> str:
    """Return a matrix of shares in [0, 1] as a picture, from white to blue."""
    light, dark = np.array([255, 255, 255]), np.array([0, 90, 160])
    return url(np.rint(light + np.sqrt(matrix)[..., None] * (dark - light)).astype(np.uint8))
