"""What came over a line in place of a hello, told apart and in words; what to do about it depends on the board."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from hil.link.stream import Heard

_MOSTLY = 4  # a part of the bytes as large as this is too much to be chance


class Instead(Enum):
    """What came."""

    ECHO = auto()  # our own frames
    NOTHING = auto()
    NOISE = auto()  # many bytes of no text, and no frame
    TEXT = auto()


@dataclass(frozen=True)
class Unheard:
    """heard: what came. echoed: our own frames came back. name: of the port, for the words."""

    heard: Heard
    echoed: bool
    name: str

    @property
    def instead(self) -> Instead:
        if self.echoed:
            return Instead.ECHO
        if not self.heard.bytes:
            return Instead.NOTHING
        return Instead.NOISE if self.heard.odd * _MOSTLY > self.heard.bytes else Instead.TEXT

    def __str__(self) -> str:
        heard, name = self.heard, self.name
        return {
            Instead.ECHO: f"{name} gives back what the harness sends, and nothing else comes",
            Instead.NOTHING: f"not one byte came from {name}",
            Instead.NOISE: f"{heard.odd} of {heard.bytes} bytes from {name} are no text, and no frame is among them",
            Instead.TEXT: f"{heard.bytes} bytes of text came from {name}, and no frame",
        }[self.instead]
