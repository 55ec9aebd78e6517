"""The windows that the harness makes reach both sides of every rule of the validity gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.case.load import load_case
from hil.case.types import Case, Gate, Prepare, Window
from hil.records import GateReason
from hil.session.stimuli import GateStimulus, gate_stimuli, score_stimuli

CASE = Path(__file__).parents[2] / "golden_vectors" / "imu_motion"


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case(CASE)


@pytest.fixture(scope="module")
def stimuli(case: Case) -> dict[str, GateStimulus]:
    return {stimulus.name: stimulus for stimulus in gate_stimuli(case, case.vectors.payload(0))}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("one byte short", GateReason.LENGTH),
        ("same capture number", GateReason.STALE),
        ("lower capture number", GateReason.VALID),
        ("capture number of a short window", GateReason.VALID),
        ("capture number of a refused window", GateReason.STALE),
        ("capture number 0 after a start", GateReason.VALID),
        ("first value below the range", GateReason.RANGE),
        ("first value at the minimum", GateReason.VALID),
        ("both bounds of the range", GateReason.VALID),
        ("constant channels", GateReason.FLAT),
        ("span just below min_span in every channel", GateReason.FLAT),
        ("min_span reached in channel 0 alone", GateReason.VALID),
        ("min_span reached in channel 5 alone", GateReason.VALID),
        ("noise over the whole range 0", GateReason.VALID),
    ],
)
def test_an_int16_window_gets_the_verdict_of_the_specification(
    stimuli: dict[str, GateStimulus], name: str, reason: GateReason
) -> None:
    assert stimuli[name].reason is reason


def test_every_channel_has_a_value_out_of_range_away_from_the_ends(
    case: Case, stimuli: dict[str, GateStimulus]
) -> None:
    valid = np.frombuffer(case.vectors.payload(0), "<i2").reshape(40, 6)
    touched = set()
    for name, stimulus in stimuli.items():
        if stimulus.reason is GateReason.RANGE and name.startswith("value"):
            window = np.frombuffer(stimulus.window, "<i2").reshape(40, 6)
            ((sample, channel),) = np.argwhere(window != valid)
            assert 0 < sample < 39
            touched.add(int(channel))
    assert touched == set(range(6))


def test_the_whole_range_windows_reach_both_ends_of_the_tensor(case: Case, stimuli: dict[str, GateStimulus]) -> None:
    window = np.frombuffer(stimuli["ramp over the whole range"].window, "<i2")
    assert (window.min(), window.max()) == (case.gate.minimum, case.gate.maximum)


def test_a_float_case_gets_values_that_are_no_numbers(case: Case) -> None:
    floats = replace(
        case,
        window=Window("float32", 40, 6),
        gate=Gate(-50.0, 50.0, 0.5),
        prepare=Prepare("quantize", 1, factor=float(np.float32(1 / case.model.input.quantisation.scale))),
    )
    valid = np.linspace(-40, 40, 240, dtype=np.float32)
    verdicts = {stimulus.name: stimulus.reason for stimulus in gate_stimuli(floats, valid.tobytes())}
    assert verdicts["last value NaN"] is GateReason.NONFINITE
    assert verdicts["first value negative infinite"] is GateReason.NONFINITE
    assert verdicts["first value above the range"] is GateReason.RANGE
    assert verdicts["span just below min_span in every channel"] is GateReason.FLAT
    assert verdicts["min_span reached in channel 5 alone"] is GateReason.VALID


def test_streams_hold_windows_that_the_gate_refuses_and_scores_of_either_sign(case: Case) -> None:
    stream = [step for step in score_stimuli(case.decide) if step.name.startswith("stream")]
    assert any(step.refused for step in stream)
    winners = {max(step.scores) for step in stream}
    assert min(winners) < 0 < max(winners)
