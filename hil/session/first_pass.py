"""Each vector of the share through the device once: the records, and the tensors that are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from itertools import chain

from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.types import MAX_FINDINGS
from hil.errors import LinkError
from hil.records import Record, Status
from hil.session.order import unbroken
from hil.session.state import SessionState
from hil.session.step import Scope, Step
from hil.tensor import of_dtype


def _warm_up(run: SessionState) -> None:
    valid = run.stimuli.valid
    for _ in range(run.case.contracts.warmup if len(valid) else 0):
        if not run.stopped:
            record = run.vector(int(valid[0]), fresh=True)
            run.note_other(record)
            if record is not None:
                run.opening.append((int(valid[0]), record))


def _collect(run: SessionState) -> PreparedTensors:
    _warm_up(run)
    differences: list[PreparedDifference] = []
    total = sum(map(len, run.groups))
    for done, (index, fresh) in enumerate(unbroken(run, run.groups)):
        if run.stopped:
            break
        record = run.vector(index, fresh)
        if record is not None:
            _store(run, index, record)
            _fetch_difference(run, index, record, differences)
        run.progress("vectors", done + 1, total)
    return PreparedTensors(tuple(differences))


def _store(run: SessionState, index: int, record: Record) -> None:
    rows, decision = run.records, record.decision
    rows.status[index] = record.status
    rows.gate[index] = record.gate
    rows.canaries[index] = record.canaries
    rows.arena_high_water[index] = record.arena_high_water
    rows.stack_high_water[index] = record.stack_high_water
    rows.received[index] = -1 if record.received is None else record.received
    rows.gate_ticks[index] = -1 if record.gate_ticks is None else record.gate_ticks
    if record.core is not None:
        rows.core[index] = astuple(record.core)
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
    wanted = rows.output[index].nbytes
    if len(record.output) != wanted:
        raise LinkError(f"a record has {len(record.output)} output bytes, the model has {wanted}")
    rows.digest[index] = record.digest
    rows.minimum[index], rows.maximum[index], rows.saturated[index] = record.minimum, record.maximum, record.saturated
    rows.output[index] = of_dtype(rows.output.dtype).read(record.output)


def _fetch_difference(run: SessionState, index: int, record: Record, differences: list[PreparedDifference]) -> None:
    """Bring the device's own tensor while it is still there, so that the first differing element can be named."""
    wrong = record.status == Status.DONE and record.digest != run.stimuli.digest[index]
    if wrong and len(differences) < MAX_FINDINGS:
        tensor = run.attempt(index, run.device.prepared)
        if tensor is not None:
            differences.append(PreparedDifference(index, run.case.model.input.element.read(tensor)))


def _merge(sections: Sequence[PreparedTensors]) -> PreparedTensors:
    return PreparedTensors(tuple(chain.from_iterable(each.differences for each in sections))[:MAX_FINDINGS])


STEP = Step(PreparedTensors, Scope.SHARE, _collect, _merge)
