"""What boards share whose link is a stream of bytes: a port, or the UART of an emulated machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from hil.board.logged import LoggedBoard
from hil.board.unheard import Instead, Unheard
from hil.errors import BoardError, DeviceSilent
from hil.image.elf import Image
from hil.link.client import LinkClient
from hil.link.stream import Stream
from hil.records import FaultReport, Hello


class StreamedBoard(LoggedBoard):
    """A board whose link gives no memory: there are frames, and log lines between them. A kind sets `_stream`."""

    _stream: Stream

    # ---- Board

    @property
    def memory(self) -> None:
        """The link lies in no memory that the host reaches."""
        return None

    def channel(self) -> Stream:
        self._stream.attach()
        return self._stream

    def last_taken(self) -> None:
        """It lies in memory."""
        return None

    def words(self) -> str:
        return self._stream.unfinished.decode(errors="replace")

    # ---- for the kinds

    def _write(self, text: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(text)

    def _greet(self) -> Hello:
        """What the firmware says, once it does. Raises BoardError that says what came instead, and where to look."""
        client = self._client()
        try:
            hello = self._hello_by(client)
        except DeviceSilent as error:
            self._stream.settle()
            silent = f"board {self.config.name} did not say hello within {self.config.timeout.boot_s:g} s"
            raise BoardError(f"boot: {silent}: {self._why_unheard(client)}") from error
        self._take_rate(hello)
        return hello

    @abstractmethod
    def _why_unheard(self, client: LinkClient) -> str:
        """What came in place of a hello, and the next step."""

    @abstractmethod
    def _take_rate(self, hello: Hello) -> None:
        """Have the clock tick at the rate that the firmware says, unless the board file knows it."""


class EmulatedUartBoard(StreamedBoard):
    """Firmware of others, with its own model, on an emulated machine. A kind sets `_port_name`."""

    _port_name: str
    _NEXT: ClassVar = {
        Instead.ECHO: "does the firmware send back what it receives, in place of the test agent?",
        Instead.NOTHING: (
            "is the core above where it should be, does the firmware have the test agent, is it polled, and does it "
            "drive this UART? {others}"
        ),
        Instead.NOISE: "is this the UART of the agent's frames, and are both of the same protocol? {others}",
        Instead.TEXT: "does this firmware have the test agent, is it polled, and is this its UART? {others}",
    }

    def provision(self, image: Image, bundle: bytes) -> None:
        self._run(image)

    def ping(self, image: Callable[[], Image]) -> Hello:
        """Of the image, which is started as it is."""
        return self._run(image())

    def _run(self, image: Image) -> Hello:
        self.check_image(image)
        self._image = image
        return self._afresh()

    @abstractmethod
    def _afresh(self) -> Hello:
        """Start the image, whatever ran before, and return what it says."""

    @abstractmethod
    def postmortem(self) -> FaultReport:
        """As `Board.postmortem`."""

    @abstractmethod
    def _others(self) -> str:
        """Which UARTs there are, or who says so, as a next step."""

    def _why_unheard(self, client: LinkClient) -> str:
        why = Unheard(self._stream.heard, bool(client.echoed), self._port_name)
        step = self._NEXT[why.instead].format(others=self._others())
        return f"{why}\n{self.postmortem().text}\n  next: {step}"
