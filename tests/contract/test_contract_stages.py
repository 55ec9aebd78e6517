"""Which stage differs first on a vector, which check tells of it, and what a stream carries on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_evidence import REJECTED, build_evidence

from hil.contract.blame import (
    BLOCK_ELEMENTS,
    Stage,
    blame,
    blocks,
    carriers,
    comparable,
    done,
    faulted,
    gate_differs,
    output_distance,
    previous_vector,
    ran,
    run_order,
    text_differs,
    winner_differs,
    winners,
)
from hil.contract.types import Evidence, VectorFault
from hil.records import DecisionReason, FaultReport, GateReason, Status

Change = Callable[[Evidence], Evidence]


def row(vector: int = 9, **columns: object) -> Change:
    def change(evidence: Evidence) -> Evidence:
        for name, value in columns.items():
            getattr(evidence.records, name)[vector] = value
        return evidence

    return change


def output(off: int, lsb: int) -> Change:
    """Element 1 of the output of #9 is so many LSB off, under this budget."""

    def change(evidence: Evidence) -> Evidence:
        wanted = evidence.references.output[9]
        evidence.records.output[9, 1] = wanted[1] - off if wanted[1] >= 0 else wanted[1] + off
        contracts = replace(evidence.case.contracts, lsb=lsb)
        return replace(evidence, case=replace(evidence.case, contracts=contracts))

    return change


def fault(evidence: Evidence) -> Evidence:
    return replace(evidence, faults=(VectorFault(9, Status.FAULT, FaultReport("bus fault", "invoke", "")),))


def both(*changes: Change) -> Change:
    def change(evidence: Evidence) -> Evidence:
        for each in changes:
            evidence = each(evidence)
        return evidence

    return change


@pytest.mark.parametrize(
    ("change", "differs", "broken", "check"),
    [
        (row(), "", Stage.NONE, ""),
        (row(gate=GateReason.RANGE), "gate", Stage.GATE, "input.gate"),
        (row(status=Status.REJECTED, gate=GateReason.RANGE), "gate", Stage.GATE, "input.gate"),
        (row(status=Status.REJECTED, gate=GateReason.VALID), "gate", Stage.GATE, "input.gate"),
        (row(digest=1), "prepare", Stage.PREPARE, "input.prepared"),
        (row(status=Status.PREPARE_FAILED), "prepare", Stage.PREPARE, "execution.complete"),
        (row(status=Status.INVOKE_FAILED), "invoke", Stage.INVOKE, "execution.complete"),
        (row(status=Status.NO_BUNDLE), "", Stage.MISSING, "execution.complete"),
        (row(status=Status.NOT_RUN), "", Stage.MISSING, "execution.complete"),
        (row(status=Status.FAULT), "fault", Stage.FAULT, "execution.fault"),
        (row(status=Status.RESET), "fault", Stage.FAULT, "execution.fault"),
        (row(status=Status.HANG), "fault", Stage.FAULT, "execution.fault"),
        (fault, "fault", Stage.FAULT, "execution.fault"),
        (row(reason=DecisionReason.BELOW_THRESHOLD), "decide", Stage.DECIDE, "decision.answer"),
        (row(label=-1), "decide", Stage.DECIDE, "decision.answer"),
        (row(winner=-1), "decide", Stage.DECIDE, "decision.answer"),
        (row(score=-128), "decide", Stage.DECIDE, "decision.answer"),
        # An output inside the budget differs, and breaks nothing.
        (output(1, lsb=0), "invoke", Stage.INVOKE, "execution.output"),
        (output(2, lsb=1), "invoke", Stage.INVOKE, "execution.output"),
        (output(1, lsb=1), "invoke", Stage.NONE, ""),
        # Of several, the earliest stage counts, and a lost record before all.
        (both(output(2, lsb=0), row(digest=1)), "prepare", Stage.PREPARE, "input.prepared"),
        (both(row(digest=1), row(gate=GateReason.RANGE)), "gate", Stage.GATE, "input.gate"),
        (both(fault, output(2, lsb=0)), "invoke", Stage.INVOKE, "execution.output"),
        (both(fault, row(label=-1)), "fault", Stage.FAULT, "execution.fault"),
        (both(row(status=Status.HANG), row(gate=GateReason.RANGE)), "fault", Stage.FAULT, "execution.fault"),
    ],
)
def test_the_first_stage_that_parts_from_the_reference_is_named(
    evidence: Evidence, change: Change, differs: str, broken: Stage, check: str
) -> None:
    found = blame(change(evidence))
    assert (found.text(9), Stage(found.broken[9]), found.check(9)) == (differs, broken, check)
    others = np.arange(len(found.broken)) != 9
    assert not found.broken[others].any()
    assert not found.differs[others].any()
    assert found.broke[9] == (broken != Stage.NONE)
    assert found.broke_here[9] == found.before_decide[9] == (broken not in (Stage.NONE, Stage.DECIDE))
    assert found.before_invoke[9] == (broken in (Stage.GATE, Stage.PREPARE))
    assert found.origin(9) == 9


@pytest.mark.parametrize("status", list(Status))
def test_what_a_status_says_of_a_vector(evidence: Evidence, status: Status) -> None:
    evidence.records.status[9] = status
    assert done(evidence.records)[9] == comparable(evidence)[9] == (status == Status.DONE)
    assert ran(evidence.records)[9] == (status in (Status.DONE, Status.REJECTED))
    assert faulted(evidence)[9] == (status in (Status.FAULT, Status.RESET, Status.HANG))


def test_what_the_reference_rejects_cannot_be_compared(evidence: Evidence) -> None:
    assert np.flatnonzero(~comparable(evidence)).tolist() == [REJECTED]
    evidence.records.status[REJECTED] = Status.DONE
    evidence.records.digest[REJECTED] = 1
    assert not comparable(evidence)[REJECTED]
    assert blame(evidence).check(REJECTED) == "input.gate"


def test_a_fault_of_no_vector_is_blamed_on_none(evidence: Evidence) -> None:
    report = FaultReport("bus fault", "invoke", "")
    faults = tuple(VectorFault(vector, Status.FAULT, report) for vector in (-1, 0, 5))
    assert np.flatnonzero(faulted(replace(evidence, faults=faults))).tolist() == [0, 5]


@pytest.mark.parametrize(
    ("status", "device", "reference", "differs"),
    [
        (Status.DONE, GateReason.VALID, GateReason.VALID, False),
        (Status.DONE, GateReason.VALID, GateReason.RANGE, True),
        (Status.DONE, GateReason.RANGE, GateReason.RANGE, True),
        (Status.PREPARE_FAILED, GateReason.VALID, GateReason.RANGE, True),
        (Status.INVOKE_FAILED, GateReason.RANGE, GateReason.RANGE, True),
        (Status.REJECTED, GateReason.RANGE, GateReason.RANGE, False),
        (Status.REJECTED, GateReason.LENGTH, GateReason.RANGE, True),
        (Status.REJECTED, GateReason.VALID, GateReason.VALID, True),
        (Status.NOT_RUN, GateReason.VALID, GateReason.RANGE, False),
        (Status.FAULT, GateReason.RANGE, GateReason.VALID, False),
    ],
)
def test_a_verdict_of_the_gate_is_the_references_and_is_heeded(
    evidence: Evidence, status: Status, device: GateReason, reference: GateReason, differs: bool
) -> None:
    evidence.records.status[9], evidence.records.gate[9] = status, device
    evidence.references.gate[9] = reference
    assert bool(gate_differs(evidence)[9]) is differs


@pytest.mark.parametrize(("index", "off"), [(0, 255), (3, -255), (1, 7), (2, -1)])
def test_a_distance_is_that_of_the_element_that_is_farthest_off(evidence: Evidence, index: int, off: int) -> None:
    """Over all of int8, without wrapping round."""
    evidence.references.output[9] = 5
    evidence.records.output[9] = 5
    evidence.references.output[9, index] = -128 if off > 0 else 127
    evidence.records.output[9, index] = evidence.references.output[9, index].astype(int) + off
    distance = output_distance(evidence)
    assert distance[9] == abs(off)
    assert np.flatnonzero(distance).tolist() == [9]
    assert not output_distance(evidence, evidence.records.output).any()


def test_what_cannot_be_compared_is_at_no_distance(evidence: Evidence) -> None:
    evidence.records.output[REJECTED] = 100
    evidence.records.output[12] = -128
    evidence.records.status[12] = Status.INVOKE_FAILED
    assert not output_distance(evidence).any()


def test_the_winner_is_the_lowest_index_of_the_highest_score(evidence: Evidence) -> None:
    scores = np.array([[1, 5, 5, -3], [-128, -128, -128, -128], [0, 0, 0, 127], [-5, -9, -2, -2]], np.int8)
    winner, score = winners(evidence.case, scores)
    assert (winner.tolist(), score.tolist()) == ([1, 0, 3, 2], [5, -128, 127, -2])
    assert winner.dtype == score.dtype == np.int32
    without = replace(evidence.case, decide=replace(evidence.case.decide, id="none"))
    winner, score = winners(without, scores)
    assert (winner.tolist(), score.tolist()) == ([-1] * 4, [0] * 4)
    assert winner.dtype == score.dtype == np.int32


def test_winner_and_score_are_those_of_the_devices_own_output(evidence: Evidence) -> None:
    evidence.records.output[9] = (1, 2, 3, 4)
    evidence.records.winner[9], evidence.records.score[9] = 3, 4
    evidence.records.winner[REJECTED] = 2
    assert not winner_differs(evidence).any()
    evidence.records.score[9] = 3
    evidence.records.winner[12] = (evidence.records.winner[12] + 1) % 4
    assert np.flatnonzero(winner_differs(evidence)).tolist() == [9, 12]


def test_a_text_is_that_of_the_references_answer(evidence: Evidence) -> None:
    answered = np.flatnonzero(comparable(evidence) & (evidence.references.answer >= 0))[:2]
    unknown = np.flatnonzero(comparable(evidence) & (evidence.references.answer < 0))[:2]
    evidence.records.label[answered[0]] = -1
    evidence.records.label[unknown[0]] = 0
    evidence.records.label[REJECTED] = 1
    assert np.flatnonzero(text_differs(evidence)).tolist() == sorted([answered[0], unknown[0]])


def plain_carriers(bad: list[bool], sequence: list[int] | None) -> list[int]:
    """The same, one vector at a time."""
    first: dict[int, int] = {}
    found = []
    for vector, broken in enumerate(bad):
        stream = sequence[vector] if sequence is not None else -1
        if broken and stream >= 0:
            first.setdefault(stream, vector)
        found.append(first.get(stream, -1) if stream >= 0 else (vector if broken else -1))
    return found


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 3)), max_size=25), st.booleans())
def test_a_stream_carries_on_what_broke_first_in_it(vectors: list[tuple[bool, int]], streams: bool) -> None:
    bad = [broken for broken, _ in vectors]
    sequence = [stream for _, stream in vectors] if streams else None
    column = None if sequence is None else np.array(sequence, np.int64)
    assert carriers(np.array(bad, bool), column).tolist() == plain_carriers(bad, sequence)


def test_many_vectors_of_interleaved_streams_are_kept_in_order() -> None:
    random = np.random.default_rng(1)
    bad, sequence = random.random(2000) < 0.01, random.integers(-1, 3, 2000)
    assert carriers(bad, sequence).tolist() == plain_carriers(bad.tolist(), sequence.tolist())


def test_what_the_first_vector_broke_is_carried_on_too(evidence: Evidence) -> None:
    sequence = np.full(len(evidence.records), -1, np.int64)
    sequence[:4] = 0
    evidence.records.digest[0] ^= 1
    vectors = replace(evidence.case.vectors, sequence=sequence)
    found = blame(replace(evidence, case=replace(evidence.case, vectors=vectors)))
    assert [found.origin(vector) for vector in range(6)] == [0, 0, 0, 0, 4, 5]


def test_a_large_run_is_held_in_small_columns(evidence: Evidence) -> None:
    found = blame(evidence)
    assert (found.differs.dtype, found.broken.dtype) == (np.uint8, np.uint8)
    assert output_distance(evidence).dtype == np.int64  # as far apart as two float32 can be


@pytest.mark.parametrize("sequence", [None, np.full(320, -1, np.int64)])
def test_without_streams_the_vectors_run_as_they_stand(
    evidence: Evidence, sequence: np.ndarray[tuple[int], np.dtype[np.int64]] | None
) -> None:
    case = replace(evidence.case, vectors=replace(evidence.case.vectors, sequence=sequence))
    assert run_order(case).tolist() == list(range(320))


@given(st.lists(st.integers(-1, 3), max_size=25))
def test_a_stream_runs_in_one_piece_where_its_first_vector_stands(sequence: list[int]) -> None:
    evidence = build_evidence()
    vectors = evidence.case.vectors
    column = np.full(len(vectors), -1, np.int64)
    column[: len(sequence)] = sequence
    case = replace(evidence.case, vectors=replace(vectors, sequence=column))
    wanted: list[int] = []
    for vector, stream in enumerate(column.tolist()):
        if vector not in wanted:
            wanted += [vector] if stream < 0 else np.flatnonzero(column == stream).tolist()
    assert run_order(case).tolist() == wanted


def test_the_vector_before_is_the_last_that_went_through_the_whole_pipeline(
    evidence: Evidence, stream: tuple[int, ...]
) -> None:
    evidence.records.status[3] = Status.INVOKE_FAILED
    before = {0: None, 1: 0, 4: 2, REJECTED + 1: REJECTED - 1, stream[1]: stream[0], 21: stream[-1], 27: 25}
    assert {vector: previous_vector(evidence, vector) for vector in before} == before


@pytest.mark.parametrize(
    ("rows", "elements", "lengths"),
    [
        (0, 4, []),
        (5, BLOCK_ELEMENTS, [1] * 5),
        (5, BLOCK_ELEMENTS // 2, [2, 2, 1]),
        (5, 2 * BLOCK_ELEMENTS, [1] * 5),
        (5, 4, [5]),
        (3, 0, [3]),
        (BLOCK_ELEMENTS + 1, 0, [BLOCK_ELEMENTS, 1]),
        (BLOCK_ELEMENTS + 1, 1, [BLOCK_ELEMENTS, 1]),
    ],
)
def test_rows_are_cut_into_pieces_of_a_bounded_size(rows: int, elements: int, lengths: list[int]) -> None:
    pieces = list(blocks(np.arange(rows), elements))
    assert [len(piece) for piece in pieces] == lengths
    assert [int(piece[0]) for piece in pieces] == np.cumsum([0, *lengths])[:-1].tolist()
