"""Quantitative maps from arrays: relaxation rates, proton density, magnetisation transfer.

Everywhere in this package flip angles are in degrees, times in seconds, rates in 1/s, and the
transmit field (B1+) is relative: 1 where the flip angle is the nominal one. Voxels in which a
quantity cannot be determined are NaN, never infinite.
"""
