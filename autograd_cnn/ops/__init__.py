"""Every operation and its rules, one file for each family."""
