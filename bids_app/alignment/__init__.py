"""Alignment of the contrasts of a session, and of the sessions of a subject."""
