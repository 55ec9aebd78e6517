"""The link on the real firmware over a line that loses, repeats and damages frames: right records or an error, never
wrong ones.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from native_session import imu_motion, native_board, native_image

from hil.board.native import NativeBoard
from hil.bundle import build_bundle
from hil.case.types import Case
from hil.errors import AgentError, BenchError, BoardError, DeviceReset, DeviceSilent, LinkError
from hil.link import client as client_module
from hil.link import frame, messages
from hil.link.client import LinkClient
from hil.link.rtt import BLOCK_BYTES, Memory, Rtt
from hil.records import DecisionReason, GateReason, Record, Status

REPEAT_S = 0.003
UP_WRITE = 24 + 12  # where the up ring's write index lies in the control block
Fate = Callable[[bytes], list[bytes]]  # one frame, its end byte included, to what arrives of it


def untouched(data: bytes) -> list[bytes]:
    return [data]


class Line:
    """What happens to frames on their way; frames keep their order, as in a ring. `late` holds back what arrives."""

    def __init__(self, fate: Fate, late: Callable[[], bool] = lambda: False) -> None:
        self._fate, self._late = fate, late
        self._part, self._waiting = b"", b""

    def pass_on(self, data: bytes) -> bytes:
        *frames, self._part = (self._part + data).split(frame.END)
        for one in frames:
            self._waiting += b"".join(self._fate(one + frame.END)) if one else frame.END
        if self._late():
            return b""
        arrived, self._waiting = self._waiting, b""
        return arrived


class DamagedRtt(Rtt):
    """RTT whose two directions go over a `Line` each."""

    def __init__(self, memory: Memory, address: int, down: Line, up: Line) -> None:
        super().__init__(memory, address)
        self._down_line, self._up_line = down, up
        self._unsent = b""

    def write(self, data: bytes) -> int:
        self._unsent += self._down_line.pass_on(data)
        self._flush()
        return len(data)

    def read(self) -> bytes:
        self._unsent += self._down_line.pass_on(b"")
        self._flush()
        return self._up_line.pass_on(super().read())

    def drained(self) -> bool:
        return not self._unsent and super().drained()

    def _flush(self) -> None:
        if self._unsent:
            self._unsent = self._unsent[super().write(self._unsent) :]


@pytest.fixture(scope="module")
def case() -> Case:
    """imu_motion with a decision that remembers: what runs twice, or not at all, changes later answers."""
    whole = imu_motion()
    return replace(whole, decide=replace(whole.decide, debounce=3, cooldown=2))


@pytest.fixture(scope="module")
def board(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeBoard]:
    with native_board(tmp_path_factory.mktemp("link")) as board:
        board.provision(native_image(), build_bundle(case))
        yield board


def client_over(board: NativeBoard, down: Line | None = None, up: Line | None = None) -> LinkClient:
    address = board.image.symbol("_SEGGER_RTT")
    line = DamagedRtt(board.memory, address, down or Line(untouched), up or Line(untouched))
    last = board.image.symbol("hil_last_request")
    return LinkClient(line, board.check, last_taken=lambda: int.from_bytes(board.memory.read(last, 4), "little"))


def commands(case: Case) -> list[dict[str, Any]]:
    """A session: windows, among them rejected ones, fetches of the tensor, scores; none begins the decision anew."""
    scores = [bytes(4), b"\x7f\x80\x80\x80", b"\x80\x7f\x80\x80"]
    session: list[dict[str, Any]] = [messages.scores_command(True, scores[0])]
    for number in range(6):
        window = case.vectors.payload(90 * number) if number != 3 else b"\0" * 480
        session.append(messages.run_command(number + 1, False, 0, window))
        session.append(messages.fetch_command(messages.PREPARED, 0, 240))
        session += [messages.scores_command(False, scores[number % 3])] * 2
    return session


def answers(client: LinkClient, case: Case, timeout_s: float = 5.0) -> list[object]:
    """What the session's replies say, without what host time decides."""
    found: list[object] = []
    for command in commands(case):
        result = client.request(command, timeout_s, REPEAT_S)
        found.append(_timeless(messages.decode_record(result)) if "run" in result else result)
    return found


def _timeless(record: Record) -> Record:
    return replace(record, ticks=(0, 0, 0), gate_ticks=None, stack_high_water=0)


@pytest.fixture(scope="module")
def undamaged(board: NativeBoard, case: Case) -> list[object]:
    board.reset()
    found = answers(client_over(board), case)
    reasons = {result["scores"]["reason"] for result in found if isinstance(result, dict) and "scores" in result}
    assert reasons >= {DecisionReason.ACCEPTED, DecisionReason.DEBOUNCE, DecisionReason.COOLDOWN}
    return found


# ---- damage by chance


def chance(seed: int, rate: float) -> tuple[Line, Line]:
    """Both directions of a line on which each frame is lost, doubled, cut, flipped or late with `rate`."""
    dice = random.Random(seed)

    def fate(data: bytes) -> list[bytes]:
        if dice.random() >= rate:
            return [data]
        at = dice.randrange(len(data) - 1)
        flipped = data[at] ^ 1 << dice.randrange(8)
        return dice.choice(
            [
                [],
                [data, data],
                [data[:at]],  # its end byte is lost too
                [data[:at] + frame.END],
                [data[at:]],
                [data[:at] + bytes([flipped]) + data[at + 1 :]],
                [data[:at] + data[at + 1 :], data],
            ]
        )

    return Line(fate, lambda: dice.random() < rate), Line(fate, lambda: dice.random() < rate)


@pytest.mark.parametrize("seed", range(12))
def test_a_bad_line_never_changes_a_record(seed: int, board: NativeBoard, case: Case, undamaged: list[object]) -> None:
    down, up = chance(seed, rate=0.2)
    board.reset()
    client = client_over(board, down, up)
    assert answers(client, case) == undamaged
    assert client.counters.repeats > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 220))
def test_a_very_bad_line_gives_the_right_records_or_none(
    seed: int, board: NativeBoard, case: Case, undamaged: list[object]
) -> None:
    down, up = chance(seed, rate=0.1 * (seed % 9 + 1))
    board.reset()
    client = client_over(board, down, up)
    for command, wanted in zip(commands(case), undamaged, strict=True):
        try:
            result = client.request(command, 0.3, REPEAT_S)
        except BenchError:
            return
        assert (_timeless(messages.decode_record(result)) if "run" in result else result) == wanted


def every(n: int, treatment: Fate) -> Fate:
    """Each n-th frame gets the treatment."""
    count = 0

    def fate(data: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        return treatment(data) if count % n == 0 else [data]

    return fate


TREATMENTS: dict[str, Fate] = {
    "lost": lambda data: [],
    "doubled": lambda data: [data, data],
    "cut": lambda data: [data[: len(data) // 2]],
    "end byte lost": lambda data: [data[:-1]],
    "bit flipped": lambda data: [bytes([data[0] ^ 0x10]) + data[1:]],
    "noise before": lambda data: [b"\x05noise", data],
    "flood before": lambda data: [b"\x11" * 70_000 + frame.END, data],
}


@pytest.mark.parametrize("direction", ["request", "reply"])
@pytest.mark.parametrize("treatment", TREATMENTS)
def test_each_kind_of_damage_is_mended(
    treatment: str, direction: str, board: NativeBoard, case: Case, undamaged: list[object]
) -> None:
    line = Line(every(3, TREATMENTS[treatment]))
    board.reset()
    client = client_over(board, line if direction == "request" else None, line if direction == "reply" else None)
    assert answers(client, case) == undamaged
    assert client.counters.repeats > 0 or treatment in ("doubled", "noise before", "flood before")


@given(noise=st.binary(max_size=300))
@example(noise=b"\0" * 300)
@example(noise=b"\xff" * 300)
@example(noise=frame.encode(b""))
@example(noise=frame.encode(b"\x82\x00"))
@example(noise=frame.encode(cbor2.dumps([1, {"run": [1, True, 0]}])))
def test_noise_before_a_request_changes_nothing(noise: bytes, board: NativeBoard) -> None:
    line = Line(lambda data: [noise, frame.END, data])
    result = client_over(board, line).request(messages.hello_command(), 5.0, REPEAT_S)
    assert messages.decode_hello(result, 0).case == "imu_motion"


# ---- nothing runs twice


def test_a_window_whose_reply_was_lost_is_not_run_again(board: NativeBoard, case: Case) -> None:
    """Were it run again, the gate would call it stale, because its capture number has been seen."""
    board.reset()
    lost = iter([True, True, True])
    client = client_over(board, up=Line(lambda data: [] if next(lost, False) else [data]))
    record = messages.decode_record(
        client.request(messages.run_command(7, True, 0, case.vectors.payload(0)), 5.0, 0.02)
    )
    assert (record.status, record.gate) == (Status.DONE, GateReason.VALID)
    assert client.counters.repeats == 3
    again = messages.decode_record(client.request(messages.run_command(7, True, 0, case.vectors.payload(0)), 5.0))
    assert again.gate == GateReason.STALE


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_doubled_scores_count_once(copies: int, board: NativeBoard) -> None:
    """debounce = 3 accepts at the third window, however often each request arrives."""
    board.reset()
    client = client_over(board, down=Line(lambda data: [data] * copies))
    winner = b"\x7f\x80\x80\x80"
    seen = [
        messages.decode_decision(client.request(messages.scores_command(number == 0, winner), 5.0)).reason
        for number in range(3)
    ]
    assert seen == [DecisionReason.DEBOUNCE, DecisionReason.DEBOUNCE, DecisionReason.ACCEPTED]


def test_a_request_with_a_used_id_and_other_content_is_carried_out(board: NativeBoard, case: Case) -> None:
    """The agent's memory of the last reply is bound to the whole request, not to its id alone."""
    board.reset()
    address = board.image.symbol("_SEGGER_RTT")
    results = []
    for sequence in (1, 2):
        rtt, reader = Rtt(board.memory, address), frame.FrameReader()
        command = messages.run_command(sequence, True, 0, case.vectors.payload(sequence * 200))
        rtt.write(frame.encode(cbor2.dumps([99, command])))
        results.append(messages.decode_record(cbor2.loads(_next(rtt, reader))[2]))
    assert [record.gate for record in results] == [GateReason.VALID, GateReason.VALID]
    assert results[0].digest != results[1].digest


def _next(rtt: Rtt, reader: frame.FrameReader) -> bytes:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for message in reader.feed(rtt.read()):
            return message
    raise AssertionError("no reply")


def test_replies_to_other_requests_are_ignored(board: NativeBoard, case: Case) -> None:
    other = [frame.encode(cbor2.dumps([number, 1, {"error": [1, 0]}])) for number in (0, 1, 0xFFFFFFFF)]
    board.reset()
    client = client_over(board, up=Line(lambda data: [*other, data]))
    record = messages.decode_record(client.request(messages.run_command(1, True, 0, case.vectors.payload(0)), 5.0))
    assert record.status == Status.DONE
    assert client.counters.ignored == len(other)


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff", cbor2.dumps(7), cbor2.dumps([1, 2]), cbor2.dumps("reply"), b"\x9f", cbor2.dumps([1, 2, 3, 4])],
    ids=lambda message: message.hex(),
)
def test_a_reply_that_is_no_reply_is_an_error_of_the_link(message: bytes, board: NativeBoard) -> None:
    client = client_over(board, up=Line(lambda data: [frame.encode(message)]))
    with pytest.raises(LinkError, match="good CRC"):
        client.request(messages.hello_command(), 5.0)


def test_silence_says_what_was_tried(board: NativeBoard) -> None:
    client = client_over(board, up=Line(lambda data: []))
    with pytest.raises(DeviceSilent, match=r"no answer to 'hello' within 1 s \([1-9]\d* repeats, .* request read"):
        client.request(messages.hello_command(), 1.0, REPEAT_S)


def test_a_refused_request_names_the_reason(board: NativeBoard) -> None:
    client = client_over(board)
    with pytest.raises(AgentError, match=r"scores of the wrong length \(code 5, detail 4\)"):
        client.request(messages.scores_command(True, b"\0"), 5.0)
    with pytest.raises(AgentError, match=r"protocol number not supported \(code 2, detail 2\)"):
        client.request({"hello": 1}, 5.0)
    with pytest.raises(AgentError, match=r"not in the schema \(code 1"):
        client.request({"run": [1, True, 0]}, 5.0)


# ---- the firmware restarts, or goes


@contextmanager
def meanwhile(client: LinkClient, action: Callable[[], None]) -> Iterator[None]:
    """Run `action` once while the client waits, at the place where it looks after the board."""
    check, pending = client._alive, [action]

    def alive() -> None:
        if pending:
            pending.pop()()
        check()

    client._alive = alive
    yield
    assert not pending


def wait_until_taken_up(client: LinkClient, board: NativeBoard) -> None:
    end = time.monotonic() + 10
    while client._last_taken() != client._id:
        assert time.monotonic() < end, "the firmware took no request up"
        board.check()


@pytest.mark.parametrize("raised", [1, 0], ids=["counter raised", "counter not raised"])
@pytest.mark.parametrize("lost", ["request", "reply", "nothing"])
def test_a_restart_in_mid_flight_is_a_reset_and_soon(lost: str, raised: int, board: NativeBoard, case: Case) -> None:
    """It is known by more than the start counter, and begun by then is only what the firmware had taken up."""
    board.reset()
    open_line = [True]
    line = Line(lambda data: [data] if open_line[0] else [])
    client = client_over(board, line if lost == "request" else None, line if lost == "reply" else None)
    client.request(messages.hello_command(), 5.0)
    before = client.boot
    assert before is not None
    open_line[0] = False

    def restart() -> None:
        if lost == "reply":
            wait_until_taken_up(client, board)
        if not raised:
            board.memory.write(board.image.symbol("hil_boot_count"), (before - 1).to_bytes(4, "little"))
        board.reset()
        open_line[0] = True

    if lost == "nothing":
        restart()
    begun = time.monotonic()
    command = messages.run_command(1, True, 0, case.vectors.payload(0))
    with pytest.raises(DeviceReset) as caught, meanwhile(client, restart if lost != "nothing" else lambda: None):
        client.request(command, 30.0, 0.05)
    assert (caught.value.before, caught.value.after) == (before, before + raised)
    assert caught.value.begun == (lost == "reply")
    assert time.monotonic() - begun < 10


def test_a_restart_that_only_the_counter_tells_is_one(board: NativeBoard, case: Case) -> None:
    """As of a firmware that finds its control block in place and keeps it."""
    board.reset()
    client = client_over(board)
    client.request(messages.hello_command(), 5.0)
    before = client.boot
    assert before is not None
    board.memory.write(board.image.symbol("hil_boot_count"), (before + 1).to_bytes(4, "little"))
    with pytest.raises(DeviceReset) as caught:
        client.request(messages.run_command(1, True, 0, case.vectors.payload(0)), 5.0)
    assert (caught.value.before, caught.value.after, caught.value.begun) == (before, before + 1, False)


def test_a_first_request_finds_a_firmware_that_restarted_before(board: NativeBoard) -> None:
    """The session begins behind the restart: no reset of it."""
    board.reset()
    client = client_over(board)
    board.reset()
    assert messages.decode_hello(client.request(messages.hello_command(), 5.0, 0.05), 0).bundle_status == 0


def test_a_firmware_that_restarts_and_then_says_nothing_is_a_reset_and_no_hang(
    board: NativeBoard, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_HELLO_S", 0.3)
    board.reset()
    open_line = [True]
    client = client_over(board, Line(lambda data: [data] if open_line[0] else []))
    client.request(messages.hello_command(), 5.0)
    open_line[0] = False
    words = rf"restarted in mid-session \(start counter {client.boot}, and it has not answered since\)"
    with pytest.raises(DeviceReset, match=words), meanwhile(client, board.reset):
        client.request(messages.run_command(1, True, 0, case.vectors.payload(0)), 30.0, 0.05)


def test_a_firmware_that_goes_is_named_with_its_signal(board: NativeBoard) -> None:
    board.reset()
    client = client_over(board, up=Line(lambda data: []))
    pid = board.pid
    assert pid is not None
    gone = pytest.raises(BoardError, match=r"hil_firmware\.elf was killed by SIGKILL")
    with gone, meanwhile(client, lambda: os.kill(pid, signal.SIGKILL)):
        client.request(messages.hello_command(), 30.0)


# ---- the control block is overwritten


def overwritten(board: NativeBoard, offset: int, data: bytes) -> LinkClient:
    board.reset()
    client = client_over(board)
    client.request(messages.hello_command(), 5.0)
    board.memory.write(board.image.symbol("_SEGGER_RTT") + offset, data)
    return client


def test_an_index_outside_its_ring_is_an_error_of_the_link(board: NativeBoard) -> None:
    client = overwritten(board, UP_WRITE, b"\xff\xff\xff\xff")
    with pytest.raises(LinkError, match=r"outside its ring .* the control block was overwritten"):
        client.request(messages.hello_command(), 0.5, REPEAT_S)


@pytest.mark.parametrize("fill", [0x00, 0xFF, 0xA5])
def test_an_overwritten_block_never_gives_a_wrong_record(
    fill: int, board: NativeBoard, case: Case, undamaged: list[object]
) -> None:
    client = overwritten(board, 0, bytes([fill]) * BLOCK_BYTES)
    with suppress(BenchError):
        for command, wanted in zip(commands(case), undamaged, strict=True):
            result = client.request(command, 0.5, REPEAT_S)
            assert (_timeless(messages.decode_record(result)) if "run" in result else result) == wanted


@pytest.mark.parametrize("fill", [0x00, 0xFF, 0xA5])
def test_an_overwritten_block_is_refused_at_the_attach(fill: int, board: NativeBoard) -> None:
    board.reset()
    address = board.image.symbol("_SEGGER_RTT")
    board.memory.write(address, bytes([fill]) * BLOCK_BYTES)
    with pytest.raises(LinkError, match="no RTT control block at"):
        Rtt(board.memory, address)


@pytest.mark.parametrize(("offset", "what"), [(16, "rings"), (24 + 4, "up ring"), (48 + 8, "down ring")])
def test_a_block_that_cannot_be_used_is_refused_at_the_attach(offset: int, what: str, board: NativeBoard) -> None:
    board.reset()
    address = board.image.symbol("_SEGGER_RTT")
    board.memory.write(address + offset, bytes(4))
    with pytest.raises(LinkError, match=what):
        Rtt(board.memory, address)


def test_rings_full_of_noise_are_emptied(board: NativeBoard) -> None:
    """What an interrupted session leaves in the rings does not reach the next one."""
    board.reset()
    address = board.image.symbol("_SEGGER_RTT")
    stale = Rtt(board.memory, address)
    stale.write(b"\x07half a request" + frame.encode(cbor2.dumps([5, messages.hello_command()])) + b"\x09and more")
    result = LinkClient(Rtt(board.memory, address), board.check).request(messages.hello_command(), 5.0)
    assert messages.decode_hello(result, 0).bundle_status == 0


# ---- replies under a wrong id


def renumbered(change: Callable[[int], int]) -> Fate:
    """Replies whose id is another one, with a good CRC."""

    def fate(data: bytes) -> list[bytes]:
        (message,) = frame.FrameReader().feed(data)
        number, *rest = cbor2.loads(message)
        return [frame.encode(cbor2.dumps([change(number), *rest]))]

    return fate


def test_a_reply_under_a_wrong_id_is_an_error_of_the_link(board: NativeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a silence: that would be taken for a firmware that hangs, after a minute each."""
    monkeypatch.setattr(client_module, "_WRONG_ID_S", 0.05)
    board.reset()
    client = client_over(board, up=Line(renumbered(lambda number: number ^ 1)))
    with pytest.raises(LinkError, match=r"asked under id 0x.*answered under id 0x"):
        client.request(messages.hello_command(), 20.0)


def test_replies_that_keep_the_id_of_the_first_are_an_error_of_the_link(
    board: NativeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_WRONG_ID_S", 0.05)
    board.reset()
    first: list[int] = []

    def keep(number: int) -> int:
        first.append(number)
        return first[0]

    client = client_over(board, up=Line(renumbered(keep)))
    client.request(messages.hello_command(), 20.0)
    with pytest.raises(LinkError, match=r"answered under id"):
        client.request(messages.hello_command(), 20.0)


def late_first() -> Fate:
    """The first answer comes when the repeat is answered, and the answer to that before the next request's."""
    held: list[bytes] = []

    def fate(data: bytes) -> list[bytes]:
        held.append(data)
        late = {1: [], 2: held[:1], 3: [*held[1:2], data]}
        return late.get(len(held), [data])

    return fate


def test_late_answers_to_repeats_are_no_error(board: NativeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firmware that was busy answers the repeats of a request while the next one waits for its own answer."""
    monkeypatch.setattr(client_module, "_WRONG_ID_S", 0.0)
    board.reset()
    client = client_over(board, up=Line(late_first()))
    for _ in range(3):
        assert client.request(messages.hello_command(), 20.0, REPEAT_S)
    assert client.counters.repeats >= client.counters.ignored >= 1  # a busy machine repeats more than once


def test_late_answers_to_repeats_are_no_part_of_a_conversation(board: NativeBoard) -> None:
    board.reset()
    client = client_over(board, up=Line(late_first()))
    assert client.request(messages.hello_command(), 20.0, REPEAT_S)
    message = client.next_message(messages.hello_command())
    number = cbor2.loads(message)[0]
    found = client.converse(
        frame.END + frame.encode(message), lambda all_: any(cbor2.loads(each)[0] == number for each in all_), 20.0
    )
    assert [cbor2.loads(each)[0] for each in found] == [number]
    assert client.counters.ignored >= 1
