"""Tables that name checks name checks that there are: a name that is none would let its check pass unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_baseline import accepted_evidence
from made_evidence import build_evidence
from made_several import each_twice

from hil.can import FUNCTIONS, to_add, untold
from hil.contract import CHECKS, instruments, judge, own, told
from hil.contract.types import Evidence, Finding, Outcome
from hil.records import Can

IDS = {check.id: check for check in CHECKS}
NEEDED = [(function, check) for function, checks in told._NEEDED.items() for check in checks]
OF_FURTHER = [(function, check) for function, checks in told._OF_FURTHER.items() for check in checks]


def test_every_name_in_a_table_is_that_of_a_check() -> None:
    named = {check for _, check in (*NEEDED, *OF_FURTHER)} | {*own._PREPARE, *own._DECIDE}
    for table in (instruments._MEASURED_WITH, instruments._DETECTED_BY):
        named |= {*table, *(name for names in table.values() for name in names if not name.endswith("."))}
    assert named <= set(IDS)
    prefixes = [name for names in instruments._MEASURED_WITH.values() for name in names if name.endswith(".")]
    for start in (*prefixes, *own._TENSOR):
        assert any(check.startswith(start) for check in IDS), start


@pytest.mark.parametrize(("function", "check"), NEEDED, ids=lambda each: getattr(each, "name", each))
def test_a_check_is_not_judged_without_the_function_that_it_needs(function: Can, check: str) -> None:
    evidence = accepted_evidence()
    assert judge(IDS[check], evidence).outcome is Outcome.PASSED
    without = judge(IDS[check], replace(evidence, hello=replace(evidence.hello, can=~function)))
    assert without.outcome is Outcome.NOT_JUDGED
    assert without.reason == f"the firmware does not tell {FUNCTIONS[function].what}"
    assert without.hint == f"add {FUNCTIONS[function].add} (docs/agent.md)"


@pytest.mark.parametrize(("function", "check"), OF_FURTHER, ids=lambda each: getattr(each, "name", each))
def test_of_several_tensors_more_is_needed(evidence: Evidence, function: Can, check: str) -> None:
    alone = replace(evidence, hello=replace(evidence.hello, can=~function))
    assert judge(IDS[check], alone).outcome is Outcome.PASSED
    several = each_twice(build_evidence())
    assert judge(IDS[check], several).outcome is Outcome.PASSED
    several = replace(several, hello=replace(several.hello, can=~function))
    assert judge(IDS[check], several).outcome is Outcome.NOT_JUDGED


@pytest.mark.parametrize("check", sorted(IDS))
def test_no_other_check_is_let_off(check: str) -> None:
    """A firmware without any function is still held to what it tells."""
    needed = told.needed_by(check, build_evidence())
    assert needed == sum((function for function, name in NEEDED if name == check), Can(0))


def test_what_is_missing_is_told_in_one_order_and_what_is_there_is_not() -> None:
    both = Can.DECIDE | Can.MARKS
    assert untold(both, both) == to_add(both, both) == ""
    assert untold(Can(0), Can(0)) == to_add(Can(0), Can(0)) == ""
    assert untold(Can.MARKS, both) == f"the firmware does not tell {FUNCTIONS[Can.DECIDE].what}"
    assert to_add(Can.DECIDE, both) == f"add {FUNCTIONS[Can.MARKS].add} (docs/agent.md)"
    assert untold(Can(0), both) == "; ".join(
        f"the firmware does not tell {FUNCTIONS[each].what}" for each in (Can.DECIDE, Can.MARKS)
    )
    assert to_add(Can(0), both) == f"add {FUNCTIONS[Can.DECIDE].add}, and {FUNCTIONS[Can.MARKS].add} (docs/agent.md)"
    assert set(FUNCTIONS) == set(Can)


BROKEN = Finding("", "", "instruments", "", "", "seen to be", "", "", "")
MEASURED = [(instrument, name) for instrument, names in instruments._MEASURED_WITH.items() for name in names]
DETECTED = [(instrument, name) for instrument, names in instruments._DETECTED_BY.items() for name in names]


@pytest.mark.parametrize(("instrument", "name"), [*MEASURED, *DETECTED])
def test_what_a_broken_instrument_measured_is_invalid(
    instrument: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = accepted_evidence()
    resting = [check for check in IDS if check == name or (name.endswith(".") and check.startswith(name))]
    asked = [check for check in resting if IDS[check].applies(evidence.case)]
    assert asked
    broken = dict(instruments._JUDGES)
    result = broken[instrument](evidence)
    failed = replace(result, outcome=Outcome.INVALID, findings=(BROKEN,))
    broken[instrument] = lambda _: failed
    monkeypatch.setattr(instruments, "_JUDGES", broken)
    for check in asked:
        before = IDS[check].judge(evidence)
        if before.outcome is Outcome.NOT_JUDGED and before.value is None:
            continue
        after = judge(IDS[check], evidence)
        assert (check, after.outcome) == (check, Outcome.INVALID)
        assert after.reason == f"{instrument} is broken: seen to be"
        assert after.limit == before.limit
