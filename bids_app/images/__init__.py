"""Volumes as arrays with an affine: grids, orientation, resampling, intensities."""
