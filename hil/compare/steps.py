"""By how many steps of its type an output may differ in two runs and is equal still: `--lsb N`, `--lsb "NAME=N"`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hil.errors import UsageError

FIX = '  fix: write --lsb N, of every output of integers, or --lsb "NAME=N", of the one of that name; N >= 0'


@dataclass(frozen=True)
class Steps:
    """common: of every output of integers; own: of those of these names, in place of it. In LSB."""

    common: int = 0
    own: Mapping[str, int] = field(default_factory=dict)

    def of(self, name: str) -> int:
        """Those of the output of this name."""
        return self.own.get(name, self.common)

    def check_names(self, names: Sequence[str]) -> None:
        """Raises UsageError when one of `own` is not among the names of the outputs that there are."""
        for name, lsb in self.own.items():
            if name not in names:
                listed = ", ".join(map(repr, names))
                there = f"the outputs are {listed}" if listed else "each case has one output, which needs no name"
                fix = f"write one of these names: {listed}" if listed else f"write --lsb {lsb}"
                raise UsageError(
                    f"--lsb {name}={lsb}: no case in both runs has an output {name!r}; {there}\n  fix: {fix}"
                )


EXACT = Steps()


def parse_steps(texts: Sequence[str]) -> Steps:
    """The values of --lsb, in any order. Raises UsageError for one that is none, or that is said twice."""
    common: list[int] = []
    own: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")  # a name may hold one, too
        if not (number.isascii() and number.isdigit()) or (equals and not name):
            raise UsageError(f"--lsb {text}: this is no number of steps\n{FIX}")
        if (name in own) if equals else common:
            raise UsageError(
                f"--lsb {text}: a number of steps for {repr(name) if equals else 'every output'} is there\n{FIX}"
            )
        if equals:
            own[name] = int(number)
        else:
            common.append(int(number))
    return Steps(common[0] if common else 0, own)
