"""A case without `arena_bytes`: what is not judged, and the line that is proposed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_evidence import build_evidence, with_section

from hil.bundle import describe
from hil.contract import CHECKS, checks_for, judge
from hil.contract.instruments.marks import Engine, Mark, MemoryTest
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import Status

BY_ID = {check.id: check for check in CHECKS}
UNLIMITED = {"execution.arena", "memory.arena", "memory.arena_headroom"}
HAS = 65536  # bytes of the made firmware's arena


def without_arena(evidence: Evidence) -> Evidence:
    return replace(evidence, case=replace(evidence.case, arena_bytes=None))


def with_arena(evidence: Evidence, arena_bytes: int) -> Evidence:
    return replace(evidence, case=replace(evidence.case, arena_bytes=arena_bytes))


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[name], evidence)


def line(result: CheckResult) -> int:
    """The `arena_bytes` of the line that the hint gives."""
    (value,) = re.findall(r"write arena_bytes = (\d+) under \[budget\.memory\] of case\.toml", result.hint)
    return int(value)


def test_only_what_needs_the_limit_is_not_judged(evidence: Evidence) -> None:
    evidence = without_arena(evidence)
    results = {check.id: judge(check, evidence) for check in checks_for(evidence.case)}
    assert {name for name, result in results.items() if result.outcome is Outcome.NOT_JUDGED} == UNLIMITED
    assert {result.outcome for result in results.values()} == {Outcome.PASSED, Outcome.NOT_JUDGED}
    assert all(results[name].reason.startswith("case.toml gives no arena_bytes") for name in UNLIMITED)
    assert all(results[name].limit is None for name in ("execution.arena", "memory.arena"))


def test_the_run_says_what_the_model_used_and_what_to_write(evidence: Evidence) -> None:
    """6,000 bytes with 10 % of headroom: 6,672 leave 10.07 %, 6,656 leave 9.9 %."""
    found = verdict("memory.arena", without_arena(evidence))
    assert "the model used 6,000 bytes of the 65,536 that the firmware has" in found.reason
    assert found.hint.startswith("write arena_bytes = 6672 under [budget.memory] of case.toml")
    assert (found.value, found.unit) == (6000.0, "bytes")
    assert dict(found.numbers) == {"high_water": 6000, "arena_used": 5500, "proposed": 6672}


@example(mark=57, headroom=0.25, margin=0.05)  # 80 bytes would leave just that
@given(
    mark=st.integers(16, 60_000),
    headroom=st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3]),
    margin=st.sampled_from([0.0, 0.05, 0.1, 0.2]),
)
def test_with_the_line_the_checks_of_the_arena_pass(mark: int, headroom: float | None, margin: float) -> None:
    """Without being marginal; and 16 bytes less leave less than the headroom that is promised."""
    evidence = build_evidence()
    contracts = replace(evidence.case.contracts, arena_headroom=headroom, margin=margin)
    evidence = replace(evidence, case=replace(evidence.case, contracts=contracts))
    evidence.records.arena_high_water[:] = mark
    evidence = replace(evidence, hello=replace(evidence.hello, arena_used=mark, arena_high_water=mark))
    found = verdict("memory.arena", without_arena(evidence))
    proposed = line(found)
    assert found.numbers["proposed"] == proposed
    free = max(0.1, margin) if headroom is None else headroom + margin * (1 - headroom)
    if "larger HIL_ARENA_BYTES" in found.hint:
        assert proposed == HAS
        assert (HAS - mark) / HAS < free
        return
    assert proposed % 16 == 0
    assert proposed - 16 - mark < (free + 1e-9) * (proposed - 16)
    written = with_arena(evidence, proposed)
    judged = [check for check in checks_for(written.case) if check.id in UNLIMITED]
    assert {str(judge(check, written).outcome) for check in judged} == {"passed"}


def test_more_than_the_firmware_has_is_not_proposed(evidence: Evidence) -> None:
    evidence.records.arena_high_water[:] = 63_000
    found = verdict("memory.arena", without_arena(evidence))
    assert line(found) == HAS
    assert "all that the firmware has, of which 3.9 % stays free" in found.hint
    assert "The usual headroom would need 70,016: build it with a larger HIL_ARENA_BYTES" in found.hint


def test_a_workstation_says_that_it_cannot_tell(evidence: Evidence) -> None:
    evidence = replace(evidence, board="native", image=replace(evidence.image, host=True))
    found = verdict("memory.arena", without_arena(evidence))
    assert found.outcome is Outcome.NOT_JUDGED
    assert found.reason.endswith("native cannot tell what to write: its pointers have 8 bytes")
    assert found.hint.startswith("run the case on a board of a 32-bit target")
    assert "proposed" not in found.numbers
    assert verdict("execution.arena", without_arena(evidence)).reason.endswith("see memory.arena")


def test_a_run_that_measured_nothing_proposes_nothing(evidence: Evidence) -> None:
    refused = replace(evidence, hello=replace(evidence.hello, bundle_status=35))
    found = verdict("memory.arena", without_arena(refused))
    assert (found.outcome, found.hint) == (Outcome.NOT_JUDGED, "")
    assert "see execution.bundle" in found.reason
    lost = build_evidence()
    lost.records.status[:] = Status.FAULT
    assert verdict("memory.arena", without_arena(lost)).hint == ""
    unmeasured = build_evidence()
    unmeasured.records.arena_high_water[:] = 0
    unmeasured = replace(unmeasured, hello=replace(unmeasured.hello, arena_high_water=0))
    assert verdict("memory.arena", without_arena(unmeasured)).outcome is Outcome.FAILED


def test_a_mark_of_a_broken_instrument_proposes_nothing(evidence: Evidence) -> None:
    broken = with_section(without_arena(evidence), MemoryTest, arena=Mark(5000, 2500))
    found = verdict("memory.arena", broken)
    assert (found.outcome, found.hint) == (Outcome.INVALID, "")


def test_a_model_that_does_not_fit_the_whole_arena_is_a_finding(evidence: Evidence) -> None:
    evidence = without_arena(replace(evidence, hello=replace(evidence.hello, bundle_status=34, bundle_detail=0)))
    found = verdict("execution.arena", evidence)
    assert found.outcome is Outcome.FAILED
    (finding,) = found.findings
    assert finding.expected == "the interpreter fits into 65,536 bytes"
    assert finding.observed == "it does not fit into the firmware's 65,536"
    assert finding.hint == (
        "build the firmware with a larger HIL_ARENA_BYTES (docs/porting.md), or shrink the model's largest layer"
    )
    told = describe(34, 0, evidence.case)
    assert "the model needs more arena than the firmware has; shrink the model" in told
    assert "allows" not in told


@pytest.mark.parametrize("limit", [None, 8192])
def test_an_engine_with_more_than_its_share_is_a_finding_with_and_without_a_limit(
    limit: int | None, evidence: Evidence
) -> None:
    engine = Engine(0x21000000, 2000, 0x20000400, 16_384, "ab" * 32)
    evidence = with_section(evidence, MemoryTest, engine=engine)
    evidence = replace(evidence, case=replace(evidence.case, arena_bytes=limit))
    assert verdict("execution.arena", evidence).outcome is Outcome.FAILED
