"""Exchanges weights and networks with other programs, in files of safetensors and ONNX."""

from autograd_cnn.engine.naming import publish
from autograd_cnn.interop.onnx.export import export_onnx, onnx_converter
from autograd_cnn.interop.onnx.load import OnnxModule, load_onnx
from autograd_cnn.interop.weights import load_weights, save_weights

__all__ = ["OnnxModule", "export_onnx", "load_onnx", "load_weights", "onnx_converter", "save_weights"]
publish(globals())
