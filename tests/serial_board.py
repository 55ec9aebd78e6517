"""Knows how the tests reach the native firmware as a board of kind `serial`, behind a wire that may be meddled with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from native_session import imu_motion, native_image
from wire import Wire, wire

from hil.board.config import read_board
from hil.board.serial import SerialBoard, open_board
from hil.bundle import build_bundle
from hil.case.types import Case
from hil.device import Device
from hil.image.elf import Image

TIMEOUTS = "boot_s = 3.0\nreply_s = 8.0"
BAUD = 921_600


def board_file(wire: Wire, firmware: Mapping[str, object] = MappingProxyType({}), **keys: object) -> Path:
    """A board file for the wire. keys: of [serial], in place of the usual ones or beside them; firmware: of that
    table.
    """
    table: dict[str, object] = {
        "port": wire.port,
        "baud": BAUD,
        "clock": "host time",
        "patience_s": 2.0,
        "flash": wire.command("flash {elf} {bundle}"),
        "reset": wire.command("reset"),
        **keys,
    }
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in table.items() if value is not None)
    file = wire.folder / "wired.toml"
    head = f'kind = "serial"\ntarget = "native"\n[timeout]\n{TIMEOUTS}\n'
    own = "".join(f"{key} = {_toml(value)}\n" for key, value in firmware.items())
    file.write_text(f"{head}[serial]\n{lines}\n" + (f"[firmware]\n{own}" if own else ""))
    return file


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@contextmanager
def wired_board(
    folder: Path, kind: str, case: Case | None = None, image: Image | None = None, **keys: object
) -> Iterator[tuple[Wire, SerialBoard]]:
    """The firmware with the case's bundle behind a wire, and the board; nothing is opened yet."""
    with wire(folder, case or imu_motion(), kind, image=image) as made:
        log = folder / "wired.log"
        log.touch()
        with open_board(read_board(board_file(made, **keys)), log) as board:
            yield made, board


@contextmanager
def wired_device(folder: Path, kind: str, case: Case | None = None, **keys: object) -> Iterator[tuple[Wire, Device]]:
    """The agent over the wire, which carries as it should by then."""
    with wired_board(folder, kind, case, **keys) as (made, board):
        board.provision(native_image(), build_bundle(case or imu_motion()))
        yield made, Device(board)
