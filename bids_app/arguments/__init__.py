"""Arguments of the command line: words in, options out."""
