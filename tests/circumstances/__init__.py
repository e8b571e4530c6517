"""What users have: each circumstance gives the values of the undisturbed input, or a sentence."""
