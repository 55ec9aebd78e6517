"""Each vector of the share through the device once: the records, and the tensors that are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from itertools import chain

from hil.case.types import Case
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.types import MAX_FINDINGS
from hil.errors import LinkError
from hil.records import Record, RunRecords, Status
from hil.reference.own import is_right, takes_tensors
from hil.reference.prepare import digest
from hil.session.order import unbroken
from hil.session.state import SessionState
from hil.session.step import Scope, Step
from hil.tensor import Elements, of_dtype


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
    taken: dict[int, Elements] = {}
    total = sum(map(len, run.groups))
    for done, (index, fresh) in enumerate(unbroken(run, run.groups)):
        if run.stopped:
            break
        record = run.vector(index, fresh)
        if record is not None:
            _store(run, index, record)
            _fetch(run, index, record, differences, taken)
        run.progress("vectors", done + 1, total)
    return PreparedTensors(tuple(differences), taken)


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
    _store_further(rows, index, record)


def _store_further(rows: RunRecords, index: int, record: Record) -> None:
    """What the record of a model with several tensors says beside."""
    told, wanted = (len(record.inputs), len(record.outputs)), (len(rows.inputs), len(rows.outputs))
    if told != wanted:
        raise LinkError(f"a record tells of {told} further inputs and outputs, the model has {wanted}")
    for columns, seen in zip(rows.inputs, record.inputs, strict=True):
        columns.digest[index], columns.saturated[index] = seen.digest, seen.saturated
        columns.minimum[index], columns.maximum[index] = seen.minimum, seen.maximum
    for column, data in zip(rows.outputs, record.outputs, strict=True):
        if len(data) != column[index].nbytes:
            raise LinkError(f"a record has {len(data)} bytes of a further output, the model {column[index].nbytes}")
        column[index] = of_dtype(column.dtype).read(data)


def _fetch(
    run: SessionState, index: int, record: Record, differences: list[PreparedDifference], taken: dict[int, Elements]
) -> None:
    """taken: tensors of a front end of the product's own, of which only the device can say what they are."""
    if not takes_tensors(run.case):
        _fetch_difference(run, index, record, differences)
        return
    as_expected = run.case.vectors.prepared is not None and record.digest == run.stimuli.digest[index]
    if record.status != Status.DONE or as_expected:
        return
    data = run.attempt(index, run.device.prepared)
    if data is None:
        return
    (taken[index],) = split_tensors(run.case, data)
    right = is_right(run.case, index, taken[index]) and digest(taken[index]) == record.digest
    if not right and len(differences) < MAX_FINDINGS:
        differences.append(PreparedDifference(index, taken[index]))


def _fetch_difference(run: SessionState, index: int, record: Record, differences: list[PreparedDifference]) -> None:
    """Bring the device's own tensor while it is still there, so that the first differing element can be named."""
    if record.status != Status.DONE or len(differences) >= MAX_FINDINGS:
        return
    wanted = (run.stimuli.digest, *(each.digest for each in run.stimuli.further))
    told = (record.digest, *(each.digest for each in record.inputs))
    wrong = [place for place, (seen, right) in enumerate(zip(told, wanted, strict=True)) if seen != right[index]]
    if not wrong:
        return
    data = run.attempt(index, run.device.prepared)
    if data is not None:
        tensors = split_tensors(run.case, data)
        names = [each.name for each in run.case.model.inputs] if run.case.further else [""]
        differences += [PreparedDifference(index, tensors[place], names[place]) for place in wrong]


def split_tensors(case: Case, data: bytes) -> list[Elements]:
    """The elements of each input tensor, of the bytes of all of them."""
    if not case.further:
        return [case.model.input.element.read(data)]
    tensors = []
    for contract in case.model.inputs:
        tensors.append(contract.element.read(data[: contract.bytes]))
        data = data[contract.bytes :]
    return tensors


def _merge(sections: Sequence[PreparedTensors]) -> PreparedTensors:
    differences = tuple(chain.from_iterable(each.differences for each in sections))[:MAX_FINDINGS]
    taken = {vector: tensor for each in sections for vector, tensor in each.taken.items()}
    return PreparedTensors(differences, taken)


STEP = Step(PreparedTensors, Scope.SHARE, _collect, _merge)
