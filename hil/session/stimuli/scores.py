"""Raw scores for the decide stage: around thresholds, with ties, and in streams that meet each rule in each state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from hil.case.types import Decide
from hil.records import Decision, GateReason
from hil.reference.decide import Decider
from hil.session.effort import LONG, Effort
from hil.tensor import NAN, ElementType

_THRESHOLD_STEPS = 2048  # of all threshold probes, beyond which each is a single step
_SCRIPT_STEPS = 400  # of the scripted streams together, however long debounce and cooldown are
_STREAM_STEPS = 64  # of the random stream, for each step of debounce and cooldown
_RANDOM_STEPS = 512  # of the random stream at most
_STREAM_SEED = 20201
_LEAST_STEPS = 160  # of the scripts with refusals and with fresh starts
_BYTE = 256
_HELD_STEPS = 2100  # of one label
_REJECT_EVERY = 8  # steps of a stream between two windows that the gate refuses


@dataclass(frozen=True)
class ScoreStimulus:
    """One step of a stream of scores, as ranks (hil.tensor); `fresh` starts a new stream. refused: a window that the
    gate refuses for this reason comes first; it must leave the decision state as it is.
    """

    name: str
    scores: tuple[int, ...]
    fresh: bool
    refused: GateReason | None = None


Scored = tuple[str, tuple[int, ...]]  # what a step is for, and its scores


def score_stimuli(
    decide: Decide, element: ElementType, kinds: Sequence[GateReason], effort: Effort
) -> Iterator[ScoreStimulus]:
    """Threshold, tie and stream probes for an `argmax` stage; nothing for a case without one. element: type of
    the output; kinds: reasons for which a window of the case can be refused.
    """
    if decide.id != "argmax":
        return
    scale = _Scale(decide, element)
    yield from _threshold_probes(scale)
    yield from _tie_probes(scale)
    yield from _stream_probes(scale, kinds)
    room = max(effort.requests // 4, _LEAST_STEPS)
    yield from islice(_refusal_probes(scale, kinds), room)
    yield from islice(_fresh_probes(scale), room)
    yield from _held_probes(scale, min(max(effort.requests, LONG), _HELD_STEPS))
    yield from _waiting_probes(scale)
    if element.real:
        yield from _no_number_probes(scale)


@dataclass(frozen=True)
class _Scale:
    """What scores can be: `count` of them, each of a type."""

    decide: Decide
    element: ElementType

    @property
    def count(self) -> int:
        return len(self.decide.labels)

    @property
    def high(self) -> int:
        """A score that is accepted, where there is one; at the type's least no label stands out."""
        return min(max(self.decide.threshold + 1, self.element.low + 1), self.element.high)

    def one_hot(self, label: int, score: int) -> tuple[int, ...]:
        return tuple(score if index == label else self.element.low for index in range(self.count))


def _threshold_probes(scale: _Scale) -> Iterator[ScoreStimulus]:
    decide, count, element = scale.decide, scale.count, scale.element
    # `debounce` steps so that an accepted label really comes out; where that takes too many, a single step still
    # tells debounce from below threshold.
    steps = decide.debounce if 4 * count * decide.debounce <= _THRESHOLD_STEPS else 1
    for label in range(count):
        for distance in (-1, 0, 1, 2):
            score = decide.threshold + distance
            if element.low < score <= element.high:
                scores = scale.one_hot(label, score)
                for step in range(steps):
                    name = f"threshold of {decide.labels[label]!r} {distance:+d}"
                    yield ScoreStimulus(name, scores, fresh=step == 0)


def _tie_probes(scale: _Scale) -> Iterator[ScoreStimulus]:
    decide, count, element = scale.decide, scale.count, scale.element
    top = scale.high
    for first in range(count):
        for second in range(first + 1, count):
            scores = tuple(top if index in (first, second) else element.low for index in range(count))
            yield ScoreStimulus(f"tie of {decide.labels[first]!r} and {decide.labels[second]!r}", scores, fresh=True)
    for score in sorted({top, element.low, *(each for each in (-1, 0) if each > element.low), element.high}):
        yield ScoreStimulus(f"tie of all at {score}", (score,) * count, fresh=True)


def _stream_probes(scale: _Scale, kinds: Sequence[GateReason]) -> Iterator[ScoreStimulus]:
    """Scripted sequences for each rule of the state machine, then a random walk around both thresholds."""

    def step_of(name: str, scores: tuple[int, ...], step: int) -> ScoreStimulus:
        turn, place = divmod(step, _REJECT_EVERY)
        return _after(name, scores, step == 0, kinds[turn % len(kinds)] if place == _REJECT_EVERY - 1 else None)

    decide, count = scale.decide, scale.count
    room = _SCRIPT_STEPS
    for label in sorted({0, count // 2, count - 1}):
        for step, (what, scores) in enumerate(islice(_script(scale, label), room)):
            room -= 1
            yield step_of(f"stream of {decide.labels[label]!r} step {step}, {what}", scores, step)
    for step, scores in enumerate(_random_walk(scale)):
        yield step_of(f"stream step {step}", scores, step)


def _after(name: str, scores: tuple[int, ...], fresh: bool, refused: GateReason | None) -> ScoreStimulus:
    """A step behind a window that is refused; none when there is no reason."""
    words = "" if refused is None else f", after a window refused as {refused.name.lower()}"
    return ScoreStimulus(name + words, scores, fresh, refused)


def _refusal_probes(scale: _Scale, kinds: Sequence[GateReason]) -> Iterator[ScoreStimulus]:
    """The script with a refused window before each step, as often as there are kinds: each state meets each of them."""
    for turn in range(len(kinds)):
        for step, (what, scores) in enumerate(islice(_script(scale, 0), _SCRIPT_STEPS)):
            name = f"stream with refusals {turn} step {step}, {what}"
            yield _after(name, scores, step == 0, kinds[(step + turn) % len(kinds)] if step else None)


def _fresh_probes(scale: _Scale) -> Iterator[ScoreStimulus]:
    """A fresh start at the end of each part of the script: with a score that only a label still active would be let
    through with, and with one that only a memory would hold up.
    """
    parts = [list(steps) for _, steps in groupby(_script(scale, 0), key=lambda step: step[0])]
    high = scale.high
    for level in sorted({min(scale.decide.release + 1, high), high}):
        begun: list[Scored] = []
        for part in parts:
            begun += part
            for step, (what, scores) in enumerate([*begun, *[("fresh", scale.one_hot(0, level))] * 2]):
                name = f"stream made fresh after {part[0][0]!r} step {step}, {what} at {max(scores)}"
                yield ScoreStimulus(name, scores, fresh=step in (0, len(begun)))


def _held_probes(scale: _Scale, steps: int) -> Iterator[ScoreStimulus]:
    """Equal scores in a row for very long: of one label, of none, and of one that waits for the cooldown of another."""
    decide, other, high = scale.decide, scale.count - 1, scale.high
    label = 0
    parts = (
        ("held", label, high, steps),
        ("the other label after it", other, high, decide.debounce + decide.cooldown + 2),
        ("nothing", label, scale.element.low, steps // 4),
        ("again after nothing", label, high, decide.debounce + 1),
        ("the other label in the cooldown", other, high, decide.debounce + decide.cooldown + 2),
    )
    number = 0
    for what, winner, score, length in parts:
        for _ in range(length):
            yield ScoreStimulus(f"stream held step {number}, {what}", scale.one_hot(winner, score), number == 0)
            number += 1


def _waiting_probes(scale: _Scale) -> Iterator[ScoreStimulus]:
    """Another label wins for as many windows as 8 bits do not count, in a cooldown that is long enough for that."""
    decide, count = scale.decide, scale.count
    other, high = count - 1, scale.high
    if decide.cooldown < _BYTE - 1 or count < 2:
        return
    parts = ((0, decide.debounce + decide.cooldown - (_BYTE - 1)), (other, _BYTE + 1))
    winners = [winner for winner, steps in parts for _ in range(steps)]
    for step, winner in enumerate(winners):
        yield ScoreStimulus(f"stream waiting step {step}", scale.one_hot(winner, high), step == 0)


def _script(scale: _Scale, label: int) -> Iterator[Scored]:
    """What each step is for, and its scores. About 4 * debounce + 5 * cooldown steps, in an order that meets each rule
    as early as it can, because a long script is cut short.
    """
    decide, count, element = scale.decide, scale.count, scale.element
    debounce, cooldown = decide.debounce, decide.cooldown
    high = scale.high

    def wins(what: str, score: int, steps: int, winner: int = label) -> Iterator[Scored]:
        if element.low <= score <= element.high:
            yield from ((what, scale.one_hot(winner, score)) for _ in range(steps))

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


def _random_walk(scale: _Scale) -> Iterator[tuple[int, ...]]:
    """The seed is fixed, so each run sees the same stream."""
    decide, count, element = scale.decide, scale.count, scale.element
    random = np.random.default_rng(_STREAM_SEED)
    edges = [decide.threshold, decide.threshold + 1, decide.release, decide.release + 1, element.low, element.high]
    label = 0
    for _ in range(min(_STREAM_STEPS * (decide.debounce + decide.cooldown), _RANDOM_STEPS)):
        if random.random() < 0.3:
            label = int(random.integers(count))
        score = int(np.clip(random.choice(edges), element.low, element.high))
        others = random.integers(element.low, score + 1, count)
        yield tuple(score if index == label else int(other) for index, other in enumerate(others))


def _no_number_probes(scale: _Scale) -> Iterator[ScoreStimulus]:
    """Scores of which one is NaN, of either sign and in each place, between windows of a label that the state holds: it
    decides nothing, and forgets nothing.
    """
    decide = scale.decide
    for label in range(scale.count):
        for sign, nan in (("NaN", NAN), ("negative NaN", -NAN)):
            held = [scale.one_hot(0, scale.high)] * (decide.debounce + 1)
            broken = tuple(nan if index == label else scale.high for index in range(scale.count))
            after = [scale.one_hot(0, scale.high)] * (decide.cooldown + 1)
            for step, scores in enumerate((*held, broken, *after)):
                name = f"stream with {sign} for {decide.labels[label]!r} step {step}"
                yield ScoreStimulus(name, scores, fresh=step == 0)


def expected_decisions(
    decide: Decide, element: ElementType, stimuli: Iterable[ScoreStimulus]
) -> Iterator[tuple[ScoreStimulus, Decision]]:
    """Each stimulus with the reference's Decision."""
    decider = Decider(decide)
    for stimulus in stimuli:
        if stimulus.fresh:
            decider.reset()
        yield stimulus, decider.step(element.of_ranks(stimulus.scores))
