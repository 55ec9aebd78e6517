"""What a model keeps lasts from row to row of a request, and to the next request, until a row is fresh."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.interpreter.process import InterpreterProcess

sys.path.insert(0, str(Path(__file__).parents[1]))
from state_cases import streaming_model, windows

SHARED = Path(__file__).parents[3] / "shared" / "data" / "public_models"
Run = Callable[[list[bool]], np.ndarray]


def runner(process: InterpreterProcess, interpreter: str, model: bytes, tensors: np.ndarray) -> Run:
    options: dict[str, Any] = {"arena_bytes": 1 << 22} if interpreter == "tflm" else {}
    process.ask(f"open_{interpreter}", {"model": model, **options})

    def run(fresh: list[bool]) -> np.ndarray:
        outputs: np.ndarray = process.ask(f"run_{interpreter}", {"tensors": tensors, "fresh": np.array(fresh)})[
            "outputs"
        ]
        return outputs

    return run


def models() -> list[Any]:
    variables = pytest.param(streaming_model, windows()[:6], id="variable_tensors")
    file = SHARED / "mww_v2_vad.tflite"
    missing = pytest.mark.skipif(not file.is_file(), reason="no ../shared/data/public_models beside the project")
    values = np.random.default_rng(2).integers(-128, 128, (6, 3 * 40)).astype(np.int8)
    return [variables, pytest.param(file.read_bytes, values, id="resource_variables", marks=missing)]


@pytest.mark.parametrize("interpreter", ["tflm", "litert"])
@pytest.mark.parametrize(("model", "tensors"), models())
def test_state_lasts_until_a_row_is_fresh(interpreter: str, model: Callable[[], bytes], tensors: np.ndarray) -> None:
    process = InterpreterProcess()
    try:
        run = runner(process, interpreter, model(), tensors)
        stream = run([True] + [False] * 5)
        assert (run([True] + [False] * 5) == stream).all()
        assert (run([False] * 6)[:3] != stream[:3]).any()
        alone = run([True] * 6)
        assert (alone[0] == stream[0]).all()
        assert (alone[1:] != stream[1:]).any()
        halves = run([True, False, False, True, False, False])
        assert (halves[:3] == stream[:3]).all()
        assert (halves[3] == alone[3]).all()
    finally:
        process.close()
