"""Reads images from files: one, or a folder for each class.

Imports NumPy, `dataset` and, when it reads, Pillow, which decodes the files. Whatever their format, mode and size,
images become uint8, red, green and blue, of one size.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.data.dataset import Dataset

ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
NAMED = 10  # damaged files in one message

AnyPath = str | os.PathLike[str]


def load_folder(path: AnyPath, size: tuple[int, int] = (32, 32), test: float = 0.2, seed: int = 0) -> Dataset:
    """Load a folder that has a folder of images for each class.

    It has either `train/<class>/...` and `test/<class>/...`, or `<class>/...`, of which a share is held out for the
    test. The names of the folders, in order, are the names of the classes. Images may lie in folders of their own
    inside; files that are no images, and hidden ones, are passed over.

    Parameters
    ----------
    path : path
    size : (height, width)
        The size of the result; see `read_image`.
    test : float
        The share of each class to hold out, if there is no folder `test`.
    seed : int
        Chooses the images that are held out.

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
    ValueError
        If files are damaged, or a class has no image; the message names them.

    Examples
    --------
    >>> load_folder("no/such/folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: load_folder: no/such/folder does not exist
    """
    folder = Path(os.path.expanduser(path))
    if not folder.is_dir():
        raise FileNotFoundError(f"load_folder: {folder} {'is a file' if folder.exists() else 'does not exist'}")
    inside = {part for part in ("train", "test") if (folder / part).is_dir()}
    if len(inside) == 1:
        raise ValueError(f"load_folder: {folder} has {inside.pop()}/, but not both train/ and test/")
    classes = _folders(folder / "train" if inside else folder)
    if not classes:
        raise ValueError(f"load_folder: {folder} has no folder; want one for each class, such as {folder / 'cat'}")
    name = folder.resolve().name
    if not inside:
        return Dataset.from_arrays(*_read_all(folder, classes, size), test, classes, name, seed)
    if strangers := [each for each in _folders(folder / "test") if each not in classes]:
        raise ValueError(f"load_folder: {folder / 'test' / strangers[0]} is a class that {folder / 'train'} lacks")
    train_part, test_part = (_read_all(folder / part, classes, size) for part in ("train", "test"))
    return Dataset.from_arrays(*train_part, test_part, classes, name)


def read_image(path: AnyPath, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read one image of any format that Pillow knows.

    A transparent image is laid on white, and one that a camera took sideways is turned upright. If the size differs,
    the image is scaled until it covers `size`, and what juts out is cut off, the same on both sides.

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
        If it is not an image, or damaged.

    Examples
    --------
    >>> read_image(__file__, (32, 32))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: ...folder.py: not a readable image (cannot identify image file ...)
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError('reading images needs Pillow: pip install "autograd_cnn[images]"') from error
    height, width = size
    try:
        with Image.open(path) as file:
            file.draft(None, (2 * width, 2 * height))  # of a large JPEG, decode less: 24 ms for 12 megapixels, not 170
            image: Image.Image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16 bits; Pillow would cut off what exceeds 8
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height))
            return np.array(image)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{path}: not a readable image ({error})") from error


def _folders(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _read_all(folder: Path, classes: list[str], size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images of one part; collect what is wrong, and raise it at once."""
    from tqdm import tqdm

    files = [(file, label) for label, name in enumerate(classes) for file in _images_in(folder / name)]
    labels = np.array([label for _, label in files], np.int64)
    images = np.empty((len(files), *size, 3), np.uint8)
    wrong = [
        f"{folder / name}: has no image ({', '.join(sorted(ENDINGS))})"
        for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True)
        if not count
    ]
    for position, (file, _) in enumerate(tqdm(files, folder.name, disable=None)):
        try:
            images[position] = read_image(file, size)
        except (ValueError, OSError) as error:
            wrong.append(str(error))
    if wrong:
        more = f"\n  and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
        raise ValueError("load_folder: remove or replace" + "".join(f"\n  {each}" for each in wrong[:NAMED]) + more)
    return images, labels


def _images_in(folder: Path) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()]
    return sorted((file for file in files if "/." not in f"/{file.relative_to(folder).as_posix()}"), key=Path.as_posix)
