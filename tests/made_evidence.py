"""Knows how to make the evidence of a small run by hand: 320 vectors of a four-label motion case on a counting board.

The device's columns are copies of the reference's, so the evidence as built breaks nothing; a test then damages what it
is about. Nothing here runs the code under test.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from hil.case.types import (
    Case,
    Channel,
    Contracts,
    Decide,
    Gate,
    LatencyLimit,
    Limit,
    ModelFile,
    Prepare,
    SoakLimits,
    Vectors,
    Window,
)
from hil.contract.coverage import Coverage, Reached, ShortClamp
from hil.contract.damaged import BundleProbe, BundleProbes
from hil.contract.heap import HeapRun, HeapUse
from hil.contract.history import Again, History
from hil.contract.instruments.clock import ClockTest, Spin, Timed
from hil.contract.instruments.core import CoreTest
from hil.contract.instruments.guards import DeadlineTrip, GuardTest, Trip
from hil.contract.instruments.link import LinkProbe, LinkTest
from hil.contract.instruments.marks import Engine, Mark, MemoryTest, Plant, Sizes
from hil.contract.plain import PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.scores import ScoreProbe, ScoreProbes
from hil.contract.sent import GateProbe, GateProbes, ProbeOutput
from hil.contract.soak import Soak
from hil.contract.types import Evidence, ImageFacts, References, Section
from hil.contract.witnessed import Witnessed
from hil.records import (
    Can,
    ClockSpec,
    CoreState,
    Decision,
    DecisionReason,
    GateReason,
    Hello,
    Record,
    RunRecords,
    Status,
)
from hil.tensor import Quantisation, TensorContract

N, SAMPLES, CHANNELS = 320, 8, 3
SOAK_WINDOWS = 200
LABELS = ("circle", "idle", "shake", "tap")
THRESHOLD = 0  # raw score
REJECTED = 7  # the one vector that the gate must refuse, and does
STREAM = (20, 22, 24, 26)  # vectors of one stream
INPUT = TensorContract("INT8", (1, SAMPLES, CHANNELS), Quantisation(0.125, 3), SAMPLES * CHANNELS)
OUTPUT = TensorContract("INT8", (1, len(LABELS)), Quantisation(1 / 256, -128), len(LABELS))
INSTRUCTIONS = ClockSpec("instructions", "instructions", 5, 8, 0, True, 25_000_000)
CYCLES = ClockSpec("cycles", "cycles", 1, 1, 100_000_000, False)


def make_case() -> Case:
    """A case that asks for every check; all its limits hold on the evidence as built."""
    random = np.random.default_rng(1)
    sequence = np.full(N, -1, np.int64)
    sequence[list(STREAM)] = 0
    limits = [
        LatencyLimit(stage, statistic, "instructions", Limit(maximum=10_000_000, unit="instructions"))
        for stage in ("prepare", "invoke", "decide", "total")
        for statistic in ("p50", "p95", "p99", "max")
    ]
    return Case(
        path=Path("motion/case.toml"),
        name="motion",
        version=2,
        source="made by hand",
        rate_hz=50.0,
        model=ModelFile(
            Path("m.tflite"), b"x" * 2000, "ab" * 32, ("CONV_2D", "FULLY_CONNECTED", "SOFTMAX"), (INPUT,), (OUTPUT,)
        ),
        float_model=None,
        window=Window("int16", SAMPLES, CHANNELS),
        gate=Gate(-30000, 30000, 0),
        prepare=Prepare("scale", 1, tuple(Channel(c, 0, 65536 * 64) for c in range(CHANNELS))),
        decide=Decide("argmax", 1, THRESHOLD, THRESHOLD, labels=LABELS),
        arena_bytes=8192,
        contracts=Contracts(
            reference_kernels=("SOFTMAX",),
            saturation=Limit(maximum=0.25),
            accuracy=Limit(minimum=0.8),
            agreement={
                "top1": Limit(minimum=0.98),
                "topk": Limit(minimum=0.99),
                "cosine": Limit(minimum=0.99),
                "sqnr_db": Limit(minimum=20.0, unit="dB"),
                "max_abs_error": Limit(maximum=0.01),
                "spearman": Limit(minimum=0.9),
                "flips": Limit(maximum=0),
            },
            topk=2,
            latency=tuple(limits),
            arena_headroom=0.1,
            flash_bytes=200_000,
            ram_bytes=100_000,
            soak=SoakLimits(SOAK_WINDOWS),
            coverage={"range": Limit(minimum=0.9), "clamps": Limit(minimum=0.75)},
            stack_bytes=3000,
            stack_headroom=0.25,
            heap_bytes=6000,
            heap_headroom=0.2,
        ),
        vectors=Vectors(
            windows=random.integers(-20000, 20000, (N, SAMPLES, CHANNELS)).astype(np.int16),
            reject=tuple("range" if i == REJECTED else "" for i in range(N)),
            sequence=sequence,
        ),
    )


def make_references() -> References:
    """Random tensors and outputs; every tenth vector's winner lies below the threshold."""
    random = np.random.default_rng(2)
    valid = np.arange(N) != REJECTED
    prepared = random.integers(-128, 128, (N, SAMPLES * CHANNELS)).astype(np.int8)
    output = np.sort(random.choice(np.arange(-128, -20), (N, len(LABELS)), replace=True), axis=1).astype(np.int8)
    output[:, -1] = np.where(np.arange(N) % 10 == 3, -15, 100)
    output = random.permuted(output, axis=1)
    noise = random.uniform(-0.3, 0.3, output.shape) * OUTPUT.quantisation.scale
    floats = (output.astype(float) + 128) / 256 + noise
    prepared[~valid], output[~valid], floats[~valid] = 0, 0, 0
    winner, score = np.full(N, -1), np.zeros(N, int)
    answer, reason = np.full(N, -1), np.zeros(N, int)
    for i in np.flatnonzero(valid):
        scores = [int(value) for value in output[i]]
        winner[i], score[i] = scores.index(max(scores)), max(scores)
        accepted = max(scores) > THRESHOLD
        answer[i] = winner[i] if accepted else -1
        reason[i] = DecisionReason.ACCEPTED if accepted else DecisionReason.BELOW_THRESHOLD
    return References(
        gate=np.where(valid, GateReason.VALID, GateReason.RANGE).astype(np.uint8),
        prepared=prepared,
        digest=np.array(
            [zlib.crc32(row.tobytes()) if ok else 0 for row, ok in zip(prepared, valid, strict=True)], np.uint32
        ),
        output=output,
        float_output=floats.astype(np.float32),
        float_chain=floats.astype(np.float32),
        winner=winner.astype(np.int32),
        score=score.astype(np.int32),
        answer=answer.astype(np.int32),
        reason=reason.astype(np.uint8),
    )


def make_records(references: References) -> RunRecords:
    """What a right device reports."""
    random = np.random.default_rng(3)
    rows = RunRecords.empty(N, len(LABELS))
    valid = references.gate == GateReason.VALID
    rows.status[:] = np.where(valid, Status.DONE, Status.REJECTED)
    rows.gate[:] = references.gate
    stages = np.stack(
        [random.integers(800, 900, N), random.integers(80_000, 81_000, N), random.integers(40, 60, N)], axis=1
    )
    rows.ticks[valid] = stages.cumsum(axis=1)[valid]
    rows.digest[:] = references.digest
    rows.minimum[:], rows.maximum[:] = references.prepared.min(axis=1), references.prepared.max(axis=1)
    rows.saturated[:] = ((references.prepared == -128) | (references.prepared == 127)).sum(axis=1)
    rows.output[:] = references.output
    for name in ("winner", "score", "answer", "reason"):
        getattr(rows, name)[:] = getattr(references, name)
    rows.label_texts[:] = reversed(LABELS)  # in the order in which the device happened to use them
    rows.label[:] = np.where(references.answer >= 0, len(LABELS) - 1 - references.answer, -1)
    rows.arena_high_water[valid], rows.stack_high_water[valid] = 6000, 2000
    rows.gate_ticks[:] = random.integers(200, 300, N)
    rows.core[:] = 0
    return rows


def make_hello(case: Case) -> Hello:
    return Hello(
        protocol=2,
        firmware="1",
        target="hand",
        compiler="",
        flags="",
        kernels="reference",
        operators=("SOFTMAX", "ADD", "CONV_2D", "FULLY_CONNECTED"),
        clock="timer",
        clock_hz=25_000_000,
        frame_bytes=4096,
        arena_bytes=65536,
        stack_bytes=4096,
        bundle_status=0,
        bundle_detail=0,
        bundle_hash="cd" * 32,
        model_hash="ab" * 32,
        case="motion",
        case_version=2,
        labels=LABELS,
        input=case.model.input,
        output=case.model.output,
        arena_used=5500,
        arena_high_water=5600,
        boot=1,
        can=~Can(0),
    )


def make_instruments(records: RunRecords) -> tuple[Section, ...]:
    """All of them work: loops of 8,000,000 and 1,000,000 rounds, a stack of 4,096 and a share of 8,192 bytes."""
    spin = Spin(8_000_000, (3_000_020, 6_000_040, 30_000_060, 33_000_080), (Timed(33_000_080, 33_050_000, True),))
    plain = np.array([4, 9, 200])
    return (
        LinkTest(True, (LinkProbe("a frame cut in half", "a reply to the next", "a reply to the next"),)),
        ClockTest(
            *(True, True, "a count", spin, 5, 80_000, None),
            empty=Timed(70, 60_070, True),
            plain=Timed(81_000, 141_500, True),
            run=Timed(81_100, 143_000, True),
            window_bytes=2 * SAMPLES * CHANNELS,
            prepared_bytes=SAMPLES * CHANNELS,
            reply_bytes=8,
        ),
        CoreTest(True, True, CoreState(1, 0, 0, 0)),
        MemoryTest(
            *(True, "", Sizes(65536, 4096), 8192, 0x20000400, (0, 0)),
            (Plant("directly below the arena", 1, 1), Plant("directly below the arena, one window later", 0, 0)),
            Mark(5800, 6000, 8192, 8192),
            Mark(2000, 2000, 3000, 3000),
            Engine(0x21000000, 2000, 0x20000400, 8192, "ab" * 32),
        ),
        GuardTest(
            *(True, True),
            DeadlineTrip(1_000_000, 500_000, Trip("spun", "deadline missed", "invoke"), left=291_667),
            Trip("written", "stack overflow", "agent"),
            tuple(Trip(words, "memory management fault", "agent") for words in ("read", "written", "executed")),
        ),
        PlainRuns(True, True, plain, INSTRUCTIONS.units(records.ticks[plain, 2]) + 30),
        Witnessed(True, 700, 0, 700, None),
    )


def rejection(reason: GateReason) -> Record:
    decision = Decision(-1, 0, -1, DecisionReason.ACCEPTED)
    return Record(Status.REJECTED, reason, (0, 0, 0), 0, 0, 0, 0, b"", decision, 0, 6000, 2000, gate_ticks=250)


def score_probe(name: str, scores: tuple[int, ...], winner: int, accepted: bool) -> ScoreProbe:
    reason = DecisionReason.ACCEPTED if accepted else DecisionReason.BELOW_THRESHOLD
    expected = Decision(winner, scores[winner], winner if accepted else -1, reason)
    return ScoreProbe(name, scores, expected, replace(expected, label=LABELS[winner] if accepted else ""))


def record_of(rows: RunRecords, vector: int) -> Record:
    """The record that the device gave for a vector that was done."""
    label = rows.label_texts[rows.label[vector]] if rows.label[vector] >= 0 else ""
    decision = Decision(
        int(rows.winner[vector]),
        int(rows.score[vector]),
        int(rows.answer[vector]),
        DecisionReason(int(rows.reason[vector])),
        label,
    )
    facts = (
        int(rows.digest[vector]),
        int(rows.minimum[vector]),
        int(rows.maximum[vector]),
        int(rows.saturated[vector]),
    )
    ticks = tuple(rows.ticks[vector].tolist())
    return Record(Status.DONE, GateReason.VALID, ticks, *facts, rows.output[vector].tobytes(), decision, 0, 6000, 2000)


def make_soak() -> Soak:
    """Two hundred windows of ten vectors, each within 2 % of its usual time."""
    vector = np.arange(SOAK_WINDOWS) % 10
    return Soak(SOAK_WINDOWS, seed=7, vector=vector, total=50_000 + 100 * vector + np.arange(SOAK_WINDOWS) % 7 * 100)


def build_evidence() -> Evidence:
    case, references = make_case(), make_references()
    truth = references.winner.astype(np.int64)
    case = replace(case, vectors=replace(case.vectors, label=truth, expected_output=references.output.copy()))
    records = make_records(references)
    records.received[:] = [zlib.crc32(case.vectors.payload(index)) for index in range(N)]
    evidence = Evidence(
        case=case,
        board="qemu",
        clock=INSTRUCTIONS,
        image=ImageFacts("ef" * 32, 150_000, 80_000, 4096, optimised=frozenset({"CONV_2D", "FULLY_CONNECTED"})),
        bundle_bytes=3000,
        bundle_sha256="CD" * 32,
        hello=make_hello(case),
        records=records,
        references=references,
    )
    return evidence.having(
        *make_instruments(records),
        Repeats(replayed=1, replay_runs=9, pass_runs=N),
        History(
            (
                Again(5, "after #6", record_of(records, 5)),
                Again(5, "as the first window after a start", record_of(records, 5), True),
            )
        ),
        Coverage(
            (Reached(0, "CONV_2D", 256, 200, 250, (-128, 90), (-128, 127)),),
            (ShortClamp("0 CONV_2D", 126, "probes"), ShortClamp("0 CONV_2D", -127, "vectors")),
            vectors=N - 1,
        ),
        make_soak(),
        HeapUse((HeapRun(np.r_[np.arange(0, 4000, 100), np.full(400, 4000)], 4400, 8192, 0),)),
        GateProbes(
            tuple(GateProbe(f"bad {r.name}", r, rejection(r)) for r in (GateReason.LENGTH, GateReason.RANGE)),
            (ProbeOutput("noise", bytes([128, 0, 127, 5]), bytes([128, 0, 127, 5])),),
        ),
        BundleProbes((BundleProbe("no bundle at all", 1, 1), BundleProbe("one bit of the model", 7, 7))),
        ScoreProbes(
            (
                score_probe("threshold below", (0, -128, -128, -128), 0, False),
                score_probe("threshold above", (-128, 1, -128, -128), 1, True),
                score_probe("tie of 1 and 3", (-128, 90, -128, 90), 1, True),
                score_probe("stream step 0", (90, -128, -128, -128), 0, True),
            )
        ),
    )


def evidence_of(case: Case, references: References) -> Evidence:
    """What a device leaves behind that does what the references say, on a case of files."""
    rows = RunRecords.empty(len(case.vectors), case.model.output.elements)
    valid = references.gate == GateReason.VALID
    rows.status[:] = np.where(valid, Status.DONE, Status.REJECTED)
    for name in ("gate", "digest", "output", "winner", "score", "answer", "reason"):
        getattr(rows, name)[:] = getattr(references, name)
    return Evidence(
        case=case,
        board="qemu",
        clock=INSTRUCTIONS,
        image=ImageFacts("ef" * 32, 150_000, 80_000, 4096),
        bundle_bytes=3000,
        bundle_sha256="CD" * 32,
        hello=make_hello(case),
        records=rows,
        references=references,
    )


def with_section(evidence: Evidence, kind: type[Section], **values: object) -> Evidence:
    """The evidence with some fields of one section changed."""
    return evidence.having(replace(evidence.section(kind), **values))  # type: ignore[type-var]  # sections are dataclasses
