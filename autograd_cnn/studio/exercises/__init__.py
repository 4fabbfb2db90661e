"""Exercises for a course: files that students fill in, and a check that says what is wrong with them."""
