"""Knows runs on other boards, runs that ended early, and runs against an accepted baseline. Each changes the run of
made_evidence, for said.py to write down what all checks say of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from made_baseline import FILE, OPERATORS, accepted_evidence, tolerating
from made_evidence import CYCLES, N, with_section
from situations import held_to, of_case

from hil.case.types import LatencyLimit, Limit
from hil.contract.operators import OperatorProfile
from hil.contract.plain import PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.soak import Soak
from hil.contract.types import Evidence, ReplayDifference, VectorFault
from hil.records import ClockSpec, FaultReport, GateReason, Status

HOST_TIME = ClockSpec("host time", "ns", 1, 1, 1_000_000_000, False)


def on_a_workstation(evidence: Evidence) -> Evidence:
    """Wider pointers, a clock that says nothing, and no budget of the arena in the case."""
    image = replace(evidence.image, host=True)
    return of_case(replace(evidence, board="native", image=image, clock=HOST_TIME), arena_bytes=None)


def on_a_workstation_beyond_its_arena(evidence: Evidence) -> Evidence:
    image = replace(evidence.image, host=True)
    hello = replace(evidence.hello, arena_used=9000, arena_high_water=9000)
    return replace(evidence, board="native", image=image, hello=hello)


def without_a_budget_of_the_arena(evidence: Evidence) -> Evidence:
    return of_case(evidence, arena_bytes=None)


def without_room_for_the_usual_headroom(evidence: Evidence) -> Evidence:
    hello = replace(evidence.hello, arena_bytes=6200)
    return held_to(of_case(replace(evidence, hello=hello), arena_bytes=None), arena_headroom=None, margin=0.2)


def on_a_clock_of_cycles(evidence: Evidence) -> Evidence:
    """100 MHz. One limit holds, one is close, two are broken, and those in instructions are not judged here."""
    wanted = (
        ("prepare", "p50", Limit(maximum=2000, unit="cycles")),
        ("invoke", "p99", Limit(maximum=0.82, unit="ms")),
        ("decide", "max", Limit(maximum=50, unit="cycles")),
        ("total", "p95", Limit(maximum=0.8, unit="ms")),
        ("total", "p95", Limit(maximum=90_000, unit="cycles")),
    )
    limits = tuple(LatencyLimit(stage, statistic, "cycles", limit) for stage, statistic, limit in wanted)
    instructions = tuple(each for each in evidence.case.contracts.latency if each.stage == "total")
    evidence = held_to(evidence, latency=(*limits, *instructions), margin=0.05)
    units = evidence.records.ticks[evidence.section(PlainRuns).vectors, 2] + 30
    return with_section(replace(evidence, board="nucleo", clock=CYCLES), PlainRuns, units=units)


def with_too_few_windows(evidence: Evidence) -> Evidence:
    """For the bounds of all percentiles: three windows again and again, of which one was lost in a fault."""
    evidence.case.vectors.windows[:] = evidence.case.vectors.windows[np.arange(N) % 3]
    evidence.records.status[5] = Status.HANG
    return evidence


def with_a_clock_that_stands(evidence: Evidence) -> Evidence:
    evidence.records.ticks[[0, 9], 1] = evidence.records.ticks[[0, 9], 0]
    evidence.records.ticks[[9, 10], 2] -= 5000
    evidence.records.output[9, 0] ^= 1
    return evidence


def refused_for_its_arena(evidence: Evidence) -> Evidence:
    evidence = _refused(evidence, 34, 9000)
    return replace(evidence, hello=replace(evidence.hello, arena_used=0))


def refused_for_the_arena_of_the_firmware(evidence: Evidence) -> Evidence:
    return _refused(evidence, 21, 4096)


def refused_for_more_than_anybody_can_say(evidence: Evidence) -> Evidence:
    return _refused(evidence, 34, 0)


def refused_for_the_labels(evidence: Evidence) -> Evidence:
    return _refused(evidence, 20, 3)


def _refused(evidence: Evidence, status: int, detail: int) -> Evidence:
    evidence.records.status[:] = Status.NOT_RUN
    hello = replace(evidence.hello, bundle_status=status, bundle_detail=detail)
    return replace(evidence, hello=hello, sections={})


def broken_at_its_start(evidence: Evidence) -> Evidence:
    """The firmware breaks while it sets the model up, and says hello without a bundle."""
    fault = VectorFault(-1, Status.FAULT, FaultReport("usage fault", "start", "pc 0x00001234 svdf.cc:88"))
    return replace(_refused(evidence, 1, 0), faults=(fault,))


def ended_in_the_first_probe(evidence: Evidence) -> Evidence:
    """All vectors ran; nothing came behind them."""
    fault = VectorFault(-1, Status.RESET, FaultReport("reset", "invoke", "pc 0"))
    return replace(evidence, faults=(fault,), sections={})


def ended_without_a_fault(evidence: Evidence) -> Evidence:
    return replace(evidence, sections={})


def ended_in_the_long_run(evidence: Evidence) -> Evidence:
    """With windows that were not done, the last one slow; in shorter runs answers did not repeat either."""
    fault = VectorFault(3, Status.HANG, FaultReport("hang", "invoke", "pc 0"))
    soak = evidence.section(Soak)
    total = soak.total[:150].copy()
    total[[3, 13, 23]], total[149] = 0, 2 * total[149]
    differences = (ReplayDifference(3, "soak", 4, "status", "DONE", "INVOKE_FAILED", "after #2"),)
    again = ReplayDifference(5, "replay", 2, "output", "00", "01")
    evidence = with_section(evidence, Repeats, differences=(again,))
    return replace(
        with_section(
            evidence, Soak, windows=150, vector=soak.vector[:150], total=total, differences=differences, wrong=3, slow=1
        ),
        faults=(fault,),
    )


# ---- an accepted baseline


def as_accepted(_: Evidence) -> Evidence:
    return accepted_evidence()


def behind_the_baseline(_: Evidence) -> Evidence:
    """In everything: outputs, answers, times, operators, sizes; image, flags and case.toml are others."""
    evidence = accepted_evidence()
    rows, columns = evidence.records, evidence.references
    for column in (rows.output, columns.output):
        column[[0, 9, 10], 1] ^= (3, 1, 1)
        column[9] = column[9][::-1]
    for row in (rows, columns):
        row.winner[9], row.score[9] = rows.output[9].argmax(), rows.output[9].max()
        row.answer[[9, 20]] = (row.winner[9], -1)
    rows.label[[9, 20]] = (3 - rows.winner[9], -1)
    rows.ticks[:, 1:] += rows.ticks[:, 1:2] // 20
    rows.arena_high_water += 100
    rows.stack_high_water += 100
    grown = tuple(replace(each, units=each.units + 1000 * each.index + 500) for each in OPERATORS)
    evidence = replace(
        evidence,
        image=replace(evidence.image, sha256="12" * 32, flash_bytes=152_000, ram_bytes=80_040),
        hello=replace(evidence.hello, arena_used=5600, flags="-O1"),
    )
    evidence = of_case(evidence, files={**evidence.case.files, "case.toml": "99" * 32})
    return evidence.having(OperatorProfile(grown, 0))


def behind_the_baseline_and_broken(_: Evidence) -> Evidence:
    """What changed is wrong as well, and some vectors have no record any more."""
    evidence = accepted_evidence()
    rows = evidence.records
    rows.output[[0, 9], 1] ^= 3
    rows.digest[10] ^= 1
    rows.status[[30, 31]] = Status.FAULT
    rows.status[40], rows.gate[40] = Status.REJECTED, GateReason.FLAT
    return evidence


def behind_the_baseline_as_tolerated(_: Evidence) -> Evidence:
    """By no more than the case tolerates, and by a little more."""
    evidence = behind_the_baseline(as_accepted(_))
    return tolerating(
        evidence, outputs_lsb=1, accuracy=1.0, latency=0.06, arena_bytes=99, stack_bytes=100, flash_bytes=1999
    )


def not_the_accepted_board(_: Evidence) -> Evidence:
    evidence = accepted_evidence()
    return replace(evidence, board="nucleo", clock=CYCLES, hello=replace(evidence.hello, target="other"))


def another_version_and_compiler(_: Evidence) -> Evidence:
    evidence = accepted_evidence()
    evidence.records.ticks[:, 1:] += 9000
    hello = replace(evidence.hello, compiler="gcc 13", kernels="cmsis-nn", firmware="2")
    return of_case(replace(evidence, hello=hello), version=3)


def without_a_baseline_on_this_board(_: Evidence) -> Evidence:
    evidence = replace(accepted_evidence(), baseline=None)
    return of_case(evidence, baselines={"nucleo": FILE})


OF_BOARDS: Sequence[Callable[[Evidence], Evidence]] = (
    on_a_workstation,
    on_a_workstation_beyond_its_arena,
    without_a_budget_of_the_arena,
    without_room_for_the_usual_headroom,
    on_a_clock_of_cycles,
    with_too_few_windows,
    with_a_clock_that_stands,
    refused_for_its_arena,
    refused_for_the_arena_of_the_firmware,
    refused_for_more_than_anybody_can_say,
    refused_for_the_labels,
    broken_at_its_start,
    ended_in_the_first_probe,
    ended_without_a_fault,
    ended_in_the_long_run,
)
OF_A_BASELINE: Sequence[Callable[[Evidence], Evidence]] = (
    as_accepted,
    behind_the_baseline,
    behind_the_baseline_and_broken,
    behind_the_baseline_as_tolerated,
    not_the_accepted_board,
    another_version_and_compiler,
    without_a_baseline_on_this_board,
)
