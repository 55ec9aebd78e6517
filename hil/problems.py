"""How the faults of a file are collected, placed on a line of the TOML, and reported together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.errors import CaseError

KeyPath = tuple[str | int, ...]
Say = Callable[[KeyPath, str, str], None]  # (key path, problem, fix)


@dataclass(frozen=True)
class Problem:
    """One fault: where it is (key, array, tensor), what is wrong, what to do."""

    where: str
    problem: str
    fix: str


class CaseProblemsError(CaseError):
    """Several faults of a file. `where`, `problem`, `fix` are those of the first; `problems` and the text have all."""

    def __init__(self, file: Path | str, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(file, first.where, first.problem, first.fix)
        self.problems = tuple(problems)
        if len(problems) > 1:
            self.args = (self._all(),)

    def _all(self) -> str:
        lines = [f"{self.file}: {len(self.problems)} problems"]
        for number, each in enumerate(self.problems, 1):
            lines.append(f"{number}. {each.where}: {each.problem}" if each.where else f"{number}. {each.problem}")
            if (
                number == len(self.problems) or self.problems[number].fix != each.fix
            ):  # one fix for a run of like problems
                lines.append(f"  fix: {each.fix}")
        return "\n".join(lines)


def reason_of(error: Exception) -> str:
    """Why a path cannot be used, in a few words; the whole text of an OSError repeats the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def raise_any(file: Path | str, problems: Sequence[Problem]) -> None:
    """Raise CaseProblemsError when there is at least one."""
    if problems:
        raise CaseProblemsError(file, problems)


class Places:
    """Names the places of a case.toml as `line 12, [table] key`.

    The line is found by reading headers and `key =` lines. That covers what people write in a case file; where it does
    not (quoted keys), the name stands without a line.
    """

    def __init__(self, text: str, tables: Sequence[str]) -> None:
        """`text` is the TOML; `tables` are the dotted names of the tables that the format knows."""
        self._lines = _line_numbers(text)
        self._tables = frozenset(tables)

    def name(self, path: KeyPath) -> str:
        """The place of a key path such as ("budget", "memory", "arena_bytes")."""
        keys = [str(key) for key in path]
        split = max((n for n in range(len(keys) + 1) if ".".join(keys[:n]) in self._tables), default=0)
        table = f"[{'.'.join(keys[:split])}]" if split else ""
        place = " ".join(part for part in (table, ".".join(keys[split:])) if part)
        line = self._line(tuple(keys))
        return f"line {line}, {place}" if line else place

    def _line(self, keys: tuple[str, ...]) -> int | None:
        """The line of the key, else of the nearest table or key that holds it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._lines:
                return self._lines[keys[:length]]
        return None


_HEADER = re.compile(r"\s*\[\s*([\w.\- ]+?)\s*\]\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(r"\s*([\w\-]+(?:\s*\.\s*[\w\-]+)*)\s*=")
_INLINE_KEY = re.compile(r"[{,]\s*([\w\-]+)\s*=")


def _line_numbers(text: str) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _keys(header[1])
            found.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            path = table + _keys(assignment[1])
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
            for inline in _INLINE_KEY.finditer(line, assignment.end()):
                found.setdefault((*path, inline[1]), number)
    return found


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip() for key in dotted.split("."))
