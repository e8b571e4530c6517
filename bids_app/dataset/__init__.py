"""BIDS in: names, index, images, metadata, sources, tables; staging of files, checksums."""
