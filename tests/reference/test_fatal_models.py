"""Models that their interpreter does not survive: an error that names model and operator, and nothing else is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.case.types import Case, Prepare, Vectors, Window
from hil.errors import UsageError
from hil.interpreter.process import InterpreterProcess
from hil.reference import culprit
from hil.reference.compute import check_models
from hil.reference.float import FloatReference
from hil.reference.int8 import Int8Oracle
from hil.reference.job import ReferenceJob

sys.path.insert(0, str(Path(__file__).parents[1]))

from model_edit import read_model, write_model

DENSE, SOFTMAX = 4, 5  # operators of imu_motion, behind CONV_2D, DEPTHWISE_CONV_2D, CONV_2D and AVERAGE_POOL_2D
LARGE = 1 << 16  # four such dimensions make a product of 2^64
Edit = Callable[[Any], None]


def edited(folder: Path, edit: Edit) -> bytes:
    model = read_model((folder / "model_int8.tflite").read_bytes())
    edit(model.subgraphs[0])
    return write_model(model)


def dead_head(graph: Any) -> None:
    """The last Dense layer has only zeros, as a converter writes it: no bias, and an output scale of nearly nothing."""
    dense = graph.operators[DENSE]
    dense.inputs = [*dense.inputs[:2], -1]
    graph.tensors[dense.outputs[0]].quantization.scale = [7.84e-9]


def dead_model(folder: Path) -> bytes:
    model = read_model(edited(folder, dead_head))
    weights = model.subgraphs[0].tensors[model.subgraphs[0].operators[DENSE].inputs[1]]
    model.buffers[weights.buffer].data = np.zeros(len(model.buffers[weights.buffer].data), np.uint8)
    return write_model(model)


def large_output(operator: int) -> Edit:
    def edit(graph: Any) -> None:
        tensor = graph.tensors[graph.operators[operator].outputs[0]]
        tensor.shape = [LARGE] * len(tensor.shape)

    return edit


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    return str(caught.value)


def test_an_abort_while_the_model_is_set_up_names_model_operator_and_dead_layer(imu_folder: Path) -> None:
    text = error_of(lambda: Int8Oracle(dead_model(imu_folder), "cases/dead/model.tflite"))
    assert text.startswith(
        "cases/dead/model.tflite: operator 5 SOFTMAX: the int8 oracle (tflite-micro) was killed by SIGABRT while the "
    )
    assert "all weights are zero in operator 4 FULLY_CONNECTED (weights 'sequential_1_1/dense_1_1/MatMul')" in text
    assert "has the scale 7.84e-09" in text
    assert "\n  fix: train the model" in text


@pytest.mark.parametrize(
    ("operator", "name"),
    [(0, "CONV_2D"), (3, "AVERAGE_POOL_2D"), (4, "FULLY_CONNECTED")],
)
def test_a_crash_while_it_runs_names_the_operator(imu_folder: Path, operator: int, name: str) -> None:
    oracle = Int8Oracle(edited(imu_folder, large_output(operator)), "m.tflite")
    text = error_of(lambda: oracle.run(np.zeros((2, 240), np.int8)))
    assert text.startswith(
        f"m.tflite: operator {operator} {name}: the int8 oracle (tflite-micro) was killed by SIGSEGV"
    )
    assert "while the model ran" in text


@pytest.mark.slow
def test_a_hang_names_the_operator(imu_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that walks over 2^31 rows of weights does not end in a time that anybody waits."""

    def edit(graph: Any) -> None:
        graph.tensors[graph.operators[2].inputs[1]].shape = [16, 2**31 - 1, 1, 16]

    oracle = Int8Oracle(edited(imu_folder, edit), "m.tflite")
    monkeypatch.setattr(culprit, "TRIAL_S", 1.0)
    monkeypatch.setattr("hil.reference.interpreted.SILENCE_S", 1.0)
    text = error_of(lambda: oracle.run(np.zeros((1, 240), np.int8)))
    assert text.startswith("m.tflite: operator 2 CONV_2D: the int8 oracle (tflite-micro) hung: no answer in 1 s")


def test_an_end_that_is_not_the_models_is_told_apart(imu_folder: Path) -> None:
    process = InterpreterProcess()
    oracle = Int8Oracle((imu_folder / "model_int8.tflite").read_bytes(), "m.tflite", process=process)
    timer = threading.Timer(0.3, lambda: os.kill(process.pid, signal.SIGKILL))
    timer.start()
    text = error_of(lambda: [oracle.run(np.zeros((4000, 240), np.int8)) for _ in range(1000)])
    timer.join()
    assert "the whole model: the int8 oracle (tflite-micro) was killed by SIGKILL, as when memory runs out" in text
    assert "it ran when it was tried again" in text


def test_the_float_reference_is_told_in_the_same_way(imu_folder: Path) -> None:
    model = read_model((imu_folder / "model_float.tflite").read_bytes())
    graph = model.subgraphs[0]
    process = InterpreterProcess()
    reference = FloatReference(write_model(model), "float.tflite", process)
    os.kill(process.pid, signal.SIGSEGV)
    text = error_of(lambda: reference.run_real(np.zeros((1, 240), np.float32)))
    assert text.startswith("float.tflite: the whole model: LiteRT was killed by SIGSEGV while the model ran")
    assert len(graph.operators) > 1


def test_cutting_a_model_off_changes_no_answer_of_what_is_left(imu_folder: Path) -> None:
    """The whole model cut off behind its last operator is the model; behind the one before, it gives the logits."""
    from hil.model.graph import read_graph

    data = (imu_folder / "model_int8.tflite").read_bytes()
    graph = read_graph(data, Path("m.tflite"))
    tensors = np.random.default_rng(1).integers(-128, 128, (20, 240)).astype(np.int8)
    whole = Int8Oracle(data).run(tensors)
    np.testing.assert_array_equal(Int8Oracle(culprit.cut_after(data, graph, 6)).run(tensors), whole)
    logits = Int8Oracle(culprit.cut_after(data, graph, 5)).run(tensors)
    np.testing.assert_array_equal(logits.argmax(axis=1), whole.argmax(axis=1))


@pytest.fixture
def dead_case(imu_folder: Path, build_case: Callable[..., Case], tmp_path: Path) -> Case:
    """A case whose model is fatal; built around the sound one, whose contracts are the same."""
    from dataclasses import replace

    windows = np.zeros((3, 40, 1, 6), np.int8)
    case = build_case(imu_folder / "model_int8.tflite", Vectors(windows), Window("int8", 40, 6), Prepare("tensor", 1))
    model = replace(case.model, data=dead_model(imu_folder), path=tmp_path / "dead.tflite")
    return replace(case, model=model)


def test_the_check_before_the_start_finds_it(dead_case: Case) -> None:
    text = error_of(lambda: check_models(dead_case))
    assert text.startswith(f"{dead_case.model.path}: operator 5 SOFTMAX: ")


def test_the_job_beside_the_board_ends_with_it(dead_case: Case) -> None:
    job = ReferenceJob(dead_case, np.arange(3))
    assert "operator 5 SOFTMAX" in error_of(job.result)
    job.close()


def test_closing_the_job_ends_its_work_at_once(imu_folder: Path, build_case: Callable[..., Case]) -> None:
    windows = np.zeros((50_000, 40, 1, 6), np.int8)
    case = build_case(imu_folder / "model_int8.tflite", Vectors(windows), Window("int8", 40, 6), Prepare("tensor", 1))
    job = ReferenceJob(case, np.arange(len(windows)))
    job.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "references"]
