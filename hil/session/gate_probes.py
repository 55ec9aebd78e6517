"""Windows at the gate's rules and for each value that matters to prepare, made by the harness itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hil.case.types import Case
from hil.contract.sent import GateProbe, GateProbes, ProbeOutput
from hil.contract.types import MAX_FINDINGS
from hil.device import FRAME_OVERHEAD_BYTES
from hil.records import Prepared, Record, Status, prepared_of
from hil.reference.prepare import digest, prepare
from hil.session.effort import effort
from hil.session.first_pass import split_tensors
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import GateStimulus, gate_stimuli, of_each_input, split_windows
from hil.tensor import Elements, ranks


def _collect(run: SessionState) -> GateProbes:
    done = np.flatnonzero(run.records.status == Status.DONE)
    if not len(done):
        return GateProbes()
    valid = run.case.vectors.payload(int(done[0]))
    afford = effort(run.case, run.device.board)
    stimuli = of_each_input(run.case, valid, lambda case, part: gate_stimuli(case, part, afford))
    return send(run, stimuli, "gate probes")


def send(run: SessionState, stimuli: Iterable[GateStimulus], title: str) -> GateProbes:
    """One window after the other; title: what progress calls them."""
    probes: list[GateProbe] = []
    outputs: list[_Sent] = []
    facts: dict[bytes, list[Prepared]] = {}  # of the tensors of a window, which is sent more than once
    wrong = 0  # tensors
    for stimulus in stimuli:
        if run.stopped:
            break
        if len(stimulus.window) > run.device.hello.frame_bytes - FRAME_OVERHEAD_BYTES:
            continue  # no frame can carry it, so no sensor of this product can deliver it
        record = run.attempt(NO_VECTOR, partial(_send, run, stimulus))
        run.note_other(record)
        probe = GateProbe(stimulus.name, stimulus.reason, record, stimulus.digest, input=stimulus.input)
        if record is not None and record.status == Status.DONE and stimulus.digest is not None:
            off = [place for place, digest in stimulus.digests.items() if prepared_of(record, place).digest != digest]
            if not off:
                outputs.append(_Sent(stimulus.name, stimulus.window, (record.output, *record.outputs)))
                probe = _with_facts(run.case, probe, record, facts.setdefault(stimulus.window, []), stimulus.window)
            elif (wrong := wrong + 1) <= MAX_FINDINGS:
                probe = replace(probe, input=off[0], digest=stimulus.digests[off[0]])
                probe = replace(probe, window=stimulus.window, observed=run.attempt(NO_VECTOR, run.device.prepared))
                probe = _of_its_input(run.case, probe)
        probes.append(probe)
        if len(probes) % _TOLD_EVERY == 0:
            run.progress(title, len(probes), 0)
    return GateProbes(tuple(probes), tuple(_with_oracle(run, outputs)))


def _with_facts(case: Case, probe: GateProbe, record: Record, facts: list[Prepared], window: bytes) -> GateProbe:
    """The probe, and what its record should have said of the first tensor of which it says something else."""
    facts += [] if facts else [_facts(case, place, rows[0]) for place, rows in enumerate(tensors_of(case, [window]))]
    wrong = [place for place, wanted in enumerate(facts) if prepared_of(record, place) != wanted]
    return replace(probe, input=wrong[0], digest=facts[wrong[0]].digest, facts=facts[wrong[0]]) if wrong else probe


def _facts(case: Case, place: int, tensor: Elements) -> Prepared:
    ranked, element = ranks(tensor), case.model.inputs[place].element
    return Prepared(digest(tensor), int(ranked.min()), int(ranked.max()), int(element.saturated(tensor).sum()))


@dataclass(frozen=True)
class _Sent:
    """A valid window of the harness's own, and the bytes of the device's outputs."""

    name: str
    window: bytes
    outputs: tuple[bytes, ...]


def _of_its_input(case: Case, probe: GateProbe) -> GateProbe:
    """Window and tensor of the probe's input alone."""
    if not case.further:
        return probe
    tensor = None if probe.observed is None else split_tensors(case, probe.observed)[probe.input].tobytes()
    return replace(probe, window=split_windows(case, probe.window)[probe.input], observed=tensor)


def _with_oracle(run: SessionState, outputs: list[_Sent]) -> list[ProbeOutput]:
    """Of valid windows and the device's outputs: what the oracle gives for the same prepared tensors."""
    if not outputs:
        return []
    model = run.case.model
    different = {window: row for row, window in enumerate(dict.fromkeys(each.window for each in outputs))}
    wanted = model.decided_first(run.models.oracle.answers(tensors_of(run.case, list(different))))
    found: list[ProbeOutput] = []
    for place, (contract, rows) in enumerate(zip((model.output, *model.further_outputs), wanted, strict=True)):
        name = contract.name if model.further_outputs else ""
        written = [contract.element.write(row) for row in rows]
        for each in (some for some in outputs if place < len(some.outputs)):
            expected, observed = written[different[each.window]], each.outputs[place]
            off = b"" if expected == observed else each.window
            found.append(ProbeOutput(each.name, expected, observed, name, off))
    return found


def tensors_of(case: Case, windows: list[bytes]) -> list[Elements]:
    """The prepared tensors [n, elements] of each input for these windows, each the bytes of those of all inputs."""
    parts = zip(*(split_windows(case, window) for window in windows), strict=True)
    return [_prepared(one, list(each)) for one, each in zip(case.of_inputs, parts, strict=True)]


def _prepared(case: Case, windows: list[bytes]) -> Elements:
    """The tensors [n, elements] of windows of the one input."""
    dtype = np.dtype(case.window.dtype).newbyteorder("<")
    shape = case.vectors.windows.shape[1:]
    stacked = np.stack([np.frombuffer(window, dtype).reshape(shape) for window in windows])
    return prepare(stacked.astype(case.window.dtype), case.prepare, case.model.input)


def _send(run: SessionState, stimulus: GateStimulus) -> Record:
    if stimulus.restart and run.device.board.resets:  # without a start it is a number like any other
        run.device.restart()
    return run.device.run(stimulus.window, sequence=stimulus.capture, deadline_ticks=run.deadline_ticks)


_TOLD_EVERY = 32  # windows

STEP = Step(GateProbes, Scope.LEAD, _collect, applies=lambda case: not case.prepare.own)
