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
            (int(rows.winner[vector]), int(rows.score[vector]), int(rows.answer[vector]), int(rows.reason[vector])),
            (decision.winner, decision.score, decision.answer, int(decision.reason)),
        ),
    }
    if record.status == Status.DONE == rows.status[vector]:
        if ticks:
            pairs["ticks"] = (rows.ticks[vector].tolist(), list(record.ticks))
        pairs["digest"] = (f"{int(rows.digest[vector]):#010x}", f"{record.digest:#010x}")
        pairs["output"] = (rows.output[vector].tobytes().hex(" "), record.output.hex(" "))
    for name in FIELDS:
        if name in pairs and pairs[name][0] != pairs[name][1]:
            first, again = (str(value) for value in pairs[name])
            return Difference(name, first, again)
    return None
