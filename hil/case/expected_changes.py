"""What of a case's expectations is not as accepted, by stage, in words that a person reviews."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Expected
from hil.records import DecisionReason, GateReason
from hil.tensor import of_dtype, steps_between


@dataclass(frozen=True)
class Change:
    """What was accepted of one vector and what is computed now, in words. vector: "" for the whole case."""

    vector: str
    before: str
    after: str


@dataclass(frozen=True)
class OutputChanges:
    """Of one further output: what changed, and the farthest that it moved, in `unit`s of its type."""

    name: str
    outputs: tuple[Change, ...]
    steps: int
    unit: str

    def summary(self) -> str:
        """`12 outputs 'level' changed by up to 3 LSB`."""
        count = len(self.outputs)
        by = f" by up to {self.steps:,} {self.unit}" if self.steps else ""
        return f"{count:,} output{'s' * (count != 1)} {self.name!r} changed{by}"


@dataclass(frozen=True)
class Differences:
    """What is not as accepted, by stage in the order of the pipeline. added, removed: names of vectors. windows: of
    those whose bytes changed. steps: the farthest that an output moved, in `unit`s of its type. prepared_further: an
    input from the second on, and the vectors whose tensor changed; further: of other outputs than the one decided on.
    unkept, gone: tensors that the accepted expectations do not have, and that the model has no more.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    gate: tuple[Change, ...] = ()
    prepared: tuple[str, ...] = ()
    outputs: tuple[Change, ...] = ()
    steps: int = 0
    unit: str = "LSB"
    decisions: tuple[Change, ...] = ()
    labels: tuple[Change, ...] = ()
    prepared_further: tuple[tuple[str, tuple[str, ...]], ...] = ()
    further: tuple[OutputChanges, ...] = ()
    unkept: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, item.name) for item in fields(self) if item.name != "unit")

    def summary(self) -> str:
        """`2 vectors added, 12 outputs changed by up to 3 LSB`, or `nothing changed`."""
        counted = {
            "vector{s} added": self.added,
            "vector{s} removed": self.removed,
            "window{s} changed": self.windows,
            "gate verdict{s} changed": self.gate,
            "prepared tensor{s} changed": self.prepared,
            "output{s} changed" + (f" by up to {self.steps:,} {self.unit}" if self.steps else ""): self.outputs,
            "decision{s} changed": self.decisions,
            "label{s} changed": self.labels,
        }
        words = [f"{len(what):,} {text.format(s='s' * (len(what) != 1))}" for text, what in counted.items() if what]
        for name, vectors in self.prepared_further:
            words.append(f"{len(vectors):,} prepared tensor{'s' * (len(vectors) != 1)} of input {name!r} changed")
        words += [each.summary() for each in self.further]
        words += [f"{name} not kept before" for name in self.unkept] + [f"{name} gone" for name in self.gone]
        return ", ".join(words) or "nothing changed"


def differences(accepted: Expected, now: Expected) -> Differences:
    """Vectors are held against each other by their names; their order is no difference of its own."""
    old, new = ({name: row for row, name in enumerate(expected.name.tolist())} for expected in (accepted, now))
    common = [name for name in new if name in old]
    pair = _Pair(
        accepted, now, common, np.array([old[n] for n in common], int), np.array([new[n] for n in common], int)
    )
    steps, outputs = pair.outputs()
    before, after = accepted.tensors, now.tensors
    return Differences(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        windows=tuple(pair.changed("window_sha256")),
        gate=tuple(pair.gate()),
        prepared=tuple(pair.changed("digest")),
        outputs=outputs,
        steps=steps,
        unit=of_dtype(now.output.dtype).step,
        decisions=tuple(pair.decisions()),
        labels=tuple(pair.labels()),
        prepared_further=tuple(pair.prepared_further()),
        further=tuple(pair.further()),
        unkept=tuple(name for name in after if name not in before),
        gone=tuple(name for name in before if name not in after),
    )


@dataclass(frozen=True)
class _Pair:
    """Accepted and present expectations, with the rows of the vectors that both have."""

    accepted: Expected
    now: Expected
    names: Sequence[str]
    old_rows: NDArray[np.int_]
    new_rows: NDArray[np.int_]

    def columns(self, column: str) -> tuple[NDArray[Any], NDArray[Any]]:
        return getattr(self.accepted, column)[self.old_rows], getattr(self.now, column)[self.new_rows]

    def differ(self, column: str) -> NDArray[np.bool_]:
        """Per common vector: whether anything in the column differs."""
        one, two = self.columns(column)
        if one.shape != two.shape or (column == "output" and one.dtype != two.dtype):
            return np.ones(len(self.names), np.bool_)
        different: Any = steps_between(one, two) if column == "output" else np.not_equal(one, two)
        unequal: NDArray[np.bool_] = different.any(axis=tuple(range(1, one.ndim)))
        return unequal

    def changed(self, column: str) -> Iterator[str]:
        return (self.names[row] for row in np.flatnonzero(self.differ(column)).tolist())

    def gate(self) -> Iterator[Change]:
        one, two = self.columns("gate")
        for row in np.flatnonzero(self.differ("gate")).tolist():
            before, after = (GateReason(int(column[row])).name.lower() for column in (one, two))
            yield Change(self.names[row], before, after)

    def outputs(self) -> tuple[int, tuple[Change, ...]]:
        """The farthest that one moved, and the outputs that changed; 0 when their number or type did."""
        one, two = self.columns("output")
        rows = np.flatnonzero(self.differ("output"))
        changes = tuple(Change(self.names[row], _numbers(one[row]), _numbers(two[row])) for row in rows.tolist())
        if one.shape != two.shape or one.dtype != two.dtype or not len(rows):
            return 0, changes
        return int(steps_between(one[rows], two[rows]).max()), changes

    def prepared_further(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Of each further input that changed: its name, and the vectors."""
        for name in self.now.digests:
            if name in self.accepted.digests:
                accepted = replace(self.accepted, digest=self.accepted.digests[name])
                pair = replace(self, accepted=accepted, now=replace(self.now, digest=self.now.digests[name]))
                if vectors := tuple(pair.changed("digest")):
                    yield name, vectors

    def further(self) -> Iterator[OutputChanges]:
        """Further outputs that changed."""
        for name in self.now.outputs:
            if name in self.accepted.outputs:
                accepted = replace(self.accepted, output=self.accepted.outputs[name])
                now = replace(self.now, output=self.now.outputs[name])
                steps, changes = replace(self, accepted=accepted, now=now).outputs()
                if changes:
                    yield OutputChanges(name, changes, steps, of_dtype(now.output.dtype).step)

    def decisions(self) -> Iterator[Change]:
        """A score that moved with its output is no decision that changed."""
        decided = self.differ("winner") | self.differ("answer") | self.differ("reason")
        for row in np.flatnonzero(decided | (self.differ("score") & ~self.differ("output"))).tolist():
            before = _decision(self.accepted, int(self.old_rows[row]))
            yield Change(self.names[row], before, _decision(self.now, int(self.new_rows[row])))

    def labels(self) -> Iterator[Change]:
        if self.accepted.labels != self.now.labels:
            yield Change("", _listed(self.accepted.labels), _listed(self.now.labels))
        one, two = self.columns("label")
        for row in np.flatnonzero(self.differ("label")).tolist():
            texts = _label(self.accepted.labels, int(one[row])), _label(self.now.labels, int(two[row]))
            yield Change(self.names[row], *texts)


def _numbers(row: NDArray[Any]) -> str:
    """The first numbers of an output."""
    shown = " ".join(str(value) for value in row[:_SHOWN].tolist())
    return f"{shown} ..." if len(row) > _SHOWN else shown


_SHOWN = 16


def _decision(expected: Expected, row: int) -> str:
    """`walking, score 90`, or `unknown (below threshold), walking at 25`."""
    if expected.gate[row] != GateReason.VALID:
        return f"rejected ({GateReason(int(expected.gate[row])).name.lower()})"
    reason = DecisionReason(int(expected.reason[row]))
    if reason is DecisionReason.NO_STAGE:
        return "no decide stage"
    winner, score = _label(expected.labels, int(expected.winner[row])), int(expected.score[row])
    if reason is DecisionReason.ACCEPTED:
        return f"{_label(expected.labels, int(expected.answer[row]))}, score {score}"
    answer = _label(expected.labels, int(expected.answer[row]))
    return f"{answer} ({reason.name.lower().replace('_', ' ')}), {winner} at {score}"


def _label(labels: Sequence[str], index: int) -> str:
    if index < 0:
        return "unknown"
    return labels[index] if index < len(labels) else f"label {index}"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "none"
