"""The answer of the gate as text for the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from hil.contract.verdict import plural
from hil.gate.gate import Decision
from hil.gate.question import Question
from hil.gate.reasons import Reason
from hil.gate.results import Result

SCHEMA = "hil-gate/1"
READY, NOT_READY = "ready for release", "not ready for release"


def lines(decision: Decision, question: Question) -> Iterator[str]:
    """What was looked at, every reason with its next step, notes, and the answer last, where people look."""
    boards = ", ".join(question.policy.boards)
    yield f"gate: {plural(len(question.tree.cases), 'case')} below {question.tree.root}, on {boards}"
    for result in decision.results:
        yield f"  {_shown(result)}"
    numbered = enumerate(decision.reasons, 1)
    for kind, group in groupby(numbered, lambda item: item[1].kind):
        yield ""
        yield f"{kind}:"
        for number, reason in group:
            yield f"  {number}. {reason.what}"
            yield f"     next: {reason.fix}"
    if decision.notes:
        yield ""
        yield "notes:"
        yield from (f"  {note}" for note in decision.notes)
    yield ""
    yield READY if decision.ready else f"{NOT_READY}: {plural(len(decision.reasons), 'reason')}"


def _shown(result: Result) -> str:
    case = result.case
    firmware = case.image.sha256[:12] if case.image else "unknown"
    return (
        f"{result.name} version {case.version} on {result.board}: {case.verdict}"
        f" (firmware {firmware}, model {case.manifest.model_sha256[:12]}, {result.run.document.started})"
    )


def document(decision: Decision, question: Question) -> dict[str, Any]:
    """The answer for scripts (docs/release.md)."""
    return {
        "schema": SCHEMA,
        "ready": decision.ready,
        "asked_at": question.now.isoformat(timespec="seconds"),
        "boards": list(question.policy.boards),
        "cases": [demand.name for demand in question.tree.cases],
        "results": [
            {
                "case": result.name,
                "version": result.case.version,
                "board": result.board,
                "verdict": result.case.verdict,
                "run": str(result.run.file),
            }
            for result in decision.results
        ],
        "reasons": reason_rows(decision.reasons),
        "notes": list(decision.notes),
    }


def reason_rows(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """Reasons as JSON, worst first."""
    return [
        {
            "kind": str(reason.kind),
            "case": reason.case,
            "board": reason.board,
            "check": reason.check,
            "what": reason.what,
            "next": reason.fix,
        }
        for reason in reasons
    ]
