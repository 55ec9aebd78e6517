"""pyOCD's own ST-Link driver in front of the simulated bench, and each way in which that bench can be broken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyocd.probe.stlink.usb
import pytest
import serial
import usb.core
from elftools.elf.elffile import ELFFile
from pyocd.core.exceptions import Error as DebugError
from pyocd.core.exceptions import FlashEraseFailure, ProbeError, TransferFaultError
from pyocd.core.helpers import ConnectHelper
from pyocd.core.target import Target
from pyocd.flash.file_programmer import FileProgrammer

from hil.bench.target import no_register_descriptions
from hil.errors import BoardError, UsageError
from hil.virtual.board import SERIAL_NUMBER, VirtualNucleo
from hil.virtual.stlink import SERIAL_PATH
from hil.virtual.usb import ControlLine
from tests.virtual.program import Program, assemble

pytestmark = pytest.mark.slow

LIMIT_S = 10.0
COUNTER = 0x20000000
BANNER = b"hello, bench\n"
FIRMWARE = (
    """
    store 0x40023830, 8              @ GPIOD and USART3 at the reset clock of 16 MHz
    store 0x40023840, 0x40000
    store 0x40020C00, 0x20000
    store 0x40020C24, 7
    store 0x40004808, 139
    store 0x4000480C, 0x2008
"""
    + "".join(f"store 0x40004804, {byte}\n" for byte in BANNER)
    + """
    load r0, 0x20000000
    movs r1, #0
loop:
    adds r1, #1
written:
    str r1, [r0]
    b loop
.align 4
filling: .fill 8192, 1, 0xA4
"""
)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return assemble(tmp_path_factory.mktemp("firmware"), FIRMWARE)


def segments(program: Program) -> list[tuple[int, bytes]]:
    with program.file.open("rb") as file:
        return [(s["p_paddr"], s.data()) for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]


def choose() -> Any:
    options = {
        "hide_programming_progress": True,
        "target_override": "stm32f429xi",
        "vector_catch": "",
        "reset.hold_time": 0.0,
        "reset.post_delay": 0.0,
    }
    with no_register_descriptions():
        return ConnectHelper.session_with_chosen_probe(blocking=False, return_first=True, options=options)


def read_often(target: Any, times: int) -> None:
    for _ in range(times):
        target.read32(COUNTER)


@contextmanager
def connected(misbehave: Sequence[str] = (), flash_image: Path | None = None) -> Iterator[tuple[VirtualNucleo, Any]]:
    """A bench of its own with a session to it."""
    with VirtualNucleo(misbehave, flash_image) as bench, bench.plugged_in(), choose() as session:
        yield bench, session.target


def flash(target: Any, program: Program) -> None:
    target.reset_and_halt()
    FileProgrammer(target.session).program(str(program.file))


def observe(done: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end, "it did not come"
        time.sleep(1e-3)


def test_pyocd_identifies_flashes_reads_back_and_runs(firmware: Program) -> None:
    with connected() as (_, target):
        assert target.session.board.name == "NUCLEO-F429ZI"
        assert target.session.probe.board_id == "0796"
        assert target.selected_core.name == "Cortex-M4"
        assert target.read32(0xE0042000) & 0xFFF == 0x419
        flash(target, firmware)
        for address, data in segments(firmware):
            assert bytes(target.read_memory_block8(address, len(data))) == data
        target.reset()
        first = target.read32(COUNTER)
        observe(lambda: target.read32(COUNTER) > first)
        assert target.get_state() is Target.State.RUNNING


def test_halt_step_breakpoint_and_watchpoint(firmware: Program) -> None:
    with connected() as (_, target):
        flash(target, firmware)
        target.reset_and_halt()
        assert target.read_core_register("pc") == firmware.labels["start"]
        target.step()
        assert target.read_core_register("pc") == firmware.labels["start"] + 4
        loop, written = firmware.labels["loop"], firmware.labels["written"]
        target.set_breakpoint(loop)
        for turn in range(3):
            target.resume()
            observe(lambda: target.get_state() is Target.State.HALTED)
            assert (target.read_core_register("pc"), target.read_core_register("r1")) == (loop, turn)
        target.remove_breakpoint(loop)
        target.set_watchpoint(COUNTER, 4, Target.WatchpointType.WRITE)
        target.resume()
        observe(lambda: target.get_state() is Target.State.HALTED)
        assert target.read_core_register("pc") == written + 2
        assert target.read32(COUNTER) == target.read_core_register("r1") == 3
        target.write_core_register("r1", 0x1000)
        target.remove_watchpoint(COUNTER, 4, Target.WatchpointType.WRITE)
        target.resume()
        observe(lambda: target.read32(COUNTER) > 0x1000)


def test_memory_is_read_and_written_while_the_core_runs(firmware: Program) -> None:
    with connected() as (_, target):
        flash(target, firmware)
        target.reset()
        data = bytes(range(256)) * 5
        target.write_memory_block8(0x20010001, list(data))
        assert bytes(target.read_memory_block8(0x20010001, len(data))) == data
        target.write16(0x20010002, 0xBEEF)
        assert target.read32(0x20010000) == 0xBEEF0000
        assert target.get_state() is Target.State.RUNNING
        with pytest.raises(TransferFaultError):
            target.read32(0x60000000)
        assert target.read32(COUNTER) != 0


def test_a_vector_catch_stops_the_core_at_its_handler() -> None:
    with connected() as (_, target):  # a blank chip: its first instruction is a fault
        target.set_vector_catch(Target.VectorCatch.HARD_FAULT)
        target.reset()
        assert target.get_state() in (Target.State.HALTED, Target.State.LOCKUP)
        assert target.read32(0xE000ED2C) & 1 << 30  # HFSR.FORCED


def test_the_flash_is_kept_in_a_file_between_two_runs(firmware: Program, tmp_path: Path) -> None:
    image = tmp_path / "flash.bin"
    with connected(flash_image=image) as (_, target):
        flash(target, firmware)
    address, data = segments(firmware)[0]
    assert image.read_bytes()[address - 0x08000000 :][: len(data)] == data
    with connected(flash_image=image) as (_, target):
        observe(lambda: target.read32(COUNTER) > 0)


def test_the_com_port_speaks_at_the_rate_of_the_firmware(firmware: Program) -> None:
    with connected() as (bench, target):
        flash(target, firmware)
        target.reset_and_halt()
        with serial.Serial(bench.serial_path, 115_200, timeout=LIMIT_S, exclusive=True) as port:
            target.resume()
            assert port.readline() == BANNER
        with serial.Serial(bench.serial_path, 9_600, timeout=0.2, exclusive=True) as port:
            target.reset()
            assert port.read(64) not in (BANNER, b"")


def test_the_bus_is_the_real_one_again_afterwards() -> None:
    driver = pyocd.probe.stlink.usb
    before = driver.usb_find
    with VirtualNucleo() as bench:
        with bench.plugged_in():
            assert [device.serial_number for device in bench.devices] == [SERIAL_NUMBER]
            assert driver.usb_find is not before
        assert driver.usb_find is before
        with pytest.raises(RuntimeError, match="on purpose"), bench.plugged_in():
            raise RuntimeError("on purpose")
        assert driver.usb_find is before


def test_an_open_probe_is_not_opened_twice() -> None:
    with connected(), pytest.raises(usb.core.USBError, match="busy"):
        choose().open()


# ---- what can be wrong


def probes() -> list[str]:
    return [probe.unique_id for probe in ConnectHelper.get_all_connected_probes(blocking=False)]


@pytest.mark.parametrize(("misbehaviour", "count"), [("no-probe", 0), ("two-probes", 2)])
def test_the_number_of_probes(misbehaviour: str, count: int) -> None:
    with VirtualNucleo([misbehaviour]) as bench, bench.plugged_in():
        found = probes()
    assert len(set(found)) == count
    assert (SERIAL_NUMBER in found) == bool(count)


def test_a_board_without_power_does_not_answer() -> None:
    with VirtualNucleo(["no-target-power"]) as bench, bench.plugged_in():
        session = choose()
        with pytest.raises(DebugError, match="Target not detected"):
            session.open()
        assert session.probe._link.target_voltage == 0


def test_the_identities_can_be_wrong() -> None:
    with connected(["board-id:0740", "idcode:0x413"]) as (_, target):
        assert target.session.probe.board_id == "0740"
        assert target.read32(0xE0042000) & 0xFFF == 0x413


def test_a_protected_sector_is_not_erased(firmware: Program) -> None:
    with connected(["write-protect:0"]) as (_, target), pytest.raises(FlashEraseFailure):
        flash(target, firmware)


def test_a_stuck_bit_is_seen_by_reading_back(firmware: Program) -> None:
    address, data = segments(firmware)[0]
    where = firmware.labels["filling"] + 100
    with connected([f"stuck-bit:{where:#x}"]) as (_, target):
        flash(target, firmware)
        read = bytes(target.read_memory_block8(address, len(data)))
    assert [i + address for i, pair in enumerate(zip(read, data, strict=True)) if pair[0] != pair[1]] == [where]
    assert read[where - address] == 0xA5  # 0xA4, with its lowest zero not programmed


@pytest.mark.parametrize("back", [False, True])
def test_the_cable_is_pulled_while_flashing(firmware: Program, back: bool) -> None:
    text = "unplug:flash" + (":back" if back else "")
    with VirtualNucleo([text]) as bench, bench.plugged_in():
        with pytest.raises(ProbeError, match="Errno 19"), choose() as session:
            flash(session.target, firmware)
        assert probes() == []
        if not back:
            assert probes() == []
            return
        with choose() as session:
            flash(session.target, firmware)
            session.target.reset()
            observe(lambda: session.target.read32(COUNTER) > 0)


def test_the_cable_is_pulled_while_the_firmware_runs(firmware: Program) -> None:
    with VirtualNucleo(["unplug:run:50"]) as bench, bench.plugged_in():
        session = choose()
        session.open()
        flash(session.target, firmware)  # the loader runs from RAM: it is not counted
        session.target.reset()
        read_often(session.target, 200)  # nor are reads until the firmware is written to: it may still be starting
        session.target.write32(0x20010000, 1)
        with pytest.raises(ProbeError, match="Errno 19"):
            read_often(session.target, 100)
        assert bench.devices == []
        assert bench.ended() is None


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that hangs, and then goes on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_simulation_that_hangs_is_told_and_given_up() -> None:
    with VirtualNucleo() as bench:
        begin = time.monotonic()
        with frozen(bench.pid):
            assert bench.devices == []
            assert 2.5 < time.monotonic() - begin < 8
            assert bench.ended() == "the simulated board does not answer"
        assert bench.devices == []  # its late answer is of no use to anybody
        assert bench.ended() is not None


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = ControlLine(ours)
    with closing(line), theirs:
        theirs.send(b"\0L-of-before")  # an answer whose question was interrupted before it came
        theirs.send(b"\1/dev/pts/7")
        assert line.serial_path() == "/dev/pts/7"
        assert theirs.recv(16) == b"\1" + SERIAL_PATH


def test_the_core_locks_up_soon_after_its_start(firmware: Program) -> None:
    with connected(["lockup:5000"]) as (_, target):
        flash(target, firmware)
        target.reset()
        observe(lambda: target.get_state() is Target.State.LOCKUP)
        target.halt()
        assert target.read_core_register("pc") & ~1 == 0xFFFFFFFE


def test_a_slow_probe_takes_longer() -> None:
    with connected(["slow:2"]) as (_, target):
        begin = time.monotonic()
        read_often(target, 5)
        assert time.monotonic() - begin >= 5 * 2 * 0.002  # two commands a read


@pytest.mark.parametrize("misbehaviour", ["uart-garbage", "serial-busy"])
def test_the_com_port_is_broken(firmware: Program, misbehaviour: str) -> None:
    with connected([misbehaviour]) as (bench, target):
        flash(target, firmware)
        if misbehaviour == "serial-busy":
            with pytest.raises(serial.SerialException, match=r"lock|busy"):
                serial.Serial(bench.serial_path, 115_200, exclusive=True)
            return
        with serial.Serial(bench.serial_path, 115_200, timeout=0.5) as port:
            target.reset()
            assert port.read(len(BANNER)) not in (BANNER, b"")


@pytest.mark.parametrize(
    "text", ["unplug", "unplug:never", "slow", "idcode:x", "write-protect:24", "board-id:12", "", "x:1"]
)
def test_an_unknown_misbehaviour_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="misbehave"):
        VirtualNucleo([text])


def test_nothing_stays_when_the_harness_is_killed() -> None:
    code = (
        "import time; from hil.virtual.board import VirtualNucleo\n"
        "with VirtualNucleo() as bench:\n print(bench.pid, bench.serial_path, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        pid, path = harness.stdout.readline().split()
        harness.send_signal(signal.SIGKILL)
    observe(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])
    observe(lambda: not os.path.exists(path))


def test_the_process_ends_with_its_context() -> None:
    with VirtualNucleo() as bench:
        pid = bench.pid
        assert bench.ended() is None
    observe(lambda: not Path(f"/proc/{pid}").exists())
    assert bench.devices == []


def test_the_com_port_goes_with_the_cable_and_comes_back_with_it(firmware: Program) -> None:
    with VirtualNucleo(["unplug:flash:10:back"]) as bench, bench.plugged_in():
        before = bench.serial_path
        with serial.Serial(before, 115_200, timeout=1) as port:
            with pytest.raises(ProbeError, match="Errno 19"), choose() as session:
                flash(session.target, firmware)
            with pytest.raises(serial.SerialException):
                port.read(1)
        assert probes() == []
        assert probes() == [SERIAL_NUMBER]
        with serial.Serial(bench.serial_path, 115_200, timeout=1):
            pass


def test_a_bench_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"(?s)start: .*flash\.bin: No such file"):
        VirtualNucleo(flash_image=tmp_path / "missing" / "flash.bin")
