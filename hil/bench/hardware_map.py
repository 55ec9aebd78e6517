"""Knows Zephyr twister's hardware map: which boards a bench has, by probe id and serial port.

Keys as in Zephyr's scripts/schemas/twister/hwmap-schema.yaml.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.errors import MissingTool, UsageError
from hil.project.places import pip_command

# The keys that are read. A key close to one of them is a slip of the pen; all others are twister's own affair.
_KEYS = ("connected", "id", "probe_id", "platform", "serial", "serial_pty", "baud")
_CLOSE = 0.75


@dataclass(frozen=True)
class MappedBoard:
    """One connected board. serial: "" when the map names no port; baud: None when it names no rate."""

    probe: str
    serial: str
    baud: int | None


def read_hardware_map(file: Path, platform: str) -> list[MappedBoard]:
    """The connected boards of `platform` ("nucleo_f429zi"; what follows a slash does not count).

    Raises UsageError that names file and entry, MissingTool without PyYAML.
    """
    entries = _load(file)
    found = [_board(file, number, entry) for number, entry in enumerate(entries, 1) if _fits(entry, platform)]
    if not found:
        present = sorted({name for entry in entries if entry["connected"] for name in _platforms(entry)})
        raise UsageError(
            f"{file}: no connected board of platform {platform!r}; connected are {', '.join(present) or 'none'}\n"
            f"  fix: set connected: true in its entry, or name another platform in the board file"
        )
    return found


def connected_platforms(file: Path) -> list[str]:
    """Names of the platforms of all connected boards, sorted. Raises as `read_hardware_map`."""
    return sorted({name for entry in _load(file) if entry["connected"] for name in _platforms(entry)})


def _load(file: Path) -> list[dict[str, Any]]:
    try:
        import yaml
    except ImportError:
        raise MissingTool("PyYAML", f"to read {file}", pip_command("bench")) from None
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: {error}\n  fix: name a twister hardware map (a YAML list of boards)") from error
    if not isinstance(entries, list):
        raise UsageError(
            f"{file}: is no list\n  fix: write a list of boards, as `twister --generate-hardware-map` does"
        )
    for number, entry in enumerate(entries, 1):
        _check(file, number, entry)
    return entries


def _check(file: Path, number: int, entry: object) -> None:
    if not isinstance(entry, dict):
        raise UsageError(f"{file}: entry {number}: is no map\n  fix: give it connected, id, platform, product, runner")
    for key in (key for key in entry if isinstance(key, str) and key not in _KEYS):
        if close := difflib.get_close_matches(key, _KEYS, n=1, cutoff=_CLOSE):
            raise UsageError(f"{file}: entry {number}: {key}: unknown key\n  fix: write {close[0]!r}")
    # A board that is not connected may lack all the rest; twister itself writes such entries.
    if not isinstance(entry.get("connected"), bool):
        raise UsageError(f"{file}: entry {number}: connected: must be true or false\n  fix: write connected: true")


def _fits(entry: dict[str, Any], platform: str) -> bool:
    return entry["connected"] and platform in _platforms(entry)


def _platforms(entry: dict[str, Any]) -> list[str]:
    """Names of the platforms, without the qualifiers of Zephyr 3.7 and later ("nucleo_f429zi/stm32f429xx")."""
    value = entry.get("platform")
    names = value if isinstance(value, list) else str(value or "").split()
    return [str(name).split("/")[0] for name in names]


def _board(file: Path, number: int, entry: dict[str, Any]) -> MappedBoard:
    # `id` is what the runner flashes by; where that is no probe, the map has `probe_id` beside it.
    probe = _text(file, number, "probe_id" if "probe_id" in entry else "id", entry, needed=True)
    serial = _text(file, number, "serial", entry) or _pty(file, number, entry)
    baud = entry.get("baud")
    if baud is not None and (not isinstance(baud, int) or isinstance(baud, bool) or baud <= 0):
        raise UsageError(f"{file}: entry {number}: baud: {baud!r} is no rate\n  fix: write a number, such as 115200")
    return MappedBoard(probe, serial, baud)


def _text(file: Path, number: int, key: str, entry: dict[str, Any], needed: bool = False) -> str:
    value = entry.get(key)
    if value is None or value == "":
        if needed:
            raise UsageError(f"{file}: entry {number}: {key}: is missing\n  fix: write the id of its debug probe")
        return ""
    if isinstance(value, str):
        return value
    # YAML reads an id of digits alone as a number, and a leading zero of it would be lost.
    raise UsageError(f"{file}: entry {number}: {key}: {value!r} is no text\n  fix: put it in quotes")


def _pty(file: Path, number: int, entry: dict[str, Any]) -> str:
    if entry.get("serial_pty"):
        raise UsageError(
            f"{file}: entry {number}: serial_pty: a script as port is not supported\n  fix: name a port with serial"
        )
    return ""
