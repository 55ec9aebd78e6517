"""References of models with several tensors: each of them is what the interpreter says of it, by its name."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from several_tensors import REFUSED, N, several_model, several_windows, write_several
from tflite_builder import ModelBuilder

from hil.case.load import load_case
from hil.case.types import Case
from hil.model.tflite import parse_model
from hil.records import GateReason
from hil.reference import compute
from hil.tensor import Quantisation, TensorContract, paired


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return load_case(write_several(tmp_path))


def test_every_tensor_is_what_the_wheel_says(case: Case) -> None:
    from tflite_micro import runtime

    found, windows = compute(case), several_windows()
    interpreter = runtime.Interpreter.from_bytes(case.model.data, arena_size=1 << 16)
    right = np.clip(np.floor(windows["windows.right"] * 4.0 + 0.5) - 5, -128, 127).astype(np.int8).reshape(N, 4)
    assert found.gate.tolist() == [GateReason.RANGE if row == REFUSED else GateReason.VALID for row in range(N)]
    for row in (row for row in range(N) if row != REFUSED):
        interpreter.set_input(windows["windows.left"][row].reshape(1, 8), 0)
        interpreter.set_input(right[row].reshape(1, 4), 1)
        interpreter.invoke()
        assert found.outputs[0].output[row].tolist() == interpreter.get_output(0).ravel().tolist()
        assert found.output[row].tolist() == interpreter.get_output(1).ravel().tolist()
        assert found.inputs[0].digest[row] == zlib.crc32(right[row].tobytes())
        assert found.digest[row] == zlib.crc32(windows["windows.left"][row].tobytes())
    assert not found.inputs[0].prepared[REFUSED].any()
    assert found.winner[REFUSED] == -1


def test_the_order_of_the_models_outputs_does_not_matter(case: Case, tmp_path: Path) -> None:
    turned = load_case(write_several(tmp_path / "turned", several_model(outputs=("scores", "level"))))
    one, other = compute(case), compute(turned)
    np.testing.assert_array_equal(one.output, other.output)
    np.testing.assert_array_equal(one.outputs[0].output, other.outputs[0].output)


def test_a_float_model_is_asked_by_the_names_of_its_tensors(case: Case) -> None:
    """It gives the outputs, and takes the inputs, in another order than the model under test."""
    m = ModelBuilder()
    right, left = m.tensor("right", (1, 4), "FLOAT32", None), m.tensor("left", (1, 8), "FLOAT32", None)
    level, scores = m.tensor("level", (1, 4), "FLOAT32", None), m.tensor("scores", (1, 4), "FLOAT32", None)
    begin, size = (
        m.tensor(name, (2,), "INT32", None, data=np.array(values)) for name, values in (("b", [0, 0]), ("s", [1, 4]))
    )
    m.operator("SLICE", [left, begin, size], [scores])
    data = m.operator("ABS", [right], [level]).build([right, left], [scores, level])
    judged = replace(case, float_model=parse_model(data, Path("float.tflite")))
    found, windows = compute(judged), several_windows()
    assert found.float_chain is not None
    assert found.outputs[0].float_chain is not None
    assert found.outputs[0].float_output is not None
    np.testing.assert_array_equal(found.outputs[0].float_chain[0], np.abs(windows["windows.right"][0].ravel()))
    quantised = (found.inputs[0].prepared[0].astype(np.float32) + 5) * np.float32(0.25)
    np.testing.assert_array_equal(found.outputs[0].float_output[0], np.abs(quantised))
    left_real = (windows["windows.left"][0, :4].astype(np.float32) - 3) * np.float32(0.5)
    np.testing.assert_array_equal(found.float_chain[0], left_real)


def test_tensors_are_paired_by_name_and_else_by_order() -> None:
    def tensors(*names: str) -> list[TensorContract]:
        return [TensorContract("INT8", (1, 4), Quantisation(0.5, 0), 4, name) for name in names]

    assert paired(tensors("a", "b", "c"), tensors("c", "a", "b")) == (1, 2, 0)
    assert paired(tensors("a", "b"), tensors("x", "a")) == (0, 1)
