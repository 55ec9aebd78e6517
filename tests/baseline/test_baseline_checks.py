"""A run that equals its baseline breaks no check, and each check finds what it is for, names the stage, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from made_baseline import OPERATORS, accept, accepted_evidence, tolerating
from made_evidence import CYCLES, REJECTED, with_section

from hil.contract import CHECKS, checks_for, judge
from hil.contract.changes import baseline_document, changes
from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import ClockSpec, DecisionReason, GateReason, Status
from hil.runfile import BaselineFacts

BY_ID = {check.id: check for check in CHECKS if check.contract == "baseline"}
IDS = list(BY_ID)
COUNTER = ClockSpec("instructions", "instructions", 1, 1, 0, True)
HOST_TIME = replace(CYCLES, kind="host time", unit="ns", hz=1_000_000_000)


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[f"baseline.{name}"], evidence)


def broken(evidence: Evidence) -> set[str]:
    results = [judge(check, evidence) for check in BY_ID.values()]
    return {result.check.removeprefix("baseline.") for result in results if result.outcome is Outcome.FAILED}


@pytest.fixture
def evidence() -> Evidence:
    return accepted_evidence()


def test_a_run_that_equals_its_baseline_passes_every_check(evidence: Evidence) -> None:
    results = [judge(check, evidence) for check in checks_for(evidence.case) if check.contract == "baseline"]
    assert {result.check: result.outcome for result in results} == dict.fromkeys(IDS, Outcome.PASSED)


def test_a_margin_makes_no_equal_figure_marginal(evidence: Evidence) -> None:
    contracts = replace(evidence.case.contracts, margin=0.5)
    careful = replace(evidence, case=replace(evidence.case, contracts=contracts))
    assert {judge(check, careful).outcome for check in BY_ID.values()} == {Outcome.PASSED}


def test_a_case_without_baselines_is_not_asked(evidence: Evidence) -> None:
    assert not any(check.applies(replace(evidence.case, baselines={})) for check in BY_ID.values())


def test_a_board_without_a_baseline_is_not_judged_and_told_how_to_get_one(evidence: Evidence) -> None:
    results = [judge(check, replace(evidence, board="renode", baseline=None)) for check in BY_ID.values()]
    assert {result.outcome for result in results} == {Outcome.NOT_JUDGED}
    assert all("board renode (there is: qemu): hil baseline accept" in result.reason for result in results)


# ---- what was damaged, what must break, and words that the finding must hold


@dataclass(frozen=True)
class Defect:
    name: str
    damage: Callable[[Evidence], Evidence]
    breaks: tuple[str, ...]
    stage: str = ""
    words: tuple[str, ...] = ()


def spend(stage: int, units: float, rows: object = slice(None)) -> Callable[[Evidence], Evidence]:
    """`units` more in one stage of these vectors; ticks are 8/5 of the units and cumulative."""

    def damage(evidence: Evidence) -> Evidence:
        mask = np.zeros(len(evidence.records), bool)
        mask[rows] = True
        mask &= evidence.records.status == Status.DONE
        evidence.records.ticks[mask, stage:] += int(units * evidence.clock.denominator / evidence.clock.numerator)
        return evidence

    return damage


def change_output(evidence: Evidence) -> Evidence:
    """One LSB more in the weakest score of vector 5: no decision changes."""
    output = evidence.records.output[5]
    output[output.argmin()] += 1
    return evidence


def change_tensor_and_output(evidence: Evidence) -> Evidence:
    evidence.records.digest[5] ^= 1
    return change_output(evidence)


def change_answer(evidence: Evidence) -> Evidence:
    evidence.records.answer[5], evidence.records.reason[5] = -1, DecisionReason.BELOW_THRESHOLD
    return evidence


def flip_the_output(evidence: Evidence) -> Evidence:
    """Another winner from another output, as a retrained model gives; the label is wrong then."""
    rows = evidence.records
    rows.output[5] = np.roll(rows.output[5], 1)
    rows.answer[5] = rows.winner[5] = rows.output[5].argmax()
    model = replace(evidence.case.model, sha256="cd" * 32)
    return replace(evidence, case=replace(evidence.case, model=model))


def let_through(evidence: Evidence) -> Evidence:
    evidence.records.status[REJECTED], evidence.records.gate[REJECTED] = Status.DONE, GateReason.VALID
    return evidence


def memory(**values: int) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, image=replace(evidence.image, **values))


def arena(evidence: Evidence) -> Evidence:
    evidence.records.arena_high_water[:] += 64
    return evidence


def arena_of_the_interpreter(evidence: Evidence) -> Evidence:
    return replace(evidence, hello=replace(evidence.hello, arena_used=evidence.hello.arena_used + 64))


def stack(evidence: Evidence) -> Evidence:
    evidence.records.stack_high_water[17] += 72
    return evidence


def float_model(evidence: Evidence) -> Evidence:
    """The float model moves away from the device: no output of the device changes."""
    assert evidence.references.float_chain is not None
    evidence.references.float_chain[:, 0] += 0.2
    return evidence


SLOW_PATH = slice(20, 24)  # 4 of 319 windows
DEFECTS = (
    Defect("an output", change_output, ("outputs", "agreement"), "invoke", ("1 vector of 319", "up to 1 LSB", "#5")),
    Defect("a tensor", change_tensor_and_output, ("outputs", "agreement"), "prepare", ("another prepared tensor",)),
    Defect("an answer", change_answer, ("decisions", "accuracy"), "decide", ("unknown (below threshold)",)),
    Defect(
        "a retrained model",
        flip_the_output,
        ("outputs", "decisions", "accuracy", "agreement"),
        "invoke",
        ("another model (abababababab -> cdcdcdcdcdcd)",),
    ),
    Defect("the gate", let_through, ("decisions",), "gate", ("rejected: range",)),
    Defect("the float model", float_model, ("agreement",), "", ("top1 not worse than 1", "0.984326")),
    Defect("a slower prepare", spend(0, 15), ("latency.prepare",), "prepare", ("319 of 319 windows slower",)),
    Defect("a slower kernel", spend(1, 1000), ("latency.invoke",), "invoke", ("p50",)),
    Defect("a slower decide", spend(2, 5), ("latency.decide",), "decide", ("p99",)),
    Defect("a slow path", spend(1, 5000, SLOW_PATH), ("latency.invoke",), "invoke", ("4 of 319 windows slower", "p99")),
    Defect("one slow window", spend(0, 15, 40), ("latency.prepare",), "prepare", ("1 of 319", "#40", "mean")),
    Defect("the arena", arena, ("arena",), "", ("high water 6,000 -> 6,064 bytes (+64)",)),
    Defect("the interpreter", arena_of_the_interpreter, ("arena",), "", ("arena used 5,500 -> 5,564",)),
    Defect("the stack", stack, ("stack",), "", ("2,000 -> 2,072",)),
    Defect("the image", memory(flash_bytes=152_048), ("flash",), "", ("+2,048", "image flash 150,000 -> 152,048")),
    Defect("static RAM", memory(ram_bytes=80_064), ("ram",), "", ("80,000 -> 80,064",)),
)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_regression_is_found_named_and_nothing_else_alarms(evidence: Evidence, defect: Defect) -> None:
    damaged = defect.damage(evidence)
    assert broken(damaged) == set(defect.breaks)
    finding = verdict(defect.breaks[0], damaged).findings[0]
    assert finding.stage == defect.stage
    assert all(word in str(finding) for word in defect.words), str(finding)


def test_every_check_has_a_defect() -> None:
    found = {name for defect in DEFECTS for name in defect.breaks} | {"valid", "latency.total"}
    assert {f"baseline.{name}" for name in found} == set(BY_ID)


# ---- what cannot be compared


def other_case(**values: object) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, case=replace(evidence.case, **values))


OBSTACLES = {
    "board": (lambda evidence: replace(evidence, board="renode"), ("board qemu", "board renode", "copied or renamed")),
    "target": (
        lambda evidence: replace(evidence, hello=replace(evidence.hello, target="stm32f429")),
        ("target hand", "target stm32f429"),
    ),
    "clock": (lambda evidence: replace(evidence, clock=CYCLES), ("clock kind instructions", "clock kind cycles")),
    "frequency": (
        lambda evidence: replace(evidence, clock=replace(evidence.clock, hz=7)),
        ("clock hz 0", "clock hz 7"),
    ),
    "case": (other_case(name="gesture"), ("case motion", "case gesture")),
    "vectors": (other_case(files={"vectors.npz": "55" * 32}), ("vectors 222222222222 (320)", "555555555555")),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_makes_a_comparison_meaningless_is_named_and_nothing_else_is_judged(evidence: Evidence, what: str) -> None:
    change, words = OBSTACLES[what]
    changed = change(evidence)
    finding = verdict("valid", changed).findings[0]
    assert all(word in str(finding) for word in words), str(finding)
    rest = [judge(check, changed) for name, check in BY_ID.items() if name != "baseline.valid"]
    assert {(result.outcome, result.reason) for result in rest} == {
        (Outcome.NOT_JUDGED, "not comparable with the accepted baseline: see baseline.valid")
    }


def test_a_raised_version_has_to_be_accepted_and_hides_nothing(evidence: Evidence) -> None:
    changed = other_case(version=3)(spend(0, 150)(evidence))
    finding = str(verdict("valid", changed).findings[0])
    assert all(word in finding for word in ("case version 2", "version 3", "hil baseline diff")), finding
    assert verdict("latency.prepare", changed).outcome is Outcome.FAILED
    assert verdict("decisions", changed).outcome is Outcome.PASSED


def test_time_and_size_under_another_compiler_are_not_judged_and_answers_are(evidence: Evidence) -> None:
    """Another version makes other code of the same sources; its answers must be the same all the same."""
    slower = spend(0, 150)(evidence)
    changed = replace(slower, hello=replace(evidence.hello, compiler="GNU 13.2"))
    judged = {name for name, check in BY_ID.items() if judge(check, changed).outcome is not Outcome.NOT_JUDGED}
    assert judged == {
        f"baseline.{name}" for name in ("valid", "outputs", "decisions", "accuracy", "agreement", "arena")
    }
    reason = verdict("latency.prepare", changed).reason
    assert reason.startswith("accepted with compiler unknown, this is GNU 13.2: build with that one, or accept a run")


def test_another_image_and_flags_are_compared_and_named(evidence: Evidence) -> None:
    hello = replace(evidence.hello, flags="-Os")
    slower = replace(spend(0, 150)(evidence), hello=hello, image=replace(evidence.image, sha256="99" * 32))
    hint = verdict("latency.prepare", slower).findings[0].hint
    assert "other compiler flags (with -Os)" in hint
    assert "another image (efefefefefef -> 999999999999)" in hint
    assert "another image" in verdict("valid", slower).reason


def test_a_changed_threshold_is_named(evidence: Evidence) -> None:
    decide = replace(evidence.case.decide, threshold=20, release=20)
    changed = replace(change_answer(evidence), case=replace(evidence.case, decide=decide))
    assert "another threshold of decide (0 -> 20)" in verdict("decisions", changed).findings[0].hint


def test_nothing_but_the_bench_is_left_to_blame_when_all_that_was_put_in_is_the_same(evidence: Evidence) -> None:
    assert "image, model and case are the accepted ones" in verdict("outputs", change_output(evidence)).findings[0].hint


def test_a_vector_that_is_wrong_and_not_only_changed_sends_to_the_absolute_contract_first(evidence: Evidence) -> None:
    assert verdict("outputs", change_output(evidence)).findings[0].hint.startswith("see execution.output first")


def test_an_output_that_the_oracle_shares_is_changed_and_not_wrong(evidence: Evidence) -> None:
    changed = change_output(evidence)
    changed.references.output[5] = changed.records.output[5]
    assert "first" not in verdict("outputs", changed).findings[0].hint


# ---- tolerances

FAR = {"cosine": 2, "sqnr_db": 99, "max_abs_error": 1, "flips": 320, "spearman": 2, "top1": 1, "topk": 1}


@pytest.mark.parametrize(
    ("damage", "check", "values"),
    [
        (change_output, "outputs", {"outputs_lsb": 1}),
        (change_answer, "accuracy", {"accuracy": 0.01}),
        (float_model, "agreement", {"agreement": FAR}),
        (spend(0, 5), "latency.prepare", {"latency": 0.02}),
        (arena, "arena", {"arena_bytes": 64}),
        (stack, "stack", {"stack_bytes": 72}),
        (memory(flash_bytes=152_000), "flash", {"flash_bytes": 2000}),
        (memory(ram_bytes=80_064), "ram", {"ram_bytes": 64}),
    ],
)
def test_a_tolerance_is_kept_to_the_last_unit(
    evidence: Evidence, damage: Callable[[Evidence], Evidence], check: str, values: dict[str, object]
) -> None:
    damaged = damage(evidence)
    assert verdict(check, damaged).outcome is Outcome.FAILED
    assert verdict(check, tolerating(damaged, **values)).outcome is Outcome.PASSED


def test_one_byte_beyond_the_tolerance_is_a_finding(evidence: Evidence) -> None:
    assert verdict("arena", tolerating(arena(evidence), arena_bytes=63)).outcome is Outcome.FAILED


def test_what_the_float_arithmetic_of_another_host_does_is_no_change(evidence: Evidence) -> None:
    assert evidence.references.float_chain is not None
    evidence.references.float_chain[:] *= np.float32(1 + 2**-22)
    assert verdict("agreement", evidence).outcome is Outcome.PASSED


def test_agreement_is_held_against_the_whole_chain_and_tells_of_the_tensor(evidence: Evidence) -> None:
    result = verdict("agreement", float_model(evidence))
    assert result.outcome is Outcome.FAILED
    finding = next(finding for finding in result.findings if finding.expected.startswith("max_abs_error"))
    tensor = re.search(r"on the same prepared tensor (\S+) -> (\S+)$", finding.observed)
    assert tensor is not None
    assert tensor[1] == tensor[2]  # nothing changed there: the input's share grew
    assert result.reason == ""


def test_a_baseline_without_the_whole_chain_is_held_against_the_prepared_tensor(evidence: Evidence) -> None:
    """A file that was accepted before such figures were kept: like is compared with like, and it is said."""
    assert evidence.baseline is not None
    older = evidence.baseline.baseline.model_copy(update={"agreement_chain": {}})
    evidence = replace(evidence, baseline=replace(evidence.baseline, baseline=older))
    result = verdict("agreement", float_model(evidence))
    assert result.outcome is Outcome.PASSED
    assert "the baseline is older than the figures of the whole chain" in result.reason
    assert evidence.references.float_output is not None
    evidence.references.float_output[:, 0] += 0.2
    assert verdict("agreement", evidence).outcome is Outcome.FAILED


def test_a_stack_under_interrupts_is_not_measured_to_the_byte() -> None:
    evidence = accepted_evidence(CYCLES)
    evidence.records.stack_high_water[3] += 64 + 128
    assert verdict("stack", evidence).outcome is Outcome.PASSED
    evidence.records.stack_high_water[3] += 1
    assert verdict("stack", evidence).outcome is Outcome.FAILED


@pytest.mark.parametrize("stage", ["prepare", "invoke", "decide"])
def test_a_unit_more_is_rounding_of_ticks_and_two_are_not(stage: str) -> None:
    evidence = accepted_evidence(COUNTER)
    column = ("prepare", "invoke", "decide").index(stage)
    assert broken(spend(column, 1)(evidence)) == set()
    assert broken(spend(column, 1)(evidence)) == {f"latency.{stage}"}


def test_small_changes_of_code_alone_are_no_regression(evidence: Evidence) -> None:
    small = memory(flash_bytes=151_024, ram_bytes=80_032)(evidence)
    small.records.stack_high_water[:] += 64
    assert broken(small) == set()


# ---- improvements, lost vectors, workstations


def test_improvements_are_no_findings(evidence: Evidence) -> None:
    better = memory(flash_bytes=140_000, ram_bytes=70_000)(spend(1, -1000)(evidence))
    better.records.arena_high_water[:] -= 100
    better = replace(better, hello=replace(better.hello, arena_high_water=100))
    assert broken(better) == set()


def test_vectors_without_a_record_are_left_out_and_told(evidence: Evidence) -> None:
    rows = evidence.records
    rows.status[5], rows.ticks[5], rows.output[5], rows.digest[5] = Status.FAULT, 0, 0, 0
    assert broken(evidence) == set()
    assert "1 vector without a record: see execution.fault" in verdict("outputs", evidence).reason
    assert (
        verdict("latency.total", evidence).numbers["mean"]
        == verdict("latency.total", evidence).numbers["mean_accepted"]
    )


def test_nothing_that_ran_is_nothing_judged_but_sizes(evidence: Evidence) -> None:
    evidence.records.status[:] = Status.NOT_RUN
    outcomes = {name: judge(check, evidence).outcome for name, check in BY_ID.items()}
    judged = {name for name, outcome in outcomes.items() if outcome is not Outcome.NOT_JUDGED}
    assert judged == {"baseline.valid", "baseline.flash", "baseline.ram"}


def test_sizes_of_an_image_for_a_workstation_are_not_judged(evidence: Evidence) -> None:
    host = accept(replace(evidence, image=replace(evidence.image, host=True)))
    reasons = {name: verdict(name, host).reason for name in ("arena", "stack", "flash", "ram")}
    assert set(reasons.values()) == {"an image for a workstation: sizes are not the product's"}


def test_host_time_is_not_judged() -> None:
    evidence = accepted_evidence(HOST_TIME)
    result = verdict("latency.invoke", evidence)
    assert result.reason == "needs a board whose clock counts instructions or cycles; qemu counts host time"
    assert evidence.baseline is not None
    kept = evidence.baseline.baseline
    assert (kept.latency, kept.operators, len(kept.columns.units)) == ({}, [], 0)


# ---- which stage, which operator


def test_the_total_is_not_blamed_when_a_stage_explains_it(evidence: Evidence) -> None:
    result = verdict("latency.total", spend(0, 150)(evidence))
    assert (result.outcome, result.reason) == (Outcome.NOT_JUDGED, "a stage explains it: see baseline.latency.prepare")


def test_the_operators_that_grew_most_are_named(evidence: Evidence) -> None:
    slower = with_section(
        spend(1, 1000)(evidence),
        OperatorProfile,
        operators=(OperatorTicks(0, "CONV_2D", 41_000), OPERATORS[1]),
    )
    hint = verdict("latency.invoke", slower).findings[0].hint
    assert "on #0 most grew CONV_2D #0 40,000 -> 41,000 (+2.5 %) instructions" in hint
    assert "SOFTMAX" not in hint


def test_operators_of_another_model_are_not_compared(evidence: Evidence) -> None:
    slower = with_section(
        spend(1, 1000)(evidence), OperatorProfile, operators=(OperatorTicks(0, "DEPTHWISE_CONV_2D", 99_000),)
    )
    assert "grew" not in verdict("latency.invoke", slower).findings[0].hint


def test_one_factor_on_all_stages_is_no_fault_of_a_stage(evidence: Evidence) -> None:
    evidence.records.ticks[:, 0] += 20_000  # so that prepare is long enough to show a factor
    evidence.records.ticks[:, 1:] += 20_000
    evidence = accept(replace(evidence, baseline=None))
    evidence.records.ticks[:] = evidence.records.ticks * 102 // 100
    assert broken(evidence) >= {"latency.prepare", "latency.invoke"}
    assert (
        "all stages by the same 1.02: clock, wait states, compiler flags?"
        in verdict("latency.prepare", evidence).findings[0].hint
    )


def test_a_clock_that_stands_is_no_improvement(evidence: Evidence) -> None:
    evidence.records.ticks[:] = 0
    assert "does not run" in verdict("latency.invoke", evidence).reason


def test_other_work_may_take_a_little_more_time_on_the_windows_that_have_it(evidence: Evidence) -> None:
    """20 of 320 windows have another output, and data decides a few instructions: that is no slower kernel."""
    for row in range(30, 50):
        evidence.records.output[row] = np.roll(evidence.records.output[row], 1)
    assert verdict("latency.invoke", spend(1, 20, slice(30, 50))(evidence)).outcome is Outcome.PASSED
    assert verdict("latency.invoke", spend(1, 20, slice(60, 61))(evidence)).outcome is Outcome.FAILED


def test_a_retrained_model_that_is_slower_by_more_than_data_does_is_found(evidence: Evidence) -> None:
    retrained = flip_the_output(evidence)
    assert verdict("latency.invoke", spend(1, 100)(retrained)).outcome is Outcome.PASSED
    assert verdict("latency.invoke", spend(1, 1000)(retrained)).outcome is Outcome.FAILED


# ---- what run.json keeps of it


def test_changes_say_better_same_worse_and_what_only_explains(evidence: Evidence) -> None:
    changed = memory(flash_bytes=152_048, ram_bytes=70_000)(spend(0, 160)(evidence))
    changed = with_section(
        changed,
        OperatorProfile,
        operators=(OperatorTicks(0, "CONV_2D", 41_000), OPERATORS[1]),
    )
    verdicts = {change.what: change.verdict for change in changes(changed)}
    assert verdicts["prepare p50"] == verdicts["total mean"] == verdicts["flash"] == "worse"
    assert verdicts["static RAM"] == "better"
    assert verdicts["invoke p50"] == verdicts["accuracy"] == verdicts["arena used"] == "same"
    assert verdicts["operator CONV_2D #0"] == verdicts["flash of the image"] == "info"


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_what_is_worse_and_what_breaks_a_check_are_the_same(evidence: Evidence, defect: Defect) -> None:
    """Each check that breaks has a figure that is worse; the total alone goes with its stages."""
    damaged = defect.damage(evidence)
    worse = {change.what.split()[0] for change in changes(damaged) if change.verdict == "worse"} - {"total"}
    words = {"outputs": {"vectors", "largest"}, "decisions": {"vectors"}, "ram": {"static"}}
    wanted = set().union(*(words.get(name, {name.removeprefix("latency.")}) for name in defect.breaks))
    assert worse == wanted


def test_the_document_of_a_run_takes_the_facts_of_the_baseline(evidence: Evidence) -> None:
    facts = BaselineFacts.model_validate(baseline_document(spend(0, 160)(evidence)))
    assert (facts.file, facts.accepted_by, facts.case_version) == (
        "motion/baseline/qemu.json",
        "Ada <ada@example.org>",
        2,
    )
    prepare = next(change for change in facts.changes if change.what == "prepare max")
    assert (prepare.verdict, prepare.unit, prepare.after) == ("worse", "instructions", prepare.before + 160)
    assert prepare.change_percent == pytest.approx(16000 / prepare.before)
    assert baseline_document(replace(evidence, baseline=None)) is None


def test_no_figure_is_compared_with_that_of_another_board(evidence: Evidence) -> None:
    assert changes(replace(evidence, board="renode")) == ()
