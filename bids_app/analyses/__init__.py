"""Analyses of the group stage: one file and one line in ``registry.ANALYSES`` each."""
