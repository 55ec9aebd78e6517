"""What each of several outputs is held to: its own value, else the common one, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from several_tensors import TOML, several_float_model, several_model, write_several

from hil.case.load import load_case
from hil.case.types import Limit
from hil.contract.distance import allowed, allowed_since
from hil.errors import CaseError
from hil.gate.demands import demand_of
from hil.model.kernels.own import WITH_OWN
from hil.model.kernels.upstream import UPSTREAM

EXECUTION = "[contract.execution]\nreplays = 3\npasses = 2\n"
LEVEL = "[contract.execution.outputs.level]\n"


def with_limits(common: str = "", *tables: str) -> str:
    """case.toml with these lines in [contract.execution] and these tables behind it."""
    return TOML.replace(EXECUTION, "\n".join((EXECUTION + common, *tables, "")))


def refused(folder: Path, toml: str, model: bytes | None = None) -> list[CaseError]:
    with pytest.raises(CaseError) as caught:
        load_case(write_several(folder, model, toml))
    return list(getattr(caught.value, "problems", [caught.value]))


def test_an_output_has_its_own_budget_and_others_the_common_one(tmp_path: Path) -> None:
    own = ("[contract.execution.outputs.level]\nlsb = 3", "[contract.baseline.outputs.level]\noutputs_lsb = 4")
    case = load_case(write_several(tmp_path, toml=with_limits("lsb = 1", *own)))
    scores, level = case.of_outputs
    assert [(one.model.output.name, allowed(one).steps, allowed_since(one).steps) for one in (scores, level)] == [
        ("scores", 1, 0),
        ("level", 3, 4),
    ]
    assert allowed(case).steps == 1
    assert [limit.maximum for limit in demand_of(case, "case.toml").limits["execution.output"]] == [1, 3]


def test_the_output_that_is_decided_on_may_have_its_own_too(tmp_path: Path) -> None:
    toml = with_limits("lsb = 1", "[contract.execution.outputs.scores]\nlsb = 0")
    scores, level = load_case(write_several(tmp_path, toml=toml)).of_outputs
    assert (allowed(scores).steps, allowed(level).steps) == (0, 1)


@pytest.mark.parametrize(
    ("common", "own", "of_2020", "today"),
    [
        ("lsb_of = { upstream = 2 }", "", 0, 2),
        ("lsb_of = { upstream = 2 }", "lsb = 1", 1, 1),
        ("lsb = 5", "lsb_of = { upstream = 2 }", 5, 2),
    ],
)
def test_a_budget_of_one_set_of_kernels_is_asked_first_where_it_stands(
    common: str, own: str, of_2020: int, today: int, tmp_path: Path
) -> None:
    file = write_several(tmp_path, toml=with_limits(common, LEVEL + own))
    steps = [allowed(load_case(file, kernels).of_outputs[1]).steps for kernels in (WITH_OWN, UPSTREAM)]
    assert steps == [of_2020, today]


def test_agreement_is_limited_by_output(tmp_path: Path) -> None:
    lines = "[contract.agreement]\ncosine = { min = 0.9 }\n[contract.agreement.outputs.level]\n"
    toml = with_limits("", lines + "cosine = { min = 0.5 }\nsqnr_db = { min = 20.0 }")
    toml = toml.replace('int8 = "model.tflite"', 'int8 = "model.tflite"\nfloat = "float.tflite"')
    file = write_several(tmp_path, toml=toml)
    (tmp_path / "float.tflite").write_bytes(several_float_model())
    scores, level = load_case(file).of_outputs
    assert scores.contracts.agreement == {"cosine": Limit(minimum=0.9)}
    assert level.contracts.agreement == {"cosine": Limit(minimum=0.5), "sqnr_db": Limit(minimum=20.0, unit="dB")}


def test_what_an_output_may_lose_of_its_agreement_is_its_own_else_the_common(tmp_path: Path) -> None:
    common = "[contract.baseline.agreement]\ncosine = 0.02\nsqnr_db = 1.0\ntop1 = 0.1"
    own = (
        "[contract.baseline.outputs.level]\noutputs_lsb = 4\n[contract.baseline.outputs.level.agreement]\nsqnr_db = 3.0"
    )
    case = load_case(write_several(tmp_path, toml=with_limits("", common, own)))
    scores, level = (one.contracts.baseline for one in case.of_outputs)
    assert [(each.agreement["cosine"], each.agreement["sqnr_db"]) for each in (scores, level)] == [
        (0.02, 1.0),
        (0.02, 3.0),
    ]
    assert (scores.outputs_lsb, level.outputs_lsb, level.stack_bytes) == (0, 4, scores.stack_bytes)
    decided = with_limits("", common, own.replace("outputs.level", "outputs.scores"))
    scores, level = (one.contracts.baseline for one in load_case(write_several(tmp_path, toml=decided)).of_outputs)
    assert (scores.agreement["sqnr_db"], level.agreement["sqnr_db"], scores.agreement["top1"]) == (3.0, 1.0, 0.1)


def test_an_output_loses_no_figure_of_the_decision(tmp_path: Path) -> None:
    (error,) = refused(tmp_path, with_limits("", "[contract.baseline.outputs.level.agreement]\ntop1 = 0.1"))
    assert error.problem == "unknown key 'top1'"


def test_what_is_odd_is_expected_of_single_tensors_by_name(tmp_path: Path) -> None:
    sanity = (
        '[contract.sanity]\nexpect = ["constant_output"]',
        '[contract.sanity.inputs.left]\nexpect = ["saturated_input"]',
        "[contract.sanity.outputs.scores]\nexpect = []",
    )
    contracts = load_case(write_several(tmp_path, toml=with_limits("", *sanity))).contracts
    assert contracts.meant == ("constant_output",)
    assert contracts.meant_of == {("input", "left"): ("saturated_input",), ("output", "scores"): ()}
    (error,) = refused(tmp_path, with_limits("", '[contract.sanity.inputs.lfet]\nexpect = ["saturated_input"]'))
    assert (error.problem, error.fix) == (
        "the model has no input 'lfet'",
        "write one of 'left', 'right', or leave the table out",
    )
    (error,) = refused(tmp_path, with_limits("", '[contract.sanity.inputs.left]\nexpect = ["constant_output"]'))
    assert "'constant_output' does not do: it must be 'saturated_input'" in error.problem


@pytest.mark.parametrize("contract", ["execution", "agreement", "baseline"])
def test_an_output_that_is_not_there_is_refused_with_the_names_that_there_are(contract: str, tmp_path: Path) -> None:
    (error,) = refused(tmp_path, with_limits("", f"[contract.{contract}.outputs.levle]"))
    assert error.where.endswith(f"[contract.{contract}] outputs.levle")
    assert error.problem == "the model has no output 'levle'"
    assert "'level', 'scores'" in error.fix


def test_steps_that_the_type_of_an_output_does_not_have_are_refused(tmp_path: Path) -> None:
    model = several_model(level="FLOAT32")
    own = ("lsb = 1", "lsb_of = { 2020 = 1 }")
    for number, line in enumerate(own):
        (error,) = refused(tmp_path / str(number), with_limits("", LEVEL + line), model)
        assert ".outputs.level.lsb" in error.where.replace("] ", "."), error.where
        assert "FLOAT32, which has no lsb" in error.problem
    (error,) = refused(tmp_path / "ulp", with_limits("", LEVEL + "tolerance = 0.1"))
    assert "INT8, which has no tolerance" in error.problem
    case = load_case(write_several(tmp_path / "right", model, with_limits("lsb = 1", LEVEL + "ulp = 2")))
    assert [allowed(one).steps for one in case.of_outputs] == [1, 2]


def test_a_budget_that_can_never_be_exceeded_is_refused_for_the_output_that_it_holds_for(tmp_path: Path) -> None:
    (error,) = refused(tmp_path, with_limits("", LEVEL + "lsb = 255"))
    assert "255 can never be exceeded: INT8 has 255 steps" in error.problem
    assert error.where.endswith("outputs.level.lsb")


def test_figures_of_the_decision_are_no_output_s_own(tmp_path: Path) -> None:
    (error,) = refused(tmp_path, with_limits("", "[contract.agreement.outputs.level]\ntop1 = { min = 0.9 }"))
    assert "'top1' belongs into [contract.agreement]" in error.fix
