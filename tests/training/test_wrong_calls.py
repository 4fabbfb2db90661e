"""Wrong calls of `fit`, `evaluate` and `predict`: programs, and the whole text of the error of each."""

import math

import numpy as np

import autograd_cnn as ag
from autograd_cnn import training
from autograd_cnn.training.feeding import prepared
from training.runs import line, points, train
from wording import wrong_calls

X, Y = points()
MODEL, SGD = line()[1:]
FOR_LABELS = (
    "for 4 labels, want an array of 4 axes and 4 images. For more images or other labels, change the arrays before fit"
)
BYTES = np.arange(4 * 4, dtype=np.uint8).reshape(4, 2, 2, 1)


def fit(**options):
    return train(*line()[1:], X, Y, **options)


def augmented(augment):
    """Prepare the batches of four images."""
    return [*prepared(BYTES, np.arange(4), 4, 0, augment, 0, slice)]


NAMES = {
    **vars(training),
    **{"ag": ag, "np": np, "math": math, "X": X, "Y": Y, "MODEL": MODEL, "SGD": SGD, "LOSS": ag.cross_entropy},
    **{"fit": fit, "augmented": augmented},
}
MESSAGES = {
    TypeError: {
        "fit()": "fit: pass one of epochs= and steps=",
        "fit(epochs=1, steps=1)": "fit: pass one of epochs= and steps=",
        "fit(epochs=1.5)": "fit: epochs is 1.5, want an int",
        "fit(steps='2')": "fit: steps is '2', want an int",
        "fit(epochs=1, rng=0)": "fit: rng is 0, want np.random.default_rng(0)",
        "fit(epochs=1, schedule=0.1)": "fit: schedule is 0.1, want a function of the number of a step",
        "fit(epochs=1, validation=np.ones(3))": "fit: validation is ndarray, want (images, labels)",
        "fit(epochs=1, loss='mse')": "fit: loss is 'mse', want a function such as ag.cross_entropy",
        "fit(epochs=1, loss=lambda outputs, y: LOSS(outputs.data, y))":
            "fit: the loss is float64, want a Tensor: model and loss must not leave the graph, as .data and .item() do",
        "fit(epochs=1, time_limit='1h')": "fit: time_limit is '1h', want a number of seconds",
        "fit(epochs=1, augment=4)": "fit: augment is 4, want a function of images and a generator",
        "fit(epochs=True)": "fit: epochs is True, want an int",
        "fit(epochs=1, checkpoint=3)": "fit: checkpoint is 3, want the path of a file",
        "fit(epochs=1, name=None)": "fit: name is None, want a text",
        "fit(epochs=1, callbacks=[3])": "fit: callbacks[0] is 3, want a function of the History",
        "fit(epochs=1, callbacks=[object.__new__(RunFolder)])":
            "fit: callbacks[0] is RunFolder, want folder.callback(model)",
        "fit(epochs=1, validation=([[1.0, 2.0]], Y[:1]))":
            "fit: validation images is list, want an array: np.asarray(images)",
        "ag.training.fit(MODEL, SGD, LOSS, X, Y, rng=None, epochs=1)":
            "fit: loss is SGD, want a function such as ag.cross_entropy",
        "ag.training.fit(MODEL, LOSS, type(SGD), X, Y, rng=None, epochs=1)":
            "fit: optimiser is type, want one such as ag.optim.Adam(model.parameters())",
        "ag.training.fit('model', LOSS, SGD, X, Y, rng=None, epochs=1)":
            "fit: model is 'model', want a Module, or a function of images",
        "ag.training.fit(MODEL, LOSS, SGD, ag.Tensor(X), Y, rng=None, epochs=1)":
            "fit: images is Tensor, want an array: images.data",
        "ag.training.fit(MODEL, LOSS, SGD, X, Y.tolist(), rng=None, epochs=1)":
            "fit: labels is list, want an array: np.asarray(labels)",
        "predict(MODEL, [[1.0, 2.0]])": "predict: images is list, want an array: np.asarray(images)",
        "predict(MODEL, ag.Tensor(X))": "predict: images is Tensor, want an array: images.data",
        "predict(MODEL, X, 2.5)": "predict: batch_size is 2.5, want an int",
        "predict(lambda x: None, X)": "predict: <lambda> returned None. Does it end with `return ...`?",
    },
    ValueError: {
        "fit(epochs=1, batch_size=0)": "fit: batch_size is 0, want 1 or more",
        "fit(epochs=1, clip=-1)": "fit: clip is -1, want more than 0, or None for no limit",
        "fit(epochs=1, clip=math.nan)": "fit: clip is nan, want more than 0, or None for no limit",
        "fit(epochs=1, time_limit=0)": "fit: time_limit is 0, want more than 0, or None for no limit",
        "fit(epochs=1, rng=None, augment=ag.data.augment)":
            "fit: augment draws random numbers from rng: rng=np.random.default_rng(0)",
        "fit(epochs=-1)": "fit: epochs is -1, want 0 or more",
        "fit(steps=-5)": "fit: steps is -5, want 0 or more",
        "fit(epochs=1, validation=(X,))": "fit: validation has 1 parts, want (images, labels)",
        "fit(epochs=1, validation=(np.ones((9, 2)), Y[:3]))": "fit: 9 validation images, but 3 labels",
        "fit(epochs=1, validation=(X[:0], Y[:0]))": "fit: there are no validation images",
        "fit(epochs=1, loss=lambda outputs, y: LOSS(outputs, y, reduction='none'))":
            "fit: loss returned (20,), want one number: loss(outputs, labels).mean()",
        "ag.training.fit(MODEL, LOSS, SGD, X[:0], Y[:0], rng=None, epochs=1)": "fit: there are no images",
        "ag.training.fit(MODEL, LOSS, SGD, X[:5], Y, rng=None, epochs=1)": "fit: 5 images, but 60 labels",
        "predict(MODEL, X, 0)": "predict: batch_size is 0, want 1 or more",
        "predict(MODEL, np.array(['a']))": "predict: images (1,) <U1, want numbers",
        "evaluate(MODEL, LOSS, X, np.array(['cat', 'dog'])[Y])":
            "evaluate: labels (60,) <U3, want numbers. From names: classes, labels = np.unique(labels, "
            "return_inverse=True)",
        "evaluate(MODEL, LOSS, X, Y[:3])": "evaluate: 60 images, but 3 labels",
        "evaluate(MODEL, lambda outputs, y: LOSS(outputs, y, reduction='none'), X, Y)":
            "evaluate: loss returned (60,), want one number: loss(outputs, labels).mean()",
        "augmented(lambda x, rng: np.concatenate([x, x[:, :, ::-1]]))":
            f"fit: augment returned (8, 2, 2, 1) uint8 {FOR_LABELS}",
        "augmented(lambda x, rng: x[0])": f"fit: augment returned (2, 2, 1) uint8 {FOR_LABELS}",
        "augmented(lambda x, rng: np.zeros((4, 2, 1)))": f"fit: augment returned (4, 2, 1) float64 {FOR_LABELS}",
        "augmented(lambda x, rng: np.array(1.0))": f"fit: augment returned () float64 {FOR_LABELS}",
        "augmented(lambda x, rng: None)": f"fit: augment returned NoneType {FOR_LABELS}",
        "augmented(lambda x, rng: (x, rng))": f"fit: augment returned tuple {FOR_LABELS}",
        "augmented(lambda x, rng: ag.Tensor(x))": f"fit: augment returned Tensor {FOR_LABELS}",
        "augmented(lambda x, rng: np.float32(x) + 200)":
            "fit: augment turned uint8 images into float32 from 0 to 215, but predictions are made from numbers in "
            "[0, 1]. Return uint8, or images / 255",
    },
}  # fmt: skip

test_a_wrong_call = wrong_calls(MESSAGES, NAMES)
