"""What holds the steps together: how a run connects, what it provisions, how parts become evidence, how far it looks.
The device is a table of answers, and the board keeps what is done to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from made_evidence import CYCLES, INSTRUCTIONS
from scripted_device import REPORT, SCORES, N, Scripted, case_of, record_of, session_with, stimuli_of

from hil.board.base import Board
from hil.board.config import SizesTable
from hil.bundle import build_bundle, sha256
from hil.case.types import Case
from hil.contract.coverage import Coverage, Reached, ShortClamp
from hil.contract.damaged import BundleProbe, BundleProbes
from hil.contract.input import PreparedTensors
from hil.contract.operators import FirstOperator
from hil.contract.types import Section, VectorFault
from hil.errors import BoardError, CaseError, DeviceEnded, DeviceFault, DeviceSilent, UsageError
from hil.image.elf import Image
from hil.interpreter.process import InterpreterEnded, InterpreterRefused
from hil.link.client import LinkCounters
from hil.records import FaultReport, Status
from hil.reference.explorer import Clamp, Operator
from hil.reference.models import Outputs
from hil.session import Share, bundle_probes, conclude, coverage, first_pass, run_case, run_share, steps
from hil.session import run as session_run
from hil.session.arena import arena_of, pointer_ratio, static_arena
from hil.session.room import require_room
from hil.session.state import MAX_FAULTS, NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import Found, Windows
from hil.session.stimuli.search import Goal

ROOM = 100_000
SIZES = SizesTable(symbols={"arena": ("pool*",)}, memory={"DTCM": (0x2000_0000, 64)})


def image(symbols: dict[str, int] | None = None, sizes: dict[str, int] | None = None, is_32_bit: bool = True) -> Image:
    there = {"__hil_bundle_bytes": ROOM, **(symbols or {})}
    return cast(
        Image,
        SimpleNamespace(
            path=Path("firmware.elf"),
            sha256="ab" * 32,
            symbol=there.__getitem__,
            has_symbol=lambda name: name in there or name in (sizes or {}),
            symbol_bytes=lambda name: (sizes or {})[name],
            is_32_bit=is_32_bit,
            facts=lambda named, memories: "facts" if (named, memories) == (SIZES.symbols, SIZES.memory) else "others",
        ),
    )


class OnTable:
    """A board that keeps what is done to it. Provisioning takes the next of `outcomes`, an exception to be raised."""

    def __init__(self, *outcomes: Exception | None, device: Scripted | None = None) -> None:
        self.outcomes, self.device = list(outcomes), device or Scripted()
        self.config = SimpleNamespace(kind="table", name="table", own_model=False, sizes=SIZES)
        self.clock, self.request_s = self.device.clock, 0.001
        self.once_per_image, self.probe_bundles = False, True
        self.provisioned: list[bytes] = []
        self.stage = REPORT.stage
        self.progress: Callable[[str, int, int], None] = lambda *_: None

    def provision(self, image: Image, bundle: bytes) -> None:
        assert isinstance(image, SimpleNamespace)
        self.provisioned.append(bundle)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    def postmortem(self) -> FaultReport:
        return replace(REPORT, stage=self.stage)


class Job:
    """The references of a case, all of which say the same."""

    def __init__(self, case: Case, rows: np.ndarray) -> None:
        self.rows, self.stimuli, self.models, self.closed = rows, stimuli_of(None), object(), False
        self.outputs = Outputs.empty(case)
        self.outputs.oracle[rows] = 1 + rows[:, None]

    def result(self) -> Outputs:
        return self.outputs

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Seen(Section):
    who: tuple[str, ...] = ()


def step(name: str, scope: Scope) -> Step[Any]:
    """One with a section of its own, that notes that it was taken."""
    kind = type(name, (Seen,), {})
    return Step(
        kind,
        scope,
        lambda run: kind((f"{name} of {len(run.groups)}",)),
        lambda parts: kind(tuple(who for part in parts for who in part.who)),
    )


FURTHER = tuple(step(name, Scope(name)) for name in ("share", "lead", "whole", "each"))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Runs take the first pass and one more step of each scope, on a scripted device."""
    made: list[Job] = []

    def job(case: Case, rows: np.ndarray, models: None = None) -> Job:
        made.append(Job(case, rows))
        return made[-1]

    def device(board: OnTable, *_: object) -> Scripted:
        board.device.board.clock = board.clock
        return board.device

    monkeypatch.setattr(session_run, "ReferenceJob", job)
    monkeypatch.setattr(session_run, "Device", device)
    monkeypatch.setattr(session_run, "CaseModels", lambda case: nullcontext())
    monkeypatch.setattr(session_run, "first_operator", lambda *_: FirstOperator())
    monkeypatch.setattr(steps, "STEPS", (first_pass.STEP, *FURTHER))
    return made


def taken(sections: dict[type[Section], Section]) -> list[str]:
    return [text for section in sections.values() if isinstance(section, Seen) for text in section.who]


def on(board: OnTable) -> Board:
    return cast(Board, board)


# ---- one share -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead", "names"), [(True, ["share of 3", "lead of 3", "each of 3"]), (False, ["share of 3", "each of 3"])]
)
def test_a_share_takes_the_steps_of_its_scope_on_its_vectors(lead: bool, names: list[str], jobs: list[Job]) -> None:
    board, kept, told = OnTable(), [], []
    board.device.inferences, board.device.counters = 9, LinkCounters(1, 2, 3)
    part = run_share(
        case_of(),
        Share(1, 2, 5, lead),
        on(board),
        image(),
        progress=lambda *what: told.append(what),
        keep=kept.append,
    )
    assert board.device.story() == ["run 2", "run 3", "run 4"]
    assert taken(part.sections) == names
    assert (part.share, part.clock, part.hello) == (Share(1, 2, 5, lead), INSTRUCTIONS, board.device.hello)
    assert (part.link, part.inferences, part.faults) == (LinkCounters(1, 2, 3), 9, ())
    assert (part.stopped, part.other_canaries) == (False, 0)
    assert kept == [part.records]
    assert part.records.status[2:5].tolist() == [record_of(vector).status for vector in (2, 3, 4)]
    assert part.outputs is jobs[0].outputs
    assert jobs[0].rows.tolist() == [2, 3, 4]
    assert jobs[0].closed
    assert board.provisioned == [build_bundle(case_of(), case_of().arena_bytes)]
    assert told[-1] == ("references", N, N)
    told.clear()
    board.progress("flash", 1, 2)
    assert told == []


def test_a_step_is_given_all_that_a_run_knows(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a share, and behind all of them."""
    runs: list[SessionState] = []
    asked: list[Case] = []

    def look(run: SessionState) -> Section:
        runs.append(run)
        return Seen()

    def applies(case: Case) -> bool:
        asked.append(case)
        return True

    def looking(scope: Scope) -> Step[Any]:
        return Step(type(scope.name, (Seen,), {}), scope, cast(Any, look), lambda parts: parts[0], applies)

    monkeypatch.setattr(steps, "STEPS", (looking(Scope.SHARE), looking(Scope.WHOLE), looking(Scope.EACH)))
    monkeypatch.setattr(session_run, "CaseModels", lambda case: nullcontext(("models of", case)))
    case, board, elf, kept, told = replace(case_of(), deadline={"instructions": 800}), OnTable(), image(), [], []
    tell = lambda *what: told.append(what)  # noqa: E731
    run_case(case, on(board), elf, bundle=b"other", progress=tell, keep=kept.append)
    on_share, at_its_end, behind, at_the_end = runs
    assert on_share is at_its_end
    assert behind is at_the_end
    for run in (on_share, behind):
        assert run.case is case
        assert run.image is elf
        assert run.progress is tell
        assert run.records is kept[0]
        assert (run.lead, run.device, run.bundle, run.deadline_ticks) == (True, board.device, b"other", 1280)
        assert run.stimuli.digest.tolist() == stimuli_of(None).digest.tolist()
    assert (len(on_share.groups), behind.groups) == (N, [])
    assert on_share.models is jobs[0].models
    assert behind.models == ("models of", case)
    assert all(each is case for each in asked)
    assert board.provisioned == [b"other", b"other"]


def test_a_case_that_leaves_its_arena_open_is_given_all_of_the_image_s(jobs: list[Job]) -> None:
    board, case = OnTable(), replace(case_of(), arena_bytes=None)
    evidence = run_case(case, on(board), image(sizes={"hil_arena": 2 * 1024 + 5000})).evidence
    assert board.provisioned == [build_bundle(case, 5000)] * 2
    assert evidence.bundle_differences == ()


def test_records_have_the_type_of_the_model_s_output(jobs: list[Job]) -> None:
    case = case_of()
    case = replace(case, model=replace(case.model, outputs=(replace(case.model.output, dtype="FLOAT32"),)))
    board = OnTable()
    board.device.hello = replace(board.device.hello, bundle_status=7)
    part = run_share(case, Share(0, 0, N, True), on(board), image(), bundle=b"other")
    assert part.records.output.dtype == np.float32


def test_a_board_tells_its_own_progress_while_a_share_runs(jobs: list[Job]) -> None:
    board, told = OnTable(), []
    board.device.script[0] = lambda: board.progress("flash", 1, 2) or record_of(0)
    run_share(case_of(), Share(0, 0, 1, True), on(board), image(), progress=lambda *what: told.append(what))
    assert ("flash", 1, 2) in told


def test_a_share_s_job_is_closed_when_the_bench_breaks(jobs: list[Job]) -> None:
    board = OnTable(BoardError("no probe"))
    with pytest.raises(BoardError, match=r"^no probe$"):
        run_share(case_of(), Share(0, 0, 1, True), on(board), image())
    assert jobs[0].closed


def test_other_bytes_may_be_provisioned_and_must_have_room(jobs: list[Job]) -> None:
    board = OnTable()
    run_share(case_of(), Share(0, 0, 1, True), on(board), image(), bundle=b"other")
    assert board.provisioned == [b"other"]
    small = image({"__hil_bundle_bytes": 4})
    with pytest.raises(CaseError, match=r"5 with its bundle, and the image firmware.elf has room for 4"):
        run_share(case_of(), Share(0, 0, 1, True), on(board), small, bundle=b"other")
    with pytest.raises(
        CaseError, match=r"model_int8.tflite: it has .*\n  fix: take a smaller model, or enlarge"
    ) as caught:
        require_room(case_of(), small, 5)
    assert (caught.value.file, caught.value.where) == (case_of().model.path, "")
    require_room(case_of(), small, 4)


def test_a_bundle_that_is_refused_is_asked_nothing_more(jobs: list[Job]) -> None:
    board = OnTable()
    board.device.hello = replace(board.device.hello, bundle_status=7)
    part = run_share(case_of(), Share(0, 0, N, True), on(board), image())
    assert part.sections == {}
    assert board.device.asked == []
    assert set(part.records.status.tolist()) == {Status.NOT_RUN}
    result = conclude(case_of(), [part], on(board), image())
    assert result.evidence.sections == {}
    assert len(board.provisioned) == 1


def test_the_deadline_of_the_case_goes_with_each_window(jobs: list[Job]) -> None:
    board = OnTable(device=Scripted(clock=CYCLES))
    case = replace(case_of(), deadline={"cycles": 4321})
    run_case(case, on(board), image())
    assert {asked.deadline_ticks for asked in board.device.asked if asked.what == "run"} == {4321}


def test_damaged_canaries_and_a_run_that_stopped_are_told(jobs: list[Job]) -> None:
    board = OnTable(device=Scripted({2 * number: DeviceFault("x") for number in range(MAX_FAULTS)}))
    part = run_share(case_of(), Share(0, 0, N, True), on(board), image())
    assert part.stopped
    assert [fault.vector for fault in part.faults] == [0, 1, 2]
    case = replace(case_of(), contracts=replace(case_of().contracts, warmup=1))
    board = OnTable(device=Scripted({0: replace(record_of(0), canaries=2)}))
    assert run_share(case, Share(0, 0, N, True), on(board), image()).other_canaries == 2


# ---- a firmware that does not start ----------------------------------------------------------------------------------


def test_a_firmware_that_its_bundle_brings_down_is_asked_without_one(jobs: list[Job]) -> None:
    board = OnTable(DeviceFault("fault record"))
    board.stage = "start"
    part = run_share(case_of(), Share(0, 0, N, True), on(board), image(), bundle=b"other")
    assert board.provisioned == [b"other", bytes(5)]
    assert part.faults == (VectorFault(NO_VECTOR, Status.FAULT, replace(REPORT, stage="start")),)


@pytest.mark.parametrize(
    "second",
    [DeviceFault("again"), DeviceSilent("no hello"), DeviceEnded("exit code 3"), None],
    ids=lambda each: type(each).__name__,
)
def test_a_firmware_that_starts_neither_way_is_a_board_that_does_not_boot(
    second: Exception | None, jobs: list[Job]
) -> None:
    """So is one that faults elsewhere than at its start."""
    board = OnTable(DeviceFault("fault record"), second)
    board.stage = "start" if second is not None else "agent"
    with pytest.raises(BoardError) as caught:
        run_case(case_of(), on(board), image())
    text = f"boot: the firmware faulted before it said hello\n{REPORT.text}\n  next: mend it at that place; "
    assert str(caught.value).startswith(text)
    assert len(board.provisioned) == (2 if second is not None else 1)


def test_a_firmware_that_says_nothing_is_a_board_that_does_not_boot(jobs: list[Job]) -> None:
    board = OnTable(DeviceSilent("no answer to 'hello'"))
    with pytest.raises(BoardError) as caught:
        run_case(case_of(), on(board), image())
    assert str(caught.value) == (
        f"boot: the firmware did not say hello: no answer to 'hello'\n{REPORT.text}\n"
        "  next: does firmware.elf hold the test agent of this harness?"
    )


# ---- all shares ------------------------------------------------------------------------------------------------------


def test_a_case_alone_is_one_share_and_what_comes_behind_all_shares(jobs: list[Job]) -> None:
    board = OnTable()
    board.device.inferences, board.device.counters = 9, LinkCounters(1, 2, 3)
    result = run_case(case_of(), on(board), image())
    evidence = result.evidence
    assert sorted(taken(evidence.sections)) == ["each of 0", "each of 6", "lead of 6", "share of 6", "whole of 0"]
    assert (result.link, result.inferences) == (LinkCounters(2, 4, 6), 18)  # of both devices
    bundle = build_bundle(case_of(), case_of().arena_bytes)
    assert board.provisioned == [bundle] * 2
    assert (evidence.bundle_bytes, evidence.bundle_sha256) == (len(bundle), sha256(bundle))
    assert (evidence.case, evidence.board, evidence.clock, evidence.image) == (
        case_of(),
        "table",
        INSTRUCTIONS,
        "facts",
    )
    assert (evidence.hello, evidence.bundle_differences) == (board.device.hello, ())
    assert (evidence.faults, evidence.other_canaries) == ((), 0)
    assert evidence.records.status.tolist() == [record_of(vector).status for vector in range(N)]
    assert evidence.references.output[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert evidence.references.digest.tolist() == stimuli_of(None).digest.tolist()


def test_shares_become_one_case(jobs: list[Job]) -> None:
    boards = [OnTable(device=Scripted({0: DeviceFault("x")})), OnTable()]
    cuts = [Share(0, 0, 2, False), Share(1, 2, N, True)]
    parts = [run_share(case_of(), share, on(board), image()) for share, board in zip(cuts, boards, strict=True)]
    third = OnTable()
    evidence = conclude(case_of(), parts[::-1], on(third), image()).evidence
    assert [fault.vector for fault in evidence.faults] == [0]
    assert evidence.records.status.tolist()[1:] == [record_of(vector).status for vector in range(1, N)]
    assert evidence.references.output[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(third.provisioned) == 1


def test_other_bytes_are_named_by_what_differs_in_them(jobs: list[Job]) -> None:
    case = case_of()
    other = build_bundle(replace(case, gate=replace(case.gate, minimum=-5.0)), case.arena_bytes)
    evidence = run_case(case, on(OnTable()), image(), bundle=other).evidence
    assert [(each.contract, each.field) for each in evidence.bundle_differences] == [("input", "gate.minimum")]
    assert evidence.bundle_sha256 == sha256(other)


def test_the_board_is_left_alone_where_nothing_comes_behind_all_shares(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEPS", (first_pass.STEP, *FURTHER[:2]))
    board = OnTable()
    run_case(case_of(), on(board), image())
    assert len(board.provisioned) == 1


def test_the_first_operator_that_is_off_is_looked_for_in_the_whole_evidence(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, found = OnTable(), FirstOperator("0", ((3, "MUL"),))
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(session_run, "first_operator", lambda *given: asked.append(given) or found)
    case, elf = case_of(), image()
    evidence = run_case(case, on(board), elf).evidence
    assert evidence.section(FirstOperator) == found
    assert [(given[0].records is evidence.records, *given[1:]) for given in asked] == [(True, board, elf)]


def test_nothing_comes_behind_a_run_that_stopped(jobs: list[Job]) -> None:
    board = OnTable(device=Scripted({2 * number: DeviceFault("x") for number in range(MAX_FAULTS)}))
    evidence = run_case(case_of(), on(board), image()).evidence
    assert "whole of 0" not in taken(evidence.sections)
    assert len(board.provisioned) == 1


def test_what_goes_wrong_behind_all_shares_counts(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    def more(run: SessionState) -> PreparedTensors:
        run.note_other(replace(record_of(0), canaries=2))
        run.device.counters.repeats += 5
        run.device.run(b"")
        run.attempt(NO_VECTOR, lambda: run.device.run(b""))
        return PreparedTensors()

    monkeypatch.setattr(steps, "STEPS", (first_pass.STEP, Step(BundleProbes, Scope.WHOLE, cast(Any, more))))
    board = OnTable(device=Scripted({0: replace(record_of(0), canaries=1), N + 1: DeviceFault("x")}))
    case = replace(case_of(), contracts=replace(case_of().contracts, warmup=0))
    result = run_case(case, on(board), image())
    assert [fault.vector for fault in result.evidence.faults] == [NO_VECTOR]
    assert result.evidence.other_canaries == 2
    assert result.link.repeats == 5 * 2  # the same device, before and behind


# ---- the arena of a case ---------------------------------------------------------------------------------------------


def test_a_case_gets_the_arena_that_it_asks_for_or_all_that_there_is() -> None:
    asks, leaves = replace(case_of(), arena_bytes=4096), replace(case_of(), arena_bytes=None)
    whole = image(sizes={"hil_arena": 2 * 1024 + 5000})
    assert (arena_of(asks, whole), arena_of(leaves, whole)) == (4096, 5000)
    wide = image(sizes={"hil_arena": 2 * 1024 + 5000}, is_32_bit=False)
    assert (arena_of(asks, wide), arena_of(leaves, wide)) == (4096, 2500)
    assert isinstance(arena_of(leaves, wide), int)
    assert (pointer_ratio(whole), pointer_ratio(wide)) == (1, 2)
    assert (static_arena(whole), static_arena(image())) == (5000, None)


@pytest.mark.parametrize("sizes", [{}, {"hil_arena": 2 * 1024}, {"hil_arena": 0}])
def test_an_image_that_tells_no_arena_cannot_give_all_of_it(sizes: dict[str, int]) -> None:
    with pytest.raises(
        UsageError, match=r"firmware.elf: has no symbol 'hil_arena' with a size, .*\n  fix: write arena_bytes"
    ):
        arena_of(replace(case_of(), arena_bytes=None), image(sizes=sizes))


# ---- damaged bundles -------------------------------------------------------------------------------------------------

BUNDLE = build_bundle(case_of(), 4096)


def probed(
    monkeypatch: pytest.MonkeyPatch, *answers: int | Exception, room: int = ROOM, spares: bool = False
) -> tuple[BundleProbes, OnTable]:
    """answers: the status that each hello brings; the last one for ever."""
    board = OnTable()
    board.probe_bundles = not spares
    left = list(answers)

    def device(given: Board, *_: object) -> Any:
        assert given is on(board)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(hello=SimpleNamespace(bundle_status=answer))

    monkeypatch.setattr(bundle_probes, "Device", device)
    run = session_with(Scripted())
    run.device.board = on(board)
    run.image, run.bundle = image({"__hil_bundle_bytes": room}), BUNDLE
    return bundle_probes.STEP.collect(run), board


def test_damaged_bundles_are_tried_and_the_whole_one_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found, board = probed(monkeypatch, 1, 7)
    assert [(probe.expected, probe.observed, probe.text) for probe in found.probes] == [
        (1, 1, ""),
        *[(7, 7, "")] * 5,
        (0, 7, ""),
    ]
    assert (found.spared, found.remembered) == (False, "")
    assert board.provisioned[-1] == BUNDLE
    assert board.provisioned[0] == bytes(len(BUNDLE))
    assert len(board.provisioned) == len(found.probes) + 1


@pytest.mark.parametrize("error", [DeviceFault("x"), DeviceEnded("x"), DeviceSilent("x")])
def test_a_bundle_that_brings_the_firmware_down_is_told_with_its_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = probed(monkeypatch, 1, error, 7)
    assert found.probes[1] == BundleProbe("one bit of the metadata", 7, -1, f"x\n{REPORT.text}")
    assert found.probes[2].observed == 7


def test_the_whole_bundle_comes_back_when_the_board_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    board = OnTable(BoardError("no probe"))
    run = session_with(Scripted())
    run.device.board = on(board)
    run.image, run.bundle = image(), BUNDLE
    with pytest.raises(BoardError):
        bundle_probes.STEP.collect(run)
    assert board.provisioned[-1] == BUNDLE


def test_only_bundles_for_which_there_is_room_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = probed(monkeypatch, 7, room=len(BUNDLE) + 64)
    assert found.probes[-1].name == "bytes behind the end"
    found, _ = probed(monkeypatch, 7, room=len(BUNDLE) + 63)
    assert found.probes[-1].name == "a byte of the padding before the model"


def test_a_board_whose_flash_is_spared_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found, board = probed(monkeypatch, 7, spares=True)
    assert found == BundleProbes(spared=True)
    assert board.provisioned == []


def test_bundles_that_were_refused_are_kept_and_come_back() -> None:
    good = BundleProbes((BundleProbe("a", 1, 1), BundleProbe("b", 7, 7)))
    kept = bundle_probes._kept(good)
    assert kept is not None
    assert bundle_probes._again(kept, "2020-01-01") == replace(good, remembered="2020-01-01")
    assert not bundle_probes._kept(BundleProbes((BundleProbe("a", 1, 1), BundleProbe("b", 7, 0))))
    assert not bundle_probes._kept(BundleProbes())


# ---- how far the stimuli reach ---------------------------------------------------------------------------------------


def seen(*values: int) -> np.ndarray:
    found = np.zeros(256, np.bool_)
    found[np.array(values) + 128] = True
    return found


FOUND = Found(
    operators=(Operator(0, "CONV_2D", -128, 127), Operator(3, "RELU", 0, 10)),
    vectors=np.stack([seen(-5, 7, 9), seen(0)]),
    probes=np.stack([seen(-128, -5, 7, 9), seen(0, 10)]),
    goals=[
        Goal(Clamp(0, -128, 126), top=True, by="vectors"),
        Goal(Clamp(0, -121, 127), top=False, by="probes"),
        Goal(Clamp(1, 0, 3), top=True),
    ],
    windows=[(case_of().vectors.windows[0],), (case_of().vectors.windows[3],)],
    looked=5,
)


class Searched:
    """Stands for the search: it looks at what it is given, and finds what it is told."""

    found: Found | Exception = FOUND
    given: dict[str, Any]

    def __init__(self, case: Case, explorer: Any, inferences: int) -> None:
        type(self).given = {"inferences": inferences, "explorer": explorer, "case": case}

    def run(self, own: Windows, prepared: Sequence[np.ndarray], probes: Windows, most: int) -> Found:
        type(self).given |= {"own": own, "prepared": prepared, "probes": probes, "most": most}
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> type[Searched]:
    kind = type("Found", (Searched,), {})
    monkeypatch.setattr(coverage, "InterpreterProcess", lambda: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(
        coverage, "Explorer", lambda model, process, carried: process.close and ("explorer", model, *carried)
    )
    monkeypatch.setattr(coverage, "Search", kind)
    return kind


def covered(run: SessionState) -> Coverage:
    return cast(Coverage, steps.take([coverage.STEP], run)[Coverage])


class SameOracle:
    @property
    def oracle(self) -> SameOracle:
        return self

    def answers(self, tensors: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return (tensors[0][:, :SCORES],)


def searching(device: Scripted, told: Callable[[str, int, int], None] = lambda *_: None) -> SessionState:
    run = session_with(device, told=told)
    run.models = cast(Any, SameOracle())
    return run


def test_what_the_search_found_is_told_and_sent(search: type[Searched]) -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted()
    found = covered(searching(device, lambda *what: told.append(what)))
    assert found.operators == (
        Reached(0, "CONV_2D", 256, 3, 4, (-5, 9), (-128, 9)),
        Reached(3, "RELU", 11, 1, 2, (0, 0), (0, 10)),
    )
    assert found.clamps == (
        ShortClamp("0 CONV_2D", 126, "vectors"),
        ShortClamp("0 CONV_2D", -121, "probes"),
        ShortClamp("3 RELU", 3, ""),
    )
    assert (found.vectors, found.problem) == (5, "")
    assert [probe.name for probe in found.sent.probes] == ["searched window 0", "searched window 1"]
    assert device.story() == ["run 0", "run 3"]
    assert told[0] == ("coverage", 0, 0)


def test_the_search_is_given_the_valid_vectors_and_the_windows_of_prepare(search: type[Searched]) -> None:
    run = searching(Scripted())
    covered(run)
    given, valid = search.given, run.stimuli.valid
    assert given["explorer"] == ("explorer", run.case.model.data)
    (own,), (prepared,), (probes,) = given["own"].parts, given["prepared"], given["probes"].parts
    assert own.tobytes() == run.case.vectors.windows[valid].tobytes()
    assert prepared.tolist() == run.stimuli.prepared[valid].tolist()
    assert given["case"] is run.case
    assert given["most"] >= 4
    assert probes.shape[1:] == own.shape[1:]
    assert len(probes) > 4
    assert 24 <= given["inferences"] <= 2000


def test_of_many_vectors_some_are_looked_at_spread_evenly(
    search: type[Searched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "_MOST_VECTORS", 3)
    run = searching(Scripted())
    covered(run)
    windows = run.case.vectors.windows[run.stimuli.valid[[0, 2, 4]]]
    assert search.given["own"].parts[0].tobytes() == windows.tobytes()


@pytest.mark.parametrize(
    ("cost", "vectors", "passes", "inferences"),
    [(1_000_000, 6, 1, 206), (1_000_000, 6, 3, 218), (10**9, 6, 1, 30), (10, 6, 1, 2000), (1_000_000, 1900, 1, 2000)],
)
def test_a_search_takes_little_time_or_as_long_as_the_board(
    cost: int, vectors: int, passes: int, inferences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "inference_cost", lambda _: cost)
    case = SimpleNamespace(vectors=range(vectors), contracts=SimpleNamespace(passes=passes))
    assert repr(coverage._inferences(cast(Case, case))) == repr(inferences)  # a whole number


@pytest.mark.parametrize(("inferences", "most", "of_prepare"), [(200, 25, 66), (100, 12, 33), (8, 4, 2)])
def test_a_search_is_given_a_third_and_an_eighth_of_what_is_afforded(
    inferences: int, most: int, of_prepare: int, search: type[Searched], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def windows(case: Case, values: np.ndarray, count: int) -> Iterator[tuple[str, np.ndarray]]:
        counts.append(count)
        yield "any", values[None]  # of another shape than the case's own

    monkeypatch.setattr(coverage, "effort", lambda *_: SimpleNamespace(inferences=inferences))
    monkeypatch.setattr(coverage, "prepare_windows", lambda case, shaped, count: windows(case, shaped, count))
    covered(searching(Scripted()))
    assert repr((search.given["most"], counts)) == repr((most, [of_prepare]))
    assert search.given["probes"].parts[0].shape[1:] == case_of().vectors.windows.shape[1:]


def test_windows_of_a_search_are_told_by_what_they_are(search: type[Searched]) -> None:
    told: list[tuple[str, int, int]] = []
    search.found = replace(FOUND, windows=[(case_of().vectors.windows[0],)] * 40)
    covered(searching(Scripted(), lambda *what: told.append(what)))
    assert told == [("coverage", 0, 0), ("searched windows", 32, 0)]


@pytest.mark.parametrize(
    "problem", [InterpreterRefused("ValueError", "words\nmore"), InterpreterEnded("hung", "words\nmore")]
)
def test_a_model_that_cannot_be_looked_into_is_told_in_a_line(problem: Exception, search: type[Searched]) -> None:
    search.found = problem
    assert covered(searching(Scripted())) == Coverage(problem=str(problem).splitlines()[0])


def test_what_else_goes_wrong_in_a_search_goes_through(search: type[Searched]) -> None:
    search.found = KeyError("a mistake")
    with pytest.raises(KeyError, match="a mistake"):
        covered(searching(Scripted()))


def test_nothing_is_searched_for_a_session_that_ended_or_has_nothing_valid(search: type[Searched]) -> None:
    run = searching(Scripted())
    run.broken = True
    assert covered(run) == Coverage()
    run = searching(Scripted())
    run.stimuli = replace(run.stimuli, gate=np.ones(N, np.uint8))
    assert covered(run) == Coverage()


def test_a_search_ends_with_the_steps_however_they_end(search: type[Searched], monkeypatch: pytest.MonkeyPatch) -> None:
    go, closed = threading.Event(), threading.Event()

    def close() -> None:
        closed.set()
        go.set()

    def held(*_: Any) -> Found:
        go.wait(5)
        raise InterpreterEnded("was closed", "", closed=True)

    monkeypatch.setattr(coverage, "InterpreterProcess", lambda: SimpleNamespace(close=close))
    monkeypatch.setattr(search, "run", held)
    before = threading.active_count()

    def breaks(_: SessionState) -> Coverage:
        (searching,) = [thread for thread in threading.enumerate() if thread.name == "coverage"]
        assert searching.daemon
        raise BoardError("no probe")

    with pytest.raises(BoardError):
        steps.take(
            [
                coverage.STEP,
                Step(Seen, Scope.LEAD, cast(Any, breaks)),
            ][::-1],
            searching(Scripted()),
        )
    assert closed.is_set()
    assert threading.active_count() == before
