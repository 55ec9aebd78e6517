"""Which checks stop a release, and which exceptions hold: broken, quarantined, marginal and not judged ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.case.types import STAGES
from hil.gate.completeness import names
from hil.gate.demands import Demand
from hil.gate.policy import Explained
from hil.gate.question import Question
from hil.gate.reasons import Kind, Reason
from hil.gate.results import Result
from hil.project.quarantine import Entry
from hil.runfile import Check

JUDGED = ("passed", "marginal", "failed")
_SIZES = ("memory.", "baseline.arena", "baseline.stack", "baseline.flash", "baseline.ram")
_TIMES = (*(f"latency.{stage}." for stage in STAGES), "baseline.latency.")
_HOST_TIME = "host time"
_ARENA = ("execution.arena", "memory.arena", "memory.arena_headroom")


# ---- broken, and quarantined


def broken_reasons(result: Result, question: Question) -> Iterator[Reason]:
    """Every failed check that no entry of the quarantine excuses today."""
    today = question.now.date()
    for check in result.failed():
        if excuse_of(result, check, question) is not None:
            continue
        entry, excuse = _entry(question.quarantine.entries, result, check), ""
        what, fix = _told(check)
        if entry is None and check.quarantine is not None:
            excuse = " (quarantined in the run, but the quarantine has no such entry now)"
        elif entry is not None and entry.expired(today):
            excuse = f" (quarantined until {entry.expires})"
        elif entry is not None:
            excuse, fix = " (quarantined after the run)", "run the case again: the entry was added after the run"
        yield Reason(Kind.BROKEN, f"{result}: {check.id}{excuse}{what}", fix, result.name, result.board, check.id)


def excuse_of(result: Result, check: Check, question: Question) -> Entry | None:
    """The entry that excuses a failed check: the run had it in quarantine, and the file of today still has."""
    entry = _entry(question.quarantine.entries, result, check)
    holds = check.quarantine is not None and entry is not None and not entry.expired(question.now.date())
    return entry if holds else None


def _entry(entries: Sequence[Entry], result: Result, check: Check) -> Entry | None:
    return next((entry for entry in entries if entry.covers(result.case.name, check.id, result.board)), None)


def _told(check: Check) -> tuple[str, str]:
    """The first finding of a check, and its hint."""
    if not check.findings:
        return "", "see the report of the run"
    first = check.findings[0]
    places = [
        text for text in (first.vector and f"vector {first.vector}", first.stage and f"stage {first.stage}") if text
    ]
    where = f" ({', '.join(places)})" if places else ""
    more = f"; {check.findings_total:,} findings in all" if check.findings_total > 1 else ""
    return f"{where}: expected {first.expected}, observed {first.observed}{more}", first.hint or "see the report"


def quarantine_reasons(results: Sequence[Result], question: Question) -> Iterator[Reason]:
    """Entries past their date, and entries whose check no longer fails on any board that they cover."""
    today = question.now.date()
    for entry in question.quarantine.entries:
        if entry.expired(today):
            what = f"quarantine of {entry} ended on {entry.expires} ({entry.issue})"
            yield _of(entry, what, "mend what is broken and remove the entry, or renew it with a reason")
        seen = covered(entry, results)
        if seen and not any(check.outcome in ("failed", "invalid") for check in seen):
            state = "was judged on no board" if all(check.outcome == "not judged" for check in seen) else "holds"
            yield _of(entry, f"quarantine of {entry} is not needed: the check {state}", "remove the entry")


def _of(entry: Entry, what: str, fix: str) -> Reason:
    return Reason(Kind.QUARANTINE, what, fix, entry.case, entry.board or "", entry.check)


def covered(entry: Entry, results: Sequence[Result]) -> list[Check]:
    """The checks of these results that an entry is about."""
    found = []
    for result in results:
        check = result.case.check(entry.check)
        if check is not None and entry.covers(result.case.name, check.id, result.board):
            found.append(check)
    return found


# ---- invalid


def invalid_reasons(result: Result) -> Iterator[Reason]:
    """Every instrument that was shown to be broken, and the checks that rest on it."""
    invalid = result.invalid()
    for check in invalid:
        if not check.findings:
            continue  # its reason names the instrument
        what, fix = _told(check)
        resting = [other.id for other in invalid if not other.findings and check.id in other.reason]
        rest = f"; nothing can be said of {names(resting)}" if resting else ""
        text = f"{result}: {check.id}{what}{rest}"
        yield Reason(Kind.INVALID, text, fix, result.case.name, result.board, check.id)
    told = [check.id for check in invalid if check.findings]
    for check in invalid:
        if not check.findings and not any(instrument in check.reason for instrument in told):
            what = f"{result}: {check.id} is invalid: {check.reason}"
            yield Reason(Kind.INVALID, what, "run the case again", result.case.name, result.board, check.id)


# ---- marginal


def marginal_reasons(result: Result, explained: Sequence[Explained]) -> Iterator[Reason]:
    """Marginal checks that the policy does not explain."""
    for check in result.case.checks:
        if check.outcome == "marginal" and not is_explained(explained, result.case.name, check.id, result.board):
            what = f"{result}: {check.id} is marginal: {check.reason}"
            accept = "accept it with a [[marginal]] entry and its reason in the release policy"
            fix = f"{check.hint or 'win room'}; or {accept}"
            yield Reason(Kind.MARGINAL, what, fix, result.name, result.board, check.id)


def is_explained(explained: Sequence[Explained], case: str, check: str, board: str) -> bool:
    return any(entry.covers(case, check, board) for entry in explained)


# ---- not judged


def arena_reasons(demand: Demand, results: Sequence[Result]) -> Iterator[Reason]:
    """A case without `arena_bytes`: a limit that is not there is not met, and no entry of the policy excuses that.

    results: of this case, one of which may say which line to write.
    """
    if not demand.without_arena:
        return
    found = [
        check for result in results if (check := result.case.check("memory.arena")) and "proposed" in check.numbers
    ]
    what = f"case {demand.name} gives no arena_bytes: a limit that is not there is not met"
    fix = found[0].hint if found else "run it on a board of a 32-bit target: that run says which line to write"
    yield Reason(Kind.CASE, what, f"{fix}; then run it again", case=demand.name)


def not_judged_reasons(demand: Demand, results: Sequence[Result], question: Question) -> Iterator[Reason]:
    """Checks of one case that a board of the release left open, and no other board of it can answer for.

    results: of this case on the boards of the policy. The rule stands in docs/release.md.
    """
    for result in results:
        left: dict[str, list[str]] = {}
        for check in result.case.checks:
            if check.outcome == "not judged" and not _excused(check, result, demand, results, question):
                left.setdefault(check.reason, []).append(check.id)
        for reason, checks in left.items():
            what = f"{result}: {names(checks)} not judged: {reason}"
            yield Reason(Kind.NOT_JUDGED, what, _JUDGE, demand.name, result.board, checks[0])
    yield from _clocks_left(demand, results, question)


_JUDGE = "run it on a board that can judge it, or accept it with a [[not_judged]] entry and its reason in the policy"


def _excused(check: Check, result: Result, demand: Demand, results: Sequence[Result], question: Question) -> bool:
    if check.id in demand.clocks and result.clock not in demand.clocks[check.id]:
        return True  # `_clocks_left` looks whether another board counts what the limit is in
    if check.id.startswith("baseline.") and result.case.baseline is None:
        return True  # whether there must be one is the policy's `baseline`
    if demand.without_arena and check.id in _ARENA:
        return True  # that the case has no limit to hold it to is a reason of its own
    if any(failed.outcome == "failed" and failed.id in check.reason for failed in result.case.checks):
        return True  # what keeps it from being judged is a reason of its own
    if is_explained(question.policy.not_judged, demand.name, check.id, result.board):
        return True
    return any(_judged(other, check.id) and _answers_for(other, result, check.id) for other in results)


def _judged(result: Result, check_id: str) -> bool:
    check = result.case.check(check_id)
    return check is not None and check.outcome in JUDGED


def _answers_for(other: Result, result: Result, check_id: str) -> bool:
    """Whether a verdict of `other` may stand for the one that `result` could not give.

    A size belongs to a target: only an image for a workstation, which says nothing of sizes, may leave it to another
    target. A time belongs to a kind of clock: only host time may leave it to another kind.
    """
    if check_id.startswith(_SIZES):
        return result.host or other.run.document.board.target == result.run.document.board.target
    if check_id.startswith(_TIMES):
        return result.clock == _HOST_TIME or other.clock == result.clock
    return True


def _clocks_left(demand: Demand, results: Sequence[Result], question: Question) -> Iterator[Reason]:
    """Limits in a kind of clock that no board of the release counts."""
    left: dict[str, list[str]] = {}
    for check, kinds in demand.clocks.items():
        boards = question.policy.boards
        if any(is_explained(question.policy.not_judged, demand.name, check, board) for board in boards):
            continue
        for kind in kinds:
            if not any(result.clock == kind for result in results):
                left.setdefault(kind, []).append(check)
    for kind, checks in left.items():
        if results:
            what = f"case {demand.name} limits {names(checks)} in {kind}, and no board of the release counts {kind}"
            yield Reason(Kind.NOT_JUDGED, what, _JUDGE, demand.name, check=checks[0])
