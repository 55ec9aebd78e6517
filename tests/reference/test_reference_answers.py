"""The references of a whole case, in chunks and beside the board, from models that answer from a table."""

from __future__ import annotations

import threading
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from answering_process import asked_to_run, doubled, fails
from interpreted_cases import COPY, SIX, TWICE, Processes, both, both_of_several, case_of, several

from hil.case.types import Decide, Vectors
from hil.errors import UsageError
from hil.interpreter.process import InterpreterRefused
from hil.records import DecisionReason, GateReason
from hil.reference import job
from hil.reference.compute import check_models, checked_models, compute, model_outputs, prepare_all, references
from hil.reference.models import CaseModels, Outputs
from hil.reference.prepare import real_values

# ---- the answers to a case -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keeps_state", "chunk", "stretches"),
    [
        (False, 1, [{0: True}, {3: True}, {4: True}]),
        (False, 2, [{0: True, 3: True}, {4: True}]),
        (True, 1, [{0: True, 4: False}, {3: True}]),
        (True, 2, [{0: True, 4: False}, {3: True}]),
        (True, 3, [{0: True, 4: False, 3: True}]),
    ],
)
def test_valid_rows_that_were_asked_for_are_answered_in_chunks(
    keeps_state: bool, chunk: int, stretches: list[dict[int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """stretches: row to whether the state begins anew there. Of a model that keeps state each is of whole streams."""
    oracle, floating = both()
    Processes(monkeypatch, oracle, floating)
    case = case_of()
    vectors = replace(case.vectors, sequence=np.array([7, 7, -1, 5, 7]))
    case = replace(case, vectors=vectors, keeps_state=keeps_state)
    stimuli = prepare_all(case)
    told: list[tuple[int, int]] = []
    with CaseModels(case) as opened_:
        found = model_outputs(case, stimuli, np.array([4, 1, 3, 0]), lambda *done: told.append(done), chunk, opened_)
        assert not oracle.closed
    assert told == [(sum(map(len, stretches[: number + 1])), 3) for number in range(len(stretches))]
    wanted = stimuli.prepared[:, :2] * 2
    wanted[[1, 2]] = 0
    assert found.oracle.tolist() == wanted.tolist()
    assert found.chain is not None
    assert found.chain[[1, 2]].tolist() == [[0, 0]] * 2
    assert found.chain[3].tolist() == (2 * real_values(case.vectors.windows[3:4], TWICE, SIX)[0, :2]).tolist()
    rows = [list(stretch) for stretch in stretches]
    fresh = [list(stretch.values()) for stretch in stretches]
    runs, float_runs = asked_to_run(oracle), asked_to_run(floating)
    assert [values["tensors"].tolist() for values in runs] == [stimuli.prepared[each].tolist() for each in rows]
    for some in (runs, float_runs[::2], float_runs[1::2]):  # of the tensors, and of the windows
        assert [values["fresh"].tolist() for values in some] == fresh


def test_answers_to_several_tensors_are_put_in_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    Processes(monkeypatch, *both_of_several())
    case = several()
    found = model_outputs(case, prepare_all(case), chunk=2)
    (level,) = found.further
    assert found.oracle.tolist() == [[-6, -6], [0, 0], [0, 0], [12, 12], [18, 18]]
    assert level.oracle.tolist() == [[0], [0], [0], [36], [48]]
    assert level.real is not None
    assert level.chain is not None
    assert level.real.tolist() == level.chain.tolist() == [[-0.75], [0], [0], [8.25], [11.25]]
    assert found.chain is not None
    assert found.chain.tolist() == [[0, 0], [0, 0], [0, 0], [9, 9], [12, 12]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 64])
def test_stimuli_are_prepared_in_chunks_that_leave_no_trace(chunk: int) -> None:
    case = case_of()
    found = prepare_all(case, chunk)
    assert found.gate.tolist() == [GateReason.VALID, GateReason.RANGE, *[GateReason.VALID] * 3]
    assert (found.prepared.dtype, found.digest.dtype) == (np.int8, np.uint32)
    assert found.prepared.tolist() == [
        [0] * 6 if row == 1 else [3 * row - 3 + sample for sample in range(3) for _ in range(2)] for row in range(5)
    ]  # a count is an LSB, and the zero point is -3
    assert found.digest.tolist() == [0 if row == 1 else zlib.crc32(found.prepared[row].tobytes()) for row in range(5)]
    assert found.valid.tolist() == [0, 2, 3, 4]
    assert (len(found.tensors), found.further) == (1, ())
    pair = prepare_all(several(), chunk)
    valid, refused = GateReason.VALID, GateReason.RANGE
    assert pair.gate.tolist() == [valid, refused, refused, valid, valid]  # refused by the one gate or the other
    assert pair.valid.tolist() == [0, 3, 4]
    (right,) = pair.further
    first, second = pair.tensors
    assert first is pair.prepared
    assert second is right.prepared
    wanted = found.prepared.copy()
    wanted[2] = 0
    assert pair.prepared.tolist() == wanted.tolist()
    assert pair.digest.tolist() == [*found.digest[:2].tolist(), 0, *found.digest[3:].tolist()]
    assert (right.prepared.dtype, right.digest.dtype) == (np.int8, np.uint32)
    lines = [[0, 1, 2, 3], [0] * 4, [0] * 4, [12, 13, 14, 15], [16, 17, 18, 19]]
    assert right.prepared.tolist() == lines
    assert right.digest.tolist() == [0 if row in (1, 2) else zlib.crc32(bytes(lines[row])) for row in range(5)]


def test_references_are_the_stimuli_the_answers_and_what_is_decided_on_them() -> None:
    case = replace(case_of(), decide=Decide("argmax", 1, 0, 0, labels=("a", "b")))
    outputs = Outputs.empty(case)
    outputs.oracle[:] = [[5, 1], [9, 9], [-3, -5], [1, 2], [7, 0]]
    stimuli = prepare_all(case)
    found = references(case, stimuli, outputs)
    for one, other in (
        (found.gate, stimuli.gate),
        (found.prepared, stimuli.prepared),
        (found.digest, stimuli.digest),
        (found.output, outputs.oracle),
        (found.float_output, outputs.real),
        (found.float_chain, outputs.chain),
    ):
        assert one is other
    assert found.winner.tolist() == [0, -1, 0, 1, 0]
    assert found.score.tolist() == [5, 0, -3, 2, 7]
    assert found.answer.tolist() == [0, -1, -1, 1, 0]
    accepted, below, none = DecisionReason.ACCEPTED, DecisionReason.BELOW_THRESHOLD, DecisionReason.NO_STAGE
    assert found.reason.tolist() == [accepted, none, below, accepted, accepted]
    assert (found.inputs, found.outputs) == ((), ())
    streamed = replace(
        case,
        vectors=replace(case.vectors, sequence=np.zeros(5, np.int64)),
        decide=replace(case.decide, debounce=2),
    )
    outputs.oracle[2] = [8, -5]
    reasons = references(streamed, stimuli, outputs).reason.tolist()
    assert reasons == [DecisionReason.DEBOUNCE, none, accepted, DecisionReason.DEBOUNCE, accepted]
    assert references(replace(case, prepare=COPY), stimuli, outputs).float_chain is outputs.real


def test_references_of_further_tensors_stand_beside_the_first() -> None:
    case = replace(several(), decide=Decide("argmax", 1, 0, 0, labels=("a", "b")))
    outputs, stimuli = Outputs.empty(case), prepare_all(case)
    (level,) = outputs.further
    outputs.oracle[:], level.oracle[:] = [1, 4], 9
    found = references(case, stimuli, outputs)
    assert found.inputs is stimuli.further
    (beside,) = found.outputs
    for one, other in (
        (found.prepared, stimuli.prepared),
        (found.output, outputs.oracle),
        (beside.output, level.oracle),
        (beside.float_output, level.real),
        (beside.float_chain, level.chain),
    ):
        assert one is not None
        assert one is other
    assert found.winner.tolist() == [1, -1, -1, 1, 1]
    copied = references(several(COPY, COPY), stimuli, outputs)
    assert copied.float_chain is outputs.real
    assert copied.outputs[0].float_chain is level.real


def test_all_references_of_a_case_are_computed_from_its_stimuli(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of()
    told: list[tuple[int, int]] = []
    Processes(monkeypatch, *both())
    stimuli = prepare_all(case)
    found = compute(case, stimuli, lambda *done: told.append(done), 3)
    assert found.prepared is stimuli.prepared
    assert told == [(3, 4), (4, 4)]
    Processes(monkeypatch, *both())
    assert compute(case).output.tolist() == found.output.tolist()


def test_rows_that_were_asked_for_are_answered_by_models_opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    Processes(monkeypatch, *both())
    found = model_outputs(case_of(), prepare_all(case_of()), np.array([3]))
    assert found.oracle.any(axis=1).tolist() == [False, False, False, True, False]


def test_without_models_of_the_caller_s_they_are_opened_and_closed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    case = case_of()
    found = model_outputs(case, prepare_all(case))
    assert found.oracle[:, 0].tolist() == [2 * value for value in prepare_all(case).prepared[:, 0].tolist()]
    assert oracle.closed
    assert real.closed


def test_a_check_runs_each_model_once_on_a_tensor_that_stands_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    check_models(case_of())
    (_, (run, values)), (_, (real_run, real_values_)) = oracle.asked, real.asked
    assert (run, real_run) == ("run_tflm", "run_litert")
    assert (values["tensors"].tolist(), values["tensors"].dtype) == ([[-3] * 6], np.int8)
    assert real_values_["tensors"].tolist() == [[0.0] * 6]
    assert (values["fresh"].tolist(), real_values_["fresh"].tolist()) == ([True], [True])
    assert oracle.closed
    assert real.closed
    oracle, real = both_of_several()
    Processes(monkeypatch, oracle, real)
    check_models(several())
    ((values,), (real_values_,)) = asked_to_run(oracle), asked_to_run(real)
    assert (values["tensors"].tolist(), values["tensors_1"].tolist()) == ([[-3] * 6], [[1] * 4])
    assert (real_values_["tensors"].tolist(), real_values_["tensors_1"].tolist()) == ([[0.0] * 4], [[0.0] * 6])


def test_checked_models_stay_open_for_a_job_that_closes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    models = checked_models(case_of())
    assert not oracle.closed
    assert not real.closed
    running = job.ReferenceJob(case_of(), np.array([0]), models)
    running.result()
    running.close()
    assert [request for request, _ in oracle.asked] == ["open_tflm", "run_tflm", "run_tflm"]
    assert oracle.closed
    assert real.closed


def test_models_that_do_not_pass_their_check_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    oracle.answers["run_tflm"] = fails(InterpreterRefused("ValueError", "no"))
    Processes(monkeypatch, oracle, real)
    with pytest.raises(UsageError, match="cannot run this model"):
        checked_models(case_of())
    assert oracle.closed
    assert real.closed


def test_a_large_case_is_worked_through_in_chunks_of_sixty_four(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(floating=False)
    case = replace(case, vectors=Vectors(np.zeros((130, 3, 1), np.int16)))
    oracle, _ = both()
    Processes(monkeypatch, oracle)
    told: list[tuple[int, int]] = []
    model_outputs(case, prepare_all(case), progress=lambda *done: told.append(done))
    assert told == [(64, 130), (128, 130), (130, 130)]


# ---- beside the board ------------------------------------------------------------------------------------------------


def test_a_job_has_its_stimuli_at_once_and_its_answers_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    case, go = case_of(), threading.Event()
    oracle.answers["run_tflm"] = lambda values: doubled(values) if go.wait(5) else {}
    running = job.ReferenceJob(case, np.array([0, 1, 4]))
    assert running.stimuli.digest.tolist() == prepare_all(case).digest.tolist()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "references"]
    assert thread.daemon
    go.set()
    outputs = running.result()
    wanted = prepare_all(case).prepared[:, :2] * 2
    wanted[[1, 2, 3]] = 0
    assert outputs.oracle.tolist() == wanted.tolist()
    assert running.models.oracle.run(np.ones((1, 6), np.int8)).tolist() == [[2, 2]]  # others may ask as well
    running.close()
    assert oracle.closed
    assert real.closed
    assert not thread.is_alive()


def test_a_job_raises_what_its_models_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    oracle.answers["run_tflm"] = fails(InterpreterRefused("ValueError", "no"))
    Processes(monkeypatch, oracle, real)
    running = job.ReferenceJob(case_of(), np.arange(5))
    with pytest.raises(UsageError, match="cannot run this model"):
        running.result()
    running.close()


def test_a_job_that_is_closed_goes_no_further_than_the_chunk_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(floating=False)
    case = replace(case, vectors=Vectors(np.zeros((500, 3, 1), np.int16)))
    oracle, _ = both()
    begun, go = threading.Event(), threading.Event()

    def held(values: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        go.wait(5)
        return doubled(values)

    oracle.answers["run_tflm"], oracle.close = held, go.set
    Processes(monkeypatch, oracle)
    running = job.ReferenceJob(case, np.arange(500))
    assert begun.wait(5)
    running.close()
    with pytest.raises(job._Cancelled):
        running.result()
    assert [request for request, _ in oracle.asked] == ["open_tflm", "run_tflm"]


def test_a_job_that_does_not_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_END_S", 0.01)
    oracle, real = both()
    go = threading.Event()
    oracle.answers["run_tflm"] = lambda values: [go.wait(1), doubled(values)][1]
    Processes(monkeypatch, oracle, real)
    running = job.ReferenceJob(case_of(), np.arange(5))
    running.close()
    assert [thread.name for thread in threading.enumerate()].count("references") == 1
    go.set()
    with pytest.raises(job._Cancelled):
        running.result()
