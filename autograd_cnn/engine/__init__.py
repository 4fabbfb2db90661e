"""Tensor, the tape, the recorded call and the walk; docs/engine.md is a tour of the files."""
