"""Knows how a check says what it found: it collects findings, counts all, keeps the first few, and words numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Limit
from hil.contract.blame import Blame
from hil.contract.types import MAX_FINDINGS, CheckResult, Evidence, Finding, Outcome
from hil.contract.wire import REPEATED, Wire

Index = NDArray[np.intp]
Numbers = Mapping[str, float | int | str]


def number(value: float) -> str:
    """A number for people: whole ones in full with thousands separators, others with six significant digits."""
    if math.isfinite(value) and value == int(value):
        return f"{int(value):,}"
    return f"{value:,.6g}"


def plural(count: int, noun: str) -> str:
    """`1 vector`, `2 vectors`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def vector_name(evidence: Evidence, vector: int) -> str:
    """The case's name of a vector; "" for what the harness's own probes ran (a negative number)."""
    return evidence.case.vectors.name(vector) if vector >= 0 else ""


class Sheet:
    """What one check has found so far in one run; `result` turns it into the verdict."""

    def __init__(self, check: str, evidence: Evidence, limit: Limit | None = None) -> None:
        self.check, self.evidence, self.limit = check, evidence, limit
        self.findings: list[Finding] = []
        self.total = 0
        self._repeated = {evidence.case.vectors.name(vector) for vector in evidence.section(Wire).vectors}

    def add(self, expected: str, observed: str, *, vector: str = "", stage: str = "", hint: str = "") -> None:
        """One finding. `vector` is a name from the case or of a probe, "" for the whole run."""
        self.total += 1
        if len(self.findings) == MAX_FINDINGS:
            return
        self.findings.append(
            Finding(
                case=self.evidence.case.name,
                vector=vector,
                contract=self.check.split(".")[0],
                check=self.check,
                expected=expected,
                observed=observed,
                limit=str(self.limit) if self.limit is not None else "",
                stage=stage,
                hint="; ".join(filter(None, (hint, REPEATED if vector in self._repeated else ""))),
            )
        )

    def each(self, vectors: Index, describe: Callable[[int], None]) -> None:
        """Let `describe` add the finding of each vector; past the last one that is kept, only count."""
        room = MAX_FINDINGS - len(self.findings)
        for vector in vectors[:room]:
            describe(int(vector))
        self.total += len(vectors[room:])

    def blame_earlier(self, vectors: Index, blame: Blame, expected: str) -> None:
        """One finding for all vectors on which an earlier contract broke first: it is not this check's own."""
        if not len(vectors):
            return
        first = int(vectors[0])
        self.add(
            expected,
            f"{plural(len(vectors), 'vector')} off, but an earlier contract broke first there",
            vector=self.evidence.case.vectors.name(first),
            stage=blame.text(blame.origin(first)),
            hint=broke_first(self.evidence, blame, first),
        )

    def result(
        self, *, value: float | None = None, unit: str = "", reason: str = "", numbers: Numbers | None = None
    ) -> CheckResult:
        """Failed when anything was added, else passed."""
        return CheckResult(
            check=self.check,
            outcome=Outcome.FAILED if self.total else Outcome.PASSED,
            findings=tuple(self.findings),
            total=self.total,
            value=value,
            unit=unit or (self.limit.unit if self.limit is not None and value is not None else ""),
            limit=self.limit,
            reason=reason,
            numbers=numbers or {},
        )

    def not_judged(self, reason: str, numbers: Numbers | None = None, hint: str = "") -> CheckResult:
        """No verdict, for a reason; hint: what would bring one. What was added before is a mistake of the check."""
        assert not self.total
        return CheckResult(
            self.check, Outcome.NOT_JUDGED, limit=self.limit, reason=reason, numbers=numbers or {}, hint=hint
        )


def add_differences(
    sheet: Sheet, evidence: Evidence, contract: str, stage: Callable[[str], str] = lambda _: ""
) -> None:
    """A finding for each field of the provisioned bundle that belongs to `contract` and is not the case's.

    stage: gives the stage that reads the field of that name.
    """
    for difference in evidence.bundle_differences:
        if difference.contract == contract:
            sheet.add(
                f"{difference.field} {difference.expected}",
                f"{difference.observed} in the bundle",
                stage=stage(difference.field),
                hint="the bundle was not made from this case file: build it from the case, or mend the case",
            )


def broke_first(evidence: Evidence, blame: Blame, vector: int) -> str:
    """`input broke first on this vector: see input.prepared`, or on which vector of the same stream."""
    origin = blame.origin(vector)
    check = blame.check(origin)
    place = "this vector" if origin == vector else f"{evidence.case.vectors.name(origin)} of the same stream"
    return f"{check.split('.')[0]} broke first on {place}: see {check}"
