"""Training of a model: one loop, its History, and folders of runs, which resume with the same bits."""

from autograd_cnn.arrayfile import CheckpointError
from autograd_cnn.engine.naming import publish
from autograd_cnn.training.checkpoint import load_checkpoint, save_checkpoint
from autograd_cnn.training.evaluation import evaluate, predict
from autograd_cnn.training.folder import RunFolder, load_run
from autograd_cnn.training.history import Epoch, Evaluation, History
from autograd_cnn.training.loop import fit
from autograd_cnn.training.recipe import read_recipe

__all__ = [
    "CheckpointError",
    "Epoch",
    "Evaluation",
    "History",
    "RunFolder",
    "evaluate",
    "fit",
    "load_checkpoint",
    "load_run",
    "predict",
    "read_recipe",
    "save_checkpoint",
]
publish(globals())
