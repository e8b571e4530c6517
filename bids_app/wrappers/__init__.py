"""Programs that start thalbids elsewhere: in a container, on a cluster."""
