"""Other programs: declared, found, run, and their finished results read."""
