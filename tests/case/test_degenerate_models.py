"""Models in which something is plainly impossible are refused with operator and tensor; what is only odd is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_builder import dense_model

from hil.errors import CaseError
from hil.model.check import check_float_model, check_model
from hil.model.tflite import parse_model

sys.path.insert(0, str(Path(__file__).parents[1]))

from model_edit import read_model, write_model

FILE = Path("folder/model.tflite")
IMU = Path(__file__).parents[2] / "golden_vectors" / "imu_motion"
OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX")
WEIGHTED = (0, 1, 2, 4)
HUGE = 2**31 - 1
Edit = Callable[[Any], None]


def edited(edit: Edit) -> bytes:
    """imu_motion's int8 model; `edit` is given the whole model object."""
    model = read_model((IMU / "model_int8.tflite").read_bytes())
    edit(model)
    return write_model(model)


def tensor_of(model: Any, operator: int, side: str, position: int) -> Any:
    """side: inputs or outputs."""
    graph = model.subgraphs[0]
    return graph.tensors[getattr(graph.operators[operator], side)[position]]


def scales(operator: int, side: str, position: int, value: float, channel: int | None = None) -> Edit:
    def edit(model: Any) -> None:
        quantisation = tensor_of(model, operator, side, position).quantization
        values = list(quantisation.scale)
        places = range(len(values)) if channel is None else [channel]
        quantisation.scale = [value if place in places else old for place, old in enumerate(values)]

    return edit


def shape(operator: int, side: str, position: int, change: Callable[[list[int]], list[int]]) -> Edit:
    def edit(model: Any) -> None:
        tensor = tensor_of(model, operator, side, position)
        tensor.shape = change(list(tensor.shape))

    return edit


def data(operator: int, position: int, value: Callable[[int], Any]) -> Edit:
    def edit(model: Any) -> None:
        buffer = model.buffers[tensor_of(model, operator, "inputs", position).buffer]
        buffer.data = value(len(buffer.data))

    return edit


def inputs(operator: int, change: Callable[[list[int]], list[int]]) -> Edit:
    def edit(model: Any) -> None:
        node = model.subgraphs[0].operators[operator]
        node.inputs = change(list(node.inputs))

    return edit


def refusal(model: bytes) -> str:
    with pytest.raises(CaseError) as caught:
        check_model(model, FILE)
    assert caught.value.file == FILE
    assert caught.value.fix
    return str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.25, -float("inf")])
@pytest.mark.parametrize("operator", range(5))
def test_a_scale_that_is_no_size_is_refused(operator: int, value: float) -> None:
    text = refusal(edited(scales(operator, "outputs", 0, value)))
    assert f"operator {operator} {OPERATORS[operator]}: tensor 'sequential_1_1/" in text
    assert f"has the scale {value:g}" in text


@pytest.mark.parametrize("operator", WEIGHTED)
def test_a_scale_that_is_no_size_is_refused_in_one_channel_of_weights_and_bias(operator: int) -> None:
    channels = 1 if OPERATORS[operator] == "FULLY_CONNECTED" else 16
    where = f" in channel {channels - 1}" if channels > 1 else ""
    for position in (1, 2):
        text = refusal(edited(scales(operator, "inputs", position, float("nan"), channels - 1)))
        assert f"operator {operator} {OPERATORS[operator]}: tensor" in text
        assert f"has the scale nan{where}" in text


@pytest.mark.parametrize(
    ("operator", "side", "position"), [(0, "outputs", 0), (4, "outputs", 0), (4, "inputs", 1), (1, "inputs", 1)]
)
def test_a_scale_of_zero_is_refused_where_there_are_values(operator: int, side: str, position: int) -> None:
    text = refusal(edited(scales(operator, side, position, 0.0)))
    assert f"operator {operator} {OPERATORS[operator]}: tensor" in text
    assert "has the scale 0, and other values than zero" in text


@pytest.mark.parametrize("operator", WEIGHTED)
def test_weights_that_are_all_zero_are_legal(operator: int) -> None:
    check_model(edited(data(operator, 1, lambda size: np.zeros(size, np.uint8))), FILE)


def test_zero_weights_may_have_a_scale_of_zero_and_so_may_one_channel() -> None:
    def edit(model: Any) -> None:
        data(4, 1, lambda size: np.zeros(size, np.uint8))(model)
        scales(4, "inputs", 1, 0.0)(model)
        scales(2, "inputs", 1, 0.0, channel=3)(model)

    check_model(edited(edit), FILE)


@pytest.mark.parametrize("operator", range(6))
def test_a_huge_dimension_is_refused_with_its_bytes(operator: int) -> None:
    text = refusal(edited(shape(operator, "outputs", 0, lambda old: [*old[:-1], HUGE])))
    assert f"operator {operator} {OPERATORS[operator]}: tensor" in text
    assert "bytes, more than any microcontroller has" in text


def test_a_product_of_dimensions_is_never_cut_to_32_bits() -> None:
    """Four times 65536 is 2^64, which is 0 in every integer of a kernel."""
    text = refusal(edited(shape(2, "outputs", 0, lambda old: [65536] * len(old))))
    assert "18,446,744,073,709,551,616 bytes" in text


@pytest.mark.parametrize("size", [0, -5])
def test_a_dimension_that_holds_nothing_is_refused(size: int) -> None:
    text = refusal(edited(shape(1, "outputs", 0, lambda old: [*old[:-1], size])))
    assert "operator 1 DEPTHWISE_CONV_2D: tensor" in text
    assert "which holds nothing" in text


@pytest.mark.parametrize("wrong", [3, 0, HUGE])
def test_data_that_does_not_fill_the_shape_is_refused(wrong: int) -> None:
    text = refusal(edited(shape(4, "inputs", 2, lambda _: [wrong])))
    assert "operator 4 FULLY_CONNECTED: tensor" in text
    assert "16 bytes of data" in text or "more than any microcontroller" in text


@pytest.mark.parametrize("operator", WEIGHTED)
@pytest.mark.parametrize("position", [1, 2])
def test_an_empty_buffer_is_refused(operator: int, position: int) -> None:
    text = refusal(edited(data(operator, position, lambda _: None)))
    assert f"operator {operator} {OPERATORS[operator]}: it reads tensor" in text
    assert "which has no data and which no operator before it writes" in text


@pytest.mark.parametrize("operator", range(6))
def test_an_operator_without_inputs_is_refused(operator: int) -> None:
    text = refusal(edited(inputs(operator, lambda _: [])))
    assert f"operator {operator} {OPERATORS[operator]}: it has 0 of its" in text


@pytest.mark.parametrize("operator", WEIGHTED)
def test_an_operator_without_weights_is_refused_and_without_bias_is_not(operator: int) -> None:
    name = f"operator {operator} {OPERATORS[operator]}"
    assert f"{name}: it has 1 of its 2 inputs" in refusal(edited(inputs(operator, lambda old: old[:1])))
    left_out = refusal(edited(inputs(operator, lambda old: [old[0], -1, old[2]])))
    assert f"{name}: its input 1 is left out" in left_out
    check_model(edited(inputs(operator, lambda old: [*old[:2], -1])), FILE)


def test_an_operator_without_outputs_is_refused() -> None:
    def edit(model: Any) -> None:
        model.subgraphs[0].operators[3].outputs = []

    assert "operator 3 AVERAGE_POOL_2D: it has no output" in refusal(edited(edit))


def test_an_output_that_nobody_writes_is_refused() -> None:
    def edit(model: Any) -> None:
        del model.subgraphs[0].operators[-1]

    assert "output tensor 'StatefulPartitionedCall_1:0': no operator writes it" in refusal(edited(edit))


def test_operators_in_the_wrong_order_are_refused() -> None:
    def edit(model: Any) -> None:
        operators = model.subgraphs[0].operators
        operators[2], operators[3] = operators[3], operators[2]

    assert "operator 2 AVERAGE_POOL_2D: it reads tensor" in refusal(edited(edit))


def test_a_float_reference_is_held_to_the_same() -> None:
    int8 = parse_model((IMU / "model_int8.tflite").read_bytes(), FILE)
    model = read_model((IMU / "model_float.tflite").read_bytes())
    tensor_of(model, 0, "outputs", 0).shape = [1, HUGE, HUGE, 16]
    with pytest.raises(CaseError, match="more than any microcontroller has"):
        check_float_model(write_model(model), FILE, int8)


def test_a_sound_model_passes() -> None:
    check_model(dense_model(), FILE)
    check_model((IMU / "model_int8.tflite").read_bytes(), FILE)
