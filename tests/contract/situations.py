"""Knows runs of products that are not like most: with stages of their own, several tensors, numbers of float32, state.
Each changes the run of made_evidence, for said.py to write down what all checks say of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from made_evidence import LABELS, STREAM, N, record_of
from made_several import each_twice

from hil.case.types import OWN, Decide, Prepare, Window
from hil.contract.history import History
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.operators import FirstOperator
from hil.contract.state import OtherState, OtherStates, Slip, WrongPairs
from hil.contract.types import Evidence, VectorFault
from hil.records import Can, FaultReport, GateReason, Prepared, Status
from hil.tensor import FLOAT32, Quantisation, TensorContract, ranks

FACTS = ("digest", "minimum", "maximum", "saturated")
REAL = TensorContract("FLOAT32", (1, len(LABELS)), Quantisation(0.0, 0), 4 * len(LABELS))


def of_case(evidence: Evidence, **changes: object) -> Evidence:
    return replace(evidence, case=replace(evidence.case, **changes))


def of_vectors(evidence: Evidence, **changes: object) -> Evidence:
    return of_case(evidence, vectors=replace(evidence.case.vectors, **changes))


def held_to(evidence: Evidence, **changes: object) -> Evidence:
    return of_case(evidence, contracts=replace(evidence.case.contracts, **changes))


def as_run_again(evidence: Evidence) -> Evidence:
    """What the vector that was run in other places gave there is what its row says now."""
    rows = evidence.records
    runs = []
    for run in evidence.section(History).runs:
        columns = [(getattr(each, name)[run.vector] for name in FACTS) for each in rows.inputs]
        inputs = tuple(Prepared(*map(int, facts)) for facts in columns)
        outputs = tuple(each[run.vector].tobytes() for each in rows.outputs)
        runs.append(replace(run, record=replace(record_of(rows, run.vector), inputs=inputs, outputs=outputs)))
    return evidence.having(History(tuple(runs)))


# ---- stages of the product's own


def own_stages(evidence: Evidence) -> Evidence:
    """Both, and all that is expected of them is there."""
    references = evidence.references
    expected = {"prepared": references.prepared.copy(), "answer": references.answer.astype(np.int64)}
    evidence = of_vectors(evidence, **expected, score=references.score.astype(np.float64))
    return of_case(evidence, prepare=Prepare(OWN, 0), decide=Decide(OWN, 0, labels=LABELS))


def own_stages_that_are_wrong(evidence: Evidence) -> Evidence:
    """The tensors of three vectors, of which one is right when it is fetched again; two answers, a text, two scores."""
    evidence = held_to(own_stages(evidence), prepared_lsb=1, score_tolerance=2.0)
    rows, vectors = evidence.records, evidence.case.vectors
    assert vectors.score is not None
    rows.digest[[0, 40, 41]] ^= 1
    far, near = (evidence.references.prepared[vector].copy() for vector in (0, 40))
    far[17] += 3 if far[17] < 0 else -3
    near[2] += 1 if near[2] < 0 else -1
    rows.answer[[5, 300]] = (rows.answer[[5, 300]] + 1) % 4
    rows.label[50] = (rows.label[50] + 1) % 4
    vectors.score[[0, 60, 61, 62]] += (9, 2, 2.5, -3)
    vectors.score[63] = np.nan
    return evidence.having(PreparedTensors((PreparedDifference(0, far), PreparedDifference(40, near))))


def own_stages_without_an_expectation(evidence: Evidence) -> Evidence:
    """Of every second vector nobody knows the tensor; the gate has no limits, and the firmware gives no tensors."""
    evidence = of_vectors(own_stages(evidence), prepared=None, answer=None, score=None)
    evidence = of_case(evidence, gate=replace(evidence.case.gate, known=False))
    references = replace(evidence.references, unknown=np.arange(N) % 2 == 1)
    hello = replace(evidence.hello, can=evidence.hello.can & ~Can.FETCH)
    return replace(evidence, references=references, hello=hello)


def own_front_end_whose_tensors_are_taken(evidence: Evidence) -> Evidence:
    """It is believed where nothing is expected, the model never."""
    evidence = of_vectors(own_stages(evidence), prepared=None)
    references = replace(evidence.references, unknown=np.arange(N) >= N - 2)
    evidence.records.output[9, 2] ^= 1
    evidence.records.digest[10] ^= 1
    return replace(evidence, references=references)


def own_front_end_with_a_float_model(evidence: Evidence) -> Evidence:
    """The case says which real values its tensors stand for, and one window is far off."""
    evidence = own_stages(evidence)
    real = evidence.case.model.input.quantisation.real32(evidence.references.prepared)
    floats = evidence.references.float_chain
    assert floats is not None
    floats[0] = 1 - floats[0]
    references = replace(evidence.references, float_chain=floats)
    return replace(of_vectors(evidence, prepared_float=real), references=references)


def tells_little(evidence: Evidence) -> Evidence:
    """A firmware with describe and run alone."""
    hello = replace(
        evidence.hello, can=Can(0), operators=(), labels=(), model_hash="", arena_high_water=0, arena_used=0
    )
    rows = evidence.records
    rows.gate_ticks[:] = rows.received[:] = rows.core[:] = -1
    rows.arena_high_water[:] = rows.stack_high_water[:] = 0
    return replace(evidence, hello=hello, image=replace(evidence.image, known=False, stack_bytes=0))


# ---- several tensors


def several(evidence: Evidence) -> Evidence:
    evidence = each_twice(evidence)
    evidence.records.received[:] = [zlib.crc32(evidence.case.vectors.payload(index)) for index in range(N)]
    return as_run_again(evidence)


def several_that_are_wrong(evidence: Evidence) -> Evidence:
    """The second input on two vectors, of which one tensor was fetched; the further output on three."""
    evidence = several(evidence)
    (seen,), (aux,), rows = evidence.records.inputs, evidence.records.outputs, evidence.records
    seen.digest[[0, 40]] ^= 1
    seen.saturated[50] += 1
    tensor = evidence.references.inputs[0].prepared[40].copy()
    tensor[-1] ^= 1
    aux[[0, 9, N - 1], 3] ^= 5
    rows.output[60, 0] ^= 1
    expected = evidence.references.outputs[0].output.copy()
    expected[70, 1] ^= 4
    hello = replace(
        evidence.hello,
        inputs=(replace(evidence.hello.inputs[0], shape=(1, 24)),),
        outputs=(replace(evidence.hello.outputs[0], dtype="UINT8"),),
    )
    evidence = of_vectors(replace(evidence, hello=hello), further_expected=(expected,))
    return evidence.having(PreparedTensors((PreparedDifference(40, tensor, "right"),)))


# ---- numbers of float32


def real_outputs(evidence: Evidence) -> Evidence:
    """The same scores, as numbers."""
    rows, columns, case = evidence.records, evidence.references, evidence.case
    scores = ((columns.output.astype(np.float32) + 128) / 256).astype(np.float32)
    threshold = int(ranks(np.array([0.5], np.float32))[0])
    valid = columns.gate == GateReason.VALID
    score = np.where(valid, ranks(scores).max(axis=1), 0).astype(np.int32)
    rows.score[:] = columns.score[:] = score
    model = replace(case.model, outputs=(REAL,))
    decide = replace(case.decide, threshold=threshold, release=threshold)
    evidence = of_vectors(of_case(evidence, model=model, decide=decide), expected_output=scores.copy())
    evidence = replace(
        evidence,
        records=replace(rows, output=scores.copy()),
        references=replace(columns, output=scores),
        hello=replace(evidence.hello, output=REAL),
    )
    return as_run_again(evidence)


def real_outputs_that_are_wrong(evidence: Evidence) -> Evidence:
    """Some ULP on four vectors; no number on the device, in the oracle, and in both."""
    evidence = real_outputs(evidence)
    wanted, given, rows = evidence.references.output, evidence.records.output, evidence.records
    for vector, steps in ((0, 1), (10, 2), (11, 3), (N - 1, -4)):
        given[vector, 2] = FLOAT32.of_ranks(ranks(given[vector, 2]) + steps)
    wanted[[20, 22]] = given[[21, 22]] = np.nan
    rows.winner[[21, 22]], rows.score[[21, 22]] = -1, 0
    given[50, 1] = np.inf
    return held_to(evidence, ulp=2)


def real_outputs_within_a_tolerance(evidence: Evidence) -> Evidence:
    evidence = real_outputs(evidence)
    evidence.records.output[[0, 10, N - 1], 2] += np.float32([0.0005, 0.002, -0.004])
    return held_to(evidence, tolerance=0.001)


def real_inputs(evidence: Evidence) -> Evidence:
    """Windows, and the prepared tensors with them, of float32."""
    tensors = evidence.references.prepared.astype(np.float32) / 8
    rows = evidence.records
    digest = np.array([zlib.crc32(tensor.tobytes()) for tensor in tensors], np.uint32)
    digest[evidence.references.gate != GateReason.VALID] = 0
    rows.digest[:], rows.saturated[:] = digest, 0
    rows.minimum[:], rows.maximum[:] = ranks(tensors).min(axis=1), ranks(tensors).max(axis=1)
    contract = TensorContract("FLOAT32", (1, 8, 3), Quantisation(0.0, 0), 96)
    case = evidence.case
    evidence = of_case(
        evidence,
        model=replace(case.model, inputs=(contract,)),
        window=Window("float32", 8, 3),
        prepare=Prepare("tensor", 1),
    )
    evidence = of_vectors(evidence, windows=tensors.reshape(N, 8, 3).copy())
    rows.received[:] = [zlib.crc32(evidence.case.vectors.payload(index)) for index in range(N)]
    references = replace(evidence.references, prepared=tensors, digest=digest)
    return as_run_again(replace(evidence, references=references, hello=replace(evidence.hello, input=contract)))


def real_inputs_that_are_wrong(evidence: Evidence) -> Evidence:
    evidence = real_inputs(evidence)
    tensor = evidence.references.prepared[40].copy()
    tensor[[0, 23]] = np.nan, -tensor[23]
    evidence.records.digest[[0, 40]] ^= 1
    evidence.records.minimum[50] -= 1
    evidence.records.saturated[60] = 1
    return evidence.having(PreparedTensors((PreparedDifference(40, tensor),)))


# ---- state


def stateful(evidence: Evidence) -> Evidence:
    """A model that keeps state over the stream of made_evidence, and over one that begins with the first vector."""
    sequence = np.full(N, -1, np.int64)
    sequence[list(STREAM)] = 0
    sequence[[0, 1, 2, 3]] = 5
    model = replace(evidence.case.model, state=("VAR_HANDLE h", "VAR_HANDLE c"))
    return of_vectors(of_case(evidence, model=model, keeps_state=True), sequence=sequence)


def state_that_an_input_spoilt(evidence: Evidence) -> Evidence:
    """Prepare broke on the first vector of one stream, and the second of the other faulted."""
    evidence = stateful(evidence)
    rows = evidence.records
    rows.digest[0] ^= 1
    rows.output[[1, 2, 24, 26, 30], 1] ^= 1
    rows.status[22] = Status.FAULT
    rows.answer[3] = (rows.answer[3] + 1) % 4
    return replace(evidence, faults=(VectorFault(22, Status.FAULT, FaultReport("bus fault", "invoke", "pc 0")),))


def state_that_is_cleared(evidence: Evidence) -> Evidence:
    """The outputs behind the first vectors of the streams are those of a model that forgets."""
    evidence = stateful(evidence)
    behind = np.array([1, 2, 3, 22, 24, 26])
    other = evidence.references.output[behind] ^ 1
    evidence.records.output[behind] = other
    states = (
        OtherState(Slip.NEVER, "", behind, (other ^ 2,)),
        OtherState(Slip.CLEARED, "", behind, (other,)),
    )
    return evidence.having(OtherStates(states))


def state_that_is_carried_wrongly(evidence: Evidence) -> Evidence:
    """Right where a stream begins, and like no other state behind that."""
    evidence = stateful(evidence)
    behind = np.array([2, 3, 24, 26])
    evidence.records.output[behind, 0] ^= 1
    other = OtherState(Slip.SHORT, "h", behind, (evidence.references.output[behind] ^ 4,))
    return evidence.having(OtherStates((other,)), WrongPairs(("h",)))


def wrong_from_an_operator_on(evidence: Evidence) -> Evidence:
    evidence.records.output[0, 0] ^= 1
    return evidence.having(FirstOperator("#0", ((1, "FULLY_CONNECTED"), (2, "SOFTMAX"))))


SITUATIONS: Sequence[Callable[[Evidence], Evidence]] = (
    own_stages,
    own_stages_that_are_wrong,
    own_stages_without_an_expectation,
    own_front_end_whose_tensors_are_taken,
    own_front_end_with_a_float_model,
    tells_little,
    several,
    several_that_are_wrong,
    real_outputs,
    real_outputs_that_are_wrong,
    real_outputs_within_a_tolerance,
    real_inputs,
    real_inputs_that_are_wrong,
    stateful,
    state_that_an_input_spoilt,
    state_that_is_cleared,
    state_that_is_carried_wrongly,
    wrong_from_an_operator_on,
)
