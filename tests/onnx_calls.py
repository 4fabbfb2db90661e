"""Which of ONNX's cases of its operators tests/ops/test_onnx_cases.py leaves out, and why."""

import numpy as np

CONSTANT = {"Pad": (2,), "Resize": (1, 2, 3), "Upsample": (1,)} | dict.fromkeys(  # inputs without a gradient
    ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"], (2,)
)

IMAGES = "AveragePool Conv ConvTranspose LpPool MaxPool Resize"
SKIPPED = [  # (reason, operators, whether a case has the input or the attribute)
    ("three dimensions", IMAGES, lambda arrays, o: arrays[0].ndim > 4),
    ("more padding at the start", IMAGES, lambda arrays, o: o.get("auto_pad") == "SAME_LOWER"),
    ("integers, which NumPy makes longer or divides into floats", "CumProd CumSum Div Pow",
     lambda arrays, o: arrays[0].dtype.kind in "iu"),
    ("windows with gaps", "AveragePool LpPool", lambda arrays, o: "dilations" in o),
    ("the size of the result", "ConvTranspose", lambda arrays, o: "output_shape" in o),
    ("more padding at one end", "ConvTranspose", lambda arrays, o: "auto_pad" in o),
    ("padding of a power mean", "LpPool", lambda arrays, o: "pads" in o or "auto_pad" in o),
    ("the maximum of nothing", "ReduceMax ReduceMin", lambda arrays, o: arrays[0].size == 0),
    ("products and maxima of repeated positions", "ScatterElements ScatterND",
     lambda arrays, o: o.get("reduction", "none") not in ("none", "add")),
    ("another grid of pixels", "Resize", lambda arrays, o: not fits(arrays, **o)),
]  # fmt: skip


def fits(
    arrays, mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor", **options
):
    """Whether `interpolate` has the grid of a Resize: PyTorch's."""
    if options or mode == "cubic":
        return False
    if mode == "linear":
        return coordinate_transformation_mode == "half_pixel" or (
            coordinate_transformation_mode == "align_corners" and np.all(arrays[2] == np.round(arrays[2]))
        )
    upscaled = arrays[2] is not None and np.all(arrays[2] >= 1)
    return upscaled and coordinate_transformation_mode == "half_pixel" and nearest_mode == "round_prefer_floor"
