"""Windows and scores that the harness makes itself, so that every case is tested where its own vectors may not reach.

Gate probes: windows just beyond and just inside each rule of the validity gate, and windows over the whole range for
prepare. Score probes: streams of raw scores around the thresholds, ties, and sequences that drive hysteresis, debounce
and cooldown. Bundle probes: damaged bundles that must be refused. Expected answers come from hil.reference.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.bundle import BUNDLE_STATUS
from hil.case.types import Case, Decide, Vectors
from hil.records import Decision, GateReason
from hil.reference.decide import Decider
from hil.reference.gate import judge
from hil.reference.prepare import digest, prepare
from hil.tensor import INT8_MAX, INT8_MIN

_THRESHOLD_STEPS = 2048  # of all threshold probes, beyond which each is a single step
_SCRIPT_STEPS = 400  # of the scripted streams together, however long debounce and cooldown are
_STREAM_STEPS = 64  # of the random stream, for each step of debounce and cooldown
_RANDOM_STEPS = 512  # of the random stream at most
_STREAM_SEED = 20201
_WINDOW_SEED = 20202
_REJECT_EVERY = 8  # steps of a stream between two windows that the gate refuses

Window = NDArray[np.generic]


@dataclass(frozen=True)
class GateStimulus:
    """A window, the verdict that it must get and, when that is valid, the digest of its prepared tensor.

    before: windows to send first. Captures number these windows and the one under test; equal numbers are equal
    captures. restart: start the firmware anew first, and count from 0 as a freshly started sensor does.
    """

    name: str
    reason: GateReason
    window: bytes
    digest: int | None = None
    before: tuple[bytes, ...] = ()
    captures: tuple[int, ...] = (0,)
    restart: bool = False


def gate_stimuli(case: Case, valid: bytes) -> Iterator[GateStimulus]:
    """Windows at the edges of the rules that this case can break. valid: bytes of a window that the gate accepts."""
    yield from _lengths(case, valid)
    made = dict(_made(case, valid))
    windows = np.stack(list(made.values()))
    reasons = judge(Vectors(windows), case)
    for name, window, code in zip(made, windows, reasons, strict=True):
        reason = GateReason(int(code))
        wanted = _digest(case, window) if reason is GateReason.VALID else None
        yield GateStimulus(name, reason, _payload(window), wanted)
    refused = next((_payload(window) for window, code in zip(windows, reasons, strict=True) if code), None)
    yield from _captures(case, valid, refused)


def _payload(window: Window) -> bytes:
    return window.astype(window.dtype.newbyteorder("<"), copy=False).tobytes()


def _digest(case: Case, window: Window) -> int:
    return digest(prepare(window[None], case.prepare, case.model.input)[0])


def _lengths(case: Case, valid: bytes) -> Iterator[GateStimulus]:
    sample = case.window.bytes // case.window.samples
    yield GateStimulus("empty window", GateReason.LENGTH, b"")
    yield GateStimulus("one sample short", GateReason.LENGTH, valid[:-sample])
    yield GateStimulus("one byte short", GateReason.LENGTH, valid[:-1])
    yield GateStimulus("one sample long", GateReason.LENGTH, valid + valid[:sample])


def _captures(case: Case, valid: bytes, refused: bytes | None) -> Iterator[GateStimulus]:
    """The stale rule: only the number of the last window of the right length counts, and only when it is equal."""
    short = valid[:-1]
    stale, good = GateReason.STALE, GateReason.VALID
    yield GateStimulus("same capture number", stale, valid, before=(valid,), captures=(0, 0))
    yield GateStimulus("same capture number a third time", stale, valid, before=(valid, valid), captures=(0, 0, 0))
    yield GateStimulus("lower capture number", good, valid, before=(valid,), captures=(1, 0))
    yield GateStimulus("capture number before the last", good, valid, before=(valid, valid), captures=(0, 1, 0))
    yield GateStimulus("capture number of a short window", good, valid, before=(short,), captures=(0, 0))
    if refused is not None:
        yield GateStimulus("capture number of a refused window", stale, valid, before=(refused,), captures=(0, 0))
    yield GateStimulus("capture number 0 after a start", good, valid, restart=True)


def _made(case: Case, valid: bytes) -> Iterator[tuple[str, Window]]:
    """Windows of the right length, in the shape and type of the case's own."""
    dtype = np.dtype(case.window.dtype)
    shape = (case.window.samples, case.window.channels)
    values = np.frombuffer(valid, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    inner = case.model.input.shape[1:] if case.prepare.id == "tensor" else shape
    for make in (_bad_values, _spans, _whole_range):
        for name, window in make(case, values):
            yield name, window.reshape(inner)


def _places(values: Window) -> Iterator[tuple[str, tuple[int, int]]]:
    """First and last value, and one of each channel in between."""
    samples, channels = values.shape
    yield "first value", (0, 0)
    yield "last value", (samples - 1, channels - 1)
    for channel in range(min(channels, 32)):
        sample = (channel * 7 + samples // 2) % samples
        yield f"value [{sample}, {channel}]", (sample, channel)


def _bad_values(case: Case, values: Window) -> Iterator[tuple[str, Window]]:
    edges = dict(_edges(case, values.dtype))
    for place, index in _places(values):
        for name, value in edges.items():
            changed = values.copy()
            changed[index] = value
            yield f"{place} {name}", changed
    bounds = values.copy()
    bounds.flat[0], bounds.flat[-1] = _range(case, values.dtype)
    yield "both bounds of the range", bounds


def _edges(case: Case, dtype: np.dtype[Any]) -> Iterator[tuple[str, float]]:
    """Values at and just outside the gate's range, where the window's type can hold them."""
    low, high = case.gate.minimum, case.gate.maximum
    if dtype.kind == "f":
        limits = np.finfo(np.float32)
        with np.errstate(over="ignore"):  # beyond the largest number lies infinity, which is no edge of the range
            below = float(np.nextafter(np.float32(low), np.float32(-np.inf)))
            above = float(np.nextafter(np.float32(high), np.float32(np.inf)))
        yield from (("NaN", np.nan), ("infinite", np.inf), ("negative infinite", -np.inf))
        floor, ceiling = float(limits.min), float(limits.max)
    else:
        integers = np.iinfo(dtype)
        below, above, floor, ceiling = low - 1, high + 1, integers.min, integers.max
    # A bound that the type itself sets cannot be broken; `both bounds of the range` is enough for it.
    if below >= floor:
        yield from (("below the range", below), ("at the minimum", low))
    if above <= ceiling:
        yield from (("at the maximum", high), ("above the range", above))


def _spans(case: Case, values: Window) -> Iterator[tuple[str, Window]]:
    """Windows that do not move, that move just too little, and that move just enough in a single channel."""
    span = case.gate.min_span
    under, over = (span - span / 64, span + span / 64) if values.dtype.kind == "f" else (span - 1, span)
    low, high = _range(case, values.dtype)
    if span <= 0 or high - low < over:
        return
    base = np.clip(values[:1].astype(np.float64), low, high - over)
    still = np.repeat(base, len(values), axis=0)

    def moved(channels: slice, by: float) -> Window:
        window = still.copy()
        window[len(values) // 2, channels] += by
        return window.astype(values.dtype)

    yield "constant channels", moved(slice(None), 0.0)
    yield "span just below min_span in every channel", moved(slice(None), under)
    for channel in sorted({0, values.shape[1] // 2, values.shape[1] - 1}):
        yield f"min_span reached in channel {channel} alone", moved(slice(channel, channel + 1), over)


def _whole_range(case: Case, values: Window) -> Iterator[tuple[str, Window]]:
    """Valid windows that take prepare through its whole range: rounding, both ends of the tensor's type, and beyond."""
    low, high = _range(case, values.dtype)
    if case.prepare.id == "quantize":  # twice the tensor's range; far beyond it, all elements look the same
        reach = 512.0 / case.prepare.factor
        low, high = max(low, -reach), min(high, reach)
    random = np.random.default_rng(_WINDOW_SEED)
    noises = 0 if case.prepare.id == "tensor" else 3  # a copy has no arithmetic to go wrong
    yield "ramp over the whole range", np.linspace(low, high, values.size).reshape(values.shape).astype(values.dtype)
    for number in range(noises):
        noise = random.uniform(low, high, values.shape).round(0 if values.dtype.kind != "f" else 6)
        yield f"noise over the whole range {number}", noise.clip(low, high).astype(values.dtype)
    rails = np.where(np.arange(values.size).reshape(values.shape) % 2, high, low)
    yield "from rail to rail", rails.astype(values.dtype)


def _range(case: Case, dtype: np.dtype[Any]) -> tuple[float, float]:
    """What the gate lets through and the type can hold."""
    if dtype.kind == "f":
        return case.gate.minimum, case.gate.maximum
    limits = np.iinfo(dtype)
    return max(case.gate.minimum, float(limits.min)), min(case.gate.maximum, float(limits.max))


@dataclass(frozen=True)
class ScoreStimulus:
    """One step of a stream of raw scores; `fresh` starts a new stream. refused: a window that the gate refuses comes
    first; it must leave the decision state as it is.
    """

    name: str
    scores: tuple[int, ...]
    fresh: bool
    refused: bool = False


def score_stimuli(decide: Decide) -> Iterator[ScoreStimulus]:
    """Threshold, tie and stream probes for an `argmax` stage; nothing for a case without one."""
    if decide.id != "argmax":
        return
    count = len(decide.labels)
    yield from _threshold_probes(decide, count)
    yield from _tie_probes(decide, count)
    yield from _stream_probes(decide, count)


def _threshold_probes(decide: Decide, count: int) -> Iterator[ScoreStimulus]:
    # `debounce` steps so that an accepted label really comes out; where that takes too many, a single step still
    # tells debounce from below threshold.
    steps = decide.debounce if 4 * count * decide.debounce <= _THRESHOLD_STEPS else 1
    for label in range(count):
        for distance in (-1, 0, 1, 2):
            score = decide.threshold + distance
            if INT8_MIN < score <= INT8_MAX:
                scores = _one_hot(count, label, score)
                for step in range(steps):
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
    for score in sorted({top, INT8_MIN, -1, 0, INT8_MAX}):
        yield ScoreStimulus(f"tie of all at {score}", (score,) * count, fresh=True)


def _stream_probes(decide: Decide, count: int) -> Iterator[ScoreStimulus]:
    """Scripted sequences for each rule of the state machine, then a random walk around both thresholds."""
    room = _SCRIPT_STEPS
    for label in sorted({0, count // 2, count - 1}):
        for step, (what, scores) in enumerate(islice(_script(decide, count, label), room)):
            room -= 1
            yield _stream_step(f"stream of {decide.labels[label]!r} step {step}, {what}", scores, step)
    for step, scores in enumerate(_random_walk(decide, count)):
        yield _stream_step(f"stream step {step}", scores, step)


def _stream_step(name: str, scores: tuple[int, ...], step: int) -> ScoreStimulus:
    refused = step % _REJECT_EVERY == _REJECT_EVERY - 1
    return ScoreStimulus(name + (", after a refused window" if refused else ""), scores, step == 0, refused)


def _script(decide: Decide, count: int, label: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What each step is for, and its scores. About 4 * debounce + 5 * cooldown steps, in an order that meets each rule
    as early as it can, because a long script is cut short.
    """
    debounce, cooldown = decide.debounce, decide.cooldown
    high = min(max(decide.threshold + 1, INT8_MIN + 1), INT8_MAX)  # at INT8_MIN itself no label stands out

    def wins(what: str, score: int, steps: int, winner: int = label) -> Iterator[tuple[str, tuple[int, ...]]]:
        if INT8_MIN <= score <= INT8_MAX:
            yield from ((what, _one_hot(count, winner, score)) for _ in range(steps))

    yield from wins("at the threshold", decide.threshold, 1)
    yield from wins("debounce", high, debounce)
    # The steps of cooldown, and one that is accepted: near the release, where it lies below the threshold.
    yield from wins("held just above the release", min(decide.release + 1, high), cooldown + 1)
    yield from wins("cooldown", high, cooldown + 1)
    yield from wins("held at the threshold", decide.threshold, cooldown + 1 if decide.release < decide.threshold else 0)
    yield from wins("at the release", decide.release, 1)
    yield from wins("at the threshold after the release", decide.threshold, 1)
    yield from wins("debounce again", high, max(debounce, cooldown) + cooldown + 1)
    if count > 1:
        other = (label + 1) % count
        yield from wins("glitch of another label", high, debounce - 1, other)
        yield from wins("after the glitch", high, cooldown + 1)
        yield from wins("switch of label", high, debounce + cooldown, other)


def _random_walk(decide: Decide, count: int) -> Iterator[tuple[int, ...]]:
    """The seed is fixed, so each run sees the same stream."""
    random = np.random.default_rng(_STREAM_SEED)
    edges = [decide.threshold, decide.threshold + 1, decide.release, decide.release + 1, INT8_MIN, INT8_MAX]
    label = 0
    for _ in range(min(_STREAM_STEPS * (decide.debounce + decide.cooldown), _RANDOM_STEPS)):
        if random.random() < 0.3:
            label = int(random.integers(count))
        score = int(np.clip(random.choice(edges), INT8_MIN, INT8_MAX))
        others = random.integers(INT8_MIN, score + 1, count)
        yield tuple(score if index == label else int(other) for index, other in enumerate(others))


def expected_decisions(decide: Decide, stimuli: list[ScoreStimulus]) -> Iterator[tuple[ScoreStimulus, Decision]]:
    """Each stimulus with the reference's Decision."""
    decider = Decider(decide)
    for stimulus in stimuli:
        if stimulus.fresh:
            decider.reset()
        yield stimulus, decider.step(np.array(stimulus.scores, np.int8))


@dataclass(frozen=True)
class BundleStimulus:
    """A damaged bundle and the status that it must be refused with (docs/bundle-format.md); 0: it must be accepted."""

    name: str
    bundle: bytes
    status: int


def bundle_stimuli(bundle: bytes) -> Iterator[BundleStimulus]:
    """Damaged variants of a whole bundle: nothing there, one bit of metadata, model, hash or padding. What lies behind
    its end is no damage.
    """
    absent, damaged = (code for code, (name, *_) in BUNDLE_STATUS.items() if name in ("absent", "hash"))
    meta_at, meta_bytes, model_at, model_bytes = struct.unpack_from("<4I", bundle, _PARTS_OFFSET)
    yield BundleStimulus("no bundle at all", bytes(len(bundle)), absent)
    yield BundleStimulus("one bit of the metadata", _flip(bundle, meta_at + meta_bytes // 2), damaged)
    yield BundleStimulus("one bit of the model", _flip(bundle, model_at + model_bytes // 2), damaged)
    yield BundleStimulus("the last byte of the hash", _flip(bundle, _HASH_OFFSET + _HASH_BYTES - 1), damaged)
    yield BundleStimulus("a byte in the middle of the hash", _flip(bundle, _HASH_OFFSET + _HASH_BYTES // 2), damaged)
    if model_at > meta_at + meta_bytes:
        yield BundleStimulus("a byte of the padding before the model", _flip(bundle, model_at - 1), damaged)
    yield BundleStimulus("bytes behind the end", bundle + b"\xa5" * _BEHIND_BYTES, 0)


_PARTS_OFFSET = 12  # of the header: offset and size of metadata and model
_HASH_OFFSET, _HASH_BYTES = 32, 32
_BEHIND_BYTES = 64


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
