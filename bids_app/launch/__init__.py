"""Starting thalbids elsewhere: in a Docker container, as a SLURM job array."""
