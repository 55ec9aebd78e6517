"""Why a firmware behind an emulated UART may not have said hello: what came over the line instead, in words."""

from __future__ import annotations

from dataclasses import dataclass

from hil.link.stream import Heard

_MOSTLY = 4  # a part of the bytes as large as this is too much to be chance


@dataclass(frozen=True)
class Unheard:
    """heard: what came. echoed: our own frames came back. name: of the UART. others: which ones there are, as a step to
    take.
    """

    heard: Heard
    echoed: bool
    name: str
    others: str

    @property
    def what(self) -> str:
        """What came in place of a hello."""
        heard = self.heard
        if self.echoed:
            return f"{self.name} gives back what the harness sends, and nothing else comes"
        if not heard.bytes:
            return f"not one byte came from {self.name}"
        if heard.odd * _MOSTLY > heard.bytes:
            return f"{heard.odd} of {heard.bytes} bytes from {self.name} are no text, and no frame is among them"
        return f"{heard.bytes} bytes of text came from {self.name}, and no frame"

    @property
    def next(self) -> str:
        """Where to look."""
        if self.echoed:
            return "does the firmware send back what it receives, in place of the test agent?"
        if not self.heard.bytes:
            return (
                "is the core above where it should be, does the firmware have the test agent, is it polled, and does "
                f"it drive this UART? {self.others}"
            )
        if self.heard.odd * _MOSTLY > self.heard.bytes:
            return f"is this the UART of the agent's frames, and are both of the same protocol? {self.others}"
        return f"does this firmware have the test agent, is it polled, and is this its UART? {self.others}"
