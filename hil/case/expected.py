"""`expected.npz`: the accepted answers of the references to each vector, and how they are stored."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Expected
from hil.errors import CaseError
from hil.records import DecisionReason, GateReason
from hil.tensor import OUTPUT_TYPES, Elements

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
_FURTHER = ("digest.", "output.")  # and the name of a further tensor
_TYPES = {"window_sha256": np.uint8, "gate": np.uint8, "digest": np.uint32, "reason": np.uint8}


class _Input(Protocol):
    @property
    def digest(self) -> NDArray[np.uint32]: ...


class _Output(Protocol):
    @property
    def output(self) -> Elements: ...


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
    @property
    def inputs(self) -> Sequence[_Input]: ...
    @property
    def outputs(self) -> Sequence[_Output]: ...


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
        digests={tensor.name: each.digest for tensor, each in zip(case.model.inputs[1:], answers.inputs, strict=True)},
        outputs={
            tensor.name: each.output.reshape(n, -1)
            for tensor, each in zip(case.model.further_outputs, answers.outputs, strict=True)
        },
    )


def to_bytes(expected: Expected) -> bytes:
    """As an .npz; equal expectations give equal bytes."""
    columns: dict[str, Any] = {
        item.name: np.asarray(getattr(expected, item.name)) for item in fields(expected) if item.name in _ROWS
    }
    columns |= expected.further
    stream = io.BytesIO()
    np.savez_compressed(stream, **columns, labels=np.array(expected.labels, np.str_))
    return stream.getvalue()


def from_bytes(data: bytes, file: Path) -> Expected:
    """The expectations that `file` holds. Raises CaseError when they are none; no pickled object is loaded."""
    # What a damaged archive makes of zipfile, zlib and numpy is nearly any exception.
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            columns: dict[str, NDArray[Any]] = {name: stored[name] for name in (*_ROWS, "labels")}
            further = {name: stored[name] for name in stored.files if name.startswith(_FURTHER)}
        names, labels = columns["name"].tolist(), tuple(map(str, columns.pop("labels").tolist()))
    except Exception as error:
        raise _broken(file, f"it cannot be read ({type(error).__name__}: {error})") from error
    for name, column in (*columns.items(), *further.items()):
        kind, dimensions = _ROWS[name if name in columns else name.split(".", 1)[0]]
        if column.dtype.kind not in kind or column.ndim != dimensions or len(column) != len(names):
            raise _broken(file, f"array {name!r} is {column.dtype} {list(column.shape)}")
    if columns["window_sha256"].shape[1] != 32 or len(set(names)) != len(names):
        raise _broken(file, "hashes are not of 32 bytes, or two vectors have one name")
    for name, known in (("gate", GateReason), ("reason", DecisionReason)):
        if not np.isin(columns[name], [int(value) for value in known]).all():
            raise _broken(file, f"array {name!r} holds a number that is no {name}")
    digests = {name.removeprefix("digest."): further[name] for name in further if name.startswith("digest.")}
    outputs = {name.removeprefix("output."): further[name] for name in further if name.startswith("output.")}
    for name, column in {"output": columns["output"], **{f"output.{name}": outputs[name] for name in outputs}}.items():
        if column.dtype not in [element.dtype for element in OUTPUT_TYPES]:
            raise _broken(file, f"array {name!r} is {column.dtype}, which no output is")
    kept = ("name", "output")
    typed = {name: column.astype(_TYPES.get(name, np.int32)) for name, column in columns.items() if name not in kept}
    return Expected(
        name=columns["name"],
        output=columns["output"],
        labels=labels,
        digests={name: column.astype(np.uint32) for name, column in digests.items()},
        outputs=outputs,
        **typed,
    )


def _broken(file: Path, problem: str) -> CaseError:
    fix = f"restore it, or remove it and run: hil case regen {file.parent}"
    return CaseError(file, "", f"it is not what `hil case regen` writes: {problem}", fix)
