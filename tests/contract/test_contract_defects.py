"""Every check passes on a run that breaks nothing, and fails with a telling finding on the defect it is for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from made_evidence import with_section

from hil.case.types import LatencyLimit, Limit
from hil.contract import CHECKS, checks_for, judge
from hil.contract.coverage import Coverage, Reached, ShortClamp
from hil.contract.damaged import BundleProbe, BundleProbes
from hil.contract.heap import HeapUse
from hil.contract.history import History
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.instruments.clock import ClockTest, Timed
from hil.contract.instruments.core import CoreTest
from hil.contract.instruments.guards import GuardTest, Trip
from hil.contract.instruments.link import LinkProbe, LinkTest
from hil.contract.instruments.marks import Engine, Mark, MemoryTest, Plant
from hil.contract.model_bytes import ModelRead
from hil.contract.plain import PlainDifference, PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.scores import ScoreProbes
from hil.contract.sent import GateProbe, GateProbes, ProbeOutput
from hil.contract.soak import Soak
from hil.contract.types import BundleDifference, Evidence, Outcome, ReplayDifference, Section, VectorFault
from hil.contract.witnessed import Witnessed
from hil.records import CoreState, DecisionReason, FaultReport, GateReason, Prepared, Record, Status
from hil.tensor import Quantisation

# Those of a case without an accepted baseline or expectations: tests/baseline and tests/regen have the others.
OF_OTHER_CASES = ("execution.expected", "decision.score")  # with accepted expectations; with a decide stage of its own
BY_ID = {check.id: check for check in CHECKS if check.contract != "baseline" and check.id not in OF_OTHER_CASES}


@dataclass(frozen=True)
class Defect:
    """`damage` breaks `check`; the first finding then names `vector` and `stage`, and holds all `words` somewhere."""

    check: str
    name: str
    damage: Callable[[Evidence], Evidence]
    words: tuple[str, ...]
    vector: str = ""
    stage: str = ""


def hello(**changes: Any) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, hello=replace(evidence.hello, **changes))


def section(kind: type[Section], **changes: Any) -> Callable[[Evidence], Evidence]:
    return lambda evidence: with_section(evidence, kind, **changes)


def heap(**changes: Any) -> Callable[[Evidence], Evidence]:
    """Of the one start."""
    return lambda evidence: evidence.having(HeapUse((replace(evidence.section(HeapUse).starts[0], **changes),)))


def records(vectors: int | slice, **columns: Any) -> Callable[[Evidence], Evidence]:
    """Overwrite columns of the device's records on some vectors."""

    def damage(evidence: Evidence) -> Evidence:
        for name, value in columns.items():
            getattr(evidence.records, name)[vectors] = value
        return evidence

    return damage


def contracts(**changes: Any) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        return replace(evidence, case=replace(evidence.case, contracts=replace(evidence.case.contracts, **changes)))

    return damage


def clock(**changes: Any) -> Callable[[Evidence], Evidence]:
    """What the clock showed of its spin."""
    return lambda evidence: with_section(evidence, ClockTest, spin=replace(evidence.section(ClockTest).spin, **changes))


def deadline(**changes: Any) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        trip = evidence.section(GuardTest).deadline
        assert trip is not None
        return with_section(evidence, GuardTest, deadline=replace(trip, **changes))

    return damage


def longer_when_plain(units: int) -> Callable[[Evidence], Evidence]:
    """Every plain window takes so many units more, or less, when nobody looks."""

    def damage(evidence: Evidence) -> Evidence:
        found = evidence.section(PlainRuns).units.copy()
        found += units
        return with_section(evidence, PlainRuns, units=found)

    return damage


def vectors(**changes: Any) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        return replace(evidence, case=replace(evidence.case, vectors=replace(evidence.case.vectors, **changes)))

    return damage


def evidence_with(**changes: Any) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, **changes)


def input_tensor(**changes: Any) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        return replace(evidence, hello=replace(evidence.hello, input=replace(evidence.hello.input, **changes)))

    return damage


def prepared(vector: int, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Evidence], Evidence]:
    """The device prepared another tensor for one vector."""

    def damage(evidence: Evidence) -> Evidence:
        tensor = make(evidence.references.prepared[vector].reshape(8, 3)).astype(np.int8).ravel()
        evidence.records.digest[vector] = zlib.crc32(tensor.tobytes())
        evidence.records.minimum[vector], evidence.records.maximum[vector] = tensor.min(), tensor.max()
        return with_section(evidence, PreparedTensors, differences=(PreparedDifference(vector, tensor),))

    return damage


def one_element(tensor: np.ndarray) -> np.ndarray:
    changed = tensor.copy()
    changed[4, 1] ^= 0x55
    return changed


def output(vector: int, element: int, step: int) -> Callable[[Evidence], Evidence]:
    """One output element is off; the device decides on what it has, so winner and score follow."""

    def damage(evidence: Evidence) -> Evidence:
        rows = evidence.records
        rows.output[vector, element] += step
        rows.winner[vector] = rows.output[vector].argmax()
        rows.score[vector] = rows.output[vector].max()
        return evidence

    return damage


def golden(evidence: Evidence) -> Evidence:
    expected = evidence.references.output.copy()
    expected[9, 2] += 4
    return vectors(expected_output=expected)(evidence)


def quantised_badly(step: int) -> Callable[[Evidence], Evidence]:
    """The int8 model is off by `step` LSB on the second element: oracle and device agree, the float model does not."""

    def damage(evidence: Evidence) -> Evidence:
        shifted = np.clip(evidence.references.output.astype(int)[:, 1] + step, -128, 127)
        evidence.references.output[:, 1] = shifted
        evidence.records.output[:, 1] = shifted
        for row in (evidence.references, evidence.records):
            row.winner[:] = np.where(row.winner >= 0, evidence.references.output.argmax(axis=1), -1)
            row.score[:] = np.where(row.winner >= 0, evidence.references.output.max(axis=1), 0)
        return evidence

    return damage


def float_scores(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        floats = evidence.references.float_chain
        assert floats is not None
        return replace(evidence, references=replace(evidence.references, float_chain=function(floats.copy())))

    return damage


def flipped(floats: np.ndarray) -> np.ndarray:
    """Vector 3 lies below the threshold on the device; the float model is sure of it."""
    floats[3, floats[3].argmax()] = 0.99
    return floats


def probes(index: int, **changes: Any) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        changed = list(evidence.section(ScoreProbes).probes)
        changed[index] = replace(changed[index], observed=replace(changed[index].observed, **changes))
        return with_section(evidence, ScoreProbes, probes=tuple(changed))

    return damage


def valid_probe(**changes: Any) -> Callable[[Evidence], Evidence]:
    """The record of a valid window that the harness made."""

    def damage(evidence: Evidence) -> Evidence:
        record = evidence.section(GateProbes).probes[0].record
        assert record is not None
        good = replace(record, status=Status.DONE, gate=GateReason.VALID, digest=7, output=b"1234")
        probe = GateProbe("noise", GateReason.VALID, replace(good, **changes), 7)
        return with_section(evidence, GateProbes, probes=(probe,))

    return damage


def told_wrong(evidence: Evidence) -> Evidence:
    """What the record says of the right tensor of a window that the harness made is that of another one."""
    damaged = valid_probe(minimum=-5, maximum=126, saturated=1)(evidence)
    (probe,) = damaged.section(GateProbes).probes
    return with_section(damaged, GateProbes, probes=(replace(probe, facts=Prepared(7, -5, 127, 2)),))


def fetched_stale(evidence: Evidence) -> Evidence:
    """The device prepared another tensor for one vector, and `fetch` gives that of the vector before."""
    damaged = prepared(11, one_element)(evidence)
    stale = (PreparedDifference(11, evidence.references.prepared[10]),)
    return with_section(damaged, PreparedTensors, differences=stale)


def gate_probe(**changes: Any) -> Callable[[Evidence], Evidence]:
    def damage(evidence: Evidence) -> Evidence:
        probe = evidence.section(GateProbes).probes[1]
        assert probe.record is not None
        changed: Record = replace(probe.record, **changes)
        first = evidence.section(GateProbes).probes[0]
        return with_section(evidence, GateProbes, probes=(first, GateProbe(probe.name, probe.expected, changed)))

    return damage


def replayed(kind: str, field: str) -> Callable[[Evidence], Evidence]:
    return section(Repeats, differences=(ReplayDifference(5, kind, 3, field, "00ff", "00fe"),))


def probe_output(observed: bytes) -> Callable[[Evidence], Evidence]:
    return section(GateProbes, outputs=(ProbeOutput("noise", bytes(4), observed),))


def clipped(evidence: Evidence) -> Evidence:
    """Half of every tensor lies on the rails, and the device's counter says that none does."""
    tensors = evidence.references.prepared
    tensors[:] = np.tile([-128, 127, 5, 6], 6)
    evidence.references.digest[:] = [zlib.crc32(tensor.tobytes()) for tensor in tensors]
    evidence.records.digest[:] = evidence.references.digest
    evidence.records.saturated[:] = 0
    return evidence


def fault(evidence: Evidence) -> Evidence:
    evidence.records.status[12] = Status.FAULT
    report = FaultReport("bus fault", "invoke", "pc 0x00001234 conv.cc:88\nlast line of the log")
    return replace(evidence, faults=(VectorFault(12, Status.FAULT, report),))


def alike(which: slice) -> Callable[[Evidence], Evidence]:
    """These windows are the first one's."""

    def damage(evidence: Evidence) -> Evidence:
        evidence.case.vectors.windows[which] = evidence.case.vectors.windows[0]
        return evidence

    return damage


def swap(evidence: Evidence) -> Evidence:
    """Two answers change places, as with a label file in another order."""
    evidence.records.answer[4] = (evidence.references.answer[4] + 1) % 4
    return evidence


def again(**changes: Any) -> Callable[[Evidence], Evidence]:
    """A vector behind another one gives another record."""

    def damage(evidence: Evidence) -> Evidence:
        first, *others = evidence.section(History).runs
        other = replace(first, record=replace(first.record, **changes))
        return with_section(evidence, History, runs=(other, *others))

    return damage


def soaked(field: str) -> Callable[[Evidence], Evidence]:
    """Every window from the 150th on is not as it was first."""
    difference = ReplayDifference(9, "soak", 150, field, "00ff", "00fe", "after #8")
    counts = {"slow": 51} if field == "ticks" else {"wrong": 51}
    return section(Soak, differences=(difference,), **counts)


def slow_window(evidence: Evidence) -> Evidence:
    total = evidence.section(Soak).total.copy()
    total[123] *= 2
    return with_section(evidence, Soak, total=total)


NEW = (
    Defect(
        "execution.history",
        "another output behind another vector",
        again(output=b"\x01\x02\x03\x04"),
        ("output 01 02 03 04 after #6", "depends on the window before"),
        vector="#5",
        stage="invoke",
    ),
    Defect("execution.history", "another tensor", again(digest=1), ("0x00000001 after #6",), "#5", "prepare"),
    Defect("execution.history", "rejected", again(status=Status.REJECTED), ("status REJECTED",), "#5", "gate"),
    Defect("execution.history", "not tried", section(History, runs=()), ("none was",)),
    Defect(
        "soak.output",
        "wrong from a window on",
        soaked("output"),
        ("in window 150", "from some window on"),
        "#9",
        "invoke",
    ),
    Defect("soak.output", "cut short", section(Soak, windows=199), ("200 windows in a row", "199 ran")),
    Defect("soak.repeat", "slow from a window on", soaked("ticks"), ("in window 150 after #8",), "#9"),
    Defect("soak.latency", "one slow window", slow_window, ("in window 124", "+ 10 %"), "#3"),
    Defect(
        "execution.coverage",
        "an operator that hardly moves",
        section(Coverage, operators=(Reached(4, "ADD", 256, 20, 30, (0, 19), (0, 29)),)),
        (">= 0.9", "operator 4 ADD", "vectors 0 to 19, 8 %; with probes 0 to 29, 12 %"),
        stage="invoke",
    ),
    Defect(
        "execution.clamps",
        "short clamps that nobody would see",
        section(Coverage, clamps=(ShortClamp("4 ADD", 126, ""), ShortClamp("4 ADD", -127, "vectors"))),
        (">= 0.75", "0.5; hidden: 4 ADD at 126"),
        stage="invoke",
    ),
)

DEFECTS = (
    *NEW,
    Defect("input.type", "float input", input_tensor(dtype="FLOAT32"), ("INT8", "FLOAT32")),
    Defect("input.type", "refused for it", hello(bundle_status=40, bundle_detail=1), ("INT8", "code 1")),
    Defect("input.shape", "one sample less", input_tensor(shape=(1, 7, 3)), ("[1, 8, 3]", "[1, 7, 3]")),
    Defect("input.shape", "refused for it", hello(bundle_status=41, bundle_detail=1), ("dimension: 1",)),
    Defect(
        "input.scale",
        "one bit off",
        input_tensor(quantisation=Quantisation(float(np.nextafter(np.float32(0.125), np.float32(1))), 3)),
        ("0x3e000000", "0x3e000001"),  # IEEE 754: 0.125 = 2**-3 has the exponent field 124
    ),
    Defect("input.scale", "refused for it", hello(bundle_status=42, bundle_detail=0x3E800000), ("0.125", "0.25")),
    Defect("input.zero_point", "off by one", input_tensor(quantisation=Quantisation(0.125, 4)), ("3", "4")),
    Defect("input.zero_point", "refused for it", hello(bundle_status=43, bundle_detail=0xFFFFFFFE), ("3", "-2")),
    Defect(
        "input.prepared",
        "one wrong element",
        prepared(40, one_element),
        ("[sample 4, channel 1]", "1 of 24 elements differ", "docs/pipeline.md"),
        vector="#40",
        stage="prepare",
    ),
    Defect(
        "input.prepared",
        "axes swapped",
        prepared(40, lambda tensor: tensor[:, [1, 0, 2]]),
        ("axis swap: channel 0 holds channel 1, channel 1 holds channel 0",),
        vector="#40",
        stage="prepare",
    ),
    Defect(
        "input.prepared",
        "tensor not fetched",
        records(40, digest=1, minimum=-3, maximum=9),
        ("digest 00000001", "min -3, max 9", "not fetched"),
        vector="#40",
        stage="prepare",
    ),
    Defect("input.saturation", "clipped data", clipped, ("share <= 0.25", "0.5", "the reference saturates as much")),
    Defect(
        "input.saturation",
        "clipped on the device alone",
        records(slice(None), saturated=12, digest=1),
        ("share <= 0.25", "0.5", "see input.prepared"),
        stage="prepare",
    ),
    Defect(
        "input.prepared", "counter", records(40, saturated=23), ("23 saturated, though", "digest"), "#40", "prepare"
    ),
    Defect(
        "input.prepared", "minimum", records(40, minimum=-129), ("min -129", "the tensor is right"), "#40", "prepare"
    ),
    Defect("input.prepared", "maximum", records(40, maximum=128), ("max 128",), "#40", "prepare"),
    Defect(
        "input.gate",
        "valid window rejected",
        records(15, status=Status.REJECTED, gate=GateReason.STALE),
        ("valid", "rejected: stale"),
        vector="#15",
        stage="gate",
    ),
    Defect(
        "input.gate",
        "malformed window accepted",
        records(7, status=Status.DONE, gate=0),
        ("rejected: range", "valid"),
        vector="#7",
        stage="gate",
    ),
    Defect("input.gate", "other reason", records(7, gate=5), ("rejected: range", "flat"), vector="#7", stage="gate"),
    Defect("input.gate", "no reason", records(7, gate=0), ("without a reason",), vector="#7", stage="gate"),
    Defect("input.gate", "valid, no reason", records(15, status=Status.REJECTED), ("without a reason",), "#15", "gate"),
    Defect("input.gate", "reason ignored", records(7, status=Status.DONE), ("a malformed window",), "#7", "gate"),
    Defect("input.gate", "labelled", records(7, label=0), ("labelled 'tap'",), vector="#7", stage="gate"),
    Defect(
        "input.gate",
        "the case contradicts itself",
        vectors(reject=tuple("flat" if i == 30 else "range" if i == 7 else "" for i in range(320))),
        ("`reject` column", "flat", "[input.gate]"),
        vector="#30",
    ),
    Defect(
        "input.parameters",
        "gain of another case",
        evidence_with(bundle_differences=(BundleDifference("input", "prepare.channels[0].gain", "40", "20"),)),
        ("prepare.channels[0].gain 40", "20 in the bundle"),
        stage="prepare",
    ),
    Defect(
        "input.rejects",
        "valid one lost",
        valid_probe(status=Status.REJECTED, gate=GateReason.RANGE),
        ("valid; digest 00000007", "rejected: range"),
        "noise",
        "gate",
    ),
    Defect(
        "input.rejects",
        "other tensor",
        valid_probe(digest=8),
        ("valid; digest 00000007", "digest 00000008"),
        "noise",
        "prepare",
    ),
    Defect(
        "input.rejects",
        "wrong words of a right tensor",
        told_wrong,
        ("valid; min -5, max 127, 2 saturated", "min -5, max 126, 1 saturated, though", "the tensor is right"),
        "noise",
        "prepare",
    ),
    Defect(
        "input.prepared",
        "stale fetch",
        fetched_stale,
        ("the tensor fetched afterwards has the digest", "mend what the firmware keeps for it"),
        vector="#11",
        stage="prepare",
    ),
    Defect("input.rejects", "none sent", section(GateProbes, probes=()), ("none was sent",)),
    Defect("input.rejects", "accepted", gate_probe(status=Status.DONE), ("status done",), "bad RANGE", "gate"),
    Defect("input.rejects", "other reason", gate_probe(gate=GateReason.FLAT), ("range", "flat"), "bad RANGE", "gate"),
    Defect("input.rejects", "output", gate_probe(output=b"1234"), ("4 bytes of output",), "bad RANGE", "gate"),
    Defect(
        "input.rejects",
        "no record",
        section(GateProbes, probes=(GateProbe("odd", GateReason.LENGTH, None),)),
        ("no record came back",),
        "odd",
        "gate",
    ),
    Defect(
        "execution.bundle", "refused", hello(bundle_status=7, bundle_detail=0xABCD), ("status 7", "43981", "0000abcd")
    ),
    Defect("execution.bundle", "another bundle", hello(bundle_hash="00" * 32), ("CD" * 32, "00" * 32)),
    Defect("execution.bundle", "older version", hello(case_version=1), ("motion version 2", "motion version 1")),
    Defect(
        "execution.model",
        "other bytes",
        lambda evidence: evidence.having(
            ModelRead("the firmware", "", 2000, 3, 1234, 0x78, 0x79, "byte 34 of the values of tensor 'w'")
        ),
        ("2,000 bytes, 0x78 at byte 1,234", "0x79; 3 bytes differ, read from the firmware", "byte 34 of the values"),
        stage="invoke",
    ),
    Defect("execution.model", "another model", hello(model_hash="12" * 32), ("ab" * 32, "12" * 32)),
    Defect(
        "execution.operators",
        "lacks one",
        hello(operators=("CONV_2D", "SOFTMAX")),
        ("lacks FULLY_CONNECTED",),
        stage="invoke",
    ),
    Defect(
        "execution.kernels",
        "one fell back",
        lambda evidence: replace(evidence, image=replace(evidence.image, optimised=frozenset({"CONV_2D"}))),
        ("FULLY_CONNECTED runs in an optimised kernel", "it runs on reference code"),
        stage="invoke",
    ),
    Defect("execution.arena", "too small", hello(bundle_status=34, bundle_detail=9000), ("8,192", "needs 9,000 bytes")),
    Defect("execution.arena", "static arena", hello(bundle_status=21, bundle_detail=4096), ("only 4,096 bytes",)),
    Defect("execution.arena", "given too much", hello(arena_used=8200), ("8,192", "8,200")),
    Defect(
        "execution.canaries", "write above", records(slice(33, None), canaries=2), ("above the arena",), "#33", "invoke"
    ),
    Defect(
        "execution.canaries",
        "write below in a replay",
        evidence_with(other_canaries=1),
        ("below the arena in a run outside the first pass: warm-up, replay, later pass or probe",),
    ),
    Defect("execution.fault", "bus fault", fault, ("bus fault in stage invoke", "conv.cc:88"), "#12", "fault"),
    Defect("execution.fault", "no report", records(6, status=Status.HANG), ("hang", "post-mortem"), "#6", "fault"),
    Defect(
        "execution.damaged",
        "hash not verified",
        section(BundleProbes, probes=(BundleProbe("one bit of the model", 7, 0),)),
        ("one bit of the model: refused with status 7", "accepted (status 0)"),
    ),
    Defect("execution.damaged", "none sent", section(BundleProbes, probes=()), ("none was",)),
    Defect("execution.complete", "fault", fault, ("see execution.fault",), "#12", "fault"),
    Defect("execution.complete", "cut short", records(slice(300, None), status=Status.NOT_RUN), ("20 of 320", "#300")),
    Defect(
        "execution.complete", "stage error", records(6, status=Status.INVOKE_FAILED), ("invoke failed",), "#6", "invoke"
    ),
    Defect("execution.output", "3 LSB", output(9, 2, 3), ("3 LSB off", "output [2] (shake)"), "#9", "invoke"),
    Defect(
        "execution.output",
        "1 LSB",
        output(9, 2, 1),
        ("other rounding", "CONV_2D", "1 of 319 vectors off, by at most 1 LSB"),
        "#9",
        "invoke",
    ),
    Defect("execution.golden", "other release", golden, ("4 LSB off", "the oracle agrees with the device"), "#9"),
    Defect("execution.golden", "device", output(9, 2, 3), ("see execution.output",), "#9", "invoke"),
    Defect("execution.probes", "3 LSB", probe_output(b"\0\0\3\0"), ("output [2]", "3 LSB off"), "noise", "invoke"),
    Defect("execution.probes", "rails", probe_output(b"\0\xff\0\0"), ("0 at", "-1 (1 LSB off)"), "noise", "invoke"),
    Defect("execution.probes", "length", probe_output(b"\0\0\0"), ("4 elements", "3 elements"), "noise", "invoke"),
    Defect("execution.repeat", "output", replayed("replay", "output"), ("00ff", "00fe in run 3"), "#5", "invoke"),
    Defect("execution.repeat", "none run", section(Repeats, replay_runs=0), ("0 runs compared, 9 wanted",)),
    Defect("execution.replay", "digest", replayed("pass", "digest"), ("digest 00fe",), "#5", "prepare"),
    Defect(
        "latency.repeat",
        "slow path on a counter",
        section(Repeats, differences=(ReplayDifference(5, "pass", 1, "ticks", "[9, 80, 81]", "[9, 80, 99]"),)),
        ("ticks [9, 80, 81]", "[9, 80, 99] in pass 1"),
        "#5",
        "decide",
    ),
    Defect("execution.replay", "cut short", section(Repeats, pass_runs=100), ("100 runs compared, 319 wanted",)),
    Defect(
        "decision.labels",
        "swapped",
        hello(labels=("circle", "shake", "idle", "tap")),
        ("label 1 is 'idle'", "'shake'"),
        stage="decide",
    ),
    Defect(
        "decision.parameters",
        "threshold of another case",
        evidence_with(bundle_differences=(BundleDifference("decision", "decide.threshold", "25", "60"),)),
        ("decide.threshold 25", "60 in the bundle"),
        stage="decide",
    ),
    Defect(
        "decision.repeat",
        "state survives",
        section(Repeats, differences=(ReplayDifference(4, "pass", 1, "decision", "(0, 9, 0, 0)", "(0, 9, -1, 2)"),)),
        ("(0, 9, 0, 0)", "(0, 9, -1, 2) in pass 1"),
        "#4",
        "decide",
    ),
    Defect("decision.labels", "one missing", hello(labels=("circle", "idle", "shake")), ("4 labels", "3: ")),
    Defect("decision.answer", "other index", swap, ("with the text",), "#4", "decide"),
    Defect(
        "decision.answer", "other text", records(4, label=-1), ("with the text ''", "decision.labels"), "#4", "decide"
    ),
    Defect("decision.answer", "other score", records(4, score=3), ("4",), "#4", "decide"),
    Defect(
        "decision.reject",
        "threshold ignored",
        records(3, reason=DecisionReason.ACCEPTED),
        ("below threshold", "accepted", "raw score -15, threshold 0"),
        "#3",
        "decide",
    ),
    Defect(
        "decision.threshold",
        "off by one",
        probes(1, answer=-1, label=""),
        ("'idle'", "unknown"),
        "threshold above",
        "decide",
    ),
    Defect("decision.threshold", "none", section(ScoreProbes, probes=()), ("none were given",)),
    Defect(
        "decision.ties",
        "last wins",
        probes(2, winner=3, answer=3),
        ("winner 1", "winner 3"),
        "tie of 1 and 3",
        "decide",
    ),
    Defect("decision.ties", "none", section(ScoreProbes, probes=()), ("none were given",)),
    Defect(
        "decision.stream",
        "debounce",
        probes(3, reason=DecisionReason.DEBOUNCE),
        ("accepted", "debounce"),
        "stream step 0",
        "decide",
    ),
    Defect("decision.stream", "none", section(ScoreProbes, probes=()), ("none were given",)),
    Defect(
        "decision.accuracy",
        "device",
        records(slice(0, 200), answer=-1),
        ("accuracy >= 0.8", "0.3", "decision.answer"),
        "",
        "decide",
    ),
    Defect("decision.accuracy", "model", contracts(accuracy=Limit(minimum=0.95)), ("the reference is as inaccurate",)),
    Defect(
        "agreement.top1", "bad quantisation", quantised_badly(200), ("top1 >= 0.98", "the int8 oracle is as far off")
    ),
    Defect("agreement.topk", "float disagrees", float_scores(lambda f: -f), ("topk >= 0.99", "over 319 vectors")),
    Defect("agreement.cosine", "bad quantisation", quantised_badly(200), ("cosine >= 0.99", "worst: ")),
    Defect("agreement.sqnr_db", "bad quantisation", quantised_badly(60), ("sqnr_db >= 20 dB", " dB over 319 vectors")),
    Defect("agreement.max_abs_error", "bad quantisation", quantised_badly(5), ("max_abs_error <= 0.01", "0.0")),
    Defect("agreement.spearman", "order reversed", float_scores(lambda f: -f), ("spearman >= 0.9", "-0.9")),
    Defect("agreement.flips", "threshold", float_scores(flipped), ("flips <= 0", "worst: #3")),
    Defect("memory.arena", "outgrown", records(50, arena_high_water=8200), ("8,192", "8,200"), "#50"),
    Defect("memory.arena", "outgrown at start", hello(arena_high_water=8200), ("8,192", "8,200")),
    Defect("memory.arena_headroom", "tight", records(50, arena_high_water=8000), (">= 0.1", "192 of 8,192"), "#50"),
    Defect(
        "memory.flash", "bundle grew", evidence_with(bundle_bytes=60_000), ("200,000", "210,000", "10,000 bytes too")
    ),
    Defect("memory.ram", "budget", contracts(ram_bytes=79_999), ("79,999", "80,000")),
    Defect("memory.stack", "budget", records(50, stack_high_water=3001), ("<= 3,000", "3,001"), "#50"),
    Defect("memory.stack", "no paint left", records(50, stack_high_water=4096), ("below the stack's 4,096",), "#50"),
    Defect("memory.heap", "budget", heap(peak=6001), ("<= 6,000", "6,001 bytes at its peak")),
    Defect("memory.heap", "in use beyond the peak", heap(peak=3999), ("at least what is in use", "4,000 in use")),
    Defect("memory.heap", "failed", heap(failed=3), ("every allocation", "3 allocations got nothing")),
    Defect("memory.heap_headroom", "tight", heap(peak=4900), (">= 0.2", "1,100 of 6,000")),
    Defect(
        "memory.heap_growth", "a leak", heap(used=np.arange(1000, 4000, 10)), ("stops growing", "10 bytes a window")
    ),
    Defect("memory.stack_headroom", "tight", records(50, stack_high_water=3100), (">= 0.25", "996 of 4,096"), "#50"),
    *(
        Defect(
            f"latency.{stage}.{statistic}",
            "slow",
            contracts(
                latency=(LatencyLimit(stage, statistic, "instructions", Limit(maximum=20, unit="instructions")),)
            ),
            (f"{stage} {statistic} <= 20 instructions", "most goes to invoke"),
            stage="invoke" if stage == "total" else stage,
        )
        for stage in ("prepare", "invoke", "decide", "total")
        for statistic in ("p50", "p95", "p99", "max")
    ),
    Defect(
        "latency.total.p99",
        "too few",
        alike(slice(290, None)),
        ("299 distinct samples", "289 distinct samples", "95 %"),
    ),
)


INSTRUMENTS = (
    Defect(
        "instruments.link",
        "damage taken",
        section(LinkTest, probes=(LinkProbe("a bit", "no reply", "a reply"),)),
        ("a bit: no reply",),
    ),
    *(
        Defect("instruments.clock", name, clock(**changes), words, stage=stage)
        for name, changes, words, stage in (
            (
                "20 % slow",
                {"units": (2_400_016, 4_800_032, 24_000_048, 26_400_064)},
                ("3,000,000 instructions in gate", "-20.0 %"),
                "gate",
            ),
            ("stuck", {"units": (0, 0, 0, 0)}, ("stands still",), "gate"),
            (
                "wraps at 24 bits",
                {"units": (3_000_020, 6_000_040, 13_222_844, 16_222_864)},
                ("in invoke", "shows 7,222,804"),
                "invoke",
            ),
            (
                "gate left out",
                {"units": (3_000_020, 3_000_040, 27_000_060, 30_000_080)},
                ("in prepare", "shows 20"),
                "prepare",
            ),
            (
                "faster than what went by",
                {"counted": (Timed(33_000_080, 26_000_000, True),)},
                ("not above 26,000,000", "a count"),
                "",
            ),
            (
                "slower than what went by",
                {"counted": (Timed(26_000_000, 33_000_000, False),) * 2},
                ("best of 2", "-21.2 %"),
                "",
            ),
        )
    ),
    Defect(
        "instruments.clock", "stops in sleep", section(ClockTest, slept=190), ("5 naps", "stops while the core sleeps")
    ),
    Defect(
        "instruments.clock", "another PLL", section(ClockTest, core_hz=24_000_000), ("25,000,000 Hz", "24,000,000 Hz")
    ),
    Defect(
        "instruments.stages",
        "a stage is not counted",
        longer_when_plain(20_000),
        ("sum of its stages", "when nobody looks"),
        vector="#4",
    ),
    Defect(
        "instruments.stages",
        "work before the clock",
        section(ClockTest, plain=Timed(81_000, 171_000, True)),
        ("product's own way", "90,000 are left"),
    ),
    Defect(
        "instruments.stages",
        "work in the meter",
        section(ClockTest, run=Timed(81_100, 153_000, True)),
        ("a measured window", "71,900 are left"),
    ),
    Defect(
        "instruments.deadline", "never armed", deadline(trip=Trip("spun")), ("after 1,000,000", "it spun to its end")
    ),
    Defect(
        "instruments.deadline", "another fault", deadline(trip=Trip("spun", "hard fault", "invoke")), ("hard fault",)
    ),
    Defect("instruments.deadline", "too early", deadline(left=400_000), ("after 675,000 instructions",)),
    Defect("instruments.deadline", "too late", deadline(left=100_000), ("after 1,575,000 instructions",)),
    Defect("instruments.stack_guard", "none", section(GuardTest, stack=Trip("written")), ("came back",)),
    Defect(
        "instruments.stack_guard",
        "another fault",
        section(GuardTest, stack=Trip("written", "bus fault")),
        ("bus fault",),
    ),
    Defect(
        "instruments.null_guard",
        "none",
        section(GuardTest, null=(Trip("read", "bus fault"), Trip("executed"))),
        ("address 0 is executed", "came back"),
    ),
    Defect(
        "instruments.symbols", "stack", hello(stack_bytes=8192), ("4,096 bytes, by the ELF", "8,192 bytes in its hello")
    ),
    Defect(
        "instruments.symbols",
        "arena",
        hello(arena_bytes=32768),
        ("65,536 bytes, by the ELF", "32,768 bytes in its hello"),
    ),
    Defect(
        "instruments.canaries", "placed late", section(MemoryTest, canaries=(0, 64)), ("directly above", "64 of them")
    ),
    Defect(
        "instruments.canaries",
        "never reported",
        section(MemoryTest, plants=(Plant("below", 1, 0),)),
        ("canary damage 1", "canary damage 0"),
    ),
    Defect(
        "instruments.canaries",
        "never restored",
        section(MemoryTest, plants=(Plant("below", 0, 1),)),
        ("canary damage 0", "canary damage 1"),
    ),
    Defect(
        "instruments.arena_mark",
        "halved",
        section(MemoryTest, arena=Mark(5800, 3000, 8192, 8192)),
        ("5,800 bytes of arena", "3,000 bytes"),
    ),
    Defect(
        "instruments.arena_mark",
        "deaf",
        section(MemoryTest, arena=Mark(5800, 6000, 8192, 6000)),
        ("8,192 bytes when", "6,000 bytes"),
    ),
    Defect(
        "instruments.stack_mark",
        "halved",
        section(MemoryTest, stack=Mark(2000, 1000, 3000, 1500)),
        ("2,000 bytes of stack", "1,000 bytes"),
    ),
    Defect(
        "instruments.stack_mark",
        "deaf",
        section(MemoryTest, stack=Mark(2000, 2000, 3000, 2000)),
        ("3,000 bytes when", "2,000 bytes"),
    ),
    Defect("instruments.core", "blind", section(CoreTest, masked=CoreState(0, 0, 0, 0)), ("PRIMASK 0x0",)),
    Defect("input.received", "a byte changed", records(50, received=7), ("00000007", "not by prepare"), vector="#50"),
    Defect("input.received", "a probe changed", section(Witnessed, damaged=2), ("2 windows of the harness's own",)),
    Defect("execution.core", "a mask left", records(60, core=(1, 0, 0, 0)), ("PRIMASK 0x1",), vector="#60"),
    Defect(
        "execution.core",
        "a mask left behind a probe",
        section(Witnessed, left=CoreState(0, 16, 0, 0)),
        ("BASEPRI 0x10", "harness's own"),
    ),
    Defect(
        "execution.plain",
        "another answer",
        section(PlainRuns, differences=(PlainDifference(70, "output", "01", "02"),)),
        ("output 01", "output 02 when nobody looks"),
        vector="#70",
        stage="invoke",
    ),
    Defect("execution.plain", "a stage is skipped", longer_when_plain(-30_000), ("when nobody looks",), vector="#4"),
    Defect(
        "execution.model",
        "other bytes run",
        section(MemoryTest, engine=Engine(0x8000, 2000, 0x20000400, 8192, "ee" * 32)),
        ("that the engine runs", "ee" * 32, "0x00008000"),
        stage="invoke",
    ),
    Defect(
        "execution.arena",
        "eight times as much",
        section(MemoryTest, engine=Engine(0x21000000, 2000, 0x20000400, 65536, "ab" * 32)),
        ("8,192 bytes for the interpreter", "given 65,536 bytes"),
    ),
    Defect(
        "execution.damaged",
        "bytes behind",
        section(BundleProbes, probes=(BundleProbe("bytes behind", 0, 7),)),
        ("accepted (status 0)", "status 7"),
    ),
    Defect(
        "latency.refused",
        "a slow gate",
        records(7, gate_ticks=2_000_000),
        ("as the slowest window", "1,250,000"),
        vector="#7",
        stage="gate",
    ),
)


def test_the_run_as_built_breaks_no_check(evidence: Evidence) -> None:
    results = [judge(check, evidence) for check in checks_for(evidence.case)]
    assert {result.check: result.outcome for result in results} == dict.fromkeys(BY_ID, Outcome.PASSED)


def test_every_check_has_a_defect() -> None:
    """What is odd about a model is never a failure: test_contract_sanity.py has those."""
    wanted = {name for name, check in BY_ID.items() if check.contract != "sanity"}
    assert {defect.check for defect in (*DEFECTS, *INSTRUMENTS)} == wanted


@pytest.mark.parametrize("defect", [*DEFECTS, *INSTRUMENTS], ids=lambda defect: f"{defect.check}: {defect.name}")
def test_the_check_finds_its_defect(evidence: Evidence, defect: Defect) -> None:
    broken = defect.damage(evidence)
    result = judge(BY_ID[defect.check], broken)
    instrument = defect.check.startswith("instruments.")
    assert result.outcome is (Outcome.INVALID if instrument else Outcome.FAILED)
    assert result.total >= len(result.findings) >= 1
    finding = result.findings[0]
    assert (finding.case, finding.check, finding.contract) == ("motion", defect.check, defect.check.split(".")[0])
    assert (finding.vector, finding.stage) == (defect.vector, defect.stage)
    assert finding.hint
    text = str(finding)
    assert [word for word in defect.words if word not in text] == []


def test_a_probe_inside_the_lsb_budget_passes_and_is_counted(evidence: Evidence) -> None:
    result = judge(BY_ID["execution.probes"], contracts(lsb=1)(probe_output(b"\0\xff\0\1")(evidence)))
    assert (result.outcome, result.value, result.numbers) == (Outcome.PASSED, 1.0, {"probes_compared": 1})


def test_without_a_valid_window_there_are_no_probes_to_judge(evidence: Evidence) -> None:
    result = judge(BY_ID["execution.probes"], with_section(evidence, GateProbes, outputs=()))
    assert (result.outcome, result.numbers) == (Outcome.NOT_JUDGED, {"probes_compared": 0})
    assert "see input.rejects" in result.reason


def test_every_vector_that_damages_a_canary_is_a_finding(evidence: Evidence) -> None:
    evidence.records.canaries[[33, 50, 60]] = (2, 2, 3)
    result = judge(BY_ID["execution.canaries"], evidence)
    assert [finding.vector for finding in result.findings] == ["#33", "#50", "#60"]


@pytest.mark.parametrize("check", ["execution.repeat", "execution.replay", "execution.probes"])
def test_a_case_of_windows_to_reject_has_nothing_to_run_again(evidence: Evidence, check: str) -> None:
    evidence.references.gate[:] = evidence.records.gate[:] = GateReason.RANGE
    evidence.records.status[:] = Status.REJECTED
    result = judge(BY_ID[check], replace(evidence, sections={}))
    assert result.outcome is Outcome.NOT_JUDGED
    assert "the gate rejects all of them" in result.reason


def test_a_board_whose_flash_is_spared_is_not_judged_by_damaged_bundles(evidence: Evidence) -> None:
    spared = with_section(evidence, BundleProbes, spared=True, probes=())
    result = judge(BY_ID["execution.damaged"], spared)
    assert (result.outcome, result.findings) == (Outcome.NOT_JUDGED, ())
    assert "bundle_probes = false" in result.reason
