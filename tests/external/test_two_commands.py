"""From a model that somebody else made to a verdict: `hil case new`, then `pytest --board=NAME FOLDER`.

And what is said when the outputs that came with it are of a PC's runtime.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from harness_process import PASSED, Finished, run_harness
from made_evidence import evidence_of
from model_edit import read_model, write_model
from numpy.typing import NDArray

from hil.case.load import load_case
from hil.cli import main
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.reference.compute import compute

MOTION = Path(__file__).resolve().parents[2] / "golden_vectors" / "imu_motion"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
NATIVE = (
    *("public_models/kenning_magic_wand_int8", "public_models/hpx_tiny_cnn", "public_models/ei_voice_nxp"),
    *("keras_2_21/cnn_batch1", "mlperf_tiny/models/hello_world_int8"),
)


def shared(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no {name} in ../shared/data beside the project")
    return path


def two_commands(folder: Path, board: str, *options: str, limit_s: float = 600.0) -> Finished:
    """options: of `hil case new`. The second command is typed as the first one prints it."""
    assert main(["case", "new", str(folder / "mine"), *options]) == 0
    return run_harness(folder, folder / "mine", board=board, limit_s=limit_s)


@pytest.mark.slow
@pytest.mark.parametrize("name", NATIVE)
def test_a_bare_model_gets_a_verdict_on_native(name: str, tmp_path: Path) -> None:
    finished = two_commands(tmp_path, "native", "--model", str(shared(f"{name}.tflite")))
    assert finished.code == PASSED, finished.text
    (case,) = finished.run["cases"]
    assert case["verdict"] == "passed"
    (output,) = [check for check in case["checks"] if check["id"] == "execution.output"]
    assert (output["outcome"], output["value"]) == ("passed", 0.0)


@pytest.mark.slow
def test_a_bare_model_gets_a_verdict_on_qemu_and_then_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits of the first run hold in the second."""
    monkeypatch.chdir(tmp_path)
    first = two_commands(tmp_path, "qemu", "--model", str(shared("keras_2_21/cnn_batch1.tflite")))
    assert first.code == PASSED, first.text
    assert main(["case", "limits", str(first.out), "--write"]) == 0
    second = run_harness(tmp_path, tmp_path / "mine", board="qemu", limit_s=600.0)
    assert second.code == PASSED, second.text
    judged = {check["id"]: check["outcome"] for check in second.run["cases"][0]["checks"]}
    limits = ("memory.arena", "memory.flash", "memory.ram", "memory.stack", "latency.total.max", "execution.arena")
    assert {judged[name] for name in limits} == {"passed"}


@pytest.mark.slow
def test_a_model_that_is_larger_than_its_region_is_told_before_it_is_flashed(tmp_path: Path) -> None:
    m = schema_model(inputs=39_000, outputs=120)
    (tmp_path / "large.tflite").write_bytes(m)
    finished = two_commands(tmp_path, "native", "--model", str(tmp_path / "large.tflite"))
    (case,) = finished.run["cases"]
    assert case["verdict"] == "error"
    assert f"it has {len(m):,} bytes" in case["error"]
    assert "has room for 4,194,304" in case["error"]
    assert "take a smaller model" in case["error"]


def schema_model(inputs: int, outputs: int) -> bytes:
    """One Dense layer from [1, inputs] to [1, outputs], all weights 1."""
    small = read_model((MOTION / "model_int8.tflite").read_bytes())
    graph = small.subgraphs[0]
    dense = graph.operators[-2]
    assert [len(graph.tensors[index].shape) for index in dense.inputs] == [4, 2, 1]  # FULLY_CONNECTED, before SOFTMAX
    x, w, b = (graph.tensors[index] for index in dense.inputs)
    y = graph.tensors[dense.outputs[0]]
    x.shape, w.shape, b.shape, y.shape = [1, inputs], [outputs, inputs], [outputs], [1, outputs]
    for tensor in (x, y):
        tensor.shapeSignature = None
    for tensor, values in ((w, np.ones(inputs * outputs, np.int8)), (b, np.zeros(outputs, np.int32))):
        small.buffers[tensor.buffer].data = values.view(np.uint8)
    graph.operators, graph.inputs, graph.outputs = [dense], [dense.inputs[0]], [dense.outputs[0]]
    return write_model(small)


def litert(model: Path, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """What LiteRT's optimised kernels, its default, make of input tensors."""
    interpreter = Interpreter(str(model), num_threads=1)
    interpreter.allocate_tensors()
    inner, outer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for window in windows:
        interpreter.set_tensor(inner["index"], window.reshape(inner["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(outer["index"])[0].copy())
    return np.array(outputs)


def test_outputs_of_a_pcs_runtime_are_told_apart_from_a_device_that_is_wrong(tmp_path: Path) -> None:
    """The device gives what the oracle gives; LiteRT's default kernels give something else on one of 100 windows."""
    model = shared("public_models/kenning_magic_wand_int8.tflite")
    windows = np.random.default_rng(0).integers(-128, 128, (100, 128, 3, 1), np.int8)
    np.savez(tmp_path / "outside.npz", windows=windows, expected_output=litert(model, windows))
    folder = tmp_path / "mine"
    made = ["case", "new", str(folder), "--model", str(model), "--vectors", str(tmp_path / "outside.npz")]
    assert main(made) == 0
    case = load_case(folder)
    evidence = evidence_of(case, compute(case))
    found = {check.id: judge(check, evidence) for check in checks_for(case) if check.id.startswith("execution.")}
    assert found["execution.output"].outcome is Outcome.PASSED
    golden = found["execution.golden"]
    assert golden.outcome is Outcome.FAILED
    hint = golden.findings[0].hint
    assert "the runtime that made expected_output is the one that differs" in hint
    assert "tflite-micro wheel, as docs/golden-updates.md shows" in hint
    assert golden.value is not None
    assert golden.value > 50  # LSB: nobody would take that for rounding
