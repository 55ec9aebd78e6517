"""The firmware's test agent as an object: typed requests over the link of one board."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hil.board.base import Board
from hil.case.types import ModelFile
from hil.errors import AgentError, LinkError
from hil.link import messages
from hil.link.client import LinkClient, LinkCounters
from hil.link.messages import SelfTest
from hil.records import Can, CoreState, Decision, HeapState, Hello, Record, Status
from hil.tensor import TensorContract

_CHUNK_BYTES = 2048
_LAST_NUMBER = 0xFFFFFFFF
_SETTLE_S = 2.0  # for replies to requests that were repeated
FRAME_OVERHEAD_BYTES = 256  # CBOR around a window, CRC and stuffing of the longest frame


@dataclass
class InvokeCalls:
    """Invokes since one start of the firmware: how many, and the numbers, from 1, of those that failed."""

    calls: int = 0
    failed: list[int] = field(default_factory=list)

    def note(self, record: Record) -> None:
        """Count the invoke of this record, if it came that far."""
        self.calls += record.status in (Status.DONE, Status.INVOKE_FAILED)
        if record.status == Status.INVOKE_FAILED:
            self.failed.append(self.calls)


@dataclass(frozen=True)
class Profile:
    """One window with a clock around each operator. operators: in the order in which they ran, all `ran` of them or as
    many of the first as the firmware has room for.
    """

    record: Record
    ran: int
    operators: tuple[messages.OperatorTime, ...]


@dataclass(frozen=True)
class PlainRun:
    """One window as the product itself takes it. record: without ticks, and without a prepared tensor; ticks: of the
    board's clock around all stages together.
    """

    record: Record
    ticks: int


@dataclass
class Witness:
    """What the records of all windows of a session, whoever sent them, tell beside answers and times."""

    received: int = 0  # windows whose CRC the firmware told
    damaged: int = 0  # of those: it was not that of the window sent
    read_back: int = 0  # windows after which the core's state was told
    masked: CoreState | None = None  # the first that had a mask set, or a fault gathered


class Device:
    """One session with the agent on a provisioned board. Not safe for use from two threads.

    Every call raises DeviceFault, DeviceReset, DeviceSilent or another BenchError when the firmware or the bench
    breaks.
    """

    def __init__(self, board: Board, model: ModelFile | None = None) -> None:
        """model: of the bundle, so that a device with several tensors tells all of them in `hello`."""
        self.board, self._model = board, model
        self._sequence = _LAST_NUMBER - 1  # so that each session goes through the wrap of the capture numbers
        self.counters = LinkCounters()  # repeats and damaged frames since the session began, restarts included
        self.inferences = 0  # windows that went through the whole pipeline
        self.invokes: list[InvokeCalls] = []  # one for each start of the firmware
        self.heaps: list[list[HeapState]] = []  # for each start, behind each window of `run`, where the firmware tells
        self.witness = Witness()
        self._connect()

    def _connect(self) -> None:
        board = self.board
        self._link = LinkClient(board.channel(), board.check, self.counters, board.last_taken, board.turns)
        self.invokes.append(InvokeCalls())
        self.heaps.append([])
        self.hello = self._with_further(self._hello())

    def _hello(self) -> Hello:
        timeout = self.board.config.timeout.boot_s
        result = self._link.request(messages.hello_command(), timeout)
        hello = messages.decode_hello(result, self._link.boot or 0)
        wanted_hz = self.board.clock.tick_hz
        if hello.clock_hz != wanted_hz:
            raise LinkError(
                f"the firmware's clock {hello.clock!r} ticks at {hello.clock_hz:,} Hz, board {self.board.config.name} "
                f"expects {wanted_hz:,} Hz\n  next: mend the port's clock, or the board file"
            )
        if hello.protocol != messages.PROTOCOL:
            raise LinkError(
                f"the firmware speaks protocol {hello.protocol}, this harness {messages.PROTOCOL}: rebuild it"
            )
        return hello

    @property
    def last_answered(self) -> int | None:
        """Id of the last request that brought a reply; None behind a restart that did not bring one."""
        return self._link.last_answered

    def next_sequence(self) -> int:
        """A capture number that no window of this session had."""
        self._sequence = (self._sequence + 1) & _LAST_NUMBER
        return self._sequence

    def run(
        self,
        window: bytes,
        *,
        fresh: bool = True,
        sequence: int | None = None,
        deadline_ticks: int = 0,
        sent: Callable[[], None] | None = None,
    ) -> Record:
        """Run the whole pipeline on one raw window (little-endian samples).

        fresh: forget the decision state first. sequence: capture number, a new one by default. deadline_ticks: board
        clock ticks until the watchdog fires, 0 for the longest that the port can do.
        """
        if len(window) > self.hello.frame_bytes - FRAME_OVERHEAD_BYTES:
            raise LinkError(
                f"a window of {len(window):,} bytes does not fit into a frame of {self.hello.frame_bytes:,} bytes"
            )
        number = self.next_sequence() if sequence is None else sequence
        command = messages.run_command(number, fresh, deadline_ticks, window)
        return self._noted(messages.decode_record(self._ask(command, sent)), window)

    def plain(self, window: bytes, *, fresh: bool = True, sent: Callable[[], None] | None = None) -> PlainRun | None:
        """One raw window the product's own way: without observer, without deadline. None: this firmware has no such
        way. sent: called once the request lies in the ring.
        """
        if not self.hello.can & Can.PLAIN:
            return None
        try:
            answer = self._ask(messages.plain_command(self.next_sequence(), fresh, window), sent)
        except AgentError as error:
            if error.code in messages.NO_TEST:
                return None
            raise
        record, ticks = messages.decode_plain(answer)
        return PlainRun(self._noted(record, window), ticks)

    def self_test(
        self,
        test: SelfTest,
        amount: int = 0,
        *,
        deadline_ticks: int = 0,
        padding: bytes = b"",
        sent: Callable[[], None] | None = None,
    ) -> Record | None:
        """Show an instrument of the firmware what it must detect (docs/link.md). None: this firmware has no such test.

        A test that must end in a fault raises DeviceFault. padding: makes the request as long as one with a window.
        """
        if not self.hello.can & Can.TEST:
            return None
        try:
            answer = self._ask(messages.selftest_command(test, amount, deadline_ticks, padding), sent)
        except AgentError as error:
            if error.code in messages.NO_TEST:
                return None
            raise
        return messages.decode_selftest(answer)

    def message(self, command: dict[str, Any]) -> bytes:
        """A request to send by `converse`, under an id of its own."""
        return self._link.next_message(command)

    def converse(self, data: bytes, enough: Callable[[list[bytes]], bool], timeout_s: float) -> list[bytes]:
        """Bytes straight onto the link, and the messages that come back: `LinkClient.converse`."""
        return self._link.converse(data, enough, timeout_s)

    def settle(self) -> None:
        """Have the firmware take up all that it was sent; on a busy host that may be a request twice."""
        self._link.settle(_SETTLE_S)

    def _ask(self, command: dict[str, Any], sent: Callable[[], None] | None = None) -> dict[str, Any]:
        return self._link.request(command, self.board.config.timeout.reply_s, sent=sent)

    def _noted(self, record: Record, window: bytes) -> Record:
        """`record`, and what it tells of the way of its window and of the core afterwards."""
        self.inferences += record.status == Status.DONE
        self.invokes[-1].note(record)
        if record.heap is not None:
            self.heaps[-1].append(record.heap)
        witness = self.witness
        if record.received is not None:
            witness.received += 1
            witness.damaged += record.received != zlib.crc32(window)
        if record.core is not None:
            witness.read_back += 1
            if witness.masked is None and (record.core.masked or record.core.cfsr):
                witness.masked = record.core
        return record

    def profile(self, window: bytes, *, deadline_ticks: int = 0) -> Profile | None:
        """Run the whole pipeline on one raw window that `run` takes, decision state forgotten, with a clock around each
        operator of the model. None: this firmware cannot tell.
        """
        if not self.hello.can & Can.PROFILE:
            return None
        timeout = self.board.config.timeout.reply_s
        command = messages.profile_command(self.next_sequence(), True, deadline_ticks, window)
        try:
            record, ran, kept = messages.decode_profile(self._ask(command))
        except AgentError as error:
            if error.code in messages.NO_PROFILE:
                return None
            raise
        self._noted(record, window)
        operators: list[messages.OperatorTime] = []
        while len(operators) < kept:
            page = messages.decode_operators(self._link.request(messages.operators_command(len(operators)), timeout))
            if not page:
                raise LinkError(f"the firmware kept {kept} operators of a profile and gave {len(operators)}")
            operators += page
        return Profile(record, ran, tuple(operators))

    def decide(self, scores: bytes, *, fresh: bool = True) -> Decision:
        """Give raw scores (little-endian, in the type of the output) straight to the firmware's decide stage."""
        command = messages.scores_command(fresh, scores)
        return messages.decode_decision(self._link.request(command, self.board.config.timeout.reply_s))

    def prepared(self) -> bytes | None:
        """The input tensor of the last window that was prepared, as its bytes; of several inputs all of them. None:
        this firmware cannot give it.
        """
        if not self.hello.can & Can.FETCH:
            return None
        size = self.hello.input.bytes + sum(each.bytes for each in self.hello.inputs)
        return self._fetch(messages.PREPARED, size)

    def _with_further(self, hello: Hello) -> Hello:
        """`hello` with the further tensors of a model that has several, once its bundle was accepted."""
        model = self._model
        if model is None or not model.several or hello.bundle_status != 0 or not hello.can & Can.TENSOR:
            return hello
        outputs = (index for index in range(len(model.outputs)) if index != model.decided)
        return replace(
            hello,
            inputs=tuple(self._tensor(False, index) for index in model.fed[1:]),
            outputs=tuple(self._tensor(True, index) for index in outputs),
        )

    def _tensor(self, output: bool, index: int) -> TensorContract:
        return messages.decode_tensor(self._ask(messages.tensor_command(output, index)))

    def _fetch(self, item: int, size: int, told: Callable[[int], None] = lambda _: None) -> bytes:
        data, most = b"", _CHUNK_BYTES
        while len(data) < size:
            count = min(most, size - len(data))
            try:
                chunk = messages.decode_fetch(self._ask(messages.fetch_command(item, len(data), count)))
            except AgentError as error:
                if error.code != messages.TOO_LONG or not 0 < error.detail < count:
                    raise
                most = error.detail  # of a firmware with a smaller buffer for replies
                continue
            if len(chunk) != count:
                raise LinkError(f"asked for {count} bytes of item {item}, got {len(chunk)}")
            data += chunk
            told(len(data))
        return data

    def model_bytes(self, size: int, told: Callable[[int], None] = lambda _: None) -> bytes | None:
        """The bytes of the model that the firmware runs: `size` of them, or as many as there are when they are fewer.
        None: this firmware cannot give them. told: how many have come, now and then.
        """
        if not self.hello.can & Can.MODEL:
            return None
        try:
            return self._fetch(messages.MODEL, size, told)
        except AgentError as error:
            if error.code != messages.NO_SUCH_ITEM or error.detail >= size:
                raise
            return self._fetch(messages.MODEL, error.detail, told)

    def restart(self) -> Hello:
        """Reset the board and open a new session with the agent."""
        self.board.reset()
        self._connect()
        return self.hello
