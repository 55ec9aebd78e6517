"""The client's rules of time, repeats and restarts, over a scripted firmware in a time of its own: hours pass in
milliseconds, and each reply comes when the test says. `test_link_faults.py` holds the client to the real firmware.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import cbor2
import pytest
from ring_ram import BASE, Ram

from hil import patience
from hil.errors import AgentError, DeviceEnded, DeviceFault, DeviceReset, DeviceSilent, LinkError
from hil.link import client as client_module
from hil.link import frame
from hil.link import rtt as rtt_module
from hil.link.client import AGENT_ERRORS, LinkClient, LinkCounters
from hil.link.messages import hello_command
from hil.link.rtt import Rtt

LOOK_S = 1e-6  # what a look at the clock takes
RUN = {"run": [1, True, 0, b"window"]}
DONE = {"run": {"status": 0}}
BOOT = 5


class Clock:
    """Stands for the module `time`: it goes on when somebody looks at it or sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[tuple[float, float]] = []  # when, how long

    def monotonic(self) -> float:
        self.now += LOOK_S
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append((self.now, seconds))
        self.now += seconds


class Firmware(Ram):
    """Takes requests whenever the host looks at its memory, and answers each by `answer`; docs/link.md.

    after: (host time, action) pairs in order, for what happens meanwhile.
    """

    def __init__(self, clock: Clock, size: int = 128) -> None:
        super().__init__(128, size, at=3)
        self._clock, self._reader = clock, frame.FrameReader()
        self.boot, self.reads = BOOT, True
        self.answer: Callable[[int, dict[str, Any]], list[bytes]] = self.right
        self.asked: list[tuple[float, int, dict[str, Any]]] = []  # when, id, command
        self.after: list[tuple[float, Callable[[], None]]] = []
        self.last_taken: int | None = None

    def read(self, address: int, size: int) -> bytes:
        while self.after and self._clock.now >= self.after[0][0]:
            self.after.pop(0)[1]()
        for message in self._reader.feed(self.take(1000)) if self.reads else ():
            number, command = cbor2.loads(message)
            self.last_taken = number
            self.asked.append((self._clock.now, number, command))
            for reply in self.answer(number, command):
                self.put(frame.encode(reply))
        return super().read(address, size)

    def right(self, number: int, command: dict[str, Any]) -> list[bytes]:
        return [self.reply(number, {"hello": "facts"} if "hello" in command else DONE)]

    def silent(self, number: int, command: dict[str, Any]) -> list[bytes]:
        return []

    def only_hello(self, number: int, command: dict[str, Any]) -> list[bytes]:
        return self.right(number, command) if "hello" in command else []

    def reply(self, number: object, result: object) -> bytes:
        return cbor2.dumps([number, self.boot, result])

    def go_down(self) -> None:
        """The block's id goes first, then its indices."""
        self.reads = False
        self.whole = bytes(self.data[:72])
        self.data[:72] = bytes(72)

    def come_up(self) -> None:
        self.data[:72] = self.whole
        for index in (24 + 12, 24 + 16, 48 + 12, 48 + 16):
            self.data[index : index + 4] = bytes(4)
        self.reads, self._reader = True, frame.FrameReader()

    def restart(self, raised: int = 1) -> None:
        self.boot += raised
        self.go_down()
        self.come_up()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(client_module, "time", clock)
    monkeypatch.setattr(patience, "time", clock)
    monkeypatch.setattr(rtt_module, "time", clock)
    return clock


@pytest.fixture
def firmware(clock: Clock) -> Firmware:
    return Firmware(clock)


def client_of(firmware: Firmware, tells: bool = True, **options: Any) -> LinkClient:
    """tells: whether the firmware says which request it took up last."""
    options.setdefault("alive", lambda: None)
    if tells:
        options["last_taken"] = lambda: firmware.last_taken
    return LinkClient(Rtt(firmware, BASE), **options)


def open_client(firmware: Firmware, **options: Any) -> LinkClient:
    """One that has had its first answer, and a firmware that has not been asked yet."""
    client = client_of(firmware, **options)
    client.request(hello_command(), 1.0)
    firmware.asked.clear()
    return client


# ---- one request, one reply ------------------------------------------------------------------------------------------


def test_a_request_brings_its_result(firmware: Firmware) -> None:
    client = client_of(firmware)
    assert (client.boot, client.last_answered) == (None, None)
    assert client.request(RUN, 1.0) == DONE
    ((_, number, command),) = firmware.asked
    assert command == RUN
    assert (client.boot, client.last_answered) == (BOOT, number)
    assert client.counters == LinkCounters(0, 0, 0)


def test_each_request_has_an_id_of_its_own_of_32_bits(firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.secrets, "randbits", lambda bits: 2**bits - 2)
    client = client_of(firmware)
    for _ in range(3):
        client.request(RUN, 1.0)
    assert [number for _, number, _ in firmware.asked] == [2**32 - 1, 0, 1]


def test_the_ids_of_two_clients_begin_apart(firmware: Firmware) -> None:
    messages = {client_of(firmware).next_message(RUN) for _ in range(8)}
    assert len(messages) == 8


def test_a_request_is_told_to_be_sent_when_all_of_it_lies_in_the_ring(clock: Clock) -> None:
    firmware = Firmware(clock, size=16)
    waiting: list[bool] = []
    client_of(firmware).request(RUN, 1.0, sent=lambda: waiting.append(bool(firmware.asked)))
    assert waiting == [False]  # its last bytes are in the ring


def test_a_request_goes_out_behind_an_end_of_frame(firmware: Firmware) -> None:
    """What an interrupted client left in the ring ends there."""
    Rtt(firmware, BASE).write(b"\x07half")
    assert client_of(firmware).request(RUN, 0.1) == DONE


@pytest.mark.parametrize("code", [*AGENT_ERRORS, 99])
def test_a_refusal_names_code_detail_and_reason(code: int, firmware: Firmware) -> None:
    client = client_of(firmware)
    firmware.answer = lambda number, _: [firmware.reply(number, {"error": [code, 12]})]
    with pytest.raises(AgentError, match=AGENT_ERRORS.get(code, "unknown agent status")) as caught:
        client.request(RUN, 1.0)
    assert (caught.value.code, caught.value.detail) == (code, 12)
    assert client.last_answered == firmware.asked[0][1]


NO_REPLIES: dict[str, tuple[Callable[[Firmware, int], bytes], str]] = {
    "no CBOR": (lambda _firmware, _number: b"\xff\x01", r"no reply of the schema \(.+\): ff 01$"),
    "a number": (lambda _firmware, _number: cbor2.dumps(7), r"no reply of the schema \(.+\): 07$"),
    "two items": (lambda _firmware, number: cbor2.dumps([number, 1]), "no reply of the schema"),
    "four items": (lambda _firmware, number: cbor2.dumps([number, 1, {}, 0]), "no reply of the schema"),
    "no number as id": (lambda firmware, _number: firmware.reply("me", DONE), "no id: 83 62 6d 65"),
    "no map as result": (lambda firmware, number: firmware.reply(number, 7), "no result map: 83 1a"),
}


@pytest.mark.parametrize("name", NO_REPLIES)
def test_what_is_no_reply_is_an_error_that_shows_its_bytes(
    name: str, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module.secrets, "randbits", lambda bits: 2 ** (bits - 1))
    made, words = NO_REPLIES[name]
    firmware.answer = lambda number, _: [made(firmware, number)]
    with pytest.raises(LinkError, match=f"a reply with a good CRC (is|has) {words}"):
        client_of(firmware).request(RUN, 1.0)


@pytest.mark.parametrize("name", ["no CBOR", "no number as id", "no map as result"])
def test_an_error_shows_the_first_32_bytes(name: str, firmware: Firmware) -> None:
    long = {
        "no CBOR": lambda number: b"\xff" * 90,
        "no number as id": lambda number: firmware.reply("x" * 90, DONE),
        "no map as result": lambda number: firmware.reply(number, "x" * 90),
    }[name]
    firmware.answer = lambda number, _: [long(number)]
    with pytest.raises(LinkError) as caught:
        client_of(firmware).request(RUN, 1.0)
    _, _, shown = str(caught.value).rpartition(": ")
    assert bytes.fromhex(shown) == long(firmware.asked[0][1])[:32]
    assert len(shown) == 32 * 3 - 1


# ---- repeats ---------------------------------------------------------------------------------------------------------


def test_the_same_frame_goes_out_again_after_ever_longer_waits(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.answer = firmware.silent
    start = clock.now
    with pytest.raises(DeviceSilent, match=r"no answer to 'run' within 8 s \(4 repeats, 0 damaged"):
        client.request(RUN, 8.0, repeat_s=0.5)
    assert {(number, command["run"][0]) for _, number, command in firmware.asked} == {(firmware.last_taken, 1)}
    times = [when - start for when, _, _ in firmware.asked]
    assert times == pytest.approx([0, 0.5, 1.5, 3.5, 7.5], abs=0.02)
    assert client.counters.repeats == 4
    assert clock.now - start == pytest.approx(8.0, abs=0.01)


def test_half_a_second_passes_before_a_repeat(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.answer = firmware.silent
    start = clock.now
    with pytest.raises(DeviceSilent):
        client.request(RUN, 0.6)
    assert [when - start for when, _, _ in firmware.asked] == pytest.approx([0, 0.5], abs=0.01)


def test_a_request_that_was_not_read_is_not_repeated(firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.reads = False
    with pytest.raises(DeviceSilent, match=r"0 repeats, .* request not read by the firmware") as caught:
        client.request(RUN, 3.0, repeat_s=0.5)
    assert not caught.value.begun


def test_silence_counts_what_came_all_the_same(firmware: Firmware) -> None:
    client = open_client(firmware)

    def answer(number: int, _: dict[str, Any]) -> list[bytes]:
        firmware.put(b"\x05damaged\0" * 2)
        return [firmware.reply(number ^ 1, DONE)] * 3

    firmware.answer = answer
    words = r"1 repeats, 4 damaged frames received, 6 replies to other requests, request read by the firmware"
    with pytest.raises(DeviceSilent, match=words):
        client.request(RUN, 1.0, repeat_s=0.5)
    assert client.counters == LinkCounters(1, 4, 6)


def test_a_further_attachment_goes_on_counting(firmware: Firmware) -> None:
    counters = LinkCounters(1, 20, 300)
    client = open_client(firmware, counters=counters)
    firmware.put(b"\x05damaged\0")
    client.request(RUN, 1.0)
    assert counters == LinkCounters(1, 21, 300)
    firmware.answer = lambda *_: firmware.put(b"\x05damaged\0") and []
    with pytest.raises(DeviceSilent, match=r"\(1 repeats, 2 damaged frames received, 300 replies"):
        client.request(RUN, 0.1)
    assert counters == LinkCounters(1, 22, 300)


# ---- how it waits ----------------------------------------------------------------------------------------------------


def test_a_wait_begins_without_naps_which_then_grow(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.answer = firmware.silent
    start = clock.now
    with pytest.raises(DeviceSilent):
        client.request(RUN, 1.0)
    assert clock.naps[0][0] - start == pytest.approx(20e-6, abs=20e-6)
    naps = [length for _, length in clock.naps]
    assert naps[:3] == pytest.approx([50e-6, 55e-6, 60.5e-6])
    assert all(later == pytest.approx(min(earlier * 1.1, 2e-3)) for earlier, later in pairwise(naps[:-200]))
    assert max(naps) == 2e-3


def test_the_board_is_looked_after_every_ten_milliseconds(clock: Clock, firmware: Firmware) -> None:
    looked: list[float] = []
    client = open_client(firmware, alive=lambda: looked.append(clock.now))
    firmware.answer = firmware.silent
    start = clock.now
    with pytest.raises(DeviceSilent):
        client.request(RUN, 0.4, repeat_s=1.0)
    assert all(0.010 <= later - earlier < 0.0125 for earlier, later in pairwise([start, *looked]))
    assert len(looked) > 30


@pytest.mark.parametrize("error", [DeviceEnded("gone"), DeviceFault("fault")], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("taken", [True, False])
def test_what_ends_the_firmware_says_whether_the_request_was_taken_up(
    error: DeviceEnded | DeviceFault, taken: bool, firmware: Firmware
) -> None:
    ended: list[Exception] = []

    def alive() -> None:
        if ended:
            raise ended[0]

    client = open_client(firmware, alive=alive)
    firmware.answer, firmware.reads = firmware.silent, taken
    ended.append(error)
    with pytest.raises(type(error)) as caught:
        client.request(RUN, 1.0)
    assert caught.value.begun == taken


def _take(firmware: Firmware, most: int) -> None:
    firmware.take(most)


def _put(firmware: Firmware, message: bytes) -> None:
    firmware.put(frame.encode(message))


# ---- what was begun when it broke ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tells", "most", "begun"), [(True, 0, False), (True, 3, True), (False, 0, False), (False, 3, True)]
)
def test_a_request_of_which_a_part_was_read_counts_as_begun(
    tells: bool, most: int, begun: bool, firmware: Firmware
) -> None:
    client = open_client(firmware, tells=tells)
    firmware.reads = False
    with pytest.raises(DeviceSilent) as caught:
        client.request(RUN, 1.0, sent=partial(_take, firmware, most))
    assert caught.value.begun == begun


def test_a_request_that_was_taken_up_counts_as_begun_in_a_ring_that_has_gone_round(clock: Clock) -> None:
    """The firmware's end of the ring then stands where it stood."""
    data = frame.END + frame.encode(cbor2.dumps([0x01020304, RUN]))
    firmware = Firmware(clock, size=len(data))
    client = client_of(firmware)
    client._id = 0x01020303
    firmware.answer = firmware.silent
    with pytest.raises(DeviceSilent) as caught:
        client.request(RUN, 0.1)
    assert caught.value.begun


def test_a_ring_that_is_not_emptied_is_a_silence(clock: Clock) -> None:
    firmware = Firmware(clock, size=16)
    client = client_of(firmware)
    firmware.reads = False
    size = len(frame.END + frame.encode(client.next_message(RUN)))
    start = clock.now
    with pytest.raises(DeviceSilent, match=rf"{size - 15} of {size} bytes did not fit the ring") as caught:
        client.request(RUN, 2.0)
    assert not caught.value.begun
    assert clock.now - start == pytest.approx(2.0, abs=0.01)


# ---- the firmware restarts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("raised", [0, 1])
@pytest.mark.parametrize("taken", [True, False])
def test_a_restart_in_a_request_is_a_reset(
    taken: bool, raised: int, tells: bool, clock: Clock, firmware: Firmware
) -> None:
    """A firmware that does not say what it took up may have begun the request."""
    client = open_client(firmware, tells=tells)
    firmware.answer, firmware.reads = firmware.only_hello, taken
    firmware.after = [(clock.now + 0.2, lambda: firmware.restart(raised))]
    start = clock.now
    with pytest.raises(DeviceReset) as caught:
        client.request(RUN, 30.0)
    assert (caught.value.before, caught.value.after) == (BOOT, BOOT + raised)
    assert caught.value.begun == (taken or not tells)
    assert clock.now - start < 0.3
    assert firmware.asked[-1][1:] == (client._id, hello_command())
    assert [command for _, _, command in firmware.asked[:-1]] == [RUN] * taken  # never sent to the new start


def test_nothing_is_sent_while_the_firmware_makes_its_block_anew(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.answer = firmware.only_hello
    firmware.boot += 1
    firmware.after = [(clock.now + 0.2, firmware.go_down), (clock.now + 1.9, firmware.come_up)]
    with pytest.raises(DeviceReset) as caught:
        client.request(RUN, 30.0, repeat_s=0.1)
    assert caught.value.after == BOOT + 1
    assert client.counters.repeats == 1
    assert [command for _, _, command in firmware.asked] == [RUN, RUN, hello_command()]


def test_a_restart_before_a_request_is_not_the_request_s(firmware: Firmware) -> None:
    """It is seen before anything is sent; that the new start then takes up a hello under the same id is nothing."""
    client = open_client(firmware)
    firmware.restart()
    with pytest.raises(DeviceReset) as caught:
        client.request(RUN, 30.0, sent=lambda: pytest.fail("nothing was sent"))
    assert (caught.value.before, caught.value.after, caught.value.begun) == (BOOT, BOOT + 1, False)
    assert [command for _, _, command in firmware.asked] == [hello_command()]


def test_a_restart_that_only_the_counter_tells_was_before_the_request(firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.boot += 1
    with pytest.raises(DeviceReset) as caught:
        client.request(RUN, 1.0)
    assert (caught.value.before, caught.value.after, caught.value.begun) == (BOOT, BOOT + 1, False)
    assert client.boot == BOOT + 1
    assert client.request(RUN, 1.0) == DONE


def test_a_session_may_begin_behind_a_restart(firmware: Firmware) -> None:
    client = client_of(firmware)
    firmware.restart()
    assert client.request(hello_command(), 1.0) == {"hello": "facts"}
    assert client.boot == BOOT + 1


def test_a_first_request_that_is_no_hello_does_not_survive_a_restart(clock: Clock, firmware: Firmware) -> None:
    client = client_of(firmware)
    firmware.answer = firmware.only_hello
    firmware.after = [(clock.now + 0.2, firmware.restart)]
    with pytest.raises(DeviceReset) as caught:
        client.request(RUN, 30.0)
    assert (caught.value.before, caught.value.after, caught.value.begun) == (BOOT + 1, BOOT + 1, True)


def test_damage_before_a_restart_stays_counted(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.answer = firmware.only_hello
    firmware.put(b"\x05damaged\0")
    firmware.after = [(clock.now + 0.2, firmware.restart)]
    with pytest.raises(DeviceReset):
        client.request(RUN, 30.0)
    assert client.counters.damaged == 1


@pytest.mark.parametrize("taken", [True, False])
def test_a_firmware_that_restarts_and_says_nothing_is_a_reset_after_ten_seconds(
    taken: bool, clock: Clock, firmware: Firmware
) -> None:
    client = open_client(firmware)
    firmware.answer, firmware.reads = firmware.silent, taken
    firmware.after = [(clock.now + 3.0, firmware.restart)]
    start = clock.now
    with pytest.raises(DeviceReset) as caught:
        client.request(RUN, 60.0)
    assert (caught.value.before, caught.value.after, caught.value.begun) == (BOOT, None, taken)
    assert clock.now - start == pytest.approx(13.0, abs=0.02)


def test_ten_seconds_count_from_the_first_restart(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    firmware.answer = firmware.silent
    start = clock.now
    firmware.after = [(start + 2.0, firmware.restart), (start + 9.0, firmware.restart)]
    with pytest.raises(DeviceReset):
        client.request(RUN, 60.0)
    assert clock.now - start == pytest.approx(12.0, abs=0.02)


def test_a_firmware_never_heard_of_that_restarts_and_says_nothing_is_silent(clock: Clock, firmware: Firmware) -> None:
    client = client_of(firmware)
    firmware.answer = firmware.silent
    firmware.after = [(clock.now + 1.0, firmware.restart)]
    with pytest.raises(DeviceSilent):
        client.request(hello_command(), 20.0)


# ---- replies under another id ----------------------------------------------------------------------------------------


def later(firmware: Firmware, clock: Clock, *replies: tuple[float, bytes]) -> Callable[..., list[bytes]]:
    """An answer whose messages come so many seconds after the first request."""

    def answer(_number: int, _command: dict[str, Any]) -> list[bytes]:
        start = clock.now
        firmware.after = [(start + wait, partial(_put, firmware, data)) for wait, data in replies]
        firmware.answer = firmware.silent
        return []

    return answer


def test_a_wrong_id_with_no_right_one_behind_it_is_an_error_after_two_seconds(clock: Clock, firmware: Firmware) -> None:
    """The first wrong one counts, however many follow."""
    client = open_client(firmware)
    one, other = firmware.reply(0xAB, DONE), firmware.reply(0xCD, DONE)
    firmware.answer = later(firmware, clock, (1.0, one), (2.5, other))
    start, asked = clock.now, client._id + 1
    with pytest.raises(LinkError, match=rf"under id {asked:#010x}, the firmware answered under id 0x000000ab, .* 2 s"):
        client.request(RUN, 60.0)
    assert clock.now - start == pytest.approx(3.0, abs=0.02)
    assert client.counters.ignored == 2


def test_a_right_reply_may_come_behind_a_wrong_one(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    wrong, right = firmware.reply(7, DONE), firmware.reply(client._id + 1, DONE)
    firmware.answer = later(firmware, clock, (1.0, wrong), (2.9, right))
    assert client.request(RUN, 60.0) == DONE
    firmware.answer = later(firmware, clock, (2.9, firmware.reply(client._id + 1, DONE)))
    assert client.request(RUN, 60.0) == DONE  # the wrong one is forgotten
    assert client.counters.ignored == 1


def repeated(firmware: Firmware, client: LinkClient, times: int = 1) -> int:
    """A request whose answer came to its last repeat only; its id, under which so many more replies are due."""
    firmware.answer = firmware.silent
    start = firmware._clock.now
    answers_from = start + 0.5 * 2**times - 0.6  # repeats go out 0.5, 1.5, 3.5 s after the start
    firmware.after = [(answers_from, lambda: setattr(firmware, "answer", firmware.right))]
    client.request(RUN, 60.0, repeat_s=0.5)
    assert client.counters.repeats == times
    return client._id


@pytest.mark.parametrize("times", [1, 2, 3])
def test_one_late_answer_to_each_repeat_is_due_and_no_more(times: int, clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    late = firmware.reply(repeated(firmware, client, times), DONE)
    firmware.answer = later(firmware, clock, *[(0.1, late)] * times, (5.0, firmware.reply(client._id + 1, DONE)))
    assert client.request(RUN, 60.0, repeat_s=100) == DONE
    assert client.counters.ignored == times
    firmware.answer = later(firmware, clock, (0.1, late))
    with pytest.raises(LinkError, match="answered under id"):
        client.request(RUN, 60.0, repeat_s=100)


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_due_to_repeats_has_come_once_the_client_has_settled(
    times: int, clock: Clock, firmware: Firmware
) -> None:
    client = open_client(firmware)
    late = firmware.reply(repeated(firmware, client, times), DONE)
    start = clock.now
    firmware.after = [(start + 0.3 + 0.1 * number, partial(_put, firmware, late)) for number in range(times)]
    client.settle(2.0)
    assert clock.now - start == pytest.approx(0.2 + 0.1 * times, abs=0.02)
    assert client.counters.ignored == times
    client.settle(2.0)
    assert clock.now - start < 1.0
    firmware.answer = firmware.right
    assert client.request(RUN, 1.0) == DONE


def test_replies_that_never_come_are_not_waited_for_long(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    repeated(firmware, client)
    start = clock.now
    client.settle(2.0)
    assert clock.now - start == pytest.approx(2.0, abs=0.02)


def test_a_request_for_which_the_target_stood_still_is_not_repeated(clock: Clock, firmware: Firmware) -> None:
    """It would stand in the ring when the target stops again, in place of the next one."""
    client = open_client(firmware)
    firmware.answer = firmware.silent
    with pytest.raises(DeviceSilent):
        client.request(RUN, 30.0, sent=lambda: None)
    assert (len(firmware.asked), client.counters.repeats) == (1, 0)


# ---- messages as they are --------------------------------------------------------------------------------------------


def talk(client: LinkClient, firmware: Firmware, messages: list[bytes], enough: int, timeout_s: float) -> list[bytes]:
    firmware.answer = lambda number, _: messages
    data = frame.END + frame.encode(client.next_message(RUN))
    return client.converse(data, lambda found: len(found) >= enough, timeout_s)


def test_a_conversation_ends_when_there_is_enough(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    messages = [b"", b"\xff", cbor2.dumps(7), cbor2.dumps([]), cbor2.dumps(["me"]), firmware.reply(7, DONE)]
    start = clock.now
    assert talk(client, firmware, messages, len(messages), 5.0) == messages
    assert clock.now - start < 0.1
    assert talk(client, firmware, messages, len(messages) + 1, 5.0) == messages
    assert clock.now - start == pytest.approx(5.0, abs=0.02)
    assert client.counters == LinkCounters(0, 0, 0)


def test_late_answers_are_no_part_of_a_conversation(clock: Clock, firmware: Firmware) -> None:
    client = open_client(firmware)
    late = firmware.reply(repeated(firmware, client), DONE)
    other = firmware.reply(7, DONE)
    assert talk(client, firmware, [late, other, late], 2, 1.0) == [other, late]
    assert client.counters.ignored == 1


def test_a_conversation_over_a_ring_that_is_not_emptied_is_a_silence(clock: Clock) -> None:
    firmware = Firmware(clock, size=16)
    firmware.reads = False
    start = clock.now
    with pytest.raises(DeviceSilent, match="5 of 20 bytes did not fit"):
        client_of(firmware).converse(bytes(20), lambda _: True, 1.0)
    assert clock.now - start == pytest.approx(1.0, abs=0.01)
