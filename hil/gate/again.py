"""Judges the contracts of a stored run again that its records and its case decide alone, so that nobody can take a
regression, or what is odd about a model, out of run.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.acceptance.diff import Diff, diff
from hil.contract import sanity
from hil.contract.types import CheckResult
from hil.errors import UsageError
from hil.gate.results import Result


def contradictions(result: Result) -> Iterator[str]:
    """Checks whose outcome is not what records, case and baseline make it.

    Only where the case, and for its contract the baseline that the run was held against, lie here as they were: other
    reasons of the gate tell when they do not.
    """
    try:
        found = diff(result.run, result.name)
    except UsageError:
        return
    for now in (*_sanity(found), *_baseline(found, result)):
        stored = result.case.check(now.check)
        if stored is not None and stored.outcome not in ("invalid", str(now.outcome)):
            yield f"{now.check} is {stored.outcome}, but the records make it {now.outcome}"


def _sanity(found: Diff) -> Sequence[CheckResult]:
    return [check.judge(found.evidence) for check in sanity.CHECKS if check.applies(found.evidence.case)]


def _baseline(found: Diff, result: Result) -> Sequence[CheckResult]:
    held = result.case.baseline
    return found.results if held is not None and found.file is not None and found.file.sha256 == held.sha256 else ()
