"""Draws a graph: folds it, lays it out as a ladder, and writes SVG, DOT, PNG or PDF."""
