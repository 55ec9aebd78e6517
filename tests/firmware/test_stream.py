"""The native firmware over a stream of bytes instead of the rings in RAM: the same answers, whatever the line does."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cbor2
import pytest
from native_session import imu_motion, native_image
from stream_line import Streamed, StreamLine, over_socket, over_terminal

from hil.bundle import build_bundle
from hil.link import frame, messages
from hil.records import Status

SHARED_BYTES = 16 * 1024 * 1024
BUNDLE_AT = 0x100000
LINES: dict[str, Callable[..., AbstractContextManager[Streamed]]] = {"socket": over_socket, "terminal": over_terminal}


@pytest.fixture(scope="module")
def ram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The RAM of a firmware that is provisioned with imu_motion."""
    file = tmp_path_factory.mktemp("stream") / "ram"
    with file.open("wb") as out:
        out.truncate(SHARED_BYTES)
        out.seek(BUNDLE_AT)
        out.write(build_bundle(imu_motion()))
    yield file
    file.unlink()


@pytest.fixture(params=LINES)
def firmware(request: pytest.FixtureRequest, ram: Path, tmp_path: Path) -> Iterator[Streamed]:
    with LINES[request.param](native_image().path, ["--ram", str(ram), "--stream"], tmp_path / "log") as streamed:
        yield streamed


def hello(firmware: Streamed) -> messages.Hello:
    client = firmware.client()
    return messages.decode_hello(client.request(messages.hello_command(), 20.0), client.boot or 0)


def replies(line: StreamLine, count: int) -> list[bytes]:
    """The next messages that come, as they are, and no more within the time of a few."""
    reader, found = frame.FrameReader(), []
    end = time.monotonic() + 20
    while len(found) < count and time.monotonic() < end:
        found += reader.feed(line.read())
    time.sleep(0.05)
    return found + list(reader.feed(line.read()))


def test_a_session_goes_over_a_stream(firmware: Streamed) -> None:
    said = hello(firmware)
    assert (said.case, said.bundle_status, said.target) == ("imu_motion", 0, "native")
    client = firmware.client()
    vectors = imu_motion().vectors
    for number in range(20):
        command = messages.run_command(number, True, 0, vectors.payload(number))
        record = messages.decode_record(client.request(command, 20.0))
        assert record.status == Status.DONE
    assert client.counters.repeats == 0
    assert client.counters.damaged == 0


def test_a_request_may_come_in_any_pieces_between_any_garbage(firmware: Streamed) -> None:
    line = firmware.line
    hello(firmware)
    dice = random.Random(11)
    request = frame.encode(cbor2.dumps([5, messages.run_command(1, True, 0, imu_motion().vectors.payload(3))]))
    data = b"a log line\r\n\0" + dice.randbytes(300) + b"\0" + request[:-9] + b"\0" + b"\0\0" + request + b"\0and more"
    while data:
        size = dice.randrange(1, 40)
        assert line.write(data[:size]) == len(data[:size])
        data = data[size:]
        time.sleep(0.0005)
    (reply,) = replies(line, 1)
    number, _, result = cbor2.loads(reply)
    assert number == 5
    assert messages.decode_record(result).status == Status.DONE


def test_a_frame_is_ended_from_a_log_line_by_a_zero(ram: Path, tmp_path: Path) -> None:
    """The log goes over the same line; no part of it may be taken for a frame's."""
    arguments = ["--ram", str(ram), "--log-on-stream", "--stream"]
    with over_socket(native_image().path, arguments, tmp_path / "log") as firmware:
        firmware.line.write(b"\0" + frame.encode(cbor2.dumps([9, messages.hello_command()])))
        seen = b""
        end = time.monotonic() + 20
        while seen.count(b"\0") < 2 and time.monotonic() < end:
            seen += firmware.line.read()
    banner, framed, _ = seen.split(b"\0")
    assert banner.startswith(b"hil firmware ")
    assert banner.endswith(b"\n")
    (reply,) = frame.FrameReader().feed(framed + b"\0")
    assert cbor2.loads(reply)[0] == 9


def test_requests_that_come_at_once_are_answered_in_their_order(firmware: Streamed) -> None:
    hello(firmware)
    numbers = range(100, 130)
    firmware.line.write(b"".join(frame.encode(cbor2.dumps([n, messages.hello_command()])) for n in numbers))
    assert [cbor2.loads(each)[0] for each in replies(firmware.line, len(numbers))] == list(numbers)


def test_a_frame_that_is_too_long_is_dropped_and_the_next_one_answered(firmware: Streamed) -> None:
    longest = hello(firmware).frame_bytes
    data = b"\1" * (longest * 3) + b"\0" + frame.encode(cbor2.dumps([77, messages.hello_command()]))
    end = time.monotonic() + 20
    while data and time.monotonic() < end:
        data = data[firmware.line.write(data) :]
    assert [cbor2.loads(each)[0] for each in replies(firmware.line, 1)] == [77]


def test_without_ram_there_is_no_bundle(tmp_path: Path) -> None:
    with over_socket(native_image().path, ["--stream"], tmp_path / "log") as firmware:
        said = hello(firmware)
        assert (said.case, said.bundle_status) == ("", 1)


def test_a_terminal_that_comes_back_is_opened_again(ram: Path, tmp_path: Path) -> None:
    """As a USB port does: the other side goes away, and a new one has the name of the old one."""
    name = tmp_path / "port"
    ours, theirs = os.openpty()
    name.symlink_to(os.ttyname(theirs))
    command = [str(native_image().path), "--ram", str(ram), "--stream", str(name)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        assert hello(Streamed(process, StreamLine(ours))).case == "imu_motion"
        os.close(ours)
        os.close(theirs)
        ours, theirs = os.openpty()
        name.unlink()
        name.symlink_to(os.ttyname(theirs))
        assert hello(Streamed(process, StreamLine(ours))).case == "imu_motion"
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stream", "/nowhere/tty"], "cannot open /nowhere/tty: No such file or directory"),
        (["--stream", "63"], "cannot open 63: Bad file descriptor"),
        (["--stream"], "usage: "),
        (["--log-on-stream"], "usage: "),
        (["--ram", "x", "--log-on-stream"], "usage: "),
        ([], "usage: "),
    ],
)
def test_a_line_that_cannot_be_opened_is_said(arguments: list[str], says: str) -> None:
    done = subprocess.run([native_image().path, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
