"""Knows what a machine must have to run hil, looks for it, and says what to run when something is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata

from packaging.requirements import Requirement

from hil.image.toolchain import (
    ARM_TOOLS,
    BUILD_TOOLS,
    HOST_GCC,
    HOST_TARGETS,
    QEMU,
    SYSTEM_TOOLS,
    Tool,
    find_version,
    install_command,
    is_enough,
)

PYTHON_MINIMUM = (3, 11)
_MAKE_ENVIRONMENT = "make bootstrap"


class State(StrEnum):
    """What was found. `optional`: missing or too old, but the board asked for does without it."""

    OK = "ok"
    MISSING = "missing"
    OLD = "too old"
    OPTIONAL = "not needed here"


@dataclass(frozen=True)
class Row:
    """One line of the table. `found` is "" when nothing was. What mends it: a system package, or else a command."""

    name: str
    found: str
    needed: str
    state: State
    package: str = ""
    command: str = ""

    @property
    def source(self) -> str:
        """Where it comes from: a Debian package, or the project's own set-up."""
        return f"apt-get install {self.package}" if self.package else "make bootstrap"

    @property
    def is_fine(self) -> bool:
        return self.state in (State.OK, State.OPTIONAL)


def examine(kind: str, target: str, path: str | None = None) -> list[Row]:
    """Look at this machine for a board of `kind` ("qemu", "native", ...) that runs images of `target`.

    path: where programs are searched for, default the PATH of this process.
    """
    needed = tools_of_board(kind, target)
    return [*_python_rows(), *(_tool_row(tool, tool in needed, path) for tool in SYSTEM_TOOLS)]


def tools_of_board(kind: str, target: str) -> frozenset[Tool]:
    """The tools without which the board cannot be used."""
    compilers = (HOST_GCC,) if target in HOST_TARGETS else ARM_TOOLS
    emulator = (QEMU,) if kind == "qemu" else ()
    return frozenset((*BUILD_TOOLS, *compilers, *emulator))


def is_fine(rows: Iterable[Row]) -> bool:
    """Whether nothing needed is missing or too old."""
    return all(row.is_fine for row in rows)


def table(rows: list[Row], path: str | None = None) -> str:
    """The rows as text in columns, and below them the commands that mend what is not fine. path: as in `examine`."""
    head = ("", "found", "needed", "state", "comes with")
    cells = [head, *((row.name, row.found or "-", row.needed or "any", str(row.state), row.source) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, "", *_advice(rows, path)])


def _advice(rows: list[Row], path: str | None) -> list[str]:
    broken = [row for row in rows if not row.is_fine]
    if not broken:
        return ["all that this board needs is here"]
    packages = [row.package for row in broken if row.package]
    commands = dict.fromkeys(row.command for row in broken if row.command)
    if packages:
        commands[install_command(packages, path)] = None
    return ["to mend it:", *(f"  {command}" for command in commands)]


def _tool_row(tool: Tool, needed: bool, path: str | None) -> Row:
    version = find_version(tool, path)
    state = State.MISSING if version is None else State.OK if is_enough(tool, version) else State.OLD
    minimum = ".".join(str(part) for part in tool.minimum)
    found = "" if version is None else version or "yes"
    if state is not State.OK and not needed:
        return Row(tool.name, found, minimum, State.OPTIONAL, package=tool.package)
    return Row(tool.name, found, minimum, state, package=tool.package)


def _python_rows() -> Iterator[Row]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    minimum = ".".join(str(part) for part in PYTHON_MINIMUM)
    enough = sys.version_info[:2] >= PYTHON_MINIMUM
    advice = "" if enough else "make distclean && make bootstrap PYTHON=/path/to/newer/python3"
    yield Row("python", found, minimum, State.OK if enough else State.OLD, command=advice)
    try:
        requirements = metadata.requires("hil") or []
    except metadata.PackageNotFoundError:
        yield Row("hil", "", "", State.MISSING, command=_MAKE_ENVIRONMENT)
        return
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package_row(requirement)


def _package_row(requirement: Requirement) -> Row:
    """One Python package that hil depends on, held against the version range of pyproject.toml."""
    needed = str(requirement.specifier)
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Row(requirement.name, "", needed, State.MISSING, command=_MAKE_ENVIRONMENT)
    if requirement.specifier.contains(version, prereleases=True):
        return Row(requirement.name, version, needed, State.OK)
    return Row(requirement.name, version, needed, State.OLD, command=_MAKE_ENVIRONMENT)
