"""Every primitive and its rules, one file a family. Imports kernels and the engine, nothing above."""
