"""What `hil model inspect` tells of a bare model: costs that were counted by hand or published, and what led to a
refusal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from state_cases import streaming_model
from tflite_builder import ModelBuilder, dense_model, float_model

from hil.cli import EXIT_PIPE, main
from hil.errors import CaseError
from hil.model.graph import read_graph
from hil.model.inspect.facts import ModelFacts, inspect
from hil.model.inspect.text import WIDTH, lines
from hil.model.inspect.work import live_bytes, macs

SHARED = Path(__file__).parents[3] / "shared/data"
MOTION = Path(__file__).parents[2] / "golden_vectors/imu_motion/model_int8.tflite"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no {name} in ../shared/data beside the project")
    return path


def facts_of(data: bytes, folder: Path) -> ModelFacts:
    (folder / "model.tflite").write_bytes(data)
    return inspect(folder / "model.tflite")


def hundred_operators() -> bytes:
    m = ModelBuilder()
    first = here = m.tensor("x", (1, 4, 4, 2))
    for index in range(100):
        there = m.tensor(f"a/tensor/with/a/long/name/as/keras/writes/them/{index}" * 3, (1, 4, 4, 2))
        w = m.tensor(f"w{index}", (1, 3, 3, 2), scale=[0.01, 0.02], data=np.ones((1, 3, 3, 2)))
        m.operator("DEPTHWISE_CONV_2D", [here, w, -1], [there])
        here = there
    return m.build([first], [here])


def test_what_keeps_state_is_told(tmp_path: Path) -> None:
    facts = facts_of(streaming_model(), tmp_path)
    assert facts.state == ("operator 0 SVDF (tensor 4, INT16 [1, 32])",)
    assert "state     kept by operator 0 SVDF (tensor 4, INT16 [1, 32])" in list(lines(facts))
    assert facts_of(dense_model(), tmp_path).state == ()
    resources = inspect(shared("public_models/mww_v2_vad.tflite")).state
    assert len(resources) > 1
    assert all("VAR_HANDLE (a resource variable)" in each for each in resources)


# ---- costs


def test_a_layer_costs_what_counting_says(tmp_path: Path) -> None:
    facts = facts_of(dense_model(inputs=8, outputs=4), tmp_path)
    assert [(each.macs, each.parameters) for each in facts.operators] == [(32, 36)]
    assert (facts.macs, facts.parameters, facts.arena.live) == (32, 36, 12)


def test_the_costs_of_mlperf_tinys_keyword_model() -> None:
    """DS-CNN of MLPerf Tiny: 25 x 5 x 64 outputs of a 10 x 4 convolution, four times 3 x 3 depthwise and 64 x 64
    pointwise, and 64 x 12; batch normalisation is folded into 64 biases a layer.
    """
    facts = inspect(shared("mlperf_tiny/models/kws_ref_model.tflite"))
    pixels = 25 * 5
    assert facts.macs == pixels * 64 * 40 + 4 * (pixels * 64 * 9 + pixels * 64 * 64) + 64 * 12
    assert facts.parameters == 64 * 41 + 4 * (64 * 10 + 64 * 65) + 12 * 65
    assert facts.arena.wheel == 24_272  # as the wheel's recording allocator prints it
    assert facts.arena.live == 2 * pixels * 64


def test_shared_weights_count_once(tmp_path: Path) -> None:
    m = ModelBuilder()
    x, y, z = m.tensor("x", (1, 4)), m.tensor("y", (1, 4)), m.tensor("z", (1, 4))
    w = m.tensor("w", (4, 4), scale=0.01, data=np.ones((4, 4)))
    m.operator("FULLY_CONNECTED", [x, w, -1], [y]).operator("FULLY_CONNECTED", [y, w, -1], [z])
    facts = facts_of(m.build([x], [z]), tmp_path)
    assert [each.parameters for each in facts.operators] == [16, 0]
    assert facts.macs == 32


def test_a_tensor_lives_until_it_is_last_read() -> None:
    """x and y while y is made, x, y and z while x is added to y, never the constant."""
    m = ModelBuilder()
    x, y, z = m.tensor("x", (1, 16)), m.tensor("y", (1, 16)), m.tensor("z", (1, 16))
    c = m.tensor("c", (1, 16), data=np.ones(16))
    m.operator("ADD", [x, c], [y]).operator("ADD", [x, y], [z])
    graph = read_graph(m.build([x], [z]), Path("m"))
    assert live_bytes(graph, [tensor.elements for tensor in graph.tensors]) == 48


@pytest.mark.parametrize("name", ["CONV_2D", "FULLY_CONNECTED", "SVDF", "TRANSPOSE_CONV", "ADD"])
def test_an_operator_with_nothing_to_count_costs_nothing(name: str) -> None:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    graph = read_graph(m.operator(name, [x], [y]).build([x], [y]), Path("m"))
    assert macs(graph, graph.operators[0]) == 0


# ---- what led to a refusal


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("cnn_f32io", "inference_input_type, inference_output_type are not set"),
        ("cnn_u8io", "inference_input_type or inference_output_type = tf.uint8"),
        ("cnn_int16x8", "ACTIVATIONS_INT16_WEIGHTS_INT8"),
        ("mlp_default", "Dense weights are quantised per channel by default"),
        ("cnn_default", "tf.keras.Input(shape=...) leaves the batch open"),
    ],
)
def test_the_settings_of_a_keras_model_are_told(name: str, setting: str) -> None:
    found = inspect(shared(f"keras_2_21/{name}.tflite"))
    assert any(setting in each.setting for each in found.settings)


def test_settings_that_somebody_chose_are_not_told_of_a_model_without_them() -> None:
    assert inspect(shared("keras_2_21/cnn_batch1.tflite")).settings == ()


def test_a_refusal_names_the_setting_that_led_to_it(tmp_path: Path) -> None:
    facts = facts_of(dense_model(weight_type="INT8", activations="FLOAT32"), tmp_path)
    hybrid = next(each for each in facts.engines[0].refusals if "hybrid" in each.problem)
    assert not facts.accepted
    assert [setting.startswith("converter.optimizations without") for setting in hybrid.settings] == [True]


def test_a_float_model_was_not_quantised(tmp_path: Path) -> None:
    (setting,) = facts_of(float_model(), tmp_path).settings
    assert setting.setting == "converter.optimizations is not set: nothing is quantised"


# ---- the command


def test_a_model_that_runs_ends_with_0_and_one_that_is_refused_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "inspect", str(MOTION)]) == 0
    assert "runs it" in capsys.readouterr().out
    (tmp_path / "hybrid.tflite").write_bytes(dense_model(activations="FLOAT32"))
    assert main(["model", "inspect", str(tmp_path / "hybrid.tflite")]) == 1
    assert "led to by: converter.optimizations without a representative_dataset" in capsys.readouterr().out


def test_json_has_the_facts_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    main(["model", "inspect", "--json", str(MOTION)])
    found = json.loads(capsys.readouterr().out)
    facts = inspect(MOTION)
    assert found == json.loads(json.dumps(facts.document()))
    text = "\n".join(lines(facts))
    for operator in found["operators"]:
        assert f"{operator['index']:>4} {operator['name']}" in text
    assert f"{found['macs']:,} MACs" in " ".join(text.split())


def test_a_model_of_a_hundred_operators_fits_the_terminal_and_loses_nothing(tmp_path: Path) -> None:
    facts = facts_of(hundred_operators(), tmp_path)
    text = list(lines(facts))
    assert max(map(len, text)) <= WIDTH
    assert sum("-> " in line for line in text) == 100
    assert sum("per channel, 2 scales 0.01 to 0.02" in line for line in text) == 100
    assert "kinds: 100 DEPTHWISE_CONV_2D (100 % of the MACs)" in text


def test_a_model_that_the_wheel_does_not_take_is_told_all_the_same(tmp_path: Path) -> None:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    facts = facts_of(m.operator("CUSTOM", [x], [y], custom="Mine").build([x], [y]), tmp_path)
    assert facts.arena.wheel is None
    assert "CUSTOM" in facts.arena.refusal
    assert any("the tflite-micro wheel does not take the model" in line for line in lines(facts))


def test_what_is_no_model_is_an_error_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="cannot be read"):
        inspect(tmp_path / "none.tflite")


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_stack(tmp_path: Path) -> None:
    """As `head` does. The exit code is that of a broken pipe, so that no verdict is made of it."""
    (tmp_path / "model.tflite").write_bytes(hundred_operators())
    command = [sys.executable, "-m", "hil.cli", "model", "inspect", str(tmp_path / "model.tflite")]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (EXIT_PIPE, "")
