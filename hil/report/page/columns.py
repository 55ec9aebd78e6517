"""Knows which columns of a run's records the page draws, and that they fit each other before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.records import GateReason, Status
from hil.runfile import Case, Columns, Run
from hil.tensor import Elements, Quantisation

_BLOCK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Table:
    """The records of one case, n vectors with e output elements.

    units int64 [n, 4] and distinct [m]: rows that count as samples. expected, answer: label indices, -1 for unknown.
    reference_answer and reference_gate: None for a run that was cut short. floats [n, e]: of the float model on the raw
    windows, on the prepared tensors in a run that kept no others; None without one. device outputs are `(output -
    zero_point) * scale`, and themselves where the scale is 0. further: the same of each further output, by its name.
    """

    names: NDArray[np.str_]
    status: NDArray[Any]
    output: Elements
    answer: NDArray[Any]
    expected: NDArray[Any]
    units: NDArray[np.int64] | None = None
    distinct: NDArray[np.intp] | None = None
    reference_answer: NDArray[Any] | None = None
    reference_gate: NDArray[Any] | None = None
    floats: NDArray[Any] | None = None
    scale: float = 1.0
    zero_point: int = 0
    further: Mapping[str, Table] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.status)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Vectors that went through the whole pipeline."""
        mask: NDArray[np.bool_] = self.status == Status.DONE
        return mask

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Vectors with an output on both sides."""
        if self.reference_gate is None:
            return self.done
        mask: NDArray[np.bool_] = self.done & (self.reference_gate == GateReason.VALID)
        return mask

    def device(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Real outputs of the device, [rows, e]."""
        return Quantisation(self.scale, self.zero_point).real(self.output[rows])

    def distance(self) -> NDArray[np.float64]:
        """Largest |device - float| of each vector, [n]; -1 where there is none."""
        found = np.full(len(self), -1.0)
        if self.floats is not None:
            for rows in self.blocks():
                found[rows] = np.abs(self.device(rows) - self.floats[rows]).max(axis=1, initial=0)
        found[np.isnan(found)] = np.inf
        return found

    def blocks(self) -> list[NDArray[np.intp]]:
        """Comparable rows in pieces, so that a large run needs little memory."""
        rows = np.flatnonzero(self.comparable)
        step = max(1, _BLOCK_ELEMENTS // max(1, self.output.shape[1]))
        return [rows[start : start + step] for start in range(0, len(rows), step)]


def read_table(run: Run, case: Case) -> Table:
    """The records of a case. Raises UsageError when they are missing, changed, or do not fit each other."""
    columns = run.records(case)
    n, e = columns["output"].shape
    optional = {
        "units": ("iu", (n, 4)),
        "distinct": ("iu", None),
        "reference_answer": ("iu", (n,)),
        "reference_gate": ("iu", (n,)),
        "float_output": ("f", (n, e)),
        "float_chain": ("f", (n, e)),
        "output_scale": ("f", ()),
        "output_zero_point": ("iu", ()),
        "expected_label": ("iu", (n,)),
    }
    for name, (kinds, shape) in optional.items():
        if name in columns and (problem := _problem(columns[name], kinds, shape, n)):
            raise UsageError(
                f"{run.folder / case.records}: {name}: {problem}\n  fix: take the file as the run wrote it"
            )
    table = Table(
        names=columns["name"],
        status=columns["status"],
        output=columns["output"],
        answer=columns["answer"],
        expected=columns.get("expected_label", np.full(n, -1)),
        units=columns.get("units") if "distinct" in columns else None,
        distinct=_indices(columns, "distinct"),
        reference_answer=columns.get("reference_answer"),
        reference_gate=columns.get("reference_gate"),
        floats=columns.get("float_chain", columns.get("float_output")) if "output_scale" in columns else None,
        scale=float(columns.get("output_scale", 1.0)),
        zero_point=int(columns.get("output_zero_point", 0)),
    )
    return replace(table, further=dict(_further(run, case, columns, table)))


def _further(run: Run, case: Case, columns: Columns, table: Table) -> Iterator[tuple[str, Table]]:
    """The table as each further output has it. Raises UsageError for a column that does not fit."""
    fix = "\n  fix: take the file as the run wrote it"
    for number, tensor in enumerate(case.device.outputs if case.device else (), 1):
        name = f"output.{number}"
        output = columns.get(name)
        if output is None or output.ndim != 2 or len(output) != len(table):
            problem = "it is not there, or has not one row a vector"
            raise UsageError(f"{run.folder / case.records}: {name}: {problem}{fix}")
        floats = columns.get(f"float_chain.{number}", columns.get(f"float_output.{number}"))
        if floats is not None and (problem := _problem(floats, "f", output.shape, len(table))):
            raise UsageError(f"{run.folder / case.records}: float_chain.{number}: {problem}{fix}")
        yield (
            tensor.name,
            replace(table, output=output, floats=floats, scale=tensor.scale, zero_point=tensor.zero_point),
        )


def _problem(column: NDArray[Any], kinds: str, shape: tuple[int, ...] | None, vectors: int) -> str:
    if column.dtype.kind not in kinds:
        return f"{column.dtype} is not the type of this column"
    if shape is not None and column.shape != shape:
        return f"has shape {column.shape} instead of {shape}"
    if shape is None and (column.ndim != 1 or (column.size and (column.min() < 0 or column.max() >= vectors))):
        return "names rows that are not there"
    return ""


def _indices(columns: Columns, name: str) -> NDArray[np.intp] | None:
    return columns[name].astype(np.intp, copy=False) if name in columns else None
