"""The connection to the board of a bench: the probe is found, locked and connected, lost, and looked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hil.bench.probe import Bench, Connecting, Ladder, Stuck, find_probe, within
from hil.bench.probe_lock import ProbeLock
from hil.bench.serial_log import SerialLog
from hil.bench.settings import NO_LOG, Settings
from hil.bench.target import Identity, Target, TargetLost, Wiring
from hil.errors import BoardBroken, BoardError

_CLOSE_S = 2.0


class Connection:
    """Made at the first use. Once lost, the probe is looked for again at once; when it does not come back, all that
    follows raises BoardBroken.

    choices: settings of the boards that would do; the one whose probe is plugged in is taken. name, file: of the board.
    as_found: its firmware must not notice: the core is attached to, never stopped or reset, and nobody reads its log.
    """

    def __init__(
        self, name: str, file: Path, choices: Sequence[Settings], bench: Bench, log: Path, as_found: bool = False
    ) -> None:
        self.choices, self.settings, self.bench = choices, choices[0], bench
        self.step = "connect"  # named by what goes wrong in it
        self.found: dict[str, str] = {}  # what is known of the board behind this connection; a new one knows nothing
        self.left_behind = ""  # what a loss now would leave in the board, said when it comes to that
        self.memory = _Memory(self)
        self._name, self._file, self._log, self._as_found = name, file, log, as_found
        self._target: Target | None = None
        self._lock: ProbeLock | None = None
        self._serial: SerialLog | None = None
        self._gone: BoardError | None = None  # why there is no target any more
        self._number = ""  # id of the probe that was found

    # ---- connecting

    @property
    def is_open(self) -> bool:
        """Whether there is a target now."""
        return self._target is not None

    def target(self) -> Target:
        """The target; connects on first use. Raises BoardBroken once the board is gone for good."""
        if self._target is not None:
            return self._target
        if self._gone is not None:
            raise self._gone
        self.step = "connect"
        try:
            return self._adopt(self._ladder().climb())
        except BoardError as error:
            self._gone = error if isinstance(error, BoardBroken) else BoardBroken(str(error))
            if self._gone is error:
                raise
            raise self._gone from error

    def _ladder(self, come_back: bool = False) -> Ladder:
        settings = self.choices[0]  # they differ in probe and port only
        mode, power_cycle = settings.connect_mode, settings.power_cycle
        if self._as_found:
            mode, power_cycle = "attach", ""
        wiring = Wiring(settings.pyocd_target, mode, settings.swd_hz)
        identity = Identity(settings.board_id, settings.device_id, settings.device_id_register)
        how = Connecting(wiring, identity, settings.connect_s, power_cycle, self._as_found)
        return Ladder(self._find, how, come_back)

    def _find(self) -> Any:
        """The board's probe, locked for this run."""
        wanted = [settings.probe for settings in self.choices if settings.probe]
        probe = find_probe(self.bench, wanted, f"--hil-probe=ID, or probe in {self._file}")
        number = str(probe.unique_id)
        if self._lock is None:
            self._lock = ProbeLock(self.bench.lock_name(number), self.settings.lock_wait_s)
        fitting = (choice for choice in self.choices if choice.probe.lower() in number.lower())
        self.settings = next(fitting, self.choices[0])
        self._number = number
        return probe

    def _adopt(self, target: Target) -> Target:
        """Make it the board's target, with its log."""
        try:
            self._open_log()
        except BaseException:
            _close_quickly(target)
            raise
        self._target = target
        self.found.clear()
        return target

    def close(self) -> None:
        """Release target, serial port, probe and bench. Safe to call twice."""
        try:
            self.release()
        finally:
            self.bench.close()

    def release(self) -> None:
        """The same without the bench, on which another connection may follow. Safe to call twice."""
        target, self._target = self._target, None
        serial, self._serial = self._serial, None
        lock, self._lock = self._lock, None
        try:
            if target is not None:
                _close_quickly(target)
            if serial is not None:
                serial.close()
        finally:
            if lock is not None:
                lock.close()

    # ---- losing it

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        """What goes wrong inside is told as trouble of `step`."""
        self.step = step
        with self.guarded():
            yield

    @contextmanager
    def guarded(self) -> Iterator[Target]:
        """The target, for calls that may lose it."""
        try:
            yield self.target()
        except TargetLost as error:
            raise self._lose(error) from error

    def _lose(self, error: TargetLost) -> BoardError:
        """Look for the board again, and say what came of it. What ran on it has ended in any case."""
        target, self._target = self._target, None
        if target is not None:
            _close_quickly(target)
        said = str(error).splitlines()[0]
        head = f"{self.step}: board {self._name} was lost: {said}{self.left_behind}"
        if isinstance(error, Stuck):  # its thread may still hold the probe
            self._gone = BoardBroken(f"{head}\n  next: unplug the board and plug it in again")
            return self._gone
        ladder = self._ladder(come_back=True)
        try:
            self._adopt(ladder.climb("connect again"))
        except BoardError as verdict:
            self._gone = BoardBroken(f"{head}\n  connecting again: {str(verdict).removeprefix('connect: ')}")
            return self._gone
        again = f", after: {'; '.join(ladder.tried)}" if ladder.tried else ""
        return BoardError(
            f"{head}\n  it answers again{again}\n  next: check cables and supply; run this case again on a steady bench"
        )

    # ---- its log

    def begin_log(self, log: Path) -> None:
        """What the board says from now on goes to `log`."""
        self._log = log
        if self._serial is not None:
            self._serial.turn_to(log)

    def flush_log(self) -> None:
        """What was received is in the file afterwards."""
        if self._serial is not None:
            self._serial.flush()

    def log_hint(self) -> str:
        """Why the log may be empty, "" when there is nothing to say."""
        return self._serial.hint() if self._serial is not None else ""

    def _open_log(self) -> None:
        if self._serial is not None:
            if not self._serial.ended:
                return
            self._serial.close()
            self._serial = None
        settings = self.settings
        if settings.serial == NO_LOG or self._as_found:
            return
        port = settings.serial or self.bench.serial_port(self._number)
        if not port:
            raise BoardBroken(
                f"log: probe {self._number} has no serial port on this machine\n"
                f'  next: name one with serial in {self._file}, or set serial = "{NO_LOG}" there'
            )
        self._serial = SerialLog(port, settings.baud, self._log, self.bench.friends())


class _Memory:
    """RAM of the target, whichever connection there is now."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, address: int, size: int) -> bytes:
        """Raises BoardError, BoardBroken when the board is gone."""
        with self._connection.guarded() as target:
            return target.memory.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Raises BoardError, BoardBroken when the board is gone."""
        with self._connection.guarded() as target:
            target.memory.write(address, data)


def _close_quickly(target: Target) -> None:
    with suppress(BoardError):
        within(_CLOSE_S, "closing the probe", lambda _: target.close())
