"""A byte of a model is told by what lies there: the values of a tensor and who reads them, or the file's structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.model.place import place_in

FILE = Path(__file__).resolve().parents[2] / "golden_vectors" / "imu_motion" / "model_int8.tflite"
DATA = FILE.read_bytes()
MODEL = schema.ModelT.InitFromObj(schema.Model.GetRootAs(DATA, 0))
GRAPH = MODEL.subgraphs[0]


def constants() -> list[int]:
    """Tensors whose values stand in the file, once."""
    with_values = [index for index, tensor in enumerate(GRAPH.tensors) if MODEL.buffers[tensor.buffer].data is not None]
    return [index for index in with_values if DATA.count(values(index)) == 1]


def values(index: int) -> bytes:
    return np.asarray(MODEL.buffers[GRAPH.tensors[index].buffer].data, np.uint8).tobytes()


@pytest.mark.parametrize("index", constants())
def test_the_first_and_the_last_byte_of_a_tensor_are_its_own(index: int) -> None:
    start, size = DATA.index(values(index)), len(values(index))
    name = GRAPH.tensors[index].name.decode()
    for at in (0, size - 1):
        assert place_in(DATA, start + at).startswith(f"byte {at:,} of the values of tensor {name!r}, input ")
    readers = [place for place, operator in enumerate(GRAPH.operators) if index in operator.inputs]
    assert f" of operator {readers[0]} " in place_in(DATA, start)


def test_what_is_no_tensors_is_the_structure_of_the_file() -> None:
    assert place_in(DATA, 0) == "the structure of the file: names, shapes, scales or options"


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_a_damaged_file_is_told_as_one(data: bytes, offset: int) -> None:
    assert place_in(data, offset)
