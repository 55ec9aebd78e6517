"""A byte stream as a channel: log lines go to the log, frames to the client, and a port that goes away is told from a
firmware that restarted. `tests/serial/` holds the same to the real firmware.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil.errors import BoardBroken, BoardError, DeviceReset, DeviceSilent
from hil.link import client as client_module
from hil.link import frame
from hil.link import stream as stream_module
from hil.link.client import LinkClient
from hil.link.stream import PortGone, Stream

RUN = {"run": [1, True, 0, b"window"]}
DONE = {"run": {"status": 0}}
BAUD = 115_200
LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40), max_size=3)


class Clock:
    """Stands for the module `time`: it goes on when somebody looks at it or sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class ScriptedPort:
    """A port with a firmware behind it that answers each request by `answer`, at once."""

    name, baud = "/dev/ttyTEST", BAUD

    def __init__(self, clock: Clock) -> None:
        self._clock, self._reader = clock, frame.FrameReader()
        self.coming = b""
        self.boot, self.there, self.queued = 5, True, 0
        self.asked: list[tuple[float, dict[str, Any]]] = []
        self.answer: Callable[[int, dict[str, Any]], bytes] = self.right
        self.after: list[tuple[float, Callable[[], None]]] = []

    def right(self, number: int, command: dict[str, Any]) -> bytes:
        result = {"hello": "facts"} if "hello" in command else DONE
        return frame.END + frame.encode(cbor2.dumps([number, self.boot, result]))

    def read(self) -> bytes:
        self._look()
        data, self.coming = self.coming, b""
        return data

    def write(self, data: bytes) -> int:
        self._look()
        for message in self._reader.feed(data):
            number, command = cbor2.loads(message)
            self.asked.append((self._clock.now, command))
            self.coming += self.answer(number, command)
        return len(data)

    def waiting(self) -> int:
        return self.queued

    def wait(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def reopen(self) -> str:
        self._run_script()
        return "" if self.there else "no such file"

    def _look(self) -> None:
        self._run_script()
        if not self.there:
            raise PortGone("Input/output error")

    def _run_script(self) -> None:
        while self.after and self._clock.now >= self.after[0][0]:
            self.after.pop(0)[1]()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (client_module, stream_module):
        monkeypatch.setattr(module, "time", clock)
    return clock


class Line:
    """A client over a scripted port, and what went to the log."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.port, self.log = clock, ScriptedPort(clock), b""
        self.stream = Stream(self.port, 5.0, self._take)
        self.client = LinkClient(self.stream, lambda: None)

    def _take(self, text: bytes) -> None:
        self.log += text

    def hello(self) -> dict[str, Any]:
        return self.client.request({"hello": 1}, 5.0)

    def run(self, timeout_s: float = 20.0) -> dict[str, Any]:
        return self.client.request(RUN, timeout_s)


@pytest.fixture
def line(clock: Clock) -> Line:
    return Line(clock)


# ---- frames and log lines


@given(st.lists(st.tuples(LINES, st.binary(max_size=300)), max_size=6), st.lists(st.integers(1, 60)))
def test_each_message_comes_and_each_line_is_logged(parts: list[tuple[list[str], bytes]], cuts: Sequence[int]) -> None:
    """However the bytes are cut; the zero in front of a frame ends what stands before it."""
    lines = ["".join(f"{text}\r\n" for text in texts) for texts, _ in parts]
    pairs = [(text.encode(), frame.encode(message)) for text, (_, message) in zip(lines, parts, strict=True)]
    data = b"".join(text + b"\0" + encoded for text, encoded in pairs)
    logged = bytearray()
    reader = frame.FrameReader(text=logged.extend)
    found = []
    for cut in cuts:
        found += reader.feed(data[:cut])
        data = data[cut:]
    found += reader.feed(data)
    assert found == [message for _, message in parts]
    assert logged.decode() == "".join(lines)
    assert reader.damaged == 0


@example([""], b"\xca\xccuw9O,p")  # a frame that is one line of text, its newline too
@given(LINES, st.binary(max_size=300))
def test_a_frame_without_a_zero_in_front_is_found_behind_the_lines(texts: list[str], message: bytes) -> None:
    lines = "".join(f"{text}\n" for text in texts).encode()
    logged = bytearray()
    reader = frame.FrameReader(text=logged.extend)
    assert list(reader.feed(lines + frame.encode(message))) == [message]
    assert bytes(logged) == lines
    assert reader.damaged == 0


@pytest.mark.parametrize(
    ("data", "damaged", "logged"),
    [
        (b"a line\n\0", 0, b"a line\n"),
        (b"gr\xc3\xbc\xc3\x9fe \x1b[31mred\x1b[0m\r\n\0", 0, b"gr\xc3\xbc\xc3\x9fe \x1b[31mred\x1b[0m\r\n"),
        (b"no newline\0", 1, b""),
        (b"a line\nand half of one\0", 1, b"a line\n"),
        (b"a line\n\x01\x02\xff\0", 1, b"a line\n"),
        (b"\x01\x02\xff a line\n\0", 1, b""),
        (b"\0\0\n\0\0", 0, b"\n"),
    ],
)
def test_whole_lines_of_text_are_no_damage(data: bytes, damaged: int, logged: bytes) -> None:
    found = bytearray()
    reader = frame.FrameReader(text=found.extend)
    assert list(reader.feed(data)) == []
    assert (reader.damaged, bytes(found)) == (damaged, logged)


def test_rings_carry_no_text() -> None:
    reader = frame.FrameReader()
    assert list(reader.feed(b"a line\n\0")) == []
    assert reader.damaged == 1


def test_what_never_ends_is_dropped() -> None:
    """A wrong baud rate, or a log that goes on for ever, must not fill the memory."""
    found = bytearray()
    reader = frame.FrameReader(text=found.extend)
    for _ in range(5):
        assert list(reader.feed(b"line\n" * 20_000)) == []
    assert len(found) > 250_000
    assert reader.damaged == 0
    for _ in range(5):
        assert list(reader.feed(b"\xff" * 100_000)) == []
    assert reader.damaged == 2
    assert list(reader.feed(b"\0" + frame.encode(b"whole"))) == [b"whole"]


def test_a_line_that_waits_goes_to_the_log_when_nothing_is_due(line: Line) -> None:
    line.hello()
    line.port.coming = b"\0goodbye\nand "
    line.stream.settle()
    assert line.log == b"goodbye\n"


def test_a_million_bytes_of_anything_are_no_message() -> None:
    dice = random.Random(31)
    found = bytearray()
    reader = frame.FrameReader(text=found.extend)
    for _ in range(1000):
        assert list(reader.feed(dice.randbytes(1000))) == []
    assert reader.damaged > 1000
    assert list(reader.feed(b"\0" + frame.encode(b"whole"))) == [b"whole"]


# ---- what the client makes of a line


def test_log_lines_around_a_reply_cost_nothing(line: Line) -> None:
    right = line.port.answer
    line.port.answer = lambda number, command: b"I (12) wifi: up\n" + right(number, command) + b"W (13) adc\n"
    assert line.hello() == {"hello": "facts"}
    assert line.run() == DONE
    line.stream.settle()
    assert line.log == b"I (12) wifi: up\nW (13) adc\n" * 2
    assert (line.client.counters.repeats, line.client.counters.damaged) == (0, 0)


def test_a_request_that_comes_back_is_no_reply(line: Line) -> None:
    """A line of two wires: the harness hears itself."""
    right = line.port.answer

    def echoing(number: int, command: dict[str, Any]) -> bytes:
        return frame.encode(cbor2.dumps([number, command])) + right(number, command)

    line.port.answer = echoing
    assert line.hello() == {"hello": "facts"}
    assert line.run() == DONE
    assert line.client.echoed == 2
    assert line.client.counters.damaged == line.client.counters.ignored == 0


def test_an_echo_alone_is_silence(line: Line) -> None:
    line.port.answer = lambda number, command: frame.encode(cbor2.dumps([number, command]))
    with pytest.raises(DeviceSilent, match="bytes came from /dev/ttyTEST"):
        line.hello()
    assert line.client.echoed > 1


def test_a_request_is_not_repeated_while_it_is_on_the_wire(line: Line) -> None:
    """20 kB take 1.7 s at 115,200 baud; a repeat within that time would only be longer on its way."""
    line.hello()
    line.port.answer = lambda number, command: b""
    before = line.clock.now
    with pytest.raises(DeviceSilent):
        line.client.request({"run": [1, True, 0, bytes(20_000)]}, 3.0)
    first, second = (when - before for when, command in line.port.asked[1:3])
    assert first < 0.1
    assert 10 * 20_000 / BAUD < second < 10 * 20_000 / BAUD + 0.6


def test_a_request_is_not_repeated_while_bytes_come_or_wait(line: Line) -> None:
    line.hello()
    line.port.answer = lambda number, command: b""
    start = line.clock.now
    line.port.after = [(start + 0.1 * n, lambda: setattr(line.port, "coming", b"log\n")) for n in range(20)]
    line.port.after.append((start + 2.0, lambda: setattr(line.port, "queued", 3)))
    line.port.after.append((start + 2.5, lambda: setattr(line.port, "queued", 0)))
    with pytest.raises(DeviceSilent):
        line.run(4.0)
    repeated = [when - start for when, command in line.port.asked[2:]]
    gaps = [when for when in repeated if when < 1.9 or 2.0 <= when < 2.5]
    assert all(when % 0.1 >= 0.03 for when in gaps if when < 1.9), repeated
    assert not [when for when in repeated if 2.0 <= when < 2.5]


# ---- a port that goes away


def leaves(line: Line, for_s: float, restarts: bool) -> None:
    """The port goes away while the firmware runs a window."""

    def back() -> None:
        line.port.there = True
        line.port.boot += restarts
        line.port.answer = line.port.right

    def gone() -> None:
        line.port.there = False

    line.port.answer = lambda number, command: b""
    start = line.clock.now
    line.port.after = [(start + 0.2, gone), (start + 0.2 + for_s, back)]


def test_a_restart_behind_a_port_that_came_back_is_the_firmwares(line: Line) -> None:
    line.hello()
    leaves(line, 1.0, restarts=True)
    with pytest.raises(DeviceReset, match="start counter 5 -> 6") as caught:
        line.run()
    assert caught.value.begun
    assert [next(iter(command)) for _, command in line.port.asked] == ["hello", "run", "hello"]


def test_a_port_that_came_back_to_the_same_firmware_is_the_benchs(line: Line) -> None:
    line.hello()
    leaves(line, 1.5, restarts=False)
    with pytest.raises(BoardError, match=r"went away in mid-session and came back after 1\.5 s, and the fi"):
        line.run()


def test_a_port_that_stays_away_is_a_broken_board(line: Line) -> None:
    line.hello()
    leaves(line, 60.0, restarts=True)
    before = line.clock.now
    with pytest.raises(BoardBroken, match=r"(?s)went away \(Input/output error\) and .* within 5 s.*no such f"):
        line.run()
    assert line.clock.now - before < 6


def test_a_restart_that_only_the_next_reply_tells_of(line: Line) -> None:
    """Where the port stays, nothing but `boot` shows it."""
    line.hello()
    line.port.boot = 6
    with pytest.raises(DeviceReset, match="start counter 5 -> 6"):
        line.run()
