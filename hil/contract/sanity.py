"""Knows what is plainly odd about a model or its vectors, limits or not. What it sees is marginal, never a failure: the
device does what the model says, and a person should look at the model.

All of it is seen in the references, so that a defect of the device is told once, by the contracts that are for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.alone import Answers, raw_answers, real_answers
from hil.contract.blame import blocks, has_decide
from hil.contract.input import clipped_shares, input_cure
from hil.contract.latency import distinct_windows
from hil.contract.look import Look, Rows, judge_look
from hil.contract.tensors import INPUTS, OUTPUTS
from hil.contract.types import Check, Evidence
from hil.contract.verdict import number, plural

MOST_CLIPPED = 0.25  # of the elements of one channel; calibrated on a third of the range, Gaussian data lose 32 %
MOST_ON_RAILS = 0.5  # the same of a tensor/1, where an element at -128 or 127 may be what it should be
MOST_OF_ONE_WINDOW = 0.5  # of all vectors
_COUNTED = 2.0**53  # steps, up to which they are whole numbers
STILL_LSB = 1  # an output that moves no more than this is constant
MOVING_LSB = 16  # a float model whose outputs move by this much is not
ENOUGH_WINDOWS = 8  # different ones, after which a constant output is odd whatever the float model says
ENOUGH_OF_A_CLASS = 5  # vectors: never answered, its recall is below 1/2 (1 - 0.05^(1/5) = 0.45)
CONFIDENCE = 0.95  # one-sided, of the bound that an accuracy is told from chance by
_NAMED = 4  # classes that one sentence names


# ---- windows ---------------------------------------------------------------------------------------------------------


def _identical_windows(evidence: Evidence, rows: Rows) -> Look:
    group = distinct_windows(evidence.case.vectors.joined(rows))
    sequence = evidence.case.vectors.sequence
    stream = np.full(len(rows), -1) if sequence is None else sequence[rows]
    alone = np.where(stream < 0, np.arange(len(rows)), -1)  # a stream may hold one window to drive the decide stage
    counted = np.unique(np.stack([group, stream, alone]), axis=1)[0]
    counts = np.bincount(counted)
    most, different = int(counts.max()), len(counts)
    odd = ""
    if different == 1 and len(rows) > 1:
        odd = f"all {len(rows):,} windows are the same, byte for byte"
    elif most > MOST_OF_ONE_WINDOW * len(counted):
        odd = f"{most:,} of {plural(len(counted), 'window')} are the same, byte for byte"
    return Look(
        most / len(counted),
        odd=odd if len(rows) > 1 else "",
        hint="look at how the vectors are made: what they show they show once",
        numbers={"windows": len(rows), "different": different, "most_of_one": most},
    )


def _saturated_input(evidence: Evidence, rows: Rows) -> Look:
    """Cut by the clamp, on the channel where it is most; of a tensor/1, where nobody knows, over all elements."""
    if evidence.case.model.input.element.real:
        return Look(0.0, little="a float32 input has no ends at which it saturates")
    case, shares = evidence.case, clipped_shares(evidence.case, rows)
    worst, overall = int(shares.argmax()), float(shares.mean())
    numbers = {"of_all_elements": overall, "worst_channel": worst}
    told = f"{_percent(overall)} of the input is saturated: the model cannot see these values"
    if case.prepare.id == "tensor":
        odd = told if overall > MOST_ON_RAILS else ""
        return Look(overall, odd=odd, hint=input_cure(case), numbers=numbers)
    share = float(shares[worst])
    where = f"; of channel {worst} {_percent(share)}" if len(shares) > 1 else ""
    odd = f"{told}{where}" if share > MOST_CLIPPED else ""
    return Look(share, odd=odd, hint=input_cure(case), numbers=numbers)


# ---- outputs ---------------------------------------------------------------------------------------------------------


def _constant_output(evidence: Evidence, rows: Rows) -> Look:
    different = len(np.unique(distinct_windows(evidence.case.vectors.joined(rows))))
    moves = _moves(evidence.references.output, rows) / _step(evidence, rows)
    moves, unit = round(moves) if moves < _COUNTED else moves, evidence.case.model.output.element.step
    floats = _float_moves(evidence, rows)
    numbers: dict[str, float | int | str] = {"different_windows": different, f"outputs_move_{unit.lower()}": moves}
    if floats is not None:
        numbers[f"float_outputs_move_{unit.lower()}"] = floats
    if moves > STILL_LSB:
        return Look(moves, unit, numbers=numbers)
    truth, right = _known(evidence, rows), 0
    classes = len(np.unique(truth[truth >= 0]))
    if classes == 1 and has_decide(evidence.case):
        right = int((raw_answers(evidence.case, evidence.references.output[rows]) == truth).sum())
    apart = _why_apart(different, classes, right == len(rows), floats, unit)
    if not apart:
        little = f"{plural(different, 'different window')}: an output that does not move says nothing yet"
        return Look(moves, unit, little=little, numbers=numbers)
    output = evidence.references.output[rows[0]]
    shown = ", ".join(str(value) for value in output[:8].tolist()) + (", ..." if len(output) > 8 else "")
    same = "one output" if moves == 0 else f"one output within {number(moves)} {unit}"
    return Look(
        moves,
        unit,
        odd=f"{same} for {plural(different, 'different window')}: {shown}; {apart}",
        hint=_constant_hint(floats),
        numbers=numbers,
    )


def _why_apart(different: int, classes: int, all_right: bool, floats: float | None, unit: str) -> str:
    """Why outputs of these windows should differ, "" when they need not."""
    if different < 2 or all_right:
        return ""
    if classes > 1:
        return f"their labels are of {classes} classes"
    if floats is not None and floats >= MOVING_LSB:
        return f"the float model's outputs move by {number(round(floats))} {unit}"
    return "no window makes a difference" if different >= ENOUGH_WINDOWS else ""


def _constant_hint(floats: float | None) -> str:
    if floats is None:
        return "look at the model: are its weights zero, is its input used, was it trained?"
    if floats >= MOVING_LSB:
        return "the float model does see them: look at the conversion, its calibration data first"
    return "the float model does not see them either: look at the training, or take windows that differ"


def _float_moves(evidence: Evidence, rows: Rows) -> float | None:
    """How far an output of the float model moves at most over these windows, in steps of the device's output."""
    scores, output = evidence.references.float_chain, evidence.case.model.output
    if scores is None or not np.isfinite(scores).all():
        return None
    if output.element.real:
        return _moves(scores, rows) / _step(evidence, rows)
    return _moves(scores, rows) / output.quantisation.scale if output.quantisation.scale > 0 else None


def _step(evidence: Evidence, rows: Rows) -> float:
    """What a raw output moves by at least: 1, of float32 an ULP of the largest output of the oracle."""
    if not evidence.case.model.output.element.real:
        return 1.0
    parts = [np.abs(evidence.references.output[block]) for block in blocks(rows, evidence.references.output.shape[1])]
    largest = max(float(part[np.isfinite(part)].max(initial=0.0)) for part in parts)
    return float(np.spacing(np.float32(largest)))


def _moves(column: NDArray[Any], rows: Rows) -> float:
    """Largest max - min of an element over these rows, as far as they are numbers."""
    parts = [column[block] for block in blocks(rows, column.shape[1])]
    high = np.fmax.reduce([np.fmax.reduce(part) for part in parts]).astype(np.float64)
    low = np.fmin.reduce([np.fmin.reduce(part) for part in parts]).astype(np.float64)
    with np.errstate(invalid="ignore"):  # between infinities
        return float(np.fmax.reduce(high - low, initial=0.0))


# ---- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Truth:
    """What answers are held to: `labels` of the vectors `rows`, and whose word that is."""

    rows: Rows
    labels: Answers
    word: str
    told: bool  # by the case


def _known(evidence: Evidence, rows: Rows) -> Answers:
    """The true label of each of these vectors, -1 where there is none."""
    label = evidence.case.vectors.label
    return np.full(len(rows), -1) if label is None else label[rows].astype(np.intp)


def _truth(evidence: Evidence, rows: Rows) -> _Truth:
    """The true labels; without any what the float model answers, where it does."""
    known = _known(evidence, rows)
    if (known >= 0).any():
        return _Truth(rows[known >= 0], known[known >= 0], "true label", told=True)
    scores = evidence.references.float_chain
    assert scores is not None  # the case has labels or a float model
    answers = real_answers(evidence.case, scores[rows].astype(np.float64))
    return _Truth(rows[answers >= 0], answers[answers >= 0], "answer of the float model", told=False)


def _chance_accuracy(evidence: Evidence, rows: Rows) -> Look:
    truth = _truth(evidence, rows)
    case, n = evidence.case, len(truth.rows)
    answers = raw_answers(case, evidence.references.output[truth.rows])
    right, classes = int((answers == truth.labels).sum()), len(case.decide.labels)
    shares = np.bincount(truth.labels, minlength=classes) / max(1, n)
    given = np.bincount(answers[answers >= 0], minlength=classes) / max(1, n)
    chance, frequent = float(shares @ given), int(shares.argmax())
    numbers = {"vectors": n, "right": right, "chance": chance, "most_frequent_class": float(shares[frequent])}
    accuracy = right / max(1, n)
    if float(shares @ shares) ** n > 1 - CONFIDENCE:
        little = f"{plural(n, 'vector')} with a {truth.word}: too few of too few classes to tell from chance"
        return Look(accuracy, little=little, numbers=numbers)
    if not at_chance(right, n, chance):
        return Look(accuracy, numbers=numbers)
    label = case.decide.labels[frequent]
    return Look(
        accuracy,
        odd=f"accuracy {_percent(accuracy)} over {plural(n, 'vector')} with a {truth.word} is no better than chance: "
        f"{_percent(chance)} without a look at the window, {_percent(float(shares[frequent]))} with always {label!r}",
        hint=_answers_hint(evidence, truth),
        numbers=numbers,
    )


def at_chance(right: int, n: int, chance: float) -> bool:
    """Whether `right` of n answers cannot be told from answers that are drawn without looking at the window.

    chance: what those would reach, sum over classes of (share of the label) * (share of the answer). At chance when the
    one-sided exact binomial test does not reject it, P[Binomial(n, chance) >= right] > 0.05, and right / n is nearer
    to chance than to 1 (few vectors reject nothing).
    """
    if right == 0:
        return True
    if right / n >= (1 + chance) / 2:
        return False
    from scipy.special import bdtrc  # not at module level: a case whose model works does not pay for it

    return bool(bdtrc(right - 1, n, chance) > 1 - CONFIDENCE)


def _unanswered_class(evidence: Evidence, rows: Rows) -> Look:
    truth, case = _truth(evidence, rows), evidence.case
    classes = len(case.decide.labels)
    answers = raw_answers(case, evidence.references.output[rows])
    vectors = np.bincount(truth.labels, minlength=classes)
    given = np.bincount(answers[answers >= 0], minlength=classes)
    missing = np.flatnonzero((vectors >= ENOUGH_OF_A_CLASS) & (given == 0))
    numbers = {"vectors": len(truth.rows), "classes": int((vectors > 0).sum()), "never_answered": len(missing)}
    little = "" if (vectors >= ENOUGH_OF_A_CLASS).any() else f"no class has {ENOUGH_OF_A_CLASS} vectors"
    odd = ""
    if len(missing):
        named = [f"{case.decide.labels[label]!r} ({plural(int(vectors[label]), 'vector')})" for label in missing]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        odd = f"never answered on {plural(len(rows), 'window')}: {', '.join(named[:_NAMED])}{more}, by the {truth.word}"
    return Look(
        float(len(missing)), "classes", odd=odd, hint=_answers_hint(evidence, truth), little=little, numbers=numbers
    )


def _answers_hint(evidence: Evidence, truth: _Truth) -> str:
    """Where to look first: what the float model reaches tells training from conversion."""
    case, scores = evidence.case, evidence.references.float_chain
    answers = raw_answers(case, evidence.references.output[truth.rows])
    if (answers < 0).all():
        return f"every answer is {case.decide.unknown!r}: look at the outputs, then at the threshold"
    if not truth.told:
        return "the float model answers otherwise: look at the conversion, its calibration data first"
    if scores is None:
        return "look at the order of the labels, then at the training"
    reached = float((real_answers(case, scores[truth.rows].astype(np.float64)) == truth.labels).mean())
    lost = reached - float((answers == truth.labels).mean())
    where = (
        "the conversion, its calibration data first" if lost > reached / 2 else "the order of the labels, the training"
    )
    return f"the float model reaches {_percent(reached)} on the same windows: look at {where}"


def _percent(share: float) -> str:
    return f"{number(round(100 * share, 1))} %"


# ---- the checks ------------------------------------------------------------------------------------------------------


def _always(_: Case) -> bool:
    return True


def _has_truth(case: Case) -> bool:
    """Whether something says what the answers should be: true labels, or a float model."""
    label = case.vectors.label
    return case.float_model is not None or (label is not None and bool((label >= 0).any()))


def _answers_can_be_held(case: Case) -> bool:
    return has_decide(case) and _has_truth(case)


CHECKS = (
    Check(
        "sanity.identical_windows",
        "vectors that are one window again and again",
        "vectors of the most frequent window / vectors > 1/2",
        _always,
        partial(judge_look, "identical_windows", _identical_windows),
    ),
    Check(
        "sanity.saturated_input",
        "input that the clamp of prepare cuts, on the channel where it is most",
        "elements whose real value the type cannot show / those of the channel > 1/4 (tensor/1: of all elements > 1/2)",
        _has_truth,
        partial(judge_look, "saturated_input", _saturated_input, side=INPUTS),
    ),
    Check(
        "sanity.constant_output",
        "outputs that do not depend on the window",
        "max - min of each output of the oracle over all windows <= 1 LSB (float32: ULP of the largest)",
        _has_truth,
        partial(judge_look, "constant_output", _constant_output, side=OUTPUTS),
    ),
    Check(
        "sanity.chance_accuracy",
        "answers that know no more of the label than chance",
        "P[Binomial(n, c) >= right] > 0.05 and right / n < (1 + c) / 2, c = sum of share(label) * share(answer)",
        _answers_can_be_held,
        partial(judge_look, "chance_accuracy", _chance_accuracy),
    ),
    Check(
        "sanity.unanswered_class",
        "classes that are never answered",
        "labels of 5 vectors or more that the oracle answers on no window > 0",
        _answers_can_be_held,
        partial(judge_look, "unanswered_class", _unanswered_class),
    ),
)
