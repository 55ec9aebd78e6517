"""The budgets that a case.toml gives itself, as a budget sheet and a release record need them: values and no files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from hil.case.types import Case


class LatencyLimit(BaseModel):
    """The most that one statistic of one stage may take, in units of a clock."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    unit: str
    stage: str
    statistic: str
    maximum: float


class CaseLimits(BaseModel):
    """Of one case. Sizes in bytes, headroom and margin as shares; None where the case gives no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    version: int
    margin: float
    confidence: float
    arena_bytes: int | None
    arena_headroom: float | None
    flash_bytes: int | None
    ram_bytes: int | None
    stack_bytes: int | None
    stack_headroom: float | None
    latency: list[LatencyLimit]
    heap_bytes: int | None = None


def limits_of(case: Case) -> CaseLimits:
    """What the case may spend."""
    contracts = case.contracts
    return CaseLimits(
        name=case.name,
        version=case.version,
        margin=contracts.margin,
        confidence=contracts.confidence,
        arena_bytes=case.arena_bytes,
        arena_headroom=contracts.arena_headroom,
        flash_bytes=contracts.flash_bytes,
        ram_bytes=contracts.ram_bytes,
        stack_bytes=contracts.stack_bytes,
        stack_headroom=contracts.stack_headroom,
        latency=[
            LatencyLimit(unit=each.limit.unit, stage=each.stage, statistic=each.statistic, maximum=each.limit.maximum)
            for each in contracts.latency
            if each.limit.maximum is not None
        ],
        heap_bytes=contracts.heap_bytes,
    )
