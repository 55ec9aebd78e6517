"""Knows the decision contract: labels, every vector's answer and its reason, and the probes of the decide stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Limit
from hil.contract.blame import (
    Blame,
    Stage,
    blame,
    carriers,
    decidable,
    faulted,
    gate_differs,
    has_decide,
    score_differs,
    text_differs,
    winner_differs,
    winners,
)
from hil.contract.causes import ANSWERS, guess
from hil.contract.causes.answers import Answers, permuted
from hil.contract.ready import asked, refused, unready
from hil.contract.repeats import Repeats, not_repeated, run_differences
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, add_differences, number, plural
from hil.records import Can, DecisionReason, GateReason, Status


def _judge_parameters(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.parameters", evidence)
    add_differences(sheet, evidence, "decision", lambda _: "decide")
    return sheet.result()


def _judge_labels(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.labels", evidence)
    if reason := refused(evidence):
        return sheet.not_judged(reason)
    wanted, given = evidence.case.decide.labels, evidence.hello.labels
    if not given and not evidence.hello.can & Can.BUNDLE:
        return sheet.not_judged("the firmware does not tell its labels", hint="give labels in describe (docs/agent.md)")
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
    wrong_answer = decidable(evidence) & (records.answer != references.answer)
    looks_like = _looks_like(evidence) if (wrong_answer | wrong_text).any() else ""

    def describe(found: Blame, vector: int) -> None:
        expected, observed = _words(evidence, vector)
        if wrong_winner[vector] and not wrong_answer[vector] and not wrong_text[vector]:
            winner, score = winners(evidence.case, evidence.records.output[vector : vector + 1])
            expected = f"winner and score of the device's own output: {winner[0]}, {score[0]}"
            observed = f"{records.winner[vector]}, {records.score[vector]}"
        sheet.add(
            expected,
            observed,
            vector=evidence.case.vectors.name(vector),
            stage=found.text(vector),
            hint=looks_like
            or _answer_hint(
                found, vector, evidence.case, only_text=bool(wrong_text[vector] and not wrong_answer[vector])
            ),
        )

    return _judge_vectors(sheet, evidence, wrong_answer | wrong_text | wrong_winner | misgated, describe)


def _looks_like(evidence: Evidence) -> str:
    """What all answers, or all their texts, have in common where nothing broke before; "" for nothing known."""
    found, records, labels = blame(evidence), evidence.records, evidence.case.decide.labels
    rows = decidable(evidence) & ~found.before_decide & (found.differs != Stage.INVOKE)
    wanted, given = evidence.references.answer[rows], records.answer[rows]
    if cause := guess(ANSWERS, Answers(wanted, given, labels)):
        return f"looks like {cause}: is the label map of the firmware in the order of the model's outputs?"
    numbers = {text: index for index, text in enumerate(labels)}
    told = np.array([*(numbers.get(text, -2) for text in records.label_texts), -1], np.int32)[records.label[rows]]
    if (told == -2).any():  # a text that is no label
        return ""
    cause = guess((permuted,), Answers(wanted, told, labels))
    return (
        f"looks like {cause}, by its text alone: see decision.labels, then how the text is looked up" if cause else ""
    )


def _judge_reject(evidence: Evidence) -> CheckResult:
    sheet = Sheet("decision.reject", evidence)
    offending = decidable(evidence) & (evidence.records.reason != evidence.references.reason)

    def describe(found: Blame, vector: int) -> None:
        sheet.add(
            reason_name(int(evidence.references.reason[vector])),
            f"{reason_name(int(evidence.records.reason[vector]))} (winner {evidence.records.winner[vector]}, "
            f"raw score {evidence.records.score[vector]}, threshold {evidence.case.decide.threshold})",
            vector=evidence.case.vectors.name(vector),
            stage=found.text(vector),
            hint=_answer_hint(found, vector, evidence.case),
        )

    return _judge_vectors(sheet, evidence, offending, describe)


def _judge_score(evidence: Evidence) -> CheckResult:
    wanted, tolerance = evidence.case.vectors.score, evidence.case.contracts.score_tolerance
    sheet = Sheet("decision.score", evidence, Limit(maximum=tolerance))
    if wanted is None:
        why = "the case does not say which score this decide stage should tell"
        return sheet.not_judged(why, hint="add an array 'score' to the vectors (docs/case-format.md)")
    records = evidence.records

    def describe(found: Blame, vector: int) -> None:
        sheet.add(
            f"score {number(float(wanted[vector]))}, off by at most {number(tolerance)}",
            number(int(records.score[vector])),
            vector=evidence.case.vectors.name(vector),
            stage=found.text(vector),
            hint="compare the decide stage with what made `score` in the vectors, its unit first",
        )

    return _judge_vectors(sheet, evidence, score_differs(evidence), describe)


def _judge_vectors(
    sheet: Sheet, evidence: Evidence, offending: NDArray[np.bool_], describe: Callable[[Blame, int], None]
) -> CheckResult:
    """Findings for offending vectors on which nothing broke earlier; one finding for all the others."""
    population = decidable(evidence)
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


def _answer_hint(found: Blame, vector: int, case: Case, only_text: bool = False, looks_like: str = "") -> str:
    if found.differs[vector] == Stage.INVOKE:
        return "the output is inside its budget and still changes the decision: lower that, or move the threshold"
    if looks_like:
        return looks_like
    if only_text:
        return "right index, wrong text: see decision.labels, then how the firmware looks the label up"
    if case.decide.own:
        return "same output, other answer than the case expects: check the decide stage, and the array `answer`"
    return "same output, other decision: check winner, threshold and state of the decide stage (docs/pipeline.md)"


def _words(evidence: Evidence, vector: int) -> tuple[str, str]:
    """What was answered and what should have been, for a vector that reached the decide stage."""
    records, references, case = evidence.records, evidence.references, evidence.case
    text = records.label_texts[records.label[vector]] if records.label[vector] >= 0 else ""
    expected = answer_name(case, int(references.answer[vector]))
    observed = answer_name(case, int(records.answer[vector]))
    if text != text_of(case, int(records.answer[vector])):
        observed = f"{observed}, with the text {text!r}"
    return (
        f"{expected} ({reason_name(int(references.reason[vector]))})",
        f"{observed} ({reason_name(int(records.reason[vector]))})",
    )


def text_of(case: Case, answer: int) -> str:
    """The device's label text of an answer: empty when unknown."""
    return case.decide.labels[answer] if 0 <= answer < len(case.decide.labels) else ""


def answer_name(case: Case, answer: int) -> str:
    if answer == -1:
        return case.decide.unknown
    return text_of(case, answer) or f"label index {answer}"


_REASONS = {known.value: known.name.lower().replace("_", " ") for known in DecisionReason}


def reason_name(reason: int) -> str:
    return _REASONS.get(reason, f"unknown reason {reason}")


# ---- the same again --------------------------------------------------------------------------------------------------


def _judge_repeat(evidence: Evidence) -> CheckResult:
    sheet, repeats = Sheet("decision.repeat", evidence), evidence.section(Repeats)
    runs = repeats.replay_runs + repeats.pass_runs
    if reason := unready(evidence) or ("" if runs else "no vector was run twice: see execution.repeat"):
        return sheet.not_judged(reason)
    origin = _did_not_repeat_before(evidence)
    explained: dict[str, list[int]] = {}
    for difference in run_differences(evidence):
        if difference.field != "decision":
            continue
        if (first := int(origin[difference.vector])) >= 0:
            explained.setdefault(not_repeated(evidence, first), []).append(difference.vector)
            continue
        sheet.add(
            f"{_TUPLE} {difference.first}",
            f"{difference.again} {difference.place}, from the same output",
            vector=evidence.case.vectors.name(difference.vector),
            stage="decide",
            hint="decision state survives a fresh start: is all of active, candidate, run and cool cleared?",
        )
    for check, vectors in explained.items():
        sheet.add(
            "the same decision in every run",
            f"{plural(len(vectors), 'run')} decided otherwise, but an earlier contract broke first there",
            vector=evidence.case.vectors.name(vectors[0]),
            hint=f"execution broke first on {evidence.case.vectors.name(int(origin[vectors[0]]))}: see {check}",
        )
    return sheet.result(numbers={"runs_compared": runs})


def _did_not_repeat_before(evidence: Evidence) -> NDArray[np.intp]:
    """For each vector the first of its stream, up to this one, that broke or came out otherwise in one of its runs, so
    that the decision state did not repeat either; -1 for none.
    """
    bad = faulted(evidence)
    bad[[each.vector for each in run_differences(evidence) if each.field not in ("decision", "ticks")]] = True
    return carriers(bad, evidence.case.vectors.sequence)


_TUPLE = "winner, score, answer, reason, text"


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
        "decision.score",
        "score of every vector, as a decide stage of the product's own tells it, against the one that the case expects",
        "|score - expected score| <= score_tolerance",
        lambda case: case.decide.own,
        _judge_score,
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
)
