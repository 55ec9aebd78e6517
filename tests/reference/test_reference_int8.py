"""The int8 oracle against outputs that a physical board printed, and what it says of models it cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from hil.errors import UsageError
from hil.reference import interpreted
from hil.reference.int8 import Int8Oracle
from hil.tensor import FLOAT32

MEMORY = 3  # inputs that the model with memory sums
SCHEMA_VERSION = 3


def test_kws_outputs_are_those_of_the_board(mlperf: Path) -> None:
    """200 inputs, outputs of a NUCLEO-L4R5ZI with TFLM 2.3.1 (MLPerf Tiny v0.5)."""
    data = np.load(mlperf / "kws" / "kws_200.npz")
    oracle = Int8Oracle((mlperf / "models" / "kws_ref_model.tflite").read_bytes())
    outputs = oracle.run(data["input"].reshape(200, -1))
    assert outputs.dtype == np.int8
    assert int((outputs == data["board_output"]).all(axis=1).sum()) == 200


def test_the_tensor_contracts_are_the_published_ones(mlperf: Path) -> None:
    oracle = Int8Oracle((mlperf / "models" / "kws_ref_model.tflite").read_bytes())
    assert (oracle.input.dtype, oracle.input.shape, oracle.input.bytes) == ("INT8", (1, 49, 10, 1), 490)
    assert (round(oracle.input.quantisation.scale, 6), oracle.input.quantisation.zero_point) == (0.584703, 83)
    assert (oracle.output.shape, oracle.output.quantisation.scale) == ((1, 12), 1 / 256)
    assert oracle.output.quantisation.zero_point == -128


def test_a_model_with_memory_starts_afresh_for_every_vector() -> None:
    """The model sums the last three inputs: started afresh, it gives back the one input it has seen."""
    inputs = np.array([[1], [2], [3], [-100], [127]], np.int8)
    assert Int8Oracle(svdf_model()).run(inputs).tolist() == inputs.tolist()


def test_no_vectors_give_no_rows(imu_folder: Path) -> None:
    oracle = Int8Oracle((imu_folder / "model_int8.tflite").read_bytes())
    assert oracle.run(np.zeros((0, 240), np.int8)).shape == (0, 4)


def test_a_small_arena_is_refused_in_the_words_of_tflm(imu_folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"(?s)imu: the int8 oracle .* refuses this model:.*Failed to resize buffer.*fix:"
    ):
        Int8Oracle((imu_folder / "model_int8.tflite").read_bytes(), name="imu", arena_bytes=600)


def test_a_hybrid_model_is_refused_in_the_words_of_tflm(mlperf: Path) -> None:
    with pytest.raises(UsageError, match="Hybrid models are not supported"):
        Int8Oracle((mlperf / "models" / "kws_ref_model_float32.tflite").read_bytes())


def test_a_float_model_runs_on_the_same_kernels(imu_folder: Path) -> None:
    with Int8Oracle((imu_folder / "model_float.tflite").read_bytes()) as oracle:
        assert (oracle.input.element, oracle.output.element) == (FLOAT32, FLOAT32)
        scores = oracle.run(np.linspace(-1, 1, 480, dtype=np.float32).reshape(2, 240))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(100), b"not a model at all, but text" * 10])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="refuses this model"):
        Int8Oracle(data)


def test_a_cut_off_model_is_refused(imu_folder: Path) -> None:
    with pytest.raises(UsageError, match="refuses this model"):
        Int8Oracle((imu_folder / "model_int8.tflite").read_bytes()[:2000])


# ---- a model with memory


def svdf_model() -> bytes:
    """A model with memory: int8 [1, 1] to int8 [1, 1], one SVDF whose state is a variable tensor, all scales 1."""
    model: Any = schema.ModelT()
    model.version = SCHEMA_VERSION
    model.buffers = [schema.BufferT()]
    tensors = [
        _tensor(model, "window", schema.TensorType.INT8, (1, 1), 1.0),
        _tensor(model, "feature", schema.TensorType.INT8, (1, 1), 1.0, np.array([1], np.int8)),
        _tensor(model, "time", schema.TensorType.INT16, (1, MEMORY), 1.0, np.ones(MEMORY, np.int16)),
        _tensor(model, "bias", schema.TensorType.INT32, (1,), 1.0, np.array([0], np.int32)),
        _tensor(model, "state", schema.TensorType.INT16, (1, MEMORY), 1.0, variable=True),
        _tensor(model, "score", schema.TensorType.INT8, (1, 1), 1.0),
    ]
    graph: Any = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [5], [_svdf()]
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SVDF
    code.version = 3
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _svdf() -> Any:
    options: Any = schema.SVDFOptionsT()
    options.rank = 1
    operator: Any = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2, 3, 4], [5]
    operator.builtinOptionsType = schema.BuiltinOptions.SVDFOptions
    operator.builtinOptions = options
    return operator


def _tensor(
    model: Any,
    name: str,
    dtype: int,
    shape: tuple[int, ...],
    scale: float,
    values: np.ndarray | None = None,
    variable: bool = False,
) -> Any:
    tensor: Any = schema.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.isVariable = name, dtype, list(shape), variable
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
    buffer: Any = schema.BufferT()
    if values is not None:
        buffer.data = list(values.astype(values.dtype.newbyteorder("<")).tobytes())
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    return tensor


def test_blocks_leave_no_trace(imu_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven tensors, two in a request."""
    tensors = np.random.default_rng(4).integers(-128, 128, (7, 240), np.int8)
    sizes: list[int] = []
    with Int8Oracle((imu_folder / "model_int8.tflite").read_bytes()) as oracle:
        whole = oracle.run(tensors)
        ask = oracle.ask
        monkeypatch.setattr(
            oracle, "ask", lambda request, values: sizes.append(len(values["tensors"])) or ask(request, values)
        )
        monkeypatch.setattr(interpreted, "BLOCK_BYTES", 2 * 240)
        np.testing.assert_array_equal(oracle.run(tensors), whole)
    assert sizes == [2, 2, 2, 1]
    assert len({row.tobytes() for row in whole}) > 1
