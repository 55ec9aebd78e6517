"""Knows where a reader should look first: the earliest stage that broke, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hil.case.types import CONTRACTS
from hil.report.page.words import clip, plural
from hil.runfile import Case, Check, Document

HELD = ("passed", "marginal")


def rank(check: Check) -> int:
    """Place in the order of blame; what is not known comes last."""
    return CONTRACTS.index(check.contract) if check.contract in CONTRACTS else len(CONTRACTS)


def by_blame(checks: Sequence[Check]) -> list[Check]:
    """All checks, the earliest contract first; within one as the run lists them."""
    return sorted(checks, key=rank)


def broken(case: Case) -> list[Check]:
    """Checks that make the case fail, in the order of blame."""
    return [check for check in by_blame(case.checks) if check.outcome == "failed" and check.quarantine is None]


def in_quarantine(case: Case) -> list[Check]:
    """Checks that fail, and are known to."""
    return [check for check in by_blame(case.checks) if check.outcome == "failed" and check.quarantine is not None]


def marginal(case: Case) -> list[Check]:
    return [check for check in by_blame(case.checks) if check.outcome == "marginal"]


def not_judged(case: Case) -> list[Check]:
    return [check for check in by_blame(case.checks) if check.outcome == "not judged"]


def invalid(case: Case) -> list[Check]:
    """Broken instruments, and the checks that rest on them."""
    return [check for check in by_blame(case.checks) if check.outcome == "invalid"]


def case_sentence(case: Case) -> str:
    """What a reader should know first of one case."""
    if case.error:
        log = f"; see {case.log}" if case.log else ""
        what = case.what_happened.capitalize()
        return f"{what} before there was a verdict: {clip(case.error.splitlines()[0])}{log}."
    found = broken(case)
    if found:
        return _broke(found[0])
    if unsound := invalid(case):
        return _unsound(unsound)
    if case.verdict == "not judged":
        return "No check could be judged."
    near = marginal(case)
    if near:
        return f"Every check holds, {plural(len(near), 'of them is', 'of them are')} marginal: {_ids(near)}."
    return "Every check that was judged holds."


def hint(case: Case) -> str:
    """What to try next on what broke first; "" when nothing broke, or nothing is known."""
    found = broken(case) or invalid(case)
    return found[0].findings[0].hint if found and found[0].findings else ""


def aftermath(case: Case) -> str:
    """What else broke, by contract; "" when nothing did."""
    rest = broken(case)[1:]
    if not rest:
        return ""
    groups = [(contract, len(list(group))) for contract, group in groupby(rest, lambda check: check.contract)]
    listed = ", ".join(f"{contract} {count}" for contract, count in groups)
    return f"{plural(len(rest), 'more check is', 'more checks are')} broken ({listed}), perhaps as a consequence."


def run_sentence(document: Document) -> str:
    """What a reader should know first of the whole run."""
    if document.verdict == "interrupted":
        return f"The run was interrupted: {plural(len(document.cases), 'case was', 'cases were')} reached."
    if not document.cases:
        return "No case ran."
    bad = [case for case in document.cases if case.verdict != "passed"]
    worst = next((case for verdict in ("failed", "invalid", "error") for case in bad if case.verdict == verdict), None)
    if len(document.cases) == 1:
        return case_sentence(document.cases[0])
    if worst is not None:
        return f"{len(bad)} of {len(document.cases)} cases did not pass. {clip(worst.name)}: {case_sentence(worst)}"
    if bad:
        return f"{len(bad)} of {len(document.cases)} cases could not be judged."
    near = sum(len(marginal(case)) for case in document.cases)
    held = f"All {len(document.cases)} cases passed"
    return f"{held}; {plural(near, 'check is', 'checks are')} marginal." if near else f"{held}."


def _broke(check: Check) -> str:
    verb = "regressed" if check.contract == "baseline" else "broke first"
    if not check.findings:
        return f"{check.contract} {verb}; see {check.id}."
    finding = check.findings[0]
    subject = finding.stage or check.contract
    where = f" on vector {clip(finding.vector)}" if finding.vector else ""
    difference = f"expected {clip(finding.expected)}, observed {clip(finding.observed)}{where}"
    return f"{subject} {verb}: {difference}; see {check.id}."


def _unsound(checks: Sequence[Check]) -> str:
    first = checks[0]
    if not first.findings:
        return f"Invalid: {clip(first.reason)}; see {first.id}."
    finding = first.findings[0]
    difference = f"expected {clip(finding.expected)}, observed {clip(finding.observed)}"
    rest = f" {plural(len(checks) - 1, 'check rests', 'checks rest')} on it." if len(checks) > 1 else ""
    return f"Invalid, because an instrument is broken: {difference}; see {first.id}.{rest}"


def _ids(checks: Sequence[Check], most: int = 4) -> str:
    names = [check.id for check in checks[:most]]
    return ", ".join(names) + (f" and {len(checks) - most} more" if len(checks) > most else "")
