"""The longitudinal step (``--longitudinal``): a subject's visits in one space, compared."""
