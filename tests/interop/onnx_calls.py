"""Which of ONNX's cases of its operators tests/interop/test_onnx_cases.py leaves out, and why."""

import numpy as np

CONSTANT = {"Pad": (2,), "Resize": (1, 2, 3)} | dict.fromkeys(  # inputs without a gradient
    ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"], (2,)
)

IMAGES = "AveragePool Conv ConvTranspose LpPool MaxPool Resize"
SKIPPED = [  # (reason, operators, whether a case has the input or the attribute)
    ("three dimensions", IMAGES, lambda arrays, o: arrays[0].ndim > 4),
    ("three dimensions", "Col2Im", lambda arrays, o: len(arrays[1]) > 2),
    ("lists of arrays", "Identity", lambda arrays, o: not hasattr(arrays[0], "dtype")),
    ("lists of arrays", "If", lambda arrays, o: o["then_branch"].output[0].type.WhichOneof("value") != "tensor_type"),
    ("windows with gaps", "AveragePool LpPool", lambda arrays, o: "dilations" in o),
    ("the size of the result", "ConvTranspose", lambda arrays, o: "output_shape" in o),
    ("more padding at one end", "ConvTranspose", lambda arrays, o: "auto_pad" in o),
    ("padding of a power mean", "LpPool", lambda arrays, o: "pads" in o or "auto_pad" in o),
    ("the maximum of nothing", "ReduceMax ReduceMin", lambda arrays, o: arrays[0].size == 0),
    ("products and maxima of repeated positions", "ScatterElements ScatterND",
     lambda arrays, o: o.get("reduction", "none") not in ("none", "add")),
    ("the batch first", "LSTM RNN", lambda arrays, o: o.get("layout")),
    ("peepholes", "LSTM", lambda arrays, o: len(arrays) > 7),
    ("a grid with several meanings, or smoothing", "Resize", lambda arrays, o: refused(arrays, **o)),
]  # fmt: skip


def refused(arrays, coordinate_transformation_mode="half_pixel", mode="nearest", **options):
    """Whether a Resize crops, smooths, or aligns corners of a size that is not whole."""
    sizes = arrays[2] is not None and np.size(arrays[2]) and arrays[2] * arrays[0].shape[-len(arrays[2]) :]
    return (
        coordinate_transformation_mode in ("tf_crop_and_resize", "half_pixel_symmetric")
        or (options.get("antialias") and mode != "nearest")
        or (coordinate_transformation_mode == "align_corners" and np.any(sizes != np.round(sizes)))
    )
