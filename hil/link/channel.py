"""What a client needs of the way to the agent: bytes there and back, and what the way itself can tell of the firmware.

Two ways are here: rings in target RAM (rtt.py), which see a restart and what the firmware took up, and any byte stream
(stream.py), which sees neither and says so.
"""

from __future__ import annotations

from typing import Protocol

from hil.link.frame import FrameReader


class Channel(Protocol):
    """One way to one agent; one client at a time. All methods raise BoardError when the board is out of reach, and
    LinkError when the way itself is damaged.
    """

    @property
    def made_anew(self) -> bool:
        """Whether the far end was seen to begin anew since the last `attach`. Nothing is read or written until then."""

    @property
    def published(self) -> bool:
        """Whether `attach` can be called now."""

    @property
    def taken(self) -> int:
        """A number that changes when the firmware takes a byte, as far as was looked. Where that cannot be seen, it
        changes when a byte is sent: what was sent counts as taken.
        """

    @property
    def unrestarted(self) -> str:
        """What it means when the far end began anew and the start counter of the firmware is the same; "" where that is
        a restart all the same.
        """

    def attach(self) -> None:
        """Begin anew with the far end that is there now."""

    def look(self) -> None:
        """See how far the firmware is, where that can be seen."""

    def read(self) -> bytes:
        """All bytes that wait; empty when there are none."""

    def write(self, data: bytes) -> int:
        """Send as much of `data` as fits now; returns the number of bytes taken."""

    def drained(self) -> bool:
        """Whether the firmware can have all that was written, and nothing is on its way here: time to repeat."""

    def told(self) -> str:
        """What is known of the last request's way, in words."""

    def wait(self, seconds: float) -> None:
        """Let up to so much time pass. A way that notices when something comes ends the wait then."""

    def reader(self, damaged: int = 0) -> FrameReader:
        """What cuts the bytes of this way into messages. damaged: where its count starts."""
