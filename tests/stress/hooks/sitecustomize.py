"""Python imports this first in every process of a stressed run: SIGUSR1 writes the stacks of all its threads to a file,
and what a finalizer drops is written down there, too.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from typing import Any

if folder := os.environ.get("STRESS_STACKS"):
    file = open(os.path.join(folder, f"{os.getpid()}.stacks"), "w", buffering=1)  # noqa: SIM115, for good
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
    faulthandler.enable(file=file, all_threads=True)

    def dropped(what: Any) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            return
        print(f"dropped in {what.object!r}: {what.exc_type.__name__}: {what.exc_value}", file=file)
        traceback.print_tb(what.exc_traceback, file=file)

    sys.unraisablehook = dropped
