"""Volumes as arrays with an affine: orientation, grids, resampling, masks."""
