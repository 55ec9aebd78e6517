"""The firmware ELF: building it, and reading its symbols, sizes and source lines."""
