"""Writes pixels as a PNG file, and as the URL of one, which a page holds."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """Return colours (height, width, 3), uint8, as a PNG file."""
    height, width = pixels.shape[:2]
    rows = np.insert(pixels.reshape(height, -1), 0, 0, axis=1)  # every row begins with its filter type, 0 for none
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.astype(np.uint8).tobytes(), 9)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data


def url(pixels: np.ndarray) -> str:
    """Return colours as the URL of a PNG file, which a page holds."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
