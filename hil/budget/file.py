"""Reads `budget.toml`: what a product may spend and what is planned, before and beside a case (docs/budgets.md)."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from hil.case.types import STAGES
from hil.errors import CaseError
from hil.problems import KeyPath, Places, Problem, raise_any, reason_of
from hil.validation import fields_at

BUDGET_FILE = "budget.toml"
STATISTICS = ("mean", "p50", "p95", "p99", "max")
CLOCKS = ("instructions", "cycles", "ms")
TABLES = (
    *("flash", "memory", "latency", "rate", "energy", "assumed"),
    *(f"latency.{clock}" for clock in CLOCKS),
    *(f"latency.{clock}.{stage}" for clock in CLOCKS for stage in STAGES),
)

Bytes = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0)]


class _Table(BaseModel):
    """A TOML table: unknown keys are refused, values are not converted, no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _Entry(_Table):
    """What may be spent, what is planned; at least one of both."""

    @model_validator(mode="after")
    def _says_something(self) -> _Entry:
        if not self.model_fields_set:
            raise PydanticCustomError("empty_entry", "neither budget nor planned")
        return self


class Size(_Entry):
    budget: Bytes | None = None
    planned: Bytes | None = None


class Amount(_Entry):
    """In the unit that the key ends with, or of the clock whose table it stands in."""

    budget: Positive | None = None
    planned: Positive | None = None


class Flash(_Table):
    """device_bytes: what the product may use of the device's flash. update_slot: what an update over the air needs
    beside the running version: room for another image and bundle, none, or so many bytes.
    """

    image_bytes: Size | None = None
    bundle_bytes: Size | None = None
    total_bytes: Size | None = None
    device_bytes: Annotated[int, Field(ge=1)] | None = None
    update_slot: int | str = "none"

    @field_validator("update_slot", mode="before")
    @classmethod
    def _is_a_slot(cls, value: object) -> object:
        if value in ("full", "none") or (type(value) is int and value >= 0):
            return value
        raise PydanticCustomError("update_slot", "it is none of these")


class Memory(_Table):
    ram_bytes: Size | None = None
    arena_bytes: Size | None = None
    stack_bytes: Size | None = None


class Stage(_Table):
    mean: Amount | None = None
    p50: Amount | None = None
    p95: Amount | None = None
    p99: Amount | None = None
    max: Amount | None = None


class Stages(_Table):
    prepare: Stage = Stage()
    invoke: Stage = Stage()
    decide: Stage = Stage()
    total: Stage = Stage()


class Latency(_Table):
    instructions: Stages = Stages()
    cycles: Stages = Stages()
    ms: Stages = Stages()


class Rate(_Table):
    """How often the product infers: per second, or once in so many seconds."""

    inferences_per_second: Positive | None = None
    period_s: Positive | None = None

    @model_validator(mode="after")
    def _says_it_once(self) -> Rate:
        if (self.inferences_per_second is None) == (self.period_s is None):
            raise PydanticCustomError("rate_once", "write one of inferences_per_second and period_s")
        return self

    @property
    def per_second(self) -> float:
        return 1 / self.period_s if self.period_s is not None else self.inferences_per_second or 0.0


class Energy(_Table):
    """Budgets: battery_days is the least, average_mw and daily_mwh are the most. battery_mwh: usable energy of the
    battery, where it is not the one of the board file.
    """

    average_mw: Positive | None = None
    daily_mwh: Positive | None = None
    battery_days: Positive | None = None
    battery_mwh: Positive | None = None


class Assumed(_Table):
    """Turns instructions into time. What comes of it is called assumed wherever it is shown."""

    cycles_per_instruction: Positive
    core_hz: Positive


class BudgetFile(_Table):
    """A whole budget.toml. source: where planned figures come from. margin: share of a budget that should stay free;
    a row with less is marginal.
    """

    case: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
    source: str = ""
    margin: Annotated[float, Field(ge=0, lt=1)] | None = None
    flash: Flash = Flash()
    memory: Memory = Memory()
    latency: Latency = Latency()
    rate: Rate | None = None
    energy: Energy = Energy()
    assumed: Assumed | None = None


def read_budget(file: Path) -> BudgetFile:
    """The budget.toml at `file`. Raises CaseError that names, for each fault, the line, the key and the fix."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        problem = f"cannot be read ({reason_of(error)})"
        raise CaseError(file, "", problem, "make it readable UTF-8 text, or remove it") from None
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError(file, "", f"not valid TOML: {error}", "mend the line; docs/budgets.md has an example") from None
    try:
        return BudgetFile.model_validate(tables)
    except ValidationError as error:
        places = Places(text, TABLES)
        raise_any(file, [_problem(each, places) for each in _ordered(error)])
        raise AssertionError("a validation error has at least one entry") from error


def _ordered(error: ValidationError) -> list[ErrorDetails]:
    """Unknown keys first: a missing one may be a misspelling."""
    return sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")


def _problem(error: ErrorDetails, places: Places) -> Problem:
    path = error["loc"]
    where = places.name(path)
    kind, key = error["type"], str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return Problem(where, f"unknown key {key!r}", _unknown_fix(path))
    if kind == "missing":
        return Problem(where, "the key is missing", f"add {_EXAMPLES.get(key, f'{key} = ...')}")
    if kind in ("model_type", "model_attributes_type"):
        return Problem(where, f"{error['input']!r} is no table", f"write {key} = {_EXAMPLE_ENTRY}")
    if kind == "empty_entry":
        return Problem(where, "it says neither budget nor planned", f"write {key} = {_EXAMPLE_ENTRY}")
    if kind == "update_slot":
        return Problem(where, f"{error['input']!r} does not do", 'write "full", "none" or a number of bytes')
    if kind == "rate_once":
        return Problem(where, error["msg"], "write inferences_per_second = 2.0, or period_s = 0.5")
    return Problem(where, f"{error['input']!r} does not do: {error['msg'].lower()}", _EXAMPLE_FIX)


_EXAMPLE_FIX = "write it as in the example of docs/budgets.md"
_EXAMPLE_ENTRY = "{ budget = 260_000, planned = 210_000 }"
_EXAMPLES = {
    "case": 'case = "imu_motion", the name that the case has or will have',
    "cycles_per_instruction": "cycles_per_instruction = 1.5",
    "core_hz": "core_hz = 64_000_000",
}


def _unknown_fix(path: KeyPath) -> str:
    """The key that was probably meant, else the keys that the table has."""
    keys = fields_at(BudgetFile, path[:-1])
    close = difflib.get_close_matches(str(path[-1]), keys, n=1)
    return f"did you mean {close[0]!r}?" if close else f"remove it; the keys here are {', '.join(keys)}"
