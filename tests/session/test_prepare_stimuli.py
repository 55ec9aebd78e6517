"""The windows for prepare hold, at every position, a value on which each usual mistake parts from the specification."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_session import imu_motion

from hil.case.types import Case, Channel, Gate, Prepare, Window
from hil.reference.mistakes import PITFALLS, mistake_of
from hil.reference.prepare import STAGES, elements, prepare
from hil.session.stimuli import prepare_windows
from hil.tensor import Quantisation, TensorContract

SAMPLES = 20
MANY = 10_000  # windows: as many as there are values


def case_of(stage: Prepare, window: Window, gate: Gate, zero_point: int, scale: float, channels: int) -> Case:
    tensor = TensorContract("INT8", (1, SAMPLES, channels), Quantisation(scale, zero_point), SAMPLES * channels)
    base = imu_motion()
    vectors = replace(base.vectors, windows=np.zeros((1, SAMPLES, window.channels), window.dtype))
    model = replace(base.model, input=tensor)
    return replace(base, window=window, gate=gate, prepare=stage, model=model, vectors=vectors)


def scale_case(channels: list[Channel], zero_point: int = 3, low: int = -32768, high: int = 32767) -> Case:
    sources = max(channel.source for channel in channels) + 1
    window = Window("int16", SAMPLES, sources)
    stage = Prepare("scale", 1, tuple(channels))
    return case_of(stage, window, Gate(low, high, 0), zero_point, 0.125, len(channels))


def quantize_case(scale: float, zero_point: int = -5, limit: float = 3e38) -> Case:
    factor = float(np.float32(1) / np.float32(scale))
    scale = float(np.float32(scale))
    return case_of(
        Prepare("quantize", 1, factor=factor),
        Window("float32", SAMPLES, 3),
        Gate(-float(np.float32(limit)), float(np.float32(limit)), 0),
        zero_point,
        scale,
        3,
    )


def tensor_case(low: int = -128, high: int = 127) -> Case:
    return case_of(Prepare("tensor", 1), Window("int8", SAMPLES, 3), Gate(low, high, 0), 7, 0.5, 3)


HALVES = 1 << 22  # a count is 1/512 of an LSB: ties in plenty
CASES = {
    "scale with ties": scale_case([Channel(0, 0, HALVES), Channel(1, 100, -HALVES), Channel(0, -7, HALVES * 3)]),
    "scale of imu_motion": scale_case(list(imu_motion().prepare.channels), 3, -32767, 32767),
    "scale with odd gains": scale_case(
        [Channel(0, 3, 12_345_679), Channel(1, -11, 33_333_331), Channel(2, 0, 11_054_834)]
    ),
    "scale far beyond the clamps": scale_case([Channel(0, 0, 2_000_000_000), Channel(1, 20_000, 40_000_000)]),
    "scale within a small range": scale_case([Channel(0, 0, HALVES)], 0, -500, 700),
    "quantize": quantize_case(0.0625),
    "quantize with an odd scale": quantize_case(0.0437281),
    "quantize with a small range": quantize_case(0.0312, -128, 4.0),
    "quantize with a large scale": quantize_case(3.7e4, 127),
    "tensor": tensor_case(),
    "tensor within a small range": tensor_case(-100, 90),
}


def windows_of(case: Case, count: int = MANY) -> np.ndarray:
    values = np.zeros((case.window.samples, case.window.channels), case.window.dtype)
    return np.stack([window for _, window in prepare_windows(case, values, count)])


def tables(case: Case, windows: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The right tensors [n, samples, channels], and those of each mistake."""
    shape = (len(windows), SAMPLES, -1)
    right = prepare(windows, case.prepare, case.model.input).reshape(shape)
    stage = PITFALLS[case.prepare.name].mistakes
    return right, {
        name: mistake(windows, case.prepare, case.model.input).reshape(shape) for name, mistake in stage.items()
    }


def candidates(case: Case) -> np.ndarray:
    """Values on which a mistake may show: all that an integer can be, and what lies near the ties of a float."""
    if case.window.dtype != "float32":
        return np.arange(int(case.gate.minimum), int(case.gate.maximum) + 1).astype(case.window.dtype)
    ties = (np.arange(-300, 300) + 0.5) / case.prepare.factor
    ties = ties[np.abs(ties) < case.gate.maximum].astype(np.float32)
    near = ties[:, None].view(np.int32) + np.arange(-40, 41, dtype=np.int32)
    far = np.array([1024.4, -1024.4, 3e9, -3e9, 1e20]) / case.prepare.factor
    values = np.concatenate([near.astype(np.int32).view(np.float32).ravel(), far.astype(np.float32)])
    return values[np.isfinite(values) & (np.abs(values) <= case.gate.maximum)]


def showing(case: Case) -> dict[str, np.ndarray]:
    """By mistake: whether any value at all shows it, for each channel of the tensor."""
    values = np.repeat(candidates(case)[:, None], case.window.channels, axis=1)
    right = elements(values, case.prepare, case.model.input)
    stage = PITFALLS[case.prepare.name].mistakes
    return {
        name: (mistake(values, case.prepare, case.model.input) != right).any(axis=0) for name, mistake in stage.items()
    }


def test_every_stage_of_the_reference_has_its_pitfalls() -> None:
    assert PITFALLS.keys() == STAGES.keys()


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_that_can_show_does_so_at_every_position(name: str) -> None:
    case = CASES[name]
    right, wrong = tables(case, windows_of(case))
    for mistake, channels in showing(case).items():
        seen = (wrong[mistake] != right).any(axis=0)
        assert (seen.all(axis=0) | ~channels).all(), (mistake, seen.all(axis=0), channels)


def test_each_mistake_shows_in_some_case() -> None:
    """Else the test above would prove little."""
    shown: dict[str, set[str]] = {stage: set() for stage in PITFALLS}
    for case in CASES.values():
        shown[case.prepare.name] |= {mistake for mistake, channels in showing(case).items() if channels.any()}
    assert shown == {stage: set(pitfalls.mistakes) for stage, pitfalls in PITFALLS.items()}


@pytest.mark.parametrize("name", CASES)
def test_hardly_an_element_is_what_the_window_before_left_there(name: str) -> None:
    """A value that is skipped keeps what was there: at each position that would show, and in most windows."""
    case = CASES[name]
    right, _ = tables(case, windows_of(case))
    changed = right[1:] != right[:-1]
    assert changed.any(axis=0).all()
    assert changed.mean() > 0.8


@pytest.mark.parametrize("name", ["scale with ties", "scale within a small range"])
def test_exact_ties_and_their_neighbours_stand_at_every_position_in_both_signs(name: str) -> None:
    case = CASES[name]
    windows = windows_of(case).astype(np.int64)
    for place, channel in enumerate(case.prepare.channels):
        acc = (windows[:, :, channel.source] - channel.offset) * channel.gain
        rest = acc % (1 << 31) - (1 << 30)
        inside = np.abs(acc >> 31) < 120
        for sign in (acc > 0, acc < 0):
            for near in (
                rest == 0,
                (rest > 0) & (rest <= abs(channel.gain)),
                (rest < 0) & (rest >= -abs(channel.gain)),
            ):
                assert (near & sign & inside).any(axis=0).all(), place


@pytest.mark.parametrize("count", [1, 4, 16])
def test_no_more_windows_than_are_afforded(count: int) -> None:
    for case in CASES.values():
        assert len(windows_of(case, count)) <= count + 4


@pytest.mark.parametrize("name", CASES)
def test_the_mistake_that_made_a_tensor_is_named(name: str) -> None:
    case = CASES[name]
    windows = windows_of(case)
    right, wrong = tables(case, windows)
    for mistake, tensors in wrong.items():
        differ = np.flatnonzero((tensors != right).any(axis=(1, 2)))
        for row in differ[:2]:
            named = mistake_of(windows[row : row + 1], tensors[row].ravel(), case.prepare, case.model.input)
            assert named == mistake or np.array_equal(wrong[named][row], tensors[row])
    assert mistake_of(windows[:1], right[0].ravel() ^ np.int8(64), case.prepare, case.model.input) == ""


@settings(max_examples=25)
@given(
    gain=st.one_of(st.integers(1 << 16, 1 << 28), st.sampled_from([1 << bits for bits in range(16, 29)])),
    offset=st.integers(-20_000, 20_000),
    zero_point=st.integers(-128, 127),
    sign=st.sampled_from([-1, 1]),
)
def test_whatever_the_parameters_what_can_show_shows(gain: int, offset: int, zero_point: int, sign: int) -> None:
    case = scale_case([Channel(0, offset, sign * gain)], zero_point)
    right, wrong = tables(case, windows_of(case))
    for mistake, channels in showing(case).items():
        assert ((wrong[mistake] != right).any(axis=0).all(axis=0) | ~channels).all(), mistake


@settings(max_examples=25)
@given(scale=st.floats(1e-6, 1e6), zero_point=st.integers(-128, 127))
def test_whatever_the_scale_what_can_show_shows(scale: float, zero_point: int) -> None:
    case = quantize_case(scale, zero_point)
    right, wrong = tables(case, windows_of(case))
    for mistake, channels in showing(case).items():
        assert ((wrong[mistake] != right).any(axis=0).all(axis=0) | ~channels).all(), mistake
