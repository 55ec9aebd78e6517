"""Firmware and reference read docs/pipeline.md alike: for any window the same verdict of the gate, the same tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from native_session import imu_motion, native_board, native_image
from numpy.typing import NDArray
from typed_cases import Ends, converted

from hil.board.native import NativeBoard
from hil.bundle import build_bundle
from hil.case.types import Case, Channel, Decide, Gate, ModelFile, Prepare, Vectors, Window
from hil.device import Device
from hil.model.tflite import parse_model
from hil.records import GateReason, Status
from hil.reference import gate
from hil.reference.prepare import digest, prepare
from hil.tensor import FLOAT32 as REAL
from hil.tensor import INT16 as WORD
from hil.tensor import ROUNDED_TYPES, UINT8, ElementType, ranks

SAMPLES, CHANNELS = 40, 6  # of the model's input tensor
INT16_MIN, INT16_MAX = -32768, 32767
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
FLOAT32_MAX = float(np.finfo(np.float32).max)
EVERY_INT16 = Gate(INT16_MIN, INT16_MAX, 0.0)
EVERY_FLOAT32 = Gate(-FLOAT32_MAX, FLOAT32_MAX, 0.0)
GAIN = 65536 * 256  # full scale fills the tensor's type


def scale_1(channels: list[Channel], window_channels: int = CHANNELS, limits: Gate = EVERY_INT16) -> Case:
    window = Window("int16", SAMPLES, window_channels)
    return replace(imu_motion(), window=window, gate=limits, prepare=Prepare("scale", 1, tuple(channels)))


def same(gain: int, offset: int = 0) -> list[Channel]:
    return [Channel(source, offset, gain) for source in range(CHANNELS)]


def quantize_1(factor: float, limits: Gate = EVERY_FLOAT32) -> Case:
    window = Window("float32", SAMPLES, CHANNELS)
    stage = Prepare("quantize", 1, factor=float(np.float32(factor)))
    return replace(imu_motion(), window=window, gate=limits, prepare=stage)


def tensor_1(limits: Gate) -> Case:
    return replace(imu_motion(), window=Window("int8", SAMPLES, CHANNELS), gate=limits, prepare=Prepare("tensor", 1))


@cache
def model_of(element: ElementType, zero_point: int) -> ModelFile:
    """One that takes tensors of this type: DEQUANTIZE of 8 and 16 bits, QUANTIZE of float32."""
    quantised: Ends = (element.name, 0.125, zero_point)
    steps = ("QUANTIZE", ("INT8", 3e30, 0)) if element.real else ("DEQUANTIZE", ("FLOAT32", None, 0))
    build = converted(("FLOAT32", None, 0) if element.real else quantised, steps, shape=(1, SAMPLES, CHANNELS))
    return parse_model(build(), Path("typed.tflite"))


def of_type(case: Case, element: ElementType, zero_point: int = 0) -> Case:
    """The case with a model whose input has this type."""
    model = model_of(element, zero_point)
    return replace(case, model=model, float_model=None, decide=Decide("none", 1), arena_bytes=16384)


def tensor_of(element: ElementType, limits: Gate, zero_point: int = 0) -> Case:
    window = Window(element.dtype.name, SAMPLES, CHANNELS)
    case = replace(imu_motion(), window=window, gate=limits, prepare=Prepare("tensor", 1))
    return of_type(case, element, zero_point)


CASES = {
    "scale to uint8": of_type(scale_1(same(GAIN)), UINT8, 128),
    "scale to uint8, zero point at its end": of_type(scale_1(same(-GAIN // 3, 77)), UINT8, 255),
    "scale to int16": of_type(scale_1(same(GAIN * 127)), WORD),
    "scale to int16, another zero point": of_type(scale_1(same(-GAIN * 120, -9)), WORD, -20000),
    "scale to int16: rails of gain and offset": of_type(
        scale_1([Channel(c, (INT32_MIN, INT32_MAX, 0)[c % 3], (INT32_MIN, INT32_MAX)[c % 2]) for c in range(CHANNELS)]),
        WORD,
        32767,
    ),
    "quantize to uint8": of_type(quantize_1(4.0), UINT8, 131),
    "quantize to int16": of_type(quantize_1(300.0), WORD, -5),
    "quantize to int16: huge factor": of_type(quantize_1(3e38), WORD, 32767),
    "tensor of uint8": tensor_of(UINT8, Gate(0, 255, 0.0), 9),
    "tensor of uint8, narrow gate": tensor_of(UINT8, Gate(3, 200, 8.0), 9),
    "tensor of int16": tensor_of(WORD, EVERY_INT16),
    "tensor of float32": tensor_of(REAL, EVERY_FLOAT32),
    "tensor of float32, narrow gate": tensor_of(REAL, Gate(-100.0, 100.0, 0.5)),
    "scale: full range": scale_1(same(GAIN)),
    "scale: as imu_motion": replace(imu_motion(), vectors=Vectors(np.zeros((0, SAMPLES, CHANNELS), np.int16))),
    "scale: mirrored, with offsets": scale_1([Channel(5 - c, 1000 * c - 3000, -GAIN // 3) for c in range(CHANNELS)]),
    "scale: one source for all": scale_1([Channel(0, 0, GAIN * (c + 1)) for c in range(CHANNELS)], 1),
    "scale: six of nine": scale_1([Channel(8 - c, 7, GAIN + c) for c in range(CHANNELS)], 9),
    "scale: rails of gain and offset": scale_1(
        [Channel(c, (INT32_MIN, INT32_MAX, 0)[c % 3], (INT32_MIN, INT32_MAX)[c % 2]) for c in range(CHANNELS)]
    ),
    "scale: narrow gate": scale_1(same(GAIN), limits=Gate(-1000, 1000, 64.0)),
    "quantize: as the tensor's scale": quantize_1(1 / 0.2458350658416748),
    "quantize: tiny factor": quantize_1(1e-40),
    "quantize: huge factor": quantize_1(3e38),
    "quantize: narrow gate": quantize_1(4.0, Gate(-100.0, 100.0, 0.5)),
    "tensor: every value": tensor_1(Gate(-128, 127, 0.0)),
    "tensor: narrow gate": tensor_1(Gate(-100, 100, 8.0)),
}

INT16 = st.integers(INT16_MIN, INT16_MAX) | st.sampled_from([INT16_MIN, INT16_MIN + 1, -1, 0, 1, INT16_MAX])
FLOAT32 = st.floats(width=32) | st.floats(-300, 300, width=32) | st.integers(-300, 300).map(lambda n: n / 2)
ELEMENTS = {
    "int16": INT16,
    "float32": FLOAT32,
    "int8": st.integers(-128, 127),
    "uint8": st.integers(0, 255),
}
# Gates let little of the full range through: half of the windows stay near 0.
NEAR = {
    "int16": st.integers(-1100, 1100),
    "float32": st.floats(-101, 101, width=32),
    "int8": st.integers(-104, 104),
    "uint8": st.integers(0, 204),
}


def windows_of(window: Window) -> st.SearchStrategy[NDArray[np.generic]]:
    shape = (window.samples, window.channels)
    return arrays.arrays(window.dtype, shape, elements=ELEMENTS[window.dtype]) | arrays.arrays(
        window.dtype, shape, elements=NEAR[window.dtype], fill=st.sampled_from([0, 3, 90])
    )


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeBoard]:
    with native_board(tmp_path_factory.mktemp("prepare")) as board:
        yield board


def provisioned(board: NativeBoard, case: Case) -> Device:
    board.provision(native_image(), build_bundle(case))
    device = Device(board)
    assert device.hello.bundle_status == 0
    return device


def assert_agreement(device: Device, case: Case, window: NDArray[np.generic]) -> GateReason:
    """The device's record of `window` against the references; returns the gate's verdict."""
    vectors = Vectors(window[np.newaxis])
    record = device.run(vectors.payload(0))
    verdict = GateReason(int(gate.judge(vectors, case)[0]))
    assert record.gate == verdict
    if verdict != GateReason.VALID:
        assert record.status == Status.REJECTED
        return verdict
    assert record.status == Status.DONE
    tensor = prepare(window[np.newaxis], case.prepare, case.model.input)[0]
    assert device.prepared() == tensor.tobytes()
    assert record.digest == digest(tensor)
    element = case.model.input.element
    assert (record.minimum, record.maximum) == (ranks(tensor).min(), ranks(tensor).max())
    ends = ~np.isfinite(tensor) if element.real else np.isin(tensor, [element.low, element.high])
    assert record.saturated == ends.sum()
    return verdict


@pytest.mark.parametrize("name", CASES)
def test_any_window_gives_the_same_tensor(name: str, board: NativeBoard) -> None:
    case = CASES[name]
    device = provisioned(board, case)

    @settings(max_examples=20)
    @given(window=windows_of(case.window))
    def run(window: NDArray[np.generic]) -> None:
        assert_agreement(device, case, window)

    run()


CHANNEL = st.builds(
    Channel,
    st.integers(0, 7),
    st.integers(INT32_MIN, INT32_MAX) | st.integers(-40000, 40000),
    (st.integers(INT32_MIN, INT32_MAX) | st.integers(-GAIN, GAIN)).filter(lambda gain: gain != 0),
)


@settings(max_examples=25)
@given(channels=st.lists(CHANNEL, min_size=CHANNELS, max_size=CHANNELS), seed=st.integers(0, 2**32 - 1))
def test_any_parameters_of_scale_give_the_same_tensor(channels: list[Channel], seed: int, board: NativeBoard) -> None:
    case = scale_1(channels, 8)
    device = provisioned(board, case)
    dice = np.random.default_rng(seed)
    for _ in range(4):
        window = dice.integers(INT16_MIN, INT16_MAX, (SAMPLES, 8), np.int16, endpoint=True)
        assert assert_agreement(device, case, window) == GateReason.VALID


@settings(max_examples=25)
@given(factor=st.floats(2**-100, FLOAT32_MAX, width=32), seed=st.integers(0, 2**32 - 1))
@example(factor=2.0, seed=1)
def test_any_factor_of_quantize_gives_the_same_tensor(factor: float, seed: int, board: NativeBoard) -> None:
    """Values around the steps of the tensor, where a fused multiply-add or another rounding would show."""
    case = quantize_1(factor)
    device = provisioned(board, case)
    dice = np.random.default_rng(seed)
    for _ in range(4):
        steps = dice.integers(-300, 300, (SAMPLES, CHANNELS)) + dice.choice([0.0, 0.5, 0.25], (SAMPLES, CHANNELS))
        window = (steps / factor).astype(np.float32)
        window = np.nextafter(window, np.float32(dice.choice([-np.inf, np.inf])), dtype=np.float32)
        assume(np.isfinite(window).all())
        assert assert_agreement(device, case, window) == GateReason.VALID


@settings(max_examples=25)
@given(
    channels=st.lists(CHANNEL, min_size=CHANNELS, max_size=CHANNELS),
    element=st.sampled_from(ROUNDED_TYPES),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_any_zero_point_of_any_type_gives_the_same_tensor(
    channels: list[Channel], element: ElementType, seed: int, data: st.DataObject, board: NativeBoard
) -> None:
    zero_point = data.draw(st.integers(element.low, element.high) | st.sampled_from([element.low, element.high]))
    dice = np.random.default_rng(seed)
    scaled = of_type(scale_1(channels, 8), element, zero_point)
    device = provisioned(board, scaled)
    window = dice.integers(INT16_MIN, INT16_MAX, (SAMPLES, 8), np.int16, endpoint=True)
    assert assert_agreement(device, scaled, window) == GateReason.VALID
    quantised = of_type(quantize_1(8.0), element, zero_point)
    device = provisioned(board, quantised)
    steps = dice.integers(-70000, 70000, (SAMPLES, CHANNELS)) + dice.choice([0.0, 0.5, 0.25], (SAMPLES, CHANNELS))
    assert assert_agreement(device, quantised, (steps / 8).astype(np.float32)) == GateReason.VALID


def test_every_int16_at_full_scale(board: NativeBoard) -> None:
    """All 65,536 counts, by the closed form of docs/pipeline.md: zp + round_half_up(count / 32768 * gain / 65536)."""
    case = scale_1(same(GAIN // 2 + 1))
    device = provisioned(board, case)
    counts = np.resize(np.arange(INT16_MIN, INT16_MAX + 1, dtype=np.int16), (274, SAMPLES, CHANNELS))
    zero_point = case.model.input.quantisation.zero_point
    for window in counts:
        device.run(window.tobytes())
        exact = window.astype(np.int64) * (GAIN // 2 + 1)
        wanted = np.clip(zero_point + np.floor(exact / 2**31 + 0.5), -128, 127).astype(np.int8)
        assert device.prepared() == wanted.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, FLOAT32_MAX, 1e-45])
@pytest.mark.parametrize("place", [(0, 0), (SAMPLES - 1, CHANNELS - 1)])
def test_special_float32_values(value: float, place: tuple[int, int], board: NativeBoard, tmp_path: Path) -> None:
    case = CASES["quantize: as the tensor's scale"]
    device = provisioned(board, case)
    window = np.ones((SAMPLES, CHANNELS), np.float32)
    window[place] = value
    verdict = assert_agreement(device, case, window)
    assert verdict == (GateReason.VALID if np.isfinite(value) else GateReason.NONFINITE)
