"""Windows for the validity gate: each rule wherever it may fail, lengths, capture numbers, long rows of refusals."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from hil.case.types import Case
from hil.records import GateReason
from hil.session.effort import SHORT, Effort
from hil.session.stimuli.prepare import prepare_windows
from hil.session.stimuli.windows import (
    GateStimulus,
    Named,
    Window,
    bad_values,
    digest_of,
    judged,
    refusals,
    spans,
    still,
    values_of,
)

_BLOCKS = (16, 32, 64)  # values that a loop takes at a time
_RESIDUES = 64  # of a position, of which a loop that takes blocks may leave one out
_CAPTURES = 1 << 30  # from here on, so that no other window of a session has them
_U32 = 0xFFFFFFFF


def gate_stimuli(case: Case, valid: bytes, effort: Effort) -> Iterator[GateStimulus]:
    """Windows at the edges of the rules that this case can break, and for prepare behind them, in the order in which
    they are to be sent. valid: bytes of a window that the gate accepts.
    """
    values = values_of(case, valid)
    yield from _lengths(case, valid)
    yield from judged(case, _bad_values(case, values, effort))
    yield from judged(case, _spans(case, values, effort.inferences // 2))
    yield from judged(case, prepare_windows(case, values, effort.inferences // 3))
    refused = refusals(case, valid)
    yield from _captures(case, valid, refused, effort)
    yield from _rows(case, valid, refused, effort)


# ---- lengths ---------------------------------------------------------------------------------------------------------


def _lengths(case: Case, valid: bytes) -> Iterator[GateStimulus]:
    sample = case.window.bytes // case.window.samples
    value = np.dtype(case.window.dtype).itemsize
    made = {
        "empty window": b"",
        "one byte alone": valid[:1],
        "half a window": valid[: len(valid) // 2],
        "one sample short": valid[:-sample],
        "one value short": valid[:-value],
        "one byte short": valid[:-1],
        "one byte long": valid + valid[:1],
        "one value long": valid + valid[:value],
        "one sample long": valid + valid[:sample],
        "two windows in one": valid + valid,
    }
    for name, window in made.items():
        if len(window) != len(valid):
            yield GateStimulus(name, GateReason.LENGTH, window)


# ---- values that the gate refuses ------------------------------------------------------------------------------------


def _bad_values(case: Case, values: Window, effort: Effort) -> Named:
    """One bad value in an otherwise good window, wherever a loop may miss it."""
    bad = bad_values(case, values.dtype)
    samples, channels = values.shape
    room = effort.windows(values.nbytes)
    places = positions(samples, channels, room * 4 // 5 // max(1, len(bad)))
    others = sorted(set(range(values.size)) - set(places))[: room // 5]
    for number, (kind, value) in enumerate(bad.items()):
        for place in (*places, *others[number :: len(bad)]):
            changed = values.copy()
            changed.flat[place] = value
            yield f"value [{', '.join(map(str, divmod(place, channels)))}] {kind}", changed
        if len(places) + len(others) < values.size:
            yield from _residues(values, kind, value, room // 5)


def _residues(values: Window, kind: str, value: float, most: int) -> Named:
    """Every 64th value is bad: a loop that leaves out one in 16, 32 or 64 sees none of them."""
    for first in range(min(_RESIDUES, max(most, 0))):
        changed = values.copy()
        changed.flat[first::_RESIDUES] = value
        yield f"every {_RESIDUES}th value from {first} on {kind}", changed


def positions(samples: int, channels: int, most: int) -> list[int]:
    """Places of values, sample-major, at which a loop goes wrong: all of them when there are not more than `most`, else
    as many of: both ends, each channel at both ends and in between, both sides of each block, and others that leave
    another rest.
    """
    size = samples * channels
    if size <= most:
        return list(range(size))
    last = size - channels
    middle = ((channel * 7 + samples // 2) % samples * channels + channel for channel in range(channels))
    blocks = (edge + side for block in _BLOCKS for edge in (block, size // block * block) for side in (-1, 0, 1))
    powers = (2**bits + side for bits in range(7, size.bit_length()) for side in (-1, 0))
    ends = (place for channel in range(channels) for place in (channel, last + channel))
    strided = (rest + _RESIDUES * (rest * 5 % max(1, size // _RESIDUES)) for rest in range(_RESIDUES))
    ordered = chain((0, size - 1, size // 2), blocks, ends, middle, powers, strided)
    return list(dict.fromkeys(place for place in ordered if 0 <= place < size))[: max(most, 2)]


# ---- windows that do not move ----------------------------------------------------------------------------------------


def _spans(case: Case, values: Window, most: int) -> Named:
    """Windows that do not move, that move just too little, and that move just enough at a single value. most: of the
    last, which the gate accepts.
    """
    limits = spans(case, values.dtype)
    if limits is None:
        return
    under, over = limits
    base = still(case, values, over)
    samples, channels = values.shape

    def moved(by: float, place: tuple[int | slice, ...]) -> Window:
        window = base.copy() + (0.0 if by >= 0 else -by)  # a value below the others needs room there
        window[place] += by
        return window.astype(values.dtype)

    yield "constant channels", moved(0.0, ())
    for side in (under, -under):
        yield f"span {side:+g} in every channel, which is flat", moved(side, (samples // 2, slice(None)))
    rows = positions(samples, 1, max(2, most - channels))
    places = [(row, number % channels) for number, row in enumerate(rows)]
    places += [(samples // 2, channel) for channel in range(channels)]
    for number, place in enumerate(list(dict.fromkeys(places))[: max(2, most)]):
        side = over if number % 2 else -over
        yield f"value [{place[0]}, {place[1]}] moves by {side:+g}, which is enough", moved(side, place)


# ---- capture numbers -------------------------------------------------------------------------------------------------


def _captures(case: Case, valid: bytes, refused: dict[GateReason, bytes], effort: Effort) -> Iterator[GateStimulus]:
    """The stale rule: only the number of the last window of the right length counts, and only when it is equal."""
    digest = digest_of(case, values_of(case, valid))
    short = refused[GateReason.LENGTH]

    def good(name: str, capture: int, restart: bool = False) -> GateStimulus:
        return GateStimulus(name, GateReason.VALID, valid, digest, capture, restart)

    def stale(name: str, capture: int) -> GateStimulus:
        return GateStimulus(name, GateReason.STALE, valid, None, capture)

    first = _CAPTURES
    yield good("capture number far ahead", first)
    yield stale("same capture number", first)
    yield stale("same capture number a third time", first)
    yield GateStimulus("short window with a new capture number", GateReason.LENGTH, short, None, first + 1)
    yield stale("same capture number after a short window", first)
    yield good("lower capture number", first - 1)
    yield good("capture number before the last", first)
    yield GateStimulus("short window", GateReason.LENGTH, short, None, first + 2)
    yield good("capture number of a short window", first + 2)
    yield from _numbers(case, valid, refused, effort)
    yield good("capture number 0 after a start", 0, restart=True)
    yield stale("capture number 0 again", 0)


def _numbers(case: Case, valid: bytes, refused: dict[GateReason, bytes], effort: Effort) -> Iterator[GateStimulus]:
    """Numbers that differ in one bit, and those around 2^8, 2^16, 2^31 and 2^32, none of which is stale.

    On windows that a later rule refuses, where the case has one, as these cost no inference.
    """
    later = [(reason, window) for reason, window in refused.items() if reason is not GateReason.LENGTH]
    reason, window = later[0] if later else (GateReason.VALID, valid)
    digest = None if later else digest_of(case, values_of(case, valid))
    many = bool(later) or effort.inferences > 2 * 32
    number = first = _CAPTURES + 0x100
    if later:
        yield GateStimulus("refused window", reason, window, None, number)
        yield GateStimulus("capture number of a refused window", GateReason.STALE, valid, None, number)
    for bit in range(32) if many else (8, 16):
        number ^= 1 << bit
        yield GateStimulus(f"capture number that differs in bit {bit}", reason, window, digest, number)
    for power in (8, 16, 31, 32) if many else (31, 32):
        yield GateStimulus(f"capture number 2^{power} - 1", reason, window, digest, (1 << power) - 1)
        yield GateStimulus(f"capture number 2^{power} after it", reason, window, digest, (1 << power) & _U32)
    yield GateStimulus("capture number far ahead again", reason, window, digest, first)


# ---- long rows -------------------------------------------------------------------------------------------------------


def _rows(case: Case, valid: bytes, refused: dict[GateReason, bytes], effort: Effort) -> Iterator[GateStimulus]:
    """Refused windows of each kind in a row, and then a valid one. A stale one needs no rule of the case."""
    digest = digest_of(case, values_of(case, valid))
    usual = min(effort.row(len(valid)), SHORT)
    for reason, window in refused.items():
        length = usual
        if reason is GateReason.LENGTH:  # the cheapest
            length, window = effort.row(1), valid[: min(1, len(valid) - 1)]
        for number in range(length):
            yield GateStimulus(f"{number + 1} in a row: {reason.name.lower()}", reason, window)
        yield GateStimulus(f"valid after {length} in a row: {reason.name.lower()}", GateReason.VALID, valid, digest)
    last = _CAPTURES + 0x200
    yield GateStimulus("valid before a row of stale ones", GateReason.VALID, valid, digest, last)
    for number in range(usual):
        yield GateStimulus(f"{number + 1} in a row: stale", GateReason.STALE, valid, None, last)
    yield GateStimulus(f"valid after {usual} in a row: stale", GateReason.VALID, valid, digest)
