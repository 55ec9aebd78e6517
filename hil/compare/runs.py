"""Holds two runs against each other, vector by vector: the same case on two boards, or before and after a change.

What a board computes must be equal everywhere; what it spends (ticks, memory) is a board's own and is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from hil.compare.steps import EXACT, Steps
from hil.errors import UsageError
from hil.runfile import ENUMS, FIX, Columns, Part, read_document, read_records
from hil.validation import explain

# Stage of the pipeline that fills a column, in the order of the pipeline: the first that differs is the one to look at.
COLUMNS = {
    "status": "fault",
    "gate": "gate",
    "digest": "prepare",
    "minimum": "prepare",
    "maximum": "prepare",
    "saturated": "prepare",
    "output": "invoke",
    "winner": "decide",
    "score": "decide",
    "answer": "decide",
    "reason": "decide",
    "label": "decide",
}


class _Board(Part):
    """Of a run.json only what is compared is looked at."""

    name: str
    target: str


class _Manifest(Part):
    files: dict[str, str]


class _Image(Part):
    sha256: str = ""


class _Tensor(Part):
    """name: "" of the only one."""

    name: str = ""


class _Device(Part):
    output: _Tensor
    outputs: list[_Tensor] = Field(default_factory=list)


class _Case(Part):
    """records: "" when the case left none; `error` says why. image: of a case that came to its end; device: of one
    whose firmware said hello.
    """

    name: str
    title: str = ""
    records: str
    error: str = ""
    manifest: _Manifest
    image: _Image = _Image()
    device: _Device | None = None

    @property
    def outputs(self) -> dict[str, str]:
        """The column of each output to its name, "" of the only one."""
        tensors = (self.device.output, *self.device.outputs) if self.device else (_Tensor(),)
        return {f"output.{place}" if place else "output": tensor.name for place, tensor in enumerate(tensors)}


class _Document(Part):
    board: _Board
    listed: list[_Case] = Field(alias="cases")


@dataclass(frozen=True)
class Difference:
    """The first difference of one case: where, in which stage, and how many vectors differ in all."""

    case: str
    vector: str
    stage: str
    column: str
    first: str
    second: str
    vectors: int
    total: int

    def __str__(self) -> str:
        return (
            f"{self.case}: vector {self.vector}: first difference in stage {self.stage}, {self.column}\n"
            f"  {self.first}\n  {self.second}\n  {self.vectors:,} of {self.total:,} vectors differ"
        )


@dataclass(frozen=True)
class Comparison:
    """equal: cases whose records agree, with their number of vectors; notes: what a reader should know of the two."""

    equal: Mapping[str, int]
    differences: Sequence[Difference]
    notes: Sequence[str]


@dataclass(frozen=True)
class _Run:
    """One run.json, read and checked. `side`: how messages name it."""

    file: Path
    side: str
    document: _Document

    @property
    def board(self) -> _Board:
        return self.document.board

    @property
    def cases(self) -> dict[str, _Case]:
        return {case.title or case.name: case for case in self.document.listed}

    def records(self, name: str) -> Columns:
        """The columns of one case's records. Raises UsageError when they are not there or damaged."""
        case = self.cases[name]
        if not case.records:
            raise UsageError(f"{self.file}: case {name} left no records: {case.error}\n  fix: run it again")
        return read_records(self.file.parent / case.records)


def compare(first: Path, second: Path, steps: Steps = EXACT) -> Comparison:
    """Hold two run.json files, or the folders that they lie in, against each other.

    steps: those of its type by which an integer output may differ and is equal still; kernels of two libraries may
    round otherwise. What the decide stage makes of such an output is not compared.
    Raises UsageError when one is no run, when they have no case in common, or when steps are given to an output that
    none of these has, or that has no steps.
    """
    one, two = _read(first, "first"), _read(second, "second")
    common = [name for name in one.cases if name in two.cases]
    if not common:
        raise UsageError(
            f"{one.file} has {_listed(one.cases)}, {two.file} has {_listed(two.cases)}: no case in common\n"
            f"  fix: run the same case in both"
        )
    steps.check_names([name for case in common for name in one.cases[case].outputs.values() if name])
    equal: dict[str, int] = {}
    differences, notes = [], list[str]()
    for name in common:
        columns = one.records(name), two.records(name)
        names = one.cases[name].outputs
        _check_steps(name, columns[0], names, steps)
        allowed = {column: steps.of(output) for column, output in names.items()}
        found = _first_difference(name, *columns, (_board(one), _board(two)), allowed)
        if found is None:
            equal[name] = len(columns[0]["name"])
        else:
            differences.append(found)
        notes += _rounded(name, *columns, names, allowed)
    notes += [*_left_out(one, two), *_left_out(two, one), *_other_inputs(one, two, common)]
    return Comparison(equal, differences, notes)


def _read(path: Path, side: str) -> _Run:
    file, document = read_document(path)
    try:
        return _Run(file, side, _Document.model_validate(document))
    except ValidationError as error:
        raise UsageError(f"{file}: {explain(error, _Document)}\n{FIX}") from error


def _board(run: _Run) -> str:
    return f"{run.board.name} ({run.side})"


def _listed(cases: Mapping[str, object]) -> str:
    return ", ".join(cases) or "none"


def _check_steps(case: str, columns: Columns, names: Mapping[str, str], steps: Steps) -> None:
    """Raises UsageError when steps are given by name to an output that is not of integers."""
    for column, name in names.items():
        if name in steps.own and column in columns and columns[column].dtype.kind not in "iu":
            problem = f"output {name!r} of case {case} is {columns[column].dtype}, which has no steps"
            raise UsageError(f"--lsb {name}={steps.own[name]}: {problem}\n  fix: leave it out")


def _first_difference(
    case: str, one: Columns, two: Columns, sides: tuple[str, str], allowed: Mapping[str, int]
) -> Difference | None:
    """allowed: steps of each column of an output."""
    names = one["name"].tolist(), two["name"].tolist()
    if names[0] != names[1]:
        pairs = zip_longest(*names)
        other = [at for at, (left, right) in enumerate(pairs) if left != right]
        first, second = (f"{side}: {_name(own, other[0])}" for side, own in zip(sides, names, strict=True))
        return Difference(case, str(other[0]), "case", "name", first, second, len(other), max(map(len, names)))
    stages = _stages(one, two)
    differs = {column: _differs(one[column], two[column]) for column in stages}
    rounded = differs["output"] & (_distance(one["output"], two["output"]) <= allowed["output"])
    for column, stage in stages.items():
        if column == "output" or stage == "decide":
            differs[column] &= ~rounded
        elif _of(column) == "output":
            differs[column] &= ~(_distance(one[column], two[column]) <= allowed.get(column, 0))
    anywhere = np.logical_or.reduce(list(differs.values()))
    if not anywhere.any():
        return None
    at = int(np.flatnonzero(anywhere)[0])
    column = next(column for column in stages if differs[column][at])
    where = _where(one[column][at], two[column][at], column)
    first, second = (f"{side}: {_shown(column, own[column][at])}" for side, own in zip(sides, (one, two), strict=True))
    return Difference(case, names[0][at], stages[column], where, first, second, int(anywhere.sum()), len(anywhere))


def _stages(one: Columns, two: Columns) -> dict[str, str]:
    """COLUMNS, and those of further tensors that both runs have, each behind the one that it is like."""
    both = sorted(one.keys() & two.keys())
    return {
        name: stage
        for column, stage in COLUMNS.items()
        for name in (column, *(each for each in both if _of(each) == column != each))
    }


def _of(column: str) -> str:
    """The column that one of a further tensor is like: `output` of `output.1`."""
    return column.partition(".")[0]


def _name(names: Sequence[str], at: int) -> str:
    return f"vector {at} is {names[at]!r}" if at < len(names) else f"has only {len(names):,} vectors"


def _differs(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.bool_]:
    """Per vector [n]: whether anything differs."""
    if one.shape != two.shape:
        return np.ones(len(one), np.bool_)
    unequal: NDArray[np.bool_] = np.not_equal(one, two).reshape(len(one), -1).any(axis=1)
    return unequal


def _distance(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.int64]:
    """Per vector [n]: steps between the outputs; more than any budget where they are no integers of one shape."""
    if one.shape != two.shape or one.dtype.kind not in "iu" or two.dtype.kind not in "iu":
        return np.full(len(one), np.iinfo(np.int64).max)
    steps: NDArray[np.int64] = np.abs(one.astype(np.int64) - two.astype(np.int64)).reshape(len(one), -1).max(axis=1)
    return steps


def _rounded(
    case: str, one: Columns, two: Columns, names: Mapping[str, str], allowed: Mapping[str, int]
) -> Iterator[str]:
    """What was taken as equal though it is not. names, allowed: name and steps of each column of an output."""
    for column in sorted(allowed.keys() & one.keys() & two.keys()):
        if one[column].shape != two[column].shape:
            continue
        distance = _distance(one[column], two[column])
        inside = distance[(distance > 0) & (distance <= allowed[column])]
        if len(inside):
            output = f"output {names[column]!r}" if names[column] else "the output"
            vectors = f"{len(inside):,} of {len(distance):,} vectors"
            yield f"{case}: {output} differs in {vectors}, by {inside.max()} LSB at most"


def _where(one: NDArray[Any], two: NDArray[Any], column: str) -> str:
    """The column, with the first differing element of one that has several."""
    if _of(column) != "output" or one.shape != two.shape:
        return column
    return f"{column}, element {int(np.flatnonzero(one != two)[0])}"


def _shown(column: str, value: Any) -> str:
    if column in ENUMS:
        return f"{column} {ENUMS[column](int(value)).name.lower()}"
    if _of(column) == "output":
        return f"{column} {' '.join(str(item) for item in value.tolist())}"
    return f"{column} {int(value):#010x}" if _of(column) == "digest" else f"{column} {value}"


def _left_out(run: _Run, other: _Run) -> list[str]:
    return [f"case {name} is only in {run.file}" for name in run.cases if name not in other.cases]


def _other_inputs(one: _Run, two: _Run, common: Sequence[str]) -> list[str]:
    """What was put in and is not the same: a difference that it explains is no defect of a board."""
    notes = []
    for name in common:
        first, second = one.cases[name], two.cases[name]
        files = first.manifest.files, second.manifest.files
        other = sorted(file for file in {*files[0], *files[1]} if files[0].get(file) != files[1].get(file))
        if other:
            notes.append(f"{name}: these files of the case are not the same: {', '.join(other)}")
        images = [case.image.sha256 for case in (first, second)]
        if images[0] != images[1]:
            targets = (run.board.target for run in (one, two))
            told = (f"{target} {image[:12] or 'unknown'}" for target, image in zip(targets, images, strict=True))
            notes.append(f"{name}: not the same image: {', '.join(told)}")
    return notes
