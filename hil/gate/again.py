"""Judges the baseline contract of a stored run again, so that nobody can take a regression out of run.json."""

from __future__ import annotations

from collections.abc import Iterator

from hil.acceptance.diff import Diff, diff
from hil.errors import UsageError
from hil.gate.results import Result


def contradictions(result: Result) -> Iterator[str]:
    """Checks whose outcome is not what records and baseline make it.

    Only where both the case and the baseline that the run was held against lie here as they were: other reasons of the
    gate tell when they do not.
    """
    found = _again(result)
    if found is None:
        return
    for now in found.results:
        stored = result.case.check(now.check)
        if stored is not None and stored.outcome not in ("invalid", str(now.outcome)):
            yield f"{now.check} is {stored.outcome}, but records and baseline make it {now.outcome}"


def _again(result: Result) -> Diff | None:
    held = result.case.baseline
    if held is None:
        return None
    try:
        found = diff(result.run, result.name)
    except UsageError:
        return None
    return found if found.file is not None and found.file.sha256 == held.sha256 else None
