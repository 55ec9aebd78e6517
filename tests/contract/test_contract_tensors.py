"""Several tensors are several times one: the worst outcome, the worst value, and the name of the tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_evidence import INPUT
from made_several import each_twice

from hil.case.types import Limit, OutputLimits
from hil.contract import checks_for, judge
from hil.contract.blame import blame
from hil.contract.tensors import input_views, output_views
from hil.contract.types import CheckResult, Evidence, InputReference, Outcome


@pytest.fixture
def several(evidence: Evidence) -> Evidence:
    return each_twice(evidence)


def result(evidence: Evidence, check: str) -> CheckResult:
    (found,) = (judge(each, evidence) for each in checks_for(evidence.case) if each.id == check)
    return found


def aux(evidence: Evidence, change: Callable[[np.ndarray], np.ndarray]) -> Evidence:
    """With the float model's answer of the further output changed."""
    (reference,) = evidence.references.outputs
    assert reference.float_chain is not None
    floats = change(reference.float_chain.copy())
    changed = replace(reference, float_chain=floats, float_output=floats)
    return replace(evidence, references=replace(evidence.references, outputs=(changed,)))


def test_with_one_of_each_the_evidence_is_judged_as_it_is(evidence: Evidence) -> None:
    assert input_views(evidence)[0] is evidence
    assert output_views(evidence)[0] is evidence


def test_a_run_in_which_every_tensor_is_right_breaks_nothing(several: Evidence) -> None:
    checks = ("input.shape", "input.prepared", "input.saturation", "execution.output", "decision.answer")
    assert [result(several, check).outcome for check in checks] == [Outcome.PASSED] * len(checks)
    assert not blame(several).broke.any()


def test_the_view_of_another_output_knows_no_decision(several: Evidence) -> None:
    scores, other = output_views(several)
    assert (scores.case.model.output.name, scores.case.decide) == ("scores", several.case.decide)
    assert (other.case.model.output.name, other.case.decide.id) == ("aux", "none")
    assert not blame(other).broke.any()


def test_agreement_is_that_of_the_worst_output(several: Evidence) -> None:
    worse = aux(several, lambda floats: floats + np.float32(0.5))
    for check, pick in (("agreement.max_abs_error", max), ("agreement.sqnr_db", min)):
        alone = [result(view, check).value for view in output_views(worse)]
        found = result(worse, check)
        assert found.outcome is Outcome.FAILED
        assert found.value == pick(value for value in alone if value is not None)
        assert [finding.expected.split(":")[0] for finding in found.findings] == ["output 'aux'"]
        assert {name.split(":")[0] for name in found.numbers} == {"output 'scores'", "output 'aux'"}


def test_winners_are_about_the_output_that_is_decided_on(several: Evidence) -> None:
    turned = aux(several, lambda floats: floats[:, ::-1].copy())
    assert result(turned, "agreement.top1").outcome is Outcome.PASSED
    assert result(turned, "agreement.flips").outcome is Outcome.PASSED
    assert result(turned, "agreement.cosine").outcome is Outcome.FAILED


def test_what_the_device_says_of_a_further_input_is_held_against_the_model(several: Evidence) -> None:
    wrong = replace(several, hello=replace(several.hello, inputs=(replace(INPUT, dtype="UINT8"),)))
    (finding,) = result(wrong, "input.type").findings
    assert (finding.expected, finding.observed) == ("input 'right': INT8", "UINT8")


def test_saturation_is_that_of_the_input_that_saturates_most(several: Evidence) -> None:
    (seen,) = several.records.inputs
    prepared = np.full_like(several.references.prepared, 127)
    reference = InputReference(prepared, seen.digest)
    full = replace(several, references=replace(several.references, inputs=(reference,)))
    found = result(full, "input.saturation")
    assert (found.outcome, found.value) == (Outcome.FAILED, 1.0)
    assert found.findings[0].expected.startswith("input 'right': share <=")


def test_no_number_in_a_further_output_is_told_of_it(several: Evidence) -> None:
    output = several.records.outputs[0].astype(np.float32)
    output[3, 1] = np.nan
    wrong = replace(several, records=replace(several.records, outputs=(output,)))
    (finding,) = result(wrong, "execution.complete").findings
    assert finding.expected == "output 'aux': an output of numbers"
    assert "decided" not in finding.observed


def limited(evidence: Evidence, **own: object) -> Evidence:
    """With a budget of its own for the further output."""
    contracts = evidence.case.contracts
    common = OutputLimits(contracts.lsb, contracts.ulp, contracts.tolerance, contracts.agreement, contracts.baseline)
    contracts = replace(contracts, further=(replace(common, **own),))
    return replace(evidence, case=replace(evidence.case, contracts=contracts))


def off(evidence: Evidence, steps: int) -> Evidence:
    """With one element of the further output so many steps away, on one vector."""
    output = evidence.records.outputs[0].copy()
    output[3, 1] += steps
    return replace(evidence, records=replace(evidence.records, outputs=(output,)))


def test_each_output_is_held_to_its_own_budget(several: Evidence) -> None:
    one_off = off(several, 1)
    assert result(one_off, "execution.output").outcome is Outcome.FAILED
    found = result(limited(one_off, lsb=1), "execution.output")
    assert (found.outcome, found.value, found.limit) == (Outcome.PASSED, 0.0, Limit(maximum=0, unit="LSB"))
    assert [(name, each.value, each.limit) for name, each in found.tensors] == [
        ("output 'scores'", 0.0, Limit(maximum=0, unit="LSB")),
        ("output 'aux'", 1.0, Limit(maximum=1, unit="LSB")),
    ]
    assert not blame(limited(one_off, lsb=1)).broke.any()
    failed = result(limited(off(several, 2), lsb=1), "execution.output")
    assert (failed.value, failed.limit, failed.findings[0].limit) == (2.0, Limit(maximum=1, unit="LSB"), "<= 1 LSB")


def test_a_figure_that_is_limited_for_one_output_alone_is_judged_of_that_one(several: Evidence) -> None:
    contracts = replace(several.case.contracts, agreement={})
    of_aux = limited(
        replace(several, case=replace(several.case, contracts=contracts)), agreement={"cosine": Limit(minimum=0.9)}
    )
    found = result(of_aux, "agreement.cosine")
    assert (found.outcome, found.limit) == (Outcome.PASSED, Limit(minimum=0.9))
    assert [(each.outcome, each.value is None) for _, each in found.tensors] == [
        (Outcome.PASSED, True),
        (Outcome.PASSED, False),
    ]
    turned = aux(of_aux, lambda floats: floats[:, ::-1].copy())
    assert result(turned, "agreement.cosine").outcome is Outcome.FAILED


def test_each_tensor_is_marginal_by_its_own_limit(several: Evidence) -> None:
    near = limited(off(several, 9), lsb=10)
    near = replace(near, case=replace(near.case, contracts=replace(near.case.contracts, margin=0.2)))
    found = result(near, "execution.output")
    assert (found.outcome, found.value, found.limit) == (Outcome.MARGINAL, 9.0, Limit(maximum=10, unit="LSB"))
    assert found.reason.startswith("output 'aux': 10 % from its limit")
    assert [each.outcome for _, each in found.tensors] == [Outcome.PASSED, Outcome.MARGINAL]


def still(evidence: Evidence, *meant: str) -> Evidence:
    """With a further output that is one and the same on every window."""
    (reference,) = evidence.references.outputs
    output = np.full_like(reference.output, 5)
    case = replace(evidence.case, contracts=replace(evidence.case.contracts, meant=meant))
    references = replace(evidence.references, outputs=(replace(reference, output=output),))
    return replace(evidence, case=case, references=references, records=replace(evidence.records, outputs=(output,)))


def test_a_further_output_that_does_not_move_is_marginal_and_told_by_name(several: Evidence) -> None:
    found = result(still(several), "sanity.constant_output")
    assert (found.outcome, found.value) == (Outcome.MARGINAL, 0.0)
    assert found.reason.startswith("output 'aux': one output for 319 different windows")
    assert [each.outcome for _, each in found.tensors] == [Outcome.PASSED, Outcome.MARGINAL]
    meant = result(still(several, "constant_output"), "sanity.constant_output")
    assert meant.outcome is Outcome.PASSED
    assert meant.reason.startswith("output 'aux': meant so by the case")
    stale = replace(several, case=still(several, "constant_output").case)
    assert result(stale, "sanity.constant_output").reason.startswith(
        "output 'scores': the case expects it, and it is not"
    )


def expecting(evidence: Evidence, *common: str, **own: tuple[str, ...]) -> Evidence:
    """With what is expected of all outputs, and of single ones by name."""
    meant_of = {("output", name): kinds for name, kinds in own.items()}
    contracts = replace(evidence.case.contracts, meant=common, meant_of=meant_of)
    return replace(evidence, case=replace(evidence.case, contracts=contracts))


KIND = "constant_output"


def test_what_is_odd_about_one_output_is_expected_of_that_one(several: Evidence) -> None:
    found = result(expecting(still(several), aux=(KIND,)), f"sanity.{KIND}")
    assert (found.outcome, [each.outcome for _, each in found.tensors]) == (Outcome.PASSED, [Outcome.PASSED] * 2)
    assert found.reason.startswith("output 'aux': meant so by the case: one output for 319 different windows")


def test_an_expectation_of_another_output_does_not_cover_it_and_is_told_itself(several: Evidence) -> None:
    found = result(expecting(still(several), scores=(KIND,)), f"sanity.{KIND}")
    assert [(each.outcome, each.hint.partition(": ")[0]) for _, each in found.tensors] == [
        (Outcome.MARGINAL, "take it out of [contract.sanity.outputs.scores] expect, where it would hide the next one"),
        (Outcome.MARGINAL, found.tensors[1][1].hint.partition(": ")[0]),
    ]
    assert found.tensors[1][1].hint.endswith('[contract.sanity.outputs.aux] expect = ["constant_output"]')
    assert found.outcome is Outcome.MARGINAL


def test_an_output_that_expects_nothing_of_its_own_is_out_of_the_common_expectation(several: Evidence) -> None:
    found = result(expecting(still(several), KIND, aux=()), f"sanity.{KIND}")
    assert [each.outcome for _, each in found.tensors] == [Outcome.MARGINAL] * 2
    assert "expects it, and it is not so; output 'aux': one output" in found.reason
    moving = result(expecting(still(several), KIND, scores=()), f"sanity.{KIND}")
    assert moving.outcome is Outcome.PASSED


def test_a_further_input_that_saturates_is_marginal_and_told_by_name(several: Evidence) -> None:
    windows = np.full_like(several.case.vectors.windows, 32767)
    (part,) = several.case.further
    loud = tuple(replace(channel, gain=4 * channel.gain) for channel in part.prepare.channels)
    case = replace(several.case, further=(replace(part, prepare=replace(part.prepare, channels=loud)),))
    full = replace(several, case=replace(case, vectors=replace(case.vectors, further=(windows,))))
    found = result(full, "sanity.saturated_input")
    assert found.outcome is Outcome.MARGINAL
    assert found.reason.startswith("input 'right': 100 % of the input is saturated")
