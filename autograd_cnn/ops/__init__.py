"""Every primitive and its rules, one file per family. Imports kernels and the engine only."""
