"""Knows what a machine must have to run hil, looks for it, and says what to run when something is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement

from hil.board.config import BoardConfig, kind_module
from hil.board.pool import each
from hil.image.toolchain import ARM_TOOLS, BUILD_TOOLS, HOST_GCC, install_command, tools_of_target
from hil.need import Row, State, tool_row
from hil.project import places

PYTHON_MINIMUM = (3, 11)


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """Look at this machine for a board: Python, what builds its image, and what its kind asks for itself.

    path: where programs are searched for, default the PATH of this process.
    """
    built_with = () if config.firmware is not None else tools_of_target(config.target)
    rows = [tool_row(tool, tool in built_with, path) for tool in (*BUILD_TOOLS, *ARM_TOOLS, HOST_GCC)]
    kind = kind_module(config)
    own = [row for one in each(config) for row in kind.examine(one, path)] if hasattr(kind, "examine") else []
    return [*_python_rows(), *rows, *dict.fromkeys(own)]


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


def _python_rows() -> Iterator[Row]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    minimum = ".".join(str(part) for part in PYTHON_MINIMUM)
    enough = sys.version_info[:2] >= PYTHON_MINIMUM
    advice = "" if enough else places.environment_command()
    yield Row("python", found, minimum, State.OK if enough else State.OLD, command=advice)
    try:
        requirements = metadata.requires(places.DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Row(places.DISTRIBUTION, "", "", State.MISSING, command=places.pip_command())
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
        return Row(requirement.name, "", needed, State.MISSING, command=places.pip_command())
    if requirement.specifier.contains(version, prereleases=True):
        return Row(requirement.name, version, needed, State.OK)
    return Row(requirement.name, version, needed, State.OLD, command=places.pip_command())
