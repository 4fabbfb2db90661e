"""Wrong calls of `ag.data`: programs, and the whole text of the error of each."""

import numpy as np

from autograd_cnn import data
from wording import wrong_calls

IMAGES, LABELS = np.zeros((20, 4, 5, 3), np.uint8), np.arange(20) % 4
RNG = np.random.default_rng(0)
UINT8 = (
    "expected uint8 (0..255). From [0, 1]: np.rint(images * 255).astype(np.uint8); from 0..255: images.astype(np.uint8)"
)


def made(images=IMAGES, labels=LABELS, **options):
    return data.Dataset.from_arrays(images, labels, **options)


NAMES = {**vars(data), "np": np, "IMAGES": IMAGES, "LABELS": LABELS, "RNG": RNG, "made": made}
MESSAGES = {
    TypeError: {
        "made(IMAGES / 255)": f"Dataset: images are float64, {UINT8}",
        "made(labels=LABELS / 1)": "Dataset: labels are float64, expected integers. labels.astype(np.int64)?",
        "made(labels=np.array(list('cats'))[LABELS])":
            "Dataset: labels are <U1, expected integers. classes, labels = np.unique(labels, return_inverse=True)",
        "made(classes='abcd')": 'Dataset: classes are \'abcd\', want their names: ("cat", "dog")',
        "made(classes=range(4))": 'Dataset: classes are range(0, 4), want their names: ("cat", "dog")',
        "Dataset('mine', ('a',), IMAGES.tolist(), LABELS, IMAGES, LABELS)":
            "Dataset: training images is list, want an array: np.asarray(images)",
        "as_float32([[0, 255]])": "as_float32: images is list, want an array: np.asarray(images)",
        "as_float32(np.zeros((1, 2, 2, 3), np.float32))": f"as_float32: images are float32, {UINT8}",
        "as_float32(np.zeros((1, 2, 2, 3), np.float64))": f"as_float32: images are float64, {UINT8}",
        "as_float32(np.zeros((1, 2, 2, 3), np.int64))": f"as_float32: images are int64, {UINT8}",
        "as_float32(np.zeros((1, 2, 2, 3), np.int8))": f"as_float32: images are int8, {UINT8}",
        "batches(IMAGES, LABELS, 2.5)": "batches: batch_size is 2.5, want an int",
        "batches(IMAGES, LABELS, 32, 7)": "batches: rng is 7, want a generator: np.random.default_rng(7)",
        "batches(IMAGES, LABELS, 32, np.random.RandomState(0))":
            "batches: rng is RandomState, want a generator: np.random.default_rng(0)",
        "batches(IMAGES, list(LABELS), 32)": "batches: labels is list, want an array: np.asarray(labels)",
        "split(IMAGES, LABELS, 0.5, 0)": "split: rng is 0, want a generator: np.random.default_rng(0)",
        "augment(IMAGES, None)": "augment: rng is None, want a generator: np.random.default_rng(0)",
        "augment(IMAGES, RNG, shift=1.5)": "augment: shift is 1.5, want an int",
        "load_shapes(10, 2.5)": "load_shapes: test is 2.5, want an int",
        "augment([IMAGES], RNG)": "augment: images is list, want an array: np.asarray(images)",
    },
    ValueError: {
        "made(IMAGES[..., 0])": "Dataset: images (20, 4, 5), expected (N, H, W, C). Of one channel: images[..., None]",
        "made(IMAGES.transpose(0, 3, 1, 2))":
            "Dataset: images (20, 3, 4, 5), expected (N, H, W, C). From NCHW: images.transpose(0, 2, 3, 1)",
        "made(labels=LABELS[:, None])": "Dataset: labels (20, 1), expected (N,). labels[:, 0]?",
        "made(labels=np.eye(4)[LABELS])": "Dataset: labels (20, 4), expected (N,). One-hot rows: labels.argmax(axis=1)",
        "made(labels=LABELS[1:])": "Dataset: 20 images, but 19 labels",
        "made(test=(IMAGES, np.arange(20) % 5))":
            "Dataset: test label 4 at [4], but classes are 0..3. Name all: 5 classes",
        "made(labels=LABELS + 20, classes=list('abcd'))":
            "Dataset: training label 20 at [0], but classes are 0..3. Labels that start at 20: labels - 20",
        "made(labels=LABELS - 1)":
            "Dataset: training label -1 at [0], but classes are 0..2. Leave out what has no label: keep = labels >= "
            "0, then images[keep] and labels[keep]",
        "made(classes=['a', 'b', 'c'], test=(IMAGES[:2], LABELS[:2]))":
            "Dataset: training label 3 at [3], but classes are 0..2. Name all: 4 classes",
        "made(test=(IMAGES[:, 1:], LABELS))": "Dataset: training images (20, 4, 5, 3), but test images (20, 3, 5, 3)",
        "made(test=(IMAGES, LABELS[2:]))": "Dataset: 20 test images, but 18 labels",
        "made(IMAGES[:4], LABELS[:4], test=0.2)":
            "Dataset: 4 images are too few to hold out 0.2. Want 2 or more of each class",
        "Dataset('mine', ('a', 'b', 'c'), IMAGES[:3], LABELS[:3], IMAGES, LABELS)":
            "Dataset: test label 3 at [3], but classes are 0..2. Name all: 4 classes",
        "load_shapes(train=-1)": "load_shapes: train is -1, want 0 or more",
        "batches(IMAGES, LABELS[1:], 5)": "batches: 20 images, but 19 labels",
        "batches(IMAGES, LABELS, batch_size=0)": "batches: batch_size is 0, want 1 or more",
        "split(IMAGES, LABELS, 5, RNG)": "split: share 5 of 20 images leaves a part empty, want it in (0, 1)",
        "split(IMAGES, LABELS, 0, RNG)": "split: share 0 of 20 images leaves a part empty, want it in (0, 1)",
        "split(IMAGES[:4], LABELS[:4], 0.9, RNG)":
            "split: share 0.9 of 4 images leaves a part empty, want it in (0, 1)",
        "split(IMAGES[:4], LABELS[:3], 0.5, RNG)": "split: 4 images, but 3 labels",
        "augment(IMAGES[0], RNG)": "augment: images (4, 5, 3), expected (N, H, W, C). One image: image[None]",
        "augment(IMAGES, RNG, shift=-1)": "augment: shift is -1, want 0 or more",
        "augment(IMAGES, RNG, cutout=-2)": "augment: cutout is -2, want 0 or more",
        "augment(IMAGES, RNG, mode='wrong')": "augment: mode 'wrong' is not supported",
    },
}  # fmt: skip

test_a_wrong_call = wrong_calls(MESSAGES, NAMES)
