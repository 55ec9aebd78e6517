"""What a budget sheet is made from (`Sources`) and what it says (`Row`, `Sheet`). No figure is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hil import runfile
from hil.board.config import Power
from hil.budget.cut import CutImage
from hil.budget.file import BudgetFile, Flash, Memory
from hil.budget.limits import CaseLimits


class State(StrEnum):
    """`marginal`: inside the budget, with less than the wanted margin free. `unknown`: a budget without a figure."""

    OK = "ok"
    MARGINAL = "marginal"
    OVER = "over"
    NO_BUDGET = "no budget"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """One budget. `actual`, else `planned`, is held against `budget`; `least`: the budget is a minimum. margin: share
    of the budget that should stay free. check: the check of a run that holds the device to the same budget, "" when
    only the sheet knows it.
    """

    what: str
    unit: str
    budget: float | None = None
    planned: float | None = None
    actual: float | None = None
    least: bool = False
    margin: float = 0.0
    note: str = ""
    check: str = ""

    @property
    def figure(self) -> float | None:
        return self.planned if self.actual is None else self.actual

    @property
    def slack(self) -> float | None:
        """What is left, in the unit of the row; negative when it is over."""
        if self.budget is None or self.figure is None:
            return None
        return self.figure - self.budget if self.least else self.budget - self.figure

    @property
    def margin_percent(self) -> float | None:
        """The slack in percent of the budget."""
        return None if self.slack is None or not self.budget else 100 * self.slack / self.budget

    @property
    def state(self) -> State:
        if self.budget is None:
            return State.NO_BUDGET
        if self.slack is None:
            return State.UNKNOWN
        if self.slack < 0:
            return State.OVER
        return State.MARGINAL if self.slack < self.margin * self.budget else State.OK


@dataclass(frozen=True)
class Sheet:
    """All budgets of a case. board, run: "" when none is known; notes: what a reader must know of the figures."""

    case: str
    version: int | None
    board: str
    run: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def over(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.state is State.OVER)


@dataclass(frozen=True)
class RunCase:
    """One case of a run, and the clock that its latency was read from."""

    case: runfile.Case
    clock: runfile.Clock | None
    board: str
    file: str


@dataclass(frozen=True)
class PowerSource:
    """The board whose power figures count, and the file that has them; power: None when it gives none."""

    board: str
    file: str
    power: Power | None


@dataclass(frozen=True)
class Sources:
    """What a sheet is made from; at least a case or a plan. board: None when none is known. cut: the image with the
    operators of the model only, when it was asked for.
    """

    case: CaseLimits | None = None
    plan: BudgetFile | None = None
    run: RunCase | None = None
    board: PowerSource | None = None
    notes: tuple[str, ...] = ()
    cut: CutImage | None = None

    @property
    def margin(self) -> float:
        """That of the plan, else the one within which the case calls a check marginal."""
        if self.plan is not None and self.plan.margin is not None:
            return self.plan.margin
        return self.case.margin if self.case is not None else 0.0

    @property
    def flash(self) -> Flash:
        return self.plan.flash if self.plan is not None else Flash()

    @property
    def memory(self) -> Memory:
        return self.plan.memory if self.plan is not None else Memory()

    @property
    def found(self) -> runfile.Memory | None:
        """Sizes of the product that the run found."""
        memory = self.run.case.memory if self.run is not None else None
        return None if memory is None or memory.host else memory
