"""Running an external program: installed here, in a Docker image, or in an Apptainer image."""
