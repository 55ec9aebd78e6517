"""What a request does to a session when the firmware breaks: who is blamed, what is asked again, and where it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_device import REFUSED, REPORT, N, Scripted, after_first_pass, record_of, session_with, with_changes

from hil.contract.types import VectorFault
from hil.errors import BenchError, BoardError, DeviceEnded, DeviceFault, DeviceReset, DeviceSilent, LinkError
from hil.records import FaultReport, Record, Status
from hil.session.state import MAX_FAULTS, NO_VECTOR

BEHIND = "it broke behind the reply, before it took up the next request\n"


def fault(begun: bool = True) -> DeviceFault:
    error = DeviceFault("fault record")
    error.begun = begun
    return error


def test_a_vector_is_asked_with_its_window_its_deadline_and_its_state() -> None:
    device = Scripted()
    run = session_with(device)
    assert run.vector(4, fresh=False) == record_of(4)
    assert run.vector(0, fresh=True) == record_of(0)
    assert device.story() == ["run 4, not fresh", "run 0"]
    assert {(asked.deadline_ticks, asked.sequence) for asked in device.asked} == {(777, None)}
    assert (run.faults, run.repeated, run.stopped) == ([], [], False)


BREAKS: tuple[tuple[Callable[[], Exception], int, FaultReport], ...] = (
    (fault, Status.FAULT, REPORT),
    (lambda: DeviceEnded("exit code 3"), Status.RESET, FaultReport("the firmware ended", "unknown", "exit code 3")),
    (
        lambda: DeviceReset(4, 5),
        Status.RESET,
        FaultReport("reset", "unknown", f"{DeviceReset(4, 5)}\nsince the restart: {REPORT.text}"),
    ),
    (
        lambda: DeviceSilent("no answer"),
        Status.HANG,
        FaultReport("hang", REPORT.stage, f"no answer\n{REPORT.text}", REPORT.registers),
    ),
)


@pytest.mark.parametrize(("make", "status", "report"), BREAKS, ids=["fault", "end", "reset", "hang"])
def test_what_breaks_in_a_vector_is_noted_and_the_firmware_brought_back(
    make: Callable[[], Exception], status: int, report: FaultReport
) -> None:
    device = Scripted({1: make()})
    run = session_with(device)
    assert [run.vector(vector, fresh=True) for vector in (0, 1, 2)] == [record_of(0), None, record_of(2)]
    assert device.story() == ["run 0", "run 1", "restart", "run 2"]
    assert run.faults == [VectorFault(1, status, report)]
    assert run.records.status.tolist() == [Status.NOT_RUN, status, *[Status.NOT_RUN] * (N - 2)]


def test_a_fault_leaves_the_record_that_a_vector_has() -> None:
    run = after_first_pass(Scripted({0: fault()}))
    before = run.records.status.tolist()
    assert run.vector(2, fresh=True) is None
    assert [each.vector for each in run.faults] == [2]
    assert run.records.status.tolist() == before


def test_a_fault_in_something_of_the_harness_is_no_vector_s() -> None:
    run = session_with(Scripted({0: fault()}))
    assert run.attempt(NO_VECTOR, lambda: run.device.run(b"")) is None
    assert [each.vector for each in run.faults] == [NO_VECTOR]
    assert set(run.records.status.tolist()) == {Status.NOT_RUN}


# ---- what broke before the request was taken up ----------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True])
def test_what_broke_before_a_request_was_taken_up_is_the_one_s_before_and_it_is_asked_again(own: bool) -> None:
    """Of a vector, or of something of the harness."""
    device = Scripted({1: fault(begun=False)})
    run = session_with(device)
    if own:
        run.attempt(NO_VECTOR, lambda: run.device.run(b""))
    else:
        run.vector(0, fresh=True)
    assert run.vector(4, fresh=False) == record_of(4)
    assert device.story()[1:] == ["run 4, not fresh", "restart", "run 4, not fresh"]
    (found,) = run.faults
    assert (found.vector, found.report.text) == (NO_VECTOR if own else 0, BEHIND + REPORT.text)
    assert (found.report.kind, found.report.stage, found.report.registers) == (
        REPORT.kind,
        REPORT.stage,
        REPORT.registers,
    )
    assert run.records.status[4] == Status.NOT_RUN


def test_nothing_is_before_the_first_request_nor_before_the_one_behind_a_restart() -> None:
    run = session_with(Scripted({0: fault(begun=False)}))
    assert run.vector(2, fresh=True) == record_of(2)
    assert [each.vector for each in run.faults] == [NO_VECTOR]
    run = session_with(Scripted({1: fault(), 3: fault(begun=False)}))
    assert [run.vector(vector, fresh=True) for vector in (2, 4, 5)] == [record_of(2), None, record_of(5)]
    assert [each.vector for each in run.faults] == [4, NO_VECTOR]


def test_what_broke_between_two_requests_of_one_action_is_that_action_s() -> None:
    device = Scripted({2: fault(begun=False)})
    run = session_with(device)
    run.vector(0, fresh=True)

    def twice() -> Record:
        run.device.run(run.case.vectors.payload(4))
        return run.device.run(run.case.vectors.payload(5))

    assert run.attempt(4, twice) is None
    assert [(each.vector, each.report.text.startswith(BEHIND)) for each in run.faults] == [(4, True)]
    assert device.story() == ["run 0", "run 4", "run 5", "restart"]


def test_a_request_is_not_asked_again_behind_the_last_fault() -> None:
    device = Scripted({number: fault(begun=False) for number in range(20)} | {1: record_of(0), 3: record_of(0)})
    run = session_with(device)
    assert run.vector(0, fresh=True) is None
    assert run.stopped


# ---- where it ends ---------------------------------------------------------------------------------------------------


def test_a_session_ends_behind_some_faults() -> None:
    run = session_with(Scripted({2 * number: fault() for number in range(MAX_FAULTS)}))
    for vector in range(MAX_FAULTS):
        assert not run.stopped
        run.vector(vector, fresh=True)
    assert run.stopped


@pytest.mark.parametrize("error", [fault(), DeviceEnded("exit code 3"), DeviceSilent("no hello")])
def test_a_firmware_that_does_not_come_back_ends_the_session(error: Exception) -> None:
    device = Scripted({0: fault(), 1: error})
    run = session_with(device, warmup=3)
    assert run.vector(2, fresh=True) is None
    assert run.stopped
    assert device.story() == ["run 2", "restart"]
    assert run.faults[0].vector == 2
    assert run.faults[1] == VectorFault(
        NO_VECTOR, Status.FAULT, FaultReport("no restart", "start", f"{error}\n{REPORT.text}")
    )


def test_a_bench_that_breaks_says_in_which_vector_and_ends_the_run() -> None:
    run = session_with(Scripted({0: LinkError("damaged"), 1: LinkError("damaged")}))
    with pytest.raises(LinkError, match=f"damaged\n  while vector {run.case.vectors.name(0)} ran"):
        run.vector(0, fresh=True)
    with pytest.raises(LinkError, match="damaged\n  while a window or scores that the harness made itself ran"):
        run.attempt(NO_VECTOR, lambda: run.device.run(b""))
    assert run.faults == []


def test_a_board_that_goes_while_a_fault_is_looked_at_says_in_which_vector() -> None:
    device = Scripted({0: fault()})
    run = session_with(device)

    def gone() -> FaultReport:
        raise BoardError("no probe")

    device.board.postmortem = gone
    with pytest.raises(BenchError, match=r"no probe\n  while vector .* ran"):
        run.vector(0, fresh=True)


# ---- beside the answers ----------------------------------------------------------------------------------------------


def test_vectors_whose_request_was_repeated_on_the_link_are_told() -> None:
    """Also when the firmware breaks in it; what the harness made itself is no vector."""

    def repeated(then: Record | Exception) -> Callable[[], Record]:
        def answer() -> Record:
            device.counters.repeats += 1
            if isinstance(then, Exception):
                raise then
            return then

        return answer

    device = Scripted({0: repeated(record_of(0)), 2: repeated(fault()), 4: repeated(record_of(0))})
    run = session_with(device)
    for vector in (0, 1, 2):
        run.vector(vector, fresh=True)
    run.attempt(NO_VECTOR, lambda: run.device.run(b""))
    run.vector(5, fresh=True)
    assert run.repeated == [0, 2]


def test_damaged_canaries_of_any_run_add_up() -> None:
    run = session_with(Scripted())
    for canaries in (0, 1, 0, 2, 0):
        run.note_other(with_changes(0, canaries=canaries))
    run.note_other(None)
    assert run.other_canaries == 3


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_the_window_behind_a_restart_is_warmed_up_to(warmup: int) -> None:
    """With the first vector that was done and brought nothing down; its canaries count."""
    script: dict[int, Record | Exception] = {0: fault(), warmup + 2: fault()}
    device = Scripted({**script, 2: with_changes(1, canaries=2)} if warmup else dict(script))
    run = after_first_pass(device, warmup=warmup)
    assert run.vector(0, fresh=False) is None
    assert device.story() == ["run 0, not fresh", "restart", *["run 1"] * warmup]
    assert run.vector(REFUSED, fresh=True) is None
    assert device.story()[warmup + 2 :] == [f"run {REFUSED}", "restart", *["run 1"] * warmup]
    assert run.other_canaries == (2 if warmup else 0)


def test_no_window_is_warmed_up_with_where_none_was_done() -> None:
    device = Scripted({0: fault()})
    session_with(device, warmup=3).vector(0, fresh=True)
    assert device.story() == ["run 0", "restart"]


def test_a_warm_up_ends_with_the_session() -> None:
    """Each of its windows breaks the firmware, and is warmed up to in its turn."""
    device = Scripted({number: fault() for number in range(50) if number != 1 and number % 2 == 0})
    run = after_first_pass(device, warmup=3)
    run.vector(0, fresh=True)
    assert len(run.faults) == MAX_FAULTS
    assert device.story() == ["run 0", "restart", "run 1", "restart", "run 2", "restart"]
