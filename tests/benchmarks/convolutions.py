"""Single convolutions of the networks, 100 images: the output, and each of the two gradients by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from work import LAYOUTS, OURS, Array, Builder, Work, from_torch, to_torch

Case = tuple[int, int, int, int, int]  # size of an image, kernel, channels, outputs, stride
CASES: dict[str, Case] = {
    "32x32, 3 to 16": (32, 3, 3, 16, 1),
    "32x32, 3 to 32": (32, 3, 3, 32, 1),
    "32x32, 16 to 16": (32, 3, 16, 16, 1),
    "16x16, 32 to 32": (16, 3, 32, 32, 1),
    "8x8, 64 to 64": (8, 3, 64, 64, 1),
    "32x32, 16 to 32, stride 2": (32, 3, 16, 32, 2),
    "16x16, 32 to 64": (16, 3, 32, 64, 1),
    "16x16, 64 to 128": (16, 3, 64, 128, 1),
    "32x32, 32 to 64": (32, 3, 32, 64, 1),
    "15x15, 64 to 256": (15, 3, 64, 256, 1),
    "7x7, 256 to 256": (7, 3, 256, 256, 1),
}
PARTS = "output", "gradient of x", "gradient of w"


def _numbers(case: Case) -> tuple[Array, Array, Array]:
    """Images, weights and the gradient of the output."""
    size, kernel, inputs, outputs, stride = case
    rng = np.random.default_rng(0)
    shapes = (100, size, size, inputs), (kernel, kernel, inputs, outputs), (100, *[-(-size // stride)] * 2, outputs)
    x, w, g = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return x, w / np.float32(np.sqrt(w[..., 0].size)), g


def our_part(case: Case, part: str) -> Work:
    """One of the three, of plain arrays."""
    import autograd_cnn as ag

    x, w, g = _numbers(case)
    options = {"stride": case[4], "padding": 1}
    found: dict[str, Callable[[], Array]] = {
        "output": lambda: ag.conv2d(x, w, **options),
        "gradient of x": lambda: ag.conv_transpose2d(g, w, output_padding=case[4] - 1, **options),
        "gradient of w": lambda: ag.conv2d_weight_gradient(x, g, w.shape, **options),
    }
    return Work(found[part], lambda: [found[part]()])


def torch_part(case: Case, part: str, layout: str) -> Work:
    """The same in PyTorch."""
    import torch

    x, w, g = (to_torch(name, a, layout) for name, a in zip("xwx", _numbers(case), strict=True))
    geometry = [case[4]] * 2, [1, 1], [1, 1]  # stride, padding and dilation

    def gradient(wanted: int) -> Any:
        masks = [i == wanted for i in range(3)]
        return torch.ops.aten.convolution_backward(g, x, w, [0], *geometry, False, [0, 0], 1, masks)[wanted]

    found: dict[str, Callable[[], Any]] = {
        "output": lambda: torch.nn.functional.conv2d(x, w, None, *geometry),
        "gradient of x": partial(gradient, 0),
        "gradient of w": partial(gradient, 1),
    }
    return Work(found[part], lambda: [from_torch("w" if part == "gradient of w" else "x", found[part]())])


CONTESTS: dict[str, dict[str, Builder]] = {
    f"{title}: {part}": {
        OURS: partial(our_part, case, part),
        **{name: partial(torch_part, case, part, layout) for name, layout in LAYOUTS.items()},
    }
    for title, case in CASES.items()
    for part in PARTS
}
