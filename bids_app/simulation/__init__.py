"""Simulation of visits with a known change, from one scan: arrays in, arrays out."""
