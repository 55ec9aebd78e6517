"""Knows how float model, int8 oracle and device answer the same labelled vectors, and where the gap between them opens.

The float model answers twice: from the raw window, and from the values that the prepared tensor stands for. What lies
between the two is the input's share, from there to the oracle is quantisation's, and from the oracle on the device's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.contract.accuracy import labelled
from hil.contract.alone import Answers, device_answers, raw_answers, real_answers
from hil.contract.blame import has_decide, unknown
from hil.contract.types import Evidence
from hil.records import GateReason


@dataclass(frozen=True)
class Answered:
    """How one side answers. recall: of each label, None where no vector has it. accepted: vectors that got a label,
    wrongly_accepted: another than theirs, unknown: none.
    """

    accuracy: float
    recall: tuple[float | None, ...]
    accepted: int
    wrongly_accepted: int
    unknown: int


@dataclass(frozen=True)
class Gap:
    """What each step changes of the accuracy, from the float model on the raw window to the device; lost: below 0."""

    input: float
    quantisation: float
    device: float


@dataclass(frozen=True)
class Comparison:
    """All sides over the same `vectors`, of which `labelled` have each label. float_chain: the float model on the raw
    window, float_tensor: on the prepared tensor; None without a float model, and then there is no `gap`.
    """

    vectors: int
    labelled: tuple[int, ...]
    float_chain: Answered | None
    float_tensor: Answered | None
    int8: Answered
    device: Answered

    @property
    def gap(self) -> Gap | None:
        if self.float_chain is None or self.float_tensor is None:
            return None
        chain, tensor = self.float_chain.accuracy, self.float_tensor.accuracy
        return Gap(tensor - chain, self.int8.accuracy - tensor, self.device.accuracy - self.int8.accuracy)


def comparison(evidence: Evidence) -> Comparison | None:
    """Over the vectors with a true label that ran and are not expected to be rejected; None when there is none.

    Every window is decided alone (hil.contract.alone). None too where the decide stage is the product's own.
    """
    case, references = evidence.case, evidence.references
    label = case.vectors.label
    rows = np.flatnonzero(labelled(evidence) & (references.gate == GateReason.VALID) & ~unknown(evidence))
    if label is None or not has_decide(case) or case.decide.own or not len(rows):
        return None
    truth, labels = label[rows].astype(np.intp), len(case.decide.labels)

    def real(scores: NDArray[np.float32] | None) -> Answered | None:
        return None if scores is None else _answered(real_answers(case, scores[rows].astype(float)), truth, labels)

    return Comparison(
        vectors=len(rows),
        labelled=tuple(int(count) for count in np.bincount(truth, minlength=labels)),
        float_chain=real(references.float_chain),
        float_tensor=real(references.float_output),
        int8=_answered(raw_answers(case, references.output[rows]), truth, labels),
        device=_answered(device_answers(evidence)[rows], truth, labels),
    )


def _answered(answers: Answers, truth: Answers, labels: int) -> Answered:
    right, accepted = answers == truth, answers >= 0
    vectors, rightly = (np.bincount(which, minlength=labels) for which in (truth, truth[right]))
    return Answered(
        accuracy=float(right.mean()),
        recall=tuple(float(hits / n) if n else None for hits, n in zip(rightly, vectors, strict=True)),
        accepted=int(accepted.sum()),
        wrongly_accepted=int((accepted & ~right).sum()),
        unknown=int((~accepted).sum()),
    )
