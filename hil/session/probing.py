"""Sends what the harness makes up itself: windows at the gate's rules, raw scores, streams, damaged bundles."""

from __future__ import annotations

from functools import partial

import numpy as np

from hil.board.base import Board
from hil.case.types import Case, Decide
from hil.contract.types import BundleProbe, GateProbe, ProbeOutput, ScoreProbe
from hil.device import FRAME_OVERHEAD_BYTES, Device
from hil.errors import DeviceEnded, DeviceFault, DeviceSilent
from hil.image.elf import Image
from hil.records import Record, Status
from hil.reference.decide import Decider
from hil.reference.int8 import Int8Oracle
from hil.reference.prepare import prepare
from hil.session.state import NO_VECTOR, SessionState
from hil.session.stimuli import (
    BundleStimulus,
    GateStimulus,
    bundle_stimuli,
    expected_decisions,
    gate_stimuli,
    score_stimuli,
)

_LONGEST_RUN = 40  # windows of one label in a stream through the pipeline


def probe_gate(run: SessionState) -> tuple[GateProbe, ...]:
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
        record = run.attempt(NO_VECTOR, partial(_send_stimulus, run, stimulus))
        run.note_other(record)
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


def _send_stimulus(run: SessionState, stimulus: GateStimulus) -> Record:
    if stimulus.restart:
        run.device.restart()
        first = 0
    else:  # numbers that no other window of this session has
        first, *_ = [run.device.next_sequence() for _ in range(max(stimulus.captures) + 1)]
    for window, capture in zip((*stimulus.before, stimulus.window), stimulus.captures, strict=True):
        record = run.device.run(window, sequence=first + capture, deadline_ticks=run.deadline_ticks)
    return record


def probe_scores(run: SessionState) -> tuple[ScoreProbe, ...]:
    probes: list[ScoreProbe] = []
    for stimulus, expected in expected_decisions(run.case.decide, list(score_stimuli(run.case.decide))):
        if run.stopped:
            break
        scores = np.array(stimulus.scores, np.int8).tobytes()
        if stimulus.refused and run.attempt(NO_VECTOR, partial(run.device.run, b"", fresh=False)) is None:
            break
        observed = run.attempt(NO_VECTOR, partial(run.device.decide, scores, fresh=stimulus.fresh))
        if observed is None:
            break
        probes.append(ScoreProbe(stimulus.name, stimulus.scores, expected, observed))
    return tuple(probes)


def probe_stream(run: SessionState) -> tuple[ScoreProbe, ...]:
    """A stream of the case's own windows through the whole pipeline, when its decide stage has a memory.

    Two windows with different answers alternate in runs that are long enough for every rule. Expected: the reference
    decide on the outputs that the device gave.
    """
    decide = run.case.decide
    if run.stopped or not has_memory(decide):
        return ()
    length = min(decide.debounce + decide.cooldown + 2, _LONGEST_RUN)
    decider = Decider(decide)
    probes: list[ScoreProbe] = []
    for number, vector in enumerate(np.repeat(_two_answers(run), length).tolist()):
        record = run.vector(vector, fresh=number == 0)
        run.note_other(record)
        if record is None or record.status != Status.DONE:
            break
        scores = np.frombuffer(record.output, np.int8)
        name = f"stream through the pipeline, window {number}"
        probes.append(ScoreProbe(name, tuple(scores.tolist()), decider.step(scores), record.decision))
    return tuple(probes)


def has_memory(decide: Decide) -> bool:
    """Whether an answer depends on the windows before: debounce, cooldown or hysteresis."""
    memoryless = decide.debounce == 1 and decide.cooldown == 0 and decide.release == decide.threshold
    return decide.id == "argmax" and not memoryless


def _two_answers(run: SessionState) -> list[int]:
    """Vectors whose winning score passes the threshold: one, one with another winner if there is any, and back."""
    rows = run.records
    passing = np.flatnonzero((rows.status == Status.DONE) & (rows.score > run.case.decide.threshold))
    if not len(passing):
        return []
    first = int(passing[0])
    others = passing[rows.winner[passing] != rows.winner[first]]
    return [first, int(others[0]), first] if len(others) else [first]


def probe_bundle(board: Board, image: Image, bundle: bytes) -> tuple[BundleProbe, ...]:
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
