"""The vectors of a case through the device: warm-up, first pass, and the same again to see whether it repeats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hil.contract.types import MAX_FINDINGS, PreparedDifference, ReplayDifference
from hil.errors import LinkError
from hil.records import Record, Status
from hil.reference.job import ReferenceJob
from hil.session.state import SessionState


def _steps(order: list[list[int]]) -> Iterator[tuple[int, bool]]:
    """Vector index, and whether the decision state starts afresh there."""
    for group in order:
        for place, index in enumerate(group):
            yield index, place == 0


def warm_up(run: SessionState, job: ReferenceJob) -> None:
    valid = job.stimuli.valid
    for _ in range(run.case.contracts.warmup if len(valid) else 0):
        if not run.stopped:
            run.note_other(run.vector(int(valid[0]), fresh=True))


def first_pass(run: SessionState, job: ReferenceJob) -> None:
    total = sum(map(len, run.groups))
    for done, (index, fresh) in enumerate(_steps(run.groups)):
        if run.stopped:
            return
        record = run.vector(index, fresh)
        if record is not None:
            _store(run, index, record)
            _fetch_difference(run, index, record, job)
        run.progress("vectors", done + 1, total)


def _store(run: SessionState, index: int, record: Record) -> None:
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


def _fetch_difference(run: SessionState, index: int, record: Record, job: ReferenceJob) -> None:
    """Bring the device's own tensor while it is still there, so that the first differing element can be named."""
    wrong = record.status == Status.DONE and record.digest != job.stimuli.digest[index]
    if wrong and len(run.prepared) < MAX_FINDINGS:
        tensor = run.attempt(index, run.device.prepared)
        if tensor is not None:
            run.prepared.append(PreparedDifference(index, np.frombuffer(tensor, np.int8)))


def replay(run: SessionState) -> tuple[int, int]:
    """One vector again and again; returns vectors replayed and runs beyond the first."""
    done = list(afresh(run))
    runs = 0
    for vector in done[:1]:
        for attempt in range(1, run.case.contracts.replays):
            if run.stopped:
                break
            record = run.vector(vector, fresh=True)
            if record is not None:
                runs += 1
                _compare(run, vector, record, "replay", attempt)
            run.progress("replays", attempt, run.case.contracts.replays - 1)
    return len(done[:1]), runs


def afresh(run: SessionState) -> Iterator[int]:
    """Vectors that were done and met no decision state: nothing before them in their group was done."""
    for group in run.groups:
        for index in group:
            if run.records.status[index] != Status.REJECTED:
                if run.records.status[index] == Status.DONE:
                    yield index
                break


def more_passes(run: SessionState) -> int:
    """The whole set again, every second pass with the groups in reverse order; returns the number of windows run."""
    order = run.groups
    runs, total = 0, sum(map(len, order))
    for attempt in range(1, run.case.contracts.passes):
        order = order[::-1]
        for done, (index, fresh) in enumerate(_steps(order)):
            if run.stopped:
                return runs
            record = run.vector(index, fresh)
            if record is not None and run.records.status[index] != Status.NOT_RUN:
                runs += 1
                _compare(run, index, record, "pass", attempt)
            run.progress(f"pass {attempt + 1}", done + 1, total)
    return runs


def _compare(run: SessionState, index: int, record: Record, kind: str, attempt: int) -> None:
    rows = run.records
    run.note_other(record)
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
