"""Segmentation of the thalami: methods, fusion of contrasts, volumes, quality."""
