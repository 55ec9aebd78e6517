"""Knows the decision contract: labels, every vector's answer and its reason, and the probes of the decide stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.blame import (
    Blame,
    Stage,
    blame,
    comparable,
    gate_differs,
    has_decide,
    ran,
    text_differs,
    winner_differs,
)
from hil.contract.ready import asked, refused, unready
from hil.contract.types import Check, CheckResult, Evidence, ScoreProbe
from hil.contract.verdict import Sheet, add_differences, number
from hil.records import Decision, DecisionReason, GateReason, Status


def _judge_parameters(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.parameters", evidence)
    add_differences(sheet, evidence, "decision", lambda _: "decide")
    return sheet.result()


def _judge_labels(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.labels", evidence)
    if reason := refused(evidence):
        return sheet.not_judged(reason)
    wanted, given = evidence.case.decide.labels, evidence.hello.labels
    if len(wanted) != len(given):
        sheet.add(f"{len(wanted)} labels: {', '.join(wanted)}", f"{len(given)}: {', '.join(given)}", hint=_LABELS_HINT)
    for index, (label, found) in enumerate(zip(wanted, given, strict=False)):
        if label != found:
            sheet.add(f"label {index} is {label!r}", repr(found), stage="decide", hint=_LABELS_HINT)
    return sheet.result(numbers={"labels": len(wanted)})


_LABELS_HINT = "the label file and the model's outputs are in different order, or the bundle is of another case"


def _judge_answer(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.answer", evidence)
    records, references = evidence.records, evidence.references
    misgated = gate_differs(evidence) & (
        (records.status == Status.DONE) != (references.gate == GateReason.VALID)
    )  # answered where it must reject, or the other way round
    wrong_text, wrong_winner = text_differs(evidence), winner_differs(evidence)
    wrong_answer = comparable(evidence) & (records.answer != references.answer)

    def describe(found: Blame, vector: int) -> None:
        expected, observed = _words(evidence, vector)
        if wrong_winner[vector] and not wrong_answer[vector] and not wrong_text[vector]:
            output = evidence.records.output[vector]
            expected = f"winner and score of the device's own output: {output.argmax()}, {output.max()}"
            observed = f"{records.winner[vector]}, {records.score[vector]}"
        sheet.add(
            expected,
            observed,
            vector=evidence.case.vectors.name(vector),
            stage=found.text(vector),
            hint=_answer_hint(found, vector, only_text=bool(wrong_text[vector] and not wrong_answer[vector])),
        )

    return _judge_vectors(sheet, evidence, wrong_answer | wrong_text | wrong_winner | misgated, describe)


def _judge_reject(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.reject", evidence)
    offending = comparable(evidence) & (evidence.records.reason != evidence.references.reason)

    def describe(found: Blame, vector: int) -> None:
        sheet.add(
            _reason_name(int(evidence.references.reason[vector])),
            f"{_reason_name(int(evidence.records.reason[vector]))} (winner {evidence.records.winner[vector]}, "
            f"raw score {evidence.records.score[vector]}, threshold {evidence.case.decide.threshold})",
            vector=evidence.case.vectors.name(vector),
            stage=found.text(vector),
            hint=_answer_hint(found, vector, only_text=False),
        )

    return _judge_vectors(sheet, evidence, offending, describe)


def _judge_vectors(
    sheet: Sheet, evidence: Evidence, offending: NDArray[np.bool_], describe: Callable[[Blame, int], None]
) -> CheckResult:
    """Findings for offending vectors on which nothing broke earlier; one finding for all the others."""
    population = comparable(evidence)
    if reason := unready(evidence) or ("" if offending.any() else asked(population, evidence)):
        return sheet.not_judged(reason)
    found = blame(evidence)
    clean = population & ~found.before_decide
    sheet.each(np.flatnonzero(offending & clean), lambda vector: describe(found, vector))
    sheet.blame_earlier(np.flatnonzero(offending & ~clean), found, "the reference's decision")
    numbers = {"vectors_compared": int(clean.sum()), "vectors_that_differ": int(offending.sum())}
    if not sheet.total and not clean.any():
        first = int(np.flatnonzero(population)[0])
        see = found.check(found.origin(first))
        return sheet.not_judged(f"an earlier contract broke on every vector: see {see}", numbers)
    return sheet.result(numbers=numbers)


def _answer_hint(found: Blame, vector: int, *, only_text: bool) -> str:
    if found.differs[vector] == Stage.INVOKE:
        return "the output is inside the LSB budget and still changes the decision: lower lsb, or move the threshold"
    if only_text:
        return "right index, wrong text: see decision.labels, then how the firmware looks the label up"
    return "same output, other decision: check winner, threshold and state of the decide stage (docs/pipeline.md)"


def _words(evidence: Evidence, vector: int) -> tuple[str, str]:
    """What was answered and what should have been, for a vector that reached the decide stage."""
    records, references, case = evidence.records, evidence.references, evidence.case
    text = records.label_texts[records.label[vector]] if records.label[vector] >= 0 else ""
    expected = _answer_name(case, int(references.answer[vector]))
    observed = _answer_name(case, int(records.answer[vector]))
    if text != _text(case, int(records.answer[vector])):
        observed = f"{observed}, with the text {text!r}"
    return (
        f"{expected} ({_reason_name(int(references.reason[vector]))})",
        f"{observed} ({_reason_name(int(records.reason[vector]))})",
    )


def _text(case: Case, answer: int) -> str:
    """The device's label text of an answer: empty when unknown."""
    return case.decide.labels[answer] if 0 <= answer < len(case.decide.labels) else ""


def _answer_name(case: Case, answer: int) -> str:
    if answer == -1:
        return case.decide.unknown
    return _text(case, answer) or f"label index {answer}"


def _reason_name(reason: int) -> str:
    names = {known.value: known.name.lower().replace("_", " ") for known in DecisionReason}
    return names.get(reason, f"unknown reason {reason}")


# ---- probes ----------------------------------------------------------------------------------------------------------


def _judge_probes(prefix: str, check: str, hint: str) -> Callable[[Evidence], CheckResult]:
    def judge(evidence: Evidence) -> CheckResult:
        sheet = Sheet(check, evidence)
        if reason := unready(evidence):
            return sheet.not_judged(reason)
        probes = [probe for probe in evidence.score_probes if probe.name.startswith(prefix)]
        if not probes:
            if evidence.faults:
                return sheet.not_judged("the run ended before: see execution.fault")
            hint_none = "run the probes of this case"
            sheet.add("scores given straight to the decide stage", "none were given", hint=hint_none)
        for probe in probes:
            expected, observed = _decision_words(evidence.case, probe)
            if expected != observed:
                sheet.add(
                    expected,
                    f"{observed}, for raw scores {list(probe.scores)}",
                    vector=probe.name,
                    stage="decide",
                    hint=hint,
                )
        return sheet.result(numbers={"steps_compared": len(probes)})

    return judge


def _decision_words(case: Case, probe: ScoreProbe) -> tuple[str, str]:
    """Every field of both decisions; the text wanted is the case's, whatever the probe was made with."""

    def words(decision: Decision, text: str) -> str:
        return (
            f"{_answer_name(case, decision.answer)} ({_reason_name(int(decision.reason))}), text {text!r}, "
            f"winner {decision.winner}, score {decision.score}"
        )

    return words(probe.expected, _text(case, probe.expected.answer)), words(probe.observed, probe.observed.label)


# ---- the same again --------------------------------------------------------------------------------------------------


def _judge_repeat(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.repeat", evidence)
    runs = evidence.replay_runs + evidence.pass_runs
    if reason := unready(evidence) or ("" if runs else "no vector was run twice: see execution.repeat"):
        return sheet.not_judged(reason)
    for difference in evidence.replay_differences:
        if difference.field == "decision":
            sheet.add(
                f"{_TUPLE} {difference.first}",
                f"{difference.again} in {difference.kind} {difference.attempt}, from the same output",
                vector=evidence.case.vectors.name(difference.vector),
                stage="decide",
                hint="decision state survives a fresh start: is all of active, candidate, run and cool cleared?",
            )
    return sheet.result(numbers={"runs_compared": runs})


_TUPLE = "winner, score, answer, reason"


# ---- accuracy --------------------------------------------------------------------------------------------------------


def _judge_accuracy(evidence: Evidence) -> CheckResult:
    limit = evidence.case.contracts.accuracy
    assert limit is not None  # applies() asks for it
    sheet = Sheet("decision.accuracy", evidence, limit)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    label = evidence.case.vectors.label
    population = _labelled(evidence)
    if label is None or not population.any():
        return sheet.not_judged("no vector with a true label ran")
    found = blame(evidence)
    right = (evidence.records.status == Status.DONE) & (evidence.records.answer == label)
    share = float(right[population].mean())
    reference = float((evidence.references.answer == label)[population].mean())
    numbers = {"vectors": int(population.sum()), "right": int(right[population].sum()), "reference": reference}
    if not limit.holds(share):
        broken = np.flatnonzero(population & ~right & found.before_decide)
        clean = population & ~found.before_decide
        if len(broken) and (not clean.any() or limit.holds(float(right[clean].mean()))):
            sheet.blame_earlier(broken, found, f"accuracy {limit}")
        else:
            same = "the reference is as inaccurate: the model, the threshold or the labels, not the device"
            sheet.add(
                f"accuracy {limit}",
                f"{number(share)} ({int(right[population].sum()):,} of {int(population.sum()):,})",
                stage="" if reference <= share else "decide",
                hint=same if reference <= share else f"the reference reaches {number(reference)}: see decision.answer",
            )
    return sheet.result(value=share, numbers=numbers)


def accuracy(
    evidence: Evidence, among: NDArray[np.bool_] | None = None, answers: NDArray[np.int32] | None = None
) -> float | None:
    """Share of right answers, limited or not; None when no vector with a true label ran.

    among: only over these vectors; answers: label indices [n] in place of the device's, -1 for none.
    """
    population = _labelled(evidence) if among is None else _labelled(evidence) & among
    if evidence.case.vectors.label is None or not has_decide(evidence.case) or not population.any():
        return None
    if answers is None:
        answers = np.where(evidence.records.status == Status.DONE, evidence.records.answer, -1)
    return float((answers == evidence.case.vectors.label)[population].mean())


def _labelled(evidence: Evidence) -> NDArray[np.bool_]:
    """Vectors that ran, have a true label and are not expected to be rejected."""
    vectors = evidence.case.vectors
    if vectors.label is None:
        return np.zeros(len(evidence.records), np.bool_)
    if vectors.reject is None:
        wanted = evidence.references.gate == GateReason.VALID
    else:
        wanted = np.fromiter((not reason for reason in vectors.reject), np.bool_, len(vectors.reject))
    labelled: NDArray[np.bool_] = (vectors.label >= 0) & wanted & ran(evidence.records)
    return labelled


def _always(_: Case) -> bool:
    return True


CHECKS = (
    Check(
        "decision.parameters",
        "parameters of the decide stage in the provisioned bundle",
        "bundle.decide = decide of the case",
        _always,
        _judge_parameters,
    ),
    Check(
        "decision.labels",
        "label texts of the device, in order",
        "hello.labels = decision.labels",
        _always,
        _judge_labels,
    ),
    Check(
        "decision.answer",
        "label index and label text of every vector against the reference's decision on the reference's output",
        "answer = reference answer and text = label[answer] and (winner, score) = highest of the device's output",
        _always,
        _judge_answer,
    ),
    Check(
        "decision.reject",
        "why every vector was accepted or not",
        "reason = reference reason",
        _always,
        _judge_reject,
    ),
    Check(
        "decision.repeat",
        "the same output gives the same decision in every run of a vector",
        "decisions that differ over runs with the same output = 0",
        lambda case: has_decide(case) and (case.contracts.replays > 1 or case.contracts.passes > 1),
        _judge_repeat,
    ),
    Check(
        "decision.threshold",
        "scores just above and just below the threshold",
        "decision = reference decision for every probe `threshold*`",
        has_decide,
        _judge_probes(
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
        _judge_probes("tie", "decision.ties", "of equal scores the lowest index wins: compare with `>`, not `>=`"),
    ),
    Check(
        "decision.stream",
        "sequences of scores that drive hysteresis, debounce and cooldown",
        "decision = reference decision for every step `stream*`",
        has_decide,
        _judge_probes(
            "stream",
            "decision.stream",
            "follow the state active, candidate, run, cool in docs/pipeline.md from the first step that differs",
        ),
    ),
    Check(
        "decision.accuracy",
        "share of right answers over vectors with a true label that are not expected to be rejected",
        "vectors with answer = label / vectors with a label",
        lambda case: case.contracts.accuracy is not None,
        _judge_accuracy,
    ),
)
