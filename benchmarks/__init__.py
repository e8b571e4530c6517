"""Scripts behind every figure in the documentation; each runs on its own."""
