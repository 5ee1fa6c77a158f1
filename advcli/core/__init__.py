"""The words that every room shares: rows, norms, keyed randomness and results."""
