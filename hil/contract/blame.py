"""Knows where device and reference part: the first stage that differs on each vector, and what that explains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.distance import Allowance, allowed
from hil.contract.tensors import output_views
from hil.contract.types import Evidence
from hil.records import GateReason, RunRecords, Status
from hil.reference.decide import best
from hil.tensor import Elements, steps_between

Mask = NDArray[np.bool_]
BLOCK_ELEMENTS = 1 << 20  # how much of a large column is widened at a time


class Stage(IntEnum):
    """First stage that differs. MISSING: the vector was not run, so nothing is known of it."""

    NONE = 0
    GATE = 1
    PREPARE = 2
    INVOKE = 3
    DECIDE = 4
    FAULT = 5
    MISSING = 6


_CHECK = {
    Stage.GATE: "input.gate",
    Stage.PREPARE: "input.prepared",
    Stage.INVOKE: "execution.output",
    Stage.DECIDE: "decision.answer",
    Stage.FAULT: "execution.fault",
    Stage.MISSING: "execution.complete",
}
_NO_RECORD = (Status.FAULT, Status.RESET, Status.HANG)
_BEFORE_INVOKE = (Stage.GATE, Stage.PREPARE)


@dataclass(frozen=True)
class Blame:
    """Per vector [n]: `differs`, the first stage with any difference; `broken`, the first that breaks its contract.

    They part only on outputs inside the budget of the case. `carrier` is the first vector of the same stream, up to
    this one, on which something before the decide stage broke (decision state carries it on); -1 without one.
    """

    status: NDArray[np.uint8]
    differs: NDArray[np.uint8]
    broken: NDArray[np.uint8]
    carrier: NDArray[np.intp]
    spoilt: Mask  # what the model keeps comes from a window of the stream on which gate or prepare broke, or a fault

    def text(self, vector: int) -> str:
        """The first stage that differs, as findings name it: "", gate, prepare, invoke, decide or fault."""
        stage = Stage(int(self.differs[vector]))
        return "" if stage in (Stage.NONE, Stage.MISSING) else stage.name.lower()

    def origin(self, vector: int) -> int:
        """Where to look for what broke before the decide stage: this vector, or the first of its stream that broke."""
        here = self.broke_here[vector] and not self.spoilt[vector]
        return vector if here or self.carrier[vector] < 0 else int(self.carrier[vector])

    def check(self, vector: int) -> str:
        """The check that reports what broke on this vector; "" when nothing did."""
        if self.status[vector] in (Status.PREPARE_FAILED, Status.INVOKE_FAILED, Status.NO_BUNDLE):
            return "execution.complete"
        return _CHECK.get(Stage(int(self.broken[vector])), "")

    @property
    def broke_here(self) -> Mask:
        """Vectors on which a stage before decide broke its contract, or that have no record."""
        return _before_decide(self.broken)

    @property
    def broke(self) -> Mask:
        """Vectors on which any stage broke its contract, or that have no record."""
        mask: Mask = self.broken != Stage.NONE
        return mask

    @property
    def before_invoke(self) -> Mask:
        """Vectors whose output cannot be blamed on the invoke stage: gate or prepare broke, here or, where the model
        keeps state, earlier in the stream.
        """
        mask: Mask = np.isin(self.broken, _BEFORE_INVOKE) | self.spoilt
        return mask

    @property
    def before_decide(self) -> Mask:
        """Vectors whose answer is not the decide stage's alone: something broke earlier, here or in their stream."""
        return self.carrier >= 0


def blame(evidence: Evidence) -> Blame:
    """Find the first stage that differs on every vector of the run."""
    status = evidence.records.status
    gate, prepared, decided = gate_differs(evidence), prepared_differs(evidence), decision_differs(evidence)
    views = output_views(evidence)
    beyond = _any(outputs_beyond(view, allowed(view.case)) for view in views)
    different = _any(outputs_beyond(view, Allowance(view.case.model.output.element, 0)) for view in views)

    fell = faulted(evidence)

    def first(off: Mask) -> NDArray[np.uint8]:
        stages = np.zeros(len(status), np.uint8)
        stages[decided] = Stage.DECIDE
        stages[fell] = Stage.FAULT  # behind its record, or in another run: what broke in the record came before
        stages[off] = Stage.INVOKE
        stages[prepared] = Stage.PREPARE
        stages[status == Status.INVOKE_FAILED] = Stage.INVOKE
        stages[status == Status.PREPARE_FAILED] = Stage.PREPARE
        stages[gate] = Stage.GATE
        stages[np.isin(status, (Status.NOT_RUN, Status.NO_BUNDLE))] = Stage.MISSING
        return stages

    broken, sequence = first(beyond), evidence.case.vectors.sequence
    lost = np.isin(broken, (*_BEFORE_INVOKE, Stage.FAULT))
    spoilt = (carriers(lost, sequence) >= 0) & ~lost if evidence.case.keeps_state else np.zeros(len(status), np.bool_)
    return Blame(status, first(different), broken, carriers(_before_decide(broken), sequence), spoilt)


def _any(masks: Iterable[Mask]) -> Mask:
    mask: Mask = np.logical_or.reduce(list(masks))
    return mask


def faulted(evidence: Evidence) -> Mask:
    """Vectors on which a fault, reset or hang was noted, in whatever run; most have no record of the first pass."""
    mask = np.isin(evidence.records.status, _NO_RECORD)
    mask[[fault.vector for fault in evidence.faults if fault.vector >= 0]] = True
    return mask


def done(records: RunRecords) -> Mask:
    """Vectors that went through the whole pipeline."""
    mask: Mask = records.status == Status.DONE
    return mask


def ran(records: RunRecords) -> Mask:
    """Vectors that the device has a verdict on: done, or rejected by its gate."""
    mask: Mask = np.isin(records.status, (Status.DONE, Status.REJECTED))
    return mask


def comparable(evidence: Evidence) -> Mask:
    """Vectors with a tensor and an output on both sides: done by the device, valid to the reference, which knows what
    the tensor should be.
    """
    known = evidence.references.unknown
    mask: Mask = _done_and_valid(evidence) if known is None else _done_and_valid(evidence) & ~known
    return mask


def unknown(evidence: Evidence) -> Mask:
    """Vectors that the device did, and of which nobody knows what it should have computed: the front end is its own."""
    rows = evidence.references.unknown
    mask: Mask = np.zeros(len(evidence.records), np.bool_) if rows is None else rows & _done_and_valid(evidence)
    return mask


def decidable(evidence: Evidence) -> Mask:
    """Vectors on which an answer is expected: those that can be compared, and of a decide stage of the product's own
    also those of which only the answer is known.
    """
    return _done_and_valid(evidence) if evidence.case.decide.own else comparable(evidence)


def _done_and_valid(evidence: Evidence) -> Mask:
    mask: Mask = done(evidence.records) & (evidence.references.gate == GateReason.VALID)
    return mask


def gate_differs(evidence: Evidence) -> Mask:
    """The gate's verdict is not the reference's; a rejection without a reason is never right."""
    records = evidence.records
    reasonless = (records.status == Status.REJECTED) & (records.gate == GateReason.VALID)
    passed = np.isin(records.status, (Status.DONE, Status.PREPARE_FAILED, Status.INVOKE_FAILED))
    unheeded = passed & (records.gate != GateReason.VALID)
    judged = passed | (records.status == Status.REJECTED)
    mask: Mask = judged & ((records.gate != evidence.references.gate) | reasonless | unheeded)
    return mask


def prepared_differs(evidence: Evidence) -> Mask:
    """The digest of a prepared tensor is not the reference's."""
    records, references = evidence.records, evidence.references
    differs = records.digest != references.digest
    for observed, wanted in zip(records.inputs, references.inputs, strict=True):
        differs = differs | (observed.digest != wanted.digest)
    mask: Mask = comparable(evidence) & differs
    return mask


def output_distance(evidence: Evidence, wanted: Elements | None = None) -> NDArray[np.int64]:
    """Largest distance of the device's output elements from those wanted in steps of their type, [n]; 0 where nothing
    can be compared.

    wanted: [n, output elements], the oracle's outputs when not given.
    """
    reference = evidence.references.output if wanted is None else wanted
    distance = np.zeros(len(evidence.records), np.int64)
    for rows in blocks(np.flatnonzero(comparable(evidence)), reference.shape[1]):
        distance[rows] = steps_between(evidence.records.output[rows], reference[rows]).max(axis=1)
    return distance


def outputs_beyond(evidence: Evidence, allowance: Allowance, wanted: Elements | None = None) -> Mask:
    """Vectors with an output element that is farther off than that; `wanted` as in `output_distance`."""
    reference = evidence.references.output if wanted is None else wanted
    off = np.zeros(len(evidence.records), np.bool_)
    for rows in blocks(np.flatnonzero(comparable(evidence)), reference.shape[1]):
        off[rows] = allowance.beyond(reference[rows], evidence.records.output[rows]).any(axis=1)
    return off


def decision_differs(evidence: Evidence) -> Mask:
    """Answer, text or reason is not the reference's, or winner and score are not those of the device's own output."""
    records, references = evidence.records, evidence.references
    mask: Mask = decidable(evidence) & (
        (records.answer != references.answer)
        | score_differs(evidence)
        | (records.reason != references.reason)
        | text_differs(evidence)
        | winner_differs(evidence)
    )
    return mask


def text_differs(evidence: Evidence) -> Mask:
    """The label text of the device is not the case's text of the reference's answer ("" for unknown)."""
    codes: dict[str, int] = {}
    wanted_texts = [*evidence.case.decide.labels, ""]  # index -1, unknown, is the last
    wanted = np.array([codes.setdefault(text, len(codes)) for text in wanted_texts])
    given = np.array([codes.setdefault(text, len(codes)) for text in [*evidence.records.label_texts, ""]])
    different: Mask = wanted[evidence.references.answer] != given[evidence.records.label]
    return different & decidable(evidence)


def score_differs(evidence: Evidence) -> Mask:
    """The score of a decide stage of the product's own is farther from the expected one than the case allows."""
    wanted = evidence.case.vectors.score
    if wanted is None or not evidence.case.decide.own:
        return np.zeros(len(evidence.records), np.bool_)
    off = np.abs(evidence.records.score - wanted) > evidence.case.contracts.score_tolerance  # NaN is never off
    mask: Mask = decidable(evidence) & off
    return mask


def winner_differs(evidence: Evidence) -> Mask:
    """Winner or score is not that of the device's own output; this holds whatever the budget."""
    records = evidence.records
    if evidence.case.decide.own:  # what it takes for winner and score is its own affair
        return np.zeros(len(records), np.bool_)
    winner, score = winners(evidence.case, records.output)
    mask: Mask = comparable(evidence) & ((records.winner != winner) | (records.score != score))
    return mask


def has_decide(case: Case) -> bool:
    """Whether the case has a decide stage at all."""
    return case.decide.id != "none"


def winners(case: Case, output: Elements) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Index of the highest score (of equal ones the lowest) and its rank, [n] each; -1, 0 without a decide stage, and
    where a score is no number.
    """
    if not has_decide(case):
        return np.full(len(output), -1, np.int32), np.zeros(len(output), np.int32)
    return best(output)


def run_order(case: Case) -> NDArray[np.intp]:
    """Vectors in the order in which the board runs them: a stream in one piece, where its first vector stands."""
    index = np.arange(len(case.vectors))
    sequence = case.vectors.sequence
    if sequence is None or not (sequence >= 0).any():
        return index
    start = index.copy()
    in_stream = np.flatnonzero(sequence >= 0)
    _, first, member = np.unique(sequence[in_stream], return_index=True, return_inverse=True)
    start[in_stream] = in_stream[first][member]
    return np.lexsort((index, start))


def previous_vector(evidence: Evidence, vector: int) -> int | None:
    """The vector that the board took through the whole pipeline just before this one; None for the first."""
    order = run_order(evidence.case)
    before = order[: int(np.flatnonzero(order == vector)[0])]
    before = before[comparable(evidence)[before]]
    return int(before[-1]) if len(before) else None


def blocks(rows: NDArray[np.intp], elements: int) -> Iterator[NDArray[np.intp]]:
    """Cut row numbers into pieces of about `BLOCK_ELEMENTS` elements, so that a large run needs little memory."""
    step = max(1, BLOCK_ELEMENTS // max(1, elements))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _before_decide(broken: NDArray[np.uint8]) -> Mask:
    bad: Mask = (broken != Stage.NONE) & (broken != Stage.DECIDE)
    return bad


def carriers(bad: Mask, sequence: NDArray[np.int64] | None) -> NDArray[np.intp]:
    """For each vector the first of its stream, up to this one, that is bad; of a lone one itself. -1 for none."""
    carrier: NDArray[np.intp] = np.where(bad, np.arange(len(bad)), -1)
    if sequence is None:
        return carrier
    members = np.flatnonzero(sequence >= 0)
    if not len(members):
        return carrier
    members = members[np.argsort(sequence[members], kind="stable")]
    stream = np.cumsum(np.diff(sequence[members], prepend=sequence[members[0]]) != 0)
    starts = np.flatnonzero(np.diff(stream, prepend=-1))
    never = len(bad)
    first_bad = np.minimum.reduceat(np.where(bad[members], members, never), starts)[stream]
    carrier[members] = np.where(members >= first_bad, first_bad, -1)
    return carrier
