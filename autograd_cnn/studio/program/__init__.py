"""Writes the derived backward pass as code that runs: each line is what its rule computes, run on stand-ins."""
