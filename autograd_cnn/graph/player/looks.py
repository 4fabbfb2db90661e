"""Shows an array as text, a histogram and a picture, in the player's page and in notebooks.

Pictures are PNG files inside the page. Values run from black to white, gradients from blue through white, which is 0,
to vermilion, and images have their own colours. Reads arrays.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import Any

import numpy as np

from autograd_cnn.graph.program.listing import rms
from autograd_cnn.graph.text import clip, shape_text

EXACT, BEGIN, FEW, CHANNELS, SIDE, BINS, WIDTH, THIN = 64, 4, 12, 16, 52, 32, 208, 48
BLUE, VERMILION = np.array([0, 90, 160]), np.array([213, 94, 0])
_LEVELS = np.clip((np.arange(256) - 128) / 127, -1, 1)[:, None]  # level 0 is transparent, 128 is the middle
SIGNED = np.rint(255 - np.abs(_LEVELS) ** 0.7 * (255 - np.where(_LEVELS < 0, BLUE, VERMILION))).astype(np.uint8)


def look(array: Any, role: str, gradient: bool = False, whole: bool = True, channels: int = CHANNELS) -> dict[str, Any]:
    """Return statistics and elements of an array and, if `whole`, its histogram and picture.

    `role` is the role of the value: a parameter has the layout HWIO and shows filters; any other array has the layout
    NHWC and shows feature maps.
    """
    a = np.asarray(array)
    finite = a[np.isfinite(a)] if a.dtype.kind in "fc" else a.reshape(-1)
    exact = 2 if not whole else BEGIN if a.size > EXACT else EXACT
    found: dict[str, Any] = {"n": int(a.size), "x": [str(x) for x in a.reshape(-1)[:exact]]}
    if finite.size > 1 and a.dtype.kind in "fiu":
        f = finite.astype(np.float64)
        found["s"] = [_short(s) for s in (f.min(), f.sum() / f.size, rms(f), f.max())]
        found["z"] = share((a.size - np.count_nonzero(a)) / a.size)
        if whole and finite.size > FEW and f.min() < f.max():
            counts = np.histogram(f, BINS)[0]
            found["h"] = [int(n) for n in np.ceil(99 * counts / counts.max())]
    if finite.size < a.size:
        found["bad"] = a.size - finite.size
    if whole and a.size > FEW and (tiles := _tiles(a, role, channels)) is not None:
        found["i"], found["m"] = _picture(*tiles, gradient, role)
    return found


def _short(number: Any) -> str:
    return f"{float(number):.4g}"


def share(part: Any) -> str:
    """Format a fraction as ``81 %``; only a fraction of exactly 1 is ``100 %``, and only 0 is ``0 %``."""
    percent = 100 * float(part)
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return "under 1 %" if percent < 1 else f"{min(percent, 99):.0f} %"


def _tiles(a: np.ndarray, role: str, channels: int) -> tuple[np.ndarray, str, str, int] | None:
    """Return an array as maps (count, height, width), with their description, index, and step between pixels."""
    if not a.size or a.dtype.kind not in "fiub":
        return None
    index = "0, " * (a.ndim - 4)
    a = a[(0,) * (a.ndim - 4)]
    if a.ndim == 4:
        index += "y, x, 0, c" if role == "parameter" else "0, y, x, c"
        count, what = a.shape[-1], "filters" if role == "parameter" else "channels"
        which = "input channel 0, " if role == "parameter" else "item 0, "
        maps = np.moveaxis(a[:, :, 0] if role == "parameter" else a[0], -1, 0)[:channels]
        words = f"{which}{len(maps)} of {count} {what}" if count > len(maps) else f"{which}{count} {what}"
    else:
        index = ["x", "x", "y, x", "0, y, x"][a.ndim]
        maps, words = (a[:1] if a.ndim == 3 else a.reshape(1, -1, a.shape[-1])), "item 0" if a.ndim == 3 else ""
        if (cut := maps[:, :SIDE, : 2 * SIDE]).shape != maps.shape:
            maps, words = cut, f"the first {cut.shape[1]} × {cut.shape[2]}"
    skip = max(1, -(-max(maps.shape[1:]) // (2 * SIDE)))
    return maps[:, ::skip, ::skip].astype(np.float64), words, index, skip


def _picture(
    maps: np.ndarray, words: str, index: str, skip: int, gradient: bool, role: str
) -> tuple[list[Any], dict[str, Any]]:
    """Return the address, width, height and description of the picture, and the facts needed to read a pixel.

    These facts are the index of the array, the step between pixels, the values of the darkest and the lightest level,
    and the count, height, width and columns of the maps. For a picture in colour, columns is 0.
    """
    count, height, width = maps.shape
    finite = np.where(np.isfinite(maps), maps, 0)
    low, high = float(finite.min()), float(finite.max())
    if gradient:
        high = max(-low, high)
        low = -high
    levels = np.rint(254 * (finite - low) / (high - low if high > low else 1)).astype(np.uint8) + 1
    columns = int(np.ceil(np.sqrt(count)))
    if role == "input" and count == 3 and not gradient:
        columns, pixels, words = 0, np.moveaxis(levels, 0, -1), "item 0, in colour"
    else:
        rows = -(-count // columns)
        sheet = np.zeros((rows, columns, height + 1, width + 1), np.uint8)  # level 0 is transparent
        sheet.reshape(-1, height + 1, width + 1)[:count, :height, :width] = levels
        pixels = sheet.swapaxes(1, 2).reshape(rows * (height + 1), -1)[:-1, :-1]
        dark, light = ("blue", "vermilion") if gradient else ("black", "white")
        ends = f"{dark} {_short(low)}, {light} {_short(high)}" if high > low else f"all {_short(low)}"
        words = ", ".join(filter(None, [words, ends]))
    scale = max(1, min(24, round(WIDTH / max(pixels.shape[:2]))))
    tall, wide = (max(scale * n, min(24 * n, THIN)) for n in pixels.shape[:2])  # so that a strip is not too thin to see
    ends_read = [float(f"{end:.6g}") for end in (low, high)]
    read = {"at": index, "step": skip, "ends": ends_read, "maps": [count, height, width, columns]}
    return [png(pixels, SIGNED if gradient else None), wide, tall, words], read


def png(pixels: np.ndarray, palette: np.ndarray | None = None) -> str:
    """Return levels (height, width), 0 transparent, or colours (height, width, 3), as the URL of a PNG file."""
    height, width = pixels.shape[:2]
    colour = pixels.ndim == 3
    rows = np.insert(pixels.reshape(height, -1), 0, 0, axis=1)  # every row begins with its filter type, 0 for none
    kind = 2 if colour else 0 if palette is None else 3
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if palette is not None:
        chunks += [(b"PLTE", palette[: int(pixels.max()) + 1].tobytes()), (b"tRNS", b"\0")]
    elif not colour:
        chunks.append((b"tRNS", b"\0\0"))
    chunks += [(b"IDAT", zlib.compress(rows.astype(np.uint8).tobytes(), 9)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return "data:image/png;base64," + base64.b64encode(data).decode()


def html(tensor: Any) -> str:
    """Return a Tensor as HTML for a notebook: name, shape, dtype, numbers and picture, with its gradient beside it."""
    role = "activation" if not tensor.is_leaf else "parameter" if tensor.requires_grad else "input"
    cells = [_cell(tensor.name or "Tensor", tensor.data, role, False)]
    if tensor.grad is not None:
        cells.append(_cell("gradient", tensor.grad, role, True))
    return f'<div style="display:flex;flex-wrap:wrap;gap:1.5em;font-family:monospace">{"".join(cells)}</div>'


def _cell(name: str, array: Any, role: str, gradient: bool) -> str:
    array = getattr(array, "data", array) if not isinstance(array, np.ndarray) else array
    found = look(array, role, gradient)
    lines = [f"<b>{escape(clip(name))}</b> {escape(shape_text(array.shape))} {escape(str(array.dtype))}"]
    if "s" in found:
        low, mean, rms, high = found["s"]
        lines.append(f"min {low} &nbsp;mean {mean} &nbsp;rms {rms} &nbsp;max {high} &nbsp;zeros {found['z']}")
    if array.size <= EXACT // 2:
        lines.append(escape(np.array2string(array, separator=", ")).replace("\n", "<br>"))
    elif "i" in found:
        address, width, height, words = found["i"]
        between = "silver" if gradient else "lightblue"  # not a level, so that white maps have visible edges
        style = f"image-rendering:pixelated;outline:1px solid gray;background:{between}"
        size = f'width="{width}" height="{height}" style="{style}"'
        lines += [f'<img src="{address}" {size} alt="{escape(words)}">', escape(words)]
    return f"<div>{'<br>'.join(lines)}</div>"
