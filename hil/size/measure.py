"""Knows what an ELF takes, as values: with the names of a board, held to the budgets of a case, written as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.board.config import SizesTable
from hil.case.load import load_case
from hil.errors import UsageError
from hil.image.elf import Image
from hil.ledger import Ledger, changes


@dataclass(frozen=True)
class Held:
    """One sum against a limit of the case, in bytes."""

    what: str
    size: int
    limit: int
    key: str

    @property
    def over(self) -> bool:
        return self.size > self.limit

    def __str__(self) -> str:
        state = f"{self.size - self.limit:,} too many" if self.over else f"{self.limit - self.size:,} left"
        return f"{self.what}: {self.size:,} of {self.limit:,} bytes ({self.key}), {state}"


def read(path: Path, table: SizesTable) -> Ledger:
    """The sizes of an ELF. Raises UsageError when it is none."""
    return Image(path).ledger(table.symbols, table.memory)


def budgets(path: Path, case_path: Path) -> list[Held]:
    """What the image takes against flash_bytes and ram_bytes of a case; a bundle comes on top of the flash. Raises
    UsageError.
    """
    image = Image(path)
    contracts, facts = load_case(case_path, kernels=None).contracts, image.facts()
    rows = (
        ("flash of the image", facts.flash_bytes, contracts.flash_bytes, "flash_bytes"),
        ("static RAM", facts.ram_bytes, contracts.ram_bytes, "ram_bytes"),
    )
    found = [Held(what, size, limit, key) for what, size, limit, key in rows if limit is not None]
    if facts.host or not found:
        why = "the image is built for a workstation" if facts.host else "it gives neither flash_bytes nor ram_bytes"
        raise UsageError(
            f"{case_path}: nothing to hold {path} to: {why}\n  fix: leave --case out, or name another ELF or case"
        )
    return found


def document(path: Path, after: Ledger, before: Ledger | None, held: Sequence[Held]) -> dict[str, Any]:
    """All of it. The schema is `hil-size/1`; later versions may add keys."""
    found: dict[str, Any] = {
        "schema": "hil-size/1",
        "file": str(path),
        "stripped": after.stripped,
        "uncovered": after.uncovered,
        "sections": [asdict(section) for section in after.sections],
        "groups": [{"name": each.group, "flash": each.flash, "ram": each.ram} for each in after.groups().values()],
        "symbols": [asdict(each) for each in after.largest(len(after.symbols))],
        "budgets": [{**asdict(each), "over": each.over} for each in held],
    }
    if before is not None:
        found["changes"] = [
            {"verb": each.verb, **asdict(each.symbol), "flash": each.flash, "ram": each.ram}
            for each in changes(before, after)
            if each.flash or each.ram
        ]
    return found
