"""Writes a board's flash through its connection, reads it back, and leaves alone what lies there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.bench.connection import Connection
from hil.bench.probe import within
from hil.bench.target import Beat, FlashError, Target
from hil.errors import BoardBroken
from hil.image.flash import Piece, differing, mismatch

Progress = Callable[[str, int, int], None]  # what, done, total


class Programmer:
    """name: of the board. What it has written is remembered as long as the connection lasts."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection, self._board = connection, name

    def bring(self, name: str, digest: str, pieces: Sequence[Piece], progress: Progress) -> None:
        """Have `pieces` in flash, read back; sectors that hold them already are left alone.

        digest: of all that is called `name`. Raises BoardBroken when the flash does not take it, TargetLost.
        """
        connection = self._connection
        if connection.found.get(name) == digest:
            return
        connection.found.pop(name, None)
        target = connection.target()
        try:
            within(
                connection.settings.flash_s,
                f"writing the {name}",
                lambda beat: self._write(name, pieces, target, beat, progress),
            )
        except FlashError as error:
            raise BoardBroken(
                f"flash: board {self._board}: the {name} cannot be written: {error}{connection.left_behind}\n"
                f"  next: lift the write protection of these sectors (option bytes, STM32CubeProgrammer), "
                f"or replace the board"
            ) from error
        except KeyboardInterrupt as stopped:
            if not connection.left_behind:
                raise
            raise KeyboardInterrupt(f"{stopped}{connection.left_behind}") from stopped  # pytest shows these words
        connection.found[name] = digest

    def _write(self, name: str, pieces: Sequence[Piece], target: Target, beat: Beat, progress: Progress) -> None:
        def read(address: int, size: int) -> bytes:
            return target.read_much(address, size, beat)

        def advance(part: float) -> None:
            beat()
            progress(f"flash {name}", round(part * 100), 100)

        wrong = differing(pieces, read, target.sector_of)
        if not wrong:
            return
        half = f"\n  the {name} in its flash is half-written; the next run of this harness writes it anew"
        self._connection.left_behind = half
        target.halt_in_reset()  # whatever ran may have left the clocks, the caches or an MPU in the writer's way
        target.program(wrong, advance)
        if found := mismatch(wrong, read):
            raise BoardBroken(
                f"verify: board {self._board}: the {name} read back from flash is not what was written: {found}{half}\n"
                f"  next: lower swd_hz in the board file and check the supply; if it stays, the flash is worn out"
            )
        self._connection.left_behind = ""
