"""One case on one board: what is sent, what comes back, kept as evidence."""

from hil.board.base import Progress
from hil.session.passes import groups
from hil.session.run import RunResult, run_case

__all__ = ["Progress", "RunResult", "groups", "run_case"]
