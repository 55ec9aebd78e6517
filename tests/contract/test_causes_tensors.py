"""Each usual preparation bug, committed on a real-looking tensor, is named for what it is: from the two tensors alone,
and from the raw window that they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_evidence import CHANNELS as CHANNELS_OF_CASE
from made_evidence import REJECTED, make_case
from made_evidence import SAMPLES as SAMPLES_OF_CASE

from hil.case.types import Case, Prepare, Window
from hil.contract import CHECKS, judge
from hil.contract.causes import tensor_cause, values_cause
from hil.contract.causes.pair import pair_of
from hil.contract.causes.source import Source, source_of
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.types import Evidence
from hil.reference.prepare import digest
from hil.reference.prepare import prepare as prepare_stage

SAMPLES, CHANNELS, ZERO_POINT = 40, 6, -5
COUNTS = np.random.default_rng(4).normal(0, 6000, (SAMPLES, CHANNELS)).round()
GAINS = np.array([60.0, 70, 80, 90, 100, 110])


def prepare(
    counts: np.ndarray, gains: np.ndarray = GAINS, zero_point: int = ZERO_POINT, clamp: bool = True
) -> np.ndarray:
    """What `scale/1` of docs/pipeline.md does, in floating point; float64 holds these values exactly enough."""
    q = np.floor(zero_point + counts / 32768 * gains + 0.5)
    if clamp:
        q = np.clip(q, -128, 127)
    return (q.astype(np.int64) & 0xFF).astype(np.uint8).view(np.int8)


RIGHT = prepare(COUNTS)
LOUD = COUNTS * 5
BEFORE = prepare(np.random.default_rng(5).normal(0, 6000, COUNTS.shape).round())


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (RIGHT, BEFORE, "stale input buffer"),
        (RIGHT, np.zeros_like(RIGHT), "never written"),
        (RIGHT, RIGHT[:, [0, 2, 1, 3, 4, 5]], "axis swap: channel 1 holds channel 2, channel 2 holds channel 1"),
        (RIGHT, RIGHT[:, ::-1], "axis swap: channel 0 holds channel 5"),
        (RIGHT, RIGHT.T, "channel-major layout"),
        (RIGHT, RIGHT[::-1], "time runs backwards"),
        (RIGHT, np.vstack([RIGHT[1:], BEFORE[:1]]), "off-by-one window: it starts one sample late"),
        (RIGHT, np.vstack([BEFORE[:1], RIGHT[:-1]]), "off-by-one window: it starts one sample early"),
        (RIGHT, prepare(COUNTS, zero_point=ZERO_POINT + 3), "zero point or offset: values are off by +3"),
        (RIGHT, prepare(COUNTS, gains=-GAINS), "sign: values are mirrored"),
        (
            RIGHT,
            np.hstack([RIGHT[:, :2], prepare(-COUNTS)[:, 2:3], RIGHT[:, 3:]]),
            "sign: values are mirrored around the zero point on channel 2",
        ),
        (RIGHT, prepare(COUNTS, gains=2 * GAINS), "scale factor: values are 2 times"),
        (RIGHT, prepare(COUNTS, gains=GAINS / 2), "scale factor: values are 0.5"),
        (
            RIGHT,
            np.hstack([RIGHT[:, :3], prepare(COUNTS, gains=GAINS * 1.5)[:, 3:]]),
            "around the zero point on channel 3, 4, 5",
        ),
        (prepare(LOUD), prepare(LOUD, clamp=False), "missing clamp"),
        (prepare(LOUD), np.clip(prepare(LOUD), -127, 127), "other clamp"),
        (RIGHT, np.clip(np.floor(ZERO_POINT + COUNTS / 32768 * GAINS), -128, 127).astype(np.int8), "rounding"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_the_bug_is_named(right: np.ndarray, wrong: np.ndarray, words: str) -> None:
    assert words in cause(right, wrong)


def cause(right: np.ndarray, wrong: np.ndarray) -> str:
    pair = pair_of(right.ravel(), wrong.ravel(), zero_point=ZERO_POINT, channels=CHANNELS, previous=BEFORE.ravel())
    return tensor_cause(pair, "tensor")


# ---- with the window that the tensor comes from, as `scale/1` has it

MEANS = np.array([1500.0, -900, 2200, 0, 400, -3000])
SIDEWAYS = np.array([0, 2, 1, 3, 4, 5])


def source(counts: np.ndarray = COUNTS, means: np.ndarray = MEANS, gains: np.ndarray = GAINS) -> Source:
    whole = counts.astype(np.int16)
    return Source(whole.astype(float), np.arange(CHANNELS), means, gains / 32768, whole)


def front_end(
    counts: np.ndarray = COUNTS,
    means: np.ndarray = MEANS,
    gains: np.ndarray = GAINS,
    *,
    clamp: bool = True,
    truncate: bool = False,
) -> np.ndarray:
    """What `scale/1` does with a mean, as a firmware may have it."""
    q = ZERO_POINT + (counts - means) / 32768 * gains
    q = np.floor(q) if truncate else np.floor(q + 0.5)
    return ((np.clip(q, -128, 127) if clamp else q).astype(np.int64) & 0xFF).astype(np.uint8).view(np.int8)


def cause_from(
    wrong: np.ndarray, counts: np.ndarray = COUNTS, means: np.ndarray = MEANS, gains: np.ndarray = GAINS
) -> str:
    pair = pair_of(
        front_end(counts, means, gains).ravel(),
        wrong.ravel(),
        zero_point=ZERO_POINT,
        channels=CHANNELS,
        previous=BEFORE.ravel(),
        source=source(counts, means, gains),
    )
    assert pair.source is not None
    return tensor_cause(pair, "scale")


NONE = np.zeros(CHANNELS)
LARGE = 5 * GAINS
UNITS = {
    "9.80665": (9.80665, "9.80665: m/s2 for g?"),
    "1/9.80665": (1 / 9.80665, "1/9.80665: g for m/s2?"),
    "1000": (1000, "1000: thousandths of the unit, such as mg for g"),
    "1/1000": (1 / 1000, "1/1000: thousands of the unit, such as g for mg"),
    "pi/180": (np.pi / 180, "pi/180: radians for degrees"),
    "180/pi": (180 / np.pi, "180/pi: degrees for radians"),
    "2": (2, "1/16384 for 1/32768"),
    "1/2": (0.5, "1/65536 for 1/32768"),
    "8": (8, "2^3: a shift by 3 bits"),
    "1/16": (1 / 16, "2^-4: a shift by 4 bits"),
    "1000 over 2 g": (1000 / (2 * 9.80665), "1000/(2*9.80665)"),
    "100": (100, "100: hundredths"),
}


@pytest.mark.parametrize(("factor", "words"), UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("clip", [1, 3], ids=["inside", "clipped"])
def test_a_factor_of_units_is_named(factor: float, words: str, clip: int) -> None:
    counts = (COUNTS * clip).clip(-32768, 32767)
    found = cause_from(front_end(counts, NONE, gains=GAINS * factor), counts, NONE)
    assert found.startswith("scale factor: values are ")
    assert words in found


def test_a_factor_on_some_channels_names_them() -> None:
    """The gyroscope in degrees where the model wants radians."""
    gains = np.where(np.arange(CHANNELS) < 3, GAINS, GAINS * np.pi / 180)
    found = cause_from(front_end(COUNTS, NONE, gains=gains), COUNTS, NONE)
    assert "on channel 3, 4, 5 (a unit factor such as pi/180: radians for degrees?)" in found


def test_channels_with_factors_of_their_own_are_told_apart() -> None:
    found = cause_from(front_end(COUNTS, NONE, gains=GAINS[::-1]), COUNTS, NONE)
    assert "1.83 times on channel 0, 1.43 times on channel 1" in found


def test_a_window_that_is_thousands_too_small_is_a_factor_before_it_is_empty() -> None:
    """All elements are the zero point then, as of a window of zeros."""
    found = cause_from(front_end(COUNTS, NONE, gains=GAINS / 1000), COUNTS, NONE)
    assert found.startswith("scale factor: values are at most")
    assert found.endswith(f"or the window arrived empty: every element is {ZERO_POINT}")
    assert cause_from(np.full_like(RIGHT, 7), COUNTS, NONE).startswith("tensor never written")


FRONT_ENDS = {
    "x = -y, y = -x": (
        front_end(np.hstack([-COUNTS[:, [1, 0]], COUNTS[:, 2:]]), NONE),
        NONE,
        "axis swap: channel 0 holds minus channel 1, channel 1 holds minus channel 0",
    ),
    "x = y, y = -x": (
        front_end(np.hstack([COUNTS[:, [1]], -COUNTS[:, [0]], COUNTS[:, 2:]]), NONE),
        NONE,
        "axis swap: channel 0 holds channel 1, channel 1 holds minus channel 0",
    ),
    "swap between channels of other gain and mean": (
        front_end(COUNTS[:, SIDEWAYS]),
        MEANS,
        "axis swap: channel 1 holds channel 2, channel 2 holds channel 1",
    ),
    "one axis twice": (
        front_end(COUNTS[:, [0, 0, 2, 3, 4, 5]]),
        MEANS,
        "axis taken twice: channel 1 holds channel 0",
    ),
    "sign": (front_end(-COUNTS, NONE), NONE, "sign: values are mirrored"),
    "mean left out": (front_end(means=NONE), MEANS, "wrong mean: the mean is not subtracted"),
    "mean twice": (front_end(means=2 * MEANS), MEANS, "wrong mean: the mean is subtracted twice"),
    "mean added": (front_end(means=-MEANS), MEANS, "wrong mean: the mean is added, not subtracted"),
    "first mean for all": (
        front_end(means=np.full(CHANNELS, MEANS[0])),
        MEANS,
        "wrong mean: every channel is given the mean of channel 0",
    ),
    "means in another order": (
        front_end(means=MEANS[SIDEWAYS]),
        MEANS,
        "wrong mean: channel 1 is given that of channel 2, channel 2 is given that of channel 1",
    ),
    "another mean": (
        front_end(means=np.where(np.arange(CHANNELS) == 2, MEANS - 1780, MEANS)),
        MEANS,
        "wrong mean or offset: channel 2 by +",
    ),
    "byte order": (front_end(COUNTS.astype(np.int16).byteswap().astype(float)), MEANS, "byte order"),
    "unsigned": (front_end(COUNTS.astype(np.int16).view(np.uint16).astype(float)), MEANS, "unsigned counts"),
    "truncation": (front_end(truncate=True), MEANS, "rounding"),
    "clamp at 100": (np.clip(front_end(gains=LARGE), -100, 100), MEANS, "other clamp: values are cut at -100 and 100"),
    "no clamp": (front_end(gains=LARGE, clamp=False), MEANS, "missing clamp"),
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_bug_is_named_from_its_window(name: str) -> None:
    wrong, means, words = FRONT_ENDS[name]
    assert words in cause_from(wrong, COUNTS, means, LARGE if "clamp" in name else GAINS)


def test_a_clamp_that_is_missing_shows_also_where_the_value_wraps_to_its_own_sign() -> None:
    """200 wraps to -56, but 300 to 44: the sign alone does not tell."""
    counts = np.full((SAMPLES, CHANNELS), 100.0)
    gains = np.full(CHANNELS, 400.0)
    counts[5] = round((300 - ZERO_POINT) / 400 * 32768)
    wrong = front_end(counts, NONE, gains, clamp=False)
    assert (wrong[5] == 44).all()
    assert "wrapped around" in cause_from(wrong, counts, NONE, gains)


def test_a_window_whose_every_value_is_cut_shows_a_missing_clamp_by_its_values_alone() -> None:
    """Without them any tensor that has another sign somewhere would look like one."""
    counts = np.where(np.arange(SAMPLES)[:, None] % 2 == 0, 30000.0, -30000.0) * np.ones(CHANNELS)
    gains = np.full(CHANNELS, 200.0)
    assert "wrapped around" in cause_from(front_end(counts, NONE, gains, clamp=False), counts, NONE, gains)
    assert "clamp" not in cause(front_end(counts, NONE, gains), np.zeros_like(RIGHT))


BUFFERS = {
    "line of a cache": (slice(64, 96), BEFORE.ravel()[64:96], "elements 64 to 95 are those of the vector before"),
    "half of a buffer": (slice(120, 240), BEFORE.ravel()[120:], "are those of the vector before"),
    "sample lost": (slice(60, 234), RIGHT.ravel()[66:], "lost sample: from sample 10 on"),
    "sample doubled": (slice(66, 240), RIGHT.ravel()[60:234], "doubled sample: from sample 11 on"),
}


@pytest.mark.parametrize("name", BUFFERS)
def test_a_buffer_that_is_right_in_part_is_named(name: str) -> None:
    where, values, words = BUFFERS[name]
    wrong = RIGHT.ravel().copy()
    wrong[where] = values
    assert words in cause(RIGHT, wrong)


# ---- several windows, and the windows of a case


def test_what_one_window_hides_several_show() -> None:
    """A window that hardly moves looks like any other; together with one that does it has the same cause."""
    still = np.full((SAMPLES, CHANNELS), 900.0)
    wrongs = [front_end(counts, NONE, gains=-GAINS) for counts in (still, COUNTS)]
    pairs = [
        pair_of(front_end(c, NONE).ravel(), w.ravel(), zero_point=ZERO_POINT, channels=CHANNELS, source=source(c, NONE))
        for c, w in zip((still, COUNTS), wrongs, strict=True)
    ]
    assert "mirrored" not in tensor_cause(pairs[0], "scale")
    assert values_cause(pairs, "scale").startswith("sign: values are mirrored")
    assert tensor_cause(pairs[0], "scale", values_cause(pairs, "scale")).startswith("sign: values are mirrored")


def quantize(case: Case) -> Case:
    """The made case, with windows in a physical unit."""
    windows = np.random.default_rng(6).normal(0, 4, case.vectors.windows.shape).astype(np.float32)
    return replace(
        case,
        window=Window("float32", SAMPLES_OF_CASE, CHANNELS_OF_CASE),
        prepare=Prepare("quantize", 1, factor=8.0),
        vectors=replace(case.vectors, windows=windows),
    )


def scale(case: Case) -> Case:
    """The made case with counts that have room for a factor."""
    channels = tuple(replace(channel, gain=16 * channel.gain) for channel in case.prepare.channels)
    vectors = replace(case.vectors, windows=(case.vectors.windows // 16).astype(np.int16))
    return replace(case, prepare=replace(case.prepare, channels=channels), vectors=vectors)


STAGES = {"scale": lambda: scale(make_case()), "quantize": lambda: quantize(make_case())}


@pytest.mark.parametrize("stage", STAGES)
def test_a_case_s_own_windows_are_what_its_tensors_come_from(stage: str) -> None:
    case = STAGES[stage]()
    right = prepare_stage(case.vectors.windows, case.prepare, case.model.input)
    for vector in range(0, 40, 7):
        found = pair_of(right[vector], right[vector], zero_point=3, channels=3, source=source_of(case, vector))
        assert found.source is not None


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda windows: windows * 9.80665, "looks like scale factor: values are 9.81 times"),
        (lambda windows: windows / 1000, "a unit factor such as 1/1000: thousands of the unit, such as g for mg?"),
        (
            lambda windows: windows[:, :, [1, 0, 2]] * [-1, -1, 1],
            "looks like axis swap: channel 0 holds minus channel 1",
        ),
        (
            lambda windows: windows * [1, 1, -1],
            "looks like sign: values are mirrored around the zero point on channel 2",
        ),
    ],
    ids=["m/s2 for g", "g for mg", "x = -y", "z = -z"],
)
def test_the_finding_names_the_bug_from_the_windows_of_the_case(
    stage: str, change: Callable[[np.ndarray], np.ndarray], words: str, evidence: Evidence
) -> None:
    case = STAGES[stage]()
    wide = np.iinfo(np.int16) if stage == "scale" else np.finfo(np.float32)
    wrong = change(case.vectors.windows.astype(float)).clip(wide.min, wide.max).astype(case.vectors.windows.dtype)
    right, broken = (prepare_stage(w, case.prepare, case.model.input) for w in (case.vectors.windows, wrong))
    differences = tuple(PreparedDifference(vector, broken[vector]) for vector in range(20) if vector != REJECTED)
    for each in differences:
        evidence.records.digest[each.vector] = digest(each.observed)
    evidence = replace(evidence, case=case, references=replace(evidence.references, prepared=right))
    (check,) = (check for check in CHECKS if check.id == "input.prepared")
    findings = judge(check, evidence.having(PreparedTensors(differences))).findings
    assert [finding.hint for finding in findings[:19] if words not in finding.hint] == []


def test_a_source_that_does_not_make_the_reference_is_not_asked() -> None:
    pair = pair_of(RIGHT.ravel(), RIGHT.ravel(), zero_point=ZERO_POINT, channels=CHANNELS, source=source(COUNTS + 500))
    assert pair.source is None


@pytest.mark.parametrize("change", [lambda t: t ^ 0x55, lambda t: np.random.default_rng(9).permuted(t)])
def test_noise_has_no_name(change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert cause(RIGHT, change(RIGHT)) == ""


def with_a_hole(place: int, count: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    right = prepare(np.random.default_rng(window).normal(0, 6000, COUNTS.shape).round())
    wrong = right.ravel().copy()
    wrong[place : place + count] ^= 0x15
    return right, wrong.reshape(right.shape)


@pytest.mark.parametrize(
    ("place", "count", "words"),
    [
        (239, 1, "only the last element is off; does a loop or a copy end too early?"),
        (234, 6, "only the last 6 elements are off"),
        (0, 1, "only the first element is off; does a loop or a copy begin too late?"),
        (0, 6, "only the first 6 elements are off"),
        (233, 7, ""),
        (0, 7, ""),
        (120, 1, ""),
    ],
)
def test_an_end_that_is_off_in_all_windows_is_named(place: int, count: int, words: str) -> None:
    pairs = [
        pair_of(*with_a_hole(place, count, window), zero_point=ZERO_POINT, channels=CHANNELS) for window in range(3)
    ]
    found = values_cause(pairs, "tensor")
    assert words in found
    assert ("an end left out" in found) == bool(words)
    assert "an end left out" not in values_cause(pairs[:2], "tensor")
    middle = pair_of(*with_a_hole(120, 1, 3), zero_point=ZERO_POINT, channels=CHANNELS)
    assert "an end left out" not in values_cause([*pairs, middle], "tensor")


def test_one_wrong_element_has_no_name() -> None:
    wrong = RIGHT.copy()
    wrong[10, 3] += 40
    assert cause(RIGHT, wrong) == ""


TENSORS = arrays(np.int8, (6, 3))


@given(TENSORS, TENSORS, st.integers(-128, 127))
def test_a_guess_is_always_a_text(right: np.ndarray, wrong: np.ndarray, zero_point: int) -> None:
    if not np.array_equal(right, wrong):
        assert isinstance(tensor_cause(pair_of(right, wrong, zero_point=zero_point, channels=3), "tensor"), str)
