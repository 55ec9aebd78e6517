"""The windows that the harness makes tell a right gate from one with any usual mistake, wherever the mistake sits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_session import imu_motion

from hil.case.types import Case, Gate, Prepare, Window
from hil.records import GateReason
from hil.session.effort import Effort
from hil.session.stimuli import GateStimulus, gate_stimuli
from hil.session.stimuli.gate import positions
from hil.tensor import Quantisation, TensorContract

RICH, POOR = Effort(requests=2000, inferences=200), Effort(requests=65, inferences=4)


def float_case(samples: int = 40, channels: int = 6) -> Case:
    """A window of physical units, as `quantize/1` takes it."""
    base = imu_motion()
    tensor = TensorContract("INT8", (1, samples, channels), Quantisation(0.0625, -3), samples * channels)
    return replace(
        base,
        window=Window("float32", samples, channels),
        gate=Gate(-50.0, 50.0, 0.5),
        prepare=Prepare("quantize", 1, factor=16.0),
        model=replace(base.model, inputs=(tensor,)),
        vectors=replace(base.vectors, windows=np.zeros((1, samples, channels), np.float32)),
    )


def valid_window(case: Case) -> bytes:
    if case.window.dtype == "float32":
        return np.linspace(-40, 40, case.window.samples * case.window.channels, dtype=np.float32).tobytes()
    return case.vectors.payload(0)


def stimuli_of(case: Case, effort: Effort = RICH) -> list[GateStimulus]:
    return list(gate_stimuli(case, valid_window(case), effort))


# ---- a gate, written from docs/pipeline.md, and its mistakes ---------------------------------------------------------


class ModelGate:
    """The gate of the specification. A mistake overrides one of its methods."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.start()

    def start(self) -> None:
        self.seen, self.last = False, 0

    def check(self, capture: int, window: bytes) -> GateReason:
        if not self.right_length(len(window)):
            return GateReason.LENGTH
        if self.stale(capture):
            return GateReason.STALE
        self.note(capture)
        shape = (self.case.window.samples, self.case.window.channels)
        values = np.frombuffer(window, np.dtype(self.case.window.dtype), count=shape[0] * shape[1])
        wide = self.looked_at(values.astype(np.float64))
        if not np.isfinite(wide).all():
            return GateReason.NONFINITE
        if ((wide < self.case.gate.minimum) | (wide > self.case.gate.maximum)).any():
            return GateReason.RANGE
        moved = self.moving(values.reshape(shape).astype(np.float64))
        if self.case.gate.min_span > 0 and not (np.ptp(moved, axis=0) >= self.case.gate.min_span).any():
            return GateReason.FLAT
        return GateReason.VALID

    def right_length(self, size: int) -> bool:
        return size == self.case.window.bytes

    def stale(self, capture: int) -> bool:
        return self.seen and capture == self.last

    def note(self, capture: int) -> None:
        self.seen, self.last = True, capture

    def looked_at(self, values: np.ndarray) -> np.ndarray:
        return values

    def moving(self, samples: np.ndarray) -> np.ndarray:
        return samples


def told(case: Case, gate: ModelGate, effort: Effort = RICH, made: list[GateStimulus] | None = None) -> list[str]:
    """Names of the stimuli, or of those that were made before, whose verdict this gate gets wrong."""
    wrong = []
    for own, stimulus in enumerate(stimuli_of(case, effort) if made is None else made):
        if stimulus.restart:
            gate.start()
        capture = own if stimulus.capture is None else stimulus.capture
        if gate.check(capture, stimulus.window) is not stimulus.reason:
            wrong.append(stimulus.name)
    return wrong


def mistaken(**methods: Callable[..., object]) -> type[ModelGate]:
    return type("Mistaken", (ModelGate,), methods)


def leaves_out(rest: int, of: int) -> type[ModelGate]:
    return mistaken(looked_at=lambda _, values: np.delete(values, np.s_[rest::of]))


@pytest.mark.parametrize("effort", [RICH, POOR])
@pytest.mark.parametrize("make", [imu_motion, float_case, lambda: float_case(300, 9)])
def test_a_right_gate_gets_every_verdict_right(make: Callable[[], Case], effort: Effort) -> None:
    case = make()
    assert told(case, ModelGate(case), effort) == []


@pytest.mark.parametrize("make", [imu_motion, float_case, lambda: float_case(100, 9)])
@pytest.mark.parametrize("rest", [0, 1, 31, 37, 62, 63])
def test_a_value_left_out_of_each_64_is_seen(make: Callable[[], Case], rest: int) -> None:
    case = make()
    assert told(case, leaves_out(rest, 64)(case))


@pytest.mark.parametrize("make", [imu_motion, float_case, lambda: float_case(100, 9)])
def test_the_first_and_the_last_sample_left_out_are_seen(make: Callable[[], Case]) -> None:
    case = make()
    channels = case.window.channels
    for cut in (np.s_[channels:], np.s_[:-channels], np.s_[1:], np.s_[:-1]):
        assert told(case, mistaken(looked_at=lambda _, values, cut=cut: values[cut])(case)), cut


def test_each_place_of_a_small_window_is_seen_by_each_rule_on_values() -> None:
    case = float_case()
    few, many = stimuli_of(case), stimuli_of(case, Effort(4000, 4))
    for place in range(0, case.window.samples * case.window.channels, 7):
        gate = mistaken(looked_at=lambda _, values, place=place: np.delete(values, place))(case)
        assert told(case, gate, made=few), place
        kinds = [name for name in told(case, gate, made=many) if name.startswith("value [")]
        assert len(kinds) == 5, place  # NaN, both infinities, below, above


@pytest.mark.parametrize("make", [imu_motion, float_case])
def test_each_sample_that_does_not_count_as_movement_is_seen(make: Callable[[], Case]) -> None:
    case = make()
    made = stimuli_of(case)
    for sample in range(case.window.samples):
        gate = mistaken(moving=lambda _, rows, sample=sample: np.delete(rows, sample, axis=0))(case)
        assert told(case, gate, made=made), sample


def test_each_channel_that_does_not_count_as_movement_is_seen() -> None:
    case = imu_motion()
    for channel in range(6):
        assert told(case, mistaken(moving=lambda _, rows, c=channel: np.delete(rows, c, axis=1))(case)), channel


@pytest.mark.parametrize("bits", [1, 7, 8, 15, 16, 24, 31])
@pytest.mark.parametrize("make", [imu_motion, float_case])
def test_capture_numbers_compared_in_fewer_bits_are_seen(make: Callable[[], Case], bits: int) -> None:
    case, mask = make(), (1 << bits) - 1
    gate = mistaken(stale=lambda self, capture: self.seen and (capture ^ self.last) & mask == 0)(case)
    assert told(case, gate)


STALE_RULES = {
    "never": lambda self, capture: False,
    "not above the last": lambda self, capture: self.seen and capture <= self.last,
    "just below the last": lambda self, capture: self.seen and capture in (self.last, self.last - 1),
    "0 without a last": lambda self, capture: capture == self.last,
    "signed": lambda self, capture: self.seen and (capture ^ 1 << 31) <= (self.last ^ 1 << 31),
}


@pytest.mark.parametrize("rule", STALE_RULES)
def test_other_stale_rules_are_seen(rule: str) -> None:
    case = imu_motion()
    assert told(case, mistaken(stale=STALE_RULES[rule])(case))


def test_a_capture_number_noted_too_early_or_too_late_is_seen() -> None:
    case = imu_motion()

    class Early(ModelGate):
        def check(self, capture: int, window: bytes) -> GateReason:
            reason = super().check(capture, window)
            if reason is GateReason.LENGTH:
                self.note(capture)
            return reason

    class Late(ModelGate):
        def check(self, capture: int, window: bytes) -> GateReason:
            before = (self.seen, self.last)
            reason = super().check(capture, window)
            if reason is not GateReason.VALID:
                self.seen, self.last = before
            return reason

    assert told(case, Early(case))
    assert told(case, Late(case))


LENGTHS = {
    "a byte more": lambda self, size: size in (self.case.window.bytes, self.case.window.bytes + 1),
    "a byte less": lambda self, size: size in (self.case.window.bytes, self.case.window.bytes - 1),
    "whole values": lambda self, size: size // 2 == self.case.window.bytes // 2,
    "at least": lambda self, size: size >= self.case.window.bytes,
    "in 8 bits": lambda self, size: size >= self.case.window.bytes and (size - self.case.window.bytes) % 256 == 0,
}


@pytest.mark.parametrize("rule", [name for name in LENGTHS if "less" not in name])
def test_other_rules_of_length_are_seen(rule: str) -> None:
    case = float_case(64, 4)  # twice its window is longer by a multiple of 256
    assert told(case, mistaken(right_length=LENGTHS[rule])(case))


@pytest.mark.parametrize("kind", [GateReason.LENGTH, GateReason.STALE, GateReason.RANGE, GateReason.FLAT])
def test_a_gate_that_gives_up_after_64_refusals_is_seen(kind: GateReason) -> None:
    """Each way to give up: it lets the rest through, and it refuses what follows."""
    case = imu_motion()
    for afterwards in (GateReason.VALID, None):

        class Tired(ModelGate):
            count = 0

            def check(self, capture: int, window: bytes, afterwards: GateReason | None = afterwards) -> GateReason:
                reason = super().check(capture, window)
                if reason is kind:
                    self.count += 1
                    return afterwards if self.count > 64 and afterwards is not None else reason
                good = reason is GateReason.VALID
                spent = self.count > 64
                self.count = 0
                return kind if good and spent and afterwards is None else reason

        assert told(case, Tired(case)), afterwards


def test_a_row_of_refusals_is_longer_than_8_bits_count_where_it_is_cheap() -> None:
    rows = [s.name for s in stimuli_of(imu_motion()) if s.name.endswith("in a row: length")]
    assert len(rows) > 256
    poor = [s for s in stimuli_of(imu_motion(), POOR) if "in a row" in s.name]
    assert len(poor) <= 5 * 71


# ---- places ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 32), st.integers(2, 600))
def test_places_are_as_many_as_are_afforded_and_begin_with_both_ends(samples: int, channels: int, most: int) -> None:
    places = positions(samples, channels, most)
    size = samples * channels
    assert len(places) == len(set(places)) <= max(most, 2)
    assert {0, size - 1} <= set(places) <= set(range(size))
    if size <= most:
        assert len(places) == size


def test_places_of_a_long_window_leave_each_rest_and_hold_both_sides_of_each_block() -> None:
    places = positions(1000, 6, 400)
    assert {place % 64 for place in places} == set(range(64))
    assert {15, 16, 17, 31, 32, 33, 63, 64, 65, 5951, 5952, 5953} <= set(places)
    assert {place % 6 for place in places if 6 <= place < 5994} == set(range(6))


def test_every_channel_has_a_bad_value_in_a_window_that_is_too_long_to_try_every_place() -> None:
    case = float_case(300, 9)
    places = {divmod(place, 9)[1] for place in positions(300, 9, RICH.windows(case.window.bytes) // 5)}
    assert places == set(range(9))


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_what_can_be_afforded_bounds_what_is_sent() -> None:
    for case in (imu_motion(), float_case(), float_case(300, 32)):
        for effort in (RICH, POOR):
            stimuli = stimuli_of(case, effort)
            assert len([s for s in stimuli if s.reason is GateReason.VALID]) <= 1.2 * effort.inferences + 16
            refused = [s for s in stimuli if s.reason is not GateReason.VALID]
            assert sum(len(s.window) for s in refused) < 12_000_000


def neighbours(stimuli: list[GateStimulus]) -> Iterator[tuple[GateStimulus, GateStimulus]]:
    return pairwise(stimuli)


def test_each_long_row_ends_with_a_valid_window() -> None:
    for before, after in neighbours(stimuli_of(imu_motion())):
        if "in a row" in before.name and "in a row" not in after.name.removeprefix("valid after"):
            assert after.reason is GateReason.VALID
