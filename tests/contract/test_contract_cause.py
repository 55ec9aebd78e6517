"""Each usual preparation bug, committed on a real-looking tensor, is named for what it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hil.contract.cause import likely_cause

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
        (RIGHT, RIGHT[:-1], "the tensor has 234 elements instead of 240"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_the_bug_is_named(right: np.ndarray, wrong: np.ndarray, words: str) -> None:
    assert words in cause(right, wrong)


def cause(right: np.ndarray, wrong: np.ndarray) -> str:
    return likely_cause(right.ravel(), wrong.ravel(), zero_point=ZERO_POINT, channels=CHANNELS, previous=BEFORE.ravel())


@pytest.mark.parametrize("change", [lambda t: t ^ 0x55, lambda t: np.random.default_rng(9).permuted(t)])
def test_noise_has_no_name(change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert cause(RIGHT, change(RIGHT)) == ""


def test_one_wrong_element_has_no_name() -> None:
    wrong = RIGHT.copy()
    wrong[10, 3] += 40
    assert cause(RIGHT, wrong) == ""


TENSORS = arrays(np.int8, (6, 3))


@given(TENSORS, TENSORS, st.integers(-128, 127))
def test_a_guess_is_always_a_text(right: np.ndarray, wrong: np.ndarray, zero_point: int) -> None:
    if not np.array_equal(right, wrong):
        assert isinstance(likely_cause(right.ravel(), wrong.ravel(), zero_point=zero_point, channels=3), str)
