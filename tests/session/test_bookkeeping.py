"""Where each thing that a session learns is kept: columns of records, parts of shares; deadlines, what is afforded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from made_evidence import CYCLES, INSTRUCTIONS, make_hello
from native_session import imu_motion, with_vectors

from hil.board.base import Board
from hil.board.native import HOST_TIME
from hil.contract.execution import InvokeRun, Invokes
from hil.contract.history import Again, History
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.plain import PlainDifference, PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.types import MAX_FINDINGS, ReplayDifference, Section, VectorFault
from hil.contract.wire import Wire
from hil.contract.witnessed import Witnessed
from hil.errors import LinkError
from hil.link.client import LinkCounters
from hil.records import (
    ClockSpec,
    CoreState,
    Decision,
    DecisionReason,
    FaultReport,
    GateReason,
    Record,
    RunRecords,
    Status,
)
from hil.reference.models import Outputs
from hil.session import first_pass, steps
from hil.session.effort import LONG, SHORT, SHORTEST, Effort, effort
from hil.session.part import Part, merge
from hil.session.run import _deadline
from hil.session.share import Share
from hil.session.state import SessionState

# ---- a record's fields, each in its own column and row ---------------------------------------------------------------

RECORD = Record(
    status=Status.DONE,
    gate=GateReason.VALID,
    ticks=(11, 22, 33),
    digest=0xDEADBEEF,
    minimum=-77,
    maximum=78,
    saturated=5,
    output=bytes([0x81, 2, 3, 0x7F]),
    decision=Decision(2, -9, 1, DecisionReason.DEBOUNCE, "walking"),
    canaries=3,
    arena_high_water=4_000_000_001,
    stack_high_water=4_000_000_002,
    received=0xFFFFFFFF,
    gate_ticks=7,
    core=CoreState(1, 2, 3, 4),
)
COLUMNS: dict[str, Any] = {
    "status": 0,
    "gate": 0,
    "ticks": [11, 22, 33],
    "digest": 0xDEADBEEF,
    "minimum": -77,
    "maximum": 78,
    "saturated": 5,
    "output": [-127, 2, 3, 127],
    "winner": 2,
    "score": -9,
    "answer": 1,
    "reason": 2,
    "label": 0,
    "canaries": 3,
    "arena_high_water": 4_000_000_001,
    "stack_high_water": 4_000_000_002,
    "received": 0xFFFFFFFF,
    "gate_ticks": 7,
    "core": [1, 2, 3, 4],
}
REJECTED = replace(
    RECORD, status=Status.REJECTED, gate=GateReason.FLAT, decision=Decision(-1, 0, -1, DecisionReason(4))
)


class Kept:
    """What keeping a record needs of a run."""

    def __init__(self, n: int = 3) -> None:
        self.records = RunRecords.empty(n, 4)
        self.labels: dict[str, int] = {}

    def store(self, index: int, record: Record) -> dict[str, Any]:
        first_pass._store(cast(SessionState, self), index, record)
        return self.row(index)

    def row(self, index: int) -> dict[str, Any]:
        return {name: column[index].tolist() for name, column in self.records.columns()}


@pytest.mark.parametrize("index", range(3))
def test_each_field_of_a_record_has_its_column_in_the_vector_s_row(index: int) -> None:
    kept, empty = Kept(), Kept()
    assert kept.store(index, RECORD) == COLUMNS
    assert kept.records.label_texts == ["walking"]
    assert all(kept.row(other) == empty.row(other) for other in range(3) if other != index)


def test_a_vector_that_was_not_done_has_no_tensor_no_output_and_no_ticks() -> None:
    nothing = {name: 0 for name in ("digest", "minimum", "maximum", "saturated")}
    wanted = {**COLUMNS, **nothing, "ticks": [0, 0, 0], "output": [0] * 4, "status": 1, "gate": 5}
    wanted |= {"winner": -1, "score": 0, "answer": -1, "reason": 4, "label": -1}
    assert Kept().store(1, REJECTED) == wanted


def test_what_a_firmware_does_not_tell_is_marked_so() -> None:
    row = Kept().store(0, replace(RECORD, received=None, gate_ticks=None, core=None))
    assert (row["received"], row["gate_ticks"], row["core"]) == (-1, -1, [-1] * 4)


def test_texts_are_numbered_as_they_are_met_and_an_empty_one_has_none() -> None:
    kept = Kept(5)
    for index, label in enumerate(("b", "a", "", "b", "a")):
        kept.store(index, replace(RECORD, decision=replace(RECORD.decision, label=label)))
    assert kept.records.label_texts == ["b", "a"]
    assert kept.records.label.tolist() == [0, 1, -1, 0, 1]


@pytest.mark.parametrize("size", [0, 3, 5])
def test_an_output_of_another_size_is_an_error_of_the_link(size: int) -> None:
    with pytest.raises(LinkError, match=f"{size} output bytes, the model has 4"):
        Kept().store(0, replace(RECORD, output=bytes(size)))


# ---- what several shares left, as one --------------------------------------------------------------------------------


def difference(vector: int) -> ReplayDifference:
    return ReplayDifference(vector, "pass", 1, "output", "a", "b")


def prepared(vector: int) -> PreparedDifference:
    return PreparedDifference(vector, np.zeros(1, np.int8))


def column(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


LEFT, LATER = CoreState(1, 0, 0, 0), CoreState(2, 0, 0, 0)
AGAIN = [Again(vector, "after #1", RECORD) for vector in range(3)]
PLAIN = [PlainDifference(vector, "output", "a", "b") for vector in range(3)]
FEW = [prepared(vector) for vector in range(3)]
TOGETHER: tuple[tuple[Section, Section, Section], ...] = (
    (
        Repeats(1, 9, 5, (difference(0),), 20203),
        Repeats(2, 4, 6, (difference(1), difference(2)), 20203),
        Repeats(3, 13, 11, (difference(0), difference(1), difference(2)), 20203),
    ),
    (History((AGAIN[0],)), History((AGAIN[1], AGAIN[2])), History(tuple(AGAIN))),
    (PreparedTensors((FEW[0],)), PreparedTensors((FEW[1], FEW[2])), PreparedTensors(tuple(FEW))),
    (
        Invokes((InvokeRun(3, (1,)),)),
        Invokes((InvokeRun(5), InvokeRun(7, (2, 7)))),
        Invokes((InvokeRun(3, (1,)), InvokeRun(5), InvokeRun(7, (2, 7)))),
    ),
    (Wire(1, 2, 3, (4, 9)), Wire(10, 20, 30, (4, 1)), Wire(11, 22, 33, (1, 4, 9))),
    (Witnessed(True, 1, 2, 3, None), Witnessed(True, 10, 20, 30, LEFT), Witnessed(True, 11, 22, 33, LEFT)),
    (Witnessed(True, 1, 0, 1, LATER), Witnessed(True, 1, 0, 1, LEFT), Witnessed(True, 2, 0, 2, LATER)),
    (Witnessed(), Witnessed(True, 5), Witnessed(True, 5)),
)


@pytest.mark.parametrize(("first", "second", "both"), TOGETHER, ids=lambda section: type(section).__name__)
def test_sections_of_shares_become_one(first: Section, second: Section, both: Section) -> None:
    assert steps.merge([{type(first): first}, {type(second): second}]) == {type(both): both}


@pytest.mark.parametrize("others", [[], [{}]])
def test_a_section_of_one_share_is_that_of_the_case(others: list[steps.Sections]) -> None:
    assert steps.merge([{Repeats: TOGETHER[0][0]}, *others]) == {Repeats: TOGETHER[0][0]}


def test_plain_windows_of_shares_become_one() -> None:
    one = PlainRuns(True, True, column(0), column(10), (PLAIN[0],))
    other = PlainRuns(True, True, column(4, 5), column(20, 30), (PLAIN[1], PLAIN[2]))
    merged = steps.merge([{PlainRuns: one}, {PlainRuns: other}])[PlainRuns]
    assert isinstance(merged, PlainRuns)
    assert (merged.vectors.tolist(), merged.units.tolist()) == ([0, 4, 5], [10, 20, 30])
    assert (merged.differences, merged.tried, merged.able) == (tuple(PLAIN), True, True)
    unable = steps.merge([{PlainRuns: one}, {PlainRuns: PlainRuns(tried=True)}])[PlainRuns]
    assert isinstance(unable, PlainRuns)
    assert (unable.tried, unable.able) == (True, False)


def test_no_more_tensors_are_kept_than_findings() -> None:
    many = [PreparedTensors(tuple(prepared(vector) for vector in range(15))) for _ in range(2)]
    merged = steps.merge([{PreparedTensors: each} for each in many])[PreparedTensors]
    assert isinstance(merged, PreparedTensors)
    assert [each.vector for each in merged.differences] == [*range(15), *range(MAX_FINDINGS - 15)]


def part(number: int, *, lead: bool, **changes: Any) -> Part:
    case = with_vectors(imu_motion(), range(4))
    records = RunRecords.empty(4, 4)
    records.score[:] = 100 * number + np.arange(4)
    outputs = Outputs.empty(case)
    outputs.oracle[:] = 10 * number + np.arange(4)[:, None]
    basis = Part(
        share=Share(number, 2 * number, 2 * number + 2, lead),
        clock=INSTRUCTIONS,
        hello=replace(make_hello(case), boot=number),
        records=records,
        outputs=outputs,
        link=LinkCounters(1 + number, 2 + number, 3 + number),
        inferences=10 + number,
        faults=(VectorFault(2 * number, Status.FAULT, FaultReport("a", "b", "c")),),
        stopped=False,
        other_canaries=0,
        sections={Repeats: Repeats(pass_runs=number + 1)},
    )
    return replace(basis, **changes)


@pytest.mark.parametrize("lead", [0, 1])
@pytest.mark.parametrize("turned", [False, True])
def test_parts_become_what_one_board_would_have_left(lead: int, turned: bool) -> None:
    case = with_vectors(imu_motion(), range(4))
    parts = [part(number, lead=number == lead) for number in range(2)]
    whole = merge(case, parts[::-1] if turned else parts)
    assert whole.records.score.tolist() == [0, 1, 102, 103]
    assert whole.outputs.oracle[:, 0].tolist() == [0, 1, 12, 13]
    assert whole.link == LinkCounters(3, 5, 7)
    assert whole.inferences == 21
    assert [fault.vector for fault in whole.faults] == [0, 2]
    assert whole.hello.boot == lead
    assert (whole.share, whole.clock) == (parts[lead].share, INSTRUCTIONS)
    assert whole.sections == {Repeats: Repeats(pass_runs=3)}
    assert (whole.stopped, whole.other_canaries) == (False, 0)


@pytest.mark.parametrize("which", [0, 1])
def test_what_one_part_tells_the_whole_tells(which: int) -> None:
    case = with_vectors(imu_motion(), range(4))
    parts = [part(number, lead=number == 0) for number in range(2)]
    parts[which] = replace(parts[which], stopped=True, other_canaries=2)
    whole = merge(case, parts)
    assert (whole.stopped, whole.other_canaries) == (True, 2)
    parts[1 - which] = replace(parts[1 - which], other_canaries=1)
    assert merge(case, parts).other_canaries == 3


def test_parts_of_a_run_that_was_cut_short_need_no_lead() -> None:
    case = with_vectors(imu_motion(), range(4))
    parts = [part(number, lead=False) for number in (1, 0)]
    assert merge(case, parts).share.number == 0
    assert merge(case, parts[:1]) is parts[0]


# ---- deadlines in ticks ----------------------------------------------------------------------------------------------

FAST = ClockSpec("cycles", "cycles", 1, 1, 180_000_000, False)
DEADLINES: tuple[tuple[ClockSpec, dict[str, int], int], ...] = (
    (INSTRUCTIONS, {"instructions": 1_000_000}, 1_600_000),  # a tick is 5 eighths of an instruction
    (INSTRUCTIONS, {"instructions": 3}, 4),  # 4.8: never longer than asked
    (INSTRUCTIONS, {"instructions": 0}, 1),  # 0 would be the port's longest
    (INSTRUCTIONS, {"instructions": 1 << 40}, 0xFFFFFFFF),
    (INSTRUCTIONS, {"ms": 20}, 0),  # instructions have no time
    (INSTRUCTIONS, {"cycles": 20}, 0),
    (INSTRUCTIONS, {}, 0),
    (CYCLES, {"cycles": 12_345}, 12_345),
    (CYCLES, {"ms": 20}, 2_000_000),  # at 100 MHz
    (FAST, {"ms": 7}, 1_260_000),
    (CYCLES, {"ms": 20, "cycles": 5}, 5),  # its own unit comes first
    (HOST_TIME, {"ms": 20}, 0),  # nothing is asked of host time
)


@pytest.mark.parametrize(("clock", "deadline", "ticks"), DEADLINES)
def test_a_deadline_in_ticks_of_the_board_s_clock(clock: ClockSpec, deadline: dict[str, int], ticks: int) -> None:
    case = replace(imu_motion(), deadline=deadline)
    board = type("Board", (), {"clock": clock})()
    assert repr(_deadline(case, cast(Board, board))) == repr(ticks)  # a whole number


# ---- what a run can afford -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "size", "windows", "row"),
    [(1040, 0, 1040, LONG), (1039, 0, 1039, SHORT), (1040, 1000, 520, SHORT), (560, 1000, 280, SHORT),
     (559, 1000, 279, SHORTEST), (0, 480, 0, SHORTEST), (1000, 480, 675, SHORT)],
)  # fmt: skip
def test_windows_cost_by_their_size(requests: int, size: int, windows: int, row: int) -> None:
    """A thousand bytes take as long as a request; a row of refusals takes a quarter of the windows at most."""
    assert (Effort(requests, 4).windows(size), Effort(requests, 4).row(size)) == (windows, row)


@pytest.mark.parametrize(("cost", "inferences"), [(30_000, 133), (10_000, 200), (10**9, 4)])
def test_inferences_are_as_many_as_four_million_multiplications_make(
    cost: int, inferences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.session.effort.inference_cost", lambda _: cost)
    board = type("Board", (), {"request_s": 0.001})()
    assert repr(effort(imu_motion(), cast(Board, board)).inferences) == repr(inferences)  # a whole number


@pytest.mark.parametrize(("request_s", "requests"), [(0.000_1, 1300), (0.001, 130), (0.13, 1), (1.0, 0)])
def test_small_requests_of_a_kind_take_an_eighth_of_a_second(request_s: float, requests: int) -> None:
    board = type("Board", (), {"request_s": request_s})()
    assert effort(imu_motion(), cast(Board, board)).requests == requests
