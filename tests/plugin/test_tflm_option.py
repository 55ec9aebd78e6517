"""`--hil-tflm` as a user meets it: what is missing or wrong is told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness_process import USAGE_ERROR, run_harness
from native_session import CaseFolder
from tflm_libraries import M4, make_headers, make_library


@pytest.fixture
def tflm(tmp_path: Path) -> Path:
    """A folder with a case, headers, and an Arm library with the soft float ABI, which does not do."""
    CaseFolder(tmp_path / "small", vectors=2)
    make_headers(tmp_path / "tflm")
    make_library(tmp_path / "library", flags=(*M4[:2], "-mfloat-abi=soft"))
    return tmp_path


@pytest.mark.slow
def test_a_missing_library_is_misuse(tflm: Path) -> None:
    finished = run_harness(tflm, "--hil-tflm=upstream", "--hil-tflm-include=tflm", "small", board="qemu")
    assert finished.code == USAGE_ERROR
    assert "no library is named" in finished.text
    assert not finished.out.exists()


def test_a_library_of_another_abi_is_misuse_with_the_flags_that_it_needs(tflm: Path) -> None:
    variables = {
        "HIL_TFLM": "upstream",
        "HIL_TFLM_INCLUDE": str(tflm / "tflm"),
        "HIL_TFLM_LIBRARY": str(tflm / "library" / "libtensorflow-microlite.a"),
    }
    finished = run_harness(tflm, "small", board="qemu", env=variables)
    assert finished.code == USAGE_ERROR
    assert "built with the soft float ABI, the firmware with the hard float ABI" in finished.text
    assert " ".join(M4) in finished.text
    assert "docs/upstream.md" in finished.text


@pytest.mark.slow
def test_an_unknown_engine_is_misuse(tflm: Path) -> None:
    finished = run_harness(tflm, "--hil-tflm=2019", "small", board="qemu")
    assert finished.code == USAGE_ERROR
    assert "'2019' is none of 2020, upstream" in finished.text
