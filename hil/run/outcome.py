"""What is known of a case that was run, or tried: each share of it, and in the end its part of run.json."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil.contract.types import CheckResult
from hil.errors import UsageError
from hil.records import RunRecords
from hil.report.run_json import Json
from hil.session import Part, Share


@dataclass
class Attempt:
    """A share of a case that was run, or tried. part: None when `error` ended it; records: what there is then. device:
    of a pool, on which that was.
    """

    began: float  # host seconds of a clock that all processes share
    share: Share
    part: Part | None = None
    error: Exception | None = None
    ran: bool = True
    records: RunRecords | None = None
    device: str = ""


@dataclass(frozen=True)
class Refusal:
    """A case.toml that is no case, and why."""

    path: Path
    name: str  # as well as it could be told
    error: UsageError


@dataclass
class Outcome:
    """What became of one case: its part of run.json, and the bench's failure if there was one."""

    document: Json
    clock: Json | None = None  # of the board, as run.json has it
    error: Exception | None = None
    ran: bool = True  # False: the board was broken before its turn came
    results: dict[str, CheckResult] = field(default_factory=dict)


def seconds(attempts: Sequence[Attempt]) -> float:
    """Host time since the first of them began."""
    return time.monotonic() - min(attempt.began for attempt in attempts)


def devices_of(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """On which device of a pool each share was run, by the number of the share; () without a pool."""
    found = tuple(attempt.device for attempt in sorted(attempts, key=lambda attempt: attempt.share.number))
    return found if any(found) else ()
