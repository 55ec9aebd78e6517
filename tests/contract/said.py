"""Knows how to write down all that the checks say: of each defect, and of runs in which there is little to judge.

said.txt is what they said when somebody last read it. `PYTHONPATH=tests python tests/contract/said.py` writes it anew;
read the difference as a user would.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from made_evidence import build_evidence
from situations import SITUATIONS as OTHERS
from situations_elsewhere import OF_A_BASELINE, OF_BOARDS
from test_contract_defects import BY_ID, DEFECTS, INSTRUMENTS

from hil.case.types import BASELINES
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence, Finding, Outcome, VectorFault
from hil.records import FaultReport, GateReason, Status

SAID = Path(__file__).with_suffix(".txt")


def as_built(evidence: Evidence) -> Evidence:
    return evidence


def refused(evidence: Evidence) -> Evidence:
    """The device does not take the bundle, so that nothing else happened."""
    evidence.records.status[:] = Status.NOT_RUN
    hello = replace(evidence.hello, bundle_status=7, bundle_detail=0, model_hash="00" * 32)
    return replace(evidence, hello=hello, sections={})


def nothing_ran(evidence: Evidence) -> Evidence:
    evidence.records.status[:] = Status.NOT_RUN
    return replace(evidence, sections={})


def faulted_at_once(evidence: Evidence) -> Evidence:
    evidence.records.status[:] = Status.NOT_RUN
    evidence.records.status[0] = Status.FAULT
    report = FaultReport("bus fault", "invoke", "pc 0x00001234 conv.cc:88")
    return replace(evidence, faults=(VectorFault(0, Status.FAULT, report),), sections={})


def hung_half_way(evidence: Evidence) -> Evidence:
    evidence.records.status[160] = Status.HANG
    evidence.records.status[161:] = Status.NOT_RUN
    return evidence


def all_rejected(evidence: Evidence) -> Evidence:
    """As they must be."""
    evidence.references.gate[:] = evidence.records.gate[:] = GateReason.RANGE
    evidence.records.status[:] = Status.REJECTED
    evidence.records.answer[:] = evidence.records.label[:] = -1
    vectors = replace(evidence.case.vectors, reject=("range",) * len(evidence.records.status))
    return replace(evidence, case=replace(evidence.case, vectors=vectors), sections={})


def all_rejected_wrongly(evidence: Evidence) -> Evidence:
    evidence.records.status[:], evidence.records.gate[:] = Status.REJECTED, GateReason.RANGE
    return evidence


def other_tensors(evidence: Evidence) -> Evidence:
    """Input breaks first on every vector, and all behind it comes out otherwise."""
    evidence.records.digest[:] ^= 1
    evidence.records.output[:] = np.roll(evidence.records.output, 1, axis=1)
    evidence.records.winner[:] = (evidence.records.winner + 1) % 4
    evidence.records.answer[:] = np.where(evidence.records.answer >= 0, evidence.records.winner, -1)
    return evidence


def other_outputs(evidence: Evidence) -> Evidence:
    """Execution breaks first on the second half of the vectors."""
    evidence.records.output[160:, 1] ^= 3
    evidence.records.score[160:] += 1
    evidence.records.reason[200:] = 0
    return evidence


def other_answers(evidence: Evidence) -> Evidence:
    """Decision breaks first on some vectors, two of them in a stream, and the input on one before them."""
    evidence.records.digest[20] ^= 1
    evidence.records.answer[[22, 24, 40, 300]] = (2, 0, 1, 3)
    evidence.records.reason[[24, 50]] = 1
    return evidence


SITUATIONS: tuple[Callable[[Evidence], Evidence], ...] = (
    as_built,
    refused,
    nothing_ran,
    faulted_at_once,
    hung_half_way,
    all_rejected,
    all_rejected_wrongly,
    other_tensors,
    other_outputs,
    other_answers,
    *OTHERS,
    *OF_BOARDS,
    *OF_A_BASELINE,
)


def of_situation(change: Callable[[Evidence], Evidence]) -> str:
    """What every check says of it: in full what differs from the run as built, and by name what is as built or is not
    judged for one reason. Of what is about a baseline only that.
    """
    usual = {} if change is as_built else {title: text for title, text in verdicts(as_built)}
    alike: dict[str, list[str]] = {}
    parts = []
    for check, text in verdicts(change):
        if text == usual.get(check):
            alike.setdefault("as built", []).append(check)
        elif text.startswith("not judged: ") and "\n" not in text:
            alike.setdefault(text, []).append(check)
        else:
            parts.append(f"{check}: {text}")
    return "\n".join([*parts, *(f"{text}:\n{listed(checks)}" for text, checks in alike.items())])


def verdicts(change: Callable[[Evidence], Evidence]) -> Iterator[tuple[str, str]]:
    evidence = change(build_evidence())
    asked = checks_for(evidence.case)
    for check in [check for check in asked if check.contract == BASELINES] if change in OF_A_BASELINE else asked:
        yield check.id, verdict(judge(check, evidence))


def of_defect(number: int) -> str:
    """What its check says of it."""
    defect = (*DEFECTS, *INSTRUMENTS)[number]
    return verdict(judge(BY_ID[defect.check], defect.damage(build_evidence())))


def verdict(result: CheckResult) -> str:
    """All of it: the first finding of each kind in full, of the others the vectors."""
    value = "" if result.value is None else f"{result.value:.9g} {result.unit}".rstrip()
    parts = {
        "value": value,
        "limit": str(result.limit) if result.limit is not None and result.outcome is not Outcome.NOT_JUDGED else "",
        "numbers": ", ".join(f"{name} {shown(each)}" for name, each in result.numbers.items()),
        "next": result.hint,
    }
    lines = [f"{result.outcome}{f', {result.total} findings' if result.total else ''}"]
    lines[0] += f": {result.reason}" if result.reason else ""
    lines += [f"  {name:<12}{text}" for name, text in parts.items() if text]
    of_the_check = f"limit       {result.limit}" if result.limit is not None else None
    kinds: dict[tuple[str, str], Finding] = {}
    for finding in result.findings:
        kinds.setdefault((finding.stage, finding.hint), finding)
    for finding in kinds.values():
        rows = str(replace(finding, case="", contract="", check="")).splitlines()
        lines += [row.rstrip() for row in rows if row.strip() != of_the_check]
    firsts = [id(finding) for finding in kinds.values()]
    more = [finding.vector or "the run" for finding in result.findings if id(finding) not in firsts]
    return "\n".join([*lines, *([f"  and {', '.join(more)}"] if more else [])])


def listed(checks: list[str]) -> str:
    return textwrap.fill(" ".join(checks), 120, initial_indent="  ", subsequent_indent="  ")


def shown(figure: float | int | str) -> str:
    return f"{figure:.9g}" if isinstance(figure, float) else str(figure)


def blocks() -> dict[str, Callable[[], str]]:
    """All that is written down, by title."""
    situations = {
        change.__name__.replace("_", " "): (lambda change=change: of_situation(change)) for change in SITUATIONS
    }
    defects = {
        f"{defect.check}, {defect.name}": (lambda number=number: of_defect(number))
        for number, defect in enumerate((*DEFECTS, *INSTRUMENTS))
    }
    return {**situations, **defects}


def read() -> dict[str, str]:
    parts = SAID.read_text(encoding="utf-8").split("\n== ")[1:]
    return {title: text.strip("\n") for title, _, text in (part.partition(" ==\n") for part in parts)}


if __name__ == "__main__":
    SAID.write_text("".join(f"\n== {title} ==\n{text()}\n" for title, text in blocks().items()), encoding="utf-8")
