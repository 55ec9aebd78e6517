"""What a refusal says of a model with many faults, and what is told of sizes and of encoded weights before anything
starts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from model_edit import read_model, write_model
from tflite_builder import ModelBuilder, dense_model

from hil.errors import CaseError
from hil.model.check import check_model, faults_of
from hil.model.faults import MOST_SHOWN, gathered, kinds
from hil.problems import Problem

FILE = Path("folder/model.tflite")


def refusal(data: bytes) -> str:
    with pytest.raises(CaseError) as caught:
        check_model(data, FILE)
    return str(caught.value)


def operator(index: int, name: str, problem: str, fix: str) -> Problem:
    return Problem(f"operator {index} {name}", problem, fix)


# ---- many faults


def test_faults_of_many_operators_of_one_kind_are_one_line() -> None:
    found = [operator(index, "VAR_HANDLE", "the firmware's TFLM has no VAR_HANDLE", "f") for index in range(3, 19)]
    assert gathered(found, FILE) == [
        Problem("VAR_HANDLE", "16 operators, first is 3: the firmware's TFLM has no VAR_HANDLE", "f")
    ]


def test_names_and_numbers_make_no_other_kind_and_types_do() -> None:
    texts = [
        "the firmware's TFLM has no MUL of {} (tensor {!r}) with {} scales".format(*each)
        for each in (("INT8", "a/b", 4), ("INT8", "it's", 16), ("INT16", "a/b", 4))
    ]
    found = kinds([operator(index, "MUL", text, "f") for index, text in enumerate(texts)])
    assert [kind.operators for kind in found] == [(0, 1), (2,)]


def test_the_fix_that_cures_most_comes_first_and_what_it_cures_stands_together() -> None:
    found = [
        operator(0, "A", "one", "small"),
        operator(1, "B", "two", "big"),
        operator(2, "C", "three", "small"),
        operator(3, "B", "two", "big"),
        operator(4, "D", "four", "big"),
    ]
    assert [each.where for each in gathered(found, FILE)] == ["B", "operator 4 D", "operator 0 A", "operator 2 C"]


def test_what_is_wrong_with_the_whole_file_comes_before_all() -> None:
    found = [operator(0, "A", "x", "f"), operator(1, "A", "x", "f"), Problem("flatbuffer", "misaligned", "align")]
    assert gathered(found, FILE)[0].where == "flatbuffer"


def test_the_rest_is_counted() -> None:
    found = [
        operator(index, f"OP_{chr(65 + index)}", f"fault {chr(65 + index)}", "f") for index in range(MOST_SHOWN + 4)
    ]
    lines = gathered([*found, *(operator(90 + i, "OP_L", "fault L", "f") for i in range(5))], FILE)
    assert len(lines) == MOST_SHOWN + 1
    assert lines[-1].problem == "4 more kinds of fault, 9 in all"
    assert lines[-1].fix.endswith("hil model inspect folder/model.tflite")


def test_two_faults_of_one_operator_are_counted_and_not_called_two_operators() -> None:
    found = [operator(3, "ADD", f"tensor {name!r} has no quantisation", "f") for name in ("a", "b")]
    (line,) = gathered(found, FILE)
    assert (line.where, line.problem) == ("operator 3 ADD", "tensor 'a' has no quantisation; and 1 more like it")


def test_a_refusal_of_a_whole_model_has_a_line_for_each_kind() -> None:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    for _ in range(3):
        m.operator("ADD", [x, x], [y])
    for index in range(16):
        m.operator("VAR_HANDLE", [x], [m.tensor(f"state{index}", (1, 4))])
    text = refusal(m.build([x], [y]))
    assert text.count("VAR_HANDLE: ") == 1
    assert "VAR_HANDLE: 16 operators, first is 3: " in text


# ---- sizes


def reshape(shape: tuple[int, ...], wanted: list[int], output: tuple[int, ...]) -> bytes:
    m = ModelBuilder()
    x, y, z = m.tensor("x", (1, 8)), m.tensor("y", shape), m.tensor("z", output)
    size = m.tensor("size", (len(wanted),), "INT32", None, data=np.array(wanted))
    m.operator("RESHAPE", [x], [y])
    return m.operator("RESHAPE", [y, size], [z]).build([x], [z])


def expand(axis: int, output: tuple[int, ...]) -> list[Problem]:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 8)), m.tensor("y", output)
    at = m.tensor("axis", (), "INT32", None, data=np.array(axis))
    data = m.operator("EXPAND_DIMS", [x, at], [y]).build([x], [y])
    return [each for each in faults_of(data, FILE) if "TFLM" not in each.problem]


@pytest.mark.parametrize("wanted", [[1, 4, 2], [-1, 4, 2], [1, -1, 2], [1, 4, -1]])
def test_one_open_size_of_a_reshape_is_filled_in(wanted: list[int]) -> None:
    check_model(reshape((1, 2, 4), wanted, (1, 4, 2)), FILE)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (reshape((1, 8), [-1, 3], (1, 9)), "it turns [1, 8], 8 values, into [1, 9], 9"),
        (reshape((1, 8), [-1, -1], (1, 8)), "it asks for the shape [-1, -1]: one size at most may be open"),
        (reshape((1, 8), [1, -8], (1, 8)), "it asks for the shape [1, -8]: one size at most may be open"),
        (reshape((1, 8), [-1, 3], (1, 8)), "it asks for the shape [-1, 3], and its output has the shape [1, 8]"),
        (reshape((1, 8), [2, 4], (1, 8)), "it asks for the shape [2, 4], and its output has the shape [1, 8]"),
        (
            reshape((1, -1), [1, 8], (1, 8)),
            "has the shape [1, -1], which holds nothing, and TFLM would plan memory for",
        ),
        (reshape((1, 0), [1, 8], (1, 8)), "has the shape [1, 0], which holds nothing"),
    ],
)
def test_sizes_that_cannot_be_planned_are_refused(data: bytes, said: str) -> None:
    assert said in refusal(data)


@pytest.mark.parametrize(
    ("axis", "output", "said"),
    [
        (2, (1, 8, 1), ""),
        (-1, (1, 8, 1), ""),
        (-3, (1, 1, 8), ""),
        (3, (1, 8, 1), "its axis is 3, the tensor [1, 8] takes -3 to 2"),
        (-4, (1, 8, 1), "its axis is -4"),
        (0, (1, 8, 1), "axis 0 makes [1, 1, 8] of [1, 8], its output has [1, 8, 1]"),
    ],
)
def test_the_axis_of_expand_dims(axis: int, output: tuple[int, ...], said: str) -> None:
    found = expand(axis, output)
    assert [each.problem.startswith(said) for each in found] == ([True] if said else [])


# ---- encoded weights


def with_metadata(name: bytes) -> bytes:
    model = read_model(dense_model())
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, 0
    model.metadata = [entry]
    return write_model(model)


def test_compressed_weights_are_refused_with_the_reason() -> None:
    text = refusal(with_metadata(b"COMPRESSION_METADATA"))
    assert "metadata: COMPRESSION_METADATA: its weights are stored as indices into tables" in text
    assert "fix: take the model as it was before tflite-micro's compression tool" in text


def test_other_metadata_changes_nothing() -> None:
    check_model(with_metadata(b"min_runtime_version"), FILE)


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("TFLM_DECODE", "before tflite-micro's compression tool"),
        ("FlexErf", "SELECT_TF_OPS"),
        ("ethos-u", "Vela"),
        ("SignalWindow", "audio front end"),
        ("Mine", "allow_custom_ops = False"),
    ],
)
def test_a_custom_operator_is_told_with_where_it_comes_from(code: str, cure: str) -> None:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    text = refusal(m.operator("CUSTOM", [x], [y], custom=code).build([x], [y]))
    assert repr(code) in text
    assert cure in text
