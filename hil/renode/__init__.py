"""Renode as a process with a private folder, and its Robot server."""
