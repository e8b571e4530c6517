"""Segmentation methods, their registry, and what is measured in their masks."""
