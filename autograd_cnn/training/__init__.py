"""From a model, a loss and an optimiser to a trained model: one loop, its History, its checkpoints."""

from autograd_cnn.arrayfile import CheckpointError
from autograd_cnn.training.checkpoint import load_checkpoint, save_checkpoint
from autograd_cnn.training.history import Epoch, Evaluation, History
from autograd_cnn.training.loop import evaluate, fit, predict

__all__ = [
    "CheckpointError",
    "Epoch",
    "Evaluation",
    "History",
    "evaluate",
    "fit",
    "load_checkpoint",
    "predict",
    "save_checkpoint",
]
