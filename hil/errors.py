"""The one exception tree: whose fault it is decides the class.

`UsageError`: the user's files, options or machine; raised before a board starts, with the line to fix or the command
to run. `BenchError`: the board, probe, link or toolchain misbehaved; a test *error*, never a verdict on the product.
A broken contract is no exception here: it is a `Finding`.
"""

from __future__ import annotations

from pathlib import Path


class HilError(Exception):
    """Base of all errors that hil raises on purpose."""

    def add(self, more: str) -> None:
        """Put one more line into the text, in front of its advice."""
        text, mark, advice = str(self).partition("\n  next: ")
        self.args = (f"{text}\n  {more}{mark}{advice}",)

    def __reduce__(self) -> tuple[object, ...]:
        """Class and text go to another process, whatever arguments the class was made with."""
        return _again, (type(self), str(self))


def _again(kind: type[HilError], text: str) -> HilError:
    error = kind.__new__(kind)
    error.args = (text,)
    return error


class UsageError(HilError):
    """The request cannot be carried out as written; nothing was started. Fix what the message names."""


class CaseError(UsageError):
    """A case folder is wrong. Names the file, the key or field, and the fix."""

    def __init__(self, file: Path | str, where: str, problem: str, fix: str) -> None:
        self.file, self.where, self.problem, self.fix = Path(file), where, problem, fix
        place = f"{file}: {where}" if where else str(file)
        super().__init__(f"{place}: {problem}\n  fix: {fix}")


class MissingTool(UsageError):
    """A program the run needs is not there. Install it with the command in the message."""

    def __init__(self, tool: str, needed: str, install: str) -> None:
        self.tool, self.needed, self.install = tool, needed, install
        super().__init__(f"{tool} is needed {needed}, but was not found\n  fix: {install}")


class BenchError(HilError):
    """The board, link or toolchain broke. Says which step, and what to try next."""


class BuildError(BenchError):
    """The firmware did not build; carries the compiler's last lines."""


class BoardError(BenchError):
    """The board could not be started, provisioned or read, or went away."""


class BoardBroken(BoardError):
    """The board cannot be brought back: nothing more is tried on it in this run."""


class DeviceEnded(BoardError):
    """The firmware ended the program or emulator that it runs in: no board goes away like this by itself.

    begun: whether it had taken up the request that it was asked; if not, it broke behind the one before.
    """

    begun = True


class LinkError(BenchError):
    """The link carried damaged or no data, and repeating the request did not help."""


class DeviceSilent(LinkError):
    """The board is alive but the agent did not answer in time. begun: as in DeviceEnded."""

    begun = True


class DeviceReset(BenchError):
    """The firmware restarted while a session was open: its start counter changed, or it made its link anew.

    after: None when it has said nothing since. begun: as in DeviceEnded.
    """

    def __init__(self, before: int, after: int | None, *, begun: bool = True) -> None:
        self.before, self.after, self.begun = before, after, begun
        how = f"start counter {before} -> {after}"
        if after is None:
            how = f"start counter {before}, and it has not answered since"
        elif before == after:
            how = f"it made the control block of its link anew; its start counter did not move from {after}"
        super().__init__(f"the firmware restarted in mid-session ({how})")


class DeviceFault(BenchError):
    """The firmware left a fault record. `fault` is the decoded record (hil.board.fault.Fault).

    begun: as in DeviceEnded.
    """

    begun = True

    def __init__(self, fault: object) -> None:
        self.fault = fault
        super().__init__(str(fault))


class AgentError(BenchError):
    """The agent refused a request: harness and firmware do not fit each other."""

    def __init__(self, code: int, detail: int, meaning: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(f"the agent refused the request: {meaning} (code {code}, detail {detail})")
