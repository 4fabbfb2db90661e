"""Every operation and its rules, one file for each family. Imports kernels and the engine only."""
