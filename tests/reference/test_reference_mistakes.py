"""Each mistake of prepare is the one that its name says, and each landmark holds the values that it is called after.

Expected values are worked out by hand, or in exact fractions rounded one operation at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from hil.case.types import Channel, Prepare
from hil.reference import mistakes
from hil.reference.mistakes import PITFALLS, mistake_of
from hil.reference.prepare import elements, prepare
from hil.tensor import Quantisation, TensorContract

ZP = 3
HALF_LSB, QUARTER_LSB = 1 << 30, 1 << 29  # gains with which a count is so much


def tensor(count: int, zero_point: int = ZP, scale: float = 0.25) -> TensorContract:
    return TensorContract("INT8", (1, count), Quantisation(scale, zero_point), count)


def scale(gain: int, offset: int = 0) -> Prepare:
    return Prepare("scale", 1, (Channel(0, offset, gain),))


def counts(values: Sequence[int]) -> NDArray[np.int16]:
    return np.array(values, np.int16).reshape(1, -1, 1)


def both(name: str, windows: NDArray[np.generic], stage: Prepare, of: TensorContract) -> tuple[list[int], list[int]]:
    """What the specification makes of these values, and what the mistake does."""
    wrong = PITFALLS[stage.name].mistakes[name](windows, stage, of)
    return prepare(windows, stage, of)[0].tolist(), wrong.ravel().tolist()


# ---- what follows the arithmetic: the same for counts and for real numbers -------------------------------------------

LSB = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -2.25, 2.75)
RIGHT = (-2, -1, 0, 1, 2, 3, -2, 3)
ROUNDED = {
    "ties rounded away from zero": (-3, -2, -1, 1, 2, 3, -2, 3),
    "ties rounded to even": (-2, -2, 0, 0, 2, 2, -2, 3),
    "ties rounded down": (-3, -2, -1, 0, 1, 2, -2, 3),
    "truncated towards zero": (-2, -1, 0, 0, 1, 2, -2, 2),
    "rounded down, no half added": (-3, -2, -1, 0, 1, 2, -3, 2),
}
STEPS = (-140, -131, -130, -128, -125, 0, 124, 125, 126, 200, 300)  # LSB from the zero point, which is 3
FINISHED = {
    "": (-128, -128, -127, -125, -122, 3, 127, 127, 127, 127, 127),
    "no clamp, values wrapped around": (119, -128, -127, -125, -122, 3, 127, -128, -127, -53, 47),
    "clamped before the zero point was added": (-125, -125, -125, -125, -122, 3, 127, 127, 127, 127, 127),
    "the lowest value of the type clamped away": (-127, -127, -127, -125, -122, 3, 127, 127, 127, 127, 127),
    "clamped as int8": (-128, -128, -127, -125, -122, 3, 127, 127, 127, 127, 127),
    "clamped as uint8": (0, 0, 0, 0, 0, 3, 127, 127, 127, 127, 127),
    "made as int8": (-128, -128, -127, -125, -122, 3, 127, 127, 127, 127, 127),
    "made as uint8": (0, 0, 0, 0, 0, 3, 127, -128, -127, -53, -1),
    "zero point off by 128": (-9, 0, 1, 3, 6, 127, 127, 127, 127, 127, 127),
    "zero point off by -128": (-128, -128, -128, -128, -128, -125, -1, 0, 1, 75, 127),
}
STAGES: dict[str, tuple[Prepare, Callable[[Sequence[float]], NDArray[np.generic]]]] = {
    "scale": (scale(QUARTER_LSB), lambda lsb: counts([int(4 * value) for value in lsb])),
    "quantize": (
        Prepare("quantize", 1, factor=4.0),
        lambda lsb: np.array([value / 4 for value in lsb], np.float32).reshape(1, -1),
    ),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ROUNDED)
def test_a_way_to_round(name: str, stage: str) -> None:
    prepared, windows = STAGES[stage]
    right, wrong = both(name, windows(LSB), prepared, tensor(len(LSB)))
    assert right == [value + ZP for value in RIGHT]
    assert wrong == [value + ZP for value in ROUNDED[name]]


def test_a_rounded_number_is_an_integer() -> None:
    """A float that is wrapped around in 8 bits gives what the processor likes."""
    for rounding in mistakes._ROUNDINGS.values():
        assert rounding(np.array([300.5])).dtype == np.int64


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", [name for name in FINISHED if name])
def test_a_way_to_clamp(name: str, stage: str) -> None:
    prepared, windows = STAGES[stage]
    right, wrong = both(name, windows(STEPS), prepared, tensor(len(STEPS)))
    assert right == list(FINISHED[""])
    assert wrong == list(FINISHED[name])


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ROUNDED)
def test_another_rounding_ends_at_the_same_clamps(name: str, stage: str) -> None:
    prepared, windows = STAGES[stage]
    right, wrong = both(name, windows(STEPS), prepared, tensor(len(STEPS)))
    assert right == wrong == list(FINISHED[""])


# ---- scale/1 ---------------------------------------------------------------------------------------------------------

# What is known of a product in steps of 2^-31 LSB: 2^30 is a tie, which is rounded up.
SCALED: tuple[tuple[str, Prepare, list[int], list[int], list[int]], ...] = (
    ("gain one too small", scale(1 << 16), [1 << 14, -(1 << 14)], [1, 0], [0, 0]),
    ("gain one too large", scale(1 << 16), [1 << 14, -(1 << 14)], [1, 0], [1, -1]),
    ("offset one too small", scale(HALF_LSB, 10), [10, 11], [0, 1], [1, 1]),
    ("offset one too large", scale(HALF_LSB, 10), [10, 11], [0, 1], [0, 0]),
    ("difference from the offset in 16 bits", scale(1 << 16, -20_000), [20_000, 0], [1, 1], [-1, 1]),
    ("rounded twice", scale(1 << 15), [32_767, 1], [0, 0], [1, 0]),  # 2^30 - 2^15
    ("rounded twice", scale(32_767), [32_767], [0], [0]),  # just below: the first time it is rounded down
    ("computed in float32", scale(42_129), [25_487, 25_486], [0, 0], [1, 0]),  # 2^30 - 1, the second well below it
    ("divided in float32", scale(42_129), [25_487, 25_486], [0, 0], [1, 0]),
    ("computed in float32", scale(40_203), [26_708], [0], [0]),  # 2^30 - 100
    ("divided in float32", scale(40_203), [26_708], [0], [1]),
    ("computed in float32", scale(50_203), [21_388], [0], [1]),  # 2^30 - 60
    ("divided in float32", scale(50_203), [21_388], [0], [0]),
)


@pytest.mark.parametrize(("name", "stage", "values", "right", "wrong"), SCALED, ids=[row[0] for row in SCALED])
def test_a_mistake_of_scale(name: str, stage: Prepare, values: list[int], right: list[int], wrong: list[int]) -> None:
    found = both(name, counts(values), stage, tensor(len(values)))
    assert found == ([value + ZP for value in right], [value + ZP for value in wrong])


def test_a_difference_of_17_bits_is_only_cut_by_the_mistake_that_is_called_so() -> None:
    """40,960 counts are 40 LSB; in 16 bits they are -24,576, which are -24."""
    stage, window = scale(1 << 21, -20_480), counts([20_480])
    made = {name: make(window, stage, tensor(1)).item() - ZP for name, make in PITFALLS["scale/1"].mistakes.items()}
    moved = {"difference from the offset in 16 bits": -24, "zero point off by 128": 124, "zero point off by -128": -88}
    assert made == {**dict.fromkeys(made, 40), **moved}


def test_each_mistake_of_scale_is_in_a_table() -> None:
    told = {*ROUNDED, *FINISHED, *(row[0] for row in SCALED)} - {""}
    assert told == set(PITFALLS["scale/1"].mistakes)


def test_each_channel_has_its_own_offset_gain_and_source() -> None:
    """A mistake is one in arithmetic alone: on whole LSB all but a few give the right tensor of three channels."""
    stage = Prepare("scale", 1, (Channel(1, 4, HALF_LSB), Channel(0, -6, -HALF_LSB), Channel(1, 0, 3 * HALF_LSB)))
    window = np.array([[[10, 20], [-30, 40], [0, -8]]], np.int16)
    exact = [
        8 + ZP, -8 + ZP, 30 + ZP,
        18 + ZP, 12 + ZP, 60 + ZP,
        -6 + ZP, -3 + ZP, -12 + ZP,
    ]  # fmt: skip
    right = prepare(window, stage, tensor(9))[0].tolist()
    assert right == exact
    for name, mistake in PITFALLS["scale/1"].mistakes.items():
        moved = "offset one" in name or name in ("zero point off by 128", "zero point off by -128")
        cut = [max(value, 0) if name in ("clamped as uint8", "made as uint8") else value for value in exact]
        assert (mistake(window, stage, tensor(9)).ravel().tolist() == cut) != moved, name


# ---- quantize/1 ------------------------------------------------------------------------------------------------------


def float32(value: Fraction | float) -> Fraction:
    """Rounded once to float32, ties to even; normal numbers only."""
    exact = Fraction(value)
    if not exact:
        return exact
    unit = Fraction(2) ** (math.frexp(float(exact))[1] - 24)
    while abs(exact) >= unit * 2**24:  # the double was rounded up to the next power of two, or down from it
        unit *= 2
    while abs(exact) < unit * 2**23:
        unit /= 2
    return round(exact / unit) * unit


def clamp(value: int) -> int:
    return max(-128, min(127, value))


Formula = Callable[[Fraction, Fraction, Fraction, int], int]  # value, factor, scale, zero point
HALF = Fraction(1, 2)


def limited(product: Fraction) -> Fraction:
    return max(Fraction(-1024), min(Fraction(1024), product))


def _unlimited(x: Fraction, factor: Fraction, _: Fraction, zero_point: int) -> int:
    rounded = math.floor(float32(float32(x * factor) + HALF))
    return clamp((rounded if abs(rounded) < 2**31 else -(2**31)) + zero_point)


QUANTIZED: dict[str, Formula] = {
    "": lambda x, f, s, zp: clamp(math.floor(float32(limited(float32(x * f)) + HALF)) + zp),
    "fused multiply-add": lambda x, f, s, zp: clamp(math.floor(float32(x * f + HALF)) + zp),
    "computed in double": lambda x, f, s, zp: clamp(math.floor(float(x) * float(f) + 0.5) + zp),
    "divided by the scale": lambda x, f, s, zp: clamp(math.floor(float32(float32(x / s) + HALF)) + zp),
    "divided by the reciprocal of the factor": lambda x, f, s, zp: clamp(
        math.floor(float32(float32(x / float32(1 / f)) + HALF)) + zp
    ),
    "divided by the scale in double": lambda x, f, s, zp: clamp(math.floor(float(x) / float(s) + 0.5) + zp),
    "zero point added before rounding": lambda x, f, s, zp: clamp(math.floor(float32(float32(x * f) + zp + HALF))),
    "no limit before the conversion to int32": _unlimited,
}
FAR = (1000.0, 1024.0, 1025.0, 1e6, 2.0**31, 3e9, 1e12)  # LSB


def near_ties(factor: np.float32) -> NDArray[np.float32]:
    """Float32 values around those that lie half-way between two steps, and some far beyond the clamps."""
    ties = ((np.arange(-140, 140) + 0.5) / factor).astype(np.float32)
    near = (ties[:, None].view(np.int32) + np.arange(-4, 5, dtype=np.int32)).view(np.float32).ravel()
    far = (np.array([*FAR, *(-value for value in FAR)]) / factor).astype(np.float32)
    return np.concatenate([near, far])


@pytest.mark.parametrize("zero_point", [-5, 127])
@pytest.mark.parametrize("name", [name for name in QUANTIZED if name])
def test_a_mistake_of_quantize(name: str, zero_point: int) -> None:
    step = np.float32(0.0437281)
    factor = np.float32(1) / step
    values = near_ties(factor)
    stage, of = Prepare("quantize", 1, factor=float(factor)), tensor(len(values), zero_point, float(step))
    right, wrong = both(name, values.reshape(1, -1), stage, of)

    def exact(formula: Formula) -> list[int]:
        parameters = Fraction(float(factor)), Fraction(float(step)), zero_point
        return [formula(Fraction(float(value)), *parameters) for value in values]

    assert right == exact(QUANTIZED[""])
    assert wrong == exact(QUANTIZED[name])
    assert wrong != right


@pytest.mark.parametrize("lsb", [2000, -2000])
def test_a_value_that_wraps_around_was_limited_before(lsb: int) -> None:
    """To 1,024 LSB, which are 0 in 8 bits."""
    window, stage = np.array([[lsb]], np.float32), Prepare("quantize", 1, factor=1.0)
    assert PITFALLS["quantize/1"].mistakes["no clamp, values wrapped around"](window, stage, tensor(1)).item() == ZP


def test_each_mistake_of_quantize_is_in_a_table() -> None:
    assert {*ROUNDED, *FINISHED, *QUANTIZED} - {""} == set(PITFALLS["quantize/1"].mistakes)


# ---- tensor/1 --------------------------------------------------------------------------------------------------------

BYTES = (-128, -127, -126, -1, 0, 1, 124, 125, 126, 127)
COPIED = {
    "taken for unsigned, or for signed": (0, 1, 2, 127, -128, -127, -4, -3, -2, -1),
    "the lowest value of the type clamped away": (-127, -127, -126, -1, 0, 1, 124, 125, 126, 127),
    "clamped as int8": BYTES,
    "clamped as uint8": (0, 0, 0, 0, 0, 1, 124, 125, 126, 127),
    "zero point added once more": (-125, -124, -123, 2, 3, 4, 127, 127, 127, 127),
    "zero point taken off": (-128, -128, -128, -4, -3, -2, 121, 122, 123, 124),
}


@pytest.mark.parametrize("name", COPIED)
def test_a_mistake_of_tensor(name: str) -> None:
    right, wrong = both(name, np.array([BYTES], np.int8), Prepare("tensor", 1), tensor(len(BYTES)))
    assert (right, wrong) == (list(BYTES), list(COPIED[name]))


def test_each_mistake_of_tensor_is_in_the_table() -> None:
    assert {*COPIED, *COPIED_REALS} == set(PITFALLS["tensor/1"].mistakes)


REALS = (-1.5, -0.0, 1e-40, 0.1, 300.0)
COPIED_REALS = {
    "sign lost": (1.5, 0.0, 1e-40, 0.1, 300.0),
    "small numbers flushed to zero": (-1.5, -0.0, 0.0, 0.1, 300.0),
    "negative zero made positive": (-1.5, 0.0, 1e-40, 0.1, 300.0),
    "kept at half precision": (-1.5, -0.0, 0.0, 0.0999755859375, 300.0),
    "kept as bfloat16": (-1.5, -0.0, 65536 * 2.0**-149, 0.099609375, 300.0),
    "rounded to whole numbers": (-2.0, -0.0, 0.0, 0.0, 300.0),
    "clamped to [0, 1]": (0.0, 0.0, 1e-40, 0.1, 1.0),
    "clamped to [-1, 1]": (-1.0, -0.0, 1e-40, 0.1, 1.0),
}


@pytest.mark.parametrize("name", COPIED_REALS)
def test_a_mistake_of_tensor_with_real_values(name: str) -> None:
    of = TensorContract("FLOAT32", (1, len(REALS)), Quantisation(0.0, 0), 4 * len(REALS))
    window, stage = np.array([REALS], np.float32), Prepare("tensor", 1)
    wrong = PITFALLS["tensor/1"].mistakes[name](window, stage, of)
    assert wrong.dtype == np.float32
    assert wrong.ravel().tolist() == np.array(COPIED_REALS[name], np.float32).tolist()
    assert mistake_of(window, wrong.ravel(), stage, of) == name


@pytest.mark.parametrize("name", COPIED)
def test_a_mistake_of_integers_leaves_real_values_alone(name: str) -> None:
    of = TensorContract("FLOAT32", (1, len(REALS)), Quantisation(0.0, 0), 4 * len(REALS))
    window = np.array([REALS], np.float32)
    assert PITFALLS["tensor/1"].mistakes[name](window, Prepare("tensor", 1), of).tobytes() == window.tobytes()


def test_a_mistake_of_other_types() -> None:
    """Of uint8 the values around the middle of its range, of int16 those that 8 bits do not hold."""
    small = TensorContract("UINT8", (1, 4), Quantisation(0.25, 0), 4)
    window = np.array([[0, 127, 128, 255]], np.uint8)
    found = {name: make(window, Prepare("tensor", 1), small)[0] for name, make in PITFALLS["tensor/1"].mistakes.items()}
    assert found["taken for unsigned, or for signed"].tolist() == [128, 255, 0, 127]
    assert found["clamped as int8"].tolist() == [0, 127, 127, 127]
    wide = TensorContract("INT16", (1, 3), Quantisation(0.25, 100), 6)
    values, stage = counts([-1000, 10, 1000]), scale(1 << 31 >> 1, 0)
    made = {name: make(values, stage, wide).ravel() for name, make in PITFALLS["scale/1"].mistakes.items()}
    assert prepare(values, stage, wide)[0].tolist() == [-400, 105, 600]
    assert made["clamped as int8"].tolist() == [-128, 105, 127]
    assert made["made as uint8"].tolist() == [0, 105, 255]
    assert made["zero point off by 128"].tolist() == [-272, 233, 728]


@pytest.mark.parametrize("name", COPIED)
def test_a_mistake_is_found_by_its_tensor(name: str) -> None:
    window, wrong = np.array([BYTES], np.int8), np.array(COPIED[name], np.int8)
    assert mistake_of(window, wrong, Prepare("tensor", 1), tensor(len(BYTES))) == name
    wrong[-1] ^= 1
    assert mistake_of(window, wrong, Prepare("tensor", 1), tensor(len(BYTES))) == ""


def test_a_mistake_is_found_with_the_parameters_of_its_stage() -> None:
    window, stage = counts([1 << 14, -(1 << 14), 5000]), scale(1 << 16)
    assert (
        mistake_of(window, np.array([ZP + 1, ZP - 1, ZP], np.int8), stage, tensor(3)) == "ties rounded away from zero"
    )
    assert mistake_of(window, np.array([ZP + 1, ZP, ZP + 1], np.int8), stage, tensor(3)) == ""


# ---- landmarks -------------------------------------------------------------------------------------------------------

ALL_COUNTS = (-32768.0, 32767.0)
BELOW = (-127, -128, -129, -130, -257, -384, -428, -1128)  # of the tensor without a clamp, inwards first
ABOVE = (126, 127, 128, 129, 256, 383, 427, 1127)


def landmarks(
    stage: Prepare, limits: tuple[float, float], channel: int = 0, zero_point: int = ZP
) -> dict[str, list[float]]:
    of = tensor(8, zero_point)
    found: dict[str, list[float]] = {}
    for name, values in PITFALLS[stage.name].landmarks(stage, of, channel, limits):
        found.setdefault(name, []).extend(values.tolist())
    return found


def test_landmarks_of_counts() -> None:
    """A count is a whole LSB from the offset: there are no ties, and the clamps are met to the count."""
    found = landmarks(Prepare("scale", 1, (Channel(0, 100, 1 << 31),)), ALL_COUNTS)
    assert found["ends of the range"] == [-32768, 32767]
    assert found["around zero"] == [-1, 0, 1]
    assert found["around the offset"] == [99, 100, 101]
    assert found["lower clamp"] == [q - ZP + 100 for q in BELOW]
    assert found["upper clamp"] == [q - ZP + 100 for q in ABOVE]
    assert found["positive ties"] == found["negative ties"] == []


def test_landmarks_of_counts_end_where_the_gate_ends() -> None:
    found = landmarks(Prepare("scale", 1, (Channel(0, 0, 1 << 31),)), (-200.0, 130.0))
    assert found["ends of the range"] == [-200, 130]
    assert found["lower clamp"] == [*(q - ZP for q in BELOW[:4]), *[-200] * 4]
    assert found["upper clamp"] == [*(q - ZP for q in ABOVE[:4]), *[130] * 4]


@pytest.mark.parametrize("sign", [1, -1])
def test_ties_of_counts_and_what_lies_next_to_them(sign: int) -> None:
    """A count is an eighth of an LSB: ties at 4, 12, 20, ... counts from the offset, as far as int8 goes."""
    offset = 5
    found = landmarks(Prepare("scale", 1, (Channel(0, offset, sign * (1 << 28)),)), ALL_COUNTS)
    for name, side in (("positive", 1), ("negative", -1)):
        ties = [(count - offset) * sign for count in found[f"{name} ties"]]
        last = 127 - ZP + 0.5 if side > 0 else 128 + ZP + 1.5
        assert sorted(tie * side for tie in ties) == list(range(4, int(last * 8) + 1, 8))
        for where, step in (("above", 1), ("below", -1)):
            near = [(count - offset) * sign for count in found[f"just {where} a {name} tie"]]
            assert len(near) == 64
            assert all((value - step) % 8 == 4 and value * side > 0 for value in near)


def test_nearest_to_a_tie_come_first_and_of_equal_ones_the_lowest() -> None:
    """A count is an eighth of an LSB: of the counts next to a tie there are more than are taken."""
    found = landmarks(Prepare("scale", 1, (Channel(0, 0, 1 << 28),)), ALL_COUNTS)
    assert found["just above a positive tie"] == [5 + 8 * number for number in range(64)]
    assert found["just below a positive tie"] == [3 + 8 * number for number in range(64)]
    few = landmarks(Prepare("scale", 1, (Channel(0, 0, 1 << 28),)), (-2.0, 2.0))
    assert (few["just below a positive tie"], few["just above a negative tie"]) == ([2, 1, 0], [-2, -1])
    assert few["just above a positive tie"] == few["just below a negative tie"] == []


def test_a_count_that_a_step_of_the_product_parts_from_a_tie_is_none() -> None:
    """Count 1 lies 2^-31 LSB above a tie, count 3 three times as far."""
    found = landmarks(Prepare("scale", 1, (Channel(0, 0, HALF_LSB + 1),)), (-5.0, 5.0))
    assert found["positive ties"] == found["negative ties"] == []
    assert found["just above a positive tie"] == [1, 3, 5]
    assert found["just below a negative tie"] == [-1, -3, -5]


def test_each_window_channel_has_the_landmarks_of_the_tensor_s_that_read_it() -> None:
    stage = Prepare("scale", 1, (Channel(1, 100, HALF_LSB), Channel(0, 700, HALF_LSB), Channel(1, -300, HALF_LSB)))
    assert landmarks(stage, ALL_COUNTS, 0)["around the offset"] == [699, 700, 701]
    assert sorted(landmarks(stage, ALL_COUNTS, 1)["around the offset"]) == [-301, -300, -299, 99, 100, 101]
    assert "around the offset" not in landmarks(stage, ALL_COUNTS, 2)


def test_landmarks_of_real_numbers() -> None:
    """The factor is 1, so that values are LSB from the zero point."""
    limit = float(np.float32(3e38))
    found = landmarks(Prepare("quantize", 1, factor=1.0), (-limit, limit))
    assert found["ends of the range"] == [-limit, limit]
    smallest = [float(np.array(bits, np.int32).view(np.float32)) for bits in range(7)]
    assert found["around zero"] == smallest
    assert found["lower clamp"] == [q - ZP for q in BELOW]
    assert found["upper clamp"] == [q - ZP for q in ABOVE]
    assert found["no int32 beyond the upper clamp"] == [1.5 * 2**31, 3 * 2**31, float(np.float32(1e20))]
    assert found["no int32 beyond the lower clamp"] == [-value for value in found["no int32 beyond the upper clamp"]]
    for name, side in (("upper", 1), ("lower", -1)):
        assert neighbours([1024.0 * side]) == set(found[f"limit of LSB at the {name} clamp"])
    assert set(found["positive ties and their neighbours"]) == neighbours([k + 0.5 for k in range(126)])
    assert set(found["negative ties and their neighbours"]) == neighbours([-k - 0.5 for k in range(133)])


def neighbours(values: Sequence[float]) -> set[float]:
    """Each and the six float32 next to it on either side."""
    found = set()
    for value in values:
        for towards in (-np.inf, np.inf):
            near = np.float32(value)
            for _ in range(7):
                found.add(float(near))
                near = np.nextafter(near, np.float32(towards))
    return found


def test_landmarks_of_real_numbers_end_where_the_gate_ends() -> None:
    found = landmarks(Prepare("quantize", 1, factor=2.0), (-10.0, 4.0))
    assert all(-10 <= value <= 4 for values in found.values() for value in values)
    assert found["ends of the range"] == [-10, 4]
    assert found["upper clamp"] == found["limit of LSB at the upper clamp"] == []
    at_the_ends = landmarks(Prepare("quantize", 1, factor=1.0), (-1.5, 2.5))
    assert -1.5 in at_the_ends["negative ties and their neighbours"]
    assert 2.5 in at_the_ends["positive ties and their neighbours"]
    assert {0.25, 3.75, -0.25, -9.75} <= {value for values in found.values() for value in values}


def test_landmarks_of_a_tensor_are_all_its_values() -> None:
    assert landmarks(Prepare("tensor", 1), (-100.0, 90.0)) == {"each value": list(range(-100, 91))}


MOST = float(np.finfo(np.float32).max)
REAL = TensorContract("FLOAT32", (1, 8), Quantisation(0.0, 0), 32)
COPIES = {
    "ends of the range": (MOST,),
    "both zeros": (0.0,),
    "numbers too small to be normal": (2.0**-149, 2.0**-126 / 3, 2.0**-126),
    "fractions": (1 / 3, 2 / 3, 0.1, 1 + 2.0**-23, 100.3, 127.5, 255.7),
    "large numbers": (2.0**24 + 2, 2.0**31, 1e20, MOST),
}


def test_landmarks_of_a_float32_tensor_are_what_a_copy_may_lose_in_both_signs() -> None:
    found = dict(PITFALLS["tensor/1"].landmarks(Prepare("tensor", 1), REAL, 0, (-MOST, MOST)))
    assert list(found) == list(COPIES)
    for name, values in found.items():
        assert values.dtype == np.float32
        wanted = np.array([sign * value for value in COPIES[name] for sign in (1, -1)], np.float32)
        assert {value.tobytes() for value in values} == {value.tobytes() for value in wanted}


@pytest.mark.parametrize("limits", [(-1.0, 0.1), (2 / 3, 255.7), (0.0, MOST)])
def test_landmarks_of_a_float32_tensor_end_where_the_gate_ends(limits: tuple[float, float]) -> None:
    """The ends themselves are in it."""
    low, high = (np.float32(limit) for limit in limits)
    found = dict(PITFALLS["tensor/1"].landmarks(Prepare("tensor", 1), REAL, 0, limits))
    assert set(found["ends of the range"].tolist()) >= {float(low), float(high)}
    inside = {float(value) for values in found.values() for value in values}
    assert all(low <= value <= high for value in inside)
    every = {float(np.float32(sign * value)) for values in COPIES.values() for value in values for sign in (1, -1)}
    assert {value for value in every if low <= value <= high} <= inside


def wide(dtype: str, zero_point: int) -> TensorContract:
    return TensorContract(dtype, (1, 8), Quantisation(0.25, zero_point), 16)


def around(*points: int) -> set[int]:
    return {point + step for point in points for step in range(-64, 65)}


@pytest.mark.parametrize("zero_point", [0, 1000])
def test_landmarks_of_16_bits_lie_around_what_matters_and_some_between(zero_point: int) -> None:
    """Both ends, zero, the zero point, and what 8 bits hold, counted from zero and from the zero point."""
    (found,) = PITFALLS["tensor/1"].landmarks(Prepare("tensor", 1), wide("INT16", zero_point), 0, ALL_COUNTS)
    values = found[1].tolist()
    near = around(-32768, 32767, 0, -128, 127, 255, *(zero_point + each for each in (0, -128, 127)))
    near = {value for value in near if -32768 <= value <= 32767}
    assert values == sorted(set(values))
    assert near <= set(values)
    assert set(values) - near == {-32768 + 257 * step for step in range(256)} - near
    assert found[1].dtype == np.int64


def test_ties_of_16_bits_lie_between_those_values() -> None:
    of, stage = wide("INT16", 1000), Prepare("quantize", 1, factor=1.0)
    found = {name: values.tolist() for name, values in PITFALLS["quantize/1"].landmarks(stage, of, 0, (-1e9, 1e9))}
    ties = {value for name in found if "ties" in name for value in found[name] if value % 1 == 0.5}
    q = {int(value - 0.5) + 1000 for value in ties}
    assert {-32770, -32768, 32767, 32768, 1000, 127, 128, -128, 255} <= q
    assert min(q) == -32770
    assert max(q) == 32768
    assert found["upper clamp"] == [32767 - 1000 + step for step in (-1, 0, 1, 2, 32769, 65536, 80000, 260000)]
    assert found["lower clamp"] == [-32768 - 1000 - step for step in (-1, 0, 1, 2, 32769, 65536, 80000, 260000)]
    assert neighbours([131072.0]) == set(found["limit of LSB at the upper clamp"])


def test_counts_of_other_types_meet_the_ends_of_8_bits_as_well() -> None:
    """A count is an LSB, 100 of them the offset; the ends of int8 and uint8 around the zero point of 3."""
    stage = Prepare("scale", 1, (Channel(0, 100, 1 << 31),))
    found = {
        name: sorted(values.tolist())
        for name, values in PITFALLS["scale/1"].landmarks(stage, wide("INT16", ZP), 0, ALL_COUNTS)
    }
    assert found["ends of int8"] == sorted(q - ZP + 100 for q in BELOW + ABOVE)
    low, high = (1, 0, -1, -2, -129, -256, -300, -1000), (254, 255, 256, 257, 384, 511, 555, 1255)
    assert found["ends of uint8"] == sorted(q - ZP + 100 for q in low + high)
    assert found["lower clamp"] == sorted(
        [-32767 - ZP + 100, *(-32768 - ZP + 100 - step for step in range(3)), *[-32768] * 4]
    )
    assert "ends of int8" not in landmarks(stage, ALL_COUNTS)
    small = dict(PITFALLS["scale/1"].landmarks(stage, wide("UINT8", ZP), 0, ALL_COUNTS))
    assert {"ends of int8", "ends of uint8"} <= set(small)


def test_each_mistake_gives_the_type_of_the_tensor() -> None:
    for dtype in ("INT8", "UINT8", "INT16"):
        of = wide(dtype, 0)
        windows = {
            "tensor/1": np.zeros((1, 2), of.element.dtype),
            "scale/1": counts([-1000, 1000]),
            "quantize/1": np.array([[-1000, 1000]], np.float32),
        }
        stages = {
            "tensor/1": Prepare("tensor", 1),
            "scale/1": scale(1 << 31),
            "quantize/1": Prepare("quantize", 1, factor=1.0),
        }
        for name, stage in stages.items():
            for mistake, make in PITFALLS[name].mistakes.items():
                assert make(windows[name], stage, of).dtype == of.element.dtype, (dtype, mistake)


def test_a_tensor_made_as_the_other_type_of_8_bits_keeps_its_bits() -> None:
    values, stage = counts([-5, -200, 100, 200]), scale(1 << 31)
    made = PITFALLS["scale/1"].mistakes["made as int8"](values, stage, wide("UINT8", 0))
    assert made.ravel().tolist() == [251, 128, 100, 127]
    made = PITFALLS["scale/1"].mistakes["made as int8"](values, stage, wide("INT16", 0))
    assert made.ravel().tolist() == [-5, -128, 100, 127]


def test_a_mistake_of_numbers_far_out_warns_of_nothing() -> None:
    """What overflows on the way to an element is no mistake of the harness."""
    window, stage = np.array([[MOST, -MOST, 1e30]], np.float32), Prepare("quantize", 1, factor=1e10)
    with np.errstate(over="raise"):
        for name, make in PITFALLS["quantize/1"].mistakes.items():
            assert make(window, stage, tensor(3, scale=1e-10)).shape == (1, 3), name
        of = TensorContract("FLOAT32", (1, 3), Quantisation(0.0, 0), 12)
        for name, make in PITFALLS["tensor/1"].mistakes.items():
            assert make(window, Prepare("tensor", 1), of).shape == (1, 3), name
        assert landmarks(Prepare("quantize", 1, factor=1e-38), (-1.0, 1.0))["ends of the range"] == [-1, 1]


# ---- values that need not fill the tensor ----------------------------------------------------------------------------


def test_elements_are_those_of_the_stage() -> None:
    stage = Prepare("scale", 1, (Channel(1, 0, 1 << 31), Channel(0, 0, 1 << 31)))
    assert elements(np.array([[1, 2], [3, 200]], np.int16), stage, tensor(64)).tolist() == [[5, 4], [127, 6]]
