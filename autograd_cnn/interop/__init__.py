"""Exchanges weights with other programs, in files that any reader of safetensors opens."""

from autograd_cnn.interop.weights import load_weights, save_weights

__all__ = ["load_weights", "save_weights"]
