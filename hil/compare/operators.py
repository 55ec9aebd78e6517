"""What each operator of a model takes in two runs, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hil.runfile import Case, Run, read_run


def ticks_side_by_side(first: Path, second: Path) -> list[str]:
    """A table for each case that both runs profiled on the same vector with a clock of the same unit, line by line.

    first, second: a run.json, or its folder. Raises UsageError when one is no run.
    """
    one, two = read_run(first), read_run(second)
    others = {case.called: case for case in two.document.cases}
    lines: list[str] = []
    for case in one.document.cases:
        if (other := others.get(case.called)) is not None:
            lines += _table(one, case, two, other)
    return lines


def _table(one: Run, case: Case, two: Run, other: Case) -> Iterator[str]:
    if not case.operators or not other.operators or case.latency is None or other.latency is None:
        return
    unit = case.latency.unit
    same_model = [each.operator for each in case.operators] == [each.operator for each in other.operators]
    if unit != other.latency.unit or case.operators_vector != other.operators_vector or not same_model:
        return
    names = (f"{one.document.board.name} (first)", f"{two.document.board.name} (second)")
    width = max(18, *map(len, names))
    yield f"{case.called}: {unit} of each operator, vector {case.operators_vector}"
    yield f"  {'operator':<32}" + "".join(f"{name:>{width + 2}}" for name in (*names, "first / second"))
    rows = [(f"{a.index} {a.operator}", a.units, b.units) for a, b in zip(case.operators, other.operators, strict=True)]
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    for name, units, other_units in (*rows, total):
        ratio = f"{units / other_units:.2f}" if other_units else "-"
        yield f"  {name:<32}{units:>{width + 2},}{other_units:>{width + 2},}{ratio:>{width + 2}}"
    for run, own in ((one, case), (two, other)):
        if own.device is not None:
            yield f"  {run.document.board.name}: {own.device.kernels}"
