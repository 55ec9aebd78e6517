"""Knows what the decide stage made of raw scores that the harness made, and of a stream through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from hil.case.types import Case
from hil.contract.blame import has_decide
from hil.contract.decision import answer_name, reason_name, text_of
from hil.contract.ready import ended_before, unready
from hil.contract.told import without
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet
from hil.records import Can, Decision


@dataclass(frozen=True)
class ScoreProbe:
    """Raw scores given straight to the decide stage, one step of a stream, and the answers wanted and got."""

    name: str
    scores: tuple[int, ...]
    expected: Decision
    observed: Decision


@dataclass(frozen=True)
class ScoreProbes(Section):
    """Scores given straight to the decide stage."""

    probes: tuple[ScoreProbe, ...] = ()


@dataclass(frozen=True)
class StreamProbes(Section):
    """A stream of the case's own windows through the whole pipeline, where the decide stage has a memory."""

    probes: tuple[ScoreProbe, ...] = ()


def _all_probes(evidence: Evidence) -> tuple[ScoreProbe, ...]:
    return (*evidence.section(ScoreProbes).probes, *evidence.section(StreamProbes).probes)


def _judge_probes(prefix: str, check: str, hint: str, evidence: Evidence) -> CheckResult:
    sheet = Sheet(check, evidence)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    probes = [probe for probe in _all_probes(evidence) if probe.name.startswith(prefix)]
    if not probes:
        if found := without(check, evidence, Can.DECIDE):
            return found
        if evidence.faults:
            return sheet.not_judged(ended_before(evidence))
        hint_none = "run the probes of this case"
        sheet.add("scores given straight to the decide stage", "none were given", hint=hint_none)
    for probe in probes:
        if not _as_expected(evidence.case, probe):
            expected, observed = _decision_words(evidence.case, probe)
            sheet.add(
                expected,
                f"{observed}, for raw scores {list(probe.scores)}",
                vector=probe.name,
                stage="decide",
                hint=hint,
            )
    return sheet.result(numbers={"steps_compared": len(probes)})


def _as_expected(case: Case, probe: ScoreProbe) -> bool:
    """Every field of both decisions; the text wanted is the case's, whatever the probe was made with."""
    return probe.observed == replace(probe.expected, label=text_of(case, probe.expected.answer))


def _decision_words(case: Case, probe: ScoreProbe) -> tuple[str, str]:

    def words(decision: Decision, text: str) -> str:
        return (
            f"{answer_name(case, decision.answer)} ({reason_name(int(decision.reason))}), text {text!r}, "
            f"winner {decision.winner}, score {decision.score}"
        )

    return words(probe.expected, text_of(case, probe.expected.answer)), words(probe.observed, probe.observed.label)


CHECKS = (
    Check(
        "decision.threshold",
        "scores just above and just below the threshold",
        "decision = reference decision for every probe `threshold*`",
        has_decide,
        partial(
            _judge_probes,
            "threshold",
            "decision.threshold",
            "accepted only above the raw threshold: is the comparison signed, and `<=`?",
        ),
    ),
    Check(
        "decision.ties",
        "equal scores: the lowest index wins",
        "decision = reference decision for every probe `tie*`",
        lambda case: has_decide(case) and len(case.decide.labels) > 1,
        partial(
            _judge_probes,
            "tie",
            "decision.ties",
            "of equal scores the lowest index wins: compare with `>`, not `>=`",
        ),
    ),
    Check(
        "decision.stream",
        "sequences of scores that drive hysteresis, debounce and cooldown",
        "decision = reference decision for every step `stream*`",
        has_decide,
        partial(
            _judge_probes,
            "stream",
            "decision.stream",
            "follow the state active, candidate, run, cool in docs/pipeline.md from the first step that differs",
        ),
    ),
)
