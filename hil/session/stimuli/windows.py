"""What the harness's own windows have in common: what one is, how it is made, and which values it may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Vectors
from hil.records import GateReason
from hil.reference.gate import judge
from hil.reference.prepare import digest, prepare

Window = NDArray[np.generic]  # [samples, channels]
Named = Iterator[tuple[str, Window]]
Joint = tuple[Window, ...]  # one window of each input


@dataclass(frozen=True)
class Windows:
    """Several windows of every input, [n, ...] of each in the shape of the case's own; row i of each goes together."""

    parts: tuple[Window, ...]

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Windows:
        return Windows(tuple(part[rows] for part in self.parts))

    def row(self, index: int) -> Joint:
        return tuple(part[index] for part in self.parts)

    @classmethod
    def stacked(cls, rows: Sequence[Joint]) -> Windows:
        """Of at least one."""
        return cls(tuple(np.stack(part) for part in zip(*rows, strict=True)))

    def accepted(self, case: Case) -> Windows:
        """Those that the gate accepts."""
        first, *further = self.parts
        return self[judge(Vectors(first, further=tuple(further)), case) == GateReason.VALID]


@dataclass(frozen=True)
class GateStimulus:
    """A window, the verdict that it must get and, when that is valid, the digest of its prepared tensor. input: of a
    model with several, whose window it is.

    Windows are sent in their order, as some depend on those before. capture: its number, one that no window had when
    None; equal numbers are equal captures. restart: start the firmware anew first. others: of a model with several,
    other inputs and the digests of their tensors.
    """

    name: str
    reason: GateReason
    window: bytes
    digest: int | None = None
    capture: int | None = None
    restart: bool = False
    input: int = 0
    others: tuple[tuple[int, int], ...] = ()

    @property
    def digests(self) -> dict[int, int]:
        """Of the inputs whose prepared tensors are looked at; of a valid window."""
        return {} if self.digest is None else {self.input: self.digest, **dict(self.others)}


def of_each_input(
    case: Case, valid: bytes, make: Callable[[Case, bytes], Iterable[GateStimulus]]
) -> Iterator[GateStimulus]:
    """The stimuli that `make` gives of each input, beside windows of the other inputs that the gate accepts.

    make: is given the case with that input alone, and the bytes of a window of it that the gate accepts.
    """
    cases = case.of_inputs
    parts = split_windows(case, valid)
    for place, (one, part) in enumerate(zip(cases, parts, strict=True)):
        before, behind = b"".join(parts[:place]), b"".join(parts[place + 1 :])
        of = f"{one.model.input.name}: " if len(cases) > 1 else ""
        for each in make(one, part):
            yield replace(each, name=f"{of}{each.name}", window=before + each.window + behind, input=place)


def split_windows(case: Case, sent: bytes) -> list[bytes]:
    """The window of each input in what is sent of all."""
    parts = []
    for one in case.of_inputs:
        parts.append(sent[: one.window.bytes])
        sent = sent[one.window.bytes :]
    return parts


def judged(case: Case, named: Iterable[tuple[str, Window]]) -> Iterator[GateStimulus]:
    """Windows of the right length as stimuli, each with what the references say of it."""
    made = dict(named)
    if not made:
        return
    inner = case.vectors.windows.shape[1:]
    windows = np.stack([window.reshape(inner) for window in made.values()])
    for name, window, code in zip(made, windows, judge(Vectors(windows), case), strict=True):
        reason = GateReason(int(code))
        wanted = digest_of(case, window) if reason is GateReason.VALID else None
        yield GateStimulus(name, reason, payload(window), wanted)


def judged_together(case: Case, named: Iterable[tuple[str, Joint]]) -> Iterator[GateStimulus]:
    """The same of windows of all inputs together."""
    for name, joint in named:
        first, *further = (part[None] for part in joint)
        reason = GateReason(int(judge(Vectors(first, further=tuple(further)), case)[0]))
        digests = [digest_of(one, part) for one, part in zip(case.of_inputs, joint, strict=True)]
        window = b"".join(map(payload, joint))
        valid = reason is GateReason.VALID
        others = tuple(enumerate(digests))[1:] if valid else ()
        yield GateStimulus(name, reason, window, digests[0] if valid else None, others=others)


def payload(window: Window) -> bytes:
    """The bytes that are sent."""
    return window.astype(window.dtype.newbyteorder("<"), copy=False).tobytes()


def values_of(case: Case, sent: bytes) -> Window:
    """The values of a window of the right length, [samples, channels], in this machine's byte order."""
    dtype = np.dtype(case.window.dtype)
    flat = np.frombuffer(sent, dtype.newbyteorder("<")).astype(dtype)
    return flat.reshape(case.window.samples, case.window.channels)


def digest_of(case: Case, window: Window) -> int:
    """Of the tensor that the window becomes."""
    shaped = window.reshape(1, *case.vectors.windows.shape[1:])
    return digest(prepare(shaped, case.prepare, case.model.input)[0])


def value_range(case: Case, dtype: np.dtype[Any]) -> tuple[float, float]:
    """What the gate lets through and the type can hold."""
    if dtype.kind == "f":
        return case.gate.minimum, case.gate.maximum
    limits = np.iinfo(dtype)
    return max(case.gate.minimum, float(limits.min)), min(case.gate.maximum, float(limits.max))


def bad_values(case: Case, dtype: np.dtype[Any]) -> dict[str, float]:
    """Values that the gate refuses wherever they stand, as far as the window's type can hold them."""
    low, high = case.gate.minimum, case.gate.maximum
    if dtype.kind != "f":
        integers = np.iinfo(dtype)
        outside = {"below the range": low - 1, "above the range": high + 1}
        return {name: value for name, value in outside.items() if integers.min <= value <= integers.max}
    with np.errstate(over="ignore"):  # next to the largest float32 comes infinity, which has a rule of its own
        below = float(np.nextafter(np.float32(low), np.float32(-np.inf)))
        above = float(np.nextafter(np.float32(high), np.float32(np.inf)))
    outside = {"below the range": below, "above the range": above}
    numbers = {name: value for name, value in outside.items() if np.isfinite(value)}
    return {"NaN": np.nan, "infinite": np.inf, "negative infinite": -np.inf, **numbers}


def still(case: Case, values: Window, room: float) -> NDArray[np.float64]:
    """A window like this one whose channels do not move, with so much room up to the gate's maximum."""
    low, high = value_range(case, values.dtype)
    base = np.clip(values[:1].astype(np.float64), low, high - room)
    return np.repeat(base, len(values), axis=0)


def spans(case: Case, dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """How far a channel may move and still be flat, and how far it must to be none; None when no window of the case
    can be flat, or none can be otherwise.
    """
    span = case.gate.min_span
    under, over = (span - span / 64, span + span / 64) if dtype.kind == "f" else (span - 1, span)
    low, high = value_range(case, dtype)
    return None if span <= 0 or high - low < over else (under, over)


def refusals(case: Case, valid: bytes) -> dict[GateReason, bytes]:
    """A window for each rule that this case can break by itself, all but the stale one; valid: one that it accepts."""
    if case.further:
        first, *rest = split_windows(case, valid)
        return {reason: window + b"".join(rest) for reason, window in refusals(case.of_inputs[0], first).items()}
    found = {GateReason.LENGTH: valid[:-1]}
    values = values_of(case, valid)
    for name, value in bad_values(case, values.dtype).items():
        changed = values.copy()
        changed.flat[-1] = value
        found.setdefault(GateReason.RANGE if "range" in name else GateReason.NONFINITE, payload(changed))
    if spans(case, values.dtype) is not None:
        found[GateReason.FLAT] = payload(still(case, values, 0.0).astype(values.dtype))
    return found
