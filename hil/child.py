"""A child process that cannot outlive its parent, and whose last words are kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from hil.errors import BoardError
from hil.patience import Turn, turns_of

# The kernel kills the child when this process ends, for any reason (prctl(2)). setpriv, of util-linux, asks for that
# and then becomes the program; Python code between fork and exec would not be safe beside the references' thread.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


_ALL = 1 << 20
_FIRST_LINES, _LAST_LINES, _LINE = 8, 24, 1000


def both_ends(text: str) -> str:
    """The first and the last lines of what a program said: what it died of may stand in either."""
    lines = [line[:_LINE] for line in text.strip().splitlines()]
    left_out = len(lines) - _FIRST_LINES - _LAST_LINES
    if left_out > 0:
        lines[_FIRST_LINES:-_LAST_LINES] = [f"... ({left_out} lines) ..."]
    return "\n".join(lines)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


class Child:
    """A running program. `fds` are inherited; its output goes to an unnamed file that `words` reads back.

    environment: variables on top of this process's own. stdin: a descriptor to read from, by default nothing.
    """

    def __init__(
        self,
        command: Sequence[str],
        fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.name = os.path.basename(command[0])
        if not os.access(command[0], os.X_OK):
            raise BoardError(f"cannot start {command[0]}: it is no executable file")
        self._stderr = os.memfd_create("hil-child-output")
        try:
            self._process = subprocess.Popen(
                [*_DIE_WITH_PARENT, *command],
                stdin=stdin,
                stdout=self._stderr,
                stderr=self._stderr,
                pass_fds=tuple(fds),
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C at the terminal reaches the harness alone, which then ends the child
            )
        except OSError as error:
            os.close(self._stderr)
            raise BoardError(f"cannot start {command[0]}: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def turns(self) -> Mapping[int, Turn]:
        """What it got of this machine's processors."""
        return turns_of(self._process.pid)

    @property
    def code(self) -> int | None:
        """None while it runs, else its exit code, or -N when signal N ended it."""
        return self._process.poll()

    def ended(self) -> str | None:
        """None while it runs, else how it ended, with its last words."""
        code = self._process.poll()
        if code is None:
            return None
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        whole = self.words(_ALL).strip()
        words = both_ends(whole)
        which = "last words" if words == whole else "first and last words"
        return f"{self.name} {how}" + (f"; its {which}:\n{words}" if words else "")

    def words(self, size: int = 4000) -> str:
        """The last `size` bytes that it wrote to stdout and stderr."""
        if self._stderr < 0:
            return ""
        end = os.fstat(self._stderr).st_size
        return os.pread(self._stderr, size, max(0, end - size)).decode(errors="replace")

    def kill(self) -> None:
        """End it now and wait until it is gone. Safe to call twice."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._stderr >= 0:
            os.close(self._stderr)
            self._stderr = -1
