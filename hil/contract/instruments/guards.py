"""Knows whether what must end in a fault does: a window past its deadline, a stack overflow, a null pointer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hil.contract.instruments.clock import SHORT, SPIN_INSTRUCTIONS, ClockTest, rounds_of_all, untried
from hil.contract.ready import ended_before
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, number
from hil.records import ClockSpec

DEADLINE = "deadline missed"  # kinds of fault, as hil.board.fault words them
OVERFLOW = "stack overflow"
_FAULTS = ("memory management fault", "bus fault", "usage fault", "hard fault")
_STAGES = ("gate", "prepare", "invoke", "decide")
_EARLY, _LATE = 0.98, 1.02  # of the deadline, on clocks of instructions and cycles; 2,000 units beside
_BLUR_UNITS = 2_000
_LATE_NS = 2_000_000_000  # on host time, when the host is busy


@dataclass(frozen=True)
class Trip:
    """A test that must end in a fault. kind: of the fault, "" when it came back, or in words what else became of it."""

    test: str
    kind: str = ""
    stage: str = ""

    @property
    def came_back(self) -> bool:
        return not self.kind


@dataclass(frozen=True)
class DeadlineTrip:
    """A spin past a deadline. deadline: in units of the clock; rounds: in invoke; left: rounds to go in the stage where
    it was stopped; seconds: of host time, from the request to the fault.
    """

    deadline: int
    rounds: int
    trip: Trip
    left: int = 0
    seconds: float = 0.0

    def done(self) -> int:
        """Rounds of all stages until it was stopped."""
        lengths = [self.rounds // SHORT, self.rounds // SHORT, self.rounds, self.rounds // SHORT]
        at = _STAGES.index(self.trip.stage)
        return sum(lengths[: at + 1]) - self.left


@dataclass(frozen=True)
class GuardTest(Section):
    """What the guards were shown. barred: why this board allows none of it, "" when it does. remembered: when this
    image was shown it, if not in this session ("").
    """

    tried: bool = False
    able: bool = False
    deadline: DeadlineTrip | None = None
    stack: Trip | None = None
    null: tuple[Trip, ...] = ()
    remembered: str = ""
    barred: str = ""


def _untried(found: GuardTest, evidence: Evidence) -> str:
    return found.barred or untried(found.tried, found.able, evidence)


def _judge_deadline(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.deadline", evidence), evidence.section(GuardTest)
    trip = found.deadline
    if (reason := _untried(found, evidence)) or trip is None:
        return sheet.not_judged(reason or ended_before(evidence))
    unit = evidence.clock.unit
    expected = f"a fault of kind {DEADLINE!r} after {number(trip.deadline)} {unit}"
    if trip.trip.kind != DEADLINE or trip.trip.stage not in _STAGES:
        sheet.add(
            expected,
            "the request came back: it spun to its end" if trip.trip.came_back else f"it ended in: {trip.trip.kind}",
            hint="look at WatchdogArm() of the port, and at the deadline that the test mode hands to it",
        )
        return sheet.result(reason=_when(found))
    if wrong := _wrong_time(trip, evidence):
        sheet.add(expected, wrong, hint="look at the rate of the watchdog's timer against that of the clock")
    return sheet.result(reason=_when(found), numbers={"deadline_units": trip.deadline})


def late_on_the_host(trip: DeadlineTrip, clock: ClockSpec) -> bool:
    """Whether it came later than even a busy host explains; False on a clock of the target's own."""
    return clock.kind == "host time" and _host_ns(trip) > trip.deadline + _LATE_NS


def _host_ns(trip: DeadlineTrip) -> int:
    return round(trip.seconds * 1e9)


def _wrong_time(trip: DeadlineTrip, evidence: Evidence) -> str:
    """When it came, where that was not the right time; "" when it was."""
    clock = evidence.clock
    if clock.kind == "host time":
        spent = _host_ns(trip)
        wrong = spent < int(_EARLY * trip.deadline) or late_on_the_host(trip, clock)
        return f"it came after {number(spent)} {clock.unit} of host time" if wrong else ""
    per_round = float(SPIN_INSTRUCTIONS)
    if not clock.deterministic:  # a round takes as many cycles as it did on the clock
        spin = evidence.section(ClockTest).spin
        per_round = spin.units[-1] / rounds_of_all(spin.rounds) if spin.units and spin.rounds else 0.0
        if not per_round:
            return ""
    spent = round(trip.done() * per_round)
    early, late = int(_EARLY * trip.deadline) - _BLUR_UNITS, int(_LATE * trip.deadline) + _BLUR_UNITS
    return "" if early <= spent <= late else f"it came after {number(spent)} {clock.unit} of the spin"


def _judge_stack(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.stack_guard", evidence), evidence.section(GuardTest)
    if (reason := _untried(found, evidence)) or found.stack is None:
        return sheet.not_judged(reason or ended_before(evidence))
    if found.stack.kind != OVERFLOW:
        sheet.add(
            f"a fault of kind {OVERFLOW!r} when the word below the stack is written",
            "the request came back" if found.stack.came_back else f"it ended in: {found.stack.kind}",
            hint="let the MPU, or the page below the stack, refuse every access, before the stack is first used",
        )
    return sheet.result(reason=_when(found))


def _judge_null(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.null_guard", evidence), evidence.section(GuardTest)
    if (reason := _untried(found, evidence)) or not found.null:
        return sheet.not_judged(reason or ended_before(evidence))
    for trip in found.null:
        if trip.kind not in _FAULTS:
            sheet.add(
                f"a fault when address 0 is {trip.test}",
                "the request came back" if trip.came_back else f"it ended in: {trip.kind}",
                hint="let the MPU refuse every access to the lowest page: what lies there is no data",
            )
    return sheet.result(reason=_when(found), numbers={"tests": len(found.null)})


def _when(found: GuardTest) -> str:
    return f"shown to this image on {found.remembered}" if found.remembered else ""


def _check(name: str, title: str, formula: str, judge: Callable[[Evidence], CheckResult]) -> Check:
    return Check(f"instruments.{name}", title, formula, lambda _: True, judge)


CHECKS = (
    _check(
        "deadline",
        "a loop that spins past the deadline of a window",
        "it ends in a fault of kind deadline; 0.98 * deadline - 2000 <= units of its rounds <= 1.02 * deadline + 2000 "
        "(host time: 0.98 * deadline to 2 s later)",
        _judge_deadline,
    ),
    _check(
        "stack_guard",
        "a write to the word below the stack",
        "it ends in a fault of kind stack overflow",
        _judge_stack,
    ),
    _check(
        "null_guard",
        "address 0 is read, written and executed",
        "each ends in a fault of the memory or of the bus",
        _judge_null,
    ),
)
