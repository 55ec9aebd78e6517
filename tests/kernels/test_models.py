"""Whole models equal the oracle on the image with operators of our own: those that TensorFlow 2.21 writes by default,
and public ones; and the harness runs, judges and profiles them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import PROJECT, KernelBench, Trial, oracle

from hil.board.config import kind_module, load_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.operators import OperatorProfile
from hil.contract.types import Evidence, Outcome
from hil.image.build import WITH_KERNELS, build
from hil.image.elf import Image
from hil.model.cures import cured
from hil.model.graph import read_graph
from hil.session import run_case

DATA = PROJECT.parent / "shared" / "data"
KERAS = sorted((DATA / "keras_2_21").glob("*.tflite"))
PUBLIC = [
    DATA / "public_models" / f"{name}.tflite"
    for name in (
        *("arduino_magic_wand", "petewarden_magic_wand", "tinymaix_mnist_arduino_q", "diy_alexa", "hpx_tiny_cnn"),
        *("mlonmcu_CNN_full_quantized", "mlonmcu_model_with_reduce_max", "mlonmcu_rnnoise_INT8", "ei_voice_nxp"),
        *("kenning_magic_wand_int8", "kenning_magic_wand_float", "tflm_mnist_lstm_int8"),
    )
]
ARENA_BYTES = 200 << 10
NUMPY = {0: np.float32, 2: np.int32, 3: np.uint8, 7: np.int16, 9: np.int8}  # by the schema's number
HARNESS = [DATA / "keras_2_21" / f"{name}.tflite" for name in ("gap", "cnn_default", "hardswish", "autoencoder")]
HARNESS += [DATA / "public_models" / "tflm_mnist_lstm_int8.tflite"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project"),
]


def trial_of(file: Path, windows: int) -> Trial:
    """Random windows for a model, the same each time."""
    random = np.random.default_rng(7)
    data, _ = cured(file.read_bytes(), file)  # 64-bit biases at odd places, shapes of an open batch
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0)).subgraphs[0]
    return Trial(
        data, [[tensor_of(random, graph.tensors[i]) for i in graph.inputs] for _ in range(windows)], len(graph.outputs)
    )


def tensor_of(random: np.random.Generator, tensor: schema.TensorT) -> np.ndarray:
    kind = NUMPY[tensor.type]
    if kind == np.float32:
        return random.uniform(-3, 3, tensor.shape).astype(np.float32)
    return random.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, tensor.shape).astype(kind)


def as_numbers(data: bytes, file: Path) -> np.ndarray:
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read_bytes(), 0)).subgraphs[0]
    return np.frombuffer(data, NUMPY[graph.tensors[graph.outputs[0]].type])


@pytest.mark.parametrize("board", ["native", "qemu"])
@pytest.mark.parametrize("file", [*KERAS, *PUBLIC], ids=lambda file: file.stem)
def test_a_model_equals_the_oracle(file: Path, board: str, bench: Callable[[str], KernelBench]) -> None:
    trial = trial_of(file, 6 if board == "native" else 2)
    expected = oracle(trial)
    (answer,) = bench(board).run([trial], [len(expected)], ARENA_BYTES)
    assert (answer.status, answer.detail) == (0, 0)
    found, right = as_numbers(answer.outputs, file), as_numbers(expected, file)
    if file.stem == "kenning_magic_wand_float" and board != "native":  # expf of another library
        assert np.allclose(found, right, rtol=1e-5, atol=1e-6)
        return
    assert (found == right).all()


def case_of(file: Path, folder: Path) -> Path:
    """A case as a user would write it, with uniform random windows."""
    graph = read_graph(file.read_bytes(), file)
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    (folder / "model.tflite").write_bytes(cured(file.read_bytes(), file)[0])
    windows = np.random.default_rng(11).integers(-128, 128, (12, *shape)).astype(np.int8)
    np.savez(folder / "vectors.npz", windows=windows)
    (folder / "case.toml").write_text(
        '[case]\nname = "converted"\nversion = 1\nsource = "TensorFlow 2.21"\n[model]\nint8 = "model.tflite"\n'
        '[input]\nprepare = "tensor/1"\n[contract.execution]\nreplays = 2\npasses = 1\n'
        "[budget.memory]\narena_bytes = 60_000\n"
    )
    return folder / "case.toml"


def run(case_file: Path, board_name: str, folder: Path) -> Evidence:
    config = load_board(board_name, [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT, image=WITH_KERNELS))
    with kind_module(config).open_board(config, folder / "board.log") as board:
        return run_case(load_case(case_file), board, image).evidence


@pytest.mark.parametrize("board", ["native", "qemu"])
@pytest.mark.parametrize("file", HARNESS, ids=lambda file: file.stem)
def test_the_harness_judges_it_right_and_its_profile_has_every_operator(file: Path, board: str, tmp_path: Path) -> None:
    evidence = run(case_of(file, tmp_path), board, tmp_path)
    results = [judge(check, evidence) for check in checks_for(evidence.case)]
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    assert [str(finding) for result in failed for finding in result.findings] == []
    assert {result.check: result.outcome for result in results}["execution.output"] == Outcome.PASSED
    profiled = [each.operator for each in evidence.section(OperatorProfile).operators]
    assert profiled == [operator.name for operator in read_graph(file.read_bytes(), file).operators]
