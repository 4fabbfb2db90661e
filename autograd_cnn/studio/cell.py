"""Shows a Tensor below a cell of a notebook: its numbers or a picture of them, with its gradient beside it.

Values are drawn from black to white, gradients from blue through white, which is 0, to vermilion.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np

from autograd_cnn.studio.player.array_views import EXACT, Cut, ends, look, maps
from autograd_cnn.studio.png import url
from autograd_cnn.studio.text import clip, shape_text

WIDTH = 208  # pixels of a picture
BLUE, VERMILION = np.array([0, 90, 160]), np.array([213, 94, 0])


def hues(numbers: np.ndarray) -> np.ndarray:
    """Return colours of numbers (..., 1): from -1, blue, through 0, white, to 1, vermilion."""
    return 255 - np.abs(numbers) ** 0.7 * (255 - np.where(numbers < 0, BLUE, VERMILION))


def _pictures(found: Cut, gradient: bool, role: str) -> tuple[np.ndarray, str]:
    """Return maps as colours (maps, height, width, 3), and what they show; of filters, the first input channel."""
    tiles, words = found.numbers[0], found.words
    if role == "parameter" and "{k}" in words:
        tiles, words = found.numbers[:, 0], f"input channel 0, {len(found.numbers)} filters"
    low, high, reach = ends(tiles, gradient)
    finite = np.where(np.isfinite(tiles), tiles, low)[..., None]
    words = ", ".join(filter(None, [words, reach]))
    if gradient:
        colours = hues(finite / (high or 1))
    else:
        colours = 255 * (finite - low) / (high - low or 1)
        if role == "input" and len(tiles) == 3:
            colours, words = colours.transpose(3, 1, 2, 0), "item 0, in colour"
    return np.rint(np.broadcast_to(colours, (*colours.shape[:3], 3))).astype(np.uint8), words


def html(tensor: Any) -> str:
    """Return a Tensor as HTML for a notebook: name, shape, dtype, numbers and picture, with its gradient beside it."""
    role = "activation" if not tensor.is_leaf else "parameter" if tensor.requires_grad else "input"
    cells = [_cell(tensor.name or "Tensor", tensor.data, role, False)]
    if tensor.is_leaf and tensor.grad is not None:
        cells.append(_cell("gradient", tensor.grad, role, True))
    return f'<div style="display:flex;flex-wrap:wrap;gap:1.5em;font-family:monospace">{"".join(cells)}</div>'


def _cell(name: str, array: Any, role: str, gradient: bool) -> str:
    array = getattr(array, "data", array) if not isinstance(array, np.ndarray) else array
    found, drawn = look(array), maps(array, role) if array.size > EXACT // 2 else None
    lines = [f"<b>{escape(clip(name))}</b> {escape(shape_text(array.shape))} {escape(str(array.dtype))}"]
    if "statistics" in found:
        named = zip(("min", "mean", "rms", "max", "zeros"), found["statistics"], strict=True)
        lines.append(" &nbsp;".join(map(" ".join, named)))
    if array.size <= EXACT // 2:
        lines.append(escape(np.array2string(array, separator=", ")).replace("\n", "<br>"))
    elif drawn:
        pictures, words = _pictures(drawn, gradient, role)
        columns, (height, width) = math.ceil(math.sqrt(len(pictures))), pictures.shape[1:3]
        scale = max(1, min(24, round(WIDTH / columns / max(height, width))))
        size = f'width="{scale * width}" height="{scale * height}" alt=""'
        edge = 'style="image-rendering:pixelated;outline:1px solid gray"'
        images = "".join(f'<img src="{url(picture)}" {size} {edge}>' for picture in pictures)
        grid = f"display:grid;gap:3px;grid-template-columns:repeat({columns},max-content)"
        lines.append(f'<div role="img" aria-label="{escape(words)}" style="{grid}">{images}</div>{escape(words)}')
    return f"<div>{'<br>'.join(lines)}</div>"
