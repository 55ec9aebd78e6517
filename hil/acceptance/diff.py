"""Knows how the baseline contract of a stored run is judged with the baseline on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hil.acceptance.stored import stored_evidence
from hil.baseline.file import baseline_of
from hil.baseline.types import BaselineFile
from hil.contract import baseline as contract
from hil.contract.changes import Change, changes
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.runfile import Run


@dataclass(frozen=True)
class Diff:
    """One case of a run held against its baseline; `file` is None when there is no baseline for its board."""

    evidence: Evidence
    file: BaselineFile | None
    changes: Sequence[Change]
    results: Sequence[CheckResult]

    @property
    def failed(self) -> bool:
        """Something is worse than accepted, or nothing could be compared."""
        return self.file is None or any(result.outcome is Outcome.FAILED for result in self.results)


def diff(run: Run, name: str) -> Diff:
    """Judge the baseline contract of one stored case with the baseline on disk. Raises UsageError."""
    evidence = stored_evidence(run, name)
    file = baseline_of(evidence.case, evidence.board)
    if file is None:
        return Diff(evidence, None, (), ())
    evidence = replace(evidence, baseline=file)
    return Diff(evidence, file, changes(evidence), [check.judge(evidence) for check in contract.CHECKS])
