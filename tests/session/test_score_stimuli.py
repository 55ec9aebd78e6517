"""The score streams that the harness makes meet every rule of the decide stage, and stay short."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.case.types import Decide
from hil.records import Decision, DecisionReason
from hil.session.stimuli import ScoreStimulus, expected_decisions, score_stimuli

LABELS = ("circle", "idle", "shake", "tap")


def stream_answers(decide: Decide) -> list[tuple[ScoreStimulus, Decision]]:
    stream = [step for step in score_stimuli(decide) if step.name.startswith("stream")]
    return list(expected_decisions(decide, stream))


def possible(decide: Decide) -> set[DecisionReason]:
    """From docs/pipeline.md: raw scores run from -128 to 127, and only a score above the threshold starts anything."""
    reasons = set()
    if decide.threshold >= -128:
        reasons.add(DecisionReason.BELOW_THRESHOLD)
    if decide.threshold < 127:
        reasons.add(DecisionReason.ACCEPTED)
        if decide.debounce > 1:
            reasons.add(DecisionReason.DEBOUNCE)
        if decide.cooldown > 0:
            reasons.add(DecisionReason.COOLDOWN)
    return reasons


@st.composite
def settings(draw: Callable[..., int]) -> Decide:
    threshold = draw(st.integers(-129, 127))
    count = draw(st.integers(1, 4))
    return Decide(
        "argmax",
        1,
        threshold,
        release=draw(st.integers(-129, threshold)),
        debounce=draw(st.integers(1, 20)),
        cooldown=draw(st.integers(0, 20)),
        labels=LABELS[:count],
    )


@given(settings())
def test_every_possible_reason_is_an_expected_answer(decide: Decide) -> None:
    answers = stream_answers(decide)
    assert {decision.reason for _, decision in answers} == possible(decide)
    if decide.release < decide.threshold < 127:
        held = [
            decision.score for _, decision in answers if decision.answer >= 0 and decision.score <= decide.threshold
        ]
        assert held
        assert min(held) > decide.release


@pytest.mark.parametrize(("debounce", "cooldown"), [(1, 0), (8, 0), (4, 2), (20, 20), (1, 20), (20, 0)])
def test_the_scripts_meet_each_rule_where_they_say_so(debounce: int, cooldown: int) -> None:
    decide = Decide("argmax", 1, 30, 10, debounce, cooldown, LABELS)
    answers = [(s.name, d) for s, d in stream_answers(decide) if s.name.startswith("stream of 'circle'")]

    def reasons(what: str) -> list[DecisionReason]:
        return [decision.reason for name, decision in answers if name.split(", ")[1] == what]

    accepted, below = DecisionReason.ACCEPTED, DecisionReason.BELOW_THRESHOLD
    after_cooldown = [DecisionReason.COOLDOWN] * cooldown + [accepted]
    assert reasons("at the threshold") == [below]
    assert reasons("debounce") == [DecisionReason.DEBOUNCE] * (debounce - 1) + [accepted]
    for what in ("held just above the release", "cooldown", "held at the threshold"):
        assert reasons(what) == after_cooldown
    assert reasons("at the release") == reasons("at the threshold after the release") == [below]
    assert accepted in reasons("debounce again")
    assert accepted not in reasons("glitch of another label")
    assert accepted in reasons("after the glitch")
    switched = [decision.answer for name, decision in answers if "switch of label" in name]
    assert 1 in switched


@pytest.mark.parametrize(("debounce", "cooldown"), [(1000, 1000), (1000, 0), (1, 1000)])
def test_long_settings_do_not_make_long_streams(debounce: int, cooldown: int) -> None:
    decide = Decide("argmax", 1, 30, 10, debounce, cooldown, LABELS)
    scripted = [step for step in score_stimuli(decide) if step.name.startswith("stream of")]
    random = [step for step in score_stimuli(decide) if step.name.startswith("stream step")]
    assert len(scripted) <= 400
    assert len(random) <= 512
    assert len(list(score_stimuli(decide))) < 3000


def test_the_state_starts_anew_with_each_script() -> None:
    decide = Decide("argmax", 1, 30, 10, 4, 2, LABELS)
    fresh = [step.name for step in score_stimuli(decide) if step.fresh and step.name.startswith("stream")]
    assert [name.split(",")[0] for name in fresh] == [
        "stream of 'circle' step 0",
        "stream of 'shake' step 0",
        "stream of 'tap' step 0",
        "stream step 0",
    ]
