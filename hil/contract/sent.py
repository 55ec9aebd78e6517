"""Windows that the harness made itself and sent: what must come of each, and what came. Several contracts read them."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.types import Section
from hil.records import GateReason, Prepared, Record


@dataclass(frozen=True)
class GateProbe:
    """A window that the harness made itself, and the record it got (None: no record came back).

    digest: of the prepared tensor that a valid window must give. Where that was another one: window, the bytes sent,
    and observed, the device's tensor. input: of a model with several, whose window and tensor these are. facts: what
    the record should have said of a tensor with the right digest, where it said something else.
    """

    name: str
    expected: GateReason
    record: Record | None
    digest: int | None = None
    window: bytes = b""
    observed: bytes | None = None
    input: int = 0
    facts: Prepared | None = None


@dataclass(frozen=True)
class ProbeOutput:
    """Raw output, as bytes, of a valid window that the harness made itself: the oracle's and the device's. tensor: name
    of the output, where there are several; window: the bytes sent, where the two differ.
    """

    name: str
    expected: bytes
    observed: bytes
    tensor: str = ""
    window: bytes = b""


@dataclass(frozen=True)
class GateProbes(Section):
    """Windows of the harness's own and their records; `outputs` are those of the valid ones whose tensor was right."""

    probes: tuple[GateProbe, ...] = ()
    outputs: tuple[ProbeOutput, ...] = ()
