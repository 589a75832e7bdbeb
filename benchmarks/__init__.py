"""Measures of speed and memory: `make bench`. Nothing in here asserts a time."""
