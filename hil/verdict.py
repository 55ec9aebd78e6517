"""Knows what outcomes make of a case and cases of a run, and which verdict a reader should see first."""

from __future__ import annotations

from collections.abc import Collection, Iterable

PASSED, MARGINAL, FAILED, INVALID = "passed", "marginal", "failed", "invalid"
NOT_JUDGED, ERROR = "not judged", "error"
HELD = (PASSED, MARGINAL)  # outcomes of a check that holds
WORST_FIRST = (FAILED, INVALID, ERROR, MARGINAL, NOT_JUDGED, PASSED)  # verdicts of cases, as reports list them


def case_verdict(checks: Iterable[tuple[str, bool]], error: str = "") -> str:
    """The verdict of a case. checks: outcome of each, and whether it is in quarantine; error: how the bench broke, ""
    if it did not.

    The worst of them; `not judged` is left for a case in which no check had a verdict. A quarantine puts off a broken
    contract, never a broken instrument.
    """
    if error:
        return ERROR
    outcomes = {outcome for outcome, quarantined in checks if not quarantined or outcome == INVALID}
    return next((verdict for verdict in (FAILED, INVALID, MARGINAL, PASSED) if verdict in outcomes), NOT_JUDGED)


def run_verdict(verdicts: Collection[str], interrupted: bool = False, lost_workers: Collection[str] = ()) -> str:
    """The verdict of a run, the worst of its cases; a run in which a case was not judged is no pass, and one that lost
    a worker broke.
    """
    if interrupted:
        return "interrupted"
    if lost_workers:
        return ERROR
    if worst := next((verdict for verdict in (ERROR, FAILED, INVALID) if verdict in verdicts), ""):
        return worst
    if not verdicts or NOT_JUDGED in verdicts:
        return "nothing judged"
    return MARGINAL if MARGINAL in verdicts else PASSED
