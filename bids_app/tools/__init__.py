"""Runs of programs: installed on this machine, in a Docker image, or in an Apptainer image."""
