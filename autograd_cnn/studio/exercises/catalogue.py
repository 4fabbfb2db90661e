"""The exercises, in their order: for each task the engine's own step, and the cases in which answers are compared.

To add an exercise, write the engine's step in `steps.py`, an entry of `EXERCISES` here, `templates/NAME.py`, which
students get, and `solutions/NAME.py`, the same functions filled in. Below a line there stand its typical mistakes, each
with the wrong line and the sentence that a student reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.studio.exercises import steps
from autograd_cnn.studio.exercises.judge import Exercise, Task


def on_tape(program: Any) -> Task:
    """Return the task to run a program on a student's tape. Each tells apart mistakes that later ones do not."""

    def call(names: Any, x: Any, y: Any) -> Any:
        tape, x, y = names["Tape"](), names["Number"](x), names["Number"](y)
        out = program(x, y, tape)
        tape.backward(out)
        return out.value, x.grad, y.grad

    return Task("Tape", "value gx gy", program, call)


CORNERS = np.array([[-1.0, 0, 2], [0, 3, -4]])
CLASSES = np.array([2, 0, 1, 1])
LARGE = np.array([[1000.0, 0, -1000], [0, 900, 1], [-3000, -2000, -2001], [1, 2, 3]])
TIES = np.repeat(np.arange(48).reshape(2, 4, 3, 2) * 7 % 11 / 2, 2, axis=2)  # in every window
SPREAD = ((3, 3), (3,)), ((4, 3), (3,)), ((4, 3), (4, 1)), ((2, 4, 3), (4, 1)), ((4, 3), ())
PLACES = {(4, 4): (1, 0), (2, 2): (2, 0), (6, 6): (1, 1), (3, 3): (2, 1)}  # of the kernel: stride and padding
IMAGES = {"x": (2, 6, 5, 3), "w": (3, 2, 3, 4), "b": (4,)}
ITEMS = {"x": (8, 3), "y": (8,), "w": (3,), "lr": 0.1}

_ALL = [
    Exercise("multiply", [{"g": (2, 3), "x": (2, 3), "u": (2, 3)}], [Task("multiply_backward", "gx gu")]),
    Exercise("broadcast", [{"g": x, "x": x, "b": b} for x, b in SPREAD], [Task("add_backward", "gx gb")]),
    Exercise("used_twice", [{"g": (5,), "x": (5,)}], [Task("used_twice_backward", "gx")]),
    Exercise(
        "matmul",
        [{"g": (3, 3), "x": (3, 3), "w": (3, 3)}, {"g": (4, 2), "x": (4, 3), "w": (3, 2)}],
        [Task("matmul_backward", "gx gw")],
    ),
    Exercise(
        "relu",
        [{"g": (3, 4), "x": (3, 4)}, {"g": (2, 3), "x": CORNERS}],
        [Task("relu", "y", ag.relu), Task("relu_backward", "gx")],
    ),
    Exercise(
        "cross_entropy",
        [{"z": scores, "y": CLASSES} for scores in ((4, 3), LARGE)],
        [Task("cross_entropy", "loss", ag.cross_entropy), Task("cross_entropy_backward", "gz")],
    ),
    Exercise(
        "max_pool",
        [{"g": (2, 2, 3, 2), "x": images} for images in ((2, 4, 6, 2), TIES)],
        [Task("max_pool", "y", lambda x: ag.max_pool2d(x, 2)), Task("max_pool_backward", "gx")],
    ),
    Exercise(
        "conv2d",
        [{"g": (2, *n, 4)} | IMAGES | {"stride": s, "padding": p} for n, (s, p) in PLACES.items()],
        [Task("conv2d", "y", ag.conv2d), Task("conv2d_backward", "gx gw gb")],
    ),
    Exercise(
        "tape",
        [{"x": 3.0, "y": -2.0}],  # x + y is 1, like the gradient of out
        [on_tape(program) for program in (steps.one_record, steps.early_result, steps.two_records, steps.tape)],
    ),
    Exercise("training", [ITEMS | {"steps": n} for n in (1, 5)], [Task("train", "w losses", steps.train)]),
]
EXERCISES = {exercise.name: exercise for exercise in _ALL}
