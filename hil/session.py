"""Runs one case on one board and collects the evidence: provision, stream, replay, probe. Judges nothing.

The board runs a case once; every contract reads the same evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np

from hil.board.base import Board
from hil.bundle import build_bundle, sha256
from hil.bundle.compare import differences
from hil.case.types import Case, Decide
from hil.contract.types import (
    MAX_FINDINGS,
    BundleProbe,
    Evidence,
    GateProbe,
    PreparedDifference,
    ProbeOutput,
    ReplayDifference,
    ScoreProbe,
    VectorFault,
)
from hil.device import FRAME_OVERHEAD_BYTES, Device
from hil.errors import BoardError, DeviceEnded, DeviceFault, DeviceReset, DeviceSilent, LinkError
from hil.image.elf import Image
from hil.link.client import LinkCounters
from hil.probes import BundleStimulus, GateStimulus, bundle_stimuli, expected_decisions, gate_stimuli, score_stimuli
from hil.records import FaultReport, Record, RunRecords, Status
from hil.reference.decide import Decider
from hil.reference.int8 import Int8Oracle
from hil.reference.job import ReferenceJob
from hil.reference.prepare import prepare

_LONGEST_RUN = 40  # windows of one label in a stream through the pipeline
MAX_FAULTS = 3  # after so many vectors without a record the rest is not run
_U32 = 0xFFFFFFFF
NO_VECTOR = -1  # a fault while the harness's own probes ran
Progress = Callable[[str, int, int], None]  # what, done, of how many
Answer = TypeVar("Answer")


@dataclass
class RunResult:
    """The evidence, what the bench had to mend on the way, and how many inferences it took."""

    evidence: Evidence
    link: LinkCounters
    inferences: int


@dataclass
class _Run:
    """The state of one run, while it goes on."""

    case: Case
    device: Device
    records: RunRecords
    deadline_ticks: int
    progress: Progress
    faults: list[VectorFault] = field(default_factory=list)
    prepared: list[PreparedDifference] = field(default_factory=list)
    differences: list[ReplayDifference] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    probe_outputs: list[ProbeOutput] = field(default_factory=list)
    other_canaries: int = 0  # of records outside the first pass
    broken: bool = False  # the firmware did not come back after a fault

    @property
    def stopped(self) -> bool:
        return self.broken or len(self.faults) >= MAX_FAULTS


def run_case(
    case: Case,
    board: Board,
    image: Image,
    *,
    bundle: bytes | None = None,
    progress: Progress = lambda *_: None,
    keep: Callable[[RunRecords], None] = lambda _: None,
) -> RunResult:
    """Run `case` with `image` on `board`, whatever the board ran before.

    bundle: provision these bytes in place of the bundle built from the case. keep: is given the records as soon as they
    begin to fill, so that a run that breaks or is interrupted loses none. Raises BenchError when the bench breaks;
    what the firmware does wrong goes into the evidence.
    """
    wanted = build_bundle(case)
    provisioned = wanted if bundle is None else bundle
    job = ReferenceJob(case)
    try:
        device = _connect(board, image, provisioned)
        records = RunRecords.empty(len(case.vectors), case.model.output.elements)
        keep(records)
        run = _Run(case, device, records, _deadline(case, board), progress)
        replayed = replay_runs = pass_runs = 0
        gate_probes: tuple[GateProbe, ...] = ()
        score_probes: tuple[ScoreProbe, ...] = ()
        bundle_probes: tuple[BundleProbe, ...] = ()
        if device.hello.bundle_status == 0:
            _warm_up(run, job)
            _first_pass(run, job)
            replayed, replay_runs = _replay(run)
            pass_runs = _more_passes(run)
            gate_probes = _probe_gate(run)
            score_probes = (*_probe_scores(run), *_probe_stream(run))
            bundle_probes = _probe_bundle(board, image, provisioned)
        progress("references", len(case.vectors), len(case.vectors))
        evidence = Evidence(
            case=case,
            board=board.config.name,
            clock=board.clock,
            image=image.facts(),
            bundle_bytes=len(provisioned),
            bundle_sha256=sha256(provisioned),
            bundle_differences=differences(wanted, provisioned),
            hello=device.hello,
            records=run.records,
            references=job.result(),
            faults=tuple(run.faults),
            prepared_differences=tuple(run.prepared),
            replayed=replayed,
            replay_runs=replay_runs,
            pass_runs=pass_runs,
            replay_differences=tuple(run.differences),
            gate_probes=gate_probes,
            score_probes=score_probes,
            bundle_probes=bundle_probes,
            probe_outputs=tuple(run.probe_outputs),
            other_canaries=run.other_canaries,
        )
        return RunResult(evidence, device.counters, device.inferences)
    finally:
        job.close()


def _connect(board: Board, image: Image, bundle: bytes) -> Device:
    try:
        board.provision(image, bundle)
        return Device(board)
    except DeviceFault as error:
        raise BoardError(f"boot: the firmware faulted before it said hello\n{board.postmortem().text}") from error
    except DeviceSilent as error:
        raise BoardError(f"boot: the firmware did not say hello: {error}\n{board.postmortem().text}") from error


def _deadline(case: Case, board: Board) -> int:
    """The case's deadline in ticks of this board's clock; 0, the port's longest, when the case sets none for it."""
    clock = board.clock
    units = case.deadline.get(clock.unit)
    if units is None and clock.kind == "cycles" and "ms" in case.deadline:
        units = case.deadline["ms"] * clock.hz // 1000
    if units is None:
        return 0
    return max(1, min(_U32, units * clock.denominator // clock.numerator))


# ---- vectors


def groups(case: Case) -> list[list[int]]:
    """Vectors that belong together, in file order: each stream is one group, each lone vector its own."""
    sequence = case.vectors.sequence
    if sequence is None:
        return [[index] for index in range(len(case.vectors))]
    streams: dict[int, list[int]] = {}
    ordered: list[list[int]] = []
    for index, number in enumerate(sequence.tolist()):
        if number < 0:
            ordered.append([index])
        elif number in streams:
            streams[number].append(index)
        else:
            streams[number] = [index]
            ordered.append(streams[number])
    return ordered


def _steps(order: list[list[int]]) -> Iterator[tuple[int, bool]]:
    """Vector index, and whether the decision state starts afresh there."""
    for group in order:
        for place, index in enumerate(group):
            yield index, place == 0


def _attempt(run: _Run, vector: int, action: Callable[[], Answer]) -> Answer | None:
    """The answer to one request, or None after a fault, reset or hang, which is noted; the board is running again
    then.
    """
    try:
        return action()
    except DeviceFault:
        status, report = Status.FAULT, run.device.board.postmortem()
    except DeviceEnded as error:
        status, report = Status.RESET, FaultReport("the firmware ended", "unknown", str(error))
    except DeviceReset as error:
        status, report = Status.RESET, FaultReport("reset", "unknown", f"{error}\n{run.device.board.postmortem().text}")
    except DeviceSilent as error:
        report = run.device.board.postmortem()
        status, report = Status.HANG, FaultReport("hang", report.stage, f"{error}\n{report.text}", report.registers)
    run.faults.append(VectorFault(vector, status, report))
    if vector >= 0 and run.records.status[vector] == Status.NOT_RUN:
        run.records.status[vector] = status
    _restart(run)
    return None


def _restart(run: _Run) -> None:
    """Bring the firmware back after a fault. When it does not come, the run ends here, and that is a finding."""
    try:
        run.device.restart()
    except (DeviceFault, DeviceEnded, DeviceSilent) as error:
        run.broken = True
        report = FaultReport("no restart", "start", f"{error}\n{run.device.board.postmortem().text}")
        run.faults.append(VectorFault(NO_VECTOR, Status.FAULT, report))


def _run_vector(run: _Run, index: int, fresh: bool) -> Record | None:
    payload = run.case.vectors.payload(index)
    return _attempt(run, index, partial(run.device.run, payload, fresh=fresh, deadline_ticks=run.deadline_ticks))


def _warm_up(run: _Run, job: ReferenceJob) -> None:
    valid = job.stimuli.valid
    for _ in range(run.case.contracts.warmup if len(valid) else 0):
        if not run.stopped:
            _note_other(run, _run_vector(run, int(valid[0]), fresh=True))


def _note_other(run: _Run, record: Record | None) -> None:
    """Damage to the arena's canaries in a run outside the first pass counts too."""
    if record is not None:
        run.other_canaries |= record.canaries


def _first_pass(run: _Run, job: ReferenceJob) -> None:
    total = len(run.case.vectors)
    for done, (index, fresh) in enumerate(_steps(groups(run.case))):
        if run.stopped:
            return
        record = _run_vector(run, index, fresh)
        if record is not None:
            _store(run, index, record)
            _fetch_difference(run, index, record, job)
        run.progress("vectors", done + 1, total)


def _store(run: _Run, index: int, record: Record) -> None:
    rows, decision = run.records, record.decision
    rows.status[index] = record.status
    rows.gate[index] = record.gate
    rows.canaries[index] = record.canaries
    rows.arena_high_water[index] = record.arena_high_water
    rows.stack_high_water[index] = record.stack_high_water
    rows.winner[index], rows.score[index] = decision.winner, decision.score
    rows.answer[index], rows.reason[index] = decision.answer, decision.reason
    if decision.label:
        if decision.label not in run.labels:
            run.labels[decision.label] = len(rows.label_texts)
            rows.label_texts.append(decision.label)
        rows.label[index] = run.labels[decision.label]
    if record.status != Status.DONE:
        return
    rows.ticks[index] = record.ticks
    if len(record.output) != rows.output.shape[1]:
        raise LinkError(f"a record has {len(record.output)} output bytes, the model has {rows.output.shape[1]}")
    rows.digest[index] = record.digest
    rows.minimum[index], rows.maximum[index], rows.saturated[index] = record.minimum, record.maximum, record.saturated
    rows.output[index] = np.frombuffer(record.output, np.int8)


def _fetch_difference(run: _Run, index: int, record: Record, job: ReferenceJob) -> None:
    """Bring the device's own tensor while it is still there, so that the first differing element can be named."""
    wrong = record.status == Status.DONE and record.digest != job.stimuli.digest[index]
    if wrong and len(run.prepared) < MAX_FINDINGS:
        tensor = _attempt(run, index, run.device.prepared)
        if tensor is not None:
            run.prepared.append(PreparedDifference(index, np.frombuffer(tensor, np.int8)))


# ---- determinism


def _replay(run: _Run) -> tuple[int, int]:
    """One vector again and again; returns vectors replayed and runs beyond the first."""
    done = list(_afresh(run))
    runs = 0
    for vector in done[:1]:
        for attempt in range(1, run.case.contracts.replays):
            if run.stopped:
                break
            record = _run_vector(run, vector, fresh=True)
            if record is not None:
                runs += 1
                _compare(run, vector, record, "replay", attempt)
            run.progress("replays", attempt, run.case.contracts.replays - 1)
    return len(done[:1]), runs


def _afresh(run: _Run) -> Iterator[int]:
    """Vectors that were done and met no decision state: nothing before them in their group was done."""
    for group in groups(run.case):
        for index in group:
            if run.records.status[index] != Status.REJECTED:
                if run.records.status[index] == Status.DONE:
                    yield index
                break


def _more_passes(run: _Run) -> int:
    """The whole set again, every second pass with the groups in reverse order; returns the number of windows run."""
    order = groups(run.case)
    runs, total = 0, len(run.case.vectors)
    for attempt in range(1, run.case.contracts.passes):
        order = order[::-1]
        for done, (index, fresh) in enumerate(_steps(order)):
            if run.stopped:
                return runs
            record = _run_vector(run, index, fresh)
            if record is not None and run.records.status[index] != Status.NOT_RUN:
                runs += 1
                _compare(run, index, record, "pass", attempt)
            run.progress(f"pass {attempt + 1}", done + 1, total)
    return runs


def _compare(run: _Run, index: int, record: Record, kind: str, attempt: int) -> None:
    rows = run.records
    _note_other(run, record)
    if rows.status[index] >= Status.NOT_RUN:
        return
    for marks, mark in (
        (rows.arena_high_water, record.arena_high_water),
        (rows.stack_high_water, record.stack_high_water),
    ):
        marks[index] = max(int(marks[index]), mark)
    pairs: dict[str, tuple[object, object]] = {
        "status": (Status(rows.status[index]).name, record.status.name),
        "gate": (int(rows.gate[index]), int(record.gate)),
        "decision": (
            (int(rows.winner[index]), int(rows.score[index]), int(rows.answer[index]), int(rows.reason[index])),
            (record.decision.winner, record.decision.score, record.decision.answer, int(record.decision.reason)),
        ),
    }
    if record.status == Status.DONE == rows.status[index]:
        if run.device.board.clock.deterministic:
            pairs["ticks"] = (rows.ticks[index].tolist(), list(record.ticks))
        pairs["digest"] = (f"{int(rows.digest[index]):#010x}", f"{record.digest:#010x}")
        pairs["output"] = (rows.output[index].tobytes().hex(" "), record.output.hex(" "))
    for name in ("status", "gate", "digest", "output", "decision", "ticks"):
        if name in pairs and pairs[name][0] != pairs[name][1]:
            first, again = (str(value) for value in pairs[name])
            run.differences.append(ReplayDifference(index, kind, attempt, name, first, again))
            return


# ---- probes


def _probe_gate(run: _Run) -> tuple[GateProbe, ...]:
    done = np.flatnonzero(run.records.status == Status.DONE)
    if not len(done):
        return ()
    valid = run.case.vectors.payload(int(done[0]))
    probes = []
    outputs: list[tuple[str, bytes, bytes]] = []
    for stimulus in gate_stimuli(run.case, valid):
        if run.stopped:
            break
        if len(stimulus.window) > run.device.hello.frame_bytes - FRAME_OVERHEAD_BYTES:
            continue  # no frame can carry it, so no sensor of this product can deliver it
        record = _attempt(run, NO_VECTOR, partial(_send_stimulus, run, stimulus))
        _note_other(run, record)
        if record is not None and record.status == Status.DONE and record.digest == stimulus.digest:
            outputs.append((stimulus.name, stimulus.window, record.output))
        probes.append(GateProbe(stimulus.name, stimulus.reason, record, stimulus.digest))
        run.progress("gate probes", len(probes), 0)
    run.probe_outputs += _with_oracle(run.case, outputs)
    return tuple(probes)


def _with_oracle(case: Case, outputs: list[tuple[str, bytes, bytes]]) -> list[ProbeOutput]:
    """Name, window and device output of valid probes, with what the int8 oracle gives for the same prepared tensor."""
    if not outputs:
        return []
    shape = case.vectors.windows.shape[1:]
    dtype = np.dtype(case.window.dtype).newbyteorder("<")
    windows = np.stack([np.frombuffer(window, dtype).reshape(shape) for _, window, _ in outputs])
    tensors = prepare(windows.astype(case.window.dtype), case.prepare, case.model.input)
    wanted = Int8Oracle(case.model.data, str(case.model.path)).run(tensors)
    return [
        ProbeOutput(name, row.tobytes(), observed) for (name, _, observed), row in zip(outputs, wanted, strict=True)
    ]


def _send_stimulus(run: _Run, stimulus: GateStimulus) -> Record:
    if stimulus.restart:
        run.device.restart()
        first = 0
    else:  # numbers that no other window of this session has
        first, *_ = [run.device.next_sequence() for _ in range(max(stimulus.captures) + 1)]
    for window, capture in zip((*stimulus.before, stimulus.window), stimulus.captures, strict=True):
        record = run.device.run(window, sequence=first + capture, deadline_ticks=run.deadline_ticks)
    return record


def _probe_scores(run: _Run) -> tuple[ScoreProbe, ...]:
    probes: list[ScoreProbe] = []
    for stimulus, expected in expected_decisions(run.case.decide, list(score_stimuli(run.case.decide))):
        if run.stopped:
            break
        scores = np.array(stimulus.scores, np.int8).tobytes()
        if stimulus.refused and _attempt(run, NO_VECTOR, partial(run.device.run, b"", fresh=False)) is None:
            break
        observed = _attempt(run, NO_VECTOR, partial(run.device.decide, scores, fresh=stimulus.fresh))
        if observed is None:
            break
        probes.append(ScoreProbe(stimulus.name, stimulus.scores, expected, observed))
    return tuple(probes)


def _probe_stream(run: _Run) -> tuple[ScoreProbe, ...]:
    """A stream of the case's own windows through the whole pipeline, when its decide stage has a memory.

    Two windows with different answers alternate in runs that are long enough for every rule. Expected: the reference
    decide on the outputs that the device gave.
    """
    decide = run.case.decide
    if run.stopped or decide.id != "argmax" or _memoryless(decide):
        return ()
    length = min(decide.debounce + decide.cooldown + 2, _LONGEST_RUN)
    decider = Decider(decide)
    probes: list[ScoreProbe] = []
    for number, vector in enumerate(np.repeat(_two_answers(run), length).tolist()):
        record = _run_vector(run, vector, fresh=number == 0)
        _note_other(run, record)
        if record is None or record.status != Status.DONE:
            break
        scores = np.frombuffer(record.output, np.int8)
        name = f"stream through the pipeline, window {number}"
        probes.append(ScoreProbe(name, tuple(scores.tolist()), decider.step(scores), record.decision))
    return tuple(probes)


def _memoryless(decide: Decide) -> bool:
    return decide.debounce == 1 and decide.cooldown == 0 and decide.release == decide.threshold


def _two_answers(run: _Run) -> list[int]:
    """Vectors whose winning score passes the threshold: one, one with another winner if there is any, and back."""
    rows = run.records
    passing = np.flatnonzero((rows.status == Status.DONE) & (rows.score > run.case.decide.threshold))
    if not len(passing):
        return []
    first = int(passing[0])
    others = passing[rows.winner[passing] != rows.winner[first]]
    return [first, int(others[0]), first] if len(others) else [first]


def _probe_bundle(board: Board, image: Image, bundle: bytes) -> tuple[BundleProbe, ...]:
    """Damaged bundles, one after the other; the whole one is back on the board at the end."""
    try:
        return tuple(_send_bundle(board, image, stimulus) for stimulus in bundle_stimuli(bundle))
    finally:
        board.provision(image, bundle)


def _send_bundle(board: Board, image: Image, stimulus: BundleStimulus) -> BundleProbe:
    try:
        board.provision(image, stimulus.bundle)
        status = Device(board).hello.bundle_status
    except (DeviceFault, DeviceEnded, DeviceSilent) as error:
        return BundleProbe(stimulus.name, stimulus.status, -1, f"{error}\n{board.postmortem().text}")
    return BundleProbe(stimulus.name, stimulus.status, status)
