"""A check that walks over vectors, passes, probes or elements looks at the first, at the last and at all between.

Each row damages one place, and the check that claims to look there must fail and name it. What a check counts as looked
at is held to a table of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from made_evidence import REJECTED, SOAK_WINDOWS, N, record_of, rejection, score_probe, with_section

from hil.case.types import LatencyLimit, Limit
from hil.contract import CHECKS, checks_for, judge
from hil.contract.blame import output_distance
from hil.contract.coverage import Coverage, Reached, ShortClamp
from hil.contract.damaged import BundleProbe, BundleProbes
from hil.contract.history import Again, History
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.instruments.guards import GuardTest, Trip
from hil.contract.instruments.link import LinkProbe, LinkTest
from hil.contract.instruments.marks import MemoryTest, Plant
from hil.contract.plain import PlainDifference, PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.same import FIELDS, difference_from
from hil.contract.scores import ScoreProbe, ScoreProbes, StreamProbes
from hil.contract.sent import GateProbe, GateProbes, ProbeOutput
from hil.contract.soak import Soak
from hil.contract.types import (
    MAX_FINDINGS,
    CheckResult,
    Evidence,
    Finding,
    Outcome,
    ReplayDifference,
    Section,
    VectorFault,
)
from hil.records import Decision, DecisionReason, FaultReport, GateReason, Record, Status
from hil.reference.prepare import digest

BY_ID = {check.id: check for check in CHECKS}
FIRST, LAST = 0, N - 1
BROKEN = {Outcome.FAILED, Outcome.INVALID}
Damage = Callable[[Evidence, int], Evidence]


def verdict(check: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[check], evidence)


# ---- one vector of the run -------------------------------------------------------------------------------------------


def column(name: str, change: Callable[[Any], Any], element: Any = ...) -> Damage:
    """One column of the device's records, at one vector."""

    def damage(evidence: Evidence, vector: int) -> Evidence:
        values = getattr(evidence.records, name)
        place = vector if element is ... else (vector, element)
        values[place] = change(values[place])
        return evidence

    return damage


def plus(step: int) -> Callable[[Any], Any]:
    return lambda value: value + step


def to(wanted: Any) -> Callable[[Any], Any]:
    return lambda _: wanted


def refused(evidence: Evidence, vector: int) -> Evidence:
    """The gate must refuse the vector, and does."""
    rows, columns = evidence.records, evidence.references
    assert evidence.case.vectors.reject is not None
    reject = list(evidence.case.vectors.reject)
    reject[vector] = "range"
    rows.status[vector], rows.gate[vector], columns.gate[vector] = Status.REJECTED, GateReason.RANGE, GateReason.RANGE
    rows.label[vector], rows.ticks[vector] = -1, 0
    vectors = replace(evidence.case.vectors, reject=tuple(reject))
    return replace(evidence, case=replace(evidence.case, vectors=vectors))


def refused_and(name: str, value: int) -> Damage:
    def damage(evidence: Evidence, vector: int) -> Evidence:
        evidence = refused(evidence, vector)
        getattr(evidence.records, name)[vector] = value
        return evidence

    return damage


def rejected_wrongly(evidence: Evidence, vector: int) -> Evidence:
    rows = evidence.records
    rows.status[vector], rows.gate[vector], rows.label[vector] = Status.REJECTED, GateReason.STALE, -1
    return evidence


def told_otherwise(evidence: Evidence, vector: int) -> Evidence:
    """The column `reject` of the case says that the vector is refused."""
    assert evidence.case.vectors.reject is not None
    reject = list(evidence.case.vectors.reject)
    reject[vector] = "flat"
    return replace(evidence, case=replace(evidence.case, vectors=replace(evidence.case.vectors, reject=tuple(reject))))


def fetched(evidence: Evidence, vector: int) -> Evidence:
    """The tensor of the vector differs in its last element alone, and was fetched."""
    tensor = evidence.references.prepared[vector].copy()
    tensor[-1] ^= 1
    evidence.records.digest[vector] = digest(tensor)
    return with_section(evidence, PreparedTensors, differences=(PreparedDifference(vector, tensor),))


def golden(element: int) -> Damage:
    def damage(evidence: Evidence, vector: int) -> Evidence:
        assert evidence.case.vectors.expected_output is not None
        evidence.case.vectors.expected_output[vector, element] ^= 1
        return evidence

    return damage


def faulted(evidence: Evidence, vector: int) -> Evidence:
    """In a later pass, so that the vector keeps its record."""
    report = FaultReport("bus fault", "invoke", "pc 0")
    return replace(evidence, faults=(*evidence.faults, VectorFault(vector, Status.FAULT, report)))


def not_as_first(kind: str, field: str, attempt: int = 1) -> Damage:
    """One run of the vector gave something else: the last of many differences."""

    def damage(evidence: Evidence, vector: int) -> Evidence:
        difference = ReplayDifference(vector, kind, attempt, field, "[1, 2, 3]", "[1, 2, 4]")
        return with_section(evidence, Repeats, differences=(*evidence.section(Repeats).differences, difference))

    return damage


def in_history(field: str) -> Damage:
    def damage(evidence: Evidence, vector: int) -> Evidence:
        record = record_of(evidence.records, vector)
        changed = replace(record, **{field: OTHER[field](getattr(record, field))})
        runs = (*evidence.section(History).runs, Again(vector, "after #6", changed))
        return with_section(evidence, History, runs=runs)

    return damage


OTHER: dict[str, Callable[[Any], Any]] = {
    "digest": lambda value: value ^ 1 << 31,
    "output": lambda value: value[:-1] + bytes([value[-1] ^ 1]),
    "status": lambda _: Status.INVOKE_FAILED,
}


def plain(evidence: Evidence, vector: int) -> Evidence:
    difference = PlainDifference(vector, "output", "01", "02")
    return with_section(evidence, PlainRuns, differences=(*evidence.section(PlainRuns).differences, difference))


def soaked(field: str) -> Damage:
    def damage(evidence: Evidence, vector: int) -> Evidence:
        difference = ReplayDifference(vector, "soak", SOAK_WINDOWS, field, "1", "2", "after #8")
        found = evidence.section(Soak)
        counts = {"slow": found.slow + 1} if field == "ticks" else {"wrong": found.wrong + 1}
        return with_section(evidence, Soak, differences=(*found.differences, difference), **counts)

    return damage


@dataclass(frozen=True)
class Place:
    """`damage` breaks one vector, and `check` names it. words: what the finding holds besides."""

    check: str
    what: str
    damage: Damage
    words: str = ""


ONE_VECTOR = (
    Place("input.received", "another CRC", column("received", plus(1)), "the product got one with"),
    Place("input.prepared", "digest", column("digest", lambda value: value ^ 1)),
    Place("input.prepared", "minimum", column("minimum", plus(-1)), "the tensor is right"),
    Place("input.prepared", "maximum", column("maximum", plus(1)), "the tensor is right"),
    Place("input.prepared", "saturated", column("saturated", plus(1)), "the tensor is right"),
    Place("input.prepared", "its last element", fetched, "[sample 7, channel 2]"),
    Place("input.gate", "refused wrongly", rejected_wrongly, "rejected: stale"),
    Place("input.gate", "another reason", refused_and("gate", GateReason.FLAT), "rejected: flat"),
    Place("input.gate", "no reason", refused_and("gate", GateReason.VALID), "without a reason"),
    Place("input.gate", "let through", refused_and("status", Status.DONE), "a malformed window"),
    Place("input.gate", "labelled", refused_and("label", 3), "labelled 'circle'"),
    Place("input.gate", "the case says otherwise", told_otherwise, "`reject` column"),
    Place("execution.canaries", "below", column("canaries", to(1)), "below the arena"),
    Place("execution.canaries", "above", column("canaries", to(2)), "above the arena"),
    Place("execution.fault", "a hang", column("status", to(Status.HANG)), "hang, without a post-mortem"),
    Place("execution.fault", "a reset", column("status", to(Status.RESET)), "reset, without a post-mortem"),
    Place("execution.fault", "in a later pass", faulted, "bus fault in stage invoke"),
    Place("execution.complete", "invoke failed", column("status", to(Status.INVOKE_FAILED)), "invoke failed"),
    Place("execution.complete", "prepare failed", column("status", to(Status.PREPARE_FAILED)), "prepare failed"),
    Place("execution.complete", "no bundle", column("status", to(Status.NO_BUNDLE)), "no bundle"),
    Place("execution.complete", "lost", column("status", to(Status.HANG)), "ended in a fault"),
    Place("execution.complete", "not run", column("status", to(Status.NOT_RUN)), "1 of 320 vectors did not run"),
    *(
        Place("execution.output", f"element {element}", column("output", lambda value: value ^ 1, element), "1 of 4")
        for element in range(4)
    ),
    *(Place("execution.golden", f"element {element}", golden(element), "(1 LSB off; 1 of 4") for element in range(4)),
    *(
        Place("execution.core", name, column("core", to(1), place), f"{name} 0x")
        for place, name in enumerate(("PRIMASK", "BASEPRI", "FAULTMASK", "CFSR"))
    ),
    Place("execution.plain", "output", plain, "output 02 when nobody looks"),
    *(Place("execution.repeat", field, not_as_first("replay", field, 9)) for field in FIELDS[:4]),
    *(Place("execution.replay", field, not_as_first("pass", field, 7), "in run 7") for field in FIELDS[:4]),
    *(Place("execution.history", field, in_history(field), "after #6") for field in OTHER),
    Place("decision.answer", "index", column("answer", lambda value: -1 if value >= 0 else 0)),
    Place("decision.answer", "text", column("label", lambda value: (value + 1) % 4)),
    Place("decision.answer", "no text", column("label", to(-1))),
    Place("decision.answer", "winner", column("winner", plus(1)), "of the device's own output"),
    Place("decision.answer", "score", column("score", plus(-1)), "of the device's own output"),
    Place("decision.reject", "reason", column("reason", to(DecisionReason.COOLDOWN)), "cooldown"),
    Place("decision.repeat", "in the last pass", not_as_first("pass", "decision", 3), "in pass 3"),
    Place("latency.repeat", "in the last pass", not_as_first("pass", "ticks", 3), "in pass 3"),
    Place("latency.refused", "a slow gate", refused_and("gate_ticks", 2_000_000), "1,250,000"),
    Place("memory.arena", "outgrown", column("arena_high_water", to(8193)), "8,193"),
    Place("memory.arena_headroom", "tight", column("arena_high_water", to(7373)), "819 of 8,192"),
    Place("memory.stack", "budget", column("stack_high_water", to(3001)), "3,001"),
    Place("memory.stack_headroom", "tight", column("stack_high_water", to(3073)), "1,023 of 4,096"),
    Place("soak.output", "in the last window", soaked("output"), "in window 200"),
    Place("soak.repeat", "in the last window", soaked("ticks"), "in window 200"),
)


def named(result: CheckResult, vector: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.vector == vector]


@pytest.mark.parametrize("vector", [FIRST, LAST])
@pytest.mark.parametrize("place", ONE_VECTOR, ids=lambda place: f"{place.check}: {place.what}")
def test_a_check_sees_the_first_and_the_last_vector(evidence: Evidence, place: Place, vector: int) -> None:
    result = verdict(place.check, place.damage(evidence, vector))
    assert result.outcome in BROKEN
    found = named(result, f"#{vector}")
    if place.what == "not run":  # one finding for all of them
        found = [finding for finding in result.findings if finding.observed.endswith(f"the first is #{vector}")]
    assert len(found) == 1
    assert place.words in str(found[0])


ONE_FINDING = ("memory.", "execution.complete", "execution.plain", "latency.refused")  # some of them, for all vectors
NOT_ON_ALL = ("no text",)  # some have none anyway
COUNTED = [place for place in ONE_VECTOR if not place.check.startswith(ONE_FINDING) and place.what not in NOT_ON_ALL]


@pytest.mark.parametrize("place", COUNTED, ids=lambda place: f"{place.check}: {place.what}")
def test_a_check_goes_on_behind_what_it_found(evidence: Evidence, place: Place) -> None:
    """Of many broken vectors the first are kept, and all are counted."""
    broken = [FIRST, *range(100, 100 + MAX_FINDINGS + 5), LAST]
    for vector in broken:
        evidence = place.damage(evidence, vector)
    result = verdict(place.check, evidence)
    assert result.total == len(broken)
    assert [finding.vector for finding in result.findings] == [f"#{vector}" for vector in broken[:MAX_FINDINGS]]


# ---- one vector of a figure over all of them -------------------------------------------------------------------------


def floats_of(change: Callable[[np.ndarray], None]) -> Damage:
    def damage(evidence: Evidence, vector: int) -> Evidence:
        assert evidence.references.float_chain is not None
        floats = evidence.references.float_chain.copy()
        change(floats[vector])
        return replace(evidence, references=replace(evidence.references, float_chain=floats))

    return damage


def upside_down(row: np.ndarray) -> None:
    row[:] = 1 - row


def off_at_the_end(row: np.ndarray) -> None:
    row[-1] += 2


def slow(stage: int) -> Damage:
    def damage(evidence: Evidence, vector: int) -> Evidence:
        evidence.records.ticks[vector, stage:] += 1_000_000
        return evidence

    return damage


FIGURES = (
    ("input.saturation", "saturation", lambda e, v: column("saturated", to(24))(column("digest", to(1))(e, v), v)),
    ("decision.accuracy", "accuracy", column("answer", to(-1))),
    *(
        (f"agreement.{key}", key, floats_of(upside_down))
        for key in ("top1", "topk", "cosine", "sqnr_db", "max_abs_error", "spearman", "flips")
    ),
    *((f"agreement.{key}", key, floats_of(off_at_the_end)) for key in ("sqnr_db", "max_abs_error")),
)
LARGER_IS_BETTER = ("accuracy", "top1", "topk", "cosine", "sqnr_db", "spearman")


@pytest.mark.parametrize("vector", [FIRST, LAST])
@pytest.mark.parametrize(("check", "key", "damage"), FIGURES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_figure_is_over_the_first_and_the_last_vector_too(
    evidence: Evidence, with_contracts: Callable[..., Evidence], check: str, key: str, damage: Damage, vector: int
) -> None:
    """The limit is what the whole run has without the damage, so that one vector decides."""
    before = verdict(check, evidence).value
    assert before is not None
    limit = Limit(minimum=before) if key in LARGER_IS_BETTER else Limit(maximum=before)
    values = {key: limit} if key in ("saturation", "accuracy") else {"agreement": {key: limit}}
    evidence = with_contracts(evidence, **values, topk=1)
    if key == "topk":  # of the k highest only the very highest counts here
        assert verdict(check, evidence).value == before
    assert verdict(check, evidence).outcome is not Outcome.FAILED
    assert verdict(check, damage(evidence, vector)).outcome is Outcome.FAILED


@pytest.mark.parametrize("vector", [FIRST, LAST])
@pytest.mark.parametrize(("stage", "name"), [(0, "prepare"), (1, "invoke"), (2, "decide"), (0, "total")])
def test_the_largest_time_may_be_that_of_any_vector(
    evidence: Evidence, with_contracts: Callable[..., Evidence], stage: int, name: str, vector: int
) -> None:
    most = verdict(f"latency.{name}.max", evidence).value
    assert most is not None
    limit = LatencyLimit(name, "max", "instructions", Limit(maximum=most, unit="instructions"))
    evidence = with_contracts(evidence, latency=(limit,))
    assert verdict(f"latency.{name}.max", evidence).outcome is not Outcome.FAILED
    (finding,) = verdict(f"latency.{name}.max", slow(stage)(evidence, vector)).findings
    assert f"on #{vector}" in finding.observed


@pytest.mark.parametrize("window", [0, SOAK_WINDOWS - 1])
def test_a_long_run_is_looked_at_from_its_first_to_its_last_window(evidence: Evidence, window: int) -> None:
    total = evidence.section(Soak).total.copy()
    total[window] *= 2
    (finding,) = verdict("soak.latency", with_section(evidence, Soak, total=total)).findings
    assert finding.observed.endswith(f"in window {window + 1}")
    assert finding.vector == f"#{window % 10}"


# ---- one of a row of probes, bundles, operators, instruments ---------------------------------------------------------

PROBES = 3


def among(bad: int, right: Any, wrong: Any) -> tuple[Any, ...]:
    """A row of right ones with a wrong one in it."""
    return tuple(wrong if number == bad else right for number in range(PROBES))


def row(kind: type[Section], name: str, right: Any, wrong: Any) -> Damage:
    return lambda evidence, bad: with_section(evidence, kind, **{name: among(bad, right, wrong)})


def searched(name: str, right: Any, wrong: Any) -> Damage:
    """The same of the windows that were searched for."""
    return lambda evidence, bad: with_section(evidence, Coverage, sent=GateProbes(**{name: among(bad, right, wrong)}))


REFUSAL = GateProbe("good", GateReason.RANGE, rejection(GateReason.RANGE))
LET_THROUGH = replace(REFUSAL, name="bad", record=replace(rejection(GateReason.RANGE), status=Status.DONE))
RIGHT, WRONG = ProbeOutput("good", bytes(4), bytes(4)), ProbeOutput("bad", bytes(4), b"\0\0\0\1")
REACHED = Reached(0, "ADD", 256, 250, 250, (-128, 127), (-128, 127))
NULL = Trip("read", "memory management fault", "agent")


def scored(name: str) -> tuple[ScoreProbe, ScoreProbe]:
    good = score_probe(f"{name} good", (9, -128, -128, -128), 0, True)
    return good, replace(good, name=f"{name} bad", observed=replace(good.observed, answer=1))


ROWS = (
    ("input.rejects", row(GateProbes, "probes", REFUSAL, LET_THROUGH), "bad"),
    ("input.rejects", searched("probes", REFUSAL, LET_THROUGH), "bad"),
    ("execution.probes", row(GateProbes, "outputs", RIGHT, WRONG), "bad"),
    ("execution.probes", searched("outputs", RIGHT, WRONG), "bad"),
    *(
        (f"decision.{check}", row(kind, "probes", *scored(name)), f"{name} bad")
        for kind in (ScoreProbes, StreamProbes)
        for check, name in (("threshold", "threshold"), ("ties", "tie"), ("stream", "stream"))
    ),
    ("execution.damaged", row(BundleProbes, "probes", BundleProbe("good", 7, 7), BundleProbe("bad", 7, 0)), "bad"),
    ("execution.coverage", row(Coverage, "operators", REACHED, replace(REACHED, operator="BAD", by_all=9)), "BAD"),
    (
        "execution.clamps",
        row(Coverage, "clamps", ShortClamp("0 ADD", 126, "vectors"), ShortClamp("0 BAD", 126, "")),
        "BAD",
    ),
    ("instruments.link", row(LinkTest, "probes", LinkProbe("good", "a", "a"), LinkProbe("bad", "a", "b")), "bad"),
    ("instruments.canaries", row(MemoryTest, "plants", Plant("good", 1, 1), Plant("bad", 1, 0)), "bad"),
    ("instruments.null_guard", row(GuardTest, "null", NULL, Trip("bad")), "bad"),
)


@pytest.mark.parametrize("bad", range(PROBES))
@pytest.mark.parametrize(
    ("check", "damage", "words"), ROWS, ids=[f"{number} {check}" for number, (check, *_) in enumerate(ROWS)]
)
def test_each_one_of_a_row_counts(evidence: Evidence, check: str, damage: Damage, words: str, bad: int) -> None:
    result = verdict(check, damage(evidence, bad))
    assert (result.outcome in BROKEN, len(result.findings)) == (True, 1)
    assert words in str(result.findings[0])


@pytest.mark.parametrize("place", range(4))
def test_each_element_of_a_probe_counts(evidence: Evidence, place: int) -> None:
    observed = bytes(number == place for number in range(4))
    damaged = with_section(evidence, GateProbes, outputs=(ProbeOutput("noise", bytes(4), observed),))
    (finding,) = verdict("execution.probes", damaged).findings
    assert f"output [{place}]" in finding.expected


# ---- how far an output is off ----------------------------------------------------------------------------------------

FAR = (1, 126, 127, 128, 129, 254, 255)  # LSB; in 8 bits 128 is negative and 255 is 1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_distance_is_counted_from_rail_to_rail(evidence: Evidence, sign: int) -> None:
    steps = np.arange(256)
    rows = np.flatnonzero(evidence.references.gate == GateReason.VALID)[: len(steps)]
    low, high = np.full(len(steps), -128), steps - 128
    wanted, given = (low, high) if sign > 0 else (high, low)
    evidence.references.output[rows, 3] = wanted
    evidence.records.output[rows, 3] = given
    assert output_distance(evidence)[rows].tolist() == steps.tolist()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("far", FAR)
def test_an_output_that_is_far_off_is_said_to_be(
    evidence: Evidence, with_contracts: Callable[..., Evidence], far: int, sign: int
) -> None:
    """One LSB less would have been allowed."""
    wanted, given = (-128, far - 128) if sign > 0 else (far - 128, -128)
    assert evidence.case.vectors.expected_output is not None
    for column_ in (evidence.references.output, evidence.case.vectors.expected_output):
        column_[LAST, 3] = wanted
    evidence.records.output[LAST, 3] = given
    probe = ProbeOutput("noise", *(np.array([0, value], np.int8).tobytes() for value in (wanted, given)))
    evidence = with_section(evidence, GateProbes, outputs=(probe,))
    for lsb, outcome in ((far - 1, Outcome.FAILED), (far, Outcome.PASSED)):
        for check in ("execution.output", "execution.golden", "execution.probes"):
            result = verdict(check, with_contracts(evidence, lsb=lsb))
            assert (check, result.outcome, result.value) == (check, outcome, far)
            assert all(f"{given}" in finding.observed for finding in result.findings)
            assert all(f"({far} LSB off" in finding.observed for finding in result.findings)


# ---- the same again --------------------------------------------------------------------------------------------------


def other_decision(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: replace(record, decision=replace(record.decision, **changes))


AGAIN: tuple[tuple[str, Callable[[Record], Record]], ...] = (
    ("status", lambda record: replace(record, status=Status.INVOKE_FAILED)),
    ("status", lambda record: replace(record, status=Status.REJECTED, gate=GateReason.RANGE)),
    ("gate", lambda record: replace(record, gate=GateReason.STALE)),
    ("digest", lambda record: replace(record, digest=record.digest ^ 1)),
    ("output", lambda record: replace(record, output=bytes([record.output[0] ^ 1]) + record.output[1:])),
    ("output", lambda record: replace(record, output=record.output[:-1] + bytes([record.output[-1] ^ 1]))),
    ("output", lambda record: replace(record, output=record.output[:-1])),
    ("decision", other_decision(winner=-7)),
    ("decision", other_decision(score=-7)),
    ("decision", other_decision(answer=-7)),
    ("decision", other_decision(reason=DecisionReason.COOLDOWN)),
    ("decision", other_decision(label="another text")),
    ("decision", other_decision(label="")),
    *(
        ("ticks", lambda record, place=place: replace(record, ticks=tuple(np.add(record.ticks, np.eye(3)[place]))))
        for place in range(3)
    ),
)


@pytest.mark.parametrize("vector", [FIRST, LAST])
@pytest.mark.parametrize(("field", "change"), AGAIN)
def test_a_run_is_held_to_the_first_in_all_that_the_product_gives(
    evidence: Evidence, field: str, change: Callable[[Record], Record], vector: int
) -> None:
    record = record_of(evidence.records, vector)
    assert difference_from(evidence.records, vector, record, ticks=True) is None
    found = difference_from(evidence.records, vector, change(record), ticks=True)
    assert found is not None
    assert found.field == field
    assert found.first != found.again
    if field == "ticks":
        assert difference_from(evidence.records, vector, change(record), ticks=False) is None


@pytest.mark.parametrize("reason", [reason for reason in GateReason if reason is not GateReason.RANGE])
def test_a_window_refused_again_is_refused_for_the_same_reason(evidence: Evidence, reason: GateReason) -> None:
    rows = evidence.records
    assert difference_from(rows, REJECTED, rejection_of(rows, GateReason.RANGE), ticks=True) is None
    found = difference_from(rows, REJECTED, rejection_of(rows, reason), ticks=True)
    assert found is not None
    assert (found.field, found.first, found.again) == ("gate", str(int(GateReason.RANGE)), str(int(reason)))


def rejection_of(rows: Any, reason: GateReason) -> Record:
    decision = Decision(-1, 0, -1, DecisionReason(int(rows.reason[REJECTED])))
    return replace(rejection(reason), decision=decision)


@pytest.mark.parametrize("status", [Status.NOT_RUN, Status.FAULT, Status.RESET, Status.HANG])
def test_a_vector_without_a_record_has_nothing_to_be_held_to(evidence: Evidence, status: Status) -> None:
    other = replace(record_of(evidence.records, LAST), digest=7)
    evidence.records.status[LAST] = status
    assert difference_from(evidence.records, LAST, other, ticks=True) is None


# ---- what a check says that it looked at -----------------------------------------------------------------------------

VALID = N - 1  # one vector is refused
ALL = {"vectors_compared": VALID, "vectors_that_differ": 0}
LOOKED_AT: dict[str, dict[str, float | int | str]] = {
    "input.received": {"windows": 700},
    "input.prepared": ALL,
    "input.saturation": {"vectors": VALID},
    "input.gate": {"vectors": N, "rejected": 1},
    "input.rejects": {"windows_sent": 2},
    "execution.operators": {"operators": 3, "missing": 0},
    "execution.canaries": {"vectors": N, "vectors_with_damage": 0},
    "execution.fault": {"vectors_that_ran": N},
    "execution.complete": {"vectors": N, "vectors_with_record": N},
    "execution.output": ALL,
    "execution.golden": ALL,
    "execution.core": {"windows": 700},
    "execution.plain": {"windows": 3},
    "execution.damaged": {"bundles_sent": 2},
    "execution.repeat": {"runs_compared": 9, "vectors_replayed": 1},
    "execution.replay": {"runs_compared": N},
    "execution.history": {"runs_compared": 2},
    "execution.probes": {"probes_compared": 1},
    "execution.coverage": {"operators": 1, "vectors": VALID, "windows_searched_for": 0},
    "execution.clamps": {"clamps": 2, "shown_by_vectors": 1, "shown_by_probes": 1, "hidden": "none"},
    "decision.labels": {"labels": 4},
    "decision.answer": ALL,
    "decision.reject": ALL,
    "decision.repeat": {"runs_compared": 9 + N},
    "decision.threshold": {"steps_compared": 2},
    "decision.ties": {"steps_compared": 1},
    "decision.stream": {"steps_compared": 1},
    "decision.accuracy": {"vectors": VALID},
    "agreement.top1": {"vectors": VALID, "vectors_unbroken": VALID},
    "latency.repeat": {"runs_compared": 9 + N},
    "latency.refused": {"refused": 3},
    "soak.output": {"windows": SOAK_WINDOWS, "windows_that_differ": 0},
    "soak.repeat": {"windows": SOAK_WINDOWS, "windows_that_differ": 0},
    "soak.latency": {"windows": SOAK_WINDOWS},
}


@pytest.mark.parametrize("check", LOOKED_AT)
def test_a_check_says_how_much_it_looked_at(evidence: Evidence, check: str) -> None:
    numbers = verdict(check, evidence).numbers
    assert {name: numbers[name] for name in LOOKED_AT[check]} == LOOKED_AT[check]


def test_no_check_is_told_of_that_the_case_does_not_ask_for(evidence: Evidence) -> None:
    assert set(LOOKED_AT) <= {check.id for check in checks_for(evidence.case)}
