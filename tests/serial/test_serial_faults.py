"""What can happen to a serial line happens to the real firmware's: a clean retry or an error that says what is wrong,
within ten seconds, and never a wrong record.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from native_session import imu_motion, native_image
from serial_board import wired_board, wired_device
from wire import Wire

from hil.board.serial import SerialBoard
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import BoardBroken, BoardError, DeviceReset
from hil.records import Record, Status

pytestmark = pytest.mark.slow

KINDS = ("pty", "socket")
WITHIN_S = 10.0
WINDOWS = range(0, 300, 10)
HOLD = "import sys, time; port = open(sys.argv[1], 'rb'); print('held', flush=True); time.sleep(60)"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wired(kind: str, tmp_path: Path) -> Iterator[tuple[Wire, Device]]:
    with wired_device(tmp_path, kind) as both:
        yield both


@contextmanager
def in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < WITHIN_S


def told(record: Record) -> tuple[object, ...]:
    """What a record says but times and marks."""
    return record.status, record.gate, record.digest, record.output, record.decision, record.received


def require_right(device: Device, windows: range = WINDOWS) -> None:
    """Every record is the vector's own, whatever happens to the line."""
    vectors = imu_motion().vectors
    wanted = {tuple(told(clean_record(index))) for index in windows}
    seen = {tuple(told(device.run(vectors.payload(index)))) for index in windows}
    assert seen == wanted


_CLEAN: dict[int, Record] = {}


def clean_record(index: int) -> Record:
    return _CLEAN[index]


@pytest.fixture(scope="module", autouse=True)
def _clean(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The records over a line to which nothing happens."""
    with wired_device(tmp_path_factory.mktemp("clean"), "socket") as (_, device):
        for index in WINDOWS:
            _CLEAN[index] = device.run(imu_motion().vectors.payload(index))
        assert device.counters.damaged == 0
    assert {record.status for record in _CLEAN.values()} == {Status.DONE}


# ---- what a retry mends


def garbage_between(dice: random.Random, data: bytes) -> bytes:
    return b"\0" + dice.randbytes(dice.randrange(1, 40)).replace(b"\0", b"x") + b"\0" + data


def garbage_before(dice: random.Random, data: bytes) -> bytes:
    """No zero parts it from the frame, and the frame has none of its own in front."""
    return dice.randbytes(3).replace(b"\0", b"x") + data if dice.random() < 0.1 else data


def garbage_inside(dice: random.Random, data: bytes) -> bytes:
    if len(data) < 20 or dice.random() > 0.1:
        return data
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(4) + data[at + 4 :]


def a_line_inside(dice: random.Random, data: bytes) -> bytes:
    if len(data) < 20 or dice.random() > 0.1:
        return data
    at = dice.randrange(1, len(data))
    return data[:at] + b"E (2711) i2c: timeout\r\n" + data[at:]


def lost_bytes(dice: random.Random, data: bytes) -> bytes:
    return bytes(byte for byte in data if dice.random() > 0.0002)


@pytest.mark.parametrize("meddle", [garbage_between, garbage_before, garbage_inside, a_line_inside, lost_bytes])
@pytest.mark.parametrize("to_host", [True, False])
def test_a_line_that_damages_costs_repeats_and_no_record(
    wired: tuple[Wire, Device], meddle: Callable[[random.Random, bytes], bytes], to_host: bool
) -> None:
    wire, device = wired
    dice, met = random.Random(20_201), []

    def damage(data: bytes) -> bytes:
        changed = meddle(dice, data)
        met.append(changed != data)
        return changed

    if to_host:
        wire.to_host = damage
    else:
        wire.to_device = damage
    require_right(device)
    assert any(met)


def test_lines_between_frames_are_logged_and_cost_nothing(wired: tuple[Wire, Device]) -> None:
    wire, device = wired
    wire.to_host = lambda data: b"I (31) main: awake\r\n" + data
    require_right(device)
    assert device.counters.damaged == 0
    wire.to_host = lambda data: data
    device.board.begin_log(log := device.board.log.with_suffix(".next"))
    said = log.with_suffix(".log").read_text()
    assert said.count("I (31) main: awake\n") >= len(WINDOWS)
    assert "hil firmware " in said
    assert re.fullmatch(r"[\x20-\x7e\n]*", said)


def test_a_line_of_two_wires_works(wired: tuple[Wire, Device]) -> None:
    """What the harness sends comes back to it, and goes to the firmware too."""
    wire, device = wired

    def echoed(data: bytes) -> bytes:
        wire.send(data)
        return data

    wire.to_device = echoed
    require_right(device)
    assert device.counters.damaged == 0


def test_a_host_that_is_too_slow_loses_bytes_and_no_record(wired: tuple[Wire, Device]) -> None:
    """The firmware logs on while nobody reads, and the adapter has no room for it."""
    wire, device = wired
    wire.overruns = True
    for index in WINDOWS[:6]:
        wire.send(b"D (7) sensor: a line that nobody reads\r\n" * 8_000)
        time.sleep(0.02)
        assert told(device.run(imu_motion().vectors.payload(index))) == told(clean_record(index))
    assert wire.overrun > 0


# ---- what is an error


def test_a_firmware_that_resets_itself_is_told_within_seconds(wired: tuple[Wire, Device]) -> None:
    wire, device = wired
    device.run(imu_motion().vectors.payload(0))
    wire.to_device = lambda data: b""  # this window never reaches it
    threading.Timer(0.2, lambda: (setattr(wire, "to_device", lambda data: data), wire.start())).start()
    with in_time(), pytest.raises(DeviceReset, match=r"start counter \d+ -> \d+"):
        device.run(imu_motion().vectors.payload(10))
    device.restart()
    require_right(device, WINDOWS[:3])


def pulled(wire: Wire, back_after_s: float) -> None:
    """The plug is pulled in the middle of the next frame to the device, and comes back, or not."""

    def cut(data: bytes) -> bytes:
        wire.to_device = lambda data: data
        wire.send_to_device(data[: len(data) // 2])
        wire.unplug()
        if back_after_s:
            threading.Timer(back_after_s, wire.plug_in).start()
        return b""

    wire.to_device = cut


def test_a_port_that_goes_in_mid_frame_and_comes_back(wired: tuple[Wire, Device]) -> None:
    wire, device = wired
    pulled(wire, 0.5)
    with (
        in_time(),
        pytest.raises(BoardError, match=r"went away in mid-session and came back after [0-4]\.\d s, "),
    ):
        device.run(imu_motion().vectors.payload(0))
    device.restart()
    require_right(device, WINDOWS[:3])


def test_a_port_that_goes_in_mid_frame_and_stays_away(wired: tuple[Wire, Device]) -> None:
    wire, device = wired
    pulled(wire, 0)
    wire.stay_away()
    with in_time(), pytest.raises(BoardBroken, match=r"went away \(.*\) and did not come back within 2 s"):
        device.run(imu_motion().vectors.payload(0))


def bits_of(data: bytes) -> list[int]:
    return [bit for byte in data for bit in (0, *(byte >> place & 1 for place in range(8)), 1)]


def misread(data: bytes, sent: int, read: int) -> bytes:
    """What a UART at `read` baud makes of bytes sent at `sent` baud: it samples the middle of its own bits, from each
    falling edge on.
    """
    line, out, at = bits_of(data), bytearray(), 0.0
    ratio = sent / read  # of the sender's bits in one of the reader's
    while at < len(line):
        if line[int(at)]:
            at += 1 / 16
            continue
        places = [int(at + ratio * (1.5 + place)) for place in range(8)]
        levels = [line[place] if place < len(line) else 1 for place in places]
        out.append(sum(level << place for place, level in enumerate(levels)))
        at += ratio * 9.5
        while at < len(line) and not line[int(at)]:
            at += 1 / 16
    return bytes(out)


def test_what_reads_at_the_right_rate_reads_right() -> None:
    assert misread(b"a line\n\0\xff", 115_200, 115_200) == b"a line\n\0\xff"
    assert misread(b"a line\n\0\xff", 115_200, 113_000) == b"a line\n\0\xff"  # 2 % off is what a UART can stand


def unheard(wire: Wire, board: SerialBoard) -> str:
    with in_time(), pytest.raises(BoardError) as caught:
        board.provision(native_image(), build_bundle(imu_motion()))
    return str(caught.value)


@pytest.mark.parametrize("read", [57_600, 115_200, 230_400])
def test_a_wrong_baud_rate_is_named(kind: str, tmp_path: Path, read: int) -> None:
    sent = 9_600 * 7
    with wired_board(tmp_path, kind, baud=read) as (wire, board):
        wire.to_host = lambda data: misread(data, sent, read)
        wire.to_device = lambda data: misread(data, read, sent)
        text = unheard(wire, board)
    assert re.search(rf"of \d+ bytes from {re.escape(wire.port)} are no text, and no frame is among them", text)
    assert f"is the UART of the firmware at {read} baud, 8N1?" in text


def test_silence_is_named_with_what_may_be_wrong(kind: str, tmp_path: Path) -> None:
    with wired_board(tmp_path, kind, reset=None) as (wire, board):
        wire.deaf, wire.to_host = True, lambda data: b""
        text = unheard(wire, board)
    assert (
        f"did not say hello within 3 s: not one byte came from {wire.port}; nothing resets it (reset in the bo" in text
    )
    assert "are TX and RX crossed" in text


def test_text_without_an_agent_is_named_with_its_last_lines(kind: str, tmp_path: Path) -> None:
    with wired_board(tmp_path, kind) as (wire, board):
        wire.deaf = True
        text = unheard(wire, board)
    assert re.search(r"\d+ bytes of text came from .*, and no frame\n  next: does this firmware have the test ag", text)
    assert "last lines of the log:\n" in text
    assert "bundle: status 0, detail 0" in text


def test_a_line_that_only_echoes_is_named(kind: str, tmp_path: Path) -> None:
    with wired_board(tmp_path, kind) as (wire, board):
        wire.deaf = True
        wire.to_host = lambda data: b""
        wire.heard_by = wire.send
        text = unheard(wire, board)
    assert f"{wire.port} gives back what the harness sends, and nothing else comes\n  next: are TX and RX j" in text


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    with wired_board(tmp_path, "pty", patience_s=0.2, flash=None) as (wire, board):
        wire.unplug()
        with (
            in_time(),
            pytest.raises(BoardBroken, match=r"connect: port .*tty: .*No such file.*\n  next: is the board plug"),
        ):
            board.provision(native_image(), b"")


def test_a_socket_that_nobody_serves_is_named(tmp_path: Path) -> None:
    wanted = r"connect: port socket://127\.0\.0\.1:1: .*refused.*\n  next: is the board plugged in"
    keys = {"patience_s": 0.2, "flash": None, "port": "socket://127.0.0.1:1"}
    with (
        wired_board(tmp_path, "socket", **keys) as (_, board),
        in_time(),
        pytest.raises(BoardBroken, match=wanted),
    ):
        board.provision(native_image(), b"")


def test_a_port_in_use_is_named_with_its_holder(tmp_path: Path) -> None:
    with (
        wired_board(tmp_path, "pty", flash=None) as (wire, board),
        subprocess.Popen([sys.executable, "-c", HOLD, wire.port], stdout=subprocess.PIPE, text=True) as other,
    ):
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            wanted = rf"connect: serial port .* is in use by pid {other.pid} \(.*python"
            with in_time(), pytest.raises(BoardBroken, match=wanted):
                board.provision(native_image(), b"")
        finally:
            other.kill()


def test_a_second_harness_is_kept_out_and_the_port_is_free_afterwards(tmp_path: Path) -> None:
    with wired_device(tmp_path, "pty") as (wire, device):
        (second := tmp_path / "second").mkdir()
        with wired_board(second, "pty", port=wire.port, flash=None, reset=None) as (_, board):
            with in_time(), pytest.raises(BoardBroken, match=r"is in use by"):
                board.provision(native_image(), b"")
            device.board.close()
            board.provision(native_image(), b"")
