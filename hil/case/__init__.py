"""Cases, what is under test: `load.load_case` reads a folder into a `types.Case`. Imports nothing: no cycles."""
