"""One request, one reply: ids, repeats, and what counts as the device being gone."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2

from hil.errors import AgentError, BoardError, DeviceEnded, DeviceFault, DeviceReset, DeviceSilent, LinkError
from hil.link import frame
from hil.link.channel import Channel
from hil.link.messages import PROTOCOL
from hil.patience import Patience, Turns

AGENT_ERRORS = {
    1: "the request is not in the schema",
    2: "protocol number not supported",
    3: "item out of range",
    4: "the reply does not fit into the ring",
    5: "scores of the wrong length",
    6: "this firmware has no profile",
    7: "this firmware has no such self-test, or no plain way",
    8: "the model has no such tensor",
    9: "this firmware cannot do that",
}
# Longer keeps the core from the emulator of another worker: 500 us cost two runs twice the time. And no sched_yield:
# beside programs that want all cores it gives each of them a slice of milliseconds, for every request.
_SPIN_S = 20e-6
_NAP_S = 50e-6
_LONGEST_NAP_S = 2e-3  # of waits that are long anyway: each look costs the core that another emulator may want
_ALIVE_EVERY_S = 10e-3
_HELLO_S = 10.0  # for a firmware that restarted to say who it is
_ARRAY_OF_TWO = b"\x82"  # in CBOR: id and command; a reply is an array of three
_WRONG_ID_S = 2.0  # how long a right reply may still come behind one under a wrong id


@dataclass
class LinkCounters:
    """What went wrong on the wire and was mended by repeating; reported with every run."""

    repeats: int = 0
    damaged: int = 0
    ignored: int = 0


class LinkClient:
    """Requests over one attachment to a channel.

    alive: called every few milliseconds of waiting; raises when the board is gone or the firmware left a fault record.
    last_taken: id of the last request that the firmware took up, from RAM that a restart leaves alone; None when this
    firmware does not keep it. turns: what an emulator got of this machine's processors: what it lost is no time-out.
    """

    def __init__(
        self,
        channel: Channel,
        alive: Callable[[], None],
        counters: LinkCounters | None = None,
        last_taken: Callable[[], int | None] = lambda: None,
        turns: Turns = dict,
    ) -> None:
        """counters: where to go on counting, when this is a further attachment of one session."""
        self._channel, self._alive, self._last_taken, self._turns = channel, alive, last_taken, turns
        self._reader = channel.reader()
        self._id = secrets.randbits(32)  # so that a reply to another client's request is never taken for ours
        self._boot: int | None = None
        self.last_answered: int | None = None  # id of the last request that brought a reply
        self._late: dict[int, int] = {}  # replies that may still come to repeats of a request, by its id
        self._wrong: tuple[int, float] | None = None  # id that a reply to this request had, and since when
        self.echoed = 0  # requests of this client that came back as they were
        self.counters = counters or LinkCounters()
        self._damaged_before = self.counters.damaged

    @property
    def boot(self) -> int | None:
        """The firmware's start counter, once the first reply has come."""
        return self._boot

    def request(
        self,
        command: dict[str, Any],
        timeout_s: float,
        repeat_s: float = 0.5,
        sent: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """Send one command, return the result map of its reply. sent: called once all of it lies in the ring; such a
        request is not repeated, since the target stands still until then, and as soon as it has answered.

        The same frame goes out again when `repeat_s` passed without an answer and the firmware has read all of the
        last one; the agent answers a repeated request from its cache, so nothing runs twice.
        Raises DeviceSilent after `timeout_s`, DeviceReset when the firmware restarted, AgentError when the agent
        refuses, LinkError when a reply is no message of the schema or comes under a wrong id, BoardError when the port
        was lost and the firmware was not, and what `alive` raises.
        DeviceReset, DeviceFault, DeviceEnded and DeviceSilent say in `begun` whether the firmware had taken up this
        request when it broke.
        """
        asked = _Exchange(next(iter(command)), frame.END + frame.encode(self.next_message(command)))
        try:
            return self._exchange(asked, timeout_s, repeat_s, sent)
        except (DeviceFault, DeviceEnded, DeviceSilent) as error:
            error.begun = self._begun(asked)
            raise

    def _exchange(
        self, asked: _Exchange, timeout_s: float, repeat_s: float, sent: Callable[[], None] | None
    ) -> dict[str, Any]:
        self._wrong = None
        start, patience = time.monotonic(), Patience(timeout_s, self._turns)
        self._channel.look()  # a restart that is seen before anything is sent was not this request's
        asked.taken_before = self._channel.taken
        if not self._channel.made_anew:
            asked.sent = True
            self._send(asked.data, patience)
            if sent is not None:
                sent()
        repeat_at = start + repeat_s if sent is None else math.inf
        for now in self._ticks(patience):
            for message in self._reader.feed(self._channel.read()):
                reply = self._match(message, asked)
                if reply is not None:
                    return reply
            self._refuse_wrong_id(now)
            self._refuse_dumb_restart(asked, now)
            if self._channel.made_anew and self._channel.published:
                self._ask_again_who_is_there(asked, patience)
            elif now >= repeat_at and self._channel.drained() and not self._channel.made_anew:
                self.counters.repeats += 1
                self._late[self._id] = self._late.get(self._id, 0) + 1
                self._send(asked.data, patience)
                repeat_s *= 2
                repeat_at = now + repeat_s
        self.counters.damaged = self._damaged_before + self._reader.damaged
        raise DeviceSilent(
            f"no answer to {asked.name!r} within {timeout_s:g} s "
            f"({self.counters.repeats} repeats, {self._reader.damaged} damaged frames received, "
            f"{self.counters.ignored} replies to other requests, "
            f"{self._channel.told()})"
        )

    def settle(self, timeout_s: float) -> None:
        """Wait for the replies that are due to repeats of former requests, at most `timeout_s`.

        The firmware answers one request at a time: what it has not answered yet it takes up before the next.
        """
        for _ in self._ticks(Patience(timeout_s, self._turns)):
            for message in self._reader.feed(self._channel.read()):
                self._due(message)
            if not any(self._late.values()):
                return

    def next_message(self, command: dict[str, Any]) -> bytes:
        """A request under an id that this client has not used."""
        self._id = (self._id + 1) & 0xFFFFFFFF
        return cbor2.dumps([self._id, command])

    def converse(self, data: bytes, enough: Callable[[list[bytes]], bool], timeout_s: float) -> list[bytes]:
        """Write bytes as they are, and return the messages that come back, as they are: as soon as they are `enough`,
        or after `timeout_s`. Replies to repeats of a former request are left out.

        Raises DeviceSilent when the ring does not take the bytes, and what `alive` raises.
        """
        patience = Patience(timeout_s, self._turns)
        self._send(data, patience)
        reader = self._channel.reader()
        found: list[bytes] = []
        for _ in self._ticks(patience):
            came = reader.feed(self._channel.read())
            found += [message for message in came if not (self._due(message) or _is_request(message))]
            if enough(found):
                break
        reader.finish()
        return found

    def _due(self, message: bytes) -> bool:
        """Whether it is the reply to a repeat of a former request, which may come late."""
        try:
            number = cbor2.loads(message)[0]
        except (cbor2.CBORDecodeError, ValueError, TypeError, IndexError):
            return False
        if not isinstance(number, int) or self._late.get(number, 0) <= 0:
            return False
        self._ignore(number)
        return True

    def _refuse_wrong_id(self, now: float) -> None:
        if self._wrong is None or now - self._wrong[1] < _WRONG_ID_S:
            return
        raise LinkError(
            f"asked under id {self._id:#010x}, the firmware answered under id {self._wrong[0]:#010x}, and "
            f"not under the right one within {_WRONG_ID_S:g} s\n"
            "  next: look at how the agent copies the id of a request into its reply, and whether something else "
            "writes into the ring"
        )

    def _ask_again_who_is_there(self, asked: _Exchange, patience: Patience) -> None:
        """The firmware restarted and knows nothing of the request. What may have brought it down is not sent again: the
        reply to a hello says that it is back, and its start counter.
        """
        asked.asked_again = asked.asked_again or time.monotonic()
        asked.restarted, asked.begun = True, self._begun(asked)
        self._channel.attach()
        self._reader.finish()
        self._reader = self._channel.reader(self._reader.damaged)
        asked.data = frame.END + frame.encode(cbor2.dumps([self._id, {"hello": PROTOCOL}]))
        self._send(asked.data, patience)

    def _begun(self, asked: _Exchange) -> bool:
        """Whether the firmware had taken up the request when it broke. Where it does not say, a request that was sent
        and that it read a part of counts as begun, and so does any that was sent before a restart.
        """
        if not asked.sent:
            return False
        last = self._last_taken()
        if last == self._id:
            return True
        if self._channel.made_anew:  # nobody knows any more how much of the request was read
            return last is None
        return self._channel.taken != asked.taken_before

    def _refuse_dumb_restart(self, asked: _Exchange, now: float) -> None:
        """A firmware that restarted and does not say hello again is no firmware that hangs in the request."""
        if self._boot is not None and asked.restarted and now > asked.asked_again + _HELLO_S:
            raise DeviceReset(self._boot, None, begun=asked.begun)

    def _ticks(self, patience: Patience) -> Any:
        """Host times to look for a reply at: at first without a nap, then with growing naps. The last look comes when
        the time is over.
        """
        start = now = time.monotonic()
        alive_at = start + _ALIVE_EVERY_S
        nap, over = _NAP_S, False
        while not over:
            over = patience.over()
            yield now
            now = time.monotonic()
            if now - start > _SPIN_S:
                self._channel.wait(nap)
                nap = min(nap * 1.1, _LONGEST_NAP_S)
            if now >= alive_at:
                self._alive()
                alive_at = now + _ALIVE_EVERY_S

    def _send(self, data: bytes, patience: Patience) -> None:
        view = data
        for _ in self._ticks(patience):
            view = view[self._channel.write(view) :]
            if not view or self._channel.made_anew:
                return
        raise DeviceSilent(
            f"the firmware read no more of a request: {len(view)} of {len(data)} bytes did not fit the ring"
        )

    def _match(self, message: bytes, asked: _Exchange) -> dict[str, Any] | None:
        self.counters.damaged = self._damaged_before + self._reader.damaged
        if _is_request(message):
            self.echoed += 1
            return None
        try:
            number, boot, result = cbor2.loads(message)
        except (cbor2.CBORDecodeError, ValueError, TypeError) as error:
            raise LinkError(
                f"a reply with a good CRC is no reply of the schema ({error}): {message[:32].hex(' ')}"
            ) from error
        if not isinstance(number, int):
            raise LinkError(f"a reply with a good CRC has no id: {message[:32].hex(' ')}")
        if number != self._id:
            self._ignore(number)
            return None
        before, self._boot = self._boot, boot
        if before is None:
            before = boot
            asked.restarted &= asked.name != "hello"  # else it restarted before the session began
        if asked.restarted and boot == before and (why := self._channel.unrestarted):
            raise BoardError(why)
        if asked.restarted or boot != before:
            # Where the new start answers the request itself, it was taken up behind the restart.
            raise DeviceReset(before, boot, begun=asked.restarted and asked.begun)
        self.last_answered = number
        if not isinstance(result, dict):
            raise LinkError(f"a reply with a good CRC has no result map: {message[:32].hex(' ')}")
        if "error" in result:
            code, detail = result["error"]
            raise AgentError(code, detail, AGENT_ERRORS.get(code, "unknown agent status"))
        return result

    def _ignore(self, number: int) -> None:
        """A reply under another id. One to each repeat of a former request is due; any more are suspicious."""
        self.counters.ignored += 1
        if self._late.get(number, 0) > 0:
            self._late[number] -= 1
        elif self._wrong is None:
            self._wrong = number, time.monotonic()


def _is_request(message: bytes) -> bool:
    """Whether it is no reply but a request: a line of two wires brings back what the harness sends."""
    if message[:1] != _ARRAY_OF_TWO:
        return False
    try:
        return isinstance(cbor2.loads(message)[1], dict)
    except (cbor2.CBORDecodeError, ValueError, TypeError, IndexError):
        return False


@dataclass
class _Exchange:
    """One request on its way: its name, its frame, and what is known of it."""

    name: str
    data: bytes
    sent: bool = False  # or at least begun to be
    taken_before: int = 0  # where the firmware's end of the ring was before it was sent
    restarted: bool = False  # the firmware restarted, and was asked who is there
    asked_again: float = 0.0  # host time of the first such question
    begun: bool = False  # the firmware had taken it up before that
