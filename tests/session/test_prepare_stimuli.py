"""The windows for prepare hold, at every position, a value on which each usual mistake parts from the specification."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_session import imu_motion

from hil.case.types import OWN, Case, Channel, Gate, Prepare, Window
from hil.reference.mistakes import PITFALLS, mistake_of
from hil.reference.prepare import STAGES, elements, prepare
from hil.session.stimuli import prepare_windows
from hil.tensor import FLOAT32, INT8, INT16, ROUNDED_TYPES, UINT8, ElementType, Quantisation, TensorContract, bits

SAMPLES = 20
MANY = 10_000  # windows: as many as there are values


def case_of(
    stage: Prepare,
    window: Window,
    gate: Gate,
    zero_point: int,
    scale: float,
    channels: int,
    element: ElementType = INT8,
) -> Case:
    size = SAMPLES * channels * element.dtype.itemsize
    tensor = TensorContract(element.name, (1, SAMPLES, channels), Quantisation(scale, zero_point), size)
    base = imu_motion()
    vectors = replace(base.vectors, windows=np.zeros((1, SAMPLES, window.channels), window.dtype))
    model = replace(base.model, inputs=(tensor,))
    return replace(base, window=window, gate=gate, prepare=stage, model=model, vectors=vectors)


def scale_case(
    channels: list[Channel],
    zero_point: int = 3,
    low: int = -32768,
    high: int = 32767,
    element: ElementType = INT8,
) -> Case:
    sources = max(channel.source for channel in channels) + 1
    window = Window("int16", SAMPLES, sources)
    stage = Prepare("scale", 1, tuple(channels))
    return case_of(stage, window, Gate(low, high, 0), zero_point, 0.125, len(channels), element)


def quantize_case(scale: float, zero_point: int = -5, limit: float = 3e38, element: ElementType = INT8) -> Case:
    factor = float(np.float32(1) / np.float32(scale))
    scale = float(np.float32(scale))
    return case_of(
        Prepare("quantize", 1, factor=factor),
        Window("float32", SAMPLES, 3),
        Gate(-float(np.float32(limit)), float(np.float32(limit)), 0),
        zero_point,
        scale,
        3,
        element,
    )


def tensor_case(low: float = -128, high: float = 127, element: ElementType = INT8) -> Case:
    window = Window(element.dtype.name, SAMPLES, 3)
    scale, zero_point = (0.0, 0) if element.real else (0.5, 7)
    return case_of(Prepare("tensor", 1), window, Gate(low, high, 0), zero_point, scale, 3, element)


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
    "scale to uint8": scale_case([Channel(0, 0, HALVES), Channel(1, 100, -HALVES)], 131, element=UINT8),
    "scale to uint8 at its end": scale_case([Channel(0, -7, HALVES * 3)], 255, element=UINT8),
    "scale to int16": scale_case([Channel(0, 9, HALVES * 99), Channel(0, 0, HALVES * 2047)], 0, element=INT16),
    "scale to int16 of another zero point": scale_case([Channel(0, 0, HALVES * 9)], -700, element=INT16),
    "quantize to uint8": quantize_case(0.0625, 128, element=UINT8),
    "quantize to int16": quantize_case(0.00437281, 0, element=INT16),
    "quantize to int16 of another zero point": quantize_case(0.125, 1234, element=INT16),
    "tensor of uint8": tensor_case(0, 255, UINT8),
    "tensor of int16": tensor_case(-32768, 32767, INT16),
    "tensor of float32": tensor_case(-3e38, 3e38, FLOAT32),
    "tensor of float32 within a small range": tensor_case(-1.5, 2.0, FLOAT32),
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
    if case.model.input.element.real:
        values = np.array([0.0, 1e-42, 1e-39, 0.3, 0.5, 0.999, 1.25, 1.7, 255.7, 1e20, 2e38], np.float32)
        both = np.concatenate([values, -values])
        return both[(both >= case.gate.minimum) & (both <= case.gate.maximum)]
    if case.window.dtype != "float32":
        return np.arange(int(case.gate.minimum), int(case.gate.maximum) + 1).astype(case.window.dtype)
    element, zero_point = case.model.input.element, case.model.input.quantisation.zero_point
    around = [np.arange(point - 300, point + 300) - zero_point for point in {0, zero_point, element.low, element.high}]
    ties = (np.unique(np.concatenate(around)) + 0.5) / case.prepare.factor
    ties = ties[np.abs(ties) < case.gate.maximum].astype(np.float32)
    near = ties[:, None].view(np.int32) + np.arange(-40, 41, dtype=np.int32)
    far = np.array([1024.4, -1024.4, 131072.4, -131072.4, 3e9, -3e9, 1e20]) / case.prepare.factor
    values = np.concatenate([near.astype(np.int32).view(np.float32).ravel(), far.astype(np.float32)])
    return values[np.isfinite(values) & (np.abs(values) <= case.gate.maximum)]


def showing(case: Case) -> dict[str, np.ndarray]:
    """By mistake: whether any value at all shows it, for each channel of the tensor."""
    values = np.repeat(candidates(case)[:, None], case.window.channels, axis=1)
    right = elements(values, case.prepare, case.model.input)
    stage = PITFALLS[case.prepare.name].mistakes
    return {
        name: (bits(mistake(values, case.prepare, case.model.input)) != bits(right)).any(axis=0)
        for name, mistake in stage.items()
    }


def test_every_stage_of_the_reference_has_its_pitfalls() -> None:
    """But for a front end of the product's own, of which nothing is known."""
    assert PITFALLS.keys() == STAGES.keys() - {OWN}


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_that_can_show_does_so_at_every_position(name: str) -> None:
    case = CASES[name]
    right, wrong = tables(case, windows_of(case))
    for mistake, channels in showing(case).items():
        seen = (bits(wrong[mistake]) != bits(right)).any(axis=0)
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
        differ = np.flatnonzero((bits(tensors) != bits(right)).any(axis=(1, 2)))
        for row in differ[:2]:
            named = mistake_of(windows[row : row + 1], tensors[row].ravel(), case.prepare, case.model.input)
            assert named == mistake or np.array_equal(bits(wrong[named][row]), bits(tensors[row]))
    other = (bits(right[0].ravel()) ^ 64).view(right.dtype)
    assert mistake_of(windows[:1], other, case.prepare, case.model.input) == ""


@settings(max_examples=25)
@given(
    gain=st.one_of(st.integers(1 << 16, 1 << 28), st.sampled_from([1 << power for power in range(16, 29)])),
    offset=st.integers(-20_000, 20_000),
    data=st.data(),
    sign=st.sampled_from([-1, 1]),
    element=st.sampled_from(ROUNDED_TYPES),
)
def test_whatever_the_parameters_what_can_show_shows(
    gain: int, offset: int, data: st.DataObject, sign: int, element: ElementType
) -> None:
    zero_point = data.draw(st.integers(element.low, element.high))
    case = scale_case([Channel(0, offset, sign * gain)], zero_point, element=element)
    right, wrong = tables(case, windows_of(case))
    for mistake, channels in showing(case).items():
        assert ((wrong[mistake] != right).any(axis=0).all(axis=0) | ~channels).all(), mistake


@settings(max_examples=25)
@given(scale=st.floats(1e-6, 1e6), data=st.data(), element=st.sampled_from(ROUNDED_TYPES))
def test_whatever_the_scale_what_can_show_shows(scale: float, data: st.DataObject, element: ElementType) -> None:
    case = quantize_case(scale, data.draw(st.integers(element.low, element.high)), element=element)
    right, wrong = tables(case, windows_of(case))
    for mistake, channels in showing(case).items():
        assert ((wrong[mistake] != right).any(axis=0).all(axis=0) | ~channels).all(), mistake
