"""Our own results: types, names, columns, writing and reading back."""
