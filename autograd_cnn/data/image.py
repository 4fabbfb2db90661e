"""Reads one image file: whatever its format, mode and size, it becomes uint8, red, green and blue, of one size.

Pillow is asked for formats that it decodes itself: for others, such as PostScript, it starts a program. What a file
leaves open, such as the range of its numbers, is not guessed: the file is refused, with the cure.
"""

from __future__ import annotations

import errno
import os
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.environment import needs, plain

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LARGEST = 100_000_000  # pixels to decode; they take 400 MB
WHITE_IS_ZERO, PHOTOMETRIC = 0, 262  # a value, and the tag of TIFF that has it

AnyPath = str | os.PathLike[str]


def read_image(path: AnyPath, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read one image: BMP, GIF, JPEG, PNG, PPM, TIFF or WebP.

    A transparent image is laid on white, and one that a camera took sideways is turned upright. Of 16 bits the higher
    8 are kept. If the size differs, the image is scaled until it covers `size`, and what juts out is cut off, the same
    on both sides. Of several images in a file the first one counts. Colour profiles are not applied.

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
        If it is not an image, damaged, of more than 100 million pixels, or of numbers that have no known range: of
        floats or of more than 16 bits.

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
    _check_file(path)
    try:
        with Image.open(path, formats=FORMATS) as file:
            file.draft(None, (2 * width, 2 * height))  # of a large JPEG, decode less: 24 ms for 12 megapixels, not 170
            if file.width * file.height > LARGEST:
                raise ValueError(f"{file.width:,} x {file.height:,} pixels, more than {LARGEST:,}: make it smaller")
            bits, photometric = _bits(file), getattr(file, "tag_v2", {}).get(PHOTOMETRIC)
            image = _rgb(ImageOps.exif_transpose(file), bits, photometric == WHITE_IS_ZERO)
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height))
            return np.array(image)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except UnidentifiedImageError:
        raise ValueError(f"{_name(path)}: not a readable image (it begins like none of {', '.join(FORMATS)})") from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{_name(path)}: not a readable image ({error})") from error


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


def _name(path: AnyPath) -> str:
    return plain(str(os.fspath(path)))


def _check_file(path: AnyPath) -> None:
    """Refuse what is no regular file: a pipe would be waited for, and a device may have no end."""
    if not os.path.isfile(path):
        os.stat(path)  # raises an error if it does not exist, or its folder may not be searched
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise ValueError(f"{_name(path)}: not a regular file")


def _bits(file: Any) -> str:
    """The layout of the bits in a file, as Pillow names it; its mode does not tell 12 bits from 16, or 4 from 8."""
    if file.format == "PPM" and file.mode == "I":
        return "I;16B"  # whatever it has in the file, Pillow scales it to 16 bits
    arguments = file.tile[0][3] if file.tile else ""
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _rgb(image: Image.Image, bits: str, white_is_zero: bool) -> Image.Image:
    """Convert an image of any mode; the transparent parts of it become white."""
    from PIL import Image

    key = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        image = _grey(image, bits, key, white_is_zero)
    elif key is not None and bits == "RGB;16B":
        raise ValueError("it has 16 bits and a transparent colour. Save it with 8 bits, or with an alpha channel")
    elif key is not None and bits in ("L;2", "L;4"):  # Pillow scales the pixels to 8 bits, and not the colour
        image.info["transparency"] = key * 255 // (2 ** int(bits[2:]) - 1)
    elif image.mode == "LAB":
        raise ValueError("its colours are LAB. Save it as RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _grey(image: Image.Image, bits: str, key: int | None, white_is_zero: bool) -> Image.Image:
    """Convert grey of 16 bits to 8; Pillow would cut off what exceeds 8, and drop the transparent shade `key`."""
    from PIL import Image

    if not bits.startswith("I;16") or bits.endswith("S"):  # S: signed
        kind = "floats" if image.mode == "F" else f"integers of the layout {bits}"
        raise ValueError(
            f"its pixels are {kind}, and no file says which are black and white. "
            "Scale them to 0..255, and save them as uint8"
        )
    levels = np.asarray(image).astype(np.uint16)
    if white_is_zero:
        levels = 65535 - levels
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    if key is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(levels == key, 0, 255).astype(np.uint8))))
