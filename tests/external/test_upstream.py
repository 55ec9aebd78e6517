"""The engine over today's TFLM, with a library that somebody built: HIL_TFLM_LIBRARY and HIL_TFLM_INCLUDE name it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from test_mlperf_tiny import SHARED, broken, write_case

from hil.board.config import kind_module, load_board
from hil.case.load import load_case
from hil.contract.types import Evidence
from hil.image.build import build
from hil.image.elf import Image
from hil.image.tflm import UPSTREAM_SYMBOL
from hil.model.kernels.upstream import UPSTREAM
from hil.session import run_case

PROJECT = Path(__file__).resolve().parents[2]
PUBLIC = SHARED.parent / "public_models"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("HIL_TFLM_LIBRARY"), reason="HIL_TFLM_LIBRARY is not set: no TFLM to link"),
    pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/mlperf_tiny beside the project"),
]


def image(folder: Path) -> Image:
    config = load_board("qemu", [PROJECT / "boards"])
    tflm = config.model_copy(update={"options": {**config.options, "hil-tflm": "upstream"}}).built_with()
    return Image(build(config.target, PROJECT, log=folder / "build.log", tflm=tflm))


def run(case_file: Path, folder: Path) -> Evidence:
    config, built = load_board("qemu", [PROJECT / "boards"]), image(folder)
    with kind_module(config).open_board(config, folder / "board.log") as board:
        return run_case(load_case(case_file, UPSTREAM), board, built).evidence


def kws(count: int, folder: Path, arena_bytes: int = 36_864) -> Evidence:
    data = np.load(SHARED / "kws" / "kws_200.npz")
    expected = data["board_output"][:count]
    return run(write_case(folder, "kws_ref_model.tflite", data["input"][:count], arena_bytes, expected), folder)


def test_the_image_says_whose_kernels_it_has(tmp_path: Path) -> None:
    evidence = kws(2, tmp_path)
    assert evidence.hello.kernels.startswith("TFLM upstream (")
    assert image(tmp_path).has_symbol(UPSTREAM_SYMBOL)


def test_kws_equals_the_physical_board_on_the_first_windows_and_times_each_operator(tmp_path: Path) -> None:
    evidence = kws(8, tmp_path)
    assert broken(evidence) == []
    assert np.array_equal(evidence.records.output, evidence.case.vectors.expected_output.reshape(8, -1))


@pytest.mark.slow
def test_all_200_kws_outputs_equal_what_the_physical_nucleo_l4r5zi_printed(tmp_path: Path) -> None:
    evidence = kws(200, tmp_path)
    printed = np.load(SHARED / "kws" / "kws_200.npz")["board_output"]
    assert np.array_equal(evidence.records.output, printed.reshape(200, -1))
    assert broken(evidence) == []


def test_an_arena_that_is_too_small_is_refused_with_what_the_model_needs(tmp_path: Path) -> None:
    evidence = kws(2, tmp_path, arena_bytes=16_384)
    (finding,) = (text for text in broken(evidence) if "execution.arena" in text)
    assert "22," in finding


@pytest.mark.slow
@pytest.mark.skipif(not PUBLIC.is_dir(), reason="no ../shared/data/public_models beside the project")
@pytest.mark.parametrize("name", ["tinymaix_mnist_arduino_q", "arduino_magic_wand", "petewarden_magic_wand"])
def test_models_that_the_kernels_of_2020_lack_equal_the_oracle(tmp_path: Path, name: str) -> None:
    shape = (28, 28, 1) if "mnist" in name else (32, 32, 3)
    windows = np.random.default_rng(7).integers(-128, 128, (4, *shape), np.int8)
    evidence = run(write_case(tmp_path, str(PUBLIC / f"{name}.tflite"), windows, 200_000), tmp_path)
    assert np.array_equal(evidence.records.output, evidence.references.output)
    assert broken(evidence) == []
