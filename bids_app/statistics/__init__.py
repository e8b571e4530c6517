"""Statistics of the group stage: arrays and tables in, tables out; no files, BIDS or plots."""
