"""All references of a case: what the device should have seen, computed and decided for every vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.types import References
from hil.errors import CaseError
from hil.records import GateReason
from hil.reference.decide import decide_all
from hil.reference.float import FloatReference
from hil.reference.gate import judge
from hil.reference.int8 import Int8Oracle
from hil.reference.prepare import digests, prepare, real_values

CHUNK = 64  # vectors between two calls of `progress`

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Stimuli:
    """What the device should see: gate uint8 [n], prepared int8 [n, input elements], digest uint32 [n].

    Rows of rejected vectors hold zeros in the last two.
    """

    gate: NDArray[np.uint8]
    prepared: NDArray[np.int8]
    digest: NDArray[np.uint32]

    @property
    def valid(self) -> NDArray[np.intp]:
        """Indices of the vectors that the gate accepts."""
        return np.flatnonzero(self.gate == GateReason.VALID)


def prepare_all(case: Case, chunk: int = CHUNK) -> Stimuli:
    """Gate and prepare over the case's vectors; quick, no model is run."""
    vectors = case.vectors
    gate = judge(vectors, case)
    stimuli = Stimuli(
        gate, np.zeros((len(vectors), case.model.input.elements), np.int8), np.zeros(len(vectors), np.uint32)
    )
    rows = stimuli.valid
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        tensors = prepare(vectors.windows[some], case.prepare, case.model.input)
        stimuli.prepared[some], stimuli.digest[some] = tensors, digests(tensors)
    return stimuli


def check_models(case: Case) -> None:
    """Open both references and close them again. Raises UsageError when a model is refused, CaseError when it does not
    fit the case; nothing is run.
    """
    Int8Oracle(case.model.data, str(case.model.path))
    _FloatColumn(case)


@dataclass(frozen=True)
class Outputs:
    """What both models answer: int8 [n, output elements], and float32 [n, output elements] or None without a float
    model: `real` to the prepared tensors, `chain` to the raw windows (None too where the tensor is the window). Rows
    that were not asked for, or that the gate rejects, hold zeros.
    """

    int8: NDArray[np.int8]
    real: NDArray[np.float32] | None
    chain: NDArray[np.float32] | None


def model_outputs(
    case: Case,
    stimuli: Stimuli,
    rows: NDArray[np.intp] | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> Outputs:
    """Both models over the prepared tensors of `rows`, of all vectors by default.

    progress: called with (vectors done, vectors in all) after every `chunk` vectors; what it raises stops the
    computation. Safe to run in a thread of its own: it changes nothing shared. Raises UsageError when a model is
    refused, CaseError when it does not fit the case.
    """
    oracle = Int8Oracle(case.model.data, str(case.model.path))
    output = np.zeros((len(stimuli.gate), oracle.output.elements), np.int8)
    floating = _FloatColumn(case)
    asked = stimuli.valid if rows is None else np.intersect1d(stimuli.valid, rows)
    for start in range(0, len(asked), chunk):
        some = asked[start : start + chunk]
        output[some] = oracle.run(stimuli.prepared[some])
        floating.fill(some, stimuli.prepared[some], case)
        if progress is not None:
            progress(min(start + chunk, len(asked)), len(asked))
    return Outputs(output, floating.output, floating.chain)


def references(case: Case, stimuli: Stimuli, outputs: Outputs) -> References:
    """The references of the whole case, from its stimuli and the models' answers to all of them."""
    valid = stimuli.gate == GateReason.VALID
    decisions = decide_all(outputs.int8, case.decide, case.vectors.sequence, valid)
    return References(
        gate=stimuli.gate,
        prepared=stimuli.prepared,
        digest=stimuli.digest,
        output=outputs.int8,
        float_output=outputs.real,
        float_chain=outputs.real if case.prepare.id == "tensor" else outputs.chain,
        winner=decisions.winner,
        score=decisions.score,
        answer=decisions.answer,
        reason=decisions.reason,
    )


def compute(
    case: Case, stimuli: Stimuli | None = None, progress: Progress | None = None, chunk: int = CHUNK
) -> References:
    """Gate, prepare, both models and decide over the case's vectors; arguments and errors as in `model_outputs`.

    stimuli: of `prepare_all`, when the caller has them already. Memory beyond the columns does not grow with the number
    of vectors.
    """
    stimuli = prepare_all(case) if stimuli is None else stimuli
    return references(case, stimuli, model_outputs(case, stimuli, None, progress, chunk))


class _FloatColumn:
    """The float model's outputs, or nothing when the case has no float model."""

    def __init__(self, case: Case) -> None:
        self.output: NDArray[np.float32] | None = None
        self.chain: NDArray[np.float32] | None = None
        if case.float_model is None:
            return
        self._quantisation = case.model.input.quantisation
        self._reference = FloatReference(case.float_model.data, str(case.float_model.path))
        sizes = (self._reference.input_elements, self._reference.output_elements)
        wanted = (case.model.input.elements, case.model.output.elements)
        if sizes != wanted:
            raise CaseError(
                case.path,
                "model.float",
                f"takes {sizes[0]} and gives {sizes[1]} values, the int8 model {wanted[0]} and {wanted[1]}",
                "name the float model that the int8 model was converted from",
            )
        self.output = np.zeros((len(case.vectors), sizes[1]), np.float32)
        self.chain = None if case.prepare.id == "tensor" else np.zeros_like(self.output)

    def fill(self, rows: NDArray[np.intp], tensors: NDArray[np.int8], case: Case) -> None:
        if self.output is not None:
            self.output[rows] = self._reference.run(tensors, self._quantisation)
        if self.chain is not None:
            values = real_values(case.vectors.windows[rows], case.prepare, case.model.input)
            self.chain[rows] = self._reference.run_real(values)
