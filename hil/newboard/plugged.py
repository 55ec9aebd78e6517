"""Looks at what is plugged in, debug probes and serial ports, and says what a board file would say of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.bench.probe import Bench
from hil.board.config import BoardConfig
from hil.errors import UsageError
from hil.newboard.types import Found, Wanted

_BY_ID = Path("/dev/serial/by-id")
_OF_ONE_DEVICE = ("probe", "serial", "hardware_map", "platform", "power_cycle")


@dataclass(frozen=True)
class Port:
    """A serial port of this machine. usb: vendor and product id, "" for one that is no USB device."""

    device: str
    usb: str
    serial_number: str
    description: str

    def __str__(self) -> str:
        usb = f", USB {self.usb}, serial number {self.serial_number or 'none'}" if self.usb else ""
        return f"{self.device} ({self.description}{usb})"


def serial_ports() -> list[Port]:
    """Those of USB devices, as pyserial lists them."""
    from serial.tools.list_ports import comports

    return sorted(
        (
            Port(
                port.device,
                f"{port.vid:04x}:{port.pid:04x}",
                port.serial_number or "",
                port.product or port.description,
            )
            for port in comports()
            if port.vid is not None and port.pid is not None
        ),
        key=lambda port: port.device,
    )


def look(
    wanted: Wanted, bench: Bench, ports: Sequence[Port], known: Sequence[BoardConfig] = (), by_id: Path = _BY_ID
) -> Found:
    """The board that is plugged in: a port that was named, else the debug probe, else the only serial port.

    known: board files, one of which may be for such a board.

    Raises UsageError with a list of what there is when that is not clear.
    """
    if wanted.port:
        return _of_port(wanted, wanted.port, ports, by_id)
    probes = [probe for probe in bench.probes() if wanted.probe.lower() in str(probe.unique_id).lower()]
    if probes:
        return _of_probes(wanted, probes, ports, known)
    if wanted.probe:
        raise UsageError(f"no debug probe has {wanted.probe!r} in its id\n{bench.missing().replace('next:', 'fix:')}")
    if len(ports) == 1:
        return _of_port(wanted, ports[0].device, ports, by_id)
    there = "".join(f"\n    {port}" for port in ports)
    if not ports:
        raise UsageError(
            "neither a debug probe nor a USB serial port is plugged in\n"
            "  fix: plug the board in, or name its port: --port=socket://HOST:PORT"
        )
    raise UsageError(f"no debug probe, and {len(ports)} serial ports:{there}\n  fix: name the board's port with --port")


def _of_port(wanted: Wanted, port: str, ports: Sequence[Port], by_id: Path) -> Found:
    """port: a device or a URL of pyserial. The name that a device keeps wherever it is plugged in is preferred."""
    stable = _stable(port, by_id)
    known = next((each for each in ports if os.path.realpath(each.device) == os.path.realpath(port)), None)
    origin = str(known) if known else "--port"
    settings: dict[str, Any] = {"port": stable, "baud": wanted.baud or 115_200, "flash": "none", "reset": "none"}
    if wanted.clock_hz is not None:
        settings["clock_hz"] = wanted.clock_hz
    what = known.description if known else port
    return Found("serial", wanted.name, f"board behind {what}", settings, origins={"port": origin})


def _stable(port: str, by_id: Path) -> str:
    if by_id.is_dir() and os.path.exists(port):
        for link in sorted(by_id.iterdir()):
            if os.path.realpath(link) == os.path.realpath(port):
                return str(link)
    return port


def _of_probes(wanted: Wanted, probes: Sequence[Any], ports: Sequence[Port], known: Sequence[BoardConfig]) -> Found:
    """One is a board; several on boards of one kind are a pool. A board file for such a board gives all the rest."""
    boards = {(_board_id(probe), _chip(probe, wanted)) for probe in probes}
    if len(boards) > 1:
        there = "".join(f"\n    {probe.unique_id} on {_board_name(probe)}" for probe in probes)
        raise UsageError(f"{len(probes)} probes are on boards of several kinds:{there}\n  fix: name one with --id")
    ((board_id, chip),) = boards
    like = next((each for each in known if board_id and each.settings.get("board_id") == board_id), None)
    settings, origins = _common(wanted, probes[0], board_id, chip, like)
    rows = [_row(str(probe.unique_id), ports) for probe in probes]
    origins["probe"], origins["serial"] = _board_name(probes[0]), "this machine: the probe has no serial port"
    target, description = like.target if like else wanted.name, f"{_board_name(probes[0])} on its debug probe"
    if len(rows) == 1:
        settings, rows = {**settings, **rows[0]}, []
    return Found("pyocd", target, description, settings, tuple(rows), own=like is None, origins=origins)


def _common(
    wanted: Wanted, probe: Any, board_id: str, chip: str, like: BoardConfig | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Keys that all devices share, and where they come from. like: another board file for such a board."""
    settings: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if like is not None:
        settings = {key: value for key, value in like.settings.items() if key not in _OF_ONE_DEVICE}
        origins = dict.fromkeys(settings, like.file.name)
    for key, value, origin in (
        ("pyocd_target", wanted.chip, "--target"),
        ("clock_hz", wanted.clock_hz, "--clock-hz"),
        ("baud", wanted.baud, "--baud"),
        ("pyocd_target", "" if "pyocd_target" in settings else chip, f"pyOCD, for board id {board_id}"),
        ("board_id", "" if "board_id" in settings else board_id, "the probe"),
    ):
        if value and (key not in settings or origin.startswith("--")):
            settings[key], origins[key] = value, origin
    if "pyocd_target" not in settings:
        raise UsageError(
            f"probe {probe.unique_id} does not tell which chip it is on\n"
            "  fix: give the chip's name at pyOCD with --target: `pyocd list --targets` shows all"
        )
    if "clock_hz" not in settings:
        raise UsageError(
            "nothing here tells at what rate the core runs\n"
            "  fix: give it with --clock-hz, such as 180000000: the run holds it against host time"
        )
    return settings, origins


def _row(number: str, ports: Sequence[Port]) -> dict[str, Any]:
    """The probe, and that nobody listens to a log where it has no serial port; else the board file finds its own."""
    has_port = any(port.serial_number == number for port in ports)
    return {"probe": number} if has_port else {"probe": number, "serial": "none"}


def _board_id(probe: Any) -> str:
    return str(getattr(probe, "board_id", None) or "")


def _board_name(probe: Any) -> str:
    name = getattr(getattr(probe, "associated_board_info", None), "name", None)
    return str(name or probe.description)


def _chip(probe: Any, wanted: Wanted) -> str:
    return wanted.chip or str(getattr(getattr(probe, "associated_board_info", None), "target", None) or "")
