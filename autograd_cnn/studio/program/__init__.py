"""Writes the derived backward pass as code that runs, line by line, reading each line from its rule."""
