"""Windows at the gate's rules and for each value that matters to prepare, made by the harness itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from hil.contract.sent import GateProbe, GateProbes, ProbeOutput
from hil.contract.types import MAX_FINDINGS
from hil.device import FRAME_OVERHEAD_BYTES
from hil.records import Record, Status
from hil.reference.prepare import prepare
from hil.session.effort import effort
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import GateStimulus, gate_stimuli


def _collect(run: SessionState) -> GateProbes:
    done = np.flatnonzero(run.records.status == Status.DONE)
    if not len(done):
        return GateProbes()
    valid = run.case.vectors.payload(int(done[0]))
    return send(run, gate_stimuli(run.case, valid, effort(run.case, run.device.board)), "gate probes")


def send(run: SessionState, stimuli: Iterable[GateStimulus], title: str) -> GateProbes:
    """One window after the other; title: what progress calls them."""
    probes: list[GateProbe] = []
    outputs: list[tuple[str, bytes, bytes]] = []
    wrong = 0  # tensors
    for stimulus in stimuli:
        if run.stopped:
            break
        if len(stimulus.window) > run.device.hello.frame_bytes - FRAME_OVERHEAD_BYTES:
            continue  # no frame can carry it, so no sensor of this product can deliver it
        record = run.attempt(NO_VECTOR, partial(_send, run, stimulus))
        run.note_other(record)
        probe = GateProbe(stimulus.name, stimulus.reason, record, stimulus.digest)
        if record is not None and record.status == Status.DONE and stimulus.digest is not None:
            if record.digest == stimulus.digest:
                outputs.append((stimulus.name, stimulus.window, record.output))
            elif (wrong := wrong + 1) <= MAX_FINDINGS:
                tensor = run.attempt(NO_VECTOR, run.device.prepared)
                probe = replace(probe, window=stimulus.window, observed=tensor)
        probes.append(probe)
        if len(probes) % _TOLD_EVERY == 0:
            run.progress(title, len(probes), 0)
    return GateProbes(tuple(probes), tuple(_with_oracle(run, outputs)))


def _with_oracle(run: SessionState, outputs: list[tuple[str, bytes, bytes]]) -> list[ProbeOutput]:
    """Of name, window and device output of valid windows: what the oracle gives for the same prepared tensor."""
    if not outputs:
        return []
    case = run.case
    different = {window: row for row, window in enumerate(dict.fromkeys(window for _, window, _ in outputs))}
    dtype = np.dtype(case.window.dtype).newbyteorder("<")
    shape = case.vectors.windows.shape[1:]
    windows = np.stack([np.frombuffer(window, dtype).reshape(shape) for window in different])
    tensors = prepare(windows.astype(case.window.dtype), case.prepare, case.model.input)
    wanted = run.models.oracle.run(tensors)
    written = [case.model.output.element.write(row) for row in wanted]
    return [ProbeOutput(name, written[different[window]], observed) for name, window, observed in outputs]


def _send(run: SessionState, stimulus: GateStimulus) -> Record:
    if stimulus.restart:
        run.device.restart()
    return run.device.run(stimulus.window, sequence=stimulus.capture, deadline_ticks=run.deadline_ticks)


_TOLD_EVERY = 32  # windows

STEP = Step(GateProbes, Scope.LEAD, _collect)
