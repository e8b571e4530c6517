"""Rigid alignment of the contrasts of a session: strategies, quality, choice."""
