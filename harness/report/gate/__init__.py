"""Regression gates and the noise that their tolerances come from."""
