"""Each run of a vector, in whatever pass and place, is held to its first one, and noted where it belongs.

The real firmware runs. On its way to it a window is replaced by another vector's, or keeps the capture number of the
one before, or a byte beside the arena is overwritten: what comes back is what a product with such a defect gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native_session import imu_motion, native_board, native_image, with_vectors

from hil.board.native import NativeBoard
from hil.case.types import Case, ModelFile
from hil.contract import CHECKS, judge
from hil.contract.repeats import Repeats
from hil.contract.types import Alone, Evidence, Outcome
from hil.device import Device
from hil.records import GateReason, Hello, Record, RunRecords, Status
from hil.session import first_pass, groups, plain, repeats, run_case, soak, steps, witness
from hil.session import run as session_run
from hil.session.order import SEED, shuffled
from hil.session.step import Step

WARM_UP, REPLAYS, PASSES = 2, 3, 3
SAME, STALE = None, "stale"  # what becomes of a window; else the number of the vector whose window is sent
BY_ID = {check.id: check for check in CHECKS}


@dataclass(frozen=True)
class Place:
    """Where a run of a vector stands. phase: "warm-up", "vectors", "replay", "pass" or "alone", where a vector is tried
    by itself; attempt: which replay or pass; before: the vector that the firmware ran just before, -1 for none.
    """

    phase: str
    attempt: int
    vector: int
    before: int


Way = Callable[[Place], int | str | None]


def phases(case: Case) -> list[tuple[str, int]]:
    """Of each window that is not tried alone, in their order."""
    n, contracts = len(case.vectors), case.contracts
    return [
        *[("warm-up", 0)] * contracts.warmup,
        *[("vectors", 0)] * n,
        *[("replay", attempt) for attempt in range(1, contracts.replays)],
        *[("pass", attempt) for attempt in range(1, contracts.passes) for _ in range(n)],
    ]


class Tampered(Device):
    """The agent over a line on which `way` decides what becomes of each window. places: what came by."""

    case: Case
    way: Way
    places: list[Place]

    def __init__(self, board: NativeBoard, model: ModelFile) -> None:
        super().__init__(board, model)
        self._names = {self.case.vectors.payload(index): index for index in range(len(self.case.vectors))}
        self._phases = iter(phases(self.case))
        self._alone, self._before = 0, -1

    def restart(self) -> Hello:
        self._alone, self._before = 3, -1
        return super().restart()

    def run(self, window: bytes, **options: Any) -> Record:
        vector = self._names[window]
        phase = ("alone", 0) if self._alone else next(self._phases)
        self._alone = max(0, self._alone - 1)
        place = Place(*phase, vector, self._before)
        self.places.append(place)
        becomes = self.way(place)
        self._before = vector
        if becomes == STALE:
            options["sequence"] = self._sequence
        elif isinstance(becomes, int):
            window = self.case.vectors.payload(becomes)
        return super().run(window, **options)


@dataclass(frozen=True)
class Ran:
    evidence: Evidence
    places: list[Place]


def small_case(indices: Sequence[int] = (0, 90, 180, 270), sequence: Sequence[int] | None = None) -> Case:
    case = with_vectors(imu_motion(), indices, sequence)
    contracts = replace(case.contracts, warmup=WARM_UP, replays=REPLAYS, passes=PASSES)
    return replace(case, contracts=contracts)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """`run(case, way)`: the first pass and the repeats of a case over a line of that way."""

    def start(case: Case, way: Way, taken: Sequence[Step[Any]] = (first_pass.STEP, repeats.STEP)) -> Ran:
        kind = type("Tampered", (Tampered,), {"case": case, "way": staticmethod(way), "places": []})
        monkeypatch.setattr(steps, "STEPS", taken)
        monkeypatch.setattr(session_run, "Device", kind)
        with native_board(tmp_path) as board:
            return Ran(run_case(case, board, native_image()).evidence, kind.places)

    return start


def outcome(check: str, evidence: Evidence) -> Outcome:
    return judge(BY_ID[check], evidence).outcome


# ---- the order of a session ------------------------------------------------------------------------------------------


def test_a_session_runs_what_the_case_says_in_this_order(run: Callable[..., Ran]) -> None:
    case = small_case()
    ran = run(case, lambda place: SAME)
    vectors = [place.vector for place in ran.places]
    later = [[index for (index,) in shuffled(groups(case), SEED + attempt - 1)] for attempt in range(1, PASSES)]
    assert vectors == [0] * WARM_UP + [0, 1, 2, 3] + [0] * (REPLAYS - 1) + later[0] + later[1]
    assert later[0] != later[1]
    assert ran.evidence.section(Repeats) == Repeats(1, REPLAYS - 1, 4 * (PASSES - 1), (), SEED)
    assert {check: outcome(check, ran.evidence) for check in ("execution.repeat", "execution.replay")} == {
        "execution.repeat": Outcome.PASSED,
        "execution.replay": Outcome.PASSED,
    }


# ---- another answer in a later run -----------------------------------------------------------------------------------


def test_every_vector_of_every_later_pass_is_held_to_its_first_run(run: Callable[..., Ran]) -> None:
    """Each gets the next vector's window in all passes but the first."""
    case = small_case()
    ran = run(case, lambda place: (place.vector + 1) % 4 if place.phase == "pass" else SAME)
    found = ran.evidence.section(Repeats)
    wanted = [place for place in ran.places if place.phase == "pass"]
    assert [(each.vector, each.attempt) for each in found.differences] == [(p.vector, p.attempt) for p in wanted]
    assert {(each.kind, each.field) for each in found.differences} == {("pass", "digest")}
    for difference in found.differences:
        digests = ran.evidence.records.digest
        assert difference.first == f"{int(digests[difference.vector]):#010x}"
        assert difference.again == f"{int(digests[(difference.vector + 1) % 4]):#010x}"
    assert outcome("execution.replay", ran.evidence) is Outcome.FAILED
    assert outcome("execution.repeat", ran.evidence) is Outcome.PASSED


@pytest.mark.parametrize("attempt", range(1, REPLAYS))
def test_every_replay_is_held_to_the_first_run(run: Callable[..., Ran], attempt: int) -> None:
    case = small_case()
    ran = run(case, lambda place: 2 if (place.phase, place.attempt) == ("replay", attempt) else SAME)
    (difference,) = ran.evidence.section(Repeats).differences
    before = 3 if attempt == 1 else 0  # the last of the first pass, then the vector itself
    assert difference.before == f"after {case.vectors.name(before)}"
    assert (difference.vector, difference.kind, difference.attempt) == (0, "replay", attempt)
    assert outcome("execution.repeat", ran.evidence) is Outcome.FAILED


def test_each_difference_names_the_vector_that_ran_before(run: Callable[..., Ran]) -> None:
    case = small_case()
    last = shuffled(groups(case), SEED + PASSES - 2)[-1][0]
    ran = run(case, lambda p: (last + 1) % 4 if (p.phase, p.attempt, p.vector) == ("pass", PASSES - 1, last) else SAME)
    (place,) = [p for p in ran.places if (p.phase, p.attempt, p.vector) == ("pass", PASSES - 1, last)]
    (difference,) = ran.evidence.section(Repeats).differences
    assert (difference.vector, difference.attempt) == (last, PASSES - 1)
    assert difference.before == f"after {case.vectors.name(place.before)}"


@pytest.mark.parametrize(
    ("alone", "wrong"),
    [
        (Alone.FIRST, lambda place: place.before == 2),  # behind that window, and only there
        (Alone.AGAIN, lambda place: place.phase != "vectors"),
        (Alone.BOTH, lambda place: place.phase == "pass"),
    ],
    ids=["behind one window", "alone too", "later only"],
)
def test_what_a_vector_does_alone_is_tried(run: Callable[..., Ran], alone: Alone, wrong: Callable[..., bool]) -> None:
    """Vector 1 runs first behind vector 0, and at least once behind vector 2."""
    case = small_case()
    orders = [shuffled(groups(case), SEED + attempt - 1) for attempt in range(1, PASSES)]
    assert any(([2], [1]) in pairwise(order) for order in orders)
    ran = run(case, lambda place: 3 if place.vector == 1 and wrong(place) else SAME)
    first = next(each for each in ran.evidence.section(Repeats).differences if each.vector == 1)
    assert first.alone is alone


def test_a_few_differences_are_tried_alone_and_then_no_more(run: Callable[..., Ran]) -> None:
    """But the first window behind the replays, which has no neighbour in its pass."""
    ran = run(small_case(), lambda place: (place.vector + 1) % 4 if place.phase == "pass" else SAME)
    first, *found = ran.evidence.section(Repeats).differences
    assert (first.alone, first.before) == (Alone.UNKNOWN, "")
    assert [each.alone for each in found] == [Alone.BOTH] * 3 + [Alone.UNKNOWN] * (len(found) - 3)
    assert sum(place.phase == "alone" for place in ran.places) == 3 * 3  # alone, the one before, and behind it


def test_a_stream_in_a_later_pass_is_held_to_its_first_run(run: Callable[..., Ran]) -> None:
    """The last window of a stream of three."""
    case = small_case((0, 90, 180, 270, 360), (-1, 7, 7, 7, -1))
    ran = run(case, lambda place: 0 if (place.phase, place.attempt, place.vector) == ("pass", 2, 3) else SAME)
    (difference,) = ran.evidence.section(Repeats).differences
    assert (difference.vector, difference.attempt) == (3, 2)
    assert difference.before == f"after {case.vectors.name(2)}"
    assert difference.alone is Alone.UNKNOWN  # by itself it has another decision state


# ---- another reason of the gate --------------------------------------------------------------------------------------


def refused_vector() -> int:
    whole = imu_motion()
    assert whole.vectors.reject is not None
    return whole.vectors.reject.index("range")


@pytest.mark.parametrize("attempt", range(1, PASSES))
def test_a_window_refused_for_another_reason_in_a_later_pass_is_a_difference(
    run: Callable[..., Ran], attempt: int
) -> None:
    """The range rule refuses it; with a used capture number the stale rule comes first."""
    case = small_case((0, 90, 180, refused_vector()))
    ran = run(case, lambda place: STALE if (place.attempt, place.vector) == (attempt, 3) else SAME)
    (difference,) = ran.evidence.section(Repeats).differences
    assert (difference.vector, difference.kind, difference.attempt, difference.field) == (3, "pass", attempt, "gate")
    assert (difference.first, difference.again) == (str(int(GateReason.RANGE)), str(int(GateReason.STALE)))
    (finding,) = judge(BY_ID["execution.replay"], ran.evidence).findings
    assert (finding.vector, finding.stage) == (case.vectors.name(3), "gate")


def test_a_window_refused_in_a_later_pass_alone_is_a_difference(run: Callable[..., Ran]) -> None:
    ran = run(
        small_case(), lambda place: STALE if (place.phase, place.attempt, place.vector) == ("pass", 2, 1) else SAME
    )
    (difference,) = ran.evidence.section(Repeats).differences
    assert (difference.field, difference.first, difference.again) == ("status", "DONE", "REJECTED")
    assert ran.evidence.records.status[1] == Status.DONE  # the first pass has it


# ---- what the records of other runs tell -----------------------------------------------------------------------------


@dataclass
class Planter:
    """Overwrites a byte below the arena before one window of a session, past the firmware. Each window's progress is
    told behind it, so that `done` windows of `phase` are over then.
    """

    phase: str
    done: int
    board: NativeBoard | None = None
    planted: int = 0

    def __call__(self, phase: str, done: int, total: int) -> None:
        if (phase, done) == (self.phase, self.done):
            self.plant()

    def keep(self, records: RunRecords) -> None:
        """Before the first window of all."""
        if not self.phase:
            self.plant()

    def plant(self) -> None:
        assert self.board is not None
        with self.board.outside() as outside:
            outside.memory.write(self.board.image.symbol("hil_arena") + 5, b"\0")
        self.planted += 1


def planted(planter: Planter, folder: Path) -> Evidence:
    """A session of four vectors with a damaged canary, its passes and a long run."""
    case = small_case()
    case = replace(case, contracts=replace(case.contracts, soak=replace(case.contracts.soak, windows=32)))
    with native_board(folder) as planter.board:
        result = run_case(case, planter.board, native_image(), progress=planter, keep=planter.keep)
    assert planter.planted == 1
    return result.evidence


OTHER_RUNS = {
    "warm-up": Planter("", 0),
    "first replay": Planter("vectors", 4),
    "last replay": Planter("replays", REPLAYS - 2),
    "first of the second pass": Planter("replays", REPLAYS - 1),
    "last of the second pass": Planter("pass 2", 3),
    "first of the last pass": Planter("pass 2", 4),
    "last of the last pass": Planter(f"pass {PASSES}", 3),
    "plain": Planter("plain windows", 3),
    "long run": Planter("soak", 16),
}


@pytest.mark.parametrize("name", OTHER_RUNS)
def test_damage_beside_the_arena_is_noted_in_whatever_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEPS", (first_pass.STEP, repeats.STEP, plain.STEP, witness.STEP, soak.STEP))
    evidence = planted(replace(OTHER_RUNS[name]), tmp_path)
    assert evidence.other_canaries == 1
    assert not evidence.records.canaries.any()
    assert outcome("execution.canaries", evidence) is Outcome.FAILED


@pytest.mark.parametrize("done", [1, 3])
def test_damage_beside_the_arena_in_the_first_pass_is_its_vector_s(
    done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEPS", (first_pass.STEP, repeats.STEP))
    case = small_case()
    planter = Planter("vectors", done)
    with native_board(tmp_path) as planter.board:
        evidence = run_case(case, planter.board, native_image(), progress=planter).evidence
    assert np.flatnonzero(evidence.records.canaries).tolist() == [done]
    assert evidence.other_canaries == 0
    (finding,) = judge(BY_ID["execution.canaries"], evidence).findings
    assert finding.vector == case.vectors.name(done)
