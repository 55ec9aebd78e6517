"""Knows how many faults of one model are told: alike ones as one line, the fix that cures most first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.problems import Problem

MOST_SHOWN = 8  # lines of a refusal; `hil model inspect` has all
OF_THE_FILE = ("schema", "flatbuffer", "metadata")  # places of faults that make every other one doubtful
_OPERATOR = re.compile(r"operator (\d+) (\S+)$")
_NAME = re.compile(r"(?<!\w)(?:'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*")')  # not the s of "the firmware's"
_NUMBER = re.compile(r"(?<![A-Za-z_\d])-?\d[\d.,]*(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Kind:
    """Faults that differ in names and numbers only, in the order in which they were found."""

    faults: tuple[Problem, ...]

    @property
    def operators(self) -> tuple[int, ...]:
        """Indices of the operators that have it; none for a fault of something else."""
        found = (_OPERATOR.match(fault.where) for fault in self.faults)
        return tuple(dict.fromkeys(int(match[1]) for match in found if match))

    @property
    def line(self) -> Problem:
        """All of them as one."""
        first, operators = self.faults[0], self.operators
        if len(operators) > 1:
            name = _OPERATOR.sub(r"\2", first.where)
            found = f"{len(operators)} operators, first is {operators[0]}: {first.problem}"
            return Problem(name, found, first.fix)
        if len(self.faults) > 1:
            return Problem(first.where, f"{first.problem}; and {len(self.faults) - 1} more like it", first.fix)
        return first


def kinds(problems: Iterable[Problem]) -> list[Kind]:
    """Sorted for a person who mends one thing at a time: faults of the whole file, then by how many faults one fix
    cures. What one fix cures stands together, in the order in which it was found.
    """
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for each in dict.fromkeys(problems):
        where = _OPERATOR.sub(r"\2", each.where)
        alike.setdefault((_plain(where), _plain(each.problem), each.fix), []).append(each)
    cures: dict[str, list[Kind]] = {}
    for faults in alike.values():
        cures.setdefault(faults[0].fix, []).append(Kind(tuple(faults)))

    def order(cured: list[Kind]) -> tuple[bool, int]:
        of_the_file = any(fault.where in OF_THE_FILE for kind in cured for fault in kind.faults)
        return not of_the_file, -sum(len(kind.faults) for kind in cured)

    return [kind for cured in sorted(cures.values(), key=order) for kind in cured]


def gathered(problems: Sequence[Problem], file: Path) -> list[Problem]:
    """What a refusal of `file` says of them: a line for each kind, and how many more there are."""
    found = kinds(problems)
    lines = [kind.line for kind in found]
    if len(lines) <= MOST_SHOWN + 1:  # a line that counts one line saves none
        return lines
    rest = found[MOST_SHOWN:]
    count = sum(len(kind.faults) for kind in rest)
    more = f"{len(rest)} more kinds of fault, {count} in all"
    return [*lines[:MOST_SHOWN], Problem("", more, f"see all of them with: hil model inspect {shlex.quote(str(file))}")]


def _plain(text: str) -> str:
    """Without the names and numbers in it. Those that belong to a word, as in INT8, stay."""
    return _NUMBER.sub("0", _NAME.sub("''", text))


def either(types: frozenset[str]) -> str:
    """`INT16 or INT8`."""
    return " or ".join(sorted(types))
