"""All references of a case: what the device should have seen, computed and decided for every vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.types import InputReference, OutputReference, References
from hil.records import GateReason
from hil.reference.decide import decide_all
from hil.reference.gate import judge
from hil.reference.models import CaseModels, Outputs, sources_of, tensors_are_windows
from hil.reference.prepare import digests, prepare
from hil.reference.streams import stretches
from hil.tensor import Elements

CHUNK = 64  # vectors between two calls of `progress`

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Stimuli:
    """What the device should see: gate uint8 [n], prepared [n, input elements], digest uint32 [n].

    Rows of rejected vectors hold zeros in the last two. further: prepared and digest of the inputs from the second on.
    unknown: vectors whose tensor nobody knows: the front end is the product's own, and the case expects nothing of it.
    """

    gate: NDArray[np.uint8]
    prepared: Elements
    digest: NDArray[np.uint32]
    further: tuple[InputReference, ...] = ()
    unknown: NDArray[np.bool_] | None = None

    @property
    def tensors(self) -> tuple[Elements, ...]:
        """The prepared tensors of every input."""
        return (self.prepared, *(each.prepared for each in self.further))

    @property
    def valid(self) -> NDArray[np.intp]:
        """Indices of the vectors that the gate accepts."""
        return np.flatnonzero(self.gate == GateReason.VALID)

    @property
    def known(self) -> NDArray[np.intp]:
        """Those of them whose prepared tensor is known."""
        return self.valid if self.unknown is None else self.valid[~self.unknown[self.valid]]


def prepare_all(case: Case, chunk: int = CHUNK) -> Stimuli:
    """Gate and prepare over the case's vectors; quick, no model is run."""
    gate = judge(case.vectors, case)
    if case.prepare.own:
        return _expected(case, gate)
    rows = np.flatnonzero(gate == GateReason.VALID)
    first, *further = (_prepared(one, rows, chunk) for one in case.of_inputs)
    return Stimuli(gate, first.prepared, first.digest, tuple(further))


def _expected(case: Case, gate: NDArray[np.uint8]) -> Stimuli:
    """What the case expects of a front end of the product's own."""
    n, input, prepared = len(case.vectors), case.model.input, case.vectors.prepared
    if prepared is None:
        nothing = np.zeros((n, input.elements), input.element.dtype)
        return Stimuli(gate, nothing, np.zeros(n, np.uint32), unknown=np.ones(n, np.bool_))
    return Stimuli(gate, prepared, digests(prepared), unknown=np.zeros(n, np.bool_))


def _prepared(case: Case, rows: NDArray[np.intp], chunk: int) -> InputReference:
    """Of a case with one input."""
    vectors, input = case.vectors, case.model.input
    prepared = np.zeros((len(vectors), input.elements), input.element.dtype)
    digest = np.zeros(len(vectors), np.uint32)
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        prepared[some] = prepare(vectors.windows[some], case.prepare, input)
        digest[some] = digests(prepared[some])
    return InputReference(prepared, digest)


def check_models(case: Case) -> None:
    """Open both references, run each once, and close them again. Errors as in `checked_models`."""
    checked_models(case).close()


def checked_models(case: Case) -> CaseModels:
    """Both references, each of which ran once; the caller closes them. Raises UsageError when a model is refused or its
    interpreter does not survive it, CaseError when it does not fit the case; nothing is open then.
    """
    models = CaseModels(case)
    try:
        models.open()
        models.answer(
            [
                np.full((1, input.elements), input.quantisation.zero_point, input.element.dtype)
                for input in case.model.inputs
            ]
        )
    except BaseException:
        models.close()
        raise
    return models


def model_outputs(
    case: Case,
    stimuli: Stimuli,
    rows: NDArray[np.intp] | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK,
    models: CaseModels | None = None,
) -> Outputs:
    """Both models over the prepared tensors and the raw windows of `rows`, of all vectors by default.

    progress: called with (vectors done, vectors in all) after every `chunk` vectors, of a model that keeps state after
    the stream in which they end; what it raises stops the computation. models: those of the case, which stay open; by
    default they are opened and closed here. Safe to run in a thread of its own: it changes nothing shared. Errors as in
    `CaseModels`.
    """
    if models is None:
        with CaseModels(case) as models:
            return model_outputs(case, stimuli, rows, progress, chunk, models)
    models.open()
    outputs, sources = Outputs.empty(case), sources_of(case)
    asked = stimuli.known if rows is None else np.intersect1d(stimuli.known, rows)
    done = 0
    for stretch in stretches(case, asked, chunk):
        some = stretch.rows
        windows = [each[some] for each in sources] if sources is not None else None
        outputs.put(some, models.answer([each[some] for each in stimuli.tensors], windows, stretch.fresh))
        done += len(some)
        if progress is not None:
            progress(done, len(asked))
    return outputs


def references(case: Case, stimuli: Stimuli, outputs: Outputs) -> References:
    """The references of the whole case, from its stimuli and the models' answers to all of them."""
    valid = stimuli.gate == GateReason.VALID
    decisions = decide_all(outputs.oracle, case.decide, case.vectors.sequence, valid)
    windows = tensors_are_windows(case)
    return References(
        gate=stimuli.gate,
        prepared=stimuli.prepared,
        digest=stimuli.digest,
        output=outputs.oracle,
        float_output=outputs.real,
        float_chain=outputs.real if windows else outputs.chain,
        winner=decisions.winner,
        score=decisions.score,
        answer=decisions.answer,
        reason=decisions.reason,
        inputs=stimuli.further,
        unknown=stimuli.unknown,
        outputs=tuple(
            OutputReference(each.oracle, each.real, each.real if windows else each.chain) for each in outputs.further
        ),
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
