"""Opens a serial port for one program alone, and says who has it when that fails."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from hil.bench.probe_lock import command_line
from hil.errors import BoardBroken, UsageError
from hil.need import Row, State


@dataclass(frozen=True)
class PortUse:
    """What a port is opened for. step: as messages begin; otherwise: how to do without it, or what else to look at."""

    step: str
    otherwise: str


def open_port(
    port: str,
    baud: int,
    use: PortUse,
    timeout_s: float,
    friends: frozenset[int] = frozenset(),
    lines: Mapping[str, bool] | None = None,
) -> Any:
    """The open port, of pyserial. port: a device, or a URL of pyserial. timeout_s: longest wait of one read.

    friends: processes that may have the port open too. lines: levels of dtr and rts from the start on. Raises
    BoardBroken that names the port and who holds it.
    """
    import serial

    url = "://" in port
    if not url and (taken := [pid for pid in holders(port) if pid not in friends]):
        raise BoardBroken(_busy(port, taken, use))
    try:
        # pyserial cannot lock what lies behind a URL; a device it locks as other terminals do.
        found = serial.serial_for_url(port, do_not_open=True, baudrate=baud, timeout=timeout_s)
        found.exclusive = None if url else True
        for name, level in (lines or {}).items():
            setattr(found, name, level)
        with warnings.catch_warnings():  # pyserial's own, for rfc2217://, which `pytest -W error` would make an error
            warnings.simplefilter("ignore", DeprecationWarning)
            found.open()
        return found
    except (OSError, ValueError) as error:  # SerialException is an OSError
        if getattr(error, "errno", None) in (errno.EBUSY, errno.EAGAIN):
            raise BoardBroken(_busy(port, list(holders(port)), use)) from error
        raise BoardBroken(f"{use.step}: port {port}: {error}\n  next: {_advice(error, use)}") from error


def check_port(port: str, place: str) -> None:
    """Raise UsageError, which names `place`, for a URL of a kind that pyserial does not know."""
    scheme, mark, _ = port.partition("://")
    if not mark:
        return
    known = sorted(
        module.name.removeprefix("protocol_")
        for module in iter_modules(import_module("serial.urlhandler").__path__)
        if module.name.startswith("protocol_")
    )
    if scheme.lower() not in known:
        raise UsageError(
            f"{place}: pyserial does not know {scheme}://, but {', '.join(f'{name}://' for name in known)}\n"
            f"  fix: write a device, socket://HOST:PORT or rfc2217://HOST:PORT"
        )


def usb_port(serial_number: str) -> str:
    """The serial port of the USB device with this serial number; "" when there is none."""
    from serial.tools.list_ports import comports

    ports = sorted(port.device for port in comports() if port.serial_number == serial_number)
    return str(ports[0]) if ports else ""


def holders(port: str, proc: Path = Path("/proc")) -> Iterator[int]:
    """Other processes that have the port open, as far as this user may see."""
    wanted = os.path.realpath(port)
    for folder in proc.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                if any(os.readlink(entry) == wanted for entry in (folder / "fd").iterdir()):
                    yield int(folder.name)


def who(pids: list[int]) -> str:
    """Processes in words."""
    return ", ".join(f"pid {pid} ({command_line(pid)})" for pid in pids) or "a process of another user"


def port_row(port: str) -> Row:
    """Whether a port is there and free, for `hil doctor`. What lies behind a URL is not asked."""
    if "://" in port:
        return Row(port, "not asked", "", State.OK, origin="the board file")
    if not os.path.exists(port):
        return Row(port, "", "", State.MISSING, command="plug the board in, or name its port in the board file")
    if taken := list(holders(port)):
        return Row(port, f"in use by {who(taken)}", "", State.MISSING, command="end that program")
    return Row(port, "yes", "", State.OK, origin="the board file")


def _busy(port: str, pids: list[int], use: PortUse) -> str:
    return f"{use.step}: serial port {port} is in use by {who(pids)}\n  next: end that program, or {use.otherwise}"


def _advice(error: Exception, use: PortUse) -> str:
    if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM):
        return "add yourself to the port's group (sudo usermod -aG dialout $USER) and log in again"
    return f"name the port in the board file, or {use.otherwise}"
