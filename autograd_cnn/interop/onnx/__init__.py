"""Networks as ONNX files: one table of its operators and our primitives, which is read in both directions."""
