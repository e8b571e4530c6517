"""Running sessions: resources, worker processes, stamps, progress."""
