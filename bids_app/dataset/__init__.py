"""BIDS in and out: index, images, tables, derivatives."""
