"""The stack of a firmware that does not measure it is judged by what the harness saw, where it saw something."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_evidence import build_evidence

from hil.contract import CHECKS, judge
from hil.contract.memory import stack_high_water
from hil.contract.stack_seen import StackSeen
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import Can

BY_ID = {check.id: check for check in CHECKS}
UNTOLD = (
    "the firmware does not tell how much of arena and stack it used, nor whether anything was written beside the arena"
)


def without_marks(seen: StackSeen) -> Evidence:
    """A firmware that tells no marks; limits of the case: 3,000 bytes of the 4,096, and a quarter that stays free."""
    evidence = build_evidence()
    evidence.records.stack_high_water[:] = 0
    return replace(evidence, hello=replace(evidence.hello, can=~Can.MARKS)).having(seen)


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[f"memory.{name}"], evidence)


def test_what_the_harness_saw_is_held_to_the_limits() -> None:
    evidence = without_marks(StackSeen(mark=2900, windows=24, size=4096))
    assert stack_high_water(evidence) == 2900
    stack = verdict("stack", evidence)
    assert (stack.outcome, stack.value) == (Outcome.PASSED, 2900.0)
    assert stack.reason == "painted and read by the harness, over 24 windows"
    assert verdict("stack_headroom", evidence).outcome is Outcome.PASSED


@pytest.mark.parametrize(("mark", "words"), [(3001, "3,001 bytes"), (4096, "no paint is left")])
def test_too_much_is_a_finding(mark: int, words: str) -> None:
    stack = verdict("stack", without_marks(StackSeen(mark=mark, windows=24, size=4096)))
    assert stack.outcome is Outcome.FAILED
    assert any(words in finding.observed for finding in stack.findings)


def test_where_it_saw_nothing_the_check_says_why() -> None:
    assert verdict("stack", without_marks(StackSeen())).reason == UNTOLD
    other = verdict("stack", without_marks(StackSeen(blind="another stack is in use")))
    assert (other.outcome, other.reason) == (Outcome.NOT_JUDGED, f"{UNTOLD}; another stack is in use")
    assert verdict("arena", without_marks(StackSeen(blind="another stack is in use"))).reason == UNTOLD


def test_the_arena_is_not_known_from_it() -> None:
    assert verdict("arena", without_marks(StackSeen(mark=900, windows=24, size=4096))).outcome is Outcome.NOT_JUDGED
