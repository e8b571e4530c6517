"""Figures and pages: arrays, tables and strings in; PNG, SVG and HTML out."""
