"""Whether a case stays inside its budget sheet: what only the sheet knows, and a check that failed does not tell."""

from __future__ import annotations

from collections.abc import Iterator

from hil.budget.sheet import sheet
from hil.budget.text import number
from hil.budget.types import PowerSource, Row, RunCase, Sources
from hil.gate.demands import Demand
from hil.gate.question import Question
from hil.gate.reasons import Kind, Reason
from hil.gate.results import Result


def budget_reasons(result: Result, demand: Demand, question: Question) -> Iterator[Reason]:
    """Rows of the sheet that are over. A row that a failed check is about is left to that check."""
    if demand.budget is None or result.case.error:
        return
    run = RunCase(result.case, result.run.document.board.clock, result.board, str(result.run.file))
    board = PowerSource(result.board, f"{result.board}.toml", question.tree.power.get(result.board))
    for row in sheet(Sources(demand.budget, demand.plan, run, board)).over:
        check = result.case.check(row.check) if row.check else None
        if check is None or check.outcome != "failed":
            what = f"{result}: {row.what}: {_held(row)}"
            yield Reason(Kind.BUDGET, what, _fix(row), result.name, result.board)


def _held(row: Row) -> str:
    """`282,112 of 280,000 bytes`, and whether that was found or planned."""
    budget, figure = number(row.budget), number(row.figure)
    held = f"{figure} {row.unit}, at least {budget} wanted" if row.least else f"{figure} of {budget} {row.unit}"
    return held if row.actual is not None else f"{held}, as planned"


def _fix(row: Row) -> str:
    where = "case.toml" if row.check else "budget.toml"
    plan = "" if row.actual is not None else ", or mend the plan"
    return f"spend less, or change the budget in {where}{plan}; hil budget has the whole sheet"
