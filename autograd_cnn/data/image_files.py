"""Reads image files: one, or a folder of them for each class.

An image of any format, mode and size becomes uint8, red, green and blue, of one size. Pillow is asked for formats that
it decodes itself: for others, such as PostScript, it starts a program. A file that leaves something open, such as the
range of its numbers, is refused, with the cure.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data.dataset import Dataset
from autograd_cnn.environment import needs, plain
from autograd_cnn.files import AnyPath, read

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LARGEST = 100_000_000  # pixels to decode; they take 400 MB
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}  # of Pillow; 8 bits, of known colours
PHOTO = "{}, which Pillow does not read alone. Save it as JPEG: the phone, or any viewer of photos, exports it"

ENDINGS = {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
UNREAD = {".avif", ".heic", ".heif"}  # photos too; without a word they would be missing
HIDDEN = (".", "__MACOSX")  # names of files and folders begin with it, the second where macOS has packed them
NAMED = 10  # damaged files in one message
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "eval"}  # of a split, in any case


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
    ValueError: ...image_files.py: not a readable image (it begins like none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP)
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


def load_folder(
    path: AnyPath,
    size: tuple[int, int] = (32, 32),
    test: float = 0.2,
    seed: int = 0,
    skip: Callable[[str], object] | None = None,
) -> Dataset:
    """Load a folder that has a folder of images for each class.

    It has either `train/<class>/...` and `test/<class>/...`, in upper or lower case, or `<class>/...`, of which a share
    is held out for the test. Beside `train` and `test`, other folders are passed over. The names of the folders, in
    order, are the names of the classes. Images may lie in folders of their own inside, which are no links; files
    without an ending of images, hidden ones, and the folder `__MACOSX` are passed over.

    Parameters
    ----------
    path : path
    size : (height, width)
        The size of the result; see `read_image`.
    test : float
        The share of each class to hold out, if there is no folder `test`.
    seed : int
        Chooses the images that are held out.
    skip : callable, optional
        Leave out images that cannot be read, and call ``skip(message)``, such as `print`, for each. By default they are
        an error.

    Returns
    -------
    Dataset
        Named like the folder; images (N, height, width, 3) uint8, in the order of their names.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    FileNotFoundError
        If there is no such folder.
    TypeError
        If `skip` is no function.
    ValueError
        If `size` or `test` cannot be, which is checked first; if folders have names of parts, such as `train` and
        `val`, but are not `train` and `test`; if names of classes differ in case, spaces or the form of letters only;
        if files are damaged or cannot be read, or a class has no image: the message names them.

    Examples
    --------
    >>> load_folder("no/such/folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: load_folder: no/such/folder does not exist
    """
    size = checked_size("load_folder", size)
    if not 0 < test < 1:
        raise ValueError(f"load_folder: test is {test!r}, want a share in (0, 1)")
    if skip is not None and not callable(skip):
        raise TypeError(f"load_folder: skip is {skip!r}, want a function that gets each message, such as print")
    folder = Path(os.path.expanduser(path))
    if not folder.is_dir():
        raise FileNotFoundError(f"load_folder: {folder} {'is a file' if folder.exists() else 'does not exist'}")
    parts = _parts(folder)
    trained = parts[0] if parts else folder
    classes = _folders(trained)
    tested = _folders(parts[1]) if parts else classes
    if len({*classes, *tested}) < 2:
        meant = f"they are in it: {trained / classes[0]}" if classes else f"it is a class: {trained.resolve().parent}"
        want = f"want one for each of two or more classes, such as {trained / 'cat'}. If {meant}"
        raise ValueError(f"load_folder: folders in {trained}: {len(classes)}, {want}")
    names: dict[str, str] = {}
    for each in classes:
        if (twin := names.setdefault(normalize("NFKC", each).casefold().strip(), each)) != each:
            raise ValueError(f"load_folder: {trained} has {twin!a} and {each!a}, one name for two classes. Rename one")
    name = folder.resolve().name
    if not parts:
        return Dataset.from_arrays(*_read_all(folder, classes, size, skip), test, classes, name, seed)
    for stray in sorted({*classes} ^ {*tested}):
        here, there = parts if stray in classes else parts[::-1]
        raise ValueError(f"load_folder: {here / stray} is a class that {there} lacks. Remove it, or add it there")
    train_part, test_part = (_read_all(part, classes, size, skip) for part in parts)
    return Dataset.from_arrays(*train_part, test_part, classes, name)


def _parts(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of the training and the test images, or None if those in `folder` are classes."""
    names = _folders(folder)
    found = {name.lower(): folder / name for name in names if name.lower() in PARTS}
    if {"train", "test"} <= found.keys():
        return found["train"], found["test"]
    if not found or (len(found) < len(names) and not any(map(_folders, found.values()))):
        return None  # a class may be called train, if others are not called like parts
    listed = ", ".join(f"{each.name}/" for each in found.values())
    one = max(found.values(), key=lambda each: each.name.lower().startswith("train"))
    raise ValueError(
        f"load_folder: {folder} has {listed}, but not train/ and test/. Rename the parts train/ and test/; or load one "
        f"part, of which a share is held out: {one}"
    )


def _folders(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(HIDDEN))


def _read_all(
    folder: Path, classes: list[str], size: tuple[int, int], skip: Callable[[str], object] | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images of one part; collect what is wrong, and raise it at once."""
    with needs("tqdm", "load_folder"):
        from tqdm import tqdm

    files = [(file, label) for label, name in enumerate(classes) for file in images_in(folder / name)]
    labels = np.array([label for _, label in files], np.int64)
    images, whole = np.empty((len(files), *size, 3), np.uint8), np.ones(len(files), bool)
    wrong: list[str] = []
    for position, (file, _) in enumerate(tqdm(files, folder.name, disable=None)):
        try:
            images[position] = read_image(file, size)
        except (ValueError, OSError) as error:
            whole[position] = False
            (skip or wrong.append)(str(error))
    counts = np.bincount(labels[whole] if skip else labels, minlength=len(classes))
    wrong[:0] = [
        f"{plain(str(folder / name))}: has no image ({', '.join(sorted(ENDINGS))})"
        for name, count in zip(classes, counts, strict=True)
        if not count
    ]
    if wrong:
        more = f"\n  and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
        cure = "" if skip or whole.all() else ", or leave out images that cannot be read (skip=print)"
        named = "".join(f"\n  {each}" for each in wrong[:NAMED])
        raise ValueError(f"load_folder: some of this cannot be used. Remove or replace it{cure}:{named}{more}")
    return images[whole], labels[whole]


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder and in folders inside it, in order."""
    files = [file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS | UNREAD and not file.is_dir()]
    shown = (file for file in files if not any(part.startswith(HIDDEN) for part in file.relative_to(folder).parts))
    return sorted(shown, key=Path.as_posix)
