"""What a machine or bench needs for a board, as lines of `hil doctor`'s table. A kind of board adds its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hil.image.toolchain import Tool, find_version, is_enough
from hil.project.places import pip_source


class State(StrEnum):
    """What was found. `optional`: missing or too old, but the board asked for does without it."""

    OK = "ok"
    MISSING = "missing"
    OLD = "too old"
    OPTIONAL = "not needed here"


@dataclass(frozen=True)
class Row:
    """One line of the table. `found` is "" when nothing was. What mends it: a system package, or else a command.

    origin: where it comes from, when that is neither a package nor the project's own set-up.
    """

    name: str
    found: str
    needed: str
    state: State
    package: str = ""
    command: str = ""
    origin: str = ""

    @property
    def source(self) -> str:
        """Where it comes from: a Debian package, the project's own set-up, or `origin`."""
        return self.origin or (f"apt-get install {self.package}" if self.package else pip_source())

    @property
    def is_fine(self) -> bool:
        return self.state in (State.OK, State.OPTIONAL)


def tool_row(tool: Tool, needed: bool = True, path: str | None = None) -> Row:
    """Look for a system tool on `path` (default: PATH)."""
    version = find_version(tool, path)
    state = State.MISSING if version is None else State.OK if is_enough(tool, version) else State.OLD
    minimum = ".".join(str(part) for part in tool.minimum)
    found = "" if version is None else version or "yes"
    if state is not State.OK and not needed:
        return Row(tool.name, found, minimum, State.OPTIONAL, package=tool.package)
    return Row(tool.name, found, minimum, state, package=tool.package)
