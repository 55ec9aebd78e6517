"""Windows and scores that the harness makes itself, so that every case is tested where its own vectors may not reach.

Gate probes: malformed windows, one a rule of the validity gate. Score probes: streams of raw scores around the
thresholds, ties, and sequences that drive hysteresis, debounce and cooldown. Expected answers come from hil.reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import INT8_MAX, INT8_MIN, Case, Decide
from hil.records import Decision, GateReason
from hil.reference.decide import Decider

_STREAM_STEPS = 64
_STREAM_SEED = 20201


@dataclass(frozen=True)
class GateStimulus:
    """A window that must be rejected for `reason`; `repeat_sequence`: send it with the capture number of the window
    before.
    """

    name: str
    reason: GateReason
    window: bytes
    repeat_sequence: bool = False


def gate_stimuli(case: Case, valid: bytes) -> Iterator[GateStimulus]:
    """Malformed variants of `valid`, the bytes of a window that the gate accepts; one for each rule that this case can
    break.
    """
    sample = case.window.bytes // case.window.samples
    yield GateStimulus("empty window", GateReason.LENGTH, b"")
    yield GateStimulus("one sample short", GateReason.LENGTH, valid[:-sample])
    yield GateStimulus("one byte short", GateReason.LENGTH, valid[:-1])
    yield GateStimulus("one sample long", GateReason.LENGTH, valid + valid[:sample])
    yield GateStimulus("same capture number", GateReason.STALE, valid, repeat_sequence=True)
    dtype = np.dtype(case.window.dtype).newbyteorder("<")
    values = np.frombuffer(valid, dtype)
    for place, index in (("first", 0), ("last", len(values) - 1)):
        if dtype.kind == "f":
            for bad in (np.nan, np.inf, -np.inf):
                yield GateStimulus(f"{bad} in the {place} value", GateReason.NONFINITE, _put(values, index, bad))
        for name, value in _outside(case, dtype):
            yield GateStimulus(f"{place} value {name}", GateReason.RANGE, _put(values, index, value))
    if case.gate.min_span > 0:
        flat = values.reshape(case.window.samples, case.window.channels)
        yield GateStimulus(
            "constant channels", GateReason.FLAT, np.tile(flat[:1], (len(flat), 1)).astype(dtype).tobytes()
        )


def _put(values: NDArray[np.generic], index: int, value: float) -> bytes:
    changed = values.copy()
    changed[index] = value
    return changed.tobytes()


def _outside(case: Case, dtype: np.dtype[Any]) -> Iterator[tuple[str, float]]:
    """Values just outside the gate's range, where the window's type can hold them."""
    if dtype.kind == "f":
        low, high = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)
        below = float(np.nextafter(np.float32(case.gate.minimum), np.float32(-np.inf)))
        above = float(np.nextafter(np.float32(case.gate.maximum), np.float32(np.inf)))
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        below, above = case.gate.minimum - 1, case.gate.maximum + 1
    if below >= low:
        yield "below the range", below
    if above <= high:
        yield "above the range", above


@dataclass(frozen=True)
class ScoreStimulus:
    """One step of a stream of raw scores; `fresh` starts a new stream."""

    name: str
    scores: tuple[int, ...]
    fresh: bool


def score_stimuli(decide: Decide) -> Iterator[ScoreStimulus]:
    """Threshold, tie and stream probes for an `argmax` stage; nothing for a case without one."""
    if decide.id != "argmax":
        return
    count = len(decide.labels)
    yield from _threshold_probes(decide, count)
    yield from _tie_probes(decide, count)
    yield from _stream_probes(decide, count)


def _threshold_probes(decide: Decide, count: int) -> Iterator[ScoreStimulus]:
    for label in range(count):
        for distance in (-1, 0, 1, 2):
            score = decide.threshold + distance
            if INT8_MIN < score <= INT8_MAX:
                scores = _one_hot(count, label, score)
                # `debounce` steps so that an accepted label really comes out.
                for step in range(decide.debounce):
                    name = f"threshold of {decide.labels[label]!r} {distance:+d}"
                    yield ScoreStimulus(name, scores, fresh=step == 0)


def _one_hot(count: int, label: int, score: int) -> tuple[int, ...]:
    return tuple(score if index == label else INT8_MIN for index in range(count))


def _tie_probes(decide: Decide, count: int) -> Iterator[ScoreStimulus]:
    top = max(min(decide.threshold + 1, INT8_MAX), INT8_MIN + 1)
    for first in range(count):
        for second in range(first + 1, count):
            scores = tuple(top if index in (first, second) else INT8_MIN for index in range(count))
            yield ScoreStimulus(f"tie of {decide.labels[first]!r} and {decide.labels[second]!r}", scores, fresh=True)
    yield ScoreStimulus("tie of all", (top,) * count, fresh=True)


def _stream_probes(decide: Decide, count: int) -> Iterator[ScoreStimulus]:
    """A random walk of scores that dwells around both thresholds; the seed is fixed, so each run sees the same
    stream.
    """
    random = np.random.default_rng(_STREAM_SEED)
    edges = [decide.threshold, decide.threshold + 1, decide.release, decide.release + 1, INT8_MIN, INT8_MAX]
    label = 0
    for step in range(_STREAM_STEPS * (decide.debounce + decide.cooldown)):
        if random.random() < 0.3:
            label = int(random.integers(count))
        score = int(np.clip(random.choice(edges), INT8_MIN, INT8_MAX))
        yield ScoreStimulus(f"stream step {step}", _one_hot(count, label, score), fresh=step == 0)


def expected_decisions(decide: Decide, stimuli: list[ScoreStimulus]) -> Iterator[tuple[ScoreStimulus, Decision]]:
    """Each stimulus with the reference's Decision."""
    decider = Decider(decide)
    for stimulus in stimuli:
        if stimulus.fresh:
            decider.reset()
        yield stimulus, decider.step(np.array(stimulus.scores, np.int8))
