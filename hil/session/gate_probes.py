"""Windows at the gate's rules and over the whole range of prepare, made by the harness itself."""

from __future__ import annotations

from functools import partial

import numpy as np

from hil.contract.rejects import GateProbe, GateProbes, ProbeOutput
from hil.device import FRAME_OVERHEAD_BYTES
from hil.records import Record, Status
from hil.reference.prepare import prepare
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import GateStimulus, gate_stimuli


def _collect(run: SessionState) -> GateProbes:
    done = np.flatnonzero(run.records.status == Status.DONE)
    if not len(done):
        return GateProbes()
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
    return GateProbes(tuple(probes), tuple(_with_oracle(run, outputs)))


def _with_oracle(run: SessionState, outputs: list[tuple[str, bytes, bytes]]) -> list[ProbeOutput]:
    """Name, window and device output of valid probes, with what the int8 oracle gives for the same prepared tensor."""
    if not outputs:
        return []
    case = run.case
    shape = case.vectors.windows.shape[1:]
    dtype = np.dtype(case.window.dtype).newbyteorder("<")
    windows = np.stack([np.frombuffer(window, dtype).reshape(shape) for _, window, _ in outputs])
    tensors = prepare(windows.astype(case.window.dtype), case.prepare, case.model.input)
    wanted = run.models.int8.run(tensors)
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


STEP = Step(GateProbes, Scope.LEAD, _collect)
