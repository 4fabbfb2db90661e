"""The derived backward pass as code that runs: written line by line, each line read from its rule."""
