"""The score streams that the harness makes meet every rule of the decide stage, and stay short."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.case.types import Decide
from hil.records import Decision, DecisionReason, GateReason
from hil.session.effort import Effort
from hil.session.stimuli import ScoreStimulus, expected_decisions, score_stimuli
from hil.tensor import FLOAT32, INT8, OUTPUT_TYPES, UINT8, ElementType, no_number, ranks

LABELS = ("circle", "idle", "shake", "tap")
KINDS = (GateReason.LENGTH, GateReason.STALE, GateReason.RANGE)
RICH, POOR = Effort(requests=2000, inferences=200), Effort(requests=65, inferences=4)


def steps_of(decide: Decide, effort: Effort = RICH, element: ElementType = INT8) -> list[ScoreStimulus]:
    return list(score_stimuli(decide, element, KINDS, effort))


def scripted(decide: Decide) -> list[ScoreStimulus]:
    """The scripts of single labels and the random stream."""
    return [step for step in steps_of(decide) if step.name.startswith(("stream of", "stream step"))]


def stream_answers(decide: Decide) -> list[tuple[ScoreStimulus, Decision]]:
    return list(expected_decisions(decide, INT8, scripted(decide)))


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


@pytest.mark.slow
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


@pytest.mark.parametrize("effort", [RICH, POOR])
@pytest.mark.parametrize(("debounce", "cooldown"), [(1000, 1000), (1000, 0), (1, 1000), (1, 0)])
def test_long_settings_do_not_make_long_streams(debounce: int, cooldown: int, effort: Effort) -> None:
    decide = Decide("argmax", 1, 30, 10, debounce, cooldown, LABELS)
    steps = steps_of(decide, effort)
    assert len([step for step in steps if step.name.startswith("stream of")]) <= 400
    assert len([step for step in steps if step.name.startswith("stream step")]) <= 512
    held = [step for step in steps if step.name.startswith("stream held")]
    assert len(held) <= 1.25 * max(effort.requests, 260) + 3 * debounce + 2 * cooldown + 10
    assert len(steps) - len(held) < 3000 + effort.requests // 2 + debounce + cooldown


def test_the_state_starts_anew_with_each_script() -> None:
    decide = Decide("argmax", 1, 30, 10, 4, 2, LABELS)
    fresh = [step.name for step in scripted(decide) if step.fresh]
    assert [name.split(",")[0] for name in fresh] == [
        "stream of 'circle' step 0",
        "stream of 'shake' step 0",
        "stream of 'tap' step 0",
        "stream step 0",
    ]


def test_streams_hold_scores_of_either_sign() -> None:
    winners = {max(step.scores) for step in scripted(Decide("argmax", 1, 30, 10, 1, 0, LABELS))}
    assert min(winners) < 0 < max(winners)


# ---- a decide stage, written from docs/pipeline.md, and its mistakes -------------------------------------------------


class ModelDecide:
    """`argmax/1`. A mistake overrides one of its methods."""

    def __init__(self, decide: Decide) -> None:
        self.decide, self.steps = decide, 0
        self.fresh()

    def fresh(self) -> None:
        self.active = self.candidate = -1
        self.run = self.cool = 0

    def refused(self, reason: GateReason) -> None:
        """A window that the gate refuses."""

    def raised(self, run: int) -> int:
        return run + 1

    def step(self, scores: Sequence[int]) -> tuple[int, DecisionReason]:
        self.steps += 1
        winner = max(range(len(scores)), key=lambda label: (scores[label], -label))
        bar = self.decide.release if winner == self.active else self.decide.threshold
        cooling = self.cool > 0
        self.cool -= cooling
        if scores[winner] <= bar:
            self.active = self.candidate = -1
            self.run = 0
            return -1, DecisionReason.BELOW_THRESHOLD
        self.run = self.raised(self.run) if winner == self.candidate else 1
        self.candidate = winner
        if cooling:
            return -1, DecisionReason.COOLDOWN
        if winner != self.active and self.run < self.decide.debounce:
            return -1, DecisionReason.DEBOUNCE
        self.active, self.cool = winner, self.decide.cooldown
        return winner, DecisionReason.ACCEPTED


def told(decide: Decide, model: ModelDecide, effort: Effort = RICH) -> list[str]:
    """Names of the steps that this stage gets wrong."""
    wrong = []
    for stimulus, expected in expected_decisions(decide, INT8, steps_of(decide, effort)):
        if stimulus.refused is not None:
            model.refused(stimulus.refused)
        if stimulus.fresh:
            model.fresh()
        if model.step(stimulus.scores) != (expected.answer, expected.reason):
            wrong.append(stimulus.name)
    return wrong


SETTINGS = {
    "plain": Decide("argmax", 1, 30, 30, 1, 0, LABELS),
    "hysteresis": Decide("argmax", 1, 30, -40, 1, 0, LABELS),
    "debounce": Decide("argmax", 1, 30, 30, 3, 0, LABELS),
    "cooldown": Decide("argmax", 1, 30, 30, 1, 4, LABELS),
    "all": Decide("argmax", 1, 30, 10, 2, 3, LABELS),
    "long": Decide("argmax", 1, 30, 10, 2, 300, LABELS),
}


@pytest.mark.parametrize("effort", [RICH, POOR])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_right_stage_gets_every_step_right(name: str, effort: Effort) -> None:
    assert told(SETTINGS[name], ModelDecide(SETTINGS[name]), effort) == []


@pytest.mark.parametrize("effort", [RICH, POOR])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["active", "candidate", "run", "cool"])
def test_a_refused_window_of_any_kind_that_touches_any_state_is_seen(
    what: str, kind: GateReason, effort: Effort
) -> None:
    class Touched(ModelDecide):
        def refused(self, reason: GateReason) -> None:
            if reason is kind and getattr(self, what) > 0:
                setattr(self, what, getattr(self, what) - 1)
            elif reason is kind and what in ("active", "candidate"):
                setattr(self, what, -1)

    assert told(SETTINGS["all"], Touched(SETTINGS["all"]), effort)


def test_each_kind_of_refusal_meets_each_state() -> None:
    decide = SETTINGS["all"]
    model, met = ModelDecide(decide), set()
    for stimulus in steps_of(decide):
        if stimulus.refused is not None:
            met.add((stimulus.refused, model.active, model.candidate, min(model.run, 2), model.cool))
        if stimulus.fresh:
            model.fresh()
        model.step(stimulus.scores)
    for kind in KINDS:
        assert {run for reason, _, _, run, _ in met if reason is kind} == {0, 1, 2}
        assert {cool for reason, _, _, _, cool in met if reason is kind} == {0, 1, 2, 3}


@pytest.mark.parametrize("what", ["active", "candidate", "run", "cool"])
@pytest.mark.parametrize("name", ["all", "long"])
def test_a_fresh_start_that_leaves_any_state_is_seen(what: str, name: str) -> None:
    class Stale(ModelDecide):
        def fresh(self) -> None:
            kept = getattr(self, what, None)
            super().fresh()
            if kept is not None:
                setattr(self, what, kept)

    decide = SETTINGS[name]
    found = told(decide, Stale(decide))
    # Of a run without its candidate, and of a candidate without its run, nothing comes.
    assert found or what in ("run", "candidate")


@pytest.mark.parametrize("at", [256, 1300, 1900])
@pytest.mark.parametrize("name", ["plain", "debounce", "all"])
def test_a_stage_that_goes_wrong_when_a_label_is_held_for_very_long_is_seen(name: str, at: int) -> None:
    class Tired(ModelDecide):
        held = 0

        def step(self, scores: Sequence[int]) -> tuple[int, DecisionReason]:
            before, answer = self.active, super().step(scores)
            self.held = self.held + 1 if self.active == before and before >= 0 else 0
            return (-1, DecisionReason.BELOW_THRESHOLD) if self.held >= at and answer[0] >= 0 else answer

    assert told(SETTINGS[name], Tired(SETTINGS[name]))


@pytest.mark.parametrize("effort", [RICH, POOR])
@pytest.mark.parametrize(("debounce", "cooldown"), [(2, 255), (2, 300), (5, 400), (300, 0), (257, 3)])
def test_a_debounce_that_counts_in_8_bits_is_seen(debounce: int, cooldown: int, effort: Effort) -> None:
    class Narrow(ModelDecide):
        def raised(self, run: int) -> int:
            return (run + 1) % 256

    decide = Decide("argmax", 1, 30, 10, debounce, cooldown, LABELS)
    assert told(decide, Narrow(decide), effort)


def test_a_cooldown_that_counts_in_8_bits_is_seen() -> None:
    class Narrow(ModelDecide):
        def step(self, scores: Sequence[int]) -> tuple[int, DecisionReason]:
            answer = super().step(scores)
            self.cool %= 256
            return answer

    assert told(SETTINGS["long"], Narrow(SETTINGS["long"]))


@pytest.mark.parametrize("element", OUTPUT_TYPES, ids=lambda each: each.name)
def test_scores_of_each_type_are_of_that_type_and_meet_every_reason(element: ElementType) -> None:
    """One value apart, on either side of the threshold, wherever that lies in the type."""
    middle = int(ranks(element.of_ranks([0x3F19999A]))[0]) if element.real else (element.low + element.high) // 2
    decide = Decide("argmax", 1, middle, middle - 3, debounce=3, cooldown=2, labels=LABELS)
    reasons = set()
    for stimulus, decision in expected_decisions(decide, element, steps_of(decide, element=element)):
        scores = element.of_ranks(stimulus.scores)
        assert ranks(scores).tolist() == list(stimulus.scores)
        assert scores.dtype == element.dtype
        reasons.add(decision.reason)
        if not no_number(scores).any():
            assert decision.score == max(stimulus.scores)
            assert decision.winner == stimulus.scores.index(max(stimulus.scores))
    wanted = {DecisionReason(code) for code in range(4)} | ({DecisionReason.NOT_A_NUMBER} if element.real else set())
    assert reasons == wanted


def test_a_stage_that_reads_uint8_as_int8_is_caught() -> None:
    decide = Decide("argmax", 1, 153, 153, labels=LABELS)
    wrong = 0
    for stimulus, decision in expected_decisions(decide, UINT8, steps_of(decide, element=UINT8)):
        signed = UINT8.of_ranks(stimulus.scores).view("i1").tolist()
        wrong += decision.winner != signed.index(max(signed))
    assert wrong > 10


def test_a_stage_that_compares_the_bits_of_floats_as_integers_is_caught() -> None:
    """Of negative scores the larger has the smaller bits."""
    decide = Decide("argmax", 1, -0x3F19999A, -0x3F19999A, labels=LABELS)
    wrong = 0
    for stimulus, decision in expected_decisions(decide, FLOAT32, steps_of(decide, element=FLOAT32)):
        as_bits = FLOAT32.of_ranks(stimulus.scores).view("i4").tolist()
        wrong += decision.winner != as_bits.index(max(as_bits))
    assert wrong > 10
