"""`expected.npz`: the accepted answers of the references to each vector, how they are stored, and what differs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Expected
from hil.errors import CaseError
from hil.records import DecisionReason, GateReason
from hil.tensor import OUTPUT_TYPES, Elements, of_dtype, steps_between

EXPECTED = "expected.npz"
_ROWS: dict[str, tuple[str, int]] = {
    # column: kinds of dtype, dimensions
    "name": ("U", 1),
    "window_sha256": ("u", 2),
    "label": ("i", 1),
    "gate": ("u", 1),
    "digest": ("u", 1),
    "output": ("iuf", 2),
    "winner": ("i", 1),
    "score": ("i", 1),
    "answer": ("i", 1),
    "reason": ("u", 1),
}
_TYPES = {"window_sha256": np.uint8, "gate": np.uint8, "digest": np.uint32, "reason": np.uint8}


class Answers(Protocol):
    """What the references found, one row a vector (hil.contract.types.References)."""

    @property
    def gate(self) -> NDArray[np.uint8]: ...
    @property
    def digest(self) -> NDArray[np.uint32]: ...
    @property
    def output(self) -> Elements: ...
    @property
    def winner(self) -> NDArray[np.int32]: ...
    @property
    def score(self) -> NDArray[np.int32]: ...
    @property
    def answer(self) -> NDArray[np.int32]: ...
    @property
    def reason(self) -> NDArray[np.uint8]: ...


def expected_of(case: Case, answers: Answers) -> Expected:
    """What would be accepted now: `answers` to the case's vectors."""
    vectors = case.vectors
    n = len(vectors)
    hashes = b"".join(hashlib.sha256(vectors.payload(row)).digest() for row in range(n))
    label = np.full(n, -1, np.int32) if vectors.label is None else vectors.label.astype(np.int32)
    return Expected(
        name=np.array([vectors.name(row) for row in range(n)], np.str_),
        window_sha256=np.frombuffer(hashes, np.uint8).reshape(n, 32),
        label=label,
        gate=answers.gate,
        digest=answers.digest,
        output=answers.output.reshape(n, -1),
        winner=answers.winner,
        score=answers.score,
        answer=answers.answer,
        reason=answers.reason,
        labels=case.decide.labels,
    )


def to_bytes(expected: Expected) -> bytes:
    """As an .npz; equal expectations give equal bytes."""
    columns: dict[str, Any] = {
        item.name: np.asarray(getattr(expected, item.name)) for item in fields(expected) if item.name in _ROWS
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **columns, labels=np.array(expected.labels, np.str_))
    return stream.getvalue()


def from_bytes(data: bytes, file: Path) -> Expected:
    """The expectations that `file` holds. Raises CaseError when they are none; no pickled object is loaded."""
    # What a damaged archive makes of zipfile, zlib and numpy is nearly any exception.
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            columns: dict[str, NDArray[Any]] = {name: stored[name] for name in (*_ROWS, "labels")}
        names, labels = columns["name"].tolist(), tuple(map(str, columns.pop("labels").tolist()))
    except Exception as error:
        raise _broken(file, f"it cannot be read ({type(error).__name__}: {error})") from error
    for name, (kind, dimensions) in _ROWS.items():
        column = columns[name]
        if column.dtype.kind not in kind or column.ndim != dimensions or len(column) != len(names):
            raise _broken(file, f"array {name!r} is {column.dtype} {list(column.shape)}")
    if columns["window_sha256"].shape[1] != 32 or len(set(names)) != len(names):
        raise _broken(file, "hashes are not of 32 bytes, or two vectors have one name")
    for name, known in (("gate", GateReason), ("reason", DecisionReason)):
        if not np.isin(columns[name], [int(value) for value in known]).all():
            raise _broken(file, f"array {name!r} holds a number that is no {name}")
    if columns["output"].dtype not in [element.dtype for element in OUTPUT_TYPES]:
        raise _broken(file, f"array 'output' is {columns['output'].dtype}, which no output is")
    kept = ("name", "output")
    typed = {name: column.astype(_TYPES.get(name, np.int32)) for name, column in columns.items() if name not in kept}
    return Expected(name=columns["name"], output=columns["output"], labels=labels, **typed)


def _broken(file: Path, problem: str) -> CaseError:
    fix = f"restore it, or remove it and run: hil case regen {file.parent}"
    return CaseError(file, "", f"it is not what `hil case regen` writes: {problem}", fix)


@dataclass(frozen=True)
class Change:
    """What was accepted of one vector and what is computed now, in words. vector: "" for the whole case."""

    vector: str
    before: str
    after: str


@dataclass(frozen=True)
class Differences:
    """What is not as accepted, by stage in the order of the pipeline. added, removed: names of vectors. windows: of
    those whose bytes changed. steps: the farthest that an output moved, in `unit`s of its type.
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
        return ", ".join(words) or "nothing changed"


def differences(accepted: Expected, now: Expected) -> Differences:
    """Vectors are held against each other by their names; their order is no difference of its own."""
    old, new = ({name: row for row, name in enumerate(expected.name.tolist())} for expected in (accepted, now))
    common = [name for name in new if name in old]
    pair = _Pair(
        accepted, now, common, np.array([old[n] for n in common], int), np.array([new[n] for n in common], int)
    )
    steps, outputs = pair.outputs()
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
