"""Knows whether a record of a vector is the one that its first run left, and in which field it is not."""

from __future__ import annotations

from dataclasses import dataclass

from hil.records import Record, RunRecords, Status

FIELDS = ("status", "gate", "digest", "output", "decision", "ticks")  # in the order of the pipeline, time last


@dataclass(frozen=True)
class Difference:
    """The first field of FIELDS that differs, as the first run had it and as it was again."""

    field: str
    first: str
    again: str


def difference_from(rows: RunRecords, vector: int, record: Record, ticks: bool) -> Difference | None:
    """None when the record is the vector's row, or the vector has none. ticks: whether time repeats on this board."""
    if rows.status[vector] >= Status.NOT_RUN:
        return None
    decision = record.decision
    pairs: dict[str, tuple[object, object]] = {
        "status": (Status(rows.status[vector]).name, record.status.name),
        "gate": (int(rows.gate[vector]), int(record.gate)),
        "decision": (
            decision_of(rows, vector),
            (decision.winner, decision.score, decision.answer, int(decision.reason), decision.label),
        ),
    }
    if record.status == Status.DONE == rows.status[vector]:
        if ticks:
            pairs["ticks"] = (rows.ticks[vector].tolist(), list(record.ticks))
        pairs["digest"] = (digests_of(rows, vector), digests_text(record))
        pairs["output"] = (outputs_of(rows, vector), outputs_text(record))
    for name in FIELDS:
        if name in pairs and pairs[name][0] != pairs[name][1]:
            first, again = (str(value) for value in pairs[name])
            return Difference(name, first, again)
    return None


def digests_of(rows: RunRecords, vector: int) -> str:
    """The digests of a vector's prepared tensors."""
    return _hex(int(rows.digest[vector]), *(int(each.digest[vector]) for each in rows.inputs))


def digests_text(record: Record) -> str:
    """The same of a record."""
    return _hex(record.digest, *(each.digest for each in record.inputs))


def _hex(*digests: int) -> str:
    return " ".join(f"{digest:#010x}" for digest in digests)


def outputs_of(rows: RunRecords, vector: int) -> str:
    """The bytes of a vector's outputs, the one that is decided on first; a line for each further one."""
    return "\n".join(column[vector].tobytes().hex(" ") for column in (rows.output, *rows.outputs))


def outputs_text(record: Record) -> str:
    """The same of a record."""
    return "\n".join(data.hex(" ") for data in (record.output, *record.outputs))


def decision_of(rows: RunRecords, vector: int) -> tuple[int, int, int, int, str]:
    """Winner, score, answer, reason and label text of a vector's row."""
    text = rows.label_texts[rows.label[vector]] if rows.label[vector] >= 0 else ""
    return int(rows.winner[vector]), int(rows.score[vector]), int(rows.answer[vector]), int(rows.reason[vector]), text


RUN_FAILED = "the model's run failed in one of the two: see execution.complete"
_STAGE_OF = {"gate": "gate", "digest": "prepare", "output": "invoke", "decision": "decide"}
_STATUS_STAGE = {Status.REJECTED: "gate", Status.PREPARE_FAILED: "prepare", Status.INVOKE_FAILED: "invoke"}


def run_failed(first: str, again: str) -> bool:
    """Whether the model's run returned an error in one of two runs, by what their field `status` says."""
    return Status.INVOKE_FAILED.name in (first, again)


def stage_of(field: str, first: str, again: str) -> str:
    """Where two runs part. A status says it itself: of the two, the one that went less far. "" for time."""
    if field != "status":
        return _STAGE_OF.get(field, "")
    stages = (stage for status, stage in _STATUS_STAGE.items() if status.name in (first, again))
    return next(stages, "")
