"""What the case tree asks of a release, as it stands on disk now: checks, limits, files, accepted baselines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_serializer

from hil.board.config import Power
from hil.budget.file import BudgetFile
from hil.budget.find import plan_of
from hil.budget.limits import CaseLimits, limits_of
from hil.case.load import FILE_NAME, load_case
from hil.case.types import BASELINES, Case
from hil.case.types import Limit as CaseLimit
from hil.contract import checks_for
from hil.contract.distance import allowed
from hil.contract.latency import limits_of as latency_limits
from hil.errors import CaseError, UsageError
from hil.runfile import Limit


class _Fact(BaseModel):
    """Part of a release record, so that the gate can be asked again when the tree has moved on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Demand(_Fact):
    """One case. path: relative to the tree's root. files: name to SHA-256. checks: ids in the order of blame.

    limits: a check to what its value may be held against; clocks: a latency check to the kinds of clock that the case
    limits it on; baselines: a board to the SHA-256 of the accepted baseline. budget and plan: what its
    budget sheet is made of, None in a record of a version that did not ask it, plan also without a budget.toml.
    """

    name: str
    version: int
    path: str
    locked: bool
    files: dict[str, str]
    checks: list[str]
    limits: dict[str, list[Limit]]
    clocks: dict[str, list[str]]
    margin: float
    confidence: float
    baselines: dict[str, str]
    budget: CaseLimits | None = None
    plan: BudgetFile | None = None

    @property
    def without_arena(self) -> bool:
        """Whether the case does not say how much arena its model may use."""
        return self.budget is not None and self.budget.arena_bytes is None

    @field_serializer("plan")
    def _as_written(self, plan: BudgetFile | None) -> dict[str, object] | None:
        """Only the keys that the file has: a sheet tells a table that was given from one that was not."""
        return plan.model_dump(exclude_unset=True) if plan is not None else None


class Unreadable(_Fact):
    """A case that is no case: its file and what is wrong, with the fix."""

    path: str
    problem: str


class Tree(_Fact):
    """All cases below one folder, sorted by path. power: what the boards of the policy draw, where their files say."""

    root: str
    cases: list[Demand]
    unreadable: list[Unreadable] = []
    power: dict[str, Power] = {}

    def demand(self, name: str) -> Demand | None:
        """The case of that name, None when there is none."""
        return next((demand for demand in self.cases if demand.name == name), None)


def read_tree(root: Path, name: str, power: Mapping[str, Power]) -> Tree:
    """Every case.toml below `root`; name: how messages call the folder; power: of the boards, by name. Raises
    UsageError when it is no folder, or when two cases have one name.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: there is no such folder of cases\n  fix: mend `cases` in the release policy")
    cases: list[Demand] = []
    unreadable = []
    for file in sorted(root.rglob(FILE_NAME)):
        if any(part.startswith(".") for part in file.relative_to(root).parts):
            continue  # pytest looks into no such folder either
        path = file.relative_to(root).as_posix()
        try:
            demand = demand_of(load_case(file, kernels=None), path)
        except CaseError as error:
            unreadable.append(Unreadable(path=path, problem=str(error)))
            continue
        if same := next((other for other in cases if other.name == demand.name), None):
            raise UsageError(
                f"{file}: the case is called {demand.name!r}, and so is {root / same.path}\n"
                f"  fix: give each case of a release a name of its own"
            )
        cases.append(demand)
    return Tree(root=name, cases=cases, unreadable=unreadable, power=dict(power))


def demand_of(case: Case, path: str) -> Demand:
    """What one case asks for."""
    clocks = {
        f"latency.{limit.stage}.{limit.statistic}": sorted(
            {each.clock for each in latency_limits(case, limit.stage, limit.statistic)}
        )
        for limit in case.contracts.latency
    }
    return Demand(
        name=case.name,
        version=case.version,
        path=path,
        locked=case.locked,
        files=dict(case.files),
        checks=[check.id for check in checks_for(case)],
        limits={check: [_limit(limit) for limit in limits] for check, limits in _limits(case).items()},
        clocks=clocks,
        margin=case.contracts.margin,
        confidence=case.contracts.confidence,
        baselines=_baselines(case.path.parent / BASELINES),
        budget=limits_of(case),
        plan=plan_of(case.path.parent, case.name),
    )


def _limit(limit: CaseLimit) -> Limit:
    return Limit(minimum=limit.minimum, maximum=limit.maximum, unit=limit.unit)


def _limits(case: Case) -> dict[str, list[CaseLimit]]:
    """Limits that stand in the case file, by the check that holds a value to them."""
    values = case.contracts
    single: dict[str, CaseLimit | None] = {
        "input.saturation": values.saturation,
        **dict.fromkeys(("execution.arena", "memory.arena"), _most(case.arena_bytes)),
        "decision.accuracy": values.accuracy,
        "memory.arena_headroom": _least(values.arena_headroom),
        "memory.flash": _most(values.flash_bytes),
        "memory.ram": _most(values.ram_bytes),
        "memory.stack": _most(values.stack_bytes),
        "memory.stack_headroom": _least(values.stack_headroom),
        "memory.heap": _most(values.heap_bytes),
        "memory.heap_headroom": _least(values.heap_headroom),
    }
    found = {check: [limit] for check, limit in single.items() if limit is not None}
    for one in case.of_outputs:
        for check in ("execution.output", "execution.probes"):
            found.setdefault(check, []).append(allowed(one).limit)
        for name, limit in one.contracts.agreement.items():
            found.setdefault(f"agreement.{name}", []).append(limit)
    for each in values.latency:
        found.setdefault(f"latency.{each.stage}.{each.statistic}", []).append(each.limit)
    return found


def _most(size: int | None) -> CaseLimit | None:
    return None if size is None else CaseLimit(maximum=size, unit="bytes")


def _least(share: float | None) -> CaseLimit | None:
    return None if share is None else CaseLimit(minimum=share)


def _baselines(folder: Path) -> dict[str, str]:
    return {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.json"))}
