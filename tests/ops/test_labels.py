"""The errors and warnings about labels, targets and probabilities, word for word; and that their cures work."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import halves as leaf
from wording import says, warns


@says(ValueError, cure=lambda: ag.mse(leaf(64, 1), np.ones(64, np.float32).reshape(64, 1)))
def test_a_column_against_a_row():
    """
    mse: predictions (64, 1) and targets (64,) would broadcast to (64, 64)
      p (64, 1) float32    y targets (64,) float32
      at {here}
      targets.reshape(64, 1)?
    """
    ag.mse(leaf(64, 1), Tensor(np.ones(64, np.float32), name="targets"))  # here


@pytest.mark.parametrize("loss", [ag.mse, ag.bce, ag.bce_with_logits])
def test_every_loss_wants_equal_shapes(loss):
    for shape in ((1, 4), (4, 1), (), (3,)):
        with pytest.raises(ValueError, match=r"predictions .* and targets"):
            loss(leaf(4), np.ones(shape, np.float32))


@says(ValueError, cure=lambda: ag.cross_entropy(leaf(3, 10), np.array([1, 10, 3]) - 1))
def test_labels_that_start_at_1():
    """
    cross_entropy: label 10 at [1], but logits (3, 10) have classes 0..9
      logits (3, 10) float32    labels (3,) int64
      at {here}
      Labels that start at 1: labels - 1
    """
    ag.cross_entropy(leaf(3, 10), np.array([1, 10, 3]))  # here


@says(ValueError)
def test_a_label_below_0():
    """
    cross_entropy: label -1 at [2], but logits (3, 10) have classes 0..9
      logits (3, 10) float32    labels (3,) int64
      at {here}
    """
    ag.cross_entropy(leaf(3, 10), np.array([0, 9, -1]))  # here


@says(ValueError, cure=lambda: ag.cross_entropy(leaf(4, 10), np.zeros((4, 1), np.int64)[:, 0]))
def test_labels_in_a_column():
    """
    cross_entropy: labels (4, 1), logits (4, 10)
      logits (4, 10) float32    labels (4, 1) int64
      at {here}
      labels[:, 0]?
    """
    ag.cross_entropy(leaf(4, 10), np.zeros((4, 1), np.int64))  # here


@says(
    ValueError,
    cure=lambda: [ag.cross_entropy(leaf(3, 3), y) for y in (np.eye(3).argmax(-1), np.eye(3).astype(np.float32))],
)
def test_one_hot_labels_of_integers():
    """
    cross_entropy: labels (3, 3), logits (3, 3)
      logits (3, 3) float32    labels (3, 3) int64
      at {here}
      One integer per row: (3,), labels.argmax(-1); or probabilities, labels.astype(np.float32)
    """
    ag.cross_entropy(leaf(3, 3), np.eye(3, dtype=np.int64))  # here


@says(ValueError, cure=lambda: ag.cross_entropy(ag.flatten(leaf(2, 8, 8, 3), 1), np.zeros(2, np.int64)))
def test_labels_of_images_that_are_not_flattened():
    """
    cross_entropy: labels (2,), logits (2, 8, 8, 3)
      logits (2, 8, 8, 3) float32    labels (2,) int64
      at {here}
      One integer per row: (2, 8, 8). One per image: ag.flatten(x, 1) before the last layer
    """
    ag.cross_entropy(leaf(2, 8, 8, 3), np.zeros(2, np.int64))  # here


@says(ValueError)
def test_labels_of_floats():
    """
    cross_entropy: labels (4,) float32
      logits (4, 10) float32    labels (4,) float32
      at {here}
      Integers (4,), or probabilities (4, 10)
    """
    ag.cross_entropy(leaf(4, 10), np.zeros(4, np.float32))  # here


@says(ValueError)
def test_labels_before_logits():
    """
    cross_entropy: labels (4, 10) float32
      logits (4,) float32    labels (4, 10) float32
      at {here}
      Logits come first, then labels
    """
    ag.cross_entropy(leaf(4), np.zeros((4, 10), np.float32))  # here


@says(ValueError, cure=lambda: ag.bce_with_logits(leaf(2, 10), np.eye(10, dtype=np.float32)[np.array([9, 1])]))
def test_class_ids_into_a_binary_loss():
    """
    bce_with_logits: targets reach 9, but must lie in [0, 1]
      z (2,) float32    y (2,) int64
      at {here}
      Class ids: cross_entropy(logits, labels), or np.eye(10, dtype=np.float32)[labels]
    """
    ag.bce_with_logits(leaf(2), np.array([9, 1]))  # here


@says(ValueError)
def test_logits_into_a_loss_of_probabilities():
    """
    bce: p runs from 0.5 to 1.5, but must lie in [0, 1]
      p (2,) float64    y (2,) float64
      at {here}
      For logits: bce_with_logits(z, y)
    """
    ag.bce(Tensor([0.5, 1.5], requires_grad=True), np.ones(2))  # here


@warns(UserWarning)
def test_a_probability_of_exactly_1():
    """bce: some probabilities are exactly 0 or 1; their gradient is clipped. Keep the logits: bce_with_logits"""
    ag.bce(Tensor([0.5, 1.0], requires_grad=True), np.ones(2))  # here


@pytest.mark.parametrize("options", [{}, {"weight": np.ones(2)}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("labels", [np.array(["cat", "dog"]), np.array(["cat", "dog"], object), ["cat", "dog"], "cat"])
def test_names_as_labels(labels, options):
    cure = r"From names: classes, labels = np.unique\(labels, return_inverse=True\)$"
    for logits in (leaf(2, 2), leaf(2, 2).data):
        with pytest.raises(TypeError, match=f"not an array of numbers(?s:.)*{cure}"):
            ag.cross_entropy(logits, labels, **options)
    _, labels = np.unique(labels, return_inverse=True)
    assert ag.cross_entropy(leaf(*labels.shape, 2), labels).shape == ()


@says(ValueError, cure=lambda: ag.cross_entropy(leaf(2, 3), ag.softmax(np.full((2, 3), -1.5))))
def test_logits_as_probabilities():
    """
    cross_entropy: labels have -1.5, but probabilities are 0 or more
      logits (2, 3) float32    labels (2, 3) float64
      at {here}
      For logits: ag.softmax(labels)
    """
    ag.cross_entropy(leaf(2, 3), np.full((2, 3), -1.5))  # here


def test_a_probability_that_is_nan():
    with pytest.raises(ValueError, match="labels have nan, but probabilities are 0 or more"):
        ag.cross_entropy(leaf(2, 3), np.full((2, 3), np.nan))
