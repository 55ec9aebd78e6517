"""Which models today's TFLM takes: the table of its kernels, and what a refusal for the kernels of 2020 says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil.errors import CaseError
from hil.model.check import check_model, kernels_of
from hil.model.fixes import UPSTREAM_FIX
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.kernels.tflm_2020 import TFLM_2020
from hil.model.kernels.upstream import UPSTREAM
from hil.problems import CaseProblemsError

PROJECT = Path(__file__).resolve().parents[2]
PUBLIC = PROJECT.parent / "shared" / "data" / "public_models"
KERAS = PROJECT.parent / "shared" / "data" / "keras_2_21"
needs_models = pytest.mark.skipif(not PUBLIC.is_dir(), reason="no ../shared/data/public_models beside the project")


def problems(file: Path, engine: str | KernelLibrary) -> dict[str, str]:
    """Where and fix of each fault."""
    kernels = kernels_of(engine) if isinstance(engine, str) else engine
    try:
        check_model(file.read_bytes(), file, kernels=kernels)
    except CaseProblemsError as error:
        return {each.where: each.fix for each in error.problems}
    except CaseError as error:
        return {error.where: error.fix}
    return {}


def test_the_table_and_the_resolver_have_the_same_operators() -> None:
    rows = (PROJECT / "firmware/tflm/upstream_operators.inc").read_text()
    builtin = set(re.findall(r"HIL_OPERATOR\((\w+), \w+, \w+\)", rows)) - {"CUSTOM"}
    assert builtin == UPSTREAM.operators


def test_each_engine_has_a_table_of_its_own() -> None:
    assert kernels_of("upstream") is UPSTREAM
    assert kernels_of("2020") is WITH_OWN


@needs_models
def test_what_only_todays_kernels_can_is_said_where_those_of_2020_refuse() -> None:
    file = PUBLIC / "tinymaix_mnist_arduino_q.tflite"
    refused = problems(file, TFLM_2020)
    assert any("MEAN" in where for where in refused)
    assert all(fix.endswith(UPSTREAM_FIX) for fix in refused.values())
    assert problems(file, "upstream") == problems(file, "2020") == {}


@needs_models
def test_what_neither_can_is_not_promised_of_todays() -> None:
    file = PUBLIC / "mlonmcu_CNN_2L_model_quantized.tflite"
    both = problems(file, "2020")
    for where in problems(file, "upstream"):
        assert UPSTREAM_FIX not in both.get(where, "")
    assert problems(file, "upstream")


@needs_models
@pytest.mark.parametrize("name", ["mww_v2_vad", "mww_v2_okay_nabu"])
def test_state_in_resource_variables_is_refused_for_nothing_but_its_ends(name: str) -> None:
    ends = {where.split()[0] for where in problems(PUBLIC / f"{name}.tflite", "upstream")}
    assert ends <= {"input", "output"}
    assert "subgraphs" in problems(PUBLIC / f"{name}.tflite", "2020")


@needs_models
def test_signal_operators_are_refused_by_those_of_2020_only() -> None:
    file = PUBLIC / "tflm_audio_preprocessor_int8.tflite"
    assert any("CUSTOM" in where for where in problems(file, "2020"))
    assert problems(file, "upstream") == {}


@needs_models
def test_an_lstm_is_in_order() -> None:
    assert problems(PUBLIC / "tflm_mnist_lstm_int8.tflite", "upstream") == {}


@pytest.mark.skipif(not KERAS.is_dir(), reason="no ../shared/data/keras_2_21 beside the project")
@pytest.mark.parametrize("name", ["mlp_default", "cnn_default", "cnn_batch1", "gap", "sepconv", "hardswish", "leaky"])
def test_what_tensorflow_2_21_writes_with_its_defaults_is_refused_for_nothing_but_its_ends(name: str) -> None:
    ends = {where.split()[0] for where in problems(KERAS / f"{name}.tflite", "upstream")}
    assert ends <= {"input", "output"}
