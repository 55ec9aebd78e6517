"""What a case may say of a model whose ends are not int8, and what is refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typed_cases import CASES, FLOAT, INT8, QUANTISED, SCALED, TypedCase, converted, reals

from hil.case.load import load_case
from hil.case.types import Case
from hil.errors import CaseError

FLOAT_MODEL = CASES["float32 throughout"]
EDGES = CASES["float32 edges"]


def loaded(case: TypedCase, folder: Path) -> Case:
    return load_case(case.write(folder / "case"))


def refused(case: TypedCase, folder: Path) -> str:
    with pytest.raises(CaseError) as caught:
        loaded(case, folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (replace(EDGES, execution="lsb = 1\n"), ("[contract.execution] lsb", "FLOAT32, which has no lsb", "ulp")),
        (
            replace(EDGES, execution="lsb_of = { upstream = 1 }\n"),
            ("[contract.execution] lsb_of.upstream", "FLOAT32, which has no lsb", "ulp"),
        ),
        (replace(CASES["int16 to int8"], execution="ulp = 1\n"), ("INT8, which has no ulp", "lsb")),
        (replace(CASES["uint8 to uint8"], execution="tolerance = 0.1\n"), ("UINT8, which has no tolerance",)),
        (replace(CASES["uint8 to uint8"], execution="lsb = 255\n"), ("can never be exceeded", "255 steps")),
        (replace(FLOAT_MODEL, execution=""), ("[contract.execution] tolerance", "is missing", "tolerance = 1e-5")),
        (replace(FLOAT_MODEL, gate=""), ("[input.gate]", "minimum and maximum are missing")),
        (replace(FLOAT_MODEL, model_keys=""), ("FLOAT32 throughout", "all_float = true", "tf.int8")),
        (replace(EDGES, model_keys="all_float = true\n"), ("it has quantised operators", "take all_float out")),
        (replace(EDGES, input=SCALED), ("scale/1 rounds to steps", "FLOAT32", 'prepare = "tensor/1"')),
        (replace(EDGES, input=QUANTISED), ("quantize/1 rounds to steps", 'prepare = "tensor/1"')),
        (
            replace(EDGES, gate="[input.gate]\nmaximum = 1e9\n"),
            ("[input.gate] maximum", "QUANTIZE converts up to 1.07374e+07"),
        ),
        (replace(CASES["uint8 to uint8"], decision="threshold = 1.5\n"), ("out of reach", "shows 0 to 0.996")),
    ],
)
def test_what_a_type_has_no_sense_of_is_refused_with_what_has(
    case: TypedCase, says: tuple[str, ...], tmp_path: Path
) -> None:
    text = refused(case, tmp_path)
    assert [part for part in says if part not in text] == [], text


def test_the_gate_of_a_float_input_is_what_the_model_can_convert(tmp_path: Path) -> None:
    case = loaded(EDGES, tmp_path)
    reach = float(np.float32(np.float32(1 / 100) * 2.0**30))
    assert (case.gate.minimum, case.gate.maximum) == (-reach, reach)
    assert case.window.dtype == "float32"
    assert not case.model.all_float


@pytest.mark.parametrize("name", ["int32 output", "uint8 to uint8", "int16 to float32"])
def test_the_gate_of_integers_is_their_range(name: str, tmp_path: Path) -> None:
    case = loaded(CASES[name], tmp_path)
    element = case.model.input.element
    assert (case.gate.minimum, case.gate.maximum) == (element.low, element.high)


def test_a_float_model_is_one_under_test_when_the_case_says_so(tmp_path: Path) -> None:
    case = loaded(FLOAT_MODEL, tmp_path)
    assert case.model.all_float
    assert (case.contracts.lsb, case.contracts.tolerance) == (0, 1e-5)


def test_a_model_that_only_converts_is_not_taken_for_a_float_one(tmp_path: Path) -> None:
    case = loaded(TypedCase(converted(FLOAT, ("QUANTIZE", INT8)), reals(0, 1)), tmp_path)
    assert not case.model.all_float
