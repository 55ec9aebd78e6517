"""Knows what pytest must not walk into. The plugin itself is an entry point of the installed package."""

collect_ignore = ["build", "firmware", "setup"]
