"""A firmware that lacks a function is not asked for it, and what needs it is not judged: it never passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from native_session import imu_motion, native_board, native_image, with_vectors

from hil.can import FUNCTIONS, to_add, untold
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.told import needed_by
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.link import messages
from hil.link.client import LinkClient
from hil.records import Can, Hello
from hil.session import run_case

ALL = ~Can(0)
SCORED = "decision.stream"  # of scores and, in a case whose decide stage has a memory, of windows too
REQUESTS = {
    Can.DECIDE: "scores",
    Can.FETCH: "fetch",
    Can.TENSOR: "tensor",
    Can.PROFILE: "profile",
    Can.PLAIN: "plain",
    Can.TEST: "selftest",
}


@cache
def case() -> Case:
    return with_vectors(imu_motion(), range(0, 300, 30))


@cache
def judged(can: Can) -> tuple[Evidence, Mapping[str, CheckResult], frozenset[str]]:
    """The evidence of a session with a firmware that can so much, what all checks say, and what it was asked for."""
    asked: set[str] = set()
    decode, request = messages.decode_hello, LinkClient.request

    def poorer(result: dict[str, Any], boot: int) -> Hello:
        hello = decode(result, boot)
        return replace(hello, can=hello.can & can)

    def noted(self: LinkClient, command: dict[str, Any], *rest: Any, **options: Any) -> dict[str, Any]:
        asked.add(next(iter(command)))
        return request(self, command, *rest, **options)

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder, native_board(Path(folder)) as board:
        patch.setattr(messages, "decode_hello", poorer)
        patch.setattr(LinkClient, "request", noted)
        evidence = run_case(case(), board, native_image()).evidence
    return evidence, {check.id: judge(check, evidence) for check in checks_for(case())}, frozenset(asked)


def test_our_own_firmware_can_everything() -> None:
    """But what it has no use for: it has no heap, and the model that it runs is read from its memory."""
    evidence, results, asked = judged(ALL)
    assert evidence.hello.can == ALL & ~(Can.HEAP | Can.MODEL)
    assert {result.outcome for result in results.values()} == {Outcome.PASSED, Outcome.NOT_JUDGED}
    assert asked >= {REQUESTS[function] for function in REQUESTS if function not in (Can.FETCH, Can.TENSOR)}


# A session each.
QUICK = (Can.DECIDE, Can.FETCH)


@pytest.mark.parametrize(
    "function", [pytest.param(each, marks=[] if each in QUICK else [pytest.mark.slow]) for each in Can]
)
def test_what_needs_a_function_is_not_judged_without_it_and_all_else_as_ever(function: Can) -> None:
    evidence, results, asked = judged(~function)
    assert REQUESTS.get(function) not in asked
    whole = judged(ALL)[1]
    for check, result in results.items():
        rests = needed_by(check, evidence) & function
        if rests or (check == SCORED and function is Can.DECIDE):
            assert result.outcome is Outcome.NOT_JUDGED, check
            assert result.reason == f"the firmware does not tell {FUNCTIONS[function].what}"
            assert result.hint == f"add {FUNCTIONS[function].add} (docs/agent.md)"
        else:
            assert result.outcome == whole[check].outcome, check


def test_a_firmware_that_can_nothing_more_than_run_fails_nothing() -> None:
    evidence, results, asked = judged(Can(0))
    assert asked == {"hello", "run"}
    for check, result in results.items():
        assert result.outcome is not Outcome.FAILED, result.findings
        assert result.outcome is Outcome.NOT_JUDGED or not needed_by(check, evidence)
    assert results["execution.output"].outcome is Outcome.PASSED


def test_a_wrong_tensor_is_told_by_its_digest_where_it_cannot_be_fetched() -> None:
    evidence = judged(~Can.FETCH)[0]
    digest = evidence.records.digest.copy()
    digest[0] ^= 1
    wrong = replace(evidence, records=replace(evidence.records, digest=digest))
    check = next(check for check in checks_for(case()) if check.id == "input.prepared")
    result = judge(check, wrong)
    assert result.outcome is Outcome.FAILED
    assert "the firmware does not tell the elements of its prepared tensor" in result.findings[0].hint


def test_tensor_is_needed_by_models_with_several_alone() -> None:
    evidence = judged(ALL)[0]
    several = replace(evidence.case, model=replace(evidence.case.model, outputs=2 * evidence.case.model.outputs))
    assert not needed_by("input.shape", evidence)
    assert needed_by("input.shape", replace(evidence, case=several)) == Can.TENSOR


def test_each_function_has_its_words() -> None:
    assert set(FUNCTIONS) == set(Can)
    assert untold(ALL, ALL) == to_add(ALL, ALL) == ""
    both = Can.PLAIN | Can.FETCH
    assert untold(~both, both).count("the firmware does not tell ") == 2
    assert to_add(~both, both) == "add fetch in hil_product, and plain in hil_product (docs/agent.md)"
