"""Knows how often the answers are right, over vectors with a true label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Limit
from hil.contract import agreement
from hil.contract.alone import real_answers
from hil.contract.blame import blame, has_decide, ran
from hil.contract.causes import guess
from hil.contract.causes.answers import Answers, mostly_permuted
from hil.contract.ready import unready
from hil.contract.types import Check, CheckResult, Evidence, Outcome
from hil.contract.verdict import Sheet, number
from hil.records import GateReason, Status


def _judge_accuracy(evidence: Evidence) -> CheckResult:
    limit = evidence.case.contracts.accuracy
    assert limit is not None  # applies() asks for it
    sheet = Sheet("decision.accuracy", evidence, limit)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    label = evidence.case.vectors.label
    population = labelled(evidence)
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
            stage, hint = _cause(evidence, limit, population, share, reference)
            observed = f"{number(share)} ({int(right[population].sum()):,} of {int(population.sum()):,})"
            sheet.add(f"accuracy {limit}", observed, stage=stage, hint=hint)
    return sheet.result(value=share, numbers=numbers)


def _cause(
    evidence: Evidence, limit: Limit, population: NDArray[np.bool_], share: float, reference: float
) -> tuple[str, str]:
    """Stage and hint of an accuracy that nothing before the decide stage explains."""
    if reference > share:
        return "decide", f"the reference reaches {number(reference)}: see decision.answer"
    label = evidence.case.vectors.label
    assert label is not None  # without one nothing is judged
    answers = Answers(
        label[population].astype(np.int32), evidence.records.answer[population], evidence.case.decide.labels
    )
    if cause := guess((mostly_permuted,), answers):
        return "", f"looks like {cause}: is the `label` column in the order of decision.labels?"
    references = evidence.references
    real, tensor = (
        _real_share(evidence, scores, population) for scores in (references.float_chain, references.float_output)
    )
    if real is None or not limit.holds(real):
        return "", "the reference is as inaccurate: the model, the threshold or the labels, not the device"
    lost = f"the float model reaches {number(real)}, the int8 oracle {number(reference)}"
    broken = [
        check.id
        for check in agreement.CHECKS
        if check.applies(evidence.case) and check.judge(evidence).outcome is Outcome.FAILED
    ]
    if broken:
        return "", f"agreement is lost with it: {lost}; see {broken[0]}"
    where = "quantisation" if tensor is None or limit.holds(tensor) else "the input, on its way to the prepared tensor"
    return "", f"lost in {where}: {lost}; no figure in [contract.agreement] of the case says so"


def _real_share(evidence: Evidence, scores: NDArray[np.float32] | None, population: NDArray[np.bool_]) -> float | None:
    """Accuracy of the float model by its scores [n, labels], each vector decided alone; None without one."""
    label = evidence.case.vectors.label
    if scores is None or label is None or evidence.case.decide.own:
        return None
    answers = real_answers(evidence.case, scores.astype(np.float64))
    return float((answers == label)[population].mean())


def accuracy(
    evidence: Evidence, among: NDArray[np.bool_] | None = None, answers: NDArray[np.int32] | None = None
) -> float | None:
    """Share of right answers, limited or not; None when no vector with a true label ran.

    among: only over these vectors; answers: label indices [n] in place of the device's, -1 for none.
    """
    population = labelled(evidence) if among is None else labelled(evidence) & among
    if evidence.case.vectors.label is None or not has_decide(evidence.case) or not population.any():
        return None
    if answers is None:
        answers = np.where(evidence.records.status == Status.DONE, evidence.records.answer, -1)
    return float((answers == evidence.case.vectors.label)[population].mean())


def labelled(evidence: Evidence) -> NDArray[np.bool_]:
    """Vectors that ran, have a true label and are not expected to be rejected."""
    vectors = evidence.case.vectors
    if vectors.label is None:
        return np.zeros(len(evidence.records), np.bool_)
    if vectors.reject is None:
        wanted = evidence.references.gate == GateReason.VALID
    else:
        wanted = np.fromiter((not reason for reason in vectors.reject), np.bool_, len(vectors.reject))
    counted: NDArray[np.bool_] = (vectors.label >= 0) & wanted & ran(evidence.records)
    return counted


CHECKS = (
    Check(
        "decision.accuracy",
        "share of right answers over vectors with a true label that are not expected to be rejected",
        "vectors with answer = label / vectors with a label",
        lambda case: case.contracts.accuracy is not None,
        _judge_accuracy,
    ),
)
