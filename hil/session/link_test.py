"""The firmware's end of the link is shown damaged, cut, overlong, repeated, reordered and stale frames."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cbor2

from hil.contract.instruments.link import LinkProbe, LinkTest
from hil.device import Device
from hil.errors import LinkError
from hil.link import cobs, frame, messages
from hil.records import GateReason, Record, Status
from hil.session.own_windows import usual_vector
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

_LEAST_WAIT_S = 2.0  # for replies that may never come
_OVERLONG_BYTES = 512  # beyond the longest frame
_CRC_BYTES = 4
Reply = tuple[int, dict[str, Any]]


def _collect(run: SessionState) -> LinkTest:
    vector = usual_vector(run)
    if run.stopped or vector == NO_VECTOR:
        return LinkTest()
    return run.attempt(NO_VECTOR, partial(_probe, run, vector)) or LinkTest()


def _probe(run: SessionState, vector: int) -> LinkTest:
    start = time.monotonic()
    run.device.run(run.case.vectors.payload(vector), deadline_ticks=run.deadline_ticks)
    wait_s = max(_LEAST_WAIT_S, 20 * (time.monotonic() - start))
    line = _Line(run.device, run.case.vectors.payload(vector), run.deadline_ticks, wait_s)
    return LinkTest(True, (*_damaged(line), *_repeated(line), *_reordered(line)))


class _Line:
    """Sends frames of its own making, each a request to run one window, and reads what comes back."""

    def __init__(self, device: Device, window: bytes, deadline_ticks: int, wait_s: float) -> None:
        self.device, self._window, self._deadline_ticks, self._wait_s = device, window, deadline_ticks, wait_s

    def request(self, window: bytes | None = None) -> bytes:
        """A message under an id, and with a capture number, of its own."""
        number = self.device.next_sequence()
        content = self._window if window is None else window
        return self.device.message(messages.run_command(number, True, self._deadline_ticks, content))

    def send(self, frames: Sequence[bytes], last: bytes) -> list[bytes]:
        """The replies to `frames`, up to the one to `last`, a good request that is sent behind them."""
        number = _id(last)
        data = frame.END + b"".join(frames) + frame.encode(last)
        replies = self.device.converse(data, lambda found: any(_id(each) == number for each in found), self._wait_s)
        if all(_id(reply) != number for reply in replies):
            self.device.run(self._window, deadline_ticks=self._deadline_ticks)  # raises when the firmware is gone
        return replies


def _damaged(line: _Line) -> list[LinkProbe]:
    """A frame that is damaged gets no reply, and the good one behind it does."""
    probes = []
    room = line.device.hello.frame_bytes
    ways: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
        ("one bit of a window changed", lambda message: _with_crc_of(message, _flip(message, len(message) // 2))),
        ("one bit of a CRC changed", lambda message: _raw(message, zlib.crc32(message) ^ 0x0100_0000)),
        ("a frame cut in half", lambda message: frame.encode(message)[: len(message) // 2] + frame.END),
        ("a frame that is too long", lambda message: frame.encode(message + b"\x55" * (room + _OVERLONG_BYTES))),
    )
    for name, damage in ways:
        bad, good = line.request(), line.request()
        replies = line.send([damage(bad)], good)
        ids = {_id(bad): "the damaged request", _id(good): "the next"}
        answered = [ids.get(_id(reply), "another id") for reply in replies]
        probes.append(LinkProbe(name, "a reply to the next", f"a reply to {' and '.join(answered) or 'nothing'}"))
    return probes


def _repeated(line: _Line) -> list[LinkProbe]:
    """The last request again is answered from the cache; another under its id, or it under another id, is run."""
    first, behind = line.request(), line.request()
    replies = line.send([frame.encode(first), frame.encode(first)], behind)
    own = [reply for reply in replies if _id(reply) == _id(first)]
    same = "the same reply twice"
    observed = same if len(own) == 2 and own[0] == own[1] else _words(own)
    probes = [LinkProbe("a request sent twice", same, observed)]

    one = line.request()
    number, command = cbor2.loads(one)
    other = cbor2.dumps([number, messages.run_command(line.device.next_sequence(), True, 0, b"")])
    replies = line.send([frame.encode(one), frame.encode(other)], line.request())
    refused = f"a reply with {_verdict(Status.REJECTED, GateReason.LENGTH)}"
    own = [reply for reply in replies if _id(reply) == number][1:]
    probes.append(LinkProbe("another request under the id of the last", refused, _words(own)))

    one = line.device.message(command)
    again = line.device.message(command)
    replies = line.send([frame.encode(one), frame.encode(again)], line.request())
    stale = f"a reply with {_verdict(Status.REJECTED, GateReason.STALE)}"
    own = [reply for reply in replies if _id(reply) == _id(again)]
    probes.append(LinkProbe("the last request under another id", stale, _words(own)))
    return probes


def _reordered(line: _Line) -> list[LinkProbe]:
    """A request that comes again behind another one: its reply has its own id, and is no reply to the other."""
    first, second = line.request(), line.request(b"")
    replies = line.send([frame.encode(first), frame.encode(second), frame.encode(first)], line.request())
    ids = {_id(first): "first", _id(second): "second"}
    order = [ids[_id(reply)] for reply in replies if _id(reply) in ids]
    observed = f"replies to {', '.join(order)}"
    probes = [LinkProbe("two requests, and the first again", "replies to first, second, first", observed)]
    own = [reply for reply in replies if _id(reply) == _id(first)]
    if len(own) == 2 and (once := _record(own[0])) and (again := _record(own[1])):
        mixed = again.gate == GateReason.LENGTH or (again.status == Status.DONE and again.output != once.output)
        probes.append(LinkProbe("the first again", "the record of its own window", "another record" if mixed else _OWN))
    return probes


_OWN = "the record of its own window"


# ---- frames and what they hold


def _raw(message: bytes, crc: int) -> bytes:
    return cobs.encode(message + crc.to_bytes(_CRC_BYTES, "little")) + frame.END


def _with_crc_of(message: bytes, damaged: bytes) -> bytes:
    return _raw(damaged, zlib.crc32(message))


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def _id(message: bytes) -> int:
    number = cbor2.loads(message)[0]
    return number if isinstance(number, int) else -1


def _record(reply: bytes) -> Record | None:
    try:
        return messages.decode_record(cbor2.loads(reply)[2])
    except LinkError:
        return None


def _words(replies: Sequence[bytes]) -> str:
    """What these replies say, in words."""
    if not replies:
        return "no reply"
    texts = []
    for reply in replies:
        record = _record(reply)
        texts.append("no record" if record is None else _verdict(record.status, record.gate))
    return f"a reply with {', then one with '.join(texts)}"


def _verdict(status: Status, gate: GateReason) -> str:
    return f"{status.name.lower()}: {gate.name.lower()}" if gate else status.name.lower()


STEP = Step(LinkTest, Scope.LEAD, _collect)
