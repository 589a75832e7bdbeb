"""Drawings as data, and what they look like as SVG and PNG."""
