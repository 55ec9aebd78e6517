"""Knows what the validity gate and prepare made of windows that the harness made itself."""

from __future__ import annotations

import numpy as np

from hil.contract.blame import done
from hil.contract.coverage import Coverage
from hil.contract.input import FACTS_HINT, counted, element_name, ends, gate_words, reason_name
from hil.contract.ready import asked, ended_before, unready
from hil.contract.sent import GateProbe, GateProbes
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, plural
from hil.records import GateReason, Prepared, Record, Status, prepared_of
from hil.reference.mistakes import mistake_of
from hil.reference.prepare import prepare
from hil.tensor import ElementType, bits


def _judge_rejects(evidence: Evidence) -> CheckResult:
    sheet = Sheet("input.rejects", evidence)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    probes = (*evidence.section(GateProbes).probes, *evidence.section(Coverage).sent.probes)
    if not probes and (reason := asked(done(evidence.records), evidence)):
        return sheet.not_judged(reason)  # they are made from a valid window
    if not probes:
        if evidence.faults:
            return sheet.not_judged(ended_before(evidence))
        sheet.add("windows at the edges of the gate's rules", "none was sent", hint="run the probes of this case")
    for probe in probes:
        element = evidence.case.model.inputs[probe.input].element
        if faults := _probe_faults(probe, element, bool(evidence.faults)):
            wanted, seen, hint = _tensor_words(evidence, probe)
            place = {**_probe_place(probe), **({"hint": hint} if hint else {})}
            sheet.add(_probe_wanted(probe, element) + wanted, "; ".join(faults) + seen, vector=probe.name, **place)
    numbers = {"windows_sent": len(probes)}
    if not sheet.total and (reason := _cut_short(probes)):
        return sheet.not_judged(reason, numbers)
    return sheet.result(numbers=numbers)


def _cut_short(probes: tuple[GateProbe, ...]) -> str:
    """Why not all of these windows say something about gate and prepare; "" when they do. What broke is not theirs."""
    lost = sum(probe.record is None for probe in probes)
    if lost:
        return f"{plural(lost, 'window')} brought no record: see execution.fault"
    failed = sum(probe.record is not None and _invoke_failed(probe, probe.record) for probe in probes)
    return f"the model failed on {plural(failed, 'window')}: see execution.complete" if failed else ""


def _invoke_failed(probe: GateProbe, record: Record) -> bool:
    """It went through gate and prepare as it should, and broke behind them. An agent may leave the digest out then."""
    prepared = probe.digest is None or prepared_of(record, probe.input).digest in (0, probe.digest)
    return prepared and probe.expected is GateReason.VALID == record.gate and record.status == Status.INVOKE_FAILED


def _probe_wanted(probe: GateProbe, element: ElementType) -> str:
    if probe.facts is not None:
        return f"valid; {_facts_words(element, probe.facts)}"
    if probe.expected is GateReason.VALID:
        return "valid" if probe.digest is None else f"valid; digest {probe.digest:08x}"
    return f"rejected: {reason_name(int(probe.expected))}; no label, no output"


def _probe_place(probe: GateProbe) -> dict[str, str]:
    """Stage and hint: a window that was let through as it should and came out wrong broke in prepare."""
    if probe.expected is not GateReason.VALID:
        return {"stage": "gate", "hint": "a malformed window must stop at the gate: check the rule and what runs after"}
    if probe.record is not None and probe.record.gate != GateReason.VALID:
        return {"stage": "gate", "hint": "a valid window was lost: check the rule's bounds, and what it compares with"}
    if probe.facts is not None:
        return {"stage": "prepare", "hint": FACTS_HINT}
    return {"stage": "prepare", "hint": "compare prepare with docs/pipeline.md at values that the vectors do not reach"}


def _tensor_words(evidence: Evidence, probe: GateProbe) -> tuple[str, str, str]:
    """Of a tensor that is wrong: its first wrong element as expected and as observed, and what makes such a tensor."""
    case = evidence.case.of_inputs[probe.input]
    if probe.observed is None or len(probe.observed) != case.model.input.bytes:
        return "", "", ""
    dtype = np.dtype(case.window.dtype)
    window = np.frombuffer(probe.window, dtype.newbyteorder("<")).astype(dtype)
    window = window.reshape(1, *case.vectors.windows.shape[1:])
    wanted, tensor = prepare(window, case.prepare, case.model.input)[0], case.model.input.element.read(probe.observed)
    different = np.flatnonzero(bits(wanted) != bits(tensor))
    if not len(different):
        return "", "; the tensor fetched afterwards is right", "look for a race or uninitialised memory"
    first, count = int(different[0]), len(different)
    mistake = mistake_of(window, tensor, case.prepare, case.model.input)
    return (
        f"; {wanted[first]} at {element_name(case, first)}",
        f"; {tensor[first]} there, {count:,} of {len(wanted):,} elements differ",
        f"{case.prepare.name} gives this tensor when it is written like this: {mistake}" if mistake else "",
    )


def _probe_faults(probe: GateProbe, element: ElementType, broke: bool) -> list[str]:
    """What gate and prepare did wrong with one window that the harness made; empty when nothing. element: of the
    input tensor; broke: whether a fault is noted, which then says why no record came.
    """
    record = probe.record
    if record is None:
        return [] if broke else ["no record came back"]
    if _invoke_failed(probe, record):
        return []
    if probe.expected is GateReason.VALID:
        told = prepared_of(record, probe.input)
        if probe.facts is not None:
            return [f"{_facts_words(element, told)}, though the digest is the reference's"]
        return _valid_faults(record, told, probe.digest, element)
    faults = []
    if record.status != Status.REJECTED:
        faults.append(f"status {record.status.name.lower().replace('_', ' ')}")
    if record.gate != probe.expected:
        faults.append(f"reason {reason_name(int(record.gate))}")
    if record.decision.answer != -1 or record.decision.label:
        faults.append(f"labelled {record.decision.label or record.decision.answer!r}")
    if left := sum(map(len, (record.output, *record.outputs))):
        faults.append(f"{left} bytes of output")
    return faults


def _facts_words(element: ElementType, told: Prepared) -> str:
    return f"{ends(element, told.minimum, told.maximum)}, {told.saturated} {counted(element)}"


def _valid_faults(record: Record, tensor: Prepared, digest: int | None, element: ElementType) -> list[str]:
    faults = []
    if record.gate != GateReason.VALID or record.status == Status.REJECTED:
        faults.append(gate_words(int(record.gate), True))
    elif record.status not in (Status.DONE, Status.INVOKE_FAILED):
        faults.append(f"status {record.status.name.lower().replace('_', ' ')}")
    elif digest is not None and tensor.digest != digest:
        faults.append(f"digest {tensor.digest:08x}; {ends(element, tensor.minimum, tensor.maximum)}")
    return faults


CHECKS = (
    Check(
        "input.rejects",
        "windows that the harness makes at the edges of the gate's rules and over the whole range",
        "rejected: reason = expected, answer = -1, no output; valid: status done, and digest, minimum, maximum, "
        "saturated = those of the reference",
        lambda _: True,
        _judge_rejects,
    ),
)
