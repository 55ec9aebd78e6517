"""Knows whether the clock of the firmware tells the time, and whether that of its stages leaves any work out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hil.contract.plain import PlainRuns, allowance
from hil.contract.ready import ended_before, refused
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, number
from hil.records import ClockSpec

SPIN_INSTRUCTIONS = 3  # of one round (docs/link.md)
SHORT = 8  # the stages beside invoke spin this part of its rounds
_STAGES = ("gate", "prepare", "invoke", "decide")
_AROUND = 100  # instructions between the two readings of a stage's clock that are not the loop's
_SHARE = 0.05  # by which stages of equal length may differ on a clock of cycles
_LEAST_RATIO = 0.9  # of what went by outside: the firmware's own clock must show as much of a long spin
_NAP_S = 100e-6  # the shortest nap that a port takes


@dataclass(frozen=True)
class Timed:
    """A request that was counted twice: by the firmware's clock, and outside of it, in units of that clock. exact: no
    idle time is in the outer count. wire: how much of it a request without work takes on its way.
    """

    inside: int
    outside: int
    exact: bool
    wire: int = 0

    @property
    def share(self) -> float:
        """What the firmware's clock shows, of what went by outside while nothing was on a wire."""
        return self.inside / max(1, self.outside - self.wire)


@dataclass(frozen=True)
class Spin:
    """A loop of known length in each stage. rounds: in invoke; units: of the clock at the end of each stage,
    cumulative; counted: the same from outside, once for each attempt that was made.
    """

    rounds: int
    units: tuple[int, ...] = ()
    counted: tuple[Timed, ...] = ()


@dataclass(frozen=True)
class ClockTest(Section):
    """What the clock was shown. able: the firmware has self-tests; counter: what counted outside, "" for nothing.

    naps, slept: naps on the clock, and its units meanwhile. core_hz: rate of the core by its clock tree. empty, plain
    and run: the shortest request, and one window the product's own way and measured, each as long on the link.
    window_bytes, reply_bytes: of that window and its answer.
    """

    tried: bool = False
    able: bool = False
    counter: str = ""
    spin: Spin = Spin(0)
    naps: int = 0
    slept: int = 0
    core_hz: int | None = None
    empty: Timed | None = None
    plain: Timed | None = None
    run: Timed | None = None
    window_bytes: int = 0
    prepared_bytes: int = 0
    reply_bytes: int = 0


def rounds_of_all(rounds: int) -> int:
    """Of the spin in all four stages, when invoke spins `rounds`."""
    return rounds + 3 * (rounds // SHORT)


def untried(tried: bool, able: bool, evidence: Evidence) -> str:
    """Why an instrument that a self-test shows something to cannot be judged; "" when it was."""
    if not tried:
        return refused(evidence) or ended_before(evidence)
    return "" if able else "the firmware does not tell: it has no self-tests (docs/link.md)"


def _judge_clock(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.clock", evidence), evidence.section(ClockTest)
    if reason := untried(found.tried, found.able, evidence):
        return sheet.not_judged(reason)
    _known_length(sheet, found.spin, evidence.clock)
    _outer_count(sheet, found, evidence.clock)
    _sleep(sheet, found, evidence.clock)
    if found.core_hz is not None and found.core_hz != evidence.clock.tick_hz:
        sheet.add(
            f"a core at {number(evidence.clock.tick_hz)} Hz, the rate of the clock's ticks",
            f"the clock tree makes {number(found.core_hz)} Hz",
            hint="mend the clock set-up of the firmware (PLL, dividers, source), or clock_hz in the board file",
        )
    total = found.spin.units[-1] if found.spin.units else 0
    return sheet.result(numbers={"spin_units": total, "outer_counter": found.counter, "slept_units": found.slept})


def _known_length(sheet: Sheet, spin: Spin, clock: ClockSpec) -> None:
    """On a clock of instructions each stage takes what its loop has; on others those of one length take as long."""
    spent = [spin.units[0], *(after - before for before, after in pairwise(spin.units))]
    rounds = [spin.rounds // SHORT, spin.rounds // SHORT, spin.rounds, spin.rounds // SHORT]
    if not clock.deterministic:
        _proportions(sheet, spent, clock)
        return
    for stage, units, turns in zip(_STAGES, spent, rounds, strict=True):
        wanted = SPIN_INSTRUCTIONS * turns
        if not wanted <= units <= wanted + _AROUND:
            sheet.add(
                f"a loop of {number(wanted)} {clock.unit} in {stage}",
                f"the clock shows {number(units)} ({_off(units, wanted)})",
                stage=stage,
                hint=_CLOCK_HINT,
            )


_CLOCK_HINT = "look at ClockStart() and ClockNow() of the port, and at what the meter adds up"


def _off(units: int, wanted: int) -> str:
    if units <= _AROUND:
        return "it stands still"
    return f"{100 * (units / wanted - 1):+.1f} %"


def _proportions(sheet: Sheet, spent: list[int], clock: ClockSpec) -> None:
    if spent[2] <= 0 or min(spent) < 0:
        sheet.add(
            "a clock that runs on from stage to stage",
            f"stages of {', '.join(map(number, spent))} {clock.unit}",
            hint=_CLOCK_HINT,
        )
    elif clock.kind == "cycles":  # host time is at the mercy of its scheduler
        for stage, units in zip(_STAGES, spent, strict=True):
            wanted = spent[2] if stage == "invoke" else spent[2] // SHORT
            if abs(units - wanted) > _SHARE * wanted + _AROUND:
                sheet.add(
                    f"{number(wanted)} {clock.unit} in {stage}, the share of invoke's loop that it has",
                    f"{number(units)} ({_off(units, wanted)})",
                    stage=stage,
                    hint=_CLOCK_HINT,
                )


def _outer_count(sheet: Sheet, found: ClockTest, clock: ClockSpec) -> None:
    """The firmware never shows more than went by outside. In one attempt at least it must show most of that."""
    counted = found.spin.counted
    if not counted:
        return
    fast = [each for each in counted if each.inside > each.outside + _AROUND]
    best = max(counted, key=lambda each: each.share)
    if fast:
        sheet.add(
            f"not above {number(fast[0].outside)} {clock.unit}, which went by on {found.counter}",
            f"the clock shows {number(fast[0].inside)} for the same spin ({_off(fast[0].inside, fast[0].outside)})",
            hint=_CLOCK_HINT,
        )
    elif best.share < _LEAST_RATIO:
        sheet.add(
            f"about {number(best.outside - best.wire)} {clock.unit}, which went by on {found.counter}",
            f"the clock shows {number(best.inside)} for the same spin ({_off(best.inside, best.outside - best.wire)}), "
            f"the best of {len(counted)}",
            hint=_CLOCK_HINT,
        )


def _sleep(sheet: Sheet, found: ClockTest, clock: ClockSpec) -> None:
    least = int(found.naps * _NAP_S * clock.tick_hz) * clock.numerator // clock.denominator
    if found.slept < least:
        sheet.add(
            f"at least {number(least)} {clock.unit} in {found.naps} naps of {_NAP_S * 1e6:g} us or more",
            f"the clock shows {number(found.slept)}: it stops while the core sleeps",
            hint="take a clock that sleep does not stop, or keep its clock on (DBGMCU_CR on an STM32)",
        )


# ---- what no stage's clock counts ------------------------------------------------------------------------------------


def _judge_stages(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.stages", evidence), evidence.section(ClockTest)
    if reason := untried(found.tried, found.able, evidence):
        return sheet.not_judged(reason)
    runs = evidence.section(PlainRuns)
    if evidence.clock.kind == "host time":
        return sheet.not_judged("host time is too blurred for what lies between the stages")
    hidden = runs.longer(evidence)
    for vector, whole, stages in hidden:
        sheet.add(
            f"{number(stages)} {evidence.clock.unit}, the sum of its stages, "
            f"or at most {number(allowance(stages, evidence.clock))} more",
            f"the whole window takes {number(whole)} when nobody looks",
            vector=evidence.case.vectors.name(vector),
            hint="work is done before the clock of a stage starts, or the time of a stage is left out",
        )
    _outside_of_windows(sheet, found)
    return sheet.result(numbers={"windows": len(runs.vectors), "outer_counter": found.counter})


def link_room(found: ClockTest, more: int = 0) -> int:
    """What the link may take of a window, in the outer count's units: that of the shortest request, and some by its
    size. more: for a measured one.
    """
    base = found.empty.outside - found.empty.inside if found.empty else 0
    return base + 2_000 + 16 * found.window_bytes + 64 * found.reply_bytes + more


def measured_room(found: ClockTest) -> int:
    """`link_room` of a window that is measured, and so tells its prepared tensor and its record."""
    return link_room(found, 4_000 + 64 * found.prepared_bytes)


def _outside_of_windows(sheet: Sheet, found: ClockTest) -> None:
    """What a request takes beside the time that the firmware tells is the link's: about the same for all requests."""
    if found.empty is None or not found.empty.exact:
        return
    for timed, name, room in (
        (found.plain, "a window the product's own way", link_room(found)),
        (found.run, "a measured window", measured_room(found)),
    ):
        if timed is None:
            continue
        rest = timed.outside - timed.inside
        if rest > room:
            sheet.add(
                f"{name} takes the time that its clock shows, and at most {number(room)} instructions on the link",
                f"{number(timed.outside)} by {found.counter}, {number(timed.inside)} of them on the clock: "
                f"{number(rest)} are left, the least of several attempts",
                hint="work is done before the clock starts, or after it was read: look at the test mode there",
            )


CHECKS = (
    Check(
        "instruments.clock",
        "the clock: a loop of known length, the count outside of the firmware, sleep, the clock tree",
        "units of a stage = 3 * its rounds (0 to 100 more); 0.9 * units outside <= units of a spin <= units outside; "
        "units of a nap >= 100 us; rate of the clock tree = rate of the ticks",
        lambda _: True,
        _judge_clock,
    ),
    Check(
        "instruments.stages",
        "the clocks of the stages together leave nothing out",
        "units of most plain windows <= sum of its stages + 500 + 0.1 % (cycles: + 2000 + 5 %); "
        "units outside - units inside of a window <= those of "
        "the shortest request + 2000 + 16 * window bytes + 64 * reply bytes (measured: + 4000 + 64 * tensor bytes)",
        lambda _: True,
        _judge_stages,
    ),
)
