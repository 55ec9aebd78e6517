"""Knows where a reader should look first: the earliest stage that broke, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hil.case.types import CONTRACTS
from hil.report.page.words import clip, plural
from hil.runfile import Case, Check, Document
from hil.verdict import HELD, MARGINAL


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
    """Checks that ask to be looked at: what is odd about the model first, then what is close to its limit."""
    found = [check for check in by_blame(case.checks) if check.outcome == MARGINAL]
    return sorted(found, key=lambda check: check.contract != "sanity")


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
        return f"Every check holds, but look at this: {clip(near[0].reason)}; see {near[0].id}."
    return "Every check that was judged holds."


def hint(case: Case) -> str:
    """What to try next on what broke first, else on what is marginal; "" when neither is, or nothing is known."""
    if found := broken(case) or invalid(case):
        return found[0].findings[0].hint if found[0].findings else ""
    near = marginal(case)
    return near[0].hint if near and not case.error else ""


def aftermath(case: Case) -> str:
    """What else broke, by contract, and what else is marginal; "" when nothing is."""
    rest = broken(case)[1:]
    sentences = []
    if rest:
        groups = [(contract, len(list(group))) for contract, group in groupby(rest, lambda check: check.contract)]
        listed = ", ".join(f"{contract} {count}" for contract, count in groups)
        more = plural(len(rest), "more check is", "more checks are")
        sentences.append(f"{more} broken ({listed}), perhaps as a consequence.")
    if near := marginal(case)[0 if broken(case) or invalid(case) else 1 :]:
        sentences.append(f"{plural(len(near), 'more check is', 'more checks are')} marginal: {_ids(near)}.")
    return " ".join(sentences)


def run_sentence(document: Document) -> str:
    """What a reader should know first of the whole run."""
    if document.verdict == "interrupted":
        return f"The run was interrupted: {plural(len(document.cases), 'case was', 'cases were')} reached."
    if not document.cases:
        return "No case ran."
    if document.lost_workers:
        lost = ", ".join(document.lost_workers)
        return f"The run broke: {plural(len(document.lost_workers), 'worker')} ended early: {clip(lost)}."
    bad = [case for case in document.cases if case.verdict not in HELD]
    near = [case for case in document.cases if case.verdict == MARGINAL]
    worst = next((case for verdict in ("failed", "invalid", "error") for case in bad if case.verdict == verdict), None)
    if len(document.cases) == 1:
        return case_sentence(document.cases[0])
    if worst is not None:
        more = f", {_asking(len(near))} to be looked at" if near else ""
        count = f"{len(bad)} of {len(document.cases)} cases did not pass{more}"
        return f"{count}. {clip(worst.called)}: {case_sentence(worst)}"
    if bad:
        return f"{len(bad)} of {len(document.cases)} cases could not be judged."
    if not near:
        return f"All {len(document.cases)} cases passed."
    held = f"All {len(document.cases)} cases hold, {_asking(len(near))} to be looked at"
    return f"{held}. {clip(near[0].called)}: {case_sentence(near[0])}"


def _asking(cases: int) -> str:
    return f"{cases} {'asks' if cases == 1 else 'ask'}"


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
