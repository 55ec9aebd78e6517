"""One case on one board: what is sent, what comes back, kept as evidence."""

from hil.board.base import Progress
from hil.reference.streams import groups
from hil.session.part import Part, merge_records
from hil.session.run import RunResult, conclude, run_case, run_share
from hil.session.share import Share, case_cost, plan, whole

__all__ = [
    "Part",
    "Progress",
    "RunResult",
    "Share",
    "case_cost",
    "conclude",
    "groups",
    "merge_records",
    "plan",
    "run_case",
    "run_share",
    "whole",
]
