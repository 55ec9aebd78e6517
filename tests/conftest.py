"""Knows how hypothesis behaves here: no deadlines, and the same examples each time on a CI server. And Ctrl-C."""

import os
import signal

from hypothesis import settings

settings.register_profile("local", deadline=None)
settings.register_profile("server", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("server" if os.environ.get("CI") else "local")

# A shell starts what it runs in the background deaf to Ctrl-C, and programs hand that down to those they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
