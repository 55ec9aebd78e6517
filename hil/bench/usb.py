"""Knows the USB side of a bench: which probes are plugged in, whether this user may use them, and who else does."""

from __future__ import annotations

import grp
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from hil.bench.port import holders, usb_port
from hil.bench.probe_lock import command_line, holder
from hil.need import Row, State
from hil.project.places import DISTRIBUTION, pip_command

ST_VENDOR = "0483"
# USB product ids of the ST-LINK/V2, V2-1 and V3, with and without mass storage and second port.
ST_LINKS = frozenset(("3748", "374a", "374b", "374e", "374f", "3752", "3753", "3754", "3755", "3757"))
# Older firmware does not tell the board id.
MINIMUM_FIRMWARE = {2: 36, 3: 6}
_OTHER_TOOLS = frozenset(("openocd", "st-util", "pyocd", "STM32_Programmer", "STM32CubeProg", "ST-LINK_gdbserver"))
_RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="0483", MODE="0660", GROUP="plugdev", TAG+="uaccess"'
_RULE_FILE = "/etc/udev/rules.d/49-stlink.rules"
_ADD_RULE = f"echo '{_RULE}' | sudo tee {_RULE_FILE} && sudo udevadm control --reload && sudo udevadm trigger"
_UPDATE = "update the ST-LINK with STSW-LINK007 or STM32CubeProgrammer (Firmware upgrade)"


def _groups() -> frozenset[str]:
    names = set()
    for number in os.getgroups():
        with suppress(KeyError):
            names.add(grp.getgrgid(number).gr_name)
    return frozenset(names)


@dataclass(frozen=True)
class Places:
    """Where the machine shows its devices and processes, and who the user is. Tests put their own there."""

    usb: Path = Path("/sys/bus/usb/devices")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    rules: tuple[Path, ...] = (
        Path("/etc/udev/rules.d"),
        Path("/run/udev/rules.d"),
        Path("/usr/lib/udev/rules.d"),
        Path("/lib/udev/rules.d"),
    )
    groups: frozenset[str] = field(default_factory=_groups)
    superuser: bool = field(default_factory=lambda: os.geteuid() == 0)


@dataclass(frozen=True)
class UsbProbe:
    """An ST-LINK as the kernel lists it: serial number, device node, serial ports."""

    serial: str
    node: Path
    ports: tuple[Path, ...]


def plugged_in(places: Places) -> list[UsbProbe]:
    """Every ST-LINK on the bus, whether this user may open it or not."""
    return sorted(_scan(places), key=lambda probe: probe.serial)


def _scan(places: Places) -> Iterator[UsbProbe]:
    for folder in places.usb.iterdir() if places.usb.is_dir() else ():
        if _line(folder / "idVendor") == ST_VENDOR and _line(folder / "idProduct") in ST_LINKS:
            bus, device = _line(folder / "busnum"), _line(folder / "devnum")
            node = places.dev / "bus" / "usb" / bus.zfill(3) / device.zfill(3)
            ports = tuple(sorted(places.dev / tty.name for tty in folder.glob("*/tty/*")))
            yield UsbProbe(_line(folder / "serial"), node, ports)


def _line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


class UsbBench:
    """The probes of this machine's USB bus, as pyOCD finds them."""

    def __init__(self, board: str, places: Places | None = None) -> None:
        """board: its name, for advice."""
        self._board, self._places = board, places or Places()

    def probes(self) -> list[Any]:
        """All of pyOCD's drivers are asked, not only that for ST-LINKs."""
        from pyocd.core.helpers import ConnectHelper

        return list(ConnectHelper.get_all_connected_probes(blocking=False))

    def missing(self) -> str:
        """What the kernel shows and pyOCD does not."""
        closed = [probe for probe in plugged_in(self._places) if not _may_open(probe.node)]
        if closed:
            serials = ", ".join(probe.serial for probe in closed)
            return f"  an ST-LINK is there ({serials}), but this user may not open it\n  next: {_ADD_RULE}"
        return f"  next: plug its ST-LINK in by a data cable; `hil doctor --board={self._board}` looks at the bench"

    def serial_port(self, probe: str) -> str:
        """The virtual COM port with the probe's USB serial number."""
        return usb_port(probe)

    def friends(self) -> frozenset[int]:
        """None: whoever else has the port open takes bytes away."""
        return frozenset()

    def lock_name(self, probe: str) -> str:
        """Its id: one per probe on this machine."""
        return probe

    def close(self) -> None:
        """Nothing is held."""


# ---- doctor


def examine_bench(
    wanted: Sequence[str], places: Places | None = None, firmware: Callable[[str], str] | None = None
) -> list[Row]:
    """Lines of `hil doctor` for a bench with an ST-LINK.

    wanted: parts of the ids of the probes that would do, none for the only one. firmware: version text of the probe
    with a serial number, "" when it cannot be asked.
    """
    places = places or Places()
    names = [name.lower() for name in wanted] or [""]
    present = [probe for probe in plugged_in(places) if any(name in probe.serial.lower() for name in names)]
    rows = [*package_rows("bench"), _probe_row(present, " or ".join(wanted)), _rule_row(present, places)]
    if len(present) != 1:
        return [*rows, _group_row(places)]
    probe = present[0]
    users = list(_users(probe, places))
    rows += [_node_row(probe), _port_row(probe, places), _use_row(probe, users)]
    version = "" if users or not _may_open(probe.node) else (firmware or firmware_version)(probe.serial)
    return [*rows, _firmware_row(version)] if version else rows


def package_rows(extra: str) -> Iterator[Row]:
    """The packages of an optional extra of this project."""
    command = pip_command(extra)
    for text in metadata.requires(DISTRIBUTION) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        needed = str(requirement.specifier)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Row(requirement.name, "", needed, State.MISSING, command=command, origin=command)
            continue
        state = State.OK if requirement.specifier.contains(version, prereleases=True) else State.OLD
        yield Row(requirement.name, version, needed, state, command=command, origin=command)


def _probe_row(present: list[UsbProbe], wanted: str) -> Row:
    serials = ", ".join(probe.serial for probe in present)
    state, command = State.OK, ""
    if not present:
        state = State.MISSING
        command = "plug the board's ST-LINK in by a data cable" + (f" (its id has {wanted})" if wanted else "")
    elif len(present) > 1:
        state, command = State.MISSING, f"export HIL_PROBE={present[0].serial}   # or another of {serials}"
    return Row("ST-LINK", serials, f"id {wanted}" if wanted else "one", state, command=command, origin="the bench")


def _rule_row(present: list[UsbProbe], places: Places) -> Row:
    """Without a rule, only the superuser may open a USB device."""
    found = next((str(file) for file in _rule_files(places) if _is_rule(file)), "")
    if found:
        state = State.OK
    elif places.superuser or (present and all(_may_open(probe.node) for probe in present)):
        state = State.OPTIONAL
    else:
        state = State.MISSING
    return Row("udev rule for ST-LINK", found, "one", state, command=_ADD_RULE, origin="the bench")


def _rule_files(places: Places) -> Iterator[Path]:
    for folder in places.rules:
        if folder.is_dir():
            yield from sorted(folder.glob("*.rules"))


def _is_rule(file: Path) -> bool:
    lines = _line(file).lower().splitlines()
    return any("idvendor" in line and ST_VENDOR in line for line in lines if not line.startswith("#"))


def _node_row(probe: UsbProbe) -> Row:
    state = State.OK if _may_open(probe.node) else State.MISSING
    command = f"{_ADD_RULE}; sudo usermod -aG plugdev $USER   # then log in again"
    return Row("USB device", str(probe.node), "may be opened", state, command=command, origin="the bench")


def _port_row(probe: UsbProbe, places: Places) -> Row:
    port = next(iter(probe.ports), None)
    if port is None:
        command = "use an ST-LINK with a virtual COM port, or set serial in the board file"
        return Row("serial port", "", "may be opened", State.MISSING, command=command, origin="the bench")
    state = State.OK if _may_open(port) else State.MISSING
    return Row("serial port", str(port), "may be opened", state, command=_join(_owner(port)), origin="the bench")


def _group_row(places: Places) -> Row:
    """Without a board the port cannot be tried; its group is what distributions give it."""
    found = next((name for name in ("dialout", "uucp") if name in places.groups), "")
    state = State.OK if found else State.OPTIONAL if places.superuser else State.MISSING
    return Row("group of serial ports", found, "dialout", state, command=_join("dialout"), origin="the bench")


def _use_row(probe: UsbProbe, users: list[str]) -> Row:
    state = State.MISSING if users else State.OK
    command = f"end {', '.join(users)}"
    return Row("in use by", ", ".join(users) or "nobody", "nobody", state, command=command, origin="the bench")


def _firmware_row(version: str) -> Row:
    match = re.match(r"V(\d+)J(\d+)", version)
    enough = match is not None and int(match[2]) >= MINIMUM_FIRMWARE.get(int(match[1]), 0)
    needed = ", ".join(f"V{hardware}J{minimum}" for hardware, minimum in MINIMUM_FIRMWARE.items())
    state = State.OK if enough else State.OLD
    return Row("ST-LINK firmware", version, needed, state, command=_UPDATE, origin="the bench")


def _users(probe: UsbProbe, places: Places) -> Iterator[str]:
    """Who has the probe: a run of this harness, a process that has its node open, or a tool that is made for it."""
    found: dict[int, str] = {}
    if (pid := holder(probe.serial)) is not None:
        found[pid] = command_line(pid, places.proc)
    for pid in holders(str(probe.node), places.proc):
        found.setdefault(pid, command_line(pid, places.proc))
    # Of another user's process only the name can be seen.
    for folder in places.proc.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid() and _line(folder / "comm") in _OTHER_TOOLS:
            found.setdefault(int(folder.name), command_line(int(folder.name), places.proc))
    for pid, command in found.items():
        yield f"pid {pid} ({command or '?'})"


def firmware_version(serial: str) -> str:
    """What the ST-LINK with this serial number says of its firmware, such as V2J37M26; "" when it does not answer."""
    try:
        from pyocd.probe.stlink.stlink import STLink
        from pyocd.probe.stlink.usb import STLinkUSBInterface
    except ImportError:
        return ""
    for device in STLinkUSBInterface.get_all_connected_devices():
        if device.serial_number == serial:
            link = STLink(device)
            with suppress(Exception):  # in use meanwhile, or it was unplugged
                link.open()
                version = str(link.version_str)
                link.close()
                return version
    return ""


def _may_open(file: Path) -> bool:
    return os.access(file, os.R_OK | os.W_OK)


def _owner(file: Path) -> str:
    with suppress(OSError, KeyError):
        return grp.getgrgid(file.stat().st_gid).gr_name
    return "dialout"


def _join(group: str) -> str:
    return f"sudo usermod -aG {group} $USER   # then log in again"
