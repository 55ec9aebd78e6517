"""How the execution contract words what broke: whose field of the bundle, which runs of the model, what next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from made_evidence import with_section
from test_contract_defects import BY_ID, hello, records

from hil.board.fault import advice
from hil.contract import judge
from hil.contract.execution import InvokeRun, Invokes, failing_calls
from hil.contract.instruments.marks import NO_MEMORY, MemoryTest
from hil.contract.types import BundleDifference, Evidence, Outcome, VectorFault
from hil.records import FaultReport, Status

PARAMETERS = {"input": "input.parameters", "execution": "execution.bundle", "decision": "decision.parameters"}


@pytest.mark.parametrize(
    ("contract", "field", "stage"),
    [
        ("input", "gate.low", "gate"),
        ("input", "prepare.channels", "prepare"),
        ("execution", "arena_bytes", ""),
        ("decision", "decide.threshold", "decide"),
    ],
)
def test_a_field_of_the_bundle_is_held_to_the_case_by_its_own_contract(
    evidence: Evidence, contract: str, field: str, stage: str
) -> None:
    broken = replace(evidence, bundle_differences=(BundleDifference(contract, field, "12", "13"),))
    results = {name: judge(BY_ID[check], broken) for name, check in PARAMETERS.items()}
    assert {name for name, result in results.items() if result.outcome is Outcome.FAILED} == {contract}
    (finding,) = results[contract].findings
    assert (finding.expected, finding.observed) == (f"{field} 12", "13 in the bundle")
    assert finding.stage == stage
    assert finding.hint == "the bundle was not made from this case file: build it from the case, or mend the case"


@pytest.mark.parametrize("change", [{"case": "other"}, {"case_version": 3}])
def test_the_bundle_is_of_this_case_in_this_version(evidence: Evidence, change: dict[str, object]) -> None:
    (finding,) = judge(BY_ID["execution.bundle"], hello(**change)(evidence)).findings
    observed = f"case {change.get('case', 'motion')} version {change.get('case_version', 2)}"
    assert (finding.expected, finding.observed) == ("case motion version 2", observed)


@pytest.mark.parametrize("letter_case", [str.upper, str.lower])
def test_a_hash_is_the_same_in_either_case(evidence: Evidence, letter_case: Callable[[str], str]) -> None:
    broken = hello(bundle_hash=letter_case("cD" * 32), model_hash=letter_case("aB" * 32))(evidence)
    assert judge(BY_ID["execution.bundle"], broken).outcome is Outcome.PASSED
    assert judge(BY_ID["execution.model"], broken).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("calls", "failed", "words"),
    [
        (9, (), ""),
        (9, (9,), "invoke fails on 1 of 9 calls since the firmware started: 9"),
        (9, (8, 9), "invoke fails from call 8 on (2 of 9 calls since the firmware started)"),
        (9, (7, 9), "invoke fails on 2 of 9 calls since the firmware started: 7, 9"),
        (1, (1,), "invoke fails on every call (1 since the firmware started)"),
        (3, (1, 2, 3), "invoke fails on every call (3 since the firmware started)"),
        (1200, (1100, 1101), "invoke fails on 2 of 1,200 calls since the firmware started: 1,100, 1,101"),
        (99, (1, 2, 4, 8, 16), "invoke fails on 5 of 99 calls since the firmware started: 1, 2, 4, 8, 16"),
        (99, (1, 2, 4, 8, 16, 32), "invoke fails on 6 of 99 calls since the firmware started: 1, 2, 4, 8, 16, ..."),
    ],
)
def test_which_runs_of_the_model_fail(evidence: Evidence, calls: int, failed: tuple[int, ...], words: str) -> None:
    starts = (InvokeRun(5), InvokeRun(calls, failed), InvokeRun(7, (3,))) if failed else (InvokeRun(calls),)
    assert failing_calls(evidence.having(Invokes(starts))) == words


@pytest.mark.parametrize(
    ("step", "ordinal"),
    [
        *((2, "2nd"), (3, "3rd"), (4, "4th"), (10, "10th"), (11, "11th"), (12, "12th"), (13, "13th"), (14, "14th")),
        *((21, "21st"), (22, "22nd"), (23, "23rd"), (101, "101st"), (111, "111th"), (112, "112th"), (1000, "1,000th")),
    ],
)
def test_every_nth_run_fails(evidence: Evidence, step: int, ordinal: str) -> None:
    words = failing_calls(evidence.having(Invokes((InvokeRun(2 * step + 1, (step, 2 * step)),))))
    assert words == f"invoke fails on every {ordinal} call (2 of {2 * step + 1:,} calls since the firmware started)"


def test_without_a_count_nobody_says_which_runs_failed(evidence: Evidence) -> None:
    assert failing_calls(evidence) == ""


OWN = "it broke on a window or scores that the harness made itself, or outside of any request; "


@pytest.mark.parametrize("kind", ["bus fault", "reset", "hang", "stack overflow", "deadline missed"])
@pytest.mark.parametrize(("vector", "name", "front"), [(12, "#12", ""), (0, "#0", ""), (-1, "", OWN)])
def test_a_fault_is_told_with_what_to_do_about_its_kind(
    evidence: Evidence, kind: str, vector: int, name: str, front: str
) -> None:
    fault = VectorFault(vector, Status.RESET, FaultReport(kind, "invoke", "pc 0x1234", {"cfsr": 0x400}))
    (finding,) = judge(BY_ID["execution.fault"], replace(evidence, faults=(fault,))).findings
    assert finding.vector == name
    assert finding.observed == f"reset: {kind} in stage invoke\npc 0x1234"
    assert finding.hint == front + advice(kind, {"cfsr": 0x400})
    assert (
        advice(kind, {})
        in judge(
            BY_ID["execution.fault"],
            replace(evidence, faults=(replace(fault, report=replace(fault.report, registers={})),)),
        )
        .findings[0]
        .hint
    )


@pytest.mark.parametrize(
    ("damage", "where"),
    [(1, "below the arena"), (2, "above the arena"), (3, "below and above the arena"), (4, "(bits 0x4)")],
)
def test_a_canary_says_where_it_was_overwritten(evidence: Evidence, damage: int, where: str) -> None:
    inside = judge(BY_ID["execution.canaries"], records(9, canaries=damage)(evidence)).findings[0]
    assert (inside.vector, inside.observed) == ("#9", f"overwritten {where}")


def test_a_canary_damaged_in_another_run_is_told_even_when_no_vector_ran(evidence: Evidence) -> None:
    evidence.records.status[:] = Status.NOT_RUN
    (finding,) = judge(BY_ID["execution.canaries"], replace(evidence, other_canaries=2)).findings
    assert (
        finding.observed
        == "overwritten above the arena in a run outside the first pass: warm-up, replay, later pass or probe"
    )


@pytest.mark.parametrize("reported", ["", "00" * 32])
def test_a_refused_bundle_without_a_model_is_not_another_model(evidence: Evidence, reported: str) -> None:
    refused = hello(bundle_status=3, model_hash=reported)(evidence)
    assert judge(BY_ID["execution.model"], refused).outcome is Outcome.NOT_JUDGED
    named = hello(bundle_status=3, model_hash="cd" * 32)(evidence)
    assert judge(BY_ID["execution.model"], named).outcome is Outcome.FAILED
    assert judge(BY_ID["execution.model"], hello(model_hash=reported)(evidence)).outcome is Outcome.FAILED


@pytest.mark.parametrize("check", ["memory.arena", "memory.stack"])
def test_a_mark_of_nothing_was_not_measured(evidence: Evidence, check: str) -> None:
    evidence.records.arena_high_water[:] = evidence.records.stack_high_water[:] = 0
    (finding,) = judge(BY_ID[check], hello(arena_high_water=0)(evidence)).findings
    what = check.removeprefix("memory.")
    assert finding.expected == f"a measured high-water mark of the {what}"
    assert finding.observed == "0 bytes on every vector"


@pytest.mark.parametrize(("reason", "word"), [(0, "rejected without a reason"), (99, "rejected: unknown reason 99")])
def test_a_rejection_is_worded_whatever_its_reason(evidence: Evidence, reason: int, word: str) -> None:
    broken = records(9, status=Status.REJECTED, gate=reason, answer=-1, label=-1)(evidence)
    finding = judge(BY_ID["input.gate"], broken).findings[0]
    assert (finding.vector, finding.expected, finding.observed) == ("#9", "valid", word)


@pytest.mark.parametrize("element", [0, 6, 20])
def test_outputs_that_are_the_input_tensors_memory_say_so(evidence: Evidence, element: int) -> None:
    """A model that does not run leaves the prepared tensor where its output should be."""
    evidence.records.output[:] = evidence.references.prepared[:, element : element + 4]
    (hint, *_) = [finding.hint for finding in judge(BY_ID["execution.output"], evidence).findings]
    assert f"the output is the input tensor's memory, from element {element} on" in hint


def test_a_model_that_nobody_can_read_back_passes_by_the_firmwares_word_alone(evidence: Evidence) -> None:
    blind = with_section(evidence, MemoryTest, blind=NO_MEMORY, engine=None)
    result = judge(BY_ID["execution.model"], blind)
    assert (result.outcome, result.reason) == (
        Outcome.PASSED,
        "the firmware's own word: this board gives no memory to read the model from",
    )
    assert judge(BY_ID["execution.model"], evidence).reason == ""


@pytest.mark.parametrize(
    ("engine", "outcome"),
    [
        ("", Outcome.PASSED),
        ("ab" * 32, Outcome.PASSED),
        ("cd" * 32, Outcome.FAILED),
        ("AB" * 31 + "ac", Outcome.FAILED),
    ],
)
def test_the_engine_runs_the_bytes_of_the_model_where_they_can_be_read(
    evidence: Evidence, engine: str, outcome: Outcome
) -> None:
    memory = evidence.section(MemoryTest)
    assert memory.engine is not None
    other = with_section(evidence, MemoryTest, engine=replace(memory.engine, model_sha256=engine))
    assert judge(BY_ID["execution.model"], other).outcome is outcome
    refused = hello(bundle_status=3, model_hash="ab" * 32)(other)
    assert judge(BY_ID["execution.model"], refused).outcome is Outcome.PASSED


@pytest.mark.parametrize(("more", "outcome"), [(0, Outcome.PASSED), (1, Outcome.FAILED)])
def test_the_engine_is_given_no_more_arena_than_the_case_allows(
    evidence: Evidence, more: int, outcome: Outcome
) -> None:
    memory = evidence.section(MemoryTest)
    assert memory.engine is not None
    given = replace(memory.engine, arena_bytes=memory.share + more)
    assert judge(BY_ID["execution.arena"], with_section(evidence, MemoryTest, engine=given)).outcome is outcome


@pytest.mark.parametrize(
    ("operators", "outcome"),
    [
        (("CONV_2D", "CUSTOM"), Outcome.PASSED),
        (("CONV_2D",), Outcome.FAILED),  # no custom operator at all
        (("CUSTOM",), Outcome.FAILED),
    ],
)
def test_a_custom_operator_is_known_by_the_code_that_all_share(
    evidence: Evidence, operators: tuple[str, ...], outcome: Outcome
) -> None:
    """A hello has one code for them; the firmware that took the bundle has looked up each by its name."""
    case = replace(evidence.case, model=replace(evidence.case.model, operators=("CONV_2D", "CUSTOM:SignalWindow")))
    told = hello(operators=operators)(replace(evidence, case=case))
    assert judge(BY_ID["execution.operators"], told).outcome is outcome


def test_a_firmware_that_refused_the_bundle_has_looked_up_no_custom_operator(evidence: Evidence) -> None:
    case = replace(evidence.case, model=replace(evidence.case.model, operators=("CUSTOM:SignalWindow",)))
    told = hello(operators=("CUSTOM",), bundle_status=33)(replace(evidence, case=case))
    assert judge(BY_ID["execution.operators"], told).outcome is Outcome.FAILED
