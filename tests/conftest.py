"""Knows how hypothesis behaves here: no deadlines, and the same examples each time on a CI server."""

import os

from hypothesis import settings

settings.register_profile("local", deadline=None)
settings.register_profile("server", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("server" if os.environ.get("CI") else "local")
