"""What feeds a model and what is made of its output: window, gate, prepare and decide stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The firmware takes frames of up to 40,960 bytes (HIL_AGENT_REQUEST_BYTES of its ports); the rest is for the request
# around the window, COBS and CRC. Longer payloads could never be sent.
MAX_PAYLOAD = 40_000
OWN = "own"  # the name of a stage that is the product's


@dataclass(frozen=True)
class Window:
    """The raw sensor window: numpy type name (int8, uint8, int16, float32), samples, channels."""

    dtype: str
    samples: int
    channels: int

    @property
    def bytes(self) -> int:
        return self.samples * self.channels * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Gate:
    """Validity gate, in units of the window's type (docs/pipeline.md). All three limits are exact in float32.

    known: False where the product's front end is its own and the case gives no limits, so that nobody judges the gate.
    """

    minimum: float
    maximum: float
    min_span: float
    known: bool = True


@dataclass(frozen=True)
class Channel:
    """One tensor channel of `scale/1`: source channel, offset in counts, gain in Q16.16 (LSB per 32768 counts)."""

    source: int
    offset: int
    gain: int


@dataclass(frozen=True)
class Prepare:
    """A preparation stage and its version: `tensor/1`, `scale/1` (channels), `quantize/1` (factor), or `own`, the
    product's, which has no version here.
    """

    id: str
    version: int
    channels: tuple[Channel, ...] = ()
    factor: float = 0.0  # the float32 value

    @property
    def name(self) -> str:
        return self.id if self.own else f"{self.id}/{self.version}"

    @property
    def own(self) -> bool:
        """Whether the harness does not know the stage: the case says what it must give."""
        return self.id == OWN


@dataclass(frozen=True)
class InputPart:
    """How one input tensor is fed: the raw window, the gate that it must pass, and what prepares it."""

    window: Window
    gate: Gate
    prepare: Prepare


@dataclass(frozen=True)
class Decide:
    """A decision stage and its version: `argmax/1`, `none/1`, or `own`, the product's, of which only the labels are
    known. Thresholds are ranks of scores (docs/pipeline.md).
    """

    id: str
    version: int
    threshold: int = 0
    release: int = 0
    debounce: int = 1
    cooldown: int = 0
    labels: tuple[str, ...] = ()
    unknown: str = "unknown"

    @property
    def name(self) -> str:
        return self.id if self.own else f"{self.id}/{self.version}"

    @property
    def own(self) -> bool:
        """Whether the harness does not know the stage: the case says what it must answer."""
        return self.id == OWN
