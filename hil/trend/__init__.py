"""One figure of a case over many runs."""
