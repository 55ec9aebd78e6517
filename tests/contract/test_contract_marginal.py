"""A check that holds is marginal when less than the case's margin of its room is left, and says so; nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_contract_defects import BY_ID

from hil.case.types import Limit
from hil.contract import judge
from hil.contract.marginal import mark
from hil.contract.types import CheckResult, Evidence, Outcome

PASSED, MARGINAL = Outcome.PASSED, Outcome.MARGINAL
MARGIN = 0.25


def result(value: float | None, limit: Limit | None, outcome: Outcome = PASSED) -> CheckResult:
    return CheckResult("memory.flash", outcome, value=value, limit=limit)


@pytest.mark.parametrize(
    ("limit", "value", "outcome"),
    [
        # Of a maximum, the room is all down to 0.
        (Limit(maximum=100), 75, PASSED),
        (Limit(maximum=100), 75.01, MARGINAL),
        (Limit(maximum=100), 100, MARGINAL),
        (Limit(maximum=0.5), 0.375, PASSED),
        (Limit(maximum=0.5), 0.376, MARGINAL),
        (Limit(maximum=1), 0.76, MARGINAL),
        # Of a minimum of a share, the room is all up to 1.
        (Limit(minimum=0.75), 0.8125, PASSED),
        (Limit(minimum=0.75), 0.812, MARGINAL),
        (Limit(minimum=0.0), 0.25, PASSED),
        (Limit(minimum=0.0), 0.24, MARGINAL),
        (Limit(minimum=-1.0), -0.5, PASSED),
        (Limit(minimum=-1.0), -0.51, MARGINAL),
        # Of any other minimum, it is as much as the limit itself.
        (Limit(minimum=20, unit="dB"), 25, PASSED),
        (Limit(minimum=20, unit="dB"), 24.9, MARGINAL),
        (Limit(minimum=0.5, unit="dB"), 0.625, PASSED),
        (Limit(minimum=0.5, unit="dB"), 0.62, MARGINAL),
        (Limit(minimum=-8, unit="dB"), -6, PASSED),
        (Limit(minimum=-8, unit="dB"), -6.1, MARGINAL),
        # Of two limits, the nearer one counts.
        (Limit(0.5, 2), 0.6, MARGINAL),
        (Limit(0.5, 2), 1.0, PASSED),
        (Limit(0.5, 2), 1.6, MARGINAL),
        # A limit that allows one value only leaves no room to lose.
        (Limit(maximum=0), 0, PASSED),
        (Limit(maximum=-3), -3, PASSED),
        (Limit(minimum=1.0), 1.0, PASSED),
        (Limit(minimum=3.0), 3.0, PASSED),
        (Limit(minimum=0.0, unit="dB"), 0.0, PASSED),
        (Limit(0.9, 0.0), 0.91, MARGINAL),
    ],
    ids=str,
)
def test_what_is_left_of_the_room_decides(limit: Limit, value: float, outcome: Outcome) -> None:
    assert mark(result(value, limit), MARGIN).outcome is outcome


@pytest.mark.parametrize(
    "unchanged",
    [
        result(99, Limit(maximum=100), Outcome.FAILED),
        result(99, Limit(maximum=100), Outcome.NOT_JUDGED),
        result(99, Limit(maximum=100), Outcome.INVALID),
        result(None, Limit(maximum=100)),
        result(99, None),
        result(50, Limit(maximum=100)),
    ],
    ids=str,
)
def test_only_a_pass_with_a_figure_and_a_limit_can_be_marginal(unchanged: CheckResult) -> None:
    assert mark(unchanged, MARGIN) is unchanged


@pytest.mark.parametrize("value", [0, 99.9, 100, 110])
def test_a_margin_of_nothing_marks_nothing(value: float) -> None:
    passed = result(value, Limit(maximum=100))
    assert mark(passed, 0) is passed


@pytest.mark.parametrize(("margin", "outcome"), [(0.5, PASSED), (0.51, MARGINAL), (1.0, MARGINAL)])
def test_the_margin_is_a_share_of_the_room(margin: float, outcome: Outcome) -> None:
    assert mark(result(50, Limit(maximum=100)), margin).outcome is outcome


def test_it_says_how_far_off_the_limit_is_and_what_next() -> None:
    given = replace(result(90, Limit(maximum=100, unit="bytes")), total=3, unit="bytes", numbers={"image": 80})
    marked = mark(given, MARGIN)
    assert marked.reason == "10 % from its limit (<= 100 bytes); the margin of the case is 25 %"
    assert marked.hint == "win room while there is some, or raise the limit"
    assert replace(marked, outcome=PASSED, reason="", hint="") == given


def test_what_the_check_said_itself_stays_in_front() -> None:
    marked = mark(replace(result(90, Limit(maximum=100)), reason="few windows"), 0.125)
    assert marked.reason == "few windows; 10 % from its limit (<= 100); the margin of the case is 12.5 %"


@pytest.mark.parametrize(("margin", "outcome"), [(0.0, PASSED), (0.2, PASSED), (0.24, MARGINAL)])
def test_every_check_is_held_to_the_margin_of_its_case(evidence: Evidence, margin: float, outcome: Outcome) -> None:
    """153,000 of 200,000 bytes of flash are used: 23.5 % are left."""
    case = replace(evidence.case, contracts=replace(evidence.case.contracts, margin=margin))
    assert judge(BY_ID["memory.flash"], replace(evidence, case=case)).outcome is outcome


# ---- a check that was made of each of several tensors ----------------------------------------------------------------


def of_tensors(*values: float | None, outcome: Outcome = PASSED, maximum: float = 100) -> CheckResult:
    """Of tensors a, b, ...: the whole speaks for the first. The third has a limit of its own, 50 LSB."""
    each = tuple(
        replace(
            result(value, Limit(maximum=50) if place == 2 else Limit(maximum=maximum)),
            unit="LSB" if place == 2 else "ticks",
            reason="as ever" if place == 0 else "",
        )
        for place, value in enumerate(values)
    )
    return replace(each[0], outcome=outcome, reason="whole", hint="whole", tensors=(*zip("abcd", each, strict=False),))


def test_the_first_tensor_near_its_own_limit_speaks_for_all() -> None:
    whole = of_tensors(10, 74, 40, 90)
    marked = mark(whole, MARGIN)
    assert [each.outcome for _, each in marked.tensors] == [PASSED, PASSED, MARGINAL, MARGINAL]
    assert [name for name, _ in marked.tensors] == ["a", "b", "c", "d"]
    third, fourth = marked.tensors[2][1], marked.tensors[3][1]
    assert (third.value, third.reason) == (40, mark(replace(whole.tensors[2][1]), MARGIN).reason)
    assert (marked.outcome, marked.value, marked.limit, marked.unit) == (MARGINAL, 40, Limit(maximum=50), "LSB")
    assert marked.reason == f"a: as ever; c: {third.reason}; d: {fourth.reason}"
    assert marked.hint == third.hint != ""
    assert (marked.check, marked.findings) == (whole.check, whole.findings)


def test_with_no_tensor_near_its_limit_the_whole_is_as_it_was() -> None:
    whole = of_tensors(10, 74)
    assert mark(whole, MARGIN) == whole
    assert mark(of_tensors(99, 99), 0) == of_tensors(99, 99)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.NOT_JUDGED, Outcome.INVALID], ids=str)
def test_a_whole_that_does_not_pass_is_not_marginal_its_tensors_may_be(outcome: Outcome) -> None:
    whole = of_tensors(10, 90, outcome=outcome)
    marked = mark(whole, MARGIN)
    assert replace(marked, tensors=whole.tensors) == whole
    assert [each.outcome for _, each in marked.tensors] == [PASSED, MARGINAL]
