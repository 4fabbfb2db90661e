"""Reads one image file: whatever its format, mode and size, it becomes uint8, red, green and blue, of one size.

Pillow is asked for formats that it decodes itself: for others, such as PostScript, it starts a program. What a file
leaves open, such as the range of its numbers, is not guessed: the file is refused, with the cure.
"""

from __future__ import annotations

import os
from io import BytesIO
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.environment import needs, plain
from autograd_cnn.files import AnyPath, read

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LARGEST = 100_000_000  # pixels to decode; they take 400 MB
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}  # of Pillow; 8 bits, of known colours
PHOTO = "{}, which Pillow does not read alone. Save it as JPEG: the phone, or any viewer of photos, exports it"


def read_image(path: AnyPath, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read one image: BMP, GIF, JPEG, PNG, PPM, TIFF or WebP.

    A transparent image is laid on white, and one that a camera took sideways is turned upright. If the size differs,
    the image is scaled until it covers `size`, and what juts out is cut off, the same on both sides. Of several images
    in a file the first one counts. Colour profiles are not applied.

    Parameters
    ----------
    path : path
    size : (height, width)

    Returns
    -------
    array, (height, width, 3) uint8

    Raises
    ------
    ImportError
        If Pillow is not installed.
    FileNotFoundError, IsADirectoryError, PermissionError
        If it is not a file that can be opened.
    ValueError
        If it is not an image, damaged, of more than 100 million pixels, or of grey numbers of more than 8 bits or
        floats, whose range no file says.

    Examples
    --------
    >>> read_image(__file__, (32, 32))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: ...image.py: not a readable image (it begins like none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP)
    """
    with needs("pillow", "reading images", "images"):
        from PIL import Image, ImageOps, UnidentifiedImageError
    height, width = checked_size("read_image", size)
    raw = read(path)  # not opened by Pillow: a pipe would be waited for
    try:
        with Image.open(BytesIO(raw), formats=FORMATS) as file:
            file.draft(None, (2 * width, 2 * height))  # of a large JPEG, decode less: 24 ms for 12 megapixels, not 170
            if file.width * file.height > LARGEST:
                raise ValueError(f"{file.width:,} x {file.height:,} pixels, more than {LARGEST:,}: make it smaller")
            image = _rgb(ImageOps.exif_transpose(file))
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height))
            return np.array(image)
    except UnidentifiedImageError:
        kind = PHOTO.format("AVIF" if raw[8:11] == b"avi" else "HEIC") if raw[4:8] == b"ftyp" else ""
        why = kind or f"it begins like none of {', '.join(FORMATS)}"
        raise ValueError(f"{plain(os.fspath(path))}: not a readable image ({why})") from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{plain(os.fspath(path))}: not a readable image ({error})") from error


def checked_size(caller: str, size: Any) -> tuple[int, int]:
    """Return a size of images as (height, width), or raise an error that names the caller."""
    try:
        height, width = map(index, size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        cure = f": size={size[:2]}" if isinstance(size, tuple) and len(size) == 3 else ""
        raise ValueError(f"{caller}: size is {size!r}, want (height, width), such as (32, 32){cure}")
    return height, width


def _rgb(image: Image.Image) -> Image.Image:
    """Convert an image of 8 bits or less, in any mode; the transparent parts of it become white."""
    from PIL import Image

    if image.mode not in MODES:
        raise ValueError(
            f"its pixels have the mode {image.mode}, not 8 bits of grey or RGB, and no file says which are black and "
            "white. Scale them to 0..255, and save them as uint8"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
