"""The analyses of the group stage, one file each."""
