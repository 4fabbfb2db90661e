"""Reads a user's images for a model, and shows which pixels decided an answer.

Pillow, which reads and writes the files, is imported when it is needed.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.files import write_atomically
from autograd_cnn.nn import Module

Array = NDArray[Any]

COPIES, NOISE = 16, 0.1  # of the image, whose gradients are averaged; standard deviation of what is added to each
TALL = 256  # pixels of a picture, at least
HEAT = np.array([[16, 20, 26], [120, 40, 20], [213, 94, 0], [245, 190, 70], [255, 250, 225]])  # from 0 to the most


def read_image(path: str | os.PathLike[str], shape: tuple[int, int, int]) -> Array:
    """Read an image file of any size and mode as the input of a model.

    The image is turned as its camera says, laid on white where it is transparent, cut to the middle that has the
    proportions of the model's images, and resized.

    Parameters
    ----------
    path : path
        Any format that Pillow reads; of an animation, the first picture.
    shape : (height, width, channels)
        Of the model's images; 1 channel (grey) or 3.

    Returns
    -------
    array, (height, width, channels) uint8

    Raises
    ------
    ImportError
        If Pillow is missing.
    OSError
        If the file cannot be read, or is no image. The error names the file.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError('reading images needs Pillow: pip install "autograd_cnn[images]"') from error
    height, width, channels = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                image = _on_white(ImageOps.exif_transpose(file))
        fitted = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    except FileNotFoundError:
        raise FileNotFoundError(f"{os.fspath(path)}: no such file") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning) as error:
        if isinstance(error, OSError) and error.strerror:  # a folder, or no permission
            raise OSError(f"{os.fspath(path)}: {error.strerror}") from None
        cause = "no image that Pillow can read" if isinstance(error, UnidentifiedImageError) else f"{error}"
        raise OSError(f"{os.fspath(path)}: {cause}") from None
    return np.asarray(fitted.convert("L" if channels == 1 else "RGB")).reshape(shape)


def _on_white(image: Any) -> Any:
    """Return an image without transparency, in 8 bits of grey or colour."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # 16 or 32 bits of grey, which `convert` would cut off at 255
        grey = np.asarray(image, np.float64)
        most = grey.max() if image.mode == "F" else 65535.0 if grey.max() > 255 else 255.0
        return Image.fromarray(np.uint8(np.clip(255 * grey / max(most, 1e-12), 0, 255)))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def saliency(model: Module, image: Array, seed: int = 0) -> Array:
    """Return how much each pixel of an image moves the largest output of a model in evaluation mode.

    It is the absolute gradient of that output, the greatest of the colours, averaged over noisy copies of the image
    and over neighbours (Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017).

    Parameters
    ----------
    model : Module
    image : array, (H, W, C) float32 in [0, 1]
    seed : int
        Of the noise.

    Returns
    -------
    array, (H, W)
        In [0, 1]; the largest is 1, unless no pixel matters.
    """
    answer = int(model(Tensor(image[None])).data.argmax())
    noise = np.random.default_rng(seed).normal(0, NOISE, (COPIES, *image.shape)).astype(np.float32)
    copies = Tensor(image + noise, requires_grad=True, name="images")
    gradient = model(copies)[:, answer].sum().gradient(copies)
    found = np.abs(np.asarray(gradient.data).mean(axis=0)).max(axis=-1)
    padded = np.pad(found, 1, mode="edge")
    height, width = found.shape
    blurred = np.mean([padded[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)
    most = blurred.max()
    return np.asarray(blurred / most if most > 0 else blurred)


def write_why(path: Path, image: Array, found: Array) -> None:
    """Write an image (H, W, C) uint8 and, beside it, what `saliency` found: from black to bright."""
    from PIL import Image

    at = np.linspace(0, 1, len(HEAT))
    heat = np.stack([np.interp(found, at, HEAT[:, i]) for i in range(3)], axis=-1)
    colours = np.broadcast_to(image, (*image.shape[:2], 3))
    gap = np.full((image.shape[0], 1, 3), 255)
    scale = -(-TALL // image.shape[0])
    both = np.concatenate([colours, gap, heat], axis=1).round().astype(np.uint8)
    picture = Image.fromarray(both.repeat(scale, axis=0).repeat(scale, axis=1))
    write_atomically(path, lambda file: picture.save(file, format="PNG"))
