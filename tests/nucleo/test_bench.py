"""`hil doctor` tells what a bench lacks: each of its lines over made-up device, rule and process trees."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hil.bench import usb as bench
from hil.bench.probe_lock import ProbeLock
from hil.bench.usb import Places, UsbBench, examine_bench, plugged_in
from hil.need import Row, State

SERIAL = "066CFF505750827567154312"


@dataclass
class Machine:
    """Trees like /sys/bus/usb/devices, /dev, /proc and udev's rules, in a folder."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(
            usb=self.root / "usb",
            dev=self.root / "dev",
            proc=self.root / "proc",
            rules=(self.root / "etc", self.root / "lib"),
            groups=frozenset(),
            superuser=False,
        )

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def plug_in(self, at: str = "1-3", serial: str = SERIAL, product: str = "374b", devnum: int = 7) -> Machine:
        """An ST-LINK/V2-1: three interfaces, the second is the serial port."""
        for name, text in {
            "idVendor": "0483",
            "idProduct": product,
            "serial": serial,
            "busnum": "1",
            "devnum": str(devnum),
        }.items():
            self.write(f"usb/{at}/{name}", text + "\n")
        (self.root / f"usb/{at}/{at}:1.2/tty/ttyACM{devnum}").mkdir(parents=True)
        self.write(f"dev/bus/usb/001/{devnum:03}", "")
        self.write(f"dev/ttyACM{devnum}", "")
        return self

    def process(self, pid: int, command: str, opened: Path | None = None, comm: str = "x") -> None:
        self.write(f"proc/{pid}/cmdline", command.replace(" ", "\0") + "\0")
        self.write(f"proc/{pid}/comm", comm + "\n")
        (self.root / f"proc/{pid}/fd").mkdir()
        if opened is not None:
            (self.root / f"proc/{pid}/fd/5").symlink_to(opened)

    def rows(self, wanted: str = "", firmware: str = "V2J37M26", **change: object) -> dict[str, Row]:
        rows = examine_bench([wanted] if wanted else [], replace(self.places, **change), lambda _: firmware)
        return {row.name: row for row in rows}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("usb", "dev", "proc", "etc", "lib"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path)


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Files that this user may not open: the superuser, who runs tests in containers, may open everything."""
    closed: set[Path] = set()
    allowed = os.access
    monkeypatch.setattr(bench.os, "access", lambda file, mode: Path(file) not in closed and allowed(file, mode))
    return closed


def test_a_bench_in_order(machine: Machine) -> None:
    machine.plug_in().write("lib/60-st.rules", 'SUBSYSTEM=="usb", ATTRS{idVendor}=="0483", MODE="0666"\n')
    rows = machine.rows()
    assert {row.state for row in rows.values()} == {State.OK}
    assert rows["ST-LINK"].found == SERIAL
    assert rows["serial port"].found.endswith("/dev/ttyACM7")
    assert rows["ST-LINK firmware"].found == "V2J37M26"
    assert {"pyocd", "pyserial", "pyyaml"} <= {name.lower() for name in rows}


def test_no_probe_is_told_with_what_else_is_missing(machine: Machine) -> None:
    rows = machine.rows()
    assert rows["ST-LINK"].state is State.MISSING
    assert "plug the board's ST-LINK in" in rows["ST-LINK"].command
    assert rows["udev rule for ST-LINK"].state is State.MISSING
    assert rows["udev rule for ST-LINK"].command.startswith("echo 'SUBSYSTEM==")
    assert rows["group of serial ports"].state is State.MISSING
    assert rows["group of serial ports"].command.startswith("sudo usermod -aG dialout $USER")
    assert "USB device" not in rows
    assert "`hil doctor --board=nucleo`" in UsbBench("nucleo", machine.places).missing()


def test_who_may_do_everything_needs_no_rule_and_no_group(machine: Machine) -> None:
    rows = machine.rows(superuser=True)
    assert rows["udev rule for ST-LINK"].state is State.OPTIONAL
    assert rows["group of serial ports"].state is State.OPTIONAL
    assert machine.rows(groups=frozenset({"dialout"}))["group of serial ports"].state is State.OK


def test_a_rule_that_is_a_comment_is_none(machine: Machine) -> None:
    machine.write("etc/49.rules", '# ATTRS{idVendor}=="0483"\nATTRS{idVendor}=="1366", MODE="0666"\n')
    assert machine.rows()["udev rule for ST-LINK"].state is State.MISSING


def test_a_device_that_may_not_be_opened_is_told(machine: Machine, forbidden: set[Path]) -> None:
    machine.plug_in()
    forbidden |= {machine.root / "dev/bus/usb/001/007", machine.root / "dev/ttyACM7"}
    rows = machine.rows()
    assert rows["USB device"].state is State.MISSING
    assert "udevadm" in rows["USB device"].command
    assert rows["serial port"].state is State.MISSING
    assert "sudo usermod -aG " in rows["serial port"].command
    assert "ST-LINK firmware" not in rows  # it was not asked
    assert SERIAL in UsbBench("nucleo", machine.places).missing()
    assert "udevadm" in UsbBench("nucleo", machine.places).missing()


def test_a_probe_without_a_serial_port_is_told(machine: Machine) -> None:
    machine.plug_in(product="3748")
    (machine.root / "usb/1-3/1-3:1.2/tty/ttyACM7").rmdir()
    assert machine.rows()["serial port"].state is State.MISSING


def test_several_probes_are_told_with_how_to_choose(machine: Machine) -> None:
    machine.plug_in().plug_in("1-4", "0669FF00", devnum=8)
    rows = machine.rows()
    assert rows["ST-LINK"].state is State.MISSING
    assert rows["ST-LINK"].found == f"0669FF00, {SERIAL}"
    assert "export HIL_PROBE=" in rows["ST-LINK"].command
    assert machine.rows("0669ff")["ST-LINK"].state is State.OK


def test_a_probe_of_a_hardware_map_is_enough(machine: Machine) -> None:
    machine.plug_in().plug_in("1-4", "0669FF00", devnum=8)
    rows = {row.name: row for row in examine_bench(["B2", "0669ff"], machine.places, lambda _: "V2J37M26")}
    assert (rows["ST-LINK"].state, rows["ST-LINK"].found) == (State.OK, "0669FF00")
    assert "id B2 or 0669ff" in rows["ST-LINK"].needed


def test_other_devices_are_no_probes(machine: Machine) -> None:
    machine.plug_in()
    machine.write("usb/usb1/idVendor", "1d6b")
    machine.write("usb/1-5/idVendor", "0483")
    machine.write("usb/1-5/idProduct", "5740")  # ST's id for a USB serial port of an own firmware
    assert [probe.serial for probe in plugged_in(machine.places)] == [SERIAL]


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("V2J35M26", State.OLD),
        ("V2J36M26", State.OK),
        ("V3J5M2", State.OLD),
        ("V3J6M2", State.OK),
        ("V4J1", State.OK),
        ("?", State.OLD),
    ],
)
def test_old_firmware_of_the_probe_is_told(machine: Machine, version: str, state: State) -> None:
    row = machine.plug_in().rows(firmware=version)["ST-LINK firmware"]
    assert (row.found, row.needed, row.state) == (version, "V2J36, V3J6", state)
    assert "STM32CubeProgrammer" in row.command


def test_firmware_that_cannot_be_asked_is_left_out(machine: Machine) -> None:
    assert "ST-LINK firmware" not in machine.plug_in().rows(firmware="")


def test_who_has_the_device_open_is_named(machine: Machine) -> None:
    machine.plug_in()
    machine.process(4242, "openocd -f board/st_nucleo_f4.cfg", (machine.root / "dev/bus/usb/001/007").resolve())
    row = machine.rows()["in use by"]
    assert row.state is State.MISSING
    assert row.found == "pid 4242 (openocd -f board/st_nucleo_f4.cfg)"
    assert "ST-LINK firmware" not in machine.rows()  # asking would disturb


def test_a_tool_of_another_user_is_known_by_its_name(machine: Machine) -> None:
    machine.plug_in().process(77, "/usr/bin/st-util -p 4242", comm="st-util")
    machine.process(78, "vim notes", comm="vim")
    assert machine.rows()["in use by"].found == "pid 77 (/usr/bin/st-util -p 4242)"


def test_another_run_of_the_harness_is_named(machine: Machine) -> None:
    lock = ProbeLock(SERIAL, 0)
    machine.plug_in().process(os.getpid(), "python -m pytest --board=nucleo")
    assert machine.rows()["in use by"].found == f"pid {os.getpid()} (python -m pytest --board=nucleo)"
    lock.close()
    assert machine.rows()["in use by"].found == "nobody"
